// The layers that architectures are composed of.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ops.h"

namespace dece {

struct Linear {
  torch::Tensor weight;     // [out, in]
  torch::Tensor bias;       // [out], or undefined
  bool transposed = false;  // the weight is [in, out], as GPT-2 keeps it

  torch::Tensor operator()(const torch::Tensor& x) const;
};

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
