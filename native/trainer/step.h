// A training step on a model: loss, gradients, clipping and AdamW, and what goes from step to step.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async.h"
#include "blocks.h"
#include "loss.h"
#include "model.h"

namespace dece {

// On the CPU, checked by the caller.
struct LabelledBatch {
  ModelInputs inputs;
  torch::Tensor labels;  // int64 [batch, length]: of the first `length` positions before the head
};

// As in torch.optim.AdamW: decay is decoupled from the gradient.
struct AdamWOptions {
  double weight_decay;
  double beta1, beta2;
  double eps;
};

struct StepOptions {
  LossOptions loss;  // without scale: the step's loss is a mean
  double learning_rate;
  std::optional<double> clip;  // highest norm of the gradient
  // What logits may take. Larger ones are never there as a whole: see linear_loss_sum.
  int64_t logits_bytes;
  bool recompute = false;  // blocks on the way back, instead of keeping their inside
};

struct StepResult {
  double loss;           // mean over the tokens of all batches
  double gradient_norm;  // over all parameters together, before clipping
  int64_t tokens;        // counted labels
};

struct MeanLoss {
  double loss;
  int64_t tokens;
};

// The loss without dropout and without gradients for the weights; 0 where no label counts.
MeanLoss mean_loss(Model& model, const LabelledBatch& batch, LossOptions options,
                   int64_t logits_bytes);

// How the mean loss, without dropout, would change with the share of each word at the places where
// the encoder reads ids[k], summed over them: [ids, vocabulary], float32. For a model whose head
// has weights of its own, and ids that the decoder does not read. Throws std::runtime_error where
// there is no shared.weight, or none with a gradient.
torch::Tensor word_gradient(Model& model, const LabelledBatch& batch, LossOptions options,
                            const torch::Tensor& ids);

// AdamW runs on float32 whatever the model's dtype is: a bfloat16 model gets float32 weights beside
// its own, and is their rounding after every step. A gradient of bfloat16 is widened as it comes,
// so that several batches add up in float32. What a plan of blocks leaves out has no gradient, and
// a block starts without moments.
class Trainer {
 public:
  // decays: for each tensor that is trained, whether weight decay is for it.
  Trainer(std::shared_ptr<Model> model, const AdamWOptions& options, std::vector<bool> decays,
          BlockPlan plan, uint64_t seed);

  // One update by the gradient of the mean over all counted labels of all batches. Throws Stopped,
  // or std::runtime_error where loss or gradient are not finite; nothing has changed then.
  StepResult step(const std::vector<LabelledBatch>& batches, const StepOptions& options,
                  const StopFlag& stop);

  // Everything that the next step depends on, the weights too, in one file that is replaced as a
  // whole or not at all. `note` is the caller's.
  void save(const std::string& path, const std::string& note);
  // Takes the state of such a file. Throws std::runtime_error where it is no checkpoint of a model
  // like this one; the model is as it was then.
  void restore(const std::string& path);

 private:
  using Indices = std::vector<size_t>;
  using Tensors = std::vector<torch::Tensor>;
  using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

  void check_trained() const;
  void activate(int64_t turn);
  void follow_model();
  std::pair<double, Tensors> gradients_of(const std::vector<LabelledBatch>& batches,
                                          LossOptions options, int64_t logits_bytes,
                                          const StopFlag& stop);
  void for_parameters(const std::function<void(const Indices&)>& work) const;
  double norm_of(const Tensors& gradients) const;
  void update(const Tensors& gradients, double shrink, double learning_rate);
  void write_weight(size_t i);
  NamedTensors state();
  const torch::Tensor& resting();

  std::shared_ptr<Model> model_;
  Tensors trained_;        // the model's as they were at the start: it may get another adapter
  torch::Tensor resting_;  // see resting(); undefined until a checkpoint needs it
  AdamWOptions options_;
  std::vector<bool> decays_;
  BlockPlan plan_;
  at::Generator generator_;  // of dropout
  int64_t steps_ = 0;
  int64_t turn_ = -1;    // whose block is active; -1: of none yet
  int64_t updates_ = 0;  // steps of this turn
  Indices active_;       // places of the parameters that change
  // Of each active parameter, float32.
  Tensors weights_;  // the parameter itself where it is float32
  Tensors means_;    // running mean of the gradient
  Tensors squares_;  // and of its square
  // libtorch's counter of changes to the parameter when its float32 copy was last the same.
  std::vector<uint32_t> versions_;
};

// What the caller of Trainer::save wrote into a file.
std::string read_note(const std::string& path);

}  // namespace dece
