/*
 * avx2.c: 8 lanes of f32. vfmadd231ps: latency 4, two a cycle; loads: two of 32 bytes a cycle; vmaskmovps reads a
 * tail without touching what lies behind it. Compiled with -mavx2 -mfma; runs only where cpu.c found both.
 */
#include <float.h>
#include <immintrin.h>
#include <string.h>

#include "kernels/levels.h"

#define LEVEL_NAME   "avx2"
#define LEVEL_TABLE  ht_kernels_avx2
#define LANES        8
#define ROWS         4
#define TILE_QUERIES 2
#define TILE_ROWS    4

typedef __m256 vec;

static inline vec vec_zero(void) { return _mm256_setzero_ps(); }
static inline vec vec_load(const float *p) { return _mm256_loadu_ps(p); }
static inline vec vec_load_part(const float *p, size_t n) {
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_maskload_ps(p, _mm256_loadu_si256((const __m256i *)(const void *)(ones_then_zeros + 8 - n)));
}
static inline vec vec_add(vec x, vec y) { return _mm256_add_ps(x, y); }
static inline vec vec_dot(vec sum, vec q, vec x) { return _mm256_fmadd_ps(q, x, sum); }
static inline vec vec_l2(vec sum, vec q, vec x) {
    vec d = _mm256_sub_ps(q, x);
    return _mm256_fmadd_ps(d, d, sum);
}
static inline vec vec_l1(vec sum, vec q, vec x) {
    return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_sub_ps(q, x)));
}
static inline float vec_sum(vec x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline vec vec_repeat(float x) { return _mm256_set1_ps(x); }
static inline void vec_store(float *p, vec x) { _mm256_storeu_ps(p, x); }
static inline vec vec_times(vec x, vec y) { return _mm256_mul_ps(x, y); }
static inline vec vec_larger(vec x, vec y) { return _mm256_max_ps(x, y); }
static inline vec vec_smaller(vec x, vec y) { return _mm256_min_ps(x, y); }
static inline float vec_fold(vec x) { return vec_sum(x); }
static inline float vec_largest(vec x) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
static inline vec vec_sub(vec x, vec y) { return _mm256_sub_ps(x, y); }
static inline vec vec_abs(vec x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
static inline vec vec_exponent(vec x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(x), 23)); }
static inline void vec_bytes(uint8_t *p, vec x) {
    __m256i whole = _mm256_cvttps_epi32(x);
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(words, words));
}
static inline vec vec_fused(vec sum, vec q, vec x) { return vec_dot(sum, q, x); }
static inline uint64_t vec_keep(vec e, vec n, const ht_rule *rule) {
    vec per_norm = _mm256_fmadd_ps(_mm256_set1_ps(rule->by_norm2), n, _mm256_set1_ps(rule->by_norm));
    vec key = _mm256_fmadd_ps(per_norm, n, _mm256_mul_ps(_mm256_set1_ps(rule->sign), e));
    vec low = _mm256_cmp_ps(key, _mm256_set1_ps(rule->limit), _CMP_LT_OQ);
    vec finite = _mm256_cmp_ps(key, _mm256_set1_ps(-FLT_MAX), _CMP_GE_OQ);
    return ~(unsigned)_mm256_movemask_ps(_mm256_and_ps(low, finite)) & 0xffu;
}

typedef struct wide {
    __m256d a, b, c, d; /* lanes 0-3, 4-7, 8-11, 12-15 */
} wide;

static inline wide wide_zero(void) {
    return (wide){_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
}
static inline wide wide_widen(const float *p) {
    return (wide){_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4)),
                  _mm256_cvtps_pd(_mm_loadu_ps(p + 8)), _mm256_cvtps_pd(_mm_loadu_ps(p + 12))};
}
static inline wide wide_mul(wide x, wide y) {
    return (wide){_mm256_mul_pd(x.a, y.a), _mm256_mul_pd(x.b, y.b), _mm256_mul_pd(x.c, y.c), _mm256_mul_pd(x.d, y.d)};
}
static inline wide wide_sub(wide x, wide y) {
    return (wide){_mm256_sub_pd(x.a, y.a), _mm256_sub_pd(x.b, y.b), _mm256_sub_pd(x.c, y.c), _mm256_sub_pd(x.d, y.d)};
}
static inline wide wide_add(wide x, wide y) {
    return (wide){_mm256_add_pd(x.a, y.a), _mm256_add_pd(x.b, y.b), _mm256_add_pd(x.c, y.c), _mm256_add_pd(x.d, y.d)};
}
static inline wide wide_abs(wide x) {
    __m256d sign = _mm256_set1_pd(-0.0);
    return (wide){_mm256_andnot_pd(sign, x.a), _mm256_andnot_pd(sign, x.b), _mm256_andnot_pd(sign, x.c),
                  _mm256_andnot_pd(sign, x.d)};
}
static inline double wide_fold(wide x) {
    __m256d four = _mm256_add_pd(_mm256_add_pd(x.a, x.c), _mm256_add_pd(x.b, x.d));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

typedef __m256i ints; /* 8 rows of 4 codes each, or their sums; vpmaddubsw's 16-bit sums stay below 4,000 */

enum { INTS = 8, INTS_AT_ONCE = 2, TILE_CODES = 4, TILE_INTS = 1, PAIR_SUMS = 1 };

static inline ints ints_zero(void) { return _mm256_setzero_si256(); }
static inline ints ints_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void ints_store(int32_t *p, ints v) { _mm256_storeu_si256((__m256i *)(void *)p, v); }
static inline ints ints_add(ints x, ints y) { return _mm256_add_epi32(x, y); }
static inline ints ints_times_4(ints x) { return _mm256_slli_epi32(x, 2); }
static inline ints ints_repeat(const int8_t *four) {
    int32_t word;
    memcpy(&word, four, sizeof word);
    return _mm256_set1_epi32(word);
}
static inline ints ints_dot(ints sum, ints codes, ints query) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, query), _mm256_set1_epi16(1)));
}
static inline void ints_pairs_sum(ints *sum, ints pairs, const ints *query) {
    const ints three = _mm256_set1_epi8(3);
    ints low = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(pairs, three), query[0]),
                                _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(pairs, 2), three), query[1]));
    ints high = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(pairs, 4), three), query[2]),
                                 _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(pairs, 6), three), query[3]));
    ints both = _mm256_madd_epi16(_mm256_add_epi16(low, high), _mm256_set1_epi16(1));
    *sum = _mm256_add_epi32(*sum, both);
}
static inline ints ints_pairs_total(const ints *sum) { return *sum; }
static inline void ints_codes(ints coarse, ints fine, ints *codes) {
    const ints high = _mm256_set1_epi8((char)0xcc), nibble = _mm256_set1_epi8(15);
    ints even = _mm256_or_si256(_mm256_and_si256(high, _mm256_slli_epi16(coarse, 2)), _mm256_andnot_si256(high, fine));
    ints odd = _mm256_or_si256(_mm256_and_si256(high, coarse), _mm256_andnot_si256(high, _mm256_srli_epi16(fine, 2)));
    codes[0] = _mm256_and_si256(even, nibble);
    codes[1] = _mm256_and_si256(odd, nibble);
    codes[2] = _mm256_and_si256(_mm256_srli_epi16(even, 4), nibble);
    codes[3] = _mm256_and_si256(_mm256_srli_epi16(odd, 4), nibble);
}
static inline void ints_nibbles(ints v, ints *half) {
    const ints nibble = _mm256_set1_epi8(15);
    half[0] = _mm256_and_si256(v, nibble);
    half[1] = _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble);
}
/* vpmaddubsw would saturate: bytes are widened first, those at even places and those at odd ones. */
static inline ints ints_dot_bytes(ints sum, ints codes, ints query) {
    ints even = _mm256_madd_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(255)),
                                  _mm256_srai_epi16(_mm256_slli_epi16(query, 8), 8));
    ints odd = _mm256_madd_epi16(_mm256_srli_epi16(codes, 8), _mm256_srai_epi16(query, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
static inline int32_t ints_sum(ints v) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}
static inline void ints_sum_4(const ints *v, int32_t *out) {
    __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    _mm_storeu_si128((__m128i *)(void *)out, sums);
}
static inline void ints_finish(ints total, int32_t bias, const ht_code_query *q, const float *row, float *out) {
    vec sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(total, _mm256_set1_epi32(bias)));
    vec upper = _mm256_mul_ps(_mm256_set1_ps(q->by_rest), vec_load(row + 2 * HT_CODE_ROWS));
    upper = _mm256_fmadd_ps(vec_load(row + HT_CODE_ROWS), _mm256_set1_ps(q->sum), upper);
    upper = _mm256_fmadd_ps(vec_load(row), _mm256_mul_ps(sum, _mm256_set1_ps(q->scale)), upper);
    _mm256_storeu_ps(out, upper);
}

#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
