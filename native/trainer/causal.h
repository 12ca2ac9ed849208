// Decoder-only transformers as transformers computes them: GPT-2, CodeGen, LLaMA and GLM. They are
// one architecture with different parts, which CausalConfig names; weights keep the names and
// shapes of their files.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model.h"
#include "rotary.h"

namespace dece {

// How the products of query, key and value lie in a file.
enum class QkvLayout {
  separate,  // three weights
  fused,     // one, the parts side by side
  codegen,   // one, in four groups of heads, in each query, value and key side by side
};

// Of the feed-forward layer.
enum class GateLayout {
  none,      // down(activation(up(x)))
  separate,  // down(activation(gate(x)) * up(x))
  fused,     // the same, gate and up in one weight, the gate first
};

// lib/model/causal_config.ts has read a config.json and checked what it means.
struct CausalConfig {
  int64_t vocab_size, width, layers, heads, key_value_heads, head_width, inner_width;
  bool rms_norm;
  double norm_epsilon;
  std::string activation;  // as activate() knows it
  int64_t positions;       // that have a learnt vector; 0: none, see rotary
  RotaryConfig rotary;
  bool parallel;    // attention and feed-forward read the same norm
  bool transposed;  // weights within blocks are [in, out]
  QkvLayout qkv;
  GateLayout gate;
  bool qkv_bias, out_bias, feed_forward_bias, head_bias;
  bool tie_word_embeddings;
  double embedding_dropout, attention_dropout, residual_dropout;
  double initializer_range;
  bool smaller_outputs;   // GPT-2's start: what adds to the residual is 1 / sqrt(2 layers) of it
  int64_t padding_index;  // of the embedding, whose gradient leaves that row out; -1: none
  // What weights are called, without .weight and .bias: embedding, positions, final_norm, head; and
  // behind `blocks`, the number and a dot: norm1, norm2, qkv or q, k and v, out, gate, up, down.
  std::map<std::string, std::string> names;
  FileNames files;
};

struct CausalBlock {
  std::string name;  // what those of its weights begin with
  LayerNorm norm1, norm2;
  Linear q, k, v;  // q is all three where the layout is not separate
  Linear out;
  Linear gate, up, down;  // up is both where the gate is fused
};

class Causal : public Model {
 public:
  Causal(const CausalConfig& config, torch::Device device, torch::Dtype dtype);

  torch::Tensor before_head(const ModelInputs& inputs, const Draws& draws) const override;
  const Linear& head() const override { return head_; }
  torch::Tensor hidden_states(const ModelInputs& inputs, int64_t layer) const override;
  std::unique_ptr<Decoder> decoder(const ModelInputs& inputs, int64_t beams,
                                   int64_t longest) const override;
  Labels labels() const override { return Labels::next_ids; }
  int64_t vocab_size() const override { return config_.vocab_size; }

 private:
  friend class CausalDecoder;

  CausalBlock make_block(int64_t index);
  Linear make_linear(const std::string& name, int64_t out, int64_t in, bool bias, double deviation);
  LayerNorm make_norm(const std::string& name);
  // ids [batch, length], positions [batch or 1, length], both on the CPU
  torch::Tensor embed(const torch::Tensor& ids, const torch::Tensor& positions) const;
  Rotation rotation(const torch::Tensor& positions) const;
  // What a block makes of hidden; `cache` keeps keys and values, or is null.
  torch::Tensor run_block(const CausalBlock& block, const torch::Tensor& hidden,
                          const Rotation& rotation, const Reading& reading, const Draws& draws,
                          KeyValueCache* cache) const;
  torch::Tensor attention(const CausalBlock& block, const torch::Tensor& normed,
                          const Rotation& rotation, const Reading& reading, const Draws& draws,
                          KeyValueCache* cache) const;
  torch::Tensor feed_forward(const CausalBlock& block, const torch::Tensor& normed,
                             const Draws& draws) const;
  Reading reading() const;
  // The first `layers` blocks, and the final norm where that is all of them.
  torch::Tensor run(const ModelInputs& inputs, const Draws& draws, int64_t layers,
                    std::vector<KeyValueCache>* caches = nullptr) const;

  CausalConfig config_;
  torch::Tensor embedding_;  // [vocabulary, width]
  torch::Tensor positions_;  // [positions, width], where they are learnt
  std::vector<CausalBlock> blocks_;
  LayerNorm final_norm_;
  Linear head_;
};

}  // namespace dece
