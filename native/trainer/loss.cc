#include "loss.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <algorithm>
#include <stdexcept>

namespace dece {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

DType dtype_of(const Tensor& logits) {
  switch (logits.scalar_type()) {
    case torch::kFloat:
      return DType::float32;
    case torch::kBFloat16:
      return DType::bfloat16;
    case torch::kHalf:
      return DType::float16;
    default:
      throw std::runtime_error(std::string("logits are ") + c10::toString(logits.scalar_type()) +
                               ": expected float32, bfloat16 or float16");
  }
}

namespace {

// Rows are shared out among libtorch's own threads: a second team would fight them for the cores.
void loss_and_gradient_of_cpu(const Tensor& logits, const Tensor& labels,
                              const LossOptions& options, Tensor& losses, Tensor& gradient) {
  const auto dtype = dtype_of(logits);
  const auto classes = logits.size(-1), row_bytes = classes * int64_t(logits.element_size());
  const auto* from = static_cast<const char*>(logits.const_data_ptr());
  const auto* label = labels.const_data_ptr<int64_t>();
  auto* loss = losses.mutable_data_ptr<float>();
  auto* to = gradient.defined() ? static_cast<char*>(gradient.mutable_data_ptr()) : nullptr;
  const int64_t grain = std::max<int64_t>(1, at::internal::GRAIN_SIZE / classes);
  at::parallel_for(0, labels.numel(), grain, [&](int64_t begin, int64_t end) {
    loss_and_gradient_cpu(from + begin * row_bytes, dtype, label + begin, end - begin, classes,
                          options, loss + begin, to ? to + begin * row_bytes : nullptr, 1);
  });
}

}  // namespace

void loss_and_gradient(const Tensor& logits, const Tensor& labels, const LossOptions& options,
                       Tensor& losses, Tensor& gradient) {
  if (logits.is_cpu()) {
    loss_and_gradient_of_cpu(logits, labels, options, losses, gradient);
  } else {
    loss_and_gradient_of_cuda(logits, dtype_of(logits), labels, options, losses, gradient);
  }
}

namespace {

// By a float64 scalar, which nearly always is 1; on a CUDA device nobody waits to find out.
void multiply(Tensor& values, const Tensor& factor) {
  if (values.is_cuda()) {
    multiply_on_cuda(values, dtype_of(values), factor);
  } else if (const double by = factor.item<double>(); by != 1) {
    values.mul_(by);
  }
}

struct LossSum : torch::autograd::Function<LossSum> {
  static Tensor forward(AutogradContext* context, const Tensor& logits, const Tensor& labels,
                        const LossOptions& options, Logits fate, bool learns) {
    const auto source = logits.detach().contiguous();
    const auto rows = labels.contiguous();
    auto gradient = !learns                     ? Tensor()
                    : fate == Logits::overwrite ? source
                                                : at::empty_like(source);
    auto losses = at::empty({rows.numel()}, source.options().dtype(torch::kFloat));
    loss_and_gradient(source, rows, options, losses, gradient);
    if (learns) {
      if (fate == Logits::overwrite) logits.unsafeGetTensorImpl()->bump_version();
      context->saved_data["gradient"] = gradient;
    }
    return losses.sum(torch::kDouble).mul_(options.scale);
  }

  static tensor_list backward(AutogradContext* context, tensor_list upstream) {
    const auto saved = context->saved_data.find("gradient");
    TORCH_CHECK(saved != context->saved_data.end(), "the loss was differentiated twice");
    auto gradient = saved->second.toTensor();
    context->saved_data.erase(saved);
    multiply(gradient, upstream[0]);
    return {gradient, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// hidden [rows, d] x weight^T into `logits`
void multiply_matrices(const Tensor& hidden, const Tensor& weight, Tensor logits) {
  if (logits.scalar_type() == hidden.scalar_type()) {
    at::mm_out(logits, hidden, weight.t());
  } else {
    at::mm_out(logits, hidden, weight.t(), logits.scalar_type());
  }
}

// sum = beta * sum + gradient^T x hidden, beta 0 or 1; the sum is float32, the others have the
// dtype of the model
void add_weight_gradient(Tensor& sum, int beta, const Tensor& gradient, const Tensor& hidden) {
  if (hidden.scalar_type() == torch::kFloat) {
    at::addmm_out(sum, sum, gradient.t(), hidden, beta);
  } else if (hidden.is_cuda()) {
    at::addmm_out(sum, sum, gradient.t(), hidden, torch::kFloat, beta);
  } else {
    // A few classes at a time: their product is added from the cache.
    constexpr int64_t step = 2048;
    for (int64_t begin = 0; begin < sum.size(0); begin += step) {
      auto some = sum.slice(0, begin, begin + step);
      const auto product = at::mm(gradient.slice(1, begin, begin + step).t(), hidden);
      beta == 0 ? some.copy_(product) : some.add_(product);
    }
  }
}

struct LinearLossSum : torch::autograd::Function<LinearLossSum> {
  static Tensor forward(AutogradContext* context, const Tensor& hidden, const Tensor& weight,
                        const std::optional<Tensor>& bias, const Tensor& labels,
                        const LossOptions& options, int64_t logits_bytes, bool learns) {
    const auto source = hidden.detach().reshape({-1, hidden.size(-1)}).contiguous();
    const auto matrix = weight.detach();
    const auto targets = labels.reshape(-1).contiguous();
    const auto rows = source.size(0), classes = matrix.size(0);
    const auto in_float = source.options().dtype(torch::kFloat);
    // A processor's product of bfloat16 is bfloat16.
    const auto of_logits = source.is_cpu() ? source.options() : in_float;
    const auto bytes = rows * classes * int64_t(of_logits.dtype().itemsize());
    const auto chunks = std::clamp<int64_t>(
        (bytes + logits_bytes - 1) / std::max<int64_t>(1, logits_bytes), 1, rows);
    const auto chunk = (rows + chunks - 1) / chunks;

    const bool weight_learns = weight.requires_grad();
    auto losses = at::empty({rows}, in_float);
    auto logits = at::empty({chunk, classes}, of_logits);
    auto hidden_gradient = learns ? at::empty_like(source) : Tensor();
    auto weight_gradient = weight_learns ? at::empty(matrix.sizes(), in_float) : Tensor();
    auto bias_gradient = bias && bias->requires_grad() ? at::zeros({classes}, in_float) : Tensor();
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const auto end = std::min(begin + chunk, rows);
      const auto some = source.slice(0, begin, end);
      auto own = logits.slice(0, 0, end - begin);
      auto own_losses = losses.slice(0, begin, end);
      multiply_matrices(some, matrix, own);
      if (bias) own.add_(bias->detach());
      auto own_slopes = learns ? own : Tensor();
      loss_and_gradient(own, targets.slice(0, begin, end), options, own_losses, own_slopes);
      if (!learns) continue;
      const auto rounded = own.to(source.scalar_type());
      auto own_gradient = hidden_gradient.slice(0, begin, end);
      at::mm_out(own_gradient, rounded, matrix);
      if (weight_learns) add_weight_gradient(weight_gradient, begin > 0, rounded, some);
      if (bias_gradient.defined()) bias_gradient.add_(own.sum(0, false, torch::kFloat));
    }
    if (learns) {
      context->saved_data["hidden"] = hidden_gradient.view(hidden.sizes());
      if (weight_learns) context->saved_data["weight"] = weight_gradient;
      if (bias_gradient.defined()) context->saved_data["bias"] = bias_gradient;
    }
    return losses.sum(torch::kDouble).mul_(options.scale);
  }

  static tensor_list backward(AutogradContext* context, tensor_list upstream) {
    TORCH_CHECK(!context->saved_data.empty(), "the loss was differentiated twice");
    auto hidden = context->saved_data["hidden"].toTensor();
    const auto saved = [&](const char* name) {
      const auto found = context->saved_data.find(name);
      return found == context->saved_data.end() ? Tensor() : found->second.toTensor();
    };
    auto weight = saved("weight"), bias = saved("bias");
    context->saved_data.clear();
    multiply(hidden, upstream[0]);
    if (weight.defined()) multiply(weight, upstream[0]);
    if (bias.defined()) multiply(bias, upstream[0]);
    return {hidden, weight, bias, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// Inside of forward() nobody can tell.
bool asks_for_gradient(std::initializer_list<Tensor> tensors) {
  const auto requires_grad = [](const Tensor& tensor) {
    return tensor.defined() && tensor.requires_grad();
  };
  return at::GradMode::is_enabled() && std::any_of(tensors.begin(), tensors.end(), requires_grad);
}

}  // namespace

Tensor linear_loss_sum(const Tensor& hidden, const Tensor& weight, const Tensor& bias,
                       const Tensor& labels, const LossOptions& options, int64_t logits_bytes) {
  const auto optional = bias.defined() ? std::optional(bias) : std::nullopt;
  return LinearLossSum::apply(hidden, weight, optional, labels, options, logits_bytes,
                              asks_for_gradient({hidden, weight, bias}));
}

Tensor loss_sum(const Tensor& logits, const Tensor& labels, const LossOptions& options,
                Logits fate) {
  return LossSum::apply(logits, labels, options, fate, asks_for_gradient({logits}));
}

}  // namespace dece
