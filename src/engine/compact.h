/*
 * compact.h: giving back the space of rows that were deleted or replaced, while readers and writers go on.
 *
 * Any thread; one compaction at a time in a database. The writer lock is held in slices: to give out a number, to put
 * one segment in the place of another, for some two thousand rows or pages of the catalog.
 */
#ifndef HT_ENGINE_COMPACT_H
#define HT_ENGINE_COMPACT_H

#include "base/progress.h"
#include "engine/state.h"

/* What is to be dropped: rows worth the work, or every dead row and every byte that is no row's (purge). */
typedef enum ht_thoroughness { HT_COMPACT_WORTHWHILE, HT_COMPACT_ALL } ht_thoroughness;

/* Who takes segments away is alone in a database from one to the other: BUSY, READONLY, FORKED. */
HT_NODISCARD hither_status ht_space_begin(ht_db *db, hither_error *err);
void ht_space_end(ht_db *db);

/* The rows of one collection. BUSY (ALL only): a reader stands on an older version. */
HT_NODISCARD hither_status ht_compact_rows(ht_collection *c, ht_thoroughness how, ht_progress *progress,
                                           hither_error *err);
/* Free pages of the catalog. */
HT_NODISCARD hither_status ht_compact_catalog(ht_db *db, ht_progress *progress, hither_error *err);

#endif
