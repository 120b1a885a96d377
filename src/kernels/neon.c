/*
 * neon.c: 4 lanes of f32, 32 registers. fmla: latency 4, two to four a cycle. Tails go through a small copy, so
 * nothing behind a row is read. Every AArch64 processor has it.
 */
#include <arm_neon.h>
#include <float.h>
#include <string.h>

#include "kernels/levels.h"

#define LEVEL_NAME   "neon"
#define LEVEL_TABLE  ht_kernels_neon
#define LANES        4
#define ROWS         4
#define TILE_QUERIES 4
#define TILE_ROWS    4

typedef float32x4_t vec;

static inline vec vec_zero(void) { return vdupq_n_f32(0); }
static inline vec vec_load(const float *p) { return vld1q_f32(p); }
static inline vec vec_load_part(const float *p, size_t n) {
    float padded[4] = {p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, 0};
    return vld1q_f32(padded);
}
static inline vec vec_add(vec x, vec y) { return vaddq_f32(x, y); }
static inline vec vec_dot(vec sum, vec q, vec x) { return vfmaq_f32(sum, q, x); }
static inline vec vec_l2(vec sum, vec q, vec x) {
    vec d = vsubq_f32(q, x);
    return vfmaq_f32(sum, d, d);
}
static inline vec vec_l1(vec sum, vec q, vec x) { return vaddq_f32(sum, vabdq_f32(q, x)); }
static inline float vec_sum(vec x) { return vaddvq_f32(x); }
static inline uint64_t vec_keep(vec e, vec n, const ht_rule *rule) {
    static const uint32_t bits[4] = {1, 2, 4, 8};
    vec per_norm = vfmaq_f32(vdupq_n_f32(rule->by_norm), vdupq_n_f32(rule->by_norm2), n);
    vec key = vfmaq_f32(vmulq_n_f32(e, rule->sign), per_norm, n);
    uint32x4_t low = vcltq_f32(key, vdupq_n_f32(rule->limit));
    uint32x4_t finite = vcgeq_f32(key, vdupq_n_f32(-FLT_MAX));
    return vaddvq_u32(vbicq_u32(vld1q_u32(bits), vandq_u32(low, finite)));
}

typedef struct wide {
    float64x2_t pair[8]; /* pair i holds lanes 2i and 2i + 1 */
} wide;

static inline wide wide_zero(void) {
    wide w;
    for (int i = 0; i < 8; i++)
        w.pair[i] = vdupq_n_f64(0);
    return w;
}
static inline wide wide_widen(const float *p) {
    wide w;
    for (int i = 0; i < 8; i++)
        w.pair[i] = vcvt_f64_f32(vld1_f32(p + 2 * i));
    return w;
}
static inline wide wide_mul(wide x, wide y) {
    for (int i = 0; i < 8; i++)
        x.pair[i] = vmulq_f64(x.pair[i], y.pair[i]);
    return x;
}
static inline wide wide_sub(wide x, wide y) {
    for (int i = 0; i < 8; i++)
        x.pair[i] = vsubq_f64(x.pair[i], y.pair[i]);
    return x;
}
static inline wide wide_add(wide x, wide y) {
    for (int i = 0; i < 8; i++)
        x.pair[i] = vaddq_f64(x.pair[i], y.pair[i]);
    return x;
}
static inline wide wide_abs(wide x) {
    for (int i = 0; i < 8; i++)
        x.pair[i] = vabsq_f64(x.pair[i]);
    return x;
}
static inline double wide_fold(wide x) {
    for (int half = 4; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            x.pair[i] = vaddq_f64(x.pair[i], x.pair[i + half]);
    return vgetq_lane_f64(x.pair[0], 0) + vgetq_lane_f64(x.pair[0], 1);
}

#include "kernels/f32_rows.inc"
