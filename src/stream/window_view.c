/*
 * window_view.c: a window at one moment: its records without those too old, its sums, a frozen copy of it. Views take
 * no lock; the sums of a window that scores novelty are read under its mutex.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "stream/window_inside.h"

static void drop(ht_moment *view, uint64_t number) {
    uint64_t at = number - view->base;
    view->bits[at / 64] &= ~((uint64_t)1 << at % 64);
    view->records--;
}

hither_status ht_window_view(ht_window *w, ht_moment *view, hither_error *err) {
    HT_TRY(ht_moment_open(w->ring, view, err));
    if (w->spec.age_ms == 0 || w->frozen)
        return HITHER_OK;
    bool own = atomic_load(&w->times) == HT_TIMES_OWN;
    int64_t now = own ? atomic_load(&w->now_ms) : ht_window_clock_ms();
    for (uint64_t i = view->base; i < view->end; i++) {
        int64_t time = ht_moment_has(view, i) ? ht_moment_record(view, i).time_ms : now;
        if (time < now && (uint64_t)now - (uint64_t)time > w->spec.age_ms)
            drop(view, i);
    }
    return HITHER_OK;
}

void ht_window_put(const ht_moment *view, uint64_t number, hither_result *result) {
    const ht_ring_record r = ht_moment_record(view, number);
    ht_result_metadata(result, r.metadata);
    ht_result_document(result, r.text);
}

hither_status ht_window_get(ht_window *w, const uint64_t *records, size_t count, hither_result **out,
                            hither_error *err) {
    hither_result *result;
    ht_moment view;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS | HITHER_INCLUDE_METADATA, 0, false, &result, err));
    hither_status status = ht_window_view(w, &view, err);
    for (size_t i = 0; status == HITHER_OK && i < count; i++) {
        if (!ht_moment_has(&view, records[i]))
            continue;
        ht_result_add_int(result, (int64_t)records[i]);
        ht_window_put(&view, records[i], result);
    }
    if (status == HITHER_OK)
        ht_moment_close(&view);
    return ht_result_hand_over(status, result, out, err);
}

hither_status ht_window_info(ht_window *w, hither_result **out, hither_error *err) {
    hither_result *result;
    ht_moment view;
    HT_TRY(ht_result_new(HITHER_INCLUDE_METADATA, 0, false, &result, err));
    hither_status status = ht_window_view(w, &view, err);
    if (status != HITHER_OK)
        return ht_result_hand_over(status, result, out, err);
    size_t records = view.records, forms = records;
    ht_moment_close(&view);
    if (!w->spec.no_novelty) {
        pthread_mutex_lock(&w->mutex);
        ht_window_expire(w);
        forms = w->forms.live;
        pthread_mutex_unlock(&w->mutex);
    }
    char json[224];
    int bytes = snprintf(json, sizeof json,
                         "{\"capacity\":%" PRIu32 ",\"dim\":%" PRIu32
                         ",\"records\":%zu,\"forms\":%zu,\"pushed\":%" PRIu64 ",\"busy\":%" PRIu64 "}",
                         w->spec.capacity, w->spec.dim, records, forms, ht_ring_next(w->ring), ht_ring_busy(w->ring));
    ht_result_add_int(result, 0);
    ht_result_metadata(result, (ht_text){json, (size_t)bytes});
    return ht_result_hand_over(HITHER_OK, result, out, err);
}

/* ---- the mean */

static hither_status sum_view(ht_window *w, double *sums, double *weight, hither_error *err) {
    ht_moment view;
    HT_TRY(ht_window_view(w, &view, err));
    *weight = (double)view.records;
    for (uint64_t i = view.base; i < view.end; i++) {
        if (!ht_moment_has(&view, i))
            continue;
        const float *vector = ht_moment_record(&view, i).vector;
        ht_window_add(w, sums, vector, ht_window_scale(w, vector));
    }
    ht_moment_close(&view);
    return HITHER_OK;
}

hither_status ht_window_sum(ht_window *w, double *sums, double *weight, hither_error *err) {
    size_t padded = ht_window_padded(w);
    memset(sums, 0, padded * sizeof *sums);
    if (w->spec.no_centroid)
        return sum_view(w, sums, weight, err);
    if (w->spec.no_novelty) {
        uint64_t pushed = ht_ring_next(w->ring) - ht_ring_first(w->ring);
        *weight = pushed < w->spec.capacity ? (double)pushed : w->spec.capacity;
        for (size_t j = 0; j < padded; j++)
            sums[j] = (double)atomic_load_explicit(&w->open_sums[j], memory_order_relaxed);
        return HITHER_OK;
    }
    pthread_mutex_lock(&w->mutex);
    if (!w->frozen)
        ht_window_expire(w);
    memcpy(sums, w->sums, padded * sizeof *sums);
    *weight = w->spec.half_life > 0 ? w->weight : w->count;
    pthread_mutex_unlock(&w->mutex);
    return HITHER_OK;
}

hither_status ht_window_centroid(ht_window *w, float *mean, hither_error *err) {
    double weight, *sums = ht_calloc(ht_window_padded(w), sizeof *sums);
    hither_status status = sums ? ht_window_sum(w, sums, &weight, err)
                                : ht_fail_nomem(err, ht_window_padded(w) * sizeof *sums, "a centroid");
    for (uint32_t i = 0; status == HITHER_OK && i < w->spec.dim; i++)
        mean[i] = weight > 0 ? (float)(sums[i] / HT_WINDOW_UNIT / weight) : 0.0f;
    ht_release(sums);
    return status;
}

/* ---- a frozen copy */

static hither_status copy_records(ht_window *copy, const ht_moment *view, hither_error *err) {
    ht_ring_start(copy->ring, view->base);
    for (uint64_t i = view->base; i < view->end; i++) {
        if (ht_moment_has(view, i)) {
            const ht_ring_record record = ht_moment_record(view, i);
            HT_TRY(ht_window_restore_one(copy, 0, &record, err));
            continue;
        }
        uint64_t number;
        uint32_t one;
        HT_TRY(ht_ring_claim(copy->ring, 1, &number, &one, err));
        ht_ring_give_up(copy->ring, number);
    }
    return HITHER_OK;
}

static hither_status copy_rules(const ht_window *w, ht_rules **out, hither_error *err) {
    size_t bytes = 0;
    const char *text = w->spec.rules ? ht_rules_text(w->spec.rules, &bytes) : NULL;
    *out = NULL;
    return text ? ht_rules_new(text, bytes, out, err) : HITHER_OK;
}

hither_status ht_window_snapshot(ht_window *w, ht_window **out, hither_error *err) {
    ht_window_spec spec = w->spec;
    ht_window *copy;
    ht_moment view;
    HT_TRY(copy_rules(w, &spec.rules, err));
    spec.no_novelty = spec.no_centroid = true; /* the centroid is summed from the records when asked for */
    spec.slack = 1;
    HT_TRY(ht_window_new(&spec, &copy, err));
    hither_status status = ht_window_view(w, &view, err);
    if (status == HITHER_OK) {
        status = copy_records(copy, &view, err);
        ht_moment_close(&view);
    }
    copy->frozen = true;
    if (status == HITHER_OK)
        *out = copy;
    else
        ht_window_free(copy);
    return status;
}
