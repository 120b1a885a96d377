/*
 * met_ids.c: see met_ids.h.
 */
#include "engine/met_ids.h"

#include "base/alloc.h"

enum { SLOTS = 1024 }; /* of a block */

typedef struct block {
    _Atomic uint64_t known[SLOTS / 64];
    _Atomic int64_t ids[SLOTS];
} block;

/* Where the pointer to a slot's block is: level and place. */
static unsigned locate(uint64_t slot, uint64_t *at) {
    uint64_t n = slot / SLOTS + 1;
    unsigned level = 63u - (unsigned)__builtin_clzll(n);
    *at = n - ((uint64_t)1 << level);
    return level;
}

static block *find_block(ht_met_ids *ids, uint64_t slot) {
    uint64_t at;
    unsigned level = locate(slot, &at);
    _Atomic(block *) *blocks =
        level < HT_MET_IDS_LEVELS ? atomic_load_explicit(&ids->levels[level], memory_order_acquire) : NULL;
    return blocks ? atomic_load_explicit(&blocks[at], memory_order_acquire) : NULL;
}

/* Puts fresh memory into a place that is empty, unless another thread has; NULL without memory. */
static void *fill(_Atomic(void *) *place, size_t count, size_t size) {
    void *there = atomic_load_explicit(place, memory_order_acquire);
    if (there)
        return there;
    void *fresh = ht_calloc(count, size);
    if (!fresh ||
        atomic_compare_exchange_strong_explicit(place, &there, fresh, memory_order_acq_rel, memory_order_acquire))
        return fresh;
    ht_release(fresh);
    return there;
}

bool ht_met_ids_find(ht_met_ids *ids, uint64_t slot, int64_t *id) {
    block *b = find_block(ids, slot);
    size_t i = slot % SLOTS;
    if (!b || !(atomic_load_explicit(&b->known[i / 64], memory_order_acquire) >> i % 64 & 1))
        return false;
    *id = atomic_load_explicit(&b->ids[i], memory_order_relaxed);
    return true;
}

void ht_met_ids_note(ht_met_ids *ids, uint64_t slot, int64_t id) {
    uint64_t at;
    unsigned level = locate(slot, &at);
    if (level >= HT_MET_IDS_LEVELS)
        return;
    _Atomic(void *) *blocks = fill(&ids->levels[level], (size_t)1 << level, sizeof *blocks);
    block *b = blocks ? fill(&blocks[at], 1, sizeof *b) : NULL;
    if (!b)
        return;
    size_t i = slot % SLOTS;
    atomic_store_explicit(&b->ids[i], id, memory_order_relaxed);
    atomic_fetch_or_explicit(&b->known[i / 64], (uint64_t)1 << i % 64, memory_order_release);
}

void ht_met_ids_clear(ht_met_ids *ids) {
    for (unsigned level = 0; level < HT_MET_IDS_LEVELS; level++) {
        _Atomic(void *) *blocks = atomic_load_explicit(&ids->levels[level], memory_order_relaxed);
        for (uint64_t at = 0; blocks && at < (uint64_t)1 << level; at++)
            ht_release(atomic_load_explicit(&blocks[at], memory_order_relaxed));
        ht_release((void *)blocks);
    }
}
