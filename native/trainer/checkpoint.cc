// How a Trainer is saved and restored.
#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>
#include <stdexcept>

#include "safetensors.h"
#include "step.h"

namespace dece {

using torch::Tensor;

namespace {

constexpr int64_t format = 2;

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

  // How many tensors have a name with this begin.
  int64_t count(const std::string& begin) const {
    return std::count_if(tensors_.begin(), tensors_.end(),
                         [&](const auto& entry) { return entry.first.starts_with(begin); });
  }

 private:
  Tensors tensors_;
};

void check_format(const Checkpoint& file) {
  const auto found = file.at("format", at::empty({}, torch::kLong)).item<int64_t>();
  if (found == format) return;
  throw std::runtime_error("its format is " + std::to_string(found) + ": expected " +
                           std::to_string(format));
}

void check_names(const Checkpoint& file,
                 const std::vector<std::pair<std::string, Tensor>>& parameters) {
  for (const auto& [name, parameter] : parameters) file.at("weight." + name);
  const auto found = file.count("weight.");
  if (found == int64_t(parameters.size())) return;
  throw std::runtime_error("it holds " + std::to_string(found) + " weights: expected " +
                           std::to_string(parameters.size()));
}

}  // namespace

// All that makes up a Trainer but the note, by the names it has in a file. Tensors of the optimizer
// are its own, weights that rest the model's, the others copies.
Trainer::NamedTensors Trainer::state() {
  check_trained();
  if (turn_ < 0) activate(turn_of(plan_, steps_ + 1));
  NamedTensors state;
  const auto& parameters = model_->trained();
  auto decays = at::empty({int64_t(decays_.size())}, torch::kByte);
  for (size_t i = 0; i < active_.size(); i++) {
    const auto& name = parameters[active_[i]].first;
    state.emplace_back("weight." + name, weights_[i]);
    state.emplace_back("exp_avg." + name, means_[i]);
    state.emplace_back("exp_avg_sq." + name, squares_[i]);
  }
  const std::set<size_t> active(active_.begin(), active_.end());
  for (size_t i = 0; i < parameters.size(); i++) {
    const auto& [name, parameter] = parameters[i];
    if (!active.contains(i)) state.emplace_back("weight." + name, parameter.detach());
    decays.mutable_data_ptr<uint8_t>()[i] = decays_[i];
  }
  const auto& [decay, beta1, beta2, eps] = options_;
  state.emplace_back("format", at::full({}, format, torch::kLong));
  state.emplace_back("steps", at::tensor({steps_, turn_, updates_}, torch::kLong));
  state.emplace_back("plan", plan_to_tensor(plan_));
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
    // Everything is checked before anything of the model is changed.
    check_format(file);
    check_names(file, model_->trained());
    const auto steps = file.at("steps", at::empty({3}, torch::kLong)).contiguous();
    const auto* counts = steps.const_data_ptr<int64_t>();
    plan_ = plan_from_tensor(file.at("plan"));
    if (!fits(plan_, decays_.size()) || counts[1] < 0) {
      throw std::runtime_error("its plan of blocks is damaged");
    }
    activate(counts[1]);
    auto state = this->state();
    for (const auto& [name, tensor] : state) file.at(name, tensor);

    const at::NoGradGuard no_grad;
    generator_.set_state(file.at("generator").clone());
    for (auto& [name, tensor] : state) tensor.copy_(file.at(name));
    const auto* adamw = file.at("adamw").const_data_ptr<double>();
    options_ = {adamw[0], adamw[1], adamw[2], adamw[3]};
    const auto* decays = file.at("decays").const_data_ptr<uint8_t>();
    decays_.assign(decays, decays + decays_.size());
    steps_ = counts[0];
    updates_ = counts[2];
    // A bfloat16 model has weights of its own.
    auto& parameters = model_->trained();
    for (size_t i = 0; i < active_.size(); i++) parameters[active_[i]].second.copy_(weights_[i]);
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
