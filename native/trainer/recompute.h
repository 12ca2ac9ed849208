// Activation checkpointing (Chen et al., 2016, https://arxiv.org/abs/1604.06174): of a block only
// what goes in is kept, and it is run again on the way back.
#pragma once

#include <torch/types.h>

#include <functional>
#include <vector>

#include "ops.h"

namespace dece {

using Block =
    std::function<torch::Tensor(const std::vector<torch::Tensor>& inputs, const Draws& draws)>;

// block(inputs, draws), whose inside is not kept. The second run draws the same dropout, so that
// gradients have the same bits. All that the block reads and that needs a gradient is to be among
// inputs (which may be undefined) and weights.
torch::Tensor recomputed(const Block& block, const std::vector<torch::Tensor>& inputs,
                         const std::vector<torch::Tensor>& weights, const Draws& draws);

}  // namespace dece
