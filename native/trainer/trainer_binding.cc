// The JavaScript class TrainerHandle, behind lib/model/trainer.ts's Trainer, and two functions.
#include <napi.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "async.h"
#include "loss_binding.h"
#include "model_binding.h"
#include "step.h"

namespace dece {

using torch::Tensor;

namespace {

// { blocks: number[][], switchEvery, order, start, seed }, which lib/model/blocks.ts has checked.
BlockPlan plan_from_js(const Napi::Value& value, size_t parameters) {
  const auto js = value.As<Napi::Object>();
  const auto number = [&](const char* key) { return js.Get(key).ToNumber().Int64Value(); };
  BlockPlan plan{{},
                 number("switchEvery"),
                 BlockOrder(number("order")),
                 number("start"),
                 uint64_t(number("seed"))};
  const auto blocks = js.Get("blocks").As<Napi::Array>();
  for (uint32_t i = 0; i < blocks.Length(); i++) {
    const auto places = blocks.Get(i).As<Napi::Array>();
    std::vector<size_t> block;
    for (uint32_t j = 0; j < places.Length(); j++) {
      block.push_back(size_t(places.Get(j).ToNumber().Int64Value()));
    }
    plan.blocks.push_back(std::move(block));
  }
  if (!fits(plan, parameters)) {
    throw Napi::RangeError::New(value.Env(), "plan: expected blocks of the model's parameters");
  }
  return plan;
}

// The shape of the labels that go with inputs, and what it is that of.
std::pair<at::IntArrayRef, const char*> label_shape(const ModelInputs& inputs, Labels labels) {
  if (labels == Labels::decoder_ids) return {inputs.decoder_input_ids.sizes(), "decoderInputIds"};
  return {inputs.input_ids.sizes(), "inputIds"};
}

void check_labels(const Napi::Env& env, const Tensor& labels, const ModelInputs& inputs,
                  Labels kind) {
  if (kind == Labels::rows) {
    if (labels.size(0) == inputs.input_ids.size(0) && labels.size(1) == 1) return;
    throw Napi::RangeError::New(env, "labels differ in shape: expected one class for each row");
  }
  if (kind == Labels::decoder_ids && !inputs.decoder_input_ids.defined()) {
    throw Napi::RangeError::New(env, "decoderInputIds is missing: expected what the decoder reads");
  }
  const auto [shape, name] = label_shape(inputs, kind);
  if (labels.sizes() == shape) return;
  throw Napi::RangeError::New(
      env, std::string("labels and ") + name + " differ in shape: expected a label for each id");
}

// { inputIds, attentionMask?, decoderInputIds?, labels }
LabelledBatch batch_from_js(const Napi::Value& value, const Model& model) {
  LabelledBatch batch{inputs_from_js(value, model), {}};
  const auto labels = value.As<Napi::Object>().Get("labels");
  batch.labels =
      ids_from_js(labels, "labels", model.head().weight.size(0), LossOptions().ignore_index);
  const auto kind = model.labels();
  check_labels(value.Env(), batch.labels, batch.inputs, kind);
  if (kind == Labels::next_ids) {
    const auto length = batch.labels.size(1);
    if (length < 2) {
      throw Napi::RangeError::New(value.Env(),
                                  "inputIds has 1 column: expected at least 2, as each id is "
                                  "predicted from those before it");
    }
    batch.labels = batch.labels.narrow(1, 1, length - 1).contiguous();
  }
  return batch;
}

std::vector<LabelledBatch> batches_from_js(const Napi::Value& value, const Model& model) {
  const auto list = value.As<Napi::Array>();
  std::vector<LabelledBatch> batches;
  for (uint32_t i = 0; i < list.Length(); i++) {
    batches.push_back(batch_from_js(list.Get(i), model));
  }
  return batches;
}

Napi::Object loss_to_js(Napi::Env env, double loss, int64_t tokens) {
  auto result = Napi::Object::New(env);
  result.Set("loss", Napi::Number::New(env, loss));
  result.Set("tokens", Napi::Number::New(env, double(tokens)));
  return result;
}

class TrainerHandle : public Napi::ObjectWrap<TrainerHandle> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "TrainerHandle",
                       {
                           InstanceMethod<&TrainerHandle::step>("step"),
                           InstanceMethod<&TrainerHandle::save>("save"),
                           InstanceMethod<&TrainerHandle::restore>("restore"),
                           InstanceMethod<&TrainerHandle::dispose>("dispose"),
                       });
  }

  // new TrainerHandle(model: ModelHandle, { weightDecay, betas, eps, seed, decays: boolean[], plan
  // })
  explicit TrainerHandle(const Napi::CallbackInfo& info);
  void Finalize(Napi::BasicEnv env) override { release(env); }

 private:
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value restore(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info) { release(info.Env()); }

  const std::shared_ptr<Trainer>& trainer(Napi::Env env) const;
  void release(Napi::BasicEnv env);

  std::shared_ptr<Model> model_;
  std::shared_ptr<Trainer> trainer_;
  int64_t bytes_ = 0;  // what V8 was told
};

TrainerHandle::TrainerHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TrainerHandle>(info), model_(ModelHandle::model_of(info[0])) {
  const auto options = info[1].As<Napi::Object>();
  const auto betas = options.Get("betas").As<Napi::Array>();
  const AdamWOptions adamw{
      .weight_decay = options.Get("weightDecay").ToNumber().DoubleValue(),
      .beta1 = betas.Get(0U).ToNumber().DoubleValue(),
      .beta2 = betas.Get(1U).ToNumber().DoubleValue(),
      .eps = options.Get("eps").ToNumber().DoubleValue(),
  };
  const auto list = options.Get("decays").As<Napi::Array>();
  const auto& parameters = model_->trained();
  if (list.Length() != parameters.size()) {
    throw Napi::RangeError::New(info.Env(), "decays: expected one for each parameter");
  }
  std::vector<bool> decays;
  for (uint32_t i = 0; i < list.Length(); i++) decays.push_back(list.Get(i).ToBoolean().Value());
  const auto seed = uint64_t(options.Get("seed").ToNumber().Int64Value());
  auto plan = plan_from_js(options.Get("plan"), parameters.size());
  if (model_->device().is_cpu()) {
    const int64_t copies = model_->dtype() == torch::kFloat ? 2 : 3;
    for (const auto& block : plan.blocks) {
      int64_t weights = 0;
      for (const size_t i : block) weights += parameters[i].second.numel();
      bytes_ = std::max(bytes_, copies * weights * int64_t(sizeof(float)));
    }
  }
  trainer_ = std::make_shared<Trainer>(model_, adamw, std::move(decays), std::move(plan), seed);
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), bytes_);
}

void TrainerHandle::release(Napi::BasicEnv env) {
  // A job that still runs has its own pointer.
  trainer_ = nullptr;
  model_ = nullptr;
  Napi::MemoryManagement::AdjustExternalMemory(env, -std::exchange(bytes_, 0));
}

const std::shared_ptr<Trainer>& TrainerHandle::trainer(Napi::Env env) const {
  if (!trainer_) throw Napi::Error::New(env, "the trainer has been disposed: make another one");
  return trainer_;
}

// step(batches, { loss, learningRate, clip?, logitsBytes, recompute }, stop?): Promise<{ loss,
// gradientNorm, tokens }>
Napi::Value TrainerHandle::step(const Napi::CallbackInfo& info) {
  const auto trainer = this->trainer(info.Env());
  const auto js = info[1].As<Napi::Object>();
  const auto loss = loss_from_js(js.Get("loss"), model_->device());
  StepOptions options{loss, js.Get("learningRate").ToNumber().DoubleValue(), std::nullopt,
                      js.Get("logitsBytes").ToNumber().Int64Value(),
                      js.Get("recompute").ToBoolean().Value()};
  if (const auto clip = js.Get("clip"); clip.IsNumber()) {
    options.clip = clip.ToNumber().DoubleValue();
  }
  return run(
      info.Env(), info[2],
      [trainer, options, table = loss.owned_table, batches = batches_from_js(info[0], *model_)](
          const StopFlag& stop) { return trainer->step(batches, options, stop); },
      [](Napi::Env env, const StepResult& step) {
        auto result = loss_to_js(env, step.loss, step.tokens);
        result.Set("gradientNorm", Napi::Number::New(env, step.gradient_norm));
        return result;
      });
}

// save(path, note): Promise<void>
Napi::Value TrainerHandle::save(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [trainer = trainer(info.Env()), path = info[0].ToString().Utf8Value(),
       note = info[1].ToString().Utf8Value()](const StopFlag&) {
        trainer->save(path, note);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// restore(path): Promise<void>
Napi::Value TrainerHandle::restore(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [trainer = trainer(info.Env()), path = info[0].ToString().Utf8Value()](const StopFlag&) {
        trainer->restore(path);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// readNote(path): Promise<string>
Napi::Value read_note_of(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), info.Env().Undefined(),
      [path = info[0].ToString().Utf8Value()](const StopFlag&) { return read_note(path); },
      [](Napi::Env env, const std::string& note) { return Napi::String::New(env, note); });
}

// meanLoss(model, batch, loss, logitsBytes, stop?): Promise<{ loss, tokens }>
Napi::Value mean_loss_of(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::model_of(info[0]);
  return run(
      info.Env(), info[4],
      [model, batch = batch_from_js(info[1], *model),
       options = loss_from_js(info[2], model->device()),
       logits_bytes = info[3].ToNumber().Int64Value()](const StopFlag&) {
        return mean_loss(*model, batch, options, logits_bytes);
      },
      [](Napi::Env env, const MeanLoss& mean) { return loss_to_js(env, mean.loss, mean.tokens); });
}

// wordGradient(model, batch, loss, ids: { data, shape: [1, count] }, stop?):
//     Promise<{ data, shape }>
Napi::Value word_gradient_of(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::model_of(info[0]);
  return run(
      info.Env(), info[4],
      [model, batch = batch_from_js(info[1], *model),
       options = loss_from_js(info[2], model->device()),
       ids = ids_from_js(info[3], "ids", model->vocab_size()).flatten()](const StopFlag&) {
        return word_gradient(*model, batch, options, ids);
      },
      tensor_to_js);
}

}  // namespace

void register_trainer(Napi::Env env, Napi::Object exports) {
  exports.Set("TrainerHandle", TrainerHandle::define(env));
  exports.Set("readNote", Napi::Function::New(env, read_note_of, "readNote"));
  exports.Set("wordGradient", Napi::Function::New(env, word_gradient_of, "wordGradient"));
  exports.Set("meanLoss", Napi::Function::New(env, mean_loss_of, "meanLoss"));
}

}  // namespace dece
