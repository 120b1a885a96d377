/*
 * test_dtypes.c: hither_knn and hither_index over every type of row at their public face: answers against counting by
 * the definition of D, values converted as they are added or taken as they are, refused by row, saved and mapped.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cmocka_all.h"
#include "hither.h"
#include "kernels/convert.h"
#include "kernels/reference.h"
#include "rows.h"

#define SEED 20241123u

enum { ROWS = 300, DIM = 43, QUERIES = 3, K = 12 };

static float rows[ROWS * DIM], queries[QUERIES * DIM];
static double wide[ROWS * DIM];
static int64_t labels[QUERIES * K];
static float distances[QUERIES * K];
static hither_error err;

static int setup(void **state) {
    (void)state;
    for (size_t i = 0; i < ROWS * DIM; i++) {
        wide[i] = (double)(int64_t)ht_mix64(SEED + i) * 0x1p-63;
        rows[i] = (float)wide[i];
    }
    for (size_t i = 0; i < QUERIES * DIM; i++)
        queries[i] = (float)(int64_t)ht_mix64(~(uint64_t)i) * 0x1p-63f;
    return 0;
}

/* The rows as a packed array of the type: what somebody has who computes in it. */
static hither_matrix array_of(hither_dtype dtype, bool scaled) {
    size_t bytes = ht_row_bytes(dtype, DIM, !scaled);
    char *data = calloc(ROWS, bytes), one[DIM * 8];
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(ht_convert_row(HITHER_F64, wide + i * DIM, dtype, DIM, one), DIM);
        memcpy(data + i * bytes, one, bytes);
    }
    return (hither_matrix){.data = data, .rows = ROWS, .dim = DIM, .stride = bytes, .dtype = dtype};
}

/* How many rows come before each answer, by D of rows as stored. */
static void check_by_counting(const hither_matrix *stored, bool bare, hither_metric metric) {
    for (size_t q = 0; q < QUERIES; q++) {
        double d[ROWS], query64[DIM];
        uint8_t bits[DIM];
        const void *query = queries + q * DIM;
        if (stored->dtype == HITHER_F64)
            assert_int_equal(ht_convert_row(HITHER_F32, query, HITHER_F64, DIM, query64), DIM), query = query64;
        if (stored->dtype == HITHER_B1)
            assert_int_equal(ht_convert_row(HITHER_F32, query, HITHER_B1, DIM, bits), DIM), query = bits;
        for (size_t i = 0; i < ROWS; i++)
            d[i] = ht_ref_distance(stored->dtype, bare, metric, query, (const char *)stored->data + i * stored->stride,
                                   DIM);
        for (size_t rank = 0; rank < K; rank++) {
            size_t row = (size_t)labels[q * K + rank], before = 0;
            assert_true(row < ROWS);
            for (size_t i = 0; i < ROWS; i++)
                before += d[i] < d[row] || (d[i] == d[row] && i < row);
            assert_int_equal(before, rank);
            assert_true(distances[q * K + rank] == (float)d[row]);
        }
    }
}

static hither_metric first_metric(int dtype) { return dtype == HITHER_B1 ? HITHER_HAMMING : HITHER_COSINE; }
static hither_metric last_metric(int dtype) { return dtype == HITHER_B1 ? HITHER_HAMMING : HITHER_L1; }

static void knn(void **state) {
    (void)state;
    hither_matrix q = {queries, QUERIES, DIM, 0, HITHER_F32};
    for (int dtype = HITHER_F32; dtype <= HITHER_B1; dtype++) {
        hither_matrix base = array_of((hither_dtype)dtype, false);
        for (int m = (int)first_metric(dtype); m <= (int)last_metric(dtype); m++) {
            ASSERT_OK(hither_knn(&base, &q, K, HITHER_OPTIONS(hither_knn_options, .metric = (hither_metric)m), labels,
                                 distances, &err));
            check_by_counting(&base, true, (hither_metric)m);
        }
        ASSERT_OK(hither_knn(&base, &q, K, NULL, labels, distances, &err)); /* the default suits the type */
        check_by_counting(&base, true, first_metric(dtype));
        free((void *)(uintptr_t)base.data);
    }
}

static void search_all_metrics(hither_index *index, const hither_matrix *stored, bool bare) {
    hither_matrix q = {queries, QUERIES, DIM, 0, HITHER_F32};
    for (int m = (int)first_metric((int)stored->dtype); m <= (int)last_metric((int)stored->dtype); m++) {
        ASSERT_OK(hither_index_search(index, &q, K,
                                      HITHER_OPTIONS(hither_index_search_options, .metric = (hither_metric)m), labels,
                                      distances, &err));
        check_by_counting(stored, bare, (hither_metric)m);
    }
}

/* All rows within the distance of the K-th nearest, ties of it included: the same rows in the same order. */
static void within(void **state) {
    (void)state;
    hither_matrix q = {queries, 1, DIM, 0, HITHER_F32};
    for (int dtype = HITHER_F32; dtype <= HITHER_B1; dtype++) {
        hither_matrix array = array_of((hither_dtype)dtype, false);
        hither_index *index;
        hither_result *r;
        ASSERT_OK(hither_index_wrap(&array, (hither_metric)0, &index, &err));
        ASSERT_OK(hither_index_search(index, &q, K, NULL, labels, distances, &err));
        ASSERT_OK(hither_index_within(index, &q, distances[K - 1], NULL, &r, &err));
        assert_true(hither_result_count(r, 0) >= K && (dtype == HITHER_B1 || hither_result_count(r, 0) == K));
        assert_memory_equal(hither_result_ids(r, 0).ints, labels, K * sizeof *labels);
        assert_memory_equal(hither_result_distances(r, 0), distances, K * sizeof *distances);
        hither_result_free(r);
        hither_index_close(index);
        free((void *)(uintptr_t)array.data);
    }
}

/* f32, f64 and the type's own arrays go in; what is saved is found again by mapping it. */
static void index_of_each(void **state) {
    (void)state;
    char *path = test_path();
    for (int dtype = HITHER_F32; dtype <= HITHER_B1; dtype++) {
        hither_matrix from64 = array_of((hither_dtype)dtype, true), verbatim = array_of((hither_dtype)dtype, false);
        hither_matrix given[3] = {{wide, ROWS, DIM, 0, HITHER_F64}, {rows, ROWS, DIM, 0, HITHER_F32}, verbatim};
        for (size_t g = 0; g < 3; g++) {
            hither_index *index, *again;
            ASSERT_OK(hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = DIM, .dtype = (hither_dtype)dtype),
                                       &index, &err));
            ASSERT_OK(hither_index_add(index, &given[g], NULL, NULL, &err));
            const hither_matrix *stored = g == 2 ? &verbatim : &from64;
            hither_matrix from32 = from64;
            char *data = calloc(ROWS, from64.stride);
            if (g == 1) { /* rounded to f32 first, by whoever made them so */
                for (size_t i = 0; i < ROWS; i++)
                    assert_int_equal(
                        ht_convert_row(HITHER_F32, rows + i * DIM, (hither_dtype)dtype, DIM, data + i * from64.stride),
                        DIM);
                from32.data = data;
                stored = &from32;
            }
            search_all_metrics(index, stored, g == 2);
            ASSERT_OK(hither_index_save(index, path, &err));
            ASSERT_OK(hither_index_open(path, &again, &err));
            search_all_metrics(again, stored, g == 2);
            ASSERT_OK(hither_index_verify(again, &err));
            hither_index_close(again);
            hither_index_close(index);
            free(data);
        }
        free((void *)(uintptr_t)from64.data);
        free((void *)(uintptr_t)verbatim.data);
    }
    test_remove_tree(path);
}

/* Wrapped arrays are searched where they lie; what is saved of them is an index like others (i8 gets its scale of 1).
 */
static void wrapped(void **state) {
    (void)state;
    char *path = test_path();
    for (int dtype = HITHER_F32; dtype <= HITHER_B1; dtype++) {
        hither_matrix array = array_of((hither_dtype)dtype, false);
        hither_index *index, *again;
        ASSERT_OK(hither_index_wrap(&array, (hither_metric)0, &index, &err));
        search_all_metrics(index, &array, true);
        ASSERT_OK(hither_index_verify(index, &err));
        ASSERT_OK(hither_index_save(index, path, &err));
        ASSERT_OK(hither_index_open(path, &again, &err));
        search_all_metrics(again, &array, true);
        ASSERT_OK(hither_index_verify(again, &err));
        hither_index_close(again);
        hither_index_close(index);
        free((void *)(uintptr_t)array.data);
    }
    test_remove_tree(path);
}

static uint64_t count_of(hither_index *index) {
    hither_result *r;
    ASSERT_OK(hither_index_info(index, &r, &err));
    hither_strings m = hither_result_metadata(r, 0);
    const char *at = strstr(m.bytes, "\"rows\":");
    uint64_t n = at ? strtoull(at + 7, NULL, 10) : UINT64_MAX;
    hither_result_free(r);
    return n;
}

/* A value too large for the type is refused by row and column, and nothing goes in. */
static void too_large(void **state) {
    (void)state;
    static const struct {
        hither_dtype dtype;
        double value;
    } cases[] = {
        {HITHER_F32, 1e39}, {HITHER_F16, 65520}, {HITHER_BF16, 3.4e38}, {HITHER_I8, 1e300}, {HITHER_F64, INFINITY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hither_index *index;
        hither_matrix m = {wide, ROWS, DIM, 0, HITHER_F64};
        ASSERT_OK(
            hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = DIM, .dtype = cases[i].dtype), &index, &err));
        double kept = wide[211 * DIM + 7];
        wide[211 * DIM + 7] = cases[i].value;
        wide[212 * DIM + 1] = NAN;
        ASSERT_FAILS(hither_index_add(index, &m, NULL, NULL, &err), HITHER_NOT_FINITE);
        assert_non_null(strstr(err.message, "row 211, column 7"));
        assert_int_equal(count_of(index), 0);
        wide[211 * DIM + 7] = kept;
        wide[212 * DIM + 1] = 0.5;
        ASSERT_OK(hither_index_add(index, &m, NULL, NULL, &err));
        assert_int_equal(count_of(index), ROWS);
        hither_index_close(index);
    }
}

static void refusals(void **state) {
    (void)state;
    hither_index *index;
    hither_matrix bits = array_of(HITHER_B1, false), q = {queries, QUERIES, DIM, 0, HITHER_F32},
                  half = array_of(HITHER_F16, false);
    hither_matrix base = {rows, ROWS, DIM, 0, HITHER_F32};
    ASSERT_FAILS(
        hither_knn(&bits, &q, K, HITHER_OPTIONS(hither_knn_options, .metric = HITHER_L2), labels, distances, &err),
        HITHER_UNSUPPORTED);
    ASSERT_FAILS(hither_knn(&base, &bits, K, NULL, labels, distances, &err), HITHER_UNSUPPORTED);
    ASSERT_FAILS(
        hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = DIM, .dtype = HITHER_B1, .metric = HITHER_DOT),
                         &index, &err),
        HITHER_UNSUPPORTED);
    ASSERT_FAILS(hither_index_wrap(&half, HITHER_HAMMING, &index, &err), HITHER_UNSUPPORTED);
    ASSERT_OK(hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = DIM, .dtype = HITHER_I8), &index, &err));
    ASSERT_FAILS(hither_index_add(index, &half, NULL, NULL, &err), HITHER_UNSUPPORTED);
    assert_string_equal(err.message, "f16 rows for an index of i8; it takes f32, f64 and its own");
    hither_index_close(index);
    uint16_t *halves = (uint16_t *)(uintptr_t)half.data;
    halves[9 * DIM + 4] = 0x7c00;
    ASSERT_FAILS(hither_index_wrap(&half, HITHER_DOT, &index, &err), HITHER_NOT_FINITE);
    ASSERT_FAILS(hither_knn(&half, &q, K, NULL, labels, distances, &err), HITHER_NOT_FINITE);
    assert_string_equal(err.message, "base, row 9, column 4: infinity");
    double large[2 * 2] = {1, 2, 1e200, 1}, one[2] = {1, 1};
    hither_matrix far_rows = {large, 2, 2, 0, HITHER_F64}, near_query = {one, 1, 2, 0, HITHER_F64};
    ASSERT_FAILS(hither_knn(&far_rows, &near_query, 1, NULL, labels, distances, &err), HITHER_NOT_FINITE);
    assert_non_null(strstr(err.message, "beyond f64"));
    free((void *)(uintptr_t)bits.data);
    free((void *)(uintptr_t)half.data);
}

/* What an index takes beside f32 rows of 384 dimensions, codes and norms included. */
static void memory(void **state) {
    (void)state;
    enum { WIDE = 384, MANY = 1024 };
    static const double most[] = {0, 1.30, 2.30, 0.55, 0.55, 0.30, 0.04};
    float *data = malloc((size_t)MANY * WIDE * sizeof *data);
    for (size_t i = 0; i < (size_t)MANY * WIDE; i++)
        data[i] = (float)(int64_t)ht_mix64(i) * 0x1p-63f;
    for (int dtype = HITHER_F32; dtype <= HITHER_B1; dtype++) {
        hither_index *index;
        hither_result *r;
        hither_matrix m = {data, MANY, WIDE, 0, HITHER_F32};
        ASSERT_OK(hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = WIDE, .dtype = (hither_dtype)dtype),
                                   &index, &err));
        ASSERT_OK(hither_index_add(index, &m, NULL, NULL, &err));
        ASSERT_OK(hither_index_info(index, &r, &err));
        const char *json = hither_result_metadata(r, 0).bytes;
        double bytes =
            strtod(strstr(json, "\"bytes_rows\":") + 13, NULL) + strtod(strstr(json, "\"bytes_extra\":") + 14, NULL);
        assert_true(bytes <= most[dtype] * MANY * WIDE * sizeof(float));
        hither_result_free(r);
        hither_index_close(index);
    }
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(knn, setup),      cmocka_unit_test_setup(index_of_each, setup),
        cmocka_unit_test_setup(wrapped, setup),  cmocka_unit_test_setup(too_large, setup),
        cmocka_unit_test_setup(refusals, setup), cmocka_unit_test_setup(within, setup),
        cmocka_unit_test_setup(memory, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
