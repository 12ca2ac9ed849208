#include "weight_files.h"

#include <set>
#include <stdexcept>

#include "pytorch_bin.h"
#include "safetensors.h"

namespace dece {

namespace {

void check_names(const Tensors& tensors, const WeightFile& file) {
  if (!file.names) return;
  std::set<std::string> listed;
  for (const auto& name : *file.names) {
    listed.insert(name);
    if (!tensors.contains(name)) {
      throw std::runtime_error("cannot read " + file.path + ": it lacks " + name +
                               ", which the index puts there");
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!listed.contains(name)) {
      throw std::runtime_error("cannot read " + file.path + ": it has " + name +
                               ", which the index puts elsewhere or nowhere");
    }
  }
}

}  // namespace

bool is_pytorch_bin(const WeightFile& file) { return file.path.ends_with(".bin"); }

Tensors read_weight_files(const std::vector<WeightFile>& files, std::optional<torch::Dtype> kept) {
  Tensors all;
  for (const auto& file : files) {
    auto tensors =
        is_pytorch_bin(file) ? read_pytorch_bin(file.path) : read_safetensors(file.path, kept);
    check_names(tensors, file);
    all.merge(tensors);
    if (!tensors.empty()) {
      throw std::runtime_error("cannot read " + file.path + ": it has " + tensors.begin()->first +
                               ", which another file has too");
    }
  }
  return all;
}

void write_weight_files(const std::vector<WeightFile>& files, const NamedTensors& tensors,
                        const std::vector<std::string>& outdated) {
  const Tensors by_name(tensors.begin(), tensors.end());
  std::vector<std::pair<std::string, NamedTensors>> contents;
  for (const auto& file : files) {
    NamedTensors listed;
    if (!file.names) listed = tensors;
    for (const auto& name : file.names.value_or(std::vector<std::string>{})) {
      listed.emplace_back(name, by_name.at(name));
    }
    contents.emplace_back(file.path, std::move(listed));
  }
  write_safetensors(contents, outdated);
}

std::string name_of(const std::vector<WeightFile>& files) {
  const auto more = files.size() - 1;
  return files.front().path +
         (more == 0 ? "" : " and " + std::to_string(more) + " more shard" + (more == 1 ? "" : "s"));
}

}  // namespace dece
