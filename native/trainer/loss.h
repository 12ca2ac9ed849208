// The losses of kernels/dece_loss.h on libtorch's tensors, with their gradient.
#pragma once

#include <torch/types.h>

#include "dece_loss.h"

namespace dece {

// What becomes of the logits, which the gradient has the size of.
enum class Logits { keep, overwrite };

// scale * the sum of the losses of all rows, added up in double: a float64 scalar on the logits'
// device. Its gradient is computed along with it, so that one backward pass may follow, not two.
//
// logits  [..., classes]  float32, bfloat16 or float16; on the CPU or a CUDA device
// labels  [...]           int64, on the same device; the caller has checked them
//
// Logits::overwrite puts the gradient where the logits were: nothing of their size is allocated.
// Whatever else has kept them for its own way back fails there, as after any change in place.
torch::Tensor loss_sum(const torch::Tensor& logits, const torch::Tensor& labels,
                       const LossOptions& options, Logits fate);

// loss_and_gradient_cuda on contiguous tensors, on the current stream of their device. Without CUDA
// in libtorch it throws.
void loss_and_gradient_of_cuda(const torch::Tensor& logits, DType dtype,
                               const torch::Tensor& labels, const LossOptions& options,
                               torch::Tensor& losses, torch::Tensor& gradient);

}  // namespace dece
