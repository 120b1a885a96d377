/*
 * near.h: what a collection keeps beside its rows to find near ones without looking at all of them (index/approx.h): a
 * graph over the slots below a limit, with what recall was measured to cost. A cache: made from rows alone, of one
 * version of them, and immutable. Snapshots share it; rows that came later are scanned beside it, rows that died are
 * masked.
 *
 * That a collection is to have one, of which kind, is a wish: a line in the catalog (ht_store_set_index). The wish is
 * granted by ht_near_build, at once for who asks, and by the upkeep thread of a database that is open for writing when
 * rows come or go, or when there was no cache to open. Until then, and wherever it would not pay, search is exact.
 *
 * Any thread, unless a function says otherwise.
 */
#ifndef HT_ENGINE_NEAR_H
#define HT_ENGINE_NEAR_H

#include "engine/compact.h"
#include "engine/state.h"
#include "index/approx.h"

struct ht_near {
    _Atomic uint32_t references;
    ht_approx *approx;
    ht_near *owner; /* of approx, counted; NULL: this one */
    ht_approx_curve curve;
    ht_container *file; /* NULL, or what it is mapped from */
    uint64_t limit;     /* slots from it on are not in it */
    uint64_t rows;      /* that it covers */
    bool picked;        /* by us, not by who asked for an index: answers are exact unless less is asked for */
    uint64_t gone;      /* rows that were taken out of it since it was made whole */
};

ht_near *ht_near_acquire(ht_near *near);
void ht_near_release(ht_near *near);

/* ---- wishes: near_build.c */

/* What to make is written in the catalog, and made, of the rows there are. HITHER_EXACT: neither any more. UNSUPPORTED,
 * INVALID, READONLY, INTERRUPTED (the wish stays), or what reading rows and writing gives. */
HT_NODISCARD hither_status ht_collection_index(ht_collection *c, const ht_approx_spec *spec, ht_progress *progress,
                                               hither_error *err);
/* Reads the wish, and takes the cache if there is one, into a snapshot nobody sees yet. What cannot be read is no
 * error: then there is none. */
void ht_near_load(ht_collection *c, ht_snapshot *first);
/* Whether what there is lags so far behind the rows of a collection with a wish that building pays. */
bool ht_near_due(const ht_collection *c, const ht_snapshot *s);
/* Brings it up to the rows there are, and keeps it on disk. One at a time for a collection. */
HT_NODISCARD hither_status ht_near_build(ht_collection *c, ht_progress *progress, hither_error *err);

/* Measures anew what recall costs, with queries that were asked. */
HT_NODISCARD hither_status ht_near_measure(ht_collection *c, hither_error *err);

/* ---- searching: near_search.c */

/* Keeps a query that a walk answers for measuring, now and then. Never waits. */
void ht_near_note(ht_collection *c, const float *query, uint32_t dim);

typedef struct ht_near_stats {
    ht_approx_stats walk;
    size_t effort;
    uint64_t exact; /* queries that were searched exactly after all */
} ht_near_stats;

/* How much effort a search by it would take; 0 where exact search costs less, or nothing was measured that finds so
 * much. `rows` qualify, of those alive. */
size_t ht_near_effort(const ht_snapshot *s, const ht_search *search, size_t k, uint64_t rows, bool restricted);

/* The k nearest of the rows that are alive and in `allow` (NULL: all) to each query: min(k, rows) of them each, by
 * (D, slot), most of the nearest among them. hits: k for each query. */
HT_NODISCARD hither_status ht_near_search(const ht_snapshot *s, ht_scratch_pool *pool, ht_scratch *scratch,
                                          hither_metric metric, const hither_matrix *queries, const ht_mask *allow,
                                          uint64_t rows, size_t k, size_t effort, unsigned threads, ht_hit *hits,
                                          size_t *counts, ht_near_stats *stats, ht_exact_stats *exact,
                                          hither_error *err);

/* ---- the thread: upkeep.c */

ht_upkeep *ht_upkeep_new(void); /* asleep, without a thread; NULL without memory */
void ht_upkeep_free(ht_db *db, bool ours);
/* Something may be due. Starts the thread on first need; without memory or threads nothing happens. */
void ht_upkeep_wake(ht_db *db);
/* Ends it, and what it is building. By the last one to use the database. */
void ht_upkeep_stop(ht_db *db);

#endif
