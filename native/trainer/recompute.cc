#include "recompute.h"

#include <torch/autograd.h>

#include <algorithm>
#include <utility>

namespace dece {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

namespace {

// What the second run needs besides tensors.
struct Again : torch::CustomClassHolder {
  Again(Block block, Draws draws, size_t inputs)
      : block(std::move(block)), draws(std::move(draws)), inputs(inputs) {}
  Block block;
  Draws draws;
  size_t inputs;
};

bool learns(const Tensor& tensor) { return tensor.requires_grad(); }

// The tensors without what made them, needing a gradient as before.
std::vector<Tensor> cut_off(at::TensorList tensors) {
  std::vector<Tensor> leaves;
  for (const auto& tensor : tensors) {
    leaves.push_back(tensor.detach().set_requires_grad(learns(tensor)));
  }
  return leaves;
}

struct Recomputed : torch::autograd::Function<Recomputed> {
  // tensors: inputs, then weights
  static Tensor forward(AutogradContext* context, const c10::intrusive_ptr<Again>& again,
                        const Draws& draws, at::TensorList tensors) {
    context->save_for_backward(tensors.vec());
    context->saved_data["again"] = c10::IValue::make_capsule(again);
    // With gradients on, as the second time: which kernel is taken depends on it.
    const at::AutoGradMode on(true);
    return again->block(cut_off(tensors.slice(0, again->inputs)), draws).detach();
  }

  static tensor_list backward(AutogradContext* context, tensor_list upstream) {
    const auto again =
        c10::static_intrusive_pointer_cast<Again>(context->saved_data["again"].toCapsule());
    const auto saved = context->get_saved_variables();
    auto leaves = cut_off(at::TensorList(saved).slice(0, again->inputs));
    Tensor output;
    {
      const at::AutoGradMode on(true);
      output = again->block(leaves, again->draws);
    }
    leaves.insert(leaves.end(), saved.begin() + int64_t(again->inputs), saved.end());
    std::vector<Tensor> wanted;
    std::copy_if(leaves.begin(), leaves.end(), std::back_inserter(wanted), learns);
    const auto found = torch::autograd::grad({output}, wanted, upstream, std::nullopt, false, true);
    tensor_list gradients(2);  // of what is no tensor
    size_t next = 0;
    for (const auto& leaf : leaves) gradients.push_back(learns(leaf) ? found[next++] : Tensor());
    return gradients;
  }
};

}  // namespace

Tensor recomputed(const Block& block, const std::vector<Tensor>& inputs,
                  const std::vector<Tensor>& weights, const Draws& draws) {
  // Autograd wants none that is undefined.
  std::vector<Tensor> tensors;
  std::copy_if(inputs.begin(), inputs.end(), std::back_inserter(tensors),
               [](const Tensor& input) { return input.defined(); });
  const auto count = tensors.size();
  tensors.insert(tensors.end(), weights.begin(), weights.end());
  if (!at::GradMode::is_enabled() || !std::any_of(tensors.begin(), tensors.end(), learns)) {
    return block(inputs, draws);
  }
  auto later = draws;
  if (draws.generator) later.generator = draws.generator->clone();
  std::vector<bool> defined;
  for (const auto& input : inputs) defined.push_back(input.defined());
  const auto again = c10::make_intrusive<Again>(
      [block, defined](const std::vector<Tensor>& given, const Draws& own) {
        std::vector<Tensor> all;
        size_t next = 0;
        for (const bool is : defined) all.push_back(is ? given[next++] : Tensor());
        return block(all, own);
      },
      std::move(later), count);
  return Recomputed::apply(again, draws, at::TensorList(tensors));
}

}  // namespace dece
