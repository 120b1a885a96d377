/*
 * avx512_vnni.c: AVX-512 with vpdpbusd (latency 5, two a cycle on servers): four products of a byte and a signed byte
 * a lane, summed into 32 bits at once. A pair of bits is used where it stands in its byte, worth up to 64 times itself,
 * and its sum is divided in the end: exact, below 2^31, and three shifts a load less. Compiled with the flags of
 * avx512.c and -mavx512vnni.
 */
#define LEVEL_NAME  "avx512-vnni"
#define LEVEL_TABLE ht_kernels_avx512_vnni

#include "kernels/avx512.inc"

enum { PAIR_SUMS = 4 };

static inline ints ints_dot(ints sum, ints codes, ints query) { return _mm512_dpbusd_epi32(sum, codes, query); }
static inline ints ints_dot_bytes(ints sum, ints codes, ints query) { return ints_dot(sum, codes, query); }
static inline void ints_pairs_sum(ints *sum, ints pairs, const ints *query) {
    for (int f = 0; f < 4; f++)
        sum[f] = _mm512_dpbusd_epi32(sum[f], _mm512_and_si512(pairs, _mm512_set1_epi8((char)(3 << 2 * f))), query[f]);
}
static inline ints ints_pairs_total(const ints *sum) {
    return _mm512_add_epi32(_mm512_add_epi32(sum[0], _mm512_srai_epi32(sum[1], 2)),
                            _mm512_add_epi32(_mm512_srai_epi32(sum[2], 4), _mm512_srai_epi32(sum[3], 6)));
}

#define PRODUCT_WIDE 2
#define PRODUCT_HIGH 12
#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
