// Greedy and beam search, many prompts at a time, as transformers' `generate` does them with
// do_sample false, early_stopping false and length_penalty 1.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "async.h"
#include "model.h"

namespace dece {

struct GenerateOptions {
  int64_t max_new_tokens;
  int64_t beams;                       // 1: greedy
  std::vector<int64_t> eos_token_ids;  // empty: only max_new_tokens ends a row
};

// New ids of each row, without the end token. Throws Stopped within a token of being asked to.
std::vector<std::vector<int32_t>> generate(const Model& model, const ModelInputs& inputs,
                                           const GenerateOptions& options, const StopFlag& stop);

}  // namespace dece
