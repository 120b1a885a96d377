/*
 * test_hnsw.c: graphs: recall against brute force, the same bytes whatever the threads and kernels, nothing out of
 * reach, answers by D; under filters, with equal rows, of every kind of row and metric.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmocka_all.h"
#include "index/hnsw.h"
#include "kernels/kernels.h"
#include "rows.h"

enum { DIM = 48, K = 10 };

typedef struct world {
    float *rows;
    uint64_t *slots;
    size_t count;
    ht_part parts[2]; /* so that slots have a gap between them */
    ht_vectors vectors;
} world;

/* Rows around centres, so that near ones are worth finding. */
static void fill(float *row, uint64_t seed, uint64_t i, size_t centres) {
    for (size_t j = 0; j < DIM; j++)
        row[j] = 2 * test_float(seed, (i * 7919 % centres) * DIM + j) + test_float(seed + 1, i * DIM + j);
}

static world make_world(size_t count, hither_metric metric) {
    world w = {.count = count};
    w.rows = ht_alloc_aligned(count * DIM * sizeof(float));
    w.slots = ht_alloc(count * sizeof *w.slots);
    assert_true(w.rows && w.slots);
    size_t first = count / 2 / 64 * 64;
    for (size_t i = 0; i < count; i++) {
        fill(w.rows + i * DIM, 17, i, 40);
        w.slots[i] = i < first ? i : i + 128;
    }
    w.parts[0] = (ht_part){.rows = w.rows, .count = first, .stride = DIM * sizeof(float)};
    w.parts[1] = (ht_part){
        .rows = w.rows + first * DIM, .first_slot = first + 128, .count = count - first, .stride = DIM * sizeof(float)};
    w.vectors = (ht_vectors){.dtype = HITHER_F32, .metric = metric, .dim = DIM, .part_count = 2};
    return w;
}
static void free_world(world *w) {
    ht_release(w->rows);
    ht_release(w->slots);
}

static ht_hnsw *build(world *w, uint32_t bits, unsigned threads, size_t steps) {
    w->vectors.parts = w->parts;
    ht_hnsw_spec spec = {
        .dtype = HITHER_F32, .metric = w->vectors.metric, .dim = DIM, .m = 8, .ef_build = 60, .bits = bits};
    ht_hnsw *g;
    hither_error err = {0};
    assert_int_equal(ht_hnsw_new(&spec, &g, &err), HITHER_OK);
    for (size_t s = 0; s < steps; s++) {
        size_t from = w->count * s / steps, to = w->count * (s + 1) / steps;
        assert_int_equal(ht_hnsw_extend(g, &w->vectors, w->slots + from, to - from, threads, NULL, &err), HITHER_OK);
        assert_int_equal(ht_hnsw_check(g, &err), HITHER_OK);
    }
    return g;
}

static double recall(const world *w, const ht_hnsw *g, size_t ef, const ht_mask *allow, double share) {
    enum { QUERIES = 50 };
    size_t hit = 0, all = 0;
    ht_hnsw_scratch scratch = {0};
    for (size_t q = 0; q < QUERIES; q++) {
        float query[DIM];
        fill(query, 17, 1000003 + q, 40);
        ht_hit got[K], truth[K];
        size_t count, true_count;
        ht_hnsw_search search = {.k = K, .ef = ef, .allow = allow, .share = share};
        hither_error err = {0};
        assert_int_equal(ht_hnsw_find(g, &scratch, &w->vectors, query, &search, got, &count, NULL, &err), HITHER_OK);
        assert_int_equal(ht_brute_search(&w->vectors, query, sizeof query, 1, NULL, allow, K, truth, &true_count, &err),
                         HITHER_OK);
        all += true_count;
        for (size_t i = 0; i < count; i++) {
            assert_true(i == 0 || ht_hit_before(got[i - 1], got[i]));
            for (size_t j = 0; j < true_count; j++) {
                if (got[i].slot != truth[j].slot)
                    continue;
                assert_memory_equal(&got[i].distance, &truth[j].distance, sizeof got[i].distance);
                hit++;
            }
        }
    }
    ht_hnsw_scratch_clear(&scratch);
    return (double)hit / (double)all;
}

static void test_recall(void **state) {
    (void)state;
    static const hither_metric metrics[] = {HITHER_COSINE, HITHER_L2, HITHER_DOT};
    ht_fp_state fp = ht_fp_enter();
    for (size_t i = 0; i < 3; i++) {
        for (uint32_t bits = 4; bits <= 8; bits += 4) {
            world w = make_world(2000, metrics[i]);
            ht_hnsw *g = build(&w, bits, 0, 2);
            double found = recall(&w, g, 80, NULL, 1);
            if (found < (metrics[i] == HITHER_DOT ? 0.85 : 0.95))
                fail_msg("metric %d, %u bits: recall %.3f", (int)metrics[i], bits, found);
            ht_hnsw_free(g);
            free_world(&w);
        }
    }
    ht_fp_leave(fp);
}

/* What a search leaves unscored, because its codes say that it is too far, would not have been an answer. */
static void test_unscored(void **state) {
    (void)state;
    enum { EF = 60, QUERIES = 60 };
    ht_fp_state fp = ht_fp_enter();
    world w = make_world(2000, HITHER_COSINE);
    ht_hnsw *g = build(&w, 4, 2, 1);
    ht_hnsw_scratch scratch = {0};
    ht_hnsw_stats some = {0}, all = {0};
    size_t same = 0;
    for (uint64_t q = 0; q < QUERIES; q++) {
        float query[DIM];
        fill(query, 17, 3000003 + q, 40);
        ht_hit got[K], slow[K];
        size_t count, slow_count;
        ht_hnsw_search search = {.k = K, .ef = EF};
        assert_int_equal(ht_hnsw_find(g, &scratch, &w.vectors, query, &search, got, &count, &some, NULL), HITHER_OK);
        search.rescore = EF;
        assert_int_equal(ht_hnsw_find(g, &scratch, &w.vectors, query, &search, slow, &slow_count, &all, NULL),
                         HITHER_OK);
        assert_int_equal(count, slow_count);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < slow_count; j++)
                same += got[i].slot == slow[j].slot && got[i].distance == slow[j].distance;
    }
    assert_int_equal(all.rescored, EF * QUERIES);
    assert_true(some.rescored < all.rescored * 2 / 3);
    if (same < K * QUERIES * 99 / 100)
        fail_msg("%zu of %d answers", same, K * QUERIES);
    ht_hnsw_scratch_clear(&scratch);
    ht_hnsw_free(g);
    free_world(&w);
    ht_fp_leave(fp);
}

/* A fingerprint of everything a graph answers with: what it finds for some queries at a small ef. */
static uint64_t fingerprint(const world *w, const ht_hnsw *g) {
    uint64_t print = 0;
    ht_hnsw_scratch scratch = {0};
    for (uint64_t q = 0; q < 40; q++) {
        float query[DIM];
        fill(query, 17, 2000003 + q, 40);
        ht_hit got[K];
        size_t count;
        ht_hnsw_stats stats = {0};
        ht_hnsw_search search = {.k = K, .ef = K, .rescore = K};
        assert_int_equal(ht_hnsw_find(g, &scratch, &w->vectors, query, &search, got, &count, &stats, NULL), HITHER_OK);
        for (size_t i = 0; i < count; i++)
            print = print * 1000003 + got[i].slot;
        print = print * 1000003 + stats.visited * 31 + stats.hops;
    }
    ht_hnsw_scratch_clear(&scratch);
    return print;
}

static void test_same_everywhere(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    for (uint32_t bits = 4; bits <= 8; bits += 4) {
        world w = make_world(900, HITHER_COSINE);
        uint64_t first = 0;
        int supported;
        for (size_t i = 0; ht_kernels_level(i, &supported); i++) {
            if (!supported)
                continue;
            assert_true(ht_kernels_force(ht_kernels_level(i, &supported)->name));
            ht_hnsw *g = build(&w, bits, i % 2 ? 1 : 4, 1);
            uint64_t print = fingerprint(&w, g);
            first = first ? first : print;
            if (print != first)
                fail_msg("%u bits: another graph at level %s", bits, ht_kernels_level(i, &supported)->name);
            ht_hnsw_free(g);
        }
        ht_kernels_force(NULL);
        free_world(&w);
    }
    ht_fp_leave(fp);
}

static void test_filters(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    world w = make_world(3000, HITHER_COSINE);
    ht_hnsw *g = build(&w, 8, 0, 1);
    static const uint64_t parts[] = {2, 4, 10};
    for (size_t i = 0; i < 3; i++) {
        uint64_t bits[1024] = {0};
        const uint64_t *chunk = bits;
        for (uint64_t slot = 0; slot < 3128; slot++)
            if (slot * 2654435761u % 1000 < 1000 / parts[i])
                bits[slot / 64] |= (uint64_t)1 << slot % 64;
        ht_mask allow = {.chunks = &chunk, .chunk_count = 1, .limit = 3128};
        double found = recall(&w, g, 80, &allow, 1 / (double)parts[i]);
        if (found < 0.85)
            fail_msg("one row in %d allowed: recall %.3f", (int)parts[i], found);
    }
    ht_hnsw_free(g);
    free_world(&w);
    ht_fp_leave(fp);
}

/* Rows equal to one another would keep all others out of their links. */
static void test_equal_rows(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    world w = make_world(2000, HITHER_COSINE);
    for (size_t i = 0; i < w.count; i++)
        if (i % 3 == 0)
            memcpy(w.rows + i * DIM, w.rows, DIM * sizeof(float));
    ht_hnsw *g = build(&w, 8, 0, 3);
    assert_true(recall(&w, g, 80, NULL, 1) > 0.9);
    ht_hnsw_free(g);
    memset(w.rows, 0, w.count * DIM * sizeof(float));
    g = build(&w, 4, 0, 1);
    ht_hnsw_free(g);
    free_world(&w);
    ht_fp_leave(fp);
}

/* Rows go, by and by; the others stay as easy to find as in a graph made of them alone. */
static void test_repair(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    world w = make_world(2400, HITHER_COSINE);
    ht_hnsw *g = build(&w, 8, 0, 1);
    uint64_t bits[1024];
    const uint64_t *chunk = bits;
    memset(bits, 0xff, sizeof bits);
    ht_mask live = {.chunks = &chunk, .chunk_count = 1, .limit = 2528};
    hither_error err = {0};
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t slot = 0; slot < 2528; slot++)
            if ((slot * 2654435761u >> 4) % 5 == round)
                bits[slot / 64] &= ~((uint64_t)1 << slot % 64);
        assert_int_equal(ht_hnsw_repair(g, &live, 0, &err), HITHER_OK);
        assert_int_equal(ht_hnsw_check(g, &err), HITHER_OK);
        double found = recall(&w, g, 60, &live, 1);
        if (found < 0.9)
            fail_msg("round %d: recall %.3f", (int)round, found);
    }
    uint64_t print = fingerprint(&w, g);
    assert_int_equal(ht_hnsw_repair(g, &live, 1, &err), HITHER_OK); /* nothing to do */
    assert_int_equal(fingerprint(&w, g), print);
    live.limit = 0;
    assert_int_equal(ht_hnsw_repair(g, &live, 0, &err), HITHER_OK);
    assert_int_equal(ht_hnsw_check(g, &err), HITHER_OK);
    assert_int_equal(ht_hnsw_limit(g), 0);
    assert_int_equal(ht_hnsw_extend(g, &w.vectors, w.slots, 100, 0, NULL, &err), HITHER_OK);
    assert_int_equal(ht_hnsw_check(g, &err), HITHER_OK);
    ht_hnsw_free(g);
    free_world(&w);
    ht_fp_leave(fp);
}

static void test_file(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    static const hither_metric metrics[] = {HITHER_COSINE, HITHER_L2};
    char *path = test_path();
    for (size_t i = 0; i < 2; i++) {
        world w = make_world(900, metrics[i]);
        ht_hnsw *g = build(&w, 4, 0, 1), *read;
        ht_container_writer *out;
        ht_container *file;
        hither_error err = {0};
        assert_int_equal(ht_container_create(ht_io_posix(), path, "test", &out, &err), HITHER_OK);
        assert_int_equal(ht_hnsw_put(g, out, &err), HITHER_OK);
        assert_int_equal(ht_container_finish(out, &err), HITHER_OK);
        assert_int_equal(ht_container_open(ht_io_posix(), path, "test", &file, &err), HITHER_OK);
        assert_int_equal(ht_hnsw_get(file, &read, &err), HITHER_OK);
        assert_true(ht_hnsw_fits(read, &w.vectors));
        assert_int_equal(fingerprint(&w, read), fingerprint(&w, g));
        w.parts[1].count--;
        assert_false(ht_hnsw_fits(read, &w.vectors));
        w.parts[1].count++;
        ht_hnsw_free(g);
        assert_int_equal(ht_hnsw_copy(read, &g, &err), HITHER_OK);
        ht_hnsw_free(read);
        ht_container_close(file);
        assert_int_equal(ht_hnsw_check(g, &err), HITHER_OK);
        ht_hnsw_free(g);
        free_world(&w);
    }
    test_remove_tree(path);
    ht_fp_leave(fp);
}

static int stop_at_second(void *ctx, uint64_t done, uint64_t of) {
    assert_true(done < of);
    return (*(int *)ctx)++ == 1;
}

static void test_failures(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    world w = make_world(1000, HITHER_COSINE);
    ht_hnsw *g = build(&w, 8, 0, 1);
    uint64_t before = fingerprint(&w, g);
    ht_hnsw_info info;
    uint64_t *more = ht_alloc(100 * sizeof *more);
    w.parts[1].count += 100; /* rows past the first thousand: read as the same ones, so made here */
    float *grown = ht_alloc_aligned((w.parts[1].count) * DIM * sizeof(float));
    memcpy(grown, w.parts[1].rows, (w.parts[1].count - 100) * DIM * sizeof(float));
    w.parts[1].rows = grown;
    for (size_t i = 0; i < 100; i++) {
        more[i] = w.slots[999] + 1 + i;
        fill(grown + (w.parts[1].count - 100 + i) * DIM, 17, 5000 + i, 40);
    }
    hither_error err = {0};
    int calls = 0;
    ht_hnsw_progress stop = {stop_at_second, &calls, 0};
    assert_int_equal(ht_hnsw_extend(g, &w.vectors, more, 100, 0, &stop, &err), HITHER_OK); /* one batch, one call */
    ht_hnsw_describe(g, &info);
    assert_int_equal(info.nodes, 1100);
    grown[(w.parts[1].count - 1) * DIM] = (float)(1e300 * 1e300);
    ht_hnsw *other = build(&w, 8, 0, 1);
    assert_int_equal(ht_hnsw_extend(other, &w.vectors, more, 100, 0, NULL, &err), HITHER_NOT_FINITE);
    assert_non_null(strstr(err.message, "slot 1227"));
    assert_int_equal(fingerprint(&w, other), before);
    calls = 1;
    assert_int_equal(ht_hnsw_extend(other, &w.vectors, more, 99, 0, &stop, &err), HITHER_INTERRUPTED);
    assert_int_equal(fingerprint(&w, other), before);
    ht_hnsw_free(other);
    ht_hnsw_free(g);
    ht_release(more);
    ht_release(grown);
    free_world(&w);
    ht_fp_leave(fp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall),  cmocka_unit_test(test_unscored),   cmocka_unit_test(test_same_everywhere),
        cmocka_unit_test(test_filters), cmocka_unit_test(test_equal_rows), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_repair),  cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
