// T5's decoder, one token at a time, with what it has read kept.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "decoder.h"
#include "t5.h"

namespace dece {

// Keys and values of the prompt are computed once and shared by the beams of an item.
class T5Decoder : public Decoder {
 public:
  // encoded [items, length, d_model]; mask as additive_mask has it.
  T5Decoder(const T5& model, const torch::Tensor& encoded, const torch::Tensor& mask, int64_t beams,
            int64_t longest);

  std::vector<int64_t> first_ids() const override;
  torch::Tensor step(const torch::Tensor& ids) override;

 protected:
  void keep_own(const torch::Tensor& items, const torch::Tensor& rows) override;

 private:
  // Weights are kept transposed, [in, out]: for the few rows of a step MKL multiplies by them up to
  // 1.8 times as fast, as it need not pack them. They are copied once for each search.
  struct Layer {
    torch::Tensor qkv, out;                    // of self-attention
    torch::Tensor prompt_query, prompt_out;    // of attention over the prompt
    torch::Tensor wi, wi_1, wo;                // of the feed-forward layer
    torch::Tensor prompt_keys, prompt_values;  // [items, heads, length, d_kv]
  };

  torch::Tensor read_self(size_t layer, const torch::Tensor& normed, const torch::Tensor& bias);
  torch::Tensor read_prompt(const Layer& layer, const torch::Tensor& normed) const;
  torch::Tensor feed_forward(const Layer& layer, const torch::Tensor& normed) const;
  // Of distances -position..0: [1, heads, 1, position + 1].
  torch::Tensor bias_at(int64_t position);

  const T5& model_;
  std::vector<Layer> layers_;
  torch::Tensor mask_;    // [items, 1, 1, length]
  torch::Tensor biases_;  // [heads, distances]: of distances 1 - size..0
};

}  // namespace dece
