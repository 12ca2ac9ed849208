#include "roberta.h"

#include <cmath>
#include <stdexcept>

namespace dece {

using torch::Tensor;

namespace {

// PyTorch's, whatever the encoder's is.
constexpr double decoder_epsilon = 1e-5;

}  // namespace

Roberta::Roberta(const RobertaConfig& config, torch::Device device, torch::Dtype dtype)
    : Model(device, dtype), config_(config) {
  const bool decodes = config.head == RobertaHead::seq2seq;
  const std::string encoder = decodes ? "encoder." : "roberta.";
  const auto width = config.hidden_size, vocabulary = config.vocab_size;
  const Start start{0, config.initializer_range};
  const auto table = [&](const char* name, int64_t rows) {
    return parameter(encoder + "embeddings." + name + ".weight", {rows, width}, start);
  };
  words_ = table("word_embeddings", vocabulary);
  positions_ = table("position_embeddings", config.max_position_embeddings);
  types_ = table("token_type_embeddings", config.type_vocab_size);
  embedding_norm_ = layer_norm(encoder + "embeddings.LayerNorm", width, config.layer_norm_eps);
  for (int64_t i = 0; i < config.num_hidden_layers; i++) {
    layers_.push_back(make_layer(encoder + "encoder.layer." + std::to_string(i) + "."));
  }
  switch (config.head) {
    case RobertaHead::masked_lm:
      head_.bias = parameter("lm_head.bias", {vocabulary}, {});
      dense_ = linear("lm_head.dense", width, width, true, config.initializer_range);
      head_norm_ = layer_norm("lm_head.layer_norm", width, config.layer_norm_eps);
      head_.weight = config.tie_word_embeddings
                         ? words_
                         : parameter("lm_head.decoder.weight", {vocabulary, width}, start);
      break;
    case RobertaHead::classification:
      dense_ = linear("classifier.dense", width, width, true, config.initializer_range);
      head_ =
          linear("classifier.out_proj", config.num_labels, width, true, config.initializer_range);
      break;
    case RobertaHead::seq2seq:
      for (int64_t i = 0; i < config.decoder_layers; i++) {
        decoder_layers_.push_back(make_decoder_layer("decoder.layers." + std::to_string(i) + "."));
      }
      dense_ = uniform_linear("dense", width, width);
      head_.weight = words_;
      break;
  }
}

RobertaLayer Roberta::make_layer(const std::string& name) {
  const auto width = config_.hidden_size, inner = config_.intermediate_size;
  const double range = config_.initializer_range, epsilon = config_.layer_norm_eps;
  const auto product = [&](const char* part, int64_t out, int64_t in) {
    return linear(name + part, out, in, true, range);
  };
  RobertaLayer layer;
  layer.name = name;
  layer.query = product("attention.self.query", width, width);
  layer.key = product("attention.self.key", width, width);
  layer.value = product("attention.self.value", width, width);
  layer.attention_out = product("attention.output.dense", width, width);
  layer.attention_norm = layer_norm(name + "attention.output.LayerNorm", width, epsilon);
  layer.inner = product("intermediate.dense", inner, width);
  layer.out = product("output.dense", width, inner);
  layer.norm = layer_norm(name + "output.LayerNorm", width, epsilon);
  return layer;
}

Linear Roberta::uniform_linear(const std::string& name, int64_t out, int64_t in) {
  const Start start{.range = std::pow(double(in), -0.5)};
  Linear layer;
  layer.weight = parameter(name + ".weight", {out, in}, start);
  layer.bias = parameter(name + ".bias", {out}, start);
  make_adaptable(name, layer);
  return layer;
}

MultiheadAttention Roberta::make_attention(const std::string& name) {
  const auto width = config_.hidden_size;
  MultiheadAttention attention;
  attention.in_weight = parameter(name + ".in_proj_weight", {3 * width, width},
                                  {.range = std::sqrt(6.0 / double(4 * width))});
  attention.in_bias = parameter(name + ".in_proj_bias", {3 * width}, {});
  attention.out.weight = parameter(name + ".out_proj.weight", {width, width},
                                   {.range = std::pow(double(width), -0.5)});
  attention.out.bias = parameter(name + ".out_proj.bias", {width}, {});
  return attention;
}

RobertaDecoderLayer Roberta::make_decoder_layer(const std::string& name) {
  const auto width = config_.hidden_size, inner = config_.decoder_ffn_dim;
  RobertaDecoderLayer layer;
  layer.name = name;
  layer.self = make_attention(name + "self_attn");
  layer.cross = make_attention(name + "multihead_attn");
  layer.inner = uniform_linear(name + "linear1", inner, width);
  layer.out = uniform_linear(name + "linear2", width, inner);
  layer.norm1 = layer_norm(name + "norm1", width, decoder_epsilon);
  layer.norm2 = layer_norm(name + "norm2", width, decoder_epsilon);
  layer.norm3 = layer_norm(name + "norm3", width, decoder_epsilon);
  return layer;
}

Labels Roberta::labels() const {
  switch (config_.head) {
    case RobertaHead::masked_lm:
      return Labels::ids;
    case RobertaHead::classification:
      return Labels::rows;
    default:
      return Labels::decoder_ids;
  }
}

namespace {

// Positions are counted from pad + 1 over what is no padding, which has position pad.
Tensor positions_in(const Tensor& ids, int64_t pad) {
  const auto is_id = (ids != pad).to(torch::kLong);
  return is_id.cumsum(1) * is_id + pad;
}

}  // namespace

Tensor Roberta::embed(const Tensor& ids, const Tensor& positions, const Draws& draws) const {
  const auto pad = config_.pad_token_id;
  const auto sum = at::embedding(words_, ids.to(device()), pad) + types_.select(0, 0) +
                   at::embedding(positions_, positions.to(device()), pad);
  return dropout(embedding_norm_(sum), config_.hidden_dropout, draws);
}

Tensor Roberta::run_layer(const RobertaLayer& layer, const Tensor& hidden, const Reading& reading,
                          const Draws& draws) const {
  const auto drops = [&](const Tensor& x) { return dropout(x, config_.hidden_dropout, draws); };
  const auto heads = config_.num_attention_heads;
  const auto read = attend(split_heads(layer.query(hidden, draws), heads),
                           split_heads(layer.key(hidden, draws), heads),
                           split_heads(layer.value(hidden, draws), heads), reading, draws);
  const auto between = layer.attention_norm(drops(layer.attention_out(read, draws)) + hidden);
  const auto inner = activate(config_.hidden_act, layer.inner(between, draws));
  return layer.norm(drops(layer.out(inner, draws)) + between);
}

Tensor Roberta::run_encoder(const ModelInputs& inputs, const Draws& draws, int64_t layers) const {
  const auto head_width = double(config_.hidden_size / config_.num_attention_heads);
  const Reading reading{.bias = additive_mask(inputs.attention_mask, device(), dtype()),
                        .scale = 1 / std::sqrt(head_width),
                        .dropout = config_.attention_dropout};
  auto hidden =
      embed(inputs.input_ids, positions_in(inputs.input_ids, config_.pad_token_id), draws);
  for (int64_t i = 0; i < layers; i++) {
    const auto& layer = layers_[i];
    hidden =
        run_again(layer.name, {hidden}, draws, [=, this, &layer](const auto& in, const auto& own) {
          return run_layer(layer, in[0], reading, own);
        });
  }
  return hidden;
}

std::vector<Tensor> Roberta::memory_of(const MultiheadAttention& attention,
                                       const Tensor& encoded) const {
  const auto width = config_.hidden_size;
  const auto both = at::linear(encoded, attention.in_weight.narrow(0, width, 2 * width),
                               attention.in_bias.narrow(0, width, 2 * width))
                        .split(width, -1);
  const auto heads = config_.num_attention_heads;
  return {split_heads(both[0].contiguous(), heads), split_heads(both[1].contiguous(), heads)};
}

Tensor Roberta::run_decoder_layer(const RobertaDecoderLayer& layer, const Tensor& hidden,
                                  const Reading& self, const std::vector<Tensor>& memory,
                                  const Reading& cross, const Draws& draws,
                                  KeyValueCache* cache) const {
  const auto width = config_.hidden_size, heads = config_.num_attention_heads;
  const auto drops = [&](const Tensor& x) { return dropout(x, config_.decoder_dropout, draws); };
  const auto query_of = [&](const MultiheadAttention& attention, const Tensor& x) {
    return split_heads(at::linear(x, attention.in_weight.narrow(0, 0, width),
                                  attention.in_bias.narrow(0, 0, width)),
                       heads);
  };
  auto own = memory_of(layer.self, hidden);
  if (cache != nullptr) std::tie(own[0], own[1]) = cache->append(own[0], own[1]);
  const auto read = attend(query_of(layer.self, hidden), own[0], own[1], self, draws);
  const auto first = layer.norm1(hidden + drops(layer.self.out(read)));
  const auto recalled = attend(query_of(layer.cross, first), memory[0], memory[1], cross, draws);
  const auto second = layer.norm2(first + drops(layer.cross.out(recalled)));
  return layer.norm3(second + drops(layer.out(drops(at::relu(layer.inner(second, draws))), draws)));
}

Tensor Roberta::run_decoder(const ModelInputs& inputs, const Tensor& encoded, const Draws& draws,
                            int64_t layers) const {
  const auto& ids = inputs.decoder_input_ids;
  const double scale = std::pow(double(config_.hidden_size / config_.num_attention_heads), -0.5);
  const Reading self{.causal = true, .scale = scale, .dropout = config_.decoder_dropout};
  const Reading cross{.bias = additive_mask(inputs.attention_mask, device(), dtype()),
                      .scale = scale,
                      .dropout = config_.decoder_dropout};
  auto hidden = embed(ids, positions_in(ids, config_.pad_token_id), draws);
  for (int64_t i = 0; i < layers; i++) {
    const auto& layer = decoder_layers_[i];
    hidden = run_again(layer.name, {hidden, encoded}, draws,
                       [=, this, &layer](const auto& in, const auto& own) {
                         const auto memory = memory_of(layer.cross, in[1]);
                         return run_decoder_layer(layer, in[0], self, memory, cross, own, nullptr);
                       });
  }
  return hidden;
}

Tensor Roberta::before_head(const ModelInputs& inputs, const Draws& draws) const {
  const auto encoded = run_encoder(inputs, draws, config_.num_hidden_layers);
  switch (config_.head) {
    case RobertaHead::masked_lm:
      return head_norm_(at::gelu(dense_(encoded, draws)));
    case RobertaHead::classification: {
      const auto drops = [&](const Tensor& x) {
        return dropout(x, config_.classifier_dropout, draws);
      };
      return drops(at::tanh(dense_(drops(encoded.narrow(1, 0, 1)), draws)));
    }
    default:
      return at::tanh(dense_(run_decoder(inputs, encoded, draws, config_.decoder_layers), draws));
  }
}

Tensor Roberta::hidden_states(const ModelInputs& inputs, int64_t layer) const {
  if (!inputs.decoder_input_ids.defined()) return run_encoder(inputs, {}, layer);
  return run_decoder(inputs, run_encoder(inputs, {}, config_.num_hidden_layers), {}, layer);
}

std::unique_ptr<Decoder> Roberta::decoder(const ModelInputs& inputs, int64_t beams,
                                          int64_t longest) const {
  if (config_.head != RobertaHead::seq2seq) {
    throw std::runtime_error(
        "a RoBERTa that classifies or fills gaps writes no texts: only one with head seq2seq does");
  }
  return std::make_unique<RobertaDecoder>(*this, run_encoder(inputs, {}, config_.num_hidden_layers),
                                          additive_mask(inputs.attention_mask, device(), dtype()),
                                          beams, longest);
}

RobertaDecoder::RobertaDecoder(const Roberta& model, const Tensor& encoded, const Tensor& mask,
                               int64_t beams, int64_t longest)
    : Decoder(model.device(), encoded.size(0), beams, model.config_.decoder_layers, longest),
      model_(model),
      mask_(mask.defined() ? mask.repeat_interleave(beams, 0) : mask) {
  for (const auto& layer : model.decoder_layers_) {
    auto memory = model.memory_of(layer.cross, encoded);
    for (auto& tensor : memory) tensor = tensor.repeat_interleave(beams, 0);
    memories_.push_back(std::move(memory));
  }
}

std::vector<int64_t> RobertaDecoder::first_ids() const {
  return std::vector<int64_t>(items_ * beams_, model_.config_.decoder_start_token_id);
}

Tensor RobertaDecoder::step(const Tensor& ids) {
  const auto& config = model_.config_;
  const double scale = std::pow(double(config.hidden_size / config.num_attention_heads), -0.5);
  const Reading self{.scale = scale}, cross{.bias = mask_, .scale = scale};
  const auto position = config.pad_token_id + 1 + caches_.front().length();
  if (position >= config.max_position_embeddings) {
    throw std::runtime_error("the decoder knows " + std::to_string(caches_.front().length()) +
                             " positions, and none for another id: lower maxNewTokens");
  }
  auto hidden = model_.embed(ids.unsqueeze(1), at::full({1, 1}, position, torch::kLong), {});
  for (size_t i = 0; i < caches_.size(); i++) {
    hidden = model_.run_decoder_layer(model_.decoder_layers_[i], hidden, self, memories_[i], cross,
                                      {}, &caches_[i]);
  }
  return model_.head()(at::tanh(model_.dense_(hidden.squeeze(1)))).to(torch::kFloat);
}

void RobertaDecoder::keep_own(const Tensor&, const Tensor& rows) {
  for (auto& memory : memories_) {
    for (auto& tensor : memory) tensor = tensor.index_select(0, rows);
  }
  if (mask_.defined()) mask_ = mask_.index_select(0, rows);
}

}  // namespace dece
