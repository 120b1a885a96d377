/*
 * commit.c: what a batch becomes on its way to being committed: rows and sums in segments, rows and kills in the
 * store's transaction, codes, a sync, a snapshot. The order stands in group.c.
 *
 * Whatever fails before COMMIT is rolled back and leaves bytes past the committed length of a segment, which do not
 * exist and which the next write covers. A sync that failed has poisoned the store: nobody knows what reached the disk.
 */
#include "engine/commit.h"

#include <inttypes.h>
#include <string.h>

#include "engine/lanes.h"
#include "engine/near.h"
#include "engine/plan.h"
#include "kernels/kernels.h"

#define CODED_AT_ONCE   ((size_t)4 * HT_BLOCK_ROWS)
#define LARGEST_ORDINAL 10u /* of a segment: 1,024 MiB */

/* ---- coding, by threads of the pool while this one writes rows and catalog and waits for the disk */

/* A run of whole blocks whose rows are written. */
struct ht_coding_slice {
    ht_extent *extent;
    size_t begin, end;
};

static uint64_t committed_rows(const ht_share *t, const ht_extent *extent) {
    uint64_t rows = t->row.next_slot - extent->first_slot;
    return rows < extent->capacity ? rows : extent->capacity;
}

static void code_slice(void *ctx, size_t item) {
    const ht_share *t = ctx;
    const struct ht_coding_slice *slice = &t->slices[item];
    ht_fp_state fp = ht_fp_enter();
    ht_extent_code(slice->extent, slice->begin, slice->end);
    ht_fp_leave(fp);
}

/* Waits, for the array of slices is written anew after this. */
static void coding_end(ht_share *t) {
    if (t->coding)
        ht_pool_end(&t->job);
    t->coding = false;
    t->slice_count = 0;
}

/* Room for a slice for every block that `rows` more rows can fill. */
static hither_status coding_reserve(ht_share *t, size_t rows, hither_error *err) {
    size_t room = (size_t)(t->row.next_slot - t->coded + rows) / HT_BLOCK_ROWS + 2;
    coding_end(t);
    if (room <= t->slice_room)
        return HITHER_OK;
    struct ht_coding_slice *slices = ht_resize(t->slices, room * sizeof *slices);
    if (!slices)
        return ht_fail_nomem(err, room * sizeof *slices, "the rows to code");
    t->slices = slices;
    t->slice_room = room;
    return HITHER_OK;
}

static void add_slice(ht_share *t, ht_extent *extent, size_t begin, size_t end) {
    HT_ASSERT(t->slice_count < t->slice_room);
    t->slices[t->slice_count++] = (struct ht_coding_slice){extent, begin, end};
    t->coded = extent->first_slot + end;
    if (!t->coding)
        ht_pool_begin(&t->job, code_slice, t);
    t->coding = true;
    ht_pool_add(&t->job, 1);
}

/* Hands out the blocks that are full by now: CODED_AT_ONCE rows at a time, and with `all` what is left as well. */
static void coding_add(ht_share *t, bool all) {
    for (size_t i = t->first_dirty; i < t->extent_count; i++) {
        ht_extent *extent = t->extents[i];
        size_t from = t->coded > extent->first_slot ? (size_t)(t->coded - extent->first_slot) : 0;
        size_t end = (size_t)committed_rows(t, extent) / HT_BLOCK_ROWS * HT_BLOCK_ROWS;
        for (from = from / HT_BLOCK_ROWS * HT_BLOCK_ROWS; from < end;) {
            size_t n = ht_min_size(CODED_AT_ONCE, end - from);
            if (n < CODED_AT_ONCE && !all && end < extent->capacity)
                return;
            add_slice(t, extent, from, from + n);
            from += n;
        }
    }
}

/* ---- begin and end */

void ht_share_free(ht_share *t) {
    if (!t)
        return;
    coding_end(t);
    ht_release(t->slices);
    ht_snapshot_free(t->fresh);
    for (size_t i = 0; i < t->extent_count; i++)
        ht_extent_release(t->extents[i]);
    ht_release(t->extents);
    ht_release(t->dead);
    ht_release(t->staging);
    ht_release(t->sums);
    ht_release(t);
}

hither_status ht_share_new(ht_collection *c, ht_share **out, hither_error *err) {
    const ht_snapshot *now = atomic_load_explicit(&c->home.current, memory_order_relaxed);
    ht_share *t = ht_calloc(1, sizeof *t);
    ht_extent **extents = ht_calloc(now->extent_count, sizeof(ht_extent *));
    if (!t || !extents) {
        ht_release(extents);
        ht_release(t);
        return ht_fail_nomem(err, now->extent_count * sizeof(ht_extent *), "the segments of a commit");
    }
    *t = (ht_share){.c = c, .now = now, .row = c->row, .extents = extents, .coded = now->slot_limit};
    t->row.commit_seq++;
    for (size_t i = 0; i < now->extent_count; i++)
        t->extents[i] = ht_extent_acquire(now->extents[i]);
    t->extent_count = t->first_dirty = now->extent_count;
    *out = t;
    return HITHER_OK;
}

ht_standing ht_share_standing(const ht_share *t) {
    return (ht_standing){
        .row = &t->row, .extents = t->extents, .extent_count = t->extent_count, .committed = t->now->slot_limit};
}

bool ht_share_changed(const ht_share *t) { return t->dead_count || t->row.next_slot != t->now->slot_limit; }

/* ---- rows to segments */

/* Segments double in size; one for a large batch starts at the size that holds it, for each that is made costs syncs.
 */
static size_t ordinal_for(const ht_share *t, size_t rows) {
    size_t ordinal = t->extent_count;
    uint64_t bytes = (uint64_t)rows * t->row.width * sizeof(float);
    while (ordinal < LARGEST_ORDINAL && (uint64_t)1 << (20 + ordinal) < bytes)
        ordinal++;
    return ordinal;
}

/* The extent for the next slot, a new one for `rows` rows where the last is full, and how many rows it has room for. */
static hither_status extent_for(ht_share *t, uint64_t slot, size_t rows, ht_extent **out, size_t *room,
                                hither_error *err) {
    ht_extent *last = t->extent_count ? t->extents[t->extent_count - 1] : NULL;
    if (!last || slot >= last->first_slot + last->capacity) {
        ht_extent **grown = ht_resize(t->extents, (t->extent_count + 1) * sizeof(ht_extent *));
        if (!grown)
            return ht_fail_nomem(err, (t->extent_count + 1) * sizeof(ht_extent *), "the segments of a commit");
        t->extents = grown;
        ht_segment *segment;
        HT_TRY(ht_segment_create(t->c->db->store, &t->row, slot, ordinal_for(t, rows), &segment, err));
        hither_status status = ht_extent_new(segment, ht_collection_shape(t->c), &last, err);
        if (status != HITHER_OK) {
            ht_segment_release(segment);
            return status;
        }
        atomic_store_explicit(&last->warm, true, memory_order_relaxed); /* coded as it is written */
        t->extents[t->extent_count++] = last;
    }
    if (t->first_dirty > t->extent_count - 1)
        t->first_dirty = t->extent_count - 1;
    *out = last;
    *room = (size_t)(last->first_slot + last->capacity - slot);
    return HITHER_OK;
}

static hither_status reserve_staging(ht_share *t, size_t stride, size_t rows, hither_error *err) {
    size_t buffer = (size_t)t->c->db->settings.buffer_bytes;
    size_t most = buffer / stride ? buffer / stride : 1;
    rows = ht_min_size(rows, most);
    if (t->staging_rows >= rows)
        return HITHER_OK;
    ht_release(t->staging);
    ht_release(t->sums);
    t->staging_rows = 0;
    t->staging = ht_alloc_aligned(rows * stride);
    t->sums = ht_calloc(rows, sizeof *t->sums);
    if (!t->staging || !t->sums)
        return ht_fail_nomem(err, rows * stride, "rows to write");
    t->staging_rows = rows;
    return HITHER_OK;
}

/* Rows for one extent: what has slot t->row.next_slot goes to rows->position. */
static hither_status write_rows(ht_share *t, const ht_write *w, const ht_piece *rows, hither_error *err) {
    HT_TRY(reserve_staging(t, rows->extent->stride, rows->count, err));
    for (ht_piece left = *rows; left.count;) {
        ht_piece next = left;
        next.count = ht_min_size(left.count, t->staging_rows);
        HT_TRY(ht_piece_write(&next, w, t->staging, t->sums, err));
        t->row.next_slot += next.count;
        coding_add(t, false);
        left.position += next.count;
        left.first += next.count;
        left.count -= next.count;
    }
    return HITHER_OK;
}

/* All rows of the batch; with lanes they are told where, and write them later. */
static hither_status place_rows(ht_share *t, const ht_write *w, ht_lanes *lanes, hither_error *err) {
    for (ht_piece rows = {.first = 0}; rows.first < w->row_count; rows.first += rows.count) {
        size_t room = 0;
        HT_TRY(extent_for(t, t->row.next_slot, w->row_count - rows.first, &rows.extent, &room, err));
        rows.position = (size_t)(t->row.next_slot - rows.extent->first_slot);
        rows.count = ht_min_size(room, w->row_count - rows.first);
        HT_TRY(lanes ? ht_lanes_add(lanes, &rows, err) : write_rows(t, w, &rows, err));
        if (lanes)
            t->row.next_slot += rows.count;
    }
    return HITHER_OK;
}

/* The lanes code what they write; what was written before is coded by then. */
static hither_status start_lanes(ht_share *t, const ht_write *w, size_t piece_rows, ht_lanes **out, hither_error *err) {
    size_t stride = ht_segment_stride(t->row.width);
    HT_TRY(ht_lanes_new(w, piece_rows, stride, out, err));
    coding_add(t, true);
    coding_end(t);
    HT_TRY(place_rows(t, w, *out, err));
    const ht_extent *last = t->extents[t->extent_count - 1];
    t->coded = last->first_slot + committed_rows(t, last) / HT_BLOCK_ROWS * HT_BLOCK_ROWS;
    ht_lanes_begin(*out);
    return HITHER_OK;
}

/* ---- one batch within a transaction */

static hither_status grow_dead(ht_share *t, size_t more, hither_error *err) {
    uint64_t *grown = ht_resize(t->dead, (t->dead_count + more) * sizeof *grown);
    if (!grown)
        return ht_fail_nomem(err, more * sizeof *grown, "the rows that go");
    t->dead = grown;
    return HITHER_OK;
}

static hither_status kill(ht_share *t, uint64_t slot, hither_error *err) {
    if (slot >= t->row.next_slot) /* a catalog that names a collection twice tells the store another limit */
        return ht_fail(err, HITHER_CORRUPT, "catalog: an id is in slot %" PRIu64 " of a collection of %" PRIu64, slot,
                       t->row.next_slot);
    HT_TRY(ht_txn_kill(t->c->db->store, t->c->cid, slot, t->row.commit_seq, err));
    t->dead[t->dead_count++] = slot;
    t->row.live_count--;
    return HITHER_OK;
}

/* What the catalog has to know of the rows, the first of which is in `slot`. */
static hither_status enter_rows(ht_share *t, const ht_write *w, uint64_t slot, hither_error *err) {
    HT_TRY(grow_dead(t, w->row_count, err));
    for (size_t i = 0; i < w->row_count; i++) {
        if (w->replaces[w->rows[i]] != HT_NO_SLOT)
            HT_TRY(kill(t, w->replaces[w->rows[i]], err));
    }
    for (size_t i = 0; i < w->row_count; i++) {
        size_t source = w->rows[i];
        HT_TRY(ht_txn_insert(t->c->db->store, t->c->cid, slot + i, &w->batch->ids, source, w->metadata[source],
                             w->documents[source], err));
    }
    t->row.live_count += w->row_count;
    return HITHER_OK;
}

hither_status ht_share_put(ht_share *t, const ht_write *w, hither_error *err) {
    ht_lanes *lanes = NULL;
    uint64_t slot = t->row.next_slot;
    size_t piece_rows = ht_lanes_rows(w->row_count, ht_segment_stride(t->row.width), t->c->db->settings.buffer_bytes);
    t->row.id_kind = ht_ids_are_ints(&w->batch->ids) ? HT_ID_INT : HT_ID_TEXT;
    HT_TRY(coding_reserve(t, w->row_count, err));
    hither_status status = piece_rows ? start_lanes(t, w, piece_rows, &lanes, err) : place_rows(t, w, NULL, err);
    if (status == HITHER_OK)
        status = enter_rows(t, w, slot, err);
    if (status == HITHER_OK && lanes)
        status = ht_lanes_end(lanes, err);
    ht_lanes_free(lanes);
    return status;
}

/* The rows with these ids, of those the filter selected if there is one. */
static hither_status kill_ids(ht_share *t, const hither_ids *ids, const ht_selection *selected, hither_error *err) {
    HT_TRY(grow_dead(t, ids->count, err));
    for (size_t i = 0; i < ids->count; i++) {
        uint64_t slot;
        HT_TRY(ht_txn_find(t->c->db->store, t->c->cid, ids, i, &slot, err));
        if (slot != HT_NO_SLOT && (!selected || ht_selection_next(selected, slot) == slot))
            HT_TRY(kill(t, slot, err));
    }
    return HITHER_OK;
}

static hither_status kill_selected(ht_share *t, const ht_selection *selected, hither_error *err) {
    HT_TRY(grow_dead(t, (size_t)selected->count, err));
    uint64_t slot = ht_selection_next(selected, 0);
    for (; slot < selected->limit; slot = ht_selection_next(selected, slot + 1))
        HT_TRY(kill(t, slot, err));
    return HITHER_OK;
}

/* The selection is of the snapshot in force, which the transaction has not changed yet. */
static hither_status kill_matches(ht_share *t, const hither_ids *ids, const ht_filter *filter, hither_error *err) {
    ht_reader *reader = NULL;
    ht_selection selected = {0};
    HT_ASSERT(!ht_share_changed(t));
    hither_status status = ht_select(t->c, t->now, filter, &reader, &selected, err);
    ht_reader_end(reader);
    if (status == HITHER_OK)
        status = ids ? kill_ids(t, ids, &selected, err) : kill_selected(t, &selected, err);
    ht_selection_clear(&selected);
    return status;
}

hither_status ht_share_delete(ht_share *t, const hither_ids *ids, const ht_filter *filter, size_t *deleted,
                              hither_error *err) {
    size_t before = t->dead_count;
    HT_TRY(filter ? kill_matches(t, ids, filter, err) : kill_ids(t, ids, NULL, err));
    *deleted = t->dead_count - before;
    return HITHER_OK;
}

/* ---- sync */

hither_status ht_share_sync(ht_share *first, hither_error *err) {
    hither_status status = HITHER_OK;
    for (ht_share *t = first; t; t = t->next)
        coding_add(t, true);
    for (const ht_share *t = first; t; t = t->next) {
        for (size_t i = t->first_dirty; i < t->extent_count && status == HITHER_OK; i++)
            status = ht_segment_sync(t->extents[i]->segment, err);
    }
    for (ht_share *t = first; t; t = t->next)
        coding_end(t);
    return status;
}

/* ---- commit and publish */

hither_status ht_share_ready(ht_share *t, hither_error *err) {
    ht_change change = {.seq = t->row.commit_seq,
                        .slot_limit = t->row.next_slot,
                        .id_kind = t->row.id_kind,
                        .extents = t->extents,
                        .extent_count = t->extent_count,
                        .dead = t->dead,
                        .dead_count = t->dead_count};
    HT_TRY(ht_snapshot_make(t->now, &change, &t->fresh, err));
    HT_ASSERT(t->fresh->live_count == t->row.live_count);
    return HITHER_OK;
}

hither_status ht_share_record(const ht_share *t, hither_error *err) {
    ht_store *store = t->c->db->store;
    for (size_t i = t->first_dirty; i < t->extent_count; i++)
        HT_TRY(ht_txn_segment(store, t->extents[i]->segment, committed_rows(t, t->extents[i]), err));
    return ht_txn_collection(store, &t->row, err);
}

void ht_share_publish(ht_share *t) {
    ht_db *db = t->c->db;
    for (size_t i = t->first_dirty; i < t->extent_count; i++) {
        ht_extent *extent = t->extents[i];
        uint64_t before = t->now->slot_limit;
        size_t begin = before > extent->first_slot ? (size_t)(before - extent->first_slot) : 0;
        size_t end = (size_t)committed_rows(t, extent);
        ht_segment_commit(extent->segment, end);
        ht_extent_trust(extent, begin, end);
    }
    t->c->row = t->row;
    bool due = ht_near_due(t->c, t->fresh);
    ht_snapshot_publish(&t->c->home, t->fresh, &db->graveyard, &db->scratches);
    t->fresh = NULL;
    if (due)
        ht_upkeep_wake(db);
}
