#include "t5.h"

#include <cmath>

#include "t5_decoder.h"

namespace dece {

using torch::Tensor;

namespace {

// [batch, length, parts * heads * d_kv] as `parts` tensors [batch, heads, length, d_kv].
std::vector<Tensor> split_heads(const Tensor& projected, int64_t parts, int64_t heads) {
  const auto batch = projected.size(0), length = projected.size(1);
  return projected.view({batch, length, parts, heads, -1}).permute({2, 0, 3, 1, 4}).unbind(0);
}

// Buckets of distances memory - query: near ones have one each, far ones share by their
// logarithm, all beyond the maximum are one. Computed as transformers does, in float32, as the
// bounds of buckets depend on the rounding.
Tensor buckets_of(const Tensor& distances, bool bidirectional, const T5Config& config) {
  auto count = config.relative_attention_num_buckets;
  Tensor offset, distance;
  if (bidirectional) {
    count /= 2;
    offset = (distances > 0).to(torch::kLong) * count;
    distance = distances.abs();
  } else {
    offset = at::zeros_like(distances);
    distance = -distances.clamp_max(0);
  }
  const auto exact = count / 2;
  const auto range = std::log(double(config.relative_attention_max_distance) / double(exact));
  const auto far = ((distance.to(torch::kFloat) / exact).log() / range * (count - exact))
                       .clamp_min(0)  // log(0); replaced below
                       .to(torch::kLong)
                       .add(exact)
                       .clamp_max(count - 1);
  return offset + at::where(distance < exact, distance, far);
}

// A bias as attend() takes it: where gradients are kept, a matrix for each row and head, once for
// all blocks.
Tensor bias_for_attend(const Tensor& bias, int64_t batch, int64_t heads) {
  if (!bias.defined() || !at::GradMode::is_enabled()) return bias;
  return bias.expand({batch, heads, -1, -1}).contiguous();
}

}  // namespace

T5::T5(const T5Config& config, torch::Device device, torch::Dtype dtype)
    : Model(device, dtype), config_(config) {
  shared_ = weight("shared.weight", {config.vocab_size, config.d_model}, 1);
  encoder_ = make_stack("encoder", config.num_layers, false);
  decoder_ = make_stack("decoder", config.num_decoder_layers, true);
  head_.weight = config.tie_word_embeddings
                     ? shared_
                     : weight("lm_head.weight", {config.vocab_size, config.d_model}, 1);
}

// Normal with this deviation at the start; 0: a norm's, which is constant.
Tensor T5::weight(const std::string& name, at::IntArrayRef shape, double deviation) {
  const double factor = config_.initializer_factor;
  return parameter(name, shape, deviation == 0 ? Start{factor, 0} : Start{0, factor * deviation});
}

Linear T5::product(const std::string& name, int64_t out, int64_t in, double deviation) {
  Linear layer;
  layer.weight = weight(name + ".weight", {out, in}, deviation);
  make_adaptable(name, layer);
  return layer;
}

T5Attention T5::make_attention(const std::string& name, bool has_bias) {
  const auto width = config_.d_model, inner = config_.num_heads * config_.d_kv;
  const double of_width = std::pow(width, -0.5);
  T5Attention attention;
  attention.q = product(name + ".q", inner, width, std::pow(double(width * config_.d_kv), -0.5));
  attention.k = product(name + ".k", inner, width, of_width);
  attention.v = product(name + ".v", inner, width, of_width);
  attention.o = product(name + ".o", width, inner, std::pow(double(inner), -0.5));
  if (has_bias) {
    attention.relative_attention_bias =
        weight(name + ".relative_attention_bias.weight",
               {config_.relative_attention_num_buckets, config_.num_heads}, of_width);
  }
  return attention;
}

T5Stack T5::make_stack(const std::string& name, int64_t layers, bool is_decoder) {
  const auto width = config_.d_model;
  T5Stack stack;
  for (int64_t i = 0; i < layers; i++) {
    T5Block block;
    block.name = name + ".block." + std::to_string(i) + ".";
    const auto block_name = block.name + "layer.";
    int part = 0;
    const auto norm = [&] {
      return weight(block_name + std::to_string(part++) + ".layer_norm.weight", {width}, 0);
    };
    block.self = make_attention(block_name + "0.SelfAttention", i == 0);
    block.self.layer_norm = norm();
    if (is_decoder) {
      block.cross = make_attention(block_name + "1.EncDecAttention", false);
      block.cross.layer_norm = norm();
    }
    const auto dense = block_name + std::to_string(part) + ".DenseReluDense.";
    const double of_width = std::pow(width, -0.5);
    auto& feed_forward = block.feed_forward;
    feed_forward.wi =
        product(dense + (config_.gated ? "wi_0" : "wi"), config_.d_ff, width, of_width);
    if (config_.gated) feed_forward.wi_1 = product(dense + "wi_1", config_.d_ff, width, of_width);
    feed_forward.wo =
        product(dense + "wo", width, config_.d_ff, std::pow(double(config_.d_ff), -0.5));
    feed_forward.layer_norm = norm();
    stack.blocks.push_back(std::move(block));
  }
  stack.final_layer_norm = weight(name + ".final_layer_norm.weight", {width}, 0);
  return stack;
}

Tensor T5::embed(const Tensor& ids) const { return at::embedding(shared_, ids.to(device())); }

Tensor T5::norm(const Tensor& hidden, const Tensor& weight) const {
  return rms_norm(hidden, weight, config_.layer_norm_epsilon);
}

Tensor T5::feed_forward(const T5FeedForward& layer, const Tensor& hidden,
                        const Draws& draws) const {
  const auto drops = [&](const Tensor& x) { return dropout(x, config_.dropout_rate, draws); };
  const auto normed = norm(hidden, layer.layer_norm);
  const auto inner = config_.gated
                         ? at::gelu(layer.wi(normed, draws), "tanh") * layer.wi_1(normed, draws)
                         : layer.wi(normed, draws).relu_();
  return hidden + drops(layer.wo(drops(inner), draws));
}

Tensor T5::scaled(const Tensor& hidden) const {
  return config_.scale_decoder_outputs ? hidden * std::pow(double(config_.d_model), -0.5) : hidden;
}

Tensor T5::position_bias(const T5Stack& stack, const Tensor& distances) const {
  const bool bidirectional = &stack == &encoder_;
  const auto buckets = buckets_of(distances, bidirectional, config_).to(device());
  const auto values =
      at::embedding(stack.blocks.front().self.relative_attention_bias, buckets);  // [..., heads]
  return values.movedim(-1, 0);
}

// Position bias and mask together: [1 or batch, heads, length, length].
Tensor T5::self_bias(const T5Stack& stack, int64_t length, const Tensor& mask) const {
  const auto positions = at::arange(length, torch::kLong);
  const auto distances = positions.unsqueeze(0) - positions.unsqueeze(1);
  auto bias = position_bias(stack, distances).unsqueeze(0);
  if (&stack == &decoder_) {
    bias = bias.masked_fill((distances > 0).to(device()), lowest(dtype()));
  }
  return mask.defined() ? bias + mask : bias.contiguous();
}

// What a block makes of hidden; `encoded` is undefined in the encoder.
Tensor T5::run_block(const T5Block& block, const Tensor& hidden, const Tensor& encoded,
                     const Reading& own_reading, const Reading& cross_reading,
                     const Draws& draws) const {
  const auto heads = config_.num_heads;
  const auto drops = [&](const Tensor& x) { return dropout(x, config_.dropout_rate, draws); };
  const auto& own = block.self;
  const auto normed = norm(hidden, own.layer_norm);
  const auto qkv = split_heads(side_by_side({&own.q, &own.k, &own.v}, normed, draws), 3, heads);
  auto sum = hidden + drops(own.o(attend(qkv[0], qkv[1], qkv[2], own_reading, draws), draws));
  if (encoded.defined()) {
    const auto& cross = block.cross;
    const auto query = split_heads(cross.q(norm(sum, cross.layer_norm), draws), 1, heads);
    const auto memory = split_heads(side_by_side({&cross.k, &cross.v}, encoded, draws), 2, heads);
    const auto read = attend(query[0], memory[0], memory[1], cross_reading, draws);
    sum = sum + drops(cross.o(read, draws));
  }
  return feed_forward(block.feed_forward, sum, draws);
}

// The first `layers` blocks of a side, and the final norm where that is all of them.
// mask is of what is read from outside: the ids themselves in the encoder, `encoded` in the
// decoder.
Tensor T5::run_stack(const T5Stack& stack, const Tensor& ids, const Tensor& mask,
                     const Tensor& encoded, const Draws& draws, int64_t layers) const {
  const auto batch = ids.size(0), heads = config_.num_heads;
  const bool is_decoder = &stack == &decoder_;
  const auto rate = config_.dropout_rate;
  const auto drops = [&](const Tensor& x) { return dropout(x, rate, draws); };
  const Reading own_reading{
      .bias = bias_for_attend(self_bias(stack, ids.size(1), is_decoder ? Tensor() : mask), batch,
                              heads),
      .dropout = rate};
  const Reading cross_reading{.bias = is_decoder ? bias_for_attend(mask, batch, heads) : Tensor(),
                              .dropout = rate};

  auto hidden = drops(embed(ids));
  for (int64_t i = 0; i < layers; i++) {
    const auto& block = stack.blocks[i];
    hidden = run_again(block.name, {hidden, encoded, own_reading.bias}, draws,
                       [=, this, &block](const auto& in, const auto& own_draws) {
                         auto own = own_reading;
                         own.bias = in[2];
                         return run_block(block, in[0], in[1], own, cross_reading, own_draws);
                       });
  }
  if (layers < int64_t(stack.blocks.size())) return hidden;
  return drops(norm(hidden, stack.final_layer_norm));
}

Tensor T5::before_head(const ModelInputs& inputs, const Draws& draws) const {
  const auto& [input_ids, attention_mask, decoder_input_ids] = inputs;
  const auto mask = additive_mask(attention_mask, device(), dtype());
  const auto encoded = run_stack(encoder_, input_ids, mask, {}, draws, config_.num_layers);
  return scaled(
      run_stack(decoder_, decoder_input_ids, mask, encoded, draws, config_.num_decoder_layers));
}

Tensor T5::hidden_states(const ModelInputs& inputs, int64_t layer) const {
  const auto& [input_ids, attention_mask, decoder_input_ids] = inputs;
  const auto mask = additive_mask(attention_mask, device(), dtype());
  if (!decoder_input_ids.defined()) return run_stack(encoder_, input_ids, mask, {}, {}, layer);
  const auto encoded = run_stack(encoder_, input_ids, mask, {}, {}, config_.num_layers);
  return run_stack(decoder_, decoder_input_ids, mask, encoded, {}, layer);
}

std::unique_ptr<Decoder> T5::decoder(const ModelInputs& inputs, int64_t beams,
                                     int64_t longest) const {
  const auto mask = additive_mask(inputs.attention_mask, device(), dtype());
  const auto encoded = run_stack(encoder_, inputs.input_ids, mask, {}, {}, config_.num_layers);
  return std::make_unique<T5Decoder>(*this, encoded, mask, beams, longest);
}

}  // namespace dece
