// Runs loss_and_gradient_cuda, emulated, on what test/loss_cuda.test.ts writes to a file:
//
//   main IN OUT
//
// IN   float64: compute capability, rows, classes, dtype, in place, then LossOptions in their order
//      without ignore_index, scale and pointers, the labels, the weights; then the logits in their
//      dtype
// OUT  float64: clusters launched; float32: losses; then the gradient in the logits' dtype
#include <fstream>
#include <iterator>
#include <vector>

#include "cuda_runtime.h"
#include "dece_loss.h"

int main(int, char** arguments) {
  std::ifstream in(arguments[1], std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  const auto* numbers = reinterpret_cast<const double*>(bytes.data());
  emulation::compute_capability = int(*numbers++);
  const auto rows = int64_t(*numbers++), classes = int64_t(*numbers++);
  const auto dtype = dece::DType(int(*numbers++));
  const bool in_place = *numbers++ != 0;
  dece::LossOptions options;
  options.loss = dece::Loss(int(*numbers++));
  options.reference = *numbers++ != 0;
  options.alpha = *numbers++;
  options.one_minus_alpha = *numbers++;
  options.beta = *numbers++;
  options.delta = *numbers++;
  options.q = *numbers++;
  options.label_smoothing = *numbers++;
  const std::vector<int64_t> labels(numbers, numbers + rows);
  const std::vector<float> weights(numbers + rows, numbers + 2 * rows);
  options.weights = weights.data();
  const size_t size = rows * classes * (dtype == dece::DType::float32 ? 4 : 2);

  // Device memory begins at multiples of 256 bytes.
  struct alignas(256) Line {
    char bytes[256];
  };
  std::vector<Line> logits((size + 255) / 256), other(logits.size());
  memcpy(logits.data(), numbers + 2 * rows, size);
  memset(other.data(), 0xff, size);
  auto& gradient = in_place ? logits : other;
  std::vector<float> losses(rows, NAN);
  dece::loss_and_gradient_cuda(logits.data(), dtype, labels.data(), rows, classes, options,
                               losses.data(), gradient.data(), nullptr);

  std::ofstream out(arguments[2], std::ios::binary);
  const double launched = emulation::clusters_launched;
  out.write(reinterpret_cast<const char*>(&launched), sizeof launched);
  out.write(reinterpret_cast<const char*>(losses.data()), std::streamsize(rows * sizeof(float)));
  out.write(reinterpret_cast<const char*>(gradient.data()), std::streamsize(size));
}
