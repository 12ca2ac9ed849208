// Tensors that lie in a mapped file.
#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mapped_file.h"

namespace dece {

using Tensors = std::map<std::string, torch::Tensor>;
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

// A tensor over `bytes` bytes of the file from `data` on, as many as shape and dtype make. When the
// last tensor over them goes, so does their memory; where it is `kept`, when the file's last tensor
// goes, as pages that tensors share may have been written to.
torch::Tensor mapped_tensor(const std::shared_ptr<MappedFile>& file, const char* data,
                            uint64_t bytes, at::IntArrayRef shape, torch::Dtype dtype,
                            bool kept = false);

}  // namespace dece
