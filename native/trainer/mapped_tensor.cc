#include "mapped_tensor.h"

#include <cstring>

namespace dece {

torch::Tensor mapped_tensor(const std::shared_ptr<MappedFile>& file, const char* data,
                            uint64_t bytes, at::IntArrayRef shape, torch::Dtype dtype, bool kept) {
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(dtype) != 0) {
    // Old safetensors have headers of any length; libtorch reads aligned numbers only.
    auto copy = at::empty(shape, dtype);
    if (bytes > 0) std::memcpy(copy.mutable_data_ptr(), data, bytes);
    file->forget(data, bytes);
    return copy;
  }
  return at::from_blob(
      const_cast<char*>(data), shape,
      [file, data, bytes, kept](void*) {
        if (!kept) file->forget(data, bytes);
      },
      dtype);
}

}  // namespace dece
