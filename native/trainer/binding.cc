// The addon trainer.node: everything of the package that needs libtorch.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <napi.h>
#include <torch/version.h>

#include "async.h"
#include "loss_binding.h"
#include "model_binding.h"

namespace {

// info(): { torch, cudaDevices, threads, externalBytes }: for `dece doctor`, and how much memory V8
// was told of, which process.memoryUsage() leaves out.
Napi::Value info(const Napi::CallbackInfo& call) {
  auto result = Napi::Object::New(call.Env());
  result.Set("torch", Napi::String::New(call.Env(), TORCH_VERSION));
  result.Set(
      "cudaDevices",
      Napi::Number::New(call.Env(), at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0));
  result.Set("threads", Napi::Number::New(call.Env(), at::get_num_threads()));
  result.Set("externalBytes",
             Napi::Number::New(
                 call.Env(), double(Napi::MemoryManagement::AdjustExternalMemory(call.Env(), 0))));
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* addon = new dece::Addon(env);
  env.SetInstanceData(addon);
  // Before the environment goes, its jobs must have ended: they settle promises of it.
  env.AddCleanupHook([](dece::Addon* ending) { ending->worker.close(); }, addon);

  // Last of all handlers, so that it is the first to be called.
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto at_exit = [](const Napi::CallbackInfo&) { dece::leave_running_jobs_alone(); };
  process.Get("once").As<Napi::Function>().Call(
      process, {Napi::String::New(env, "exit"), Napi::Function::New(env, at_exit)});

  addon->stop = Napi::Persistent(dece::Stop::define(env));
  exports.Set("Stop", addon->stop.Value());
  exports.Set("info", Napi::Function::New(env, info, "info"));
  dece::register_model(env, exports);
  dece::register_trainer(env, exports);
  dece::register_loss(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(trainer, init)
