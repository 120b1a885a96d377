/*
 * scalar.c: the kernels in plain C, four lanes so that sums do not wait for one another. Compiled without
 * auto-vectorisation: it is the yardstick the other levels are tested against, and runs anywhere.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/levels.h"

#define LEVEL_NAME   "scalar"
#define LEVEL_TABLE  ht_kernels_scalar
#define LANES        4
#define ROWS         1
#define TILE_QUERIES 1
#define TILE_ROWS    2

typedef struct vec {
    float a, b, c, d;
} vec;

static inline vec vec_zero(void) { return (vec){0, 0, 0, 0}; }
static inline vec vec_load(const float *p) { return (vec){p[0], p[1], p[2], p[3]}; }
static inline vec vec_load_part(const float *p, size_t n) { return (vec){p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, 0}; }
static inline vec vec_add(vec x, vec y) { return (vec){x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d}; }
static inline vec vec_sub(vec x, vec y) { return (vec){x.a - y.a, x.b - y.b, x.c - y.c, x.d - y.d}; }
static inline vec vec_mul(vec x, vec y) { return (vec){x.a * y.a, x.b * y.b, x.c * y.c, x.d * y.d}; }
static inline vec vec_dot(vec sum, vec q, vec x) { return vec_add(sum, vec_mul(q, x)); }
static inline vec vec_l2(vec sum, vec q, vec x) { return vec_dot(sum, vec_sub(q, x), vec_sub(q, x)); }
static inline vec vec_l1(vec sum, vec q, vec x) {
    vec d = vec_sub(q, x);
    return vec_add(sum, (vec){fabsf(d.a), fabsf(d.b), fabsf(d.c), fabsf(d.d)});
}
static inline float vec_sum(vec x) { return (x.a + x.c) + (x.b + x.d); }

static inline uint64_t keep_one(float estimate, float norm, const ht_rule *rule) {
    float key = rule->sign * estimate + rule->by_norm * norm + rule->by_norm2 * norm * norm;
    return !(key < rule->limit && key >= -FLT_MAX);
}
static inline uint64_t vec_keep(vec e, vec n, const ht_rule *rule) {
    return keep_one(e.a, n.a, rule) | keep_one(e.b, n.b, rule) << 1 | keep_one(e.c, n.c, rule) << 2 |
           keep_one(e.d, n.d, rule) << 3;
}

typedef struct wide {
    double lane[16];
} wide;

static inline wide wide_zero(void) { return (wide){{0}}; }
static inline wide wide_widen(const float *p) {
    wide w;
    for (int j = 0; j < 16; j++)
        w.lane[j] = (double)p[j];
    return w;
}
static inline wide wide_mul(wide x, wide y) {
    for (int j = 0; j < 16; j++)
        x.lane[j] *= y.lane[j];
    return x;
}
static inline wide wide_sub(wide x, wide y) {
    for (int j = 0; j < 16; j++)
        x.lane[j] -= y.lane[j];
    return x;
}
static inline wide wide_add(wide x, wide y) {
    for (int j = 0; j < 16; j++)
        x.lane[j] += y.lane[j];
    return x;
}
static inline wide wide_abs(wide x) {
    for (int j = 0; j < 16; j++)
        x.lane[j] = fabs(x.lane[j]);
    return x;
}
static inline double wide_fold(wide x) {
    for (int half = 8; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            x.lane[j] += x.lane[j + half];
    return x.lane[0];
}

/* One row: 4 codes in a word, or its sum. */
typedef struct ints {
    int32_t sum;
    uint8_t bytes[4];
} ints;

enum { INTS = 1, INTS_AT_ONCE = 4 };

static inline ints ints_zero(void) { return (ints){0, {0}}; }
static inline ints ints_load(const void *p) {
    ints v = {0, {0}};
    memcpy(v.bytes, p, sizeof v.bytes);
    return v;
}
static inline ints ints_repeat(const int8_t *four) { return ints_load(four); }
static inline ints ints_low(ints sum, ints codes, ints query) {
    for (int t = 0; t < 4; t++)
        sum.sum += (codes.bytes[t] & 15) * (int8_t)query.bytes[t];
    return sum;
}
static inline ints ints_high(ints sum, ints codes, ints query) {
    for (int t = 0; t < 4; t++)
        sum.sum += (codes.bytes[t] >> 4) * (int8_t)query.bytes[t];
    return sum;
}
static inline ints ints_total(ints low, ints high) { return (ints){low.sum + high.sum, {0}}; }
static inline void ints_finish(ints total, const ht_code_query *q, const float *row, float *out) {
    float sum = (float)(total.sum - q->bias) * q->scale;
    *out = row[0] * sum + (row[HT_CODE_ROWS] * q->sum + row[2 * HT_CODE_ROWS] * q->by_rest);
}

#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
