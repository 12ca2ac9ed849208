#include "parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <latch>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

// OpenMP's own, where libtorch was built with it: for the calling thread alone, unlike
// at::set_num_threads, which would also slow down the jobs of other environments.
extern "C" __attribute__((weak)) void omp_set_num_threads(int count);

namespace dece {

namespace {

void use_threads(int count) {
  if (omp_set_num_threads != nullptr) omp_set_num_threads(count);
}

// Threads that wait for work for as long as the process lives: MKL and the allocator keep memory
// for each thread that they have seen.
class Pool {
 public:
  // Runs on a thread that is free, or on a new one. Throws std::system_error where there is none.
  void start(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    if (tasks_.size() >= idle_) std::thread([this] { loop(); }).detach();
    tasks_.push_back(std::move(task));
    wake_.notify_one();
  }

 private:
  void loop() {
    at::get_num_threads();  // sets the thread up, which would otherwise undo use_threads later
    for (;;) {
      std::unique_lock lock(mutex_);
      idle_++;
      wake_.wait(lock, [this] { return !tasks_.empty(); });
      idle_--;
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  size_t idle_ = 0;
};

// Never destroyed, as its threads never end: they wait when the process exits.
Pool& pool() {
  static auto* const threads = new Pool;
  return *threads;
}

}  // namespace

bool is_small(const Model& model) {
  constexpr int64_t most_weights = 8'000'000;
  return model.device().is_cpu() && model.weight_count() <= most_weights;
}

int64_t part_count(const Model& model, int64_t rows) {
  constexpr int64_t fewest_rows = 4;
  if (!is_small(model)) return 1;
  return std::clamp<int64_t>(rows / fewest_rows, 1, at::get_num_threads());
}

torch::Tensor part_of(const torch::Tensor& tensor, int64_t part, int64_t count) {
  if (!tensor.defined()) return tensor;
  const auto rows = tensor.size(0), begin = part * rows / count;
  return tensor.narrow(0, begin, (part + 1) * rows / count - begin);
}

void each_at_once(int64_t count, const std::function<void(int64_t)>& work,
                  std::optional<int> threads_each) {
  const int threads = at::get_num_threads();
  std::vector<std::exception_ptr> errors(count);
  std::latch done(count);
  const auto guarded = [&](int64_t i) {
    use_threads(threads_each.value_or(std::max(1, threads / int(count))));
    try {
      work(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
    done.count_down();
  };
  for (int64_t i = 1; i < count; i++) {
    try {
      pool().start([&guarded, i] { guarded(i); });
    } catch (const std::system_error&) {
      guarded(i);
    }
  }
  guarded(0);
  done.wait();
  use_threads(threads);
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace dece
