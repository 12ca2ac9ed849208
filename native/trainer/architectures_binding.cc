#include <map>
#include <string>
#include <utility>
#include <vector>

#include "architectures.h"

namespace dece {

namespace {

// An object whose keys lib/model has checked.
class Fields {
 public:
  explicit Fields(Napi::Object object) : object_(object) {}

  int64_t integer(const char* key) const { return object_.Get(key).ToNumber().Int64Value(); }
  double real(const char* key) const { return object_.Get(key).ToNumber().DoubleValue(); }
  bool flag(const char* key) const { return object_.Get(key).ToBoolean().Value(); }
  std::string text(const char* key) const { return object_.Get(key).ToString().Utf8Value(); }
  Fields object(const char* key) const { return Fields(object_.Get(key).As<Napi::Object>()); }

  std::vector<std::string> texts(const char* key) const {
    const auto list = object_.Get(key).As<Napi::Array>();
    std::vector<std::string> texts;
    for (uint32_t i = 0; i < list.Length(); i++) {
      texts.push_back(list.Get(i).ToString().Utf8Value());
    }
    return texts;
  }

  // [[from, to], ...]
  std::vector<std::pair<std::string, std::string>> pairs(const char* key) const {
    const auto list = object_.Get(key).As<Napi::Array>();
    std::vector<std::pair<std::string, std::string>> pairs;
    for (uint32_t i = 0; i < list.Length(); i++) {
      const auto pair = list.Get(i).As<Napi::Array>();
      pairs.emplace_back(pair.Get(0U).ToString().Utf8Value(), pair.Get(1U).ToString().Utf8Value());
    }
    return pairs;
  }

  std::map<std::string, std::string> map() const {
    std::map<std::string, std::string> map;
    const auto names = object_.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); i++) {
      const auto key = names.Get(i).ToString().Utf8Value();
      map[key] = object_.Get(key).ToString().Utf8Value();
    }
    return map;
  }

 private:
  Napi::Object object_;
};

FileNames files_of(const Fields& config) {
  const auto files = config.object("files");
  return {.prefixes = files.pairs("prefixes"),
          .aliases = files.pairs("aliases"),
          .ignored = files.texts("ignored"),
          .fresh = files.texts("fresh"),
          .seed = uint64_t(files.integer("seed")),
          .embedding = files.text("embedding"),
          .head = files.text("head")};
}

T5Config t5_config(const Fields& config) {
  return {
      .vocab_size = config.integer("vocab_size"),
      .d_model = config.integer("d_model"),
      .d_kv = config.integer("d_kv"),
      .d_ff = config.integer("d_ff"),
      .num_layers = config.integer("num_layers"),
      .num_decoder_layers = config.integer("num_decoder_layers"),
      .num_heads = config.integer("num_heads"),
      .relative_attention_num_buckets = config.integer("relative_attention_num_buckets"),
      .relative_attention_max_distance = config.integer("relative_attention_max_distance"),
      .dropout_rate = config.real("dropout_rate"),
      .layer_norm_epsilon = config.real("layer_norm_epsilon"),
      .initializer_factor = config.real("initializer_factor"),
      .gated = config.flag("gated"),
      .tie_word_embeddings = config.flag("tie_word_embeddings"),
      .scale_decoder_outputs = config.flag("scale_decoder_outputs"),
      .pad_token_id = config.integer("pad_token_id"),
      .decoder_start_token_id = config.integer("decoder_start_token_id"),
      .files = files_of(config),
  };
}

RotaryConfig rotary_config(const Fields& rotary) {
  return {
      .width = rotary.integer("width"),
      .interleaved = rotary.flag("interleaved"),
      .theta = rotary.real("theta"),
      .scaling = rotary.text("scaling"),
      .factor = rotary.real("factor"),
      .low_frequency = rotary.real("low_frequency"),
      .high_frequency = rotary.real("high_frequency"),
      .original_length = rotary.integer("original_length"),
  };
}

CausalConfig causal_config(const Fields& config) {
  const std::map<std::string, QkvLayout> qkv{{"separate", QkvLayout::separate},
                                             {"fused", QkvLayout::fused},
                                             {"codegen", QkvLayout::codegen}};
  const std::map<std::string, GateLayout> gate{
      {"none", GateLayout::none}, {"separate", GateLayout::separate}, {"fused", GateLayout::fused}};
  return {
      .vocab_size = config.integer("vocab_size"),
      .width = config.integer("width"),
      .layers = config.integer("layers"),
      .heads = config.integer("heads"),
      .key_value_heads = config.integer("key_value_heads"),
      .head_width = config.integer("head_width"),
      .inner_width = config.integer("inner_width"),
      .rms_norm = config.flag("rms_norm"),
      .norm_epsilon = config.real("norm_epsilon"),
      .activation = config.text("activation"),
      .positions = config.integer("positions"),
      .rotary = rotary_config(config.object("rotary")),
      .parallel = config.flag("parallel"),
      .transposed = config.flag("transposed"),
      .qkv = qkv.at(config.text("qkv")),
      .gate = gate.at(config.text("gate")),
      .qkv_bias = config.flag("qkv_bias"),
      .out_bias = config.flag("out_bias"),
      .feed_forward_bias = config.flag("feed_forward_bias"),
      .head_bias = config.flag("head_bias"),
      .tie_word_embeddings = config.flag("tie_word_embeddings"),
      .embedding_dropout = config.real("embedding_dropout"),
      .attention_dropout = config.real("attention_dropout"),
      .residual_dropout = config.real("residual_dropout"),
      .initializer_range = config.real("initializer_range"),
      .smaller_outputs = config.flag("smaller_outputs"),
      .padding_index = config.integer("padding_index"),
      .names = config.object("names").map(),
      .files = files_of(config),
  };
}

RobertaConfig roberta_config(const Fields& config) {
  const std::map<std::string, RobertaHead> heads{{"masked-lm", RobertaHead::masked_lm},
                                                 {"classification", RobertaHead::classification},
                                                 {"seq2seq", RobertaHead::seq2seq}};
  return {
      .vocab_size = config.integer("vocab_size"),
      .hidden_size = config.integer("hidden_size"),
      .num_hidden_layers = config.integer("num_hidden_layers"),
      .num_attention_heads = config.integer("num_attention_heads"),
      .intermediate_size = config.integer("intermediate_size"),
      .hidden_act = config.text("hidden_act"),
      .hidden_dropout = config.real("hidden_dropout"),
      .attention_dropout = config.real("attention_dropout"),
      .classifier_dropout = config.real("classifier_dropout"),
      .max_position_embeddings = config.integer("max_position_embeddings"),
      .type_vocab_size = config.integer("type_vocab_size"),
      .layer_norm_eps = config.real("layer_norm_eps"),
      .initializer_range = config.real("initializer_range"),
      .pad_token_id = config.integer("pad_token_id"),
      .head = heads.at(config.text("head")),
      .tie_word_embeddings = config.flag("tie_word_embeddings"),
      .num_labels = config.integer("num_labels"),
      .decoder_layers = config.integer("decoder_layers"),
      .decoder_ffn_dim = config.integer("decoder_ffn_dim"),
      .decoder_dropout = config.real("decoder_dropout"),
      .decoder_start_token_id = config.integer("decoder_start_token_id"),
      .files = files_of(config),
  };
}

}  // namespace

ModelConfig config_from_js(const Napi::Object& object) {
  const Fields config(object);
  const auto architecture = config.text("architecture");
  if (architecture == "t5") return t5_config(config);
  if (architecture == "causal") return causal_config(config);
  if (architecture == "roberta") return roberta_config(config);
  throw Napi::RangeError::New(
      object.Env(), "architecture is " + architecture + ": expected t5, causal or roberta");
}

}  // namespace dece
