// Rotary position embeddings (Su et al., 2021, https://arxiv.org/abs/2104.09864) with the scalings
// that transformers knows for the models of the study.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

namespace dece {

struct RotaryConfig {
  int64_t width;            // numbers of a head that are turned, from the first on; 0: none
  bool interleaved;         // pairs are (0, 1), (2, 3), ...; else (0, width / 2), (1, ...), ...
  double theta;             // the longest wave is about 2 pi theta positions long
  std::string scaling;      // default, linear, dynamic (NTK) or llama3
  double factor;            // how much longer texts are than those of the first training
  double low_frequency;     // of llama3: waves above original_length / low_frequency are stretched
  double high_frequency;    // of llama3: waves below original_length / high_frequency are not
  int64_t original_length;  // of the first training's texts
};

// How far each position turns each number of a pair: x cosine + (the other of the pair) sine.
struct Rotation {
  torch::Tensor cosines, sines;  // float32 [batch or 1, 1, length, width]; undefined: nothing
  bool interleaved = false;
};

// positions  int64 [batch or 1, length], on the CPU
Rotation rotation_at(const RotaryConfig& config, const torch::Tensor& positions,
                     torch::Device device);

// x [batch, heads, length, head width], its first numbers turned.
torch::Tensor rotate(const torch::Tensor& x, const Rotation& rotation);

}  // namespace dece
