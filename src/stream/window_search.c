/*
 * window_search.c: the records of a window nearest to a query, or farthest from the mean. Distances are those of the
 * forms, so the forms are searched, exactly, and then written out as their records. The answer is that of comparing
 * every record: ordered by D, then by number.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"
#include "stream/window_inside.h"

/* The forms that the k nearest records can be of, best first: the k nearest forms, and those as near as the last. */
static hither_status nearest_forms(ht_window *w, const float *query, size_t k, ht_hit **out, size_t *count,
                                   hither_error *err) {
    size_t want = k < w->forms.live ? k + 1 : w->forms.live;
    for (;;) {
        ht_hit *hits = ht_alloc((want > 0 ? want : 1) * sizeof *hits);
        if (!hits)
            return ht_fail_nomem(err, want * sizeof *hits, "hits");
        hither_status status = ht_forms_search(&w->forms, query, 0, want, hits, count, err);
        if (status != HITHER_OK) {
            ht_release(hits);
            return status;
        }
        if (want == w->forms.live || hits[want - 1].distance > hits[k - 1].distance) {
            *out = hits;
            return HITHER_OK;
        }
        ht_release(hits);
        want = want < w->forms.live / 2 ? want * 2 : w->forms.live;
    }
}

/* The k nearest records; hits has room for k. */
static hither_status nearest_records(ht_window *w, const float *query, size_t k, ht_hit *hits, size_t *count,
                                     hither_error *err) {
    ht_hit *forms = NULL;
    size_t form_count = 0;
    HT_TRY(nearest_forms(w, query, k, &forms, &form_count, err));
    ht_topk best;
    ht_topk_init(&best, hits, k);
    for (size_t i = 0; i < form_count && forms[i].distance <= ht_topk_limit(&best); i++) {
        const ht_form *form = &w->forms.forms[forms[i].slot];
        uint64_t record = form->oldest;
        for (uint32_t left = form->count; left > 0; left--) {
            ht_hit hit = {forms[i].distance, record};
            if (best.count == k && !ht_hit_before(hit, hits[0])) /* the worst is on top */
                break;
            ht_topk_push(&best, hit);
            record = ht_window_record(w, record)->next;
        }
    }
    ht_topk_sort(&best);
    *count = best.count;
    ht_release(forms);
    return HITHER_OK;
}

static void add_hit(const ht_window *w, hither_result *result, uint64_t number, double distance) {
    ht_result_add_int(result, (int64_t)number);
    ht_result_distance(result, (float)distance);
    ht_result_document(result, ht_window_text(w, number));
}

static hither_status search_one(ht_window *w, const float *query, uint32_t k, hither_result *result,
                                hither_error *err) {
    size_t room = k < w->count ? k : w->count, count = 0;
    if (room == 0)
        return HITHER_OK;
    ht_hit *hits = ht_alloc(room * sizeof *hits);
    if (!hits)
        return ht_fail_nomem(err, room * sizeof *hits, "hits");
    hither_status status = nearest_records(w, query, room, hits, &count, err);
    for (size_t i = 0; status == HITHER_OK && i < count; i++)
        add_hit(w, result, hits[i].slot, hits[i].distance);
    ht_release(hits);
    return status;
}

static hither_status finish(hither_status status, hither_result *result, hither_result **out, hither_error *err) {
    if (status == HITHER_OK)
        status = ht_result_check(result, err);
    if (status == HITHER_OK)
        *out = result;
    else
        hither_result_free(result);
    return status;
}

hither_status ht_window_search(ht_window *w, const hither_strings *texts, const hither_matrix *vectors, uint32_t k,
                               hither_result **out, hither_error *err) {
    hither_result *result;
    hither_status status = HITHER_OK;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS, 0, true, &result, err));
    pthread_mutex_lock(&w->mutex);
    ht_window_expire(w);
    size_t count = vectors ? vectors->rows : texts->count;
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        if (i > 0)
            ht_result_next_group(result);
        if (vectors) {
            memcpy(w->vector, (const char *)vectors->data + i * vectors->stride, w->spec.dim * sizeof(float));
        } else {
            ht_text text = ht_strings_at(texts, i);
            status = ht_window_mask(w, &text, err);
            if (status == HITHER_OK)
                status = w->spec.embed(w->spec.embed_ctx, w->masked.data ? w->masked.data : "", w->masked.size,
                                       w->vector, err);
        }
        if (status == HITHER_OK)
            status = search_one(w, w->vector, k, result, err);
    }
    pthread_mutex_unlock(&w->mutex);
    return finish(status, result, out, err);
}

/* ---- the mean */

/* The sum of the unit vectors in w->sums, whether they are kept up to date or not. */
static void know_sums(ht_window *w) {
    if (!w->spec.no_centroid)
        return;
    memset(w->sums, 0, w->forms.stride / sizeof(float) * sizeof *w->sums);
    for (uint32_t i = 0; i < w->forms.used; i++)
        if (w->forms.forms[i].birth != 0)
            ht_window_add(w, w->sums, i, w->forms.forms[i].count);
}

void ht_window_centroid(ht_window *w, float *mean) {
    pthread_mutex_lock(&w->mutex);
    ht_window_expire(w);
    know_sums(w);
    double records = w->spec.half_life > 0 ? w->weight : w->count;
    for (uint32_t i = 0; i < w->spec.dim; i++)
        mean[i] = records > 0 ? (float)(w->sums[i] / HT_WINDOW_UNIT / records) : 0.0f;
    pthread_mutex_unlock(&w->mutex);
}

/* Farthest from the mean is nearest to its opposite: D there is 1 + similarity. */
hither_status ht_window_outliers(ht_window *w, uint32_t n, double below, hither_result **out, hither_error *err) {
    hither_result *result;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS, 0, true, &result, err));
    pthread_mutex_lock(&w->mutex);
    ht_window_expire(w);
    know_sums(w);
    for (uint32_t i = 0; i < w->spec.dim; i++)
        w->vector[i] = -(float)w->sums[i];
    size_t room = n < w->count ? n : w->count, count = 0;
    ht_hit *hits = ht_alloc((room > 0 ? room : 1) * sizeof *hits);
    hither_status status = hits ? HITHER_OK : ht_fail_nomem(err, room * sizeof *hits, "hits");
    if (status == HITHER_OK && room > 0)
        status = nearest_records(w, w->vector, room, hits, &count, err);
    for (size_t i = 0; status == HITHER_OK && i < count && hits[i].distance - 1 < below; i++)
        add_hit(w, result, hits[i].slot, 2 - hits[i].distance);
    pthread_mutex_unlock(&w->mutex);
    ht_release(hits);
    return finish(status, result, out, err);
}

hither_status ht_window_info(ht_window *w, hither_result **out, hither_error *err) {
    hither_result *result;
    HT_TRY(ht_result_new(HITHER_INCLUDE_METADATA, 0, false, &result, err));
    pthread_mutex_lock(&w->mutex);
    ht_window_expire(w);
    uint32_t records = w->count, forms = w->forms.live;
    uint64_t pushed = w->next;
    pthread_mutex_unlock(&w->mutex);
    char json[160];
    int bytes = snprintf(json, sizeof json,
                         "{\"capacity\":%" PRIu32 ",\"dim\":%" PRIu32 ",\"records\":%" PRIu32 ",\"forms\":%" PRIu32
                         ",\"pushed\":%" PRIu64 "}",
                         w->spec.capacity, w->spec.dim, records, forms, pushed);
    ht_result_add_int(result, 0);
    ht_result_metadata(result, (ht_text){json, (size_t)bytes});
    return finish(HITHER_OK, result, out, err);
}
