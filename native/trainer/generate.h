// Greedy and beam search, many prompts at a time, as transformers' `generate` does them with
// do_sample false, early_stopping false and length_penalty 1.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "async.h"
#include "t5.h"

namespace dece {

struct GenerateOptions {
  int64_t max_new_tokens;
  int64_t beams;                       // 1: greedy
  std::vector<int64_t> eos_token_ids;  // empty: only max_new_tokens ends a row
};

// input_ids, attention_mask [rows, length]; the mask may be undefined.
// New ids of each row, without the end token. Throws Stopped within a token of being asked to.
std::vector<std::vector<int32_t>> generate(const T5& model, const torch::Tensor& input_ids,
                                           const torch::Tensor& attention_mask,
                                           const GenerateOptions& options, const StopFlag& stop);

}  // namespace dece
