/*
 * window_open.c: pushing into a window that does not score novelty. Records are taken in batches by one compare and
 * swap, written side by side with those of other threads, and shown one by one. The sums of the centroid are integers:
 * a batch adds up what it brings and what it drives out for itself and adds the difference with one atomic addition a
 * dimension, so the order in which threads do it does not matter and nothing ever drifts. No lock. Any thread.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"
#include "stream/window_inside.h"

enum { BATCH = 64 };

struct ht_push_room {
    double *before, *sums, mean2; /* of the window as this batch sees it */
    float *mean, *vector;
    ht_buf clean, masked;
};

typedef struct batch {
    const ht_window_rows *rows;
    hither_score *scores;
    ht_matcher *matcher; /* NULL: none */
    ht_push_room *room;
} batch;

/* One record more and one less (NULL: none) in the sums, and their mean. */
static void move_sums(const ht_window *w, const batch *b, const float *come, double scale, const float *gone,
                      double gone_scale) {
    const float *none = b->room->vector; /* with unit 0 it need only be finite */
    b->room->mean2 =
        ht_kernels_get()->move_mean(b->room->sums, b->room->mean, come ? come : none, come ? scale * HT_WINDOW_UNIT : 0,
                                    gone ? gone : none, gone ? gone_scale * HT_WINDOW_UNIT : 0, w->spec.dim);
}

static void load_sums(const ht_window *w, batch *b) {
    for (size_t j = 0; j < ht_window_padded(w); j++)
        b->room->before[j] = (double)atomic_load_explicit(&w->open_sums[j], memory_order_relaxed);
    memcpy(b->room->sums, b->room->before, ht_window_padded(w) * sizeof *b->room->sums);
    move_sums(w, b, NULL, 0, NULL, 0);
}

static void add_difference(ht_window *w, const batch *b) {
    for (size_t j = 0; j < w->spec.dim; j++) {
        int64_t difference = (int64_t)(b->room->sums[j] - b->room->before[j]);
        if (difference != 0)
            atomic_fetch_add_explicit(&w->open_sums[j], difference, memory_order_relaxed);
    }
}

static float similarity(const ht_window *w, const batch *b, const float *vector, double scale, uint64_t number) {
    const double mean2 = b->room->mean2;
    if (number == 0)
        return 1.0f;
    double dot = ht_kernels_get()->ref_dot_f32(vector, b->room->mean, w->spec.dim);
    return mean2 > 0 && scale > 0 ? (float)(dot * scale / sqrt(mean2)) : 0.0f;
}

static hither_status vector_of(ht_window *w, batch *b, size_t i, ht_ring_record *r, hither_error *err) {
    const ht_window_rows *rows = b->rows;
    r->vector = b->room->vector;
    if (rows->texts && ht_strings_has(rows->texts, i))
        r->text = ht_strings_at(rows->texts, i);
    if (rows->metadata)
        r->metadata = ht_strings_at(rows->metadata, i);
    if (!rows->vectors) {
        HT_TRY(ht_window_mask(w, &r->text, &b->room->clean, &b->room->masked, err));
        return ht_window_embed_form(w, b->room->masked.data ? b->room->masked.data : "", b->room->masked.size,
                                    b->room->vector, err);
    }
    r->vector = (const float *)(const void *)((const char *)rows->vectors->data + i * rows->vectors->stride);
    return r->text.data ? ht_window_clean(&r->text, &b->room->clean, err) : HITHER_OK;
}

/* The record of row i becomes `number`, which is claimed, or is given up. */
static hither_status push_claimed(ht_window *w, batch *b, size_t i, uint64_t number, ht_ring_record r,
                                  hither_error *err) {
    hither_status status = b->rows->vectors ? vector_of(w, b, i, &r, err) : HITHER_OK;
    if (status == HITHER_OK)
        status = ht_window_take_time(w, b->rows->times_ms ? &b->rows->times_ms[i] : NULL, &r.time_ms, err);
    if (status == HITHER_OK)
        status = ht_ring_reserve(w->ring, number, r.text.bytes + r.metadata.bytes, err);
    double gone_scale = 0,
           norm2 = status == HITHER_OK ? ht_kernels_get()->ref_dot_f32(r.vector, r.vector, w->spec.dim) : 0;
    const float *gone = w->spec.no_centroid ? NULL : ht_ring_leaving(w->ring, number, &gone_scale);
    double scale = r.scale = norm2 > 0 ? 1 / sqrt(norm2) : 0;
    r.norm = norm2 > 0 ? ht_window_norm(norm2) : -1; /* so small a vector that its square is nothing */
    if (status == HITHER_OK && b->scores)
        b->scores[i] = (hither_score){.novelty = NAN,
                                      .rarity = NAN,
                                      .distance = NAN,
                                      .severity = NAN,
                                      .centroid = w->spec.no_centroid ? NAN : similarity(w, b, r.vector, scale, number),
                                      .record = number,
                                      .nearest = UINT64_MAX};
    if (!w->spec.no_centroid)
        move_sums(w, b, status == HITHER_OK ? r.vector : NULL, scale, gone, gone_scale);
    if (status == HITHER_OK)
        ht_ring_write(w->ring, number, &r);
    else
        ht_ring_give_up(w->ring, number);
    return status;
}

/* Rows that are in, so that nobody waits for this. */
static hither_status match(const batch *b, size_t first, uint32_t count, hither_error *err) {
    const hither_matrix *vectors = b->rows->vectors;
    for (size_t i = first; i < first + count; i++) {
        const void *row = vectors ? (const char *)vectors->data + i * vectors->stride : (const char *)b->room->vector;
        HT_TRY(ht_matcher_add(b->matcher, row, 0, false, err));
    }
    return first + count == (vectors ? vectors->rows : b->rows->texts->count) ? ht_matcher_finish(b->matcher, err)
                                                                              : HITHER_OK;
}

static hither_status push_rows(ht_window *w, batch *b, size_t count, hither_error *err) {
    hither_status status = HITHER_OK;
    for (size_t done = 0; done < count && status == HITHER_OK;) {
        uint64_t first;
        uint32_t n, want = (uint32_t)ht_min_size(BATCH, count - done);
        ht_ring_record r = {.time_ms = 0};
        if (!b->rows->vectors) { /* a model takes its time, and others may not get far past a claim */
            HT_TRY(vector_of(w, b, done, &r, err));
            want = 1;
        }
        HT_TRY(ht_ring_claim(w->ring, want, &first, &n, err));
        if (!w->spec.no_centroid)
            load_sums(w, b);
        for (uint32_t i = 0; i < n; i++) {
            hither_error *first_error = status == HITHER_OK ? err : NULL;
            hither_status one = status == HITHER_OK ? push_claimed(w, b, done + i, first + i, r, first_error) : status;
            if (status != HITHER_OK) { /* after a failure the rest of the claim stays empty */
                double scale = 0;
                const float *gone = w->spec.no_centroid ? NULL : ht_ring_leaving(w->ring, first + i, &scale);
                if (gone)
                    move_sums(w, b, NULL, 0, gone, scale);
                ht_ring_give_up(w->ring, first + i);
            }
            status = one;
        }
        if (!w->spec.no_centroid)
            add_difference(w, b);
        if (status == HITHER_OK && b->matcher)
            status = match(b, done, n, err);
        done += n;
    }
    return status;
}

/* ---- room to work in */

static void free_room(ht_push_room *room) {
    if (!room)
        return;
    ht_buf_clear(&room->clean);
    ht_buf_clear(&room->masked);
    ht_release(room->before);
    ht_release(room);
}

static hither_status take_room(ht_window *w, ht_push_room **out, hither_error *err) {
    const size_t padded = ht_window_padded(w);
    for (size_t i = 0; i < HT_PUSH_ROOMS; i++)
        if (atomic_load_explicit(&w->rooms[i], memory_order_relaxed) &&
            (*out = atomic_exchange_explicit(&w->rooms[i], NULL, memory_order_acquire)))
            return HITHER_OK;
    ht_push_room *room = ht_calloc(1, sizeof *room);
    double *memory = ht_calloc(padded, 2 * sizeof(double) + 2 * sizeof(float));
    if (!room || !memory) {
        ht_release(room);
        ht_release(memory);
        return ht_fail_nomem(err, padded * 24, "a push");
    }
    room->before = memory;
    room->sums = memory + padded;
    room->mean = (float *)(memory + 2 * padded);
    room->vector = room->mean + padded;
    ht_window_init_bufs(w, &room->clean, &room->masked);
    *out = room;
    return HITHER_OK;
}

static void give_room(ht_window *w, ht_push_room *room) {
    for (size_t i = 0; i < HT_PUSH_ROOMS; i++) {
        ht_push_room *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&w->rooms[i], &none, room, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    free_room(room);
}

void ht_window_open_clear(ht_window *w) {
    for (size_t i = 0; i < HT_PUSH_ROOMS; i++)
        free_room(atomic_exchange(&w->rooms[i], NULL));
}

hither_status ht_window_push_open(ht_window *w, const ht_window_rows *rows, hither_score *scores, ht_matcher *matcher,
                                  hither_error *err) {
    batch b = {.rows = rows, .scores = scores, .matcher = matcher};
    HT_TRY(take_room(w, &b.room, err));
    hither_status status = push_rows(w, &b, rows->vectors ? rows->vectors->rows : rows->texts->count, err);
    give_room(w, b.room);
    return status;
}
