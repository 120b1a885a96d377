/*
 * test_pack.c: a pack answers as the database it was made of, is only read, and becomes a folder again; a file that was
 * changed anywhere is noticed; whatever goes wrong while one is made leaves no half of it under the name asked for.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/alloc.h"
#include "engine/engine.h"
#include "hither.h"
#include "io_fault.h"
#include "store/backup.h"
#include "store/pack.h"
#include "store_world.h"

enum { DIM = 14, ROWS = 60, SECOND_SEGMENT = (1 << 20) / 64 }; /* rows of 64 bytes: the first segment has 1 MiB */

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

static hither_status note_partial(void *arg, const char *name, ht_io_kind kind) {
    size_t *count = arg;
    (void)kind;
    *count += strstr(name, ".partial-") != NULL;
    return HITHER_OK;
}

static size_t count_partials(const store_world *world) {
    size_t count = 0;
    assert_int_equal(world->io->list(world->io->ctx, world->root, note_partial, &count, NULL), HITHER_OK);
    return count;
}

typedef struct opened {
    ht_io *files;
    ht_store *store;
} opened;

static opened open_pack(const store_world *pack) {
    opened o;
    hither_error err;
    ASSERT_OK(ht_pack_open(pack->io, pack->path, &o.files, &err));
    ASSERT_OK(ht_pack_verify(o.files, &err));
    ASSERT_OK(ht_store_open(o.files, pack->path, HT_STORE_READONLY, 0, &o.store, &err));
    assert_int_equal(world_verify(o.store, NULL), 0);
    return o;
}

static void close_pack(opened *o) {
    ht_store_close(o->store);
    ht_pack_close(o->files);
}

/* ---- rows */

static void pack_in(bool on_disk) {
    store_world world;
    hither_error err;
    ht_collection_row row;
    world_make(&world, on_disk);
    store_world pack = beside(&world, "t.pack"), folder = beside(&world, "folder");
    ht_store *store = world_open(&world, 0);
    ht_collection_row gone = world_create(store, "gone", 2), a = world_create(store, "a", DIM),
                      b = world_create(store, "b", 3);
    world_create(store, "empty", 2);
    ASSERT_OK(ht_store_drop(store, gone.cid, &err));
    ASSERT_OK(world_put(store, &a, 0, SECOND_SEGMENT + ROWS, &err)); /* two segments */
    ASSERT_OK(world_kill(store, &a, SECOND_SEGMENT + ROWS - 1, &err));
    ASSERT_OK(world_put(store, &b, 0, ROWS, &err));
    ASSERT_OK(ht_store_set_ttl(store, b.cid, 3600, &err));

    ASSERT_OK(ht_store_pack(store, NULL, pack.path, &err));
    ASSERT_FAILS(ht_store_pack(store, NULL, pack.path, &err), HITHER_EXISTS);
    assert_int_equal(count_partials(&world), 0);
    ht_store_close(store);

    opened o = open_pack(&pack);
    ASSERT_OK(ht_store_collection(o.store, "a", 0, &row, &err));
    assert_int_equal(row.live_count, SECOND_SEGMENT + ROWS - 1);
    assert_int_equal(row.next_slot, row.live_count);
    world_expect(o.store, row.cid, 0, SECOND_SEGMENT + ROWS - 1);
    ht_segment **segments;
    size_t count;
    ASSERT_OK(ht_store_segments(o.store, row.cid, &segments, &count, &err));
    assert_int_equal(count, 1); /* no larger than its rows */
    assert_int_equal(ht_segment_describe(segments[0])->capacity, (row.live_count + 63) / 64 * 64);
    ht_segment_release(segments[0]);
    ht_release(segments);
    ASSERT_OK(ht_store_collection(o.store, "b", 0, &row, &err));
    world_expect(o.store, row.cid, 0, ROWS);
    ht_reader *reader;
    uint64_t seq;
    int64_t ttl = 0;
    ASSERT_OK(ht_reader_begin(o.store, row.cid, &reader, &seq, &err));
    ASSERT_OK(ht_reader_ttl(reader, &ttl, &err));
    assert_int_equal(ttl, 3600);
    ht_reader_end(reader);
    ASSERT_OK(ht_store_collection(o.store, "empty", 0, &row, &err));
    ASSERT_FAILS(ht_txn_begin(o.store, &err), HITHER_READONLY);
    /* And a folder of it, which takes writes: into the segment's free slots, and into one more. */
    ASSERT_OK(ht_store_backup(o.store, pack.io, folder.path, NULL, &err));
    close_pack(&o);
    store = world_open(&folder, 0);
    ASSERT_OK(ht_store_collection(store, "b", 0, &row, &err));
    assert_int_equal(world_verify(store, NULL), 0);
    ht_store_close(store);
    world_free(&world);
}

static void test_rows_on_disk(void **state) {
    (void)state;
    pack_in(true);
}
static void test_rows_in_ram(void **state) {
    (void)state;
    pack_in(false);
}

/* ---- through the library's door */

static void put(hither_collection *c, int64_t first, int count, float value) {
    float vectors[ROWS * 3];
    int64_t ids[ROWS];
    hither_error err;
    for (int i = 0; i < count; i++) {
        ids[i] = first + i;
        for (int j = 0; j < 3; j++)
            vectors[i * 3 + j] = value;
    }
    const hither_batch batch = {.size = sizeof batch,
                                .ids = {.ints = ids, .count = (size_t)count},
                                .vectors = {.data = vectors, .rows = (size_t)count, .dim = 3, .dtype = HITHER_F32}};
    ASSERT_OK(hither_collection_put(c, HITHER_UPSERT, &batch, NULL, &err));
}

/* All rows at one distance, so that the order shows the order of writing. */
static void expect_order(const char *path, const int64_t *want, size_t count) {
    hither_error err;
    hither_db *db;
    hither_collection *c;
    hither_result *found;
    const float zero[3] = {0};
    ASSERT_OK(hither_db_open(path, NULL, &db, &err));
    ASSERT_OK(hither_collection_open(db, "c", NULL, &c, &err));
    const hither_query query = {.size = sizeof query,
                                .vectors = {.data = zero, .rows = 1, .dim = 3, .dtype = HITHER_F32}};
    ASSERT_OK(hither_collection_search(c, &query, ROWS, NULL, &found, &err));
    assert_int_equal(hither_result_count(found, 0), count);
    assert_memory_equal(hither_result_ids(found, 0).ints, want, count * sizeof *want);
    hither_result_free(found);
    hither_collection_close(c);
    hither_db_close(db);
}

static void *search_often(void *path) {
    const int64_t want[] = {3, 4, 1};
    for (int i = 0; i < 5; i++)
        expect_order(path, want, 3);
    return NULL;
}

static void test_database(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    hither_db *db;
    hither_collection *c;
    pthread_t threads[3];
    const int64_t want[] = {3, 4, 1}, after[] = {3, 4, 1, 9};
    world_make(&world, true);
    store_world pack = beside(&world, "c.pack"), again = beside(&world, "again.pack"), back = beside(&world, "back"),
                saved = beside(&world, "saved");
    ASSERT_OK(hither_db_open(":memory:", NULL, &db, &err));
    ASSERT_OK(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = 3, .metric = HITHER_L2),
                                     &c, &err));
    put(c, 1, 4, 1);
    put(c, 1, 2, 1); /* written anew, and so behind 3 and 4 */
    const int64_t two = 2;
    ASSERT_OK(hither_collection_delete(c, &(hither_ids){.ints = &two, .count = 1}, NULL, NULL, &err));
    ASSERT_OK(hither_db_pack(db, pack.path, &err));
    ASSERT_FAILS(hither_db_pack(db, pack.path, &err), HITHER_EXISTS);
    ASSERT_FAILS(hither_db_pack(db, "", &err), HITHER_INVALID);
    ASSERT_FAILS(hither_db_pack(db, ":memory:", &err), HITHER_INVALID);
    hither_collection_close(c);
    hither_db_close(db);
    expect_order(pack.path, want, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_often, pack.path), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);

    ASSERT_OK(hither_db_open(pack.path, HITHER_OPTIONS(hither_db_options, .durability = HITHER_DURABILITY_RELAXED), &db,
                             &err));
    ASSERT_OK(hither_collection_open(db, "c", NULL, &c, &err));
    ASSERT_FAILS(hither_collection_delete(c, &(hither_ids){.ints = &two, .count = 1}, NULL, NULL, &err),
                 HITHER_READONLY);
    ASSERT_FAILS(hither_db_drop(db, "c", &err), HITHER_READONLY);
    ASSERT_FAILS(hither_db_compact(db, NULL, &err), HITHER_READONLY);
    ASSERT_FAILS(hither_db_purge(db, NULL, &err), HITHER_READONLY);
    ASSERT_OK(hither_db_flush(db, &err));
    ASSERT_OK(hither_db_verify(db, NULL, &err));
    ASSERT_OK(hither_db_pack(db, again.path, &err));
    ASSERT_OK(hither_db_backup(db, back.path, &err));
    hither_collection_close(c);
    hither_db_close(db);
    ASSERT_OK(hither_db_repair(pack.path, saved.path, NULL, &err));
    expect_order(again.path, want, 3);
    expect_order(saved.path, want, 3);
    ASSERT_OK(hither_db_open(back.path, NULL, &db, &err));
    ASSERT_OK(hither_collection_open(db, "c", NULL, &c, &err));
    put(c, 9, 1, 1);
    ASSERT_OK(hither_db_verify(db, NULL, &err));
    hither_collection_close(c);
    hither_db_close(db);
    expect_order(back.path, after, 4);
    world_free(&world);
}

static void test_refused_places(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    world_make(&world, true);
    ht_store *store = world_open(&world, 0);
    store_world inside = beside(&world, "t.hither/p"), nowhere = beside(&world, "no/p"), other = beside(&world, "p");
    ASSERT_FAILS(ht_store_pack(store, NULL, world.path, &err), HITHER_EXISTS);
    ASSERT_FAILS(ht_store_pack(store, NULL, inside.path, &err), HITHER_INVALID);
    ASSERT_FAILS(ht_store_pack(store, NULL, nowhere.path, &err), HITHER_NOT_FOUND);
    ASSERT_OK(ht_store_pack(store, NULL, other.path, &err)); /* of nothing */
    ht_store_close(store);
    opened o = open_pack(&other);
    close_pack(&o);
    world_free(&world);
}

/* ---- damage */

static void test_source_damage(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    world_make(&world, false);
    store_world pack = beside(&world, "p");
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", DIM);
    ASSERT_OK(world_put(store, &a, 0, ROWS, &err));
    ht_store_close(store);
    const uint64_t places[] = {4096 + 3, 4096 + SECOND_SEGMENT * 8 + 9 * 64 + 17, 40};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        world_flip(&world, "seg/1-1.vec", places[i], 4);
        store = world_open(&world, HT_STORE_READONLY);
        ASSERT_FAILS(ht_store_pack(store, NULL, pack.path, &err), HITHER_CORRUPT);
        ht_store_close(store);
        assert_false(is_there(&pack));
        assert_int_equal(count_partials(&world), 0);
        world_flip(&world, "seg/1-1.vec", places[i], 4);
    }
    world_free(&world);
}

static unsigned char *read_pack(const store_world *pack, size_t *bytes) {
    hither_error err;
    ht_file *file;
    uint64_t size;
    ASSERT_OK(pack->io->open(pack->io->ctx, pack->path, 0, &file, &err));
    ASSERT_OK(pack->io->file_size(file, &size, &err));
    unsigned char *data = malloc((size_t)size);
    assert_non_null(data);
    ASSERT_OK(pack->io->read_at(file, data, (size_t)size, 0, &err));
    pack->io->close(file);
    *bytes = (size_t)size;
    return data;
}

/* Whether the bytes, as a file, are a sound pack. Each attempt has a file of its own. */
static bool is_sound(const unsigned char *data, size_t bytes) {
    ht_io *ram = NULL;
    ht_file *file;
    ht_db *db;
    hither_error err;
    bool sound = false;
    assert_int_equal(ht_io_ram_new(&ram, NULL), HITHER_OK);
    ASSERT_OK(ram->open(ram->ctx, "p", HT_IO_WRITE | HT_IO_CREATE, &file, &err));
    ASSERT_OK(ram->write_at(file, data, bytes, 0, &err));
    ram->close(file);
    if (ht_db_open_io(ram, "p", HITHER_OPEN_EXISTING, 0, &db, &err) == HITHER_OK) {
        sound = ht_db_verify(db, NULL, NULL, &err) == HITHER_OK;
        ht_db_close(db);
    } else {
        assert_true(err.message[0] != '\0');
    }
    ht_io_ram_free(ram);
    return sound;
}

static void test_flips_and_cuts(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    world_make(&world, false);
    store_world pack = beside(&world, "p");
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", 3);
    ASSERT_OK(world_put(store, &a, 0, 10, &err));
    ASSERT_OK(ht_store_pack(store, NULL, pack.path, &err));
    ht_store_close(store);
    size_t bytes;
    unsigned char *data = read_pack(&pack, &bytes);
    assert_true(is_sound(data, bytes));
    for (size_t i = 0; i < bytes; i += i < 72 ? 1 : 709) {
        data[i] ^= 0x10;
        if (is_sound(data, bytes))
            fail_msg("a flip at %zu of %zu goes unnoticed", i, bytes);
        data[i] ^= 0x10;
    }
    for (size_t i = 0; i < bytes; i += 4093) {
        if (is_sound(data, i))
            fail_msg("a cut at %zu of %zu goes unnoticed", i, bytes);
    }
    free(data);
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
    store_world pack = beside(&world, "p");
    ht_store *store = world_open(&world, 0);
    ht_collection_row a = world_create(store, "a", DIM);
    ASSERT_OK(world_put(store, &a, 0, ROWS, &err));
    io_fault_arm(fault, nth, nth % 3 == 0 ? FAULT_SHORT_WRITE : nth % 3 == 1 ? FAULT_IO : FAULT_FULL, for_good);
    hither_status status = ht_store_pack(store, NULL, pack.path, &err);
    char what[200];
    snprintf(what, sizeof what, "%s", io_fault_what(fault));
    *hit = io_fault_hit(fault);
    io_fault_arm(fault, 0, FAULT_IO, false);
    if (status == HITHER_OK || (for_good && is_there(&pack))) {
        opened o = open_pack(&pack);
        world_expect(o.store, a.cid, 0, ROWS);
        close_pack(&o);
    } else if (is_there(&pack)) {
        fail_msg("operation %" PRIu64 " (%s) failed, and left a file", nth, what);
    }
    if (status != HITHER_OK && status != HITHER_IO && status != HITHER_FULL && status != HITHER_CORRUPT)
        fail_msg("operation %" PRIu64 " (%s) gave %s: %s", nth, what, hither_status_name(status), err.message);
    /* Once the file has its name, a draft that will not go is no failure. */
    if (!for_good && status != HITHER_OK && count_partials(&world) > 0)
        fail_msg("operation %" PRIu64 " (%s) left a draft", nth, what);
    assert_int_equal(world_verify(store, NULL), 0); /* the source knows nothing of it */
    ASSERT_OK(world_put(store, &a, 3, 4, &err));
    ht_store_close(store);
    io_fault_free(fault);
    ht_io_ram_free(ram);
}

static void sweep(bool for_good, uint64_t step) {
    bool hit = true;
    uint64_t n = 1;
    for (; hit; n += step)
        one_fault(n, for_good, &hit);
    assert_true(n > 100);
}

static void test_faults_once(void **state) {
    (void)state;
    sweep(false, 1);
}
static void test_faults_for_good(void **state) {
    (void)state;
    sweep(true, 5);
}

/* ---- memory that runs out */

/* Packs, opens and reads what is there; NOMEM is the only failure, and leaves nothing. */
static void one_shortage(const store_world *world, ht_store *store, uint64_t nth, bool for_good, bool *hit) {
    hither_error err;
    store_world pack = beside(world, "p");
    ht_db *db = NULL;
    alloc_fault_arm(nth, for_good);
    hither_status status = ht_store_pack(store, NULL, pack.path, &err);
    bool made = status == HITHER_OK;
    if (made)
        status = ht_db_open_io(world->io, pack.path, 0, 0, &db, &err);
    if (db) {
        status = ht_db_verify(db, NULL, NULL, &err);
        ht_db_close(db);
    }
    *hit = alloc_fault_hit();
    alloc_fault_arm(0, false);
    if (status != HITHER_OK && status != HITHER_NOMEM)
        fail_msg("request %" PRIu64 " gave %s: %s", nth, hither_status_name(status), err.message);
    assert_int_equal(is_there(&pack), made);
    if (made)
        ASSERT_OK(world->io->remove(world->io->ctx, pack.path, &err));
    else if (!for_good)
        assert_int_equal(count_partials(world), 0);
}

static void shortages(bool for_good) {
    ht_io *ram = NULL;
    hither_error err;
    int64_t before = alloc_fault_live();
    bool hit = true;
    for (uint64_t n = 1; hit; n += n < 40 ? 1 : for_good ? 41 : 13) {
        store_world world;
        assert_int_equal(ht_io_ram_new(&ram, NULL), HITHER_OK);
        world_make_over(&world, ram);
        ht_store *store = world_open(&world, 0);
        ht_collection_row a = world_create(store, "a", DIM);
        ASSERT_OK(world_put(store, &a, 0, 5, &err));
        one_shortage(&world, store, n, for_good, &hit);
        assert_int_equal(world_verify(store, NULL), 0);
        ht_store_close(store);
        ht_io_ram_free(ram);
        if (alloc_fault_live() != before)
            fail_msg("request %" PRIu64 ": %" PRId64 " blocks were not given back", n, alloc_fault_live() - before);
    }
}

static void test_shortage_once(void **state) {
    (void)state;
    shortages(false);
}
static void test_shortage_for_good(void **state) {
    (void)state;
    shortages(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_on_disk),  cmocka_unit_test(test_rows_in_ram),
        cmocka_unit_test(test_database),      cmocka_unit_test(test_refused_places),
        cmocka_unit_test(test_source_damage), cmocka_unit_test(test_flips_and_cuts),
        cmocka_unit_test(test_faults_once),   cmocka_unit_test(test_faults_for_good),
        cmocka_unit_test(test_shortage_once), cmocka_unit_test(test_shortage_for_good),
    };
    alloc_fault_install();
    alloc_fault_install_jansson();
    alloc_fault_install_sqlite();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
