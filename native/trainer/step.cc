#include "step.h"

#include <torch/autograd.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace dece {

using torch::Tensor;

namespace {

int64_t count_labels(const LabelledBatch& batch, int64_t ignored) {
  return batch.labels.ne(ignored).sum().item<int64_t>();
}

// What the mean is over: counted labels or, as in the authors' code of all losses but
// cross-entropy, ignored ones too.
int64_t count_rows(const LabelledBatch& batch, const LossOptions& options) {
  const bool all = options.reference && options.loss != Loss::cross_entropy;
  return all ? batch.labels.numel() : count_labels(batch, options.ignore_index);
}

Tensor loss_of(T5& model, const LabelledBatch& batch, const LossOptions& options, bool training,
               OptionalGenerator generator) {
  const auto& [input_ids, attention_mask, decoder_input_ids] = batch.inputs;
  const auto logits =
      model.forward(input_ids, attention_mask, decoder_input_ids, training, std::move(generator));
  return loss_sum(logits, batch.labels.to(logits.device()), options, Logits::overwrite);
}

at::Generator seeded_generator(torch::Device device, uint64_t seed) {
  auto generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return generator;
}

// As torch.nn.utils.clip_grad_norm_ has it: the norm of the norms.
double norm_of(const std::vector<Tensor>& gradients) {
  return at::stack(at::_foreach_norm(gradients, 2)).norm().item<double>();
}

void check_finite(int64_t step, double loss, double norm) {
  if (std::isfinite(loss) && std::isfinite(norm)) return;
  std::ostringstream text;
  // A NaN has a sign, which means nothing.
  text << "step " << step << ": the loss is " << (std::isnan(loss) ? std::abs(loss) : loss)
       << " and the norm of its gradient " << std::abs(norm)
       << ": expected finite numbers; a lower learning rate or a longer warm-up may do";
  throw std::runtime_error(text.str());
}

}  // namespace

MeanLoss mean_loss(T5& model, const LabelledBatch& batch, LossOptions options) {
  const at::NoGradGuard no_grad;
  options.scale = 1.0 / double(std::max<int64_t>(1, count_rows(batch, options)));
  return {loss_of(model, batch, options, false, {}).item<double>(),
          count_labels(batch, options.ignore_index)};
}

Trainer::Trainer(std::shared_ptr<T5> model, const AdamWOptions& options, std::vector<bool> decays,
                 uint64_t seed)
    : model_(std::move(model)),
      options_(options),
      decays_(std::move(decays)),
      generator_(seeded_generator(model_->device(), seed)) {}

void Trainer::allocate() {
  if (!weights_.empty()) return;
  const at::NoGradGuard no_grad;
  for (const auto& [name, parameter] : model_->parameters()) {
    weights_.push_back(parameter.detach().to(torch::kFloat));
    means_.push_back(at::zeros_like(weights_.back()));
    squares_.push_back(at::zeros_like(weights_.back()));
  }
}

StepResult Trainer::step(const std::vector<LabelledBatch>& batches, const StepOptions& options,
                         const StopFlag& stop) {
  allocate();
  int64_t tokens = 0;
  for (const auto& batch : batches) tokens += count_labels(batch, options.loss.ignore_index);
  if (tokens == 0)
    throw std::runtime_error("labels are all ignored: expected at least one to count");

  const auto drawn = generator_.get_state();
  try {
    const auto [loss, gradients] = gradients_of(batches, options.loss, stop);
    const double norm = norm_of(gradients);
    check_finite(steps_ + 1, loss, norm);
    const double shrink = options.clip ? *options.clip / (norm + 1e-6) : 1;
    if (shrink < 1) at::_foreach_mul_(gradients, shrink);
    stop.check();
    update(gradients, options.learning_rate);
    return {loss, norm, tokens};
  } catch (...) {
    generator_.set_state(drawn);
    throw;
  }
}

// The mean loss of all batches together and its gradient, float32, for each parameter.
std::pair<double, Trainer::Tensors> Trainer::gradients_of(const std::vector<LabelledBatch>& batches,
                                                          LossOptions options,
                                                          const StopFlag& stop) {
  Tensors parameters;
  for (const auto& [name, parameter] : model_->parameters()) parameters.push_back(parameter);
  int64_t rows = 0;
  for (const auto& batch : batches) rows += count_rows(batch, options);
  options.scale = 1.0 / double(rows);

  Tensor loss;
  Tensors sum;
  for (const auto& batch : batches) {
    stop.check();
    const auto part = loss_of(*model_, batch, options, true, generator_);
    stop.check();
    auto gradients = torch::autograd::grad({part}, parameters);
    // The optimizer walks weights and gradients side by side, whatever their strides say.
    for (auto& gradient : gradients) gradient = gradient.to(torch::kFloat).contiguous();
    if (sum.empty()) {
      sum = std::move(gradients);
      loss = part.detach();
    } else {
      at::_foreach_add_(sum, gradients);
      loss += part.detach();
    }
  }
  return {loss.item<double>(), std::move(sum)};
}

void Trainer::update(const Tensors& gradients, double learning_rate) {
  const at::NoGradGuard no_grad;
  steps_++;
  const auto count = at::full({}, double(steps_), weights_.front().options());
  for (const bool decays : {true, false}) {
    const auto pick = [&](const Tensors& all) {
      Tensors picked;
      for (size_t i = 0; i < all.size(); i++) {
        if (decays_[i] == decays) picked.push_back(all[i]);
      }
      return picked;
    };
    const auto weights = pick(weights_);
    if (weights.empty()) continue;
    at::_fused_adamw_(weights, pick(gradients), pick(means_), pick(squares_), {},
                      Tensors(weights.size(), count), learning_rate, options_.beta1, options_.beta2,
                      decays ? options_.weight_decay : 0, options_.eps, false, false);
  }
  round_weights();
}

void Trainer::round_weights() {
  if (model_->dtype() == torch::kFloat) return;
  const at::NoGradGuard no_grad;
  auto& parameters = model_->parameters();
  for (size_t i = 0; i < parameters.size(); i++) parameters[i].second.copy_(weights_[i]);
}

}  // namespace dece
