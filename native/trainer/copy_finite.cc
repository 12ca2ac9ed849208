#include "copy_finite.h"

#include <ATen/Parallel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>

namespace dece {

using torch::Tensor;

namespace {

// NaN and infinity are the numbers whose exponent is all ones: adding one to it carries into the
// sign. Without comparisons, so that compilers take many numbers at a time.
template <typename Bits, Bits exponent>
bool copy_numbers(char* to, const char* from, int64_t bytes) {
  constexpr Bits one = exponent & -exponent, sign = exponent + one;
  auto* __restrict target = reinterpret_cast<Bits*>(to);
  const auto* source = reinterpret_cast<const Bits*>(from);
  Bits carried = 0;
  for (int64_t i = 0; i < bytes / int64_t(sizeof(Bits)); i++) {
    target[i] = source[i];
    carried |= Bits((source[i] & exponent) + one);
  }
  return !(carried & sign);
}

using Copy = bool (*)(char*, const char*, int64_t);

Copy copy_of(torch::Dtype dtype) {
  switch (dtype) {
    case torch::kFloat:
      return copy_numbers<uint32_t, 0x7f800000>;
    case torch::kBFloat16:
      return copy_numbers<uint16_t, 0x7f80>;
    case torch::kHalf:
      return copy_numbers<uint16_t, 0x7c00>;
    default:
      return nullptr;
  }
}

// Asks for all pages of a range in one call: one by one, at the first touch of each, they take
// longer than the copy. A kernel that does not know how (before Linux 5.14) is done without.
void populate([[maybe_unused]] const char* data, [[maybe_unused]] int64_t bytes,
              [[maybe_unused]] bool writes) {
#ifdef MADV_POPULATE_WRITE
  static const auto page = uintptr_t(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(data) / page * page;
  const auto end = (reinterpret_cast<uintptr_t>(data) + uintptr_t(bytes) + page - 1) / page * page;
  ::madvise(reinterpret_cast<void*>(begin), end - begin,
            writes ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
#endif
}

bool copy_bytes_finite(char* to, const char* from, int64_t bytes, Copy copy) {
  constexpr int64_t piece = 1 << 20;
  std::atomic<bool> finite = true;
  at::parallel_for(0, (bytes + piece - 1) / piece, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const auto count = std::min(piece, bytes - i * piece);
      populate(to + i * piece, count, true);
      populate(from + i * piece, count, false);
      if (!copy(to + i * piece, from + i * piece, count)) finite = false;
    }
  });
  return finite;
}

}  // namespace

bool copy_finite(Tensor& to, const Tensor& from) {
  const auto copy = copy_of(to.scalar_type());
  const bool same = to.scalar_type() == from.scalar_type() && to.is_cpu() && from.is_cpu();
  if (copy && same && to.is_contiguous() && from.is_contiguous()) {
    return copy_bytes_finite(static_cast<char*>(to.mutable_data_ptr()),
                             static_cast<const char*>(from.const_data_ptr()), to.nbytes(), copy);
  }
  to.copy_(from);
  if (to.numel() == 0) return true;
  const auto [least, most] = at::aminmax(to);
  return std::isfinite(least.item<float>()) && std::isfinite(most.item<float>());
}

}  // namespace dece
