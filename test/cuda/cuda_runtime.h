// As much of CUDA as native/kernels/dece_loss.cu uses, on the CPU: the threads of a cluster of
// blocks take turns, and one that waits for others hands on. It shows that a kernel computes what
// it should and waits for what it needs, not that a GPU orders memory as it believes, nor how fast
// it is.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#define __device__
#define __host__
#define __global__
#define __launch_bounds__(...)

using std::isfinite;
using std::isnan;
using std::min;

struct uint4 {
  unsigned x, y, z, w;
};
struct float2 {
  float x, y;
};
struct double2 {
  double x, y;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace emulation {

struct Barrier {
  int expected = 0, arrived = 0, generation = 0;
};

struct Block {
  std::vector<char> shared = std::vector<char>(1 << 16);
  Barrier barrier;
  std::vector<Barrier> warps;
  std::vector<double> exchanged;  // by shuffles, a place for each thread
};

struct Thread {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 15);
  int index, block;
  int arrival;  // at the cluster's barrier
  bool ended = false;
};

// The cluster that runs now.
struct Cluster {
  std::vector<Block> blocks;
  std::vector<std::unique_ptr<Thread>> threads;
  Barrier barrier;
  unsigned first_block;
  std::function<void()> kernel;
  ucontext_t scheduler;
  Thread* current;
};
inline Cluster* cluster;
inline int compute_capability = 9;  // that the kernels were compiled for
inline int clusters_launched = 0;   // with cudaLaunchKernelEx

inline Block& block() { return cluster->blocks[cluster->current->block]; }
inline void hand_on() { swapcontext(&cluster->current->context, &cluster->scheduler); }

inline int arrive(Barrier& barrier) {
  const int generation = barrier.generation;
  if (++barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    barrier.generation++;
  }
  return generation;
}
inline void wait(const Barrier& barrier, int generation) {
  while (barrier.generation == generation) hand_on();
}
inline void sync(Barrier& barrier) { wait(barrier, arrive(barrier)); }

inline void run_thread() {
  cluster->kernel();
  cluster->current->ended = true;
  hand_on();
}

inline void launch(unsigned grid, unsigned block_size, unsigned cluster_size,
                   std::function<void()> kernel) {
  for (unsigned first = 0; first < grid; first += cluster_size) {
    Cluster own;
    cluster = &own;
    own.blocks.resize(cluster_size);
    own.first_block = first;
    own.kernel = kernel;
    own.barrier.expected = int(cluster_size * block_size);
    for (Block& block : own.blocks) {
      block.barrier.expected = int(block_size);
      block.warps.resize(block_size / 32, Barrier{32});
      block.exchanged.resize(block_size);
    }
    for (unsigned i = 0; i < cluster_size * block_size; i++) {
      auto thread = std::make_unique<Thread>();
      thread->index = int(i % block_size);
      thread->block = int(i / block_size);
      getcontext(&thread->context);
      thread->context.uc_stack.ss_sp = thread->stack.data();
      thread->context.uc_stack.ss_size = thread->stack.size();
      makecontext(&thread->context, run_thread, 0);
      own.threads.push_back(std::move(thread));
    }
    for (bool alive = true; alive;) {
      alive = false;
      for (const auto& thread : own.threads) {
        if (thread->ended) continue;
        alive = true;
        own.current = thread.get();
        swapcontext(&own.scheduler, &thread->context);
      }
    }
  }
}

// What `__shared__ T name` becomes; `place` tells the declarations of a kernel apart.
template <typename T>
T& shared(int place) {
  return *reinterpret_cast<T*>(&block().shared[place * 4096]);
}

struct Index {
  unsigned x;
};

}  // namespace emulation

#define threadIdx (emulation::Index{unsigned(emulation::cluster->current->index)})
#define blockIdx \
  (emulation::Index{emulation::cluster->first_block + unsigned(emulation::cluster->current->block)})

inline void __syncthreads() { emulation::sync(emulation::block().barrier); }
inline void __cluster_barrier_arrive_relaxed() {
  emulation::cluster->current->arrival = emulation::arrive(emulation::cluster->barrier);
}
inline void __cluster_barrier_wait() {
  emulation::wait(emulation::cluster->barrier, emulation::cluster->current->arrival);
}

template <typename T>
T __shfl_xor_sync(unsigned, T value, int offset) {
  auto& block = emulation::block();
  const int index = emulation::cluster->current->index;
  auto& warp = block.warps[index / 32];
  memcpy(&block.exchanged[index], &value, sizeof value);
  emulation::sync(warp);
  memcpy(&value, &block.exchanged[index ^ offset], sizeof value);
  emulation::sync(warp);
  return value;
}

inline void atomicMin(long long* place, long long value) { *place = min(*place, value); }
inline uint4 __ldcs(const uint4* from) { return *from; }
inline void __stcs(uint4* to, uint4 value) { *to = value; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return ""; }
inline cudaError_t cudaStreamCreate(cudaStream_t*) { return cudaSuccess; }
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

inline cudaError_t cudaMalloc(void** data, size_t bytes) {
  return *data = aligned_alloc(256, (bytes + 255) / 256 * 256), cudaSuccess;
}
inline cudaError_t cudaFree(void* data) { return free(data), cudaSuccess; }
enum { cudaMemcpyDefault, cudaMemcpyDeviceToDevice };
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, int) {
  return memcpy(to, from, bytes), cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, int, cudaStream_t) {
  return memcpy(to, from, bytes), cudaSuccess;
}
inline cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return memset(to, value, bytes), cudaSuccess;
}

// What a graph records is computed at once.
using cudaGraph_t = void*;
using cudaGraphExec_t = void*;
enum { cudaStreamCaptureModeThreadLocal };
inline cudaError_t cudaStreamBeginCapture(cudaStream_t, int) { return cudaSuccess; }
inline cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*) { return cudaSuccess; }
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t*, cudaGraph_t, int) { return cudaSuccess; }
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { return cudaSuccess; }
inline cudaError_t cudaGraphDestroy(cudaGraph_t) { return cudaSuccess; }

using cudaEvent_t = void*;
inline cudaError_t cudaEventCreate(cudaEvent_t*) { return cudaSuccess; }
inline cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) {
  return *ms = 1, cudaSuccess;
}

struct cudaFuncAttributes {
  int ptxVersion;
};
template <class Kernel>
void cudaFuncGetAttributes(cudaFuncAttributes* attributes, Kernel*) {
  attributes->ptxVersion = 10 * emulation::compute_capability;
}

enum { cudaLaunchAttributeClusterDimension };
struct cudaLaunchAttribute {
  int id;
  struct {
    dim3 clusterDim;
  } val;
};
struct cudaLaunchConfig_t {
  struct Size {
    unsigned x;
    Size& operator=(unsigned size) { return x = size, *this; }
  } gridDim, blockDim;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};
template <class... Parameters, class... Arguments>
void cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                        Arguments... arguments) {
  emulation::clusters_launched++;
  emulation::launch(config->gridDim.x, config->blockDim.x,
                    config->numAttrs > 0 ? config->attrs->val.clusterDim.x : 1,
                    [=] { kernel(arguments...); });
}
