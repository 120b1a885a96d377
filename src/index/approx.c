/*
 * approx.c: the kinds there are, and what effort a recall asks of them: found out by searching with rising effort for
 * true queries, and comparing with exact search. While there are too few of those, rows of the index itself stand in,
 * each moved a little further than its tenth neighbour is, in a direction of its own: a row as it is would be far too
 * easy to find, as it is linked to what it should find (measured: sentences that needed ef 79 for a recall of 0.95
 * would have been given 16, which finds 0.85; moved so, 80 to 100).
 *
 * What is kept of a mean is less than the mean, as part of it may be the luck of the sample. Of moved rows, which are
 * hard to find, one standard error is taken off. Of true queries it is two, of a sample that one badly answered query
 * was added to: mostly all is found, but for a few queries little, and a sample may have none of those (measured: of
 * sentences of which three in ten are copies of fifty, by 100 true queries and one standard error, 0.979 was found
 * where 0.99 was asked for).
 */
#include "index/approx.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/values.h"
#include "index/stored.h"

enum {
    OWN = 160,          /* rows of its own that are searched for */
    LEAST_ASKED = 24,   /* fewer true queries say nothing, */
    ENOUGH_ASKED = 128, /* and so many all */
    SLICES = 16,
    NARROW = 10,
    WIDE = 100, /* the two k that are measured */
};
#define MOVED  1.5     /* times the distance of the tenth nearest */
#define ENOUGH 0.9995f /* of a recall: more effort is not measured */
#define BADLY  0.75    /* the share that the query which was not asked finds */

const ht_approx_kind *ht_approx_kind_of(hither_kind number) {
    return number == HITHER_HNSW   ? &ht_approx_hnsw
           : number == HITHER_IVF  ? &ht_approx_ivf
           : number == HITHER_AUTO ? &ht_approx_auto
                                   : NULL;
}

/* ---- reading a curve */

static float recall_of(const ht_approx_point *p, bool wide) { return wide ? p->recall100 : p->recall10; }

/* 0: none. Between two points as if the curve were straight there; it bends the other way. */
static double least_effort(const ht_approx_curve *curve, double recall, bool wide) {
    const ht_approx_point *before = NULL;
    for (size_t i = 0; i < curve->count; i++) {
        const ht_approx_point *p = &curve->points[i];
        const double here = (double)recall_of(p, wide);
        if (here >= recall) {
            const double there = before ? (double)recall_of(before, wide) : 0;
            if (!before || there <= 0 || here <= there)
                return p->effort;
            return before->effort + (recall - there) / (here - there) * (p->effort - before->effort);
        }
        before = here > 0 ? p : before;
    }
    return 0;
}

size_t ht_approx_effort(const ht_approx_curve *curve, double recall, size_t k) {
    double narrow = least_effort(curve, recall, false), wide;
    if (k <= NARROW || narrow <= 0)
        return (size_t)ceil(narrow);
    wide = least_effort(curve, recall, true);
    if (wide <= 0)
        return 0;
    if (k >= WIDE)
        return (size_t)ceil(wide * (double)k / WIDE);
    return (size_t)ceil(narrow + (fmax(wide, narrow) - narrow) * (double)(k - NARROW) / (WIDE - NARROW));
}

/* What a curve says at an effort; 0 below its first point. */
static double at_effort(const ht_approx_curve *curve, double effort, float (*of)(const ht_approx_point *)) {
    double last = 0, from = 0;
    for (size_t i = 0; i < curve->count; i++) {
        const ht_approx_point *p = &curve->points[i];
        double value = (double)of(p);
        if (p->effort >= effort)
            return p->effort == effort || from <= 0 || value <= 0
                       ? (p->effort == effort ? value : last)
                       : last + (value - last) * (effort - from) / (p->effort - from);
        last = value;
        from = p->effort;
    }
    return last;
}
static float narrow_of(const ht_approx_point *p) { return p->recall10; }
static float wide_of(const ht_approx_point *p) { return p->recall100; }
static float visits_of(const ht_approx_point *p) { return (float)p->visited; }

double ht_approx_recall(const ht_approx_curve *curve, size_t effort, size_t k) {
    if (k <= NARROW)
        return at_effort(curve, (double)effort, narrow_of);
    double wide = curve->unpooled ? at_effort(curve, (double)effort, wide_of)
                                  : at_effort(curve, fmax((double)effort * WIDE / (double)k, (double)WIDE), wide_of);
    return k >= WIDE ? wide : fmin(wide, at_effort(curve, (double)effort, narrow_of));
}

double ht_approx_visits(const ht_approx_curve *curve, size_t effort) {
    return at_effort(curve, (double)effort, visits_of);
}

bool ht_approx_curve_sound(const ht_approx_curve *curve) {
    if (curve->count > HT_APPROX_EFFORTS)
        return false;
    for (size_t i = 0; i < curve->count; i++) {
        const ht_approx_point *p = &curve->points[i];
        if (curve->unpooled > 1 || p->effort == 0 || p->effort > HT_HNSW_MOST_EF ||
            (i > 0 && p->effort <= p[-1].effort) || !(p->recall10 >= 0 && p->recall10 <= 1) ||
            !(p->recall100 >= 0 && p->recall100 <= 1))
            return false;
    }
    return true;
}

/* ---- measuring one */

typedef struct measuring {
    const ht_approx *approx;
    const ht_vectors *vectors;
    const ht_mask *live;
    char *queries;
    size_t stride, own, count; /* the first `own` of them are rows, moved */
    ht_hit *truth;             /* WIDE each */
    size_t *truths;
    size_t k, effort;
    double *shares; /* of each query: what was found */
    _Atomic uint64_t visited;
    _Atomic int failed;
} measuring;

/* The share of the k nearest that is among the hits, or something as near: of equal rows none is better. */
static double share_found(const measuring *m, size_t j, const ht_hit *hits, size_t count) {
    const size_t wanted = ht_min_size(m->k, m->truths[j]);
    size_t found = ht_min_size(wanted, count);
    while (found && hits[found - 1].distance > m->truth[j * WIDE + wanted - 1].distance)
        found--;
    return wanted ? (double)found / (double)wanted : 1;
}

static void measure_slice(void *ctx, size_t item) {
    measuring *m = ctx;
    const ht_approx_kind *kind = m->approx->kind;
    ht_hit hits[WIDE];
    ht_approx_stats stats = {0};
    void *scratch = kind->scratch_new();
    hither_status status = scratch ? HITHER_OK : HITHER_NOMEM;
    ht_fp_state fp = ht_fp_enter();
    for (size_t j = item; j < m->count && status == HITHER_OK; j += SLICES) {
        const ht_approx_search what = {.k = m->k, .effort = m->effort, .live = m->live, .share = 1};
        size_t count;
        status =
            kind->find(m->approx, scratch, m->vectors, m->queries + j * m->stride, &what, hits, &count, &stats, NULL);
        if (status == HITHER_OK)
            m->shares[j] = share_found(m, j, hits, count);
    }
    ht_fp_leave(fp);
    kind->scratch_free(scratch);
    atomic_fetch_add(&m->visited, stats.visited);
    if (status != HITHER_OK)
        atomic_store(&m->failed, (int)status);
}

/* The mean of some shares, less what may be luck. */
static double surely(const double *shares, size_t count, bool asked) {
    const double all = (double)count + (asked ? 1 : 0);
    double sum = asked ? BADLY : 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += shares[i];
    const double mean = sum / all;
    for (size_t i = 0; i < count; i++)
        squares += (shares[i] - mean) * (shares[i] - mean);
    const double low = mean - (asked ? 2 : 1) * sqrt(squares) / all;
    return low > 0 ? low : 0;
}

static hither_status measure_at(measuring *m, size_t k, size_t effort, unsigned threads, float *out,
                                hither_error *err) {
    m->k = k;
    m->effort = effort;
    atomic_store(&m->visited, 0);
    ht_parallel(threads, SLICES, measure_slice, m);
    hither_status status = (hither_status)atomic_load(&m->failed);
    if (status == HITHER_NOMEM)
        return ht_fail_nomem(err, 0, "a walk");
    if (status != HITHER_OK)
        return ht_fail(err, status, "a row could not be read while recall was measured");
    const size_t asked = m->count - m->own;
    double low = m->own && asked < ENOUGH_ASKED ? surely(m->shares, m->own, false) : 1;
    if (asked >= LEAST_ASKED)
        low = fmin(low, surely(m->shares + m->own, asked, true));
    *out = (float)low;
    return HITHER_OK;
}

static hither_status measure_efforts(measuring *m, uint64_t rows, unsigned threads, ht_approx_curve *out,
                                     hither_error *err) {
    uint32_t efforts[HT_APPROX_EFFORTS];
    const size_t count = m->approx->kind->efforts(m->approx, efforts);
    for (size_t i = 0; i < count; i++) {
        ht_approx_point p = {.effort = efforts[i]};
        HT_TRY(measure_at(m, NARROW, p.effort, threads, &p.recall10, err));
        p.visited = (uint32_t)(atomic_load(&m->visited) / m->count);
        if (!m->approx->kind->pooled || p.effort >= WIDE)
            HT_TRY(measure_at(m, WIDE, p.effort, threads, &p.recall100, err));
        out->points[out->count++] = p;
        if ((p.recall10 >= ENOUGH && p.recall100 >= ENOUGH) ||
            (double)p.visited * m->approx->kind->visit > (double)rows)
            break;
    }
    return HITHER_OK;
}

/* ---- what to search for */

static hither_status read_row(const ht_vectors *v, uint64_t slot, void *out, hither_error *err) {
    size_t at, row;
    const ht_part *part = ht_vectors_part(v, slot, &at, &row);
    if (!part)
        return ht_fail(err, HITHER_CORRUPT, "the row at slot %llu is not there", (unsigned long long)slot);
    const char *data = (const char *)part->rows + row * part->stride;
    const ht_layout layout = {v->dtype, part->bare, v->dim};
    if (v->touch)
        HT_TRY(v->touch(v->touch_ctx, at, row, row + 1, err));
    if (v->dtype == HITHER_F64)
        memcpy(out, data, v->dim * sizeof(double));
    else
        ht_stored_widen(ht_kernels_get(), &layout, data, part->stride, 1, out);
    return HITHER_OK;
}

/* Rows picked by a number that has nothing to do with their order. */
static hither_status pick_rows(measuring *m, uint64_t slots, hither_error *err) {
    uint64_t picked[OWN];
    for (uint64_t i = 0; i < (uint64_t)4 * OWN && m->own < OWN; i++) {
        const uint64_t slot = ht_mix64(i + 1) % slots;
        bool known = !ht_mask_has(m->live, slot);
        for (size_t j = 0; j < m->own && !known; j++)
            known = picked[j] == slot;
        if (known)
            continue;
        HT_TRY(read_row(m->vectors, slot, m->queries + m->own * m->stride, err));
        picked[m->own++] = slot;
    }
    return HITHER_OK;
}

static double at(const measuring *m, const char *query, size_t j) {
    return m->vectors->dtype == HITHER_F64 ? ((const double *)(const void *)query)[j]
                                           : (double)((const float *)(const void *)query)[j];
}

/* How far to move a row whose tenth neighbour is at that D. */
static double distance_of(const measuring *m, double length, double tenth) {
    if (m->vectors->metric == HITHER_L2)
        return sqrt(fmax(tenth, 0));
    return length * sqrt(m->vectors->metric == HITHER_COSINE ? fmax(2 * tenth, 0) : 0.5);
}

/* Each of the picked rows, by so much in a direction that its number alone decides. */
static void move_rows(measuring *m) {
    const size_t dim = m->vectors->dim;
    for (size_t i = 0; i < m->own; i++) {
        char *query = m->queries + i * m->stride;
        const ht_hit *hits = m->truth + i * WIDE;
        double length = 0;
        for (size_t j = 0; j < dim; j++)
            length += at(m, query, j) * at(m, query, j);
        length = sqrt(length);
        const size_t last = ht_min_size(m->truths[i], NARROW + 1);
        const double far = MOVED * distance_of(m, length, last ? hits[last - 1].distance : 0);
        const double most =
            far * sqrt(3.0 / (double)dim); /* of numbers spread evenly up to it, so that the sum is far */
        for (size_t j = 0; j < dim; j++) {
            const double unit = (double)(ht_mix64(ht_mix64(i + 1) + j) >> 11) * 0x1p-52 - 1;
            const double moved = at(m, query, j) + unit * most;
            if (m->vectors->dtype == HITHER_F64)
                ((double *)(void *)query)[j] = moved;
            else
                ((float *)(void *)query)[j] = (float)moved;
        }
    }
}

static hither_status measure_all(measuring *m, uint64_t slots, const void *queries, size_t asked, unsigned threads,
                                 ht_approx_curve *out, hither_error *err) {
    if (asked < ENOUGH_ASKED)
        HT_TRY(pick_rows(m, slots, err));
    HT_TRY(ht_exact_search(m->vectors, m->queries, m->stride, m->own, m->live, NULL, WIDE, threads, m->truth, m->truths,
                           NULL, err));
    move_rows(m);
    if (asked)
        memcpy(m->queries + m->own * m->stride, queries, asked * m->stride);
    m->count = m->own + asked;
    if (m->count == 0)
        return HITHER_OK;
    ht_approx_facts facts;
    m->approx->kind->describe(m->approx, &facts);
    *out = (ht_approx_curve){
        .own = (uint32_t)m->own, .asked = (uint32_t)asked, .unpooled = !m->approx->kind->pooled, .rows = facts.rows};
    HT_TRY(ht_exact_search(m->vectors, m->queries, m->stride, m->count, m->live, NULL, WIDE, threads, m->truth,
                           m->truths, NULL, err));
    return measure_efforts(m, facts.rows, threads, out, err);
}

hither_status ht_approx_measure(const ht_approx *approx, const ht_vectors *vectors, const ht_mask *live, uint64_t slots,
                                const void *queries, size_t query_count, unsigned threads, ht_approx_curve *out,
                                hither_error *err) {
    const size_t size = vectors->dtype == HITHER_F64 ? sizeof(double) : sizeof(float), most = OWN + query_count;
    ht_approx_curve curve = {0};
    measuring m = {.approx = approx, .vectors = vectors, .live = live, .stride = vectors->dim * size};
    m.queries = ht_alloc_aligned(most * m.stride);
    m.truth = ht_alloc(most * WIDE * sizeof *m.truth);
    m.truths = ht_alloc(most * sizeof *m.truths);
    m.shares = ht_alloc(most * sizeof *m.shares);
    hither_status status = HITHER_OK;
    if (!m.queries || !m.truth || !m.truths || !m.shares)
        status = ht_fail_nomem(err, most * m.stride, "what recall is measured with");
    if (status == HITHER_OK && slots > 0)
        status = measure_all(&m, slots, queries, query_count, threads, &curve, err);
    if (status == HITHER_OK)
        *out = curve;
    ht_release(m.shares);
    ht_release(m.truths);
    ht_release(m.truth);
    ht_release(m.queries);
    return status;
}
