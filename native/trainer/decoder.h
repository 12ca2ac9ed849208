// A model that writes one id after the other, with what it has read kept.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace dece {

// Keys and values of one layer for all that was read: [rows, heads, length, width].
class KeyValueCache {
 public:
  // Room for so many positions in all, which is taken step by step.
  explicit KeyValueCache(int64_t longest) : longest_(longest) {}

  // Takes those of the next positions; all so far.
  std::pair<torch::Tensor, torch::Tensor> append(const torch::Tensor& keys,
                                                 const torch::Tensor& values);
  int64_t length() const { return length_; }

  // Row i becomes what row rows[i] was. As many rows as there are: reorder, which is faster.
  void reorder(const torch::Tensor& rows);
  void keep(const torch::Tensor& rows);

 private:
  void reserve(int64_t length, const torch::Tensor& like);

  int64_t longest_;
  int64_t length_ = 0;
  int64_t capacity_ = 0;
  torch::Tensor keys_, values_;  // [rows, heads, capacity, width]
  torch::Tensor spare_;          // as these: where the next reorder writes
};

// A batch of `items` prompts with `beams` rows each, row = item * beams + beam.
class Decoder {
 public:
  virtual ~Decoder() = default;

  // What each row reads first: [items * beams].
  virtual std::vector<int64_t> first_ids() const = 0;
  // Reads the next id of each row, int64 [rows]; logits of the one after, float32 [rows, classes].
  virtual torch::Tensor step(const torch::Tensor& ids) = 0;

  // Row i goes on from what row rows[i] has read; both of one item.
  void reorder(const std::vector<int64_t>& rows);
  // Only these items are left, in this order.
  void keep(const std::vector<int64_t>& items);

 protected:
  Decoder(torch::Device device, int64_t items, int64_t beams, int64_t layers, int64_t longest)
      : device_(device), items_(items), beams_(beams), caches_(layers, KeyValueCache(longest)) {}
  // What a kind of decoder has for each item or row beside the caches.
  virtual void keep_own(const torch::Tensor& items, const torch::Tensor& rows) = 0;

  torch::Device device_;
  int64_t items_, beams_;
  std::vector<KeyValueCache> caches_;  // of each layer
};

}  // namespace dece
