// The rows of a batch in parts, each on threads of its own.
//
// libtorch shares out every operation and waits for the slowest thread after each. Where operations
// are small that costs more than it saves, and far more where other programs want the cores too:
// a step of a T5 with 1.3 million weights took 5 to 20 times as long on two busy cores.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "model.h"

namespace dece {

// Whether a model is on the CPU and has few enough weights that operations on some rows are small.
bool is_small(const Model& model);

// Into how many parts to cut that many rows: as many as there are threads for a small model, if
// each gets a few rows. The weights of a large one are better read once for all rows.
int64_t part_count(const Model& model, int64_t rows);

// Part `part` of `count` of a tensor's rows; undefined where the tensor is.
torch::Tensor part_of(const torch::Tensor& tensor, int64_t part, int64_t count);

// Calls work(0), ..., work(count - 1) at the same time, each with so many of libtorch's threads, by
// default its share; throws what the first of them threw, once all have ended.
void each_at_once(int64_t count, const std::function<void(int64_t)>& work,
                  std::optional<int> threads_each = std::nullopt);

}  // namespace dece
