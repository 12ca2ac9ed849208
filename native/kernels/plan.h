// The options of a call, put in the terms that row.h computes with.
#pragma once

#include <cstdint>

#include "dece_loss.h"

namespace dece {

// Which of the formulas of row.h a call needs.
enum class Form {
  linear,      // gradient = factor * (p - y'): cross-entropy, GCE, DeCE without smoothing
  blend,       // DeCE
  blend_wide,  // DeCE where a product of four blends could leave the range of a float
  trust,       // In-trust
};

struct Plan {
  Form form;
  Loss loss;                 // what the row factor of a linear form comes from
  double alpha, rest, odds;  // rest = 1 - alpha, odds = alpha / rest
  double beta, delta, q;
  double label, other;  // y' of the label and of each other class
  double floor;         // probabilities below count as this and have no gradient; 0: none
  double scale;
  const float *weights, *upstream;  // [rows] or null
  int64_t* bad_row;
  const double* table;  // [table_size, 2]
  int64_t table_size;
  int64_t classes;
  int64_t ignore_index;
  bool past_caches;  // whether the gradient goes to memory directly; the caller's to set
};

Plan make_plan(const LossOptions& options, int64_t classes);

}  // namespace dece
