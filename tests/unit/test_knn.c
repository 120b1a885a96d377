/*
 * test_knn.c: hither_knn at its public face: answers against brute force by the reference, padding of short answers,
 * strides, f64 queries, allowed rows, every refusal with its message, and nothing written when refused.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cmocka_all.h"
#include "hither.h"
#include "kernels/reference.h"

#define SEED 20240715u

enum { ROWS = 500, DIM = 37, QUERIES = 5, K = 7, STRIDE = DIM + 3 };

static float base[ROWS * STRIDE], queries[QUERIES * DIM];
static double wide_queries[QUERIES * DIM];
static int64_t labels[QUERIES * ROWS * 2];
static float distances[QUERIES * ROWS * 2];
static hither_error err;

static hither_matrix base_view(void) { return (hither_matrix){base, ROWS, DIM, STRIDE * sizeof(float), HITHER_F32}; }
static hither_matrix query_view(void) { return (hither_matrix){queries, QUERIES, DIM, 0, HITHER_F32}; }

static int setup(void **state) {
    (void)state;
    for (size_t i = 0; i < ROWS * STRIDE; i++)
        base[i] = i % STRIDE < DIM ? (float)(int64_t)ht_mix64(SEED + i) * 0x1p-63f : NAN; /* padding is not read */
    for (size_t i = 0; i < QUERIES * DIM; i++) {
        wide_queries[i] = (double)(int64_t)ht_mix64(~(uint64_t)(SEED + i)) * 0x1p-63;
        queries[i] = (float)wide_queries[i];
    }
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        labels[i] = -77;
        distances[i] = -77;
    }
    memset(&err, 0, sizeof err);
    return 0;
}

/* The rank-th nearest allowed row by counting, not sorting: how many rows come before it. */
static void check_against_counting(hither_metric metric, size_t k, const uint64_t *allow, size_t allow_bits) {
    for (size_t q = 0; q < QUERIES; q++) {
        double d[ROWS];
        size_t there = 0;
        for (size_t i = 0; i < ROWS; i++) {
            bool allowed = !allow || (i < allow_bits && (allow[i / 64] >> (i % 64) & 1));
            d[i] = allowed ? ht_ref_distance_f32(metric, queries + q * DIM, base + i * STRIDE, DIM) : (double)NAN;
            there += allowed;
        }
        for (size_t rank = 0; rank < k; rank++) {
            if (rank >= there) {
                assert_int_equal(labels[q * k + rank], -1);
                assert_true(isinf(distances[q * k + rank]));
                continue;
            }
            size_t row = (size_t)labels[q * k + rank], before = 0;
            assert_true(row < ROWS);
            for (size_t i = 0; i < ROWS; i++)
                before += d[i] < d[row] || (d[i] == d[row] && i < row);
            assert_int_equal(before, rank);
            assert_true(distances[q * k + rank] == (float)d[row]);
        }
    }
}

static void answers(void **state) {
    (void)state;
    hither_matrix b = base_view(), q = query_view(), wide = {wide_queries, QUERIES, DIM, 0, HITHER_F64};
    for (int metric = HITHER_COSINE; metric <= HITHER_L1; metric++) {
        for (uint32_t threads = 0; threads <= 2; threads++) {
            hither_knn_options *o =
                HITHER_OPTIONS(hither_knn_options, .metric = (hither_metric)metric, .threads = threads);
            ASSERT_OK(hither_knn(&b, &q, K, o, labels, distances, &err));
            check_against_counting((hither_metric)metric, K, NULL, 0);
            ASSERT_OK(hither_knn(&b, &wide, K, o, labels, distances, &err));
            check_against_counting((hither_metric)metric, K, NULL, 0);
        }
    }
    ASSERT_OK(hither_knn(&b, &q, K, NULL, labels, distances, &err));
    check_against_counting(HITHER_COSINE, K, NULL, 0);
    ASSERT_OK(hither_knn(&b, &q, ROWS + 9, NULL, labels, distances, &err));
    check_against_counting(HITHER_COSINE, ROWS + 9, NULL, 0);
}

static void allowed_rows(void **state) {
    (void)state;
    hither_matrix b = base_view(), q = query_view();
    uint64_t allow[ROWS / 64 + 1];
    static const size_t bits[] = {0, 1, 64, 65, 300, ROWS, 64 * (ROWS / 64 + 1)};
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        for (size_t w = 0; w <= ROWS / 64; w++)
            allow[w] = w % 3 == 0 ? 0 : ht_mix64(SEED + w) & ht_mix64(~w);
        hither_knn_options *o = HITHER_OPTIONS(hither_knn_options, .allow = allow, .allow_bits = bits[i]);
        ASSERT_OK(hither_knn(&b, &q, 20, o, labels, distances, &err));
        check_against_counting(HITHER_COSINE, 20, allow, bits[i]);
    }
}

static void empty(void **state) {
    (void)state;
    hither_matrix b = {NULL, 0, DIM, 0, HITHER_F32}, q = query_view(), none = {NULL, 0, DIM, 0, HITHER_F32};
    ASSERT_OK(hither_knn(&b, &q, 3, NULL, labels, distances, &err));
    for (size_t i = 0; i < QUERIES * 3; i++)
        assert_true(labels[i] == -1 && isinf(distances[i]));
    b = base_view();
    ASSERT_OK(hither_knn(&b, &none, 3, NULL, NULL, NULL, &err));
}

#define REFUSED(wanted, text, ...)                                                                                     \
    do {                                                                                                               \
        ASSERT_FAILS(hither_knn(__VA_ARGS__, labels, distances, &err), wanted);                                        \
        if (!strstr(err.message, text))                                                                                \
            fail_msg("message: %s", err.message);                                                                      \
        assert_true(labels[0] == -77 && distances[0] == -77);                                                          \
    } while (0)

static void refusals(void **state) {
    (void)state;
    hither_matrix b = base_view(), q = query_view(), bad;
    REFUSED(HITHER_INVALID, "k is 0", &b, &q, 0, NULL);
    REFUSED(HITHER_TOO_LARGE, "65537", &b, &q, HITHER_MAX_K + 1, NULL);
    REFUSED(HITHER_INVALID, "NULL", NULL, &q, K, NULL);
    REFUSED(HITHER_INVALID, "NULL", &b, NULL, K, NULL);
    REFUSED(HITHER_INVALID, "metric", &b, &q, K, HITHER_OPTIONS(hither_knn_options, .metric = (hither_metric)9));
    REFUSED(HITHER_UNSUPPORTED, "hamming", &b, &q, K, HITHER_OPTIONS(hither_knn_options, .metric = HITHER_HAMMING));
    bad = b, bad.dim = 0;
    REFUSED(HITHER_DIMENSION, "0 dimensions", &bad, &q, K, NULL);
    bad.dim = HITHER_MAX_DIM + 1;
    REFUSED(HITHER_DIMENSION, "65536", &bad, &q, K, NULL);
    bad = b, bad.dim = DIM - 1;
    REFUSED(HITHER_DIMENSION, "36", &bad, &q, K, NULL);
    bad = b, bad.dtype = (hither_dtype)99;
    REFUSED(HITHER_INVALID, "dtype", &bad, &q, K, NULL);
    bad = q, bad.dtype = HITHER_I8;
    REFUSED(HITHER_UNSUPPORTED, "queries are i8", &b, &bad, K, NULL);
    bad = b, bad.data = NULL;
    REFUSED(HITHER_INVALID, "no data", &bad, &q, K, NULL);
    bad = b, bad.stride = DIM * 4 - 4;
    REFUSED(HITHER_INVALID, "stride", &bad, &q, K, NULL);
    bad = b, bad.stride = STRIDE * 4 + 2;
    REFUSED(HITHER_INVALID, "stride", &bad, &q, K, NULL);
    bad = b, bad.rows = SIZE_MAX / 2;
    REFUSED(HITHER_TOO_LARGE, "rows", &bad, &q, K, NULL);
    ASSERT_FAILS(hither_knn(&b, &q, K, NULL, NULL, distances, &err), HITHER_INVALID);
}

static void not_finite(void **state) {
    (void)state;
    hither_matrix b = base_view(), q = query_view(), wide = {wide_queries, QUERIES, DIM, 0, HITHER_F64};
    for (int metric = HITHER_COSINE; metric <= HITHER_L1; metric++) {
        hither_knn_options *o = HITHER_OPTIONS(hither_knn_options, .metric = (hither_metric)metric);
        base[321 * STRIDE + 11] = NAN;
        base[400 * STRIDE] = INFINITY;
        REFUSED(HITHER_NOT_FINITE, "base, row 321, column 11", &b, &q, 1, o);
        base[321 * STRIDE + 11] = 0;
        REFUSED(HITHER_NOT_FINITE, "base, row 400, column 0", &b, &q, 1, o);
        base[400 * STRIDE] = 0;
    }
    queries[2 * DIM + 5] = -INFINITY;
    REFUSED(HITHER_NOT_FINITE, "row 2, column 5", &b, &q, 1, NULL);
    wide_queries[3 * DIM + 1] = 1e300; /* finite, but not as f32 */
    REFUSED(HITHER_NOT_FINITE, "row 3, column 1", &b, &wide, 1, NULL);
}

/* Everything within a radius: the nearest of all rows, cut where they are farther away. */
static void within(void **state) {
    (void)state;
    hither_matrix b = base_view(), q = query_view();
    uint64_t allow[ROWS / 64 + 1] = {0};
    hither_result *r;
    for (size_t i = 0; i < ROWS; i += 3)
        allow[i / 64] |= (uint64_t)1 << i % 64;
    for (int metric = HITHER_COSINE; metric <= HITHER_L1; metric++) {
        for (int some = 0; some < 2; some++) {
            hither_knn_options *o = HITHER_OPTIONS(hither_knn_options, .metric = (hither_metric)metric,
                                                   .allow = some ? allow : NULL, .allow_bits = ROWS);
            ASSERT_OK(hither_knn(&b, &q, ROWS, o, labels, distances, &err));
            float radius = distances[ROWS / 5];
            ASSERT_OK(hither_within(&b, &q, radius, o, &r, &err));
            assert_int_equal(hither_result_groups(r), QUERIES);
            for (size_t j = 0; j < QUERIES; j++) {
                size_t count = 0;
                while (count < ROWS && distances[j * ROWS + count] <= radius)
                    count++;
                assert_int_equal(hither_result_count(r, j), count);
                assert_memory_equal(hither_result_ids(r, j).ints, labels + j * ROWS, count * sizeof *labels);
                assert_memory_equal(hither_result_distances(r, j), distances + j * ROWS, count * sizeof *distances);
            }
            assert_true(strstr(hither_result_plan(r), "\"plan\":\"full\",\"bound\":\"rounding\"") != NULL);
            hither_result_free(r);
        }
    }
    ASSERT_FAILS(hither_within(&b, &q, NAN, NULL, &r, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_within(&b, &q, 1, HITHER_OPTIONS(hither_knn_options, .recall = 0.5), &r, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_within(&b, &q, 1, NULL, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_within(&b, NULL, 1, NULL, &r, &err), HITHER_INVALID);
    assert_null(r);
    base[77 * STRIDE + 1] = NAN;
    ASSERT_FAILS(hither_within(&b, &q, 1, NULL, &r, &err), HITHER_NOT_FINITE);
    assert_non_null(strstr(err.message, "base, row 77, column 1"));
}

/* So many queries that the array is coded first: the same answers as without codes, which is what a search with allowed
 * rows is. */
static void coded(void **state) {
    (void)state;
    enum { MANY = 8300, ASKED = 520, WIDE = 32 };
    static float rows[MANY * WIDE], asked[ASKED * WIDE];
    static uint64_t all[MANY / 64 + 1];
    static int64_t with[ASKED * K], without[ASKED * K];
    static float far[ASKED * K], other[ASKED * K];
    memset(all, 0xff, sizeof all);
    for (size_t i = 0; i < MANY * WIDE; i++)
        rows[i] = (float)(int64_t)ht_mix64(SEED * 2 + i / WIDE / 50 * WIDE + i % WIDE) * 0x1p-63f +
                  (float)(int64_t)ht_mix64(i) * 0x1p-65f; /* clusters of 50 rows */
    for (size_t i = 0; i < ASKED * WIDE; i++)
        asked[i] = rows[i * 7] + 0.01F;
    hither_matrix b = {rows, MANY, WIDE, 0, HITHER_F32}, q = {asked, ASKED, WIDE, 0, HITHER_F32};
    for (int metric = HITHER_COSINE; metric <= HITHER_L1; metric++) {
        hither_result *r, *s;
        hither_knn_options *o = HITHER_OPTIONS(hither_knn_options, .metric = (hither_metric)metric, .threads = 2);
        hither_knn_options *plain =
            HITHER_OPTIONS(hither_knn_options, .metric = (hither_metric)metric, .allow = all, .allow_bits = MANY);
        ASSERT_OK(hither_knn(&b, &q, K, o, with, far, &err));
        ASSERT_OK(hither_knn(&b, &q, K, plain, without, other, &err));
        assert_memory_equal(with, without, sizeof with);
        assert_memory_equal(far, other, sizeof far);
        ASSERT_OK(hither_within(&b, &q, far[K - 1], o, &r, &err));
        ASSERT_OK(hither_within(&b, &q, far[K - 1], plain, &s, &err));
        assert_true((strstr(hither_result_plan(r), "\"codes\"") != NULL) == (metric != HITHER_L1));
        assert_null(strstr(hither_result_plan(s), "\"codes\""));
        for (size_t j = 0; j < ASKED; j++) {
            size_t count = hither_result_count(r, j);
            assert_int_equal(count, hither_result_count(s, j));
            if (count > 0)
                assert_memory_equal(hither_result_ids(r, j).ints, hither_result_ids(s, j).ints, count * 8);
        }
        hither_result_free(r);
        hither_result_free(s);
        rows[4000 * WIDE + 3] = INFINITY;
        REFUSED(HITHER_NOT_FINITE, "base, row 4000, column 3: infinity", &b, &q, 1, o);
        rows[4000 * WIDE + 3] = 0;
    }
}

static void recall(void **state) {
    (void)state;
    hither_matrix b = base_view(), q = query_view();
    REFUSED(HITHER_INVALID, "recall is 1.5", &b, &q, 1, HITHER_OPTIONS(hither_knn_options, .recall = 1.5));
    REFUSED(HITHER_INVALID, "recall is -1", &b, &q, 1, HITHER_OPTIONS(hither_knn_options, .recall = -1));
    REFUSED(HITHER_INVALID, "recall is nan", &b, &q, 1, HITHER_OPTIONS(hither_knn_options, .recall = NAN));
    ASSERT_OK(hither_knn(&b, &q, K, HITHER_OPTIONS(hither_knn_options, .recall = 0.9), labels, distances, &err));
    check_against_counting(HITHER_COSINE, K, NULL, 0); /* there are no codes to be trusted further than they prove */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(answers, setup),    cmocka_unit_test_setup(allowed_rows, setup),
        cmocka_unit_test_setup(empty, setup),      cmocka_unit_test_setup(refusals, setup),
        cmocka_unit_test_setup(not_finite, setup), cmocka_unit_test_setup(within, setup),
        cmocka_unit_test_setup(coded, setup),      cmocka_unit_test_setup(recall, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
