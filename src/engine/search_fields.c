/*
 * search_fields.c: the nearest rows by what they have in MULTI and SPARSE fields. A query of either is a block of
 * numbers: a u32, how many vectors or entries; the vectors, or the values and then their indices, rising.
 *
 * The distance of a row is minus the sum, over the vectors of a MULTI query in their order, of each one's largest
 * reference dot product with a vector of the row; of SPARSE ones minus the sum of the products in f64, by rising index.
 * All answers are by these, ties in order of writing. MaxSim is estimated in f32 first, with a bound on what that may
 * be off; a row that cannot be among the k is not looked at again. Any thread.
 */
#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "engine/search.h"
#include "engine/sparse.h"
#include "kernels/kernels.h"

/* ---- the distance */

static double max_sim(const float *query, uint32_t m, const float *row, uint32_t n, size_t dim) {
    const ht_kernels *kernels = ht_kernels_get();
    double sum = 0;
    for (uint32_t i = 0; i < m; i++) {
        double best = -INFINITY;
        for (uint32_t j = 0; j < n; j++) {
            double dot = kernels->ref_dot_f32(query + i * dim, row + j * dim, dim);
            best = dot > best ? dot : best;
        }
        sum += best;
    }
    return sum;
}

static double sparse_dot(const float *values, const uint32_t *indices, uint32_t m, const float *row,
                         const uint32_t *row_indices, uint32_t n) {
    double sum = 0;
    for (uint32_t i = 0, j = 0; i < m && j < n;) {
        if (indices[i] == row_indices[j]) {
            sum += (double)values[i] * (double)row[j];
            i++;
            j++;
        } else if (indices[i] < row_indices[j]) {
            i++;
        } else {
            j++;
        }
    }
    return sum;
}

double ht_block_distance(const ht_vector_field *field, const float *query, const float *row) {
    uint32_t m, n = ht_field_count(field, row);
    const float *data = ht_field_data(field, row);
    memcpy(&m, query++, sizeof m);
    if (field->kind == HITHER_MULTI)
        return -max_sim(query, m, data, n, field->dim);
    return -sparse_dot(query, (const uint32_t *)(const void *)(query + m), m, data,
                       (const uint32_t *)(const void *)(data + field->most), n);
}

/* ---- MaxSim over all rows */

typedef struct scan {
    const ht_vector_field *field;
    const float *query;     /* its vectors */
    const float *estimates; /* m rows of `most` */
    uint32_t m;
    double lengths; /* of the query's vectors, together */
    float *room, *norms;
} scan;

/* No row of n vectors has a larger sum of maxima than this. An f32 dot product is off by at most (dim + 2) * 2^-24 of
 * the product of the lengths, in whatever order it is added up, and by what numbers too small for f32 lose; twice that
 * covers the lengths being rounded as well. */
static double at_most(const scan *s, const float *row, uint32_t n) {
    const ht_kernels *kernels = ht_kernels_get();
    size_t dim = s->field->dim, stride = dim * sizeof(float);
    float longest = 0;
    double sum = 0;
    kernels->norm_f32(row, stride, n, dim, s->norms);
    for (uint32_t j = 0; j < n; j++)
        longest = s->norms[j] > longest || isnan(s->norms[j]) ? s->norms[j] : longest;
    for (uint32_t i = 0; i < s->m; i++) {
        float best = -INFINITY;
        kernels->dot_f32(s->query + i * dim, row, stride, n, dim, s->room);
        for (uint32_t j = 0; j < n; j++)
            best = s->room[j] > best ? s->room[j] : best;
        sum += (double)best;
    }
    double off = s->lengths * (sqrt((double)longest) + 1e-18) * (double)(dim + 16) * 0x1p-22;
    return sum + off + (double)s->m * (double)(dim + 16) * (double)FLT_MIN;
}

static hither_status scan_extent(ht_run *run, scan *s, ht_extent *extent, const ht_mask *live, const float *query,
                                 ht_topk *top, hither_error *err) {
    uint64_t rows = run->view.snapshot->slot_limit - extent->first_slot;
    rows = rows < extent->capacity ? rows : extent->capacity;
    for (uint64_t b = 0; b < rows; b += 64) {
        uint64_t word = ht_mask_word(live, extent->first_slot + b);
        if (run->chosen)
            word &= ht_mask_word(&run->allow, extent->first_slot + b);
        if (rows - b < 64)
            word &= ((uint64_t)1 << (rows - b)) - 1;
        if (word)
            HT_TRY(ht_extent_touch(extent, (size_t)b, (size_t)(rows - b < 64 ? rows : b + 64), false, err));
        for (; word; word &= word - 1) {
            uint64_t slot = extent->first_slot + b + (uint64_t)__builtin_ctzll(word);
            const float *row = ht_extent_row(extent, slot);
            uint32_t n = ht_field_count(s->field, row);
            run->stats.rows_scanned += n != 0;
            if (!n || at_most(s, ht_field_data(s->field, row), n) < -ht_topk_limit(top))
                continue;
            run->stats.rows_rescored++;
            ht_topk_push(top, (ht_hit){ht_block_distance(s->field, query, row), slot});
        }
    }
    return HITHER_OK;
}

static hither_status nearest_multi(ht_run *run, const ht_vector_field *field, const float *query, size_t k,
                                   ht_hit *hits, size_t *count, hither_error *err) {
    const ht_snapshot *s = run->view.snapshot;
    ht_mask live = ht_snapshot_mask(s);
    scan job = {.field = field, .query = query + 1};
    hither_status status = HITHER_OK;
    ht_topk top;
    ht_topk_init(&top, hits, k);
    memcpy(&job.m, query, sizeof job.m);
    for (uint32_t i = 0; i < job.m; i++) {
        const float *x = job.query + (size_t)i * field->dim;
        job.lengths += sqrt(ht_kernels_get()->ref_dot_f32(x, x, field->dim));
    }
    job.room = ht_calloc(field->most, sizeof *job.room);
    job.norms = ht_calloc(field->most, sizeof *job.norms);
    if (!job.room || !job.norms)
        status = ht_fail_nomem(err, field->most * sizeof *job.room, "a search");
    for (size_t i = 0; i < s->extent_count && status == HITHER_OK; i++)
        status = scan_extent(run, &job, s->extents[i], &live, query, &top, err);
    ht_release(job.room);
    ht_release(job.norms);
    ht_topk_sort(&top);
    *count = top.count;
    return status;
}

/* ---- both */

hither_status ht_block_nearest(ht_run *run, const float *query, size_t k, ht_hit *hits, size_t *count,
                               hither_error *err) {
    const ht_vector_field *field = &run->view.snapshot->shape->fields[run->field - 1];
    if (field->kind == HITHER_MULTI)
        return nearest_multi(run, field, query, k, hits, count, err);
    ht_mask live = ht_snapshot_mask(run->view.snapshot);
    return ht_sparse_nearest(run->view.c, run->view.snapshot, run->field, query, &live,
                             run->chosen ? &run->allow : NULL, k, hits, count, &run->stats, err);
}
