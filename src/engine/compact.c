/*
 * compact.c: see compact.h. A segment that has lost enough of its rows is copied without them, into a sparse file; one
 * transaction puts the copy in its place, and the old file goes. Rows keep their slots, so nothing else has to know.
 *
 * What may be dropped is decided once, at the beginning: rows that are dead to every snapshot anyone in this process
 * stands on. It stays true, for nobody comes to stand on an older one later. Rows that die meanwhile are left to the
 * next compaction; rows that are written meanwhile are copied when the segments change places, under the writer lock.
 * Readers in other processes cannot be asked: they learn from the catalog that they are too late (ht_reader_floor).
 *
 * A failure or a stop at any point leaves a sound database: a copy that is not in force is removed, and rows that the
 * catalog still has for slots already dropped are removed by the next compaction.
 */
#include "engine/compact.h"

#include <string.h>

#include "engine/cache.h"
#include "engine/expiry.h"
#include "kernels/kernels.h"
#include "store/compact.h"

#define BYTES_AT_ONCE ((uint64_t)4 << 20)
#define ROWS_A_SLICE  2048u
#define PAGES_A_SLICE 512u
#define WORTH         8u /* a segment is copied when an eighth of its rows can go */

typedef struct job {
    ht_collection *c;
    ht_thoroughness how;
    ht_progress *progress;
    ht_extent **extents; /* those there were at the beginning; one reference each */
    size_t extent_count;
    bool holes_cost;
    uint64_t limit;   /* slots there were then */
    uint64_t horizon; /* dead by this commit: dead to everyone */
    uint64_t *gone;   /* bit a slot: no row of it is needed, or there is none */
    uint64_t *dead;   /* bit a slot: of these, those the catalog has a row of */
    hither_error *err;
} job;

/* ---- bits */

static bool is_set(const uint64_t *bits, uint64_t i) { return bits[i / 64] >> (i % 64) & 1; }
static void set(uint64_t *bits, uint64_t i) { bits[i / 64] |= (uint64_t)1 << (i % 64); }

/* begin is a multiple of 64. */
static uint64_t count_bits(const uint64_t *bits, uint64_t begin, uint64_t end) {
    uint64_t count = 0, i = begin;
    for (; i + 64 <= end; i += 64)
        count += (uint64_t)__builtin_popcountll(bits[i / 64]);
    for (; i < end; i++)
        count += is_set(bits, i);
    return count;
}

/* ---- what may go */

static uint64_t committed_of(const job *j, const ht_extent *extent) {
    uint64_t rows = j->limit > extent->first_slot ? j->limit - extent->first_slot : 0;
    return rows < extent->capacity ? rows : extent->capacity;
}

/* Fixes what the job works on; the writer lock is held. */
static hither_status look(job *j) {
    ht_db *db = j->c->db;
    ht_graveyard_sweep(&db->graveyard, &db->scratches);
    const ht_snapshot *now = atomic_load_explicit(&j->c->home.current, memory_order_relaxed);
    uint64_t oldest = ht_graveyard_oldest(&db->graveyard, &j->c->home);
    if (j->how == HT_COMPACT_ALL && oldest < now->seq)
        return ht_fail(j->err, HITHER_BUSY,
                       "a cursor or a search still reads an older version of collection '%s'; close it and try again",
                       j->c->row.name);
    j->horizon = oldest < now->seq ? oldest : now->seq;
    j->limit = now->slot_limit;
    j->extents = ht_calloc(now->extent_count, sizeof(ht_extent *));
    if (!j->extents)
        return ht_fail_nomem(j->err, now->extent_count * sizeof(ht_extent *), "the segments of a collection");
    for (; j->extent_count < now->extent_count; j->extent_count++)
        j->extents[j->extent_count] = ht_extent_acquire(now->extents[j->extent_count]);
    return HITHER_OK;
}

static hither_status note_dead(void *arg, uint64_t slot, uint64_t dead_seq) {
    job *j = arg;
    if (slot < j->limit && dead_seq <= j->horizon) {
        set(j->gone, slot);
        set(j->dead, slot);
    }
    return HITHER_OK;
}

static hither_status find_gone(job *j) {
    ht_extent *last = j->extent_count ? j->extents[j->extent_count - 1] : NULL;
    size_t words = last ? (size_t)((last->first_slot + last->capacity) / 64) : 0;
    ht_reader *reader;
    uint64_t seq;
    j->gone = ht_calloc(words, sizeof *j->gone);
    j->dead = ht_calloc(words, sizeof *j->dead);
    if (!j->gone || !j->dead)
        return ht_fail_nomem(j->err, words * sizeof *j->gone, "the rows to compact");
    HT_TRY(ht_reader_begin(j->c->db->store, j->c->cid, &reader, &seq, j->err));
    hither_status status = ht_reader_dead(reader, 0, note_dead, j, j->err);
    ht_reader_end(reader);
    for (size_t i = 0; i < j->extent_count; i++) {
        const ht_extent *extent = j->extents[i];
        uint64_t committed = ht_segment_sparse(extent->segment) ? committed_of(j, extent) : 0;
        for (uint64_t p = 0; p < committed; p++)
            if (ht_segment_dropped(extent->segment, p))
                set(j->gone, extent->first_slot + p);
    }
    return status;
}

typedef enum verdict { KEEP, THIN, DROP } verdict;

static verdict judge(const job *j, size_t i) {
    const ht_extent *extent = j->extents[i];
    uint64_t first = extent->first_slot, committed = committed_of(j, extent);
    uint64_t gone = count_bits(j->gone, first, first + committed);
    uint64_t fresh = count_bits(j->dead, first, first + committed);
    if (ht_segment_sparse(extent->segment)) { /* rows whose place is marked already are only to be forgotten */
        for (uint64_t p = 0; p < committed; p++)
            fresh -= is_set(j->dead, first + p) && ht_segment_dropped(extent->segment, p);
    }
    if (gone == committed && committed == extent->capacity && i + 1 < j->extent_count)
        return DROP;
    /* Behind the last committed row there may be what a batch that came to nothing has left. */
    if (j->how == HT_COMPACT_ALL)
        return fresh || committed < extent->capacity ? THIN : KEEP;
    return fresh && !j->holes_cost && fresh * WORTH >= committed - gone + fresh ? THIN : KEEP;
}

/* ---- one segment in the place of another */

/* The snapshot in force with `to` (NULL: nothing) in the place of `from`. */
static hither_status with_replaced(const job *j, const ht_snapshot *now, const ht_extent *from, ht_extent *to,
                                   ht_snapshot **out) {
    size_t count = 0;
    ht_extent **extents = ht_calloc(now->extent_count, sizeof(ht_extent *));
    if (!extents)
        return ht_fail_nomem(j->err, now->extent_count * sizeof(ht_extent *), "the segments of a collection");
    for (size_t i = 0; i < now->extent_count; i++) {
        ht_extent *extent = now->extents[i] == from ? to : now->extents[i];
        if (extent)
            extents[count++] = extent;
    }
    ht_change change = {.seq = now->seq + 1,
                        .slot_limit = now->slot_limit,
                        .id_kind = now->id_kind,
                        .extents = extents,
                        .extent_count = count};
    hither_status status = ht_snapshot_make(now, &change, out, j->err);
    ht_release(extents);
    return status;
}

static hither_status commit(const job *j, const ht_extent *from, const ht_extent *to, uint64_t committed,
                            const ht_collection_row *row) {
    ht_store *store = j->c->db->store;
    HT_TRY(ht_txn_begin(store, j->err));
    hither_status status =
        ht_txn_replace(store, from->segment, to ? to->segment : NULL, committed, row->commit_seq, j->err);
    if (status == HITHER_OK)
        status = ht_txn_collection(store, row, j->err);
    if (status == HITHER_OK)
        return ht_txn_commit(store, j->err);
    ht_txn_rollback(store);
    return status;
}

/* *in_force: `to` is what the catalog names now, or may be. The writer lock is held. */
static hither_status replace(const job *j, ht_extent *from, ht_extent *to, uint64_t copied, bool *in_force) {
    ht_db *db = j->c->db;
    const ht_snapshot *now = atomic_load_explicit(&j->c->home.current, memory_order_relaxed);
    ht_snapshot *fresh;
    ht_collection_row row = j->c->row;
    uint64_t committed = now->slot_limit - from->first_slot;
    committed = committed < from->capacity ? committed : from->capacity;
    if (atomic_load_explicit(&j->c->dropped, memory_order_acquire))
        return ht_fail(j->err, HITHER_NOT_FOUND, "the collection was dropped");
    if (to && copied < committed) { /* written since */
        HT_TRY(ht_segment_thin(from->segment, to->segment, copied, committed, j->gone + from->first_slot / 64, j->err));
        HT_TRY(ht_segment_settle(to->segment, j->err));
    }
    HT_TRY(with_replaced(j, now, from, to, &fresh));
    row.commit_seq = fresh->seq;
    hither_status status = commit(j, from, to, committed, &row);
    if (status != HITHER_OK) {
        *in_force = ht_store_poisoned(db->store); /* then nobody knows */
        ht_snapshot_free(fresh);
        return status;
    }
    *in_force = true;
    if (to)
        ht_segment_commit(to->segment, committed);
    j->c->row = row;
    ht_snapshot_publish(&j->c->home, fresh, &db->graveyard, &db->scratches);
    HT_TRY(ht_store_harden(db->store, j->err));
    ht_segment_discard(from->segment);
    now = atomic_load_explicit(&j->c->home.current, memory_order_relaxed);
    ht_cache_sweep(db->store, j->c->cid, now->extents, now->extent_count);
    return HITHER_OK;
}

/* Where searches are going on, the copy is ready for them before it is in force. */
static hither_status code_rows(ht_extent *to, uint64_t begin, uint64_t end, hither_error *err) {
    atomic_store_explicit(&to->warm, true, memory_order_relaxed);
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_extent_touch(to, (size_t)begin, (size_t)end, true, err);
    for (uint32_t i = 0; to->fields && i < to->shape->field_count && status == HITHER_OK; i++)
        if (to->fields[i])
            status = ht_extent_touch(to->fields[i], (size_t)begin, (size_t)end, true, err);
    ht_fp_leave(fp);
    return status;
}

static hither_status copy_rows(const job *j, const ht_extent *from, ht_extent *to, uint64_t *copied) {
    uint64_t end = committed_of(j, from), step = BYTES_AT_ONCE / from->stride;
    step = step / HT_BLOCK_ROWS * HT_BLOCK_ROWS + HT_BLOCK_ROWS;
    for (uint64_t p = 0; p < end; p += step) {
        uint64_t stop = end - p < step ? end : p + step;
        HT_TRY(ht_segment_thin(from->segment, to->segment, p, stop, j->gone + from->first_slot / 64, j->err));
        *copied = stop;
        if (atomic_load_explicit(&from->warm, memory_order_relaxed))
            HT_TRY(code_rows(to, p, stop, j->err));
        HT_TRY(ht_progress_step(j->progress, stop - p, j->err));
    }
    return ht_segment_settle(to->segment, j->err);
}

/* The twin of an extent, as an extent. */
static hither_status twin_of(const job *j, ht_extent *from, ht_extent **out) {
    ht_db *db = j->c->db;
    ht_segment *segment;
    pthread_mutex_lock(&db->writer);
    hither_status status = ht_segment_twin(from->segment, &segment, j->err);
    pthread_mutex_unlock(&db->writer);
    HT_TRY(status);
    status = ht_extent_new(segment, from->shape, out, j->err);
    if (status != HITHER_OK) {
        ht_segment_discard(segment);
        ht_segment_release(segment);
    }
    return status;
}

static hither_status take_segment(const job *j, ht_extent *from, verdict what) {
    ht_extent *to = NULL;
    uint64_t copied = 0;
    bool in_force = false;
    hither_status status = HITHER_OK;
    if (what == THIN) {
        HT_TRY(twin_of(j, from, &to));
        status = copy_rows(j, from, to, &copied);
    }
    if (status == HITHER_OK) {
        pthread_mutex_lock(&j->c->db->writer);
        status = replace(j, from, to, copied, &in_force);
        pthread_mutex_unlock(&j->c->db->writer);
    }
    if (to && !in_force)
        ht_segment_discard(to->segment);
    ht_extent_release(to);
    return status;
}

/* ---- rows of the catalog */

/* Forgets dead rows from slot *at on, as many as a slice takes; the writer lock is held. */
static hither_status forget_slice(const job *j, uint64_t end, uint64_t *at, uint64_t *count) {
    ht_store *store = j->c->db->store;
    hither_status status = HITHER_OK;
    uint64_t slot = *at;
    if (atomic_load_explicit(&j->c->dropped, memory_order_acquire))
        return ht_fail(j->err, HITHER_NOT_FOUND, "the collection was dropped");
    HT_TRY(ht_txn_begin(store, j->err));
    for (*count = 0; slot < end && *count < ROWS_A_SLICE && status == HITHER_OK; slot++) {
        if (!is_set(j->dead, slot))
            continue;
        status = ht_txn_forget(store, j->c->cid, slot, j->err);
        ++*count;
    }
    if (status == HITHER_OK && *count) {
        status = ht_txn_commit(store, j->err);
    } else {
        ht_txn_rollback(store);
    }
    *at = slot;
    return status;
}

static hither_status forget_rows(const job *j, uint64_t begin, uint64_t end) {
    while (begin < end) {
        uint64_t count = 0;
        pthread_mutex_lock(&j->c->db->writer);
        hither_status status = forget_slice(j, end, &begin, &count);
        pthread_mutex_unlock(&j->c->db->writer);
        HT_TRY(status);
        HT_TRY(ht_progress_step(j->progress, count, j->err));
    }
    return HITHER_OK;
}

/* ---- what was made of rows */

/* Bits of the slots below the limit that have a row, in chunks; what is past it counts as having one. */
typedef struct needs {
    ht_mask mask;
    const uint64_t **chunks;
    uint64_t *words, gone;
} needs;

/* A slot whose row was dropped, or whose segment, has none, and is in no version that anyone can still read: a page of
 * an older one, which needs what was made of its rows, is refused from then on. */
static hither_status find_needed(const job *j, ht_extent *const *extents, size_t count, needs *out) {
    size_t chunks = (size_t)(j->limit / HT_CHUNK_SLOTS + 1);
    uint64_t has = 0;
    out->words = ht_calloc(chunks, HT_CHUNK_SLOTS / 8);
    out->chunks = ht_calloc(chunks, sizeof *out->chunks);
    if (!out->words || !out->chunks)
        return ht_fail_nomem(j->err, chunks * HT_CHUNK_SLOTS / 8, "the rows to keep");
    for (size_t i = 0; i < count; i++) {
        uint64_t rows = committed_of(j, extents[i]), first = extents[i]->first_slot;
        for (uint64_t p = 0; p < rows; p++) {
            if (!ht_segment_dropped(extents[i]->segment, p)) {
                set(out->words, first + p);
                has++;
            }
        }
    }
    for (uint64_t slot = j->limit; slot < chunks * HT_CHUNK_SLOTS; slot++)
        set(out->words, slot);
    for (size_t i = 0; i < chunks; i++)
        out->chunks[i] = out->words + i * (HT_CHUNK_SLOTS / 64);
    out->gone = j->limit - has;
    out->mask = (ht_mask){.chunks = out->chunks, .chunk_count = chunks, .limit = chunks * HT_CHUNK_SLOTS};
    return HITHER_OK;
}

/* The snapshot in force with what was made without rows that are gone. */
static hither_status put_made(const job *j, ht_made *fresh) {
    ht_db *db = j->c->db;
    ht_snapshot *s;
    pthread_mutex_lock(&db->writer);
    const ht_snapshot *now = atomic_load_explicit(&j->c->home.current, memory_order_relaxed);
    ht_change change = {.seq = now->seq,
                        .slot_limit = now->slot_limit,
                        .id_kind = now->id_kind,
                        .extents = now->extents,
                        .extent_count = now->extent_count};
    hither_status status = ht_snapshot_make(now, &change, &s, j->err);
    if (status == HITHER_OK) {
        ht_snapshot_set_made(s, fresh);
        ht_snapshot_publish(&j->c->home, s, &db->graveyard, &db->scratches);
    } else {
        ht_made_release(fresh);
    }
    pthread_mutex_unlock(&db->writer);
    return status;
}

/* Columns, postings and the like without the rows that are gone, where that is worth it. Readers who stand on older
 * versions go on with the old ones. */
static hither_status renew_made(const job *j) {
    ht_db *db = j->c->db;
    needs needed = {.words = NULL};
    ht_made *fresh;
    pthread_mutex_lock(&db->writer);
    const ht_snapshot *now = atomic_load_explicit(&j->c->home.current, memory_order_relaxed);
    ht_made *made = ht_made_acquire(now->made);
    size_t count = 0;
    ht_extent **extents = ht_calloc(now->extent_count, sizeof(ht_extent *));
    for (; extents && count < now->extent_count; count++)
        extents[count] = ht_extent_acquire(now->extents[count]);
    pthread_mutex_unlock(&db->writer);
    hither_status status = extents ? find_needed(j, extents, count, &needed)
                                   : ht_fail_nomem(j->err, sizeof(ht_extent *), "the segments of a collection");
    uint64_t more = needed.gone > made->gone ? needed.gone - made->gone : 0;
    if (status == HITHER_OK && more && (j->how == HT_COMPACT_ALL || more * WORTH >= j->limit - made->gone)) {
        status = ht_made_without(made, &needed.mask, needed.gone, &fresh, j->err);
        if (status == HITHER_OK)
            status = put_made(j, fresh);
    }
    for (size_t i = 0; i < count; i++)
        ht_extent_release(extents[i]);
    ht_release(extents);
    ht_release(needed.words);
    ht_release((void *)needed.chunks);
    ht_made_release(made);
    return status;
}

/* ---- all of it */

static hither_status work(job *j) {
    HT_TRY(find_gone(j));
    for (size_t i = 0; i < j->extent_count; i++) {
        const ht_extent *extent = j->extents[i];
        uint64_t first = extent->first_slot, committed = committed_of(j, extent);
        j->progress->total += count_bits(j->dead, first, first + committed);
        j->progress->total += judge(j, i) == THIN ? committed : 0;
    }
    for (size_t i = 0; i < j->extent_count; i++) {
        ht_extent *extent = j->extents[i];
        verdict what = judge(j, i);
        HT_TRY(ht_progress_step(j->progress, 0, j->err));
        if (what != KEEP)
            HT_TRY(take_segment(j, extent, what));
        if (what != KEEP || ht_segment_sparse(extent->segment)) {
            uint64_t first = extent->first_slot;
            /* Of a sparse segment that stays, only rows whose places are marked. */
            for (uint64_t p = 0; what == KEEP && p < committed_of(j, extent); p++)
                if (is_set(j->dead, first + p) && !ht_segment_dropped(extent->segment, p))
                    j->dead[(first + p) / 64] &= ~((uint64_t)1 << (first + p) % 64);
            HT_TRY(forget_rows(j, first, first + committed_of(j, extent)));
        }
    }
    return HITHER_OK;
}

hither_status ht_compact_rows(ht_collection *c, ht_thoroughness how, ht_progress *progress, hither_error *err) {
    job j = {.c = c, .how = how, .progress = progress, .err = err};
    size_t expired;
    HT_TRY(ht_collection_check_write(c, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_collection_expire(c, &expired, err);
    ht_fp_leave(fp);
    HT_TRY(status);
    j.holes_cost = ht_store_holes_cost(c->db->store);
    pthread_mutex_lock(&c->db->writer);
    status = look(&j);
    pthread_mutex_unlock(&c->db->writer);
    if (status == HITHER_OK)
        status = work(&j);
    if (status == HITHER_OK)
        status = renew_made(&j);
    if (status == HITHER_OK && how == HT_COMPACT_ALL) {
        pthread_mutex_lock(&c->db->writer);
        ht_cache_forget(c->db->store, c->cid);
        pthread_mutex_unlock(&c->db->writer);
    }
    for (size_t i = 0; i < j.extent_count; i++)
        ht_extent_release(j.extents[i]);
    ht_release(j.extents);
    ht_release(j.gone);
    ht_release(j.dead);
    return status;
}

hither_status ht_compact_catalog(ht_db *db, ht_progress *progress, hither_error *err) {
    uint64_t pages = 0, before = UINT64_MAX;
    bool can = false;
    for (;;) {
        pthread_mutex_lock(&db->writer);
        hither_status status = ht_store_free_pages(db->store, &pages, &can, err);
        bool more = status == HITHER_OK && can && pages && pages < before;
        if (more)
            status = ht_store_shrink(db->store, PAGES_A_SLICE, err);
        else if (status == HITHER_OK)
            status = ht_store_empty_log(db->store, err);
        pthread_mutex_unlock(&db->writer);
        HT_TRY(status);
        if (!more)
            return HITHER_OK;
        before = pages;
        HT_TRY(ht_progress_step(progress, 0, err));
    }
}
