#include "model_binding.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <cstring>
#include <sstream>
#include <vector>

#include "architectures.h"
#include "async.h"
#include "generate.h"
#include "loss.h"
#include "memory.h"
#include "weights.h"

namespace dece {

using torch::Tensor;

namespace {

// "cpu", "cuda", "cuda:N" or "auto", whose form lib/model/index.ts has checked.
torch::Device device_from_js(const Napi::Value& value) {
  const auto name = value.ToString().Utf8Value();
  if (name == "cpu") return torch::kCPU;
  const int64_t count = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  if (name == "auto") return count > 0 ? torch::Device(torch::kCUDA, 0) : torch::kCPU;
  const auto why = "device is \"" + name + "\": ";
  if (!built_with_cuda()) {
    throw Napi::Error::New(value.Env(),
                           why +
                               "this libtorch was built without CUDA; use \"cpu\", or set "
                               "LIBTORCH to a CUDA build and run `npm run build`");
  }
  if (count == 0) {
    throw Napi::Error::New(value.Env(), why + "the driver offers no CUDA device; use \"cpu\"");
  }
  const int64_t index = name == "cuda" ? 0 : std::stoll(name.substr(name.find(':') + 1));
  if (index >= count) {
    throw Napi::RangeError::New(value.Env(),
                                why + "expected cuda:0 to cuda:" + std::to_string(count - 1));
  }
  return torch::Device(torch::kCUDA, c10::DeviceIndex(index));
}

torch::Dtype dtype_from_js(const Napi::Value& value) {
  return value.ToString().Utf8Value() == "bfloat16" ? torch::kBFloat16 : torch::kFloat;
}

// { path: string, names?: string[] }[], at least one.
std::vector<WeightFile> weight_files_from_js(const Napi::Value& value) {
  const auto list = value.As<Napi::Array>();
  std::vector<WeightFile> files(list.Length());
  for (uint32_t i = 0; i < list.Length(); i++) {
    const auto file = list.Get(i).As<Napi::Object>();
    files[i].path = file.Get("path").ToString().Utf8Value();
    if (file.Get("names").IsUndefined()) continue;
    const auto names = file.Get("names").As<Napi::Array>();
    auto& to = files[i].names.emplace();
    for (uint32_t k = 0; k < names.Length(); k++) to.push_back(names.Get(k).ToString());
  }
  return files;
}

std::string shape_of(const Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

Napi::Value outputs_to_js(Napi::Env env, const std::vector<std::vector<int32_t>>& outputs) {
  auto rows = Napi::Array::New(env, outputs.size());
  for (size_t i = 0; i < outputs.size(); i++) {
    auto ids = Napi::Int32Array::New(env, outputs[i].size());
    std::copy(outputs[i].begin(), outputs[i].end(), ids.Data());
    rows.Set(uint32_t(i), ids);
  }
  return rows;
}

// { name, shape }[]
Napi::Value named_to_js(Napi::Env env, const Model::NamedTensors& parameters) {
  auto list = Napi::Array::New(env, parameters.size());
  for (size_t i = 0; i < parameters.size(); i++) {
    const auto& [name, tensor] = parameters[i];
    auto shape = Napi::Array::New(env, tensor.dim());
    for (int64_t d = 0; d < tensor.dim(); d++) {
      shape.Set(uint32_t(d), Napi::Number::New(env, double(tensor.size(d))));
    }
    auto entry = Napi::Object::New(env);
    entry.Set("name", Napi::String::New(env, name));
    entry.Set("shape", shape);
    list.Set(uint32_t(i), entry);
  }
  return list;
}

std::vector<std::string> strings_from_js(const Napi::Value& value) {
  const auto list = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < list.Length(); i++) {
    strings.push_back(list.Get(i).ToString().Utf8Value());
  }
  return strings;
}

// { targets: string[], rank, scale, dropout, seed }
AdapterOptions adapter_from_js(const Napi::Value& value) {
  const auto js = value.As<Napi::Object>();
  AdapterOptions options{.targets = {},
                         .rank = js.Get("rank").ToNumber().Int64Value(),
                         .scale = js.Get("scale").ToNumber().DoubleValue(),
                         .dropout = js.Get("dropout").ToNumber().DoubleValue(),
                         .seed = uint64_t(js.Get("seed").ToNumber().Int64Value())};
  options.targets = strings_from_js(js.Get("targets"));
  return options;
}

Tensor to_float(const Tensor& tensor) { return tensor.to(torch::kCPU, torch::kFloat).contiguous(); }

}  // namespace

Napi::Value tensor_to_js(Napi::Env env, const Tensor& tensor) {
  auto data = Napi::Float32Array::New(env, tensor.numel());
  std::memcpy(data.Data(), tensor.const_data_ptr<float>(), tensor.nbytes());
  auto shape = Napi::Array::New(env, tensor.dim());
  for (int64_t i = 0; i < tensor.dim(); i++) {
    shape.Set(uint32_t(i), Napi::Number::New(env, double(tensor.size(i))));
  }
  auto result = Napi::Object::New(env);
  result.Set("data", data);
  result.Set("shape", shape);
  return result;
}

Tensor ids_from_js(const Napi::Value& value, const std::string& name, int64_t high,
                   std::optional<int64_t> also) {
  const auto env = value.Env();
  const auto object = value.IsObject() ? value.As<Napi::Object>() : Napi::Object::New(env);
  const auto data = object.Get("data"), shape = object.Get("shape");
  if (!data.IsTypedArray() || data.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array ||
      !shape.IsArray() || shape.As<Napi::Array>().Length() != 2) {
    throw Napi::TypeError::New(env,
                               name + ": expected { data: Int32Array, shape: [rows, columns] }");
  }
  const auto ids = data.As<Napi::Int32Array>();
  const auto rows = shape.As<Napi::Array>().Get(0U).ToNumber().Int64Value();
  const auto columns = shape.As<Napi::Array>().Get(1U).ToNumber().Int64Value();
  if (rows < 1 || columns < 1 || uint64_t(columns) != ids.ElementLength() / uint64_t(rows) ||
      ids.ElementLength() % uint64_t(rows) != 0) {
    throw Napi::RangeError::New(env, name + " has " + std::to_string(ids.ElementLength()) +
                                         " ids for the shape [" + std::to_string(rows) + ", " +
                                         std::to_string(columns) + "]: expected at least one row " +
                                         "and one column, and as many ids as both make");
  }
  auto tensor = at::empty({rows, columns}, torch::kLong);
  auto* to = tensor.mutable_data_ptr<int64_t>();
  for (size_t i = 0; i < ids.ElementLength(); i++) {
    const int64_t id = ids.Data()[i];
    if ((id < 0 || id >= high) && id != also) {
      throw Napi::RangeError::New(
          env, name + "[" + std::to_string(i / columns) + "][" + std::to_string(i % columns) +
                   "] is " + std::to_string(id) + ": expected 0.." + std::to_string(high - 1) +
                   (also ? ", or " + std::to_string(*also) : ""));
    }
    to[i] = id;
  }
  return tensor;
}

ModelInputs inputs_from_js(const Napi::Value& value, const Model& model) {
  const auto batch = value.As<Napi::Object>();
  ModelInputs inputs;
  inputs.input_ids = ids_from_js(batch.Get("inputIds"), "inputIds", model.vocab_size());
  if (const auto mask = batch.Get("attentionMask"); !mask.IsUndefined()) {
    inputs.attention_mask = ids_from_js(mask, "attentionMask", 2);
    if (inputs.attention_mask.sizes() != inputs.input_ids.sizes()) {
      throw Napi::RangeError::New(value.Env(),
                                  "attentionMask has shape " + shape_of(inputs.attention_mask) +
                                      ": expected that of inputIds, " + shape_of(inputs.input_ids));
    }
  }
  if (const auto ids = batch.Get("decoderInputIds"); !ids.IsUndefined()) {
    inputs.decoder_input_ids = ids_from_js(ids, "decoderInputIds", model.vocab_size());
    if (inputs.decoder_input_ids.size(0) != inputs.input_ids.size(0)) {
      throw Napi::RangeError::New(
          value.Env(), "decoderInputIds has " + std::to_string(inputs.decoder_input_ids.size(0)) +
                           " rows: expected " + std::to_string(inputs.input_ids.size(0)) +
                           " as inputIds");
    }
  }
  return inputs;
}

Napi::Function ModelHandle::define(Napi::Env env) {
  return DefineClass(env, "ModelHandle",
                     {
                         StaticMethod<&ModelHandle::create>("create"),
                         StaticMethod<&ModelHandle::load>("load"),
                         InstanceMethod<&ModelHandle::logits>("logits"),
                         InstanceMethod<&ModelHandle::hidden_states>("hiddenStates"),
                         InstanceMethod<&ModelHandle::generate>("generate"),
                         InstanceMethod<&ModelHandle::save>("save"),
                         InstanceMethod<&ModelHandle::add_adapter>("addAdapter"),
                         InstanceMethod<&ModelHandle::load_adapter>("loadAdapter"),
                         InstanceMethod<&ModelHandle::save_adapter>("saveAdapter"),
                         InstanceMethod<&ModelHandle::merge_adapter>("mergeAdapter"),
                         InstanceMethod<&ModelHandle::drop_adapter>("dropAdapter"),
                         InstanceMethod<&ModelHandle::dispose>("dispose"),
                         InstanceAccessor<&ModelHandle::parameters>("parameters"),
                         InstanceAccessor<&ModelHandle::trained>("trained"),
                         InstanceAccessor<&ModelHandle::device>("device"),
                     });
}

ModelHandle::ModelHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ModelHandle>(info) {
  if (!info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "ModelHandle: use ModelHandle.create or .load");
  }
  model_ = *info[0].As<Napi::External<std::shared_ptr<Model>>>().Data();
  if (!model_->device().is_cpu()) return;
  for (const auto& [name, parameter] : model_->parameters()) bytes_ += int64_t(parameter.nbytes());
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), bytes_);
}

void ModelHandle::release(Napi::BasicEnv env) {
  // A job that still runs has its own pointer: the weights go when it ends.
  model_ = nullptr;
  Napi::MemoryManagement::AdjustExternalMemory(env, -std::exchange(bytes_, 0));
}

const std::shared_ptr<Model>& ModelHandle::model(Napi::Env env) const {
  if (!model_) throw Napi::Error::New(env, "the model has been disposed: load or create it again");
  return model_;
}

std::shared_ptr<Model> ModelHandle::model_of(const Napi::Value& value) {
  if (!value.IsObject() ||
      !value.As<Napi::Object>().InstanceOf(Addon::of(value.Env()).model.Value())) {
    throw Napi::TypeError::New(value.Env(), "model: expected a ModelHandle");
  }
  return Unwrap(value.As<Napi::Object>())->model(value.Env());
}

Napi::Value ModelHandle::wrap(Napi::Env env, const std::shared_ptr<Model>& model) {
  auto copy = model;
  return Addon::of(env).model.New({Napi::External<std::shared_ptr<Model>>::New(env, &copy)});
}

// ModelHandle.create(config, device, dtype, seed): ModelHandle
//
// The weights are drawn on the worker thread, before any job that could read them.
Napi::Value ModelHandle::create(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const std::shared_ptr<Model> model = throwing(env, [&] {
    auto made = make_model(config_from_js(info[0].As<Napi::Object>()), device_from_js(info[1]),
                           dtype_from_js(info[2]));
    check_room(made->weight_bytes(), made->device(), "the weights", less_than(made->dtype()));
    return made;
  });
  const auto seed = uint64_t(info[3].ToNumber().Int64Value());
  run(
      env, env.Undefined(),
      [model, seed](const StopFlag&) {
        model->initialise(seed);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
  return wrap(env, model);
}

// ModelHandle.load(files: WeightFile[], config, device, dtype, mmap, stop?): Promise<ModelHandle>
Napi::Value ModelHandle::load(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return run(
      env, info[5],
      [files = weight_files_from_js(info[0]), config = config_from_js(info[1].As<Napi::Object>()),
       device = device_from_js(info[2]), dtype = dtype_from_js(info[3]),
       mmap = info[4].ToBoolean().Value()](const StopFlag& stop) {
        return load_weights(files, config, device, dtype, mmap, stop);
      },
      [](Napi::Env env, const std::shared_ptr<Model>& model) { return wrap(env, model); });
}

// logits(batch): Promise<{ data, shape }>
Napi::Value ModelHandle::logits(const Napi::CallbackInfo& info) {
  const auto model = this->model(info.Env());
  return run(
      info.Env(), info.Env().Undefined(),
      [model, inputs = inputs_from_js(info[0], *model)](const StopFlag&) {
        const c10::InferenceMode inference;
        return to_float(model->logits(inputs));
      },
      tensor_to_js);
}

// hiddenStates(batch, layer): Promise<{ data, shape }>
Napi::Value ModelHandle::hidden_states(const Napi::CallbackInfo& info) {
  const auto model = this->model(info.Env());
  return run(
      info.Env(), info.Env().Undefined(),
      [model, inputs = inputs_from_js(info[0], *model),
       layer = info[1].ToNumber().Int64Value()](const StopFlag&) {
        const c10::InferenceMode inference;
        return to_float(model->hidden_states(inputs, layer));
      },
      tensor_to_js);
}

// generate(batch, { maxNewTokens, beams, eosTokenIds: number[] }, stop?): Promise<Int32Array[]>
Napi::Value ModelHandle::generate(const Napi::CallbackInfo& info) {
  const auto model = this->model(info.Env());
  const auto js = info[1].As<Napi::Object>();
  GenerateOptions options{.max_new_tokens = js.Get("maxNewTokens").ToNumber().Int64Value(),
                          .beams = js.Get("beams").ToNumber().Int64Value(),
                          .eos_token_ids = {}};
  const auto eos = js.Get("eosTokenIds").As<Napi::Array>();
  for (uint32_t i = 0; i < eos.Length(); i++) {
    options.eos_token_ids.push_back(eos.Get(i).ToNumber().Int64Value());
  }
  return run(
      info.Env(), info[2],
      [model, inputs = inputs_from_js(info[0], *model), options](const StopFlag& stop) {
        return dece::generate(*model, inputs, options, stop);
      },
      outputs_to_js);
}

// save(files: WeightFile[], outdated: string[]): Promise<void>
Napi::Value ModelHandle::save(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [model = model(info.Env()), files = weight_files_from_js(info[0]),
       outdated = strings_from_js(info[1])](const StopFlag&) {
        write_weight_files(files, model->parameters(), outdated);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// addAdapter({ targets, rank, scale, dropout, seed }): Promise<void>
Napi::Value ModelHandle::add_adapter(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [model = model(info.Env()), options = adapter_from_js(info[0])](const StopFlag&) {
        model->add_adapter(options);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// loadAdapter(path, options): Promise<void>
Napi::Value ModelHandle::load_adapter(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [model = model(info.Env()), path = info[0].ToString().Utf8Value(),
       options = adapter_from_js(info[1])](const StopFlag&) {
        dece::load_adapter(*model, options, path);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// saveAdapter(path): Promise<void>
Napi::Value ModelHandle::save_adapter(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [model = model(info.Env()), path = info[0].ToString().Utf8Value()](const StopFlag&) {
        dece::save_adapter(*model, path);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// mergeAdapter(): Promise<void>
Napi::Value ModelHandle::merge_adapter(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [model = model(info.Env())](const StopFlag&) {
        model->merge_adapter();
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// dropAdapter(): Promise<void>
Napi::Value ModelHandle::drop_adapter(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [model = model(info.Env())](const StopFlag&) {
        model->drop_adapter();
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// parameters: { name, shape }[]
Napi::Value ModelHandle::parameters(const Napi::CallbackInfo& info) {
  return named_to_js(info.Env(), model(info.Env())->parameters());
}

// trained: { name, shape }[]
Napi::Value ModelHandle::trained(const Napi::CallbackInfo& info) {
  return named_to_js(info.Env(), model(info.Env())->trained());
}

Napi::Value ModelHandle::device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), model(info.Env())->device().str());
}

void register_model(Napi::Env env, Napi::Object exports) {
  auto& addon = Addon::of(env);
  addon.model = Napi::Persistent(ModelHandle::define(env));
  exports.Set("ModelHandle", addon.model.Value());
}

}  // namespace dece
