// The layers that architectures are composed of.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ops.h"

namespace dece {

// What is added to a linear layer: scale * B A x, of low rank. LoRA (Hu et al., 2021,
// https://arxiv.org/abs/2106.09685). Kept and computed in float32, whatever the layer is.
struct Adapter {
  torch::Tensor a;     // [rank, in]; undefined: there is none
  torch::Tensor b;     // [out, rank]
  double scale = 0;    // alpha / rank
  double dropout = 0;  // of what A reads

  torch::Tensor operator()(const torch::Tensor& x, const Draws& draws) const;
};

struct Linear {
  torch::Tensor weight;              // [out, in]
  torch::Tensor bias;                // [out], or undefined
  bool transposed = false;           // the weight is [in, out], as GPT-2 keeps it
  std::shared_ptr<Adapter> adapter;  // shared with the model, which may fill it; null: never

  torch::Tensor operator()(const torch::Tensor& x, const Draws& draws = {}) const;
  bool is_adapted() const { return adapter && adapter->a.defined(); }
  // The weight, with what the adapter adds; as a tensor of its own where it adds something.
  torch::Tensor merged() const;
};

// The outputs of layers without biases side by side, by one product: x is read once, its gradient
// added up once.
torch::Tensor side_by_side(const std::vector<const Linear*>& layers, const torch::Tensor& x,
                           const Draws& draws);

struct LayerNorm {
  torch::Tensor weight;  // [width]
  torch::Tensor bias;    // [width]; undefined: no mean is taken off (RMSNorm)
  double epsilon = 0;

  torch::Tensor operator()(const torch::Tensor& x) const;
};

// gelu, gelu_new (by tanh), relu or silu, as transformers calls them.
torch::Tensor activate(const std::string& name, const torch::Tensor& x);

// [batch, length, heads * width] as [batch, heads, length, width].
torch::Tensor split_heads(const torch::Tensor& x, int64_t heads);

// What a position may read, and how the scores are made.
struct Reading {
  torch::Tensor bias;   // added to the scores, broadcast to [batch, heads, length, memory length]
  bool causal = false;  // with no bias: position i reads 0..i
  double scale = 1;
  double dropout = 0;  // of the weights
};

// softmax(scale * query keyᵀ + bias) value with the heads joined again: [batch, length, heads *
// width]. query [batch, heads, length, width]; key and value may have fewer heads, each for as many
// of the query's.
torch::Tensor attend(const torch::Tensor& query, const torch::Tensor& key,
                     const torch::Tensor& value, const Reading& reading, const Draws& draws);

// What hides a position: not -infinity, so that a row that may read nothing stays finite.
double lowest(torch::Dtype dtype);

// 0 to be read, the lowest number of the dtype for padding: [batch, 1, 1, length]; undefined where
// the mask is.
torch::Tensor additive_mask(const torch::Tensor& attention_mask, torch::Device device,
                            torch::Dtype dtype);

// [1, 1, length, length]: what a position may not read, as it comes later.
torch::Tensor causal_mask(int64_t length, torch::Device device, torch::Dtype dtype);

}  // namespace dece
