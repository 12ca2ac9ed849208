// The files that the weights of one model lie in: one, or several that an index ties together.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mapped_tensor.h"

namespace dece {

struct WeightFile {
  std::string path;
  // What lies in it, by the index; nothing where there is none.
  std::optional<std::vector<std::string>> names;
};

// Whether it is what torch.save wrote, not safetensors.
bool is_pytorch_bin(const WeightFile& file);

// All tensors of the files; `kept` as read_safetensors takes it. Throws std::runtime_error that
// names a tensor which is missing or which the index puts elsewhere.
Tensors read_weight_files(const std::vector<WeightFile>& files,
                          std::optional<torch::Dtype> kept = {});

// Writes safetensors. All files are written before `outdated` ones go, which may be missing, and
// these before the first takes its place.
void write_weight_files(const std::vector<WeightFile>& files, const NamedTensors& tensors,
                        const std::vector<std::string>& outdated);

// For messages: the path, and how many more there are.
std::string name_of(const std::vector<WeightFile>& files);

}  // namespace dece
