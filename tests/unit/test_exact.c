/*
 * test_exact.c: exact search against brute force by D, bit for bit: slots, order, distances, counts; at every level
 * this machine runs and with 1, 2 and 4 threads; on random and on hostile data; and once with a bound that is wrong on
 * purpose, which must be noticed.
 */
#include "index/exact.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "cmocka_all.h"
#include "index/bound.h"
#include "index/codes.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

#define SEED 20240711u

#ifdef __SANITIZE_THREAD__ /* how its threads meet shows in fewer */
enum { CASES = 50, EACH = 3, ALONE = 0 };
#else
enum { CASES = 1000, EACH = 1, ALONE = 1 /* also what one thread does */ };
#endif
enum { MOST_PARTS = 3, MOST_QUERIES = 70 };

static uint64_t stream = SEED;

static uint64_t draw(void) { return ht_mix64(stream++); }
static size_t below(size_t n) { return (size_t)(draw() % n); }
static double uniform(void) { return (double)(int64_t)draw() * 0x1p-63; }

/* How the rows of a case look. */
typedef enum shape {
    RANDOM,      /* anything */
    CLUSTERED,   /* a few centres, small noise */
    NEAR_TWINS,  /* rows differ by a millionth in a few values */
    ALL_EQUAL,   /* every distance a tie */
    FEW_VALUES,  /* many ties */
    HUGE_ROW,    /* one row of f32's largest values */
    OVERFLOW,    /* every f32 sum overflows */
    DENORMALS,   /* and zero rows among them */
    ALTERNATING, /* signs cancel in the sums */
    ORTHOGONAL,  /* to the queries */
    ZEROS,       /* some rows and some queries are zero */
    MIXED,       /* magnitudes from 2^-60 to 2^60 */
    FAR_OFF,     /* a small cloud far from the origin: l2 cancels */
    SHAPES
} shape;

static float value(shape kind, size_t row, size_t column, bool query) {
    float random = (float)uniform();
    switch (kind) {
    case CLUSTERED:
        return (float)(int64_t)ht_mix64(row % 5 * 1000 + column) * 0x1p-63f + random * 0.01f;
    case NEAR_TWINS: {
        float base = (float)(int64_t)ht_mix64(query ? ~column : column) * 0x1p-63f;
        uint64_t bits = ht_mix64(row * 1000 + column); /* up or down in one value of sixteen */
        return query || bits % 16 ? base : base + (float)((int)(bits / 16 % 9) - 4) * 0x1p-20f;
    }
    case ALL_EQUAL:
        return query ? random : (float)(column + 1);
    case FEW_VALUES:
        return (float)(draw() % 3) - 1;
    case HUGE_ROW:
        return !query && row == 7 ? (column % 2 ? 3.4e38f : -3.4e38f) : random;
    case OVERFLOW:
        return random * 3.4e38f;
    case DENORMALS:
        return row % 9 == 4 ? 0 : random * 0x1p-130f;
    case ALTERNATING:
        return (column % 2 ? 1.0f : -1.0f) * (1 + random * 0x1p-20f);
    case ORTHOGONAL:
        return (column % 2 != 0) == query ? random : 0;
    case ZEROS:
        return row % 3 == 0 ? 0 : random;
    case MIXED:
        return ldexpf(random, (int)(ht_mix64(row) % 121) - 60);
    case FAR_OFF:
        return 10000 + random * 0.5f;
    default:
        return random;
    }
}

typedef struct example {
    shape kind;
    hither_metric metric;
    size_t dim, rows, queries, query_stride, k, parts;
    ht_part part[MOST_PARTS];
    float *memory[MOST_PARTS], *norms[MOST_PARTS], *query;
    void *codes[MOST_PARTS];
    const float **places[MOST_PARTS];
    uint64_t *bits[2][2]; /* of live and allow: two chunks */
    const uint64_t *chunks[2][2];
    ht_mask mask[2];
    bool masked[2];
} example;

static void make_mask(example *e, int which, uint64_t slots) {
    uint64_t some[3] = {~(uint64_t)0, 0, 0}; /* per word: dense, sparse, empty */
    e->masked[which] = below(2) == 0;
    e->mask[which] = (ht_mask){e->chunks[which], 2, below(4) == 0 ? below(slots + 1) : slots};
    for (int c = 0; c < 2; c++) {
        e->bits[which][c] = NULL;
        if (below(4) != 0) {
            e->bits[which][c] = ht_alloc(65536 / 8);
            for (size_t w = 0; w < 1024; w++) {
                some[1] = draw() & draw() & draw() & draw();
                some[0] = draw() | draw();
                e->bits[which][c][w] = some[below(3)];
            }
        }
        e->chunks[which][c] = e->bits[which][c];
    }
}

static void add_codes(example *e, size_t p, size_t rows) {
    e->codes[p] = ht_alloc_aligned(ht_codes_bytes(rows, e->dim));
    size_t half = rows / 2 / HT_CODE_ROWS * HT_CODE_ROWS;
    ht_codes_make(e->memory[p], e->part[p].stride, e->dim, half, rows, e->codes[p]);
    ht_codes_make(e->memory[p], e->part[p].stride, e->dim, 0, half, e->codes[p]);
    e->part[p].codes = e->codes[p];
    e->part[p].coded_rows = rows;
}

/* Parts with gaps between their slots, rows with padding, norms and codes there or not. */
static void make(example *e, shape kind, hither_metric metric, size_t dim, size_t rows, size_t queries, size_t k,
                 bool simple) {
    *e = (example){.kind = kind, .metric = metric, .dim = dim, .rows = rows, .queries = queries, .k = k};
    e->parts = simple ? 1 : 1 + below(MOST_PARTS);
    uint64_t slot = 0;
    size_t done = 0;
    for (size_t p = 0; p < e->parts; p++) {
        size_t count = p + 1 == e->parts ? rows - done : ht_min_size(rows - done, below(rows / 2 + 1) / 64 * 64);
        size_t stride = (dim + below(3)) * sizeof(float);
        e->memory[p] = ht_alloc(count * stride);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < stride / sizeof(float); j++)
                e->memory[p][i * (stride / sizeof(float)) + j] = j < dim ? value(kind, done + i, j, false) : NAN;
        e->norms[p] = ht_alloc(count * sizeof(float));
        ht_exact_norms(e->memory[p], stride, count, dim, e->norms[p]);
        e->part[p] = (ht_part){.rows = e->memory[p],
                               .first_slot = slot,
                               .count = count,
                               .stride = stride,
                               .norms = below(4) ? e->norms[p] : NULL};
        e->codes[p] = NULL;
        e->places[p] = NULL;
        if (below(3) && !simple)
            add_codes(e, p, (below(3) ? count : below(count + 1)) / HT_CODE_ROWS * HT_CODE_ROWS);
        done += count;
        slot += (count + 63) / 64 * 64 + (simple ? 0 : 64 * below(3));
    }
    e->query_stride = (dim + below(2)) * sizeof(float);
    e->query = ht_alloc(queries * e->query_stride);
    for (size_t i = 0; i < queries; i++)
        for (size_t j = 0; j < dim; j++)
            e->query[i * (e->query_stride / sizeof(float)) + j] = value(kind, i, j, true);
    make_mask(e, 0, slot);
    make_mask(e, 1, slot);
    if (simple)
        e->masked[0] = e->masked[1] = false;
}

/* The same rows, each somewhere else. */
static void scatter(example *e) {
    for (size_t p = 0; p < e->parts; p++) {
        const size_t count = e->part[p].count, stride = e->part[p].stride;
        const float **places = ht_calloc(count + 1, sizeof *places);
        char *memory = ht_alloc((count + 1) * stride);
        for (size_t i = 0; i < count; i++) { /* 7 divides neither: each place is taken once */
            const size_t to = i * 7 % (count % 7 ? count : count + 1);
            memcpy(memory + to * stride, (const char *)e->memory[p] + i * stride, stride);
            places[i] = (const float *)(const void *)(memory + to * stride);
        }
        ht_release(e->memory[p]);
        e->memory[p] = (float *)(void *)memory;
        e->places[p] = places;
        e->part[p].places = places;
        e->part[p].rows = NULL;
        e->part[p].norms = e->norms[p];
    }
}

static void clear(example *e) {
    for (size_t p = 0; p < e->parts; p++) {
        ht_release((void *)e->places[p]);
        ht_release(e->memory[p]);
        ht_release(e->norms[p]);
        ht_release(e->codes[p]);
    }
    for (int which = 0; which < 2; which++)
        for (int c = 0; c < 2; c++)
            ht_release(e->bits[which][c]);
    ht_release(e->query);
}

/* Whether search and brute force agree; prints where they do not if `loud`. */
static bool agrees(const example *e, unsigned threads, bool loud) {
    hither_error err;
    ht_vectors v = {
        .dtype = HITHER_F32, .metric = e->metric, .dim = (uint32_t)e->dim, .parts = e->part, .part_count = e->parts};
    const ht_mask *live = e->masked[0] ? &e->mask[0] : NULL, *allow = e->masked[1] ? &e->mask[1] : NULL;
    size_t room = e->queries * e->k;
    ht_hit *want = ht_calloc(room, sizeof *want), *got = ht_calloc(room, sizeof *got);
    size_t want_counts[MOST_QUERIES], got_counts[MOST_QUERIES];
    ht_exact_stats stats = {0};
    bool same = true;
    ASSERT_OK(ht_brute_search(&v, e->query, e->query_stride, e->queries, live, allow, e->k, want, want_counts, &err));
    ASSERT_OK(ht_exact_search(&v, e->query, e->query_stride, e->queries, live, allow, e->k, threads, got, got_counts,
                              &stats, &err));
    for (size_t j = 0; j < e->queries && same; j++) {
        same = want_counts[j] == got_counts[j];
        for (size_t i = 0; same && i < want_counts[j]; i++) {
            ht_hit *a = &want[j * e->k + i], *b = &got[j * e->k + i];
            same = a->slot == b->slot && memcmp(&a->distance, &b->distance, sizeof a->distance) == 0;
        }
    }
    if (!same && loud)
        print_error("seed %u, level %s, threads %u: shape %d, metric %d, dim %zu, rows %zu, queries %zu, k %zu\n", SEED,
                    ht_kernels_get()->name, threads, (int)e->kind, (int)e->metric, e->dim, e->rows, e->queries, e->k);
    ht_release(want);
    ht_release(got);
    return same;
}

/* The same for all rows within a radius, which is the distance of some row of the first query. */
static bool agrees_within(const example *e, unsigned threads, ht_exact_scratch *scratch) {
    hither_error err;
    ht_vectors v = {
        .dtype = HITHER_F32, .metric = e->metric, .dim = (uint32_t)e->dim, .parts = e->part, .part_count = e->parts};
    const ht_mask *live = e->masked[0] ? &e->mask[0] : NULL, *allow = e->masked[1] ? &e->mask[1] : NULL;
    ht_hit *want = ht_calloc(e->queries * e->rows + 1, sizeof *want);
    size_t counts[MOST_QUERIES];
    ht_found found[MOST_QUERIES];
    bool same = true;
    ASSERT_OK(ht_brute_search(&v, e->query, e->query_stride, e->queries, live, allow, e->rows, want, counts, &err));
    float radius = counts[0] > 0 ? (float)want[below(counts[0])].distance : 0;
    ASSERT_OK(ht_exact_within(scratch, &v, e->query, e->query_stride, e->queries, live, allow, radius, threads, found,
                              NULL, &err));
    for (size_t j = 0; j < e->queries; j++) {
        const ht_hit *expected = want + j * e->rows;
        size_t count = 0;
        while (count < counts[j] && (float)expected[count].distance <= radius)
            count++;
        same &= count == found[j].count;
        for (size_t i = 0; same && i < count; i++)
            same = expected[i].slot == found[j].hits[i].slot &&
                   memcmp(&expected[i].distance, &found[j].hits[i].distance, sizeof(double)) == 0;
        ht_release(found[j].hits);
    }
    ht_release(want);
    return same;
}

static size_t some_dim(void) {
    static const size_t round_ones[] = {8, 16, 32, 64, 96, 128};
    return below(3) ? 1 + below(130) : round_ones[below(6)];
}

static void random_cases(void **state) {
    (void)state;
    static const unsigned threads[] = {1, 2, 4};
    ht_exact_scratch scratch = {0};
    size_t levels = 0;
    for (int supported; ht_kernels_level(levels, &supported) && supported;)
        levels++;
    for (size_t i = 0; i < CASES; i++) {
        int supported;
        assert_true(ht_kernels_force(ht_kernels_level(i % levels, &supported)->name));
        size_t rows = below(5) ? below(300) : below(3000);
        size_t queries = below(4) ? 1 + below(3) : 1 + below(MOST_QUERIES);
        if (queries > 8 || rows > 1000)
            rows = rows > 600 && queries > 4 ? 600 : rows;
        size_t k = below(6) == 0 ? rows + 1 + below(20) : 1 + below(20);
        example e;
        make(&e, (shape)(i % SHAPES), (hither_metric)(1 + draw() % 4), some_dim(), rows, queries, k, false);
        if (i % 5 == 2)
            scatter(&e);
        assert_true(agrees(&e, threads[i % 3], true));
        if (i % 4 == 0 && e.rows > 0)
            assert_true(agrees_within(&e, threads[i % 3], i % 8 ? NULL : &scratch));
        clear(&e);
    }
    ht_exact_scratch_clear(&scratch);
    assert_true(ht_kernels_force(NULL));
}

/* Every level, thread count, metric and shape, on more rows: threads share units and thresholds. */
static void every_level_and_thread_count(void **state) {
    (void)state;
    if (!ALONE)
        skip();
    int supported;
    for (int kind = 0; kind < SHAPES; kind += EACH) {
        for (int metric = HITHER_COSINE; metric <= HITHER_L1; metric++) {
            example e;
            make(&e, (shape)kind, (hither_metric)metric, 40, 5000, 1 + (size_t)(kind + metric) % 2, 10, false);
            e.masked[0] = e.masked[1] = false;
            for (size_t i = 0; ht_kernels_level(i, &supported); i++) {
                if (!supported)
                    continue;
                assert_true(ht_kernels_force(ht_kernels_level(i, &supported)->name));
                assert_true(agrees(&e, 1 + (unsigned)(i + (size_t)kind) % 4, true));
            }
            clear(&e);
        }
    }
    assert_true(ht_kernels_force(NULL));
}

/* Enough units that threads share a block of queries, each with a part of the rows and a heap of its own. */
static void threads_share_rows(void **state) {
    (void)state;
    static const shape kinds[] = {RANDOM, CLUSTERED, FEW_VALUES, ALL_EQUAL, MIXED};
    for (size_t i = 0; i < 10; i += EACH) {
        example e;
        make(&e, kinds[i % 5], (hither_metric)(1 + i % 4), 33 + i, 20000, 1 + i % 3, 7 + 30 * i, false);
        if (i % 2)
            e.masked[0] = e.masked[1] = false;
        for (unsigned threads = 1; threads <= 4; threads *= 2)
            assert_true(agrees(&e, threads, true) && agrees_within(&e, threads, NULL));
        clear(&e);
    }
}

/* With every allowance for error multiplied by 0, estimates are taken for the truth; that must show. */
static void wrong_bound_is_caught(void **state) {
    (void)state;
    if (!ALONE)
        skip();
#ifdef HT_ASSERTIONS
    assert_true(ht_kernels_force("scalar")); /* the fewest lanes: the largest errors */
    for (int metric = HITHER_COSINE; metric <= HITHER_L1; metric++) {
        bool caught = false;
        for (int round = 0; round < 20 && !caught; round++) {
            example e;
            make(&e, NEAR_TWINS, (hither_metric)metric, 4000, 600, 1 + (size_t)round % 3, 10, true);
            assert_true(agrees(&e, 1, true));
            ht_bound_test_scale = 0;
            caught = !agrees(&e, 1, false);
            ht_bound_test_scale = 1;
            clear(&e);
        }
        assert_true(caught);
    }
    assert_true(ht_kernels_force(NULL));
#else
    skip();
#endif
}

/* The same for codes; and rows in codes are indeed ruled out, so that the tests are about something. */
static void wrong_bound_of_codes_is_caught(void **state) {
    (void)state;
    if (!ALONE)
        skip();
    for (int metric = HITHER_COSINE; metric <= HITHER_L2; metric++) {
        hither_error err;
        example e;
        make(&e, CLUSTERED, (hither_metric)metric, 50, 4096, 2, 10, true);
        e.part[0].norms = e.norms[0];
        add_codes(&e, 0, 4096);
        assert_true(agrees(&e, 1, true));
        ht_vectors v = {
            .dtype = HITHER_F32, .metric = e.metric, .dim = (uint32_t)e.dim, .parts = e.part, .part_count = 1};
        ht_hit hits[20];
        size_t counts[2];
        ht_exact_stats stats = {0};
        ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, 2, NULL, NULL, 10, 1, hits, counts, &stats, &err));
        assert_int_equal(stats.rows_scanned, 8192);
        assert_true(stats.rows_rescored < 4096);
#ifdef HT_ASSERTIONS
        ht_bound_test_scale = 0;
        assert_false(agrees(&e, 1, false));
        ht_bound_test_scale = 1;
#endif
        clear(&e);
    }
}

/* Each step that rules rows out, weakened by itself: the others do not hide it. */
static void each_wrong_step_is_caught(void **state) {
    (void)state;
    if (!ALONE)
        skip();
#ifdef HT_ASSERTIONS
    assert_true(ht_kernels_force("scalar"));
    for (int metric = HITHER_COSINE; metric <= HITHER_L2; metric++) {
        bool coarse = false, range = false;
        for (int round = 0; round < 10 && !(coarse && range); round++) {
            example e;
            make(&e, CLUSTERED, (hither_metric)metric, 60, 3 * 4096, 1, 10, true);
            e.part[0].norms = e.norms[0];
            add_codes(&e, 0, e.rows);
            assert_true(agrees(&e, 1, true));
            ht_bound_test_coarse = 0;
            coarse |= !agrees(&e, 1, false);
            ht_bound_test_coarse = 1;
            clear(&e);
            make(&e, NEAR_TWINS, (hither_metric)metric, 2000, 400, 1 + (size_t)round % 2, 10, true);
            ht_bound_test_range = 0;
            range |= !agrees(&e, 1, false);
            ht_bound_test_range = 1;
            clear(&e);
        }
        assert_true(coarse);
        assert_true(range);
    }
    assert_true(ht_kernels_force(NULL));
#else
    skip();
#endif
}

/* All rows at one distance: the first k slots are the answer. HITHER_TIES is how many rows. */
static void all_rows_tie(void **state) {
    (void)state;
    enum { DIM = 32, LEAST = 12800, K = 70 };
    const char *given = getenv("HITHER_TIES");
    size_t rows = (given ? strtoull(given, NULL, 10) : LEAST) / HT_CODE_ROWS * HT_CODE_ROWS;
    int supported;
    for (size_t i = 0; ht_kernels_level(i, &supported); i++) {
        if (!supported)
            continue;
        assert_true(ht_kernels_force(ht_kernels_level(i, &supported)->name));
        hither_error err;
        example e;
        make(&e, ALL_EQUAL, (hither_metric)(1 + i % 4), DIM, rows, 1, K, true);
        if (i % 2)
            add_codes(&e, 0, rows);
        ht_vectors v = {.dtype = HITHER_F32, .metric = e.metric, .dim = DIM, .parts = e.part, .part_count = 1};
        for (unsigned threads = 1; threads <= 4; threads *= 2) {
            ht_hit hits[K];
            size_t count, k = threads == 2 ? 10 : K;
            ASSERT_OK(
                ht_exact_search(&v, e.query, e.query_stride, 1, NULL, NULL, k, threads, hits, &count, NULL, &err));
            assert_int_equal(count, k);
            for (size_t h = 0; h < k; h++)
                assert_int_equal(hits[h].slot, h);
        }
        clear(&e);
    }
    assert_true(ht_kernels_force(NULL));
}

typedef struct touched {
    size_t first_read; /* rows before it were announced */
    unsigned char rows[4096];
    bool fail;
} touched;

static hither_status touch(void *ctx, size_t part, size_t begin, size_t end, hither_error *err) {
    touched *t = ctx;
    if (t->fail)
        return ht_fail(err, HITHER_CORRUPT, "part %zu, rows %zu to %zu", part, begin, end);
    memset(t->rows + begin, 1, end - begin);
    return HITHER_OK;
}

static void touches_what_it_reads(void **state) {
    (void)state;
    hither_error err;
    example e;
    make(&e, RANDOM, HITHER_L2, 20, 4000, 1, 5, true);
    uint64_t bits[1024] = {0};
    const uint64_t *chunk = bits;
    bits[3000 / 64] = 1; /* slot 2,944 only */
    ht_mask allow = {&chunk, 1, 4000};
    touched t = {0};
    ht_vectors v = {.dtype = HITHER_F32,
                    .metric = e.metric,
                    .dim = (uint32_t)e.dim,
                    .parts = e.part,
                    .part_count = 1,
                    .touch = touch,
                    .touch_ctx = &t};
    ht_hit hits[5];
    size_t count = 99;
    ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, 1, NULL, &allow, 5, 1, hits, &count, NULL, &err));
    assert_int_equal(count, 1);
    assert_int_equal(hits[0].slot, 2944);
    assert_int_equal(t.rows[2944], 1);
    assert_int_equal(t.rows[0], 0); /* a part nobody asked for is not read */
    t.fail = true;
    count = 99;
    ASSERT_FAILS(ht_exact_search(&v, e.query, e.query_stride, 1, NULL, NULL, 5, 1, hits, &count, NULL, &err),
                 HITHER_CORRUPT);
    assert_int_equal(count, 99);
    clear(&e);
}

typedef struct touched_parts {
    unsigned char rows[2][2048], codes[2][2048];
} touched_parts;

static hither_status touch_row(void *ctx, size_t part, size_t begin, size_t end, hither_error *err) {
    (void)err;
    memset(((touched_parts *)ctx)->rows[part] + begin, 1, end - begin);
    return HITHER_OK;
}

static hither_status touch_codes(void *ctx, size_t part, size_t begin, size_t end, hither_error *err) {
    (void)err;
    memset(((touched_parts *)ctx)->codes[part] + begin, 1, end - begin);
    return HITHER_OK;
}

/* With touch_codes, a row is announced when it is scored, however long it waited, and under its own part. */
static void touches_rows_behind_codes(void **state) {
    (void)state;
    enum { HALF = 2048, K = 40 };
    hither_error err;
    example e;
    make(&e, RANDOM, HITHER_COSINE, 48, 2 * HALF, 1, K, true);
    add_codes(&e, 0, 2 * HALF);
    ht_part parts[2] = {e.part[0], e.part[0]};
    parts[0].norms = e.norms[0];
    parts[0].count = parts[1].count = parts[0].coded_rows = parts[1].coded_rows = HALF;
    parts[1].rows = (const char *)parts[0].rows + HALF * parts[0].stride;
    parts[1].norms = e.norms[0] + HALF;
    parts[1].codes = (const char *)e.codes[0] + ht_codes_bytes(HALF, e.dim);
    parts[1].first_slot = HALF;
    touched_parts t = {0};
    ht_vectors v = {.dtype = HITHER_F32,
                    .metric = e.metric,
                    .dim = (uint32_t)e.dim,
                    .parts = parts,
                    .part_count = 2,
                    .touch = touch_row,
                    .touch_codes = touch_codes,
                    .touch_ctx = &t};
    ht_hit hits[K], want[K];
    size_t count, touched_rows = 0;
    ht_exact_stats stats = {0};
    ASSERT_OK(ht_brute_search(&v, e.query, e.query_stride, 1, NULL, NULL, K, want, &count, &err));
    memset(&t, 0, sizeof t);
    ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, 1, NULL, NULL, K, 1, hits, &count, &stats, &err));
    assert_int_equal(count, K);
    for (size_t i = 0; i < K; i++) {
        assert_int_equal(hits[i].slot, want[i].slot);
        assert_int_equal(t.rows[hits[i].slot / HALF][hits[i].slot % HALF], 1);
    }
    for (size_t i = 0; i < 2 * HALF; i++) {
        touched_rows += t.rows[i / HALF][i % HALF];
        assert_int_equal(t.codes[i / HALF][i % HALF], 1);
    }
    assert_int_equal(touched_rows, stats.rows_full);
    assert_true(touched_rows < 2 * HALF && stats.rows_rescored < 2 * K);
    clear(&e);
}

/* With a recall below 1 fewer rows are looked at, nearly all of an answer is right, and its distances are D; the
 * statistics say what happened. A recall that is no share is refused, and 1 is exact. */
static void recall_below_one(void **state) {
    (void)state;
    enum { ROWS = 8192, QUERIES = 20, K = 10 };
    hither_error err;
    example e;
    make(&e, RANDOM, HITHER_COSINE, 200, ROWS, QUERIES, K, true);
    e.part[0].norms = e.norms[0];
    add_codes(&e, 0, ROWS);
    ht_vectors v = {
        .dtype = HITHER_F32, .metric = e.metric, .dim = (uint32_t)e.dim, .parts = e.part, .part_count = 1, .recall = 1};
    ht_hit want[QUERIES * K], hits[QUERIES * K];
    size_t counts[QUERIES], right = 0;
    ht_exact_stats sure = {0}, likely = {0}, full = {0};
    ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, QUERIES, NULL, NULL, K, 1, want, counts, &sure, &err));
    assert_string_equal(sure.bound, "residual");
    v.recall = 0.9;
    ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, QUERIES, NULL, NULL, K, 1, hits, counts, &likely, &err));
    assert_string_equal(likely.bound, "standard error");
    assert_string_equal(likely.plan, "codes");
    for (size_t i = 0; i < QUERIES * K; i++) {
        const float *q = e.query + i / K * (e.query_stride / sizeof(float));
        const char *row = (const char *)e.part[0].rows + hits[i].slot * e.part[0].stride;
        assert_true(hits[i].distance == ht_ref_distance_f32(HITHER_COSINE, q, (const float *)(const void *)row, e.dim));
        for (size_t j = i / K * K; j < i / K * K + K; j++)
            right += hits[i].slot == want[j].slot;
    }
    assert_true(right >= QUERIES * K * 9 / 10);
    assert_true(likely.rows_scanned == sure.rows_scanned && sure.rows_scanned == QUERIES * ROWS);
    assert_true(likely.rows_fine_kept < sure.rows_fine_kept);
    assert_true(sure.bytes_read >= QUERIES * ROWS * e.dim / 4 + sure.rows_rescored * e.dim * sizeof(float));
    e.part[0].codes = NULL;
    ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, QUERIES, NULL, NULL, K, 1, hits, counts, &full, &err));
    assert_memory_equal(hits, want, sizeof hits); /* without codes it is exact */
    assert_string_equal(full.bound, "rounding");
    assert_string_equal(full.plan, "full");
    assert_true(full.rows_full == QUERIES * ROWS && full.rows_full_kept >= QUERIES * K);
    v.recall = -0.5;
    ASSERT_FAILS(ht_exact_search(&v, e.query, e.query_stride, 1, NULL, NULL, K, 1, hits, counts, NULL, &err),
                 HITHER_INVALID);
    clear(&e);
}

/* More units than are put off at a time (a part begins one), for a large k, alone and on several threads. */
static void many_units_put_off(void **state) {
    (void)state;
    enum { PARTS = 150, ROWS = PARTS * HT_CODE_ROWS, K = 100, QUERIES = 10 };
    static const shape kinds[] = {RANDOM, CLUSTERED, ALL_EQUAL, ORTHOGONAL, MIXED};
    size_t by_codes = 0, in_full = 0;
    for (size_t i = 0; i < 10; i += EACH) {
        hither_error err;
        example e;
        make(&e, kinds[i % 5], (hither_metric)(1 + i % 3), i < 5 ? 40 : 400, ROWS, QUERIES, K, true);
        add_codes(&e, 0, ROWS);
        ht_part parts[PARTS];
        for (size_t p = 0; p < PARTS; p++)
            parts[p] = (ht_part){.rows = (const char *)e.part[0].rows + p * HT_CODE_ROWS * e.part[0].stride,
                                 .first_slot = p * HT_CODE_ROWS,
                                 .count = HT_CODE_ROWS,
                                 .stride = e.part[0].stride,
                                 .norms = e.norms[0] + p * HT_CODE_ROWS,
                                 .codes = (const char *)e.codes[0] + ht_codes_bytes(p * HT_CODE_ROWS, e.dim),
                                 .coded_rows = HT_CODE_ROWS};
        ht_vectors v = {
            .dtype = HITHER_F32, .metric = e.metric, .dim = (uint32_t)e.dim, .parts = parts, .part_count = PARTS};
        static ht_hit want[QUERIES * K], hits[QUERIES * K];
        size_t counts[QUERIES], queries = i % 2 ? QUERIES : 1;
        ASSERT_OK(ht_brute_search(&v, e.query, e.query_stride, queries, NULL, NULL, K, want, counts, &err));
        for (unsigned threads = 1; threads <= 4; threads *= 2) {
            ht_exact_stats stats = {0};
            ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, queries, NULL, NULL, K, threads, hits, counts,
                                      &stats, &err));
            assert_memory_equal(hits, want, queries * K * sizeof *hits);
            by_codes += stats.rows_full < queries * ROWS / 2;
            in_full += stats.rows_fine < queries * ROWS / 2;
        }
        clear(&e);
    }
    assert_true(by_codes > 0 && in_full > 0); /* both ways were taken */
}

/* Where codes keep too much of a unit, rows are read in full behind it, and then codes are tried again. */
static void codes_given_up(void **state) {
    (void)state;
    enum { UNITS = 5, DIM = 300, UNIT_ROWS = 4096, ROWS = UNITS * UNIT_ROWS, QUERIES = 6, K = 60 };
    hither_error err;
    example e;
    make(&e, RANDOM, HITHER_DOT, DIM, ROWS, QUERIES, K, true);
    add_codes(&e, 0, ROWS);
    assert_true(agrees(&e, 1, true) && agrees(&e, 4, true));
    e.part[0].norms = e.norms[0];
    ht_vectors v = {.dtype = HITHER_F32, .metric = e.metric, .dim = DIM, .parts = e.part, .part_count = 1};
    static ht_hit hits[QUERIES * K];
    size_t counts[QUERIES];
    ht_exact_stats stats = {0};
    ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, QUERIES, NULL, NULL, K, 1, hits, counts, &stats, &err));
    assert_int_equal(stats.rows_scanned, QUERIES * ROWS);
    assert_in_range(stats.rows_fine, QUERIES * UNIT_ROWS, QUERIES * 4 * UNIT_ROWS);
    assert_in_range(stats.rows_full, QUERIES * UNIT_ROWS, QUERIES * ROWS);
    clear(&e);
}

static void odd_arguments(void **state) {
    (void)state;
    hither_error err;
    float row[3] = {1, 2, 3};
    ht_part part = {.rows = row, .count = 1, .stride = sizeof row};
    ht_vectors v = {.dtype = HITHER_F32, .metric = HITHER_COSINE, .dim = 3, .parts = &part, .part_count = 1};
    ht_hit hits[4];
    size_t count = 7;
    ASSERT_OK(ht_exact_search(&v, row, 12, 1, NULL, NULL, 4, 0, hits, &count, NULL, &err));
    assert_int_equal(count, 1);
    assert_true(hits[0].distance == 0);
    part.count = 0;
    ASSERT_OK(ht_exact_search(&v, row, 12, 1, NULL, NULL, 4, 0, hits, &count, NULL, &err));
    assert_int_equal(count, 0);
    v.part_count = 0;
    ASSERT_OK(ht_exact_search(&v, row, 12, 1, NULL, NULL, 4, 0, hits, &count, NULL, &err));
    assert_int_equal(count, 0);
    v.metric = HITHER_HAMMING;
    ASSERT_FAILS(ht_exact_search(&v, row, 12, 1, NULL, NULL, 4, 0, hits, &count, NULL, &err), HITHER_UNSUPPORTED);
    v.metric = HITHER_COSINE;
    v.dtype = HITHER_B1;
    ASSERT_FAILS(ht_exact_search(&v, row, 12, 1, NULL, NULL, 4, 0, hits, &count, NULL, &err), HITHER_UNSUPPORTED);
}

/* A NaN or infinity anywhere in a row that takes part is an error in every metric, wherever it stands. */
static void not_finite(void **state) {
    (void)state;
    hither_error err;
    for (int metric = HITHER_COSINE; metric <= HITHER_L1; metric++) {
        for (int i = 0; i < 40; i++) {
            example e;
            make(&e, i % 2 ? ZEROS : RANDOM, (hither_metric)metric, 1 + below(70), 300, 1 + (size_t)i % 3, 5, true);
            e.part[0].norms = NULL;
            size_t row = below(300), column = below(e.dim);
            e.memory[0][row * (e.part[0].stride / sizeof(float)) + column] = i % 3 ? NAN : -INFINITY;
            ht_vectors v = {
                .dtype = HITHER_F32, .metric = e.metric, .dim = (uint32_t)e.dim, .parts = e.part, .part_count = 1};
            ht_hit hits[15];
            size_t counts[3];
            ASSERT_FAILS(
                ht_exact_search(&v, e.query, e.query_stride, e.queries, NULL, NULL, 5, 1, hits, counts, NULL, &err),
                HITHER_NOT_FINITE);
            char place[64];
            snprintf(place, sizeof place, "slot %zu, column %zu:", row, column);
            assert_non_null(strstr(err.message, place));
            clear(&e);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_cases),
        cmocka_unit_test(every_level_and_thread_count),
        cmocka_unit_test(threads_share_rows),
        cmocka_unit_test(wrong_bound_is_caught),
        cmocka_unit_test(wrong_bound_of_codes_is_caught),
        cmocka_unit_test(each_wrong_step_is_caught),
        cmocka_unit_test(all_rows_tie),
        cmocka_unit_test(touches_what_it_reads),
        cmocka_unit_test(touches_rows_behind_codes),
        cmocka_unit_test(recall_below_one),
        cmocka_unit_test(many_units_put_off),
        cmocka_unit_test(codes_given_up),
        cmocka_unit_test(odd_arguments),
        cmocka_unit_test(not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
