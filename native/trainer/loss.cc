#include "loss.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <algorithm>
#include <stdexcept>

namespace dece {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

namespace {

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

// Rows are shared out among libtorch's own threads: a second team would fight them for the cores.
void loss_and_gradient_of_cpu(const Tensor& logits, const Tensor& labels,
                              const LossOptions& options, Tensor& losses, Tensor& gradient) {
  const auto dtype = dtype_of(logits);
  const auto classes = logits.size(-1), row_bytes = classes * int64_t(logits.element_size());
  const auto* from = static_cast<const char*>(logits.const_data_ptr());
  const auto* label = labels.const_data_ptr<int64_t>();
  auto* loss = losses.mutable_data_ptr<float>();
  auto* to = static_cast<char*>(gradient.mutable_data_ptr());
  const int64_t grain = std::max<int64_t>(1, at::internal::GRAIN_SIZE / classes);
  at::parallel_for(0, labels.numel(), grain, [&](int64_t begin, int64_t end) {
    loss_and_gradient_cpu(from + begin * row_bytes, dtype, label + begin, end - begin, classes,
                          options, loss + begin, to + begin * row_bytes, 1);
  });
}

struct LossSum : torch::autograd::Function<LossSum> {
  static Tensor forward(AutogradContext* context, const Tensor& logits, const Tensor& labels,
                        const LossOptions& options, Logits fate) {
    const auto source = logits.detach().contiguous();
    const auto rows = labels.contiguous();
    auto gradient = fate == Logits::overwrite ? source : at::empty_like(source);
    auto losses = at::empty({rows.numel()}, source.options().dtype(torch::kFloat));
    if (source.is_cpu()) {
      loss_and_gradient_of_cpu(source, rows, options, losses, gradient);
    } else {
      loss_and_gradient_of_cuda(source, dtype_of(source), rows, options, losses, gradient);
    }
    if (fate == Logits::overwrite) logits.unsafeGetTensorImpl()->bump_version();
    context->saved_data["gradient"] = gradient;
    return losses.sum(torch::kDouble).mul_(options.scale);
  }

  static tensor_list backward(AutogradContext* context, tensor_list upstream) {
    const auto saved = context->saved_data.find("gradient");
    TORCH_CHECK(saved != context->saved_data.end(), "the loss was differentiated twice");
    auto gradient = saved->second.toTensor();
    context->saved_data.erase(saved);
    const double factor = upstream[0].item<double>();
    if (factor != 1) gradient.mul_(factor);
    return {gradient, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor loss_sum(const Tensor& logits, const Tensor& labels, const LossOptions& options,
                Logits fate) {
  return LossSum::apply(logits, labels, options, fate);
}

}  // namespace dece
