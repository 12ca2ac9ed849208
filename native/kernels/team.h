// Work shared out among threads that wait for it.
#pragma once

#include <cstdint>
#include <functional>

namespace dece {

// How many threads are worth waking: at most `threads` (0: one for each core), and for no less
// than `least` of `amount` each.
int team_size(int threads, int64_t amount, int64_t least);

// Calls work(member, begin, end) for pieces of [0, count), at least `piece` long, until all are
// done: long ones first, so that most of what comes next is known to who takes them, short ones at
// the end, so that none waits long for the others. Members 0..threads-1 work at the same time;
// member 0 is the calling thread. May be called by several threads at once. `work` must not throw.
void share_out(int threads, int64_t count, int64_t piece,
               const std::function<void(int member, int64_t begin, int64_t end)>& work);

// memcpy on several threads: what the memory of this machine can do, for benchmarks.
void copy(void* to, const void* from, int64_t bytes, int threads);

}  // namespace dece
