/*
 * window.c: making a window, and pushing into one that scores novelty: a record is scored against the window before it,
 * then takes the place of the oldest. A failed push leaves the window as it was after the last row that was taken. The
 * mutex gives such pushes one order; window_open.c has those that need none. Any thread.
 */
#include "stream/window.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "stream/mask.h"
#include "stream/severity.h"
#include "stream/window_inside.h"

#define KEPT_BYTES  HT_WINDOW_TEXT_BYTES
#define MASK_GROWTH 6u       /* no byte of a line becomes more bytes of its form than this, but for a mark or two */
#define TO_INTEGER  0x1.8p52 /* added and taken away again, it rounds a double to a whole number */
#define DAY_MS      86400e3

static bool allocate(ht_window *w) {
    size_t padded = ht_window_padded(w);
    w->mean = ht_calloc(padded, sizeof *w->mean);
    w->sums = ht_calloc(padded, sizeof *w->sums);
    w->vector = ht_calloc(padded, sizeof *w->vector);
    if (w->spec.no_novelty)
        w->open_sums = ht_calloc(padded, sizeof *w->open_sums);
    else
        w->scored = ht_calloc(w->spec.capacity, sizeof *w->scored);
    return w->mean && w->sums && w->vector && (w->open_sums || w->scored);
}

hither_status ht_window_new(const ht_window_spec *spec, ht_window **out, hither_error *err) {
    *out = NULL;
    ht_window *w = ht_calloc(1, sizeof *w);
    if (!w) {
        ht_rules_free(spec->rules);
        return ht_fail_nomem(err, sizeof *w, "a window");
    }
    w->spec = *spec;
    atomic_init(&w->now_ms, INT64_MIN);
    atomic_init(&w->times, HT_TIMES_UNKNOWN);
    ht_forms_init(&w->forms, spec->dim, spec->capacity + 1);
    w->keeps = spec->half_life > 0 ? exp2(-1 / spec->half_life) : 1;
    ht_alarm_init(&w->alarm);
    ht_window_init_bufs(w, &w->clean, &w->masked);
    int code = pthread_mutex_init(&w->mutex, NULL);
    if (code != 0) {
        ht_rules_free(w->spec.rules);
        ht_release(w);
        return ht_fail_errno(err, code, "cannot make a lock for a window");
    }
    hither_status status =
        ht_ring_new(spec->capacity, spec->dim, spec->slack, spec->wait_ms, !spec->no_novelty, &w->ring, err);
    if (status == HITHER_OK && !allocate(w))
        status = ht_fail_nomem(err, (size_t)spec->capacity * sizeof(ht_scored), "a window");
    if (status == HITHER_OK)
        *out = w;
    else
        ht_window_free(w);
    return status;
}

void ht_window_free(ht_window *w) {
    if (!w)
        return;
    ht_forms_clear(&w->forms);
    ht_buf_clear(&w->clean);
    ht_buf_clear(&w->masked);
    ht_rules_free(w->spec.rules);
    ht_standing_release(w->standing);
    ht_window_open_clear(w);
    ht_ring_free(w->ring);
    ht_release((void *)w->open_sums);
    ht_release(w->scored);
    ht_release(w->vector);
    ht_release(w->mean);
    ht_release(w->sums);
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
hither_status ht_window_clean(ht_text *text, ht_buf *clean, hither_error *err) {
    if (!text->data)
        text->data = "";
    /* Four bytes more than are kept, so that a character the cut falls into is seen whole. */
    size_t bytes = ht_min_size(text->bytes, KEPT_BYTES + 4), i = ht_utf8_valid_prefix(text->data, bytes);
    if (i >= bytes || i >= KEPT_BYTES) {
        text->bytes = cut(text->data, i, KEPT_BYTES);
        return HITHER_OK;
    }
    ht_buf_reset(clean);
    ht_buf_put(clean, text->data, i);
    while (i < text->bytes && clean->size < KEPT_BYTES && !clean->failed) {
        size_t length;
        bool valid;
        ht_utf8_next(text->data + i, text->bytes - i, &length, &valid);
        ht_buf_put(clean, valid ? text->data + i : "\xEF\xBF\xBD", valid ? length : 3);
        i += length;
    }
    HT_TRY(ht_buf_check(clean, "a record", err));
    text->data = clean->data;
    text->bytes = cut(clean->data, clean->size, KEPT_BYTES);
    return HITHER_OK;
}

void ht_window_init_bufs(const ht_window *w, ht_buf *clean, ht_buf *masked) {
    ht_buf_init(clean, KEPT_BYTES + 4);
    ht_buf_init(masked, (w->spec.rules ? HT_RULE_MARK_BYTES + 1 : MASK_GROWTH) * KEPT_BYTES + 64);
}

hither_status ht_window_mask(const ht_window *w, ht_text *text, ht_buf *clean, ht_buf *masked, hither_error *err) {
    HT_TRY(ht_window_clean(text, clean, err));
    ht_buf_reset(masked);
    ht_mask_line(w->spec.rules, text->data, text->bytes, masked);
    HT_TRY(ht_buf_check(masked, "the form of a record", err));
    masked->size = cut(masked->data ? masked->data : "", masked->size, KEPT_BYTES);
    return HITHER_OK;
}

hither_status ht_window_embed_form(const ht_window *w, const char *form, size_t bytes, float *vector,
                                   hither_error *err) {
    hither_status status = w->spec.embed(w->spec.embed_ctx, form, bytes, vector, err);
    if (status != HITHER_OK)
        memset(vector, 0, w->spec.dim * sizeof *vector);
    return status;
}

/* ---- the centroid */

void ht_window_add(const ht_window *w, double *restrict sums, const float *restrict vector, double scale) {
    double unit = scale * HT_WINDOW_UNIT;
    for (size_t j = 0, dim = w->spec.dim; j < dim; j++)
        sums[j] += ((double)vector[j] * unit + TO_INTEGER) - TO_INTEGER;
}

float ht_window_norm(double norm2) {
    double norm = sqrt(norm2);
    float up = (float)norm;
    return (double)up < norm * (1 + 0x1p-40) ? nextafterf(up, INFINITY) : up;
}

double ht_window_scale(const ht_window *w, const float *vector) {
    double norm2 = ht_kernels_get()->ref_dot_f32(vector, vector, w->spec.dim);
    return norm2 > 0 ? 1 / sqrt(norm2) : 0;
}

/* The sums with one form more and one less (each may be HT_NO_FORM), and their mean. */
static void move_sums(ht_window *w, uint32_t in, uint32_t out) {
    const float *come = w->vector, *go = w->vector; /* what is added with unit 0 need only be finite */
    double come_unit = 0, go_unit = 0;
    if (in != HT_NO_FORM) {
        come = ht_forms_vector(&w->forms, in);
        come_unit = w->forms.forms[in].scale * HT_WINDOW_UNIT;
    }
    if (out != HT_NO_FORM) {
        go = ht_forms_vector(&w->forms, out);
        go_unit = w->forms.forms[out].scale * HT_WINDOW_UNIT;
    }
    w->mean2 = ht_kernels_get()->move_mean(w->sums, w->mean, come, come_unit, go, go_unit, w->spec.dim);
}

static void decay(ht_window *w) {
    for (size_t i = 0; i < ht_window_padded(w); i++)
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

/* As if the record were counted already: its share is 1/n when new, 1 when all are alike. */
static double rarity_of(const ht_window *w, uint32_t alike) {
    const double records = (double)w->count + 1, rarity = -log(((double)alike + 1) / records) / log(records);
    return w->count == 0 ? 1 : rarity > 0 ? rarity : 0;
}

/* Where warnings are common one more says little; an error among them still does. */
static double severity_of(const ht_window *w, hither_level level) {
    uint32_t alike = 0;
    if (level < HITHER_LEVEL_WARNING)
        return 0;
    for (unsigned i = level; i <= HITHER_LEVEL_FATAL; i++)
        alike += w->levels[i];
    return rarity_of(w, alike);
}

/* Lines of one form state one level, but for a priority in front of them, which is masked. */
static hither_level level_of(ht_form *form, ht_text text) {
    if (!text.data || text.bytes == 0)
        return HITHER_LEVEL_NONE;
    if (text.data[0] == '<')
        return ht_severity(text.data, text.bytes);
    if (form->level == 0)
        form->level = (uint8_t)(ht_severity(text.data, text.bytes) + 1);
    return (hither_level)(form->level - 1);
}

static hither_status score_record(ht_window *w, uint32_t form, hither_level level, hither_score *score,
                                  hither_error *err) {
    const ht_form *f = &w->forms.forms[form];
    double distance;
    uint32_t nearest;
    HT_TRY(ht_forms_nearest(&w->forms, form, &nearest, &distance, err));
    /* Coarse enough that the noise of nearly equal forms never decides a ranking. */
    distance = f->count > 0 ? 0.0 : rint(distance * 1e4) / 1e4;
    *score = (hither_score){
        .rarity = (float)rarity_of(w, f->count),
        .distance = (float)distance,
        .centroid = centroid_similarity(w, form),
        .seen = f->count,
        .record = w->next,
        .nearest = nearest == HT_NO_FORM ? UINT64_MAX : w->forms.forms[nearest].newest,
        .form = f->birth,
        .severity = (float)severity_of(w, level),
        .level = level,
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
    const ht_scored *oldest = ht_window_scored(w, w->next - w->count);
    w->count--;
    w->levels[oldest->level]--;
    if (--w->forms.forms[oldest->form].count == 0)
        ht_forms_remove(&w->forms, oldest->form);
}

int64_t ht_window_clock_ms(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void ht_window_expire(ht_window *w) {
    if (w->spec.age_ms == 0 || w->count == 0)
        return;
    bool own = atomic_load_explicit(&w->times, memory_order_relaxed) == HT_TIMES_OWN;
    int64_t now = own ? atomic_load_explicit(&w->now_ms, memory_order_relaxed) : ht_window_clock_ms();
    while (w->count > 0) {
        const ht_scored *oldest = ht_window_scored(w, w->next - w->count);
        if (now < oldest->time_ms || (uint64_t)now - (uint64_t)oldest->time_ms <= w->spec.age_ms)
            break;
        if (!w->spec.no_centroid && !(w->spec.half_life > 0))
            move_sums(w, HT_NO_FORM, oldest->form);
        leave(w);
    }
}

/* Never before the one before it, so that the oldest always leaves first. */
hither_status ht_window_take_time(ht_window *w, const int64_t *given_ms, int64_t *time_ms, hither_error *err) {
    int64_t time = given_ms ? *given_ms : ht_window_clock_ms();
    int mine = given_ms ? HT_TIMES_OWN : HT_TIMES_CLOCK, there = HT_TIMES_UNKNOWN;
    bool timed = w->spec.age_ms > 0 || w->spec.alarms_per_day > 0;
    if (timed && !atomic_compare_exchange_strong(&w->times, &there, mine) && there != mine)
        return ht_fail(err, HITHER_INVALID, "push: %s times, but the records before it came %s them",
                       given_ms ? "with" : "without", given_ms ? "without" : "with");
    *time_ms = time;
    if (!timed)
        return HITHER_OK;
    int64_t before = atomic_load(&w->now_ms);
    while (before < time && !atomic_compare_exchange_weak(&w->now_ms, &before, time))
        ;
    *time_ms = before > time ? before : time;
    return HITHER_OK;
}

typedef struct arrival {
    ht_text text, metadata;
    const float *vector; /* NULL: of the text */
    bool missing;        /* no text */
    int64_t time_ms;
} arrival;

static hither_status add_form(ht_window *w, const char *text, size_t bytes, uint64_t hash, const float *vector,
                              uint32_t *form, hither_error *err) {
    const uint32_t *moved;
    HT_TRY(ht_forms_reserve(&w->forms, &moved, err));
    for (uint64_t i = w->next - w->count; moved && i < w->next; i++)
        ht_window_scored(w, i)->form = moved[ht_window_scored(w, i)->form];
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
        memcpy(w->vector, key, bytes);
    else
        HT_TRY(ht_window_embed_form(w, key, bytes, w->vector, err));
    return add_form(w, is_vector ? NULL : key, bytes, hash, w->vector, form, err);
}

static void enter_sums(ht_window *w, uint32_t form, bool full) {
    uint32_t gone = full ? ht_window_scored(w, w->next - w->count)->form : HT_NO_FORM;
    if (w->spec.half_life > 0) {
        decay(w);
        gone = HT_NO_FORM;
    }
    if (gone != form)
        move_sums(w, form, gone);
}

/* Takes the record, for which the ring is ready, in; nothing can fail here but by a mistake. */
static hither_status enter(ht_window *w, uint32_t form, const ht_ring_record *record, hither_error *err) {
    uint64_t number;
    uint32_t one;
    HT_TRY(ht_ring_claim(w->ring, 1, &number, &one, err));
    ht_form *f = &w->forms.forms[form];
    bool full = w->count == w->spec.capacity;
    if (!w->spec.no_centroid)
        enter_sums(w, form, full);
    f->count++;
    f->newest = w->next;
    if (full)
        leave(w);
    const hither_level level = level_of(f, record->text);
    *ht_window_scored(w, w->next) = (ht_scored){form, (uint8_t)level, record->time_ms};
    w->levels[level]++;
    ht_ring_write(w->ring, number, record);
    ht_forms_lies(&w->forms, form, ht_ring_vector(w->ring, number));
    w->count++;
    w->next++;
    return HITHER_OK;
}

static ht_ring_record record_of(const ht_window *w, uint32_t form, const arrival *a) {
    return (ht_ring_record){
        .vector = ht_forms_vector(&w->forms, form),
        .norm = w->forms.norms[form],
        .text = {a->missing ? NULL : a->text.data, a->text.bytes},
        .metadata = a->metadata,
        .time_ms = a->time_ms,
    };
}

/* Asks for the memory that this record will be written to, and for the vector that it drives out: both are far behind
 * in the ring, and what is done with the text takes about as long as they need. */
static void look_ahead(const ht_window *w) {
    ht_ring_expect(w->ring, w->next);
    if (w->count < w->spec.capacity || w->spec.no_centroid)
        return;
    const char *gone = (const char *)ht_forms_vector(&w->forms, ht_window_scored(w, w->next - w->count)->form);
    for (size_t at = 0; at < w->forms.stride; at += 64)
        __builtin_prefetch(gone + at, 0, 3);
}

static hither_status push_one(ht_window *w, arrival *a, const int64_t *time_ms, hither_score *score,
                              ht_matcher *matcher, hither_error *err) {
    uint32_t form;
    int64_t before = atomic_load_explicit(&w->now_ms, memory_order_relaxed);
    HT_TRY(ht_ring_ready(w->ring, err));
    look_ahead(w);
    HT_TRY(ht_window_take_time(w, time_ms, &a->time_ms, err));
    w->share = w->spec.alarm_rate;
    if (w->spec.alarms_per_day > 0)
        w->share = w->next > 0 && before != INT64_MIN
                       ? w->spec.alarms_per_day * ((double)a->time_ms - (double)before) / DAY_MS
                       : 0;
    ht_window_expire(w);
    if (a->vector)
        HT_TRY(ht_window_clean(&a->text, &w->clean, err));
    else
        HT_TRY(ht_window_mask(w, &a->text, &w->clean, &w->masked, err));
    HT_TRY(ht_ring_reserve(w->ring, w->next, a->text.bytes + a->metadata.bytes, err));
    HT_TRY(find_form(w, a, &form, err));
    const ht_text text = a->missing ? (ht_text){0} : a->text;
    hither_status status = score ? score_record(w, form, level_of(&w->forms.forms[form], text), score, err) : HITHER_OK;
    if (status == HITHER_OK && score)
        score->alarm = judge(w, form, score);
    const ht_ring_record record = record_of(w, form, a);
    if (status == HITHER_OK && matcher)
        status =
            ht_matcher_add(matcher, record.vector, w->forms.forms[form].birth, w->forms.forms[form].count > 0, err);
    if (status == HITHER_OK)
        status = enter(w, form, &record, err);
    if (status != HITHER_OK && w->forms.forms[form].count == 0)
        ht_forms_remove(&w->forms, form); /* its vector lies in what the next push works in */
    return status;
}

static hither_status push_rows(ht_window *w, const ht_window_rows *rows, hither_score *scores, ht_matcher *matcher,
                               hither_error *err) {
    hither_status status = HITHER_OK;
    const hither_matrix *vectors = rows->vectors;
    size_t count = vectors ? vectors->rows : rows->texts->count;
    for (size_t i = 0; scores && i < count; i++)
        scores[i] = (hither_score){.record = UINT64_MAX, .nearest = UINT64_MAX};
    if (w->frozen)
        return ht_fail(err, HITHER_READONLY, "push: this window is a snapshot, which stays as it is");
    if (w->spec.no_novelty)
        return ht_window_push_open(w, rows, scores, matcher, err);
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        arrival a = {.missing = vectors && (!rows->texts || !ht_strings_has(rows->texts, i))};
        if (rows->texts)
            a.text = ht_strings_at(rows->texts, i);
        if (rows->metadata)
            a.metadata = ht_strings_at(rows->metadata, i);
        if (vectors)
            a.vector = (const float *)(const void *)((const char *)vectors->data + i * vectors->stride);
        status = push_one(w, &a, rows->times_ms ? &rows->times_ms[i] : NULL, scores ? &scores[i] : NULL, matcher, err);
    }
    if (status == HITHER_OK && matcher) /* its cache of forms is guarded too */
        status = ht_matcher_finish(matcher, err);
    pthread_mutex_unlock(&w->mutex);
    return status;
}

hither_status ht_window_push(ht_window *w, const ht_window_rows *rows, hither_score *scores, hither_error *err) {
    return push_rows(w, rows, scores, NULL, err);
}

hither_status ht_window_push_matched(ht_window *w, const ht_window_rows *rows, hither_score *scores,
                                     hither_result *matches, hither_error *err) {
    ht_matcher *matcher;
    pthread_mutex_lock(&w->mutex);
    hither_status status = ht_matcher_new(w->standing, ht_ring_stride(w->ring), w->spec.dim, matches, &matcher, err);
    pthread_mutex_unlock(&w->mutex);
    if (status == HITHER_OK)
        status = push_rows(w, rows, scores, matcher, err);
    ht_matcher_free(matcher);
    return status;
}

/* ---- standing queries */

hither_status ht_window_queries_set(ht_window *w, const ht_window_queries *q, hither_error *err) {
    const size_t stride = ht_ring_stride(w->ring);
    ht_standing *made = NULL;
    if (w->frozen)
        return ht_fail(err, HITHER_READONLY, "queries: this window is a snapshot, which nothing is pushed into");
    if (q->first_only && w->spec.no_novelty)
        return ht_fail(err, HITHER_UNSUPPORTED, "queries: first_only goes by forms, which no_novelty leaves out");
    float *rows = q->count ? ht_alloc_aligned(q->count * stride) : NULL;
    if (q->count && !rows)
        return ht_fail_nomem(err, q->count * stride, "standing queries");
    hither_status status = HITHER_OK;
    for (uint32_t i = 0; i < q->count && status == HITHER_OK; i++) {
        char *row = (char *)rows + i * stride;
        memset(row, 0, stride);
        if (q->vectors)
            memcpy(row, (const char *)q->vectors->data + i * q->vectors->stride, w->spec.dim * sizeof *rows);
        else
            status = ht_window_embed(w, ht_strings_at(q->texts, i), (float *)(void *)row, err);
    }
    if (status != HITHER_OK) {
        ht_release(rows);
        return status;
    }
    if (q->count)
        HT_TRY(ht_standing_new(rows, stride, w->spec.dim, q->radius, q->count, q->first_only, &made, err));
    pthread_mutex_lock(&w->mutex);
    ht_standing *before = w->standing;
    w->standing = made;
    pthread_mutex_unlock(&w->mutex);
    ht_standing_release(before);
    return HITHER_OK;
}

hither_status ht_window_restore_one(ht_window *w, uint32_t form, const ht_ring_record *record, hither_error *err) {
    HT_TRY(ht_ring_ready(w->ring, err));
    HT_TRY(ht_ring_reserve(w->ring, ht_ring_next(w->ring), record->text.bytes + record->metadata.bytes, err));
    if (w->spec.no_novelty) {
        uint64_t number;
        uint32_t one;
        HT_TRY(ht_ring_claim(w->ring, 1, &number, &one, err));
        if (!w->spec.no_centroid)
            ht_window_add(w, w->sums, record->vector, record->scale);
        ht_ring_write(w->ring, number, record);
        return HITHER_OK;
    }
    return enter(w, form, record, err);
}

void ht_window_restored(ht_window *w) {
    for (size_t j = 0; w->spec.no_novelty && j < w->spec.dim; j++)
        atomic_store(&w->open_sums[j], (int64_t)w->sums[j]);
    if (!w->spec.no_centroid && !w->spec.no_novelty)
        move_sums(w, HT_NO_FORM, HT_NO_FORM);
}
