// The JSON header of a safetensors file, parsed by hand: it is the one part of the file that can
// lie, and it needs of JSON only objects, arrays of integers and strings.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dece {

struct HeaderEntry {
  std::string dtype;
  std::vector<uint64_t> shape;
  uint64_t begin = 0;  // bytes from the end of the header
  uint64_t end = 0;
};

// Throws std::runtime_error that says what is wrong with the text; `__metadata__` is checked and
// left out.
std::map<std::string, HeaderEntry> parse_safetensors_header(std::string_view text);

// A string as JSON, quoted.
std::string json_string(std::string_view text);

}  // namespace dece
