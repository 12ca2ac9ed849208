// The JavaScript class ModelHandle: the weights behind lib/model/index.ts's Model.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "model.h"

namespace dece {

class ModelHandle : public Napi::ObjectWrap<ModelHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ModelHandle(const Napi::CallbackInfo& info);
  void Finalize(Napi::BasicEnv env) override { release(env); }

  // The model of a ModelHandle argument; throws a JavaScript error where it is something else or
  // has been disposed. Whoever keeps the pointer keeps the weights.
  static std::shared_ptr<Model> model_of(const Napi::Value& value);

 private:
  static Napi::Value create(const Napi::CallbackInfo& info);
  static Napi::Value load(const Napi::CallbackInfo& info);
  static Napi::Value wrap(Napi::Env env, const std::shared_ptr<Model>& model);

  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value hidden_states(const Napi::CallbackInfo& info);
  Napi::Value generate(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value add_adapter(const Napi::CallbackInfo& info);
  Napi::Value load_adapter(const Napi::CallbackInfo& info);
  Napi::Value save_adapter(const Napi::CallbackInfo& info);
  Napi::Value merge_adapter(const Napi::CallbackInfo& info);
  Napi::Value drop_adapter(const Napi::CallbackInfo& info);
  Napi::Value parameters(const Napi::CallbackInfo& info);
  Napi::Value trained(const Napi::CallbackInfo& info);
  Napi::Value device(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info) { release(info.Env()); }

  const std::shared_ptr<Model>& model(Napi::Env env) const;
  void release(Napi::BasicEnv env);

  std::shared_ptr<Model> model_;
  int64_t bytes_ = 0;  // what V8 was told
};

// { data: Int32Array, shape: [rows, columns] } as an int64 tensor on the CPU. Every value must lie
// in 0..high-1 or equal `also`; the error names the place as `name[row][column]`.
torch::Tensor ids_from_js(const Napi::Value& value, const std::string& name, int64_t high,
                          std::optional<int64_t> also = std::nullopt);

// { inputIds, attentionMask?, decoderInputIds? }, each as ids_from_js takes it, shapes compared.
ModelInputs inputs_from_js(const Napi::Value& batch, const Model& model);

// A contiguous float32 tensor on the CPU as { data: Float32Array, shape: number[] }.
Napi::Value tensor_to_js(Napi::Env env, const torch::Tensor& tensor);

void register_model(Napi::Env env, Napi::Object exports);
void register_trainer(Napi::Env env, Napi::Object exports);  // trainer_binding.cc

}  // namespace dece
