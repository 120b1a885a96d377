/*
 * test_kernels.c: every kernel of one level against slow sums in a wider type, within the bound its header states.
 *
 * test_kernels LEVEL tests that level, or exits with 77 where it is not compiled in or does not run; without an
 * argument it tests the choice of a level. Inputs lie flush against a page that may not be read, so a kernel that
 * reads one byte too many dies, sanitizer or not.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

enum { SEED = 20240611, MOST_ROWS = 9, MOST_QUERIES = 7 };

static const ht_kernels *level;
static uint64_t random_state = SEED;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Mostly within [-1, 1], now and then a zero, a denormal or a value of another magnitude. */
static float next_value(void) {
    float x = (float)((double)(int64_t)next_random() * 0x1p-63);
    switch (next_random() % 16) {
    case 0:
        return 0;
    case 1:
        return x * 0x1p-140f;
    case 2:
        return x * 1000;
    default:
        return x;
    }
}

/* Memory that ends where a forbidden page begins. */
typedef struct guarded {
    char *map;
    size_t map_bytes;
    float *data;
} guarded;

static guarded guarded_new(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t whole = (bytes + page - 1) / page * page;
    guarded g = {NULL, whole + page, NULL};
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + whole, page, PROT_NONE), 0);
    g.data = (float *)(void *)(g.map + whole - bytes);
    return g;
}

static void guarded_free(guarded g) { munmap(g.map, g.map_bytes); }

static guarded guarded_random(size_t rows, size_t stride, size_t dim) {
    guarded g = guarded_new((rows - 1) * stride + dim * sizeof(float));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < dim; j++)
            g.data[i * (stride / sizeof(float)) + j] = next_value();
    return g;
}

typedef struct sums {
    long double dot, l2, l1, qq, xx;
} sums;

static sums slow(const float *q, const float *x, size_t dim) {
    sums s = {0, 0, 0, 0, 0};
    for (size_t j = 0; j < dim; j++) {
        long double a = q[j], b = x[j], d = a - b;
        s.dot += a * b;
        s.l2 += d * d;
        s.l1 += fabsl(d);
        s.qq += a * a;
        s.xx += b * b;
    }
    return s;
}

static void check_near(const char *what, size_t dim, size_t row, float got, long double want, long double bound) {
    if (fabsl((long double)got - want) <= bound)
        return;
    print_error("%s, level %s, dim %zu, row %zu, seed %d: got %.9g, want %.9Lg, bound %.3Lg\n", what, level->name, dim,
                row, SEED, (double)got, want, bound);
    fail();
}

static void check_shape(size_t dim, size_t rows, size_t queries, size_t padding) {
    size_t stride = dim * sizeof(float) + padding;
    guarded x = guarded_random(rows, stride, dim), q = guarded_random(queries, stride, dim);
    guarded out = guarded_new(rows * sizeof(float)), norm = guarded_new(rows * sizeof(float));
    guarded many = guarded_new(queries * rows * sizeof(float));
    long double relative = ((long double)dim / level->lanes + 8) * 0x1p-23L, tiny = (long double)dim * 0x1p-149L;
    level->dots_f32(q.data, stride, queries, x.data, stride, rows, dim, many.data, rows);
    for (size_t a = 0; a < queries; a++) {
        const float *query = q.data + a * (stride / sizeof(float));
        float *o = out.data, *n = norm.data;
        for (int op = 0; op < 5; op++) {
            memset(o, 0xff, rows * sizeof *o);
            memset(n, 0xff, rows * sizeof *n);
            if (op == 0)
                level->dot_f32(query, x.data, stride, rows, dim, o);
            else if (op == 1)
                level->dot_norm_f32(query, x.data, stride, rows, dim, o, n);
            else if (op == 2)
                level->norm_f32(x.data, stride, rows, dim, n);
            else if (op == 3)
                level->l2_f32(query, x.data, stride, rows, dim, o);
            else
                level->l1_f32(query, x.data, stride, rows, dim, o);
            for (size_t i = 0; i < rows; i++) {
                sums s = slow(query, x.data + i * (stride / sizeof(float)), dim);
                long double dot_bound = relative * sqrtl(s.qq) * sqrtl(s.xx) + tiny;
                if (op <= 1)
                    check_near("dot", dim, i, o[i], s.dot, dot_bound);
                if (op == 0)
                    check_near("dots", dim, i, many.data[a * rows + i], s.dot, dot_bound);
                if (op == 1 || op == 2)
                    check_near("norm", dim, i, n[i], s.xx, relative * s.xx + tiny);
                if (op == 3)
                    check_near("l2", dim, i, o[i], s.l2, relative * s.l2 + tiny);
                if (op == 4)
                    check_near("l1", dim, i, o[i], s.l1, relative * s.l1 + tiny);
            }
        }
    }
    guarded_free(x);
    guarded_free(q);
    guarded_free(out);
    guarded_free(norm);
    guarded_free(many);
}

static void test_estimates(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (size_t dim = 1; dim <= 130; dim++)
        check_shape(dim, 1 + dim % MOST_ROWS, 1 + dim % MOST_QUERIES, dim % 3 * 4);
    static const size_t large[] = {255, 256, 257, 384, 511, 768, 1000, 1024, 1536, 4096, 4099};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
        check_shape(large[i], 5, 5, 20);
    check_shape(65535, 2, 1, 0);
    for (size_t rows = 1; rows <= 2 * MOST_ROWS; rows++)
        for (size_t queries = 1; queries <= MOST_QUERIES; queries++)
            check_shape(33, rows, queries, 0);
    ht_fp_leave(fp);
}

static void check_same_bits(const char *what, size_t dim, double got, double want) {
    if (memcmp(&got, &want, sizeof got) == 0)
        return;
    print_error("%s, level %s, dim %zu, seed %d: got %a, want %a\n", what, level->name, dim, SEED, got, want);
    fail();
}

static void check_reference(size_t dim, float scale) {
    guarded q = guarded_random(1, dim * sizeof(float), dim), x = guarded_random(1, dim * sizeof(float), dim);
    for (size_t j = 0; j < dim; j++)
        x.data[j] *= scale;
    check_same_bits("dot", dim, level->ref_dot_f32(q.data, x.data, dim), ht_ref_dot_f32(q.data, x.data, dim));
    double norm2;
    check_same_bits("dot and norm", dim, level->ref_dot_norm_f32(q.data, x.data, dim, &norm2),
                    ht_ref_dot_f32(q.data, x.data, dim));
    check_same_bits("norm", dim, norm2, ht_ref_dot_f32(x.data, x.data, dim));
    check_same_bits("l2", dim, level->ref_l2_f32(q.data, x.data, dim), ht_ref_l2_f32(q.data, x.data, dim));
    check_same_bits("l1", dim, level->ref_l1_f32(q.data, x.data, dim), ht_ref_l1_f32(q.data, x.data, dim));
    guarded_free(q);
    guarded_free(x);
}

static void test_reference(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (int round = 0; round < 5; round++)
        for (size_t dim = 1; dim <= 130; dim++)
            check_reference(dim, round == 0 ? 0x1p-120f : round == 1 ? 0x1p+110f : round == 2 ? -1 : 1);
    check_reference(384, 1);
    check_reference(1001, 1);
    check_reference(65535, 1);
    ht_fp_leave(fp);
}

static void test_mean(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (size_t dim = 1; dim <= 100; dim++) {
        guarded in = guarded_random(1, dim * sizeof(float), dim), out = guarded_random(1, dim * sizeof(float), dim);
        guarded mean = guarded_new(dim * sizeof(float)), total = guarded_new(dim * sizeof(double));
        double *sum = (double *)(void *)total.data, wanted[100];
        for (size_t j = 0; j < dim; j++)
            wanted[j] = sum[j] = (double)(j * 77777);
        for (int i = 0; i < 3; i++) {
            const double unit = i == 0 ? 0 : 0x1.23456789p27, other = i == 1 ? 0 : 0x1.3p28;
            const double norm2 = level->move_mean(sum, mean.data, in.data, unit, out.data, other, dim);
            for (size_t j = 0; j < dim; j++) {
                wanted[j] += rint((double)in.data[j] * unit) - rint((double)out.data[j] * other);
                check_same_bits("sum", dim, sum[j], wanted[j]);
                check_same_bits("mean", dim, (double)mean.data[j], (double)(float)wanted[j]);
            }
            check_same_bits("square of the mean", dim, norm2, ht_ref_dot_f32(mean.data, mean.data, dim));
        }
        guarded_free(in);
        guarded_free(out);
        guarded_free(mean);
        guarded_free(total);
    }
    ht_fp_leave(fp);
}

/* Sums that overflow must come out as infinity or NaN, never as a number: then their rows are kept. */
static void test_overflow(void **state) {
    (void)state;
    for (size_t dim = 1; dim <= 70; dim++) {
        guarded q = guarded_random(1, dim * sizeof(float), dim), x = guarded_random(1, dim * sizeof(float), dim);
        for (size_t j = 0; j < dim; j++)
            q.data[j] = j % 2 ? 3e38f : 2e30f, x.data[j] = j % 3 ? -3e38f : 3e38f;
        float out[5], norm[2];
        level->dot_f32(q.data, x.data, 0, 1, dim, out);
        level->dot_norm_f32(q.data, x.data, 0, 1, dim, out + 1, norm);
        level->l2_f32(q.data, x.data, 0, 1, dim, out + 2);
        level->dots_f32(q.data, 0, 1, x.data, 0, 1, dim, out + 3, 1);
        level->norm_f32(x.data, 0, 1, dim, norm + 1);
        for (int i = 0; i < 4; i++)
            assert_false(isfinite(out[i]));
        assert_false(isfinite(norm[0]) || isfinite(norm[1]));
        guarded_free(q);
        guarded_free(x);
    }
}

static void test_keep(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (int round = 0; round < 2000; round++) {
        size_t count = 1 + (size_t)round % 64;
        guarded e = guarded_new(count * sizeof(float)), n = guarded_new(count * sizeof(float));
        for (size_t i = 0; i < count; i++) {
            e.data[i] = next_value();
            n.data[i] = fabsf(next_value());
            unsigned odd = (unsigned)(next_random() % 40);
            if (odd < 3)
                e.data[i] = odd == 0 ? NAN : odd == 1 ? INFINITY : -INFINITY;
            if (odd == 3)
                n.data[i] = INFINITY;
        }
        ht_rule rule = {round % 2 ? 1.0f : -1.0f, next_value(), next_value(), round % 7 ? next_value() : -INFINITY};
        const float *norms = round % 5 ? n.data : NULL;
        uint64_t got = level->keep_f32(e.data, norms, count, &rule);
        for (size_t i = 0; i < count; i++) {
            double norm = norms ? (double)norms[i] : 0;
            double terms[3] = {rule.sign * (double)e.data[i], rule.by_norm * norm, rule.by_norm2 * norm * norm};
            double key = terms[0] + terms[1] + terms[2];
            double slack = (fabs(terms[0]) + fabs(terms[1]) + fabs(terms[2])) * 0x1p-21 + 0x1p-140;
            bool kept = got >> i & 1;
            if (!isfinite(key) || key > rule.limit + slack)
                assert_true(kept);
            else if (key < rule.limit - slack)
                assert_false(kept);
        }
        if (count < 64)
            assert_true(got >> count == 0);
        guarded_free(e);
        guarded_free(n);
    }
    ht_fp_leave(fp);
}

/* Every code decoded bit by bit, in f64: of both halves, or of the coarse one. */
static double slow_upper(const ht_code_query *q, const char *blocks, size_t row, bool coarse, int32_t *sum_of_h) {
    const char *halves[2];
    halves[0] = blocks + row / HT_CODE_ROWS * ht_code_block_bytes(q->words);
    halves[1] = halves[0] + ht_code_half_bytes(q->words);
    const float *values = (const float *)(const void *)halves[coarse ? 0 : 1] + row % HT_CODE_ROWS;
    int64_t sum = 0, high = 0;
    for (size_t j = 0; j < q->words * HT_CODE_WORD; j++) {
        int pair[2];
        for (int i = 0; i < 2; i++) {
            const uint8_t *bytes = (const uint8_t *)halves[i] + 3 * HT_CODE_ROWS * sizeof(float);
            unsigned byte = bytes[j / HT_CODE_WORD * 4 * HT_CODE_ROWS + row % HT_CODE_ROWS * 4 + j % 4];
            pair[i] = (int)(byte >> j % HT_CODE_WORD / 4 * 2 & 3);
        }
        high += q->query[j] * pair[0];
        sum += q->query[j] * (coarse ? pair[0] - 2 : 4 * pair[0] + pair[1] - 8);
    }
    *sum_of_h = (int32_t)high;
    return (double)values[0] * q->scale * (double)sum + (double)values[HT_CODE_ROWS] * q->sum +
           (double)values[2 * HT_CODE_ROWS] * q->by_rest;
}

enum { SOME_QUERIES = 11 };

static void check_code(const ht_code_query *q, const char *codes, size_t row, bool coarse, float got, int32_t high) {
    int32_t want_high;
    double want = slow_upper(q, codes, row, coarse, &want_high);
    const char *half = codes + row / HT_CODE_ROWS * ht_code_block_bytes(q->words);
    const float *values = (const float *)(const void *)(coarse ? half : half + ht_code_half_bytes(q->words));
    long double size = 0;
    for (size_t j = 0; j < q->words * HT_CODE_WORD; j++)
        size += 15 * fabsl((long double)values[row % HT_CODE_ROWS] * q->scale * q->query[j]);
    size += fabsl((long double)values[HT_CODE_ROWS + row % HT_CODE_ROWS] * q->sum);
    size += fabsl((long double)values[2 * HT_CODE_ROWS + row % HT_CODE_ROWS] * q->by_rest);
    check_near(coarse ? "coarse" : "code", q->words * HT_CODE_WORD, row, got, want, size * 0x1p-21L + 0x1p-140L);
    if (coarse)
        assert_int_equal(high, want_high);
}

static void check_codes(size_t words, size_t blocks, size_t queries, bool extreme) {
    size_t block_bytes = ht_code_block_bytes(words), rows = blocks * HT_CODE_ROWS;
    guarded codes = guarded_new(blocks * block_bytes), out = guarded_new(rows * queries * sizeof(float));
    guarded bytes = guarded_new(queries * words * HT_CODE_WORD), highs = guarded_new(rows * sizeof(int32_t));
    ht_code_query q[SOME_QUERIES];
    for (size_t i = 0; i < queries; i++) {
        int8_t *query = (int8_t *)bytes.data + i * words * HT_CODE_WORD;
        q[i] = (ht_code_query){.query = query, .words = words, .scale = 0.01f, .by_rest = 1.25f};
        for (size_t j = 0; j < words * HT_CODE_WORD; j++) {
            query[j] = extreme ? (j / 8 % 2 || words < 100 ? 127 : -127) : (int8_t)((int)(next_random() % 255) - 127);
            q[i].total += query[j];
        }
        q[i].sum = q[i].scale * (float)q[i].total;
    }
    memset(codes.data, 0xff, blocks * block_bytes);
    for (size_t h = 0; h < 2 * blocks; h++) {
        char *half = (char *)codes.data + h * block_bytes / 2;
        for (size_t i = 0; !extreme && i < block_bytes / 2; i++)
            half[i] = (char)next_random();
        for (size_t i = 0; i < 3 * HT_CODE_ROWS; i++)
            ((float *)(void *)half)[i] = next_value();
    }
    int32_t *high = (int32_t *)(void *)highs.data;
    level->code_coarse(&q[0], codes.data, blocks, high, out.data);
    for (size_t i = 0; i < rows; i++)
        check_code(&q[0], (const char *)codes.data, i, true, out.data[i], high[i]);
    for (size_t i = 0; i < rows; i += HT_CODE_REFINED)
        level->code_refine(&q[0], (const char *)codes.data + i / HT_CODE_ROWS * block_bytes, i % HT_CODE_ROWS, high + i,
                           out.data + i);
    for (size_t i = 0; i < rows; i++)
        check_code(&q[0], (const char *)codes.data, i, false, out.data[i], 0);
    memset(out.data, 0xff, rows * queries * sizeof(float));
    level->code_upper(q, queries, codes.data, blocks, out.data, rows);
    for (size_t i = 0; i < rows * queries; i++)
        check_code(&q[i / rows], (const char *)codes.data, i % rows, false, out.data[i], 0);
    guarded_free(codes);
    guarded_free(out);
    guarded_free(bytes);
    guarded_free(highs);
}

static void test_codes(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (size_t words = 1; words <= 40; words++)
        for (size_t blocks = 1; blocks <= 3; blocks++)
            check_codes(words, blocks, 1 + (words + 4 * blocks) % SOME_QUERIES, words % 5 == 0);
    check_codes(4096, 1, 3, true); /* 65,535 dimensions: the largest sums */
    ht_fp_leave(fp);
}

/* What codes are made by, beside the obvious way to say it. */
static void check_making(size_t dim, float offset, float inverse) {
    guarded x = guarded_random(1, dim * sizeof(float), dim), ones = guarded_random(1, dim * sizeof(float), dim);
    guarded code[2] = {guarded_random(1, dim * sizeof(float), dim), guarded_random(1, dim * sizeof(float), dim)};
    uint8_t *nibbles = calloc(dim, 1);
    float low = x.data[0], high = low, scales[2] = {0.7f, 0.13f}, offsets[2] = {-0.2f, 0.01f};
    int64_t code1[2] = {0}, code2[2] = {0};
    ht_code_span span;
    ht_code_sums totals[2];
    double rest[2];
    level->code_span(x.data, dim, &span);
    level->code_fit(x.data, dim, offset, inverse, nibbles, totals);
    level->code_rest(x.data, dim, nibbles, scales, offsets, rest);
    for (size_t j = 0; j < dim; j++) {
        ones.data[j] = 1;
        low = fminf(low, x.data[j]);
        high = fmaxf(high, x.data[j]);
        int n = (int)rintf(fminf(fmaxf((x.data[j] - offset) * inverse, -8), 7)) + 8;
        assert_int_equal(nibbles[j], n);
        int whole[2] = {n / 4 - 2, n - 8};
        for (int which = 0; which < 2; which++) {
            code[which].data[j] = (float)whole[which];
            code1[which] += whole[which];
            code2[which] += whole[which] * whole[which];
        }
    }
    assert_true(span.low == low && span.high == high);
    check_same_bits("sum", dim, span.sum, ht_ref_dot_f32(x.data, ones.data, dim));
    check_same_bits("square", dim, span.square, ht_ref_dot_f32(x.data, x.data, dim));
    for (int which = 0; which < 2; which++) {
        check_same_bits("codes", dim, totals[which].code, (double)code1[which]);
        check_same_bits("codes squared", dim, totals[which].code2, (double)code2[which]);
        check_same_bits("codes by values", dim, totals[which].product, ht_ref_dot_f32(code[which].data, x.data, dim));
        for (size_t j = 0; j < dim; j++)
            code[which].data[j] = scales[which] * code[which].data[j] + offsets[which];
        check_same_bits("rest", dim, rest[which], ht_ref_l2_f32(x.data, code[which].data, dim));
        guarded_free(code[which]);
    }
    free(nibbles);
    guarded_free(ones);
    guarded_free(x);
}

static void test_making(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (size_t dim = 1; dim <= 130; dim++)
        check_making(dim, 0.01f * (float)dim, dim % 7 == 0 ? 0 : 0.3f * (float)dim);
    for (size_t dim = 500; dim <= 530; dim++)
        check_making(dim, -0.05f, 9);
    check_making(65535, 0.03f, 11);
    ht_fp_leave(fp);
}

/* Rows picked by number, in any order and twice, with every sum at its largest too. */
static void check_walk(size_t lines, bool extreme) {
    enum { WALKED = 9, NIBBLE_LINE = 64 };
    size_t bytes = lines * NIBBLE_LINE;
    guarded rows = guarded_new(WALKED * bytes), query = guarded_new(2 * bytes);
    uint8_t *row = (uint8_t *)rows.data;
    int8_t *q = (int8_t *)query.data;
    for (size_t i = 0; i < WALKED * bytes; i++)
        row[i] = extreme ? 255 : (uint8_t)next_random();
    for (size_t i = 0; i < 2 * bytes; i++)
        q[i] = extreme ? -128 : (int8_t)next_random();
    uint32_t ids[WALKED + 2];
    int32_t u8[WALKED + 2], u4[WALKED + 2];
    for (size_t i = 0; i < WALKED + 2; i++)
        ids[i] = (uint32_t)(i * 5 % WALKED);
    level->dots_u8(q, row, bytes, ids, WALKED + 2, u8);
    level->dots_u4(q, row, bytes, ids, WALKED + 2, u4);
    for (size_t i = 0; i < WALKED + 2; i++) {
        const uint8_t *r = row + ids[i] * bytes;
        int64_t by_8 = 0, by_4 = 0;
        for (size_t j = 0; j < bytes; j++) {
            const int8_t *at = q + j / NIBBLE_LINE * 2 * NIBBLE_LINE + j % NIBBLE_LINE;
            by_8 += q[j] * r[j];
            by_4 += at[0] * (r[j] & 15) + at[NIBBLE_LINE] * (r[j] >> 4);
        }
        assert_int_equal(u8[i], by_8);
        assert_int_equal(u4[i], by_4);
    }
    guarded_free(rows);
    guarded_free(query);
}

static void test_walk(void **state) {
    (void)state;
    for (size_t lines = 1; lines <= 24; lines++)
        check_walk(lines, lines % 6 == 0);
    check_walk(1024, true); /* 65,536 dimensions: the largest sums */
}

/* f16 and bf16 widen exactly, so the bound is that of f32; halves of any alignment, but for infinities and NaN. */
static void check_halves(size_t dim, size_t rows, bool bf16) {
    size_t stride = 2 * dim;
    guarded q = guarded_random(1, dim * sizeof(float), dim), x = guarded_new(rows * stride);
    guarded out = guarded_new(rows * sizeof(float));
    hither_dtype dtype = bf16 ? HITHER_BF16 : HITHER_F16;
    uint16_t infinite = bf16 ? 0x7f80 : 0x7c00;
    for (size_t i = 0; i < rows * dim; i++) {
        uint16_t bits = (uint16_t)next_random();
        bits = (bits & infinite) == infinite ? 0x8001 : bf16 ? (uint16_t)(bits & 0xbfffu) : bits;
        memcpy((char *)x.data + 2 * i, &bits, sizeof bits);
    }
    (bf16 ? level->dot_bf16 : level->dot_f16)(q.data, x.data, stride, rows, dim, out.data);
    long double relative = ((long double)dim / level->lanes + 8) * 0x1p-23L, tiny = (long double)dim * 0x1p-149L;
    for (size_t i = 0; i < rows; i++) {
        long double dot = 0, qq = 0, xx = 0;
        for (size_t j = 0; j < dim; j++) {
            long double a = (long double)q.data[j];
            long double b = (long double)ht_ref_element(dtype, (char *)x.data + i * stride, j);
            dot += a * b;
            qq += a * a;
            xx += b * b;
        }
        check_near("dot of halves", dim, i, out.data[i], dot, relative * sqrtl(qq) * sqrtl(xx) + tiny);
    }
    guarded_free(q);
    guarded_free(x);
    guarded_free(out);
}

/* Exact sums, so six roundings are all the error there is; extreme values do not overflow. */
static void check_bytes(size_t dim, size_t rows, bool bare, bool extreme) {
    size_t padded = (dim + HT_BYTE_PAD - 1) / HT_BYTE_PAD * HT_BYTE_PAD;
    size_t stride = bare ? dim : ht_scale_at(dim) + sizeof(float);
    guarded x = guarded_new(rows * stride), out = guarded_new(rows * sizeof(float));
    int8_t *high = calloc(2, padded), *low = high + padded;
    assert_non_null(high);
    ht_byte_query q = {.high = high, .low = low, .scale = 0.001f};
    for (size_t j = 0; j < dim; j++) {
        high[j] = extreme ? 127 : (int8_t)((int)(next_random() % 255) - 127);
        low[j] = extreme ? -64 : (int8_t)((int)(next_random() % 128) - 64);
        q.high_sum += high[j];
        q.low_sum += low[j];
    }
    for (size_t i = 0; i < rows; i++) {
        int8_t *row = (int8_t *)x.data + i * stride;
        float scale = 0.25f * (float)(i + 1);
        for (size_t j = 0; j < dim; j++)
            row[j] = extreme ? (i % 2 ? 127 : -128) : (int8_t)next_random();
        if (!bare)
            memcpy(row + ht_scale_at(dim), &scale, sizeof scale);
    }
    level->dot_i8(&q, x.data, stride, rows, dim, bare, out.data);
    for (size_t i = 0; i < rows; i++) {
        const int8_t *row = (int8_t *)x.data + i * stride;
        int64_t h = 0, l = 0;
        for (size_t j = 0; j < dim; j++) {
            h += row[j] * high[j];
            l += row[j] * low[j];
        }
        long double unit = (long double)q.scale * (bare ? 1 : 0.25L * (long double)(i + 1));
        check_near("dot of bytes", dim, i, out.data[i], unit * (long double)(128 * h + l),
                   unit * 6 * 0x1p-24L * (long double)(128 * llabs(h) + llabs(l)));
    }
    free(high);
    guarded_free(x);
    guarded_free(out);
}

static void test_small_types(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (size_t dim = 1; dim <= 200; dim++) {
        check_halves(dim, 1 + dim % 5, dim % 2 != 0);
        check_bytes(dim, 1 + dim % 5, dim % 3 == 0, dim % 7 == 0);
    }
    check_halves(1000, 3, false);
    check_halves(1001, 3, true);
    check_bytes(65535, 2, false, true);
    check_bytes(65535, 2, true, false);
    ht_fp_leave(fp);
}

static void test_choice(void **state) {
    (void)state;
    const ht_kernels *best = NULL;
    int supported;
    for (size_t i = 0; ht_kernels_level(i, &supported); i++) {
        const ht_kernels *table = ht_kernels_level(i, &supported);
        assert_int_equal(ht_kernels_force(table->name), supported);
        if (!supported)
            continue;
        best = table;
        assert_ptr_equal(ht_kernels_get(), table);
        assert_int_equal(setenv("HITHER_SIMD", table->name, 1), 0);
        assert_true(ht_kernels_force(NULL));
        assert_ptr_equal(ht_kernels_get(), table);
    }
    assert_non_null(best);
    assert_false(ht_kernels_force("no such level"));
    assert_int_equal(setenv("HITHER_SIMD", "no such level", 1), 0);
    assert_true(ht_kernels_force(NULL));
    assert_ptr_equal(ht_kernels_get(), best);
}

#if defined(__x86_64__)
#include <xmmintrin.h>
/* A host with flush-to-zero and another rounding gets it back, and no say in between. */
static void test_fp_mode(void **state) {
    (void)state;
    unsigned before = _mm_getcsr(), host = before | 0x8040u | 0x6000u;
    volatile float tiny = 0x1p-140f;
    _mm_setcsr(host);
    assert_true(tiny * 0.5f == 0);
    ht_fp_state fp = ht_fp_enter();
    assert_true(tiny * 0.5f > 0);
    assert_true((_mm_getcsr() & 0xe040u) == 0);
    ht_fp_leave(fp);
    assert_int_equal(_mm_getcsr(), host);
    _mm_setcsr(before);
}
#endif

static void test_cells(void **state) {
    (void)state;
    const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, -2, -1, 0, 1, 2, 9, INT64_MAX - 1, INT64_MAX};
    enum { EDGES = sizeof edges / sizeof *edges };
    for (uint64_t round = 0; round < 400; round++) {
        uint8_t types[64];
        int64_t values[64];
        uint64_t wanted = 0;
        int64_t a = edges[next_random() % EDGES], b = edges[next_random() % EDGES];
        int64_t low = a < b ? a : b, high = a < b ? b : a;
        uint8_t type = (uint8_t)(next_random() % 3 * 100);
        for (size_t i = 0; i < 64; i++) {
            types[i] = (uint8_t)(next_random() % 3 * 100);
            values[i] = edges[next_random() % EDGES];
            wanted |= (uint64_t)(types[i] == type && values[i] >= low && values[i] <= high) << i;
        }
        if (level->cells_in_range(types, values, type, low, (uint64_t)high - (uint64_t)low) != wanted)
            fail_msg("round %llu", (unsigned long long)round);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_choice),
#if defined(__x86_64__)
            cmocka_unit_test(test_fp_mode),
#endif
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
    }
    int supported = 0;
    for (size_t i = 0; (level = ht_kernels_level(i, &supported)) && strcmp(level->name, argv[1]) != 0;)
        i++;
    if (!level || !supported)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_estimates), cmocka_unit_test(test_reference),   cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_keep),      cmocka_unit_test(test_codes),       cmocka_unit_test(test_making),
        cmocka_unit_test(test_walk),      cmocka_unit_test(test_small_types), cmocka_unit_test(test_cells),
        cmocka_unit_test(test_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
