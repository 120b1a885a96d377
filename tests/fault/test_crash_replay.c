/*
 * test_crash_replay.c: whatever a crash leaves on the disk, every acknowledged batch is there whole, the one under way
 * is there whole or not at all, a backup or a pack is there whole if it was acknowledged and is never there in part,
 * verify finds nothing, and the next write works, crash included.
 *
 * A scenario runs once over a recording table; then disks are built as crashes at drawn moments may leave them
 * (io_fault.h has the rules) and opened. HITHER_CRASH_STATES sets their number, HITHER_CRASH_SEED the first seed. The
 * controls leave one sync out and must be caught: a test that cannot fail proves nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cmocka_all.h"
#include "io_fault.h"
#include "trouble.h"

enum { ACTS = 60, STATES = 2000 };

static uint64_t from_environment(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- a recorded run */

typedef struct run {
    ht_io *ram; /* NULL on disk */
    io_fault *fault;
    char path[600];
    uint64_t seed;
    size_t acts;
    act list[ACTS];
    size_t begun[ACTS], done[ACTS]; /* steps recorded before the act, and when it was acknowledged */
    model after[ACTS];
} run;

static void record(run *r, uint64_t seed, bool large, const char *ignored) {
    hither_error err = {0};
    ht_db *db = NULL;
    model m = {0};
    char text[200];
    r->seed = seed;
    r->acts = ACTS;
    scenario_make(r->list, r->acts, seed, large, true);
    io_fault_ignore_syncs(r->fault, ignored);
    io_fault_record(r->fault);
    for (size_t i = 0; i < r->acts; i++) {
        r->begun[i] = io_fault_steps(r->fault);
        hither_status status = act_do(io_fault_io(r->fault), r->path, &db, &r->list[i], &err);
        r->done[i] = io_fault_steps(r->fault);
        act_describe(&r->list[i], text, sizeof text);
        if (status != HITHER_OK)
            fail_msg("seed %llu: %s: %s: %s", (unsigned long long)seed, text, hither_status_name(status), err.message);
        model_apply(&m, &r->list[i]);
        r->after[i] = m;
    }
    if (scenario_compare(db, &m, NULL, text, sizeof text) != 0)
        fail_msg("seed %llu: %s", (unsigned long long)seed, text);
    ht_db_close(db);
}

static run *new_run(void) {
    run *r = calloc(1, sizeof *r);
    assert_int_equal(ht_io_ram_new(&r->ram, NULL), HITHER_OK);
    r->fault = io_fault_new(r->ram);
    snprintf(r->path, sizeof r->path, "crash.hither");
    return r;
}

static void free_run(run *r) {
    io_fault_free(r->fault);
    ht_io_ram_free(r->ram);
    free(r);
}

/* ---- one crash */

/* The act that writes once more after a crash, to a collection of its own making if there is none. */
static hither_status write_more(const ht_io *io, const char *path, ht_db **db, model *m, hither_error *err) {
    act more = {.kind = ACT_UPSERT, .version = 1000001, .count = 3, .ids = {1, 50, 77}};
    if (m->collections[0].dim == 0) {
        act create = {.kind = ACT_CREATE, .dim = 5};
        HT_TRY(act_do(io, path, db, &create, err));
        model_apply(m, &create);
    }
    HT_TRY(act_do(io, path, db, &more, err));
    model_apply(m, &more);
    return HITHER_OK;
}

/* Opens a disk, compares, verifies, writes, compares. False, and why, if anything is not as it must be. *m becomes what
 * is there in the end. */
static bool check_disk(const ht_io *io, const char *path, model *m, const model *maybe, char *why, size_t room) {
    hither_error err = {0};
    ht_db *db = NULL;
    hither_status status = ht_db_open_io(io, path, 0, 0, &db, &err);
    int which = -1;
    bool fine = false;
    snprintf(why, room, "open: %s: %s", hither_status_name(status), err.message);
    if (status != HITHER_OK)
        return false;
    which = scenario_compare(db, m, maybe, why, room);
    if (which < 0)
        goto done;
    if (which == 1)
        *m = *maybe;
    status = ht_db_verify(db, NULL, NULL, &err);
    snprintf(why, room, "verify: %s: %s", hither_status_name(status), err.message);
    if (status != HITHER_OK)
        goto done;
    status = write_more(io, path, &db, m, &err);
    snprintf(why, room, "the next write: %s: %s", hither_status_name(status), err.message);
    if (status == HITHER_OK)
        fine = scenario_compare(db, m, NULL, why, room) == 0;
done:
    ht_db_close(db);
    return fine;
}

static bool copy_holds(const ht_io *io, const char *path, const model *m, bool sure, char *why, size_t room) {
    hither_error err = {0};
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes;
    ht_db *db = NULL;
    if (io->stat(io->ctx, path, &kind, &bytes, &err) != HITHER_OK || kind == HT_IO_ABSENT) {
        snprintf(why, room, "%.200s is not there", path);
        return !sure;
    }
    hither_status status = ht_db_open_io(io, path, HITHER_OPEN_EXISTING, 0, &db, &err);
    if (status == HITHER_OK)
        status = ht_db_verify(db, NULL, NULL, &err);
    snprintf(why, room, "%.200s: %s: %s", path, hither_status_name(status), err.message);
    bool fine = status == HITHER_OK && scenario_compare(db, m, NULL, why, room) == 0;
    ht_db_close(db);
    return fine;
}

/* A copy that was acknowledged is there; one that is there has all that the database had then. */
static bool copies_hold(const run *r, const ht_io *disk, size_t steps, char *why, size_t room) {
    char path[700];
    for (size_t i = 0; i < r->acts && r->begun[i] < steps; i++) {
        if (r->list[i].kind != ACT_BACKUP && r->list[i].kind != ACT_PACK)
            continue;
        act_copy_path(&r->list[i], r->path, path, sizeof path);
        if (!copy_holds(disk, path, &r->after[i], r->done[i] <= steps, why, room))
            return false;
    }
    return true;
}

/* The disk is checked, and with `again` the write that the check made is put to a crash of its own. */
static bool survives(const ht_io *disk, const char *path, model m, const model *maybe, bool again, uint64_t seed,
                     char *why, size_t room) {
    if (!again)
        return check_disk(disk, path, &m, maybe, why, room);
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes;
    io_fault *fault = io_fault_new(disk);
    bool fine = disk->stat(disk->ctx, path, &kind, &bytes, NULL) == HITHER_OK;
    if (kind == HT_IO_FOLDER)
        io_fault_record_over(fault, path);
    else
        io_fault_record(fault);
    fine = fine && check_disk(io_fault_io(fault), path, &m, maybe, why, room);
    if (fine) {
        char second[400];
        ht_io *later = io_fault_crash(fault, io_fault_steps(fault), seed);
        model changed = m;
        fine = check_disk(later, path, &changed, NULL, second, sizeof second);
        if (!fine)
            snprintf(why, room, "after a second crash: %s", second);
        ht_io_ram_free(later);
    }
    io_fault_free(fault);
    return fine;
}

/* One crash of a run; false, and why, if something acknowledged is lost or something else is wrong. */
static bool crash(const run *r, uint64_t seed, char *why, size_t room) {
    static const model nothing;
    uint64_t random = ht_mix64(seed);
    size_t steps = random % (io_fault_steps(r->fault) + 1), acknowledged = 0;
    if (random / 7 % 3 == 0) /* a third of them right after an acknowledgement, where promises are fresh */
        steps = r->done[random / 64 % r->acts];
    while (acknowledged < r->acts && r->done[acknowledged] <= steps)
        acknowledged++;
    const model *sure = acknowledged ? &r->after[acknowledged - 1] : &nothing;
    const model *maybe = acknowledged < r->acts && r->begun[acknowledged] < steps ? &r->after[acknowledged] : NULL;
    ht_io *disk = io_fault_crash(r->fault, steps, seed);
    char problem[500], step[700];
    bool fine = copies_hold(r, disk, steps, problem, sizeof problem) &&
                survives(disk, r->path, *sure, maybe, seed % 16 == 5, seed, problem, sizeof problem);
    ht_io_ram_free(disk);
    if (!fine) {
        io_fault_describe(r->fault, steps, step, sizeof step);
        snprintf(why, room, "run %llu, crash %llu, behind step %zu of %zu (before: %s), %zu acts acknowledged: %s",
                 (unsigned long long)r->seed, (unsigned long long)seed, steps, io_fault_steps(r->fault), step,
                 acknowledged, problem);
    }
    return fine;
}

static void crash_often(const run *r, uint64_t first, uint64_t states) {
    char why[2000];
    for (uint64_t i = 0; i < states; i++) {
        if (!crash(r, first + i, why, sizeof why))
            fail_msg("%s", why);
    }
}

/* ---- the tests */

static uint64_t states(void) { return from_environment("HITHER_CRASH_STATES", STATES); }
static uint64_t first_seed(void) { return from_environment("HITHER_CRASH_SEED", 1); }

static void nothing_acknowledged_is_lost(void **state) {
    (void)state;
    uint64_t runs = 4, seed = first_seed();
    print_message("%llu crashes, seed %llu\n", (unsigned long long)states(), (unsigned long long)seed);
    for (uint64_t i = 0; i < runs; i++) {
        run *r = new_run();
        record(r, seed + i, i % 2, NULL);
        crash_often(r, seed + 1000000 * (i + 1), states() / 5);
        free_run(r);
    }
}

/* The same through SQLite's own VFS, whose operations reach the trace by being observed. */
static void nothing_is_lost_on_a_disk_either(void **state) {
    (void)state;
    run *r = calloc(1, sizeof *r);
    char folder[64] = "hither-crash-XXXXXX", command[100], full[400];
    assert_non_null(mkdtemp(folder));
    assert_non_null(realpath(folder, full));
    r->fault = io_fault_new(ht_io_posix());
    snprintf(r->path, sizeof r->path, "%s/disk.hither", full);
    record(r, first_seed() + 77, true, NULL);
    crash_often(r, first_seed() + 9000000, states() / 5);
    free_run(r);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* Each sync that the store makes is needed: without it some crash loses something. */
static void a_missing_sync_is_caught(void **state) {
    (void)state;
    static const char *const ignored[] = {"seg/", "tmp/", "hither/seg", "catalog-wal", "catalog", ".partial-"};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        char why[2000] = "";
        bool caught = false;
        for (uint64_t k = 0; k < 5 && !caught; k++) { /* not every run writes to files it has opened by that name */
            run *r = new_run();
            record(r, first_seed() + i + 10 * k, true, ignored[i]);
            for (uint64_t seed = 0; seed < 300 && !caught; seed++)
                caught = !crash(r, first_seed() + seed, why, sizeof why);
            free_run(r);
        }
        if (!caught)
            fail_msg("without the syncs of \"%s\" no crash lost anything: the test cannot tell", ignored[i]);
    }
}

/* After a sync that failed, the kernel's pages look clean and are not on the disk. Whatever is acknowledged later must
 * not stand on them: neither by the same handle, if it goes on, nor after it was opened again. */
enum { FEW = 14 };

typedef struct failed_sync {
    run *r;
    uint64_t nth;
} failed_sync;

static void stop(const char *text, void *ctx) {
    const failed_sync *f = ctx;
    fail_msg("sync %llu failed once (%s): %s", (unsigned long long)f->nth, io_fault_what(f->r->fault), text);
}

static bool allowed(hither_status status) { return status == HITHER_IO || status == HITHER_POISONED; }

/* Whether there is an nth sync. */
static bool fail_one_sync(const act *list, uint64_t nth) {
    failed_sync f = {.r = new_run(), .nth = nth};
    trouble t = {.io = io_fault_io(f.r->fault), .path = f.r->path, .allowed = allowed, .report = stop, .ctx = &f};
    char why[700];
    io_fault_record(f.r->fault);
    io_fault_arm_sync(f.r->fault, nth, false);
    for (size_t i = 0; i < FEW; i++)
        trouble_overcome(&t, &list[i]);
    bool hit = io_fault_hit(f.r->fault);
    size_t steps = io_fault_steps(f.r->fault);
    for (uint64_t seed = 0; seed < 8; seed++) {
        ht_io *disk = io_fault_crash(f.r->fault, steps, seed);
        if (!survives(disk, f.r->path, t.sure, NULL, false, seed, why, sizeof why))
            fail_msg("sync %llu failed once (%s), then crash %llu: %s", (unsigned long long)nth,
                     io_fault_what(f.r->fault), (unsigned long long)seed, why);
        ht_io_ram_free(disk);
    }
    ht_db_close(t.db);
    free_run(f.r);
    return hit;
}

static void a_failed_sync_is_never_trusted(void **state) {
    (void)state;
    act list[FEW];
    uint64_t nth = 1;
    scenario_make(list, FEW, first_seed() + 5, true, false);
    while (fail_one_sync(list, nth))
        nth++;
    assert_true(nth > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost),
        cmocka_unit_test(nothing_is_lost_on_a_disk_either),
        cmocka_unit_test(a_missing_sync_is_caught),
        cmocka_unit_test(a_failed_sync_is_never_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
