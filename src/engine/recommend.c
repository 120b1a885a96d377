/*
 * recommend.c: rows like some and unlike others. The examples themselves are never hits.
 *
 * AVERAGE is one search: for the point 2 * mean(positive) - mean(negative), of the vectors scaled to length 1 where the
 * metric is cosine. BEST compares every row with every example: p is the distance to the nearest positive one, n to the
 * nearest negative one; rows with p <= n come first, by p, the others after them, those farthest from a negative
 * example first. Ties by order of writing. The distance of a hit is p, or -n where there are no positive examples.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/search.h"
#include "index/stored.h"
#include "kernels/kernels.h"

typedef struct examples {
    float *positive, *negative; /* packed */
    uint64_t *slots;            /* of all of them */
    size_t positive_count, negative_count;
} examples;

static void examples_clear(examples *e) {
    ht_release(e->positive);
    ht_release(e->negative);
    ht_release(e->slots);
}

static hither_status examples_read(examples *e, ht_run *run, const ht_recommend *recommend, hither_error *err) {
    *e = (examples){.positive_count = recommend->positive.count, .negative_count = recommend->negative.count};
    e->slots = ht_calloc(e->positive_count + e->negative_count, sizeof *e->slots);
    if (!e->slots)
        return ht_fail_nomem(err, e->positive_count + e->negative_count, "the examples");
    if (e->positive_count)
        HT_TRY(
            ht_reading_vectors_of(&run->view, &recommend->positive, run->search->field, &e->positive, e->slots, err));
    if (e->negative_count)
        HT_TRY(ht_reading_vectors_of(&run->view, &recommend->negative, run->search->field, &e->negative,
                                     e->slots + e->positive_count, err));
    return HITHER_OK;
}

/* The search runs over a selection in any case, which the examples are taken out of. */
static hither_status leave_out(ht_run *run, const examples *e, hither_error *err) {
    ht_selection *s = run->chosen ? run->chosen : &run->selected;
    if (!run->chosen)
        HT_TRY(ht_select_all(run->view.snapshot, s, err));
    HT_TRY(ht_selection_own(s, err));
    for (size_t i = 0; i < e->positive_count + e->negative_count; i++) {
        uint64_t bit = (uint64_t)1 << e->slots[i] % 64, *word = &s->words[e->slots[i] / 64];
        s->count -= (*word & bit) != 0;
        *word &= ~bit;
    }
    ht_run_choose(run, s);
    return HITHER_OK;
}

/* ---- average */

static void add_mean(double *sum, const float *vectors, size_t count, size_t dim, bool unit, double weight) {
    for (size_t i = 0; i < count; i++) {
        const float *x = vectors + i * dim;
        double length = unit ? sqrt(ht_kernels_get()->ref_dot_f32(x, x, dim)) : 1;
        for (size_t j = 0; length > 0 && j < dim; j++)
            sum[j] += weight * ((double)x[j] / length) / (double)count;
    }
}

static hither_status by_average(ht_run *run, const examples *e, hither_error *err) {
    size_t dim = run->dim, k = run->rows < run->search->k ? (size_t)run->rows : run->search->k;
    bool unit = run->metric == HITHER_COSINE;
    double *sum = ht_calloc(dim, sizeof *sum);
    float *query = ht_calloc(dim, sizeof *query);
    hither_status status = HITHER_OK;
    if (!sum || !query)
        status = ht_fail_nomem(err, dim * sizeof *sum, "the mean of examples");
    if (status == HITHER_OK) {
        add_mean(sum, e->positive, e->positive_count, dim, unit, e->negative_count ? 2 : 1);
        add_mean(sum, e->negative, e->negative_count, dim, unit, -1);
        for (size_t j = 0; j < dim && status == HITHER_OK; j++) {
            query[j] = (float)sum[j];
            if (!isfinite(query[j]))
                status = ht_fail(err, HITHER_NOT_FINITE, "the mean of the examples is too large in column %zu", j);
        }
    }
    ht_scratch *scratch = run->view.scratch;
    if (status == HITHER_OK)
        status = ht_scratch_reserve(scratch, k, 1, err);
    if (status == HITHER_OK)
        status = ht_run_nearest(run, query, dim * sizeof(float), 1, k, scratch->hits, scratch->counts, err);
    if (status == HITHER_OK)
        status = ht_run_add(run, scratch->hits, ht_run_cut(run, scratch->hits, scratch->counts[0]), err);
    ht_release(sum);
    ht_release(query);
    return status;
}

/* ---- best score */

typedef struct scored {
    double p, n;
    uint64_t slot;
} scored;

static int by_score(const void *left, const void *right) {
    const scored *a = left, *b = right;
    bool good = a->p <= a->n, other = b->p <= b->n;
    if (good != other)
        return good ? -1 : 1;
    double x = good ? a->p : -a->n, y = good ? b->p : -b->n;
    return x != y ? (x < y ? -1 : 1) : (a->slot > b->slot) - (a->slot < b->slot);
}

static double least(const ht_run *run, const float *vectors, const double *squares, size_t count, const float *row) {
    const ht_layout layout = {.dtype = HITHER_F32, .dim = run->dim};
    double best = INFINITY, xx = 0;
    for (size_t i = 0; i < count; i++) {
        double d = ht_stored_distance(ht_kernels_get(), &layout, run->metric, vectors + i * layout.dim, squares[i], row,
                                      NULL, &xx);
        best = d < best ? d : best;
    }
    return best;
}

static hither_status score_all(ht_run *run, const examples *e, const double *squares, scored *all, hither_error *err) {
    size_t count = 0;
    for (uint64_t slot = ht_selection_next(run->chosen, 0); slot < run->chosen->limit;
         slot = ht_selection_next(run->chosen, slot + 1)) {
        const float *row;
        HT_TRY(ht_reading_vector(&run->view, slot, run->search->field, &row, err));
        all[count++] = (scored){.p = least(run, e->positive, squares, e->positive_count, row),
                                .n = least(run, e->negative, squares + e->positive_count, e->negative_count, row),
                                .slot = slot};
    }
    qsort(all, count, sizeof *all, by_score);
    return HITHER_OK;
}

static hither_status add_best(ht_run *run, const scored *all, hither_error *err) {
    size_t k = run->rows < run->search->k ? (size_t)run->rows : run->search->k, count = 0;
    ht_hit *hits = run->view.scratch->hits;
    for (size_t i = 0; i < run->rows && count < k; i++) {
        double d = isinf(all[i].p) ? -all[i].n : all[i].p;
        if (!run->search->max_distance || (float)d <= *run->search->max_distance)
            hits[count++] = (ht_hit){d, all[i].slot};
    }
    return ht_run_add(run, hits, count, err);
}

static hither_status by_best(ht_run *run, const examples *e, hither_error *err) {
    size_t dim = run->dim, count = e->positive_count + e->negative_count;
    scored *all = ht_calloc((size_t)run->rows, sizeof *all);
    double *squares = ht_calloc(count, sizeof *squares);
    hither_status status = HITHER_OK;
    if (!all || !squares)
        status = ht_fail_nomem(err, (size_t)run->rows * sizeof *all, "the scores of a recommendation");
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        const float *x = i < e->positive_count ? e->positive + i * dim : e->negative + (i - e->positive_count) * dim;
        squares[i] = ht_kernels_get()->ref_dot_f32(x, x, dim);
    }
    if (status == HITHER_OK)
        status = ht_scratch_reserve(run->view.scratch, ht_min_size((size_t)run->rows, run->search->k), 1, err);
    if (status == HITHER_OK)
        status = score_all(run, e, squares, all, err);
    ht_explain_stage(&run->explain, "search", "every row", run->rows, run->rows);
    if (status == HITHER_OK)
        status = add_best(run, all, err);
    ht_release(all);
    ht_release(squares);
    return status;
}

static hither_status recommend_once(ht_collection *c, const ht_recommend *recommend, const ht_search *search,
                                    hither_result **out, hither_error *err) {
    ht_run run = {.search = search};
    examples e = {0};
    ht_explain_begin(&run.explain);
    hither_status status = ht_reading_open_for_ids(&run.view, c, search->include, err);
    if (status == HITHER_OK)
        ht_run_aim(&run, search->field);
    if (status == HITHER_OK)
        status = examples_read(&e, &run, recommend, err);
    if (status == HITHER_OK)
        status = ht_run_begin(&run, search, err);
    if (status == HITHER_OK)
        status = leave_out(&run, &e, err);
    if (status == HITHER_OK)
        status = recommend->strategy == HITHER_BEST ? by_best(&run, &e, err) : by_average(&run, &e, err);
    examples_clear(&e);
    return ht_run_end(&run, status, "recommend", out, err);
}

hither_status ht_collection_recommend(ht_collection *c, const ht_recommend *recommend, const ht_search *search,
                                      hither_result **out, hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = recommend_once(c, recommend, search, out, err);
    return status;
}
