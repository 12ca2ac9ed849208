#include "plan.h"

#include <algorithm>

namespace dece {
namespace {

// Below this share of the label in a blend, (1 - alpha) * other / alpha, float runs out of
// exponents. It takes an alphaBase or a smoothing that differs from 1 or 0 by rounding only.
constexpr double least_blend = 1e-30;
// Above this one the product of four blends 1 + p_i * alpha / blend stays finite: the p_i sum to 1,
// so that the product is at most (1 + alpha / (4 * blend)) ** 4 = 2 ** 116.
constexpr double least_quad_blend = 0x1p-31;
// The authors' code with alpha = 1. Next to probabilities of at least 1e-7 so small a share of the
// label is below float's precision, and the formula of DeCE serves for alpha = 1 too.
constexpr double least_rest = 1e-15;

}  // namespace

Plan make_plan(const LossOptions& options, int64_t classes) {
  const bool smooth = options.loss == Loss::dece || options.loss == Loss::cross_entropy;
  const double spread = options.reference ? double(std::max<int64_t>(classes - 1, 1)) : classes;
  const double other = smooth && classes > 1 ? options.label_smoothing / spread : 0;

  Plan plan{};
  plan.form = Form::linear;
  plan.loss = options.loss;
  plan.alpha = options.alpha;
  plan.rest = options.one_minus_alpha;
  plan.beta = options.beta;
  plan.delta = options.delta;
  plan.q = options.q;
  plan.label = 1 - (classes - 1) * other;
  plan.other = other;
  plan.floor = options.reference && options.loss != Loss::cross_entropy ? 1e-7 : 0;
  plan.scale = options.scale;
  plan.weights = options.weights;
  plan.upstream = options.upstream;
  plan.bad_row = options.bad_row;
  plan.table = options.table;
  plan.table_size = options.table_size;
  plan.classes = classes;
  plan.ignore_index = options.ignore_index;

  // A single class has p = 1 whatever its logit is, and all losses but custom ones are 0.
  if (classes == 1 && plan.loss != Loss::custom) plan.loss = Loss::cross_entropy;
  if (plan.loss == Loss::in_trust) plan.form = Form::trust;
  if (plan.loss != Loss::dece) return plan;

  if (options.reference && other > 0 && plan.rest < least_rest) {
    plan.rest = least_rest;
    plan.alpha = 1 - least_rest;
  }
  plan.odds = plan.alpha / plan.rest;
  const double blend = plan.rest * other;
  if (blend > least_blend * plan.alpha) {
    // Probabilities of at least 1e-7 keep the product in range by themselves.
    const bool narrow = plan.floor > 0 || blend > least_quad_blend * plan.alpha;
    plan.form = narrow ? Form::blend : Form::blend_wide;
  } else if (!options.reference && plan.rest <= least_rest) {
    plan.loss = Loss::cross_entropy;
  } else {
    plan.other = 0;
    plan.label = 1;
  }
  return plan;
}

}  // namespace dece
