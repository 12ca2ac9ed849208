// Names that files bring along: they end up in messages, and are compared with patterns.
#pragma once

#include <string>
#include <string_view>

namespace dece {

// A text for a message: at most 200 bytes of it, and none that could not be printed.
std::string printable(std::string_view text);

// Throws std::runtime_error on what no tensor is called: a name above 500 bytes, or one with
// control characters.
void check_tensor_name(std::string_view name);

}  // namespace dece
