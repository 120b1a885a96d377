/*
 * commit.c: the write path, all of it, in order:
 *
 *   check the batch -> writer lock -> BEGIN -> find what is replaced -> give out slots -> new segments if needed ->
 *   write rows and sums -> sync -> rows, kills, segment lengths, collection row -> COMMIT -> publish -> return
 *
 * SQLite's COMMIT is the only commit point. Whatever fails before it is rolled back and leaves bytes past the committed
 * length of a segment, which do not exist and which the next write covers. Everything that could fail is done before
 * COMMIT, so that publishing cannot. A sync that failed has poisoned the store: nobody knows what reached the disk.
 *
 * Writers queue on the writer lock. A leader that takes the waiting batches would stand where `run` does: a
 * transaction takes any number of ht_write, one after another, and one sync and one COMMIT serve them all.
 */
#include <stdio.h>
#include <string.h>

#include "base/pool.h"
#include "engine/batch.h"
#include "kernels/kernels.h"

#define STAGING_BYTES ((size_t)1 << 20)
#define CODED_AT_ONCE ((size_t)8 * HT_BLOCK_ROWS)

/* One transaction on one collection. */
typedef struct txn {
    ht_collection *c;
    const ht_snapshot *now; /* in force until we publish */
    ht_collection_row row;  /* as it will be */
    ht_extent **extents;    /* all segments, one reference each; the last ones may be new */
    size_t extent_count;
    size_t first_dirty; /* the first extent written to */
    uint64_t *dead;     /* slots that die */
    size_t dead_count;
    char *staging; /* rows on their way to the disk */
    ht_row_sums *sums;
    size_t staging_rows;
} txn;

/* ---- begin and end */

static void txn_clear(txn *t) {
    for (size_t i = 0; i < t->extent_count; i++)
        ht_extent_release(t->extents[i]);
    ht_release(t->extents);
    ht_release(t->dead);
    ht_release(t->staging);
    ht_release(t->sums);
}

static hither_status txn_start(txn *t, ht_collection *c, hither_error *err) {
    *t = (txn){.c = c, .now = atomic_load_explicit(&c->home.current, memory_order_relaxed), .row = c->row};
    t->row.commit_seq++;
    t->extents = ht_calloc(t->now->extent_count, sizeof(ht_extent *));
    if (!t->extents)
        return ht_fail_nomem(err, t->now->extent_count * sizeof(ht_extent *), "the segments of a commit");
    for (size_t i = 0; i < t->now->extent_count; i++)
        t->extents[i] = ht_extent_acquire(t->now->extents[i]);
    t->extent_count = t->first_dirty = t->now->extent_count;
    return HITHER_OK;
}

/* ---- rows to segments */

/* The extent for the next slot, a new one where the last is full, and how many rows it has room for. */
static hither_status extent_for(txn *t, uint64_t slot, ht_extent **out, size_t *room, hither_error *err) {
    ht_extent *last = t->extent_count ? t->extents[t->extent_count - 1] : NULL;
    if (!last || slot >= last->first_slot + last->capacity) {
        ht_extent **grown = ht_resize(t->extents, (t->extent_count + 1) * sizeof(ht_extent *));
        if (!grown)
            return ht_fail_nomem(err, (t->extent_count + 1) * sizeof(ht_extent *), "the segments of a commit");
        t->extents = grown;
        ht_segment *segment;
        HT_TRY(ht_segment_create(t->c->db->store, &t->row, slot, t->extent_count, &segment, err));
        hither_status status = ht_extent_new(segment, t->c->metric, &last, err);
        if (status != HITHER_OK) {
            ht_segment_release(segment);
            return status;
        }
        t->extents[t->extent_count++] = last;
    }
    if (t->first_dirty > t->extent_count - 1)
        t->first_dirty = t->extent_count - 1;
    *out = last;
    *room = (size_t)(last->first_slot + last->capacity - slot);
    return HITHER_OK;
}

static hither_status reserve_staging(txn *t, size_t stride, hither_error *err) {
    if (t->staging)
        return HITHER_OK;
    t->staging_rows = STAGING_BYTES / stride ? STAGING_BYTES / stride : 1;
    t->staging = ht_alloc_aligned(t->staging_rows * stride);
    t->sums = ht_calloc(t->staging_rows, sizeof *t->sums);
    if (!t->staging || !t->sums)
        return ht_fail_nomem(err, t->staging_rows * stride, "rows to write");
    return HITHER_OK;
}

/* Rows [first, first + count) of those in force, to one extent. */
static hither_status write_rows(txn *t, const ht_write *w, size_t first, size_t count, ht_extent *extent,
                                hither_error *err) {
    size_t bytes = (size_t)t->row.dim * sizeof(float);
    HT_TRY(reserve_staging(t, extent->stride, err));
    while (count) {
        size_t n = ht_min_size(count, t->staging_rows);
        size_t position = (size_t)(t->row.next_slot - extent->first_slot);
        for (size_t i = 0; i < n; i++) {
            size_t source = w->rows[first + i];
            char *row = t->staging + i * extent->stride;
            memcpy(row, ht_write_vector(w, source), bytes);
            memset(row + bytes, 0, extent->stride - bytes);
            t->sums[i] = ht_row_sums_make(t->row.next_slot + i, row, bytes, &w->batch->ids, source, w->metadata[source],
                                          w->documents[source]);
        }
        HT_TRY(ht_segment_write(extent->segment, position, n, t->staging, t->sums, err));
        ht_extent_stage(extent, position, t->staging, n);
        t->row.next_slot += n;
        first += n;
        count -= n;
    }
    return HITHER_OK;
}

/* ---- one batch within a transaction */

static hither_status kill_replaced(txn *t, const ht_write *w, hither_error *err) {
    uint64_t *grown = ht_resize(t->dead, (t->dead_count + w->row_count) * sizeof *grown);
    if (!grown)
        return ht_fail_nomem(err, w->row_count * sizeof *grown, "the rows to replace");
    t->dead = grown;
    for (size_t i = 0; i < w->row_count; i++) {
        uint64_t slot = w->replaces[w->rows[i]];
        if (slot == HT_NO_SLOT)
            continue;
        HT_TRY(ht_txn_kill(t->c->db->store, t->c->cid, slot, t->row.commit_seq, err));
        t->dead[t->dead_count++] = slot;
        t->row.live_count--;
    }
    return HITHER_OK;
}

static hither_status apply(txn *t, ht_write *w, hither_error *err) {
    HT_TRY(ht_write_resolve(w, t->now, err));
    t->row.id_kind = ht_ids_are_ints(&w->batch->ids) ? HT_ID_INT : HT_ID_TEXT;
    uint64_t slot = t->row.next_slot;
    for (size_t done = 0; done < w->row_count;) {
        ht_extent *extent = NULL;
        size_t room = 0;
        HT_TRY(extent_for(t, t->row.next_slot, &extent, &room, err));
        size_t n = ht_min_size(room, w->row_count - done);
        HT_TRY(write_rows(t, w, done, n, extent, err));
        done += n;
    }
    HT_TRY(kill_replaced(t, w, err));
    for (size_t i = 0; i < w->row_count; i++) {
        size_t source = w->rows[i];
        HT_TRY(ht_txn_insert(t->c->db->store, t->c->cid, slot + i, &w->batch->ids, source, w->metadata[source],
                             w->documents[source], err));
    }
    t->row.live_count += w->row_count;
    return HITHER_OK;
}

/* ---- sync, commit, publish */

static uint64_t committed_rows(const txn *t, const ht_extent *extent) {
    uint64_t rows = t->row.next_slot - extent->first_slot;
    return rows < extent->capacity ? rows : extent->capacity;
}

/* The rows of an extent that this transaction writes, as positions. */
static void new_rows(const txn *t, const ht_extent *extent, size_t *begin, size_t *end) {
    *begin = t->now->slot_limit > extent->first_slot ? (size_t)(t->now->slot_limit - extent->first_slot) : 0;
    *end = (size_t)committed_rows(t, extent);
}

/* What new rows need before they are committed: to be on the disk, and to be coded, which threads of the pool do while
 * the disk works. Item 0 is the sync; the others are CODED_AT_ONCE rows each. */
typedef struct readying {
    txn *t;
    hither_status status;
    hither_error *err;
} readying;

static size_t slices_of(const txn *t, const ht_extent *extent) {
    size_t begin, end;
    new_rows(t, extent, &begin, &end);
    size_t blocks = end / HT_BLOCK_ROWS - begin / HT_BLOCK_ROWS;
    return (blocks * HT_BLOCK_ROWS + CODED_AT_ONCE - 1) / CODED_AT_ONCE;
}

static void code_slice(const txn *t, size_t slice) {
    size_t i = t->first_dirty, begin, end;
    for (; slice >= slices_of(t, t->extents[i]); i++)
        slice -= slices_of(t, t->extents[i]);
    new_rows(t, t->extents[i], &begin, &end);
    begin = begin / HT_BLOCK_ROWS * HT_BLOCK_ROWS + slice * CODED_AT_ONCE;
    ht_fp_state fp = ht_fp_enter();
    ht_extent_code(t->extents[i], begin, ht_min_size(begin + CODED_AT_ONCE, end));
    ht_fp_leave(fp);
}

static void ready_item(void *ctx, size_t item) {
    readying *r = ctx;
    txn *t = r->t;
    if (item) {
        code_slice(t, item - 1);
        return;
    }
    for (size_t i = t->first_dirty; i < t->extent_count && r->status == HITHER_OK; i++)
        r->status = ht_segment_sync(t->extents[i]->segment, r->err);
}

static hither_status sync_segments(txn *t, hither_error *err) {
    readying r = {t, HITHER_OK, err};
    size_t items = 1;
    for (size_t i = t->first_dirty; i < t->extent_count; i++)
        items += slices_of(t, t->extents[i]);
    ht_parallel(0, items, ready_item, &r);
    return r.status;
}

static hither_status record(txn *t, hither_error *err) {
    ht_store *store = t->c->db->store;
    for (size_t i = t->first_dirty; i < t->extent_count; i++)
        HT_TRY(ht_txn_segment(store, t->extents[i]->segment, committed_rows(t, t->extents[i]), err));
    return ht_txn_collection(store, &t->row, err);
}

static void publish(txn *t, ht_snapshot *fresh) {
    ht_db *db = t->c->db;
    for (size_t i = t->first_dirty; i < t->extent_count; i++) {
        ht_extent *extent = t->extents[i];
        size_t begin, end;
        new_rows(t, extent, &begin, &end);
        ht_segment_commit(extent->segment, end);
        ht_extent_trust(extent, begin, end);
    }
    t->c->row = t->row;
    ht_snapshot_publish(&t->c->home, fresh, &db->graveyard, &db->scratches);
}

static hither_status finish(txn *t, hither_error *err) {
    ht_change change = {.seq = t->row.commit_seq,
                        .slot_limit = t->row.next_slot,
                        .id_kind = t->row.id_kind,
                        .extents = t->extents,
                        .extent_count = t->extent_count,
                        .dead = t->dead,
                        .dead_count = t->dead_count};
    ht_snapshot *fresh;
    HT_TRY(ht_snapshot_make(t->now, &change, &fresh, err));
    HT_ASSERT(fresh->live_count == t->row.live_count);
    hither_status status = sync_segments(t, err);
    if (status == HITHER_OK)
        status = record(t, err);
    if (status == HITHER_OK)
        status = ht_txn_commit(t->c->db->store, err);
    if (status == HITHER_OK)
        publish(t, fresh);
    else
        ht_snapshot_free(fresh);
    return status;
}

/* ---- put */

static hither_status run(ht_write *w, hither_error *err) {
    txn t;
    HT_TRY(ht_txn_begin(w->collection->db->store, err));
    hither_status status = txn_start(&t, w->collection, err);
    if (status == HITHER_OK)
        status = apply(&t, w, err);
    if (status == HITHER_OK)
        status = finish(&t, err);
    if (status != HITHER_OK)
        ht_txn_rollback(w->collection->db->store);
    txn_clear(&t);
    return status;
}

hither_status ht_collection_put(ht_collection *c, hither_mode mode, const hither_batch *batch,
                                const uint8_t *has_vector, size_t *written, hither_error *err) {
    HT_TRY(ht_fork_check(c->db->generation, err));
    ht_write w;
    HT_TRY(ht_write_prepare(&w, c, mode, batch, has_vector, err));
    hither_status status = ht_collection_enter_write(c, err);
    if (status == HITHER_OK) {
        if (w.row_count)
            status = run(&w, err);
        pthread_mutex_unlock(&c->db->writer);
    }
    if (status == HITHER_OK && written)
        *written = w.row_count;
    ht_write_clear(&w);
    return status;
}

/* ---- delete */

static hither_status kill_ids(txn *t, const hither_ids *ids, hither_error *err) {
    ht_store *store = t->c->db->store;
    HT_TRY(ht_id_kind_check(t->now->id_kind, ids, err));
    t->dead = ht_calloc(ids->count, sizeof *t->dead);
    if (!t->dead)
        return ht_fail_nomem(err, ids->count * sizeof *t->dead, "the rows to delete");
    for (size_t i = 0; i < ids->count; i++) {
        uint64_t slot;
        HT_TRY(ht_txn_find(store, t->c->cid, ids, i, &slot, err));
        if (slot == HT_NO_SLOT)
            continue;
        HT_TRY(ht_txn_kill(store, t->c->cid, slot, t->row.commit_seq, err));
        t->dead[t->dead_count++] = slot;
        t->row.live_count--;
    }
    return HITHER_OK;
}

static hither_status run_delete(ht_collection *c, const hither_ids *ids, size_t *deleted, hither_error *err) {
    txn t;
    HT_TRY(ht_txn_begin(c->db->store, err));
    hither_status status = txn_start(&t, c, err);
    if (status == HITHER_OK)
        status = kill_ids(&t, ids, err);
    bool changed = status == HITHER_OK && t.dead_count;
    if (changed)
        status = finish(&t, err);
    if (status != HITHER_OK || !changed)
        ht_txn_rollback(c->db->store);
    if (status == HITHER_OK)
        *deleted = t.dead_count;
    txn_clear(&t);
    return status;
}

hither_status ht_collection_delete(ht_collection *c, const hither_ids *ids, size_t *deleted, hither_error *err) {
    size_t count = 0;
    HT_TRY(ht_collection_enter_write(c, err));
    hither_status status = ids->count ? run_delete(c, ids, &count, err) : HITHER_OK;
    pthread_mutex_unlock(&c->db->writer);
    if (status == HITHER_OK && deleted)
        *deleted = count;
    return status;
}
