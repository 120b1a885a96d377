/*
 * test_verify.c: damage done by hand. Every committed byte, once flipped, is noticed by verify or refused by open; so
 * is every file that ends early. What is not committed may be anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "store/segment.h"
#include "store/vfs.h"
#include "store/wal.h"
#include "store_world.h"

enum { ROWS = 20, DIM = 14, STRIDE = 64 }; /* 56 bytes and 8 of padding */

/* A database of one small collection, closed, so that all of the catalog is in its main file. */
static ht_collection_row small(store_world *world) {
    hither_error err;
    world_make(world, false);
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", DIM);
    ASSERT_OK(world_put(store, &row, 0, ROWS, &err));
    ASSERT_OK(world_kill(store, &row, 3, &err));
    ht_store_close(store);
    return row;
}

/* Whether the damage is noticed: by open, or by verify. The store must live through either. */
static bool noticed(const store_world *world, char text[512]) {
    ht_store *store;
    hither_error err;
    hither_status status = ht_store_open(world->io, world->path, HT_STORE_READONLY, 0, &store, &err);
    if (status != HITHER_OK) {
        snprintf(text, 512, "%s", err.message);
        return true;
    }
    size_t findings = world_verify(store, text);
    ht_store_close(store);
    return findings > 0;
}

static void expect_noticed(const store_world *world, const char *name, uint64_t offset, unsigned char bits) {
    char text[512] = "";
    world_flip(world, name, offset, bits);
    if (!noticed(world, text))
        fail_msg("%s: byte %" PRIu64 " flipped by %02x went unnoticed", name, offset, bits);
    world_flip(world, name, offset, bits);
}

static void test_sound(void **state) {
    (void)state;
    store_world world;
    char text[512] = "";
    small(&world);
    if (noticed(&world, text))
        fail_msg("%s", text);
    world_free(&world);
}

static void test_segment_bytes(void **state) {
    (void)state;
    store_world world;
    small(&world);
    for (uint64_t at = 0; at < HT_SEGMENT_HEADER_BYTES; at += at < 120 || at > 4088 ? 1 : 37)
        expect_noticed(&world, "seg/1-1.vec", at, (unsigned char)(1u << at % 8));
    for (uint64_t at = 0; at < ROWS * 8; at++)
        expect_noticed(&world, "seg/1-1.vec", HT_SEGMENT_HEADER_BYTES + at, (unsigned char)(1u << at % 8));
    uint64_t rows = HT_SEGMENT_HEADER_BYTES + (1 << 20) / STRIDE * 8;
    for (uint64_t at = 0; at < ROWS * STRIDE; at++)
        expect_noticed(&world, "seg/1-1.vec", rows + at, (unsigned char)(1u << at % 8));
    /* The row after the last one does not exist. */
    char text[512] = "";
    world_flip(&world, "seg/1-1.vec", rows + ROWS * STRIDE, 0xff);
    world_flip(&world, "seg/1-1.vec", HT_SEGMENT_HEADER_BYTES + ROWS * 8, 0xff);
    if (noticed(&world, text))
        fail_msg("%s", text);
    world_free(&world);
}

/* Places are named. */
static void test_places(void **state) {
    (void)state;
    store_world world;
    char text[512] = "";
    small(&world);
    world_flip(&world, "seg/1-1.vec", 4096 + 131072 + 2 * STRIDE, 1);
    assert_true(noticed(&world, text));
    assert_string_equal(text, "seg/1-1.vec, slot 2 (offset 135296): the vector fails its checksum");
    world_flip(&world, "seg/1-1.vec", 4096 + 131072 + 2 * STRIDE, 1);
    world_flip(&world, "seg/1-1.vec", 4096 + 5 * 8 + 4, 1);
    assert_true(noticed(&world, text));
    assert_string_equal(text, "collection 'c', slot 5: its id, metadata or document does not fit the checksum in "
                              "seg/1-1.vec (offset 4140)");
    world_flip(&world, "seg/1-1.vec", 4096 + 5 * 8 + 4, 1);
    world_flip(&world, "catalog", 3 * 4096 + 100, 1);
    assert_true(noticed(&world, text));
    assert_non_null(strstr(text, "page 4 (offset 12288)"));
    world_flip(&world, "catalog", 3 * 4096 + 100, 1);
    world_write(&world, "seg/notes.txt", "hello", 5);
    assert_true(noticed(&world, text));
    assert_non_null(strstr(text, "seg/notes.txt"));
    world_free(&world);
}

static void test_catalog_bytes(void **state) {
    (void)state;
    store_world world;
    small(&world);
    size_t bytes;
    unsigned char *data = world_read(&world, "catalog", &bytes);
    assert_true(bytes > 8 * 4096 && bytes % 4096 == 0);
    uint64_t seed = 20261121;
    for (uint64_t at = 0; at < 100; at++)
        expect_noticed(&world, "catalog", at, (unsigned char)(1u << at % 8));
    for (uint64_t page = 0; page < bytes; page += 4096) {
        assert_true(ht_page_sealed(data + page, page));
        for (uint64_t i = 0; i < 24; i++)
            expect_noticed(&world, "catalog", page + ht_mix64(seed++) % 4096, (unsigned char)(1u << i % 8));
        for (uint64_t i = 4088; i < 4096; i++)
            expect_noticed(&world, "catalog", page + i, 0x10);
    }
    free(data);
    world_free(&world);
}

/* Two pages in each other's place have good contents and wrong numbers. */
static void test_swapped_pages(void **state) {
    (void)state;
    store_world world;
    char text[512] = "";
    size_t bytes;
    small(&world);
    unsigned char *data = world_read(&world, "catalog", &bytes), page[4096];
    memcpy(page, data + 4096, 4096);
    memcpy(data + 4096, data + 8192, 4096);
    memcpy(data + 8192, page, 4096);
    world_write(&world, "catalog", data, bytes);
    assert_true(noticed(&world, text));
    free(data);
    world_free(&world);
}

static void test_truncation(void **state) {
    (void)state;
    store_world world;
    char text[512] = "";
    size_t bytes;
    small(&world);
    unsigned char *data = world_read(&world, "catalog", &bytes);
    for (size_t length = 0; length < bytes; length += 512 + length % 7) {
        world_write(&world, "catalog", data, length);
        if (!noticed(&world, text))
            fail_msg("a catalog cut to %zu bytes went unnoticed", length);
    }
    world_write(&world, "catalog", data, bytes);
    free(data);
    data = world_read(&world, "seg/1-1.vec", &bytes);
    const size_t lengths[] = {0, 1, 4095, 4096, 5000, 4096 + 131072, 4096 + 131072 + 10, bytes - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        world_write(&world, "seg/1-1.vec", data, lengths[i]);
        if (!noticed(&world, text))
            fail_msg("a segment cut to %zu bytes went unnoticed", lengths[i]);
        hither_error err;
        assert_int_equal(world_try(&world, 0, &err), HITHER_CORRUPT);
    }
    free(data);
    world_free(&world);
}

/* A row's own data, changed with the page's checksum made right again: the row's checksum is elsewhere. */
static void test_forged_row(void **state) {
    (void)state;
    store_world world;
    char text[512] = "";
    size_t bytes;
    small(&world);
    unsigned char *data = world_read(&world, "catalog", &bytes);
    unsigned char *found = memmem(data, bytes, "{\"n\":8}", 7);
    assert_non_null(found);
    found[5] = '9';
    size_t page = (size_t)(found - data) / 4096 * 4096;
    ht_page_seal(data + page, page);
    world_write(&world, "catalog", data, bytes);
    assert_true(noticed(&world, text));
    assert_non_null(strstr(text, "slot 8"));
    free(data);
    world_free(&world);
}

/* Segments that are gone, or another database's. */
static void test_foreign_segment(void **state) {
    (void)state;
    store_world world, other;
    hither_error err;
    char text[512] = "";
    size_t bytes;
    small(&world);
    small(&other);
    unsigned char *data = world_read(&other, "seg/1-1.vec", &bytes);
    world_write(&world, "seg/1-1.vec", data, bytes);
    assert_true(noticed(&world, text));
    assert_non_null(strstr(text, "uuid"));
    ASSERT_FAILS(world_try(&world, 0, &err), HITHER_CORRUPT);
    char *path = ht_path_join(world.path, "seg/1-1.vec");
    ASSERT_OK(world.io->remove(world.io->ctx, path, &err));
    assert_true(noticed(&world, text));
    ASSERT_FAILS(world_try(&world, 0, &err), HITHER_CORRUPT);
    assert_non_null(strstr(err.message, "1-1.vec"));
    ht_release(path);
    free(data);
    world_free(&world);
    world_free(&other);
}

/* The tail of the last commit is looked at by every open for writing. */
static void test_tail_at_open(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    small(&world);
    world_flip(&world, "seg/1-1.vec", 4096 + 131072 + (ROWS - 1) * STRIDE, 1);
    ASSERT_FAILS(world_try(&world, 0, &err), HITHER_CORRUPT);
    assert_non_null(strstr(err.message, "slot 19"));
    world_free(&world);
}

/* ---- the log */

/* The files a kill leaves: four commits in the log, none in the main file. */
static void crashed(store_world *image, ht_collection_row *row) {
    store_world world;
    hither_error err;
    world_make(&world, false);
    ht_store *store = world_open(&world, 0);
    *row = world_create(store, "c", DIM);
    for (uint64_t i = 0; i < 4; i++)
        ASSERT_OK(world_put(store, row, i * 5, 5, &err));
    world_copy(&world, image);
    ht_store_close(store);
    world_free(&world);
}

static void test_log_bytes(void **state) {
    (void)state;
    store_world image, copy;
    ht_collection_row row;
    hither_error err;
    size_t bytes, refused = 0, shorter = 0;
    crashed(&image, &row);
    unsigned char *data = world_read(&image, "catalog-wal", &bytes);
    size_t frames = (bytes - HT_WAL_HEADER) / HT_WAL_FRAME, last = 0, before = 0;
    for (size_t i = 0; i < frames; i++) {
        const unsigned char *frame = data + HT_WAL_HEADER + i * HT_WAL_FRAME;
        if (frame[4] | frame[5] | frame[6] | frame[7]) { /* the last of a transaction */
            before = last;
            last = i;
        }
    }
    assert_true(before > 0 && last > before);
    for (size_t i = 0; i < frames; i++) {
        for (size_t k = 0; k < 7; k++) {
            const size_t places[] = {0, 5, 7, 9, 17, 24, 24 + 4000};
            world_copy(&image, &copy);
            world_flip(&copy, "catalog-wal", HT_WAL_HEADER + i * HT_WAL_FRAME + places[k], 1);
            ht_store *store;
            hither_status status = ht_store_open(copy.io, copy.path, 0, 0, &store, &err);
            if (i <= before) { /* commits behind it were durable */
                assert_int_equal(status, HITHER_CORRUPT);
                ASSERT_FAILS(world_try(&copy, HT_STORE_READONLY, &err), HITHER_CORRUPT);
            }
            if (status == HITHER_CORRUPT) {
                refused++;
                world_free(&copy);
                continue;
            }
            ASSERT_OK(status);
            /* As if the write had been cut short: the last commits are not there, what is there is whole. */
            ht_collection_row got;
            ASSERT_OK(ht_store_collection(store, NULL, row.cid, &got, &err));
            assert_true(got.commit_seq >= 2 && got.commit_seq < 4);
            world_expect(store, row.cid, 0, got.commit_seq * 5);
            assert_int_equal(world_verify(store, NULL), 0);
            shorter++;
            ht_store_close(store);
            world_free(&copy);
        }
    }
    assert_true(refused > shorter && shorter > 0);
    for (uint64_t at = 0; at < HT_WAL_HEADER; at++) {
        world_copy(&image, &copy);
        world_flip(&copy, "catalog-wal", at, 1);
        ASSERT_FAILS(world_try(&copy, 0, &err), HITHER_CORRUPT);
        world_free(&copy);
    }
    free(data);
    world_free(&image);
}

/* While the store is open its log is known to be longer than the first bad frame: any flip is a finding. */
static void test_live_log(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    char text[512] = "";
    size_t bytes;
    world_make(&world, false);
    ht_store *store = world_open(&world, 0);
    ht_collection_row row = world_create(store, "c", DIM);
    ASSERT_OK(world_put(store, &row, 0, 5, &err));
    free(world_read(&world, "catalog-wal", &bytes));
    uint64_t seed = 7;
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t at = HT_WAL_HEADER + ht_mix64(seed++) % (bytes - HT_WAL_HEADER);
        world_flip(&world, "catalog-wal", at, (unsigned char)(1u << i % 8));
        if (world_verify(store, text) == 0)
            fail_msg("catalog-wal: byte %" PRIu64 " flipped went unnoticed", at);
        world_flip(&world, "catalog-wal", at, (unsigned char)(1u << i % 8));
    }
    assert_int_equal(world_verify(store, text), 0);
    ht_store_close(store);
    world_free(&world);
}

/* The counts of a collection's entry, wrong in a catalog that is otherwise sound. */
static void test_counts(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    char text[512] = "";
    world_make(&world, false);
    ht_store *store = world_open(&world, 0);
    ht_collection_row row = world_create(store, "c", DIM), wrong;
    ASSERT_OK(world_put(store, &row, 0, 5, &err));
    const struct {
        uint64_t next_slot, live_count, commit_seq;
        ht_id_kind kind;
        const char *message;
    } cases[] = {{5, 4, 1, HT_ID_TEXT, "it has 5 rows, its entry says 4"},
                 {6, 5, 1, HT_ID_TEXT, "its segments end at slot 5, the collection at slot 6"},
                 {5, 5, 1, HT_ID_INT, "its id is not of the collection's kind"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wrong = row;
        wrong.next_slot = cases[i].next_slot;
        wrong.live_count = cases[i].live_count;
        wrong.commit_seq = cases[i].commit_seq;
        wrong.id_kind = cases[i].kind;
        ASSERT_OK(ht_txn_begin(store, &err));
        ASSERT_OK(ht_txn_collection(store, &wrong, &err));
        ASSERT_OK(ht_txn_commit(store, &err));
        assert_true(world_verify(store, text) > 0);
        if (!strstr(text, cases[i].message))
            fail_msg("%s", text);
    }
    ht_store_close(store);
    world_free(&world);
}

static hither_status stop(void *arg, const char *place, const char *problem) {
    (void)arg;
    (void)place;
    (void)problem;
    return HITHER_INTERRUPTED;
}

static void test_stopped(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    small(&world);
    world_flip(&world, "seg/1-1.vec", 4096 + 131072, 1);
    ht_store *store = world_open(&world, HT_STORE_READONLY);
    ASSERT_FAILS(ht_store_verify(store, HT_VERIFY_DEEP, stop, NULL, NULL, &err), HITHER_INTERRUPTED);
    ht_store_close(store);
    world_free(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),         cmocka_unit_test(test_segment_bytes),
        cmocka_unit_test(test_places),        cmocka_unit_test(test_catalog_bytes),
        cmocka_unit_test(test_swapped_pages), cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_forged_row),    cmocka_unit_test(test_foreign_segment),
        cmocka_unit_test(test_tail_at_open),  cmocka_unit_test(test_log_bytes),
        cmocka_unit_test(test_live_log),      cmocka_unit_test(test_counts),
        cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
