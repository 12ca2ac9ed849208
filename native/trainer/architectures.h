// The architectures there are, and how to make a model of one.
#pragma once

#include <napi.h>
#include <torch/types.h>

#include <memory>
#include <variant>

#include "causal.h"
#include "model.h"
#include "roberta.h"
#include "t5.h"

namespace dece {

using ModelConfig = std::variant<T5Config, CausalConfig, RobertaConfig>;

// Weights are allocated, not filled.
std::shared_ptr<Model> make_model(const ModelConfig& config, torch::Device device,
                                  torch::Dtype dtype);

const FileNames& file_names(const ModelConfig& config);
bool is_tied(const ModelConfig& config);
void untie(ModelConfig& config);

// What lib/model/config.ts made of a config.json and checked: architecture t5, causal or roberta.
ModelConfig config_from_js(const Napi::Object& config);  // architectures_binding.cc

}  // namespace dece
