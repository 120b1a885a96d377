/*
 * test_stored.c: exact search over rows of every type against brute force by the definition of D, bit for bit, at every
 * level, with 1, 2 and 4 threads, on random and on hostile data; and once with bounds that are wrong on purpose.
 */
#include "index/stored.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/values.h"
#include "cmocka_all.h"
#include "index/bound.h"
#include "index/codes.h"
#include "index/exact.h"

#define SEED 20241122u

enum { CASES = 900, MOST_QUERIES = 40, MOST_DIM = 140 };

static uint64_t stream = SEED;

static uint64_t draw(void) { return ht_mix64(stream++); }
static size_t below(size_t n) { return (size_t)(draw() % n); }
static double uniform(void) { return (double)(int64_t)draw() * 0x1p-63; }

typedef enum shape {
    RANDOM,
    CLUSTERED,
    TWINS,     /* rows differ by what f64 can see and f32 cannot, or only just */
    ALL_EQUAL, /* every distance a tie */
    ZEROS,     /* some rows and some queries are zero */
    SMALL,     /* near the least number of the type */
    LARGE,     /* near the largest */
    MIXED,     /* all magnitudes, row by row */
    FAR_OFF,   /* a small cloud far from the origin */
    SHAPES
} shape;

/* The exponents a type has, with some room. */
static int most_exponent(hither_dtype dtype) { return dtype == HITHER_F64 ? 500 : dtype == HITHER_F16 ? 15 : 120; }

static double value(shape kind, hither_dtype dtype, size_t row, size_t column, bool query) {
    double random = uniform();
    int most = most_exponent(dtype);
    switch (kind) {
    case CLUSTERED:
        return (double)(int64_t)ht_mix64(row % 5 * 1000 + column) * 0x1p-63 + random * 0.01;
    case TWINS:
        return query ? random
                     : (double)(int64_t)ht_mix64(column) * 0x1p-63 + random * (dtype == HITHER_F64 ? 0x1p-40 : 0x1p-17);
    case ALL_EQUAL:
        return query ? random : (double)(column % 50) + 0.1;
    case ZEROS:
        return row % 3 == 0 ? 0 : random;
    case SMALL:
        return row % 9 == 4 ? 0 : ldexp(random, dtype == HITHER_F64 ? -1060 : dtype == HITHER_F16 ? -20 : -135);
    case LARGE:
        return ldexp(random, query && dtype != HITHER_F64 ? 0 : most);
    case MIXED:
        return ldexp(random, (int)(ht_mix64(row) % (unsigned)(2 * most)) - most);
    case FAR_OFF:
        return 1000 + random * 0.5;
    default:
        return random;
    }
}

typedef struct example {
    shape kind;
    hither_dtype dtype;
    hither_metric metric;
    size_t dim, rows, queries, query_stride, k;
    char *memory, *query;
    float *norms;
    void *codes;
    ht_part part;
} example;

static hither_dtype type_of_query(hither_dtype dtype) {
    return dtype == HITHER_F64 || dtype == HITHER_B1 ? dtype : HITHER_F32;
}

static void make(example *e, size_t i, bool norms) {
    e->dtype = (hither_dtype)(1 + i % 6);
    e->kind = (shape)(i / 6 % SHAPES);
    e->metric = e->dtype == HITHER_B1 ? HITHER_HAMMING : (hither_metric)(1 + draw() % 4);
    size_t element = e->dtype == HITHER_F64 ? 8 : e->dtype == HITHER_F32 ? 4 : 1, row_bytes;
    bool bare = e->dtype == HITHER_I8 && below(3) == 0;
    row_bytes = ht_row_bytes(e->dtype, e->dim, bare);
    e->part = (ht_part){.stride = row_bytes + below(3) * element, .count = e->rows, .bare = bare};
    e->memory = ht_calloc(e->rows, e->part.stride + 16);
    e->query_stride = (ht_row_bytes(type_of_query(e->dtype), e->dim, false) + 8) / 8 * 8;
    e->query = ht_calloc(e->queries, e->query_stride);
    e->norms = ht_calloc(e->rows, sizeof *e->norms);
    e->part.rows = e->memory;
    double values[MOST_DIM];
    char row[MOST_DIM * sizeof(double)];
    for (size_t r = 0; r < e->rows + e->queries; r++) {
        bool query = r >= e->rows;
        for (size_t j = 0; j < e->dim; j++)
            values[j] = value(e->kind, e->dtype, query ? r - e->rows : r, j, query);
        hither_dtype to = query ? type_of_query(e->dtype) : e->dtype;
        assert_int_equal(ht_convert_row(HITHER_F64, values, to, e->dim, row), e->dim);
        if (query)
            memcpy(e->query + (r - e->rows) * e->query_stride, row, ht_row_bytes(to, e->dim, false));
        else
            memcpy(e->memory + r * e->part.stride, row, row_bytes);
    }
    if (norms && e->dtype != HITHER_B1) {
        ht_layout layout = {e->dtype, bare, e->dim};
        ht_stored_norms(&layout, e->memory, e->part.stride, e->rows, e->norms);
        e->part.norms = e->norms;
    }
    e->codes = NULL;
    if (norms && e->dtype == HITHER_F64 && below(3)) {
        size_t coded = e->rows / HT_CODE_ROWS * HT_CODE_ROWS;
        e->codes = ht_alloc_aligned(ht_codes_bytes(coded, e->dim) + 1);
        ht_codes_make_f64(e->memory, e->part.stride, e->dim, 0, coded, e->codes);
        e->part.codes = e->codes;
        e->part.coded_rows = coded;
    }
}

static void clear(example *e) {
    ht_release(e->memory);
    ht_release(e->query);
    ht_release(e->norms);
    ht_release(e->codes);
}

/* Whether search and brute force agree, on the failure too; prints where they do not if `loud`. */
static bool agrees(const example *e, unsigned threads, bool loud) {
    hither_error err;
    ht_vectors v = {
        .dtype = e->dtype, .metric = e->metric, .dim = (uint32_t)e->dim, .parts = &e->part, .part_count = 1};
    size_t room = e->queries * e->k;
    ht_hit *want = ht_calloc(room, sizeof *want), *got = ht_calloc(room, sizeof *got);
    size_t want_counts[MOST_QUERIES], got_counts[MOST_QUERIES];
    hither_status expected =
        ht_brute_search(&v, e->query, e->query_stride, e->queries, NULL, NULL, e->k, want, want_counts, &err);
    hither_status status = ht_exact_search(&v, e->query, e->query_stride, e->queries, NULL, NULL, e->k, threads, got,
                                           got_counts, NULL, &err);
    bool same = expected == status && (status == HITHER_OK || (status == HITHER_NOT_FINITE && e->dtype == HITHER_F64));
    for (size_t j = 0; j < e->queries && same && status == HITHER_OK; j++) {
        same = want_counts[j] == got_counts[j];
        for (size_t i = 0; same && i < want_counts[j]; i++) {
            ht_hit *a = &want[j * e->k + i], *b = &got[j * e->k + i];
            same = a->slot == b->slot && memcmp(&a->distance, &b->distance, sizeof a->distance) == 0;
        }
    }
    if (!same && loud)
        print_error("seed %u, level %s, threads %u: %s, %s, shape %d, dim %zu, rows %zu, queries %zu, k %zu: %d, %d\n",
                    SEED, ht_kernels_get()->name, threads, ht_dtype_name(e->dtype), ht_metric_name(e->metric),
                    (int)e->kind, e->dim, e->rows, e->queries, e->k, (int)expected, (int)status);
    ht_release(want);
    ht_release(got);
    return same;
}

static void random_cases(void **state) {
    (void)state;
    int supported;
    size_t levels = 0;
    while (ht_kernels_level(levels, &supported) && supported)
        levels++;
    for (size_t i = 0; i < CASES; i++) {
        assert_true(ht_kernels_force(ht_kernels_level(i / 6 % levels, &supported)->name));
        example e = {.dim = 1 + below(MOST_DIM),
                     .rows = below(4) ? below(300) : below(2500),
                     .queries = below(3) ? 1 : 1 + below(MOST_QUERIES),
                     .k = 1 + below(20)};
        if (e.queries > 8)
            e.rows %= 400;
        make(&e, i, below(2));
        assert_true(agrees(&e, 1u << i % 3, true));
        clear(&e);
    }
    assert_true(ht_kernels_force(NULL));
}

/* Every type, metric and level on rows that fill several units, so that rules rule out. */
static void every_type_and_level(void **state) {
    (void)state;
    int supported;
    for (size_t i = 0; i < 6 * 4; i++) {
        example e = {.dim = 64, .rows = 4000, .queries = 1 + i % 3, .k = 10};
        make(&e, i % 6 + 6 * (i / 6 % 2), i % 2);
        if (e.dtype != HITHER_B1)
            e.metric = (hither_metric)(1 + i / 6);
        for (size_t l = 0; ht_kernels_level(l, &supported); l++) {
            if (!supported)
                continue;
            assert_true(ht_kernels_force(ht_kernels_level(l, &supported)->name));
            assert_true(agrees(&e, 1 + l % 2, true));
        }
        clear(&e);
    }
    assert_true(ht_kernels_force(NULL));
}

/* Widening rules rows out: a search scores few of them. */
static void few_are_scored(void **state) {
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        hither_error err;
        example e = {.dim = 64, .rows = 4000, .queries = 1, .k = 10};
        make(&e, i, true);
        ht_vectors v = {.dtype = e.dtype, .metric = HITHER_COSINE, .dim = 64, .parts = &e.part, .part_count = 1};
        ht_hit hits[10];
        size_t count;
        ht_exact_stats stats = {0};
        ASSERT_OK(ht_exact_search(&v, e.query, e.query_stride, 1, NULL, NULL, 10, 1, hits, &count, &stats, &err));
        assert_true(stats.rows_scanned == 4000 && stats.rows_rescored < 400);
        clear(&e);
    }
}

/* Codes of f64 rows rule out rows that differ by less than f32 can tell only if they are worse in truth. */
static void codes_of_f64(void **state) {
    (void)state;
    for (size_t i = 0; i < 120; i++) {
        example e = {.dim = 32 + below(60), .rows = 640 + below(1000), .queries = 1 + i % 2 * 3, .k = 1 + below(12)};
        make(&e, 1 + 6 * (i % SHAPES), true);
        if (e.metric == HITHER_L1)
            e.metric = HITHER_COSINE;
        assert_true(agrees(&e, 1, true));
        clear(&e);
    }
}

/* An infinity or NaN in a row that takes part is an error that names the place, in every metric. */
static void not_finite(void **state) {
    (void)state;
    static const hither_dtype types[] = {HITHER_F32, HITHER_F64, HITHER_F16, HITHER_BF16};
    for (size_t i = 0; i < 16; i++) {
        hither_error err;
        hither_dtype dtype = types[i % 4];
        example e = {.dim = 33, .rows = 100, .queries = 1, .k = 3};
        make(&e, (size_t)dtype - 1, false);
        e.metric = (hither_metric)(1 + i / 4);
        size_t bytes = ht_row_bytes(dtype, 1, true);
        memset(e.memory + 77 * e.part.stride + 21 * bytes, 0xff, bytes); /* a NaN in each of them */
        ht_vectors v = {.dtype = dtype, .metric = e.metric, .dim = 33, .parts = &e.part, .part_count = 1};
        ht_hit hits[3];
        size_t count;
        ASSERT_FAILS(ht_exact_search(&v, e.query, e.query_stride, 1, NULL, NULL, 3, 1, hits, &count, NULL, &err),
                     HITHER_NOT_FINITE);
        assert_string_equal(err.message, "row in slot 77, column 21: not a finite number");
        clear(&e);
    }
}

#ifdef HT_ASSERTIONS
/* With every allowance taken away some answer must be wrong where widening rounds. */
static void a_wrong_bound_is_noticed(void **state) {
    (void)state;
    static const hither_dtype types[] = {HITHER_F64, HITHER_I8};
    for (size_t t = 0; t < 2; t++) {
        bool noticed = false;
        for (size_t i = 0; i < 200 && !noticed; i++) {
            example e = {.dim = 48, .rows = 500, .queries = 1, .k = 5};
            make(&e, (size_t)types[t] - 1 + 6 * TWINS, true);
            e.metric = t == 1 ? HITHER_L2 : i % 2 ? HITHER_L1 : HITHER_DOT;
            ht_bound_test_scale = 0;
            noticed = !agrees(&e, 1, false);
            ht_bound_test_scale = 1;
            clear(&e);
        }
        assert_true(noticed);
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_cases),
        cmocka_unit_test(every_type_and_level),
        cmocka_unit_test(few_are_scored),
        cmocka_unit_test(codes_of_f64),
        cmocka_unit_test(not_finite),
#ifdef HT_ASSERTIONS
        cmocka_unit_test(a_wrong_bound_is_noticed),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
