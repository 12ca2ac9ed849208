#include "decoder.h"

#include <algorithm>

namespace dece {

using torch::Tensor;

// Room for more: twice as much each time, so that copies stay few.
void KeyValueCache::reserve(int64_t length, const Tensor& like) {
  if (length <= capacity_) return;
  capacity_ = std::max(length, std::min(longest_, std::max<int64_t>(32, 2 * capacity_)));
  for (Tensor* cache : {&keys_, &values_}) {
    auto grown = at::empty({like.size(0), like.size(1), capacity_, like.size(3)}, like.options());
    if (length_ > 0) grown.narrow(2, 0, length_).copy_(cache->narrow(2, 0, length_));
    *cache = grown;
  }
  spare_ = Tensor();
}

std::pair<Tensor, Tensor> KeyValueCache::append(const Tensor& keys, const Tensor& values) {
  const auto count = keys.size(2);
  reserve(length_ + count, keys);
  keys_.narrow(2, length_, count).copy_(keys);
  values_.narrow(2, length_, count).copy_(values);
  length_ += count;
  return {keys_.narrow(2, 0, length_), values_.narrow(2, 0, length_)};
}

void KeyValueCache::reorder(const Tensor& rows) {
  for (Tensor* cache : {&keys_, &values_}) {
    if (!spare_.defined()) spare_ = at::empty_like(*cache);
    at::index_select_out(spare_, *cache, 0, rows);
    std::swap(spare_, *cache);
  }
}

void KeyValueCache::keep(const Tensor& rows) {
  if (length_ == 0) return;
  keys_ = keys_.index_select(0, rows);
  values_ = values_.index_select(0, rows);
  spare_ = Tensor();
}

void Decoder::reorder(const std::vector<int64_t>& rows) {
  bool same = true;
  for (size_t i = 0; i < rows.size(); i++) same = same && rows[i] == int64_t(i);
  if (same) return;
  const auto chosen = at::tensor(rows, torch::kLong).to(device_);
  for (auto& cache : caches_) cache.reorder(chosen);
}

void Decoder::keep(const std::vector<int64_t>& items) {
  std::vector<int64_t> rows;
  for (const int64_t item : items) {
    for (int64_t beam = 0; beam < beams_; beam++) rows.push_back(item * beams_ + beam);
  }
  const auto chosen_items = at::tensor(items, torch::kLong).to(device_);
  const auto chosen_rows = at::tensor(rows, torch::kLong).to(device_);
  for (auto& cache : caches_) cache.keep(chosen_rows);
  keep_own(chosen_items, chosen_rows);
  items_ = int64_t(items.size());
}

}  // namespace dece
