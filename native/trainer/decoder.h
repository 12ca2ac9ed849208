// T5's decoder, one token at a time, with what it has read kept.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "t5.h"

namespace dece {

// A batch of `items` prompts with `beams` rows each, row = item * beams + beam. Keys and values of
// the prompt are computed once and shared by the beams of an item.
class Decoder {
 public:
  // encoded [items, length, d_model]; mask as T5::additive_mask. At most `longest` calls of step.
  Decoder(const T5& model, const torch::Tensor& encoded, const torch::Tensor& mask, int64_t beams,
          int64_t longest);

  // Reads the next id of each row, int64 [rows]; logits of the one after, float32 [rows, classes].
  torch::Tensor step(const torch::Tensor& ids);

  // Row i goes on from what row rows[i] has read; both of one item.
  void reorder(const std::vector<int64_t>& rows);
  // Only these items are left, in this order.
  void keep(const std::vector<int64_t>& items);

 private:
  // Weights are kept transposed, [in, out]: for the few rows of a step MKL multiplies by them up to
  // 1.8 times as fast, as it need not pack them. They are copied once for each search.
  struct Layer {
    torch::Tensor qkv, out;                    // of self-attention
    torch::Tensor prompt_query, prompt_out;    // of attention over the prompt
    torch::Tensor wi, wi_1, wo;                // of the feed-forward layer
    torch::Tensor keys, values;                // [rows, heads, capacity, d_kv]
    torch::Tensor spare;                       // as keys: where the next reorder writes
    torch::Tensor prompt_keys, prompt_values;  // [items, heads, length, d_kv]
  };

  void reserve();
  torch::Tensor read_self(Layer& layer, const torch::Tensor& normed,
                          const torch::Tensor& bias) const;
  torch::Tensor read_prompt(const Layer& layer, const torch::Tensor& normed) const;
  torch::Tensor feed_forward(const Layer& layer, const torch::Tensor& normed) const;

  const T5& model_;
  int64_t items_, beams_, longest_;
  int64_t position_ = 0;
  int64_t capacity_ = 0;
  std::vector<Layer> layers_;
  torch::Tensor mask_;  // [items, 1, 1, length]
  torch::Tensor bias_;  // [heads, capacity]: of distances 1 - capacity..0
};

}  // namespace dece
