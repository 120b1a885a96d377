/*
 * test_repair.c: of a damaged database exactly the rows that its checksums do not vouch for are missing from the
 * repaired one, and each is listed; everything else is equal, and the source is what it was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "hither.h"
#include "io_fault.h"
#include "store_world.h"

enum {
    DIM = 14,
    STRIDE = 64,
    ROWS = 1100, /* more than one batch of the repair */
    FIRST_ROW = 4096 + (1 << 20) / STRIDE * 8
};

#define SEGMENT "seg/1-1.vec"

static store_world repaired_of(const store_world *world) {
    store_world other = *world;
    snprintf(other.path, sizeof other.path, "%s/new", world->root);
    return other;
}

/* One collection, row i in slot i with id "id-<i>", closed. */
static void make_source(store_world *world, size_t rows) {
    hither_error err;
    world_make(world, false);
    ht_store *store = world_open(world, 0);
    ht_collection_row row = world_create(store, "c", DIM);
    world_create(store, "none", 3);
    ASSERT_OK(world_put(store, &row, 0, rows, &err));
    ht_store_close(store);
}

/* The repaired database has row i as the source had it, or lacks it. */
static bool has_row(ht_store *store, int64_t cid, uint64_t i) {
    hither_error err;
    ht_reader *reader;
    uint64_t seq, slot, offsets[2] = {0, 0};
    ht_collection_row row;
    char id[32], text[32];
    offsets[1] = (uint64_t)snprintf(id, sizeof id, "id-%" PRIu64, i);
    const hither_ids ids = {.strings = {.bytes = id, .offsets = offsets, .count = 1}, .count = 1};
    ASSERT_OK(ht_reader_begin(store, cid, &reader, &seq, &err));
    ASSERT_OK(ht_reader_collection(reader, &row, &err));
    ASSERT_OK(ht_reader_find(reader, &ids, 0, seq, row.next_slot, &slot, &err));
    bool found = slot != UINT64_MAX;
    if (found) {
        ht_row got;
        ASSERT_OK(ht_reader_row(reader, slot, &got, &err));
        size_t bytes = (size_t)snprintf(text, sizeof text, "{\"n\":%" PRIu64 "}", i);
        assert_int_equal(got.metadata.bytes, bytes);
        assert_memory_equal(got.metadata.data, text, bytes);
        assert_int_equal(got.document.data == NULL, i % 3 == 0);
        bytes = i % 3 == 2 ? (size_t)snprintf(text, sizeof text, "row %" PRIu64, i) : 0;
        assert_int_equal(got.document.bytes, bytes);
        if (bytes > 0)
            assert_memory_equal(got.document.data, text, bytes);
        ht_segment **all;
        size_t count;
        ASSERT_OK(ht_store_segments(store, cid, &all, &count, &err));
        assert_int_equal(count, 1);
        const float *vector = (const float *)(const void *)((const char *)ht_segment_rows(all[0]) + slot * STRIDE);
        for (uint32_t j = 0; j < DIM; j++)
            assert_true(vector[j] == world_element(i, j));
        ht_segment_release(all[0]);
        ht_release(all);
    }
    ht_reader_end(reader);
    return found;
}

/* Repairs, and expects exactly the rows marked in `lost` to be missing. The findings, the caller's. */
static hither_result *repair(const store_world *world, size_t rows, const bool *lost) {
    hither_error err;
    hither_result *report = NULL;
    store_world new = repaired_of(world);
    size_t catalog_bytes, segment_bytes, after_bytes, missing = 0;
    unsigned char *catalog = world_read(world, "catalog", &catalog_bytes);
    unsigned char *segment = world_read(world, SEGMENT, &segment_bytes);
    ASSERT_OK(ht_db_repair_io(world->io, world->path, new.path, NULL, &report, &err));

    unsigned char *after = world_read(world, "catalog", &after_bytes);
    assert_int_equal(after_bytes, catalog_bytes);
    assert_memory_equal(after, catalog, catalog_bytes);
    free(after);
    after = world_read(world, SEGMENT, &after_bytes);
    assert_int_equal(after_bytes, segment_bytes);
    assert_memory_equal(after, segment, segment_bytes);
    free(after);
    free(catalog);
    free(segment);

    ht_store *store = world_open(&new, 0);
    ht_collection_row row;
    char text[512] = "";
    if (world_verify(store, text) != 0)
        fail_msg("%s", text);
    ASSERT_OK(ht_store_collection(store, "none", 0, &row, &err));
    assert_int_equal(row.dim, 3);
    ASSERT_OK(ht_store_collection(store, "c", 0, &row, &err));
    assert_int_equal(row.metric, HITHER_COSINE);
    for (size_t i = 0; i < rows; i++) {
        missing += lost[i];
        if (has_row(store, row.cid, i) == lost[i])
            fail_msg("row %zu is %s", i, lost[i] ? "there" : "missing");
    }
    assert_int_equal(row.live_count, rows - missing);
    ht_store_close(store);
    return report;
}

static bool says(const hither_result *report, size_t i, const char *place, const char *problem) {
    hither_strings places = hither_result_ids(report, 0).strings, problems = hither_result_documents(report, 0);
    ht_text a = ht_strings_at(&places, i), b = ht_strings_at(&problems, i);
    return a.data && b.data && memmem(a.data, a.bytes, place, strlen(place)) &&
           memmem(b.data, b.bytes, problem, strlen(problem));
}

static void expect_finding(const hither_result *report, size_t i, const char *place, const char *problem) {
    if (says(report, i, place, problem))
        return;
    hither_strings places = hither_result_ids(report, 0).strings, problems = hither_result_documents(report, 0);
    ht_text a = ht_strings_at(&places, i), b = ht_strings_at(&problems, i);
    fail_msg("finding %zu is \"%.*s: %.*s\", wanted \"%s: %s\"", i, (int)a.bytes, a.data ? a.data : "", (int)b.bytes,
             b.data ? b.data : "", place, problem);
}

static void test_nothing_wrong(void **state) {
    (void)state;
    store_world world;
    static const bool lost[ROWS];
    make_source(&world, ROWS);
    hither_result *report = repair(&world, ROWS, lost);
    assert_int_equal(hither_result_count(report, 0), 0);
    hither_result_free(report);
    hither_error err;
    store_world new = repaired_of(&world);
    ASSERT_FAILS(ht_db_repair_io(world.io, world.path, new.path, NULL, NULL, &err), HITHER_EXISTS);
    world_free(&world);
}

/* A bit in a vector, in its padding (which is no part of it), and in either checksum. */
static void test_flipped_rows(void **state) {
    (void)state;
    store_world world;
    bool lost[ROWS] = {false};
    make_source(&world, ROWS);
    world_flip(&world, SEGMENT, FIRST_ROW + 7 * STRIDE + 11, 1);
    world_flip(&world, SEGMENT, FIRST_ROW + 8 * STRIDE + DIM * 4 + 1, 1);
    world_flip(&world, SEGMENT, FIRST_ROW + (ROWS - 1) * STRIDE, 0x80); /* the newest row: no writer opens this */
    world_flip(&world, SEGMENT, 4096 + 100 * 8 + 1, 2);
    world_flip(&world, SEGMENT, 4096 + 101 * 8 + 6, 2);
    lost[7] = lost[ROWS - 1] = lost[100] = lost[101] = true;
    hither_error err;
    ASSERT_FAILS(world_try(&world, 0, &err), HITHER_CORRUPT);
    hither_result *report = repair(&world, ROWS, lost);
    assert_int_equal(hither_result_count(report, 0), 4);
    expect_finding(report, 0, "collection 'c', id \"id-7\" (slot 7)", "vector fails its checksum (seg/1-1.vec");
    expect_finding(report, 1, "id \"id-100\" (slot 100)", "vector fails");
    expect_finding(report, 2, "id \"id-101\" (slot 101)", "id, metadata or document fails");
    expect_finding(report, 3, "id \"id-1099\" (slot 1099)", "vector fails");
    hither_result_free(report);
    world_free(&world);
}

/* Random flips over table and rows; which rows they hit follows from the offset. */
static void test_many_flips(void **state) {
    (void)state;
    enum { SEED = 11, SOME = 200, FLIPS = 30 };
    store_world world;
    bool lost[SOME] = {false};
    size_t count = 0;
    make_source(&world, SOME);
    for (uint64_t i = 0; i < FLIPS; i++) {
        uint64_t at = ht_mix64(SEED + i) % (SOME * (8 + DIM * 4)), row = at / (8 + DIM * 4), inner = at % (8 + DIM * 4);
        if (lost[row])
            continue;
        world_flip(&world, SEGMENT, inner < 8 ? 4096 + row * 8 + inner : FIRST_ROW + row * STRIDE + inner - 8,
                   (unsigned char)(1u << i % 8));
        lost[row] = true;
        count++;
    }
    hither_result *report = repair(&world, SOME, lost);
    if (hither_result_count(report, 0) != count)
        fail_msg("%zu findings for %zu rows, seed %d", hither_result_count(report, 0), count, SEED);
    hither_result_free(report);
    world_free(&world);
}

/* The header is not needed; nor is the end of the file, but for the rows that were there. */
static void test_header_and_end(void **state) {
    (void)state;
    store_world world;
    static bool lost[ROWS];
    size_t bytes;
    make_source(&world, ROWS);
    world_flip(&world, SEGMENT, 30, 1);
    unsigned char *data = world_read(&world, SEGMENT, &bytes);
    world_write(&world, SEGMENT, data, FIRST_ROW + 1000 * STRIDE + 5); /* in row 1000 */
    free(data);
    for (size_t i = 0; i < ROWS; i++)
        lost[i] = i >= 1000;
    hither_result *report = repair(&world, ROWS, lost);
    assert_int_equal(hither_result_count(report, 0), 2);
    expect_finding(report, 0, "seg/1-1.vec", "judged one by one");
    expect_finding(report, 1, "collection 'c', slots 1000 to 1099", "cannot be read from seg/1-1.vec");
    hither_result_free(report);
    world_free(&world);
}

static void test_no_segment(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    hither_result *report = NULL;
    make_source(&world, 50);
    store_world new = repaired_of(&world);
    char path[128];
    snprintf(path, sizeof path, "%s/%s", world.path, SEGMENT);
    ASSERT_OK(world.io->remove(world.io->ctx, path, &err));
    ASSERT_OK(ht_db_repair_io(world.io, world.path, new.path, NULL, &report, &err));
    assert_int_equal(hither_result_count(report, 0), 1);
    expect_finding(report, 0, "collection 'c', slots 0 to 49", "cannot be read from seg/1-1.vec");
    hither_result_free(report);
    world_free(&world);
}

/* Each page of the catalog in turn: it costs the rows in it, or the catalog cannot be opened and repair says so. What
 * comes back is always right, and what is missing is told of. */
static void test_catalog_pages(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    size_t bytes, salvaged = 0, refused = 0, partly = 0;
    make_source(&world, ROWS);
    free(world_read(&world, "catalog", &bytes));
    for (uint64_t page = 0; page < bytes / 4096; page++) {
        hither_result *report = NULL;
        store_world damaged;
        world_flip(&world, "catalog", page * 4096 + 2000, 16);
        world_copy(&world, &damaged);
        world_flip(&world, "catalog", page * 4096 + 2000, 16);
        store_world new = repaired_of(&damaged);
        hither_status status = ht_db_repair_io(damaged.io, damaged.path, new.path, NULL, &report, &err);
        if (status != HITHER_OK) {
            assert_int_equal(status, HITHER_CORRUPT);
            assert_true(strstr(err.message, "which rows") || strstr(err.message, "list of collections"));
            assert_false(world_has(&new, "catalog"));
            refused++;
        } else {
            ht_collection_row row;
            size_t there = 0;
            ht_store *store = world_open(&new, 0);
            if (world_verify(store, NULL) != 0)
                fail_msg("page %" PRIu64, page);
            ASSERT_OK(ht_store_collection(store, "c", 0, &row, &err));
            for (size_t i = 0; i < ROWS && row.live_count > 0; i++)
                there += has_row(store, row.cid, i);
            assert_int_equal(row.live_count, there);
            ht_store_close(store);
            salvaged++;
            partly += there > 0 && there < ROWS;
            if (there < ROWS && hither_result_count(report, 0) == 0)
                fail_msg("page %" PRIu64 ": %zu rows of %d, and not a word", page, there, ROWS);
            hither_result_free(report);
        }
        world_free(&damaged);
    }
    assert_true(salvaged > 5);
    assert_true(partly > 3);
    assert_true(refused > 0);
    world_free(&world);
}

/* A dead version is not brought back in the place of a live one that is lost. */
static void test_dead_rows_stay_dead(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    hither_result *report = NULL;
    world_make(&world, false);
    ht_store *store = world_open(&world, 0);
    ht_collection_row row = world_create(store, "c", DIM);
    ASSERT_OK(world_put(store, &row, 0, 10, &err));
    ASSERT_OK(world_put(store, &row, 4, 1, &err)); /* slot 10 */
    ASSERT_OK(world_kill(store, &row, 2, &err));
    ht_store_close(store);
    world_flip(&world, SEGMENT, FIRST_ROW + 10 * STRIDE, 1);
    world_flip(&world, SEGMENT, FIRST_ROW + 2 * STRIDE, 1); /* dead: nobody misses it */
    store_world new = repaired_of(&world);
    ASSERT_OK(ht_db_repair_io(world.io, world.path, new.path, NULL, &report, &err));
    assert_int_equal(hither_result_count(report, 0), 1);
    expect_finding(report, 0, "id \"id-4\" (slot 10)", "vector");
    hither_result_free(report);
    store = world_open(&new, 0);
    ASSERT_OK(ht_store_collection(store, "c", 0, &row, &err));
    assert_int_equal(row.live_count, 8);
    assert_false(has_row(store, row.cid, 4));
    assert_false(has_row(store, row.cid, 2));
    assert_true(has_row(store, row.cid, 3));
    ht_store_close(store);
    world_free(&world);
}

/* What fails while repairing leaves no folder under the name, and nothing of it in the source. */
static void test_faults(void **state) {
    (void)state;
    bool hit = true;
    uint64_t n = 1;
    for (; hit; n += 3) {
        ht_io *ram = NULL;
        hither_error err;
        hither_result *report = NULL;
        store_world world;
        assert_int_equal(ht_io_ram_new(&ram, NULL), HITHER_OK);
        io_fault *fault = io_fault_new(ram);
        world_make_over(&world, io_fault_io(fault));
        store_world new = repaired_of(&world);
        ht_store *store = world_open(&world, 0);
        ht_collection_row row = world_create(store, "c", DIM);
        ASSERT_OK(world_put(store, &row, 0, 5, &err));
        ht_store_close(store);
        io_fault_arm(fault, n, n % 2 ? FAULT_IO : FAULT_FULL, false);
        hither_status status = ht_db_repair_io(world.io, world.path, new.path, NULL, &report, &err);
        hit = io_fault_hit(fault);
        io_fault_arm(fault, 0, FAULT_IO, false);
        assert_int_equal(world_has(&new, "catalog"), status == HITHER_OK);
        /* A row that could not be read is lost, and told of; what is there is right. */
        if (status == HITHER_OK) {
            ht_store *opened = world_open(&new, 0);
            size_t there = 0;
            assert_int_equal(world_verify(opened, NULL), 0);
            ASSERT_OK(ht_store_collection(opened, "c", 0, &row, &err));
            for (uint64_t i = 0; i < 5 && row.live_count > 0; i++)
                there += has_row(opened, row.cid, i);
            if (there < 5 && hither_result_count(report, 0) == 0)
                fail_msg("operation %" PRIu64 " (%s) lost rows without a word", n, io_fault_what(fault));
            ht_store_close(opened);
        }
        hither_result_free(report);
        store = world_open(&world, 0);
        assert_int_equal(world_verify(store, NULL), 0);
        ht_store_close(store);
        io_fault_free(fault);
        ht_io_ram_free(ram);
    }
    assert_true(n > 100);
}

static void test_arguments(void **state) {
    (void)state;
    hither_error err;
    ASSERT_FAILS(hither_db_repair(NULL, "x", NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_db_repair("x", "", NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_db_repair("x", ":memory:", NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_db_repair("/nowhere/x", "/nowhere/y", NULL, &err), HITHER_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_wrong), cmocka_unit_test(test_flipped_rows),
        cmocka_unit_test(test_many_flips),    cmocka_unit_test(test_header_and_end),
        cmocka_unit_test(test_no_segment),    cmocka_unit_test(test_dead_rows_stay_dead),
        cmocka_unit_test(test_catalog_pages), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
