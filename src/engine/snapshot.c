/*
 * snapshot.c: building, publishing and reclaiming snapshots.
 *
 * Why a pinned snapshot cannot be freed: a reader stores its hazard and then loads `current` again; the publisher
 * exchanges `current` and then loads the hazards. All four are sequentially consistent, so either the reader sees the
 * new pointer and tries again, or the publisher sees the hazard. What a reader did with the snapshot happens before
 * its hazard is cleared (release), which the sweep's load acquires, so freeing races with nobody.
 * A reader that counts a snapshot does so while its hazard still points there; the sweep therefore looks at hazards
 * first and at counts after.
 */
#include "engine/snapshot.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/made.h"
#include "engine/near.h"

#define CHUNK_WORDS (HT_CHUNK_SLOTS / 64)

typedef struct chunk {
    _Atomic uint32_t references;
    uint64_t words[CHUNK_WORDS];
} chunk;

static chunk *chunk_of(const uint64_t *words) {
    return (chunk *)(void *)((char *)(uintptr_t)words - offsetof(chunk, words));
}

static void chunk_release(const uint64_t *words) {
    if (!words)
        return;
    chunk *c = chunk_of(words);
    if (atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) == 1)
        ht_release(c);
}

/* The snapshot, its extents and spine are one block. */
static ht_snapshot *allocate(size_t extents, size_t chunks) {
    size_t bytes = sizeof(ht_snapshot), part;
    if (!ht_mul_size(extents, sizeof(ht_extent *), &part) || !ht_add_size(bytes, part, &bytes) ||
        !ht_mul_size(chunks, sizeof(uint64_t *), &part) || !ht_add_size(bytes, part, &bytes))
        return NULL;
    ht_snapshot *s = ht_calloc(1, bytes);
    if (!s)
        return NULL;
    s->extents = (ht_extent **)(void *)(s + 1);
    s->chunks = (const uint64_t **)(void *)(s->extents + extents);
    s->chunk_count = chunks;
    atomic_init(&s->holders, 0);
    return s;
}

void ht_snapshot_free(ht_snapshot *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->extent_count; i++)
        ht_extent_release(s->extents[i]);
    for (size_t i = 0; i < s->chunk_count; i++)
        chunk_release(s->chunks[i]);
    ht_near_release(s->near);
    ht_made_release(s->made);
    ht_release(s);
}

static void take_extents(ht_snapshot *s, const ht_change *change) {
    for (size_t i = 0; i < change->extent_count; i++) {
        ht_extent *extent = change->extents[i];
        if (extent->first_slot >= change->slot_limit)
            break; /* a reader process may see a segment of a later commit */
        s->extents[i] = ht_extent_acquire(extent);
        s->extent_count++;
    }
}

/* Clears one bit, giving the chunk a copy of its own first. `base` tells which chunks are still shared. */
static bool kill(ht_snapshot *s, const ht_snapshot *base, uint64_t slot) {
    size_t at = slot / HT_CHUNK_SLOTS, word = slot % HT_CHUNK_SLOTS / 64;
    uint64_t bit = (uint64_t)1 << (slot % 64);
    const uint64_t *old = s->chunks[at];
    bool shared = old && base && at < base->chunk_count && base->chunks[at] == old;
    if (old && !(old[word] & bit))
        return true;
    if (!old || shared) {
        chunk *copy = ht_alloc(sizeof *copy);
        if (!copy)
            return false;
        atomic_init(&copy->references, 1);
        if (old)
            memcpy(copy->words, old, sizeof copy->words);
        else
            memset(copy->words, 0xff, sizeof copy->words);
        s->chunks[at] = copy->words;
        chunk_release(old);
        old = copy->words;
    }
    chunk_of(old)->words[word] &= ~bit;
    s->live_count--;
    s->near_live -= s->near && slot < s->near->limit;
    return true;
}

hither_status ht_snapshot_make(const ht_snapshot *base, const ht_change *change, ht_snapshot **out, hither_error *err) {
    size_t chunks = (size_t)((change->slot_limit + HT_CHUNK_SLOTS - 1) / HT_CHUNK_SLOTS);
    HT_ASSERT(!base || (base->slot_limit <= change->slot_limit && base->seq <= change->seq));
    ht_snapshot *s = allocate(change->extent_count, chunks);
    if (!s)
        return ht_fail_nomem(err, sizeof *s, "a snapshot");
    s->seq = change->seq;
    s->slot_limit = change->slot_limit;
    s->live_count = change->slot_limit - (base ? base->slot_limit - base->live_count : 0);
    s->id_kind = change->id_kind;
    s->shape = change->shape ? change->shape : base ? base->shape : NULL;
    take_extents(s, change);
    s->near = base ? ht_near_acquire(base->near) : NULL;
    s->near_live = base ? base->near_live : 0;
    s->made = base ? ht_made_acquire(base->made) : NULL;
    for (size_t i = 0; base && i < base->chunk_count; i++) {
        s->chunks[i] = base->chunks[i];
        if (s->chunks[i])
            atomic_fetch_add_explicit(&chunk_of(s->chunks[i])->references, 1, memory_order_relaxed);
    }
    for (size_t i = 0; i < change->dead_count; i++) {
        HT_ASSERT(change->dead[i] < s->slot_limit);
        if (!kill(s, base, change->dead[i])) {
            ht_snapshot_free(s);
            return ht_fail_nomem(err, sizeof(chunk), "a chunk of the live set");
        }
    }
    *out = s;
    return HITHER_OK;
}

void ht_snapshot_set_near(ht_snapshot *s, ht_near *near) {
    ht_near_release(s->near);
    s->near = ht_near_acquire(near);
    s->near_live = 0;
    ht_mask live = ht_snapshot_mask(s);
    for (uint64_t slot = 0; near && slot < near->limit; slot += 64) {
        uint64_t word = ht_mask_word(&live, slot), left = near->limit - slot;
        s->near_live += (uint64_t)__builtin_popcountll(left < 64 ? word & (((uint64_t)1 << left) - 1) : word);
    }
}

void ht_snapshot_set_made(ht_snapshot *s, ht_made *made) {
    ht_made_release(s->made);
    s->made = made;
}

void ht_snapshot_publish(ht_home *home, ht_snapshot *fresh, ht_graveyard *graveyard, ht_scratch_pool *pool) {
    fresh->home = home;
    ht_snapshot *old = atomic_exchange_explicit(&home->current, fresh, memory_order_seq_cst);
    if (!old)
        return;
    old->next_retired = graveyard->first;
    graveyard->first = old;
    ht_graveyard_sweep(graveyard, pool);
}

void ht_graveyard_sweep(ht_graveyard *graveyard, ht_scratch_pool *pool) {
    ht_snapshot **link = &graveyard->first;
    while (*link) {
        ht_snapshot *s = *link;
        if (ht_scratch_pins(pool, s) || atomic_load_explicit(&s->holders, memory_order_acquire) != 0) {
            link = &s->next_retired;
        } else {
            *link = s->next_retired;
            ht_snapshot_free(s);
        }
    }
}

uint64_t ht_graveyard_oldest(const ht_graveyard *graveyard, const ht_home *home) {
    uint64_t oldest = UINT64_MAX;
    for (const ht_snapshot *s = graveyard->first; s; s = s->next_retired)
        if (s->home == home && s->seq < oldest)
            oldest = s->seq;
    return oldest;
}

void ht_graveyard_clear(ht_graveyard *graveyard) {
    while (graveyard->first) {
        ht_snapshot *s = graveyard->first;
        graveyard->first = s->next_retired;
        ht_snapshot_free(s);
    }
}

ht_snapshot *ht_snapshot_pin(ht_home *home, ht_scratch *scratch) {
    ht_snapshot *s = atomic_load_explicit(&home->current, memory_order_seq_cst);
    for (;;) {
        atomic_store_explicit(&scratch->hazard, s, memory_order_seq_cst);
        ht_snapshot *again = atomic_load_explicit(&home->current, memory_order_seq_cst);
        if (again == s)
            return s;
        s = again;
    }
}

void ht_snapshot_hold(ht_snapshot *pinned) { atomic_fetch_add_explicit(&pinned->holders, 1, memory_order_relaxed); }

void ht_snapshot_unhold(ht_snapshot *held) { atomic_fetch_sub_explicit(&held->holders, 1, memory_order_release); }

bool ht_snapshot_alive(const ht_snapshot *s, uint64_t slot) {
    if (slot >= s->slot_limit)
        return false;
    const uint64_t *words = s->chunks[slot / HT_CHUNK_SLOTS];
    return !words || (words[slot % HT_CHUNK_SLOTS / 64] >> (slot % 64) & 1);
}

uint64_t ht_snapshot_next(const ht_snapshot *s, uint64_t slot) {
    while (slot < s->slot_limit) {
        const uint64_t *words = s->chunks[slot / HT_CHUNK_SLOTS];
        if (!words)
            return slot;
        uint64_t left = words[slot % HT_CHUNK_SLOTS / 64] >> (slot % 64);
        if (left) {
            slot += (uint64_t)__builtin_ctzll(left);
            break;
        }
        slot = (slot / 64 + 1) * 64;
    }
    return slot < s->slot_limit ? slot : s->slot_limit;
}

ht_mask ht_snapshot_mask(const ht_snapshot *s) {
    return (ht_mask){.chunks = s->chunks, .chunk_count = s->chunk_count, .limit = s->slot_limit};
}

hither_status ht_snapshot_row(const ht_snapshot *s, uint64_t slot, const float **out, hither_error *err) {
    for (size_t i = 0; i < s->extent_count; i++) {
        ht_extent *extent = s->extents[i];
        if (slot >= extent->first_slot && slot - extent->first_slot < extent->capacity) {
            HT_TRY(ht_extent_check_row(extent, (size_t)(slot - extent->first_slot), err));
            *out = ht_extent_row(extent, slot);
            return HITHER_OK;
        }
    }
    return ht_fail(err, HITHER_CORRUPT, "no segment holds slot %llu; run `hither verify`", (unsigned long long)slot);
}
