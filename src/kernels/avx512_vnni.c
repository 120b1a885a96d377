/*
 * avx512_vnni.c: AVX-512 with vpdpbusd (latency 5, two a cycle on servers): four products of a byte and a signed byte
 * a lane, summed into 32 bits at once. A high nibble is used where it stands, worth 16 times itself, and its sum is
 * divided in the end: exact, and one shift a load less. Compiled with the flags of avx512.c and -mavx512vnni.
 */
#define LEVEL_NAME  "avx512-vnni"
#define LEVEL_TABLE ht_kernels_avx512_vnni

#include "kernels/avx512.inc"

static inline ints ints_low(ints sum, ints codes, ints query) {
    return _mm512_dpbusd_epi32(sum, _mm512_and_si512(codes, _mm512_set1_epi8(0x0f)), query);
}
static inline ints ints_high(ints sum, ints codes, ints query) {
    return _mm512_dpbusd_epi32(sum, _mm512_and_si512(codes, _mm512_set1_epi8((char)0xf0)), query);
}
static inline ints ints_total(ints low, ints high) { return _mm512_add_epi32(low, _mm512_srai_epi32(high, 4)); }

#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
