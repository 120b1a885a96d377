/*
 * window_file.c: a window's state in one container file, and back, so that a watch goes on without learning anew.
 * docs/format.md has the sections. A file is hostile until it is checked: sizes and numbers when it is opened, the
 * forms and texts as they are read; what contradicts itself is CORRUPT. Saving holds the window's mutex.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/container.h"
#include "base/text.h"
#include "stream/window_inside.h"

#define KIND "window"

enum { NO_CENTROID = 1, OWN_TIMES = 2, NO_NOVELTY = 4, ALARMED = 1, HAS_KEY = 2, NO_TEXT = 1, HAS_METADATA = 2 };

/* As on disk, little-endian, no padding. */
typedef struct head {
    uint32_t capacity, dim, flags, alarm_below;
    uint64_t age_ms, alarm_after, next, records, forms, births;
    double alarm_rate, alarms_per_day, half_life, threshold, weight;
    int64_t now_ms, wall_ms;
} head;
_Static_assert(sizeof(head) == 120, "the layout on disk has no padding");

typedef struct saved_form {
    uint32_t bytes, flags;
    uint64_t birth;
} saved_form;

typedef struct saved_record {
    uint32_t form, bytes, flags, metadata_bytes;
    int64_t time_ms;
} saved_record;
_Static_assert(sizeof(saved_form) == 16 && sizeof(saved_record) == 24, "the layout on disk has no padding");

static int64_t wall_ms(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- save */

static head head_of(const ht_window *w, const ht_moment *view) {
    bool own = atomic_load(&w->times) == HT_TIMES_OWN;
    return (head){
        .capacity = w->spec.capacity,
        .dim = w->spec.dim,
        .flags =
            (w->spec.no_centroid ? NO_CENTROID : 0) | (own ? OWN_TIMES : 0) | (w->spec.no_novelty ? NO_NOVELTY : 0),
        .alarm_below = w->spec.alarm_below,
        .age_ms = w->spec.age_ms,
        .alarm_after = w->spec.alarm_after,
        .next = view->end,
        .records = view->records,
        .forms = w->spec.no_novelty ? view->records : w->forms.live,
        .births = w->spec.no_novelty ? view->records : w->forms.births,
        .alarm_rate = w->spec.alarm_rate,
        .alarms_per_day = w->spec.alarms_per_day,
        .half_life = w->spec.half_life,
        .threshold = w->alarm.threshold,
        .weight = w->weight,
        .now_ms = own ? atomic_load(&w->now_ms) : ht_window_clock_ms(),
        .wall_ms = wall_ms(),
    };
}

static hither_status put_forms(const ht_window *w, ht_container_writer *out, hither_error *err) {
    const ht_forms *forms = &w->forms;
    HT_TRY(ht_container_begin(out, "forms", err));
    for (uint32_t i = 0; i < forms->used; i++) {
        const ht_form *f = &forms->forms[i];
        const saved_form s = {f->text ? f->bytes : 0, (f->alarmed ? ALARMED : 0) | (f->text ? HAS_KEY : 0), f->birth};
        if (f->birth != 0)
            HT_TRY(ht_container_put(out, &s, sizeof s, err));
    }
    HT_TRY(ht_container_begin(out, "keys", err));
    for (uint32_t i = 0; i < forms->used; i++)
        if (forms->forms[i].birth != 0 && forms->forms[i].text)
            HT_TRY(ht_container_put(out, forms->forms[i].text, forms->forms[i].bytes, err));
    HT_TRY(ht_container_begin(out, "vectors", err));
    for (uint32_t i = 0; i < forms->used; i++)
        if (forms->forms[i].birth != 0)
            HT_TRY(ht_container_put(out, ht_forms_vector(forms, i), forms->dim * sizeof(float), err));
    return HITHER_OK;
}

/* Of a window without novelty every record is a form of its own. */
static hither_status put_vectors(const ht_window *w, const ht_moment *view, ht_container_writer *out,
                                 hither_error *err) {
    HT_TRY(ht_container_begin(out, "forms", err));
    for (uint64_t i = 0; i < view->records; i++)
        HT_TRY(ht_container_put(out, &(saved_form){0, 0, i + 1}, sizeof(saved_form), err));
    HT_TRY(ht_container_begin(out, "keys", err));
    HT_TRY(ht_container_begin(out, "vectors", err));
    for (uint64_t i = view->base; i < view->end; i++)
        if (ht_moment_has(view, i))
            HT_TRY(ht_container_put(out, ht_moment_record(view, i).vector, w->spec.dim * sizeof(float), err));
    return HITHER_OK;
}

/* rank: of each form's slot among the living; NULL: each record is a form. */
static hither_status put_records(const ht_window *w, const ht_moment *view, const uint32_t *rank,
                                 ht_container_writer *out, hither_error *err) {
    uint32_t count = 0;
    HT_TRY(ht_container_begin(out, "records", err));
    for (uint64_t i = view->base; i < view->end; i++) {
        if (!ht_moment_has(view, i))
            continue;
        const ht_ring_record r = ht_moment_record(view, i);
        const saved_record s = {
            .form = rank ? rank[ht_window_scored(w, i)->form] : count,
            .bytes = (uint32_t)r.text.bytes,
            .flags = (r.text.data ? 0 : NO_TEXT) | (r.metadata.data ? HAS_METADATA : 0),
            .metadata_bytes = (uint32_t)r.metadata.bytes,
            .time_ms = r.time_ms,
        };
        HT_TRY(ht_container_put(out, &s, sizeof s, err));
        count++;
    }
    HT_TRY(ht_container_begin(out, "texts", err));
    for (uint64_t i = view->base; i < view->end; i++) {
        if (!ht_moment_has(view, i))
            continue;
        const ht_ring_record r = ht_moment_record(view, i);
        if (r.text.bytes > 0)
            HT_TRY(ht_container_put(out, r.text.data, r.text.bytes, err));
        if (r.metadata.bytes > 0)
            HT_TRY(ht_container_put(out, r.metadata.data, r.metadata.bytes, err));
    }
    return HITHER_OK;
}

static hither_status put_content(const ht_window *w, const ht_moment *view, ht_container_writer *out,
                                 hither_error *err) {
    if (w->spec.no_novelty) {
        HT_TRY(put_vectors(w, view, out, err));
        return put_records(w, view, NULL, out, err);
    }
    HT_TRY(put_forms(w, out, err));
    uint32_t *rank = ht_alloc(((size_t)w->forms.used + 1) * sizeof *rank), living = 0;
    if (!rank)
        return ht_fail_nomem(err, (size_t)w->forms.used * sizeof *rank, "saving a window");
    for (uint32_t i = 0; i < w->forms.used; i++) {
        rank[i] = living;
        living += w->forms.forms[i].birth != 0;
    }
    hither_status status = put_records(w, view, rank, out, err);
    ht_release(rank);
    return status;
}

static hither_status put_all(const ht_window *w, const ht_moment *view, const char *embedder, ht_container_writer *out,
                             hither_error *err) {
    const head h = head_of(w, view);
    HT_TRY(ht_container_begin(out, "head", err));
    HT_TRY(ht_container_put(out, &h, sizeof h, err));
    HT_TRY(ht_container_begin(out, "embedder", err));
    HT_TRY(ht_container_put(out, embedder, strlen(embedder), err));
    size_t bytes = 0;
    const char *rules = w->spec.rules ? ht_rules_text(w->spec.rules, &bytes) : "";
    HT_TRY(ht_container_begin(out, "rules", err));
    HT_TRY(ht_container_put(out, rules, bytes, err));
    HT_TRY(ht_container_begin(out, "decaying", err));
    if (w->spec.half_life > 0)
        HT_TRY(ht_container_put(out, w->sums, w->spec.dim * sizeof *w->sums, err));
    return put_content(w, view, out, err);
}

/* What the mutex guards is of one moment; the view under it is of the same. */
hither_status ht_window_save(ht_window *w, const ht_io *io, const char *path, const char *embedder, hither_error *err) {
    ht_container_writer *out;
    ht_moment view;
    HT_TRY(ht_container_create(io, path, KIND, &out, err));
    pthread_mutex_lock(&w->mutex);
    hither_status status = ht_window_view(w, &view, err);
    if (status == HITHER_OK) {
        /* Both let go of the old by the same rule, but a clock goes on between them. */
        ht_window_expire(w);
        ht_moment_from(&view, w->spec.no_novelty ? 0 : w->next - w->count);
        status = put_all(w, &view, embedder, out, err);
        ht_moment_close(&view);
    }
    pthread_mutex_unlock(&w->mutex);
    if (status == HITHER_OK)
        return ht_container_finish(out, err);
    ht_container_abandon(out);
    return status;
}

/* ---- open */

struct ht_window_saved {
    ht_container *file;
    head head;
    ht_text rules, embedder, keys, texts;
    const saved_form *forms;
    const float *vectors;
    const saved_record *records;
    const double *decaying;
};

static hither_status corrupt(hither_error *err, const char *what) {
    return ht_fail(err, HITHER_CORRUPT, "a saved window: %s", what);
}

/* A section of exactly `bytes` bytes, or of any number if that is SIZE_MAX; checked against its sums. */
static hither_status section(ht_window_saved *s, const char *name, size_t bytes, ht_text *out, hither_error *err) {
    size_t there = 0;
    const char *data = ht_container_section(s->file, name, &there);
    if ((bytes != SIZE_MAX && there != bytes) || (!data && there > 0))
        return ht_fail(err, HITHER_CORRUPT, "a saved window: section %s has %zu bytes, not %zu", name, there, bytes);
    HT_TRY(ht_container_touch(s->file, name, 0, there, err));
    *out = (ht_text){there > 0 ? data : "", there};
    return HITHER_OK;
}

static bool sane(double x, double least, double most) { return x >= least && x <= most; }

static hither_status check_head(const head *h, hither_error *err) {
    if (h->dim < 1 || h->dim > HITHER_MAX_DIM || h->capacity < 1 || h->capacity > HT_WINDOW_MOST_RECORDS)
        return corrupt(err, "its shape is impossible");
    if (h->records > h->capacity || h->records > h->next || h->forms > h->records || h->next > INT64_MAX ||
        h->births > INT64_MAX || (h->forms == 0) != (h->records == 0) ||
        h->flags > (NO_CENTROID | OWN_TIMES | NO_NOVELTY))
        return corrupt(err, "its counts contradict each other");
    bool timeless = !(h->half_life > 0) && !(h->alarm_rate > 0) && !(h->alarms_per_day > 0);
    if ((h->flags & NO_NOVELTY) && (!timeless || (h->age_ms > 0 && !(h->flags & NO_CENTROID))))
        return corrupt(err, "it scores no novelty and needs it");
    if (!sane(h->alarm_rate, 0, 1) || !sane(h->alarms_per_day, 0, 1e15) || !sane(h->half_life, 0, 1e15) ||
        !sane(h->threshold, 0, 1e300) || !sane(h->weight, 0, 1e300))
        return corrupt(err, "a number of its settings is impossible");
    return HITHER_OK;
}

static hither_status read_sections(ht_window_saved *s, hither_error *err) {
    ht_text start = {0}, forms = {0}, vectors = {0}, records = {0}, decaying = {0};
    HT_TRY(section(s, "head", sizeof s->head, &start, err));
    memcpy(&s->head, start.data, sizeof s->head);
    HT_TRY(check_head(&s->head, err));
    size_t dim = s->head.dim, form_count = (size_t)s->head.forms, record_count = (size_t)s->head.records;
    HT_TRY(section(s, "embedder", SIZE_MAX, &s->embedder, err));
    HT_TRY(section(s, "rules", SIZE_MAX, &s->rules, err));
    HT_TRY(section(s, "forms", form_count * sizeof *s->forms, &forms, err));
    HT_TRY(section(s, "keys", SIZE_MAX, &s->keys, err));
    HT_TRY(section(s, "vectors", form_count * dim * sizeof(float), &vectors, err));
    HT_TRY(section(s, "records", record_count * sizeof *s->records, &records, err));
    HT_TRY(section(s, "texts", SIZE_MAX, &s->texts, err));
    HT_TRY(section(s, "decaying", s->head.half_life > 0 ? dim * sizeof(double) : 0, &decaying, err));
    s->forms = (const saved_form *)(const void *)forms.data;
    s->vectors = (const float *)(const void *)vectors.data;
    s->records = (const saved_record *)(const void *)records.data;
    s->decaying = (const double *)(const void *)decaying.data;
    for (size_t i = 0; i < form_count * dim; i++)
        if (!isfinite(s->vectors[i]))
            return corrupt(err, "a vector is not finite");
    for (size_t i = 0; s->head.half_life > 0 && i < dim; i++)
        if (!isfinite(s->decaying[i]) || fabs(s->decaying[i]) > 0x1p100)
            return corrupt(err, "its centroid is impossible");
    return HITHER_OK;
}

hither_status ht_window_saved_open(const ht_io *io, const char *path, ht_window_saved **out, ht_window_spec *spec,
                                   ht_text *embedder, hither_error *err) {
    ht_window_saved *s = ht_calloc(1, sizeof *s);
    if (!s)
        return ht_fail_nomem(err, sizeof *s, "a saved window");
    hither_status status = ht_container_open(io, path, KIND, &s->file, err);
    if (status == HITHER_OK)
        status = read_sections(s, err);
    if (status != HITHER_OK) {
        ht_window_saved_close(s);
        return status;
    }
    *spec = (ht_window_spec){
        .capacity = s->head.capacity,
        .dim = s->head.dim,
        .age_ms = s->head.age_ms,
        .no_centroid = s->head.flags & NO_CENTROID,
        .no_novelty = s->head.flags & NO_NOVELTY,
        .alarm_rate = s->head.alarm_rate,
        .alarms_per_day = s->head.alarms_per_day,
        .alarm_after = s->head.alarm_after,
        .alarm_below = s->head.alarm_below,
        .half_life = s->head.half_life,
    };
    *embedder = s->embedder;
    *out = s;
    return HITHER_OK;
}

ht_text ht_window_saved_rules(const ht_window_saved *saved) { return saved->rules; }

void ht_window_saved_close(ht_window_saved *saved) {
    if (!saved)
        return;
    ht_container_close(saved->file);
    ht_release(saved);
}

/* ---- restore */

/* The next `bytes` of a text section; they are UTF-8 and no more than a window keeps. */
static hither_status next_text(const ht_text *from, size_t *at, size_t bytes, ht_text *out, hither_error *err) {
    if (bytes > HT_WINDOW_TEXT_BYTES || bytes > from->bytes - *at)
        return corrupt(err, "a text is longer than it can be");
    *out = (ht_text){from->data + *at, bytes};
    *at += bytes;
    if (ht_utf8_valid_prefix(out->data, bytes) < bytes)
        return corrupt(err, "a text is not UTF-8");
    return HITHER_OK;
}

/* Which forms records that are kept have: bit set. */
static hither_status used_forms(const ht_window_saved *s, uint64_t first, bool *used, hither_error *err) {
    for (uint64_t i = 0; i < s->head.records; i++) {
        const saved_record *r = &s->records[i];
        if (r->form >= s->head.forms || r->flags > (NO_TEXT | HAS_METADATA) || ((r->flags & NO_TEXT) && r->bytes) ||
            (!(r->flags & HAS_METADATA) && r->metadata_bytes))
            return corrupt(err, "a record is impossible");
        if (i >= first)
            used[r->form] = true;
    }
    return HITHER_OK;
}

/* slots: where each form went. */
static hither_status add_forms(ht_window *w, const ht_window_saved *s, const bool *used, uint32_t *slots,
                               hither_error *err) {
    size_t at = 0, dim = w->spec.dim;
    uint64_t before = 0;
    for (size_t i = 0; i < s->head.forms; i++) {
        const saved_form *f = &s->forms[i];
        const float *vector = s->vectors + i * dim;
        ht_text key = {NULL, 0};
        if (f->flags > (ALARMED | HAS_KEY) || (!(f->flags & HAS_KEY) && f->bytes > 0))
            return corrupt(err, "a form is impossible");
        if (f->birth <= before || f->birth > s->head.births)
            return corrupt(err, "forms are not in the order they came in");
        before = f->birth;
        if (f->flags & HAS_KEY)
            HT_TRY(next_text(&s->keys, &at, f->bytes, &key, err));
        if (!used[i])
            continue;
        const void *what = key.data ? (const void *)key.data : vector;
        size_t bytes = key.data ? key.bytes : dim * sizeof *vector;
        uint64_t hash = ht_form_hash(what, bytes, !key.data);
        if (ht_forms_find(&w->forms, what, bytes, !key.data, hash) != HT_NO_FORM)
            return corrupt(err, "a form is there twice");
        const uint32_t *moved;
        HT_TRY(ht_forms_reserve(&w->forms, &moved, err));
        w->forms.births = f->birth - 1;
        HT_TRY(ht_forms_add(&w->forms, key.data, bytes, hash, vector, &slots[i], err));
        w->forms.forms[slots[i]].alarmed = f->flags & ALARMED;
    }
    w->forms.births = s->head.births;
    return at == s->keys.bytes ? HITHER_OK : corrupt(err, "keys of no form");
}

static hither_status add_records(ht_window *w, const ht_window_saved *s, uint64_t first, const uint32_t *slots,
                                 int64_t later_ms, hither_error *err) {
    size_t at = 0;
    int64_t latest = INT64_MIN;
    ht_ring_start(w->ring, s->head.next - (s->head.records - first));
    w->next = s->head.next - (s->head.records - first);
    for (uint64_t i = 0; i < s->head.records; i++) {
        const saved_record *r = &s->records[i];
        ht_ring_record record = {.vector = s->vectors + (size_t)r->form * w->spec.dim, .norm = -1};
        record.scale = ht_window_scale(w, record.vector);
        HT_TRY(next_text(&s->texts, &at, r->bytes, &record.text, err));
        HT_TRY(next_text(&s->texts, &at, r->metadata_bytes, &record.metadata, err));
        if (r->flags & NO_TEXT)
            record.text.data = NULL;
        if (!(r->flags & HAS_METADATA))
            record.metadata.data = NULL;
        if (i < first)
            continue;
        if (__builtin_add_overflow(r->time_ms, later_ms, &record.time_ms) || record.time_ms < latest)
            return corrupt(err, "a time is impossible");
        latest = w->spec.age_ms > 0 ? record.time_ms : INT64_MIN;
        HT_TRY(ht_window_restore_one(w, slots[r->form], &record, err));
    }
    if (s->head.records > 0)
        atomic_store(&w->now_ms, s->head.now_ms + later_ms);
    return at == s->texts.bytes ? HITHER_OK : corrupt(err, "texts of no record");
}

/* What saved times of the machine's clock are behind this machine's, the time in between included. */
static int64_t shift_ms(const ht_window_saved *s) {
    if ((s->head.flags & OWN_TIMES) || s->head.records == 0)
        return 0;
    int64_t between = wall_ms(), newest;
    if (__builtin_sub_overflow(between, s->head.wall_ms, &between) || between < 0)
        between = 0;
    if (__builtin_sub_overflow(ht_window_clock_ms() - between, s->head.now_ms, &newest))
        newest = 0;
    return newest;
}

hither_status ht_window_restore(ht_window *w, ht_window_saved *s, hither_error *err) {
    uint64_t first = s->head.records > w->spec.capacity ? s->head.records - w->spec.capacity : 0;
    bool *used = ht_calloc((size_t)s->head.forms + 1, sizeof *used);
    uint32_t *slots = ht_calloc((size_t)s->head.forms + 1, sizeof *slots);
    hither_status status = used && slots ? HITHER_OK : ht_fail_nomem(err, (size_t)s->head.forms * 5, "a saved window");
    if (status == HITHER_OK)
        status = used_forms(s, first, used, err);
    if (status == HITHER_OK && !w->spec.no_novelty)
        status = add_forms(w, s, used, slots, err);
    if (status == HITHER_OK)
        status = add_records(w, s, first, slots, shift_ms(s), err);
    ht_release(used);
    ht_release(slots);
    if (status != HITHER_OK)
        return status;
    if (s->head.records > 0 && (w->spec.age_ms > 0 || w->spec.alarms_per_day > 0))
        atomic_store(&w->times, s->head.flags & OWN_TIMES ? HT_TIMES_OWN : HT_TIMES_CLOCK);
    w->alarm.threshold = s->head.threshold;
    if (w->spec.half_life > 0 && s->head.half_life > 0 && s->decaying) {
        memcpy(w->sums, s->decaying, w->spec.dim * sizeof *w->sums);
        w->weight = s->head.weight;
    }
    ht_window_restored(w);
    return HITHER_OK;
}
