// The losses of kernels/dece_loss.h on libtorch's tensors, with their gradient.
#pragma once

#include <torch/types.h>

#include "dece_loss.h"

namespace dece {

// Neither of the losses waits for a CUDA device, forward or backward, so that both can be part of a
// CUDA graph.

// What becomes of the logits, which the gradient has the size of.
enum class Logits { keep, overwrite };

// scale * the sum of the losses of all rows, added up in double: a float64 scalar on the logits'
// device. Where a gradient is asked for it is computed along with it, so that one backward pass may
// follow, not two; where none is, neither is computed.
//
// logits  [..., classes]  float32, bfloat16 or float16; on the CPU or a CUDA device
// labels  [...]           int64, on the same device; the caller has checked them
// options                 without weights and upstream
//
// Logits::overwrite puts the gradient where the logits were: nothing of their size is allocated.
// Whatever else has kept them for its own way back fails there, as after any change in place.
torch::Tensor loss_sum(const torch::Tensor& logits, const torch::Tensor& labels,
                       const LossOptions& options, Logits fate);

// loss_sum of the logits hidden x weight^T + bias, which never are there as a whole: rows are taken
// in chunks whose logits have at most `logits_bytes` (or one row), and the gradients of hidden and
// weight are computed along with the loss, that of the weight added up in float32.
//
// hidden  [..., d]        float32 or bfloat16
// weight  [classes, d]    of the same dtype and device
// bias    [classes]       likewise, or undefined
// labels  [...]           int64, on the same device; the caller has checked them
// options                 without weights and upstream
//
// On a CUDA device the logits of a bfloat16 model are float32: DeCE's gradient is a difference of
// terms that are nearly equal, which rounded logits would spoil
// (https://github.com/linkedin/Liger-Kernel/issues/1432). On a CPU libtorch's product of bfloat16
// is bfloat16, as in loss_sum; to widen both first takes a processor that multiplies bfloat16
// itself more than twice the time of the step.
torch::Tensor linear_loss_sum(const torch::Tensor& hidden, const torch::Tensor& weight,
                              const torch::Tensor& bias, const torch::Tensor& labels,
                              const LossOptions& options, int64_t logits_bytes);

// The losses of the rows and the gradient of their sum, of contiguous tensors, which it may
// overwrite; the losses alone where `gradient` is undefined.
//
// losses  [rows]  float32
void loss_and_gradient(const torch::Tensor& logits, const torch::Tensor& labels,
                       const LossOptions& options, torch::Tensor& losses, torch::Tensor& gradient);

DType dtype_of(const torch::Tensor& logits);

// Whether libtorch was built with CUDA, be there a device or not.
bool built_with_cuda();

// loss_and_gradient_cuda on contiguous tensors, on the current stream of their device; the losses
// alone where `gradient` is undefined. Without CUDA in libtorch it throws.
void loss_and_gradient_of_cuda(const torch::Tensor& logits, DType dtype,
                               const torch::Tensor& labels, const LossOptions& options,
                               torch::Tensor& losses, torch::Tensor& gradient);

// The two steps of it: the losses with what of the rows outlasts them, [rows, sizeof(RowState)]
// bytes, and gradient_cuda. Without CUDA in libtorch they throw.
void losses_and_states_of_cuda(const torch::Tensor& logits, DType dtype,
                               const torch::Tensor& labels, const LossOptions& options,
                               torch::Tensor& losses, torch::Tensor& states);
void gradient_of_cuda(const torch::Tensor& logits, DType dtype, const torch::Tensor& labels,
                      const LossOptions& options, const torch::Tensor& states,
                      torch::Tensor& gradient);

// multiply_cuda: by a float64 scalar on the same device. Without CUDA in libtorch it throws.
void multiply_on_cuda(torch::Tensor& values, DType dtype, const torch::Tensor& factor);

}  // namespace dece
