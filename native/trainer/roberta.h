// RoBERTa (Liu et al., 2019, https://arxiv.org/abs/1907.11692) as transformers computes it, with
// one of three heads: masked language model, classes of whole texts, or the decoder that CodeXGLUE
// and the DeCE study put behind it, six of PyTorch's post-norm `TransformerDecoderLayer`.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model.h"

namespace dece {

enum class RobertaHead { masked_lm, classification, seq2seq };

// Names as in config.json. lib/model/roberta_config.ts has checked what they mean.
struct RobertaConfig {
  int64_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
  std::string hidden_act;
  double hidden_dropout, attention_dropout, classifier_dropout;
  int64_t max_position_embeddings, type_vocab_size;
  double layer_norm_eps, initializer_range;
  int64_t pad_token_id;
  RobertaHead head;
  bool tie_word_embeddings;  // of the masked-LM head
  int64_t num_labels;        // of classification
  int64_t decoder_layers;    // of seq2seq, as what follows
  int64_t decoder_ffn_dim;   // 2048, PyTorch's default, whatever intermediate_size is
  double decoder_dropout;    // 0.1, likewise
  int64_t decoder_start_token_id;
  FileNames files;
};

struct RobertaLayer {
  std::string name;  // what those of its weights begin with
  Linear query, key, value, attention_out;
  LayerNorm attention_norm;
  Linear inner, out;
  LayerNorm norm;
};

// torch.nn.MultiheadAttention
struct MultiheadAttention {
  torch::Tensor in_weight, in_bias;  // [3 * width, width], [3 * width]: query, key, value
  Linear out;
};

struct RobertaDecoderLayer {
  std::string name;
  MultiheadAttention self, cross;
  Linear inner, out;
  LayerNorm norm1, norm2, norm3;
};

class Roberta : public Model {
 public:
  Roberta(const RobertaConfig& config, torch::Device device, torch::Dtype dtype);

  torch::Tensor before_head(const ModelInputs& inputs, const Draws& draws) const override;
  const Linear& head() const override { return head_; }
  torch::Tensor hidden_states(const ModelInputs& inputs, int64_t layer) const override;
  std::unique_ptr<Decoder> decoder(const ModelInputs& inputs, int64_t beams,
                                   int64_t longest) const override;
  Labels labels() const override;
  int64_t vocab_size() const override { return config_.vocab_size; }

 private:
  friend class RobertaDecoder;

  RobertaLayer make_layer(const std::string& name);
  RobertaDecoderLayer make_decoder_layer(const std::string& name);
  MultiheadAttention make_attention(const std::string& name);
  // As torch.nn.Linear starts.
  Linear uniform_linear(const std::string& name, int64_t out, int64_t in);
  // positions [batch or 1, length], as the table of embeddings counts them
  torch::Tensor embed(const torch::Tensor& ids, const torch::Tensor& positions,
                      const Draws& draws) const;
  torch::Tensor run_encoder(const ModelInputs& inputs, const Draws& draws, int64_t layers) const;
  torch::Tensor run_layer(const RobertaLayer& layer, const torch::Tensor& hidden,
                          const Reading& reading, const Draws& draws) const;
  torch::Tensor run_decoder(const ModelInputs& inputs, const torch::Tensor& encoded,
                            const Draws& draws, int64_t layers) const;
  // Keys and values of what is read, each [batch, heads, length, head width].
  std::vector<torch::Tensor> memory_of(const MultiheadAttention& attention,
                                       const torch::Tensor& encoded) const;
  // What a decoder layer makes of hidden; `self` and `cross` say what is read.
  torch::Tensor run_decoder_layer(const RobertaDecoderLayer& layer, const torch::Tensor& hidden,
                                  const Reading& self, const std::vector<torch::Tensor>& memory,
                                  const Reading& cross, const Draws& draws,
                                  KeyValueCache* cache) const;

  RobertaConfig config_;
  torch::Tensor words_, positions_, types_;
  LayerNorm embedding_norm_;
  std::vector<RobertaLayer> layers_;
  std::vector<RobertaDecoderLayer> decoder_layers_;
  Linear dense_;  // between the last layer and the head
  LayerNorm head_norm_;
  Linear head_;
};

// The decoder of seq2seq, one id at a time.
class RobertaDecoder : public Decoder {
 public:
  RobertaDecoder(const Roberta& model, const torch::Tensor& encoded, const torch::Tensor& mask,
                 int64_t beams, int64_t longest);

  std::vector<int64_t> first_ids() const override;
  torch::Tensor step(const torch::Tensor& ids) override;

 protected:
  void keep_own(const torch::Tensor& items, const torch::Tensor& rows) override;

 private:
  const Roberta& model_;
  std::vector<std::vector<torch::Tensor>> memories_;  // of each layer: keys, values
  torch::Tensor mask_;                                // [rows, 1, 1, length], or undefined
};

}  // namespace dece
