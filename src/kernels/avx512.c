/*
 * avx512.c: AVX-512 without VNNI. Codes go through vpmaddubsw, whose 16-bit sums stay below 4,000. Compiled with
 * -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma; runs only where cpu.c found them.
 */
#define LEVEL_NAME  "avx512"
#define LEVEL_TABLE ht_kernels_avx512

#include "kernels/avx512.inc"

enum { PAIR_SUMS = 1 };

static inline ints ints_dot(ints sum, ints codes, ints query) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(codes, query), _mm512_set1_epi16(1)));
}
/* vpmaddubsw would saturate: bytes are widened first, those at even places and those at odd ones. */
static inline ints ints_dot_bytes(ints sum, ints codes, ints query) {
    ints even = _mm512_madd_epi16(_mm512_and_si512(codes, _mm512_set1_epi16(255)),
                                  _mm512_srai_epi16(_mm512_slli_epi16(query, 8), 8));
    ints odd = _mm512_madd_epi16(_mm512_srli_epi16(codes, 8), _mm512_srai_epi16(query, 8));
    return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
}
static inline void ints_pairs_sum(ints *sum, ints pairs, const ints *query) {
    const ints three = _mm512_set1_epi8(3);
    ints low = _mm512_add_epi16(_mm512_maddubs_epi16(_mm512_and_si512(pairs, three), query[0]),
                                _mm512_maddubs_epi16(_mm512_and_si512(_mm512_srli_epi16(pairs, 2), three), query[1]));
    ints high = _mm512_add_epi16(_mm512_maddubs_epi16(_mm512_and_si512(_mm512_srli_epi16(pairs, 4), three), query[2]),
                                 _mm512_maddubs_epi16(_mm512_and_si512(_mm512_srli_epi16(pairs, 6), three), query[3]));
    ints both = _mm512_madd_epi16(_mm512_add_epi16(low, high), _mm512_set1_epi16(1));
    *sum = _mm512_add_epi32(*sum, both);
}
static inline ints ints_pairs_total(const ints *sum) { return *sum; }

#define PRODUCT_WIDE 2
#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
