// What is said where memory does not suffice.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace dece {

// What libtorch says of memory asked for in vain, in one sentence: how much was asked for, how much
// is free, and what would take less. Empty where `message` is about something else.
std::string out_of_memory(const std::string& message);

// That there is no memory for what `takes` so many bytes ("the weights take"): how much is free,
// and what would take less.
std::runtime_error no_room(double bytes, const std::string& takes, const std::string& less);

// Throws std::runtime_error where so many bytes, which `what` take, do not fit into what is free,
// and says what would take less. Of a CUDA device nothing is asked: there memory is given at once
// or not at all, which the CPU's is not.
void check_room(uint64_t bytes, torch::Device device, const std::string& what,
                const std::string& less);

// What would do for weights of a dtype.
std::string less_than(torch::Dtype dtype);

}  // namespace dece
