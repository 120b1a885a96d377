/*
 * brute.c: the slow, obvious twin of exact.c: D of every row by the scalar reference, then a sort. Tests compare the
 * two bit for bit. Any thread.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "index/exact.h"
#include "index/mask.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

static int by_distance_then_slot(const void *left, const void *right) {
    const ht_hit *a = left, *b = right;
    return ht_hit_before(*a, *b) ? -1 : ht_hit_before(*b, *a);
}

/* Whether D may be computed of it: cosine needs its square. */
static bool row_finite(const ht_vectors *v, const ht_part *part, const void *row) {
    double xx = 0, x = 0;
    float scale = 1;
    if (v->dtype == HITHER_I8 && !part->bare)
        memcpy(&scale, (const char *)row + ht_scale_at(v->dim), sizeof scale);
    for (size_t j = 0; j < v->dim; j++) {
        x = (double)scale * ht_ref_element(v->dtype, row, j);
        xx += x * x;
        if (!isfinite(x))
            return false;
    }
    return v->metric != HITHER_COSINE || isfinite(xx);
}

/* D of every row that takes part, sorted; how many there are goes to *count. */
static hither_status rank_all(const ht_vectors *v, const void *query, const ht_mask *live, const ht_mask *allow,
                              ht_hit *all, size_t *count, hither_error *err) {
    *count = 0;
    for (size_t p = 0; p < v->part_count; p++) {
        const ht_part *part = &v->parts[p];
        if (v->touch && part->count > 0)
            HT_TRY(v->touch(v->touch_ctx, p, 0, part->count, err));
        for (size_t i = 0; i < part->count; i++) {
            if (!(ht_mask_rows(live, allow, part, i / 64 * 64, 64) >> (i % 64) & 1))
                continue;
            const void *row =
                part->places ? (const void *)part->places[i] : (const char *)part->rows + i * part->stride;
            double d = ht_ref_distance(v->dtype, part->bare, v->metric, query, row, v->dim);
            if (!isfinite(d) || !row_finite(v, part, row))
                return ht_fail(err, HITHER_NOT_FINITE, "row in slot %llu: not finite",
                               (unsigned long long)(part->first_slot + i));
            all[(*count)++] = (ht_hit){d, part->first_slot + i};
        }
    }
    qsort(all, *count, sizeof *all, by_distance_then_slot);
    return HITHER_OK;
}

hither_status ht_brute_search(const ht_vectors *vectors, const void *queries, size_t query_stride, size_t query_count,
                              const ht_mask *live, const ht_mask *allow, size_t k, ht_hit *hits, size_t *counts,
                              hither_error *err) {
    if (vectors->metric < HITHER_COSINE || vectors->metric > HITHER_HAMMING ||
        (vectors->dtype == HITHER_B1) != (vectors->metric == HITHER_HAMMING))
        return ht_fail(err, HITHER_UNSUPPORTED, "brute force: dtype %d with metric %d", (int)vectors->dtype,
                       (int)vectors->metric);
    size_t rows = 0;
    for (size_t p = 0; p < vectors->part_count; p++)
        rows += vectors->parts[p].count;
    ht_hit *all = ht_calloc(rows, sizeof *all);
    if (!all)
        return ht_fail_nomem(err, rows * sizeof *all, "brute force");
    hither_status status = HITHER_OK;
    ht_fp_state fp = ht_fp_enter();
    for (size_t j = 0; j < query_count && status == HITHER_OK; j++) {
        const void *query = (const char *)queries + j * query_stride;
        size_t count;
        status = rank_all(vectors, query, live, allow, all, &count, err);
        if (status != HITHER_OK)
            break;
        counts[j] = ht_min_size(k, count);
        if (counts[j] > 0)
            memcpy(hits + j * k, all, counts[j] * sizeof *all);
    }
    ht_fp_leave(fp);
    ht_release(all);
    return status;
}
