/* test_topk.c: the heap against sorting everything, with many ties. */
#include "base/topk.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cmocka_all.h"

#define SEED 20240601u

static int compare(const void *a, const void *b) {
    return ht_hit_before(*(const ht_hit *)a, *(const ht_hit *)b)   ? -1
           : ht_hit_before(*(const ht_hit *)b, *(const ht_hit *)a) ? 1
                                                                   : 0;
}

static void equals_sorting(void **state) {
    (void)state;
    static ht_hit all[300], kept[300];
    for (size_t round = 0; round < 2000; round++) {
        size_t n = ht_mix64(SEED + 3 * round) % 300, k = ht_mix64(SEED + 3 * round + 1) % 40;
        if (round % 10 == 0)
            k = n;
        ht_topk top;
        ht_topk_init(&top, kept, k);
        for (size_t i = 0; i < n; i++) {
            uint64_t r = ht_mix64(SEED + round * 1000 + i);
            double distance = r % 50 == 0 ? (double)INFINITY : (double)(r % 13) - 6.0; /* few values: many ties */
            all[i] = (ht_hit){distance, r >> 40};
            ht_topk_push(&top, all[i]);
        }
        qsort(all, n, sizeof all[0], compare);
        double limit = k == 0 ? -(double)INFINITY : n < k ? (double)INFINITY : all[k - 1].distance;
        assert_true(ht_topk_limit(&top) == limit);
        ht_topk_sort(&top);
        assert_int_equal(top.count, n < k ? n : k);
        for (size_t i = 0; i < top.count; i++) {
            if (compare(&kept[i], &all[i]) != 0)
                fail_msg("seed %u round %zu: hit %zu differs", SEED, round, i);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_sorting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
