// T5 (Raffel et al., 2020, https://arxiv.org/abs/1910.10683) as transformers computes it: the
// same names, the same order of operations, the same distributions at the start.
//
// Position is a learnt bias on the attention scores, one table for each side, kept in its first
// block and used by all. Scores are not scaled by the key width; the start values make up for it.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model.h"

namespace dece {

// Names as in config.json. lib/model/config.ts has checked what they mean.
struct T5Config {
  int64_t vocab_size;
  int64_t d_model;
  int64_t d_kv;
  int64_t d_ff;
  int64_t num_layers;
  int64_t num_decoder_layers;
  int64_t num_heads;
  int64_t relative_attention_num_buckets;
  int64_t relative_attention_max_distance;
  double dropout_rate;
  double layer_norm_epsilon;
  double initializer_factor;
  bool gated;                  // feed_forward_proj: gated-gelu, else relu
  bool tie_word_embeddings;    // false: lm_head.weight is a parameter of its own
  bool scale_decoder_outputs;  // multiply by d_model ** -0.5 before the head
  int64_t pad_token_id;
  int64_t decoder_start_token_id;
  FileNames files;
};

// Self-attention, or attention of the decoder over the encoder's output.
struct T5Attention {
  Linear q, k, v;                         // [heads * d_kv, d_model]
  Linear o;                               // [d_model, heads * d_kv]
  torch::Tensor relative_attention_bias;  // [buckets, heads], in the first block of a stack
  torch::Tensor layer_norm;               // [d_model]
};

struct T5FeedForward {
  Linear wi;                 // [d_ff, d_model]; wi_0 where gated
  Linear wi_1;               // [d_ff, d_model], where gated
  Linear wo;                 // [d_model, d_ff]
  torch::Tensor layer_norm;  // [d_model]
};

struct T5Block {
  std::string name;  // what those of its weights begin with
  T5Attention self;
  T5Attention cross;  // decoder only
  T5FeedForward feed_forward;
};

struct T5Stack {
  std::vector<T5Block> blocks;
  torch::Tensor final_layer_norm;  // [d_model]
};

class T5 : public Model {
 public:
  T5(const T5Config& config, torch::Device device, torch::Dtype dtype);

  torch::Tensor before_head(const ModelInputs& inputs, const Draws& draws) const override;
  const Linear& head() const override { return head_; }
  // Of the encoder where decoder_input_ids is undefined. The last layer has been through the final
  // norm.
  torch::Tensor hidden_states(const ModelInputs& inputs, int64_t layer) const override;
  std::unique_ptr<Decoder> decoder(const ModelInputs& inputs, int64_t beams,
                                   int64_t longest) const override;
  Labels labels() const override { return Labels::decoder_ids; }
  int64_t vocab_size() const override { return config_.vocab_size; }

 private:
  friend class T5Decoder;

  torch::Tensor embed(const torch::Tensor& ids) const;
  torch::Tensor norm(const torch::Tensor& hidden, const torch::Tensor& weight) const;
  torch::Tensor feed_forward(const T5FeedForward& layer, const torch::Tensor& hidden,
                             const Draws& draws) const;
  // What the head is multiplied with.
  torch::Tensor scaled(const torch::Tensor& hidden) const;
  // Bias of each head for each distance memory - query, an int64 tensor of any shape: [heads, ...].
  torch::Tensor position_bias(const T5Stack& stack, const torch::Tensor& distances) const;
  torch::Tensor weight(const std::string& name, at::IntArrayRef shape, double deviation);
  Linear product(const std::string& name, int64_t out, int64_t in, double deviation);
  T5Stack make_stack(const std::string& name, int64_t layers, bool is_decoder);
  T5Attention make_attention(const std::string& name, bool has_bias);
  torch::Tensor self_bias(const T5Stack& stack, int64_t length, const torch::Tensor& mask) const;
  torch::Tensor run_block(const T5Block& block, const torch::Tensor& hidden,
                          const torch::Tensor& encoded, const Reading& own_reading,
                          const Reading& cross_reading, const Draws& draws) const;
  torch::Tensor run_stack(const T5Stack& stack, const torch::Tensor& ids, const torch::Tensor& mask,
                          const torch::Tensor& encoded, const Draws& draws, int64_t layers) const;

  T5Config config_;
  torch::Tensor shared_;  // [vocabulary, d_model]
  Linear head_;           // of the weight shared_ where tied
  T5Stack encoder_;
  T5Stack decoder_;
};

}  // namespace dece
