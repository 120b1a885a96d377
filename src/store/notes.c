/*
 * notes.c: texts about a collection in the catalog's `meta`, whose meaning is the engine's: what its rows must be like,
 * and what index it is to have. Reading: any thread. Setting: the holder of the writer lock.
 */
#include <string.h>

#include "store/inside.h"

typedef struct note {
    ht_sql get, set, drop;
    size_t most; /* bytes */
    const char *what;
} note;

static const note rules = {SQL_SCHEMA, SQL_SCHEMA_SET, SQL_SCHEMA_DROP, HITHER_MAX_SCHEMA_BYTES, "a schema"};
static const note wish = {SQL_INDEX, SQL_INDEX_SET, SQL_INDEX_DROP, HT_INDEX_BYTES - 1, "what index there is to be"};

static hither_status take_text(sqlite3_stmt *stmt, int64_t cid, const note *n, ht_buf *out, hither_error *err) {
    ht_text text;
    if (sqlite3_column_type(stmt, 0) != SQLITE_TEXT || (size_t)sqlite3_column_bytes(stmt, 0) > n->most)
        return ht_fail(err, HITHER_CORRUPT, "catalog: %s of collection %lld makes no sense", n->what, (long long)cid);
    if (!ht_column_text(stmt, 0, &text))
        return ht_fail_nomem(err, n->most, n->what);
    ht_buf_put(out, text.data, text.bytes);
    return ht_buf_check(out, n->what, err);
}

/* Appends the text; nothing where there is none. */
static hither_status note_read(ht_store *store, const note *n, int64_t cid, ht_buf *out, hither_error *err) {
    ht_conn *conn;
    sqlite3_stmt *stmt;
    HT_TRY(ht_pool_take(store, &conn, err));
    hither_status status = ht_conn_prepare(conn, n->get, 0, &stmt, err);
    if (status == HITHER_OK) {
        sqlite3_bind_int64(stmt, 1, cid);
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            status = take_text(stmt, cid, n, out, err);
        else if (rc != SQLITE_DONE)
            status = ht_conn_fail(conn, "reading what is noted of a collection", err);
        sqlite3_reset(stmt);
    }
    ht_pool_give(conn);
    return status;
}

/* data NULL takes the note away. */
static hither_status note_write(ht_conn *conn, const note *n, int64_t cid, ht_text text, hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, text.data ? n->set : n->drop, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, cid);
    ht_bind_text(stmt, 2, text);
    return ht_conn_run(conn, stmt, "noting something of a collection", err);
}

/* In a transaction of its own; NOT_FOUND without the collection. */
static hither_status note_set(ht_store *store, const note *n, int64_t cid, ht_text text, hither_error *err) {
    ht_collection_row row;
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = ht_collection_read(store->writer, NULL, cid, &row, err);
    if (status == HITHER_OK)
        status = note_write(store->writer, n, cid, text, err);
    if (status == HITHER_OK)
        return ht_txn_commit(store, err);
    ht_txn_rollback(store);
    return status;
}

hither_status ht_store_schema(ht_store *store, int64_t cid, ht_buf *out, hither_error *err) {
    return note_read(store, &rules, cid, out, err);
}

hither_status ht_schema_write(ht_conn *conn, int64_t cid, ht_text schema, hither_error *err) {
    return note_write(conn, &rules, cid, schema, err);
}

hither_status ht_store_set_schema(ht_store *store, int64_t cid, ht_text schema, hither_error *err) {
    return note_set(store, &rules, cid, schema, err);
}

hither_status ht_store_index(ht_store *store, int64_t cid, char out[HT_INDEX_BYTES], hither_error *err) {
    ht_buf text;
    ht_buf_init(&text, HT_INDEX_BYTES);
    hither_status status = note_read(store, &wish, cid, &text, err);
    if (status == HITHER_CORRUPT) /* of a newer hither: as if there were none */
        status = HITHER_OK;
    out[0] = '\0';
    if (status == HITHER_OK && text.size > 0) {
        memcpy(out, text.data, text.size);
        out[text.size] = '\0';
    }
    ht_buf_clear(&text);
    return status;
}

hither_status ht_store_set_index(ht_store *store, int64_t cid, const char *text, hither_error *err) {
    return note_set(store, &wish, cid, (ht_text){text[0] ? text : NULL, strlen(text)}, err);
}
