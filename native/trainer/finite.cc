#include "finite.h"

#include <ATen/Parallel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <type_traits>

namespace dece {

using torch::Tensor;

namespace {

// NaN and infinity are the numbers whose exponent is all ones: adding one to it carries into the
// sign. Without comparisons, so that compilers take many numbers at a time. Copies only where there
// is a place to copy to.
template <typename Bits, Bits exponent>
bool look_at_numbers(char* to, const char* from, int64_t bytes) {
  constexpr Bits one = exponent & -exponent, sign = exponent + one;
  const auto look = [&](auto copies) {
    auto* __restrict target = reinterpret_cast<Bits*>(to);
    const auto* source = reinterpret_cast<const Bits*>(from);
    Bits carried = 0;
    for (int64_t i = 0; i < bytes / int64_t(sizeof(Bits)); i++) {
      if constexpr (copies) target[i] = source[i];
      carried |= Bits((source[i] & exponent) + one);
    }
    return !(carried & sign);
  };
  return to ? look(std::true_type()) : look(std::false_type());
}

using Look = bool (*)(char*, const char*, int64_t);

Look look_of(torch::Dtype dtype) {
  switch (dtype) {
    case torch::kFloat:
      return look_at_numbers<uint32_t, 0x7f800000>;
    case torch::kBFloat16:
      return look_at_numbers<uint16_t, 0x7f80>;
    case torch::kHalf:
      return look_at_numbers<uint16_t, 0x7c00>;
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

bool all_finite(char* to, const char* from, int64_t bytes, Look look) {
  constexpr int64_t piece = 1 << 20;
  std::atomic<bool> finite = true;
  at::parallel_for(0, (bytes + piece - 1) / piece, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const auto count = std::min(piece, bytes - i * piece);
      auto* target = to ? to + i * piece : nullptr;
      if (target) populate(target, count, true);
      populate(from + i * piece, count, false);
      if (!look(target, from + i * piece, count)) finite = false;
    }
  });
  return finite;
}

bool can_look_at(const Tensor& tensor) {
  return tensor.is_cpu() && tensor.is_contiguous() && look_of(tensor.scalar_type());
}

const char* bytes_of(const Tensor& tensor) {
  return static_cast<const char*>(tensor.const_data_ptr());
}

}  // namespace

bool copy_finite(Tensor& to, const Tensor& from) {
  const auto type = to.scalar_type();
  if (type == from.scalar_type() && can_look_at(to) && can_look_at(from)) {
    auto* target = static_cast<char*>(to.mutable_data_ptr());
    return all_finite(target, bytes_of(from), to.nbytes(), look_of(type));
  }
  to.copy_(from);
  return is_finite(to);
}

bool is_finite(const Tensor& tensor) {
  if (can_look_at(tensor)) {
    return all_finite(nullptr, bytes_of(tensor), tensor.nbytes(), look_of(tensor.scalar_type()));
  }
  if (tensor.numel() == 0) return true;
  const auto [least, most] = at::aminmax(tensor);
  return std::isfinite(least.item<float>()) && std::isfinite(most.item<float>());
}

}  // namespace dece
