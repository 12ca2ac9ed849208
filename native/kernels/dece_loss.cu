// The losses on a CUDA device: one block per row, the formulas of row.h.
//
// A row is read four times: for the largest logit, the exponentials' sum, the sums of the loss, and
// the gradient; after the first time it comes from the second-level cache. Rows of any width and
// alignment, compute capability 8.0 and later. Sums are made in one order, without atomics: the
// same call gives the same bits. Nothing here waits for the device.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "dece_loss.h"

namespace dece {
namespace {

__device__ inline float natural_log(float x) { return logf(x); }

}  // namespace
}  // namespace dece

// row.h calls natural_log of above
#include "row.h"

namespace dece {
namespace {

constexpr int threads = 512;
constexpr int warps = threads / 32;

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ inline float to_float(__half value) { return __half2float(value); }

template <typename Logit>
__device__ Logit from_float(float value);
template <>
__device__ float from_float<float>(float value) {
  return value;
}
template <>
__device__ __nv_bfloat16 from_float<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}
template <>
__device__ __half from_float<__half>(float value) {
  return __float2half_rn(value);
}

// Joins the values of all threads of the block, always in the same order, and gives every thread
// the result.
template <typename T, typename Join>
__device__ T block_reduce(T value, T start, Join join) {
  __shared__ T of_warp[warps];
  for (int offset = 16; offset > 0; offset /= 2) {
    value = join(value, __shfl_xor_sync(~0u, value, offset));
  }
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  T total = start;
  for (int warp = 0; warp < warps; warp++) total = join(total, of_warp[warp]);
  __syncthreads();  // of_warp is used again
  return total;
}

__device__ double block_sum(double value) {
  return block_reduce(value, 0.0, [](double a, double b) { return a + b; });
}

template <typename Logit>
__device__ Softmax softmax_of(const Plan& plan, const Logit* logits, int64_t label, float& max) {
  float most = -INFINITY;
  for (int64_t i = threadIdx.x; i < plan.classes; i += threads) {
    const float logit = to_float(logits[i]);
    most = logit > most ? logit : most;
  }
  max = block_reduce(most, -INFINITY, [](float a, float b) { return a > b ? a : b; });

  float others = 0, distances = 0;
  for (int64_t i = threadIdx.x; i < plan.classes; i += threads) {
    if (i == label) continue;
    const float distance = to_float(logits[i]) - max;
    others += expf(distance);
    distances += distance;
  }
  Softmax row{};
  row.distance = double(to_float(logits[label])) - max;
  row.label = exp(row.distance);
  row.others = block_sum(others);
  if (needs_distances(plan)) row.distances = block_sum(distances);
  return row;
}

// The exponentials of this thread's four classes of the group that starts at `begin`; 0 for the
// label and past the row's end.
template <typename Logit>
__device__ void load_group(const Logit* logits, int64_t begin, int64_t classes, int64_t label,
                           float max, float (&e)[4]) {
  for (int g = 0; g < 4; g++) {
    const int64_t i = begin + g * threads + threadIdx.x;
    e[g] = i < classes && i != label ? expf(to_float(logits[i]) - max) : 0.0f;
  }
}

template <typename Logit>
__device__ void fill(Logit* gradient, int64_t classes, float value) {
  for (int64_t i = threadIdx.x; i < classes; i += threads) {
    gradient[i] = from_float<Logit>(value);
  }
}

template <typename Logit, class Row>
__global__ __launch_bounds__(threads) void rows_kernel(Plan plan, const Logit* all_logits,
                                                       const int64_t* labels, float* losses,
                                                       Logit* all_gradients) {
  const int64_t classes = plan.classes, label = labels[blockIdx.x];
  const Logit* logits = all_logits + int64_t(blockIdx.x) * classes;
  Logit* gradient = all_gradients + int64_t(blockIdx.x) * classes;
  const bool first = threadIdx.x == 0;
  if (label == plan.ignore_index || label < 0 || label >= classes) {
    const float value = label == plan.ignore_index ? 0.0f : NAN;
    if (first) losses[blockIdx.x] = value;
    return fill(gradient, classes, value);
  }

  float max;
  const Softmax softmax = softmax_of(plan, logits, label, max);
  if (!isfinite(softmax.total())) {
    if (first) losses[blockIdx.x] = NAN;
    return fill(gradient, classes, NAN);
  }

  Row row(plan, softmax);
  constexpr int64_t group = 4 * threads;
  float e[4];
  if constexpr (Row::has_sums) {
    float weighted = 0, logs = 0;
    for (int64_t begin = 0; begin < classes; begin += group) {
      load_group(logits, begin, classes, label, max, e);
      row.add(e, weighted, logs);
    }
    Sums sums;
    sums.weighted = block_sum(weighted);
    sums.logs = block_sum(logs);
    sums.blanks = (classes + group - 1) / group * group - classes + 1;
    row.finish(plan, softmax, sums);
  }
  if (first) losses[blockIdx.x] = row.loss;

  // The gradient may be the logits: every thread has read what others will overwrite, since the
  // sums above waited for all.
  for (int64_t begin = 0; begin < classes; begin += group) {
    load_group(logits, begin, classes, label, max, e);
    float out[4];
    row.gradient(e, out);
    for (int g = 0; g < 4; g++) {
      const int64_t i = begin + g * threads + threadIdx.x;
      if (i < classes) gradient[i] = from_float<Logit>(i == label ? row.label_gradient : out[g]);
    }
  }
}

template <typename Logit>
void launch(const Plan& plan, const void* logits, const int64_t* labels, int64_t rows,
            float* losses, void* gradient, cudaStream_t stream) {
  const auto run = [&](auto kernel) {
    kernel<<<unsigned(rows), threads, 0, stream>>>(plan, static_cast<const Logit*>(logits), labels,
                                                   losses, static_cast<Logit*>(gradient));
  };
  const bool clamped = plan.floor > 0;
  switch (plan.form) {
    case Form::linear:
      return run(rows_kernel<Logit, Linear>);
    case Form::blend:
      return clamped ? run(rows_kernel<Logit, Blend<true, false>>)
                     : run(rows_kernel<Logit, Blend<false, false>>);
    case Form::blend_wide:
      return run(rows_kernel<Logit, Blend<false, true>>);
    case Form::trust:
      return clamped ? run(rows_kernel<Logit, Trust<true>>) : run(rows_kernel<Logit, Trust<false>>);
  }
}

}  // namespace

void loss_and_gradient_cuda(const void* logits, DType dtype, const int64_t* labels, int64_t rows,
                            int64_t classes, const LossOptions& options, float* losses,
                            void* gradient, void* stream) {
  if (rows == 0) return;
  if (rows > INT32_MAX) throw std::runtime_error("more than 2147483647 rows for one CUDA grid");
  const Plan plan = make_plan(options, classes);
  const auto queue = static_cast<cudaStream_t>(stream);
  switch (dtype) {
    case DType::float32:
      launch<float>(plan, logits, labels, rows, losses, gradient, queue);
      break;
    case DType::bfloat16:
      launch<__nv_bfloat16>(plan, logits, labels, rows, losses, gradient, queue);
      break;
    case DType::float16:
      launch<__half>(plan, logits, labels, rows, losses, gradient, queue);
      break;
  }
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string("the CUDA kernel of the loss was refused: ") +
                             cudaGetErrorString(error));
  }
}

}  // namespace dece
