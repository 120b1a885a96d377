/*
 * wish.c: what index a collection is to have, a text in the catalog's `meta`. Its meaning is the engine's. Reading: any
 * thread. Setting: the holder of the writer lock.
 */
#include <string.h>

#include "store/inside.h"

hither_status ht_store_index(ht_store *store, int64_t cid, char out[HT_INDEX_BYTES], hither_error *err) {
    ht_conn *conn;
    sqlite3_stmt *stmt;
    out[0] = '\0';
    HT_TRY(ht_pool_take(store, &conn, err));
    hither_status status = ht_conn_prepare(conn, SQL_INDEX, 0, &stmt, err);
    if (status == HITHER_OK) {
        sqlite3_bind_int64(stmt, 1, cid);
        int rc = sqlite3_step(stmt);
        size_t bytes =
            rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_TEXT ? (size_t)sqlite3_column_bytes(stmt, 0) : 0;
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            status = ht_conn_fail(conn, "reading what index a collection has", err);
        else if (bytes > 0 && bytes < HT_INDEX_BYTES) /* a longer one is a newer hither's */
            memcpy(out, sqlite3_column_text(stmt, 0), bytes + 1);
        sqlite3_reset(stmt);
    }
    ht_pool_give(conn);
    return status;
}

static hither_status set(ht_store *store, int64_t cid, const char *text, hither_error *err) {
    ht_collection_row row;
    sqlite3_stmt *stmt;
    HT_TRY(ht_collection_read(store->writer, NULL, cid, &row, err));
    HT_TRY(ht_conn_prepare(store->writer, text[0] ? SQL_INDEX_SET : SQL_INDEX_DROP, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, cid);
    if (text[0])
        ht_bind_text(stmt, 2, (ht_text){text, strlen(text)});
    return ht_conn_run(store->writer, stmt, "saying what index a collection has", err);
}

hither_status ht_store_set_index(ht_store *store, int64_t cid, const char *text, hither_error *err) {
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = set(store, cid, text, err);
    if (status == HITHER_OK)
        return ht_txn_commit(store, err);
    ht_txn_rollback(store);
    return status;
}
