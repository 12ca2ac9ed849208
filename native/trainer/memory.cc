#include "memory.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace dece {

namespace {

std::string size_text(double bytes) {
  const char* units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  for (; bytes >= 1000 && unit + 1 < std::size(units); unit++) bytes /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return text;
}

// The number behind a word of a file such as /proc/meminfo; -1 where there is none.
double number_in(const char* path, const std::string& word) {
  std::ifstream file(path);
  double number;
  for (std::string found; file >> found;) {
    if (found == word) return file >> number ? number : -1;
  }
  return -1;
}

double first_number_of(const char* path) {
  double number;
  return std::ifstream(path) >> number ? number : -1;
}

// What a process may still take: of the machine, and of the group of processes that it is in.
// Negative where that is not known.
double free_bytes() {
  const double kilobytes = number_in("/proc/meminfo", "MemAvailable:");
  if (kilobytes < 0) return -1;
  const double machine =
      1024 * (kilobytes + std::max(0.0, number_in("/proc/meminfo", "SwapFree:")));
  const double most = first_number_of("/sys/fs/cgroup/memory.max");
  const double taken = first_number_of("/sys/fs/cgroup/memory.current");
  if (most < 0 || taken < 0) return machine;
  // Files that are kept in memory go when it is needed.
  const double files = std::max(0.0, number_in("/sys/fs/cgroup/memory.stat", "file"));
  return std::min(machine, std::max(0.0, most - taken + files));
}

std::string free_text() {
  const double bytes = free_bytes();
  return bytes < 0 ? "" : " and " + size_text(bytes) + " are free";
}

// What stands between the two, empty where they are not there.
std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const auto start = text.find(before);
  if (start == text.npos) return "";
  const auto begin = start + before.size(), end = text.find(after, begin);
  return end == text.npos ? "" : text.substr(begin, end - begin);
}

const char* const remedy =
    ": a smaller batchSize or maxInputTokens, checkpointActivations or dtype bfloat16 would take "
    "less";

}  // namespace

std::string out_of_memory(const std::string& message) {
  // No regular expressions: a static one may be gone where the process ends amid work.
  const auto bytes = between(message, "you tried to allocate ", " bytes");
  if (!bytes.empty()) {
    return "not enough memory: " + size_text(std::strtod(bytes.c_str(), nullptr)) +
           " more were asked for" + free_text() + remedy;
  }
  const auto size = between(message, "CUDA out of memory. Tried to allocate ", ". ");
  if (size.empty()) return "";
  const auto free = between(message, " of which ", " is free");
  return "not enough memory on the GPU: " + size + " more were asked for" +
         (free.empty() ? "" : " and " + free + " are free") + remedy;
}

std::runtime_error no_room(double bytes, const std::string& takes, const std::string& less) {
  return std::runtime_error("not enough memory: " + takes + " " + size_text(bytes) + free_text() +
                            ": " + less);
}

void check_room(uint64_t bytes, torch::Device device, const std::string& what,
                const std::string& less) {
  if (!device.is_cpu()) return;
  double free = free_bytes();
  const auto fits = [&] { return free < 0 || double(bytes) <= free; };
  if (fits()) return;
#ifdef __GLIBC__
  // What a block of BAdam has freed may be kept for the next one.
  ::malloc_trim(0);
  free = free_bytes();
  if (fits()) return;
#endif
  throw no_room(double(bytes), what + " take", less);
}

std::string less_than(torch::Dtype dtype) {
  return dtype == torch::kFloat ? "dtype bfloat16 would take half of float32"
                                : "a smaller model would take less";
}

}  // namespace dece
