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
  struct Layer {
    torch::Tensor qkv;                         // [3 * heads * d_kv, d_model]
    torch::Tensor keys, values;                // [rows, heads, capacity, d_kv]
    torch::Tensor spare;                       // as keys: where the next reorder writes
    torch::Tensor prompt_keys, prompt_values;  // [items, heads, length, d_kv]
  };

  void reserve();
  torch::Tensor read_self(Layer& layer, const T5Attention& weights, const torch::Tensor& hidden,
                          const torch::Tensor& bias) const;
  torch::Tensor read_prompt(const Layer& layer, const T5Attention& weights,
                            const torch::Tensor& hidden) const;

  const T5& model_;
  int64_t items_, beams_, longest_;
  int64_t position_ = 0;
  int64_t capacity_ = 0;
  std::vector<Layer> layers_;
  torch::Tensor mask_;  // [items, 1, 1, length]
  torch::Tensor bias_;  // [heads, longest]: of distances 1 - longest..0
};

}  // namespace dece
