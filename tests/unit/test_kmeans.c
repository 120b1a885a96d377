/*
 * test_kmeans.c: centres: what is nearest against a slow twin, the same bytes whatever the threads and kernels, blobs
 * found one by one, equal rows, and no worse than the textbook's algorithm in f64.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmocka_all.h"
#include "index/kmeans.h"
#include "rows.h"

enum { DIM = 70, BYTES = 128, ROWS = 3000, LISTS = 40 };

static hither_error err;

typedef struct world {
    float *rows;
    ht_sample sample;
} world;

static void fill(float *row, uint64_t i, uint64_t blobs, float spread) {
    for (size_t j = 0; j < DIM; j++)
        row[j] = test_float(3, i * 7919 % blobs * DIM + j) + spread * test_float(4, i * DIM + j);
}

static world make_world(size_t rows, uint64_t blobs, float spread) {
    world w = {.rows = ht_alloc(rows * DIM * sizeof(float))};
    w.sample = (ht_sample){
        .dim = DIM, .count = rows, .bytes = ht_alloc_aligned(rows * BYTES), .scales = ht_alloc(rows * sizeof(float))};
    assert_int_equal(ht_probe_bytes(DIM), BYTES);
    for (size_t i = 0; i < rows; i++) {
        ht_probe p = {.bytes = w.sample.bytes + i * BYTES};
        fill(w.rows + i * DIM, i, blobs, spread);
        ht_probe_make(w.rows + i * DIM, DIM, &p);
        w.sample.scales[i] = p.scale;
        for (size_t j = 0; j < DIM; j++)
            assert_true(fabsf(p.scale * p.bytes[j] - w.rows[i * DIM + j]) <= 0.51F * p.scale);
    }
    return w;
}

static void free_world(world *w) {
    ht_release(w->rows);
    ht_release(w->sample.bytes);
    ht_release(w->sample.scales);
}

static ht_centres *run(const world *w, uint32_t lists, unsigned threads, bool unit) {
    ht_centres *c;
    const ht_kmeans what = {.sample = &w->sample, .seed = 5, .threads = threads, .unit = unit};
    ASSERT_OK(ht_centres_new(DIM, lists, &c, &err));
    ASSERT_OK(ht_kmeans_run(&what, c, &err));
    return c;
}

static double square_between(const float *a, const float *b) {
    double sum = 0;
    for (size_t j = 0; j < DIM; j++)
        sum += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
    return sum;
}

/* The nearest centre by f64; *far: how far. */
static uint32_t twin(const float *centres, uint32_t count, const float *row, double *far) {
    uint32_t best = 0;
    *far = INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        const double square = square_between(centres + (size_t)i * DIM, row);
        if (square < *far) {
            *far = square;
            best = i;
        }
    }
    return best;
}

static void test_nearest(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    world w = make_world(ROWS, 300, 0.3F);
    ht_centres *c = run(&w, 600, 0, false); /* more than are compared at once */
    size_t same = 0;
    for (size_t i = 0; i < ROWS; i++) {
        int8_t room[BYTES] __attribute__((aligned(64)));
        ht_probe p = {.bytes = room};
        uint32_t got;
        float key;
        double far;
        ht_probe_make(w.rows + i * DIM, DIM, &p);
        ht_centres_nearest(c, &p, 1, &got, &key);
        const uint32_t best = twin(c->rows, c->count, w.rows + i * DIM, &far);
        const double found = square_between(c->rows + (size_t)got * DIM, w.rows + i * DIM);
        assert_true(found <= far + 0.05);
        same += got == best;
    }
    if (same < ROWS * 97 / 100)
        fail_msg("%zu of %d", same, (int)ROWS);
    ht_centres_free(c);
    free_world(&w);
    ht_fp_leave(fp);
}

static void same_everywhere(uint32_t lists) {
    ht_fp_state fp = ht_fp_enter();
    world w = make_world(ROWS, 300, 0.5F);
    ht_centres *first = run(&w, lists, 1, true);
    int supported;
    for (size_t level = 0; ht_kernels_level(level, &supported); level++) {
        if (!supported)
            continue;
        assert_true(ht_kernels_force(ht_kernels_level(level, &supported)->name));
        for (unsigned threads = 1; threads <= 4; threads *= 2) {
            ht_centres *c = run(&w, lists, threads, true);
            assert_memory_equal(c->rows, first->rows, lists * DIM * sizeof(float));
            assert_memory_equal(c->codes, first->codes, lists * BYTES);
            ht_centres_free(c);
        }
    }
    ht_kernels_force(NULL);
    ht_centres_free(first);
    free_world(&w);
    ht_fp_leave(fp);
}

static void test_same_everywhere(void **state) {
    (void)state;
    same_everywhere(LISTS);
}

static double error_of(const world *w, const float *centres, uint32_t count) {
    double sum = 0, far;
    for (size_t i = 0; i < w->sample.count; i++) {
        twin(centres, count, w->rows + i * DIM, &far);
        sum += far;
    }
    return sum;
}

/* Lloyd's algorithm in f64, from every so-manieth row. */
static double textbook(const world *w, uint32_t lists) {
    float *centres = ht_alloc(lists * DIM * sizeof *centres);
    double *sums = ht_alloc(lists * DIM * sizeof *sums);
    size_t *counts = ht_alloc(lists * sizeof *counts);
    for (uint32_t l = 0; l < lists; l++)
        memcpy(centres + l * DIM, w->rows + w->sample.count / lists * l * DIM, DIM * sizeof *centres);
    for (int round = 0; round < 8; round++) {
        memset(sums, 0, lists * DIM * sizeof *sums);
        memset(counts, 0, lists * sizeof *counts);
        for (size_t i = 0; i < w->sample.count; i++) {
            double far;
            const uint32_t l = twin(centres, lists, w->rows + i * DIM, &far);
            counts[l]++;
            for (size_t j = 0; j < DIM; j++)
                sums[l * DIM + j] += (double)w->rows[i * DIM + j];
        }
        for (size_t j = 0; j < lists * DIM; j++)
            centres[j] = counts[j / DIM] ? (float)(sums[j] / (double)counts[j / DIM]) : centres[j];
    }
    const double error = error_of(w, centres, lists);
    ht_release(counts);
    ht_release(sums);
    ht_release(centres);
    return error;
}

static void test_as_good_as_the_textbook(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    static const float spreads[] = {0.05F, 0.5F, 3};
    for (size_t i = 0; i < 3; i++) {
        world w = make_world(ROWS, LISTS, spreads[i]);
        ht_centres *c = run(&w, LISTS, 0, false);
        const double got = error_of(&w, c->rows, LISTS), twins = textbook(&w, LISTS);
        if (got > 1.05 * twins)
            fail_msg("spread %g: error %g, textbook %g", (double)spreads[i], got, twins);
        ht_centres_free(c);
        free_world(&w);
    }
    ht_fp_leave(fp);
}

/* One row in two is the same, and there are more centres than different rows: no two of those share one. */
static void test_equal_rows(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    enum { DISTINCT = 30 };
    world w = make_world(600, DISTINCT, 0);
    for (size_t i = 0; i < 600; i += 2) {
        memcpy(w.rows + i * DIM, w.rows, DIM * sizeof(float));
        memcpy(w.sample.bytes + i * BYTES, w.sample.bytes, BYTES);
        w.sample.scales[i] = w.sample.scales[0];
    }
    ht_centres *c = run(&w, 2 * DISTINCT, 0, false);
    assert_true(error_of(&w, c->rows, 2 * DISTINCT) / 600 < 1e-3);
    ht_centres_free(c);
    memset(w.sample.bytes, 0, 600 * BYTES); /* and rows of nothing */
    c = run(&w, 8, 0, true);
    for (size_t j = 0; j < 8 * DIM; j++)
        assert_true(c->rows[j] == 0);
    ht_centres_free(c);
    free_world(&w);
    ht_fp_leave(fp);
}

static int stop(void *ctx, uint64_t done, uint64_t of) {
    (void)ctx;
    return done >= of / 2;
}

static void test_stopped(void **state) {
    (void)state;
    ht_fp_state fp = ht_fp_enter();
    world w = make_world(600, 20, 0.3F);
    ht_centres *c;
    const ht_hnsw_progress progress = {stop, NULL, 0};
    const ht_kmeans what = {.sample = &w.sample, .progress = &progress, .of = HT_KMEANS_ROUNDS * 600};
    ASSERT_OK(ht_centres_new(DIM, 20, &c, &err));
    assert_int_equal(ht_kmeans_run(&what, c, &err), HITHER_INTERRUPTED);
    ht_centres_free(c);
    free_world(&w);
    ht_fp_leave(fp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),

        cmocka_unit_test(test_same_everywhere),
        cmocka_unit_test(test_equal_rows),
        cmocka_unit_test(test_as_good_as_the_textbook),
        cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
