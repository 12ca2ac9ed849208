#include "layers.h"

#include <limits>
#include <stdexcept>

namespace dece {

using torch::Tensor;

Tensor Adapter::operator()(const Tensor& x, const Draws& draws) const {
  const auto read = dece::dropout(x.to(torch::kFloat), dropout, draws);
  return (at::linear(at::linear(read, a), b) * scale).to(x.scalar_type());
}

Tensor Linear::operator()(const Tensor& x, const Draws& draws) const {
  const auto optional = bias.defined() ? std::optional(bias) : std::nullopt;
  const auto y = at::linear(x, transposed ? weight.t() : weight, optional);
  return is_adapted() ? y + (*adapter)(x, draws) : y;
}

Tensor Linear::merged() const {
  if (!is_adapted()) return weight;
  const auto added = at::mm(adapter->b, adapter->a) * adapter->scale;
  return (weight.to(torch::kFloat) + (transposed ? added.t() : added)).to(weight.scalar_type());
}

Tensor side_by_side(const std::vector<const Linear*>& layers, const Tensor& x, const Draws& draws) {
  std::vector<Tensor> weights, added;
  bool is_adapted = false;
  for (const auto* layer : layers) {
    weights.push_back(layer->weight);
    is_adapted = is_adapted || layer->is_adapted();
  }
  const auto y = at::linear(x, at::cat(weights));
  if (!is_adapted) return y;
  for (const auto* layer : layers) {
    auto shape = x.sizes().vec();
    shape.back() = layer->weight.size(0);
    added.push_back(layer->is_adapted() ? (*layer->adapter)(x, draws)
                                        : at::zeros(shape, x.options()));
  }
  return y + at::cat(added, -1);
}

Tensor LayerNorm::operator()(const Tensor& x) const {
  if (!bias.defined()) return rms_norm(x, weight, epsilon);
  return at::layer_norm(x, weight.sizes(), weight, bias, epsilon);
}

Tensor activate(const std::string& name, const Tensor& x) {
  if (name == "gelu") return at::gelu(x);
  if (name == "gelu_new") return at::gelu(x, "tanh");
  if (name == "relu") return at::relu(x);
  if (name == "silu") return at::silu(x);
  throw std::runtime_error("activation is " + name + ": expected gelu, gelu_new, relu or silu");
}

Tensor split_heads(const Tensor& x, int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, -1}).transpose(1, 2);
}

namespace {

// As many heads as the query has, side by side for those that share one.
Tensor repeat_heads(const Tensor& x, int64_t heads) {
  const auto batch = x.size(0), own = x.size(1), length = x.size(2), width = x.size(3);
  if (own == heads) return x;
  return x.unsqueeze(2)
      .expand({batch, own, heads / own, length, width})
      .reshape({batch, heads, length, width});
}

// The scores as they are: libtorch's fused attention gives a bias no gradient and draws dropout
// from its own generator.
Tensor attend_openly(const Tensor& query, const Tensor& key, const Tensor& value,
                     const Reading& reading, const Draws& draws) {
  const auto batch = query.size(0), heads = query.size(1), length = query.size(2);
  const auto flat = [&](const Tensor& x) {
    return x.reshape({batch * heads, x.size(2), x.size(3)});
  };
  const auto transposed = flat(key).transpose(1, 2);
  auto bias = reading.bias;
  if (reading.causal) bias = causal_mask(length, query.device(), query.scalar_type());
  Tensor scores;
  if (bias.defined()) {
    const auto wide = bias.expand({batch, heads, -1, -1});
    scores = at::baddbmm(wide.reshape({batch * heads, bias.size(2), bias.size(3)}), flat(query),
                         transposed, 1, reading.scale);
  } else {
    scores = at::bmm(flat(query), transposed);
    if (reading.scale != 1) scores = scores * reading.scale;
  }
  const auto weights = dropout(scores.softmax(-1), reading.dropout, draws);
  return at::bmm(weights, flat(value)).view({batch, heads, length, -1});
}

}  // namespace

Tensor attend(const Tensor& query, const Tensor& key, const Tensor& value, const Reading& reading,
              const Draws& draws) {
  const auto batch = query.size(0), heads = query.size(1), length = query.size(2);
  const bool learns = at::GradMode::is_enabled();
  // Heads that share a key read it as rows of one head, where each has but one row: nothing is
  // copied then, where a step of generation would copy all that was read before.
  const bool as_rows = !learns && length == 1 && key.size(1) < heads;
  const auto asks = as_rows ? query.reshape({batch, key.size(1), -1, query.size(3)}) : query;
  const auto keys = as_rows ? key : repeat_heads(key, heads);
  const auto values = as_rows ? value : repeat_heads(value, heads);
  const bool open = learns && ((draws.on && reading.dropout > 0) ||
                               (reading.bias.defined() && reading.bias.requires_grad()));
  const auto mask = reading.bias.defined() ? std::optional(reading.bias) : std::nullopt;
  const auto output =
      open ? attend_openly(asks, keys, values, reading, draws)
           : at::scaled_dot_product_attention(asks, keys, values, mask, 0.0,
                                              reading.causal && length > 1, reading.scale);
  if (as_rows) return output.reshape({batch, 1, -1});
  return output.transpose(1, 2).reshape({batch, length, -1});
}

double lowest(torch::Dtype dtype) {
  return dtype == torch::kBFloat16 ? double(std::numeric_limits<c10::BFloat16>::lowest())
                                   : double(std::numeric_limits<float>::lowest());
}

Tensor additive_mask(const Tensor& attention_mask, torch::Device device, torch::Dtype dtype) {
  if (!attention_mask.defined()) return {};
  return at::zeros(attention_mask.sizes(), at::TensorOptions().device(device).dtype(dtype))
      .masked_fill_((attention_mask == 0).to(device), lowest(dtype))
      .unsqueeze(1)
      .unsqueeze(1);
}

Tensor causal_mask(int64_t length, torch::Device device, torch::Dtype dtype) {
  return at::full({length, length}, lowest(dtype), at::TensorOptions().device(device).dtype(dtype))
      .triu_(1)
      .unsqueeze(0)
      .unsqueeze(0);
}

}  // namespace dece
