// The losses on a CUDA device, compute capability 8.0 and later, with the formulas of row.h.
//
// held_kernel reads each logit once and writes its gradient once: the exponentials of a row wait in
// the registers of a block, or of a cluster of blocks that exchange what they sum up through each
// other's shared memory. It takes rows that begin at multiples of 16 bytes and fit.
//
// rows_kernel takes any row, one block for each. It reads a row four times: for the largest logit,
// the exponentials' sum, the sums of the loss, and the gradient; after the first time it comes from
// the second-level cache.
//
// gradient_kernel begins with what either has kept of each row: it reads each logit once and adds
// nothing up.
//
// Sums are made in one order, without atomics: the same call gives the same bits. Nothing here
// waits for the device.
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "dece_loss.h"

namespace dece {
namespace {

__device__ inline float natural_log(float x) { return logf(x); }
__device__ inline float loss_log(float x) { return __logf(x); }
__device__ inline float reciprocal(float x) { return __fdividef(1.0f, x); }

}  // namespace
}  // namespace dece

// row.h calls the functions above
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

// Where there is no gradient to write, it is null.
template <typename Logit>
__device__ Logit* row_at(Logit* all, int64_t place, int64_t classes) {
  return all == nullptr ? nullptr : all + place * classes;
}

template <typename Logit>
__device__ void fill(Logit* gradient, int64_t classes, float value) {
  for (int64_t i = threadIdx.x; gradient != nullptr && i < classes; i += threads) {
    gradient[i] = from_float<Logit>(value);
  }
}

// Whether the row has a loss; `value` is what loss and gradient are otherwise.
__device__ inline bool counts(const Plan& plan, int64_t place, int64_t label, float& value) {
  value = label == plan.ignore_index ? 0.0f : NAN;
  if (label >= 0 && label < plan.classes) return label != plan.ignore_index;
  if (label != plan.ignore_index && plan.bad_row != nullptr && threadIdx.x == 0) {
    atomicMin(reinterpret_cast<long long*>(plan.bad_row), static_cast<long long>(place));
  }
  return false;
}

// Group by group, each thread reads what it then writes: the gradient may be the logits.
template <typename Logit, class Row>
__device__ void write_gradient(const Row& row, const Logit* logits, int64_t classes, int64_t label,
                               float max, Logit* gradient) {
  constexpr int64_t group = 4 * threads;
  for (int64_t begin = 0; begin < classes; begin += group) {
    float e[4], out[4];
    load_group(logits, begin, classes, label, max, e);
    row.gradient(e, out);
    for (int g = 0; g < 4; g++) {
      const int64_t i = begin + g * threads + threadIdx.x;
      if (i < classes) gradient[i] = from_float<Logit>(i == label ? row.label_gradient : out[g]);
    }
  }
}

template <typename Logit, class Row>
__global__ __launch_bounds__(threads) void rows_kernel(Plan plan, const Logit* all_logits,
                                                       const int64_t* labels, float* losses,
                                                       Logit* all_gradients, RowState* states) {
  const int64_t place = blockIdx.x, classes = plan.classes, label = labels[place];
  const Logit* logits = all_logits + place * classes;
  Logit* gradient = row_at(all_gradients, place, classes);
  const bool first = threadIdx.x == 0;
  float value;
  if (!counts(plan, place, label, value)) {
    if (first) losses[place] = value;
    return fill(gradient, classes, value);
  }

  float max;
  const Softmax softmax = softmax_of(plan, logits, label, max);
  if (!isfinite(softmax.total())) {
    if (first) losses[place] = NAN;
    if (first && states != nullptr) states[place].max = NAN;
    return fill(gradient, classes, NAN);
  }

  Row row(plan, softmax);
  if constexpr (Row::has_sums) {
    constexpr int64_t group = 4 * threads;
    float e[4], weighted = 0, logs = 0;
    for (int64_t begin = 0; begin < classes; begin += group) {
      load_group(logits, begin, classes, label, max, e);
      row.add(e, weighted, logs);
    }
    Sums sums;
    sums.weighted = block_sum(weighted);
    sums.logs = block_sum(logs);
    sums.blanks = (classes + group - 1) / group * group - classes + 1;
    row.finish(plan, softmax, sums);
    if (first) row.finish_loss(plan, softmax, sums);
  }
  complete(plan, place, max, row, first ? states : nullptr);
  if (first) losses[place] = row.loss * weight_of(plan, place);
  // The sums above have waited for all who read the logits.
  if (gradient != nullptr) write_gradient(row, logits, classes, label, max, gradient);
}

// Rows that are held in registers. A block of `threads` has `vectors` vectors of 16 bytes in each.
template <int block_threads, int thread_elements>
struct Held {
  static constexpr int threads = block_threads;
  static constexpr int warps = threads / 32;
  static constexpr int elements = thread_elements;
  // Two blocks of 256 on a multiprocessor, or one of 512: while some wait for memory or for each
  // other, others compute. 128 registers a thread, which is what 40 exponentials leave without
  // spilling.
  static constexpr int blocks = 512 / threads;
};
using Narrow = Held<256, 32>;
using Wide = Held<512, 40>;
constexpr int most_blocks = 8;  // of a cluster, on every device that has clusters

// The exponentials of some logits, relative to the largest of them.
struct Part {
  float max = -INFINITY;
  double sum = 0;
  double distances = 0;  // sum of logit - reference; only where needs_distances
  int64_t count = 0;     // of the classes in distances
};

// What exponentials are relative to: where there is nothing but -infinity, they are all 0.
__device__ inline float reference_of(float max) { return max == -INFINITY ? 0.0f : max; }

// From exponentials relative to one maximum to those relative to a larger one.
__device__ inline float rescaling(float from, float to) {
  return from == to ? 1.0f : __expf(from - to);
}

template <typename T, typename Join>
__device__ T warp_reduce(T value, Join join) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value = join(value, __shfl_xor_sync(~0u, value, offset));
  }
  return value;
}

template <typename T>
__device__ T warp_sum(T value) {
  return warp_reduce(value, [](T a, T b) { return a + b; });
}

__device__ inline float warp_max(float value) {
  return warp_reduce(value, [](float a, float b) { return fmaxf(a, b); });
}

// Up to 32 parts as one, by all threads of a warp: in the same order each time.
__device__ inline Part join(const Part* parts, int count, bool with_distances) {
  const int lane = threadIdx.x % 32;
  Part part;
  if (lane < count) part = parts[lane];
  Part all;
  all.max = warp_max(part.max);
  all.sum = warp_sum(part.sum * rescaling(part.max, all.max));
  if (!with_distances) return all;
  const double shift = reference_of(part.max) - reference_of(all.max);
  all.distances = warp_sum(part.distances + double(part.count) * shift);
  all.count = warp_sum(part.count);
  return all;
}

// The blocks that hold one row together.
struct Cluster {
#if __CUDA_ARCH__ >= 900
  __device__ static unsigned size() { return cooperative_groups::this_cluster().num_blocks(); }
  __device__ static unsigned rank() { return cooperative_groups::this_cluster().block_rank(); }
  // Between the two lies a sync that shows nobody what was written before: it is to know that all
  // blocks run.
  __device__ static void arrive() { __cluster_barrier_arrive_relaxed(); }
  __device__ static void wait() { __cluster_barrier_wait(); }
  // What a thread has read and written is behind it for all who wait: a barrier that did so for
  // each thread would make each wait for its memory.
  __device__ static void publish() { asm volatile("fence.acq_rel.cluster;" ::: "memory"); }
  // Where block `rank` has what is at `here` in this one.
  template <typename T>
  __device__ static T* at(T* here, unsigned rank) {
    return cooperative_groups::this_cluster().map_shared_rank(here, rank);
  }
#else
  __device__ static unsigned size() { return 1; }
  __device__ static unsigned rank() { return 0; }
  __device__ static void arrive() {}
  __device__ static void wait() { __syncthreads(); }
  __device__ static void publish() {}
  template <typename T>
  __device__ static T* at(T* here, unsigned) {
    return here;
  }
#endif
};

template <typename Logit>
struct alignas(16) Vector {
  static constexpr int size = 16 / sizeof(Logit);
  Logit values[size];
};

// Nothing is read or written twice: past the caches.
template <typename Logit>
__device__ Vector<Logit> load_once(const Vector<Logit>* from) {
  const uint4 bits = __ldcs(reinterpret_cast<const uint4*>(from));
  Vector<Logit> vector;
  memcpy(&vector, &bits, sizeof vector);
  return vector;
}

template <typename Logit>
__device__ void store_once(Vector<Logit>* to, const Vector<Logit>& vector) {
  uint4 bits;
  memcpy(&bits, &vector, sizeof bits);
  __stcs(reinterpret_cast<uint4*>(to), bits);
}

template <typename Logit, class Row, class Shape>
__global__ __launch_bounds__(Shape::threads,
                             Shape::blocks) void held_kernel(Plan plan, const Logit* all_logits,
                                                             const int64_t* labels, float* losses,
                                                             Logit* all_gradients,
                                                             RowState* states) {
  using Vec = Vector<Logit>;
  constexpr int threads = Shape::threads, elements = Shape::elements;
  constexpr int vectors = elements / Vec::size;
  __shared__ Part of_warp[Shape::warps], of_block[most_blocks];
  __shared__ float2 sums_of_warp[Shape::warps];
  __shared__ double2 sums_of_block[most_blocks];
  __shared__ alignas(Row) unsigned char shared_row[sizeof(Row)];
  __shared__ Softmax softmax;

  const unsigned blocks = Cluster::size(), rank = Cluster::rank();
  const int64_t place = blockIdx.x / blocks, label = labels[place];
  const int64_t classes = plan.classes;
  const auto* logits = reinterpret_cast<const Vec*>(all_logits + place * classes);
  auto* gradient = reinterpret_cast<Vec*>(row_at(all_gradients, place, classes));
  const int tid = threadIdx.x, warp = tid / 32;
  // This block has vectors begin..end-1 of the row, this thread every `threads`-th of them.
  const int in_row = int(classes / Vec::size), slice = (in_row + blocks - 1) / blocks;
  const int begin = rank * slice, end = min(begin + slice, in_row), first = begin + tid;

  const auto fill_slice = [&](float value) {
    Vec same;
    for (Logit& one : same.values) one = from_float<Logit>(value);
    for (int i = first; gradient != nullptr && i < end; i += threads) {
      store_once(gradient + i, same);
    }
    if (tid == 0 && rank == 0) losses[place] = value;
  };
  float value;
  if (!counts(plan, place, label, value)) return fill_slice(value);

  // Before the first write into a block's memory it must have begun to run.
  Cluster::arrive();

  // The element of this thread that is the label's, or none.
  const int from_begin = int(label / Vec::size) - begin;
  const bool is_owner = from_begin >= 0 && from_begin % threads == tid && from_begin < end - begin;
  const int own = is_owner ? from_begin / threads * Vec::size + int(label % Vec::size) : -1;

  float e[elements];
#pragma unroll
  for (int v = 0; v < vectors; v++) {
    const int i = first + v * threads;
    if (i < end) {
      const Vec vector = load_once(logits + i);
#pragma unroll
      for (int k = 0; k < Vec::size; k++) e[v * Vec::size + k] = to_float(vector.values[k]);
    } else {
#pragma unroll
      for (int k = 0; k < Vec::size; k++) e[v * Vec::size + k] = -INFINITY;
    }
  }

  float most = -INFINITY;
#pragma unroll
  for (int i = 0; i < elements; i++) most = fmaxf(e[i], most);
  most = warp_max(most);
  const float reference = reference_of(most);
  float label_logit = 0;
  if (tid == 0) label_logit = to_float(all_logits[place * classes + label]);

  Part part;
  const bool with_distances = !Row::has_sums && needs_distances(plan);
  if (with_distances) {
    float distances = 0, count = 0;
#pragma unroll
    for (int i = 0; i < elements; i++) {
      if (first + i / Vec::size * threads >= end || i == own) continue;
      distances += e[i] - reference;
      count++;
    }
    part.distances = warp_sum(distances);
    part.count = int64_t(warp_sum(count));
  }
  if (is_owner) {
#pragma unroll
    for (int i = 0; i < elements; i++) e[i] = i == own ? -INFINITY : e[i];
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < elements; i++) {
    e[i] = __expf(e[i] - reference);
    sum += e[i];
  }
  part.max = most;
  part.sum = warp_sum(sum);
  if (tid % 32 == 0) of_warp[warp] = part;
  __syncthreads();
  Cluster::wait();
  if (warp == 0) {
    const Part own_part = join(of_warp, Shape::warps, with_distances);
    if (tid < blocks) {
      *Cluster::at(&of_block[rank], tid) = own_part;
      Cluster::publish();
    }
  }
  Cluster::arrive();
  Cluster::wait();

  // Everybody makes its exponentials relative to the row's largest logit, while the first thread
  // works out what they have in common.
  float max = -INFINITY;
  for (int i = 0; i < blocks; i++) max = fmaxf(of_block[i].max, max);
  if (warp == 0) {
    const Part all = join(of_block, blocks, with_distances);
    if (tid == 0) {
      softmax.distance = double(label_logit) - max;
      softmax.label = exp(softmax.distance);
      softmax.others = all.sum;
      softmax.distances = all.distances;
      auto* const row = new (shared_row) Row(plan, softmax);
      if constexpr (!Row::has_sums) complete(plan, place, max, *row, rank == 0 ? states : nullptr);
    }
  }
  const float factor = rescaling(most, of_block[rank].max) * rescaling(of_block[rank].max, max);
  if (factor != 1) {
#pragma unroll
    for (int i = 0; i < elements; i++) e[i] *= factor;
  }
  __syncthreads();
  if (!isfinite(softmax.total())) {
    if (tid == 0 && rank == 0 && states != nullptr) states[place].max = NAN;
    return fill_slice(NAN);
  }
  auto& common = *reinterpret_cast<Row*>(shared_row);
  const auto sums_of_row = [&] {
    Sums sums;
    for (int i = 0; i < blocks; i++) {
      sums.weighted += sums_of_block[i].x;
      sums.logs += sums_of_block[i].y;
    }
    sums.blanks = int64_t(blocks) * threads * elements - classes + 1;
    return sums;
  };

  if constexpr (Row::has_sums) {
    const Row row = common;
    float weighted = 0, logs = 0;
#pragma unroll
    for (int i = 0; i < elements; i += 4) {
      const float four[4] = {e[i], e[i + 1], e[i + 2], e[i + 3]};
      row.add(four, weighted, logs);
    }
    weighted = warp_sum(weighted);
    logs = warp_sum(logs);
    if (tid % 32 == 0) sums_of_warp[warp] = {weighted, logs};
    __syncthreads();
    if (tid < blocks) {
      double2 all{};
      for (int i = 0; i < Shape::warps; i++) {
        all.x += sums_of_warp[i].x;
        all.y += sums_of_warp[i].y;
      }
      *Cluster::at(&sums_of_block[rank], tid) = all;
      Cluster::publish();
    }
    Cluster::arrive();
    Cluster::wait();
    if (tid == 0) {
      common.finish(plan, softmax, sums_of_row());
      complete(plan, place, max, common, rank == 0 ? states : nullptr);
    }
    __syncthreads();
  }

  // The gradient may be the logits: they are in registers by now, of all blocks of the cluster.
  const Row row = common;
#pragma unroll
  for (int v = 0; v < vectors; v++) {
    const int i = first + v * threads;
    if (i >= end || gradient == nullptr) break;
    Vec vector;
#pragma unroll
    for (int k = 0; k < Vec::size; k += 4) {
      const float* own_e = e + v * Vec::size + k;
      const float four[4] = {own_e[0], own_e[1], own_e[2], own_e[3]};
      float out[4];
      row.gradient(four, out);
#pragma unroll
      for (int g = 0; g < 4; g++) vector.values[k + g] = from_float<Logit>(out[g]);
    }
    if (own / Vec::size == v && is_owner) {
#pragma unroll
      for (int k = 0; k < Vec::size; k++) {
        if (v * Vec::size + k == own) vector.values[k] = from_float<Logit>(row.label_gradient);
      }
    }
    store_once(gradient + i, vector);
  }
  // For the loss, which takes logarithms, nobody has waited.
  if (tid == 0 && rank == 0) {
    if constexpr (Row::has_sums) common.finish_loss(plan, softmax, sums_of_row());
    losses[place] = common.loss * weight_of(plan, place);
  }
}

// The gradient of rows whose losses left `states`; rows that are `aligned` are read and written in
// vectors.
template <typename Logit, class Row, bool aligned>
__global__ __launch_bounds__(threads, 3) void gradient_kernel(Plan plan, const Logit* all_logits,
                                                              const int64_t* labels,
                                                              const RowState* states,
                                                              Logit* all_gradients) {
  using Vec = Vector<Logit>;
  const int64_t place = blockIdx.x, classes = plan.classes, label = labels[place];
  const Logit* logits = all_logits + place * classes;
  Logit* gradient = all_gradients + place * classes;
  float value;
  if (!counts(plan, place, label, value)) return fill(gradient, classes, value);
  const float max = states[place].max;
  if (isnan(max)) return fill(gradient, classes, NAN);

  Row row = *reinterpret_cast<const Row*>(states[place].numbers);
  if (plan.upstream != nullptr) row.multiply_gradient(plan.upstream[place]);
  if constexpr (!aligned) return write_gradient(row, logits, classes, label, max, gradient);

  const int vectors = int(classes / Vec::size);
  const auto* const from = reinterpret_cast<const Vec*>(logits);
  // Two reads of each thread are on their way: the compiler must not move one before a write, which
  // may be in place.
  Vec vector, next;
  if (threadIdx.x < vectors) next = load_once(from + threadIdx.x);
  for (int i = threadIdx.x; i < vectors; i += threads) {
    vector = next;
    if (i + threads < vectors) next = load_once(from + i + threads);
    const int own = int(label - int64_t(i) * Vec::size);
#pragma unroll
    for (int k = 0; k < Vec::size; k += 4) {
      float e[4], out[4];
      for (int g = 0; g < 4; g++) e[g] = __expf(to_float(vector.values[k + g]) - max);
      row.gradient(e, out);
      for (int g = 0; g < 4; g++) {
        vector.values[k + g] = from_float<Logit>(k + g == own ? row.label_gradient : out[g]);
      }
    }
    store_once(reinterpret_cast<Vec*>(gradient) + i, vector);
  }
}

// A block's share: many values, so that a factor of 1 costs few blocks.
constexpr int64_t multiplied = 64 * threads;

template <typename Value>
__global__ void multiply_kernel(Value* values, int64_t count, const double* factor) {
  const float by = float(*factor);
  if (by == 1) return;
  const int64_t begin = blockIdx.x * multiplied;
  for (int64_t i = begin + threadIdx.x; i < begin + multiplied && i < count; i += threads) {
    values[i] = from_float<Value>(to_float(values[i]) * by);
  }
}

// How many blocks hold a row of so many classes between them, or 0 where they cannot: a power of
// two.
int blocks_for(int64_t classes, int64_t of_block, int most) {
  for (int blocks = 1; blocks <= most; blocks *= 2) {
    if (classes <= blocks * of_block) return blocks;
  }
  return 0;
}

// Whether what the current device runs of a kernel was compiled for clusters: code for an older
// device, which the driver has only translated, takes every block for a row of its own.
template <class Kernel>
bool has_clusters(Kernel* kernel) {
  cudaFuncAttributes attributes{};
  cudaFuncGetAttributes(&attributes, kernel);
  return attributes.ptxVersion >= 90;
}

// A call, as the kernels take it.
template <typename Logit>
struct Call {
  const Plan& plan;
  const Logit* logits;
  const int64_t* labels;
  int64_t rows;
  float* losses;
  Logit* gradient;
  RowState* states;  // out, or with `from_states` in
  bool from_states;
  cudaStream_t stream;

  template <class Row>
  void run() const {
    const bool aligned = (uintptr_t(logits) | uintptr_t(gradient)) % 16 == 0 &&
                         plan.classes * sizeof(Logit) % 16 == 0;
    if (from_states) return aligned ? grade<Row, true>() : grade<Row, false>();
    if (aligned && (hold<Row, Narrow>() || hold<Row, Wide>())) return;
    rows_kernel<Logit, Row>
        <<<unsigned(rows), threads, 0, stream>>>(plan, logits, labels, losses, gradient, states);
  }

 private:
  template <class Row, bool aligned>
  void grade() const {
    gradient_kernel<Logit, Row, aligned>
        <<<unsigned(rows), threads, 0, stream>>>(plan, logits, labels, states, gradient);
  }

  template <class Row, class Shape>
  bool hold() const {
    auto* const kernel = held_kernel<Logit, Row, Shape>;
    const int blocks = blocks_for(plan.classes, Shape::threads * Shape::elements,
                                  has_clusters(kernel) ? most_blocks : 1);
    if (blocks == 0 || rows > INT32_MAX / blocks) return false;
    cudaLaunchAttribute cluster;
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim = {unsigned(blocks), 1, 1};
    cudaLaunchConfig_t config{};
    config.gridDim = unsigned(rows * blocks);
    config.blockDim = Shape::threads;
    config.stream = stream;
    config.attrs = &cluster;
    config.numAttrs = blocks > 1;
    cudaLaunchKernelEx(&config, kernel, plan, logits, labels, losses, gradient, states);
    return true;
  }
};

template <typename Logit>
void launch(const Call<Logit>& call) {
  const bool clamped = call.plan.floor > 0;
  switch (call.plan.form) {
    case Form::linear:
      return call.template run<Linear>();
    case Form::blend:
      return clamped ? call.template run<Blend<true, false>>()
                     : call.template run<Blend<false, false>>();
    case Form::blend_wide:
      return call.template run<Blend<false, true>>();
    case Form::trust:
      return clamped ? call.template run<Trust<true>>() : call.template run<Trust<false>>();
  }
}

// Calls work(pointer): null, of the type that `dtype` stands for.
template <class Work>
void with_type(DType dtype, const Work& work) {
  switch (dtype) {
    case DType::float32:
      return work(static_cast<float*>(nullptr));
    case DType::bfloat16:
      return work(static_cast<__nv_bfloat16*>(nullptr));
    case DType::float16:
      return work(static_cast<__half*>(nullptr));
  }
}

void check_launch() {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("the CUDA kernel of the loss was refused: ") +
                           cudaGetErrorString(error));
}

// Both entry points: `losses` is null in the one that begins with states.
void queue_rows(const void* logits, DType dtype, const int64_t* labels, int64_t rows,
                int64_t classes, const LossOptions& options, float* losses, void* gradient,
                RowState* states, void* stream) {
  if (rows == 0) return;
  if (rows > INT32_MAX) throw std::runtime_error("more than 2147483647 rows for one CUDA grid");
  const Plan plan = make_plan(options, classes);
  with_type(dtype, [&](auto* type) {
    using Logit = std::remove_pointer_t<decltype(type)>;
    launch<Logit>({plan, static_cast<const Logit*>(logits), labels, rows, losses,
                   static_cast<Logit*>(gradient), states, losses == nullptr,
                   static_cast<cudaStream_t>(stream)});
  });
  check_launch();
}

}  // namespace

void loss_and_gradient_cuda(const void* logits, DType dtype, const int64_t* labels, int64_t rows,
                            int64_t classes, const LossOptions& options, float* losses,
                            void* gradient, void* stream, RowState* states) {
  queue_rows(logits, dtype, labels, rows, classes, options, losses, gradient, states, stream);
}

void gradient_cuda(const void* logits, DType dtype, const int64_t* labels, int64_t rows,
                   int64_t classes, const LossOptions& options, const RowState* states,
                   void* gradient, void* stream) {
  queue_rows(logits, dtype, labels, rows, classes, options, nullptr, gradient,
             const_cast<RowState*>(states), stream);
}

void multiply_cuda(void* values, DType dtype, int64_t count, const double* factor, void* stream) {
  if (count == 0) return;
  const auto blocks = unsigned((count + multiplied - 1) / multiplied);
  const auto queue = static_cast<cudaStream_t>(stream);
  with_type(dtype, [&](auto* type) {
    using Value = std::remove_pointer_t<decltype(type)>;
    multiply_kernel<Value>
        <<<blocks, threads, 0, queue>>>(static_cast<Value*>(values), count, factor);
  });
  check_launch();
}

}  // namespace dece
