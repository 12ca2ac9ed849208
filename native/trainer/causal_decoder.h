// A decoder-only model that goes on where its prompt ends.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "causal.h"
#include "decoder.h"

namespace dece {

class CausalDecoder : public Decoder {
 public:
  // Reads all of each prompt but its last id, once for all beams of an item.
  CausalDecoder(const Causal& model, const ModelInputs& inputs, int64_t beams, int64_t longest);

  std::vector<int64_t> first_ids() const override { return last_ids_; }
  torch::Tensor step(const torch::Tensor& ids) override;

 protected:
  void keep_own(const torch::Tensor& items, const torch::Tensor& rows) override;

 private:
  void read_prompt(const torch::Tensor& ids, const torch::Tensor& mask);

  const Causal& model_;
  std::vector<int64_t> last_ids_;  // of each row's prompt
  torch::Tensor positions_;        // int64 [rows, 1], of the next ids
  torch::Tensor bias_;             // [rows, 1, 1, prompt length + longest]; undefined: no padding
};

// int64 [batch or 1, length], counted from the first id of a row that is no padding; 0 before it.
torch::Tensor positions_of(const ModelInputs& inputs);

}  // namespace dece
