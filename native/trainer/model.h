// What every architecture is to the code that trains, saves and searches.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "decoder.h"
#include "layers.h"
#include "recompute.h"

namespace dece {

// What a forward pass reads, checked and on the CPU.
struct ModelInputs {
  torch::Tensor input_ids;          // int64 [batch, source length]
  torch::Tensor attention_mask;     // the same shape, 1 = read, 0 = padding; undefined: all read
  torch::Tensor decoder_input_ids;  // int64 [batch, target length]; of encoder-decoders alone
};

// What labels stand beside.
enum class Labels {
  decoder_ids,  // [batch, target length]: what the decoder should write at each position
  next_ids,     // [batch, source length]: a position predicts the label of the next one
  ids,          // [batch, source length]: a position predicts its own label
  rows,         // [batch, 1]: a class for each row
};

// What the tensors of a file may be called other than by the names of parameters.
struct FileNames {
  // What a name may begin with, and what it is to begin with then.
  std::vector<std::pair<std::string, std::string>> prefixes;
  std::vector<std::pair<std::string, std::string>> aliases;  // a copy, and what it is a copy of
  std::vector<std::string> ignored;  // regular expressions of names that nobody reads
  std::vector<std::string> fresh;    // of names that a file may lack: they are drawn by `seed`
  uint64_t seed = 0;
  std::string embedding, head;  // what may be one tensor; head: empty where it cannot
};

// lib/model/adapter.ts has checked what it means.
struct AdapterOptions {
  std::vector<std::string> targets;  // names of layers, or how they end after a dot
  int64_t rank;
  double scale;  // alpha / rank
  double dropout;
  uint64_t seed;  // of A; B is zero at the start
};

class Model {
 public:
  using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // As transformers initialises. Drawn on the CPU in float32, so that a seed means the same weights
  // on every device.
  void initialise(uint64_t seed);
  // Only the parameters for which `chosen` says so by their place.
  void initialise(uint64_t seed, const std::vector<bool>& chosen);

  // Hugging Face's names in a fixed order; tied weights appear once. The tensors are leaves that
  // require a gradient and stay the same objects for the model's life.
  NamedTensors& parameters() { return parameters_; }
  int64_t weight_count() const;
  uint64_t weight_bytes() const;

  // Gives an adapter to every linear layer but the head that a target names. Throws
  // std::runtime_error where there is one already, or where a target names no layer.
  void add_adapter(const AdapterOptions& options);
  // Makes it part of the weights, or drops it.
  void merge_adapter();
  void drop_adapter();
  // Its tensors, float32: name.lora_A.weight, name.lora_B.weight, ...; empty where there is none.
  NamedTensors& adapter() { return adapter_; }
  // What it was added with; of no meaning where there is none.
  const AdapterOptions& adapter_options() const { return adapter_options_; }
  // What training changes: the adapter where there is one, else all parameters.
  NamedTensors& trained() { return adapter_.empty() ? parameters_ : adapter_; }

  // Whether blocks are run again on the way back instead of keeping their inside.
  bool recomputes = false;
  torch::Device device() const { return device_; }
  torch::Dtype dtype() const { return dtype_; }

  // Up to what head() is multiplied with: [batch, positions that have a label, width]. The caller
  // chooses the gradient mode.
  virtual torch::Tensor before_head(const ModelInputs& inputs, const Draws& draws) const = 0;
  virtual const Linear& head() const = 0;  // [classes, width], and a bias where there is one
  torch::Tensor logits(const ModelInputs& inputs) const { return head()(before_head(inputs, {})); }

  // Hidden states of one layer [batch, length, width], without dropout: layer 0 is the embedding,
  // layer n the output of block n. Of an encoder-decoder the decoder's, where it has ids to read.
  virtual torch::Tensor hidden_states(const ModelInputs& inputs, int64_t layer) const = 0;

  // Writes at most `longest` ids for each row of the inputs, with so many beams.
  virtual std::unique_ptr<Decoder> decoder(const ModelInputs& inputs, int64_t beams,
                                           int64_t longest) const = 0;

  virtual Labels labels() const = 0;
  virtual int64_t vocab_size() const = 0;

 protected:
  Model(torch::Device device, torch::Dtype dtype) : device_(device), dtype_(dtype) {}

  // What a parameter is at the start: normal with a deviation, uniform in -range..range, or else a
  // constant.
  struct Start {
    double mean = 0, deviation = 0, range = 0;
  };
  // Allocated, not filled: initialise() or copying into parameters() comes next.
  torch::Tensor parameter(const std::string& name, at::IntArrayRef shape, Start start);
  // name.weight [out, in], and name.bias [out] at 0
  Linear linear(const std::string& name, int64_t out, int64_t in, bool bias, double deviation);
  // Lets a layer of that name have an adapter.
  void make_adaptable(const std::string& name, Linear& layer);
  // block(inputs, draws), whose weights have names that begin so; run again where recomputes.
  torch::Tensor run_again(const std::string& begin, const std::vector<torch::Tensor>& inputs,
                          const Draws& draws, const Block& block) const;
  // name.weight and name.bias [width]
  LayerNorm layer_norm(const std::string& name, int64_t width, double epsilon);

 private:
  torch::Device device_;
  torch::Dtype dtype_;
  NamedTensors parameters_;
  std::vector<Start> starts_;
  std::vector<std::pair<std::string, Linear>> adaptable_;
  NamedTensors adapter_;
  AdapterOptions adapter_options_;
};

}  // namespace dece
