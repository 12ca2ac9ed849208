// How a Trainer is saved and restored.
#include <cstring>
#include <map>
#include <sstream>
#include <stdexcept>

#include "safetensors.h"
#include "step.h"

namespace dece {

using torch::Tensor;

namespace {

constexpr int64_t format = 1;

std::string shape_of(const Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << ' ' << tensor.sizes();
  return text.str();
}

Tensor bytes_of(const std::string& text) {
  auto bytes = at::empty({int64_t(text.size())}, torch::kByte);
  std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  return bytes;
}

// A file that every tensor is asked of by name.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& path) : tensors_(read_safetensors(path)) {}

  const Tensor& at(const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw std::runtime_error("it lacks " + name);
    return found->second;
  }

  // As `like` in shape and dtype.
  const Tensor& at(const std::string& name, const Tensor& like) const {
    const auto& tensor = at(name);
    if (tensor.sizes() != like.sizes() || tensor.scalar_type() != like.scalar_type()) {
      throw std::runtime_error(name + " is " + shape_of(tensor) + ": expected " + shape_of(like));
    }
    return tensor;
  }

  size_t size() const { return tensors_.size(); }

 private:
  std::map<std::string, Tensor> tensors_;
};

}  // namespace

// All that makes up a Trainer but the note, by the names it has in a file. Tensors of the optimizer
// are its own, the others copies.
Trainer::NamedTensors Trainer::state() {
  allocate();
  NamedTensors state;
  const auto& parameters = model_->parameters();
  auto decays = at::empty({int64_t(decays_.size())}, torch::kByte);
  for (size_t i = 0; i < parameters.size(); i++) {
    const auto& name = parameters[i].first;
    state.emplace_back("weight." + name, weights_[i]);
    state.emplace_back("exp_avg." + name, means_[i]);
    state.emplace_back("exp_avg_sq." + name, squares_[i]);
    decays.mutable_data_ptr<uint8_t>()[i] = decays_[i];
  }
  const auto& [decay, beta1, beta2, eps] = options_;
  state.emplace_back("format", at::full({}, format, torch::kLong));
  state.emplace_back("steps", at::full({}, steps_, torch::kLong));
  state.emplace_back("adamw", at::tensor({decay, beta1, beta2, eps}, torch::kDouble));
  state.emplace_back("decays", decays);
  state.emplace_back("generator", generator_.get_state());
  return state;
}

void Trainer::save(const std::string& path, const std::string& note) {
  auto file = state();
  file.emplace_back("note", bytes_of(note));
  write_safetensors(path, file);
}

void Trainer::restore(const std::string& path) {
  const Checkpoint file(path);
  try {
    // Everything is checked before anything is changed.
    auto state = this->state();
    if (file.size() > state.size() + 1) {
      throw std::runtime_error("it holds " + std::to_string(file.size()) + " tensors: expected " +
                               std::to_string(state.size() + 1));
    }
    for (const auto& [name, tensor] : state) file.at(name, tensor);
    const auto found = file.at("format").item<int64_t>();
    if (found != format) {
      throw std::runtime_error("its format is " + std::to_string(found) + ": expected " +
                               std::to_string(format));
    }

    const at::NoGradGuard no_grad;
    generator_.set_state(file.at("generator").clone());
    for (auto& [name, tensor] : state) tensor.copy_(file.at(name));
    const auto* adamw = file.at("adamw").const_data_ptr<double>();
    options_ = {adamw[0], adamw[1], adamw[2], adamw[3]};
    const auto* decays = file.at("decays").const_data_ptr<uint8_t>();
    decays_.assign(decays, decays + decays_.size());
    steps_ = file.at("steps").item<int64_t>();
    // A bfloat16 model has weights of its own.
    auto& parameters = model_->parameters();
    for (size_t i = 0; i < parameters.size(); i++) parameters[i].second.copy_(weights_[i]);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot restore " + path + ": " + error.what());
  }
}

std::string read_note(const std::string& path) {
  const Checkpoint file(path);
  try {
    const auto note = file.at("note").contiguous();
    return {static_cast<const char*>(note.const_data_ptr()), note.nbytes()};
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot read " + path + ": " + error.what());
  }
}

}  // namespace dece
