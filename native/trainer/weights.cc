#include "weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "finite.h"
#include "memory.h"
#include "safetensors.h"

namespace dece {

using torch::Tensor;

namespace {

const std::string peft_prefix = "base_model.model.";

std::string shape_of(at::IntArrayRef sizes) {
  std::ostringstream text;
  text << sizes;
  return text.str();
}

// Bit by bit: a NaN is the same as itself here.
bool same_values(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  if (a.const_data_ptr() == b.const_data_ptr() && a.strides() == b.strides()) return true;
  if (a.numel() == 0) return true;
  const auto x = a.contiguous(), y = b.contiguous();
  return std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0;
}

// Leaves one tensor where a file has copies of it.
void merge_aliases(Tensors& tensors, const FileNames& names) {
  for (const auto& [alias, name] : names.aliases) {
    const auto found = tensors.find(alias);
    if (found == tensors.end()) continue;
    const auto kept = tensors.emplace(name, found->second).first;
    if (!same_values(kept->second, found->second)) {
      throw std::runtime_error(alias + " differs from " + name + ": expected the same tensor");
    }
    tensors.erase(found);
  }
}

void drop_ignored(Tensors& tensors, const FileNames& names) {
  for (const auto& pattern : names.ignored) {
    const std::regex expression(pattern);
    std::erase_if(tensors,
                  [&](const auto& entry) { return std::regex_match(entry.first, expression); });
  }
}

// Names as the model has them, where a file leaves out or adds what they begin with.
Tensors renamed(Tensors tensors, const std::set<std::string>& wanted, const FileNames& names) {
  Tensors result;
  for (auto& [name, tensor] : tensors) {
    auto found = name;
    for (const auto& [from, to] : names.prefixes) {
      if (wanted.contains(found)) break;
      if (name.starts_with(from)) found = to + name.substr(from.size());
    }
    if (!wanted.contains(found)) found = name;
    const auto [place, is_new] = result.emplace(found, tensor);
    if (is_new || same_values(place->second, tensor)) continue;
    throw std::runtime_error("it has two tensors for " + found + ", which differ, one of them " +
                             name + ": expected one");
  }
  return result;
}

std::set<std::string> names_of(Model& model) {
  std::set<std::string> names;
  for (const auto& [name, parameter] : model.parameters()) names.insert(name);
  return names;
}

bool may_lack(const std::string& name, const FileNames& names) {
  return std::any_of(names.fresh.begin(), names.fresh.end(),
                     [&](const auto& start) { return name.starts_with(start); });
}

// Which parameters the file lacks and may lack.
std::vector<bool> check_names(const Tensors& tensors, Model& model, const FileNames& names) {
  std::vector<bool> fresh;
  for (const auto& [name, parameter] : model.parameters()) {
    fresh.push_back(!tensors.contains(name));
    if (fresh.back() && !may_lack(name, names)) {
      throw std::runtime_error("it lacks " + name + ", which its config.json calls for");
    }
  }
  const auto wanted = names_of(model);
  for (const auto& [name, tensor] : tensors) {
    if (!wanted.contains(name)) {
      throw std::runtime_error("it has " + name + ", for which its config.json has no place");
    }
  }
  return fresh;
}

// Whether the file's head is its embedding; then one of the two is left.
bool merge_head(Tensors& tensors, const FileNames& names) {
  const auto head = tensors.find(names.head);
  if (head == tensors.end()) return true;
  const auto embedding = tensors.find(names.embedding);
  if (embedding != tensors.end() && !same_values(head->second, embedding->second)) return false;
  tensors.emplace(names.embedding, head->second);
  tensors.erase(head);
  return true;
}

void check_tensor(const std::string& name, const Tensor& tensor, const Tensor& parameter) {
  if (tensor.sizes() != parameter.sizes()) {
    throw std::runtime_error(name + " has shape " + shape_of(tensor.sizes()) + ": expected " +
                             shape_of(parameter.sizes()) + " by its config.json");
  }
  const auto type = tensor.scalar_type();
  if (!at::isFloatingType(type) || c10::elementSize(type) == 1) {
    throw std::runtime_error(name + " holds " + c10::toString(type) +
                             ": expected float16, bfloat16, float32 or float64");
  }
}

std::runtime_error not_finite(const std::string& name) {
  return std::runtime_error(name +
                            " has numbers that are NaN or infinite: the model is damaged, or its "
                            "training diverged");
}

// What dtype of tensors may stay in the files. Those of a .bin file may share their memory.
std::optional<torch::Dtype> kept_dtype(const std::vector<WeightFile>& files, torch::Device device,
                                       torch::Dtype dtype, bool mmap) {
  const bool can =
      mmap && device.is_cpu() && std::none_of(files.begin(), files.end(), is_pytorch_bin);
  return can ? std::optional(dtype) : std::nullopt;
}

// What the model takes beside the tensors that stay in the files.
uint64_t bytes_to_fill(const Tensors& tensors, Model& model, std::optional<torch::Dtype> kept) {
  uint64_t bytes = 0;
  for (const auto& [name, parameter] : model.parameters()) {
    const auto found = tensors.find(name);
    const bool stays = found != tensors.end() && found->second.scalar_type() == kept;
    if (!stays) bytes += parameter.nbytes();
  }
  return bytes;
}

// Makes the tensor of a file the parameter. False where it is not finite.
bool take(Tensor& parameter, const Tensor& tensor, std::optional<torch::Dtype> kept) {
  if (tensor.scalar_type() != kept) return copy_finite(parameter, tensor);
  parameter.set_data(tensor);
  return is_finite(tensor);
}

}  // namespace

std::shared_ptr<Model> load_weights(const std::vector<WeightFile>& files, ModelConfig config,
                                    torch::Device device, torch::Dtype dtype, bool mmap,
                                    const StopFlag& stop) {
  const auto kept = kept_dtype(files, device, dtype, mmap);
  auto tensors = read_weight_files(files, kept);
  const auto names = file_names(config);
  try {
    auto model = make_model(config, device, dtype);
    drop_ignored(tensors, names);
    auto wanted = names_of(*model);
    wanted.insert(names.head);
    tensors = renamed(std::move(tensors), wanted, names);
    merge_aliases(tensors, names);
    if (is_tied(config) && !merge_head(tensors, names)) {
      untie(config);
      model.reset();  // two would need twice the memory
      model = make_model(config, device, dtype);
    }
    const auto fresh = check_names(tensors, *model, names);
    check_room(bytes_to_fill(tensors, *model, kept), device, "the weights", less_than(dtype));
    model->initialise(names.seed, fresh);
    const at::NoGradGuard no_grad;
    for (auto& [name, parameter] : model->parameters()) {
      stop.check();
      const auto found = tensors.find(name);
      if (found == tensors.end()) continue;
      check_tensor(name, found->second, parameter);
      if (!take(parameter, found->second, kept)) {
        throw not_finite(name);
      }
      tensors.erase(found);
    }
    return model;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot load " + name_of(files) + ": " + error.what());
  }
}

void load_adapter(Model& model, const AdapterOptions& options, const std::string& path) {
  const auto tensors = read_safetensors(path);
  model.add_adapter(options);
  try {
    for (const auto& [name, tensor] : model.adapter()) {
      const auto found = tensors.find(peft_prefix + name);
      if (found == tensors.end()) throw std::runtime_error("it lacks " + (peft_prefix + name));
      if (found->second.sizes() != tensor.sizes()) {
        throw std::runtime_error(found->first + " has shape " + shape_of(found->second.sizes()) +
                                 ": expected " + shape_of(tensor.sizes()));
      }
    }
    if (tensors.size() != model.adapter().size()) {
      throw std::runtime_error("it holds " + std::to_string(tensors.size()) +
                               " tensors: expected " + std::to_string(model.adapter().size()) +
                               " by its adapter_config.json");
    }
    const at::NoGradGuard no_grad;
    for (auto& [name, tensor] : model.adapter()) {
      if (!copy_finite(tensor, tensors.at(peft_prefix + name)))
        throw not_finite(peft_prefix + name);
    }
  } catch (const std::runtime_error& error) {
    model.drop_adapter();
    throw std::runtime_error("cannot load " + path + ": " + error.what());
  }
}

void save_adapter(Model& model, const std::string& path) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : model.adapter()) {
    tensors.emplace_back(peft_prefix + name, tensor.detach());
  }
  write_safetensors(path, tensors);
}

}  // namespace dece
