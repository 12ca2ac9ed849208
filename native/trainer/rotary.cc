#include "rotary.h"

#include <cmath>
#include <stdexcept>

namespace dece {

using torch::Tensor;

namespace {

// In float32 and in this order, as transformers computes them.
Tensor frequencies_of(double theta, int64_t width) {
  const auto exponents = at::arange(0, width, 2, torch::kLong).to(torch::kFloat) / double(width);
  return 1.0 / at::pow(theta, exponents);
}

// Long waves are stretched by the factor, short ones are not, those between in part.
Tensor llama3_frequencies(const RotaryConfig& config) {
  const auto plain = frequencies_of(config.theta, config.width);
  const auto length = double(config.original_length);
  const auto wave = 2 * M_PI / plain;
  const auto stretched =
      at::where(wave > length / config.low_frequency, plain / config.factor, plain);
  const auto share =
      (length / wave - config.low_frequency) / (config.high_frequency - config.low_frequency);
  const auto between = (1 - share) * stretched / config.factor + share * stretched;
  const auto is_between =
      (wave >= length / config.high_frequency).logical_and(wave <= length / config.low_frequency);
  return at::where(is_between, between, stretched);
}

// longest: how many positions there are now.
Tensor frequencies(const RotaryConfig& config, int64_t longest) {
  if (config.scaling == "llama3") return llama3_frequencies(config);
  if (config.scaling == "dynamic" && longest > config.original_length) {
    const auto stretch =
        config.factor * double(longest) / double(config.original_length) - (config.factor - 1);
    const auto power = double(config.width) / double(config.width - 2);
    return frequencies_of(config.theta * std::pow(stretch, power), config.width);
  }
  const auto plain = frequencies_of(config.theta, config.width);
  return config.scaling == "linear" ? plain / config.factor : plain;
}

}  // namespace

Rotation rotation_at(const RotaryConfig& config, const Tensor& positions, torch::Device device) {
  const auto longest = config.scaling == "dynamic" ? positions.max().item<int64_t>() + 1 : 0;
  const auto angles = positions.to(torch::kFloat).unsqueeze(-1) * frequencies(config, longest);
  // A factor for each number of a head: the first of a pair takes less of the second.
  const auto join = [&](const Tensor& first, const Tensor& second) {
    const auto both = config.interleaved ? at::stack({first, second}, -1).flatten(-2)
                                         : at::cat({first, second}, -1);
    return both.unsqueeze(1).to(device);
  };
  const auto cosines = angles.cos(), sines = angles.sin();
  return {join(cosines, cosines), join(-sines, sines), config.interleaved};
}

Tensor rotate(const Tensor& x, const Rotation& rotation) {
  if (!rotation.cosines.defined()) return x;
  const auto& [cosines, sines, interleaved] = rotation;
  const auto width = cosines.size(-1);
  const auto turned = x.narrow(-1, 0, width);
  const auto others =
      interleaved ? turned.unflatten(-1, {-1, 2}).flip(-1).flatten(-2) : turned.roll(width / 2, -1);
  const auto both = at::addcmul(turned * cosines, others, sines).to(x.scalar_type());
  if (width == x.size(-1)) return both;
  return at::cat({both, x.narrow(-1, width, x.size(-1) - width)}, -1);
}

}  // namespace dece
