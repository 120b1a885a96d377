/*
 * ttl.c: how long rows of a collection live, a number in the catalog's `meta`. Reading: whoever has a reader. Setting:
 * the holder of the writer lock.
 */
#include "store/inside.h"

hither_status ht_reader_ttl(ht_reader *reader, int64_t *seconds, hither_error *err) {
    sqlite3_stmt *stmt;
    ht_reader_let_go(reader);
    HT_TRY(ht_conn_prepare(reader->conn, SQL_TTL, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, reader->row.cid);
    int rc = sqlite3_step(stmt);
    hither_status status = HITHER_OK;
    if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER && sqlite3_column_int64(stmt, 0) >= 0)
        *seconds = sqlite3_column_int64(stmt, 0);
    else if (rc == SQLITE_DONE)
        *seconds = HT_TTL_OFF;
    else
        status = rc == SQLITE_ROW ? ht_fail(err, HITHER_CORRUPT, "catalog: the lifetime of rows of '%s' makes no sense",
                                            reader->row.name)
                                  : ht_conn_fail(reader->conn, "asking how long rows live", err);
    sqlite3_reset(stmt);
    return status;
}

static hither_status set(ht_store *store, int64_t cid, int64_t seconds, hither_error *err) {
    ht_collection_row row;
    sqlite3_stmt *stmt;
    HT_TRY(ht_collection_read(store->writer, NULL, cid, &row, err));
    HT_TRY(ht_conn_prepare(store->writer, seconds < 0 ? SQL_TTL_DROP : SQL_TTL_SET, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, cid);
    if (seconds >= 0)
        sqlite3_bind_int64(stmt, 2, seconds);
    return ht_conn_run(store->writer, stmt, "saying how long rows live", err);
}

hither_status ht_store_set_ttl(ht_store *store, int64_t cid, int64_t seconds, hither_error *err) {
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = set(store, cid, seconds, err);
    if (status == HITHER_OK)
        return ht_txn_commit(store, err);
    ht_txn_rollback(store);
    return status;
}
