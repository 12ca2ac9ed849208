// Reading and writing safetensors files (https://github.com/huggingface/safetensors): eight bytes
// with the length of a JSON header, the header, then the tensors without gaps.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mapped_tensor.h"

namespace dece {

// The tensors of a file by name. They lie in the mapped file, read-only: copy before writing. Those
// of the dtype `kept` may be written to, which leaves the file as it is, and stay in memory as long
// as one of them does. Throws std::runtime_error with one sentence on a file that is truncated or
// whose header lies: ranges outside the file, overlaps, holes, sizes that do not fit shape and
// dtype.
Tensors read_safetensors(const std::string& path, std::optional<torch::Dtype> kept = {});

// Replaces `path` as a whole or not at all: a temporary file beside it is written, synced and
// renamed. Tensors are ordered as safetensors orders them, so that the same tensors are the same
// bytes. Throws std::runtime_error; what was there before is untouched then.
void write_safetensors(const std::string& path, const NamedTensors& tensors);

// Several files by path. All are written before the files `outdated` are removed, where they are
// there, and these before the first takes its place.
void write_safetensors(const std::vector<std::pair<std::string, NamedTensors>>& files,
                       const std::vector<std::string>& outdated);

}  // namespace dece
