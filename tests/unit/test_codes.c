/*
 * test_codes.c: what the proof rests on: a row's rest covers its residual and its share of rounding, a query's error
 * is what it says, rows out of range are marked so, and the bytes are the same at every level.
 */
#include "index/codes.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "cmocka_all.h"

#define SEED 20240801u

enum { ROWS = 2 * HT_CODE_ROWS };

static uint64_t stream = SEED;
static float uniform(void) { return (float)(int64_t)ht_mix64(stream++) * 0x1p-63f; }

static const size_t dims[] = {1, 2, 3, 7, 8, 9, 16, 31, 64, 100, 384, 2047, 2048, 2049, 5000};
enum { DIMS = sizeof dims / sizeof dims[0] };

/* Rows of many kinds, so that scales, offsets and outliers differ. */
static void fill(float *x, size_t row, size_t dim) {
    for (size_t j = 0; j < dim; j++) {
        x[j] = uniform();
        if (row % 8 == 1)
            x[j] = 5 + x[j] * 0.001f;
        else if (row % 8 == 2)
            x[j] = j == dim / 2 ? 100 : x[j] * 0.01f;
        else if (row % 8 == 3)
            x[j] = 3;
        else if (row % 8 == 4)
            x[j] *= 0x1p-50f;
        else if (row % 8 == 5)
            x[j] *= 0x1p+50f;
        else if (row % 8 == 6)
            x[j] = uniform() * uniform() * uniform() * uniform();
    }
}

/* c of the coarse half (0) or the fine one (1), and where a row's values are in it. */
static int code_at(const char *block, size_t words, int which, size_t row, size_t j) {
    int pair[2];
    for (int i = 0; i < 2; i++) {
        const uint8_t *half = (const uint8_t *)block + (size_t)i * ht_code_half_bytes(words);
        unsigned byte = half[3 * HT_CODE_ROWS * sizeof(float) + j / HT_CODE_WORD * 4 * HT_CODE_ROWS + row * 4 + j % 4];
        pair[i] = (int)(byte >> j % HT_CODE_WORD / 4 * 2 & 3);
    }
    return which == 0 ? pair[0] - 2 : 4 * pair[0] + pair[1] - 8;
}

static void check_row(const char *codes, const float *x, size_t dim, size_t row, int which) {
    size_t words = (dim + HT_CODE_WORD - 1) / HT_CODE_WORD;
    const char *block = codes + row / HT_CODE_ROWS * ht_code_block_bytes(words);
    const char *half = block + (size_t)which * ht_code_half_bytes(words);
    const float *values = (const float *)(const void *)half + row % HT_CODE_ROWS;
    long double a = values[0], b = values[HT_CODE_ROWS], rest = values[2 * HT_CODE_ROWS];
    long double residual = 0, code2 = 0, xx = 0;
    for (size_t j = 0; j < words * HT_CODE_WORD; j++) {
        int c = code_at(block, words, which, row % HT_CODE_ROWS, j);
        if (j >= dim) {
            assert_int_equal(c, 0);
            continue;
        }
        long double left = x[j] - (a * c + b);
        residual += left * left;
        code2 += c * c;
        xx += (long double)x[j] * x[j];
    }
    long double size = fabsl(a) * sqrtl(code2) + fabsl(b) * sqrtl((long double)dim);
    if (!(rest >= sqrtl(residual) + 0x1p-18L * size))
        fail_msg("seed %u, dim %zu, row %zu, half %d: rest %Lg, residual %Lg", SEED, dim, row, which, rest,
                 sqrtl(residual));
    assert_true(rest <= 1.001L * sqrtl(residual) + 0x1p-17L * size);
    if (dim >= 64 && row % 8 == 0)
        assert_true(rest < (which == 0 ? 0.5L : 0.15L) * sqrtl(xx)); /* and the code is worth something */
}

static void rests_cover_residuals(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (size_t d = 0; d < DIMS; d++) {
        size_t dim = dims[d], words = (dim + HT_CODE_WORD - 1) / HT_CODE_WORD, stride = (dim + 1) * sizeof(float);
        float *rows = ht_calloc(ROWS, stride);
        char *codes = ht_alloc_aligned(ht_codes_bytes(ROWS, dim));
        assert_int_equal(ht_codes_bytes(ROWS, dim), ROWS / HT_CODE_ROWS * ht_code_block_bytes(words));
        for (size_t i = 0; i < ROWS; i++)
            fill(rows + i * (dim + 1), i, dim);
        ht_codes_make(rows, stride, dim, HT_CODE_ROWS, ROWS, codes);
        ht_codes_make(rows, stride, dim, 0, HT_CODE_ROWS, codes);
        for (size_t i = 0; i < ROWS; i++)
            for (int which = 0; which < 2; which++)
                check_row(codes, rows + i * (dim + 1), dim, i, which);
        ht_release(codes);
        ht_release(rows);
    }
    ht_fp_leave(fp);
}

static void same_bytes_at_every_level(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (size_t d = 0; d < DIMS; d++) {
        size_t dim = dims[d], bytes = ht_codes_bytes(HT_CODE_ROWS, dim);
        float *rows = ht_calloc(HT_CODE_ROWS, dim * sizeof(float));
        char *first = ht_alloc_aligned(bytes), *other = ht_alloc_aligned(bytes);
        for (size_t i = 0; i < HT_CODE_ROWS; i++)
            fill(rows + i * dim, i, dim);
        int supported;
        for (size_t i = 0; ht_kernels_level(i, &supported); i++) {
            if (!ht_kernels_force(ht_kernels_level(i, &supported)->name))
                continue;
            memset(other, 0x55, bytes);
            ht_codes_make(rows, dim * sizeof(float), dim, 0, HT_CODE_ROWS, i == 0 ? first : other);
            if (i > 0)
                assert_memory_equal(first, other, bytes);
        }
        assert_true(ht_kernels_force(NULL));
        ht_release(first);
        ht_release(other);
        ht_release(rows);
    }
    ht_fp_leave(fp);
}

static void out_of_range(void **state) {
    (void)state;
    enum { DIM = 70 };
    static const float odd[] = {0, 0x1p-61f, 0x1p+61f, 0x1p-149f, 3.4e38f, NAN, INFINITY, -INFINITY};
    float rows[HT_CODE_ROWS * DIM] = {0};
    for (size_t i = 0; i < HT_CODE_ROWS; i++)
        rows[i * DIM + i] = odd[i % 8];
    char *codes = ht_alloc_aligned(ht_codes_bytes(HT_CODE_ROWS, DIM));
    ht_codes_make(rows, DIM * sizeof(float), DIM, 0, HT_CODE_ROWS, codes);
    for (size_t half = 0; half < 2; half++) {
        const float *rest = (const float *)(const void *)(codes + half * ht_codes_bytes(HT_CODE_ROWS, DIM) / 2);
        rest += (size_t)2 * HT_CODE_ROWS;
        for (size_t i = 0; i < HT_CODE_ROWS; i++)
            assert_true(i % 8 == 0 ? rest[i] == 0 : isinf(rest[i]));
    }
    ht_release(codes);
}

static void queries(void **state) {
    (void)state;
    float q[384];
    int8_t room[384];
    ht_code_query out;
    double error;
    assert_int_equal(ht_code_query_room(383), 384);
    for (size_t round = 0; round < 50; round++) {
        size_t dim = 1 + (size_t)(ht_mix64(SEED + round) % 384);
        long double qq = 0, left2 = 0;
        fill(q, round, dim);
        for (size_t j = 0; j < dim; j++)
            qq += (long double)q[j] * q[j];
        assert_true(ht_code_query_make(q, dim, (double)qq, room, &out, &error));
        int32_t sum = 0;
        for (size_t j = 0; j < out.words * HT_CODE_WORD; j++) {
            if (j >= dim) {
                assert_int_equal(room[j], 0);
                continue;
            }
            long double left = q[j] - (long double)out.scale * room[j];
            left2 += left * left;
            sum += room[j];
        }
        assert_int_equal(out.total, sum);
        assert_true(error >= sqrtl(left2) / sqrtl(qq) && error <= 1.001L * sqrtl(left2) / sqrtl(qq) + 1e-30L);
        assert_true(out.by_rest >= sqrtl(qq) * (1 + error));
        assert_true(fabsl(out.sum - (long double)out.scale * sum) <= fabsl(out.sum) * 0x1p-24L);
    }
    float zero[8] = {0}, huge[1] = {1e30f};
    assert_false(ht_code_query_make(zero, 8, 0, room, &out, &error));
    assert_false(ht_code_query_make(huge, 1, 1e60, room, &out, &error));
    assert_int_equal(ht_codes_bytes(SIZE_MAX, 65535), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rests_cover_residuals),
        cmocka_unit_test(same_bytes_at_every_level),
        cmocka_unit_test(out_of_range),
        cmocka_unit_test(queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
