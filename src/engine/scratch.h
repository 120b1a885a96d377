/*
 * scratch.h: what a reader needs for the length of a call: a hazard pointer and some memory, from a lock-free pool the
 * database keeps. The list of scratches only grows (to the largest number of calls at once); a scratch is claimed by
 * an atomic exchange on its flag, so in the steady state a reader neither locks nor allocates.
 *
 * Any thread may claim; a claimed scratch is its thread's until ht_scratch_give.
 */
#ifndef HT_ENGINE_SCRATCH_H
#define HT_ENGINE_SCRATCH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/topk.h"
#include "index/exact.h"

struct ht_snapshot;
typedef struct ht_part_home ht_part_home;

typedef struct ht_scratch {
    _Atomic(struct ht_snapshot *) hazard; /* the snapshot this reader stands on; written by its holder only */
    _Atomic bool taken;
    struct ht_scratch *next; /* fixed once in the list */
    ht_hit *hits;            /* grown by ht_scratch_hits */
    size_t *counts;
    size_t hit_room, count_room;
    ht_exact_scratch exact; /* what exact search works in */
    ht_part *parts;         /* of the snapshot, with what they are parts of; parts.c makes them */
    ht_part_home *homes;
    size_t part_count, part_room;
    void *walk; /* what a kind of approximate search works in, and who frees it; NULL until there was one */
    void (*walk_free)(void *walk);
    ht_hit *walk_hits; /* grown by ht_scratch_walk */
    size_t walk_room;
} ht_scratch;

typedef struct ht_scratch_pool {
    _Atomic(ht_scratch *) first;
} ht_scratch_pool;

/* NOMEM only while the list still grows. */
HT_NODISCARD hither_status ht_scratch_take(ht_scratch_pool *pool, ht_scratch **out, hither_error *err);
/* Clears the hazard and gives the scratch back. */
void ht_scratch_give(ht_scratch *scratch);
/* Room for that many hits and counts; what was there is lost. */
HT_NODISCARD hither_status ht_scratch_reserve(ht_scratch *scratch, size_t hits, size_t counts, hither_error *err);
/* Room for that many hits in walk_hits. */
HT_NODISCARD hither_status ht_scratch_walk(ht_scratch *scratch, size_t hits, hither_error *err);
/* Whether any reader stands on the snapshot. */
bool ht_scratch_pins(ht_scratch_pool *pool, const struct ht_snapshot *snapshot);
/* Frees all; nobody may be using the pool any more. */
void ht_scratch_clear(ht_scratch_pool *pool);

#endif
