/*
 * lanes.h: rows of a batch on their way into segments: copied, summed, written, and coded from that copy while the
 * processor still has it at hand. A small batch goes by itself; a large one in pieces, by threads of the pool, while
 * its owner has the catalog to write.
 *
 * All of it is for the holder of the writer lock. Rows lie past what is committed, so that nobody reads them yet.
 */
#ifndef HT_ENGINE_LANES_H
#define HT_ENGINE_LANES_H

#include <stdatomic.h>

#include "base/pool.h"
#include "engine/batch.h"

/* Rows [first, first + count) of those in force in a batch, for `position` of an extent. */
typedef struct ht_piece {
    ht_extent *extent;
    size_t position, first, count;
} ht_piece;

/* Writes a piece, whose first row has slot extent->first_slot + position, by way of `staging` and `sums`, which have
 * room for its rows, and stages their norms. Any thread, if the segment has space reserved for the piece. */
HT_NODISCARD hither_status ht_piece_write(const ht_piece *piece, const ht_write *write, char *staging,
                                          ht_row_sums *sums, hither_error *err);

typedef struct ht_lanes {
    const ht_write *write;
    ht_piece *pieces;
    size_t piece_count, piece_room;
    size_t piece_rows; /* of one, at most; a multiple of a block's */
    size_t lane_count, stride;
    char *staging; /* for each lane room for a piece */
    ht_row_sums *sums;
    atomic_size_t next; /* piece */
    ht_pool_job job;
    bool running;
    atomic_bool failed;
    pthread_mutex_t lock; /* guards what follows */
    size_t failed_piece;  /* the first of those that did */
    hither_status status;
    hither_error error;
} ht_lanes;

/* How many rows a piece of a batch of `rows` has, where pieces take at most `buffer_bytes`; 0: it is not for lanes. */
size_t ht_lanes_rows(size_t rows, size_t stride, uint64_t buffer_bytes);
HT_NODISCARD hither_status ht_lanes_new(const ht_write *write, size_t piece_rows, size_t stride, ht_lanes **out,
                                        hither_error *err);
/* Cuts rows for one extent into pieces, and has their space reserved. */
HT_NODISCARD hither_status ht_lanes_add(ht_lanes *lanes, const ht_piece *rows, hither_error *err);
/* Starts; from here on the batch, the extents and the lanes must stay. */
void ht_lanes_begin(ht_lanes *lanes);
/* Helps to the end. Every full block of the rows is coded then, together with one that they have made full. */
HT_NODISCARD hither_status ht_lanes_end(ht_lanes *lanes, hither_error *err);
/* Waits first, if it must. NULL is nothing. */
void ht_lanes_free(ht_lanes *lanes);

#endif
