#include "t5.h"

#include <cmath>
#include <limits>

#include "ops.h"

namespace dece {

using torch::Tensor;

namespace {

// What hides a position: not -infinity, so that a row that may read nothing stays finite.
double lowest(torch::Dtype dtype) {
  return dtype == torch::kBFloat16 ? double(std::numeric_limits<c10::BFloat16>::lowest())
                                   : double(std::numeric_limits<float>::lowest());
}

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

// A bias as attend() takes it: where gradients are kept, a matrix for each row and head.
Tensor bias_for_attend(const Tensor& bias, int64_t batch, int64_t heads) {
  if (!bias.defined() || !at::GradMode::is_enabled()) return bias;
  return bias.expand({batch, heads, -1, -1}).reshape({batch * heads, bias.size(2), bias.size(3)});
}

// softmax(query keyᵀ + bias) value with the heads joined again: [batch, length, heads * d_kv].
// query, key, value [batch, heads, length, d_kv]; bias broadcasts to the scores, or is undefined.
Tensor attend(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& bias,
              const T5Dropout& drop) {
  const auto batch = query.size(0), heads = query.size(1), length = query.size(2);
  Tensor output;
  if (!at::GradMode::is_enabled()) {
    const auto mask = bias.defined() ? std::optional(bias) : std::nullopt;
    output = at::scaled_dot_product_attention(query, key, value, mask, 0.0, false, 1.0);
  } else {
    // libtorch's fused attention gives the bias no gradient and draws from its own generator.
    const auto flat = [&](const Tensor& x) {
      return x.reshape({batch * heads, x.size(2), x.size(3)});
    };
    const auto transposed = flat(key).transpose(1, 2);
    const auto scores = bias.defined() ? at::baddbmm(bias, flat(query), transposed)
                                       : at::bmm(flat(query), transposed);
    const auto weights = dropout(scores.softmax(-1), drop.rate, drop.generator);
    output = at::bmm(weights, flat(value)).view({batch, heads, length, -1});
  }
  return output.transpose(1, 2).reshape({batch, length, -1});
}

}  // namespace

T5::T5(const T5Config& config, torch::Device device, torch::Dtype dtype)
    : config_(config), device_(device), dtype_(dtype) {
  shared_ = parameter("shared.weight", {config.vocab_size, config.d_model}, 1);
  encoder_ = make_stack("encoder", config.num_layers, false);
  decoder_ = make_stack("decoder", config.num_decoder_layers, true);
  lm_head_ = config.tie_word_embeddings
                 ? shared_
                 : parameter("lm_head.weight", {config.vocab_size, config.d_model}, 1);
}

Tensor T5::parameter(const std::string& name, at::IntArrayRef shape, double deviation) {
  auto tensor =
      at::empty(shape, at::TensorOptions().device(device_).dtype(dtype_)).set_requires_grad(true);
  parameters_.emplace_back(name, tensor);
  deviations_.push_back(deviation);
  return tensor;
}

T5Attention T5::make_attention(const std::string& name, bool has_bias) {
  const auto width = config_.d_model, inner = config_.num_heads * config_.d_kv;
  const double of_width = std::pow(width, -0.5);
  T5Attention attention;
  attention.q =
      parameter(name + ".q.weight", {inner, width}, std::pow(double(width * config_.d_kv), -0.5));
  attention.k = parameter(name + ".k.weight", {inner, width}, of_width);
  attention.v = parameter(name + ".v.weight", {inner, width}, of_width);
  attention.o = parameter(name + ".o.weight", {width, inner}, std::pow(double(inner), -0.5));
  if (has_bias) {
    attention.relative_attention_bias =
        parameter(name + ".relative_attention_bias.weight",
                  {config_.relative_attention_num_buckets, config_.num_heads}, of_width);
  }
  return attention;
}

T5Stack T5::make_stack(const std::string& name, int64_t layers, bool is_decoder) {
  const auto width = config_.d_model;
  T5Stack stack;
  for (int64_t i = 0; i < layers; i++) {
    const auto block_name = name + ".block." + std::to_string(i) + ".layer.";
    int part = 0;
    const auto norm = [&] {
      return parameter(block_name + std::to_string(part++) + ".layer_norm.weight", {width}, 0);
    };
    T5Block block;
    block.self = make_attention(block_name + "0.SelfAttention", i == 0);
    block.self.layer_norm = norm();
    if (is_decoder) {
      block.cross = make_attention(block_name + "1.EncDecAttention", false);
      block.cross.layer_norm = norm();
    }
    const auto dense = block_name + std::to_string(part) + ".DenseReluDense.";
    const double of_width = std::pow(width, -0.5);
    auto& feed_forward = block.feed_forward;
    feed_forward.wi = parameter(dense + (config_.gated ? "wi_0.weight" : "wi.weight"),
                                {config_.d_ff, width}, of_width);
    if (config_.gated) {
      feed_forward.wi_1 = parameter(dense + "wi_1.weight", {config_.d_ff, width}, of_width);
    }
    feed_forward.wo =
        parameter(dense + "wo.weight", {width, config_.d_ff}, std::pow(double(config_.d_ff), -0.5));
    feed_forward.layer_norm = norm();
    stack.blocks.push_back(std::move(block));
  }
  stack.final_layer_norm = parameter(name + ".final_layer_norm.weight", {width}, 0);
  return stack;
}

void T5::initialise(uint64_t seed) {
  const at::NoGradGuard no_grad;
  const auto generator = at::detail::createCPUGenerator(seed);
  for (size_t i = 0; i < parameters_.size(); i++) {
    auto& tensor = parameters_[i].second;
    if (deviations_[i] == 0) {
      tensor.fill_(config_.initializer_factor);
    } else {
      const double deviation = config_.initializer_factor * deviations_[i];
      tensor.copy_(at::empty(tensor.sizes(), torch::kFloat).normal_(0, deviation, generator));
    }
  }
}

int64_t T5::weight_count() const {
  int64_t count = 0;
  for (const auto& [name, parameter] : parameters_) count += parameter.numel();
  return count;
}

Tensor T5::embed(const Tensor& ids) const { return at::embedding(shared_, ids.to(device_)); }

Tensor T5::norm(const Tensor& hidden, const Tensor& weight) const {
  return rms_norm(hidden, weight, config_.layer_norm_epsilon);
}

Tensor T5::feed_forward(const T5FeedForward& layer, const Tensor& hidden,
                        const T5Dropout& drop) const {
  const auto normed = norm(hidden, layer.layer_norm);
  const auto inner = config_.gated ? at::gelu(at::linear(normed, layer.wi), "tanh") *
                                         at::linear(normed, layer.wi_1)
                                   : at::linear(normed, layer.wi).relu_();
  const auto output = at::linear(dropout(inner, drop.rate, drop.generator), layer.wo);
  return hidden + dropout(output, drop.rate, drop.generator);
}

Tensor T5::scaled(const Tensor& hidden) const {
  return config_.scale_decoder_outputs ? hidden * std::pow(double(config_.d_model), -0.5) : hidden;
}

Tensor T5::head(const Tensor& hidden) const { return at::linear(scaled(hidden), lm_head_); }

Tensor T5::additive_mask(const Tensor& attention_mask) const {
  if (!attention_mask.defined()) return {};
  const auto padding = attention_mask.to(device_).eq(0);
  return at::zeros(padding.sizes(), at::TensorOptions().device(device_).dtype(dtype_))
      .masked_fill_(padding, lowest(dtype_))
      .unsqueeze(1)
      .unsqueeze(1);
}

Tensor T5::position_bias(const T5Stack& stack, const Tensor& distances) const {
  const bool bidirectional = &stack == &encoder_;
  const auto buckets = buckets_of(distances, bidirectional, config_).to(device_);
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
    bias = bias.masked_fill((distances > 0).to(device_), lowest(dtype_));
  }
  return mask.defined() ? bias + mask : bias.contiguous();
}

// The first `layers` blocks of a side, and the final norm where that is all of them.
// mask is of what is read from outside: the ids themselves in the encoder, `encoded` in the
// decoder.
Tensor T5::run_stack(const T5Stack& stack, const Tensor& ids, const Tensor& mask,
                     const Tensor& encoded, const T5Dropout& drop, int64_t layers) const {
  const auto batch = ids.size(0), heads = config_.num_heads;
  const bool is_decoder = &stack == &decoder_;
  const auto drops = [&](const Tensor& x) { return dropout(x, drop.rate, drop.generator); };
  const auto own_bias =
      bias_for_attend(self_bias(stack, ids.size(1), is_decoder ? Tensor() : mask), batch, heads);
  const auto cross_bias = is_decoder ? bias_for_attend(mask, batch, heads) : Tensor();

  auto hidden = drops(embed(ids));
  for (int64_t i = 0; i < layers; i++) {
    const auto& own = stack.blocks[i].self;
    // One product for the three projections: the input is read once, its gradient added up once.
    const auto normed = norm(hidden, own.layer_norm);
    const auto qkv = split_heads(at::linear(normed, at::cat({own.q, own.k, own.v})), 3, heads);
    hidden = hidden + drops(at::linear(attend(qkv[0], qkv[1], qkv[2], own_bias, drop), own.o));
    if (is_decoder) {
      const auto& cross = stack.blocks[i].cross;
      const auto query = split_heads(at::linear(norm(hidden, cross.layer_norm), cross.q), 1, heads);
      const auto memory = split_heads(at::linear(encoded, at::cat({cross.k, cross.v})), 2, heads);
      const auto read = attend(query[0], memory[0], memory[1], cross_bias, drop);
      hidden = hidden + drops(at::linear(read, cross.o));
    }
    hidden = feed_forward(stack.blocks[i].feed_forward, hidden, drop);
  }
  if (layers < int64_t(stack.blocks.size())) return hidden;
  return drops(norm(hidden, stack.final_layer_norm));
}

Tensor T5::encode(const Tensor& input_ids, const Tensor& attention_mask) const {
  return run_stack(encoder_, input_ids, additive_mask(attention_mask), {}, {}, config_.num_layers);
}

Tensor T5::forward(const Tensor& input_ids, const Tensor& attention_mask,
                   const Tensor& decoder_input_ids, bool training, OptionalGenerator generator) {
  return at::linear(
      before_head(input_ids, attention_mask, decoder_input_ids, training, std::move(generator)),
      lm_head_);
}

Tensor T5::before_head(const Tensor& input_ids, const Tensor& attention_mask,
                       const Tensor& decoder_input_ids, bool training,
                       OptionalGenerator generator) {
  const T5Dropout drop{training ? config_.dropout_rate : 0, std::move(generator)};
  const auto mask = additive_mask(attention_mask);
  const auto encoded = run_stack(encoder_, input_ids, mask, {}, drop, config_.num_layers);
  return scaled(
      run_stack(decoder_, decoder_input_ids, mask, encoded, drop, config_.num_decoder_layers));
}

Tensor T5::hidden_states(const Tensor& input_ids, const Tensor& attention_mask,
                         const Tensor& decoder_input_ids, int64_t layer) {
  const auto mask = additive_mask(attention_mask);
  if (!decoder_input_ids.defined()) return run_stack(encoder_, input_ids, mask, {}, {}, layer);
  const auto encoded = run_stack(encoder_, input_ids, mask, {}, {}, config_.num_layers);
  return run_stack(decoder_, decoder_input_ids, mask, encoded, {}, layer);
}

}  // namespace dece
