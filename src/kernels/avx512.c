/*
 * avx512.c: AVX-512 without VNNI. Codes go through vpmaddubsw, whose 16-bit sums stay below 4,000. Compiled with
 * -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma; runs only where cpu.c found them.
 */
#define LEVEL_NAME  "avx512"
#define LEVEL_TABLE ht_kernels_avx512

#include "kernels/avx512.inc"

static inline ints ints_dot(ints sum, ints codes, ints query) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(codes, query), _mm512_set1_epi16(1)));
}
static inline ints ints_low(ints sum, ints codes, ints query) {
    return ints_dot(sum, _mm512_and_si512(codes, _mm512_set1_epi8(15)), query);
}
static inline ints ints_high(ints sum, ints codes, ints query) {
    return ints_dot(sum, _mm512_and_si512(_mm512_srli_epi16(codes, 4), _mm512_set1_epi8(15)), query);
}
static inline ints ints_total(ints low, ints high) { return _mm512_add_epi32(low, high); }

#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
