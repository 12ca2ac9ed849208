#include "causal_decoder.h"

namespace dece {

using torch::Tensor;

namespace {

// Ids moved to the right of their rows, so that all prompts end in the last column.
ModelInputs aligned_right(const ModelInputs& inputs) {
  if (!inputs.attention_mask.defined()) return inputs;
  const auto& mask = inputs.attention_mask;
  // Stable: padding first, then the ids in their order.
  const auto order = std::get<1>(mask.sort(std::optional<bool>(true), 1));
  return {inputs.input_ids.gather(1, order), mask.gather(1, order), {}};
}

}  // namespace

CausalDecoder::CausalDecoder(const Causal& model, const ModelInputs& inputs, int64_t beams,
                             int64_t longest)
    : Decoder(model.device(), inputs.input_ids.size(0), beams, model.config_.layers,
              inputs.input_ids.size(1) + longest),
      model_(model) {
  const auto [ids, mask, unused] = aligned_right(inputs);
  const auto length = ids.size(1);
  const auto last = ids.select(1, length - 1).repeat_interleave(beams).contiguous();
  last_ids_.assign(last.const_data_ptr<int64_t>(), last.const_data_ptr<int64_t>() + last.numel());
  if (length > 1) read_prompt(ids, mask);
  positions_ = mask.defined() ? (mask.sum(1, true) - 1).clamp_min(0)
                              : at::full({items_, 1}, length - 1, torch::kLong);
  positions_ = positions_.repeat_interleave(beams, 0);
  if (!mask.defined() || mask.all().item<bool>()) return;
  const auto bias = additive_mask(mask, device_, model.dtype());
  bias_ = at::constant_pad_nd(bias, {0, longest}).repeat_interleave(beams, 0);
}

void CausalDecoder::read_prompt(const Tensor& ids, const Tensor& mask) {
  const auto length = ids.size(1) - 1;
  const ModelInputs inputs{
      ids.narrow(1, 0, length), mask.defined() ? mask.narrow(1, 0, length) : mask, {}};
  model_.run(inputs, {}, model_.config_.layers, &caches_);
  if (beams_ == 1) return;
  const auto rows = at::arange(items_, at::TensorOptions().dtype(torch::kLong).device(device_))
                        .repeat_interleave(beams_);
  for (auto& cache : caches_) cache.keep(rows);
}

Tensor CausalDecoder::step(const Tensor& ids) {
  const auto rotation = model_.rotation(positions_);
  auto reading = model_.reading();
  if (bias_.defined()) reading.bias = bias_.narrow(3, 0, caches_.front().length() + 1);
  auto hidden = model_.embed(ids.unsqueeze(1), positions_);
  for (size_t i = 0; i < caches_.size(); i++) {
    hidden = model_.run_block(model_.blocks_[i], hidden, rotation, reading, {}, &caches_[i]);
  }
  positions_ = positions_ + 1;
  return model_.head()(model_.final_norm_(hidden.squeeze(1))).to(torch::kFloat);
}

void CausalDecoder::keep_own(const Tensor&, const Tensor& rows) {
  positions_ = positions_.index_select(0, rows.cpu());
  if (bias_.defined()) bias_ = bias_.index_select(0, rows);
}

}  // namespace dece
