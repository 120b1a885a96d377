/*
 * compact.c: see compact.h.
 */
#include "store/compact.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "store/inside.h"

enum { SUMS_AT_ONCE = 512 };

/* ---- segments */

bool ht_store_holes_cost(const ht_store *store) {
    return store->io->holes_cost && store->io->holes_cost(store->io->ctx, store->path);
}

hither_status ht_segment_twin(ht_segment *from, ht_segment **out, hither_error *err) {
    ht_segment_header h = from->header;
    HT_TRY(ht_store_writable(from->store, err));
    uint64_t space = ht_store_holes_cost(from->store) ? h.rows_offset + from->info.committed * h.stride : h.rows_offset;
    return ht_segment_make(from->store, &h, space, HT_SEGMENT_SPARSE, out, err);
}

static bool is_set(const uint64_t *bits, uint64_t i) { return bits[i / 64] >> (i % 64) & 1; }

/* Rows [begin, end), none of them dropped, in one write. */
static hither_status copy_run(const ht_segment *from, ht_segment *to, uint64_t begin, uint64_t end, hither_error *err) {
    const ht_segment_header *h = &from->header;
    uint64_t offset = h->rows_offset + begin * h->stride, bytes = (end - begin) * h->stride;
    HT_TRY(ht_segment_check(from, begin, end, err));
    HT_TRY(to->io->reserve(to->file, offset, bytes, err));
    return to->io->write_at(to->file, from->map + offset, (size_t)bytes, offset, err);
}

hither_status ht_segment_thin(const ht_segment *from, ht_segment *to, uint64_t begin, uint64_t end,
                              const uint64_t *drop, hither_error *err) {
    ht_row_sums sums[SUMS_AT_ONCE];
    while (begin < end) {
        uint64_t stop = end - begin < SUMS_AT_ONCE ? end : begin + SUMS_AT_ONCE, run = begin;
        for (uint64_t p = begin; p < stop; p++) {
            bool dropped = is_set(drop, p);
            sums[p - begin] = dropped ? ht_segment_mark(to, p) : ht_segment_sums(from, p);
            if (!dropped)
                continue;
            if (run < p)
                HT_TRY(copy_run(from, to, run, p, err));
            run = p + 1;
        }
        if (run < stop)
            HT_TRY(copy_run(from, to, run, stop, err));
        HT_TRY(to->io->write_at(to->file, sums, (size_t)(stop - begin) * sizeof *sums,
                                to->header.sums_offset + begin * sizeof *sums, err));
        begin = stop;
    }
    return HITHER_OK;
}

hither_status ht_segment_recast(ht_segment *from, uint32_t width, ht_segment **out, hither_error *err) {
    ht_segment_header h = from->header;
    HT_TRY(ht_store_writable(from->store, err));
    h.dim = width;
    HT_TRY(ht_segment_header_complete(&h, err));
    return ht_segment_make(from->store, &h, h.rows_offset, from->state, out, err);
}

hither_status ht_segment_recast_rows(const ht_segment *from, ht_segment *to, uint64_t begin, size_t count,
                                     const void *rows, const uint64_t *has, hither_error *err) {
    const ht_segment_header *h = &to->header;
    size_t bytes = ht_vector_bytes((hither_dtype)h->dtype, h->dim);
    ht_row_sums *sums = ht_calloc(count, sizeof *sums);
    if (!sums)
        return ht_fail_nomem(err, count * sizeof *sums, "checksums");
    for (size_t i = 0; i < count; i++) {
        const char *row = (const char *)rows + i * h->stride;
        sums[i] = ht_segment_mark(to, begin + i);
        if (is_set(has, i))
            sums[i].vector = ht_crc32c(sums[i].vector, row, bytes);
        if (!ht_segment_dropped(from, begin + i))
            sums[i].row = ht_segment_sums(from, begin + i).row;
    }
    uint64_t offset = h->rows_offset + begin * h->stride;
    hither_status status = to->io->reserve(to->file, offset, count * h->stride, err);
    if (status == HITHER_OK)
        status = to->io->write_at(to->file, rows, count * (size_t)h->stride, offset, err);
    if (status == HITHER_OK)
        status = to->io->write_at(to->file, sums, count * sizeof *sums, h->sums_offset + begin * sizeof *sums, err);
    ht_release(sums);
    return status;
}

/* A failure poisons nothing: the file is new, and nobody builds on it. */
hither_status ht_segment_settle(ht_segment *to, hither_error *err) { return to->io->sync(to->file, err); }

void ht_segment_discard(ht_segment *segment) {
    const ht_io *io = segment->io;
    char *path = ht_path_join(segment->store->path, segment->name);
    if (path && io->remove(io->ctx, path, NULL) != HITHER_OK) {
        /* It takes space and does no harm; the next open tries again. */
    }
    ht_release(path);
}

/* ---- within a transaction */

hither_status ht_txn_replace(ht_store *store, const ht_segment *from, const ht_segment *to, uint64_t committed,
                             uint64_t seq, hither_error *err) {
    ht_conn *conn = store->writer;
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, SQL_SEGMENT_DROP, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, from->header.sid);
    HT_TRY(ht_conn_run(conn, stmt, "replacing a segment", err));
    if (sqlite3_changes(conn->db) != 1)
        return ht_fail(err, HITHER_CORRUPT, "catalog: it does not know %s", from->name);
    if (to)
        HT_TRY(ht_segment_record(conn, SQL_SEGMENT_ADD, to, committed, err));
    HT_TRY(ht_conn_prepare(conn, SQL_FLOOR_SET, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, from->header.cid);
    sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    return ht_conn_run(conn, stmt, "recording a compaction", err);
}

hither_status ht_txn_reembed(ht_store *store, const ht_collection_row *row, hither_error *err) {
    ht_conn *conn = store->writer;
    sqlite3_stmt *stmt;
    HT_TRY(ht_txn_collection(store, row, err));
    HT_TRY(ht_conn_prepare(conn, SQL_COLLECTION_REEMBED, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, row->cid);
    sqlite3_bind_int64(stmt, 2, row->dim);
    sqlite3_bind_text(stmt, 3, row->embedder, -1, SQLITE_STATIC);
    HT_TRY(ht_conn_run(conn, stmt, "naming another embedder", err));
    HT_TRY(ht_conn_prepare(conn, SQL_FIELD_DIM, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, row->cid);
    sqlite3_bind_int64(stmt, 2, row->dim);
    return ht_conn_run(conn, stmt, "naming another embedder", err);
}

hither_status ht_txn_forget(ht_store *store, int64_t cid, uint64_t slot, hither_error *err) {
    ht_conn *conn = store->writer;
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, SQL_ROW_FORGET, cid, &stmt, err));
    sqlite3_bind_int64(stmt, 1, (int64_t)slot);
    return ht_conn_run(conn, stmt, "removing a dead row", err);
}

/* ---- the catalog */

hither_status ht_store_harden(ht_store *store, hither_error *err) {
    return store->unsynced ? ht_store_sync_all(store, err) : HITHER_OK;
}

hither_status ht_store_free_pages(ht_store *store, uint64_t *pages, bool *can, hither_error *err) {
    int64_t free_pages = 0, mode = 0;
    HT_TRY(ht_conn_number(store->writer, "PRAGMA freelist_count", &free_pages, err));
    HT_TRY(ht_conn_number(store->writer, "PRAGMA auto_vacuum", &mode, err));
    *pages = (uint64_t)free_pages;
    *can = mode == 2;
    return HITHER_OK;
}

hither_status ht_store_shrink(ht_store *store, unsigned pages, hither_error *err) {
    char sql[64];
    HT_TRY(ht_txn_begin(store, err));
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA incremental_vacuum(%u)", pages);
    hither_status status = ht_conn_exec(store->writer, sql, err);
    if (status == HITHER_OK)
        return ht_txn_commit(store, err);
    ht_txn_rollback(store);
    return status;
}

/* BUSY where a reader is in the way. */
static hither_status empty_log(ht_store *store, hither_error *err) {
    ht_conn *conn = store->writer;
    HT_TRY(ht_store_checkpoint(store, err));
    sqlite3_busy_timeout(conn->db, 0); /* readers are not waited for */
    int rc = sqlite3_wal_checkpoint_v2(conn->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(conn->db, HT_BUSY_MS);
    if (rc == SQLITE_BUSY)
        return ht_fail(err, HITHER_BUSY, "a reader, of this process or another, is in the way of emptying the log");
    return rc == SQLITE_OK ? HITHER_OK : ht_conn_fail(conn, "emptying the log", err);
}

hither_status ht_store_empty_log(ht_store *store, hither_error *err) {
    hither_error why = {0};
    hither_status status = empty_log(store, &why);
    if (status == HITHER_OK || status == HITHER_BUSY)
        return HITHER_OK;
    if (err)
        *err = why;
    return status;
}

/* ---- purge */

/* VACUUM makes every page anew, its slack zeroed; it attaches what it makes. */
static hither_status rewrite_catalog(ht_conn *conn, hither_error *err) {
    ht_reader_let_go(&conn->reader);
    sqlite3_limit(conn->db, SQLITE_LIMIT_ATTACHED, 1);
    hither_status status = ht_conn_exec(conn, "PRAGMA secure_delete=ON; PRAGMA auto_vacuum=INCREMENTAL; VACUUM", err);
    sqlite3_limit(conn->db, SQLITE_LIMIT_ATTACHED, 0);
    return status;
}

typedef struct names {
    int64_t *sids;
    size_t count;
    ht_store *store;
    hither_error *err;
} names;

static hither_status note_segments(void *arg, const ht_collection_row *row) {
    names *n = arg;
    ht_segment_entry *entries = NULL;
    size_t count = 0;
    HT_TRY(ht_segments_list(n->store->writer, row, &entries, &count, n->err));
    int64_t *more = ht_resize(n->sids, (n->count + count + 1) * sizeof *more);
    if (more) {
        n->sids = more;
        for (size_t i = 0; i < count; i++)
            n->sids[n->count++] = entries[i].expect.sid;
    }
    ht_release(entries);
    return more ? HITHER_OK : ht_fail_nomem(n->err, count * sizeof *more, "the list of segments");
}

static bool is_ours(void *arg, const char *name) {
    const names *n = arg;
    int64_t cid, sid;
    if (!ht_segment_name_read(name, &cid, &sid))
        return true;
    for (size_t i = 0; i < n->count; i++)
        if (n->sids[i] == sid)
            return true;
    return false;
}

hither_status ht_store_scrub(ht_store *store, hither_error *err) {
    names n = {.store = store, .err = err};
    HT_TRY(ht_store_writable(store, err));
    HT_TRY(rewrite_catalog(store->writer, err));
    HT_TRY(ht_store_harden(store, err));
    hither_status status = ht_collections_each(store->writer, note_segments, &n, err);
    char *cache = ht_path_join(store->path, "cache");
    if (status == HITHER_OK && !cache)
        status = ht_fail_nomem(err, strlen(store->path), "a path");
    if (status == HITHER_OK) {
        ht_store_sweep(store, store->tmp_path, NULL, NULL);
        ht_store_sweep(store, cache, NULL, NULL);
        ht_store_sweep(store, store->segment_path, is_ours, &n);
        status = empty_log(store, err);
    }
    ht_release(cache);
    ht_release(n.sids);
    return status;
}
