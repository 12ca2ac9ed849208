// Linked where libtorch has CUDA; no_cuda.cc takes its place elsewhere.
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "loss.h"

namespace dece {

bool built_with_cuda() { return true; }

void loss_and_gradient_of_cuda(const torch::Tensor& logits, DType dtype,
                               const torch::Tensor& labels, const LossOptions& options,
                               torch::Tensor& losses, torch::Tensor& gradient) {
  const c10::cuda::CUDAGuard guard(logits.device());
  loss_and_gradient_cuda(logits.const_data_ptr(), dtype, labels.const_data_ptr<int64_t>(),
                         labels.numel(), logits.size(-1), options, losses.mutable_data_ptr<float>(),
                         gradient.defined() ? gradient.mutable_data_ptr() : nullptr,
                         c10::cuda::getCurrentCUDAStream().stream());
}

void losses_and_states_of_cuda(const torch::Tensor& logits, DType dtype,
                               const torch::Tensor& labels, const LossOptions& options,
                               torch::Tensor& losses, torch::Tensor& states) {
  const c10::cuda::CUDAGuard guard(logits.device());
  loss_and_gradient_cuda(logits.const_data_ptr(), dtype, labels.const_data_ptr<int64_t>(),
                         labels.numel(), logits.size(-1), options, losses.mutable_data_ptr<float>(),
                         nullptr, c10::cuda::getCurrentCUDAStream().stream(),
                         static_cast<RowState*>(states.mutable_data_ptr()));
}

void gradient_of_cuda(const torch::Tensor& logits, DType dtype, const torch::Tensor& labels,
                      const LossOptions& options, const torch::Tensor& states,
                      torch::Tensor& gradient) {
  const c10::cuda::CUDAGuard guard(logits.device());
  gradient_cuda(logits.const_data_ptr(), dtype, labels.const_data_ptr<int64_t>(), labels.numel(),
                logits.size(-1), options, static_cast<const RowState*>(states.const_data_ptr()),
                gradient.mutable_data_ptr(), c10::cuda::getCurrentCUDAStream().stream());
}

void multiply_on_cuda(torch::Tensor& values, DType dtype, const torch::Tensor& factor) {
  const c10::cuda::CUDAGuard guard(values.device());
  multiply_cuda(values.mutable_data_ptr(), dtype, values.numel(), factor.const_data_ptr<double>(),
                c10::cuda::getCurrentCUDAStream().stream());
}

}  // namespace dece
