// Computes one loss with its gradient, for loss_instructions.test.ts to count instructions:
//
//     main dece|ce|gce float32|bfloat16 rows classes
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cpu_rows.h"
#include "dece_loss.h"

namespace dece {

// valgrind knows no AVX-512; the other two are not linked, as they are never chosen.
void rows_avx512(const Plan&, DType, const void*, const int64_t*, int64_t, int64_t, float*, void*,
                 float*) {
  std::abort();
}
void rows_portable(const Plan&, DType, const void*, const int64_t*, int64_t, int64_t, float*, void*,
                   float*) {
  std::abort();
}

}  // namespace dece

int main(int, char** arguments) {
  const bool whole = std::strcmp(arguments[2], "float32") == 0;
  const int64_t rows = std::atoll(arguments[3]), classes = std::atoll(arguments[4]);
  dece::LossOptions options;
  options.loss = dece::Loss::cross_entropy;
  if (std::strcmp(arguments[1], "gce") == 0) {
    options.loss = dece::Loss::gce;
    options.q = 0.7;
  }
  if (std::strcmp(arguments[1], "dece") == 0) {
    options.loss = dece::Loss::dece;
    options.alpha = 0.8;
    options.one_minus_alpha = 0.2;
    options.label_smoothing = 0.05;
  }
  // Zeros in either type: what is counted does not depend on the numbers.
  auto* const logits = static_cast<float*>(std::calloc(rows * classes, sizeof(float)));
  std::vector<float> losses(rows);
  const std::vector<int64_t> labels(rows, 1);
  const auto type = whole ? dece::DType::float32 : dece::DType::bfloat16;
  dece::loss_and_gradient_cpu(logits, type, labels.data(), rows, classes, options,
                              losses.data(), logits, 1);
  return losses[0] > 0 ? 0 : 1;
}
