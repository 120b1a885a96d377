/*
 * test_search_on.c: a search that goes on, against one search for everything: the same order where it is exact, each
 * row once whatever finds it, only rows that match and are near enough, and nothing of what is written meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "hither.h"
#include "rows.h"

enum { DIM = 16, ROWS = 2500 };

static hither_error err;

static void put(hither_collection *c, int64_t first, size_t count) {
    int64_t *ids = malloc(count * sizeof *ids);
    float *rows = malloc(count * DIM * sizeof *rows);
    char *bytes = malloc(count * 16);
    uint64_t *offsets = malloc((count + 1) * sizeof *offsets);
    offsets[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t id = (uint64_t)first + i;
        ids[i] = first + (int64_t)i;
        for (size_t j = 0; j < DIM; j++) /* every tenth row is like the one before it */
            rows[i * DIM + j] = 2 * test_float(id / 10 % 30, j) + test_float(id % 10 == 9 ? id - 1 : id, 1000 + j);
        offsets[i + 1] = offsets[i] + (uint64_t)sprintf(bytes + offsets[i], "{\"n\":%d}", (int)(id % 4));
    }
    const hither_batch b = {.size = sizeof b,
                            .ids = test_int_ids(ids, count),
                            .vectors = test_matrix(rows, count, DIM),
                            .metadata = {bytes, offsets, count, NULL}};
    ASSERT_OK(hither_collection_put(c, HITHER_INSERT, &b, NULL, &err));
    free(offsets);
    free(bytes);
    free(rows);
    free(ids);
}

static float query[DIM];

static hither_cursor *begin(hither_collection *c, const hither_search_options *options) {
    hither_cursor *cursor;
    ASSERT_OK(hither_collection_search_on(c, HITHER_OPTIONS(hither_query, .vectors = test_matrix(query, 1, DIM)),
                                          options, &cursor, &err));
    return cursor;
}

/* All that comes, in steps of rising size; returns how many. */
static size_t drain(hither_cursor *cursor, int64_t *ids, float *distances) {
    size_t count = 0, got = 1;
    for (size_t limit = 1; got; limit = limit * 2 + 1) {
        hither_result *r;
        ASSERT_OK(hither_cursor_next(cursor, limit, &r, &err));
        got = hither_result_count(r, 0);
        assert_true(got <= limit && count + got <= ROWS);
        if (got) {
            memcpy(ids + count, hither_result_ids(r, 0).ints, got * sizeof *ids);
            memcpy(distances + count, hither_result_distances(r, 0), got * sizeof *distances);
        }
        count += got;
        hither_result_free(r);
    }
    hither_cursor_close(cursor);
    return count;
}

static hither_result *everything(hither_collection *c, const char *where, const float *most) {
    hither_result *r;
    ASSERT_OK(hither_collection_search(
        c, HITHER_OPTIONS(hither_query, .vectors = test_matrix(query, 1, DIM)), ROWS,
        HITHER_OPTIONS(hither_search_options, .where = where, .max_distance = most, .recall = 1), &r, &err));
    return r;
}

static int64_t ids[ROWS];
static float distances[ROWS];

static void in_the_order_of_one_search(hither_collection *c, const char *where, const float *most) {
    hither_result *all = everything(c, where, most);
    const size_t count =
        drain(begin(c, HITHER_OPTIONS(hither_search_options, .where = where, .max_distance = most, .recall = 1)), ids,
              distances);
    assert_int_equal(count, hither_result_count(all, 0));
    assert_true(count > 0);
    assert_memory_equal(ids, hither_result_ids(all, 0).ints, count * sizeof *ids);
    assert_memory_equal(distances, hither_result_distances(all, 0), count * sizeof *distances);
    hither_result_free(all);
}

static void each_row_once(hither_collection *c, const char *where, size_t expected) {
    static bool seen[ROWS];
    const size_t count =
        drain(begin(c, HITHER_OPTIONS(hither_search_options, .where = where, .recall = 0.9)), ids, distances);
    assert_int_equal(count, expected);
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < count; i++) {
        assert_false(seen[ids[i]]);
        seen[ids[i]] = true;
    }
}

static void goes_on_to_the_last_row(void **state) {
    (void)state;
    static const hither_kind kinds[] = {HITHER_EXACT, HITHER_HNSW, HITHER_IVF};
    hither_db *db;
    hither_collection *c;
    const float most = 12;
    for (size_t j = 0; j < DIM; j++)
        query[j] = 2 * test_float(7, j) + 0.1F;
    ASSERT_OK(hither_db_open(":memory:", NULL, &db, &err));
    ASSERT_OK(hither_collection_open(
        db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM, .metric = HITHER_L2), &c, &err));
    put(c, 0, ROWS);
    for (size_t i = 0; i < 3; i++) {
        ASSERT_OK(
            hither_collection_create_index(c, HITHER_OPTIONS(hither_index_options, .kind = kinds[i]), NULL, &err));
        in_the_order_of_one_search(c, NULL, NULL);
        in_the_order_of_one_search(c, "{\"n\":{\"$gt\":1}}", NULL);
        in_the_order_of_one_search(c, NULL, &most);
        each_row_once(c, NULL, ROWS);
        each_row_once(c, "{\"n\":2}", ROWS / 4);
    }
    hither_cursor *before = begin(c, NULL);
    int64_t gone = ids[0];
    const hither_ids one = test_int_ids(&gone, 1);
    ASSERT_OK(hither_collection_delete(c, &one, NULL, NULL, &err));
    assert_int_equal(drain(before, ids, distances), ROWS); /* as it was when the search began */
    assert_int_equal(drain(begin(c, NULL), ids, distances), ROWS - 1);
    hither_collection_close(c);
    hither_db_close(db);
}

static void what_makes_no_sense(void **state) {
    (void)state;
    hither_db *db;
    hither_collection *c;
    hither_cursor *cursor = NULL;
    ASSERT_OK(hither_db_open(":memory:", NULL, &db, &err));
    ASSERT_OK(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM), &c, &err));
    const hither_query q = {.size = sizeof q, .vectors = test_matrix(query, 1, DIM)};
    const hither_query narrow = {.size = sizeof q, .vectors = test_matrix(query, 1, DIM - 1)};
    const hither_query none = {.size = sizeof q};
    assert_int_equal(hither_collection_search_on(c, &narrow, NULL, &cursor, &err), HITHER_DIMENSION);
    assert_int_equal(hither_collection_search_on(c, &none, NULL, &cursor, &err), HITHER_INVALID);
    assert_int_equal(hither_collection_search_on(NULL, &q, NULL, &cursor, &err), HITHER_INVALID);
    assert_int_equal(hither_collection_search_on(c, &q, NULL, NULL, &err), HITHER_INVALID);
    assert_int_equal(
        hither_collection_search_on(c, &q, HITHER_OPTIONS(hither_search_options, .diversity = 0.5), &cursor, &err),
        HITHER_INVALID);
    assert_int_equal(
        hither_collection_search_on(c, &q, HITHER_OPTIONS(hither_search_options, .recall = 2), &cursor, &err),
        HITHER_INVALID);
    assert_null(cursor);
    ASSERT_OK(hither_collection_search_on(c, &q, NULL, &cursor, &err));
    assert_int_equal(drain(cursor, ids, distances), 0);
    hither_collection_close(c);
    hither_db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_to_the_last_row),
        cmocka_unit_test(what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
