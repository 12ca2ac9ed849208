#include "ops.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

// The same source for several instruction sets, chosen when the addon is loaded.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define DECE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DECE_CLONES
#endif

namespace dece {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

namespace {

// Independent partial sums, so that the compiler may use vectors without reordering any sum.
constexpr int64_t lanes = 16;
// Rows whose share in the weight's gradient is summed together: fixed, not by thread.
constexpr int64_t rows_per_block = 64;

float sum_of(const float (&partial)[lanes]) {
  float sum = 0;
  for (const float value : partial) sum += value;
  return sum;
}

// x [width] -> y [width]; the factor on x.
DECE_CLONES float norm_row(const float* x, const float* weight, int64_t width, double epsilon,
                           float* y) {
  float partial[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= width; i += lanes) {
    for (int64_t lane = 0; lane < lanes; lane++) partial[lane] += x[i + lane] * x[i + lane];
  }
  for (; i < width; i++) partial[0] += x[i] * x[i];
  const float scale = 1 / std::sqrt(sum_of(partial) / float(width) + float(epsilon));
  for (i = 0; i < width; i++) y[i] = weight[i] * (x[i] * scale);
  return scale;
}

// dy, x [width] -> dx [width]; adds to weight_gradient [width].
DECE_CLONES void norm_row_backward(const float* dy, const float* x, const float* weight,
                                   float scale, int64_t width, float* dx, float* weight_gradient) {
  float partial[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= width; i += lanes) {
    for (int64_t lane = 0; lane < lanes; lane++) {
      partial[lane] += dy[i + lane] * weight[i + lane] * x[i + lane];
    }
  }
  for (; i < width; i++) partial[0] += dy[i] * weight[i] * x[i];
  const float along = sum_of(partial) * scale * scale * scale / float(width);
  for (i = 0; i < width; i++) {
    weight_gradient[i] += dy[i] * x[i] * scale;
    dx[i] = dy[i] * weight[i] * scale - x[i] * along;
  }
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight,
                        double epsilon) {
    const auto x = input.contiguous();
    const auto width = x.size(-1), rows = x.numel() / width;
    auto y = at::empty_like(x);
    auto scales = at::empty({rows}, x.options());
    const float *from = x.const_data_ptr<float>(), *weights = weight.const_data_ptr<float>();
    float *to = y.mutable_data_ptr<float>(), *scale = scales.mutable_data_ptr<float>();
    at::parallel_for(0, rows, rows_per_block, [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        scale[row] = norm_row(from + row * width, weights, width, epsilon, to + row * width);
      }
    });
    context->save_for_backward({x, weight, scales});
    return y;
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &scales = saved[2];
    const auto dy = gradients[0].contiguous();
    const auto width = x.size(-1), rows = x.numel() / width;
    const auto blocks = (rows + rows_per_block - 1) / rows_per_block;
    auto dx = at::empty_like(x);
    auto shares = at::zeros({blocks, width}, x.options());
    const float *gradient = dy.const_data_ptr<float>(), *from = x.const_data_ptr<float>(),
                *weights = weight.const_data_ptr<float>(), *scale = scales.const_data_ptr<float>();
    float *to = dx.mutable_data_ptr<float>(), *share = shares.mutable_data_ptr<float>();
    at::parallel_for(0, blocks, 1, [=](int64_t begin, int64_t end) {
      for (int64_t row = begin * rows_per_block; row < std::min(rows, end * rows_per_block);
           row++) {
        norm_row_backward(gradient + row * width, from + row * width, weights, scale[row], width,
                          to + row * width, share + row / rows_per_block * width);
      }
    });
    return {dx, shares.sum(0), Tensor()};
  }
};

// Positions that share a key of the hash.
constexpr int64_t block_size = 1 << 14;

uint64_t scramble(uint64_t x) {  // the finaliser of SplitMix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// A uniform 32-bit number for each position; keep where it is below `threshold`.
template <typename Value>
DECE_CLONES void dropout_block(const Value* x, int64_t size, uint64_t key, uint32_t threshold,
                               float scale, Value* y) {
  const auto first = uint32_t(key), second = uint32_t(key >> 32);
  for (int64_t i = 0; i < size; i++) {
    uint32_t hash = uint32_t(i) * 0x9e3779b9U + first;
    hash = (hash ^ (hash >> 16)) * 0x7feb352dU;
    hash = ((hash ^ (hash >> 15)) + second) * 0x846ca68bU;
    hash ^= hash >> 16;
    y[i] = Value(float(x[i]) * (hash < threshold ? scale : 0.0f));
  }
}

template <typename Value>
void dropout_values(const Tensor& x, double rate, uint64_t seed, Tensor& y) {
  const auto* from = x.const_data_ptr<Value>();
  auto* to = y.mutable_data_ptr<Value>();
  const auto size = x.numel(), blocks = (size + block_size - 1) / block_size;
  const auto threshold = uint32_t(std::min((1 - rate) * 4294967296.0, 4294967295.0));
  const auto scale = float(1 / (1 - rate));
  at::parallel_for(0, blocks, 1, [=](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++) {
      const auto start = block * block_size;
      const auto key = scramble(seed + uint64_t(block) * 0x9e3779b97f4a7c15ULL);
      dropout_block(from + start, std::min(block_size, size - start), key, threshold, scale,
                    to + start);
    }
  });
}

Tensor dropout_cpu(const Tensor& input, double rate, uint64_t seed) {
  const auto x = input.contiguous();
  auto y = at::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES_AND(torch::kBFloat16, x.scalar_type(), "dropout",
                                 [&] { dropout_values<scalar_t>(x, rate, seed, y); });
  return y;
}

struct Dropout : torch::autograd::Function<Dropout> {
  static Tensor forward(AutogradContext* context, const Tensor& x, double rate, int64_t seed) {
    context->saved_data["rate"] = rate;
    context->saved_data["seed"] = seed;
    return dropout_cpu(x, rate, uint64_t(seed));
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const auto rate = context->saved_data["rate"].toDouble();
    const auto seed = uint64_t(context->saved_data["seed"].toInt());
    return {dropout_cpu(gradients[0], rate, seed), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon) {
  if (x.is_cpu() && x.scalar_type() == torch::kFloat) {
    return RmsNorm::apply(x, weight, epsilon);
  }
  const auto mean = x.to(torch::kFloat).square().mean(-1, true);
  return weight * (x * (mean + epsilon).rsqrt()).to(weight.scalar_type());
}

Tensor dropout(const Tensor& x, double rate, const Draws& draws) {
  if (!draws.on || rate == 0) return x;
  if (!x.is_cpu()) {
    return x * at::empty_like(x).bernoulli_(1 - rate, draws.generator).div_(1 - rate);
  }
  TORCH_CHECK(draws.generator.has_value(), "dropout: expected a generator");
  auto* source = at::check_generator<at::CPUGeneratorImpl>(draws.generator);
  const std::lock_guard lock(source->mutex_);
  return Dropout::apply(x, rate, int64_t(source->random64()));
}

}  // namespace dece
