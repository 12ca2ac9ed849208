// What each of the rows_*.cc files defines: the same code for another instruction set.
#pragma once

#include <cstdint>

#include "plan.h"

namespace dece {

// Fills losses and gradients of the rows [begin, end). `scratch` has scratch_size(classes) floats,
// on a 64-byte boundary.
using RowsFunction = void (*)(const Plan& plan, DType dtype, const void* logits,
                              const int64_t* labels, int64_t begin, int64_t end, float* losses,
                              void* gradient, float* scratch);

void rows_avx512(const Plan&, DType, const void*, const int64_t*, int64_t, int64_t, float*, void*,
                 float*);
void rows_avx2(const Plan&, DType, const void*, const int64_t*, int64_t, int64_t, float*, void*,
               float*);
void rows_portable(const Plan&, DType, const void*, const int64_t*, int64_t, int64_t, float*, void*,
                   float*);

// A row of exponentials is padded to whole groups of four vectors, 64 floats at most.
inline int64_t scratch_size(int64_t classes) { return (classes + 63) / 64 * 64; }

}  // namespace dece
