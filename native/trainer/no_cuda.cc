// Linked where libtorch has no CUDA, in the place of loss_cuda.cc.
#include <stdexcept>

#include "loss.h"

namespace dece {

namespace {

[[noreturn]] void refuse() {
  throw std::runtime_error(
      "this libtorch was built without CUDA: use device \"cpu\", or set LIBTORCH to a CUDA build "
      "and run `npm run build`");
}

}  // namespace

bool built_with_cuda() { return false; }

void loss_and_gradient_of_cuda(const torch::Tensor&, DType, const torch::Tensor&,
                               const LossOptions&, torch::Tensor&, torch::Tensor&) {
  refuse();
}

void losses_and_states_of_cuda(const torch::Tensor&, DType, const torch::Tensor&,
                               const LossOptions&, torch::Tensor&, torch::Tensor&) {
  refuse();
}

void gradient_of_cuda(const torch::Tensor&, DType, const torch::Tensor&, const LossOptions&,
                      const torch::Tensor&, torch::Tensor&) {
  refuse();
}

void multiply_on_cuda(torch::Tensor&, DType, const torch::Tensor&) { refuse(); }

}  // namespace dece
