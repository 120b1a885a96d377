/*
 * test_api_near.c: the index of a collection through hither.h: asked for, found by, refused, taken away.
 */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "hither.h"
#include "rows.h"

enum { DIM = 24, ROWS = 2600 };

static hither_error err;

static int stop(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    (void)done;
    (void)total;
    return 1;
}

static hither_result *search(hither_collection *c, const float *query, double recall, uint32_t ef) {
    hither_result *r = NULL;
    hither_query q = {.size = sizeof q, .vectors = test_matrix(query, 1, DIM)};
    hither_search_options o = {.size = sizeof o, .recall = recall, .ef = ef};
    assert_int_equal(hither_collection_search(c, &q, 5, &o, &r, &err), HITHER_OK);
    return r;
}

static bool walked(const hither_result *r) { return strstr(hither_result_plan(r), "\"walk\"") != NULL; }

static void test_index(void **state) {
    (void)state;
    static float rows[ROWS][DIM];
    static int64_t ids[ROWS];
    hither_db *db;
    hither_collection *c;
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)i;
        for (size_t j = 0; j < DIM; j++)
            rows[i][j] = test_float(i, j);
    }
    assert_int_equal(hither_db_open(":memory:", NULL, &db, &err), HITHER_OK);
    assert_int_equal(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM), &c, &err),
                     HITHER_OK);
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, ROWS), .vectors = test_matrix(&rows[0][0], ROWS, DIM)};
    assert_int_equal(hither_collection_put(c, HITHER_INSERT, &b, NULL, &err), HITHER_OK);

    hither_index_options wrong = {.size = sizeof wrong, .dim = DIM};
    assert_int_equal(hither_collection_create_index(c, &wrong, NULL, &err), HITHER_INVALID);
    hither_index_options unknown = {.size = sizeof unknown, .kind = (hither_kind)77};
    assert_int_equal(hither_collection_create_index(c, &unknown, NULL, &err), HITHER_INVALID);
    hither_work_options stopped = {.size = sizeof stopped, .progress = stop};
    hither_index_options graph = {.size = sizeof graph, .kind = HITHER_HNSW, .m = 8, .ef_build = 40};
    assert_int_equal(hither_collection_create_index(c, &graph, &stopped, &err), HITHER_INTERRUPTED);
    assert_int_equal(hither_collection_create_index(c, &graph, NULL, &err), HITHER_OK);

    hither_result *walk = search(c, rows[7], 0, 60), *exact = search(c, rows[7], 1, 0);
    assert_true(walked(walk));
    assert_false(walked(exact));
    assert_int_equal(hither_result_ids(walk, 0).ints[0], 7);
    assert_int_equal(hither_result_count(walk, 0), 5);
    hither_result_free(walk);
    hither_result_free(exact);
    hither_query q = {.size = sizeof q, .vectors = test_matrix(rows[0], 1, DIM)};
    hither_search_options senseless = {.size = sizeof senseless, .recall = 1.5};
    assert_int_equal(hither_collection_search(c, &q, 5, &senseless, &walk, &err), HITHER_INVALID);

    hither_index_options none = {.size = sizeof none, .kind = HITHER_EXACT};
    assert_int_equal(hither_collection_create_index(c, &none, NULL, &err), HITHER_OK);
    exact = search(c, rows[7], 0, 60);
    assert_false(walked(exact));
    hither_result_free(exact);
    hither_collection_close(c);
    hither_db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_index)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
