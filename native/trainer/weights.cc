#include "weights.h"

#include <set>
#include <sstream>
#include <stdexcept>

#include "safetensors.h"

namespace dece {

using torch::Tensor;
using Tensors = std::map<std::string, Tensor>;

namespace {

// Other names under which old checkpoints repeat the shared embedding.
constexpr const char* shared_aliases[] = {"encoder.embed_tokens.weight",
                                          "decoder.embed_tokens.weight"};
constexpr const char* shared_name = "shared.weight";
constexpr const char* head_name = "lm_head.weight";
// Written by old versions of T5, read by none.
constexpr const char* unused_name =
    "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

std::string shape_of(at::IntArrayRef sizes) {
  std::ostringstream text;
  text << sizes;
  return text.str();
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && a.equal(b);
}

// Leaves one name for each parameter: copies of the shared embedding go.
void merge_aliases(Tensors& tensors) {
  for (const char* alias : shared_aliases) {
    const auto found = tensors.find(alias);
    if (found == tensors.end()) continue;
    const auto shared = tensors.emplace(shared_name, found->second).first;
    if (!same_values(shared->second, found->second)) {
      throw std::runtime_error(std::string(alias) + " differs from " + shared_name +
                               ": a T5 has one embedding for both sides");
    }
    tensors.erase(found);
  }
  tensors.erase(unused_name);
}

void check_names(const Tensors& tensors, T5& model) {
  std::set<std::string> wanted;
  for (const auto& [name, parameter] : model.parameters()) {
    if (!tensors.contains(name)) {
      throw std::runtime_error("it lacks " + name + ", which its config.json calls for");
    }
    wanted.insert(name);
  }
  for (const auto& [name, tensor] : tensors) {
    if (!wanted.contains(name)) {
      throw std::runtime_error("it has " + name + ", for which its config.json has no place");
    }
  }
}

void check_tensor(const std::string& name, const Tensor& tensor, const Tensor& parameter) {
  if (tensor.sizes() != parameter.sizes()) {
    throw std::runtime_error(name + " has shape " + shape_of(tensor.sizes()) + ": expected " +
                             shape_of(parameter.sizes()) + " by its config.json");
  }
  const auto type = tensor.scalar_type();
  if (type != torch::kFloat && type != torch::kHalf && type != torch::kBFloat16) {
    throw std::runtime_error(name + " holds " + c10::toString(type) +
                             ": expected float32, float16 or bfloat16");
  }
}

}  // namespace

std::shared_ptr<T5> load_weights(const std::string& path, T5Config config, torch::Device device,
                                 torch::Dtype dtype, const StopFlag& stop) {
  auto tensors = read_safetensors(path);
  try {
    merge_aliases(tensors);
    const auto head = tensors.find(head_name);
    if (config.tie_word_embeddings && head != tensors.end()) {
      const auto shared = tensors.find(shared_name);
      config.tie_word_embeddings =
          shared == tensors.end() || same_values(head->second, shared->second);
      if (config.tie_word_embeddings) {
        tensors.emplace(shared_name, head->second);
        tensors.erase(head);
      }
    }
    const auto model = std::make_shared<T5>(config, device, dtype);
    check_names(tensors, *model);
    const at::NoGradGuard no_grad;
    for (auto& [name, parameter] : model->parameters()) {
      stop.check();
      check_tensor(name, tensors.at(name), parameter);
      parameter.copy_(tensors.at(name));
    }
    return model;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot load " + path + ": " + error.what());
  }
}

void save_weights(T5& model, const std::string& path) {
  write_safetensors(path, model.parameters());
}

}  // namespace dece
