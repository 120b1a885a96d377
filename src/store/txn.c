/*
 * txn.c: the writer's transaction. COMMIT is the one commit point of a database. For the holder of the engine's writer
 * lock.
 */
#include <inttypes.h>

#include "store/inside.h"

hither_status ht_txn_begin(ht_store *store, hither_error *err) {
    HT_TRY(ht_store_writable(store, err));
    HT_TRY(ht_log_still_ours(store, err));
    store->txn_cid = 0;
    return ht_conn_do(store->writer, SQL_BEGIN_IMMEDIATE, err);
}

static hither_status set_limit(ht_store *store, int64_t cid, hither_error *err) {
    ht_collection_row row;
    if (store->txn_cid == cid)
        return HITHER_OK;
    HT_TRY(ht_collection_read(store->writer, NULL, cid, &row, err));
    store->txn_cid = cid;
    store->txn_limit = row.next_slot;
    return HITHER_OK;
}

hither_status ht_txn_find(ht_store *store, int64_t cid, const hither_ids *ids, size_t i, uint64_t *slot,
                          hither_error *err) {
    ht_conn *conn = store->writer;
    sqlite3_stmt *stmt;
    HT_TRY(set_limit(store, cid, err));
    HT_TRY(ht_conn_prepare(conn, SQL_ROW_FIND, cid, &stmt, err));
    ht_bind_id(stmt, 1, ids, i);
    int rc = sqlite3_step(stmt);
    uint64_t found = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : UINT64_MAX;
    hither_status status = HITHER_OK;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        status = ht_conn_fail(conn, "looking an id up", err);
    else if (rc == SQLITE_ROW && found >= store->txn_limit)
        status =
            ht_fail(err, HITHER_CORRUPT, "catalog: collection %" PRId64 " has a row in slot %" PRIu64 " of %" PRIu64,
                    cid, found, store->txn_limit);
    else
        *slot = found;
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return status;
}

hither_status ht_txn_insert(ht_store *store, int64_t cid, uint64_t slot, const hither_ids *ids, size_t i,
                            ht_text metadata, ht_text document, hither_error *err) {
    ht_conn *conn = store->writer;
    sqlite3_stmt *stmt;
    HT_TRY(set_limit(store, cid, err));
    HT_TRY(ht_conn_prepare(conn, SQL_ROW_ADD, cid, &stmt, err));
    sqlite3_bind_int64(stmt, 1, (int64_t)slot);
    ht_bind_id(stmt, 2, ids, i);
    ht_bind_text(stmt, 3, metadata);
    ht_bind_text(stmt, 4, document);
    int rc = sqlite3_step(stmt);
    hither_status status = HITHER_OK;
    if (rc == SQLITE_CONSTRAINT_UNIQUE)
        status = ht_fail(err, HITHER_EXISTS, "row %zu: its id is in the collection already", i);
    else if (rc != SQLITE_DONE)
        status = ht_conn_fail(conn, "inserting a row", err);
    else if (slot >= store->txn_limit)
        store->txn_limit = slot + 1;
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return status;
}

hither_status ht_txn_kill(ht_store *store, int64_t cid, uint64_t slot, uint64_t seq, hither_error *err) {
    ht_conn *conn = store->writer;
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, SQL_ROW_KILL, cid, &stmt, err));
    sqlite3_bind_int64(stmt, 1, (int64_t)slot);
    sqlite3_bind_int64(stmt, 2, (int64_t)seq);
    HT_TRY(ht_conn_run(conn, stmt, "deleting a row", err));
    if (sqlite3_changes(conn->db) != 1)
        return ht_fail(err, HITHER_CORRUPT, "catalog: collection %" PRId64 " has no live row in slot %" PRIu64, cid,
                       slot);
    return HITHER_OK;
}

hither_status ht_segment_record(ht_conn *conn, ht_sql sql, const ht_segment *segment, uint64_t committed,
                                hither_error *err) {
    const ht_segment_header *h = &segment->header;
    sqlite3_stmt *stmt;
    HT_ASSERT(committed <= h->capacity);
    HT_TRY(ht_conn_prepare(conn, sql, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, h->sid);
    sqlite3_bind_int64(stmt, 2, h->cid);
    sqlite3_bind_int64(stmt, 3, h->field);
    sqlite3_bind_blob(stmt, 4, h->uuid, sizeof h->uuid, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 5, (int64_t)h->first_slot);
    sqlite3_bind_int64(stmt, 6, (int64_t)h->capacity);
    sqlite3_bind_int64(stmt, 7, (int64_t)committed);
    sqlite3_bind_int64(stmt, 8, segment->state);
    return ht_conn_run(conn, stmt, "recording a segment", err);
}

hither_status ht_txn_segment(ht_store *store, const ht_segment *segment, uint64_t committed, hither_error *err) {
    return ht_segment_record(store->writer, SQL_SEGMENT_SET, segment, committed, err);
}

hither_status ht_txn_collection(ht_store *store, const ht_collection_row *row, hither_error *err) {
    ht_conn *conn = store->writer;
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, SQL_COLLECTION_SET, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, row->cid);
    sqlite3_bind_int64(stmt, 2, (int64_t)row->next_slot);
    sqlite3_bind_int64(stmt, 3, (int64_t)row->live_count);
    sqlite3_bind_int64(stmt, 4, (int64_t)row->commit_seq);
    sqlite3_bind_int64(stmt, 5, row->id_kind);
    HT_TRY(ht_conn_run(conn, stmt, "updating a collection", err));
    if (sqlite3_changes(conn->db) != 1)
        return ht_fail(err, HITHER_NOT_FOUND, "the collection '%s' was dropped", row->name);
    return HITHER_OK;
}

hither_status ht_txn_commit(ht_store *store, hither_error *err) {
    ht_conn *conn = store->writer;
    ht_reader_let_go(&conn->reader);
    hither_status status = ht_conn_do(conn, SQL_COMMIT, err);
    if (status == HITHER_OK)
        return ht_log_still_ours(store, err);
    /* Without space the commit record was never whole, and while busy nothing was begun. After any other failure the
     * record may or may not be in the log. */
    if (status != HITHER_FULL && status != HITHER_BUSY)
        ht_store_poison(store);
    ht_txn_rollback(store);
    return status;
}

void ht_txn_rollback(ht_store *store) {
    if (!store->writer)
        return;
    ht_reader_let_go(&store->writer->reader);
    if (sqlite3_get_autocommit(store->writer->db))
        return;
    /* SQLite forgets the transaction in memory whatever happens; what it wrote of it was never committed. */
    if (ht_conn_do(store->writer, SQL_ROLLBACK, NULL) != HITHER_OK)
        ht_store_poison(store);
}
