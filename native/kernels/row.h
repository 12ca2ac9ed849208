// The formulas of dece_loss.h for one row, written once for CPU and CUDA.
//
// With e_j = exp(logit_j - max), Z = sum_j e_j, t the label and sums over the other classes only:
//
//   linear  gradient_j = f (e_j / Z - other)               f = 1, p_t^q, alpha p_t / p'_t, or
//   tabled blend   gradient_j = c e_j / Z (mean_r - r_j)          c = alpha / (1 - alpha)
//           r_j = (1 - alpha) y'_j / p'_j, the label's share of the blend p'_j
//   trust   gradient_j = e_j / Z (alpha + beta (g_j - mean_g))
//           g_j = -log s_j - delta p_j / s_j,   s_j = delta p_j + (1 - delta) y_j
//
// The label has its own formula, in which 1 - p_t is the other classes' sum: written as p_t - 1 the
// gradient of a row that is nearly learnt would be all rounding. What is per row is double, what is
// per class is float.
//
// F below is float or a vector of floats. Before this file is included, natural_log(F),
// reciprocal(F) and loss_log(F), a logarithm whose error only the loss sees, must be declared.
// Everything has internal linkage, since this file is compiled for several instruction sets and the
// linker must not keep one copy for all.
#pragma once

#include <math.h>
#include <string.h>

#include <cstdint>

#include "plan.h"

#ifdef __CUDACC__
#define DECE_HOST_DEVICE __host__ __device__
#else
#define DECE_HOST_DEVICE
#endif

namespace dece {
namespace {

struct Softmax {
  double label;      // e_t
  double others;     // sum of e_j, j != t
  double distance;   // logit_t - max
  double distances;  // sum of logit_j - max, j != t; only where needs_distances

  DECE_HOST_DEVICE double total() const { return label + others; }
  DECE_HOST_DEVICE double probability() const { return label / total(); }
  DECE_HOST_DEVICE double missing() const { return others / total(); }  // 1 - p_t
  // -log p_t
  DECE_HOST_DEVICE double surprise() const {
    return label > others ? log1p(others / label) : log(total()) - distance;
  }
};

DECE_HOST_DEVICE inline bool needs_distances(const Plan& plan) {
  return plan.form == Form::linear && plan.other > 0;
}

// What the other classes add up to. `blanks` counts the zeros that were passed besides: the label's
// own place and padding.
struct Sums {
  double weighted = 0;
  double logs = 0;
  int64_t blanks = 0;
};

template <typename F>
DECE_HOST_DEVICE inline F at_least(F value, float floor) {
  const F floors = F{} + floor;
  return value >= floors ? value : floors;
}

// log(value), where 1 - value is known too
DECE_HOST_DEVICE inline double log_of(double value, double missing) {
  return missing < 0.5 ? log1p(-missing) : log(value);
}

// The weight of p - y' in a custom gradient, between two points of the table; also sets the loss,
// which is the integral of the weights as they are here.
DECE_HOST_DEVICE inline double look_up(const Plan& plan, double surprise, double& loss) {
  surprise = surprise < 1e100 ? surprise : 1e100;  // beyond the last point the line goes on
  const double size = double(plan.table_size);
  int64_t i = int64_t(surprise / (1 + surprise) * size);
  if (i > plan.table_size - 2) i = plan.table_size - 2;
  const double low = i / (size - i), step = (i + 1) / (size - i - 1) - low;
  const double share = (surprise - low) / step;
  const double* const at = plan.table + 2 * i;
  const double change = at[2] - at[0];
  loss = at[1] + share * (at[3] - at[1] - (1 - share) * step * change / 2);
  return at[0] + share * change;
}

// Cross-entropy, GCE, custom losses, and DeCE without smoothing, whose gradient is that of
// cross-entropy times a factor of the row.
struct Linear {
  static constexpr bool has_sums = false;
  float loss, label_gradient;
  float factor, other;

  DECE_HOST_DEVICE Linear(const Plan& plan, const Softmax& row) {
    const double weight = row_loss(plan, row) * plan.scale;
    label_gradient = float(weight * ((plan.classes - 1) * plan.other - row.missing()));
    factor = float(weight / row.total());
    other = float(weight * plan.other);
  }

  template <typename F>
  DECE_HOST_DEVICE void add(const F (&)[4], F&, F&) const {}
  DECE_HOST_DEVICE void finish(const Plan&, const Softmax&, const Sums&) {}
  DECE_HOST_DEVICE void finish_loss(const Plan&, const Softmax&, const Sums&) {}

  template <typename F>
  DECE_HOST_DEVICE void gradient(const F (&e)[4], F (&out)[4]) const {
    for (int i = 0; i < 4; i++) out[i] = e[i] * factor - other;
  }

  DECE_HOST_DEVICE void multiply_gradient(float by) {
    label_gradient *= by;
    factor *= by;
    other *= by;
  }

 private:
  // Sets the loss and returns the weight of p - y' in the gradient.
  DECE_HOST_DEVICE double row_loss(const Plan& plan, const Softmax& row) {
    const double p = row.probability();
    const bool dead = p < plan.floor;
    if (plan.loss == Loss::dece) {
      const double blend = plan.alpha * (dead ? plan.floor : p) + plan.rest;
      loss = float(-(dead ? log(blend) : log_of(blend, plan.alpha * row.missing())));
      return dead ? 0 : plan.alpha * p / blend;
    }
    if (plan.loss == Loss::gce) {
      const double log_p = dead ? log(plan.floor) : -row.surprise();
      loss = float(-expm1(plan.q * log_p) / plan.q);
      return dead ? 0 : exp(plan.q * log_p);
    }
    if (plan.loss == Loss::custom) {
      double tabled;
      const double weight = look_up(plan, row.surprise(), tabled);
      loss = float(tabled);
      return weight;
    }
    double smoothed = plan.label * row.surprise();
    if (plan.other > 0) {
      smoothed += plan.other * ((plan.classes - 1) * log(row.total()) - row.distances);
    }
    loss = float(smoothed);
    return 1;
  }
};

// DeCE. Shares r_j are counted from that of the likeliest class, whose e is 1:
//
//   r_j - r_max = r_j (1 - e_j) k / (k + base)
//
// so that where one wrong class has nearly all p, or all classes have the same, the difference to
// their mean is not lost in rounding. Four classes share one logarithm and one division, which cost
// more than the rest; `wide` is for blends whose product of four would overflow.
template <bool clamped, bool wide>
struct Blend {
  static constexpr bool has_sums = true;
  float loss = 0, label_gradient = 0;
  float k, base;  // k e_j + base is the blend of class j in units of the least likely one's
  float floor;    // the e_j of the lowest probability
  float level = 0, slope = 0;

  DECE_HOST_DEVICE Blend(const Plan& plan, const Softmax& row) {
    const double least = plan.rest * plan.other + plan.alpha * plan.floor;
    k = float(plan.alpha / (least * row.total()));
    k = k > least_k ? k : least_k;
    base = clamped ? float(plan.rest * plan.other / least) : 1;
    floor = float(plan.floor * row.total());
  }

  // weighted: sum of e_j (1 - e_j) / blend_j, logs: sum of log blend_j
  template <typename F>
  DECE_HOST_DEVICE void add(const F (&e)[4], F& weighted, F& logs) const {
    F blend[4], part[4];
    for (int i = 0; i < 4; i++) {
      blend[i] = blend_of(e[i]);
      part[i] = e[i] * (1.0f - e[i]);
      if constexpr (clamped) part[i] = e[i] >= floor ? part[i] : e[i] * blend[i] * (-1 / k);
    }
    if constexpr (wide) {
      for (int i = 0; i < 4; i++) {
        weighted += part[i] * reciprocal(blend[i]);
        logs += loss_log(blend[i]);
      }
    } else {
      const F low = blend[0] * blend[1], high = blend[2] * blend[3];
      const F product = low * high;
      weighted += ((part[0] * blend[1] + part[1] * blend[0]) * high +
                   (part[2] * blend[3] + part[3] * blend[2]) * low) *
                  reciprocal(product);
      logs += loss_log(product);
    }
  }

  DECE_HOST_DEVICE void finish(const Plan& plan, const Softmax& row, const Sums& sums) {
    const double inverse = 1 / row.total(), p = row.label * inverse;
    const double of_max = double(k) + base;  // the blend of the likeliest class
    const double lowest = base / of_max;
    const double share =
        (p < plan.floor ? 0 : plan.rest * plan.label / blend_of_label(plan, p)) - lowest;
    const double weighted = sums.weighted * lowest * k;
    const double pull = plan.scale * plan.odds * inverse;

    label_gradient = float(pull * p * (weighted - share * row.others));
    level = float(pull * (weighted + row.label * share) * inverse);
    slope = float(pull * lowest * k);
  }

  DECE_HOST_DEVICE void finish_loss(const Plan& plan, const Softmax& row, const Sums& sums) {
    const double p = row.probability(), blend = blend_of_label(plan, p);
    const double missing = plan.alpha * row.missing() + plan.rest * (plan.classes - 1) * plan.other;
    const double of_label = p < plan.floor ? log(blend) : log_of(blend, missing);
    const double least = plan.rest * plan.other + plan.alpha * plan.floor;
    const double others = (plan.classes - 1) * log(least) + sums.logs;
    loss = float(-plan.label * of_label - plan.other * others);
  }

  template <typename F>
  DECE_HOST_DEVICE void gradient(const F (&e)[4], F (&out)[4]) const {
    F blend[4], inverse[4];
    for (int i = 0; i < 4; i++) blend[i] = blend_of(e[i]);
    if constexpr (wide) {
      for (int i = 0; i < 4; i++) inverse[i] = reciprocal(blend[i]);
    } else {
      const F low = blend[0] * blend[1], high = blend[2] * blend[3];
      const F of_all = reciprocal(low * high);
      const F of_low = of_all * high, of_high = of_all * low;
      inverse[0] = of_low * blend[1];
      inverse[1] = of_low * blend[0];
      inverse[2] = of_high * blend[3];
      inverse[3] = of_high * blend[2];
    }
    for (int i = 0; i < 4; i++) {
      F part = (1.0f - e[i]) * inverse[i];
      if constexpr (clamped) part = e[i] >= floor ? part : F{} - 1 / k;
      out[i] = e[i] * (level - part * slope);
    }
  }

  DECE_HOST_DEVICE void multiply_gradient(float by) {
    label_gradient *= by;
    level *= by;
    slope *= by;
  }

 private:
  // Far below what changes a blend, so that 1 / k is finite.
  static constexpr float least_k = 1e-30f;

  DECE_HOST_DEVICE static double blend_of_label(const Plan& plan, double p) {
    return plan.alpha * (p < plan.floor ? plan.floor : p) + plan.rest * plan.label;
  }

  template <typename F>
  DECE_HOST_DEVICE F blend_of(F e) const {
    const F blend = e * k + base;
    return clamped ? at_least(blend, 1.0f) : blend;
  }
};

// In-trust. Its label is a one-hot vector whose zeros are raised to label_floor.
template <bool clamped>
struct Trust {
  static constexpr bool has_sums = true;
  static constexpr double label_floor = 1e-4;
  float loss = 0, label_gradient = 0;
  float weight, base;  // weight e_j + base is the blend of class j
  float floor;         // the e_j of the lowest probability
  float origin;        // g of the likeliest class: what is near it must not be rounded like it
  float factor = 0, offset = 0;

  DECE_HOST_DEVICE Trust(const Plan& plan, const Softmax& row)
      : weight(float(plan.delta / row.total())),
        base(float((1 - plan.delta) * label_floor)),
        floor(float(plan.floor * row.total())) {
    const double blend = double(weight) + base;
    origin = float(-log(blend) - weight / blend);
  }

  // weighted: sum of e_j (g_j - origin), logs: sum of e_j log s_j
  template <typename F>
  DECE_HOST_DEVICE void add(const F (&e)[4], F& weighted, F& logs) const {
    for (int i = 0; i < 4; i++) {
      const F raised = clamped ? at_least(e[i], floor) : e[i];
      F log_blend;
      weighted += e[i] * pull_of(e[i], log_blend);
      logs += raised * log_blend;
    }
  }

  DECE_HOST_DEVICE void finish(const Plan& plan, const Softmax& row, const Sums& sums) {
    const double p = row.probability();
    const Label label(plan, row);
    const double pull = (p < plan.floor || label.blend <= 0
                             ? 0
                             : -label.log_blend - plan.delta * label.raised / label.blend) -
                        origin;
    const double alpha = plan.scale * plan.alpha, beta = plan.scale * plan.beta;

    const double mean = (sums.weighted + row.label * pull) / row.total();
    factor = float(beta / row.total());
    offset = float((alpha - beta * mean) / row.total());
    label_gradient = float(-alpha * row.missing() +
                           beta * p * (pull * row.others - sums.weighted) / row.total());
  }

  DECE_HOST_DEVICE void finish_loss(const Plan& plan, const Softmax& row, const Sums& sums) {
    const Label label(plan, row);
    const double of_blanks =
        floor > 0 ? double(sums.blanks) * floor * log(double(weight) * floor + base) : 0;
    const double distrust = -(sums.logs - of_blanks) / row.total() - label.raised * label.log_blend;
    loss = float((plan.alpha > 0 ? plan.alpha * row.surprise() : 0) + plan.beta * distrust);
  }

  template <typename F>
  DECE_HOST_DEVICE void gradient(const F (&e)[4], F (&out)[4]) const {
    F log_blend;
    for (int i = 0; i < 4; i++) out[i] = e[i] * (pull_of(e[i], log_blend) * factor + offset);
  }

  DECE_HOST_DEVICE void multiply_gradient(float by) {
    label_gradient *= by;
    factor *= by;
    offset *= by;
  }

 private:
  // What the sums leave out.
  struct Label {
    double raised, blend, log_blend;

    DECE_HOST_DEVICE Label(const Plan& plan, const Softmax& row) {
      const double p = row.probability();
      const bool dead = p < plan.floor;
      raised = dead ? plan.floor : p;
      blend = plan.delta * raised + 1 - plan.delta;
      log_blend = blend <= 0 ? 0 : (dead ? log(blend) : log_of(blend, plan.delta * row.missing()));
    }
  };

  // g_j - origin; also sets log s_j
  template <typename F>
  DECE_HOST_DEVICE F pull_of(F e, F& log_blend) const {
    const F predicted = (clamped ? at_least(e, floor) : e) * weight;
    // With delta = 1 an impossible class has a blend of 0, and 0 * log 0 is 0.
    const F blend = at_least(predicted + base, 1.2e-38f);
    log_blend = natural_log(blend);
    F pull = -log_blend - predicted / blend;
    if constexpr (clamped) pull = e >= floor ? pull : F{};
    return pull - origin;
  }
};

DECE_HOST_DEVICE inline float weight_of(const Plan& plan, int64_t place) {
  return plan.weights == nullptr ? 1 : plan.weights[place];
}

// The last of a row's gradient: its weight, what is kept of it if anything is, its upstream
// gradient.
template <class Row>
DECE_HOST_DEVICE inline void complete(const Plan& plan, int64_t place, float max, Row& row,
                                      RowState* states = nullptr) {
  if (plan.weights != nullptr) row.multiply_gradient(plan.weights[place]);
  if (states != nullptr) {
    states[place].max = max;
    static_assert(sizeof row <= sizeof states->numbers);
    memcpy(states[place].numbers, &row, sizeof row);
  }
  if (plan.upstream != nullptr) row.multiply_gradient(plan.upstream[place]);
}

}  // namespace
}  // namespace dece
