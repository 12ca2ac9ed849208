// Copies numbers, and looks whether they are such.
#pragma once

#include <torch/types.h>

namespace dece {

// Copies `from` into `to`, which have one shape, and says whether all of it is finite there: no NaN
// (it would make every answer one), no infinity (it becomes one).
bool copy_finite(torch::Tensor& to, const torch::Tensor& from);

}  // namespace dece
