#include "t5_decoder.h"

#include <algorithm>

namespace dece {

using torch::Tensor;

namespace {

Tensor transposed(const Tensor& weight) { return weight.t().contiguous(); }

}  // namespace

T5Decoder::T5Decoder(const T5& model, const Tensor& encoded, const Tensor& mask, int64_t beams,
                     int64_t longest)
    : Decoder(model.device(), encoded.size(0), beams, model.config_.num_decoder_layers, longest),
      model_(model),
      mask_(mask) {
  const auto heads = model.config_.num_heads;
  const auto prompt_heads = [&](const Tensor& weight) {
    return split_heads(at::linear(encoded, weight), heads).contiguous();
  };
  for (const auto& block : model.decoder_.blocks) {
    Layer layer;
    layer.qkv =
        transposed(at::cat({block.self.q.merged(), block.self.k.merged(), block.self.v.merged()}));
    layer.out = transposed(block.self.o.merged());
    layer.prompt_query = transposed(block.cross.q.merged());
    layer.prompt_out = transposed(block.cross.o.merged());
    layer.wi = transposed(block.feed_forward.wi.merged());
    if (model.config_.gated) layer.wi_1 = transposed(block.feed_forward.wi_1.merged());
    layer.wo = transposed(block.feed_forward.wo.merged());
    layer.prompt_keys = prompt_heads(block.cross.k.merged());
    layer.prompt_values = prompt_heads(block.cross.v.merged());
    layers_.push_back(std::move(layer));
  }
}

std::vector<int64_t> T5Decoder::first_ids() const {
  return std::vector<int64_t>(items_ * beams_, model_.config_.decoder_start_token_id);
}

Tensor T5Decoder::bias_at(int64_t position) {
  const auto known = biases_.defined() ? biases_.size(1) : 0;
  if (position >= known) {
    const auto distances = at::arange(1 - std::max<int64_t>(32, 2 * known), 1, torch::kLong);
    biases_ = model_.position_bias(model_.decoder_, distances).contiguous();
  }
  const auto count = position + 1;
  return biases_.narrow(1, biases_.size(1) - count, count).unsqueeze(0).unsqueeze(2);
}

Tensor T5Decoder::read_self(size_t layer, const Tensor& normed, const Tensor& bias) {
  const auto rows = normed.size(0);
  const auto parts =
      at::mm(normed, layers_[layer].qkv).view({rows, 3, model_.config_.num_heads, 1, -1});
  const auto [keys, values] = caches_[layer].append(parts.select(1, 1), parts.select(1, 2));
  const auto read = attend(parts.select(1, 0), keys, values, {.bias = bias}, {});
  return at::mm(read.view({rows, -1}), layers_[layer].out);
}

Tensor T5Decoder::read_prompt(const Layer& layer, const Tensor& normed) const {
  const auto query = at::mm(normed, layer.prompt_query)
                         .view({items_, beams_, model_.config_.num_heads, -1})
                         .transpose(1, 2);
  const auto read = attend(query, layer.prompt_keys, layer.prompt_values, {.bias = mask_}, {});
  return at::mm(read.view({normed.size(0), -1}), layer.prompt_out);
}

Tensor T5Decoder::feed_forward(const Layer& layer, const Tensor& normed) const {
  const auto inner = at::mm(normed, layer.wi);
  return at::mm(
      layer.wi_1.defined() ? at::gelu(inner, "tanh") * at::mm(normed, layer.wi_1) : inner.relu(),
      layer.wo);
}

Tensor T5Decoder::step(const Tensor& ids) {
  const auto bias = bias_at(caches_.front().length());
  auto hidden = model_.embed(ids);
  const auto& stack = model_.decoder_;
  for (size_t i = 0; i < layers_.size(); i++) {
    const auto& block = stack.blocks[i];
    const auto& layer = layers_[i];
    hidden.add_(read_self(i, model_.norm(hidden, block.self.layer_norm), bias));
    hidden.add_(read_prompt(layer, model_.norm(hidden, block.cross.layer_norm)));
    hidden.add_(feed_forward(layer, model_.norm(hidden, block.feed_forward.layer_norm)));
  }
  const auto last = model_.scaled(model_.norm(hidden, stack.final_layer_norm));
  return model_.head()(last).to(torch::kFloat);
}

void T5Decoder::keep_own(const Tensor& items, const Tensor&) {
  for (auto& layer : layers_) {
    layer.prompt_keys = layer.prompt_keys.index_select(0, items);
    layer.prompt_values = layer.prompt_values.index_select(0, items);
  }
  if (mask_.defined()) mask_ = mask_.index_select(0, items);
}

}  // namespace dece
