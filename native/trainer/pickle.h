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
  std::string storage_key;   // its record in a zip file is data/<key>
  int64_t storage_size = 0;  // elements
  int64_t offset = 0;        // elements
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

// By name, in the order of the dict, each name once.
using PickledTensors = std::vector<std::pair<std::string, PickledTensor>>;

// Throws std::runtime_error that says what is wrong with the pickle.
// Python's documentation of the opcodes: https://docs.python.org/3/library/pickletools.html
PickledTensors unpickle_state_dict(std::string_view pickle);

// A file that torch.save wrote before version 1.6: pickles one after the other, then for each
// storage the number of its elements (int64), and they.
struct OldPickles {
  PickledTensors tensors;
  std::vector<std::string> storage_keys;  // in the order in which the storages follow
  size_t end;                             // of the pickles, in bytes
};

// Throws as unpickle_state_dict.
OldPickles unpickle_old_file(std::string_view file);

}  // namespace dece
