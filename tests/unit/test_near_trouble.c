/*
 * test_near_trouble.c: what searching without looking at every row is done by, in trouble: a save over an older file
 * that fails at any operation or is cut off by a crash, bytes flipped in what is a cache, a disk that is full while the
 * index of a collection is made. What opens afterwards is the old or the new; what cannot be used is searched exactly;
 * nothing fails to open. Of each kind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmocka_all.h"
#include "engine/near.h"
#include "index/flat.h"
#include "io_fault.h"
#include "kernels/kernels.h"
#include "rows.h"

enum { DIM = 16, OLD = 2100, NEW = 2300, K = 10, QUERIES = 12, CRASHES = 24 };

static hither_error err;
static float rows[NEW * DIM], queries[QUERIES * DIM];

static void fill(float *row, uint64_t seed, uint64_t i) {
    for (size_t j = 0; j < DIM; j++)
        row[j] = 2 * test_float(31, i * 7919 % 40 * DIM + j) + test_float(seed, i * DIM + j);
}

static int set_up(void **state) {
    (void)state;
    for (size_t i = 0; i < NEW; i++)
        fill(rows + i * DIM, 32, i);
    for (size_t i = 0; i < QUERIES; i++)
        fill(queries + i * DIM, 33, i);
    return 0;
}

static ht_flat *make(hither_kind kind, size_t count) {
    ht_flat *flat;
    const ht_flat_spec spec = {
        .dtype = HITHER_F32, .metric = HITHER_COSINE, .dim = DIM, .approx = {.kind = kind, .m = 8, .ef_build = 30}};
    const hither_matrix m = test_matrix(rows, count, DIM);
    ht_fp_state fp = ht_fp_enter();
    ASSERT_OK(ht_flat_new(&spec, &flat, &err));
    ASSERT_OK(ht_flat_add(flat, &m, NULL, NULL, &err));
    ASSERT_OK(ht_flat_build(flat, &(ht_flat_building){0}, &err));
    ht_fp_leave(fp);
    return flat;
}

/* The share of the exact answer that is found. */
static double recall_of(ht_flat *flat, ht_flat_stats *stats) {
    static int64_t found[QUERIES * K], truth[QUERIES * K];
    static float far[QUERIES * K];
    const hither_matrix q = test_matrix(queries, QUERIES, DIM);
    size_t hit = 0;
    ht_fp_state fp = ht_fp_enter();
    ASSERT_OK(ht_flat_knn(flat, &q, &(ht_flat_search){.k = K, .recall = 0.95, .effort = 40}, found, far, stats, &err));
    ASSERT_OK(ht_flat_knn(flat, &q, &(ht_flat_search){.k = K, .recall = 1}, truth, far, NULL, &err));
    ht_fp_leave(fp);
    for (size_t i = 0; i < QUERIES * K; i++)
        for (size_t j = i / K * K; j < (i / K + 1) * K; j++)
            hit += found[i] == truth[j];
    return (double)hit / (QUERIES * K);
}

static hither_status save(ht_flat *flat, const ht_io *io) {
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_flat_save(flat, io, "f", &err);
    ht_fp_leave(fp);
    return status;
}

/* It opens, and is the old or the new one. */
static void opens(const ht_io *io, bool sound) {
    ht_flat *flat;
    ht_flat_info info;
    ht_flat_stats stats = {0};
    ht_fp_state fp = ht_fp_enter();
    ASSERT_OK(ht_flat_open(io, "f", &flat, &err));
    ht_fp_leave(fp);
    ht_flat_describe(flat, &info);
    assert_true(info.rows == OLD || info.rows == NEW);
    const double recall = recall_of(flat, &stats);
    assert_true(stats.walked ? recall > 0.9 : recall == 1);
    assert_true(stats.walked || !sound);
    ht_flat_release(flat);
}

static void test_saving(void **state) {
    const hither_kind kind = **(const hither_kind **)state;
    ht_io *ram;
    ht_flat *old = make(kind, OLD), *fresh = make(kind, NEW);
    assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
    io_fault *fault = io_fault_new(ram);
    ASSERT_OK(save(old, io_fault_io(fault)));
    io_fault_arm(fault, 0, FAULT_IO, false);
    ASSERT_OK(save(fresh, io_fault_io(fault)));
    const uint64_t operations = io_fault_operations(fault);
    ASSERT_OK(save(old, io_fault_io(fault)));
    for (fault_kind how = FAULT_IO; how <= FAULT_SHORT_WRITE; how++)
        for (uint64_t n = 1; n <= operations; n += 1 + operations / 40) {
            io_fault_arm(fault, n, how, how != FAULT_IO);
            const hither_status status = save(fresh, io_fault_io(fault));
            io_fault_arm(fault, 0, FAULT_IO, false);
            opens(io_fault_io(fault), true);
            if (status == HITHER_OK)
                ASSERT_OK(save(old, io_fault_io(fault)));
        }
    io_fault_free(fault);
    ht_io_ram_free(ram);
    ht_flat_release(fresh);
    ht_flat_release(old);
}

static void test_crashes(void **state) {
    const hither_kind kind = **(const hither_kind **)state;
    ht_io *ram;
    ht_flat *old = make(kind, OLD), *fresh = make(kind, NEW);
    assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
    io_fault *fault = io_fault_new(ram);
    io_fault_record(fault);
    ASSERT_OK(save(old, io_fault_io(fault)));
    const size_t first = io_fault_steps(fault);
    ASSERT_OK(save(fresh, io_fault_io(fault)));
    const size_t steps = io_fault_steps(fault);
    for (size_t i = 0; i < CRASHES; i++) {
        ht_io *after = io_fault_crash(fault, first + (steps - first) * i / (CRASHES - 1), i);
        opens(after, true);
        ht_io_ram_free(after);
    }
    io_fault_free(fault);
    ht_io_ram_free(ram);
    ht_flat_release(fresh);
    ht_flat_release(old);
}

/* Bytes flipped in each section that is a cache. */
static void test_flipped_bytes(void **state) {
    const hither_kind kind = **(const hither_kind **)state;
    static const char *const names[] = {"approx",  "graph",   "g-codes", "g-scales",  "g-totals", "g-slots", "g-levels",
                                        "g-links", "g-upper", "ivf",     "v-centres", "v-counts", "v-slots", "v-codes"};
    ht_io *ram;
    ht_flat *flat = make(kind, OLD);
    ht_container *file;
    ht_file *raw;
    uint64_t size;
    size_t seen = 0;
    assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
    ASSERT_OK(save(flat, ram));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ASSERT_OK(ht_container_open(ram, "f", "index-exact", &file, &err));
        size_t bytes, rows_bytes;
        const char *at = ht_container_section(file, names[i], &bytes);
        const char *first = ht_container_section(file, "rows", &rows_bytes);
        const ptrdiff_t apart = at - first;
        assert_true(first != NULL && rows_bytes > 0);
        seen += at != NULL;
        const uint64_t rows_at = 8192; /* "head" comes first, a page of its own behind the header's */
        ht_container_close(file);
        if (!at)
            continue;
        for (size_t part = 0; part < 3; part++) {
            uint8_t byte;
            const uint64_t offset = rows_at + (uint64_t)apart + (bytes - 1) * part / 2;
            ASSERT_OK(ram->open(ram->ctx, "f", HT_IO_WRITE, &raw, &err));
            ASSERT_OK(ram->file_size(raw, &size, &err));
            assert_true(offset < size);
            ASSERT_OK(ram->read_at(raw, &byte, 1, offset, &err));
            byte ^= 0x10;
            ASSERT_OK(ram->write_at(raw, &byte, 1, offset, &err));
            ram->close(raw);
            opens(ram, false);
            ht_flat *damaged;
            ht_flat_stats stats = {0};
            ASSERT_OK(ht_flat_open(ram, "f", &damaged, &err));
            assert_true(recall_of(damaged, &stats) == 1 && !stats.walked);
            ht_flat_release(damaged);
            ASSERT_OK(save(flat, ram));
        }
    }
    assert_true(seen >= 6);
    ht_io_ram_free(ram);
    ht_flat_release(flat);
}

/* ---- a collection */

static ht_collection *open_at(const ht_io *io, ht_db **db) {
    ht_collection *c;
    ht_collection_spec spec = {.dim = DIM, .dtype = HITHER_F32, .metric = HITHER_COSINE, .embedder = ""};
    ASSERT_OK(ht_db_open_io(io, "/db", 0, 0, db, &err));
    ASSERT_OK(ht_collection_open(*db, "c", &spec, &c, &err));
    return c;
}

static void answers(ht_collection *c) {
    hither_result *r;
    ht_search search = {.k = 1, .include = HITHER_INCLUDE_NOTHING};
    for (size_t i = 0; i < OLD; i += 300) {
        const hither_matrix q = test_matrix(rows + i * DIM, 1, DIM);
        ASSERT_OK(ht_collection_search(c, &q, NULL, &search, &r, &err));
        assert_int_equal(hither_result_ids(r, 0).ints[0], i);
        hither_result_free(r);
    }
}

static void test_full_while_building(void **state) {
    const hither_kind kind = **(const hither_kind **)state;
    static int64_t ids[OLD];
    ht_io *ram;
    ht_db *db;
    assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
    io_fault *fault = io_fault_new(ram);
    ht_collection *c = open_at(io_fault_io(fault), &db);
    for (size_t i = 0; i < OLD; i++)
        ids[i] = (int64_t)i;
    const hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, OLD), .vectors = test_matrix(rows, OLD, DIM)};
    ASSERT_OK(ht_collection_put(c, HITHER_INSERT, &b, NULL, NULL, &err));
    const ht_approx_spec spec = {.kind = kind, .m = 8, .ef_build = 30};
    for (uint64_t n = 1; n < 40; n += 3) {
        ht_progress progress = {0};
        io_fault_arm(fault, n, FAULT_FULL, true);
        hither_status ignored = ht_collection_index(c, &spec, &progress, &err);
        (void)ignored; /* a cache that cannot be kept is none; a wish that cannot be written is refused */
        io_fault_arm(fault, 0, FAULT_IO, false);
        answers(c);
        ht_collection_close(c);
        ht_db_close(db);
        c = open_at(io_fault_io(fault), &db);
        answers(c);
    }
    ht_collection_close(c);
    ht_db_close(db);
    io_fault_free(fault);
    ht_io_ram_free(ram);
}

int main(void) {
    static const hither_kind kinds[] = {HITHER_HNSW, HITHER_IVF};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_saving, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_crashes, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_flipped_bytes, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_full_while_building, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_saving, (void *)&kinds[1]),
        cmocka_unit_test_prestate(test_crashes, (void *)&kinds[1]),
        cmocka_unit_test_prestate(test_flipped_bytes, (void *)&kinds[1]),
        cmocka_unit_test_prestate(test_full_while_building, (void *)&kinds[1]),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
