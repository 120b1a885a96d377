/*
 * test_engine.c: what the engine promises when things go wrong or get large: bytes are checked on first touch, batches
 * span segments, and whatever fails (an I/O operation, an allocation, the power) leaves whole batches behind: all of
 * those acknowledged, and nothing of any other but the one under way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/hash.h"
#include "base/io.h"
#include "cmocka_all.h"
#include "engine/parts.h"
#include "engine/state.h"
#include "index/exact.h"
#include "io_fault.h"
#include "kernels/kernels.h"
#include "rows.h"

#define SEED 31337u
#define DIM  3
#define PATH "/db.hither"

static hither_error err;

typedef struct base {
    hither_db *db;
    hither_collection *c;
} base;

static hither_status open_base(const ht_io *io, base *b, uint32_t dim) {
    ht_db *db = NULL;
    *b = (base){0};
    hither_status status = ht_db_open_io(io, PATH, 0, 0, &db, &err);
    if (status != HITHER_OK)
        return status;
    b->db = (hither_db *)db;
    hither_collection_options o = {.size = sizeof o, .dim = dim};
    return hither_collection_open(b->db, "c", &o, &b->c, &err);
}

static void close_base(base *b) {
    hither_collection_close(b->c);
    hither_db_close(b->db);
    *b = (base){0};
}

static hither_status put_rows(hither_collection *c, hither_mode mode, const int64_t *ids, const float *rows, size_t n,
                              size_t dim) {
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, n), .vectors = test_matrix(rows, n, dim)};
    return hither_collection_put(c, mode, &b, NULL, &err);
}

static hither_status search_one(hither_collection *c, const float *q, size_t dim, uint32_t k, hither_result **out) {
    hither_query query = {.size = sizeof query, .vectors = test_matrix(q, 1, dim)};
    return hither_collection_search(c, &query, k, NULL, out, &err);
}

/* ---- first touch */

typedef struct found {
    char path[128];
    size_t count;
} found;

static hither_status find_segment(void *arg, const char *name, ht_io_kind kind) {
    found *f = arg;
    if (kind == HT_IO_FILE) {
        (void)snprintf(f->path, sizeof f->path, PATH "/seg/%s", name);
        f->count++;
    }
    return HITHER_OK;
}

static size_t segment_files(const ht_io *io, found *f) {
    *f = (found){0};
    ASSERT_OK(io->list(io->ctx, PATH "/seg", find_segment, f, &err));
    return f->count;
}

/* Inverts one byte of the first place in the file where these floats stand. */
static void flip(const ht_io *io, const char *path, const float *row, size_t dim) {
    ht_file *file;
    ht_io_kind kind;
    uint64_t bytes;
    ASSERT_OK(io->stat(io->ctx, path, &kind, &bytes, &err));
    unsigned char *all = malloc(bytes);
    ASSERT_OK(io->open(io->ctx, path, HT_IO_WRITE, &file, &err));
    ASSERT_OK(io->read_at(file, all, bytes, 0, &err));
    size_t at = 0;
    while (at + dim * sizeof *row <= bytes && memcmp(all + at, row, dim * sizeof *row) != 0)
        at += sizeof *row;
    assert_true(at + dim * sizeof *row <= bytes);
    all[at + 1] ^= 0xff;
    ASSERT_OK(io->write_at(file, all + at, dim * sizeof *row, at, &err));
    io->close(file);
    free(all);
}

static void bytes_are_checked_on_first_touch(void **state) {
    (void)state;
    ht_io *io;
    base b;
    found f;
    hither_result *r;
    enum { FIRST = 1200, ROWS = 1250 }; /* opening looks at the last thousand rows itself */
    static int64_t ids[ROWS];
    static float rows[ROWS * DIM];
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)i;
        for (size_t j = 0; j < DIM; j++)
            rows[i * DIM + j] = test_float(SEED, i * DIM + j);
    }
    ASSERT_OK(ht_io_ram_new(&io, &err));
    ASSERT_OK(open_base(io, &b, DIM));
    ASSERT_OK(put_rows(b.c, HITHER_INSERT, ids, rows, FIRST, DIM));
    ASSERT_OK(search_one(b.c, rows, DIM, 3, &r));
    hither_result_free(r);
    close_base(&b);
    assert_int_equal(segment_files(io, &f), 1);
    flip(io, f.path, rows + 20 * DIM, DIM);
    ASSERT_OK(open_base(io, &b, DIM));
    for (int again = 0; again < 2; again++) {
        ASSERT_FAILS(search_one(b.c, rows, DIM, 3, &r), HITHER_CORRUPT);
        assert_non_null(strstr(err.message, "seg/"));
        assert_non_null(strstr(err.message, "slot 20 "));
    }
    hither_ids broken = test_int_ids(ids + 20, 1), fine = test_int_ids(ids + 19, 1);
    ASSERT_FAILS(hither_collection_get(b.c, &broken, NULL, HITHER_INCLUDE_VECTORS, &r, &err), HITHER_CORRUPT);
    ASSERT_OK(hither_collection_get(b.c, &fine, NULL, HITHER_INCLUDE_VECTORS, &r, &err));
    hither_result_free(r);
    ASSERT_FAILS(hither_db_verify(b.db, &r, &err), HITHER_CORRUPT);
    assert_int_equal(hither_result_count(r, 0), 1);
    hither_result_free(r);
    /* An update that keeps the broken vector would give it a good checksum: it is refused. */
    test_column column;
    const char *const patch[] = {"{\"a\":1}"};
    hither_batch update = {.size = sizeof update, .ids = broken, .metadata = test_strings(&column, 1, patch)};
    ASSERT_FAILS(hither_collection_put(b.c, HITHER_UPDATE, &update, NULL, &err), HITHER_CORRUPT);
    /* A row that is replaced is not read any more; the rows written now count as checked. */
    ASSERT_OK(put_rows(b.c, HITHER_INSERT, ids + FIRST, rows + FIRST * DIM, ROWS - FIRST, DIM));
    ASSERT_FAILS(search_one(b.c, rows, DIM, 3, &r), HITHER_CORRUPT);
    close_base(&b);
    ht_io_ram_free(io);
}

/* Writing rows into a block does not vouch for the older rows in it. */
static void writing_trusts_only_what_was_written(void **state) {
    (void)state;
    ht_io *io;
    base b;
    found f;
    hither_result *r;
    const int64_t ids[] = {1, 2, 3};
    const float rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    ASSERT_OK(ht_io_ram_new(&io, &err));
    ASSERT_OK(open_base(io, &b, DIM));
    ASSERT_OK(put_rows(b.c, HITHER_INSERT, ids, rows, 2, DIM));
    close_base(&b);
    ASSERT_OK(open_base(io, &b, DIM));
    assert_int_equal(segment_files(io, &f), 1);
    flip(io, f.path, rows, DIM); /* after opening looked at it, before anyone else did */
    ASSERT_OK(put_rows(b.c, HITHER_INSERT, ids + 2, rows + 2 * DIM, 1, DIM));
    ASSERT_FAILS(search_one(b.c, rows, DIM, 3, &r), HITHER_CORRUPT);
    hither_ids last = test_int_ids(ids + 2, 1);
    ASSERT_OK(hither_collection_get(b.c, &last, NULL, HITHER_INCLUDE_VECTORS, &r, &err)); /* a good row is still read */
    assert_memory_equal(hither_result_vectors(r, 0).data, rows + 2 * DIM, DIM * sizeof(float));
    hither_result_free(r);
    close_base(&b);
    ht_io_ram_free(io);
}

static void check_norms(ht_collection *c, size_t rows) {
    ht_scratch_pool pool = {NULL};
    ht_scratch *scratch;
    float wanted[256];
    assert_int_equal(ht_scratch_take(&pool, &scratch, NULL), HITHER_OK);
    const ht_snapshot *s = ht_snapshot_pin(&c->home, scratch);
    ht_extent *extent = s->extents[0];
    assert_int_equal(s->extent_count, 1);
    assert_int_equal(s->slot_limit, rows);
    ASSERT_OK(ht_extent_touch(extent, 0, rows, false, &err));
    ht_fp_state fp = ht_fp_enter();
    ht_exact_norms(extent->rows, extent->stride, rows, DIM, wanted);
    ht_fp_leave(fp);
    assert_memory_equal(extent->norms, wanted, rows * sizeof(float));
    ht_scratch_clear(&pool);
}

/* However a row came to be checked, its norm is the one the bounds rest on. */
static void norms_are_those_of_the_index(void **state) {
    (void)state;
    enum { ROWS = 250 };
    ht_io *io;
    ht_db *db;
    ht_collection *c;
    ht_collection_spec spec = {.dim = DIM};
    int64_t ids[ROWS];
    float rows[ROWS * DIM];
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)i;
        for (size_t j = 0; j < DIM; j++)
            rows[i * DIM + j] = test_float(SEED, i * DIM + j) * (i % 9 == 0 ? 1e-25f : i % 7 == 0 ? 1e25f : 1);
    }
    ASSERT_OK(ht_io_ram_new(&io, &err));
    size_t count = 0;
    for (size_t round = 0; round < 5; round++) {
        ASSERT_OK(ht_db_open_io(io, PATH, 0, 0, &db, &err));
        ASSERT_OK(ht_collection_open(db, "c", &spec, &c, &err));
        for (size_t half = 0; half < 2; half++) { /* one half is touched, the other left to the reopening */
            hither_batch b = {.size = sizeof b,
                              .ids = test_int_ids(ids + count, 25),
                              .vectors = test_matrix(rows + count * DIM, 25, DIM)};
            ht_fp_state fp = ht_fp_enter();
            ASSERT_OK(ht_collection_put(c, HITHER_INSERT, &b, NULL, NULL, &err));
            ht_fp_leave(fp);
            count += 25;
            if (half == 0)
                check_norms(c, count);
        }
        ht_collection_close(c);
        ht_db_close(db);
    }
    ht_io_ram_free(io);
}

/* ---- codes */

static size_t coded_blocks(ht_collection *c) {
    ht_snapshot *s = atomic_load(&c->home.current);
    size_t count = 0;
    for (size_t b = 0; b < s->slot_limit / HT_BLOCK_ROWS; b++)
        count += s->extents[0]->coded[b];
    return count;
}

/* A process that asks one question must not pay for codes; one that asks again gets them. */
static void the_first_query_after_an_open_makes_no_codes(void **state) {
    (void)state;
    enum { WIDE = 40, ROWS = 64 * 5 + 7, K = 10 };
    ht_io *io;
    ht_db *db;
    ht_collection *c;
    ht_collection_spec spec = {.dim = WIDE};
    static int64_t ids[ROWS];
    static float rows[ROWS * WIDE];
    for (size_t i = 0; i < (size_t)ROWS * WIDE; i++)
        rows[i] = test_float(SEED, i);
    for (size_t i = 0; i < ROWS; i++)
        ids[i] = (int64_t)i;
    ASSERT_OK(ht_io_ram_new(&io, &err));
    for (int round = 0; round < 2; round++) {
        ASSERT_OK(ht_db_open_io(io, PATH, 0, 0, &db, &err));
        ASSERT_OK(ht_collection_open(db, "c", &spec, &c, &err));
        ht_fp_state fp = ht_fp_enter();
        if (round == 0) {
            hither_batch b = {
                .size = sizeof b, .ids = test_int_ids(ids, ROWS), .vectors = test_matrix(rows, ROWS, WIDE)};
            ASSERT_OK(ht_collection_put(c, HITHER_INSERT, &b, NULL, NULL, &err));
        }
        assert_int_equal(coded_blocks(c), round == 0 ? 5 : 0); /* the writer codes what it writes */
        for (int search = 0; search < 3; search++) {
            hither_matrix q = test_matrix(rows + 3 * WIDE, 1, WIDE);
            ht_scratch scratch;
            memset(&scratch, 0, sizeof scratch); /* clang 14 refuses {0} where an atomic pointer is first */
            ht_vectors all;
            ASSERT_OK(ht_parts_make(atomic_load(&c->home.current), &scratch, WIDE, HITHER_COSINE, 1, &all, &err));
            ht_hit hits[K], wanted[K];
            size_t count;
            ASSERT_OK(ht_exact_search(&all, q.data, 0, 1, NULL, NULL, K, 1, hits, &count, NULL, &err));
            assert_int_equal(coded_blocks(c), round == 0 || search > 0 ? 5 : 0);
            ASSERT_OK(ht_brute_search(&all, q.data, 0, 1, NULL, NULL, K, wanted, &count, &err));
            assert_memory_equal(hits, wanted, sizeof hits);
            ht_release(scratch.parts);
            ht_release(scratch.homes);
        }
        ht_fp_leave(fp);
        ht_collection_close(c);
        ht_db_close(db);
    }
    ht_io_ram_free(io);
}

/* ---- many segments */

static void a_batch_spans_segments(void **state) {
    (void)state;
    enum { WIDE = 1000, FEW = 400, ROWS = 3400, K = 40 };
    ht_io *io;
    base b;
    found f;
    ASSERT_OK(ht_io_ram_new(&io, &err));
    ASSERT_OK(open_base(io, &b, WIDE));
    int64_t *ids = malloc(ROWS * sizeof *ids);
    float *rows = malloc((size_t)ROWS * WIDE * sizeof *rows);
    for (size_t i = 0; i < (size_t)ROWS * WIDE; i++)
        rows[i] = test_float(SEED, i);
    for (size_t i = 0; i < ROWS; i++)
        ids[i] = (int64_t)i;
    ASSERT_OK(put_rows(b.c, HITHER_INSERT, ids, rows, 1, WIDE));
    ASSERT_OK(put_rows(b.c, HITHER_INSERT, ids + 1, rows + WIDE, FEW - 1, WIDE));
    assert_int_equal(segment_files(io, &f), 2);
    /* What does not fit the second any more goes into one that holds all of it. */
    ASSERT_OK(put_rows(b.c, HITHER_INSERT, ids + FEW, rows + (size_t)FEW * WIDE, ROWS - FEW, WIDE));
    assert_int_equal(segment_files(io, &f), 3);
    ht_part part = {.rows = rows, .count = ROWS, .stride = WIDE * sizeof(float)};
    ht_vectors all = {.dtype = HITHER_F32, .metric = HITHER_COSINE, .dim = WIDE, .parts = &part, .part_count = 1};
    for (int again = 0; again < 2; again++) {
        ht_hit hits[K];
        size_t count;
        hither_result *r;
        const float *q = rows + (size_t)again * 77 * WIDE;
        ht_fp_state fp = ht_fp_enter();
        ASSERT_OK(ht_brute_search(&all, q, 0, 1, NULL, NULL, K, hits, &count, &err));
        ht_fp_leave(fp);
        ASSERT_OK(search_one(b.c, q, WIDE, K, &r));
        assert_int_equal(hither_result_count(r, 0), K);
        for (size_t i = 0; i < K; i++)
            assert_int_equal(hither_result_ids(r, 0).ints[i], hits[i].slot);
        hither_result_free(r);
        ASSERT_OK(hither_db_verify(b.db, NULL, &err));
        close_base(&b);
        ASSERT_OK(open_base(io, &b, WIDE));
    }
    close_base(&b);
    free(ids);
    free(rows);
    ht_io_ram_free(io);
}

/* ---- a small history whose every state is known
 *
 * Batch v upserts rows 0...3 with vector (v, row, 1) and inserts row 100 + v; batch 5 is a delete of row 1 instead. */

#define HISTORY 8

static hither_status step(hither_collection *c, uint64_t v) {
    if (v == 5) {
        const int64_t one = 1;
        hither_ids ids = test_int_ids(&one, 1);
        return hither_collection_delete(c, &ids, NULL, NULL, &err);
    }
    int64_t ids[] = {0, 1, 2, 3, 100 + (int64_t)v};
    float rows[5 * DIM];
    for (size_t i = 0; i < 5; i++) {
        const float row[] = {(float)v, (float)i, 1};
        memcpy(rows + i * DIM, row, sizeof row);
    }
    return put_rows(c, HITHER_UPSERT, ids, rows, 5, DIM);
}

/* After how many steps the rows look like this; -1: after none, they contradict each other. */
static int state_of(hither_collection *c) {
    hither_cursor *cursor;
    hither_result *r;
    bool there[200] = {false};
    float version[4] = {0};
    ASSERT_OK(hither_collection_scan(c, NULL, HITHER_INCLUDE_VECTORS, &cursor, &err));
    ASSERT_OK(hither_cursor_next(cursor, 1000, &r, &err));
    hither_cursor_close(cursor);
    const float *x = hither_result_vectors(r, 0).data;
    for (size_t i = 0; i < hither_result_count(r, 0); i++) {
        int64_t id = hither_result_ids(r, 0).ints[i];
        assert_in_range(id, 0, 199);
        there[id] = true;
        if (id < 4)
            version[id] = x[i * DIM];
    }
    size_t count = hither_result_count(r, 0);
    hither_result_free(r);
    if (count == 0)
        return 0;
    int v = (int)version[0];
    if (!there[1] && v == 4)
        v = 5;
    for (int i = 1; i <= HISTORY; i++) {
        if (there[100 + i] != (i <= v && i != 5))
            return -1;
    }
    for (int i = 0; i < 4; i++) {
        if (v == 5 ? there[i] != (i != 1) || (there[i] && version[i] != 4) : !there[i] || version[i] != (float)v)
            return -1;
    }
    return count == (size_t)(v - (v >= 5) + 4 - (v == 5)) ? v : -1;
}

typedef struct history {
    hither_status status; /* the first that was not OK */
    int done;             /* steps acknowledged; -1: the collection was not even there */
    bool hit;             /* a fault was */
    char what[200];
    size_t acknowledged[HISTORY + 1]; /* the length of the trace when each step returned */
} history;

/* Runs the history until something fails. Then the fault goes away, and what was acknowledged must be readable. */
static history run_history(io_fault *fault) {
    base b;
    history h = {.done = -1, .status = open_base(io_fault_io(fault), &b, DIM)};
    if (h.status == HITHER_OK)
        h.done = 0;
    while (h.status == HITHER_OK && h.done < HISTORY) {
        h.status = step(b.c, (uint64_t)h.done + 1);
        if (h.status == HITHER_OK)
            h.acknowledged[++h.done] = io_fault_steps(fault);
    }
    h.hit = io_fault_hit(fault);
    (void)snprintf(h.what, sizeof h.what, "%s (%.120s)", h.hit ? io_fault_what(fault) : "nothing failed",
                   h.status == HITHER_OK ? "" : err.message);
    io_fault_arm(fault, 0, FAULT_IO, false);
    int state = h.done < 0 ? h.done : state_of(b.c);
    if (state != h.done)
        fail_msg("%s: after %d steps the rows are those of %d", h.what, h.done, state);
    close_base(&b);
    return h;
}

static void check_left(const ht_io *io, int done, const char *what, uint64_t n) {
    base b;
    hither_status status = open_base(io, &b, DIM);
    if (status != HITHER_OK)
        fail_msg("%s %llu: opening again gave %s: %s", what, (unsigned long long)n, hither_status_name(status),
                 err.message);
    int state = state_of(b.c);
    if (state < done || state > done + 1 + (done < 0))
        fail_msg("%s %llu: %d steps were acknowledged, %d are there", what, (unsigned long long)n, done, state);
    status = hither_db_verify(b.db, NULL, &err);
    if (status != HITHER_OK)
        fail_msg("%s %llu: verify gave %s", what, (unsigned long long)n, err.message);
    for (uint64_t v = (uint64_t)state + 1; v <= HISTORY; v++) /* and it takes writes again */
        ASSERT_OK(step(b.c, v));
    assert_int_equal(state_of(b.c), HISTORY);
    close_base(&b);
}

static void every_io_failure_leaves_whole_batches(void **state) {
    (void)state;
    const fault_kind kinds[] = {FAULT_IO, FAULT_FULL, FAULT_SHORT_WRITE};
    for (size_t k = 0; k < 3; k++) {
        bool hit = true;
        for (uint64_t n = 1; hit; n += 1 + 2 * k) { /* every operation, every third, every fifth */
            ht_io *ram;
            ASSERT_OK(ht_io_ram_new(&ram, &err));
            io_fault *fault = io_fault_new(ram);
            io_fault_arm(fault, n, kinds[k], n % 2);
            history h = run_history(fault);
            hit = h.hit;
            if (!hit && h.status != HITHER_OK)
                fail_msg("%s: %s", hither_status_name(h.status), h.what);
            check_left(io_fault_io(fault), h.done, h.what, n);
            io_fault_free(fault);
            ht_io_ram_free(ram);
        }
    }
}

static void a_failed_sync_poisons(void **state) {
    (void)state;
    ht_io *ram;
    base b;
    ASSERT_OK(ht_io_ram_new(&ram, &err));
    io_fault *fault = io_fault_new(ram);
    ASSERT_OK(open_base(io_fault_io(fault), &b, DIM));
    ASSERT_OK(step(b.c, 1));
    io_fault_arm_sync(fault, 1, false);
    assert_int_not_equal(step(b.c, 2), HITHER_OK);
    assert_true(io_fault_hit(fault));
    io_fault_arm(fault, 0, FAULT_IO, false);
    ASSERT_FAILS(step(b.c, 2), HITHER_POISONED);
    assert_int_equal(state_of(b.c), 1);
    close_base(&b);
    check_left(io_fault_io(fault), 1, "sync", 1);
    io_fault_free(fault);
    ht_io_ram_free(ram);
}

static void every_crash_leaves_what_was_acknowledged(void **state) {
    (void)state;
    ht_io *ram;
    ASSERT_OK(ht_io_ram_new(&ram, &err));
    io_fault *fault = io_fault_new(ram);
    io_fault_record(fault);
    history h = run_history(fault);
    assert_int_equal(h.done, HISTORY);
    size_t steps = io_fault_steps(fault);
    for (size_t at = 0; at <= steps; at++) {
        int least = 0;
        while (least < HISTORY && h.acknowledged[least + 1] <= at)
            least++;
        ht_io *disk = io_fault_crash(fault, at, SEED + at);
        assert_non_null(disk);
        check_left(disk, least, "crash after step", at);
        ht_io_ram_free(disk);
    }
    io_fault_free(fault);
    ht_io_ram_free(ram);
}

/* ---- memory */

static void every_failed_allocation_changes_nothing(void **state) {
    (void)state;
    ht_io *ram;
    base b;
    const float q[] = {1, 2, 3};
    ASSERT_OK(ht_io_ram_new(&ram, &err));
    ASSERT_OK(open_base(ram, &b, DIM));
    for (uint64_t v = 1; v <= 4; v++)
        ASSERT_OK(step(b.c, v));
    bool hit = true;
    int now = 4;
    for (uint64_t n = 1; hit; n++) {
        alloc_fault_arm(n, false);
        hither_status status = step(b.c, (uint64_t)now + 1);
        hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        if (hit && status != HITHER_OK && status != HITHER_NOMEM)
            fail_msg("allocation %llu: %s: %s", (unsigned long long)n, hither_status_name(status), err.message);
        now += status == HITHER_OK;
        assert_int_equal(state_of(b.c), now);
        if (now == HISTORY)
            break;
    }
    hit = true;
    for (uint64_t n = 1; hit; n++) {
        hither_result *r = NULL;
        alloc_fault_arm(n, false);
        hither_status status = search_one(b.c, q, DIM, 5, &r);
        hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        assert_true(status == HITHER_OK ? r != NULL : status == HITHER_NOMEM && r == NULL);
        hither_result_free(r);
    }
    close_base(&b);
    for (uint64_t n = 1; n < 400; n++) {
        alloc_fault_arm(n, false);
        hither_status status = open_base(ram, &b, DIM);
        hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        assert_true(status == HITHER_OK || (hit && status == HITHER_NOMEM));
        if (status == HITHER_OK)
            assert_int_equal(state_of(b.c), now);
        close_base(&b);
        if (!hit)
            break;
    }
    assert_false(hit);
    ht_io_ram_free(ram);
}

static void nothing_is_kept_that_is_not_needed(void **state) {
    (void)state;
    ht_io *ram;
    base b;
    uint64_t n;
    hither_cursor *cursors[3];
    ASSERT_OK(ht_io_ram_new(&ram, &err));
    ASSERT_OK(open_base(ram, &b, DIM));
    for (uint64_t v = 1; v <= 6; v++)
        ASSERT_OK(step(b.c, v));
    ASSERT_OK(step(b.c, 7));
    ASSERT_OK(hither_collection_count(b.c, NULL, &n, &err));
    alloc_fault_arm(0, false);
    for (int i = 0; i < 10; i++)
        ASSERT_OK(hither_collection_count(b.c, NULL, &n, &err)); /* pinning allocates nothing */
    assert_int_equal(alloc_fault_requests(), 0);
    int64_t before = alloc_fault_live();
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(hither_collection_scan(b.c, NULL, 0, &cursors[i], &err));
        ASSERT_OK(step(b.c, 7)); /* each cursor holds a version of its own */
    }
    assert_true(alloc_fault_live() > before);
    for (int i = 0; i < 3; i++)
        hither_cursor_close(cursors[i]);
    ASSERT_OK(step(b.c, 7));
    assert_int_equal(alloc_fault_live(), before);
    close_base(&b);
    ht_io_ram_free(ram);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_checked_on_first_touch),
        cmocka_unit_test(writing_trusts_only_what_was_written),
        cmocka_unit_test(norms_are_those_of_the_index),
        cmocka_unit_test(the_first_query_after_an_open_makes_no_codes),
        cmocka_unit_test(a_batch_spans_segments),
        cmocka_unit_test(every_io_failure_leaves_whole_batches),
        cmocka_unit_test(a_failed_sync_poisons),
        cmocka_unit_test(every_crash_leaves_what_was_acknowledged),
        cmocka_unit_test(every_failed_allocation_changes_nothing),
        cmocka_unit_test(nothing_is_kept_that_is_not_needed),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
