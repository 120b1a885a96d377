/*
 * test_keyword_api.c: keyword and hybrid searches through hither.h: what arguments go together, and searches in threads
 * beside a writer: each finds exactly the rows that are there. Run under the thread sanitizer too.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "hither.h"

static hither_error err;

typedef struct fixture {
    hither_db *db;
    hither_collection *c;
} fixture;

static hither_strings one_text(const char *text, uint64_t offsets[2]) {
    offsets[0] = 0;
    offsets[1] = strlen(text);
    return (hither_strings){text, offsets, 1, NULL};
}

static hither_status put(hither_collection *c, int64_t id, float x, const char *text, hither_error *e) {
    uint64_t offsets[2];
    hither_batch batch = {.size = sizeof batch,
                          .ids = {.ints = &id, .count = 1},
                          .vectors = {.data = &x, .rows = 1, .dim = 1, .dtype = HITHER_F32},
                          .documents = one_text(text, offsets)};
    return hither_collection_put(c, HITHER_UPSERT, &batch, NULL, e);
}

static int setup(void **state) {
    static fixture f;
    ASSERT_OK(hither_db_open(":memory:", NULL, &f.db, &err));
    ASSERT_OK(hither_collection_open(
        f.db, "c", HITHER_OPTIONS(hither_collection_options, .dim = 1, .metric = HITHER_L2), &f.c, &err));
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    hither_collection_close(f->c);
    hither_db_close(f->db);
    return 0;
}

static hither_status search(hither_collection *c, const char *words, const float *vector, uint32_t k,
                            const hither_search_options *options, hither_result **out, hither_error *e) {
    uint64_t offsets[2];
    hither_query query = {.size = sizeof query, .keywords = one_text(words, offsets)};
    if (vector)
        query.vectors = (hither_matrix){.data = vector, .rows = 1, .dim = 1, .dtype = HITHER_F32};
    return hither_collection_search(c, &query, k, options, out, e);
}

static void test_scores(void **state) {
    fixture *f = *state;
    hither_result *r;
    float zero = 0;
    ASSERT_OK(put(f->c, 1, 1, "a hawk", &err));
    ASSERT_OK(put(f->c, 2, 2, "an owl", &err));
    ASSERT_OK(put(f->c, 3, 3, "an owl and a hawk", &err));
    ASSERT_OK(search(f->c, "owl", NULL, 10, NULL, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 2);
    assert_true(hither_result_scores(r, 0)[0] > hither_result_scores(r, 0)[1]);
    assert_true(isnan(hither_result_distances(r, 0)[0]));
    hither_result_free(r);
    ASSERT_OK(search(f->c, "owl", &zero, 10, NULL, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 3);
    /* row 2 is second in one half and one of the first two in the other, row 1 first in one half alone */
    assert_true(hither_result_ids(r, 0).ints[0] != 1);
    for (size_t i = 0; i < 3; i++) {
        float x = (float)hither_result_ids(r, 0).ints[i];
        assert_true(hither_result_distances(r, 0)[i] == x * x);
    }
    hither_result_free(r);
}

static void test_arguments(void **state) {
    fixture *f = *state;
    hither_result *r;
    float zero = 0;
    uint64_t offsets[2];
    hither_query two = {.size = sizeof two,
                        .vectors = {.data = (float[]){0, 1}, .rows = 2, .dim = 1, .dtype = HITHER_F32},
                        .keywords = one_text("x", offsets)};
    ASSERT_FAILS(hither_collection_search(f->c, &two, 1, NULL, &r, &err), HITHER_INVALID);
    ASSERT_FAILS(search(f->c, "x", NULL, 1, HITHER_OPTIONS(hither_search_options, .fusion = HITHER_RRF), &r, &err),
                 HITHER_INVALID);
    ASSERT_FAILS(search(f->c, "x", &zero, 1, HITHER_OPTIONS(hither_search_options, .fusion = 7), &r, &err),
                 HITHER_INVALID);
    ASSERT_FAILS(search(f->c, "x", &zero, 1, HITHER_OPTIONS(hither_search_options, .vector_weight = 1), &r, &err),
                 HITHER_INVALID);
    ASSERT_FAILS(search(f->c, "x", &zero, 1, HITHER_OPTIONS(hither_search_options, .max_distance = &zero), &r, &err),
                 HITHER_INVALID);
    ASSERT_FAILS(search(f->c, "\xff", NULL, 1, NULL, &r, &err), HITHER_ENCODING);
    ASSERT_FAILS(hither_collection_search(f->c, &(hither_query){.size = sizeof(hither_query)}, 1, NULL, &r, &err),
                 HITHER_INVALID);
}

/* ---- threads */

enum { FIXED = 40, ROUNDS = 120 };

typedef struct looking {
    hither_collection *c;
    atomic_bool stop;
    atomic_int wrong;
} looking;

static void *look(void *arg) {
    looking *l = arg;
    float zero = 0;
    for (bool hybrid = false; !atomic_load(&l->stop); hybrid = !hybrid) {
        hither_error e;
        hither_result *r = NULL;
        if (search(l->c, "fixed", hybrid ? &zero : NULL, FIXED, NULL, &r, &e) != HITHER_OK ||
            hither_result_count(r, 0) != FIXED)
            atomic_fetch_add(&l->wrong, 1);
        hither_result_free(r);
    }
    return NULL;
}

static void test_beside_a_writer(void **state) {
    fixture *f = *state;
    looking l = {.c = f->c};
    pthread_t threads[3];
    for (int64_t i = 0; i < FIXED; i++)
        ASSERT_OK(put(f->c, 1000 + i, 0, "fixed", &err));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, &l), 0);
    for (int i = 0; i < ROUNDS; i++) {
        char text[40], query[40];
        hither_result *r;
        snprintf(text, sizeof text, "moving %d", i);
        snprintf(query, sizeof query, "+moving +%d", i);
        ASSERT_OK(put(f->c, 2000 + i % 7, 1, text, &err));
        ASSERT_OK(search(f->c, query, NULL, 5, NULL, &r, &err));
        assert_int_equal(hither_result_count(r, 0), 1);
        assert_int_equal(hither_result_ids(r, 0).ints[0], 2000 + i % 7);
        hither_result_free(r);
    }
    atomic_store(&l.stop, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&l.wrong), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beside_a_writer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
