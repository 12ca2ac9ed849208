// A model from and to files of weights in Hugging Face's names.
#pragma once

#include <memory>
#include <string>

#include "architectures.h"
#include "async.h"
#include "weight_files.h"

namespace dece {

// The files' weights (float16, bfloat16, float32 or float64) in a model of `dtype` on `device`. A
// head of its own makes an untied model, whatever the config says, as transformers does. With
// `mmap` a model on the CPU keeps tensors of safetensors that have its dtype where they lie, in the
// mapped file, and takes a copy only of the pages that training writes to. Other tensors are
// converted one after the other, and the memory of each is given back before the next. Throws
// std::runtime_error that names the tensor that is missing, unexpected or misshapen.
std::shared_ptr<Model> load_weights(const std::vector<WeightFile>& files, ModelConfig config,
                                    torch::Device device, torch::Dtype dtype, bool mmap,
                                    const StopFlag& stop);

// Gives the model the adapter of a file with the names of PEFT (adapter_model.safetensors). Throws
// std::runtime_error where it does not fit; the model has none then.
void load_adapter(Model& model, const AdapterOptions& options, const std::string& path);

void save_adapter(Model& model, const std::string& path);

}  // namespace dece
