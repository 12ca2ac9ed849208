#include "model.h"

namespace dece {

using torch::Tensor;

Tensor Model::parameter(const std::string& name, at::IntArrayRef shape, Start start) {
  auto tensor =
      at::empty(shape, at::TensorOptions().device(device_).dtype(dtype_)).set_requires_grad(true);
  parameters_.emplace_back(name, tensor);
  starts_.push_back(start);
  return tensor;
}

Linear Model::linear(const std::string& name, int64_t out, int64_t in, bool bias,
                     double deviation) {
  Linear layer;
  layer.weight = parameter(name + ".weight", {out, in}, {0, deviation});
  if (bias) layer.bias = parameter(name + ".bias", {out}, {});
  return layer;
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

int64_t Model::weight_count() const {
  int64_t count = 0;
  for (const auto& [name, parameter] : parameters_) count += parameter.numel();
  return count;
}

}  // namespace dece
