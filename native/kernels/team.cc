#include "team.h"

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace dece {
namespace {

// What a call wants done, for as long as it lasts.
struct Job {
  const std::function<void(int member)>& part;
  const int members;
  int next = 1;     // the member that begins next; 0 is the caller
  int working = 0;  // who has begun, but for the caller
  std::condition_variable done = {};
};

// The threads of this library, as many as a call has ever wanted. They stay until the process ends:
// to start one costs more than a small loss.
class Pool {
 public:
  static Pool& get() {
    static Pool* const pool = new Pool;  // never destroyed: its threads may be waiting in it
    return *pool;
  }

  // Calls part(member) for the members 0..members-1 at the same time, or fewer: nobody is waited
  // for who has not begun when the caller, member 0, is done.
  void run(int members, const std::function<void(int member)>& part) {
    Job job{part, members};
    std::unique_lock lock(mutex_);
    grow(members - 1);
    jobs_.push_back(&job);
    lock.unlock();
    for (int i = 1; i < members; i++) work_.notify_one();
    part(0);
    lock.lock();
    std::erase(jobs_, &job);
    job.done.wait(lock, [&] { return job.working == 0; });
  }

 private:
  void grow(int threads) {
    if (threads_ == 0) stay_loaded();
    try {
      for (; threads_ < threads; threads_++) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
      // The system grants no more threads: those there are do all the work.
    }
  }

  // Node closes an addon when the last worker thread that loaded it ends; these threads go on.
  void stay_loaded() {
#if !defined(_WIN32)
    Dl_info own;
    static const char here = 0;
    if (dladdr(&here, &own)) dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
  }

  [[noreturn]] void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [this] { return !jobs_.empty(); });
      Job& job = *jobs_.front();
      const int member = job.next++;
      if (job.next == job.members) jobs_.pop_front();
      job.working++;
      lock.unlock();
      job.part(member);
      lock.lock();
      if (--job.working == 0) job.done.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Job*> jobs_;  // those that want more members
  int threads_ = 0;
};

}  // namespace

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
  if (threads == 1) return take_part(0);
  Pool::get().run(threads, take_part);
}

void copy(void* to, const void* from, int64_t bytes, int threads) {
  threads = team_size(threads, bytes, 1 << 16);
  share_out(threads, bytes, (bytes + threads - 1) / threads, [&](int, int64_t begin, int64_t end) {
    memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin, end - begin);
  });
}

}  // namespace dece
