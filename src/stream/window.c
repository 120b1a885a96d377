/*
 * window.c: a ring of the newest records and the forms they have. A record is scored against the window before it, then
 * takes the place of the oldest.
 *
 * What must stay true: the sum of the forms' counts is the number of records; the centroid's sums are exactly the
 * fixed-point vectors of the records in the window, so they never drift. A failed push leaves the window as it was
 * after the last text that was taken. One mutex guards everything; any thread.
 */
#include "stream/window.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/text.h"
#include "stream/forms.h"
#include "stream/mask.h"

#define KEPT_BYTES  HT_WINDOW_TEXT_BYTES
#define MASK_GROWTH 6u /* no byte of a line becomes more bytes of its form than this, but for a mark or two */
#define FIXED_POINT 0x1p30

typedef struct record {
    char *text;
    uint32_t bytes, room, form;
} record;

struct ht_window {
    pthread_mutex_t mutex;
    uint32_t capacity, count, dim;
    uint64_t next; /* number of the next record; it goes to slot next % capacity */
    record *records;
    ht_forms forms;
    ht_embed_fn *embed;
    void *embed_ctx;
    int64_t *sums; /* of the records' vectors, in fixed point */
    float *vector; /* of the text being pushed, if its form is new */
    ht_buf clean;  /* its text, where that had to be mended */
    ht_buf masked; /* its form */
};

hither_status ht_window_new(uint32_t capacity, uint32_t dim, ht_embed_fn *embed, void *embed_ctx, ht_window **out,
                            hither_error *err) {
    *out = NULL;
    ht_window *w = ht_calloc(1, sizeof *w);
    if (!w)
        return ht_fail_nomem(err, sizeof *w, "a window");
    w->capacity = capacity;
    w->dim = dim;
    w->embed = embed;
    w->embed_ctx = embed_ctx;
    ht_forms_init(&w->forms, dim);
    ht_buf_init(&w->clean, KEPT_BYTES + 4);
    ht_buf_init(&w->masked, MASK_GROWTH * KEPT_BYTES + 64);
    w->records = ht_calloc(capacity, sizeof *w->records);
    w->sums = ht_calloc(dim, sizeof *w->sums);
    w->vector = ht_calloc(dim, sizeof *w->vector);
    int code = pthread_mutex_init(&w->mutex, NULL);
    if (code == 0 && w->records && w->sums && w->vector) {
        *out = w;
        return HITHER_OK;
    }
    if (code == 0)
        pthread_mutex_destroy(&w->mutex);
    ht_release(w->vector);
    ht_release(w->sums);
    ht_release(w->records);
    ht_release(w);
    if (code != 0)
        return ht_fail_errno(err, code, "cannot make a lock for a window");
    return ht_fail_nomem(err, (size_t)capacity * sizeof(record), "a window");
}

void ht_window_free(ht_window *w) {
    if (!w)
        return;
    for (uint32_t i = 0; i < w->capacity && i < w->next; i++)
        ht_release(w->records[i].text);
    ht_forms_clear(&w->forms);
    ht_buf_clear(&w->clean);
    ht_buf_clear(&w->masked);
    ht_release(w->vector);
    ht_release(w->sums);
    ht_release(w->records);
    pthread_mutex_destroy(&w->mutex);
    ht_release(w);
}

/* ---- text */

/* The longest part of a text of valid UTF-8 that has at most `limit` bytes and does not end inside a character. */
static size_t cut(const char *text, size_t bytes, size_t limit) {
    if (bytes <= limit)
        return bytes;
    while (limit > 0 && ((unsigned char)text[limit] & 0xC0) == 0x80)
        limit--;
    return limit;
}

/* The text as it is kept: U+FFFD for what is not UTF-8, and no more than KEPT_BYTES. */
static hither_status clean_text(ht_window *w, ht_text *text, hither_error *err) {
    if (!text->data)
        text->data = "";
    /* Four bytes more than are kept, so that a character the cut falls into is seen whole. */
    size_t bytes = ht_min_size(text->bytes, KEPT_BYTES + 4), i = ht_utf8_valid_prefix(text->data, bytes);
    if (i >= bytes || i >= KEPT_BYTES) {
        text->bytes = cut(text->data, i, KEPT_BYTES);
        return HITHER_OK;
    }
    ht_buf_reset(&w->clean);
    ht_buf_put(&w->clean, text->data, i);
    while (i < text->bytes && w->clean.size < KEPT_BYTES && !w->clean.failed) {
        size_t length;
        bool valid;
        ht_utf8_next(text->data + i, text->bytes - i, &length, &valid);
        ht_buf_put(&w->clean, valid ? text->data + i : "\xEF\xBF\xBD", valid ? length : 3);
        i += length;
    }
    HT_TRY(ht_buf_check(&w->clean, "a record", err));
    text->data = w->clean.data;
    text->bytes = cut(w->clean.data, w->clean.size, KEPT_BYTES);
    return HITHER_OK;
}

static hither_status mask_text(ht_window *w, ht_text text, hither_error *err) {
    ht_buf_reset(&w->masked);
    ht_mask_line(text.data, text.bytes, &w->masked);
    HT_TRY(ht_buf_check(&w->masked, "the form of a record", err));
    w->masked.size = cut(w->masked.data ? w->masked.data : "", w->masked.size, KEPT_BYTES);
    return HITHER_OK;
}

/* Room for `bytes` bytes in the slot the next record goes to. Its present text stays. */
static hither_status reserve_text(record *r, size_t bytes, hither_error *err) {
    if (bytes <= r->room)
        return HITHER_OK;
    char *text = ht_resize(r->text, bytes);
    if (!text)
        return ht_fail_nomem(err, bytes, "the text of a record");
    r->text = text;
    r->room = (uint32_t)bytes;
    return HITHER_OK;
}

/* ---- scores */

static float centroid_similarity(const ht_window *w, const float *vector) {
    if (w->count == 0)
        return 1.0f;
    double dot = 0, vv = 0, ss = 0;
    for (uint32_t i = 0; i < w->dim; i++) {
        double v = vector[i], s = (double)w->sums[i] / FIXED_POINT;
        dot += v * s;
        vv += v * v;
        ss += s * s;
    }
    return vv > 0 && ss > 0 ? (float)(dot / sqrt(vv * ss)) : 0.0f;
}

static void score_record(ht_window *w, uint32_t form, hither_score *score) {
    const ht_form *f = &w->forms.forms[form];
    double distance, records = (double)w->count + 1;
    uint32_t nearest = ht_forms_nearest(&w->forms, form, &distance);
    /* As if the record were counted already: its share is 1/n when new, 1 when all are alike. */
    double rarity = w->count == 0 ? 1.0 : -log(((double)f->count + 1) / records) / log(records);
    /* Coarse enough that the noise of nearly equal forms never decides a ranking. */
    distance = f->count > 0 ? 0.0 : rint(distance * 1e4) / 1e4;
    *score = (hither_score){
        .rarity = (float)(rarity > 0 ? rarity : 0.0),
        .distance = (float)distance,
        .centroid = centroid_similarity(w, ht_forms_vector(&w->forms, form)),
        .seen = f->count,
        .record = w->next,
        .nearest = nearest == HT_NO_FORM ? UINT64_MAX : w->forms.forms[nearest].newest,
    };
    score->novelty = score->rarity + 2 * score->distance;
}

/* ---- coming and going */

static void add_to_sums(ht_window *w, uint32_t form, int64_t sign) {
    const float *vector = ht_forms_vector(&w->forms, form);
    for (uint32_t i = 0; i < w->dim; i++)
        w->sums[i] += sign * (int64_t)((double)vector[i] * FIXED_POINT); /* toward zero, the same both ways */
}

static void leave(ht_window *w, uint32_t form) {
    add_to_sums(w, form, -1);
    w->count--;
    if (--w->forms.forms[form].count == 0)
        ht_forms_remove(&w->forms, form);
}

static hither_status push_one(ht_window *w, ht_text text, hither_score *score, hither_error *err) {
    record *r = &w->records[w->next % w->capacity];
    HT_TRY(clean_text(w, &text, err));
    HT_TRY(mask_text(w, text, err));
    HT_TRY(reserve_text(r, text.bytes, err));
    const char *masked = w->masked.data ? w->masked.data : "";
    uint64_t hash = ht_hash64(masked, w->masked.size, 0);
    uint32_t form = ht_forms_find(&w->forms, masked, w->masked.size, hash);
    if (form == HT_NO_FORM) {
        HT_TRY(w->embed(w->embed_ctx, masked, w->masked.size, w->vector, err));
        HT_TRY(ht_forms_add(&w->forms, masked, w->masked.size, hash, w->vector, &form, err));
    }
    if (score)
        score_record(w, form, score);
    /* Nothing can fail from here on. */
    w->forms.forms[form].count++;
    w->forms.forms[form].newest = w->next;
    add_to_sums(w, form, 1);
    if (w->count == w->capacity)
        leave(w, r->form);
    w->count++;
    if (text.bytes > 0)
        memcpy(r->text, text.data, text.bytes);
    r->bytes = (uint32_t)text.bytes;
    r->form = form;
    w->next++;
    return HITHER_OK;
}

hither_status ht_window_push(ht_window *w, const hither_strings *texts, hither_score *scores, hither_error *err) {
    hither_status status = HITHER_OK;
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < texts->count && status == HITHER_OK; i++)
        status = push_one(w, ht_strings_at(texts, i), scores ? &scores[i] : NULL, err);
    pthread_mutex_unlock(&w->mutex);
    return status;
}

hither_status ht_window_get(ht_window *w, const uint64_t *records, size_t count, hither_result **out,
                            hither_error *err) {
    hither_result *result;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS, 0, false, &result, err));
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < count; i++) {
        if (records[i] >= w->next || w->next - records[i] > w->count)
            continue;
        const record *r = &w->records[records[i] % w->capacity];
        ht_result_add_int(result, (int64_t)records[i]);
        ht_result_document(result, (ht_text){r->bytes > 0 ? r->text : "", r->bytes});
    }
    pthread_mutex_unlock(&w->mutex);
    hither_status status = ht_result_check(result, err);
    if (status == HITHER_OK)
        *out = result;
    else
        hither_result_free(result);
    return status;
}
