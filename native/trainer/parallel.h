// Several pieces of work at the same time, each on a thread of its own.
//
// libtorch shares out every operation and waits for the slowest thread after each. Where operations
// are small that costs more than it saves, and far more where other programs want the cores too.
#pragma once

#include <cstdint>
#include <functional>

namespace dece {

// How many threads libtorch uses.
int64_t thread_count();

// While it lives, libtorch uses no other threads for what this one asks of it.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// Calls work(0), ..., work(count - 1) at the same time, each on one thread; throws what the first
// of them threw, once all have ended.
void each_on_one_thread(int64_t count, const std::function<void(int64_t)>& work);

}  // namespace dece
