#include "blocks.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>

namespace dece {

namespace {

// Blocks in the order of one pass: a shuffle by Fisher and Yates, which depends on nothing else.
std::vector<size_t> shuffled(size_t count, uint64_t seed, uint64_t pass) {
  std::seed_seq seeds{uint32_t(seed), uint32_t(seed >> 32), uint32_t(pass), uint32_t(pass >> 32)};
  std::mt19937 generator(seeds);
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = count; i > 1; i--) {
    std::swap(order[i - 1], order[(uint64_t(generator()) * i) >> 32]);
  }
  return order;
}

}  // namespace

bool fits(const BlockPlan& plan, size_t parameters) {
  if (plan.switch_every < 0 || plan.order < BlockOrder::random || plan.order > BlockOrder::fixed) {
    return false;
  }
  if (plan.start < 0 || plan.start >= int64_t(plan.blocks.size())) return false;
  return std::all_of(plan.blocks.begin(), plan.blocks.end(), [&](const auto& block) {
    return !block.empty() &&
           std::all_of(block.begin(), block.end(), [&](size_t i) { return i < parameters; });
  });
}

int64_t turn_of(const BlockPlan& plan, int64_t step) {
  const auto every = plan.switch_every;
  if (every == 0) return 0;
  return every == 1 ? step - 1 : step / every;
}

const std::vector<size_t>& block_of(const BlockPlan& plan, int64_t turn) {
  const auto count = int64_t(plan.blocks.size());
  switch (plan.order) {
    case BlockOrder::random:
      return plan.blocks[shuffled(count, plan.seed, turn / count)[turn % count]];
    case BlockOrder::ascending:
      return plan.blocks[(plan.start + turn) % count];
    case BlockOrder::descending:
      return plan.blocks[(plan.start + count - turn % count) % count];
    default:
      return plan.blocks[plan.start];
  }
}

torch::Tensor plan_to_tensor(const BlockPlan& plan) {
  std::vector<int64_t> numbers{plan.switch_every, int64_t(plan.order), plan.start,
                               int64_t(plan.seed)};
  for (const auto& block : plan.blocks) {
    numbers.push_back(int64_t(block.size()));
    numbers.insert(numbers.end(), block.begin(), block.end());
  }
  return at::tensor(numbers, torch::kLong);
}

BlockPlan plan_from_tensor(const torch::Tensor& tensor) {
  const auto size = tensor.numel();
  if (tensor.scalar_type() != torch::kLong || tensor.dim() != 1 || size < 5) {
    throw std::runtime_error("its plan of blocks is damaged");
  }
  const auto numbers = tensor.contiguous();
  const auto* at = numbers.const_data_ptr<int64_t>();
  const auto* const end = at + size;
  BlockPlan plan{{}, at[0], BlockOrder(at[1]), at[2], uint64_t(at[3])};
  for (at += 4; at < end;) {
    const auto length = *at++;
    if (length < 0 || length > end - at) throw std::runtime_error("its plan of blocks is damaged");
    plan.blocks.emplace_back(at, at + length);
    at += length;
  }
  return plan;
}

}  // namespace dece
