/*
 * test_io_errors.c: every operation on files in a scenario fails once, and from then on, in each way. Every answer is a
 * defined error, nothing acknowledged is lost, nothing that failed is half there, and when the trouble is over the
 * database works.
 *
 * HITHER_FAULT_STEP tries only every so many operations; by default each fails once, and every fifth in the other ways.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "io_fault.h"
#include "trouble.h"

enum { ACTS = 16, SEED = 4 };

typedef struct setting {
    io_fault *fault;
    uint64_t nth;
    fault_kind kind;
    bool for_good;
} setting;

static void stop(const char *text, void *ctx) {
    const setting *s = ctx;
    fail_msg("operation %llu (%s), kind %d%s: %s", (unsigned long long)s->nth, io_fault_what(s->fault), (int)s->kind,
             s->for_good ? ", for good" : "", text);
}

static bool plain(hither_status status) { return status == HITHER_IO || status == HITHER_POISONED; }
static bool or_full(hither_status status) { return plain(status) || status == HITHER_FULL; }

/* Runs the scenario with the nth operation failing; whether there were that many. */
static bool run(const act *list, uint64_t nth, fault_kind kind, bool for_good) {
    ht_io *ram = NULL;
    assert_int_equal(ht_io_ram_new(&ram, NULL), HITHER_OK);
    setting s = {io_fault_new(ram), nth, kind, for_good};
    trouble t = {.io = io_fault_io(s.fault),
                 .path = "trouble.hither",
                 .allowed = kind == FAULT_IO ? plain : or_full,
                 .report = stop,
                 .ctx = &s};
    io_fault_arm(s.fault, nth, kind, for_good);
    for (size_t i = 0; i < ACTS; i++) {
        if (!for_good)
            trouble_overcome(&t, &list[i]);
        else if (!trouble_try(&t, &list[i]))
            break;
    }
    bool hit = io_fault_hit(s.fault);
    if (for_good) { /* closing happens with the disk still gone */
        ht_db_close(t.db);
        t.db = NULL;
    }
    io_fault_arm(s.fault, 0, kind, false);
    trouble_settle(&t);
    io_fault_free(s.fault);
    ht_io_ram_free(ram);
    return hit;
}

static void sweep(fault_kind kind, bool for_good) {
    const char *text = getenv("HITHER_FAULT_STEP");
    uint64_t otherwise = kind == FAULT_IO && !for_good ? 1 : 5, step = text ? strtoull(text, NULL, 10) : otherwise;
    act list[ACTS];
    scenario_make(list, ACTS, SEED, true, false);
    uint64_t n = 1;
    while (run(list, n, kind, for_good))
        n += step ? step : 1;
    assert_true(n > 100);
}

static void errors_once(void **state) {
    (void)state;
    sweep(FAULT_IO, false);
}
static void errors_for_good(void **state) {
    (void)state;
    sweep(FAULT_IO, true);
}
static void full_once(void **state) {
    (void)state;
    sweep(FAULT_FULL, false);
}
static void full_for_good(void **state) {
    (void)state;
    sweep(FAULT_FULL, true);
}
static void short_writes_once(void **state) {
    (void)state;
    sweep(FAULT_SHORT_WRITE, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_once),   cmocka_unit_test(errors_for_good),   cmocka_unit_test(full_once),
        cmocka_unit_test(full_for_good), cmocka_unit_test(short_writes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
