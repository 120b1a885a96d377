/*
 * neon_dot.c: NEON with sdot: four products of bytes a lane, summed into 32 bits at once. Compiled with
 * -march=armv8.2-a+dotprod; runs only where cpu.c found it.
 */
#define LEVEL_NAME  "neon-dot"
#define LEVEL_TABLE ht_kernels_neon_dot

#include "kernels/neon.inc"

static inline ints ints_dot(ints sum, ints codes, ints query) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(codes), vreinterpretq_s8_s32(query));
}

#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
