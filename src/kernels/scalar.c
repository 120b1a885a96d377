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
static inline vec vec_repeat(float x) { return (vec){x, x, x, x}; }
static inline void vec_store(float *p, vec x) { memcpy(p, &x, sizeof x); }
static inline vec vec_times(vec x, vec y) { return vec_mul(x, y); }
static inline vec vec_larger(vec x, vec y) {
    return (vec){x.a > y.a ? x.a : y.a, x.b > y.b ? x.b : y.b, x.c > y.c ? x.c : y.c, x.d > y.d ? x.d : y.d};
}
static inline vec vec_smaller(vec x, vec y) {
    return (vec){x.a < y.a ? x.a : y.a, x.b < y.b ? x.b : y.b, x.c < y.c ? x.c : y.c, x.d < y.d ? x.d : y.d};
}
static inline float vec_fold(vec x) { return (x.a + x.c) + (x.b + x.d); }
static inline float vec_largest(vec x) {
    const float ab = x.a > x.b ? x.a : x.b, cd = x.c > x.d ? x.c : x.d;
    return ab > cd ? ab : cd;
}
static inline vec vec_abs(vec x) { return (vec){fabsf(x.a), fabsf(x.b), fabsf(x.c), fabsf(x.d)}; }
static inline vec vec_exponent(vec x) {
    uint32_t bits[4];
    memcpy(bits, &x, sizeof bits);
    for (int i = 0; i < 4; i++)
        bits[i] <<= 23;
    memcpy(&x, bits, sizeof bits);
    return x;
}
static inline void vec_bytes(uint8_t *p, vec x) {
    p[0] = (uint8_t)x.a;
    p[1] = (uint8_t)x.b;
    p[2] = (uint8_t)x.c;
    p[3] = (uint8_t)x.d;
}
static inline vec vec_fused(vec sum, vec q, vec x) {
    return (vec){fmaf(q.a, x.a, sum.a), fmaf(q.b, x.b, sum.b), fmaf(q.c, x.c, sum.c), fmaf(q.d, x.d, sum.d)};
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

typedef int32_t ints; /* one row: 4 codes, a byte each, or its sum */

enum { INTS = 1, INTS_AT_ONCE = 4, TILE_CODES = 2, TILE_INTS = 4, PAIR_SUMS = 1 };

static inline ints ints_zero(void) { return 0; }
static inline ints ints_load(const void *p) {
    ints v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void ints_store(int32_t *p, ints v) { *p = v; }
static inline ints ints_add(ints x, ints y) { return x + y; }
static inline ints ints_times_4(ints x) { return x * 4; }
static inline ints ints_repeat(const int8_t *four) { return ints_load(four); }
static inline ints ints_dot(ints sum, ints codes, ints query) {
    uint8_t code[4];
    int8_t q[4];
    memcpy(code, &codes, sizeof code);
    memcpy(q, &query, sizeof q);
    return sum + code[0] * q[0] + code[1] * q[1] + code[2] * q[2] + code[3] * q[3];
}
static inline ints ints_dot_bytes(ints sum, ints codes, ints query) { return ints_dot(sum, codes, query); }
static inline ints ints_sum(ints v) { return v; }
static inline void ints_sum_4(const ints *v, int32_t *out) { memcpy(out, v, 4 * sizeof *out); }
static inline void ints_nibbles(ints v, ints *half) {
    half[0] = v & 0x0f0f0f0f;
    half[1] = (ints)((uint32_t)v >> 4 & 0x0f0f0f0fu);
}
static inline ints ints_field(ints pairs, int field) { return (ints)((uint32_t)pairs >> 2 * field & 0x03030303u); }
static inline void ints_pairs_sum(ints *sum, ints pairs, const ints *query) {
    for (int f = 0; f < 4; f++)
        *sum = ints_dot(*sum, ints_field(pairs, f), query[f]);
}
static inline ints ints_pairs_total(const ints *sum) { return *sum; }
static inline void ints_codes(ints coarse, ints fine, ints *codes) {
    for (int f = 0; f < 4; f++)
        codes[f] = ints_field(coarse, f) * 4 + ints_field(fine, f);
}
static inline void ints_finish(ints total, int32_t bias, const ht_code_query *q, const float *row, float *out) {
    float sum = (float)(total - bias) * q->scale;
    *out = row[0] * sum + (row[HT_CODE_ROWS] * q->sum + row[2 * HT_CODE_ROWS] * q->by_rest);
}

#define PRODUCT_WIDE 4
#define PRODUCT_HIGH 2
#include "kernels/codes.inc"
#include "kernels/f32_rows.inc"
