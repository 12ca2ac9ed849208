// T5 (Raffel et al., 2020, https://arxiv.org/abs/1910.10683) as transformers computes it: the
// same names, the same order of operations, the same distributions at the start.
//
// Position is a learnt bias on the attention scores, one table for each side, kept in its first
// block and used by all. Scores are not scaled by the key width; the start values make up for it.
#pragma once

#include <torch/autograd.h>
#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
};

using OptionalGenerator = std::optional<at::Generator>;

// How a pass draws its dropout; the default has none.
struct T5Dropout {
  double rate = 0;
  OptionalGenerator generator;
};

// Self-attention, or attention of the decoder over the encoder's output.
struct T5Attention {
  torch::Tensor q, k, v;                  // [heads * d_kv, d_model]
  torch::Tensor o;                        // [d_model, heads * d_kv]
  torch::Tensor relative_attention_bias;  // [buckets, heads], in the first block of a stack
  torch::Tensor layer_norm;               // [d_model]
};

struct T5FeedForward {
  torch::Tensor wi;          // [d_ff, d_model]; wi_0 where gated
  torch::Tensor wi_1;        // [d_ff, d_model], where gated
  torch::Tensor wo;          // [d_model, d_ff]
  torch::Tensor layer_norm;  // [d_model]
};

struct T5Block {
  T5Attention self;
  T5Attention cross;  // decoder only
  T5FeedForward feed_forward;
};

struct T5Stack {
  std::vector<T5Block> blocks;
  torch::Tensor final_layer_norm;  // [d_model]
};

class T5 {
 public:
  // Weights are allocated, not filled: initialise() or copying into parameters() comes next.
  T5(const T5Config& config, torch::Device device, torch::Dtype dtype);

  // As transformers initialises T5. Drawn on the CPU in float32, so that a seed means the same
  // weights on every device.
  void initialise(uint64_t seed);

  // Hugging Face's names in a fixed order; tied weights appear once. The tensors are leaves that
  // require a gradient and stay the same objects for the model's life.
  std::vector<std::pair<std::string, torch::Tensor>>& parameters() { return parameters_; }

  // input_ids          [batch, source length]  int64, on any device, checked by the caller
  // attention_mask     [batch, source length]  1 = read, 0 = padding; may be undefined: all read
  // decoder_input_ids  [batch, target length]
  //
  // Logits [batch, target length, vocabulary]. Dropout only when training; its draws come from
  // `generator`, which lives on the model's device. The caller chooses the gradient mode.
  torch::Tensor forward(const torch::Tensor& input_ids, const torch::Tensor& attention_mask,
                        const torch::Tensor& decoder_input_ids, bool training,
                        OptionalGenerator generator);

  // The same up to what head_weight() is multiplied with: [batch, target length, d_model].
  torch::Tensor before_head(const torch::Tensor& input_ids, const torch::Tensor& attention_mask,
                            const torch::Tensor& decoder_input_ids, bool training,
                            OptionalGenerator generator);
  const torch::Tensor& head_weight() const { return lm_head_; }  // [vocabulary, d_model]

  // Hidden states of one side [batch, length, d_model], without dropout: layer 0 is the
  // embedding, layer n the output of block n, the last one after the final norm. The decoder's
  // where decoder_input_ids is defined.
  torch::Tensor hidden_states(const torch::Tensor& input_ids, const torch::Tensor& attention_mask,
                              const torch::Tensor& decoder_input_ids, int64_t layer);

  int64_t weight_count() const;
  const T5Config& config() const { return config_; }
  torch::Device device() const { return device_; }
  torch::Dtype dtype() const { return dtype_; }

  // What generation is built from. Hidden states are [batch, length, d_model] or [rows, d_model].
  const T5Stack& decoder() const { return decoder_; }
  torch::Tensor encode(const torch::Tensor& input_ids, const torch::Tensor& attention_mask) const;
  torch::Tensor embed(const torch::Tensor& ids) const;
  torch::Tensor norm(const torch::Tensor& hidden, const torch::Tensor& weight) const;
  // hidden plus what the layer makes of it.
  torch::Tensor feed_forward(const T5FeedForward& layer, const torch::Tensor& hidden,
                             const T5Dropout& dropout = {}) const;
  torch::Tensor head(const torch::Tensor& hidden) const;
  // 0 to be read, the lowest number of the dtype for padding: [batch, 1, 1, length]; undefined
  // where the mask is.
  torch::Tensor additive_mask(const torch::Tensor& attention_mask) const;
  // Bias of each head for each distance memory - query, an int64 tensor of any shape: [heads, ...].
  torch::Tensor position_bias(const T5Stack& stack, const torch::Tensor& distances) const;

 private:
  torch::Tensor scaled(const torch::Tensor& hidden) const;
  torch::Tensor parameter(const std::string& name, at::IntArrayRef shape, double deviation);
  T5Stack make_stack(const std::string& name, int64_t layers, bool is_decoder);
  T5Attention make_attention(const std::string& name, bool has_bias);
  torch::Tensor self_bias(const T5Stack& stack, int64_t length, const torch::Tensor& mask) const;
  torch::Tensor run_stack(const T5Stack& stack, const torch::Tensor& ids, const torch::Tensor& mask,
                          const torch::Tensor& encoded, const T5Dropout& dropout,
                          int64_t layers) const;

  T5Config config_;
  torch::Device device_;
  torch::Dtype dtype_;
  std::vector<std::pair<std::string, torch::Tensor>> parameters_;
  std::vector<double> deviations_;  // of each parameter at the start; 0: a constant (norms)
  torch::Tensor shared_;            // [vocabulary, d_model]
  torch::Tensor lm_head_;           // [vocabulary, d_model], shared_ itself where tied
  T5Stack encoder_;
  T5Stack decoder_;
};

}  // namespace dece
