/*
 * neon.c: NEON as every AArch64 processor has it. Codes are multiplied into 16 bits and added in pairs, twice.
 */
#define LEVEL_NAME  "neon"
#define LEVEL_TABLE ht_kernels_neon

#include "kernels/neon.inc"

static inline ints ints_dot(ints sum, ints codes, ints query) {
    int8x16_t c = vreinterpretq_s8_s32(codes), q = vreinterpretq_s8_s32(query);
    int32x4_t front = vpaddlq_s16(vmull_s8(vget_low_s8(c), vget_low_s8(q)));
    int32x4_t back = vpaddlq_s16(vmull_high_s8(c, q));
    return vaddq_s32(sum, vpaddq_s32(front, back));
}

#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
