// Several pieces of work at the same time, each on a thread of its own.
#pragma once

#include <cstdint>
#include <functional>

namespace dece {

// How many threads libtorch uses.
int64_t thread_count();

// Calls work(0), ..., work(count - 1) at the same time, each on a thread for which libtorch uses no
// others; throws what the first of them threw, once all have ended.
//
// libtorch shares out every operation and waits for the slowest thread after each. Where operations
// are small that costs more than it saves, and far more where other programs want the cores too.
void each_on_one_thread(int64_t count, const std::function<void(int64_t)>& work);

}  // namespace dece
