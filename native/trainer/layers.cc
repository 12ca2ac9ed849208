#include "layers.h"

#include <limits>
#include <stdexcept>

namespace dece {

using torch::Tensor;

Tensor Linear::operator()(const Tensor& x) const {
  const auto optional = bias.defined() ? std::optional(bias) : std::nullopt;
  return at::linear(x, transposed ? weight.t() : weight, optional);
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
  const auto heads = query.size(1);
  const auto keys = repeat_heads(key, heads), values = repeat_heads(value, heads);
  const bool learns = at::GradMode::is_enabled();
  const bool open = learns && ((draws.on && reading.dropout > 0) ||
                               (reading.bias.defined() && reading.bias.requires_grad()));
  const auto mask = reading.bias.defined() ? std::optional(reading.bias) : std::nullopt;
  const auto output = open ? attend_openly(query, keys, values, reading, draws)
                           : at::scaled_dot_product_attention(query, keys, values, mask, 0.0,
                                                              reading.causal, reading.scale);
  return output.transpose(1, 2).reshape({query.size(0), query.size(2), -1});
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
