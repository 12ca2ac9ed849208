// Reading pytorch_model.bin: a state dict as torch.save writes it.
#pragma once

#include <string>

#include "mapped_tensor.h"

namespace dece {

// The tensors of a file by name: a zip file, or as PyTorch before 1.6 wrote them. They lie in the
// mapped file, read-only: copy before writing; tied ones share their memory. Nothing in the file is
// run. Throws std::runtime_error with one sentence on a file that is no state dict, whose pickle
// calls for anything else, or whose tensors reach out of their storage.
Tensors read_pytorch_bin(const std::string& path);

}  // namespace dece
