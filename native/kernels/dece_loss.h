// The losses of the study, forward and backward in one call.
//
//   p  = softmax(logits)
//   y' = the smoothed label: 1 - s for the label itself, s spread over the classes
//
//   dece           -sum_i y'_i log(alpha p_i + (1 - alpha) y'_i)
//   cross_entropy  -sum_i y'_i log p_i
//   gce            (1 - p_label^q) / q
//   in_trust       -alpha log p_label - beta sum_i p_i log(delta p_i + (1 - delta) y_i),  y_i >=
//   1e-4
//   custom         whatever has the gradient weight(p_label) (p - y), by a table of the weight
//
// Yang et al., 2024, https://arxiv.org/abs/2407.08956 (DeCE); Zhang and Sabuncu, 2018,
// https://arxiv.org/abs/1805.07836 (GCE); Huang et al., 2021 (In-trust). How the gradients are
// computed is told in row.h. Arithmetic is in float and double whatever the logits are: a bfloat16
// sum over 50k classes loses the tail.
#pragma once

#include <atomic>
#include <cstdint>

namespace dece {

enum class Loss : int32_t { dece, cross_entropy, gce, in_trust, custom };
enum class DType : int32_t { float32, bfloat16, float16 };

struct LossOptions {
  Loss loss = Loss::dece;
  // As the authors' code: smoothing is spread over the other classes only, and a probability below
  // 1e-7 counts as 1e-7 and has no gradient (dece, gce, in_trust).
  bool reference = false;
  double alpha = 1;            // dece: alphaBase ** epoch; in_trust: weight of cross-entropy
  double one_minus_alpha = 0;  // dece: 1 - alpha, accurately: -expm1(epoch * log(alphaBase))
  double beta = 0, delta = 0;  // in_trust
  double q = 0;                // gce, in (0, 1]
  double label_smoothing = 0;  // dece, cross_entropy, in [0, 1)
  // custom: [table_size, 2], weight and loss at the surprises -log p_label = i / (table_size - i);
  // in the memory of the logits' device. Between them the weight is linear in the surprise.
  const double* table = nullptr;
  int64_t table_size = 0;       // at least 2
  int64_t ignore_index = -100;  // rows with this label have zero loss and zero gradient
  double scale = 1;             // factor on the gradient only: 1 for a sum, 1 / rows for a mean
  // [rows], or null for ones: a factor on the loss and on the gradient of each row
  const float* weights = nullptr;
  // [rows], or null for ones: a factor on the gradient alone, of what is made of the row's loss
  const float* upstream = nullptr;
  // On a CUDA device, or null: becomes the first row whose label is out of range, where it is less
  // than what is there. To be read whenever the caller waits for the device anyway.
  int64_t* bad_row = nullptr;
};

// What of a row outlasts its loss, so that its gradient needs neither maximum nor sums again.
struct RowState {
  float max;         // of the logits; NaN where loss and gradient are
  float numbers[9];  // of the formula, for row.h
};

// logits    [rows, classes]  row-major
// labels    [rows]           0..classes-1 or ignore_index; the caller has checked
// losses    [rows]           out
// gradient  [rows, classes]  out, of the logits' type: scale * d(sum of losses) / d(logits);
//                            may be logits itself, but must not overlap it otherwise; null for
//                            the losses alone
//
// A row with a NaN, with +infinity or with nothing but -infinity has loss and gradient NaN; a class
// at -infinity has probability 0. The results have the same bits for every number of threads (0:
// one for each core), in place or not. A little after `stop` turns true the rows not begun are left
// as they are.
void loss_and_gradient_cpu(const void* logits, DType dtype, const int64_t* labels, int64_t rows,
                           int64_t classes, const LossOptions& options, float* losses,
                           void* gradient, int threads, const std::atomic<bool>* stop = nullptr);

// The same for device memory, queued on `stream` (a cudaStream_t) without waiting for it. A label
// out of range gives a row of NaN. Throws std::runtime_error when CUDA refuses the launch.
//
// states  [rows]  out, or null: for gradient_cuda; of the weighted loss, before `upstream`
void loss_and_gradient_cuda(const void* logits, DType dtype, const int64_t* labels, int64_t rows,
                            int64_t classes, const LossOptions& options, float* losses,
                            void* gradient, void* stream, RowState* states = nullptr);

// The gradient of the losses that left `states`, times options.upstream; the other options are
// those of then. Each logit is read once and each gradient written once, which may be in its place.
void gradient_cuda(const void* logits, DType dtype, const int64_t* labels, int64_t rows,
                   int64_t classes, const LossOptions& options, const RowState* states,
                   void* gradient, void* stream);

// Multiplies `count` values by a factor that is in device memory too; by 1 in no time.
void multiply_cuda(void* values, DType dtype, int64_t count, const double* factor, void* stream);

// The instruction set that the CPU code runs on: "avx512", "avx2" or "portable". The best that the
// processor has, unless the environment variable DECE_ISA names a lesser one.
const char* cpu_isa();

}  // namespace dece
