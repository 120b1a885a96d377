/*
 * topk.h: the k best of a stream of (distance, slot), by distance and then by slot, so that answers repeat.
 *
 * A binary max-heap in memory the caller brings. Distances are never NaN. One thread.
 */
#ifndef HT_BASE_TOPK_H
#define HT_BASE_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ht_hit {
    double distance;
    uint64_t slot;
} ht_hit;

static inline bool ht_hit_before(ht_hit a, ht_hit b) {
    return a.distance < b.distance || (a.distance == b.distance && a.slot < b.slot);
}

typedef struct ht_topk {
    ht_hit *hits; /* room for k */
    size_t k, count;
} ht_topk;

static inline void ht_topk_init(ht_topk *top, ht_hit *room, size_t k) { *top = (ht_topk){room, k, 0}; }
/* Takes the hit if it is among the k best so far. */
void ht_topk_push(ht_topk *top, ht_hit hit);
/* The distance a new hit must not exceed: the worst kept one, +inf while there are fewer than k. */
double ht_topk_limit(const ht_topk *top);
/* Sorts hits[0 ... count) best first; the heap is spent. */
void ht_topk_sort(ht_topk *top);

#endif
