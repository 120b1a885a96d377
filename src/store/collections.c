/*
 * collections.c: the table of collections: reading it, and making, dropping and renaming one. Reading: any thread.
 * Changing: the writer, each call a transaction of its own.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "store/inside.h"

/* One row of SQL_COLLECTION...: what does not fit our types is damage. */
static hither_status read_row(ht_conn *conn, sqlite3_stmt *stmt, ht_collection_row *out, hither_error *err) {
    int64_t n[10];
    ht_text name, embedder;
    for (int i = 0; i < 10; i++)
        n[i] = sqlite3_column_int64(stmt, i);
    if (!ht_column_text(stmt, 1, &name) || !ht_column_text(stmt, 6, &embedder))
        return ht_conn_fail(conn, "reading a collection", err);
    bool good = n[0] > 0 && name.bytes >= 1 && name.bytes < sizeof out->name && !memchr(name.data, 0, name.bytes) &&
                embedder.bytes < sizeof out->embedder && n[2] >= 1 && n[2] <= HITHER_MAX_DIM && n[3] >= HITHER_F32 &&
                n[3] <= HITHER_B1 && n[4] >= HITHER_COSINE && n[4] <= HITHER_HAMMING && n[5] >= HT_ID_UNKNOWN &&
                n[5] <= HT_ID_TEXT && n[7] >= 0 && n[8] >= 0 && n[8] <= n[7] && n[9] >= 0;
    if (!good)
        return ht_fail(err, HITHER_CORRUPT, "catalog: the entry of collection %" PRId64 " makes no sense", n[0]);
    ht_collection_row row = {.cid = n[0],
                             .dim = (uint32_t)n[2],
                             .dtype = (hither_dtype)n[3],
                             .metric = (hither_metric)n[4],
                             .id_kind = (ht_id_kind)n[5],
                             .next_slot = (uint64_t)n[7],
                             .live_count = (uint64_t)n[8],
                             .commit_seq = (uint64_t)n[9]};
    memcpy(row.name, name.data, name.bytes);
    if (embedder.bytes > 0)
        memcpy(row.embedder, embedder.data, embedder.bytes);
    *out = row;
    return HITHER_OK;
}

hither_status ht_collections_each(ht_conn *conn, hither_status (*each)(void *arg, const ht_collection_row *row),
                                  void *arg, hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, SQL_COLLECTIONS, 0, &stmt, err));
    hither_status status = HITHER_OK;
    int rc;
    while (status == HITHER_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        ht_collection_row row;
        status = rc == SQLITE_ROW ? read_row(conn, stmt, &row, err) : ht_conn_fail(conn, "listing collections", err);
        if (status == HITHER_OK)
            status = ht_fields_read(conn, &row, err);
        if (status == HITHER_OK)
            status = each(arg, &row);
    }
    sqlite3_reset(stmt);
    return status;
}

hither_status ht_collection_read(ht_conn *conn, const char *name, int64_t cid, ht_collection_row *out,
                                 hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, name ? SQL_COLLECTION_BY_NAME : SQL_COLLECTION_BY_CID, 0, &stmt, err));
    if (name)
        sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    else
        sqlite3_bind_int64(stmt, 1, cid);
    int rc = sqlite3_step(stmt);
    hither_status status;
    if (rc == SQLITE_ROW)
        status = read_row(conn, stmt, out, err);
    else if (rc != SQLITE_DONE)
        status = ht_conn_fail(conn, "reading a collection", err);
    else if (name)
        status = ht_fail(err, HITHER_NOT_FOUND, "there is no collection '%s' in %s", name, conn->store->path);
    else
        status = ht_fail(err, HITHER_NOT_FOUND, "the collection was dropped");
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return status;
}

hither_status ht_store_collections(ht_store *store, hither_status (*each)(void *arg, const ht_collection_row *row),
                                   void *arg, hither_error *err) {
    ht_conn *conn;
    HT_TRY(ht_pool_take(store, &conn, err));
    hither_status status = ht_collections_each(conn, each, arg, err);
    ht_pool_give(conn);
    return status;
}

hither_status ht_store_collection(ht_store *store, const char *name, int64_t cid, ht_collection_row *out,
                                  hither_error *err) {
    ht_conn *conn;
    HT_TRY(ht_pool_take(store, &conn, err));
    hither_status status = ht_collection_read(conn, name, cid, out, err);
    if (status == HITHER_OK)
        status = ht_fields_read(conn, out, err);
    ht_pool_give(conn);
    return status;
}

/* ---- changes */

/* EXISTS if the name is taken; other failures to look are passed on. */
static hither_status check_free(ht_conn *conn, const char *name, hither_error *err) {
    ht_collection_row row;
    hither_status status = ht_collection_read(conn, name, 0, &row, err);
    if (status == HITHER_OK)
        return ht_fail(err, HITHER_EXISTS, "there is a collection '%s' in %s already", name, conn->store->path);
    return status == HITHER_NOT_FOUND ? HITHER_OK : status;
}

static hither_status exec_for(ht_conn *conn, const char *pattern, int64_t cid, hither_error *err) {
    char sql[512];
    sqlite3_snprintf(sizeof sql, sql, pattern, (long long)cid, (long long)cid);
    return ht_conn_exec(conn, sql, err);
}

static hither_status add_collection(ht_conn *conn, const ht_collection_row *row, ht_text schema, int64_t *cid,
                                    hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(check_free(conn, row->name, err));
    HT_TRY(ht_conn_prepare(conn, SQL_COLLECTION_ADD, 0, &stmt, err));
    sqlite3_bind_text(stmt, 1, row->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, row->dim);
    sqlite3_bind_int64(stmt, 3, row->dtype);
    sqlite3_bind_int64(stmt, 4, row->metric);
    sqlite3_bind_int64(stmt, 5, row->id_kind);
    sqlite3_bind_text(stmt, 6, row->embedder, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 7, (int64_t)row->next_slot);
    sqlite3_bind_int64(stmt, 8, (int64_t)row->live_count);
    sqlite3_bind_int64(stmt, 9, (int64_t)row->commit_seq);
    HT_TRY(ht_conn_run(conn, stmt, "adding a collection", err));
    *cid = sqlite3_last_insert_rowid(conn->db);
    HT_TRY(ht_fields_write(conn, *cid, row, err));
    for (size_t i = 0; i < 3; i++)
        HT_TRY(exec_for(conn, ht_rows_create[i], *cid, err));
    return schema.data ? ht_schema_write(conn, *cid, schema, err) : HITHER_OK;
}

hither_status ht_store_create(ht_store *store, ht_collection_row *row, ht_text schema, hither_error *err) {
    if (ht_vector_bytes(row->dtype, row->dim) == 0)
        return ht_fail(err, HITHER_UNSUPPORTED, "vectors of dtype %d cannot be stored yet", (int)row->dtype);
    int64_t cid = 0;
    HT_TRY(ht_fields_place(row, err));
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = add_collection(store->writer, row, schema, &cid, err);
    if (status == HITHER_OK)
        status = ht_txn_commit(store, err);
    else
        ht_txn_rollback(store);
    if (status == HITHER_OK)
        row->cid = cid;
    return status;
}

static hither_status run_with_cid(ht_conn *conn, ht_sql which, int64_t cid, hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, which, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, cid);
    return ht_conn_run(conn, stmt, "dropping a collection", err);
}

static hither_status remove_collection(ht_conn *conn, int64_t cid, hither_error *err) {
    ht_collection_row row;
    HT_TRY(ht_collection_read(conn, NULL, cid, &row, err));
    ht_conn_forget(conn, cid); /* a table with prepared statements on it cannot go */
    HT_TRY(run_with_cid(conn, SQL_SEGMENTS_DROP, cid, err));
    HT_TRY(run_with_cid(conn, SQL_FLOOR_DROP, cid, err));
    HT_TRY(run_with_cid(conn, SQL_TTL_DROP, cid, err));
    HT_TRY(run_with_cid(conn, SQL_SCHEMA_DROP, cid, err));
    HT_TRY(run_with_cid(conn, SQL_INDEX_DROP, cid, err));
    HT_TRY(run_with_cid(conn, SQL_FIELDS_DROP, cid, err));
    HT_TRY(run_with_cid(conn, SQL_COLLECTION_DROP, cid, err));
    return exec_for(conn, ht_rows_drop, cid, err);
}

static bool of_another(void *arg, const char *name) {
    const int64_t *dropped = arg;
    int64_t cid, sid;
    return !ht_segment_name_read(name, &cid, &sid) || cid != *dropped;
}

hither_status ht_store_drop(ht_store *store, int64_t cid, hither_error *err) {
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = remove_collection(store->writer, cid, err);
    if (status != HITHER_OK) {
        ht_txn_rollback(store);
        return status;
    }
    HT_TRY(ht_txn_commit(store, err));
    ht_store_sweep(store, store->segment_path, of_another, &cid);
    return HITHER_OK;
}

static hither_status rename_collection(ht_conn *conn, int64_t cid, const char *to, hither_error *err) {
    sqlite3_stmt *stmt;
    ht_collection_row row;
    HT_TRY(ht_collection_read(conn, NULL, cid, &row, err));
    HT_TRY(check_free(conn, to, err));
    HT_TRY(ht_conn_prepare(conn, SQL_COLLECTION_RENAME, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, cid);
    sqlite3_bind_text(stmt, 2, to, -1, SQLITE_STATIC);
    return ht_conn_run(conn, stmt, "renaming a collection", err);
}

hither_status ht_store_rename(ht_store *store, int64_t cid, const char *to, hither_error *err) {
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = rename_collection(store->writer, cid, to, err);
    if (status != HITHER_OK) {
        ht_txn_rollback(store);
        return status;
    }
    return ht_txn_commit(store, err);
}
