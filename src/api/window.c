/*
 * window.c: hither_window_*. Joins the window with an embedder, which neither knows the other. Any thread.
 */
#include <inttypes.h>

#include "api/api.h"
#include "base/alloc.h"
#include "engine/fork.h"
#include "kernels/kernels.h"
#include "stream/window.h"

#define DEFAULT_CAPACITY 16384u
#define MAX_CAPACITY     (1u << 24)

struct hither_window {
    ht_window *window;
    ht_embedder *embedder; /* NULL: vectors only */
    uint32_t dim;
    uint64_t generation; /* of forks */
};

static hither_status embed_form(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err) {
    return ht_embedder_one(ctx, text, bytes, vector, err);
}

/* And what embeds the texts, or NULL. */
static hither_status check_options(const hither_window_options *o, ht_embedder **out, hither_error *err) {
    *out = NULL;
    if (o->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "window: %" PRIu32 " dimensions; 1 to %u are possible", o->dim,
                       HITHER_MAX_DIM);
    if (o->no_centroid > 1)
        return ht_fail(err, HITHER_INVALID, "window: no_centroid is %" PRIu32 "; 0 or 1 is possible", o->no_centroid);
    if (!(o->alarm_rate >= 0 && o->alarm_rate <= 1))
        return ht_fail(err, HITHER_INVALID, "window: an alarm_rate of %g; it is a share of the records, from 0 to 1",
                       o->alarm_rate);
    if (!o->embedder)
        return o->dim ? HITHER_OK : ht_embedder_builtin(out, err);
    uint32_t dim = ht_embedder_dim(ht_embedder_in(o->embedder));
    if (o->dim && o->dim != dim)
        return ht_fail(err, HITHER_DIMENSION, "window: dim is %" PRIu32 ", but the embedder makes %" PRIu32, o->dim,
                       dim);
    *out = ht_embedder_acquire(ht_embedder_in(o->embedder));
    return HITHER_OK;
}

hither_status hither_window_new(const hither_window_options *options, hither_window **out, hither_error *err) {
    if (!out)
        return ht_fail(err, HITHER_INVALID, "window: out is NULL");
    *out = NULL;
    hither_window_options o;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_window_options", err));
    uint32_t capacity = o.capacity ? o.capacity : DEFAULT_CAPACITY;
    if (capacity > MAX_CAPACITY)
        return ht_fail(err, HITHER_INVALID, "window: a capacity of %" PRIu32 " records; at most %u are possible",
                       capacity, MAX_CAPACITY);
    hither_window *w = ht_calloc(1, sizeof *w);
    if (!w)
        return ht_fail_nomem(err, sizeof *w, "a window");
    w->generation = ht_fork_generation();
    hither_status status = check_options(&o, &w->embedder, err);
    const ht_window_spec spec = {
        .capacity = capacity,
        .dim = w->embedder ? ht_embedder_dim(w->embedder) : o.dim,
        .age_ms = o.age_ms,
        .no_centroid = o.no_centroid != 0,
        .alarm_rate = o.alarm_rate,
        .alarm_after = o.alarm_after,
        .alarm_below = o.alarm_below ? o.alarm_below : 2,
        .embed = w->embedder ? embed_form : NULL,
        .embed_ctx = w->embedder,
    };
    w->dim = spec.dim;
    if (status == HITHER_OK)
        status = ht_window_new(&spec, &w->window, err);
    if (status == HITHER_OK)
        *out = w;
    else
        hither_window_close(w);
    return status;
}

void hither_window_close(hither_window *w) {
    if (!w)
        return;
    ht_window_free(w->window);
    ht_embedder_release(w->embedder);
    ht_release(w);
}

/* Pointers, offsets and lengths; the bytes may be anything. */
static hither_status check_texts(const hither_strings *texts, hither_error *err) {
    if (texts->count == 0)
        return HITHER_OK;
    if (!texts->offsets)
        return ht_fail(err, HITHER_INVALID, "texts: %zu strings without offsets", texts->count);
    for (size_t i = 0; i < texts->count; i++) {
        uint64_t begin = texts->offsets[i], end = texts->offsets[i + 1];
        if (end < begin)
            return ht_fail(err, HITHER_INVALID, "texts: row %zu ends at offset %" PRIu64 ", before its start %" PRIu64,
                           i, end, begin);
        if (end - begin > HITHER_MAX_TEXT_BYTES)
            return ht_fail(err, HITHER_TOO_LARGE, "texts: row %zu has %" PRIu64 " bytes, the limit is %u", i,
                           end - begin, HITHER_MAX_TEXT_BYTES);
    }
    if (!texts->bytes && texts->offsets[texts->count] != texts->offsets[0])
        return ht_fail(err, HITHER_INVALID, "texts: offsets promise bytes but there are none");
    return HITHER_OK;
}

static hither_status check_embedder(const hither_window *w, hither_error *err) {
    if (!w->embedder)
        return ht_fail(err, HITHER_MODEL, "the window has no embedder, so texts need vectors beside them");
    return HITHER_OK;
}

/* Vectors as f32 rows of the window's dimension. */
static hither_status read_vectors(const hither_window *w, const hither_matrix *m, const char *what, ht_floats *out,
                                  hither_error *err) {
    HT_TRY(ht_floats_read(m, what, out, err));
    if (out->view.dim == w->dim)
        return HITHER_OK;
    ht_floats_clear(out);
    return ht_fail(err, HITHER_DIMENSION, "%s have %zu dimensions, the window has %" PRIu32, what, m->dim, w->dim);
}

static hither_status push_rows(hither_window *w, const hither_window_rows *rows, hither_score *scores,
                               hither_error *err) {
    const hither_strings *texts = &rows->texts;
    HT_TRY(check_texts(texts, err));
    if (!rows->vectors.rows) {
        if (texts->count)
            HT_TRY(check_embedder(w, err));
        return ht_window_push(w->window, &(ht_window_rows){.texts = texts, .times_ms = rows->times_ms}, scores, err);
    }
    if (texts->count && texts->count != rows->vectors.rows)
        return ht_fail(err, HITHER_INVALID, "push: %zu vectors with %zu texts", rows->vectors.rows, texts->count);
    ht_floats vectors;
    HT_TRY(read_vectors(w, &rows->vectors, "vectors", &vectors, err));
    const ht_window_rows inner = {
        .texts = texts->count ? texts : NULL, .vectors = &vectors.view, .times_ms = rows->times_ms};
    hither_status status = ht_window_push(w->window, &inner, scores, err);
    ht_floats_clear(&vectors);
    return status;
}

hither_status hither_window_push_rows(hither_window *w, const hither_window_rows *rows, hither_score *scores,
                                      hither_error *err) {
    if (!w || !rows)
        return ht_fail(err, HITHER_INVALID, "push: %s is NULL", w ? "rows" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    hither_window_rows r;
    HT_TRY(ht_options_read(&r, sizeof r, rows, "hither_window_rows", err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = push_rows(w, &r, scores, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_push(hither_window *w, const hither_strings *texts, hither_score *scores,
                                 hither_error *err) {
    if (!w || !texts)
        return ht_fail(err, HITHER_INVALID, "push: %s is NULL", w ? "texts" : "window");
    return hither_window_push_rows(w, HITHER_OPTIONS(hither_window_rows, .texts = *texts), scores, err);
}

hither_status hither_window_get(hither_window *w, const uint64_t *records, size_t count, hither_result **out,
                                hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !out || (!records && count > 0))
        return ht_fail(err, HITHER_INVALID, "get: %s is NULL", !w ? "window" : !out ? "out" : "records");
    HT_TRY(ht_fork_check(w->generation, err));
    ht_fp_state fp = ht_fp_enter(); /* records may leave, and with them a part of the centroid */
    hither_status status = ht_window_get(w->window, records, count, out, err);
    ht_fp_leave(fp);
    return status;
}

/* ---- looking at the whole window */

static hither_status check_k(const char *what, uint32_t k, hither_error *err) {
    if (k < 1)
        return ht_fail(err, HITHER_INVALID, "%s is 0; ask for at least 1 record", what);
    if (k > HITHER_MAX_K)
        return ht_fail(err, HITHER_TOO_LARGE, "%s is %" PRIu32 "; at most %u are possible", what, k, HITHER_MAX_K);
    return HITHER_OK;
}

static hither_status search(hither_window *w, const hither_query *q, uint32_t k, hither_result **out,
                            hither_error *err) {
    bool texts = q->texts.count > 0, vectors = q->vectors.rows > 0;
    if (texts == vectors || q->ids.count > 0)
        return ht_fail(err, HITHER_INVALID, "search: a query is %s",
                       texts == vectors && texts ? "vectors or texts, not both" : "vectors or texts");
    if (texts) {
        HT_TRY(check_embedder(w, err));
        HT_TRY(check_texts(&q->texts, err));
        return ht_window_search(w->window, &q->texts, NULL, k, out, err);
    }
    ht_floats rows;
    HT_TRY(read_vectors(w, &q->vectors, "queries", &rows, err));
    hither_status status = ht_window_search(w->window, NULL, &rows.view, k, out, err);
    ht_floats_clear(&rows);
    return status;
}

hither_status hither_window_search(hither_window *w, const hither_query *query, uint32_t k, hither_result **out,
                                   hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !query || !out)
        return ht_fail(err, HITHER_INVALID, "search: %s is NULL", !w ? "window" : !query ? "query" : "out");
    HT_TRY(ht_fork_check(w->generation, err));
    HT_TRY(check_k("k", k, err));
    hither_query q;
    HT_TRY(ht_options_read(&q, sizeof q, query, "hither_query", err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = search(w, &q, k, out, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_centroid(hither_window *w, float *mean, size_t dim, hither_error *err) {
    if (!w || !mean)
        return ht_fail(err, HITHER_INVALID, "centroid: %s is NULL", w ? "mean" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    if (dim != w->dim)
        return ht_fail(err, HITHER_DIMENSION, "centroid: room for %zu dimensions, the window has %" PRIu32, dim,
                       w->dim);
    ht_fp_state fp = ht_fp_enter();
    ht_window_centroid(w->window, mean);
    ht_fp_leave(fp);
    return HITHER_OK;
}

hither_status hither_window_outliers(hither_window *w, uint32_t n, double below, hither_result **out,
                                     hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !out)
        return ht_fail(err, HITHER_INVALID, "outliers: %s is NULL", w ? "out" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    HT_TRY(check_k("n", n, err));
    if (below != below)
        return ht_fail(err, HITHER_INVALID, "outliers: below is not a number");
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_window_outliers(w->window, n, below, out, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_info(hither_window *w, hither_result **out, hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !out)
        return ht_fail(err, HITHER_INVALID, "info: %s is NULL", w ? "out" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_window_info(w->window, out, err);
    ht_fp_leave(fp);
    return status;
}
