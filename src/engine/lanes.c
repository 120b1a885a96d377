/*
 * lanes.c: see lanes.h. A lane is a thread with a buffer; it takes the next piece until there is none. All pieces but
 * the last end where a block of 64 rows ends, so that no block is in two lanes' hands. Of several failures the one of
 * the first piece is told, as if they had been written in turn; after one, no further piece is begun.
 */
#include "engine/lanes.h"

#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"

enum {
    MOST_LANES = 4,          /* each takes a buffer, and the disk is not faster for more */
    PIECES_A_LANE = 4,       /* so that lanes end together */
    LEAST_PIECE = 256 << 10, /* bytes: less is not worth a call of the system */
};

hither_status ht_piece_write(const ht_piece *piece, const ht_write *w, char *staging, ht_row_sums *sums,
                             hither_error *err) {
    ht_extent *extent = piece->extent;
    const size_t stride = extent->stride, bytes = (size_t)w->shape->width * sizeof(float);
    const uint64_t slot = extent->first_slot + piece->position;
    for (size_t i = 0; i < piece->count; i++) {
        size_t source = w->rows[piece->first + i];
        char *row = staging + i * stride;
        ht_write_row(w, source, (float *)(void *)row);
        memset(row + bytes, 0, stride - bytes);
        sums[i] =
            ht_row_sums_make(slot + i, row, bytes, &w->batch->ids, source, w->metadata[source], w->documents[source]);
    }
    HT_TRY(ht_segment_write(extent->segment, piece->position, piece->count, staging, sums, err));
    ht_extent_stage(extent, piece->position, staging, piece->count);
    return HITHER_OK;
}

/* ---- one lane */

static size_t block_floor(size_t row) { return row / HT_BLOCK_ROWS * HT_BLOCK_ROWS; }
static size_t block_ceil(size_t row) { return block_floor(row + HT_BLOCK_ROWS - 1); }

/* The blocks that lie in the piece, from the lane's copy; before them one that was begun earlier, from the segment. */
static void code_piece(const ht_piece *piece, const char *staging) {
    size_t begin = block_ceil(piece->position), end = block_floor(piece->position + piece->count);
    if (begin > piece->position && begin <= end)
        ht_extent_code(piece->extent, begin - HT_BLOCK_ROWS, begin);
    if (begin < end)
        ht_extent_code_copy(piece->extent, begin, end, staging + (begin - piece->position) * piece->extent->stride);
}

static void note_failure(ht_lanes *lanes, size_t piece, hither_status status, const hither_error *error) {
    pthread_mutex_lock(&lanes->lock);
    if (lanes->status == HITHER_OK || piece < lanes->failed_piece) {
        lanes->failed_piece = piece;
        lanes->status = status;
        lanes->error = *error;
    }
    pthread_mutex_unlock(&lanes->lock);
    atomic_store(&lanes->failed, true);
}

static void run_lane(void *ctx, size_t lane) {
    ht_lanes *lanes = ctx;
    char *staging = lanes->staging + lane * lanes->piece_rows * lanes->stride;
    ht_row_sums *sums = lanes->sums + lane * lanes->piece_rows;
    ht_fp_state fp = ht_fp_enter();
    while (!atomic_load(&lanes->failed)) {
        size_t at = atomic_fetch_add(&lanes->next, 1);
        if (at >= lanes->piece_count)
            break;
        hither_error error;
        hither_status status = ht_piece_write(&lanes->pieces[at], lanes->write, staging, sums, &error);
        if (status == HITHER_OK)
            code_piece(&lanes->pieces[at], staging);
        else
            note_failure(lanes, at, status, &error);
    }
    ht_fp_leave(fp);
}

/* ---- all of them */

static size_t lanes_here(void) { return ht_min_size(ht_pool_threads(), MOST_LANES); }

size_t ht_lanes_rows(size_t rows, size_t stride, uint64_t buffer_bytes) {
    size_t most = block_floor((size_t)buffer_bytes / stride), least = block_ceil(LEAST_PIECE / stride);
    if (lanes_here() < 2 || most == 0 || rows <= most)
        return 0;
    size_t even = block_ceil(rows / (PIECES_A_LANE * lanes_here()));
    return ht_min_size(most, even > least ? even : least);
}

void ht_lanes_free(ht_lanes *lanes) {
    if (!lanes)
        return;
    if (lanes->running)
        ht_pool_end(&lanes->job);
    (void)pthread_mutex_destroy(&lanes->lock);
    ht_release(lanes->sums);
    ht_release(lanes->staging);
    ht_release(lanes->pieces);
    ht_release(lanes);
}

hither_status ht_lanes_new(const ht_write *write, size_t piece_rows, size_t stride, ht_lanes **out, hither_error *err) {
    ht_lanes *lanes = ht_calloc(1, sizeof *lanes);
    if (!lanes)
        return ht_fail_nomem(err, sizeof *lanes, "rows to write");
    (void)pthread_mutex_init(&lanes->lock, NULL);
    lanes->write = write;
    lanes->piece_rows = piece_rows;
    lanes->stride = stride;
    lanes->lane_count = lanes_here();
    size_t rows = lanes->lane_count * piece_rows, bytes;
    lanes->staging = ht_mul_size(rows, stride, &bytes) ? ht_alloc_aligned(bytes) : NULL;
    lanes->sums = ht_calloc(rows, sizeof *lanes->sums);
    if (!lanes->staging || !lanes->sums) {
        ht_lanes_free(lanes);
        return ht_fail_nomem(err, rows * stride, "rows to write");
    }
    *out = lanes;
    return HITHER_OK;
}

hither_status ht_lanes_add(ht_lanes *lanes, const ht_piece *rows, hither_error *err) {
    size_t more = rows->count / lanes->piece_rows + 2;
    if (lanes->piece_count + more > lanes->piece_room) {
        size_t room = lanes->piece_count + more;
        ht_piece *grown = ht_resize(lanes->pieces, room * sizeof *grown);
        if (!grown)
            return ht_fail_nomem(err, room * sizeof *grown, "rows to write");
        lanes->pieces = grown;
        lanes->piece_room = room;
    }
    HT_TRY(ht_segment_reserve(rows->extent->segment, rows->position, rows->count, err));
    for (ht_piece left = *rows; left.count;) {
        ht_piece next = left;
        next.count = ht_min_size(left.count, lanes->piece_rows - left.position % HT_BLOCK_ROWS);
        lanes->pieces[lanes->piece_count++] = next;
        left.position += next.count;
        left.first += next.count;
        left.count -= next.count;
    }
    return HITHER_OK;
}

void ht_lanes_begin(ht_lanes *lanes) {
    ht_pool_begin(&lanes->job, run_lane, lanes);
    ht_pool_add(&lanes->job, lanes->lane_count);
    lanes->running = true;
}

hither_status ht_lanes_end(ht_lanes *lanes, hither_error *err) {
    ht_pool_end(&lanes->job);
    lanes->running = false;
    if (lanes->status != HITHER_OK && err)
        *err = lanes->error;
    return lanes->status;
}
