// Looks whether numbers are such, as they are copied or where they lie.
#pragma once

#include <torch/types.h>

namespace dece {

// Copies `from` into `to`, which have one shape, and says whether all of it is finite there: no NaN
// (it would make every answer one), no infinity (it becomes one).
bool copy_finite(torch::Tensor& to, const torch::Tensor& from);

// The same of numbers that stay where they are. Pages of a file are asked for many at a time.
bool is_finite(const torch::Tensor& tensor);

}  // namespace dece
