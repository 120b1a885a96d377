/*
 * snapshot.h: one version of a collection, immutable: commit number, slot limit, segments, live set. The live set is a
 * spine of counted chunks of 65,536 slots; a NULL chunk is all ones; a commit copies only the chunks it kills in.
 *
 * A home holds a collection's current snapshot. Readers pin it through the hazard pointer of a scratch, or hold a
 * counted reference (cursors). Publishing swaps one pointer and retires the old snapshot to the graveyard, where it is
 * freed once no hazard points at it and its count is zero.
 *
 * Any thread reads. ht_snapshot_publish and ht_graveyard_sweep are for the holder of the writer lock.
 */
#ifndef HT_ENGINE_SNAPSHOT_H
#define HT_ENGINE_SNAPSHOT_H

#include "engine/extent.h"
#include "engine/scratch.h"
#include "index/exact.h"

#define HT_CHUNK_SLOTS 65536u

typedef struct ht_near ht_near;
typedef struct ht_made ht_made;

typedef struct ht_snapshot {
    uint64_t seq;          /* the collection's commit_seq */
    const ht_shape *shape; /* of its rows */
    uint64_t slot_limit;
    uint64_t live_count;
    ht_id_kind id_kind;
    size_t extent_count; /* by rising first_slot, those below slot_limit */
    ht_extent **extents;
    size_t chunk_count;
    const uint64_t **chunks;
    ht_near *near;                    /* near.h; NULL: none */
    uint64_t near_live;               /* rows alive below its limit */
    ht_made *made;                    /* made.h; of the first of a home NULL, until it is told */
    _Atomic uint32_t holders;         /* counted references */
    const struct ht_home *home;       /* where it was published */
    struct ht_snapshot *next_retired; /* in the graveyard */
} ht_snapshot;

/* How a snapshot differs from the one before. */
typedef struct ht_change {
    uint64_t seq, slot_limit;
    ht_id_kind id_kind;
    const ht_shape *shape;     /* NULL: the base's */
    ht_extent *const *extents; /* all of them from now on, by rising first_slot; references are taken */
    size_t extent_count;
    const uint64_t *dead; /* slots that died, in any order; naming one twice, or a dead one, is fine */
    size_t dead_count;
} ht_change;

/* Where a collection's current snapshot stands. */
typedef struct ht_home {
    _Atomic(ht_snapshot *) current;
} ht_home;

/* Snapshots that were replaced and may still be read. */
typedef struct ht_graveyard {
    ht_snapshot *first;
} ht_graveyard;

/* base NULL: of an empty collection. */
HT_NODISCARD hither_status ht_snapshot_make(const ht_snapshot *base, const ht_change *change, ht_snapshot **out,
                                            hither_error *err);
/* What is to be found by it from then on, in the place of what the base had; NULL: nothing. Of one never published. */
void ht_snapshot_set_near(ht_snapshot *snapshot, ht_near *near);
/* The same of what is made of its rows; takes `made` over. */
void ht_snapshot_set_made(ht_snapshot *snapshot, ht_made *made);
void ht_snapshot_free(ht_snapshot *snapshot); /* one never published, or with nobody left who could read it */

/* Puts `fresh` in force. The home's first snapshot needs no graveyard. */
void ht_snapshot_publish(ht_home *home, ht_snapshot *fresh, ht_graveyard *graveyard, ht_scratch_pool *pool);
void ht_graveyard_sweep(ht_graveyard *graveyard, ht_scratch_pool *pool);
/* The lowest seq among the replaced snapshots of a home, UINT64_MAX if none is left. The writer lock is held. */
uint64_t ht_graveyard_oldest(const ht_graveyard *graveyard, const ht_home *home);
void ht_graveyard_clear(ht_graveyard *graveyard); /* frees all, whoever stands on them: the database is going */

/* The current snapshot, safe until ht_scratch_give or the next pin with this scratch. */
ht_snapshot *ht_snapshot_pin(ht_home *home, ht_scratch *scratch);
/* Turns a pinned snapshot into a counted one, which outlives the scratch. */
void ht_snapshot_hold(ht_snapshot *pinned);
void ht_snapshot_unhold(ht_snapshot *held); /* freed by the next sweep */

bool ht_snapshot_alive(const ht_snapshot *s, uint64_t slot);
/* The first live slot at or after `slot`, or slot_limit. */
uint64_t ht_snapshot_next(const ht_snapshot *s, uint64_t slot);
ht_mask ht_snapshot_mask(const ht_snapshot *s);
/* The row of a slot below slot_limit, checked: its own vector, and behind it, where the shape says, its fields. */
HT_NODISCARD hither_status ht_snapshot_row(const ht_snapshot *s, uint64_t slot, const float **out, hither_error *err);

#endif
