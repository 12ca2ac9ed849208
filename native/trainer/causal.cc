#include "causal.h"

#include <array>
#include <cmath>

#include "causal_decoder.h"

namespace dece {

using torch::Tensor;

namespace {

// Query, key and value, each [batch, heads, length, head width].
using Projected = std::array<Tensor, 3>;

Projected from_fused(const Tensor& projected, const CausalConfig& config) {
  const auto width = config.heads * config.head_width;
  const auto others = config.key_value_heads * config.head_width;
  const auto parts = projected.split_with_sizes({width, others, others}, -1);
  return {split_heads(parts[0].contiguous(), config.heads),
          split_heads(parts[1].contiguous(), config.key_value_heads),
          split_heads(parts[2].contiguous(), config.key_value_heads)};
}

Projected from_codegen(const Tensor& projected, const CausalConfig& config) {
  constexpr int64_t groups = 4;
  const auto batch = projected.size(0), length = projected.size(1);
  // [3, batch, groups, heads of a group, length, head width]
  const auto parts =
      projected.view({batch, length, groups, 3, config.heads / groups, config.head_width})
          .permute({3, 0, 2, 4, 1, 5});
  const auto part = [&](int64_t i) {
    return parts.select(0, i).reshape({batch, config.heads, length, config.head_width});
  };
  return {part(0), part(2), part(1)};
}

// Whether a position is padding that a later one could read.
bool has_padding_before_ids(const Tensor& mask) {
  if (!mask.defined() || mask.size(1) == 1) return false;
  const auto before = mask.narrow(1, 0, mask.size(1) - 1),
             after = mask.narrow(1, 1, mask.size(1) - 1);
  return (before < after).any().item<bool>();
}

}  // namespace

Causal::Causal(const CausalConfig& config, torch::Device device, torch::Dtype dtype)
    : Model(device, dtype), config_(config) {
  const Start start{0, config.initializer_range};
  const auto& names = config_.names;
  embedding_ =
      parameter(names.at("embedding") + ".weight", {config.vocab_size, config.width}, start);
  if (config.positions > 0) {
    positions_ =
        parameter(names.at("positions") + ".weight", {config.positions, config.width}, start);
  }
  for (int64_t i = 0; i < config.layers; i++) blocks_.push_back(make_block(i));
  final_norm_ = make_norm(names.at("final_norm"));
  if (config.tie_word_embeddings) {
    head_.weight = embedding_;
    if (config.head_bias)
      head_.bias = parameter(names.at("head") + ".bias", {config.vocab_size}, {});
  } else {
    head_ = linear(names.at("head"), config.vocab_size, config.width, config.head_bias,
                   config.initializer_range);
  }
}

Linear Causal::make_linear(const std::string& name, int64_t out, int64_t in, bool bias,
                           double deviation) {
  if (!config_.transposed) return linear(name, out, in, bias, deviation);
  Linear layer;
  layer.transposed = true;
  layer.weight = parameter(name + ".weight", {in, out}, {0, deviation});
  if (bias) layer.bias = parameter(name + ".bias", {out}, {});
  make_adaptable(name, layer);
  return layer;
}

LayerNorm Causal::make_norm(const std::string& name) {
  if (!config_.rms_norm) return layer_norm(name, config_.width, config_.norm_epsilon);
  return {parameter(name + ".weight", {config_.width}, {1, 0}), {}, config_.norm_epsilon};
}

CausalBlock Causal::make_block(int64_t index) {
  const auto& c = config_;
  const auto prefix = c.names.at("blocks") + std::to_string(index) + ".";
  const auto name = [&](const char* part) { return prefix + c.names.at(part); };
  const double range = c.initializer_range;
  const double out_range = c.smaller_outputs ? range / std::sqrt(2.0 * double(c.layers)) : range;
  const auto width = c.heads * c.head_width, others = c.key_value_heads * c.head_width;

  CausalBlock block;
  block.name = prefix;
  block.norm1 = make_norm(name("norm1"));
  if (c.qkv == QkvLayout::separate) {
    block.q = make_linear(name("q"), width, c.width, c.qkv_bias, range);
    block.k = make_linear(name("k"), others, c.width, c.qkv_bias, range);
    block.v = make_linear(name("v"), others, c.width, c.qkv_bias, range);
  } else {
    block.q = make_linear(name("qkv"), width + 2 * others, c.width, c.qkv_bias, range);
  }
  block.out = make_linear(name("out"), c.width, width, c.out_bias, out_range);
  if (!c.parallel) block.norm2 = make_norm(name("norm2"));
  const auto inner = c.inner_width;
  if (c.gate == GateLayout::separate) {
    block.gate = make_linear(name("gate"), inner, c.width, c.feed_forward_bias, range);
  }
  const auto up = c.gate == GateLayout::fused ? 2 * inner : inner;
  block.up = make_linear(name("up"), up, c.width, c.feed_forward_bias, range);
  block.down = make_linear(name("down"), c.width, inner, c.feed_forward_bias, out_range);
  return block;
}

Tensor Causal::embed(const Tensor& ids, const Tensor& positions) const {
  const auto hidden = at::embedding(embedding_, ids.to(device()), config_.padding_index);
  if (!positions_.defined()) return hidden;
  return hidden + at::embedding(positions_, positions.to(device()));
}

Rotation Causal::rotation(const Tensor& positions) const {
  if (config_.rotary.width == 0) return {};
  return rotation_at(config_.rotary, positions, device());
}

Reading Causal::reading() const {
  return {.scale = 1 / std::sqrt(double(config_.head_width)), .dropout = config_.attention_dropout};
}

Tensor Causal::attention(const CausalBlock& block, const Tensor& normed, const Rotation& rotation,
                         const Reading& reading, const Draws& draws, KeyValueCache* cache) const {
  Projected parts;
  switch (config_.qkv) {
    case QkvLayout::separate:
      parts = {split_heads(block.q(normed, draws), config_.heads),
               split_heads(block.k(normed, draws), config_.key_value_heads),
               split_heads(block.v(normed, draws), config_.key_value_heads)};
      break;
    case QkvLayout::fused:
      parts = from_fused(block.q(normed, draws), config_);
      break;
    case QkvLayout::codegen:
      parts = from_codegen(block.q(normed, draws), config_);
      break;
  }
  auto& [query, key, value] = parts;
  query = rotate(query, rotation);
  key = rotate(key, rotation);
  if (cache != nullptr) std::tie(key, value) = cache->append(key, value);
  const auto read = block.out(attend(query, key, value, reading, draws), draws);
  return dropout(read, config_.residual_dropout, draws);
}

Tensor Causal::feed_forward(const CausalBlock& block, const Tensor& normed,
                            const Draws& draws) const {
  Tensor inner;
  switch (config_.gate) {
    case GateLayout::none:
      inner = activate(config_.activation, block.up(normed, draws));
      break;
    case GateLayout::separate:
      inner = activate(config_.activation, block.gate(normed, draws)) * block.up(normed, draws);
      break;
    case GateLayout::fused: {
      const auto both = block.up(normed, draws).chunk(2, -1);
      inner = activate(config_.activation, both[0]) * both[1];
      break;
    }
  }
  return dropout(block.down(inner, draws), config_.residual_dropout, draws);
}

Tensor Causal::run_block(const CausalBlock& block, const Tensor& hidden, const Rotation& rotation,
                         const Reading& reading, const Draws& draws, KeyValueCache* cache) const {
  const auto normed = block.norm1(hidden);
  const auto read = attention(block, normed, rotation, reading, draws, cache);
  if (config_.parallel) return hidden + (read + feed_forward(block, normed, draws));
  const auto between = hidden + read;
  return between + feed_forward(block, block.norm2(between), draws);
}

Tensor Causal::run(const ModelInputs& inputs, const Draws& draws, int64_t layers,
                   std::vector<KeyValueCache>* caches) const {
  const auto& ids = inputs.input_ids;
  const auto positions = positions_of(inputs);
  // Padding behind the ids is read by no id, as they come before it.
  auto reading = this->reading();
  reading.causal = !has_padding_before_ids(inputs.attention_mask);
  if (!reading.causal) {
    const auto padding = (inputs.attention_mask == 0).unsqueeze(1).unsqueeze(1).to(device());
    reading.bias = causal_mask(ids.size(1), device(), dtype())
                       .expand({ids.size(0), 1, -1, -1})
                       .masked_fill(padding, lowest(dtype()));
  }
  const auto rotation = this->rotation(positions);
  auto hidden = dropout(embed(ids, positions), config_.embedding_dropout, draws);
  for (int64_t i = 0; i < layers; i++) {
    auto* const cache = caches == nullptr ? nullptr : &(*caches)[i];
    const auto& block = blocks_[i];
    hidden =
        run_again(block.name, {hidden}, draws, [=, this, &block](const auto& in, const auto& own) {
          return run_block(block, in[0], rotation, reading, own, cache);
        });
  }
  return layers < int64_t(blocks_.size()) ? hidden : final_norm_(hidden);
}

Tensor Causal::before_head(const ModelInputs& inputs, const Draws& draws) const {
  return run(inputs, draws, config_.layers);
}

Tensor Causal::hidden_states(const ModelInputs& inputs, int64_t layer) const {
  return run(inputs, {}, layer);
}

std::unique_ptr<Decoder> Causal::decoder(const ModelInputs& inputs, int64_t beams,
                                         int64_t longest) const {
  return std::make_unique<CausalDecoder>(*this, inputs, beams, longest);
}

Tensor positions_of(const ModelInputs& inputs) {
  if (!inputs.attention_mask.defined()) {
    return at::arange(inputs.input_ids.size(1), torch::kLong).unsqueeze(0);
  }
  return (inputs.attention_mask.cumsum(1) - 1).clamp_min(0);
}

}  // namespace dece
