/*
 * test_search_memory.c: an index in its steady state searches without asking for memory: every request is counted.
 */
#include <stdio.h>

#include "alloc_fault.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "cmocka_all.h"
#include "hither.h"

enum { ROWS = 3000, DIM = 40, QUERIES = 20, K = 10 };

static float values[(ROWS + QUERIES) * DIM];

static void steady_state(void **state) {
    (void)state;
    hither_error err;
    hither_index *index;
    int64_t labels[QUERIES * K];
    float distances[QUERIES * K];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (float)(int64_t)ht_mix64(i) * 0x1p-63f;
    hither_matrix rows = {values, ROWS, DIM, DIM * sizeof(float), HITHER_F32};
    hither_matrix many = {values + ROWS * DIM, QUERIES, DIM, DIM * sizeof(float), HITHER_F32};
    hither_matrix one = {values + ROWS * DIM, 1, DIM, DIM * sizeof(float), HITHER_F32};
    hither_index_options options = {.size = sizeof options, .dim = DIM};
    ASSERT_OK(hither_index_new(&options, &index, &err));
    ASSERT_OK(hither_index_add(index, &rows, NULL, NULL, &err));
    ASSERT_OK(hither_index_search(index, &many, K, NULL, labels, distances, &err));
    alloc_fault_arm(0, false);
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(hither_index_search(index, &one, K, NULL, labels, distances, &err));
        ASSERT_OK(hither_index_search(index, &many, K, NULL, labels, distances, &err));
    }
    assert_int_equal(alloc_fault_requests(), 0);
    hither_index_close(index);
    assert_int_equal(alloc_fault_live(), 0);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(steady_state)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
