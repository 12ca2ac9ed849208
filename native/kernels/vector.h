// A vector of floats as wide as the processor's registers: loading and storing the three types of
// logits, exp and log. GNU vector extensions, so that one text serves every instruction set; the
// compiler's flags choose the width.
//
// Everything has internal linkage, for the reason told in row.h.
#pragma once

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

namespace dece {
namespace {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * lanes)));
typedef int32_t Ints __attribute__((vector_size(4 * lanes)));
typedef uint32_t Bits __attribute__((vector_size(4 * lanes)));
typedef uint16_t Halves __attribute__((vector_size(2 * lanes)));

template <typename V, typename T>
inline V read(const T* from) {
  V value;
  static_assert(sizeof value == lanes * sizeof(T));
  memcpy(&value, from, sizeof value);
  return value;
}

template <typename V, typename T>
inline void write(T* to, V value) {
  static_assert(sizeof value == lanes * sizeof(T));
  memcpy(to, &value, sizeof value);
}

// Writes past the caches where the processor can; `to` is at a multiple of the value's size. After
// the last of them end_past_caches() makes them visible to other threads.
template <typename V, typename T>
inline void write_past_caches(T* to, V value) {
  static_assert(sizeof value == lanes * sizeof(T));
#if defined(__AVX512F__)
  if constexpr (sizeof value == 64) return _mm512_stream_si512((__m512i*)to, (__m512i)value);
#endif
#if defined(__AVX2__)
  if constexpr (sizeof value == 32) return _mm256_stream_si256((__m256i*)to, (__m256i)value);
#endif
#if defined(__SSE2__)
  if constexpr (sizeof value == 16) return _mm_stream_si128((__m128i*)to, (__m128i)value);
#endif
  write(to, value);
}

inline void end_past_caches() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }

inline double sum(Vec v) {
  double total = 0;
  for (int i = 0; i < lanes; i++) total += v[i];
  return total;
}

inline float maximum(Vec v) {
  float most = v[0];
  for (int i = 1; i < lanes; i++) most = v[i] > most ? v[i] : most;
  return most;
}

// Numbers of 16 bits in 32, and back. GCC takes five instructions for what the processor does in
// one.
inline Bits widened(Halves halves) {
#if defined(__AVX512F__)
  return (Bits)_mm512_cvtepu16_epi32((__m256i)halves);
#elif defined(__AVX2__)
  return (Bits)_mm256_cvtepu16_epi32((__m128i)halves);
#else
  return __builtin_convertvector(halves, Bits);
#endif
}

inline Halves lower_halves(Bits bits) {
#if defined(__AVX512F__)
  return (Halves)_mm512_cvtepi32_epi16((__m512i)bits);
#else
  return __builtin_convertvector(bits, Halves);
#endif
}

// The types of logits. Conversions to 16 bits round to nearest, ties to even.
struct Float32 {
  using Storage = float;
  static Vec load(const float* from) { return read<Vec>(from); }
  static Vec pack(Vec v) { return v; }
};

struct BFloat16 {
  using Storage = uint16_t;
  static Vec load(const uint16_t* from) { return (Vec)(widened(read<Halves>(from)) << 16); }
  static Halves pack(Vec v) {
    // A NaN that comes of arithmetic has no low bits that could carry it over into an infinity.
    const Bits bits = (Bits)v;
    return lower_halves((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
};

struct Float16 {
  using Storage = uint16_t;
#if defined(__AVX512F__)
  static Vec load(const uint16_t* from) {
    return (Vec)_mm512_cvtph_ps((__m256i)read<Halves>(from));
  }
  static Halves pack(Vec v) {
    return (Halves)_mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT);
  }
#elif defined(__F16C__)
  static Vec load(const uint16_t* from) {
    return (Vec)_mm256_cvtph_ps((__m128i)read<Halves>(from));
  }
  static Halves pack(Vec v) {
    return (Halves)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT);
  }
#else
  static Vec load(const uint16_t* from) {
    const Bits half = widened(read<Halves>(from));
    // The exponent of a half moved to where a float has it is too small by 112; multiplying puts
    // that right for subnormal numbers too.
    const Bits finite = (Bits)((Vec)((half & 0x7fff) << 13) * 0x1p112f);
    const Bits magnitude = (half & 0x7c00) == 0x7c00 ? finite | 0x7f800000 : finite;
    return (Vec)(magnitude | (half & 0x8000) << 16);
  }
  static Halves pack(Vec v) {
    const Bits bits = (Bits)v;
    const Bits magnitude = bits & 0x7fffffff;
    const Bits normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
    // The last place of a float in [0.5, 1) is the smallest half: the addition rounds.
    const Bits subnormal = (Bits)((Vec)magnitude + 0.5f) - 0x3f000000;
    Bits half = magnitude < (113u << 23) ? subnormal : normal;
    half = magnitude >= 0x477ff000 ? Bits{} + 0x7c00 : half;  // 65520 and above: infinity
    half = magnitude > 0x7f800000 ? Bits{} + 0x7e00 : half;   // NaN
    return lower_halves(half | (bits >> 16 & 0x8000));
  }
#endif
};

// `count` < lanes values; the other lanes are `rest`.
template <class Element>
inline Vec load_some(const typename Element::Storage* from, int64_t count, float rest) {
  typename Element::Storage some[lanes] = {};
  memcpy(some, from, count * sizeof *from);
  const Vec v = Element::load(some);
  Vec filled;
  for (int i = 0; i < lanes; i++) filled[i] = i < count ? v[i] : rest;
  return filled;
}

template <class Element>
inline void store_some(typename Element::Storage* to, Vec v, int64_t count) {
  typename Element::Storage some[lanes];
  write(some, Element::pack(v));
  memcpy(to, some, count * sizeof *to);
}

// exp(x) for x <= 0 within two units in the last place: x = n log 2 + r and a polynomial in r,
// fitted to the least relative error (3e-9). Below the smallest normal float it is 0, NaN stays.
inline Vec exponential(Vec x) {
  // Adding 1.5 * 2^23 rounds to an integer, which the low bits then hold; 127 is the exponent's
  // bias.
  constexpr float rounder = 0x1.8p23f + 127;
  const Vec shifted = x * 0x1.715476p0f + rounder;
  const Vec n = shifted - rounder;
  Vec r = x - n * 0x1.62e4p-1f;  // log 2 in two parts: n times the first is exact
  r = r - n * 0x1.7f7d1cp-20f;
  Vec p = r * 1.381459878757596e-3f + 8.368716575205326e-3f;
  p = p * r + 4.166838899254799e-2f;
  p = p * r + 0.1666652113199234f;
  p = p * r + 0.4999999403953552f;
  p = p * (r * r) + r + 1.0f;
  const Vec power = (Vec)((Bits)shifted << 23);
  return x < -87.3365f ? Vec{} : p * power;
}

// log(x) for normal x > 0, relative error about 1e-7: x = m 2^n with m in [sqrt 1/2, sqrt 2) and a
// polynomial in m - 1, fitted to the least relative error (6e-9).
inline Vec natural_log(Vec x) {
  const Ints n = ((Ints)x - 0x3f3504f3) >> 23;
  const Vec f = (Vec)((Ints)x - (n << 23)) - 1.0f;
  Vec p = f * -7.634492963552475e-2f + 0.12761574983596802f;
  p = p * f - 0.13160182535648346f;
  p = p * f + 0.14201758801937103f;
  p = p * f - 0.16623356938362122f;
  p = p * f + 0.20001226663589478f;
  p = p * f - 0.2500081956386566f;
  p = p * f + 0.3333333134651184f;
  const Vec exponent = __builtin_convertvector(n, Vec);
  const Vec square = f * f;
  const Vec small = p * (square * f) + exponent * 0x1.7f7d1cp-20f - 0.5f * square;
  return small + f + exponent * 0x1.62e4p-1f;
}

inline Vec loss_log(Vec x) { return natural_log(x); }
inline Vec reciprocal(Vec x) { return 1.0f / x; }

}  // namespace
}  // namespace dece
