/*
 * test_store.c: a store opened, written, read, closed, lost and refused, over RAM and over disk.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store/vfs.h"
#include "store_world.h"

/* Each test below runs over both. */
static int on_ram(void **state) {
    store_world *world = malloc(sizeof *world);
    world_make(world, false);
    *state = world;
    return 0;
}
static int on_disk(void **state) {
    store_world *world = malloc(sizeof *world);
    world_make(world, true);
    *state = world;
    return 0;
}
static int gone(void **state) {
    world_free(*state);
    free(*state);
    return 0;
}

static void test_round_trip(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "notes", 24);
    assert_int_equal(row.cid, 1);
    ASSERT_OK(world_put(store, &row, 0, 100, &err));
    ASSERT_OK(world_put(store, &row, 50, 100, &err));
    ASSERT_OK(world_kill(store, &row, 7, &err));
    world_expect(store, row.cid, 0, 7);
    world_expect(store, row.cid, 8, 142);
    assert_int_equal(row.live_count, 149);
    assert_int_equal(world_verify(store, NULL), 0);
    ht_store_close(store);

    store = world_open(world, HT_STORE_EXISTING);
    ht_collection_row again;
    ASSERT_OK(ht_store_collection(store, "notes", 0, &again, &err));
    assert_memory_equal(&again, &row, sizeof row);
    world_expect(store, row.cid, 8, 142);
    assert_int_equal(world_verify(store, NULL), 0);
    ht_store_bytes bytes;
    ASSERT_OK(ht_store_sizes(store, &bytes, &err));
    assert_true(bytes.catalog >= 4096 && bytes.segments > 4096 && bytes.segments < 1 << 20);
    assert_true(bytes.dead > 0 && bytes.dead < bytes.segments && bytes.caches == 0);
    ht_store_close(store);
}

/* Segments follow one another without a gap, the second twice the size of the first. */
static void test_several_segments(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "wide", 4096); /* 16 KiB a row: 64 rows a MiB */
    for (int i = 0; i < 5; i++)
        ASSERT_OK(world_put(store, &row, (uint64_t)i * 50, 50, &err));
    ht_segment **all;
    size_t count;
    ASSERT_OK(ht_store_segments(store, row.cid, &all, &count, &err));
    assert_int_equal(count, 3);
    const uint64_t capacity[] = {64, 128, 256}, first[] = {0, 64, 192}, committed[] = {64, 128, 58};
    for (size_t i = 0; i < count; i++) {
        const ht_segment_info *info = ht_segment_describe(all[i]);
        assert_int_equal(info->capacity, capacity[i]);
        assert_int_equal(info->first_slot, first[i]);
        assert_int_equal(info->committed, committed[i]);
        assert_int_equal((uintptr_t)ht_segment_rows(all[i]) % 4096, 0);
        ht_segment_release(all[i]);
    }
    ht_release(all);
    world_expect(store, row.cid, 0, 250);
    assert_int_equal(world_verify(store, NULL), 0);
    ht_store_close(store);
    store = world_open(world, 0);
    world_expect(store, row.cid, 0, 250);
    ht_store_close(store);
}

/* A reader sees what it began with, whatever is committed meanwhile. */
static void test_snapshot(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 4), seen;
    ASSERT_OK(world_put(store, &row, 0, 10, &err));
    ht_reader *old, *new;
    uint64_t seq_old, seq_new, slot;
    ASSERT_OK(ht_reader_begin(store, row.cid, &old, &seq_old, &err));
    ASSERT_OK(world_put(store, &row, 5, 10, &err));
    ASSERT_OK(world_kill(store, &row, 0, &err));
    ASSERT_OK(ht_reader_begin(store, row.cid, &new, &seq_new, &err));
    assert_int_equal(seq_old, 1);
    assert_int_equal(seq_new, 3);
    ASSERT_OK(ht_reader_collection(old, &seen, &err));
    assert_int_equal(seen.next_slot, 10);
    assert_int_equal(seen.live_count, 10);

    const char *text = "id-5id-0id-12";
    uint64_t offsets[] = {0, 4, 8, 13};
    hither_ids ids = {.strings = {.bytes = text, .offsets = offsets, .count = 3}, .count = 3};
    ASSERT_OK(ht_reader_find(old, &ids, 0, seq_old, 10, &slot, &err));
    assert_int_equal(slot, 5);
    ASSERT_OK(ht_reader_find(old, &ids, 2, seq_old, 10, &slot, &err));
    assert_true(slot == UINT64_MAX);
    /* A newer reader asked for the older version gives the same; asked for its own, the newer. */
    for (uint64_t seq = seq_old; seq <= seq_new; seq++) {
        ASSERT_OK(ht_reader_find(new, &ids, 0, seq, seq == 1 ? 10 : 20, &slot, &err));
        assert_int_equal(slot, seq == 1 ? 5 : 10);
        ASSERT_OK(ht_reader_find(new, &ids, 1, seq, seq == 1 ? 10 : 20, &slot, &err));
        assert_true(slot == (seq == 3 ? UINT64_MAX : 0));
    }
    ht_reader_end(old);
    ht_reader_end(new);
    ht_reader_end(NULL);
    ht_store_close(store);
}

static hither_status count_dead(void *arg, uint64_t slot, uint64_t dead_seq) {
    uint64_t *sum = arg;
    *sum += slot * 100 + dead_seq;
    return HITHER_OK;
}
static hither_status stop_at_once(void *arg, uint64_t slot, uint64_t dead_seq) {
    (void)arg;
    (void)slot;
    (void)dead_seq;
    return HITHER_INTERRUPTED;
}

static void test_dead_rows(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 4);
    ASSERT_OK(world_put(store, &row, 0, 10, &err));
    ASSERT_OK(world_kill(store, &row, 3, &err));
    ASSERT_OK(world_kill(store, &row, 4, &err));
    ht_reader *reader;
    uint64_t seq, sum = 0;
    ASSERT_OK(ht_reader_begin(store, row.cid, &reader, &seq, &err));
    ASSERT_OK(ht_reader_dead(reader, 0, count_dead, &sum, &err));
    assert_int_equal(sum, 302 + 403);
    sum = 0;
    ASSERT_OK(ht_reader_dead(reader, 2, count_dead, &sum, &err));
    assert_int_equal(sum, 403);
    ASSERT_FAILS(ht_reader_dead(reader, 0, stop_at_once, NULL, &err), HITHER_INTERRUPTED);
    ht_row got;
    ASSERT_OK(ht_reader_row(reader, 3, &got, &err));
    ASSERT_FAILS(ht_reader_row(reader, 10, &got, &err), HITHER_NOT_FOUND);
    ASSERT_FAILS(ht_reader_row(reader, UINT64_MAX, &got, &err), HITHER_NOT_FOUND);
    ht_reader_end(reader);
    ht_store_close(store);
}

static hither_status join_names(void *arg, const ht_collection_row *row) {
    strcat(strcat(arg, row->name), ",");
    return HITHER_OK;
}

static void test_collections(void **state) {
    store_world *world = *state;
    hither_error err;
    char names[200] = "";
    ht_store *store = world_open(world, 0);
    ht_collection_row b = world_create(store, "b", 4), a = world_create(store, "a", 5), row = {0};
    ASSERT_FAILS(ht_store_create(store, &a, (ht_text){0}, &err), HITHER_EXISTS);
    row = a;
    row.dtype = HITHER_B1;
    ASSERT_FAILS(ht_store_create(store, &row, (ht_text){0}, &err), HITHER_UNSUPPORTED);
    ASSERT_OK(world_put(store, &a, 0, 5, &err));
    ASSERT_OK(world_put(store, &b, 0, 5, &err));
    ASSERT_FAILS(ht_store_rename(store, a.cid, "b", &err), HITHER_EXISTS);
    ASSERT_FAILS(ht_store_rename(store, 99, "z", &err), HITHER_NOT_FOUND);
    ASSERT_OK(ht_store_rename(store, a.cid, "c", &err));
    ASSERT_OK(ht_store_collections(store, join_names, names, &err));
    assert_string_equal(names, "b,c,");
    ASSERT_FAILS(ht_store_collection(store, "a", 0, &row, &err), HITHER_NOT_FOUND);
    ASSERT_OK(ht_store_collection(store, NULL, a.cid, &row, &err));
    assert_string_equal(row.name, "c");
    world_expect(store, a.cid, 0, 5);

    assert_true(world_has(world, "seg/1-2.vec"));
    ASSERT_OK(ht_store_drop(store, b.cid, &err));
    assert_false(world_has(world, "seg/1-2.vec"));
    ASSERT_FAILS(ht_store_drop(store, b.cid, &err), HITHER_NOT_FOUND);
    ht_reader *reader;
    uint64_t seq;
    ASSERT_FAILS(ht_reader_begin(store, b.cid, &reader, &seq, &err), HITHER_NOT_FOUND);
    b = world_create(store, "b", 4);
    assert_int_equal(b.cid, 3); /* numbers are never used twice */
    ASSERT_OK(world_put(store, &b, 0, 5, &err));
    assert_true(world_has(world, "seg/3-3.vec"));
    assert_int_equal(world_verify(store, NULL), 0);
    ht_store_close(store);
}

/* More collections than a connection keeps statements for. */
static void test_many_collections(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row rows[40];
    for (size_t i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%zu", i);
        rows[i] = world_create(store, name, 2);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 40; i++)
            ASSERT_OK(world_put(store, &rows[i], 0, 3, &err));
    }
    for (size_t i = 0; i < 40; i++)
        world_expect(store, rows[i].cid, 0, 3);
    ht_store_close(store);
}

static void test_int_ids(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = {.name = "n", .dim = 2, .dtype = HITHER_F32, .metric = HITHER_L2, .id_kind = HT_ID_INT};
    ASSERT_OK(ht_store_create(store, &row, (ht_text){0}, &err));
    int64_t n[] = {7, INT64_MAX};
    hither_ids ids = {.ints = n, .count = 2};
    ht_segment *segment;
    float vectors[2][16] = {{1, 2}, {3, 4}};
    ht_row_sums sums[2];
    ht_text none = {0}, empty = {"", 0};
    for (size_t i = 0; i < 2; i++)
        sums[i] = ht_row_sums_make(i, vectors[i], 8, &ids, i, none, empty);
    ASSERT_OK(ht_segment_create(store, &row, 0, 0, &segment, &err));
    ASSERT_OK(ht_segment_write(segment, 0, 2, vectors, sums, &err));
    ASSERT_OK(ht_segment_sync(segment, &err));
    ASSERT_OK(ht_txn_begin(store, &err));
    for (size_t i = 0; i < 2; i++)
        ASSERT_OK(ht_txn_insert(store, row.cid, i, &ids, i, none, empty, &err));
    ASSERT_FAILS(ht_txn_insert(store, row.cid, 2, &ids, 1, none, empty, &err), HITHER_EXISTS);
    row.next_slot = row.live_count = 2;
    row.commit_seq = 1;
    ASSERT_OK(ht_txn_segment(store, segment, 2, &err));
    ASSERT_OK(ht_txn_collection(store, &row, &err));
    ASSERT_OK(ht_txn_commit(store, &err));
    ht_segment_commit(segment, 2);
    assert_int_equal(ht_segment_describe(segment)->committed, 2);
    ht_segment_release(segment);
    ht_reader *reader;
    uint64_t seq, slot;
    ht_row got;
    ASSERT_OK(ht_reader_begin(store, row.cid, &reader, &seq, &err));
    ASSERT_OK(ht_reader_find(reader, &ids, 1, seq, 2, &slot, &err));
    assert_int_equal(slot, 1);
    ASSERT_OK(ht_reader_row(reader, 1, &got, &err));
    assert_int_equal(got.id_kind, HT_ID_INT);
    assert_true(got.int_id == INT64_MAX && !got.metadata.data && got.document.data && got.document.bytes == 0);
    ht_reader_end(reader);
    char text[512] = "";
    if (world_verify(store, text) != 0)
        fail_msg("%s", text);
    ht_store_close(store);
}

/* What a transaction wrote is gone after a rollback, and the next one uses the same slots. */
static void test_rollback(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 4);
    ASSERT_OK(world_put(store, &row, 0, 3, &err));
    int64_t n = 1;
    hither_ids ids = {.ints = &n, .count = 1};
    ASSERT_OK(ht_txn_begin(store, &err));
    ASSERT_OK(ht_txn_insert(store, row.cid, 3, &ids, 0, (ht_text){0}, (ht_text){0}, &err));
    ht_txn_rollback(store);
    ht_txn_rollback(store);
    ASSERT_OK(world_put(store, &row, 3, 3, &err));
    world_expect(store, row.cid, 0, 6);
    assert_int_equal(world_verify(store, NULL), 0);
    ht_store_close(store);
}

static void test_poison(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 4);
    ASSERT_OK(world_put(store, &row, 0, 3, &err));
    ht_store_poison(store);
    ASSERT_FAILS(ht_txn_begin(store, &err), HITHER_POISONED);
    ASSERT_FAILS(ht_store_checkpoint(store, &err), HITHER_POISONED);
    ASSERT_FAILS(world_put(store, &row, 3, 3, &err), HITHER_POISONED);
    world_expect(store, row.cid, 0, 3);
    ht_store_close(store);
    store = world_open(world, 0);
    ASSERT_OK(world_put(store, &row, 3, 3, &err));
    world_expect(store, row.cid, 0, 6);
    ht_store_close(store);
}

/* A kill: the files as they are while the store is open, opened elsewhere. */
static void test_crash_image(void **state) {
    store_world *world = *state, copy;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 16);
    for (uint64_t i = 0; i < 5; i++) {
        ASSERT_OK(world_put(store, &row, i * 20, 20, &err));
        /* A segment made, and rows written, but never committed. */
        ht_segment *lost;
        ASSERT_OK(ht_segment_create(store, &row, 1 << 20, 0, &lost, &err));
        ht_segment_release(lost);
        world_copy(world, &copy);
        ht_store *after = world_open(&copy, HT_STORE_EXISTING);
        world_expect(after, row.cid, 0, i * 20 + 20);
        assert_int_equal(world_verify(after, NULL), 0);
        assert_false(world_has(&copy, "seg/1-2.vec"));
        assert_true(world_has(&copy, "seg/1-1.vec"));
        ht_collection_row on = row;
        ASSERT_OK(world_put(after, &on, 1000, 10, &err));
        ht_store_close(after);
        after = world_open(&copy, HT_STORE_EXISTING);
        world_expect(after, row.cid, 1000, 10);
        ht_store_close(after);
        world_free(&copy);
    }
    ht_store_close(store);
}

/* Readers, verify and news while the writer writes. */
typedef struct crowd {
    ht_store *store;
    int64_t cid;
    atomic_bool done;
    atomic_int bad;
} crowd;

static void *read_on(void *arg) {
    crowd *c = arg;
    uint64_t last = 0, version;
    do {
        ht_reader *reader;
        ht_collection_row row;
        uint64_t seq, dead = 0;
        if (ht_reader_begin(c->store, c->cid, &reader, &seq, NULL) != HITHER_OK) {
            atomic_fetch_add(&c->bad, 1);
            break;
        }
        /* Each commit writes 10 rows, from the second on in place of the 10 before. */
        bool good = ht_reader_collection(reader, &row, NULL) == HITHER_OK &&
                    ht_reader_dead(reader, 0, count_dead, &dead, NULL) == HITHER_OK && row.next_slot == seq * 10 &&
                    row.live_count == (seq ? 10 : 0) && seq >= last;
        last = seq;
        ht_reader_end(reader);
        if (!good || ht_store_data_version(c->store, &version, NULL) != HITHER_OK)
            atomic_fetch_add(&c->bad, 1);
    } while (!atomic_load(&c->done));
    return NULL;
}

static hither_status any_finding(void *arg, const char *place, const char *problem) {
    print_message("verify: %s: %s\n", place, problem);
    atomic_fetch_add((atomic_int *)arg, 1);
    return HITHER_OK;
}

static void *verify_on(void *arg) {
    crowd *c = arg;
    hither_error err;
    do {
        if (ht_store_verify(c->store, HT_VERIFY_DEEP, any_finding, &c->bad, NULL, &err) != HITHER_OK) {
            print_message("verify: %s\n", err.message);
            atomic_fetch_add(&c->bad, 1);
        }
    } while (!atomic_load(&c->done));
    return NULL;
}

static void test_threads(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 4);
    crowd c = {.store = store, .cid = row.cid};
    pthread_t threads[3];
    assert_int_equal(pthread_create(&threads[0], NULL, read_on, &c), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, read_on, &c), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, verify_on, &c), 0);
    for (int i = 0; i < 60; i++) {
        ASSERT_OK(world_put(store, &row, 0, 10, &err));
        if (i % 7 == 0)
            ASSERT_OK(ht_store_checkpoint(store, &err));
    }
    atomic_store(&c.done, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.bad), 0);
    world_expect(store, row.cid, 0, 10);
    ht_store_close(store);
}

static void test_kinds_of_paths(void **state) {
    store_world *world = *state;
    hither_error err;
    const ht_io *io = world->io;
    ASSERT_FAILS(world_try(world, HT_STORE_EXISTING, &err), HITHER_NOT_FOUND);
    ASSERT_FAILS(world_try(world, HT_STORE_READONLY, &err), HITHER_NOT_FOUND);
    assert_false(world_has(world, ""));
    /* An empty folder may become a database, but only if it is asked to. */
    ASSERT_OK(io->make_folder(io->ctx, world->path, &err));
    ASSERT_FAILS(world_try(world, HT_STORE_EXISTING, &err), HITHER_NOT_FOUND);
    ASSERT_OK(world_try(world, 0, &err));
    ASSERT_OK(world_try(world, HT_STORE_EXISTING, &err));
    /* Without its catalog it is damaged, not new. */
    char *catalog = ht_path_join(world->path, "catalog");
    size_t bytes;
    unsigned char *data = world_read(world, "catalog", &bytes);
    ASSERT_OK(io->remove(io->ctx, catalog, &err));
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_CORRUPT);
    world_write(world, "catalog", "", 0);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_CORRUPT);
    ASSERT_FAILS(world_try(world, HT_STORE_READONLY, &err), HITHER_CORRUPT);
    world_write(world, "catalog", data, bytes);
    ASSERT_OK(world_try(world, 0, &err));
    free(data);
    ht_release(catalog);
}

static void test_strangers(void **state) {
    store_world *world = *state;
    hither_error err;
    const ht_io *io = world->io;
    store_world file = *world;
    snprintf(file.path, sizeof file.path, "%s/file", world->root);
    ASSERT_OK(io->make_folder(io->ctx, world->path, &err));
    world_write(world, "letter.txt", "dear", 4);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_NOT_DATABASE);
    assert_non_null(strstr(err.message, world->path));
    assert_false(world_has(world, "LOCK"));
    world_write(world, "catalog", "some other program's", 20);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_NOT_DATABASE);
    ASSERT_FAILS(world_try(world, HT_STORE_READONLY, &err), HITHER_NOT_DATABASE);
    assert_false(world_has(world, "LOCK"));
    assert_false(world_has(world, "catalog-shm"));
    size_t bytes;
    unsigned char *data = world_read(world, "catalog", &bytes);
    assert_int_equal(bytes, 20);
    assert_memory_equal(data, "some other program's", 20);
    free(data);
    char *path = ht_path_join(world->path, "letter.txt");
    snprintf(file.path, sizeof file.path, "%s", path);
    ht_release(path);
    ASSERT_FAILS(world_try(&file, 0, &err), HITHER_NOT_DATABASE);
    ASSERT_FAILS(world_try(&file, HT_STORE_READONLY, &err), HITHER_NOT_DATABASE);
}

/* Changes 4 bytes of the first page, and makes its checksum right again. */
static void patch_page(const store_world *world, size_t at, uint32_t value) {
    size_t bytes;
    unsigned char *data = world_read(world, "catalog", &bytes);
    for (int i = 0; i < 4; i++)
        data[at + (size_t)i] = (unsigned char)(value >> (24 - 8 * i));
    ht_page_seal(data, 0);
    world_write(world, "catalog", data, bytes);
    free(data);
}

static void test_formats(void **state) {
    store_world *world = *state;
    hither_error err;
    ASSERT_OK(world_try(world, 0, &err));
    enum { USER_VERSION = 60, APPLICATION_ID = 68 };
    patch_page(world, USER_VERSION, HT_STORE_FORMAT + 1);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_FORMAT);
    assert_non_null(strstr(err.message, "format 2"));
    assert_non_null(strstr(err.message, "up to 1"));
    ASSERT_FAILS(world_try(world, HT_STORE_READONLY, &err), HITHER_FORMAT);
    patch_page(world, USER_VERSION, 0);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_CORRUPT);
    patch_page(world, USER_VERSION, HT_STORE_FORMAT);
    ASSERT_OK(world_try(world, 0, &err));
    patch_page(world, APPLICATION_ID, 1);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_NOT_DATABASE);
    patch_page(world, APPLICATION_ID, HT_APPLICATION_ID);
    ASSERT_OK(world_try(world, 0, &err));
    unsigned char *other = calloc(1, 8192);
    memcpy(other, "SQLite format 3", 16);
    world_write(world, "catalog", other, 8192);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_NOT_DATABASE);
    free(other);
}

static void test_second_writer(void **state) {
    store_world *world = *state;
    hither_error err;
    char pid[32];
    ht_store *store = world_open(world, 0);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_BUSY);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(err.message, pid));
    ht_store_close(store);
    ASSERT_OK(world_try(world, 0, &err));
}

static void test_read_only(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 4);
    ASSERT_OK(world_put(store, &row, 0, 10, &err));
    ht_store_close(store);
    store = world_open(world, HT_STORE_READONLY);
    assert_true(ht_store_readonly(store));
    world_expect(store, row.cid, 0, 10);
    assert_int_equal(world_verify(store, NULL), 0);
    ASSERT_FAILS(ht_txn_begin(store, &err), HITHER_READONLY);
    ASSERT_FAILS(ht_store_drop(store, row.cid, &err), HITHER_READONLY);
    ASSERT_FAILS(world_put(store, &row, 10, 10, &err), HITHER_READONLY);
    ASSERT_OK(ht_store_checkpoint(store, &err));
    ht_store_close(store);
}

/* ---- disk only: other processes */

/* One byte through a pipe: "your turn". */
static void give_turn(int fd) { assert_int_equal(write(fd, "x", 1), 1); }
static void wait_turn(int fd) {
    char c;
    if (read(fd, &c, 1) != 1)
        _exit(99);
}

static int wait_for(pid_t child) {
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_writer_elsewhere(void **state) {
    store_world *world = *state;
    hither_error err;
    int there[2], back[2];
    assert_int_equal(pipe(there) | pipe(back), 0);
    pid_t child = fork();
    if (child == 0) {
        ht_store *store;
        if (ht_store_open(world->io, world->path, 0, 0, &store, &err) != HITHER_OK)
            _exit(1);
        give_turn(back[1]);
        wait_turn(there[0]); /* for ever: the parent kills us */
        _exit(0);
    }
    wait_turn(back[0]);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)child);
    ASSERT_FAILS(world_try(world, 0, &err), HITHER_BUSY);
    assert_non_null(strstr(err.message, pid));
    ASSERT_OK(world_try(world, HT_STORE_READONLY, &err));
    kill(child, SIGKILL);
    assert_int_equal(wait_for(child), -1);
    ASSERT_OK(world_try(world, HT_STORE_EXISTING, &err));
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
}

/* Reads what the parent wrote, waits for more, learns of it, reads that. */
static int follow(const store_world *world, int from, int to) {
    ht_store *store;
    hither_error err;
    uint64_t before = 0, after = 0;
    wait_turn(from);
    if (ht_store_open(world->io, world->path, HT_STORE_READONLY, 0, &store, &err) != HITHER_OK)
        return 1;
    world_expect(store, 1, 0, 10);
    if (ht_store_data_version(store, &before, &err) != HITHER_OK ||
        ht_store_data_version(store, &after, &err) != HITHER_OK || before != after)
        return 2;
    give_turn(to);
    wait_turn(from);
    if (ht_store_data_version(store, &after, &err) != HITHER_OK || before == after)
        return 3;
    world_expect(store, 1, 0, 20);
    if (world_verify(store, NULL) != 0)
        return 4;
    ht_store_close(store);
    return 0;
}

static void test_reader_elsewhere(void **state) {
    store_world *world = *state;
    hither_error err;
    int there[2], back[2];
    assert_int_equal(pipe(there) | pipe(back), 0);
    pid_t child = fork(); /* before this process has the files open: SQLite's locks do not survive a fork */
    if (child == 0)
        _exit(follow(world, there[0], back[1]));
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 4);
    ASSERT_OK(world_put(store, &row, 0, 10, &err));
    give_turn(there[1]);
    wait_turn(back[0]);
    ASSERT_OK(world_put(store, &row, 10, 10, &err));
    ASSERT_OK(ht_store_checkpoint(store, &err));
    ASSERT_OK(world_put(store, &row, 0, 5, &err));
    give_turn(there[1]);
    assert_int_equal(wait_for(child), 0);
    ht_store_close(store);
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
}

/* A user who may read but not write: told so when writing is asked for, served when not. */
static void test_permissions(void **state) {
    store_world *world = *state;
    hither_error err;
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", 4);
    ASSERT_OK(world_put(store, &row, 0, 10, &err));
    ht_store_close(store);
    struct stat st;
    char path[200];
    snprintf(path, sizeof path, "%s/catalog", world->path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "chmod -R a-w,a+rX '%s'", world->root);
    assert_int_equal(system(path), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(9);
        if (world_try(world, 0, &err) != HITHER_PERMISSION || !strstr(err.message, world->path))
            _exit(1);
        ht_store *reader;
        if (ht_store_open(world->io, world->path, HT_STORE_READONLY, 0, &reader, &err) != HITHER_OK)
            _exit(2);
        world_expect(reader, 1, 0, 10);
        ht_store_close(reader);
        _exit(0);
    }
    int code = wait_for(child);
    snprintf(path, sizeof path, "chmod -R u+w '%s'", world->root);
    assert_int_equal(system(path), 0);
    assert_int_equal(code, 0);
}

#define BOTH(test)                                                                                                     \
    {#test " (RAM)", test, on_ram, gone, NULL}, { #test " (disk)", test, on_disk, gone, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(test_round_trip),
        BOTH(test_several_segments),
        BOTH(test_snapshot),
        BOTH(test_dead_rows),
        BOTH(test_collections),
        BOTH(test_many_collections),
        BOTH(test_int_ids),
        BOTH(test_rollback),
        BOTH(test_poison),
        BOTH(test_crash_image),
        BOTH(test_threads),
        BOTH(test_kinds_of_paths),
        BOTH(test_strangers),
        BOTH(test_formats),
        BOTH(test_second_writer),
        BOTH(test_read_only),
        cmocka_unit_test_setup_teardown(test_writer_elsewhere, on_disk, gone),
        cmocka_unit_test_setup_teardown(test_reader_elsewhere, on_disk, gone),
        cmocka_unit_test_setup_teardown(test_permissions, on_disk, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
