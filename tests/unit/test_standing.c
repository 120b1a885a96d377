/*
 * test_standing.c: standing queries against a twin that compares every record with every query: vectors and texts, with
 * forms and without, some thousands of queries, radii of their own, queries replaced on the way, and threads.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "cmocka_all.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"
#include "stream/window.h"

#ifdef __SANITIZE_THREAD__ /* what compares answers has one thread */
enum { DIM = 40, QUERIES = 1500, RECORDS = 140 };
#else
enum { DIM = 40, QUERIES = 1500, RECORDS = 700 };
#endif

static uint64_t seed = 1;
static unsigned draw(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

/* Few centres, so that many are near and some equal. */
static void make_vector(float *v) {
    unsigned centre = draw(9), noise = draw(4);
    for (unsigned j = 0; j < DIM; j++)
        v[j] = (float)((centre * 37 + j * j) % 11) - 5 + (noise ? (float)draw(100) / 50 * (float)noise : 0);
}

/* A text's letters, counted. */
static hither_status embed(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err) {
    (void)ctx;
    (void)err;
    memset(vector, 0, DIM * sizeof *vector);
    for (size_t i = 0; i < bytes; i++)
        vector[(unsigned char)text[i] % DIM] += 1;
    return HITHER_OK;
}

static ht_window *new_window(bool open) {
    hither_error err = {0};
    ht_window *w;
    ASSERT_OK(ht_window_new(
        &(ht_window_spec){.capacity = 300, .dim = DIM, .embed = embed, .no_novelty = open, .no_centroid = open}, &w,
        &err));
    return w;
}

typedef struct set {
    float rows[QUERIES][DIM], radius[QUERIES];
    uint32_t count;
} set;

static set *new_set(uint32_t count) {
    set *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->count = count;
    for (uint32_t i = 0; i < count; i++) {
        make_vector(s->rows[i]);
        s->radius[i] = i % 7 == 0 ? 0 : i % 5 == 0 ? -1 : (float)draw(100) / 400;
    }
    return s;
}

static void use(ht_window *w, const set *s, bool first_only) {
    hither_error err = {0};
    const hither_matrix m = {.data = s->rows, .rows = s->count, .dim = DIM, .stride = sizeof s->rows[0]};
    ASSERT_OK(ht_window_queries_set(
        w, &(ht_window_queries){.vectors = &m, .radius = s->radius, .count = s->count, .first_only = first_only},
        &err));
}

/* The group is exactly what brute force finds, in order. */
static void check_group(const hither_result *r, size_t group, const set *s, const float *record) {
    size_t found = hither_result_count(r, group), want = 0;
    const int64_t *ids = hither_result_ids(r, group).ints;
    const float *distances = hither_result_distances(r, group);
    double before = -1;
    for (uint32_t i = 0; i < s->count; i++)
        want += (float)ht_ref_distance_f32(HITHER_COSINE, record, s->rows[i], DIM) <= s->radius[i];
    assert_int_equal(found, want);
    for (size_t i = 0; i < found; i++) {
        double d = ht_ref_distance_f32(HITHER_COSINE, record, s->rows[ids[i]], DIM);
        assert_true((float)d == distances[i] && distances[i] <= s->radius[ids[i]]);
        assert_true(before < d || (before == d && ids[i - 1] < ids[i]));
        before = d;
    }
}

static hither_result *push(ht_window *w, const ht_window_rows *rows, hither_score *scores) {
    hither_error err = {0};
    hither_result *r;
    ASSERT_OK(ht_result_new(0, 0, true, &r, &err));
    ASSERT_OK(ht_window_push_matched(w, rows, scores, r, &err));
    ASSERT_OK(ht_result_check(r, &err));
    return r;
}

static void check_vectors(bool open, uint32_t queries) {
    static float rows[RECORDS][DIM];
    ht_window *w = new_window(open);
    set *s = new_set(queries);
    use(w, s, false);
    for (size_t at = 0, n; at < RECORDS; at += n) {
        n = at % 3 == 0 ? 1 : at % 3 == 1 ? 64 : 130;
        n = n < RECORDS - at ? n : RECORDS - at;
        for (size_t i = at; i < at + n; i++) {
            make_vector(rows[i]);
            if (i % 4 == 0)
                memcpy(rows[i], s->rows[draw(s->count)], sizeof rows[i]);
            else if (i > 10 && i % 4 == 1)
                memcpy(rows[i], rows[i - 1 - draw(9)], sizeof rows[i]); /* of a known form */
        }
        const hither_matrix m = {.data = rows[at], .rows = n, .dim = DIM, .stride = sizeof rows[0]};
        hither_result *r = push(w, &(ht_window_rows){.vectors = &m}, NULL);
        assert_int_equal(hither_result_groups(r), n);
        for (size_t i = 0; i < n; i++)
            check_group(r, i, s, rows[at + i]);
        hither_result_free(r);
        if (at > RECORDS / 2 && s->count == queries) { /* others from here on */
            free(s);
            s = new_set(queries / 2 + 1);
            use(w, s, false);
        }
    }
    free(s);
    ht_window_free(w);
}

static void test_vectors(void **state) {
    (void)state;
    const uint32_t counts[] = {1, 63, 64, 200, QUERIES};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        check_vectors(false, counts[i]);
        check_vectors(true, counts[i]);
    }
}

/* Texts are masked and embedded as records are; of a form that is known nothing is said twice, where asked for. */
static void test_texts(void **state) {
    (void)state;
    static const char text[] = "disk fulldisk 7disk 8net downdisk 9";
    const uint64_t offsets[] = {0, 9, 15, 21, 29, 35}, query_offsets[] = {0, 9, 15};
    const hither_strings texts = {text, offsets, 5, NULL}, queries = {text, query_offsets, 2, NULL};
    for (int how = 0; how < 3; how++) { /* all; first only; all, without forms */
        ht_window *w = new_window(how == 2);
        hither_error err = {0};
        const float radius[] = {0, 0};
        const ht_window_queries q = {.texts = &queries, .radius = radius, .count = 2, .first_only = how == 1};
        ASSERT_OK(ht_window_queries_set(w, &q, &err));
        for (int again = 0; again < 2; again++) {
            hither_score scores[5];
            hither_result *r = push(w, &(ht_window_rows){.texts = &texts}, scores);
            const int wanted[] = {0, 1, 1, -1, 1};
            assert_int_equal(hither_result_groups(r), 5);
            for (size_t i = 0; i < 5; i++) {
                bool said = wanted[i] >= 0 && (how != 1 || (again == 0 && i != 2 && i != 4));
                assert_int_equal(hither_result_count(r, i), said);
                if (said)
                    assert_int_equal(hither_result_ids(r, i).ints[0], wanted[i]);
                assert_int_equal(scores[i].record, 5 * again + (int)i);
            }
            hither_result_free(r);
        }
        ASSERT_OK(ht_window_queries_set(w, &(ht_window_queries){.count = 0}, &err));
        hither_result *none = push(w, &(ht_window_rows){.texts = &texts}, NULL);
        assert_true(hither_result_count(none, 4) == 0 && hither_result_groups(none) == 5);
        hither_result_free(none);
        ht_window_free(w);
    }
}

static void test_refused(void **state) {
    (void)state;
    hither_error err = {0};
    ht_window *w = new_window(true), *copy;
    const float radius = 0;
    static const float row[DIM] = {1};
    const hither_matrix m = {.data = row, .rows = 1, .dim = DIM, .stride = sizeof row};
    ht_window_queries q = {.vectors = &m, .radius = &radius, .count = 1, .first_only = true};
    assert_int_equal(ht_window_queries_set(w, &q, &err), HITHER_UNSUPPORTED);
    q.first_only = false;
    ASSERT_OK(ht_window_snapshot(w, &copy, &err));
    assert_int_equal(ht_window_queries_set(copy, &q, &err), HITHER_READONLY);
    ht_window_free(copy);
    ht_window_free(w);
}

/* What hither.h promises beside that. */
static void test_api(void **state) {
    (void)state;
    static const char text[] = "disk failure on sdadisk failureall is well";
    const uint64_t offsets[] = {0, 19, 31, 42}, query[] = {19, 31};
    const float radius[] = {0.4F, 0.4F}, rows[2][3] = {{1, 0, 0}, {0, 1, 0}};
    hither_error err = {0};
    hither_window *w;
    hither_result *r;
    ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = 10), &w, &err));
    hither_window_queries q = {.size = sizeof q, .texts = {text, query, 1, NULL}, .radius = radius};
    ASSERT_OK(hither_window_queries_set(w, &q, &err));
    const hither_window_rows lines = {.size = sizeof lines, .texts = {text, offsets, 3, NULL}};
    ASSERT_OK(hither_window_push_matched(w, &lines, NULL, &r, &err));
    assert_int_equal(hither_result_groups(r), 3);
    assert_true(hither_result_count(r, 0) == 1 && hither_result_count(r, 1) == 1 && hither_result_count(r, 2) == 0);
    assert_true(hither_result_distances(r, 1)[0] < 1e-6F && hither_result_distances(r, 0)[0] > 0.01F);
    hither_result_free(r);
    assert_int_equal(hither_window_queries_set(w, NULL, &err), HITHER_INVALID);
    assert_int_equal(hither_window_push_matched(w, &lines, NULL, NULL, &err), HITHER_INVALID);
    q.vectors = (hither_matrix){.data = rows, .rows = 2, .dim = 3, .dtype = HITHER_F32};
    assert_int_equal(hither_window_queries_set(w, &q, &err), HITHER_INVALID); /* texts and vectors */
    q.texts.count = 0;
    assert_int_equal(hither_window_queries_set(w, &q, &err), HITHER_DIMENSION);
    q.radius = (const float[]){0, NAN};
    assert_int_equal(hither_window_queries_set(w, &q, &err), HITHER_INVALID);
    assert_non_null(strstr(err.message, "query 1"));
    q.radius = NULL;
    assert_int_equal(hither_window_queries_set(w, &q, &err), HITHER_INVALID);
    q.vectors.rows = HT_STANDING_MOST + 1;
    assert_int_equal(hither_window_queries_set(w, &q, &err), HITHER_TOO_LARGE);
    q.first_only = 2;
    assert_int_equal(hither_window_queries_set(w, &q, &err), HITHER_INVALID);
    hither_window_close(w);
}

static void test_no_memory(void **state) {
    (void)state;
    static float rows[70][DIM];
    for (size_t i = 0; i < 70; i++)
        make_vector(rows[i]);
    const hither_matrix m = {.data = rows, .rows = 70, .dim = DIM, .stride = sizeof rows[0]};
    set *s = new_set(100);
    const hither_matrix queries = {.data = s->rows, .rows = s->count, .dim = DIM, .stride = sizeof s->rows[0]};
    const int64_t live = alloc_fault_live();
    bool done = false;
    for (unsigned n = 1; !done; n++) {
        hither_error err = {0};
        ht_window *w = new_window(n % 2);
        hither_result *r;
        ASSERT_OK(ht_result_new(0, 0, true, &r, &err));
        alloc_fault_arm(n, false);
        hither_status status = ht_window_queries_set(
            w, &(ht_window_queries){.vectors = &queries, .radius = s->radius, .count = s->count}, &err);
        if (status == HITHER_OK)
            status = ht_window_push_matched(w, &(ht_window_rows){.vectors = &m}, NULL, r, &err);
        if (status == HITHER_OK)
            status = ht_result_check(r, &err);
        done = !alloc_fault_hit();
        alloc_fault_arm(0, false);
        assert_true(status == HITHER_OK ? done : status == HITHER_NOMEM);
        hither_result_free(r);
        ht_window_free(w);
        assert_int_equal(alloc_fault_live(), live);
    }
    free(s);
}

/* ---- threads push, others replace the queries by equal ones */

typedef struct shared {
    ht_window *w;
    const set *s;
    int role;
} shared;

static void *work(void *arg) {
    const shared *a = arg;
    ht_fp_state fp = ht_fp_enter();
    float rows[20][DIM];
    for (int i = 0; i < 40; i++) {
        if (a->role == 0) {
            use(a->w, a->s, false);
            continue;
        }
        for (unsigned j = 0; j < 20; j++)
            memcpy(rows[j], a->s->rows[(j * 31 + (unsigned)i * 7) % a->s->count], sizeof rows[j]);
        const hither_matrix m = {.data = rows, .rows = 20, .dim = DIM, .stride = sizeof rows[0]};
        hither_result *r = push(a->w, &(ht_window_rows){.vectors = &m}, NULL);
        for (size_t j = 0; j < 20; j++)
            check_group(r, j, a->s, rows[j]);
        hither_result_free(r);
    }
    ht_fp_leave(fp);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    set *s = new_set(150);
    for (int open = 0; open < 2; open++) {
        ht_window *w = new_window(open);
        use(w, s, false);
        pthread_t threads[4];
        shared each[4];
        for (int i = 0; i < 4; i++) {
            each[i] = (shared){w, s, i};
            assert_int_equal(pthread_create(&threads[i], NULL, work, &each[i]), 0);
        }
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        ht_window_free(w);
    }
    free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),   cmocka_unit_test(test_texts), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_api),   cmocka_unit_test(test_threads),
    };
    alloc_fault_install();
    ht_fp_state fp = ht_fp_enter();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ht_fp_leave(fp);
    return failed;
}
