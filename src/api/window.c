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
    ht_embedder *embedder;
    uint64_t generation; /* of forks */
};

static hither_status embed_form(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err) {
    return ht_embedder_one(ctx, text, bytes, vector, err);
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
    hither_status status = HITHER_OK;
    w->generation = ht_fork_generation();
    if (o.embedder)
        w->embedder = ht_embedder_acquire(ht_embedder_in(o.embedder));
    else
        status = ht_embedder_builtin(&w->embedder, err);
    if (status == HITHER_OK)
        status = ht_window_new(capacity, ht_embedder_dim(w->embedder), embed_form, w->embedder, &w->window, err);
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

hither_status hither_window_push(hither_window *w, const hither_strings *texts, hither_score *scores,
                                 hither_error *err) {
    if (!w || !texts)
        return ht_fail(err, HITHER_INVALID, "push: %s is NULL", w ? "texts" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    HT_TRY(check_texts(texts, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_window_push(w->window, texts, scores, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_get(hither_window *w, const uint64_t *records, size_t count, hither_result **out,
                                hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !out || (!records && count > 0))
        return ht_fail(err, HITHER_INVALID, "get: %s is NULL", !w ? "window" : !out ? "out" : "records");
    HT_TRY(ht_fork_check(w->generation, err));
    return ht_window_get(w->window, records, count, out, err);
}
