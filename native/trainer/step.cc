#include "step.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "memory.h"
#include "parallel.h"

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

Tensor loss_of(const Model& model, const LabelledBatch& batch, const LossOptions& options,
               int64_t logits_bytes, const Draws& draws) {
  const auto labels = batch.labels.to(model.device());
  const auto& head = model.head();
  const auto hidden = model.before_head(batch.inputs, draws).narrow(1, 0, labels.size(1));
  if (labels.numel() * head.weight.size(0) * head.weight.element_size() > logits_bytes) {
    return linear_loss_sum(hidden, head.weight, head.bias, labels, options, logits_bytes);
  }
  return loss_sum(head(hidden), labels, options, Logits::overwrite);
}

// What AdamW takes beside tensors: a gradient and two moments, a copy where they are not float32,
// and the tensors themselves where they lie in a file until they are written to.
uint64_t bytes_beside(const std::vector<Tensor>& tensors) {
  uint64_t bytes = 0;
  for (const auto& tensor : tensors) {
    const uint64_t copies = tensor.scalar_type() == torch::kFloat ? 3 : 4;
    bytes += copies * sizeof(float) * uint64_t(tensor.numel());
    // libtorch's own memory has an allocator.
    if (!tensor.storage().allocator()) bytes += tensor.nbytes();
  }
  return bytes;
}

// What would take less than training by a plan does.
std::string less_than(const BlockPlan& plan, bool has_adapter) {
  if (has_adapter) return "an adapter of lower rank would take less";
  if (plan.switch_every > 0) return "smaller blocks or an adapter (lora) would take less";
  return "optimizer badam or an adapter (lora) would take less";
}

std::vector<Tensor> pick(const std::vector<Tensor>& all, const std::vector<size_t>& indices) {
  std::vector<Tensor> picked;
  for (const size_t i : indices) picked.push_back(all[i]);
  return picked;
}

// Calls work with 0..count-1. A small model is faster with one thread for each part than with all
// of them for each operation.
void in_parts(const Model& model, int64_t count, const std::function<void(int64_t)>& work) {
  each_at_once(count, work, is_small(model) ? std::optional(1) : std::nullopt);
}

LabelledBatch rows_of(const LabelledBatch& batch, int64_t part, int64_t count) {
  const auto rows = [&](const Tensor& tensor) { return part_of(tensor, part, count); };
  const auto& [input_ids, attention_mask, decoder_input_ids] = batch.inputs;
  return {{rows(input_ids), rows(attention_mask), rows(decoder_input_ids)}, rows(batch.labels)};
}

// Of the loss of some rows; the loss is a float64 scalar.
struct Gradients {
  Tensor loss;
  std::vector<Tensor> of_parameters;  // float32
};

Gradients gradients_in(Model& model, const LabelledBatch& batch, const LossOptions& options,
                       int64_t logits_bytes, const std::vector<Tensor>& parameters,
                       at::Generator generator, const StopFlag& stop) {
  stop.check();
  const auto loss = loss_of(model, batch, options, logits_bytes, {true, std::move(generator)});
  stop.check();
  auto gradients = torch::autograd::grad({loss}, parameters);
  // The optimizer walks weights and gradients side by side, whatever their strides say.
  for (auto& gradient : gradients) gradient = gradient.to(torch::kFloat).contiguous();
  return {loss.detach(), std::move(gradients)};
}

at::Generator seeded_generator(torch::Device device, uint64_t seed) {
  auto generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return generator;
}

// A generator for each of several threads, which depends on no other thread; for one, it itself.
std::vector<at::Generator> generators_for(const at::Generator& generator, int64_t count) {
  if (count == 1) return {generator};
  std::vector<at::Generator> generators;
  auto* const source = at::check_generator<at::CPUGeneratorImpl>(generator);
  for (int64_t i = 0; i < count; i++) {
    generators.push_back(at::detail::createCPUGenerator(source->random64()));
  }
  return generators;
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

// The embedding that the encoder of a T5 reads words with, which must have a gradient.
const Tensor& word_embedding(Model& model) {
  const auto& parameters = model.parameters();
  const auto shared = std::find_if(parameters.begin(), parameters.end(), [](const auto& named) {
    return named.first == "shared.weight";
  });
  if (shared == parameters.end()) {
    throw std::runtime_error("the model has no shared.weight: expected a T5");
  }
  if (!shared->second.requires_grad()) {
    throw std::runtime_error(
        "shared.weight has no gradient, as training of an adapter or of blocks leaves it: load the "
        "model again");
  }
  return shared->second;
}

}  // namespace

MeanLoss mean_loss(Model& model, const LabelledBatch& batch, LossOptions options,
                   int64_t logits_bytes) {
  options.scale = 1.0 / double(std::max<int64_t>(1, count_rows(batch, options)));
  const auto count = part_count(model, batch.labels.size(0));
  std::vector<Tensor> losses(count);
  in_parts(model, count, [&](int64_t i) {
    const at::NoGradGuard no_grad;
    losses[i] = loss_of(model, rows_of(batch, i, count), options, logits_bytes / count, {});
  });
  return {at::stack(losses).sum().item<double>(), count_labels(batch, options.ignore_index)};
}

Tensor word_gradient(Model& model, const LabelledBatch& batch, LossOptions options,
                     const Tensor& ids) {
  options.scale = 1.0 / double(std::max<int64_t>(1, count_rows(batch, options)));
  const auto& embedding = word_embedding(model);
  const auto loss = loss_of(model, batch, options, std::numeric_limits<int64_t>::max(), {});
  const auto gradient = torch::autograd::grad({loss}, {embedding}).front();
  const at::NoGradGuard no_grad;
  const auto rows = gradient.to(torch::kFloat).index_select(0, ids.to(gradient.device()));
  return at::matmul(rows, embedding.detach().to(torch::kFloat).t()).cpu().contiguous();
}

Trainer::Trainer(std::shared_ptr<Model> model, const AdamWOptions& options,
                 std::vector<bool> decays, BlockPlan plan, uint64_t seed)
    : model_(std::move(model)),
      options_(options),
      decays_(std::move(decays)),
      plan_(std::move(plan)),
      generator_(seeded_generator(model_->device(), seed)) {
  for (const auto& [name, tensor] : model_->trained()) trained_.push_back(tensor);
}

// The adapter is another than when the trainer was made.
void Trainer::check_trained() const {
  const auto same = [](const auto& named, const Tensor& kept) {
    return named.second.is_same(kept);
  };
  const auto& trained = model_->trained();
  if (std::equal(trained.begin(), trained.end(), trained_.begin(), trained_.end(), same)) return;
  throw std::runtime_error(
      "the model has got or lost an adapter since the trainer was made: make another trainer");
}

// Makes the block of a turn the one that changes. What there was of the block before is freed
// first.
void Trainer::activate(int64_t turn) {
  if (turn == turn_) return;
  turn_ = -1;
  for (auto* tensors : {&weights_, &means_, &squares_}) tensors->clear();
  versions_.clear();
  updates_ = 0;
  active_ = block_of(plan_, turn);
  check_room(bytes_beside(pick(trained_, active_)), model_->device(),
             "gradients and the moments of AdamW", less_than(plan_, !model_->adapter().empty()));
  const at::NoGradGuard no_grad;
  for (const size_t i : active_) {
    const auto& parameter = model_->trained()[i].second;
    weights_.push_back(parameter.detach().to(torch::kFloat));
    versions_.push_back(parameter._version());
    means_.push_back(at::zeros_like(weights_.back()));
    squares_.push_back(at::zeros_like(weights_.back()));
  }
  turn_ = turn;
}

// Another Trainer, or an adapter that became part of the weights, may have changed the model: then
// its weights count, not the float32 copies of what they were.
void Trainer::follow_model() {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < active_.size(); i++) {
    const auto& parameter = trained_[active_[i]];
    if (weights_[i].is_alias_of(parameter) || parameter._version() == versions_[i]) continue;
    weights_[i].copy_(parameter);
    versions_[i] = parameter._version();
  }
}

StepResult Trainer::step(const std::vector<LabelledBatch>& batches, const StepOptions& options,
                         const StopFlag& stop) {
  int64_t tokens = 0;
  for (const auto& batch : batches) tokens += count_labels(batch, options.loss.ignore_index);
  if (tokens == 0) throw std::runtime_error("labels are all -100: expected at least one to count");
  check_trained();
  activate(turn_of(plan_, steps_ + 1));
  follow_model();

  model_->recomputes = options.recompute;
  const auto drawn = generator_.get_state();
  try {
    const auto [loss, gradients] = gradients_of(batches, options.loss, options.logits_bytes, stop);
    const double norm = norm_of(gradients);
    check_finite(steps_ + 1, loss, norm);
    const double shrink = options.clip ? *options.clip / (norm + 1e-6) : 1;
    stop.check();
    update(gradients, std::min(shrink, 1.0), options.learning_rate);
    return {loss, norm, tokens};
  } catch (...) {
    generator_.set_state(drawn);
    throw;
  }
}

// The mean loss of all batches together and its gradient, float32, for each active parameter.
std::pair<double, Trainer::Tensors> Trainer::gradients_of(const std::vector<LabelledBatch>& batches,
                                                          LossOptions options, int64_t logits_bytes,
                                                          const StopFlag& stop) {
  // Another Trainer of this model may have left other parameters on.
  for (auto* tensors : {&model_->parameters(), &model_->adapter()}) {
    for (auto& [name, tensor] : *tensors) tensor.set_requires_grad(false);
  }
  Tensors parameters;
  for (const size_t i : active_) {
    parameters.push_back(model_->trained()[i].second.set_requires_grad(true));
  }
  int64_t rows = 0;
  for (const auto& batch : batches) rows += count_rows(batch, options);
  options.scale = 1.0 / double(rows);

  Tensors losses;
  Tensors sum;
  for (const auto& batch : batches) {
    const auto count = part_count(*model_, batch.labels.size(0));
    std::vector<Gradients> parts(count);
    const auto generators = generators_for(generator_, count);
    in_parts(*model_, count, [&](int64_t i) {
      parts[i] = gradients_in(*model_, rows_of(batch, i, count), options, logits_bytes / count,
                              parameters, generators[i], stop);
    });
    for (auto& part : parts) losses.push_back(part.loss);
    const size_t first = sum.empty();
    if (first) sum = std::move(parts[0].of_parameters);
    for_parameters([&](const Indices& some) {
      for (size_t i = first; i < parts.size(); i++) {
        at::_foreach_add_(pick(sum, some), pick(parts[i].of_parameters, some));
      }
    });
  }
  return {at::stack(losses).sum().item<double>(), std::move(sum)};
}

// Calls work with the places of some active parameters, until each has been among them: all at
// once, or for a small model a part on each thread.
void Trainer::for_parameters(const std::function<void(const Indices&)>& work) const {
  std::vector<Indices> parts(is_small(*model_) ? at::get_num_threads() : 1);
  int64_t before = 0, total = 0;
  for (const auto& weight : weights_) total += weight.numel();
  for (size_t i = 0; i < weights_.size(); i++) {
    parts[before * int64_t(parts.size()) / total].push_back(i);
    before += weights_[i].numel();
  }
  in_parts(*model_, int64_t(parts.size()), [&](int64_t i) {
    const at::NoGradGuard no_grad;
    if (!parts[i].empty()) work(parts[i]);
  });
}

// As torch.nn.utils.clip_grad_norm_ has it: the norm of the norms.
double Trainer::norm_of(const Tensors& gradients) const {
  Tensors norms(gradients.size());
  for_parameters([&](const Indices& some) {
    auto found = at::_foreach_norm(pick(gradients, some), 2);
    for (size_t i = 0; i < some.size(); i++) norms[some[i]] = std::move(found[i]);
  });
  return at::stack(norms).norm().item<double>();
}

void Trainer::update(const Tensors& gradients, double shrink, double learning_rate) {
  steps_++;
  updates_++;
  const auto count = at::full({}, double(updates_), weights_.front().options());
  for_parameters([&](const Indices& some) {
    if (shrink != 1) at::_foreach_mul_(pick(gradients, some), shrink);
    for (const bool decays : {true, false}) {
      Indices group;
      for (const size_t i : some) {
        if (decays_[active_[i]] == decays) group.push_back(i);
      }
      if (group.empty()) continue;
      at::_fused_adamw_(pick(weights_, group), pick(gradients, group), pick(means_, group),
                        pick(squares_, group), {}, Tensors(group.size(), count), learning_rate,
                        options_.beta1, options_.beta2, decays ? options_.weight_decay : 0,
                        options_.eps, false, false);
    }
    for (const size_t i : some) write_weight(i);
  });
}

// Rounds a float32 copy into the model.
void Trainer::write_weight(size_t i) {
  auto& parameter = trained_[active_[i]];
  if (!weights_[i].is_alias_of(parameter)) parameter.copy_(weights_[i]);
  versions_[i] = parameter._version();
}

}  // namespace dece
