/*
 * state.h: what the files of engine/ share: the database and collection objects.
 *
 * Who may touch what:
 *   - immutable after it is made: store, memory, readonly, unsynced, settings, generation; of a collection db, cid,
 * metric;
 *   - under the writer lock: the graveyard, ht_collection.row, schema and uniques, publishing;
 *   - under `building`, taken before the writer lock and the table lock: the wish;
 *   - under the table lock: the list of collections;
 *   - any thread, by the rules of made.h and row_sets.h: what is made of rows, row sets;
 *   - atomic, any thread, changed under the writer lock: the shape, dim;
 *   - atomic, any thread: counts, home, dropped, seen_version, the scratch pool.
 * A read-only handle has no writer; there the writer lock serialises advancing to other processes' commits.
 */
#ifndef HT_ENGINE_STATE_H
#define HT_ENGINE_STATE_H

#include <pthread.h>

#include "base/alloc.h"
#include "base/values.h"
#include "engine/column.h"
#include "engine/engine.h"
#include "engine/fork.h"
#include "engine/group.h"
#include "engine/made.h"
#include "engine/row_sets.h"
#include "engine/snapshot.h"
#include "index/approx.h"
#include "store/store.h"

/* A slot that may have a value; see unique.h. */
typedef struct ht_unique {
    uint64_t hash, next_slot; /* the slot plus one; 0: no entry */
} ht_unique;
typedef struct ht_uniques {
    ht_unique *entries;
    size_t room, used;
    bool made;
} ht_uniques;

typedef struct ht_upkeep ht_upkeep;

/* Some of the last queries that a walk answered. Noting one never waits: who finds the lock taken goes on. */
typedef struct ht_asked {
    pthread_mutex_t lock;
    float *rows; /* HT_ASKED of them, or NULL */
    uint32_t count, next;
    _Atomic uint32_t seen;
    _Atomic bool due; /* to be measured with */
} ht_asked;
enum { HT_ASKED = 128 };

struct ht_db {
    _Atomic uint32_t references; /* of the handle, and of every open collection and cursor */
    uint64_t generation;
    ht_store *store;
    ht_io *memory;       /* the files of ":memory:", else NULL */
    ht_io *pack;         /* the files in a pack, else NULL */
    const ht_io *around; /* where the pack itself lies */
    bool readonly, unsynced;
    ht_db_settings settings; /* complete */
    ht_scratch_pool scratches;
    pthread_mutex_t writer;
    ht_upkeep *upkeep;       /* NULL for a read-only handle */
    _Atomic bool compacting; /* one at a time */
    ht_queue queue;          /* of batches for the holder of the writer lock to commit */
    ht_graveyard graveyard;
    pthread_mutex_t table;
    ht_collection *collections; /* each counted once here, so that what is known of one outlives its handles */
};

struct ht_collection {
    _Atomic uint32_t references;
    ht_db *db; /* not counted by the table's reference, counted by each handle's */
    ht_collection *next;
    int64_t cid;
    _Atomic uint32_t dim; /* as of the newest shape */
    hither_metric metric;
    _Atomic(ht_shape *) shape; /* the newest, and behind it those before */
    ht_home home;
    uint64_t opened_seq;      /* of the first snapshot: nobody in this process reads an older one */
    ht_row_sets row_sets;     /* of the last filters */
    pthread_mutex_t building; /* what near.h describes, one at a time */
    ht_approx_spec wish;      /* under `building` */
    _Atomic size_t least;     /* rows from which it is granted; SIZE_MAX where there is none */
    ht_asked asked;           /* for measuring what recall costs */
    ht_id_kind queued_kind;   /* of the ids in batches to be committed later; under the queue's lock */
    struct ht_schema *schema; /* NULL: none; unknown to a read-only handle */
    ht_uniques uniques;
    _Atomic bool strict; /* there is a schema, or there will be: no upsert is left to be committed later */
    _Atomic bool dropped;
    _Atomic int64_t ttl;           /* as the catalog has it */
    _Atomic uint64_t floor;        /* of a read-only handle: the highest ht_reader_floor met */
    _Atomic uint64_t seen_version; /* of a read-only handle: the store's data version this snapshot is at least as new
                                      as */
    ht_collection_row row;         /* as the last commit left it; its name may be out of date */
};

ht_db *ht_db_acquire(ht_db *db);

/* Opens what is at `path` if it is a file: *pack is then its files, else NULL. NOT_DATABASE, FORMAT, CORRUPT. */
HT_NODISCARD hither_status ht_db_look(const ht_io *io, const char *path, ht_io **pack, hither_error *err);

/* Writes the codes of every collection to disk where there are `least` bytes of vectors more of them than are there.
 * Nobody else uses the database meanwhile. */
void ht_db_keep_codes(ht_db *db, size_t least);

/* For every entry point: FORKED, NOT_FOUND if the collection was dropped; a read-only handle catches up. */
HT_NODISCARD hither_status ht_collection_enter(ht_collection *c, hither_error *err);
/* For every entry point that writes: FORKED, READONLY, NOT_FOUND if the collection was dropped. */
HT_NODISCARD hither_status ht_collection_check_write(ht_collection *c, hither_error *err);
/* Takes a collection that was dropped out of the table. The writer lock is held. */
void ht_collection_forget(ht_db *db, int64_t cid);
void ht_collection_unref(ht_collection *c);
ht_collection *ht_collection_ref(ht_collection *c);

/* The newest shape of its rows; a snapshot may have an older one. */
static inline const ht_shape *ht_collection_shape(const ht_collection *c) {
    return atomic_load_explicit(&c->shape, memory_order_acquire);
}
/* Makes the shape of `row` the newest, unless it is. The writer lock is held, or nobody else has the collection. */
HT_NODISCARD hither_status ht_collection_reshape(ht_collection *c, const ht_collection_row *row, hither_error *err);

/* Rows have `dim` dimensions from now on, and queries that were asked of the old ones are none to measure with. */
void ht_collection_forget_asked(ht_collection *c, uint32_t dim);

/* Reads what the catalog has committed and puts it in force as a snapshot; base NULL the first time. */
HT_NODISCARD hither_status ht_collection_load(ht_collection *c, hither_error *err);

/* A reader for the rows of a snapshot; STALE where compaction, by another process, has taken some of them. */
HT_NODISCARD hither_status ht_collection_reader(ht_collection *c, const ht_snapshot *s, ht_reader **out,
                                                hither_error *err);
/* How often a read is begun anew when compaction overtakes it. */
#define HT_STALE_ATTEMPTS 100

/* All of them as the catalog stands now, by name; *out is the caller's to release, NULL where there is none. */
HT_NODISCARD hither_status ht_db_collections(ht_db *db, ht_collection_row **out, size_t *count, hither_error *err);
/* One record of hither_db_list. */
HT_NODISCARD hither_status ht_collection_describe(ht_db *db, const ht_collection_row *row, hither_result *out,
                                                  hither_error *err);

/* INVALID if the ids are of another kind than the collection's. */
HT_NODISCARD hither_status ht_id_kind_check(ht_id_kind kind, const hither_ids *ids, hither_error *err);
/* The i-th id as a message shows it: 42 or "abc", cut at 64 bytes. */
#define HT_ID_SHOWN 80
const char *ht_id_show(const hither_ids *ids, size_t i, char out[HT_ID_SHOWN]);

#endif
