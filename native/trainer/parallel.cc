#include "parallel.h"

#include <ATen/Parallel.h>

#include <exception>
#include <thread>
#include <vector>

namespace dece {

int64_t thread_count() { return at::get_num_threads(); }

void each_on_one_thread(int64_t count, const std::function<void(int64_t)>& work) {
  const int threads = at::get_num_threads();
  std::vector<std::exception_ptr> errors(count);
  const auto guarded = [&](int64_t i) {
    at::set_num_threads(1);
    try {
      work(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (int64_t i = 1; i < count; i++) others.emplace_back(guarded, i);
    guarded(0);
  }
  at::set_num_threads(threads);
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace dece
