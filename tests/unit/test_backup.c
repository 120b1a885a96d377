/*
 * test_backup.c: a backup is a sound database that holds one commit of the source, whoever writes meanwhile and
 * whatever goes wrong; and what goes wrong leaves the source as it was and no half of a copy under the name asked for.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "hither.h"
#include "io_fault.h"
#include "store/backup.h"
#include "store_world.h"

enum { DIM = 14, ROWS = 60, SECOND_SEGMENT = (1 << 20) / 64 }; /* rows of 64 bytes: the first segment has 1 MiB */

/* The same world seen at another folder of it. */
static store_world beside(const store_world *world, const char *name) {
    store_world other = *world;
    snprintf(other.path, sizeof other.path, "%s/%s", world->root, name);
    return other;
}

static bool is_there(const store_world *world) {
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes;
    assert_int_equal(world->io->stat(world->io->ctx, world->path, &kind, &bytes, NULL), HITHER_OK);
    return kind != HT_IO_ABSENT;
}

static void expect_sound(ht_store *store) {
    char text[512] = "";
    if (world_verify(store, text) != 0)
        fail_msg("%s: %s", ht_store_path(store), text);
}

typedef struct partials {
    size_t count;
    char name[128]; /* of the last one */
} partials;

static hither_status note_partial(void *arg, const char *name, ht_io_kind kind) {
    partials *p = arg;
    (void)kind;
    if (strstr(name, ".partial-")) {
        p->count++;
        snprintf(p->name, sizeof p->name, "%s", name);
    }
    return HITHER_OK;
}

static partials find_partials(const store_world *world) {
    partials p = {0};
    assert_int_equal(world->io->list(world->io->ctx, world->root, note_partial, &p, NULL), HITHER_OK);
    return p;
}

/* ---- a copy */

static void copy_in(bool on_disk) {
    store_world world;
    hither_error err;
    world_make(&world, on_disk);
    store_world copy = beside(&world, "copy");
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", DIM), b = world_create(store, "b", 3);
    world_create(store, "empty", 2);
    ASSERT_OK(world_put(store, &a, 0, SECOND_SEGMENT + ROWS, &err)); /* two segments */
    ASSERT_OK(world_put(store, &a, 10, 5, &err));                    /* replaced */
    ASSERT_OK(world_kill(store, &a, 7, &err));
    ASSERT_OK(world_put(store, &b, 0, ROWS, &err));

    ASSERT_OK(ht_store_backup(store, NULL, copy.path, NULL, &err));
    ASSERT_FAILS(ht_store_backup(store, NULL, copy.path, NULL, &err), HITHER_EXISTS);
    assert_int_equal(find_partials(&world).count, 0);
    ASSERT_OK(world_put(store, &a, ROWS * 1000, 3, &err)); /* the source goes on */
    expect_sound(store);

    for (int readonly = 1; readonly >= 0; readonly--) {
        ht_store *opened = world_open(&copy, readonly ? HT_STORE_READONLY : 0);
        ht_collection_row row;
        expect_sound(opened);
        world_expect(opened, a.cid, 8, SECOND_SEGMENT + ROWS - 8);
        world_expect(opened, b.cid, 0, ROWS);
        ASSERT_OK(ht_store_collection(opened, "a", 0, &row, &err));
        assert_int_equal(row.live_count, SECOND_SEGMENT + ROWS - 1);
        ASSERT_OK(ht_store_collection(opened, "empty", 0, &row, &err));
        ht_store_close(opened);
    }
    /* The copy takes writes of its own, and they do not reach the source. */
    ht_store *opened = world_open(&copy, 0);
    ht_collection_row row;
    ASSERT_OK(ht_store_collection(opened, "b", 0, &row, &err));
    ASSERT_OK(world_put(opened, &row, 0, 2 * ROWS, &err));
    world_expect(opened, row.cid, 0, 2 * ROWS);
    expect_sound(opened);
    ht_store_close(opened);
    world_expect(store, b.cid, 0, ROWS);
    expect_sound(store);
    ht_store_close(store);
    world_free(&world);
}

static void test_copy_on_disk(void **state) {
    (void)state;
    copy_in(true);
}
static void test_copy_in_ram(void **state) {
    (void)state;
    copy_in(false);
}

/* ---- space that is shared */

static struct stat stat_of(const store_world *world, const char *name) {
    struct stat st;
    char path[300];
    snprintf(path, sizeof path, "%s/%s", world->path, name);
    if (stat(path, &st) != 0)
        fail_msg("there is no %s", path);
    return st;
}

/* A full segment is not copied, the one that grows is; and whatever either database does then, the other stays. Where
 * the file system has reflinks the two have different numbers, and share their blocks; that is not looked at. */
static void test_full_segments_are_shared(void **state) {
    (void)state;
    enum { WIDE = 4096 }; /* 64 rows fill the first segment */
    store_world world;
    hither_error err;
    world_make(&world, true);
    store_world copy = beside(&world, "copy");
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", WIDE), row;
    ASSERT_OK(world_put(store, &a, 0, 64 + 3, &err));
    ASSERT_OK(ht_store_backup(store, NULL, copy.path, NULL, &err));
    struct stat full = stat_of(&copy, "seg/1-1.vec"), grows = stat_of(&copy, "seg/1-2.vec");
    assert_true(full.st_nlink == 2 ? full.st_ino == stat_of(&world, "seg/1-1.vec").st_ino : full.st_nlink == 1);
    assert_true(grows.st_nlink == 1 && grows.st_ino != stat_of(&world, "seg/1-2.vec").st_ino);
    ASSERT_OK(world_put(store, &a, 20, 10, &err));
    ht_store_close(store);
    store = world_open(&copy, 0);
    ASSERT_OK(ht_store_collection(store, "a", 0, &row, &err));
    ASSERT_OK(world_put(store, &row, 40, 40, &err));
    expect_sound(store);
    world_expect(store, a.cid, 0, 80);
    ht_store_close(store);
    /* Purged of what it has replaced, which is in a segment that both have. */
    hither_db *db;
    ASSERT_OK(hither_db_open(world.path, NULL, &db, &err));
    ASSERT_OK(hither_db_purge(db, NULL, &err));
    ASSERT_OK(hither_db_verify(db, NULL, &err));
    hither_db_close(db);
    store = world_open(&copy, 0);
    expect_sound(store);
    world_expect(store, a.cid, 0, 80);
    ht_store_close(store);
    world_free(&world);
}

/* Sharing that fails, or cannot be, is copying. */
static hither_status cannot_share(ht_file *from, const char *path, int sealed, hither_error *err) {
    (void)from;
    (void)path;
    (void)sealed;
    return err ? HITHER_UNSUPPORTED : HITHER_IO;
}

static void test_nothing_to_share(void **state) {
    (void)state;
    for (int missing = 0; missing < 2; missing++) {
        store_world world;
        hither_error err;
        world_make(&world, true);
        ht_io io = *ht_io_posix();
        io.share = missing ? NULL : cannot_share;
        world.io = &io;
        store_world copy = beside(&world, "copy");
        ht_store *store = world_open(&world, 0);
        ht_collection_row a = world_create(store, "a", 4096);
        ASSERT_OK(world_put(store, &a, 0, 64 + 3, &err));
        ASSERT_OK(ht_store_backup(store, NULL, copy.path, NULL, &err));
        assert_int_equal(stat_of(&copy, "seg/1-1.vec").st_nlink, 1);
        ht_store_close(store);
        store = world_open(&copy, 0);
        expect_sound(store);
        world_expect(store, a.cid, 0, 67);
        ht_store_close(store);
        world.io = ht_io_posix();
        world_free(&world);
    }
}

/* Restoring is backing up what was opened read-only. */
static void test_copy_of_copy(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    world_make(&world, true);
    store_world copy = beside(&world, "copy"), again = beside(&world, "again/");
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", DIM);
    ASSERT_OK(world_put(store, &a, 0, ROWS, &err));
    ASSERT_OK(ht_store_backup(store, NULL, copy.path, NULL, &err));
    ht_store_close(store);
    store = world_open(&copy, HT_STORE_READONLY);
    ASSERT_OK(ht_store_backup(store, NULL, again.path, NULL, &err));
    ht_store_close(store);
    store = world_open(&again, 0);
    world_expect(store, a.cid, 0, ROWS);
    expect_sound(store);
    ht_store_close(store);
    world_free(&world);
}

/* What lies in memory only is copied to the disk. */
static void test_memory_to_disk(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    hither_db *db;
    hither_collection *c;
    world_make(&world, true);
    store_world copy = beside(&world, "copy");
    const hither_db_options existing = {.size = sizeof existing, .flags = HITHER_OPEN_EXISTING};
    ASSERT_OK(hither_db_open(":memory:", NULL, &db, &err));
    ASSERT_OK(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = 2), &c, &err));
    ASSERT_OK(hither_db_backup(db, copy.path, &err));
    ASSERT_FAILS(hither_db_backup(db, ":memory:", &err), HITHER_INVALID);
    ASSERT_FAILS(hither_db_backup(db, "", &err), HITHER_INVALID);
    hither_collection_close(c);
    hither_db_close(db);
    ASSERT_OK(hither_db_open(copy.path, &existing, &db, &err));
    ASSERT_OK(hither_db_verify(db, NULL, &err));
    hither_db_close(db);
    world_free(&world);
}

static void test_refused_places(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    world_make(&world, true);
    ht_store *store = world_open(&world, 0);
    store_world inside = beside(&world, "t.hither/copy"), nowhere = beside(&world, "no/copy"), sibling;
    ASSERT_FAILS(ht_store_backup(store, NULL, world.path, NULL, &err), HITHER_EXISTS);
    ASSERT_FAILS(ht_store_backup(store, NULL, inside.path, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(ht_store_backup(store, NULL, nowhere.path, NULL, &err), HITHER_NOT_FOUND);
    sibling = beside(&world, "t.hither2"); /* begins as the source's path does, and is another */
    ASSERT_OK(ht_store_backup(store, NULL, sibling.path, NULL, &err));
    ht_store_close(store);
    world_free(&world);
}

/* ---- damage is not copied */

static void expect_refused(const store_world *world, const char *file, uint64_t offset) {
    hither_error err;
    store_world copy = beside(world, "copy");
    world_flip(world, file, offset, 4);
    ht_store *store = world_open(world, HT_STORE_READONLY);
    ASSERT_FAILS(ht_store_backup(store, NULL, copy.path, NULL, &err), HITHER_CORRUPT);
    ht_store_close(store);
    assert_false(is_there(&copy));
    assert_int_equal(find_partials(world).count, 0);
    world_flip(world, file, offset, 4);
}

static void test_damage(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    world_make(&world, false);
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", DIM);
    ASSERT_OK(world_put(store, &a, 0, ROWS, &err));
    ht_store_close(store);
    size_t bytes;
    free(world_read(&world, "catalog", &bytes));
    expect_refused(&world, "seg/1-1.vec", 4096 + 3);                                /* the table of checksums */
    expect_refused(&world, "seg/1-1.vec", 4096 + SECOND_SEGMENT * 8 + 9 * 64 + 17); /* a vector */
    expect_refused(&world, "seg/1-1.vec", 40);                                      /* the header */
    expect_refused(&world, "catalog", bytes - 2000);                                /* a page of rows */
    store_world copy = beside(&world, "copy");
    store = world_open(&world, HT_STORE_READONLY);
    ASSERT_OK(ht_store_backup(store, NULL, copy.path, NULL, &err));
    ht_store_close(store);
    world_free(&world);
}

/* ---- operations that fail */

static void one_fault(uint64_t nth, bool for_good, bool *hit) {
    ht_io *ram = NULL;
    hither_error err;
    store_world world;
    assert_int_equal(ht_io_ram_new(&ram, NULL), HITHER_OK);
    io_fault *fault = io_fault_new(ram);
    world_make_over(&world, io_fault_io(fault));
    store_world copy = beside(&world, "copy");
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", DIM), b = world_create(store, "b", 8192); /* 64 rows: 2 MiB */
    ASSERT_OK(world_put(store, &a, 0, ROWS, &err));
    ASSERT_OK(world_put(store, &b, 0, 64, &err)); /* a full segment, which is shared */

    io_fault_arm(fault, nth, nth % 3 == 0 ? FAULT_SHORT_WRITE : nth % 3 == 1 ? FAULT_IO : FAULT_FULL, for_good);
    hither_status status = ht_store_backup(store, NULL, copy.path, NULL, &err);
    *hit = io_fault_hit(fault);
    io_fault_arm(fault, 0, FAULT_IO, false);
    partials left = find_partials(&world);
    /* For good is also what a process leaves that is killed there: nothing was cleared away. */
    if (status == HITHER_OK || (for_good && is_there(&copy))) {
        ht_store *opened = world_open(&copy, 0);
        expect_sound(opened);
        world_expect(opened, a.cid, 0, ROWS);
        world_expect(opened, b.cid, 0, 64);
        ht_store_close(opened);
    } else if (is_there(&copy)) {
        fail_msg("operation %" PRIu64 " (%s) failed, and left a folder", nth, io_fault_what(fault));
    }
    /* CORRUPT: what cannot be read is a finding to verify, which judges the copy. */
    if (status != HITHER_OK && status != HITHER_IO && status != HITHER_FULL && status != HITHER_CORRUPT)
        fail_msg("operation %" PRIu64 " (%s) gave %s: %s", nth, io_fault_what(fault), hither_status_name(status),
                 err.message);
    if (!for_good && left.count > 0)
        fail_msg("operation %" PRIu64 " (%s) left %s", nth, io_fault_what(fault), left.name);
    if (left.count > 0) {
        store_world partial = beside(&world, left.name);
        ht_store *opened;
        if (ht_store_open(partial.io, partial.path, HT_STORE_EXISTING, 0, &opened, &err) == HITHER_OK) {
            expect_sound(opened); /* it wanted nothing but its name */
            world_expect(opened, a.cid, 0, ROWS);
            ht_store_close(opened);
        }
    }
    /* The source knows nothing of it. */
    expect_sound(store);
    ASSERT_OK(world_put(store, &a, 3, 4, &err));
    ht_store_close(store);
    store = world_open(&world, 0);
    expect_sound(store);
    world_expect(store, a.cid, 0, ROWS);
    ht_store_close(store);
    io_fault_free(fault);
    ht_io_ram_free(ram);
}

static void sweep(bool for_good) {
    bool hit = true;
    uint64_t n = 1;
    for (; hit; n++)
        one_fault(n, for_good, &hit);
    assert_true(n > 60);
}

static void test_faults_once(void **state) {
    (void)state;
    sweep(false);
}
static void test_faults_for_good(void **state) {
    (void)state;
    sweep(true);
}

/* ---- commits in the middle */

static struct {
    ht_store *store;
    ht_collection_row rows, doomed;
    unsigned commits;
} meanwhile;

/* Each file the backup makes is a moment at which the source commits: rows are added and replaced, and a collection
 * whose segment is still to be copied is dropped, file and all. */
static hither_status open_and_commit(void *ctx, const char *path, unsigned flags, ht_file **out, hither_error *why) {
    hither_error err;
    if (flags & HT_IO_EXCLUSIVE) {
        ASSERT_OK(world_put(meanwhile.store, &meanwhile.rows, 2, ROWS, &err));
        if (meanwhile.commits++ == 0)
            ASSERT_OK(ht_store_drop(meanwhile.store, meanwhile.doomed.cid, &err));
    }
    return ht_io_posix()->open(ctx, path, flags, out, why);
}

static void test_commits_in_the_middle(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    world_make(&world, true);
    store_world copy = beside(&world, "copy");
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", DIM), b = world_create(store, "b", 3);
    ASSERT_OK(world_put(store, &a, 0, 10, &err));
    ASSERT_OK(world_put(store, &b, 0, 10, &err));
    meanwhile.store = store;
    meanwhile.rows = a;
    meanwhile.doomed = b;
    ht_io io = *ht_io_posix();
    io.open = open_and_commit;
    ASSERT_OK(ht_store_backup(store, &io, copy.path, NULL, &err));
    assert_true(meanwhile.commits >= 3);
    world_expect(store, a.cid, 2, ROWS);
    expect_sound(store);
    ht_store_close(store);
    store = world_open(&copy, 0);
    ht_collection_row row;
    expect_sound(store);
    ASSERT_OK(ht_store_collection(store, "a", 0, &row, &err));
    assert_int_equal(row.commit_seq, a.commit_seq);
    assert_int_equal(row.live_count, 10);
    world_expect(store, a.cid, 0, 10);
    world_expect(store, b.cid, 0, 10);
    ht_store_close(store);
    world_free(&world);
}

/* ---- beside a writer */

enum { BATCH = 40, BACKUPS = 6, WRITES = 400 };

typedef struct writer {
    hither_collection *c;
    atomic_bool stop;
    atomic_uint written;
} writer;

/* Every batch rewrites the same ids, so that all rows of any one commit have the same number. */
static void *write_on(void *arg) {
    writer *w = arg;
    static float vectors[BATCH * 3];
    int64_t ids[BATCH];
    for (unsigned n = 1; n <= WRITES && !atomic_load(&w->stop); n++) {
        for (int i = 0; i < BATCH; i++)
            ids[i] = i;
        for (int i = 0; i < BATCH * 3; i++)
            vectors[i] = (float)n;
        const hither_batch batch = {
            .size = sizeof batch,
            .ids = {.ints = ids, .count = BATCH},
            .vectors = {.data = vectors, .rows = BATCH, .dim = 3, .dtype = HITHER_F32},
        };
        if (hither_collection_put(w->c, HITHER_UPSERT, &batch, NULL, NULL) != HITHER_OK)
            abort();
        atomic_store(&w->written, n);
    }
    return NULL;
}

static float one_number(const char *path) {
    hither_error err;
    hither_db *db;
    hither_collection *c;
    hither_result *rows;
    int64_t ids[BATCH];
    ASSERT_OK(hither_db_open(path, HITHER_OPTIONS(hither_db_options, .flags = HITHER_OPEN_EXISTING), &db, &err));
    ASSERT_OK(hither_db_verify(db, NULL, &err));
    ASSERT_OK(hither_collection_open(db, "c", NULL, &c, &err));
    for (int i = 0; i < BATCH; i++)
        ids[i] = i;
    const float *first = NULL;
    const hither_query query = {.size = sizeof query, .ids = {.ints = ids, .count = 1}};
    ASSERT_OK(hither_collection_search(
        c, &query, BATCH + 1, HITHER_OPTIONS(hither_search_options, .include = HITHER_INCLUDE_VECTORS), &rows, &err));
    assert_int_equal(hither_result_count(rows, 0), BATCH);
    hither_matrix vectors = hither_result_vectors(rows, 0);
    first = vectors.data;
    float number = first[0];
    for (size_t i = 0; i < BATCH * 3; i++)
        assert_true(first[i] == number);
    hither_result_free(rows);
    hither_collection_close(c);
    hither_db_close(db);
    return number;
}

static void test_beside_a_writer(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    hither_db *db;
    writer w = {0};
    pthread_t thread;
    float last = 0;
    world_make(&world, true);
    ASSERT_OK(hither_db_open(world.path, NULL, &db, &err));
    ASSERT_OK(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = 3, .metric = HITHER_L2),
                                     &w.c, &err));
    assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
    while (atomic_load(&w.written) == 0)
        usleep(1000);
    for (int i = 0; i < BACKUPS; i++) {
        char name[32];
        snprintf(name, sizeof name, "copy%d", i);
        store_world copy = beside(&world, name);
        unsigned before = atomic_load(&w.written);
        ASSERT_OK(hither_db_backup(db, copy.path, &err));
        float number = one_number(copy.path);
        /* As new as what had returned before, and never older than the backup before it. */
        assert_true(number >= (float)before && number >= last);
        last = number;
    }
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    ASSERT_OK(hither_db_verify(db, NULL, &err));
    hither_collection_close(w.c);
    hither_db_close(db);
    world_free(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_on_disk),
        cmocka_unit_test(test_copy_in_ram),
        cmocka_unit_test(test_full_segments_are_shared),
        cmocka_unit_test(test_nothing_to_share),
        cmocka_unit_test(test_copy_of_copy),
        cmocka_unit_test(test_memory_to_disk),
        cmocka_unit_test(test_refused_places),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_faults_once),
        cmocka_unit_test(test_faults_for_good),
        cmocka_unit_test(test_commits_in_the_middle),
        cmocka_unit_test(test_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
