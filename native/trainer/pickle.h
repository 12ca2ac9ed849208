// The state dict in a pickle that torch.save wrote, read without running anything.
//
// A pickle is a program: Python's own reader imports and calls whatever it names. This one knows
// the few functions that a state dict needs by name and builds what they would build; any other
// name ends the reading, before it means anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dece {

// A tensor as a pickle speaks of it: a view of numbers that lie elsewhere. All unchecked.
struct PickledTensor {
  std::string storage_type;  // such as FloatStorage
  std::string storage_key;   // its record in the file is data/<key>
  int64_t storage_size = 0;  // elements
  int64_t offset = 0;        // elements
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

// The tensors by name, in the order of the dict, each name once.
// Throws std::runtime_error that says what is wrong with the pickle.
// Python's documentation of the opcodes: https://docs.python.org/3/library/pickletools.html
std::vector<std::pair<std::string, PickledTensor>> unpickle_state_dict(std::string_view pickle);

}  // namespace dece
