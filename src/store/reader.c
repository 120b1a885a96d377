/*
 * reader.c: the pool of readers' connections, and what one can ask inside a read transaction. A reader sees one version
 * of the catalog from begin to end, whatever the writer does; it never waits and never writes. Any thread; each reader
 * belongs to one at a time.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "store/inside.h"

hither_status ht_pool_take(ht_store *store, ht_conn **out, hither_error *err) {
    pthread_mutex_lock(&store->mutex);
    ht_conn *conn = store->idle;
    if (conn)
        store->idle = conn->next;
    store->lent++;
    pthread_mutex_unlock(&store->mutex);
    hither_status status = HITHER_OK;
    if (!conn)
        status = ht_conn_open(store, store->catalog_path, SQLITE_OPEN_READONLY, &conn, err);
    if (status != HITHER_OK) {
        pthread_mutex_lock(&store->mutex);
        store->lent--;
        pthread_mutex_unlock(&store->mutex);
        return status;
    }
    conn->next = NULL;
    *out = conn;
    return HITHER_OK;
}

void ht_pool_give(ht_conn *conn) {
    if (!conn)
        return;
    ht_store *store = conn->store;
    pthread_mutex_lock(&store->mutex);
    conn->next = store->idle;
    store->idle = conn;
    store->lent--;
    pthread_mutex_unlock(&store->mutex);
}

/* Instead of giving it back. */
static void drop(ht_conn *conn) {
    ht_store *store = conn->store;
    ht_conn_close(conn);
    pthread_mutex_lock(&store->mutex);
    store->lent--;
    pthread_mutex_unlock(&store->mutex);
}

hither_status ht_store_data_version(ht_store *store, uint64_t *out, hither_error *err) {
    hither_status status = HITHER_OK;
    /* The number means something only when the same connection is asked each time. */
    pthread_mutex_lock(&store->mutex);
    if (!store->watch)
        status = ht_conn_open(store, store->catalog_path, SQLITE_OPEN_READONLY, &store->watch, err);
    sqlite3_stmt *stmt = NULL;
    if (status == HITHER_OK)
        status = ht_conn_prepare(store->watch, SQL_DATA_VERSION, 0, &stmt, err);
    if (status == HITHER_OK) {
        if (sqlite3_step(stmt) == SQLITE_ROW)
            *out = (uint64_t)sqlite3_column_int64(stmt, 0);
        else
            status = ht_conn_fail(store->watch, "asking for news", err);
        sqlite3_reset(stmt);
    }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static hither_status read_floor(ht_conn *conn, int64_t cid, hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, SQL_FLOOR, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, cid);
    int rc = sqlite3_step(stmt);
    hither_status status = HITHER_OK;
    if (rc == SQLITE_ROW)
        conn->reader.floor = (uint64_t)sqlite3_column_int64(stmt, 0);
    else if (rc != SQLITE_DONE)
        status = ht_conn_fail(conn, "asking what was compacted", err);
    sqlite3_reset(stmt);
    return status;
}

uint64_t ht_reader_floor(const ht_reader *reader) { return reader->floor; }

hither_status ht_reader_begin(ht_store *store, int64_t cid, ht_reader **out, uint64_t *seq, hither_error *err) {
    ht_conn *conn;
    HT_TRY(ht_pool_take(store, &conn, err));
    hither_status status = ht_conn_do(conn, SQL_BEGIN, err);
    /* The first read fixes the version. */
    if (status == HITHER_OK)
        status = ht_collection_read(conn, NULL, cid, &conn->reader.row, err);
    conn->reader.floor = 0;
    if (status == HITHER_OK && store->readonly)
        status = read_floor(conn, cid, err);
    if (status != HITHER_OK) {
        ht_reader_end(&conn->reader);
        return status;
    }
    *out = &conn->reader;
    *seq = conn->reader.row.commit_seq;
    return HITHER_OK;
}

void ht_reader_let_go(ht_reader *reader) {
    if (reader->held)
        sqlite3_reset(reader->held);
    reader->held = NULL;
}

void ht_reader_end(ht_reader *reader) {
    if (!reader)
        return;
    ht_conn *conn = reader->conn;
    ht_reader_let_go(reader);
    if (!sqlite3_get_autocommit(conn->db) && ht_conn_do(conn, SQL_ROLLBACK, NULL) != HITHER_OK)
        drop(conn); /* a connection that cannot even end what it only read is of no use to the next */
    else
        ht_pool_give(conn);
}

/* The slot a statement finds, UINT64_MAX if none. */
static hither_status one_slot(ht_conn *conn, sqlite3_stmt *stmt, uint64_t *slot, hither_error *err) {
    int rc = sqlite3_step(stmt);
    hither_status status = HITHER_OK;
    if (rc == SQLITE_ROW)
        *slot = (uint64_t)sqlite3_column_int64(stmt, 0);
    else if (rc == SQLITE_DONE)
        *slot = UINT64_MAX;
    else
        status = ht_conn_fail(conn, "looking an id up", err);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt); /* they point at the caller's ids */
    return status;
}

hither_status ht_reader_find(ht_reader *reader, const hither_ids *ids, size_t i, uint64_t seq, uint64_t slot_limit,
                             uint64_t *slot, hither_error *err) {
    ht_conn *conn = reader->conn;
    sqlite3_stmt *stmt;
    uint64_t found = UINT64_MAX;
    ht_reader_let_go(reader);
    HT_TRY(ht_conn_prepare(conn, SQL_ROW_FIND, reader->row.cid, &stmt, err));
    ht_bind_id(stmt, 1, ids, i);
    HT_TRY(one_slot(conn, stmt, &found, err));
    /* Not alive now, or written later: a version that died after `seq` may be the one. */
    if (found >= slot_limit && seq < reader->row.commit_seq) {
        HT_TRY(ht_conn_prepare(conn, SQL_ROW_FIND_DEAD, reader->row.cid, &stmt, err));
        ht_bind_id(stmt, 1, ids, i);
        sqlite3_bind_int64(stmt, 2, (int64_t)seq);
        sqlite3_bind_int64(stmt, 3, slot_limit > INT64_MAX ? INT64_MAX : (int64_t)slot_limit);
        HT_TRY(one_slot(conn, stmt, &found, err));
    }
    *slot = found < slot_limit ? found : UINT64_MAX;
    return HITHER_OK;
}

hither_status ht_reader_row(ht_reader *reader, uint64_t slot, ht_row *out, hither_error *err) {
    ht_conn *conn = reader->conn;
    sqlite3_stmt *stmt;
    ht_reader_let_go(reader);
    HT_TRY(ht_conn_prepare(conn, SQL_ROW_GET, reader->row.cid, &stmt, err));
    sqlite3_bind_int64(stmt, 1, slot > INT64_MAX ? -1 : (int64_t)slot);
    reader->held = stmt;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_DONE)
        return ht_fail(err, HITHER_NOT_FOUND, "collection '%s' has no row in slot %" PRIu64, reader->row.name, slot);
    if (rc != SQLITE_ROW)
        return ht_conn_fail(conn, "reading a row", err);
    ht_row row = {.slot = slot};
    bool good = true;
    int type = sqlite3_column_type(stmt, 0);
    if (type == SQLITE_INTEGER) {
        row.id_kind = HT_ID_INT;
        row.int_id = sqlite3_column_int64(stmt, 0);
    } else if (type == SQLITE_TEXT) {
        row.id_kind = HT_ID_TEXT;
        good = ht_column_text(stmt, 0, &row.text_id);
    }
    if (row.id_kind == HT_ID_UNKNOWN || row.id_kind != reader->row.id_kind)
        return ht_fail(err, HITHER_CORRUPT, "catalog: the id in slot %" PRIu64 " of collection '%s' is of another kind",
                       slot, reader->row.name);
    good = good && ht_column_text(stmt, 1, &row.metadata) && ht_column_text(stmt, 2, &row.document);
    if (!good)
        return ht_fail_nomem(err, 0, "a row");
    *out = row;
    return HITHER_OK;
}

hither_status ht_txn_row(ht_store *store, const ht_collection_row *collection, uint64_t slot, ht_row *out,
                         hither_error *err) {
    ht_reader *reader = &store->writer->reader;
    reader->row = *collection;
    return ht_reader_row(reader, slot, out, err);
}

hither_status ht_reader_dead(ht_reader *reader, uint64_t after,
                             hither_status (*each)(void *arg, uint64_t slot, uint64_t dead_seq), void *arg,
                             hither_error *err) {
    ht_conn *conn = reader->conn;
    sqlite3_stmt *stmt;
    ht_reader_let_go(reader);
    HT_TRY(ht_conn_prepare(conn, SQL_ROW_DEAD, reader->row.cid, &stmt, err));
    sqlite3_bind_int64(stmt, 1, (int64_t)after);
    hither_status status = HITHER_OK;
    int rc;
    while (status == HITHER_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) { /* asking for a column now would put its own error in the place of this one */
            status = ht_conn_fail(conn, "reading the dead rows", err);
            break;
        }
        uint64_t slot = (uint64_t)sqlite3_column_int64(stmt, 0);
        if (slot >= reader->row.next_slot)
            status = ht_fail(err, HITHER_CORRUPT, "catalog: collection '%s' has a row in slot %" PRIu64 " of %" PRIu64,
                             reader->row.name, slot, reader->row.next_slot);
        else
            status = each(arg, slot, (uint64_t)sqlite3_column_int64(stmt, 1));
    }
    sqlite3_reset(stmt);
    return status;
}

/* Calls each(arg, slot, text) with the one text that a statement over slots gives. */
static hither_status each_text(ht_reader *reader, ht_sql sql, const char *what, uint64_t begin, uint64_t end,
                               hither_status (*each)(void *arg, uint64_t slot, ht_text text), void *arg,
                               hither_error *err) {
    ht_conn *conn = reader->conn;
    sqlite3_stmt *stmt;
    ht_reader_let_go(reader);
    HT_TRY(ht_conn_prepare(conn, sql, reader->row.cid, &stmt, err));
    sqlite3_bind_int64(stmt, 1, begin > INT64_MAX ? INT64_MAX : (int64_t)begin);
    sqlite3_bind_int64(stmt, 2, end > INT64_MAX ? INT64_MAX : (int64_t)end);
    hither_status status = HITHER_OK;
    int rc;
    while (status == HITHER_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        ht_text text;
        if (rc != SQLITE_ROW)
            status = ht_conn_fail(conn, what, err);
        else if (!ht_column_text(stmt, 1, &text))
            status = ht_fail_nomem(err, 0, "a row");
        else
            status = each(arg, (uint64_t)sqlite3_column_int64(stmt, 0), text);
    }
    sqlite3_reset(stmt);
    return status;
}

hither_status ht_reader_metadata(ht_reader *reader, uint64_t begin, uint64_t end,
                                 hither_status (*each)(void *arg, uint64_t slot, ht_text metadata), void *arg,
                                 hither_error *err) {
    return each_text(reader, SQL_ROW_METADATA, "reading metadata", begin, end, each, arg, err);
}

hither_status ht_reader_documents(ht_reader *reader, uint64_t begin, uint64_t end,
                                  hither_status (*each)(void *arg, uint64_t slot, ht_text document), void *arg,
                                  hither_error *err) {
    return each_text(reader, SQL_ROW_DOCUMENT, "reading documents", begin, end, each, arg, err);
}

hither_status ht_reader_collection(ht_reader *reader, ht_collection_row *out, hither_error *err) {
    (void)err;
    HT_TRY(ht_fields_read(reader->conn, &reader->row, err));
    *out = reader->row;
    return HITHER_OK;
}
