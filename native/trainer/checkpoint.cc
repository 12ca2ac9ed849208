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
constexpr int64_t most_steps = int64_t(1) << 53;

std::string shape_of(const Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << ' ' << tensor.sizes();
  return text.str();
}

Tensor bytes_of(const std::string& text) {
  auto bytes = at::empty({int64_t(text.size())}, torch::kByte);
  if (!text.empty()) std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
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

// Whether a trainer with this plan may have made so many steps, be in this turn and have made so
// many updates in it.
bool are_sound(const BlockPlan& plan, const int64_t* counts) {
  const auto steps = counts[0], turn = counts[1], updates = counts[2];
  if (steps < 0 || steps > most_steps || updates < 0 || updates > steps) return false;
  return turn == turn_of(plan, std::max<int64_t>(steps, 1)) || turn == turn_of(plan, steps + 1);
}

// Tells weights from others by their bits. Each word is mixed in by a step that can be undone: one
// that differs always shows.
Tensor hash_of(const std::vector<std::pair<std::string, Tensor>>& tensors) {
  uint64_t hash = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto values = tensor.detach().cpu().contiguous();
    const auto* bytes = static_cast<const char*>(values.const_data_ptr());
    for (size_t at = 0; at < values.nbytes(); at += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes + at, std::min(sizeof word, values.nbytes() - at));
      hash = (hash ^ word) * 0x9e3779b97f4a7c15;
      hash ^= hash >> 32;
    }
  }
  return at::full({}, int64_t(hash), torch::kLong);
}

// What an adapter was computed with and what it lay above, which restoring does not change.
void check_resting(const Checkpoint& file,
                   const std::vector<std::pair<std::string, Tensor>>& state) {
  for (const auto& [name, tensor] : state) {
    if ((name != "adapter" && name != "resting") || file.at(name).equal(tensor)) continue;
    throw std::runtime_error(name == "adapter"
                                 ? "its adapter has another alpha or dropout than the model's"
                                 : "its adapter learnt above other weights than the model's");
  }
}

}  // namespace

// All that makes up a Trainer but the note, by the names it has in a file. Tensors of the optimizer
// are its own, weights that rest the model's, the others copies.
Trainer::NamedTensors Trainer::state() {
  check_trained();
  if (turn_ < 0) activate(turn_of(plan_, steps_ + 1));
  follow_model();
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
  if (!model_->adapter().empty()) {
    const auto& options = model_->adapter_options();
    state.emplace_back("adapter", at::tensor({options.scale, options.dropout}, torch::kDouble));
    state.emplace_back("resting", resting());
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

// Of the weights that rest below an adapter: they are too many to be in its checkpoints.
const Tensor& Trainer::resting() {
  if (!resting_.defined()) resting_ = hash_of(model_->parameters());
  return resting_;
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
    check_trained();
    check_format(file);
    check_names(file, model_->trained());
    const auto steps = file.at("steps", at::empty({3}, torch::kLong)).contiguous();
    const auto* counts = steps.const_data_ptr<int64_t>();
    plan_ = plan_from_tensor(file.at("plan"));
    if (!fits(plan_, decays_.size()) || !are_sound(plan_, counts)) {
      throw std::runtime_error("its plan of blocks is damaged");
    }
    activate(counts[1]);
    auto state = this->state();
    for (const auto& [name, tensor] : state) file.at(name, tensor);
    check_resting(file, state);

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
    for (size_t i = 0; i < active_.size(); i++) write_weight(i);
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
