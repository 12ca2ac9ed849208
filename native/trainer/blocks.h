// Which of a model's parameters a step changes: all of them, or a block at a time.
//
// BAdam (Luo et al., 2024, https://arxiv.org/abs/2404.02827) runs Adam on one block of layers for
// some steps, then on another: the optimizer's float32 copies, moments and gradients are those of
// one block alone.
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dece {

enum class BlockOrder { random, ascending, descending, fixed };

// lib/model/blocks.ts has checked what it means.
struct BlockPlan {
  std::vector<std::vector<size_t>> blocks;  // places of parameters, ascending; at least one block
  int64_t switch_every = 0;                 // steps of a turn; 0: the first never ends
  BlockOrder order = BlockOrder::fixed;
  int64_t start = 0;  // the first block, where the order is not random
  uint64_t seed = 0;  // of the random order
};

// Whether its numbers mean something, it has a block to start with, and all places are those of so
// many parameters.
bool fits(const BlockPlan& plan, size_t parameters);

// The turn of a step, which is counted from 1; turns are counted from 0. As in the authors' code a
// turn ends when step + 1 is a multiple of switch_every: the first has one step less than others.
int64_t turn_of(const BlockPlan& plan, int64_t step);

// The block whose turn it is. In random order each pass over the blocks has a shuffle of its own.
const std::vector<size_t>& block_of(const BlockPlan& plan, int64_t turn);

// A plan as one int64 tensor, and back.
torch::Tensor plan_to_tensor(const BlockPlan& plan);
BlockPlan plan_from_tensor(const torch::Tensor& tensor);

}  // namespace dece
