/*
 * test_api_index.c: hither_index_* at its public face: answers against brute force by the reference, under labels of
 * every kind; each error with its status, and that nothing changed; limits; files that were cut, flipped, foreign or
 * newer; what outlives what; searches beside a writer (under ThreadSanitizer too).
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "hither.h"
#include "kernels/reference.h"
#include "rows.h"

#define SEED 20261121u

enum { ROWS = 300, DIM = 40, QUERIES = 4, K = 9 };

static hither_error err;
static float rows[ROWS * DIM], queries[QUERIES * DIM];
static int64_t labels[QUERIES * ROWS];
static float distances[QUERIES * ROWS];

static hither_matrix all_rows(void) { return test_matrix(rows, ROWS, DIM); }
static hither_matrix all_queries(void) { return test_matrix(queries, QUERIES, DIM); }

static int set_up(void **state) {
    (void)state;
    for (size_t i = 0; i < ROWS * DIM; i++)
        rows[i] = roundf(test_float(SEED, i) * 4); /* few values: ties */
    for (size_t i = 0; i < QUERIES * DIM; i++)
        queries[i] = test_float(SEED + 1, i);
    memset(&err, 0, sizeof err);
    return 0;
}

static hither_index *fresh(uint32_t dim, hither_metric metric) {
    hither_index *index;
    ASSERT_OK(hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = dim, .metric = metric), &index, &err));
    return index;
}

static hither_index *filled(hither_metric metric) {
    hither_index *index = fresh(DIM, metric);
    hither_matrix m = all_rows();
    int64_t first = -1;
    ASSERT_OK(hither_index_add(index, &m, NULL, &first, &err));
    assert_int_equal(first, 0);
    return index;
}

/* One number out of the facts of an index. */
static long long fact(hither_index *index, const char *name) {
    hither_result *r;
    char key[64];
    ASSERT_OK(hither_index_info(index, &r, &err));
    hither_strings column = hither_result_metadata(r, 0);
    ht_text json = ht_strings_at(&column, 0);
    char text[1024];
    assert_true(json.bytes < sizeof text);
    memcpy(text, json.data, json.bytes);
    text[json.bytes] = '\0';
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key);
    long long value = strncmp(at, "true", 4) == 0 ? 1 : strncmp(at, "false", 5) == 0 ? 0 : strtoll(at, NULL, 10);
    hither_result_free(r);
    return value;
}

/* ---- answers */

/* Slot s of the truth is row s under label_of[s], where it is alive. Rank by rank, by counting. */
static void check_answers(hither_metric metric, size_t k, const int64_t *label_of, const bool *alive) {
    for (size_t q = 0; q < QUERIES; q++) {
        double d[ROWS];
        size_t living = 0;
        for (size_t s = 0; s < ROWS; s++) {
            d[s] = alive[s] ? ht_ref_distance_f32(metric, queries + q * DIM, rows + s * DIM, DIM) : 0;
            living += alive[s];
        }
        for (size_t rank = 0; rank < k; rank++) {
            if (rank >= living) {
                assert_int_equal(labels[q * k + rank], -1);
                assert_true(isinf(distances[q * k + rank]));
                continue;
            }
            size_t slot = 0, before = 0;
            while (slot < ROWS && (label_of[slot] != labels[q * k + rank] || !alive[slot]))
                slot++;
            assert_true(slot < ROWS);
            for (size_t s = 0; s < ROWS; s++)
                before += alive[s] && (d[s] < d[slot] || (d[s] == d[slot] && s < slot));
            assert_int_equal(before, rank);
            assert_true(distances[q * k + rank] == (float)d[slot]);
        }
    }
}

static void every_metric_from_every_place(void **state) {
    (void)state;
    char *path = test_path();
    int64_t label_of[ROWS];
    bool alive[ROWS];
    for (int place = 0; place < 3; place++) { /* copied, wrapped, mapped */
        for (int metric = HITHER_COSINE; metric <= HITHER_L1; metric++) {
            hither_index *index;
            hither_matrix m = all_rows(), q = all_queries();
            for (size_t s = 0; s < ROWS; s++) {
                label_of[s] = (int64_t)s;
                alive[s] = s % 7 != 3;
            }
            if (place == 1) {
                ASSERT_OK(hither_index_wrap(&m, HITHER_L1, &index, &err));
            } else {
                index = filled(HITHER_L1);
            }
            if (place == 2) {
                ASSERT_OK(hither_index_save(index, path, &err));
                hither_index_close(index);
                ASSERT_OK(hither_index_open(path, &index, &err));
            }
            for (int64_t s = 3; s < ROWS; s += 7) {
                size_t removed;
                const int64_t gone[] = {s, s, ROWS, -4, INT64_MAX};
                ASSERT_OK(hither_index_remove(index, gone, 5, &removed, &err));
                assert_int_equal(removed, 1);
            }
            const hither_index_search_options o = {.size = sizeof o, .metric = (hither_metric)metric};
            ASSERT_OK(hither_index_search(index, &q, K, &o, labels, distances, &err));
            check_answers((hither_metric)metric, K, label_of, alive);
            ASSERT_OK(hither_index_search(index, &q, ROWS, &o, labels, distances, &err));
            check_answers((hither_metric)metric, ROWS, label_of, alive);
            ASSERT_OK(hither_index_search(index, &q, K, NULL, labels, distances, &err));
            check_answers(HITHER_L1, K, label_of, alive);
            ASSERT_OK(hither_index_verify(index, &err));
            assert_int_equal(fact(index, "rows"), ROWS - 43);
            assert_int_equal(fact(index, "borrowed"), place == 1);
            assert_int_equal(fact(index, "mapped"), place == 2);
            hither_index_close(index);
        }
    }
    test_remove_tree(path);
}

static void labels_of_the_callers(void **state) {
    (void)state;
    int64_t label_of[ROWS], first;
    bool alive[ROWS];
    for (size_t s = 0; s < ROWS; s++) {
        label_of[s] = (int64_t)(ROWS - s) * 1000003;
        alive[s] = true;
    }
    hither_index *index = fresh(DIM, HITHER_L2);
    hither_matrix m = all_rows(), q = all_queries(), one = test_matrix(rows, 1, DIM);
    ASSERT_OK(hither_index_add(index, &m, label_of, &first, &err));
    ASSERT_OK(hither_index_search(index, &q, K, NULL, labels, distances, &err));
    check_answers(HITHER_L2, K, label_of, alive);
    /* The next label by default follows the largest ever, even after that one is gone. */
    ASSERT_OK(hither_index_remove(index, label_of, 1, NULL, &err));
    ASSERT_OK(hither_index_add(index, &one, NULL, &first, &err));
    assert_int_equal(first, label_of[0] + 1);
    /* A label that is free again may be used again; the largest possible leaves none. */
    ASSERT_OK(hither_index_add(index, &one, label_of, NULL, &err));
    const int64_t last = INT64_MAX - 1;
    ASSERT_OK(hither_index_add(index, &one, &last, NULL, &err));
    ASSERT_FAILS(hither_index_add(index, &one, NULL, &first, &err), HITHER_TOO_LARGE);
    assert_int_equal(first, label_of[0] + 1);
    assert_int_equal(fact(index, "rows"), ROWS + 2);
    hither_index_close(index);
}

static void allowed_labels_only(void **state) {
    (void)state;
    hither_index *index = filled(HITHER_COSINE);
    int64_t label_of[ROWS];
    bool alive[ROWS];
    uint64_t allow[(ROWS + 63) / 64] = {0};
    hither_matrix q = all_queries();
    for (size_t s = 0; s < ROWS; s++) {
        label_of[s] = (int64_t)s;
        alive[s] = s % 3 == 1 && s < 200;
        if (s % 3 == 1)
            allow[s / 64] |= (uint64_t)1 << s % 64;
    }
    hither_index_search_options o = {.size = sizeof o, .allow = allow, .allow_bits = 200};
    ASSERT_OK(hither_index_search(index, &q, 100, &o, labels, distances, &err));
    check_answers(HITHER_COSINE, 100, label_of, alive);
    o.allow_bits = 0; /* a mask of no bits still is one */
    ASSERT_OK(hither_index_search(index, &q, K, &o, labels, distances, &err));
    for (size_t i = 0; i < QUERIES * K; i++)
        assert_true(labels[i] == -1 && isinf(distances[i]));
    hither_index_close(index);
}

static void explained(void **state) {
    (void)state;
    hither_index *index = filled(HITHER_DOT);
    hither_matrix q = all_queries(), none = test_matrix(queries, 0, DIM);
    hither_result *r;
    ASSERT_OK(hither_index_search(index, &q, K, NULL, labels, distances, &err));
    ASSERT_OK(hither_index_explain(index, &q, K, NULL, &r, &err));
    hither_index_close(index); /* a result outlives what it came from */
    assert_int_equal(hither_result_groups(r), QUERIES);
    for (size_t j = 0; j < QUERIES; j++) {
        assert_int_equal(hither_result_count(r, j), K);
        assert_memory_equal(hither_result_ids(r, j).ints, labels + j * K, K * sizeof *labels);
        assert_memory_equal(hither_result_distances(r, j), distances + j * K, K * sizeof *distances);
    }
    assert_non_null(strstr(hither_result_plan(r), "\"kind\":\"exact\""));
    assert_non_null(strstr(hither_result_plan(r), "\"rows\":300"));
    hither_result_free(r);
    index = fresh(DIM, HITHER_DOT);
    ASSERT_OK(hither_index_explain(index, &q, K, NULL, &r, &err)); /* an empty index: groups without hits */
    assert_int_equal(hither_result_groups(r), QUERIES);
    assert_int_equal(hither_result_count(r, 0), 0);
    hither_result_free(r);
    ASSERT_OK(hither_index_explain(index, &none, K, NULL, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 0);
    hither_result_free(r);
    hither_index_close(index);
}

/* Everything within a radius: a search for all rows, cut where they are farther away. */
static void within(void **state) {
    (void)state;
    static const hither_metric metrics[] = {HITHER_COSINE, HITHER_DOT, HITHER_L2, HITHER_L1};
    hither_matrix q = all_queries(), none = test_matrix(queries, 0, DIM), narrow = test_matrix(queries, 1, DIM + 1);
    hither_result *r;
    for (size_t m = 0; m < 4; m++) {
        hither_index *index = filled(metrics[m]);
        ASSERT_OK(hither_index_search(index, &q, ROWS, NULL, labels, distances, &err));
        float radius = distances[ROWS / 3];
        ASSERT_OK(hither_index_within(index, &q, radius, NULL, &r, &err));
        assert_int_equal(hither_result_groups(r), QUERIES);
        for (size_t j = 0; j < QUERIES; j++) {
            size_t count = 0;
            while (count < ROWS && distances[j * ROWS + count] <= radius)
                count++;
            assert_int_equal(hither_result_count(r, j), count);
            if (count > 0) {
                assert_memory_equal(hither_result_ids(r, j).ints, labels + j * ROWS, count * sizeof *labels);
                assert_memory_equal(hither_result_distances(r, j), distances + j * ROWS, count * sizeof *distances);
            }
        }
        assert_true(hither_result_count(r, 0) > ROWS / 3);
        hither_result_free(r);
        ASSERT_OK(hither_index_within(index, &q, -INFINITY, NULL, &r, &err));
        assert_int_equal(hither_result_count(r, 0), 0);
        hither_result_free(r);
        ASSERT_OK(hither_index_within(index, &q, INFINITY, NULL, &r, &err));
        assert_int_equal(hither_result_count(r, QUERIES - 1), ROWS);
        hither_result_free(r);
        ASSERT_OK(hither_index_within(index, &none, 1, NULL, &r, &err));
        hither_result_free(r);
        ASSERT_FAILS(hither_index_within(index, &q, NAN, NULL, &r, &err), HITHER_INVALID);
        assert_null(r);
        ASSERT_FAILS(hither_index_within(index, &narrow, 1, NULL, &r, &err), HITHER_DIMENSION);
        ASSERT_FAILS(hither_index_within(index, &q, 1, NULL, NULL, &err), HITHER_INVALID);
        hither_index_close(index);
    }
}

/* ---- refusals */

static void makers_refuse(void **state) {
    (void)state;
    hither_index *index = (hither_index *)(void *)rows;
    hither_index_options o = {.size = sizeof o};
    ASSERT_FAILS(hither_index_new(&o, &index, &err), HITHER_DIMENSION);
    assert_null(index);
    o.dim = HITHER_MAX_DIM + 1;
    ASSERT_FAILS(hither_index_new(&o, &index, &err), HITHER_DIMENSION);
    o.dim = 3;
    o.metric = (hither_metric)99;
    ASSERT_FAILS(hither_index_new(&o, &index, &err), HITHER_INVALID);
    o.metric = HITHER_HAMMING; /* of f32 */
    ASSERT_FAILS(hither_index_new(&o, &index, &err), HITHER_UNSUPPORTED);
    o.metric = 0;
    o.kind = (hither_kind)99;
    ASSERT_FAILS(hither_index_new(&o, &index, &err), HITHER_INVALID);
    o.kind = HITHER_EXACT;
    o.size = 3;
    ASSERT_FAILS(hither_index_new(&o, &index, &err), HITHER_INVALID);
    o.size = sizeof o;
    ASSERT_FAILS(hither_index_new(&o, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_new(NULL, &index, NULL), HITHER_DIMENSION);
    assert_null(index);

    hither_matrix m = all_rows();
    rows[2 * DIM + 5] = NAN;
    ASSERT_FAILS(hither_index_wrap(&m, 0, &index, &err), HITHER_NOT_FINITE);
    assert_non_null(strstr(err.message, "row 2, column 5"));
    rows[2 * DIM + 5] = 0;
    m.stride = DIM * sizeof(float) - 4;
    ASSERT_FAILS(hither_index_wrap(&m, 0, &index, &err), HITHER_INVALID);
    m.stride = DIM * sizeof(float) + 2;
    ASSERT_FAILS(hither_index_wrap(&m, 0, &index, &err), HITHER_INVALID);
    m.stride = 0;
    ASSERT_FAILS(hither_index_wrap(&m, (hither_metric)99, &index, &err), HITHER_INVALID);
    m.data = (const char *)rows + 1;
    ASSERT_FAILS(hither_index_wrap(&m, 0, &index, &err), HITHER_INVALID);
    m.data = NULL;
    ASSERT_FAILS(hither_index_wrap(&m, 0, &index, &err), HITHER_INVALID);
    m = all_rows();
    m.dim = 0;
    ASSERT_FAILS(hither_index_wrap(&m, 0, &index, &err), HITHER_DIMENSION);
    ASSERT_FAILS(hither_index_wrap(NULL, 0, &index, &err), HITHER_INVALID);
    assert_null(index);
    ASSERT_FAILS(hither_index_wrap(&m, 0, NULL, &err), HITHER_INVALID);
    hither_index_close(NULL);
}

static void an_add_that_fails_changes_nothing(void **state) {
    (void)state;
    hither_index *index = filled(HITHER_L2);
    hither_matrix m = test_matrix(rows, 3, DIM), narrow = test_matrix(rows, 3, DIM - 1);
    const int64_t known[] = {1000, 7, 1001}, twice[] = {1000, 1001, 1000}, below[] = {1000, -1, 1001},
                  beyond[] = {1000, 1001, INT64_MAX};
    int64_t first = -5;
    ASSERT_FAILS(hither_index_add(index, &m, known, &first, &err), HITHER_EXISTS);
    assert_non_null(strstr(err.message, "row 1"));
    ASSERT_FAILS(hither_index_add(index, &m, twice, &first, &err), HITHER_EXISTS);
    assert_non_null(strstr(err.message, "row 2"));
    ASSERT_FAILS(hither_index_add(index, &m, below, &first, &err), HITHER_INVALID);
    assert_non_null(strstr(err.message, "row 1"));
    ASSERT_FAILS(hither_index_add(index, &m, beyond, &first, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_add(index, &narrow, NULL, &first, &err), HITHER_DIMENSION);
    float bad[3 * DIM] = {0};
    bad[2 * DIM + 1] = -INFINITY;
    m.data = bad;
    ASSERT_FAILS(hither_index_add(index, &m, NULL, &first, &err), HITHER_NOT_FINITE);
    assert_non_null(strstr(err.message, "row 2, column 1"));
    static double wide[DIM] = {1e300};
    hither_matrix w = {.data = wide, .rows = 1, .dim = DIM, .dtype = HITHER_F64};
    ASSERT_FAILS(hither_index_add(index, &w, NULL, &first, &err), HITHER_NOT_FINITE);
    ASSERT_FAILS(hither_index_add(index, NULL, NULL, &first, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_add(NULL, &m, NULL, &first, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_remove(index, NULL, 1, NULL, &err), HITHER_INVALID);
    ASSERT_OK(hither_index_remove(index, NULL, 0, NULL, &err));
    assert_int_equal(first, -5);
    assert_int_equal(fact(index, "rows"), ROWS);
    /* The next label is the one it would have been, and answers are as before. */
    int64_t label_of[ROWS];
    bool alive[ROWS];
    for (size_t s = 0; s < ROWS; s++) {
        label_of[s] = (int64_t)s;
        alive[s] = true;
    }
    hither_matrix q = all_queries();
    ASSERT_OK(hither_index_search(index, &q, K, NULL, labels, distances, &err));
    check_answers(HITHER_L2, K, label_of, alive);
    w.data = (const double[DIM]){1};
    ASSERT_OK(hither_index_add(index, &w, NULL, &first, &err));
    assert_int_equal(first, ROWS);
    hither_index_close(index);

    m = all_rows();
    ASSERT_OK(hither_index_wrap(&m, 0, &index, &err));
    ASSERT_FAILS(hither_index_add(index, &m, NULL, NULL, &err), HITHER_READONLY);
    hither_index_close(index);
}

static void searches_refuse(void **state) {
    (void)state;
    hither_index *index = filled(HITHER_L2);
    hither_matrix q = all_queries(), narrow = test_matrix(queries, 1, DIM + 1);
    hither_result *r = (hither_result *)(void *)rows;
    labels[0] = -77;
    distances[0] = -77;
    hither_index_search_options o = {.size = sizeof o, .metric = (hither_metric)99};
    ASSERT_FAILS(hither_index_search(index, &q, 0, NULL, labels, distances, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_search(index, &q, HITHER_MAX_K + 1, NULL, labels, distances, &err), HITHER_TOO_LARGE);
    ASSERT_FAILS(hither_index_search(index, &narrow, K, NULL, labels, distances, &err), HITHER_DIMENSION);
    ASSERT_FAILS(hither_index_search(index, &q, K, &o, labels, distances, &err), HITHER_INVALID);
    o.metric = HITHER_HAMMING;
    ASSERT_FAILS(hither_index_search(index, &q, K, &o, labels, distances, &err), HITHER_UNSUPPORTED);
    ASSERT_FAILS(hither_index_search(index, &q, K, NULL, NULL, distances, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_search(index, &q, K, NULL, labels, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_search(index, NULL, K, NULL, labels, distances, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_search(NULL, &q, K, NULL, labels, distances, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_explain(index, &q, 0, NULL, &r, &err), HITHER_INVALID);
    assert_null(r);
    ASSERT_FAILS(hither_index_explain(index, &q, UINT32_MAX, NULL, &r, &err), HITHER_TOO_LARGE);
    ASSERT_FAILS(hither_index_explain(index, &narrow, K, NULL, &r, &err), HITHER_DIMENSION);
    ASSERT_FAILS(hither_index_explain(index, &q, K, NULL, NULL, &err), HITHER_INVALID);
    queries[3] = INFINITY;
    ASSERT_FAILS(hither_index_search(index, &q, K, NULL, labels, distances, &err), HITHER_NOT_FINITE);
    ASSERT_FAILS(hither_index_explain(index, &q, K, NULL, &r, &err), HITHER_NOT_FINITE);
    assert_true(labels[0] == -77 && distances[0] == -77);
    q.rows = 0;
    q.data = NULL;
    ASSERT_OK(hither_index_search(index, &q, K, NULL, NULL, NULL, &err));
    ASSERT_FAILS(hither_index_info(index, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_info(NULL, &r, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_verify(NULL, &err), HITHER_INVALID);
    hither_index_close(index);
}

static void largest_of_all(void **state) {
    (void)state;
    float *wide = calloc(HITHER_MAX_DIM, sizeof *wide), *found = calloc(HITHER_MAX_K, sizeof *found);
    int64_t *many = calloc(HITHER_MAX_K, sizeof *many);
    assert_true(wide && found && many);
    wide[HITHER_MAX_DIM - 1] = 2;
    hither_index *index = fresh(HITHER_MAX_DIM, HITHER_L2);
    hither_matrix m = test_matrix(wide, 1, HITHER_MAX_DIM);
    ASSERT_OK(hither_index_add(index, &m, NULL, NULL, &err));
    ASSERT_OK(hither_index_search(index, &m, HITHER_MAX_K, NULL, many, found, &err));
    assert_true(many[0] == 0 && found[0] == 0 && many[1] == -1 && many[HITHER_MAX_K - 1] == -1);
    hither_index_close(index);
    index = fresh(1, HITHER_L2);
    m.dim = 1;
    ASSERT_OK(hither_index_add(index, &m, NULL, NULL, &err));
    ASSERT_OK(hither_index_search(index, &m, 1, NULL, many, found, &err));
    assert_true(many[0] == 0 && found[0] == 0);
    hither_index_close(index);
    free(wide);
    free(found);
    free(many);
}

/* ---- files */

static void write_file(const char *path, const char *data, size_t bytes) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

static char *read_file(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*bytes);
    assert_true(data && fread(data, 1, *bytes, f) == *bytes);
    fclose(f);
    return data;
}

static void foreign_and_damaged_files(void **state) {
    (void)state;
    char *path = test_path();
    size_t bytes;
    hither_index *index = filled(HITHER_L2);
    ASSERT_OK(hither_index_save(index, path, &err));
    hither_index_close(index);
    char *data = read_file(path, &bytes);

    ASSERT_FAILS(hither_index_open("no such file", &index, &err), HITHER_NOT_FOUND);
    assert_null(index);
    ASSERT_FAILS(hither_index_open(NULL, &index, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_index_open(path, NULL, &err), HITHER_INVALID);
    static const size_t cuts[] = {0, 1, 71, 4095};
    for (size_t i = 0; i < 4; i++) {
        write_file(path, data, cuts[i]);
        ASSERT_FAILS(hither_index_open(path, &index, &err), HITHER_NOT_DATABASE);
    }
    for (size_t cut = 4096; cut < bytes; cut += 4093) {
        write_file(path, data, cut);
        ASSERT_FAILS(hither_index_open(path, &index, &err), HITHER_CORRUPT);
        assert_null(index);
    }
    /* A flipped bit is seen by open, or by verify, which says where; a search gives the old answer or an error. */
    hither_matrix q = all_queries();
    int64_t sure[QUERIES * K];
    write_file(path, data, bytes);
    ASSERT_OK(hither_index_open(path, &index, &err));
    ASSERT_OK(hither_index_search(index, &q, K, NULL, sure, distances, &err));
    hither_index_close(index);
    for (size_t at = 3; at < bytes; at += 1009) {
        data[at] ^= 4;
        write_file(path, data, bytes);
        hither_status status = hither_index_open(path, &index, &err);
        if (status == HITHER_OK) {
            if (hither_index_search(index, &q, K, NULL, labels, distances, &err) == HITHER_OK)
                assert_memory_equal(labels, sure, sizeof sure);
            ASSERT_FAILS(hither_index_verify(index, &err), HITHER_CORRUPT);
            assert_non_null(strstr(err.message, "offset"));
            hither_index_close(index);
        }
        data[at] ^= 4;
    }
    data[8] = 99; /* the format */
    write_file(path, data, bytes);
    ASSERT_FAILS(hither_index_open(path, &index, &err), HITHER_FORMAT);
    assert_non_null(strstr(err.message, "99"));
    free(data);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_not_equal(hither_index_open(path, &index, &err), HITHER_OK);
    index = filled(HITHER_L2);
    assert_int_not_equal(hither_index_save(index, path, &err), HITHER_OK); /* a folder is in the way */
    ASSERT_FAILS(hither_index_save(index, "no such folder/x", &err), HITHER_NOT_FOUND);
    ASSERT_FAILS(hither_index_save(index, NULL, &err), HITHER_INVALID);
    ASSERT_OK(hither_index_verify(index, &err));
    hither_index_close(index);
    test_remove_tree(path);
}

static void saved_over_what_is_open(void **state) {
    (void)state;
    char *path = test_path();
    hither_index *first = filled(HITHER_L2), *second, *third;
    hither_matrix q = all_queries(), one = test_matrix(queries, 1, DIM);
    int64_t label, fresh_label;
    float distance;
    ASSERT_OK(hither_index_save(first, path, &err));
    ASSERT_OK(hither_index_open(path, &second, &err));
    /* Rows are added to what was opened, and the whole is saved over the file it is mapped from. */
    ASSERT_OK(hither_index_add(second, &one, NULL, &fresh_label, &err));
    assert_int_equal(fresh_label, ROWS);
    ASSERT_OK(hither_index_remove(second, (const int64_t[]){0}, 1, NULL, &err));
    ASSERT_OK(hither_index_save(second, path, &err));
    ASSERT_OK(hither_index_open(path, &third, &err));
    assert_int_equal(fact(third, "rows"), ROWS);
    ASSERT_OK(hither_index_search(third, &one, 1, NULL, &label, &distance, &err));
    assert_true(label == ROWS && distance == 0);
    ASSERT_OK(hither_index_add(third, &one, NULL, &fresh_label, &err));
    assert_int_equal(fresh_label, ROWS + 1);
    /* The old mapping still answers; handles go in any order. */
    hither_index_close(third);
    hither_index_close(first);
    ASSERT_OK(hither_index_search(second, &q, K, NULL, labels, distances, &err));
    ASSERT_OK(hither_index_verify(second, &err));
    hither_index_close(second);
    test_remove_tree(path);
}

/* ---- threads */

enum { SEARCHERS = 3, ADDS = 60, AT_ONCE = 40 };

typedef struct shared {
    hither_index *index;
    const char *path;
    _Atomic int64_t added; /* labels below it are in */
    _Atomic unsigned looked, wrong;
    char what[320];
} shared;

/* Row `label` is (label, 1, 0, ...): the nearest to itself, at 0. */
static void row_of(int64_t label, float *row) {
    memset(row, 0, DIM * sizeof *row);
    row[0] = (float)label;
    row[1] = 1;
}

static void complain(shared *s, const char *what, const hither_error *e) {
    if (atomic_fetch_add(&s->wrong, 1) == 0)
        (void)snprintf(s->what, sizeof s->what, "%.60s: %.247s", what, e->message);
}

static void *search_on(void *ctx) {
    shared *s = ctx;
    hither_error e = {0};
    for (uint64_t i = 0; atomic_load(&s->added) < ADDS * AT_ONCE; i++) {
        int64_t seen = atomic_load(&s->added), label = -1, wanted;
        float query[DIM], distance = 0;
        hither_matrix q = test_matrix(query, 1, DIM);
        if (seen == 0)
            continue;
        wanted = (int64_t)((i * 7919) % (uint64_t)seen) | 1; /* odd ones are never removed */
        row_of(wanted, query);
        if (wanted < seen && (hither_index_search(s->index, &q, 1, NULL, &label, &distance, &e) != HITHER_OK ||
                              label != wanted || distance != 0))
            complain(s, "a row that was added is not found", &e);
        if (i % 64 == 0 && hither_index_verify(s->index, &e) != HITHER_OK)
            complain(s, "verify", &e);
        if (i % 128 == 0 && hither_index_save(s->index, s->path, &e) != HITHER_OK)
            complain(s, "save", &e);
        atomic_fetch_add(&s->looked, 1);
    }
    return NULL;
}

static void searches_beside_a_writer(void **state) {
    (void)state;
    char *path = test_path();
    shared s = {.index = fresh(DIM, HITHER_L2), .path = path};
    pthread_t threads[SEARCHERS];
    for (size_t i = 0; i < SEARCHERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_on, &s), 0);
    for (int64_t a = 0; a < ADDS; a++) {
        float fresh_rows[AT_ONCE * DIM];
        int64_t even[AT_ONCE / 2];
        hither_matrix m = test_matrix(fresh_rows, AT_ONCE, DIM);
        for (int64_t i = 0; i < AT_ONCE; i++)
            row_of(a * AT_ONCE + i, fresh_rows + i * DIM);
        for (int64_t i = 0; i < AT_ONCE / 2; i++)
            even[i] = a * AT_ONCE + 2 * i;
        hither_error e = {0};
        if (hither_index_add(s.index, &m, NULL, NULL, &e) != HITHER_OK ||
            hither_index_remove(s.index, even, AT_ONCE / 2, NULL, &e) != HITHER_OK)
            complain(&s, "a write", &e);
        unsigned looked = atomic_load(&s.looked);
        atomic_store(&s.added, (a + 1) * AT_ONCE);
        while (a + 1 < ADDS && atomic_load(&s.looked) < looked + SEARCHERS)
            sched_yield();
    }
    for (size_t i = 0; i < SEARCHERS; i++)
        pthread_join(threads[i], NULL);
    if (atomic_load(&s.wrong))
        fail_msg("%u times wrong; first %s", atomic_load(&s.wrong), s.what);
    assert_int_equal(fact(s.index, "rows"), ADDS * AT_ONCE / 2);
    ASSERT_OK(hither_index_verify(s.index, &err));
    hither_index_close(s.index);
    test_remove_tree(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_metric_from_every_place, set_up),
        cmocka_unit_test_setup(labels_of_the_callers, set_up),
        cmocka_unit_test_setup(allowed_labels_only, set_up),
        cmocka_unit_test_setup(explained, set_up),
        cmocka_unit_test_setup(within, set_up),
        cmocka_unit_test_setup(makers_refuse, set_up),
        cmocka_unit_test_setup(an_add_that_fails_changes_nothing, set_up),
        cmocka_unit_test_setup(searches_refuse, set_up),
        cmocka_unit_test_setup(largest_of_all, set_up),
        cmocka_unit_test_setup(foreign_and_damaged_files, set_up),
        cmocka_unit_test_setup(saved_over_what_is_open, set_up),
        cmocka_unit_test_setup(searches_beside_a_writer, set_up),
    };
    return cmocka_run_group_tests_name("hither_index", tests, NULL, NULL);
}
