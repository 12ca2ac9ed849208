#include "model.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <stdexcept>

#include "memory.h"

namespace dece {

using torch::Tensor;

namespace {

bool names(const std::string& target, const std::string& name) {
  return name == target || name.ends_with("." + target);
}

// A as torch.nn.Linear starts, B zero.
Adapter fresh_adapter(const Linear& layer, const AdapterOptions& options,
                      const at::Generator& generator) {
  const auto out = layer.weight.size(layer.transposed), in = layer.weight.size(!layer.transposed);
  const double range = std::pow(double(in), -0.5);
  auto a = at::empty({options.rank, in}, torch::kFloat).uniform_(-range, range, generator);
  auto b = at::zeros({out, options.rank}, torch::kFloat);
  const auto leaf = [&](const Tensor& tensor) {
    return tensor.to(layer.weight.device()).set_requires_grad(true);
  };
  return {leaf(a), leaf(b), options.scale, options.dropout};
}

// Of a config whose numbers are out of proportion, the tensor says which one it is.
Tensor allocated(const std::string& name, at::IntArrayRef shape, torch::Device device,
                 torch::Dtype dtype) {
  const auto options = at::TensorOptions().device(device).dtype(dtype);
  if (!device.is_cpu()) return at::empty(shape, options);
  try {
    return at::empty(shape, options);
  } catch (const c10::Error&) {
    double bytes = double(c10::elementSize(dtype));
    std::ostringstream takes;
    takes << name << " of shape " << shape << ", as the config has it, takes";
    for (const auto extent : shape) bytes *= double(extent);
    throw no_room(bytes, takes.str(), "a smaller model would take less");
  }
}

// The last parts of names, each once.
std::string endings_of(const std::vector<std::pair<std::string, Linear>>& layers) {
  std::set<std::string> endings;
  for (const auto& [name, layer] : layers) endings.insert(name.substr(name.rfind('.') + 1));
  std::string text;
  for (const auto& ending : endings) text += (text.empty() ? "" : ", ") + ending;
  return text;
}

}  // namespace

Tensor Model::parameter(const std::string& name, at::IntArrayRef shape, Start start) {
  auto tensor = allocated(name, shape, device_, dtype_).set_requires_grad(true);
  parameters_.emplace_back(name, tensor);
  starts_.push_back(start);
  return tensor;
}

Linear Model::linear(const std::string& name, int64_t out, int64_t in, bool bias,
                     double deviation) {
  Linear layer;
  layer.weight = parameter(name + ".weight", {out, in}, {0, deviation});
  if (bias) layer.bias = parameter(name + ".bias", {out}, {});
  make_adaptable(name, layer);
  return layer;
}

void Model::make_adaptable(const std::string& name, Linear& layer) {
  layer.adapter = std::make_shared<Adapter>();
  adaptable_.emplace_back(name, layer);
}

LayerNorm Model::layer_norm(const std::string& name, int64_t width, double epsilon) {
  auto weight = parameter(name + ".weight", {width}, {1, 0});
  return {std::move(weight), parameter(name + ".bias", {width}, {}), epsilon};
}

void Model::initialise(uint64_t seed) {
  initialise(seed, std::vector<bool>(parameters_.size(), true));
}

void Model::initialise(uint64_t seed, const std::vector<bool>& chosen) {
  const at::NoGradGuard no_grad;
  const auto generator = at::detail::createCPUGenerator(seed);
  for (size_t i = 0; i < parameters_.size(); i++) {
    if (!chosen[i]) continue;
    auto& tensor = parameters_[i].second;
    const auto [mean, deviation, range] = starts_[i];
    if (deviation == 0 && range == 0) {
      tensor.fill_(mean);
      continue;
    }
    auto drawn = at::empty(tensor.sizes(), torch::kFloat);
    if (range > 0) {
      drawn.uniform_(-range, range, generator);
    } else {
      drawn.normal_(mean, deviation, generator);
    }
    tensor.copy_(drawn);
  }
}

void Model::add_adapter(const AdapterOptions& options) {
  if (!adapter_.empty()) throw std::runtime_error("the model has an adapter already");
  // Not the head: its loss is computed from the weight alone.
  std::vector<std::pair<std::string, Linear>> layers;
  std::copy_if(adaptable_.begin(), adaptable_.end(), std::back_inserter(layers),
               [&](const auto& entry) { return !entry.second.weight.is_same(head().weight); });
  for (const auto& target : options.targets) {
    if (std::any_of(layers.begin(), layers.end(),
                    [&](const auto& entry) { return names(target, entry.first); })) {
      continue;
    }
    throw std::runtime_error("targets has " + target +
                             ", which names no linear layer: expected some of " +
                             endings_of(layers));
  }
  const auto generator = at::detail::createCPUGenerator(options.seed);
  // All or none: memory may end amid them.
  std::vector<std::pair<std::shared_ptr<Adapter>, Adapter>> fresh;
  NamedTensors tensors;
  for (const auto& [name, layer] : layers) {
    const bool wanted =
        std::any_of(options.targets.begin(), options.targets.end(),
                    [&, &name = name](const auto& target) { return names(target, name); });
    if (!wanted) continue;
    const auto& [place, adapter] =
        fresh.emplace_back(layer.adapter, fresh_adapter(layer, options, generator));
    tensors.emplace_back(name + ".lora_A.weight", adapter.a);
    tensors.emplace_back(name + ".lora_B.weight", adapter.b);
  }
  for (auto& [place, adapter] : fresh) *place = std::move(adapter);
  adapter_ = std::move(tensors);
  adapter_options_ = options;
}

void Model::merge_adapter() {
  const at::NoGradGuard no_grad;
  for (auto& [name, layer] : adaptable_) {
    if (layer.is_adapted()) layer.weight.copy_(layer.merged());
  }
  drop_adapter();
}

void Model::drop_adapter() {
  for (auto& [name, layer] : adaptable_) *layer.adapter = {};
  adapter_.clear();
}

Tensor Model::run_again(const std::string& begin, const std::vector<Tensor>& inputs,
                        const Draws& draws, const Block& block) const {
  if (!recomputes || !at::GradMode::is_enabled()) return block(inputs, draws);
  std::vector<Tensor> weights;
  for (const auto* tensors : {&parameters_, &adapter_}) {
    for (const auto& [name, tensor] : *tensors) {
      if (tensor.requires_grad() && name.starts_with(begin)) weights.push_back(tensor);
    }
  }
  return recomputed(block, inputs, weights, draws);
}

int64_t Model::weight_count() const {
  int64_t count = 0;
  for (const auto& [name, parameter] : parameters_) count += parameter.numel();
  return count;
}

uint64_t Model::weight_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [name, parameter] : parameters_) bytes += parameter.nbytes();
  return bytes;
}

}  // namespace dece
