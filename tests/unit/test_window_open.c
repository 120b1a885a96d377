/*
 * test_window_open.c: windows that do not score novelty, which threads push into side by side; what every window finds:
 * by metadata, document and time, within a radius, in a snapshot. HITHER_STREAM_RECORDS sets how many records the
 * centroid is followed over.
 */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "hither.h"

#define DIM 24

static uint64_t state;

static float uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)(state >> 40) * 0x1p-23f - 1;
}

static void fill(float *rows, size_t count) {
    for (size_t i = 0; i < count * DIM; i++)
        rows[i] = uniform() + (i % DIM == 0);
}

static hither_window *new_open(uint32_t capacity) {
    hither_error err = {0};
    hither_window *w;
    ASSERT_OK(hither_window_new(
        HITHER_OPTIONS(hither_window_options, .dim = DIM, .capacity = capacity, .no_novelty = 1), &w, &err));
    return w;
}

static void push(hither_window *w, const float *rows, size_t count, hither_score *scores) {
    hither_error err = {0};
    ASSERT_OK(hither_window_push_rows(
        w, HITHER_OPTIONS(hither_window_rows, .vectors = {rows, count, DIM, 0, HITHER_F32}), scores, &err));
}

static void add_unit(const float *row, double sign, double *sum) {
    double norm = 0;
    for (int j = 0; j < DIM; j++)
        norm += (double)row[j] * (double)row[j];
    for (int j = 0; j < DIM; j++)
        sum[j] += sign * (double)row[j] / sqrt(norm);
}

/* The centroid and its scores are those of a recomputation, however long the stream. */
static void test_centroid(void **unused) {
    (void)unused;
    enum { CAPACITY = 700, BATCH = 150, ALL = 200 * BATCH };
    const char *asked = getenv("HITHER_STREAM_RECORDS");
    uint64_t rounds = (asked ? strtoull(asked, NULL, 10) : 400000) / ALL + 1;
    static float rows[ALL][DIM];
    static hither_score scores[BATCH];
    hither_error err = {0};
    hither_window *w = new_open(CAPACITY);
    state = 5;
    fill(rows[0], ALL);
    double sum[DIM] = {0};
    uint64_t pushed = 0;
    for (uint64_t round = 0; round < rounds; round++)
        for (size_t at = 0; at < ALL; at += BATCH) {
            push(w, rows[at], BATCH, scores);
            bool look = at / BATCH % 50 == 0 || round == 0;
            if (look) { /* anew */
                memset(sum, 0, sizeof sum);
                for (uint64_t n = pushed > CAPACITY ? pushed - CAPACITY : 0; n < pushed; n++)
                    add_unit(rows[n % ALL], 1, sum);
            }
            for (size_t i = 0; i < BATCH; i++, pushed++) {
                double dot = 0, mm = 0, xx = 0;
                for (int j = 0; look && j < DIM; j++) {
                    dot += (double)rows[at + i][j] * sum[j];
                    mm += sum[j] * sum[j];
                    xx += (double)rows[at + i][j] * (double)rows[at + i][j];
                }
                assert_int_equal(scores[i].record, pushed);
                assert_true(isnan(scores[i].novelty));
                if (look && fabs((double)scores[i].centroid - (pushed ? dot / sqrt(mm * xx) : 1)) > 1e-5)
                    fail_msg("record %llu: %g, not %g", (unsigned long long)pushed, (double)scores[i].centroid,
                             dot / sqrt(mm * xx));
                if (look && pushed >= CAPACITY)
                    add_unit(rows[(pushed - CAPACITY) % ALL], -1, sum);
                if (look)
                    add_unit(rows[at + i], 1, sum);
            }
        }
    float mean[DIM];
    ASSERT_OK(hither_window_centroid(w, mean, DIM, &err));
    memset(sum, 0, sizeof sum);
    for (uint64_t n = pushed - CAPACITY; n < pushed; n++)
        add_unit(rows[n % ALL], 1, sum);
    for (int j = 0; j < DIM; j++)
        assert_true(fabs((double)mean[j] - sum[j] / CAPACITY) < 1e-5);
    hither_window_close(w);
}

/* ---- threads */

enum { THREADS = 4, EACH = 20000, FEW = 10 };

static void *push_all(void *arg) {
    static const float SIGNS[2] = {1, -1};
    for (int i = 0; i < EACH; i += FEW) {
        float rows[FEW][DIM];
        hither_error err;
        for (int r = 0; r < FEW; r++)
            for (int j = 0; j < DIM; j++)
                rows[r][j] = SIGNS[(i + r + j) % 3 == 0] * (float)(j + 1 + r);
        while (hither_window_push_rows(arg,
                                       HITHER_OPTIONS(hither_window_rows, .vectors = {rows, FEW, DIM, 0, HITHER_F32}),
                                       NULL, &err) == HITHER_BUSY)
            ;
    }
    return NULL;
}

/* Whatever the order, what is left in the sums is what is in the window. */
static void test_threads(void **unused) {
    (void)unused;
    hither_error err = {0};
    hither_window *w = new_open(2000), *copy;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, w), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    float sums[DIM], anew[DIM];
    ASSERT_OK(hither_window_centroid(w, sums, DIM, &err));
    ASSERT_OK(hither_window_snapshot(w, &copy, &err)); /* which sums its records */
    ASSERT_OK(hither_window_centroid(copy, anew, DIM, &err));
    for (int j = 0; j < DIM; j++)
        assert_true(fabsf(sums[j] - anew[j]) < 1e-6f);
    hither_window_close(copy);
    hither_window_close(w);
}

/* ---- finding */

static size_t find(hither_window *w, const float *query, const hither_window_find_options *o, uint64_t *first) {
    hither_error err = {0};
    hither_result *r;
    ASSERT_OK(
        hither_window_find(w, HITHER_OPTIONS(hither_query, .vectors = {query, 1, DIM, 0, HITHER_F32}), o, &r, &err));
    size_t count = hither_result_count(r, 0);
    hither_ids ids = hither_result_ids(r, 0);
    *first = count ? (uint64_t)ids.ints[0] : UINT64_MAX;
    hither_result_free(r);
    return count;
}

static void push_told(hither_window *w, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        float row[DIM];
        char json[64], text[32];
        hither_error err = {0};
        fill(row, 1);
        const uint64_t json_at[] = {
            0, (uint64_t)snprintf(json, sizeof json, "{\"n\":%u,\"odd\":%s}", i, i % 2 ? "true" : "false")};
        const uint64_t text_at[] = {0, (uint64_t)snprintf(text, sizeof text, "text %u", i)};
        const int64_t time = 1000 + i;
        ASSERT_OK(hither_window_push_rows(w,
                                          HITHER_OPTIONS(hither_window_rows, .vectors = {row, 1, DIM, 0, HITHER_F32},
                                                         .texts = {text, text_at, 1, NULL}, .times_ms = &time,
                                                         .metadata = {json, json_at, 1, NULL}),
                                          NULL, &err));
    }
}

static void check_found(hither_window *w) {
    uint64_t first;
    float query[DIM];
    fill(query, 1);
    assert_int_equal(find(w, query, HITHER_OPTIONS(hither_window_find_options, .k = 1000), &first), 300);
    assert_int_equal(find(w, query, NULL, &first), 10);
    assert_int_equal(
        find(w, query, HITHER_OPTIONS(hither_window_find_options, .k = 1000, .where = "{\"odd\":true}"), &first), 150);
    assert_int_equal(first % 2, 1);
    assert_int_equal(
        find(w, query, HITHER_OPTIONS(hither_window_find_options, .k = 9, .where = "{\"n\":{\"$lt\":203}}"), &first),
        3);
    assert_int_equal(
        find(w, query, HITHER_OPTIONS(hither_window_find_options, .k = 9, .since_ms = 1297, .until_ms = 1298), &first),
        2);
    assert_int_equal(find(w, query, HITHER_OPTIONS(hither_window_find_options, .within = 1, .radius = 2), &first), 300);
    assert_int_equal(find(w, query, HITHER_OPTIONS(hither_window_find_options, .within = 1, .radius = -1), &first), 0);
}

static void test_finding(void **unused) {
    (void)unused;
    char folder[] = "/tmp/hither-open-XXXXXX", path[64];
    hither_error err = {0};
    hither_window *w = new_open(300), *copy, *again;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state", folder);
    push_told(w, 500);
    check_found(w);
    ASSERT_OK(hither_window_snapshot(w, &copy, &err));
    ASSERT_OK(hither_window_save(w, path, &err));
    ASSERT_OK(hither_window_open(path, NULL, &again, &err));
    check_found(again);
    float means[2][DIM];
    ASSERT_OK(hither_window_centroid(w, means[0], DIM, &err));
    ASSERT_OK(hither_window_centroid(again, means[1], DIM, &err));
    assert_memory_equal(means[0], means[1], sizeof means[0]);
    push_told(w, 400); /* the copy stays */
    check_found(copy);
    float row[DIM];
    fill(row, 1);
    hither_status pushed = hither_window_push_rows(
        copy, HITHER_OPTIONS(hither_window_rows, .vectors = {row, 1, DIM, 0, HITHER_F32}), NULL, &err);
    assert_int_equal(pushed, HITHER_READONLY);
    uint64_t first;
    const uint64_t last = 499;
    hither_result *r;
    ASSERT_OK(hither_window_get(copy, &last, 1, &r, &err));
    assert_memory_equal(hither_result_documents(r, 0).bytes, "text 499", 8);
    assert_memory_equal(hither_result_metadata(r, 0).bytes, "{\"n\":499,\"odd\":true}", 20);
    hither_result_free(r);
    hither_window_close(w); /* in any order */
    assert_int_equal(find(copy, row, NULL, &first), 10);
    hither_window_close(copy);
    hither_window_close(again);
    unlink(path);
    rmdir(folder);
}

static void test_refused(void **unused) {
    (void)unused;
    hither_error err = {0};
    hither_window *w;
    const hither_window_options *const BAD[] = {
        HITHER_OPTIONS(hither_window_options, .no_novelty = 1, .alarm_rate = 0.1),
        HITHER_OPTIONS(hither_window_options, .no_novelty = 1, .half_life = 9),
        HITHER_OPTIONS(hither_window_options, .no_novelty = 1, .age_ms = 9),
    };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(hither_window_new(BAD[i], &w, &err), HITHER_UNSUPPORTED);
    w = new_open(9);
    hither_result *r;
    float query[DIM] = {1};
    const hither_query *q = HITHER_OPTIONS(hither_query, .vectors = {query, 1, DIM, 0, HITHER_F32});
    assert_int_equal(
        hither_window_find(w, q, HITHER_OPTIONS(hither_window_find_options, .k = 1, .within = 1), &r, &err),
        HITHER_INVALID);
    assert_int_equal(hither_window_find(w, q, HITHER_OPTIONS(hither_window_find_options, .where = "{"), &r, &err),
                     HITHER_SYNTAX);
    assert_int_equal(
        hither_window_find(w, q, HITHER_OPTIONS(hither_window_find_options, .within = 1, .radius = NAN), &r, &err),
        HITHER_INVALID);
    hither_window_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centroid),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
