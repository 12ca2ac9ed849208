#include "architectures.h"

namespace dece {

namespace {

std::shared_ptr<Model> make(const T5Config& config, torch::Device device, torch::Dtype dtype) {
  return std::make_shared<T5>(config, device, dtype);
}

std::shared_ptr<Model> make(const CausalConfig& config, torch::Device device, torch::Dtype dtype) {
  return std::make_shared<Causal>(config, device, dtype);
}

std::shared_ptr<Model> make(const RobertaConfig& config, torch::Device device, torch::Dtype dtype) {
  return std::make_shared<Roberta>(config, device, dtype);
}

}  // namespace

std::shared_ptr<Model> make_model(const ModelConfig& config, torch::Device device,
                                  torch::Dtype dtype) {
  return std::visit([&](const auto& own) { return make(own, device, dtype); }, config);
}

const FileNames& file_names(const ModelConfig& config) {
  return std::visit([](const auto& own) -> const FileNames& { return own.files; }, config);
}

bool is_tied(const ModelConfig& config) {
  return std::visit([](const auto& own) { return own.tie_word_embeddings; }, config);
}

void untie(ModelConfig& config) {
  std::visit([](auto& own) { own.tie_word_embeddings = false; }, config);
}

}  // namespace dece
