// The loss kernels for Node: typed arrays in, typed arrays out.
//
// lib/loss.ts has checked what the options mean; what is checked here is what would read or write
// outside a buffer. Labels are copied before they are checked, since a shared buffer may change.
#include <napi.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dece_loss.h"
#include "team.h"

namespace {

struct Buffer {
  void* data;
  size_t length;
};

// Through C, since the ArrayBuffer of node-addon-api refuses shared memory.
Buffer array(const Napi::Value& value, napi_typedarray_type type, const char* expected) {
  napi_typedarray_type found;
  Buffer buffer;
  if (value.IsTypedArray() &&
      napi_get_typedarray_info(value.Env(), value, &found, &buffer.length, &buffer.data, nullptr,
                               nullptr) == napi_ok &&
      found == type) {
    return buffer;
  }
  throw Napi::TypeError::New(value.Env(), expected);
}

std::vector<int64_t> labels_of(const Napi::Value& value) {
  if (value.IsTypedArray() &&
      value.As<Napi::TypedArray>().TypedArrayType() == napi_bigint64_array) {
    const Buffer labels = array(value, napi_bigint64_array, "");
    const auto* data = static_cast<const int64_t*>(labels.data);
    return {data, data + labels.length};
  }
  const Buffer labels =
      array(value, napi_int32_array, "labels: expected an Int32Array or a BigInt64Array");
  const auto* data = static_cast<const int32_t*>(labels.data);
  return {data, data + labels.length};
}

dece::LossOptions options_of(const Napi::Object& settings) {
  const auto number = [&](const char* name) { return settings.Get(name).ToNumber(); };
  dece::LossOptions options;
  options.loss = dece::Loss(number("loss").Int32Value());
  options.reference = settings.Get("reference").ToBoolean();
  options.alpha = number("alpha").DoubleValue();
  options.one_minus_alpha = number("oneMinusAlpha").DoubleValue();
  options.beta = number("beta").DoubleValue();
  options.delta = number("delta").DoubleValue();
  options.q = number("q").DoubleValue();
  options.label_smoothing = number("labelSmoothing").DoubleValue();
  options.ignore_index = number("ignoreIndex").Int64Value();
  options.scale = number("scale").DoubleValue();
  return options;
}

// node-addon-api lets only its own errors through to JavaScript.
template <typename Work>
auto translate_errors(Napi::Env env, const Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, error.what());
  }
}

// The arguments of both functions, checked.
struct Call {
  dece::DType dtype;
  Buffer logits, losses, gradient;
  std::vector<int64_t> labels;
  dece::LossOptions options;
  int64_t classes;
  int threads;

  explicit Call(const Napi::CallbackInfo& info) {
    translate_errors(info.Env(), dece::cpu_isa);  // throws where DECE_ISA is wrong
    const auto settings = info[2].As<Napi::Object>();
    dtype = dece::DType(settings.Get("dtype").ToNumber().Int32Value());
    const bool wide = dtype == dece::DType::float32;
    const auto type = wide ? napi_float32_array : napi_uint16_array;
    logits = array(info[0], type, "logits: expected the array type of dtype");
    labels = labels_of(info[1]);
    options = options_of(settings);
    threads = settings.Get("threads").ToNumber().Int32Value();
    losses = array(info[3], napi_float32_array, "losses: expected a Float32Array");
    // None for the losses alone.
    gradient = info[4].IsUndefined()
                   ? Buffer{nullptr, logits.length}
                   : array(info[4], type, "gradient: expected the array type of logits");
    if (const auto table = settings.Get("table"); !table.IsUndefined()) {
      const Buffer points = array(table, napi_float64_array, "table: expected a Float64Array");
      options.table = static_cast<const double*>(points.data);
      options.table_size = int64_t(points.length / 2);
    }
    if (options.loss == dece::Loss::custom && options.table_size < 2) {
      throw Napi::RangeError::New(info.Env(), "table: expected two points");
    }
    options.weights = factors(info[5]);
    options.upstream = factors(info[6]);
    classes = labels.empty() ? 0 : int64_t(logits.length / labels.size());
    check_sizes(info.Env(), wide ? 4 : 2);
    check_labels(info.Env());
  }

  void run(const std::atomic<bool>* stop) const {
    dece::loss_and_gradient_cpu(logits.data, dtype, labels.data(), int64_t(labels.size()), classes,
                                options, static_cast<float*>(losses.data), gradient.data, threads,
                                stop);
  }

 private:
  // [rows] or undefined
  const float* factors(const Napi::Value& value) const {
    if (value.IsUndefined()) return nullptr;
    const char* expected = "weights and upstream: expected a Float32Array of one for each label";
    const Buffer found = array(value, napi_float32_array, expected);
    if (found.length == labels.size()) return static_cast<const float*>(found.data);
    throw Napi::RangeError::New(value.Env(), expected);
  }

  void check_sizes(Napi::Env env, size_t item) const {
    if (labels.size() * size_t(classes) != logits.length || losses.length != labels.size() ||
        gradient.length != logits.length || (!labels.empty() && classes == 0)) {
      throw Napi::RangeError::New(env, "logits, labels, losses and gradient: lengths do not agree");
    }
    const auto* from = static_cast<const char*>(logits.data);
    const auto* to = static_cast<const char*>(gradient.data);
    const size_t bytes = logits.length * item;
    if (to != nullptr && from != to && from < to + bytes && to < from + bytes) {
      throw Napi::RangeError::New(
          env, "gradient overlaps logits: expected logits itself, or memory of its own");
    }
  }

  void check_labels(Napi::Env env) const {
    for (size_t row = 0; row < labels.size(); row++) {
      const int64_t label = labels[row];
      if (label == options.ignore_index || (label >= 0 && label < classes)) continue;
      throw Napi::RangeError::New(env, "labels[" + std::to_string(row) + "] is " +
                                           std::to_string(label) + ": expected 0.." +
                                           std::to_string(classes - 1) + ", or ignoreIndex (" +
                                           std::to_string(options.ignore_index) + ")");
    }
  }
};

// lossAndGradient(logits, labels, settings, losses, gradient?, weights?, upstream?): void
//
// Fills losses and, if there is one, gradient.
void LossAndGradient(const Napi::CallbackInfo& info) {
  const Call call(info);
  translate_errors(info.Env(), [&] { call.run(nullptr); });
}

class Worker : public Napi::AsyncWorker {
 public:
  Worker(const Napi::CallbackInfo& info)
      : AsyncWorker(info.Env(), "dece.lossAndGradient"),
        call_(info),
        done_(Napi::Promise::Deferred::New(info.Env())),
        stop_(std::make_shared<std::atomic<bool>>(false)) {
    auto arrays = Napi::Array::New(info.Env());
    for (const uint32_t i : {0, 2, 3, 4, 5, 6}) arrays[i] = info[i];
    arrays_ = Napi::Persistent(arrays.As<Napi::Object>());
  }

  Napi::Promise done() const { return done_.Promise(); }
  std::shared_ptr<std::atomic<bool>> stop() const { return stop_; }

  void Execute() override { call_.run(stop_.get()); }
  void OnOK() override { done_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { done_.Reject(error.Value()); }

 private:
  const Call call_;
  Napi::ObjectReference arrays_;  // they must outlive the work
  const Napi::Promise::Deferred done_;
  const std::shared_ptr<std::atomic<bool>> stop_;
};

// lossAndGradientAsync(…the same): { done: Promise<void>, stop: () => void }
//
// The same off the event loop. After stop() the promise resolves early, with rows left undone.
Napi::Value LossAndGradientAsync(const Napi::CallbackInfo& info) {
  auto worker = std::make_unique<Worker>(info);
  const auto stop = [flag = worker->stop()](const Napi::CallbackInfo&) { *flag = true; };
  auto handle = Napi::Object::New(info.Env());
  handle.Set("done", worker->done());
  handle.Set("stop", Napi::Function::New(info.Env(), stop, "stop"));
  worker->Queue();
  worker.release();  // deletes itself when done
  return handle;
}

// copy(to: Float32Array, from: Float32Array, threads): void — memcpy, for benchmarks
void Copy(const Napi::CallbackInfo& info) {
  const Buffer to = array(info[0], napi_float32_array, "to: expected a Float32Array");
  const Buffer from = array(info[1], napi_float32_array, "from: expected a Float32Array");
  if (to.length != from.length) {
    throw Napi::RangeError::New(info.Env(), "to and from: lengths do not agree");
  }
  dece::copy(to.data, from.data, int64_t(to.length * sizeof(float)),
             info[2].ToNumber().Int32Value());
}

// isa(): string — the instruction set in use
Napi::Value Isa(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), translate_errors(info.Env(), dece::cpu_isa));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("lossAndGradient", Napi::Function::New<LossAndGradient>(env, "lossAndGradient"));
  exports.Set("lossAndGradientAsync",
              Napi::Function::New<LossAndGradientAsync>(env, "lossAndGradientAsync"));
  exports.Set("isa", Napi::Function::New<Isa>(env, "isa"));
  exports.Set("copy", Napi::Function::New<Copy>(env, "copy"));
  return exports;
}

}  // namespace

NODE_API_MODULE(kernels, Init)
