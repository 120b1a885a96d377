/*
 * test_oom.c: every request for memory in a scenario fails once, and from then on: the library's own, jansson's and
 * SQLite's. Every answer is NOMEM (or success, where SQLite can do without), nothing leaks, nothing that failed is half
 * there, and with memory again the database works.
 *
 * HITHER_FAULT_STEP tries only every so many requests; default 17, 1 tries all.
 */
#include <stdio.h>
#include <stdlib.h>

#include "alloc_fault.h"
#include "cmocka_all.h"
#include "trouble.h"

enum { ACTS = 11, SEED = 9, STEP = 17 };

typedef struct setting {
    uint64_t nth;
    bool for_good;
} setting;

static void stop(const char *text, void *ctx) {
    const setting *s = ctx;
    alloc_fault_arm(0, false);
    fail_msg("request %llu%s: %s", (unsigned long long)s->nth, s->for_good ? ", for good" : "", text);
}

static bool allowed(hither_status status) { return status == HITHER_NOMEM || status == HITHER_POISONED; }

static bool run(const act *list, uint64_t nth, bool for_good) {
    ht_io *ram = NULL;
    setting s = {nth, for_good};
    int64_t before = alloc_fault_live();
    assert_int_equal(ht_io_ram_new(&ram, NULL), HITHER_OK);
    trouble t = {.io = ram, .path = "oom.hither", .allowed = allowed, .report = stop, .ctx = &s};
    alloc_fault_arm(nth, for_good);
    for (size_t i = 0; i < ACTS; i++) {
        if (!for_good)
            trouble_overcome(&t, &list[i]);
        else if (!trouble_try(&t, &list[i]))
            break;
    }
    bool hit = alloc_fault_hit();
    if (for_good) { /* closing must do without memory */
        ht_db_close(t.db);
        t.db = NULL;
    }
    alloc_fault_arm(0, false);
    trouble_settle(&t);
    ht_io_ram_free(ram);
    if (alloc_fault_live() != before)
        fail_msg("request %llu%s: %lld blocks were not given back", (unsigned long long)nth,
                 for_good ? ", for good" : "", (long long)(alloc_fault_live() - before));
    return hit;
}

static void sweep(bool for_good) {
    const char *text = getenv("HITHER_FAULT_STEP");
    uint64_t step = text ? strtoull(text, NULL, 10) : STEP;
    act list[ACTS];
    scenario_make(list, ACTS, SEED, false, false);
    run(list, 0, false); /* what is kept for good, by SQLite for one, is asked for here */
    uint64_t n = 1;
    while (run(list, n, for_good))
        n += step ? step : 1;
    assert_true(n > 200);
}

static void requests_fail_once(void **state) {
    (void)state;
    sweep(false);
}
static void requests_fail_for_good(void **state) {
    (void)state;
    sweep(true);
}

int main(void) {
    alloc_fault_install();
    alloc_fault_install_jansson();
    alloc_fault_install_sqlite();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_fail_once),
        cmocka_unit_test(requests_fail_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
