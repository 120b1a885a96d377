/*
 * test_lanes.c: a batch large enough that threads of the pool write and code it in pieces leaves what the same rows
 * leave that were written one after another; any operation that fails there, and any allocation, fails the batch whole;
 * and what was acknowledged survives every crash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/pool.h"
#include "cmocka_all.h"
#include "engine/lanes.h"
#include "engine/state.h"
#include "index/codes.h"
#include "io_fault.h"
#include "rows.h"

enum { WIDE = 300, FEW = 16, MOST = 2000, PIECE = 64, CRASHES = 3 };
#define PATH "/db"

static hither_error err;
static float vectors[MOST * WIDE];

static void make_vectors(void) {
    for (size_t i = 0; i < MOST * WIDE; i++)
        vectors[i] = test_float(5, i);
}

typedef struct world {
    ht_db *db;
    ht_collection *c;
} world;

static hither_status try_open(world *w, const ht_io *io, uint32_t dim, uint64_t buffer_bytes) {
    const ht_db_settings settings = {.io = io, .buffer_bytes = buffer_bytes};
    const ht_collection_spec spec = {.dim = dim, .metric = HITHER_L2, .embedder = ""};
    *w = (world){0};
    hither_status status = ht_db_open(&settings, PATH, &w->db, &err);
    return status == HITHER_OK ? ht_collection_open(w->db, "c", &spec, &w->c, &err) : status;
}

static void end(world *w) {
    if (w->c)
        ht_collection_close(w->c);
    if (w->db)
        ht_db_close(w->db);
    *w = (world){0};
}

/* Rows with ids from `first` on, and with the vectors of these numbers. */
static hither_status put(world *w, size_t first, size_t count) {
    static int64_t ids[MOST];
    const uint32_t dim = ht_collection_shape(w->c)->dim;
    for (size_t i = 0; i < count; i++)
        ids[i] = (int64_t)(first + i);
    const hither_batch b = {
        .size = sizeof b, .ids = test_int_ids(ids, count), .vectors = test_matrix(vectors + first * dim, count, dim)};
    return ht_collection_put(w->c, HITHER_UPSERT, &b, NULL, NULL, &err);
}

static const ht_snapshot *snapshot(const world *w) {
    return atomic_load_explicit(&w->c->home.current, memory_order_relaxed);
}

/* Rows, norms, checksums and codes of both, to the bit. */
static void expect_equal(const world *a, const world *b) {
    const ht_snapshot *x = snapshot(a), *y = snapshot(b);
    assert_int_equal(x->slot_limit, y->slot_limit);
    assert_int_equal(x->extent_count, y->extent_count);
    for (size_t i = 0; i < x->extent_count; i++) {
        const ht_extent *p = x->extents[i], *q = y->extents[i];
        size_t rows = ht_min_size((size_t)p->capacity, (size_t)(x->slot_limit - p->first_slot));
        size_t full = rows / HT_BLOCK_ROWS * HT_BLOCK_ROWS;
        uint64_t sums[2][2] = {{0}};
        assert_int_equal(p->first_slot, q->first_slot);
        assert_memory_equal(p->rows, q->rows, rows * p->stride);
        assert_memory_equal(p->norms, q->norms, rows * sizeof *p->norms);
        assert_memory_equal(p->codes, q->codes, ht_codes_bytes(full, p->dim));
        ht_segment_digest(p->segment, 0, rows, sums[0]);
        ht_segment_digest(q->segment, 0, rows, sums[1]);
        assert_memory_equal(sums[0], sums[1], sizeof sums[0]);
        for (size_t block = 0; block < full / HT_BLOCK_ROWS; block++)
            assert_true(p->coded[block] && q->coded[block]);
    }
    assert_int_equal(ht_db_verify(a->db, NULL, NULL, &err), HITHER_OK);
}

static void lanes_leave_what_one_thread_leaves(void **state) {
    (void)state;
    static const size_t batches[] = {37, 900, 5, 64, 610, 1, 300}; /* blocks begun before; over the end of a segment */
    const size_t stride = ht_segment_stride(WIDE);
    world a, b;
    ht_io *io[2];
    assert_int_equal(ht_io_ram_new(&io[0], &err), HITHER_OK);
    assert_int_equal(ht_io_ram_new(&io[1], &err), HITHER_OK);
    assert_int_equal(ht_lanes_rows(900, stride, PIECE * stride), ht_pool_threads() > 1 ? PIECE : 0);
    assert_int_equal(ht_lanes_rows(900, stride, 1000 * stride), 0);
    assert_int_equal(ht_lanes_rows(900, stride, (PIECE - 1) * stride), 0);
    assert_int_equal(try_open(&a, io[0], WIDE, PIECE * stride), HITHER_OK);
    assert_int_equal(try_open(&b, io[1], WIDE, 1000 * stride), HITHER_OK);
    for (size_t i = 0, first = 0; i < sizeof batches / sizeof *batches; first += batches[i++]) {
        assert_int_equal(put(&a, first, batches[i]), HITHER_OK);
        assert_int_equal(put(&b, first, batches[i]), HITHER_OK);
        expect_equal(&a, &b);
    }
    assert_true(snapshot(&a)->extent_count > 1);
    for (size_t i = 0; i < 2; i++) {
        end(i ? &b : &a);
        ht_io_ram_free(io[i]);
    }
}

/* ---- trouble */

enum { ROWS = 5 * PIECE + 7, BUFFER = PIECE * FEW * sizeof(float) };

static size_t count_of(world *w) {
    uint64_t count;
    assert_int_equal(ht_collection_count(w->c, NULL, &count, &err), HITHER_OK);
    assert_int_equal(ht_db_verify(w->db, NULL, NULL, &err), HITHER_OK);
    return (size_t)count;
}

/* One batch while the nth operation, or allocation, fails; whether there were that many. */
static bool fail_nth(uint64_t nth, fault_kind kind, bool allocation) {
    world w;
    ht_io *ram;
    assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
    io_fault *fault = io_fault_new(ram);
    assert_int_equal(try_open(&w, io_fault_io(fault), FEW, BUFFER), HITHER_OK);
    assert_int_equal(put(&w, 0, 3), HITHER_OK);
    if (allocation)
        alloc_fault_arm(nth, false);
    else
        io_fault_arm(fault, nth, kind, false);
    hither_status status = put(&w, 3, ROWS);
    bool hit = allocation ? alloc_fault_hit() : io_fault_hit(fault);
    alloc_fault_arm(0, false);
    io_fault_arm(fault, 0, kind, false);
    if (status == HITHER_OK)
        assert_int_equal(count_of(&w), 3 + ROWS);
    else if (put(&w, 3, ROWS) == HITHER_OK)
        assert_int_equal(count_of(&w), 3 + ROWS);
    else
        assert_int_equal(err.status, HITHER_POISONED); /* nothing more until it is opened again */
    end(&w);
    assert_int_equal(try_open(&w, ram, FEW, BUFFER), HITHER_OK);
    size_t count = count_of(&w);
    assert_true(count == 3 || count == 3 + ROWS);
    assert_true(status != HITHER_OK || count == 3 + ROWS);
    assert_int_equal(put(&w, 3, ROWS), HITHER_OK);
    assert_int_equal(count_of(&w), 3 + ROWS);
    end(&w);
    io_fault_free(fault);
    ht_io_ram_free(ram);
    return hit;
}

static void an_operation_fails(void **state) {
    (void)state;
    static const fault_kind kinds[] = {FAULT_IO, FAULT_FULL, FAULT_SHORT_WRITE};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        uint64_t n = 1;
        while (fail_nth(n, kinds[k], false))
            n++;
        assert_true(n > 12); /* six pieces, two writes each */
    }
}

static void an_allocation_fails(void **state) {
    (void)state;
    uint64_t n = 1;
    int64_t before = alloc_fault_live();
    while (fail_nth(n, FAULT_IO, true))
        n++;
    assert_true(n > 10);
    assert_int_equal(alloc_fault_live(), before);
}

static void crashes_leave_all_or_nothing(void **state) {
    (void)state;
    world w, after;
    ht_io *ram;
    assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
    io_fault *fault = io_fault_new(ram);
    io_fault_record(fault);
    assert_int_equal(try_open(&w, io_fault_io(fault), FEW, BUFFER), HITHER_OK);
    assert_int_equal(put(&w, 0, 3), HITHER_OK);
    size_t start = io_fault_steps(fault);
    assert_int_equal(put(&w, 3, ROWS), HITHER_OK);
    size_t told = io_fault_steps(fault);
    assert_true(told - start > 12);
    for (size_t step = start; step <= told; step++) {
        for (uint64_t seed = 0; seed < CRASHES; seed++) {
            ht_io *disk = io_fault_crash(fault, step, seed);
            assert_int_equal(try_open(&after, disk, FEW, BUFFER), HITHER_OK);
            size_t count = count_of(&after);
            assert_true(count == 3 + ROWS || (count == 3 && step < told));
            end(&after);
            ht_io_ram_free(disk);
        }
    }
    end(&w);
    io_fault_free(fault);
    ht_io_ram_free(ram);
}

int main(void) {
    alloc_fault_install();
    make_vectors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_leave_what_one_thread_leaves),
        cmocka_unit_test(an_operation_fails),
        cmocka_unit_test(an_allocation_fails),
        cmocka_unit_test(crashes_leave_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
