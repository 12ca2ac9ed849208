// Operations of the layers that libtorch has only as chains of others, with their gradients: on the
// CPU one pass over the data instead of six. Elsewhere the chain itself is used.
#pragma once

#include <torch/types.h>

#include <optional>

namespace dece {

// weight * x / sqrt(mean(x²) + epsilon) over the last dimension; sums in float32.
// x [..., width], weight [width]
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double epsilon);

using OptionalGenerator = std::optional<at::Generator>;

// How a pass draws its dropout; the default has none.
struct Draws {
  bool on = false;
  OptionalGenerator generator;
};

// Zero with probability `rate`, else x / (1 - rate). Draws come from the generator alone: on the
// CPU one 64-bit draw keys a hash of the position, so that no mask is kept for the way back and the
// result does not depend on the number of threads.
torch::Tensor dropout(const torch::Tensor& x, double rate, const Draws& draws);

}  // namespace dece
