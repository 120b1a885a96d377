/*
 * avx512.c: 16 lanes of f32. vfmadd231ps on 512 bits: latency 4, two a cycle on servers; masked loads read a tail
 * without touching what lies behind it; 32 registers hold a tile of 4 x 4 sums with room for its operands. Compiled
 * with -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma; runs only where cpu.c found them.
 */
#include <float.h>
#include <immintrin.h>
#include <string.h>

#include "kernels/levels.h"

#define LEVEL_NAME   "avx512"
#define LEVEL_TABLE  ht_kernels_avx512
#define LANES        16
#define ROWS         4
#define TILE_QUERIES 4
#define TILE_ROWS    4

typedef __m512 vec;

static inline vec vec_zero(void) { return _mm512_setzero_ps(); }
static inline vec vec_load(const float *p) { return _mm512_loadu_ps(p); }
static inline vec vec_load_part(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
static inline vec vec_add(vec x, vec y) { return _mm512_add_ps(x, y); }
static inline vec vec_dot(vec sum, vec q, vec x) { return _mm512_fmadd_ps(q, x, sum); }
static inline vec vec_l2(vec sum, vec q, vec x) {
    vec d = _mm512_sub_ps(q, x);
    return _mm512_fmadd_ps(d, d, sum);
}
static inline vec vec_l1(vec sum, vec q, vec x) { return _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(q, x))); }
static inline float vec_sum(vec x) { return _mm512_reduce_add_ps(x); }
static inline uint64_t vec_keep(vec e, vec n, const ht_rule *rule) {
    vec per_norm = _mm512_fmadd_ps(_mm512_set1_ps(rule->by_norm2), n, _mm512_set1_ps(rule->by_norm));
    vec key = _mm512_fmadd_ps(per_norm, n, _mm512_mul_ps(_mm512_set1_ps(rule->sign), e));
    __mmask16 low = _mm512_cmp_ps_mask(key, _mm512_set1_ps(rule->limit), _CMP_LT_OQ);
    __mmask16 finite = _mm512_cmp_ps_mask(key, _mm512_set1_ps(-FLT_MAX), _CMP_GE_OQ);
    return ~(unsigned)(low & finite) & 0xffffu;
}

typedef struct wide {
    __m512d low, high; /* lanes 0-7, 8-15 */
} wide;

static inline wide wide_zero(void) { return (wide){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
static inline wide wide_widen(const float *p) {
    return (wide){_mm512_cvtps_pd(_mm256_loadu_ps(p)), _mm512_cvtps_pd(_mm256_loadu_ps(p + 8))};
}
static inline wide wide_mul(wide x, wide y) {
    return (wide){_mm512_mul_pd(x.low, y.low), _mm512_mul_pd(x.high, y.high)};
}
static inline wide wide_sub(wide x, wide y) {
    return (wide){_mm512_sub_pd(x.low, y.low), _mm512_sub_pd(x.high, y.high)};
}
static inline wide wide_add(wide x, wide y) {
    return (wide){_mm512_add_pd(x.low, y.low), _mm512_add_pd(x.high, y.high)};
}
static inline wide wide_abs(wide x) { return (wide){_mm512_abs_pd(x.low), _mm512_abs_pd(x.high)}; }
static inline double wide_fold(wide x) {
    __m512d eight = _mm512_add_pd(x.low, x.high);
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

#include "kernels/f32_rows.inc"
