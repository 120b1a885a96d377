/*
 * compact.h: giving space back. A sparse copy of a segment, without the rows that were dropped, takes its place in one
 * transaction; then the rows of dropped slots leave the catalog, and the catalog its free pages.
 *
 * What must stay true: rows keep their slots; a slot is dropped only if its row is dead to every snapshot that may
 * still look; a slot whose row is gone from the catalog is in no segment, or marked in a sparse one. Files of old
 * segments are removed only when the transaction that forgot them is durable; who has them mapped goes on reading.
 * engine/compact.c says who holds which lock.
 */
#ifndef HT_STORE_COMPACT_H
#define HT_STORE_COMPACT_H

#include "store/store.h"

/* Whether holes save nothing here: then only segments that have no row left are worth the work. */
bool ht_store_holes_cost(const ht_store *store);
/* A new, empty, sparse segment for the slots of `from`; the catalog does not know it. The writer lock is held. */
HT_NODISCARD hither_status ht_segment_twin(ht_segment *from, ht_segment **out, hither_error *err);
/* Copies rows [begin, end), positions, with their checksums, to the twin, but marks those whose bit in `drop` is set
 * (bit p % 64 of word p / 64 for position p). A row that fails its checksum is CORRUPT: damage is not copied. One
 * thread. */
HT_NODISCARD hither_status ht_segment_thin(const ht_segment *from, ht_segment *to, uint64_t begin, uint64_t end,
                                           const uint64_t *drop, hither_error *err);
/* A new, empty segment for the slots of `from`, with rows of `width` numbers. As ht_segment_twin. */
HT_NODISCARD hither_status ht_segment_recast(ht_segment *from, uint32_t width, ht_segment **out, hither_error *err);
/* Writes `count` rows (each `stride` bytes, the rest zeros) at position `begin` of one, with the sums of `from` for
 * what is not the vector. Row i has a vector where its bit in `has` is set; one that `from` has dropped is dropped. */
HT_NODISCARD hither_status ht_segment_recast_rows(const ht_segment *from, ht_segment *to, uint64_t begin, size_t count,
                                                  const void *rows, const uint64_t *has, hither_error *err);
/* Syncs the twin, in a store that is UNSYNCED too: what it takes the place of may be durable. */
HT_NODISCARD hither_status ht_segment_settle(ht_segment *to, hither_error *err);
/* Removes the file of a segment that the catalog does not know, or no longer; a file that will not go is left to the
 * next open. */
void ht_segment_discard(ht_segment *segment);

/* Within the writer's transaction: `from` goes; `to` (may be NULL) comes with `committed` rows. `seq` is the commit
 * that does so: readers of older versions will find that they are too late. */
HT_NODISCARD hither_status ht_txn_replace(ht_store *store, const ht_segment *from, const ht_segment *to,
                                          uint64_t committed, uint64_t seq, hither_error *err);
/* Within the writer's transaction: the collection's row, its dimension and embedder too. */
HT_NODISCARD hither_status ht_txn_reembed(ht_store *store, const ht_collection_row *row, hither_error *err);
/* Removes the row in a slot from the catalog, if it is there and dead. */
HT_NODISCARD hither_status ht_txn_forget(ht_store *store, int64_t cid, uint64_t slot, hither_error *err);

/* After the commit, before files go: makes it durable where commits are not (UNSYNCED). The writer lock is held. */
HT_NODISCARD hither_status ht_store_harden(ht_store *store, hither_error *err);
/* Free pages of the catalog, and whether it can give them back. */
HT_NODISCARD hither_status ht_store_free_pages(ht_store *store, uint64_t *pages, bool *can, hither_error *err);
/* Gives up to `pages` free pages of the catalog back, in a transaction of its own. The writer lock is held. */
HT_NODISCARD hither_status ht_store_shrink(ht_store *store, unsigned pages, hither_error *err);
/* Folds the log into the catalog and empties it, unless a reader is in the way. The writer lock is held. */
HT_NODISCARD hither_status ht_store_empty_log(ht_store *store, hither_error *err);

/* Leaves no byte in the catalog, its log, tmp/, cache/ and seg/ that no row in force has brought: the catalog is
 * written anew, with a log of its size, which is then emptied. BUSY where a reader is in the way of that; all but the
 * log is done then. The writer lock is held. */
HT_NODISCARD hither_status ht_store_scrub(ht_store *store, hither_error *err);

#endif
