/*
 * window.c: a ring of the newest records and the forms they have. A record is scored against the window before it, then
 * takes the place of the oldest. A failed push leaves the window as it was after the last row that was taken. One mutex
 * guards everything; any thread.
 */
#include "stream/window.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "stream/mask.h"
#include "stream/window_inside.h"

#define KEPT_BYTES  HT_WINDOW_TEXT_BYTES
#define MASK_GROWTH 6u /* no byte of a line becomes more bytes of its form than this, but for a mark or two */
#define DAY_MS      86400e3
#define LANES       16u      /* floats in a stride's smallest step */
#define TO_INTEGER  0x1.8p52 /* added and taken away again, it rounds a double to a whole number */

/* Floats in a row with its padding. */
static size_t padded(const ht_window *w) { return w->forms.stride / sizeof(float); }

hither_status ht_window_new(const ht_window_spec *spec, ht_window **out, hither_error *err) {
    *out = NULL;
    ht_window *w = ht_calloc(1, sizeof *w);
    if (!w) {
        ht_rules_free(spec->rules);
        return ht_fail_nomem(err, sizeof *w, "a window");
    }
    w->spec = *spec;
    w->now_ms = INT64_MIN;
    ht_forms_init(&w->forms, spec->dim, spec->capacity + 1);
    w->keeps = spec->half_life > 0 ? exp2(-1 / spec->half_life) : 1;
    ht_alarm_init(&w->alarm);
    ht_buf_init(&w->clean, KEPT_BYTES + 4);
    ht_buf_init(&w->masked, (spec->rules ? HT_RULE_MARK_BYTES + 1 : MASK_GROWTH) * KEPT_BYTES + 64);
    w->records = ht_calloc(spec->capacity, sizeof *w->records);
    w->sums = ht_calloc(padded(w), sizeof *w->sums);
    w->mean = ht_calloc(padded(w), sizeof *w->mean);
    w->vector = ht_calloc(padded(w), sizeof *w->vector);
    int code = pthread_mutex_init(&w->mutex, NULL);
    if (code == 0 && w->records && w->sums && w->mean && w->vector) {
        *out = w;
        return HITHER_OK;
    }
    if (code == 0)
        pthread_mutex_destroy(&w->mutex);
    ht_rules_free(w->spec.rules);
    ht_release(w->vector);
    ht_release(w->mean);
    ht_release(w->sums);
    ht_release(w->records);
    ht_release(w);
    if (code != 0)
        return ht_fail_errno(err, code, "cannot make a lock for a window");
    return ht_fail_nomem(err, (size_t)spec->capacity * sizeof(ht_record), "a window");
}

void ht_window_free(ht_window *w) {
    if (!w)
        return;
    for (uint32_t i = 0; i < w->spec.capacity && i < w->next; i++)
        ht_release(w->records[i].text);
    ht_forms_clear(&w->forms);
    ht_buf_clear(&w->clean);
    ht_buf_clear(&w->masked);
    ht_rules_free(w->spec.rules);
    ht_release(w->vector);
    ht_release(w->mean);
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

hither_status ht_window_mask(ht_window *w, ht_text *text, hither_error *err) {
    HT_TRY(clean_text(w, text, err));
    ht_buf_reset(&w->masked);
    ht_mask_line(w->spec.rules, text->data, text->bytes, &w->masked);
    HT_TRY(ht_buf_check(&w->masked, "the form of a record", err));
    w->masked.size = cut(w->masked.data ? w->masked.data : "", w->masked.size, KEPT_BYTES);
    return HITHER_OK;
}

/* Room for `bytes` bytes in the slot the next record goes to. Its present text stays. */
static hither_status reserve_text(ht_record *r, size_t bytes, hither_error *err) {
    if (bytes <= r->room)
        return HITHER_OK;
    char *text = ht_resize(r->text, bytes);
    if (!text)
        return ht_fail_nomem(err, bytes, "the text of a record");
    r->text = text;
    r->room = (uint32_t)bytes;
    return HITHER_OK;
}

/* ---- the centroid */

void ht_window_add(const ht_window *w, double *sums, uint32_t form, double weight) {
    const float *vector = ht_forms_vector(&w->forms, form);
    double unit = w->forms.forms[form].scale * HT_WINDOW_UNIT;
    for (size_t i = 0; i < padded(w); i += LANES)
        for (size_t j = i; j < i + LANES; j++)
            sums[j] += weight * (((double)vector[j] * unit + TO_INTEGER) - TO_INTEGER);
}

static void update_mean(ht_window *w) {
    for (size_t i = 0; i < padded(w); i += LANES)
        for (size_t j = i; j < i + LANES; j++)
            w->mean[j] = (float)w->sums[j];
    w->mean2 = ht_kernels_get()->ref_dot_f32(w->mean, w->mean, w->spec.dim);
}

static void decay(ht_window *w) {
    for (size_t i = 0; i < padded(w); i++)
        w->sums[i] *= w->keeps;
    w->weight = w->weight * w->keeps + 1;
}

static float centroid_similarity(const ht_window *w, uint32_t form) {
    if (w->spec.no_centroid)
        return NAN;
    if (w->count == 0 && !(w->weight > 0))
        return 1.0f;
    double norm2 = w->forms.forms[form].norm2 * w->mean2;
    double dot = ht_kernels_get()->ref_dot_f32(ht_forms_vector(&w->forms, form), w->mean, w->spec.dim);
    return norm2 > 0 ? (float)(dot / sqrt(norm2)) : 0.0f;
}

/* ---- scores */

static hither_status score_record(ht_window *w, uint32_t form, hither_score *score, hither_error *err) {
    const ht_form *f = &w->forms.forms[form];
    double distance, records = (double)w->count + 1;
    uint32_t nearest;
    HT_TRY(ht_forms_nearest(&w->forms, form, &nearest, &distance, err));
    /* As if the record were counted already: its share is 1/n when new, 1 when all are alike. */
    double rarity = w->count == 0 ? 1.0 : -log(((double)f->count + 1) / records) / log(records);
    /* Coarse enough that the noise of nearly equal forms never decides a ranking. */
    distance = f->count > 0 ? 0.0 : rint(distance * 1e4) / 1e4;
    *score = (hither_score){
        .rarity = (float)(rarity > 0 ? rarity : 0.0),
        .distance = (float)distance,
        .centroid = centroid_similarity(w, form),
        .seen = f->count,
        .record = w->next,
        .nearest = nearest == HT_NO_FORM ? UINT64_MAX : w->forms.forms[nearest].newest,
        .form = f->birth,
    };
    score->novelty = score->rarity + 2 * score->distance;
    return HITHER_OK;
}

/* A form is an alarm once for as long as it stays in the window. */
static uint32_t judge(ht_window *w, uint32_t form, const hither_score *score) {
    ht_form *f = &w->forms.forms[form];
    if (!ht_window_alarms(w) || w->next < w->spec.alarm_after)
        return 0;
    bool rare = score->seen < w->spec.alarm_below;
    if (ht_alarm_take(&w->alarm, w->share, (double)score->novelty, rare && !f->alarmed)) {
        f->alarmed = true;
        return 1;
    }
    return f->alarmed ? 2 : 0;
}

/* ---- coming and going */

/* The oldest record's form has one record fewer. */
static void leave(ht_window *w) {
    const ht_record *oldest = ht_window_record(w, w->next - w->count);
    ht_form *form = &w->forms.forms[oldest->form];
    form->oldest = oldest->next;
    w->count--;
    if (--form->count == 0)
        ht_forms_remove(&w->forms, oldest->form);
}

void ht_window_expire(ht_window *w) {
    if (w->spec.age_ms == 0 || w->count == 0)
        return;
    if (!w->own_times) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        w->now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    }
    bool any = false;
    while (w->count > 0) {
        const ht_record *oldest = ht_window_record(w, w->next - w->count);
        if ((uint64_t)w->now_ms - (uint64_t)oldest->time_ms <= w->spec.age_ms)
            break;
        if (!w->spec.no_centroid && !(w->spec.half_life > 0))
            ht_window_add(w, w->sums, oldest->form, -1);
        leave(w);
        any = true;
    }
    if (any && !w->spec.no_centroid)
        update_mean(w);
}

/* The record's time; never before the one before it, so that the oldest always leaves first. */
static hither_status take_time(ht_window *w, const int64_t *time_ms, hither_error *err) {
    w->share = w->spec.alarm_rate;
    if (w->spec.age_ms == 0 && !(w->spec.alarms_per_day > 0))
        return HITHER_OK;
    if (w->next > 0 && w->own_times != (time_ms != NULL))
        return ht_fail(err, HITHER_INVALID, "push: %s times, but the records before it came %s them",
                       time_ms ? "with" : "without", time_ms ? "without" : "with");
    w->own_times = time_ms != NULL;
    struct timespec now = {0};
    if (!time_ms)
        clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t time = time_ms ? *time_ms : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (w->spec.alarms_per_day > 0) {
        double passed = w->next > 0 && time > w->now_ms ? (double)time - (double)w->now_ms : 0;
        w->share = w->spec.alarms_per_day * passed / DAY_MS;
    }
    if (time > w->now_ms)
        w->now_ms = time;
    return HITHER_OK;
}

typedef struct arrival {
    ht_text text;
    const float *vector; /* NULL: of the text */
    bool missing;        /* no text */
} arrival;

static hither_status add_form(ht_window *w, const char *text, size_t bytes, uint64_t hash, const float *vector,
                              uint32_t *form, hither_error *err) {
    const uint32_t *moved;
    HT_TRY(ht_forms_reserve(&w->forms, &moved, err));
    for (uint64_t i = w->next - w->count; moved && i < w->next; i++)
        ht_window_record(w, i)->form = moved[ht_window_record(w, i)->form];
    return ht_forms_add(&w->forms, text, bytes, hash, vector, form, err);
}

static hither_status find_form(ht_window *w, const arrival *a, uint32_t *form, hither_error *err) {
    bool is_vector = a->vector != NULL;
    const void *key = is_vector ? (const void *)a->vector : w->masked.data ? w->masked.data : "";
    size_t bytes = is_vector ? w->spec.dim * sizeof(float) : w->masked.size;
    uint64_t hash = ht_form_hash(key, bytes, is_vector);
    *form = ht_forms_find(&w->forms, key, bytes, is_vector, hash);
    if (*form != HT_NO_FORM)
        return HITHER_OK;
    if (is_vector)
        return add_form(w, NULL, bytes, hash, a->vector, form, err);
    HT_TRY(w->spec.embed(w->spec.embed_ctx, key, bytes, w->vector, err));
    return add_form(w, key, bytes, hash, w->vector, form, err);
}

/* Takes the record in; nothing can fail here. */
static void enter(ht_window *w, uint32_t form, const arrival *a) {
    ht_form *f = &w->forms.forms[form];
    bool full = w->count == w->spec.capacity;
    uint32_t gone = full ? ht_window_record(w, w->next - w->count)->form : HT_NO_FORM;
    if (!w->spec.no_centroid && w->spec.half_life > 0) {
        decay(w);
        ht_window_add(w, w->sums, form, 1);
        update_mean(w);
    } else if (!w->spec.no_centroid && gone != form) {
        ht_window_add(w, w->sums, form, 1);
        if (full)
            ht_window_add(w, w->sums, gone, -1);
        update_mean(w);
    }
    if (f->count++ == 0)
        f->oldest = w->next;
    else
        ht_window_record(w, f->newest)->next = w->next;
    f->newest = w->next;
    if (full)
        leave(w);
    ht_record *r = ht_window_record(w, w->next);
    if (a->text.bytes > 0)
        memcpy(r->text, a->text.data, a->text.bytes);
    r->bytes = (uint32_t)a->text.bytes;
    r->missing = a->missing;
    r->form = form;
    r->time_ms = w->now_ms;
    w->count++;
    w->next++;
}

static hither_status push_one(ht_window *w, arrival *a, const int64_t *time_ms, hither_score *score,
                              hither_error *err) {
    uint32_t form;
    HT_TRY(take_time(w, time_ms, err));
    ht_window_expire(w);
    if (a->vector)
        HT_TRY(clean_text(w, &a->text, err));
    else
        HT_TRY(ht_window_mask(w, &a->text, err));
    HT_TRY(reserve_text(ht_window_record(w, w->next), a->text.bytes, err));
    HT_TRY(find_form(w, a, &form, err));
    hither_status status = score ? score_record(w, form, score, err) : HITHER_OK;
    if (status == HITHER_OK && score)
        score->alarm = judge(w, form, score);
    if (status == HITHER_OK)
        enter(w, form, a);
    else if (w->forms.forms[form].count == 0)
        ht_forms_remove(&w->forms, form);
    return status;
}

hither_status ht_window_push(ht_window *w, const ht_window_rows *rows, hither_score *scores, hither_error *err) {
    hither_status status = HITHER_OK;
    const hither_matrix *vectors = rows->vectors;
    size_t count = vectors ? vectors->rows : rows->texts->count;
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        arrival a = {.missing = vectors && (!rows->texts || !ht_strings_has(rows->texts, i))};
        if (rows->texts)
            a.text = ht_strings_at(rows->texts, i);
        if (vectors)
            a.vector = (const float *)(const void *)((const char *)vectors->data + i * vectors->stride);
        status = push_one(w, &a, rows->times_ms ? &rows->times_ms[i] : NULL, scores ? &scores[i] : NULL, err);
    }
    pthread_mutex_unlock(&w->mutex);
    return status;
}

hither_status ht_window_restore_one(ht_window *w, uint32_t form, ht_text text, bool missing, hither_error *err) {
    arrival a = {.text = text, .missing = missing};
    HT_TRY(reserve_text(ht_window_record(w, w->next), text.bytes, err));
    enter(w, form, &a);
    return HITHER_OK;
}

void ht_window_restored(ht_window *w) {
    if (!w->spec.no_centroid)
        update_mean(w);
}

ht_text ht_window_text(const ht_window *w, uint64_t number) {
    if (number >= w->next || w->next - number > w->count || ht_window_record(w, number)->missing)
        return (ht_text){0};
    const ht_record *r = ht_window_record(w, number);
    return (ht_text){r->bytes > 0 ? r->text : "", r->bytes};
}

hither_status ht_window_get(ht_window *w, const uint64_t *records, size_t count, hither_result **out,
                            hither_error *err) {
    hither_result *result;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS, 0, false, &result, err));
    pthread_mutex_lock(&w->mutex);
    ht_window_expire(w);
    for (size_t i = 0; i < count; i++) {
        if (records[i] >= w->next || w->next - records[i] > w->count)
            continue;
        const ht_record *r = ht_window_record(w, records[i]);
        ht_result_add_int(result, (int64_t)records[i]);
        ht_result_document(result, (ht_text){r->missing ? NULL : r->bytes > 0 ? r->text : "", r->bytes});
    }
    pthread_mutex_unlock(&w->mutex);
    hither_status status = ht_result_check(result, err);
    if (status == HITHER_OK)
        *out = result;
    else
        hither_result_free(result);
    return status;
}
