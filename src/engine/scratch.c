/*
 * scratch.c: the pool of scratch.h. Memory orders: `taken` is acquired by the exchange that claims and released by the
 * store that gives back, so each holder sees what the last one left; `first` is released by the push and acquired by
 * the walk. Hazards are sequentially consistent, for the reason snapshot.c gives.
 */
#include "engine/scratch.h"

#include "base/alloc.h"

/* Larger buffers are given back at once, so that one huge query does not hold memory for good. */
#define KEPT_BYTES ((size_t)4 << 20)

hither_status ht_scratch_take(ht_scratch_pool *pool, ht_scratch **out, hither_error *err) {
    for (ht_scratch *s = atomic_load_explicit(&pool->first, memory_order_acquire); s; s = s->next) {
        if (!atomic_load_explicit(&s->taken, memory_order_relaxed) &&
            !atomic_exchange_explicit(&s->taken, true, memory_order_acquire)) {
            *out = s;
            return HITHER_OK;
        }
    }
    ht_scratch *fresh = ht_calloc(1, sizeof *fresh);
    if (!fresh)
        return ht_fail_nomem(err, sizeof *fresh, "a reader's scratch");
    atomic_init(&fresh->hazard, NULL);
    atomic_init(&fresh->taken, true);
    fresh->next = atomic_load_explicit(&pool->first, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&pool->first, &fresh->next, fresh, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
    }
    *out = fresh;
    return HITHER_OK;
}

static void drop_buffers(ht_scratch *s) {
    ht_release(s->hits);
    ht_release(s->counts);
    s->hits = NULL;
    s->counts = NULL;
    s->hit_room = s->count_room = 0;
    ht_exact_scratch_clear(&s->exact);
}

void ht_scratch_give(ht_scratch *s) {
    if (!s)
        return;
    if (s->hit_room > KEPT_BYTES / sizeof *s->hits || s->count_room > KEPT_BYTES / sizeof *s->counts ||
        s->exact.bytes > KEPT_BYTES)
        drop_buffers(s);
    atomic_store_explicit(&s->hazard, NULL, memory_order_release);
    atomic_store_explicit(&s->taken, false, memory_order_release);
}

static void *grow(void *old, size_t *room, size_t wanted, size_t size) {
    size_t bytes;
    if (wanted <= *room)
        return old;
    if (!ht_mul_size(wanted, size, &bytes))
        return NULL;
    void *fresh = ht_alloc(bytes);
    if (!fresh)
        return NULL;
    ht_release(old);
    *room = wanted;
    return fresh;
}

hither_status ht_scratch_reserve(ht_scratch *s, size_t hits, size_t counts, hither_error *err) {
    ht_hit *new_hits = grow(s->hits, &s->hit_room, hits, sizeof *s->hits);
    if (!new_hits && hits)
        return ht_fail_nomem(err, hits * sizeof *s->hits, "the hits of a search");
    s->hits = new_hits;
    size_t *new_counts = grow(s->counts, &s->count_room, counts, sizeof *s->counts);
    if (!new_counts && counts)
        return ht_fail_nomem(err, counts * sizeof *s->counts, "the counts of a search");
    s->counts = new_counts;
    return HITHER_OK;
}

hither_status ht_scratch_walk(ht_scratch *s, size_t hits, hither_error *err) {
    ht_hit *room = grow(s->walk_hits, &s->walk_room, hits, sizeof *s->walk_hits);
    if (!room)
        return ht_fail_nomem(err, hits * sizeof *s->walk_hits, "the hits of a search");
    s->walk_hits = room;
    return HITHER_OK;
}

bool ht_scratch_pins(ht_scratch_pool *pool, const struct ht_snapshot *snapshot) {
    for (ht_scratch *s = atomic_load_explicit(&pool->first, memory_order_acquire); s; s = s->next) {
        if (atomic_load_explicit(&s->hazard, memory_order_seq_cst) == snapshot)
            return true;
    }
    return false;
}

void ht_scratch_clear(ht_scratch_pool *pool) {
    ht_scratch *s = atomic_exchange_explicit(&pool->first, NULL, memory_order_acq_rel);
    while (s) {
        ht_scratch *next = s->next;
        drop_buffers(s);
        if (s->walk)
            s->walk_free(s->walk);
        ht_release(s->walk_hits);
        ht_release(s->parts);
        ht_release(s->homes);
        ht_release(s);
        s = next;
    }
}
