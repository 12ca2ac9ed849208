#include "team.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

namespace dece {

int team_size(int threads, int64_t amount, int64_t least) {
  if (threads <= 0) threads = std::max(1u, std::thread::hardware_concurrency());
  return int(std::clamp<int64_t>(amount / least, 1, threads));
}

void share_out(int threads, int64_t count, int64_t piece,
               const std::function<void(int member, int64_t begin, int64_t end)>& work) {
  std::atomic<int64_t> next{0};
  const auto take_part = [&](int member) {
    int64_t begin = next;
    while (begin < count) {
      const int64_t end = std::min(count, begin + std::max(piece, (count - begin) / (4 * threads)));
      if (!next.compare_exchange_weak(begin, end)) continue;
      work(member, begin, end);
      begin = next;
    }
  };
  std::vector<std::thread> team;
  team.reserve(threads - 1);
  try {
    for (int member = 1; member < threads; member++) team.emplace_back(take_part, member);
  } catch (const std::system_error&) {
    // The system grants no more threads: those there are do all the work.
  }
  take_part(0);
  for (std::thread& thread : team) thread.join();
}

void copy(void* to, const void* from, int64_t bytes, int threads) {
  threads = team_size(threads, bytes, 1 << 16);
  share_out(threads, bytes, (bytes + threads - 1) / threads, [&](int, int64_t begin, int64_t end) {
    memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin, end - begin);
  });
}

}  // namespace dece
