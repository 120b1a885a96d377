/*
 * knn.c: hither_knn and hither_within, exact search over an array borrowed for the call. Any thread.
 *
 * The base is not read ahead of a search to look for NaN: a row that is not finite has no finite estimate, so the
 * search scores it by D and finds out for nothing. Only then is the array read in order, to name the first such row.
 * Where there are so many queries that coding the array first is sooner done, an index over it does the work.
 */
#include <math.h>

#include "api/answers.h"
#include "api/api.h"
#include "base/alloc.h"
#include "base/values.h"
#include "index/flat.h"
#include "index/stored.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

/* Coding a row takes about as long as 300 to 450 queries gain by its code, measured at 64, 384 and 1,024 dimensions,
 * where codes rule most rows out; a few queries of a sample of rows tell whether they do. */
enum { REPAYING_QUERIES = 512, SAMPLE_ROWS = 8192, SAMPLE_QUERIES = 8, MOST_LEFT = 8 /* of so many rows one */ };

/* A checked call. */
typedef struct asked {
    hither_knn_options o;
    hither_matrix rows;
    ht_floats queries;
    ht_mask allow;
    double recall;
    unsigned threads;
} asked;

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

static hither_status check(const hither_matrix *base, const hither_matrix *queries, const hither_knn_options *options,
                           asked *a, hither_error *err) {
    HT_TRY(ht_options_read(&a->o, sizeof a->o, options, "hither_knn_options", err));
    HT_TRY(ht_recall_read(a->o.recall, &a->recall, err));
    if (!base || !queries)
        return ht_fail(err, HITHER_INVALID, "knn: %s is NULL", base ? "queries" : "base");
    hither_metric metric = a->o.metric;
    if (metric < 0 || metric > HITHER_HAMMING)
        return ht_fail(err, HITHER_INVALID, "metric %d is none of hither_metric", (int)metric);
    a->rows = *base;
    HT_TRY(ht_matrix_check(&a->rows, "base", err));
    if (metric && (metric == HITHER_HAMMING) != (base->dtype == HITHER_B1))
        return ht_fail(err, HITHER_UNSUPPORTED, "%s has no meaning for %s rows; hamming is for b1, and only it",
                       ht_metric_name(metric), ht_dtype_name(base->dtype));
    if (base->dim != queries->dim)
        return ht_fail(err, HITHER_DIMENSION, "queries have %zu dimensions, base has %zu", queries->dim, base->dim);
    a->o.metric = ht_metric_or_default(metric, base->dtype);
    a->threads = a->o.threads ? a->o.threads : queries->rows == 1 ? 1 : 0;
    return HITHER_OK;
}

/* What check left to do; the caller is between ht_fp_enter and ht_fp_leave. close_asked follows success. */
static hither_status open_asked(const hither_matrix *queries, asked *a, hither_error *err) {
    HT_TRY(ht_queries_read(queries, a->rows.dtype, &a->queries, err));
    hither_status status = a->o.allow ? read_allow(&a->o, a->rows.rows, &a->allow, err) : HITHER_OK;
    if (status != HITHER_OK)
        ht_floats_clear(&a->queries);
    return status;
}

static void close_asked(asked *a) {
    ht_release((void *)(uintptr_t)a->allow.chunks);
    ht_floats_clear(&a->queries);
}

static bool all_finite(const hither_matrix *m) {
    ht_floats floats;
    const ht_layout layout = {m->dtype, true, m->dim};
    if (m->dtype == HITHER_F32)
        return ht_floats_read(m, "base", &floats, NULL) == HITHER_OK;
    for (size_t i = 0; i < m->rows; i++)
        if (ht_stored_not_finite(&layout, (const char *)m->data + i * m->stride) <= m->dim)
            return false;
    return true;
}

/* Whether codes leave few rows to be read in full, tried with some rows and queries of all; k: of that many nearest. */
static bool codes_rule_out(const asked *a, size_t k) {
    size_t step = a->rows.rows / SAMPLE_ROWS, nearest = k / step + 1;
    hither_matrix rows = a->rows, queries = a->queries.view;
    int64_t *labels = ht_calloc(SAMPLE_QUERIES * nearest, sizeof *labels);
    float *distances = ht_calloc(SAMPLE_QUERIES * nearest, sizeof *distances);
    ht_flat_stats stats = {0};
    ht_flat *flat = NULL;
    rows.rows = SAMPLE_ROWS;
    rows.stride *= step; /* no more than the rows' own bytes in all */
    queries.stride *= queries.rows / SAMPLE_QUERIES;
    queries.rows = SAMPLE_QUERIES;
    const ht_flat_search what = {.k = nearest, .threads = 1};
    bool tried = labels && distances && ht_flat_wrap(&rows, a->o.metric, 1, &flat, NULL) == HITHER_OK &&
                 ht_flat_knn(flat, &queries, &what, labels, distances, &stats, NULL) == HITHER_OK;
    ht_flat_release(flat);
    ht_release(distances);
    ht_release(labels);
    return tried && stats.exact.rows_full <= stats.exact.rows_scanned / MOST_LEFT;
}

/* An index over the array, if that is worth it, can be had, and the array is what an index may hold; else NULL, and the
 * search goes without: the answers are the same. */
static ht_flat *index_of(const asked *a, size_t k) {
    ht_flat *flat = NULL;
    if (a->queries.view.rows < REPAYING_QUERIES || a->rows.rows < SAMPLE_ROWS || a->o.allow ||
        a->o.metric == HITHER_L1 || !ht_flat_codes_help(a->rows.dtype, (uint32_t)a->rows.dim) ||
        !all_finite(&a->rows) || !codes_rule_out(a, k))
        return NULL;
    return ht_flat_wrap(&a->rows, a->o.metric, a->threads, &flat, NULL) == HITHER_OK ? flat : NULL;
}

static ht_vectors vectors_of(const asked *a, ht_part *part) {
    *part = (ht_part){.rows = a->rows.data, .count = a->rows.rows, .stride = a->rows.stride, .bare = true};
    return (ht_vectors){
        .dtype = a->rows.dtype, .metric = a->o.metric, .dim = (uint32_t)a->rows.dim, .parts = part, .part_count = 1};
}

/* ---- the k nearest */

static hither_status nearest_of_rows(const asked *a, uint32_t k, int64_t *labels, float *distances, hither_error *err) {
    const hither_matrix *queries = &a->queries.view;
    const ht_mask *allow = a->o.allow ? &a->allow : NULL;
    size_t total, bytes;
    if (!ht_mul_size(queries->rows, k, &total) || !ht_mul_size(total, sizeof(ht_hit), &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "hits");
    ht_hit *hits = ht_alloc(bytes);
    size_t *counts = ht_calloc(queries->rows, sizeof *counts);
    ht_part part;
    ht_vectors vectors = vectors_of(a, &part);
    hither_status status = hits && counts ? HITHER_OK : ht_fail_nomem(err, bytes, "hits");
    if (status == HITHER_OK)
        status = ht_exact_search(&vectors, queries->data, queries->stride, queries->rows, NULL, allow, k, a->threads,
                                 hits, counts, NULL, err);
    if (status == HITHER_NOT_FINITE)
        status = name_not_finite(&a->rows, allow, err);
    if (status == HITHER_OK)
        ht_answers_write(queries->rows, k, hits, counts, labels, distances);
    ht_release(counts);
    ht_release(hits);
    return status;
}

static hither_status nearest(const asked *a, uint32_t k, int64_t *labels, float *distances, hither_error *err) {
    ht_flat *flat = index_of(a, k);
    if (!flat)
        return nearest_of_rows(a, k, labels, distances, err);
    const ht_flat_search what = {.k = k, .recall = a->recall, .threads = a->threads};
    hither_status status = ht_flat_knn(flat, &a->queries.view, &what, labels, distances, NULL, err);
    ht_flat_release(flat);
    return status;
}

hither_status hither_knn(const hither_matrix *base, const hither_matrix *queries, uint32_t k,
                         const hither_knn_options *options, int64_t *labels, float *distances, hither_error *err) {
    asked a = {0};
    HT_TRY(check(base, queries, options, &a, err));
    HT_TRY(ht_k_check(k, err));
    if (queries->rows > 0 && (!labels || !distances))
        return ht_fail(err, HITHER_INVALID, "knn: %s is NULL", labels ? "distances" : "labels");
    ht_fp_state fp = ht_fp_enter();
    hither_status status = open_asked(queries, &a, err);
    if (status == HITHER_OK) {
        status = nearest(&a, k, labels, distances, err);
        close_asked(&a);
    }
    ht_fp_leave(fp);
    return status;
}

/* ---- all within a radius */

static hither_status within_rows(const asked *a, float radius, ht_found *found, ht_exact_stats *stats,
                                 hither_error *err) {
    const hither_matrix *queries = &a->queries.view;
    const ht_mask *allow = a->o.allow ? &a->allow : NULL;
    ht_part part;
    ht_vectors vectors = vectors_of(a, &part);
    hither_status status = ht_exact_within(NULL, &vectors, queries->data, queries->stride, queries->rows, NULL, allow,
                                           radius, a->threads, found, stats, err);
    return status == HITHER_NOT_FINITE ? name_not_finite(&a->rows, allow, err) : status;
}

static hither_status within(const asked *a, float radius, hither_result **out, hither_error *err) {
    size_t queries = a->queries.view.rows;
    ht_searched searched = {.rows = a->rows.rows, .recall = 1};
    ht_found *found = ht_calloc(queries + 1, sizeof *found);
    if (!found)
        return ht_fail_nomem(err, queries, "queries");
    ht_flat *flat = index_of(a, 0);
    const ht_flat_search what = {.k = 1, .recall = 1, .threads = a->threads};
    hither_status status =
        flat ? ht_flat_within(flat, &a->queries.view, &what, radius, found, &searched.stats.exact, err)
             : within_rows(a, radius, found, &searched.stats.exact, err);
    if (status == HITHER_OK)
        status = ht_answers_found(queries, found, &searched, out, err);
    for (size_t j = 0; j < queries; j++)
        ht_release(found[j].hits);
    ht_release(found);
    ht_flat_release(flat);
    return status;
}

hither_status hither_within(const hither_matrix *base, const hither_matrix *queries, float radius,
                            const hither_knn_options *options, hither_result **out, hither_error *err) {
    asked a = {0};
    if (!out)
        return ht_fail(err, HITHER_INVALID, "within: out is NULL");
    *out = NULL;
    HT_TRY(check(base, queries, options, &a, err));
    if (a.recall < 1)
        return ht_fail(err, HITHER_INVALID, "a recall of %g within a radius: all rows are all", a.recall);
    ht_fp_state fp = ht_fp_enter();
    hither_status status = open_asked(queries, &a, err);
    if (status == HITHER_OK) {
        status = within(&a, radius, out, err);
        close_asked(&a);
    }
    ht_fp_leave(fp);
    return status;
}
