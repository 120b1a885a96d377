/*
 * window_search.c: the records of a window nearest to a query, within a radius of it, or farthest from the mean. Each
 * search stands on one view; the answer is that of comparing every record of it: ordered by D, then by number. No lock.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "stream/window_inside.h"

/* ---- which records */

static hither_status keep_matches(ht_moment *view, const ht_window_filter *f, hither_error *err) {
    if (!f)
        return HITHER_OK;
    for (uint64_t i = view->base; i < view->end; i++) {
        if (!ht_moment_has(view, i))
            continue;
        const ht_ring_record r = ht_moment_record(view, i);
        bool match = r.time_ms >= f->since_ms && r.time_ms <= f->until_ms;
        if (match && f->matches)
            HT_TRY(f->matches(f->ctx, r.metadata, r.text, &match, err));
        if (match)
            continue;
        view->bits[(i - view->base) / 64] &= ~((uint64_t)1 << (i - view->base) % 64);
        view->records--;
    }
    return HITHER_OK;
}

static void put_hits(const ht_moment *view, const ht_hit *hits, size_t count, hither_result *result) {
    for (size_t i = 0; i < count; i++) {
        ht_result_add_int(result, (int64_t)hits[i].slot);
        ht_result_distance(result, (float)hits[i].distance);
        ht_window_put(view, hits[i].slot, result);
    }
}

static hither_status nearest(ht_moment *view, const float *query, uint32_t k, hither_result *result,
                             hither_error *err) {
    size_t room = k < view->records ? k : view->records, count = 0;
    if (room == 0)
        return HITHER_OK;
    ht_hit *hits = ht_alloc(room * sizeof *hits);
    if (!hits)
        return ht_fail_nomem(err, room * sizeof *hits, "hits");
    hither_status status = ht_moment_search(view, HITHER_COSINE, query, room, hits, &count, err);
    if (status == HITHER_OK)
        put_hits(view, hits, count, result);
    ht_release(hits);
    return status;
}

static hither_status all_within(ht_moment *view, const float *query, float radius, hither_result *result,
                                hither_error *err) {
    ht_found found;
    if (view->records == 0)
        return HITHER_OK;
    HT_TRY(ht_moment_within(view, HITHER_COSINE, query, radius, &found, err));
    put_hits(view, found.hits, found.count, result);
    ht_release(found.hits);
    return HITHER_OK;
}

/* ---- queries */

hither_status ht_window_embed(const ht_window *w, ht_text text, float *vector, hither_error *err) {
    ht_buf clean, masked;
    ht_window_init_bufs(w, &clean, &masked);
    hither_status status = ht_window_mask(w, &text, &clean, &masked, err);
    if (status == HITHER_OK)
        status = w->spec.embed(w->spec.embed_ctx, masked.data ? masked.data : "", masked.size, vector, err);
    ht_buf_clear(&clean);
    ht_buf_clear(&masked);
    return status;
}

typedef struct asked {
    const hither_strings *texts;
    const hither_matrix *vectors;
    const ht_window_filter *filter;
    uint32_t k; /* 0: all within the radius */
    float radius;
} asked;

static hither_status answer(ht_window *w, const asked *a, size_t i, float *query, hither_result *result,
                            hither_error *err) {
    ht_moment view;
    memset(query, 0, ht_window_padded(w) * sizeof *query);
    if (a->vectors) /* embedding is done before the view pins anything */
        memcpy(query, (const char *)a->vectors->data + i * a->vectors->stride, w->spec.dim * sizeof *query);
    else
        HT_TRY(ht_window_embed(w, ht_strings_at(a->texts, i), query, err));
    HT_TRY(ht_window_view(w, &view, err));
    hither_status status = keep_matches(&view, a->filter, err);
    if (status == HITHER_OK)
        status = a->k ? nearest(&view, query, a->k, result, err) : all_within(&view, query, a->radius, result, err);
    ht_moment_close(&view);
    return status;
}

static hither_status answer_all(ht_window *w, const asked *a, hither_result **out, hither_error *err) {
    hither_result *result;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS | HITHER_INCLUDE_METADATA, 0, true, &result, err));
    size_t bytes = ht_window_padded(w) * sizeof(float), count = a->vectors ? a->vectors->rows : a->texts->count;
    float *query = ht_alloc_aligned(bytes);
    hither_status status = query ? HITHER_OK : ht_fail_nomem(err, bytes, "a query");
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        if (i > 0)
            ht_result_next_group(result);
        status = answer(w, a, i, query, result, err);
    }
    ht_release(query);
    return ht_result_hand_over(status, result, out, err);
}

hither_status ht_window_search(ht_window *w, const hither_strings *texts, const hither_matrix *vectors, uint32_t k,
                               const ht_window_filter *filter, hither_result **out, hither_error *err) {
    return answer_all(w, &(asked){.texts = texts, .vectors = vectors, .filter = filter, .k = k}, out, err);
}

hither_status ht_window_within(ht_window *w, const hither_strings *texts, const hither_matrix *vectors, float radius,
                               const ht_window_filter *filter, hither_result **out, hither_error *err) {
    return answer_all(w, &(asked){.texts = texts, .vectors = vectors, .filter = filter, .radius = radius}, out, err);
}

/* ---- the mean */

/* The records nearest to `opposite`, at most n of them and none at 1 + below or farther. Only where fewer than all may
 * be asked for is there a need to rank those that are too near to the mean. */
static hither_status farthest(ht_moment *view, const float *opposite, uint32_t n, double below, ht_found *found,
                              hither_error *err) {
    if (n >= view->records) {
        const float radius = (float)(1 + below);
        return ht_moment_within(view, HITHER_COSINE, opposite, nextafterf(radius, INFINITY), found, err);
    }
    *found = (ht_found){.hits = ht_alloc(n * sizeof *found->hits)};
    if (!found->hits)
        return ht_fail_nomem(err, n * sizeof *found->hits, "hits");
    return ht_moment_search(view, HITHER_COSINE, opposite, n, found->hits, &found->count, err);
}

/* Farthest from the mean is nearest to its opposite: D there is 1 + similarity. */
static hither_status put_farthest(ht_window *w, const float *opposite, uint32_t n, double below, hither_result *result,
                                  hither_error *err) {
    ht_moment view;
    ht_found found = {0};
    size_t kept = 0;
    HT_TRY(ht_window_view(w, &view, err));
    hither_status status = view.records > 0 ? farthest(&view, opposite, n, below, &found, err) : HITHER_OK;
    for (; status == HITHER_OK && kept < found.count && found.hits[kept].distance - 1 < below; kept++)
        found.hits[kept].distance = 2 - found.hits[kept].distance;
    if (status == HITHER_OK)
        put_hits(&view, found.hits, kept, result);
    ht_moment_close(&view);
    ht_release(found.hits);
    return status;
}

hither_status ht_window_outliers(ht_window *w, uint32_t n, double below, hither_result **out, hither_error *err) {
    hither_result *result;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS | HITHER_INCLUDE_METADATA, 0, true, &result, err));
    size_t padded = ht_window_padded(w);
    double weight, *sums = ht_calloc(padded, sizeof *sums);
    float *opposite = ht_alloc_aligned(padded * sizeof *opposite);
    hither_status status =
        sums && opposite ? ht_window_sum(w, sums, &weight, err) : ht_fail_nomem(err, padded * 12, "a centroid");
    if (status == HITHER_OK) {
        for (size_t i = 0; i < padded; i++)
            opposite[i] = -(float)sums[i];
        status = put_farthest(w, opposite, n, below, result, err);
    }
    ht_release(opposite);
    ht_release(sums);
    return ht_result_hand_over(status, result, out, err);
}
