/*
 * rules.c: what rows of a collection must be like, a text in the catalog's `meta`. Its meaning is the engine's.
 * Reading: any thread. Setting: the holder of the writer lock.
 */
#include "store/inside.h"

static hither_status take_text(sqlite3_stmt *stmt, int64_t cid, ht_buf *out, hither_error *err) {
    ht_text text;
    if (sqlite3_column_type(stmt, 0) != SQLITE_TEXT || sqlite3_column_bytes(stmt, 0) > (int)HITHER_MAX_SCHEMA_BYTES)
        return ht_fail(err, HITHER_CORRUPT, "catalog: the schema of collection %lld makes no sense", (long long)cid);
    if (!ht_column_text(stmt, 0, &text))
        return ht_fail_nomem(err, HITHER_MAX_SCHEMA_BYTES, "a schema");
    ht_buf_put(out, text.data, text.bytes);
    return ht_buf_check(out, "a schema", err);
}

hither_status ht_store_schema(ht_store *store, int64_t cid, ht_buf *out, hither_error *err) {
    ht_conn *conn;
    sqlite3_stmt *stmt;
    HT_TRY(ht_pool_take(store, &conn, err));
    hither_status status = ht_conn_prepare(conn, SQL_SCHEMA, 0, &stmt, err);
    if (status == HITHER_OK) {
        sqlite3_bind_int64(stmt, 1, cid);
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            status = take_text(stmt, cid, out, err);
        else if (rc != SQLITE_DONE)
            status = ht_conn_fail(conn, "reading a schema", err);
        sqlite3_reset(stmt);
    }
    ht_pool_give(conn);
    return status;
}

hither_status ht_schema_write(ht_conn *conn, int64_t cid, ht_text schema, hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, schema.data ? SQL_SCHEMA_SET : SQL_SCHEMA_DROP, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, cid);
    ht_bind_text(stmt, 2, schema);
    return ht_conn_run(conn, stmt, "setting a schema", err);
}

hither_status ht_store_set_schema(ht_store *store, int64_t cid, ht_text schema, hither_error *err) {
    ht_collection_row row;
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = ht_collection_read(store->writer, NULL, cid, &row, err);
    if (status == HITHER_OK)
        status = ht_schema_write(store->writer, cid, schema, err);
    if (status == HITHER_OK)
        return ht_txn_commit(store, err);
    ht_txn_rollback(store);
    return status;
}
