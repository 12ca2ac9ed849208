#include "decoder.h"

#include <algorithm>

namespace dece {

using torch::Tensor;

namespace {

Tensor attend(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& bias) {
  const auto mask = bias.defined() ? std::optional(bias) : std::nullopt;
  return at::scaled_dot_product_attention(query, key, value, mask, 0.0, false, 1.0);
}

Tensor transposed(const Tensor& weight) { return weight.t().contiguous(); }

Tensor indices(const std::vector<int64_t>& values, torch::Device device) {
  return at::tensor(values, torch::kLong).to(device);
}

}  // namespace

Decoder::Decoder(const T5& model, const Tensor& encoded, const Tensor& mask, int64_t beams,
                 int64_t longest)
    : model_(model), items_(encoded.size(0)), beams_(beams), longest_(longest), mask_(mask) {
  const auto heads = model.config().num_heads, width = model.config().d_kv;
  const auto prompt_heads = [&](const Tensor& weight) {
    return at::linear(encoded, weight)
        .view({items_, encoded.size(1), heads, width})
        .transpose(1, 2)
        .contiguous();
  };
  for (const auto& block : model.decoder().blocks) {
    Layer layer;
    layer.qkv = transposed(at::cat({block.self.q, block.self.k, block.self.v}));
    layer.out = transposed(block.self.o);
    layer.prompt_query = transposed(block.cross.q);
    layer.prompt_out = transposed(block.cross.o);
    layer.wi = transposed(block.feed_forward.wi);
    if (model.config().gated) layer.wi_1 = transposed(block.feed_forward.wi_1);
    layer.wo = transposed(block.feed_forward.wo);
    layer.prompt_keys = prompt_heads(block.cross.k);
    layer.prompt_values = prompt_heads(block.cross.v);
    layers_.push_back(std::move(layer));
  }
}

// Room for one more position: twice as much each time, so that copies stay few.
void Decoder::reserve() {
  if (position_ < capacity_) return;
  const auto before = capacity_;
  capacity_ = std::min(longest_, std::max<int64_t>(32, 2 * before));
  const auto& config = model_.config();
  for (auto& layer : layers_) {
    for (Tensor* cache : {&layer.keys, &layer.values}) {
      auto grown = at::empty({items_ * beams_, config.num_heads, capacity_, config.d_kv},
                             layer.qkv.options());
      if (before > 0) grown.narrow(2, 0, before).copy_(*cache);
      *cache = grown;
    }
    layer.spare = Tensor();
  }
  bias_ = model_.position_bias(model_.decoder(), at::arange(1 - capacity_, 1, torch::kLong))
              .contiguous();
}

Tensor Decoder::read_self(Layer& layer, const Tensor& normed, const Tensor& bias) const {
  const auto rows = normed.size(0);
  const auto parts = at::mm(normed, layer.qkv).view({rows, 3, model_.config().num_heads, -1});
  layer.keys.select(2, position_).copy_(parts.select(1, 1));
  layer.values.select(2, position_).copy_(parts.select(1, 2));
  const auto read = attend(parts.select(1, 0).unsqueeze(2), layer.keys.narrow(2, 0, position_ + 1),
                           layer.values.narrow(2, 0, position_ + 1), bias);
  return at::mm(read.reshape({rows, -1}), layer.out);
}

Tensor Decoder::read_prompt(const Layer& layer, const Tensor& normed) const {
  const auto query = at::mm(normed, layer.prompt_query)
                         .view({items_, beams_, model_.config().num_heads, -1})
                         .transpose(1, 2);
  const auto read = attend(query, layer.prompt_keys, layer.prompt_values, mask_);
  return at::mm(read.transpose(1, 2).reshape({normed.size(0), -1}), layer.prompt_out);
}

Tensor Decoder::feed_forward(const Layer& layer, const Tensor& normed) const {
  const auto inner = at::mm(normed, layer.wi);
  return at::mm(
      layer.wi_1.defined() ? at::gelu(inner, "tanh") * at::mm(normed, layer.wi_1) : inner.relu(),
      layer.wo);
}

Tensor Decoder::step(const Tensor& ids) {
  reserve();
  // Distances -position..0, for every row alike.
  const auto bias =
      bias_.narrow(1, capacity_ - 1 - position_, position_ + 1).unsqueeze(0).unsqueeze(2);
  auto hidden = model_.embed(ids);
  const auto& stack = model_.decoder();
  for (size_t i = 0; i < layers_.size(); i++) {
    const auto& block = stack.blocks[i];
    auto& layer = layers_[i];
    hidden.add_(read_self(layer, model_.norm(hidden, block.self.layer_norm), bias));
    hidden.add_(read_prompt(layer, model_.norm(hidden, block.cross.layer_norm)));
    hidden.add_(feed_forward(layer, model_.norm(hidden, block.feed_forward.layer_norm)));
  }
  position_++;
  return model_.head(model_.norm(hidden, stack.final_layer_norm)).to(torch::kFloat);
}

void Decoder::reorder(const std::vector<int64_t>& rows) {
  bool same = true;
  for (size_t i = 0; i < rows.size(); i++) same = same && rows[i] == int64_t(i);
  if (same) return;
  const auto chosen = indices(rows, model_.device());
  for (auto& layer : layers_) {
    for (Tensor* cache : {&layer.keys, &layer.values}) {
      if (!layer.spare.defined()) layer.spare = at::empty_like(*cache);
      at::index_select_out(layer.spare, *cache, 0, chosen);
      std::swap(layer.spare, *cache);
    }
  }
}

void Decoder::keep(const std::vector<int64_t>& items) {
  std::vector<int64_t> rows;
  for (const int64_t item : items) {
    for (int64_t beam = 0; beam < beams_; beam++) rows.push_back(item * beams_ + beam);
  }
  const auto chosen_items = indices(items, model_.device());
  const auto chosen_rows = indices(rows, model_.device());
  for (auto& layer : layers_) {
    layer.keys = layer.keys.index_select(0, chosen_rows);
    layer.values = layer.values.index_select(0, chosen_rows);
    layer.spare = Tensor();
    layer.prompt_keys = layer.prompt_keys.index_select(0, chosen_items);
    layer.prompt_values = layer.prompt_values.index_select(0, chosen_items);
  }
  if (mask_.defined()) mask_ = mask_.index_select(0, chosen_items);
  items_ = int64_t(items.size());
}

}  // namespace dece
