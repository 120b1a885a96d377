/*
 * knn.c: hither_knn, exact search over an array borrowed for the call. Any thread.
 *
 * The base is not read ahead of the search to look for NaN: a row that is not finite has no finite estimate, so the
 * search scores it by D and finds out for nothing. Only then is the array read in order, to name the first such row.
 */
#include <math.h>

#include "api/api.h"
#include "base/alloc.h"
#include "base/values.h"
#include "index/exact.h"
#include "index/stored.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

/* The search found a row whose distance is none: which, and why, by its first such value. */
static hither_status name_not_finite(const hither_matrix *base, const ht_mask *allow, hither_error *err) {
    const ht_layout layout = {base->dtype, true, base->dim};
    for (size_t i = 0; i < base->rows; i++) {
        if (allow && (i >= allow->limit || !(allow->chunks[i / 65536][i % 65536 / 64] >> (i % 64) & 1)))
            continue;
        const char *row = (const char *)base->data + i * base->stride;
        size_t column = ht_stored_not_finite(&layout, row);
        if (column < base->dim)
            return ht_fail(err, HITHER_NOT_FINITE, "base, row %zu, column %zu: %s", i, column,
                           isnan(ht_ref_element(base->dtype, row, column)) ? "NaN" : "infinity");
    }
    if (base->dtype == HITHER_F64)
        return HITHER_NOT_FINITE; /* its values are numbers, but too large: the search has said so */
    return ht_fail(err, HITHER_NOT_FINITE, "base changed during the search: it held a value that is not finite");
}

/* The caller's bits as a mask: one pointer for every 65,536 rows. Released by ht_release(mask->chunks). */
static hither_status read_allow(const hither_knn_options *options, size_t rows, ht_mask *mask, hither_error *err) {
    mask->limit = options->allow_bits < rows ? options->allow_bits : rows;
    mask->chunk_count = (size_t)((mask->limit + 65535) / 65536);
    const uint64_t **chunks = ht_calloc(mask->chunk_count + 1, sizeof *chunks);
    if (!chunks)
        return ht_fail_nomem(err, (mask->chunk_count + 1) * sizeof *chunks, "allow");
    for (size_t c = 0; c < mask->chunk_count; c++)
        chunks[c] = options->allow + c * (65536 / 64);
    mask->chunks = chunks;
    return HITHER_OK;
}

static hither_status search(const hither_matrix *base, const hither_matrix *queries, uint32_t k,
                            const hither_knn_options *options, const ht_mask *allow, int64_t *labels, float *distances,
                            hither_error *err) {
    size_t total, bytes;
    if (!ht_mul_size(queries->rows, k, &total) || !ht_mul_size(total, sizeof(ht_hit), &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "hits");
    ht_hit *hits = ht_alloc(bytes);
    size_t *counts = ht_calloc(queries->rows, sizeof *counts);
    hither_status status = HITHER_OK;
    if (!hits || !counts) {
        status = ht_fail_nomem(err, bytes, "hits");
        goto done;
    }
    ht_part part = {.rows = base->data, .count = base->rows, .stride = base->stride, .bare = true};
    ht_vectors vectors = {.dtype = base->dtype,
                          .metric = ht_metric_or_default(options->metric, base->dtype),
                          .dim = (uint32_t)base->dim,
                          .parts = &part,
                          .part_count = 1};
    unsigned threads = options->threads ? options->threads : queries->rows == 1 ? 1 : 0;
    status = ht_exact_search(&vectors, queries->data, queries->stride, queries->rows, NULL, allow, k, threads, hits,
                             counts, NULL, err);
    if (status == HITHER_NOT_FINITE)
        status = name_not_finite(base, allow, err);
    if (status != HITHER_OK)
        goto done;
    for (size_t j = 0; j < queries->rows; j++) {
        for (size_t i = 0; i < k; i++) {
            bool there = i < counts[j];
            labels[j * k + i] = there ? (int64_t)hits[j * k + i].slot : -1;
            distances[j * k + i] = there ? (float)hits[j * k + i].distance : INFINITY;
        }
    }
done:
    ht_release(counts);
    ht_release(hits);
    return status;
}

hither_status hither_knn(const hither_matrix *base, const hither_matrix *queries, uint32_t k,
                         const hither_knn_options *options, int64_t *labels, float *distances, hither_error *err) {
    hither_knn_options o;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_knn_options", err));
    if (!base || !queries)
        return ht_fail(err, HITHER_INVALID, "knn: %s is NULL", base ? "queries" : "base");
    if (k == 0)
        return ht_fail(err, HITHER_INVALID, "k is 0; ask for at least 1 result");
    if (k > HITHER_MAX_K)
        return ht_fail(err, HITHER_TOO_LARGE, "k is %u; at most %u results a query are possible", k, HITHER_MAX_K);
    if (o.metric < 0 || o.metric > HITHER_HAMMING)
        return ht_fail(err, HITHER_INVALID, "metric %d is none of hither_metric", (int)o.metric);
    hither_matrix rows = *base;
    HT_TRY(ht_matrix_check(&rows, "base", err));
    if (o.metric && (o.metric == HITHER_HAMMING) != (rows.dtype == HITHER_B1))
        return ht_fail(err, HITHER_UNSUPPORTED, "%s has no meaning for %s rows; hamming is for b1, and only it",
                       ht_metric_name(o.metric), ht_dtype_name(rows.dtype));
    if (rows.dim != queries->dim)
        return ht_fail(err, HITHER_DIMENSION, "queries have %zu dimensions, base has %zu", queries->dim, rows.dim);
    if (queries->rows > 0 && (!labels || !distances))
        return ht_fail(err, HITHER_INVALID, "knn: %s is NULL", labels ? "distances" : "labels");
    ht_floats floats;
    ht_mask allow = {0};
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_queries_read(queries, rows.dtype, &floats, err);
    if (status != HITHER_OK)
        goto leave;
    if (o.allow)
        status = read_allow(&o, rows.rows, &allow, err);
    if (status == HITHER_OK)
        status = search(&rows, &floats.view, k, &o, o.allow ? &allow : NULL, labels, distances, err);
    ht_release((void *)(uintptr_t)allow.chunks);
    ht_floats_clear(&floats);
leave:
    ht_fp_leave(fp);
    return status;
}
