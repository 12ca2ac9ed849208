#include "dece_loss.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "cpu_rows.h"
#include "plan.h"
#include "team.h"

namespace dece {
namespace {

struct Isa {
  const char* name;
  bool present;
  RowsFunction rows;
};

// The best of those the processor has, or the one that DECE_ISA names.
Isa choose_isa() {
  const Isa isas[] = {
#if defined(__x86_64__)
    {"avx512",
     __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"),
     rows_avx512},
    // Processors with these two have F16C.
    {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), rows_avx2},
#endif
    {"portable", true, rows_portable},
  };
  const char* asked = std::getenv("DECE_ISA");
  const std::string name = asked ? asked : "";
  std::string present;
  for (const Isa& isa : isas) {
    if (!isa.present) continue;
    if (name.empty() || name == isa.name) return isa;
    present += std::string(present.empty() ? "" : ", ") + isa.name;
  }
  throw std::runtime_error("DECE_ISA is \"" + name + "\": this processor has " + present);
}

const Isa& isa() {
  static const Isa chosen = choose_isa();
  return chosen;
}

// Waking a thread costs about as much as this many classes.
constexpr int64_t least_per_thread = 1 << 17;
// Rows taken at a time hold so many classes at least.
constexpr int64_t classes_per_piece = 1 << 16;
// Whether to stop is asked after so many classes, some milliseconds: more often, too many rows
// would not find their next one on its way.
constexpr int64_t classes_per_look = 1 << 20;

// From how many bytes on a float32 gradient is written past the caches: more than they hold, so
// that what is in a line before it is written over need not be read. The caller's next step would
// not find it there anyway. With 16 bits arithmetic takes longer than memory: nothing would be
// gained.
constexpr int64_t least_past_caches = 16 << 20;

struct AlignedDelete {
  void operator()(float* data) const { ::operator delete[](data, std::align_val_t{64}); }
};

}  // namespace

const char* cpu_isa() { return isa().name; }

void loss_and_gradient_cpu(const void* logits, DType dtype, const int64_t* labels, int64_t rows,
                           int64_t classes, const LossOptions& options, float* losses,
                           void* gradient, int threads, const std::atomic<bool>* stop) {
  if (rows == 0) return;
  Plan plan = make_plan(options, classes);
  plan.past_caches = gradient != nullptr && gradient != logits && dtype == DType::float32 &&
                     rows * classes * int64_t(sizeof(float)) >= least_past_caches;
  const RowsFunction run = isa().rows;
  threads = team_size(threads, rows * classes, least_per_thread);
  // malloc keeps it for the next call: a pool of our own was no faster.
  const int64_t size = scratch_size(classes);
  const std::unique_ptr<float[], AlignedDelete> scratch(
      new (std::align_val_t{64}) float[threads * size]);

  const int64_t rows_per_look = std::max<int64_t>(1, classes_per_look / classes);
  share_out(threads, rows, std::max<int64_t>(1, classes_per_piece / classes),
            [&](int member, int64_t begin, int64_t end) {
              const int64_t step = stop ? rows_per_look : end - begin;
              for (int64_t row = begin; row < end && !(stop && *stop); row += step) {
                run(plan, dtype, logits, labels, row, std::min(row + step, end), losses, gradient,
                    scratch.get() + member * size);
              }
            });
}

}  // namespace dece
