// Runs loss_and_gradient_cuda, emulated, on what test/loss_cuda.test.ts writes to a file:
//
//   main IN OUT
//
// IN   float64: compute capability, rows, classes, dtype, in place, whether the gradient is
// computed
//      later from what the losses leave, then LossOptions in their order without what is per row or
//      table; the labels, the weights, upstream, the table behind its size; then the logits in
//      their dtype
// OUT  float64: clusters launched, the first row with a wrong label; float32: losses; then the
//      gradient in the logits' dtype, times 1 and 2 by multiply_cuda
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
  const bool in_place = *numbers++ != 0, later = *numbers++ != 0;
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
  const std::vector<float> upstream(numbers + 2 * rows, numbers + 3 * rows);
  numbers += 3 * rows;
  options.table_size = int64_t(*numbers++);
  const std::vector<double> table(numbers, numbers + 2 * options.table_size);
  options.table = table.data();
  int64_t bad_row = rows;
  options.weights = weights.data();
  options.upstream = upstream.data();
  options.bad_row = &bad_row;
  const size_t size = rows * classes * (dtype == dece::DType::float32 ? 4 : 2);

  // Device memory begins at multiples of 256 bytes.
  struct alignas(256) Line {
    char bytes[256];
  };
  std::vector<Line> logits((size + 255) / 256), other(logits.size());
  memcpy(logits.data(), numbers + table.size(), size);
  memset(other.data(), 0xff, size);
  auto& gradient = in_place ? logits : other;
  std::vector<float> losses(rows, NAN);
  std::vector<dece::RowState> states(rows);
  dece::loss_and_gradient_cuda(logits.data(), dtype, labels.data(), rows, classes, options,
                               losses.data(), later ? nullptr : gradient.data(), nullptr,
                               later ? states.data() : nullptr);
  if (later) {
    options.weights = nullptr;  // is in the states
    dece::gradient_cuda(logits.data(), dtype, labels.data(), rows, classes, options, states.data(),
                        gradient.data(), nullptr);
  }
  for (const double factor : {1.0, 2.0}) {
    dece::multiply_cuda(gradient.data(), dtype, rows * classes, &factor, nullptr);
  }

  std::ofstream out(arguments[2], std::ios::binary);
  const double found[] = {double(emulation::clusters_launched), double(bad_row)};
  out.write(reinterpret_cast<const char*>(found), sizeof found);
  out.write(reinterpret_cast<const char*>(losses.data()), std::streamsize(rows * sizeof(float)));
  out.write(reinterpret_cast<const char*>(gradient.data()), std::streamsize(size));
}
