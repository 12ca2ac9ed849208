#include "names.h"

#include <algorithm>
#include <stdexcept>

namespace dece {

namespace {

constexpr size_t longest_name = 500;

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

std::string printable(std::string_view text) {
  std::string shown(text.substr(0, 200));
  for (char& c : shown) {
    if (is_control(c) || static_cast<unsigned char>(c) > 0x7f) c = '?';
  }
  return shown + (text.size() > 200 ? "..." : "");
}

void check_tensor_name(std::string_view name) {
  if (name.size() > longest_name) {
    throw std::runtime_error("it has a tensor with a name of " + std::to_string(name.size()) +
                             " bytes: expected at most " + std::to_string(longest_name));
  }
  if (std::any_of(name.begin(), name.end(), is_control)) {
    throw std::runtime_error("it has the tensor " + printable(name) +
                             ", whose name has control characters");
  }
}

}  // namespace dece
