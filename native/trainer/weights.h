// A model from and to a model.safetensors file in Hugging Face's names.
#pragma once

#include <memory>
#include <string>

#include "architectures.h"
#include "async.h"

namespace dece {

// The file's weights (float32, float16 or bfloat16) in a model of `dtype` on `device`. A file with
// a head of its own makes an untied model, whatever the config says, as transformers does.
// Throws std::runtime_error that names the tensor that is missing, unexpected or misshapen.
std::shared_ptr<Model> load_weights(const std::string& path, ModelConfig config,
                                    torch::Device device, torch::Dtype dtype, const StopFlag& stop);

void save_weights(Model& model, const std::string& path);

// Gives the model the adapter of a file with the names of PEFT (adapter_model.safetensors). Throws
// std::runtime_error where it does not fit; the model has none then.
void load_adapter(Model& model, const AdapterOptions& options, const std::string& path);

void save_adapter(Model& model, const std::string& path);

}  // namespace dece
