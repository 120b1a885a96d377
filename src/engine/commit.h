/*
 * commit.h: one collection's share of a transaction: the batches it takes one after another, and what has to happen to
 * the rows before and after COMMIT. group.c drives it, under the writer lock.
 *
 * A share changes nothing but itself, the segments past their committed rows, and the transaction of the store, until
 * ht_share_publish: freeing it after a rollback leaves the collection as it was.
 */
#ifndef HT_ENGINE_COMMIT_H
#define HT_ENGINE_COMMIT_H

#include "base/pool.h"
#include "engine/batch.h"

typedef struct ht_share {
    struct ht_share *next;
    ht_collection *c;
    const ht_snapshot *now; /* in force until we publish */
    ht_snapshot *fresh;     /* what will be in force, once it is ready */
    ht_collection_row row;  /* as it will be */
    ht_extent **extents;    /* all segments, one reference each; the last ones may be new */
    size_t extent_count;
    size_t first_dirty; /* the first extent written to */
    uint64_t *dead;     /* slots that die */
    size_t dead_count;
    char *staging; /* rows on their way to the disk */
    ht_row_sums *sums;
    size_t staging_rows;
    uint64_t coded;  /* slots below, in full blocks, are coded or in one of the slices */
    ht_pool_job job; /* codes the slices, while `coding` */
    struct ht_coding_slice *slices;
    size_t slice_count, slice_room;
    bool coding;
} ht_share;

HT_NODISCARD hither_status ht_share_new(ht_collection *c, ht_share **out, hither_error *err);
void ht_share_free(ht_share *share);

/* Writes a resolved batch: rows and sums to segments, rows and kills to the store's transaction. A failure leaves half
 * of it there: the transaction must be rolled back. */
ht_standing ht_share_standing(const ht_share *share);
HT_NODISCARD hither_status ht_share_put(ht_share *share, const ht_write *write, hither_error *err);
/* The same for deleting; *deleted counts the rows that were there. With a filter, only rows that match it, and all of
 * them where ids is NULL; nothing may have been put into the share or deleted before. */
HT_NODISCARD hither_status ht_share_delete(ht_share *share, const hither_ids *ids, const ht_filter *filter,
                                           size_t *deleted, hither_error *err);

/* Whether there is anything to commit. */
bool ht_share_changed(const ht_share *share);
/* Makes `fresh`, so that publishing cannot fail. */
HT_NODISCARD hither_status ht_share_ready(ht_share *share, hither_error *err);
/* Brings the rows of all shares in the list to the disk, and sees to it that they are coded: threads of the pool code
 * them from the moment they are written. */
HT_NODISCARD hither_status ht_share_sync(ht_share *first, hither_error *err);
/* Tells the store's transaction about segments and collection. */
HT_NODISCARD hither_status ht_share_record(const ht_share *share, hither_error *err);
/* After COMMIT. */
void ht_share_publish(ht_share *share);

#endif
