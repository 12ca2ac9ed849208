// Losses as JavaScript gives them.
#pragma once

#include <napi.h>

#include "loss.h"

namespace dece {

// The options with what they point to.
struct OwnedLoss : LossOptions {
  torch::Tensor owned_table;
};

// { loss, reference, alpha, … } of lib/model/loss.ts, which has checked what the numbers mean.
OwnedLoss loss_from_js(const Napi::Value& value, torch::Device device);

void register_loss(Napi::Env env, Napi::Object exports);

}  // namespace dece
