// What `dece bench` times on a device, with libtorch's tensors and streams.
#include "loss_binding.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "async.h"

namespace dece {

using torch::Tensor;

OwnedLoss loss_from_js(const Napi::Value& value, torch::Device device) {
  const auto js = value.As<Napi::Object>();
  const auto number = [&](const char* key) { return js.Get(key).ToNumber().DoubleValue(); };
  OwnedLoss options;
  options.loss = Loss(js.Get("loss").ToNumber().Int32Value());
  options.reference = js.Get("reference").ToBoolean().Value();
  options.alpha = number("alpha");
  options.one_minus_alpha = number("oneMinusAlpha");
  options.beta = number("beta");
  options.delta = number("delta");
  options.q = number("q");
  options.label_smoothing = number("labelSmoothing");
  if (options.loss == Loss::custom) {
    auto table = js.Get("table").As<Napi::Float64Array>();
    options.table_size = int64_t(table.ElementLength() / 2);
    options.owned_table =
        torch::from_blob(table.Data(), {options.table_size, 2}, torch::kDouble).clone().to(device);
    options.table = options.owned_table.const_data_ptr<double>();
  }
  return options;
}

namespace {

// How long work takes: on the CPU, or on a device's current stream, whatever else is done
// meanwhile.
template <typename Work>
double milliseconds(torch::Device device, const Work& work) {
  if (device.is_cpu()) {
    using Clock = std::chrono::steady_clock;
    const auto started = Clock::now();
    work();
    return std::chrono::duration<double, std::milli>(Clock::now() - started).count();
  }
  const auto stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  c10::Event begin(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  c10::Event end(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  begin.record(stream);
  work();
  end.record(stream);
  end.synchronize();
  return begin.elapsedTime(end);
}

// What work takes of a device's memory at its peak, besides what is there before; -1 on the CPU,
// where libtorch does not count.
template <typename Work>
double peak_bytes(torch::Device device, const Work& work) {
  if (device.is_cpu()) return -1;
  auto* const allocator = at::getDeviceAllocator(device.type());
  const auto allocated = [&] {
    return allocator->getDeviceStats(device.index()).allocated_bytes[0];
  };
  allocator->resetPeakStats(device.index());
  const auto before = allocated().current;
  work();
  return double(allocated().peak - before);
}

// "cuda" as "cuda:0": allocator and events want the number.
torch::Device numbered(const std::string& name) {
  torch::Device device(name);
  return device.is_cpu() || device.has_index() ? device : torch::Device(device.type(), 0);
}

// Losses of the same logits and labels, timed one by one.
class LossBench : public Napi::ObjectWrap<LossBench> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "LossBench",
        {InstanceMethod<&LossBench::run>("run"), InstanceMethod<&LossBench::peak>("peak"),
         InstanceMethod<&LossBench::gradient_rows>("gradientRows"),
         InstanceMethod<&LossBench::dispose>("dispose")});
  }

  // new LossBench(device, logits: Float32Array | Uint16Array, isHalf, labels: Int32Array)
  explicit LossBench(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LossBench>(info) {
    throwing(info.Env(), [&] {
      const auto device = numbered(info[0].ToString().Utf8Value());
      auto logits = info[1].As<Napi::TypedArray>();
      auto labels = info[3].As<Napi::Int32Array>();
      const auto dtype = logits.TypedArrayType() == napi_float32_array ? torch::kFloat
                         : info[2].ToBoolean().Value()                 ? torch::kHalf
                                                                       : torch::kBFloat16;
      const int64_t rows = int64_t(labels.ElementLength());
      auto* const data = static_cast<char*>(logits.ArrayBuffer().Data()) + logits.ByteOffset();
      const std::vector<int64_t> shape{rows, int64_t(logits.ElementLength()) / rows};
      logits_ = torch::from_blob(data, shape, dtype).to(device, dtype, false, /*copy=*/true);
      labels_ = torch::from_blob(labels.Data(), {rows}, torch::kInt).to(device, torch::kLong);
      gradient_ = at::empty_like(logits_);
      losses_ = at::empty({rows}, logits_.options().dtype(torch::kFloat));
      if (device.is_cuda()) {
        states_ =
            at::empty({rows, int64_t(sizeof(RowState))}, labels_.options().dtype(torch::kByte));
      }
    });
  }

 private:
  // Puts back what the call before has overwritten, and gives what is to be timed.
  std::function<void()> prepared(const std::string& place, const LossOptions& options) {
    if (place == "in place") {
      gradient_.copy_(logits_);
      return [=, this] { loss_and_gradient(gradient_, labels_, options, losses_, gradient_); };
    }
    gradient_.fill_(std::numeric_limits<double>::quiet_NaN());
    if (place == "copy") return [this] { gradient_.copy_(logits_); };
    if (place == "given array") {
      return [=, this] { loss_and_gradient(logits_, labels_, options, losses_, gradient_); };
    }
    if (place != "from statistics") throw std::runtime_error("no such place: " + place);
    const auto dtype = dtype_of(logits_);
    losses_and_states_of_cuda(logits_, dtype, labels_, options, losses_, states_);
    return [=, this] { gradient_of_cuda(logits_, dtype, labels_, options, states_, gradient_); };
  }

  // run(place, loss): number — milliseconds of loss and gradient
  Napi::Value run(const Napi::CallbackInfo& info) {
    return throwing(info.Env(), [&] {
      const auto loss = loss_from_js(info[1], logits_.device());
      const auto work = prepared(info[0].ToString().Utf8Value(), loss);
      return Napi::Number::New(info.Env(), milliseconds(logits_.device(), work));
    });
  }

  // peak(place, loss): number — bytes that it takes besides logits and gradient, or -1
  Napi::Value peak(const Napi::CallbackInfo& info) {
    return throwing(info.Env(), [&] {
      const auto loss = loss_from_js(info[1], logits_.device());
      const auto work = prepared(info[0].ToString().Utf8Value(), loss);
      return Napi::Number::New(info.Env(), peak_bytes(logits_.device(), work));
    });
  }

  // gradientRows(rows: number[]): Float32Array — of what was run last, one row after the other
  Napi::Value gradient_rows(const Napi::CallbackInfo& info) {
    return throwing(info.Env(), [&] {
      const auto rows = info[0].As<Napi::Array>();
      const int64_t classes = logits_.size(1);
      auto found = Napi::Float32Array::New(info.Env(), size_t(rows.Length() * classes));
      for (uint32_t i = 0; i < rows.Length(); i++) {
        torch::from_blob(found.Data() + i * classes, {classes}, torch::kFloat)
            .copy_(gradient_[rows.Get(i).ToNumber().Int64Value()]);
      }
      return found;
    });
  }

  void dispose(const Napi::CallbackInfo&) {
    logits_ = gradient_ = labels_ = losses_ = states_ = Tensor();
  }

  Tensor logits_, gradient_, labels_, losses_, states_;
};

// linearLossBench({ device, dtype, rows, width, classes, logitsBytes, rounds, seed }, loss):
//     { milliseconds: number[], peakBytes } — of the fused last product and its loss, with the
// gradients of both factors. Peak: besides the factors; -1 on the CPU.
Napi::Value linear_loss_bench(const Napi::CallbackInfo& info) {
  return throwing(info.Env(), [&] {
    const auto js = info[0].As<Napi::Object>();
    const auto number = [&](const char* key) { return js.Get(key).ToNumber().Int64Value(); };
    const auto device = numbered(js.Get("device").ToString().Utf8Value());
    const bool coarse = js.Get("dtype").ToString().Utf8Value() == "bfloat16";
    const auto options = torch::dtype(coarse ? torch::kBFloat16 : torch::kFloat).device(device);
    const auto loss = loss_from_js(info[1], device);
    torch::manual_seed(uint64_t(number("seed")));
    auto hidden = torch::randn({number("rows"), number("width")}, options).requires_grad_();
    auto weight = torch::randn({number("classes"), number("width")}, options)
                      .mul_(1 / std::sqrt(double(number("width"))))
                      .requires_grad_();
    const auto labels =
        torch::randint(number("classes"), {number("rows")}, options.dtype(torch::kLong));
    const auto work = [&] {
      linear_loss_sum(hidden, weight, Tensor(), labels, loss, number("logitsBytes")).backward();
    };
    const auto forget = [&] { hidden.mutable_grad() = weight.mutable_grad() = Tensor(); };
    work();
    forget();
    const double peak = peak_bytes(device, work);
    auto times = Napi::Array::New(info.Env());
    for (int64_t round = 0; round < number("rounds"); round++) {
      forget();
      times.Set(uint32_t(round), Napi::Number::New(info.Env(), milliseconds(device, work)));
    }
    auto result = Napi::Object::New(info.Env());
    result.Set("milliseconds", times);
    result.Set("peakBytes", Napi::Number::New(info.Env(), peak));
    return result;
  });
}

}  // namespace

void register_loss(Napi::Env env, Napi::Object exports) {
  exports.Set("LossBench", LossBench::define(env));
  exports.Set("linearLossBench", Napi::Function::New(env, linear_loss_bench, "linearLossBench"));
}

}  // namespace dece
