/*
 * test_ivf.c: inverted lists: recall against brute force for each metric and row type, at every level of kernels, after
 * builds, adds, removes and repairs, and under filters; the same bytes whatever the threads and kernels; answers by D;
 * equal rows, outliers, rows that codes cannot stand for; lists from a file, and from a damaged one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmocka_all.h"
#include "index/approx.h"
#include "kernels/convert.h"
#include "kernels/kernels.h"
#include "rows.h"

enum { DIM = 48, K = 10, GAP = 128 };

static hither_error err;
static const ht_approx_kind *const kind = &ht_approx_ivf;

typedef struct world {
    float *rows;
    char *stored; /* the same as the dtype says */
    uint64_t *slots;
    size_t count;
    ht_part parts[2]; /* so that slots have a gap between them */
    ht_vectors vectors;
    ht_approx_spec spec;
} world;

static void fill(float *row, uint64_t seed, uint64_t i, size_t centres) {
    for (size_t j = 0; j < DIM; j++)
        row[j] = 2 * test_float(seed, (i * 7919 % centres) * DIM + j) + test_float(seed + 1, i * DIM + j);
}

static void store(world *w) {
    const size_t bytes = ht_row_bytes(w->vectors.dtype, DIM, false), stride = (bytes + 15) / 16 * 16;
    ht_release(w->stored);
    w->stored = ht_alloc_aligned(w->count * stride);
    assert_non_null(w->stored);
    const size_t first = w->count / 2 / 64 * 64;
    for (size_t i = 0; i < w->count; i++) {
        assert_int_equal(ht_convert_row(HITHER_F32, w->rows + i * DIM, w->vectors.dtype, DIM, w->stored + i * stride),
                         DIM);
    }
    w->parts[0] = (ht_part){.rows = w->stored, .count = first, .stride = stride};
    w->parts[1] = (ht_part){
        .rows = w->stored + first * stride, .first_slot = first + GAP, .count = w->count - first, .stride = stride};
    w->vectors.parts = w->parts;
}

static void make_world(world *w, size_t count, hither_metric metric, hither_dtype dtype) {
    *w = (world){.count = count};
    w->rows = ht_alloc_aligned(count * DIM * sizeof(float));
    w->slots = ht_alloc(count * sizeof *w->slots);
    assert_true(w->rows && w->slots);
    for (size_t i = 0; i < count; i++) {
        fill(w->rows + i * DIM, 17, i, 40);
        w->slots[i] = i < count / 2 / 64 * 64 ? i : i + GAP;
    }
    w->vectors = (ht_vectors){.dtype = dtype, .metric = metric, .dim = DIM, .part_count = 2};
    w->spec = (ht_approx_spec){.kind = HITHER_IVF, .dtype = dtype, .metric = metric, .dim = DIM};
    store(w);
}
static void free_world(world *w) {
    ht_release(w->rows);
    ht_release(w->stored);
    ht_release(w->slots);
}

static ht_approx *extend(const world *w, ht_approx *from, size_t begin, size_t end, unsigned threads) {
    ht_approx *out;
    ASSERT_OK(kind->complete(&(ht_approx_spec){.dtype = HITHER_F32, .metric = HITHER_L2, .dim = DIM}, &err));
    ASSERT_OK(kind->extended(from, &w->spec, &w->vectors, w->slots + begin, end - begin, threads, NULL, &out, &err));
    ASSERT_OK(kind->check(out, &err));
    if (from)
        kind->free(from);
    return out;
}

static ht_approx *build(const world *w, unsigned threads, size_t steps) {
    ht_approx *a = NULL;
    for (size_t s = 0; s < steps; s++)
        a = extend(w, a, w->count * s / steps, w->count * (s + 1) / steps, threads);
    return a;
}

static uint32_t lists_of(const ht_approx *a) {
    ht_approx_facts facts;
    kind->describe(a, &facts);
    return (uint32_t)facts.lists;
}

static double recall(const world *w, const ht_approx *a, size_t probes, const ht_mask *live, const ht_mask *allow,
                     double share) {
    enum { QUERIES = 30 };
    size_t hit = 0, all = 0;
    void *scratch = kind->scratch_new();
    for (size_t q = 0; q < QUERIES; q++) {
        float query[DIM];
        double wide[DIM];
        fill(query, 17, 1000003 + q, 40);
        for (size_t j = 0; j < DIM; j++)
            wide[j] = (double)query[j];
        const void *given = w->vectors.dtype == HITHER_F64 ? (const void *)wide : query;
        ht_hit got[K], truth[K];
        size_t count, true_count;
        const ht_approx_search search = {.k = K, .effort = probes, .live = live, .allow = allow, .share = share};
        ASSERT_OK(kind->find(a, scratch, &w->vectors, given, &search, got, &count, NULL, &err));
        ASSERT_OK(ht_brute_search(&w->vectors, given, sizeof wide, 1, live, allow, K, truth, &true_count, &err));
        all += true_count;
        for (size_t i = 0; i < count; i++) {
            assert_true(i == 0 || ht_hit_before(got[i - 1], got[i]));
            assert_true(!live || ht_mask_has(live, got[i].slot));
            assert_true(!allow || ht_mask_has(allow, got[i].slot));
            for (size_t j = 0; j < true_count; j++) {
                if (got[i].slot != truth[j].slot)
                    continue;
                assert_memory_equal(&got[i].distance, &truth[j].distance, sizeof got[i].distance);
                hit++;
            }
        }
    }
    kind->scratch_free(scratch);
    return (double)hit / (double)all;
}

static void floor_of(const char *what, double found, double least) {
    if (found < least)
        fail_msg("%s: recall %.3f, not %.3f", what, found, least);
}

static void test_every_metric_and_type(void **state) {
    (void)state;
    static const hither_dtype types[] = {HITHER_F32, HITHER_F64, HITHER_F16, HITHER_BF16, HITHER_I8};
    ht_fp_state fp = ht_fp_enter();
    for (hither_metric metric = HITHER_COSINE; metric <= HITHER_L2; metric++) {
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            char what[64];
            world w;
            make_world(&w, 1200, metric, types[t]);
            ht_approx *a = build(&w, 0, 1);
            snprintf(what, sizeof what, "metric %d, type %d", (int)metric, (int)types[t]);
            assert_true(kind->takes(types[t], metric));
            floor_of(what, recall(&w, a, lists_of(a), NULL, NULL, 1), 0.98); /* what codes lose */
            floor_of(what, recall(&w, a, lists_of(a) / 4, NULL, NULL, 1), metric == HITHER_DOT ? 0.75 : 0.9);
            kind->free(a);
            free_world(&w);
        }
    }
    assert_false(kind->takes(HITHER_B1, HITHER_HAMMING));
    assert_false(kind->takes(HITHER_F32, HITHER_L1));
    ht_fp_leave(fp);
}

/* As a file. */
static char *bytes_of(const ht_approx *a, const char *path, size_t *bytes) {
    ht_container_writer *out;
    ASSERT_OK(ht_container_create(ht_io_posix(), path, "test", &out, &err));
    ASSERT_OK(kind->put(a, out, &err));
    ASSERT_OK(ht_container_finish(out, &err));
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*bytes);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, f), *bytes);
    fclose(f);
    return data;
}

static void test_same_everywhere(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    char *path = test_path(), *first = NULL;
    size_t first_bytes = 0;
    int supported;
    world w;
    make_world(&w, 1000, HITHER_L2, HITHER_F32);
    for (size_t i = 0; ht_kernels_level(i, &supported); i++) {
        if (!supported)
            continue;
        assert_true(ht_kernels_force(ht_kernels_level(i, &supported)->name));
        for (unsigned threads = 1; threads <= 4; threads *= 2) {
            size_t bytes;
            ht_approx *a = build(&w, threads, 3);
            if (threads == 1) {
                floor_of("every level", recall(&w, a, lists_of(a) / 3, NULL, NULL, 1), 0.93);
                kind->free(extend(&w, NULL, 0, 1000, 2));
            }
            char *data = bytes_of(a, path, &bytes);
            if (first) {
                assert_int_equal(bytes, first_bytes);
                assert_memory_equal(data, first, bytes);
            }
            free(first);
            first = data;
            first_bytes = bytes;
            kind->free(a);
        }
    }
    ht_kernels_force(NULL);
    free(first);
    free_world(&w);
    test_remove_tree(path);
    ht_fp_leave(fp);
}

/* A mask of some slots. */
typedef struct some {
    uint64_t bits[1024];
    const uint64_t *chunk;
    ht_mask mask;
} some;

static void make_some(some *s, uint64_t limit, uint64_t one_in) {
    memset(s->bits, 0, sizeof s->bits);
    for (uint64_t slot = 0; slot < limit; slot++)
        if ((slot * 2654435761u >> 5) % one_in == 0)
            s->bits[slot / 64] |= (uint64_t)1 << slot % 64;
    s->chunk = s->bits;
    s->mask = (ht_mask){.chunks = &s->chunk, .chunk_count = 1, .limit = limit};
}

static void test_filters(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    static some s;
    static const uint64_t parts[] = {2, 10, 100, 1000};
    world w;
    make_world(&w, 5000, HITHER_COSINE, HITHER_F32);
    ht_approx *a = build(&w, 0, 1);
    for (size_t i = 0; i < 4; i++) {
        char what[32];
        make_some(&s, 5000 + GAP, parts[i]);
        snprintf(what, sizeof what, "one row in %d", (int)parts[i]);
        floor_of(what, recall(&w, a, lists_of(a) / 4, NULL, &s.mask, 1 / (double)parts[i]), 0.95);
    }
    kind->free(a);
    free_world(&w);
    ht_fp_leave(fp);
}

static void test_rows_come_and_go(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    static some s;
    world w;
    make_world(&w, 6000, HITHER_COSINE, HITHER_F32);
    ht_approx *a = extend(&w, NULL, 0, 2000, 0), *fresh;
    const uint32_t few = lists_of(a);
    a = extend(&w, a, 2000, 3500, 0);
    assert_int_equal(lists_of(a), few);
    floor_of("added to", recall(&w, a, few / 3, &(ht_mask){.limit = 3500 + GAP}, NULL, 1), 0.9);
    a = extend(&w, a, 3500, 6000, 0); /* made anew: the lists are too few */
    assert_true(lists_of(a) > few + few / 2);
    floor_of("outgrown", recall(&w, a, lists_of(a) / 4, NULL, NULL, 1), 0.93);
    make_some(&s, 6000 + GAP, 3);
    for (size_t i = 0; i < 1024; i++)
        s.bits[i] = ~s.bits[i];
    floor_of("masked", recall(&w, a, lists_of(a) / 4, &s.mask, NULL, 1), 0.93);
    ASSERT_OK(kind->repaired(a, &s.mask, false, 1, &fresh, &err));
    ASSERT_OK(kind->check(fresh, &err));
    assert_int_equal(kind->living(fresh, NULL), kind->living(a, &s.mask));
    assert_true(recall(&w, fresh, 9, &s.mask, NULL, 1) == recall(&w, a, 9, &s.mask, NULL, 1)); /* bit for bit */
    kind->free(a);
    ASSERT_OK(kind->repaired(fresh, &(ht_mask){.limit = 0}, false, 1, &a, &err)); /* all of them */
    assert_int_equal(kind->living(a, NULL), 0);
    kind->free(fresh);
    a = extend(&w, a, 0, 1000, 0);
    assert_int_equal(kind->living(a, NULL), 1000);
    kind->free(a);
    free_world(&w);
    ht_fp_leave(fp);
}

/* Slots are counted anew among the living: what was found is found under its new number. */
static void test_renumbered(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    static some s;
    world w;
    make_world(&w, 1500, HITHER_L2, HITHER_F32);
    ht_approx *a = build(&w, 0, 1), *fresh;
    ht_approx_facts facts;
    make_some(&s, 1500 + GAP, 2);
    for (uint64_t slot = w.parts[0].count; slot < w.parts[1].first_slot; slot++)
        s.bits[slot / 64] &= ~((uint64_t)1 << slot % 64);
    ASSERT_OK(kind->repaired(a, &s.mask, true, 1, &fresh, &err));
    ASSERT_OK(kind->check(fresh, &err));
    kind->describe(fresh, &facts);
    assert_int_equal(kind->living(fresh, &(ht_mask){.limit = facts.rows}), facts.rows); /* 0, 1, 2 ... */
    kind->free(fresh);
    kind->free(a);
    free_world(&w);
    ht_fp_leave(fp);
}

/* Many equal rows, rows of nothing, and lengths that codes have no bounds for. */
static void test_hard_rows(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (hither_metric metric = HITHER_COSINE; metric <= HITHER_L2; metric++) {
        world w;
        make_world(&w, 2000, metric, HITHER_F32);
        for (size_t i = 0; i < w.count; i += 3)
            memcpy(w.rows + i * DIM, w.rows, DIM * sizeof(float));
        for (size_t i = 7; i < w.count; i += 500)
            for (size_t j = 0; j < DIM; j++)
                w.rows[i * DIM + j] *= 1e-25F;
        if (metric == HITHER_COSINE)
            memset(w.rows + 11 * DIM, 0, DIM * sizeof(float));
        store(&w);
        ht_approx *a = build(&w, 0, 1);
        assert_true(recall(&w, a, lists_of(a), NULL, NULL, 1) > 0.97);
        kind->free(a);
        memset(w.rows, 0, w.count * DIM * sizeof(float));
        store(&w);
        a = build(&w, 0, 2);
        assert_true(recall(&w, a, lists_of(a), NULL, NULL, 1) >= 0);
        kind->free(a);
        free_world(&w);
    }
    ht_fp_leave(fp);
}

static int stop(void *ctx, uint64_t done, uint64_t of) {
    assert_true(done < of);
    return done >= (uint64_t)(*(double *)ctx * (double)of);
}

/* What a build says it takes is about what it takes. */
static void test_memory(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    world w;
    make_world(&w, 4000, HITHER_COSINE, HITHER_F32);
    ht_approx *a = NULL, *b = NULL;
    ht_hnsw_progress progress = {.memory = 1000};
    assert_int_equal(kind->extended(NULL, &w.spec, &w.vectors, w.slots, w.count, 1, &progress, &a, &err),
                     HITHER_TOO_LARGE);
    const char *said = strstr(err.message, "take ");
    assert_non_null(said);
    const uint64_t least = strtoull(said + 5, NULL, 10);
    progress.memory = least; /* the smallest sample */
    ASSERT_OK(kind->extended(NULL, &w.spec, &w.vectors, w.slots, w.count, 1, &progress, &a, &err));
    floor_of("little memory", recall(&w, a, lists_of(a) / 3, NULL, NULL, 1), 0.9);
    ASSERT_OK(kind->extended(NULL, &w.spec, &w.vectors, w.slots, w.count, 1, NULL, &b, &err));
    ht_approx_facts facts;
    kind->describe(b, &facts);
    assert_true(least > facts.bytes && least < 3 * facts.bytes);
    kind->free(b);
    kind->free(a);
    free_world(&w);
    ht_fp_leave(fp);
}

static void test_failures(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    world w;
    make_world(&w, 2000, HITHER_COSINE, HITHER_F32);
    ht_approx *a = NULL;
    for (double at = 0; at < 0.7; at += 0.3) {
        const ht_hnsw_progress progress = {stop, &at, 0};
        assert_int_equal(kind->extended(NULL, &w.spec, &w.vectors, w.slots, w.count, 0, &progress, &a, &err),
                         HITHER_INTERRUPTED);
        assert_null(a);
    }
    w.rows[1333 * DIM + 5] = (float)(1e300 * 1e300);
    memcpy(w.stored + 1333 * w.parts[0].stride, w.rows + 1333 * DIM, DIM * sizeof(float));
    assert_int_equal(kind->extended(NULL, &w.spec, &w.vectors, w.slots, w.count, 0, NULL, &a, &err), HITHER_NOT_FINITE);
    assert_non_null(strstr(err.message, "slot 1461"));
    ht_approx_spec wrong = w.spec;
    wrong.lists = 70000;
    assert_int_equal(kind->complete(&wrong, &err), HITHER_INVALID);
    w.slots[1999] = UINT32_MAX;
    assert_int_equal(kind->extended(NULL, &w.spec, &w.vectors, w.slots, w.count, 0, NULL, &a, &err), HITHER_TOO_LARGE);
    free_world(&w);
    ht_fp_leave(fp);
}

/* A file whose lists say `value` at a place, with every checksum right. */
static hither_status forged(const world *w, const ht_approx *good, const char *path, size_t offset, int which) {
    ht_container_writer *out;
    ht_container *file;
    ht_approx *read = NULL;
    char *arrays[6];
    size_t sizes[6];
    static const char *const names[] = {"ivf", "v-centres", "v-counts", "v-slots", "v-norms", "v-codes"};
    free(bytes_of(good, path, sizes));
    ASSERT_OK(ht_container_open(ht_io_posix(), path, "test", &file, &err));
    for (int i = 0; i < 6; i++) {
        const void *data = ht_container_section(file, names[i], &sizes[i]);
        arrays[i] = malloc(sizes[i] + 1);
        assert_non_null(arrays[i]);
        memcpy(arrays[i], data, sizes[i]);
    }
    ht_container_close(file);
    arrays[which][offset] ^= 0x7f;
    ASSERT_OK(ht_container_create(ht_io_posix(), path, "test", &out, &err));
    for (int i = 0; i < 6; i++) {
        ASSERT_OK(ht_container_begin(out, names[i], &err));
        ASSERT_OK(ht_container_put(out, arrays[i], sizes[i], &err));
        free(arrays[i]);
    }
    ASSERT_OK(ht_container_finish(out, &err));
    ASSERT_OK(ht_container_open(ht_io_posix(), path, "test", &file, &err));
    hither_status status = kind->get(&w->spec, file, &w->vectors, &read, &err);
    if (status == HITHER_OK) /* codes may say anything: then other rows are found, and no harm is done */
        assert_true(recall(w, read, 5, NULL, NULL, 1) > 0.3);
    if (read)
        kind->free(read);
    ht_container_close(file);
    return status;
}

static void test_files(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    char *path = test_path();
    world w;
    make_world(&w, 1500, HITHER_L2, HITHER_F32);
    ht_approx *a = build(&w, 0, 1), *read;
    ht_container *file;
    size_t bytes;
    free(bytes_of(a, path, &bytes));
    ASSERT_OK(ht_container_open(ht_io_posix(), path, "test", &file, &err));
    ASSERT_OK(kind->get(&w.spec, file, &w.vectors, &read, &err));
    assert_true(recall(&w, read, 7, NULL, NULL, 1) == recall(&w, a, 7, NULL, NULL, 1));
    ht_approx *more, *less;
    ASSERT_OK(kind->repaired(read, &(ht_mask){.limit = 1000}, false, 0, &less, &err)); /* of what is mapped */
    ASSERT_OK(kind->extended(less, &w.spec, &w.vectors, w.slots + 1000, 500, 0, NULL, &more, &err));
    ASSERT_OK(kind->check(more, &err));
    kind->free(more);
    kind->free(less);
    kind->free(read);
    ht_approx_spec other = w.spec;
    other.seed = 9;
    assert_int_equal(kind->get(&other, file, &w.vectors, &read, &err), HITHER_CORRUPT);
    w.vectors.part_count = 1; /* rows that are not there */
    assert_int_equal(kind->get(&w.spec, file, &w.vectors, &read, &err), HITHER_CORRUPT);
    w.vectors.part_count = 2;
    ht_container_close(file);
    for (size_t offset = 0; offset < 48; offset += 4)
        if (offset != 24 && offset != 28 && offset != 32 && offset != 36) /* trained, largest: when it is made anew */
            assert_int_equal(forged(&w, a, path, offset, 0), HITHER_CORRUPT);
    assert_int_equal(forged(&w, a, path, 0, 2), HITHER_CORRUPT);
    assert_int_equal(forged(&w, a, path, 40, 3), HITHER_CORRUPT);
    for (size_t offset = 0; offset < 800; offset += 97)
        (void)forged(&w, a, path, offset, 5);
    kind->free(a);
    free_world(&w);
    test_remove_tree(path);
    ht_fp_leave(fp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_metric_and_type),
        cmocka_unit_test(test_same_everywhere),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_rows_come_and_go),
        cmocka_unit_test(test_renumbered),
        cmocka_unit_test(test_hard_rows),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
