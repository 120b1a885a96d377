/*
 * catalog.c: connections to the catalog: how one is opened and made safe, its cached statements, its errors in words,
 * and the making of a new catalog. A connection belongs to one thread at a time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "store/inside.h"

enum {
    CHECKPOINT_FRAMES = 10000,      /* 40 MB of log */
    LENGTH_LIMIT = 40 * 1024 * 1024 /* two texts of the largest size, an id, and room */
};

/* ---- errors */

static hither_status status_of(int code) {
    switch (code) {
    case SQLITE_IOERR_NOMEM:
        return HITHER_NOMEM;
    case SQLITE_IOERR_DATA:
    case SQLITE_IOERR_CORRUPTFS:
        return HITHER_CORRUPT;
    default:
        break;
    }
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return HITHER_NOMEM;
    case SQLITE_FULL:
        return HITHER_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return HITHER_BUSY;
    case SQLITE_READONLY:
        return HITHER_READONLY;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return HITHER_PERMISSION;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
        return HITHER_IO;
    case SQLITE_INTERRUPT:
        return HITHER_INTERRUPTED;
    default:
        /* Our statements are right and our tables known, so whatever else SQLite objects to is in the file. */
        return HITHER_CORRUPT;
    }
}

hither_status ht_conn_fail(ht_conn *conn, const char *doing, hither_error *err) {
    ht_store *store = conn->store;
    int code = sqlite3_extended_errcode(conn->db);
    int os_errno = sqlite3_system_errno(conn->db);
    hither_status status = status_of(code);
    if (conn == store->writer && (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC))
        ht_store_poison(store);
    if (code == SQLITE_IOERR_DATA || (code & 0xff) == SQLITE_NOTADB) {
        char trouble[sizeof store->vfs->trouble];
        pthread_mutex_lock(&store->vfs->lock);
        bool foreign = store->vfs->foreign;
        memcpy(trouble, store->vfs->trouble, sizeof trouble);
        pthread_mutex_unlock(&store->vfs->lock);
        if (foreign)
            return ht_fail(err, HITHER_NOT_DATABASE, "%s holds no hither database: its catalog is something else",
                           store->path);
        if (code == SQLITE_IOERR_DATA)
            return ht_fail(err, HITHER_CORRUPT, "%s (while %s); run verify, then restore from a copy", trouble, doing);
    }
    if (status == HITHER_IO && os_errno != 0)
        return ht_fail_errno(err, os_errno, "catalog: %s failed", doing);
    if (status == HITHER_FULL)
        ht_fail(err, status, "no space left for the catalog of %s (while %s); nothing was changed", store->path, doing);
    else
        ht_fail(err, status, "catalog: %s failed: %s", doing, sqlite3_errmsg(conn->db));
    if (err)
        err->os_errno = os_errno;
    return status;
}

/* ---- statements */

static sqlite3_stmt **slot_of(ht_conn *conn, ht_sql which, int64_t cid) {
    if (which < SQL_FIXED)
        return &conn->fixed[which];
    for (size_t i = 0; i < HT_CONN_COLLECTIONS; i++) {
        if (conn->collections[i].cid == cid)
            return &conn->collections[i].rows[which - SQL_FIXED];
    }
    unsigned victim = conn->victim++ % HT_CONN_COLLECTIONS;
    if (conn->collections[victim].cid != 0)
        ht_conn_forget(conn, conn->collections[victim].cid);
    conn->collections[victim].cid = cid;
    return &conn->collections[victim].rows[which - SQL_FIXED];
}

void ht_conn_forget(ht_conn *conn, int64_t cid) {
    for (size_t i = 0; i < HT_CONN_COLLECTIONS; i++) {
        if (conn->collections[i].cid != cid)
            continue;
        for (int k = 0; k < SQL_COUNT - SQL_FIXED; k++) {
            sqlite3_finalize(conn->collections[i].rows[k]);
            conn->collections[i].rows[k] = NULL;
        }
        conn->collections[i].cid = 0;
    }
}

hither_status ht_conn_prepare(ht_conn *conn, ht_sql which, int64_t cid, sqlite3_stmt **out, hither_error *err) {
    sqlite3_stmt **slot = slot_of(conn, which, cid);
    if (!*slot) {
        char sql[512];
        const char *text = ht_sql_text(which);
        if (which >= SQL_FIXED) {
            sqlite3_snprintf(sizeof sql, sql, text, (long long)cid, (long long)cid);
            text = sql;
        }
        if (sqlite3_prepare_v3(conn->db, text, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK)
            return ht_conn_fail(conn, "preparing a statement", err);
    } else {
        sqlite3_reset(*slot);
        sqlite3_clear_bindings(*slot);
    }
    *out = *slot;
    return HITHER_OK;
}

hither_status ht_conn_run(ht_conn *conn, sqlite3_stmt *stmt, const char *doing, hither_error *err) {
    int rc = sqlite3_step(stmt);
    hither_status status = HITHER_OK;
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        status = ht_conn_fail(conn, doing, err);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt); /* they point at what the caller owns */
    return status;
}

hither_status ht_conn_do(ht_conn *conn, ht_sql which, hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, which, 0, &stmt, err));
    return ht_conn_run(conn, stmt, ht_sql_text(which), err);
}

hither_status ht_conn_exec(ht_conn *conn, const char *sql, hither_error *err) {
    if (sqlite3_exec(conn->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return ht_conn_fail(conn, "setting up", err);
    return HITHER_OK;
}

hither_status ht_conn_number(ht_conn *conn, const char *sql, int64_t *out, hither_error *err) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return ht_conn_fail(conn, "reading the catalog", err);
    hither_status status = HITHER_OK;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else
        status = rc == SQLITE_DONE ? ht_fail(err, HITHER_CORRUPT, "catalog: '%s' has no answer", sql)
                                   : ht_conn_fail(conn, "reading the catalog", err);
    sqlite3_finalize(stmt);
    return status;
}

void ht_bind_id(sqlite3_stmt *stmt, int at, const hither_ids *ids, size_t i) {
    if (ht_ids_are_ints(ids))
        sqlite3_bind_int64(stmt, at, ids->ints[i]);
    else
        ht_bind_text(stmt, at, ht_strings_at(&ids->strings, i));
}

void ht_bind_text(sqlite3_stmt *stmt, int at, ht_text text) {
    if (text.data)
        sqlite3_bind_text64(stmt, at, text.data, text.bytes, SQLITE_STATIC, SQLITE_UTF8);
}

bool ht_column_text(sqlite3_stmt *stmt, int at, ht_text *out) {
    *out = (ht_text){0};
    if (sqlite3_column_type(stmt, at) == SQLITE_NULL)
        return true;
    out->data = (const char *)sqlite3_column_text(stmt, at);
    out->bytes = (size_t)sqlite3_column_bytes(stmt, at);
    return out->data != NULL;
}

/* ---- connections */

/* After each commit of the writer. A checkpoint that fails costs nothing but space, for the log still has all of it;
 * but a sync that fails is never tried again. */
static int after_commit(void *arg, sqlite3 *db, const char *name, int frames) {
    ht_store *store = arg;
    if (frames >= CHECKPOINT_FRAMES &&
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_IOERR_FSYNC)
        ht_store_poison(store);
    return SQLITE_OK;
}

static void harden(sqlite3 *db) {
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, (int *)NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LENGTH_LIMIT);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_busy_timeout(db, HT_BUSY_MS);
}

hither_status ht_conn_open(ht_store *store, const char *path, int flags, ht_conn **out, hither_error *err) {
    bool write = (flags & SQLITE_OPEN_READWRITE) != 0;
    ht_conn *conn = ht_calloc(1, sizeof *conn);
    if (!conn)
        return ht_fail_nomem(err, sizeof *conn, "a connection to the catalog");
    conn->store = store;
    conn->reader.conn = conn;
    hither_status status;
    int rc = sqlite3_open_v2(path, &conn->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, store->vfs->name);
    if (rc != SQLITE_OK) {
        status = conn->db ? ht_conn_fail(conn, "opening it", err)
                          : ht_fail_nomem(err, sizeof *conn, "a connection to the catalog");
        goto fail;
    }
    harden(conn->db);
    if (!write)
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    /* The log and its index stay behind when the last connection closes, so that a process without the right to make
     * files here can still read. */
    int persist = !(flags & SQLITE_OPEN_CREATE);
    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    status = ht_conn_exec(conn,
                          "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; "
                          "PRAGMA cell_size_check=ON; PRAGMA recursive_triggers=OFF",
                          err);
    if (status == HITHER_OK && !(flags & SQLITE_OPEN_CREATE))
        status = ht_conn_exec(conn,
                              write ? "PRAGMA synchronous=FULL; PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1; "
                                      "PRAGMA cache_size=-32768; PRAGMA journal_size_limit=67108864"
                                    : "PRAGMA query_only=1; PRAGMA cache_size=-4096",
                              err);
    /* The log is then synced only before it is folded into the catalog, which a power cut therefore leaves sound. */
    if (status == HITHER_OK && write && store->unsynced)
        status = ht_conn_exec(conn, "PRAGMA synchronous=NORMAL", err);
    if (status == HITHER_OK) {
        if (write)
            sqlite3_wal_hook(conn->db, after_commit, store);
        *out = conn;
        return HITHER_OK;
    }
fail:
    ht_conn_close(conn);
    return status;
}

void ht_conn_close(ht_conn *conn) {
    if (!conn)
        return;
    for (int i = 0; i < SQL_FIXED; i++)
        sqlite3_finalize(conn->fixed[i]);
    for (size_t i = 0; i < HT_CONN_COLLECTIONS; i++) {
        if (conn->collections[i].cid != 0)
            ht_conn_forget(conn, conn->collections[i].cid);
    }
    sqlite3_close(conn->db);
    ht_release(conn);
}

/* ---- a new catalog */

static hither_status fill(ht_conn *conn, hither_error *err) {
    int reserved = HT_PAGE_RESERVED;
    if (sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved) != SQLITE_OK)
        return ht_fail(err, HITHER_UNSUPPORTED, "SQLite %s cannot reserve bytes in a page", sqlite3_libversion());
    char sql[256];
    snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d; INSERT INTO meta VALUES('format', %d)",
             HT_APPLICATION_ID, HT_STORE_FORMAT, HT_STORE_FORMAT);
    HT_TRY(ht_conn_exec(
        conn,
        "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA encoding='UTF-8'; PRAGMA journal_mode=WAL; "
        "PRAGMA synchronous=FULL; BEGIN IMMEDIATE",
        err));
    HT_TRY(ht_conn_exec(conn, ht_schema_sql, err));
    HT_TRY(ht_conn_exec(conn, sql, err));
    HT_TRY(ht_conn_exec(conn, "INSERT INTO meta VALUES('uuid', randomblob(16)); COMMIT", err));
    if (sqlite3_wal_checkpoint_v2(conn->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
        return ht_conn_fail(conn, "writing a new catalog", err);
    return HITHER_OK;
}

hither_status ht_catalog_create(ht_store *store, hither_error *err) {
    const ht_io *io = store->io;
    char *path = ht_path_join(store->tmp_path, "catalog");
    if (!path)
        return ht_fail_nomem(err, strlen(store->tmp_path), "a path");
    ht_conn *conn = NULL;
    ht_file *file = NULL;
    /* Made here, for its owner alone: SQLite would let others read it. */
    hither_status status = io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &file, err);
    if (status == HITHER_OK) {
        io->close(file);
        status = ht_conn_open(store, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &conn, err);
    }
    if (status == HITHER_OK)
        status = fill(conn, err);
    ht_conn_close(conn); /* takes its log and index away, being the last */
    /* Only a whole catalog ever bears the name. */
    if (status == HITHER_OK)
        status = io->rename(io->ctx, path, store->catalog_path, err);
    if (status == HITHER_OK)
        status = io->sync_folder(io->ctx, store->path, err);
    ht_release(path);
    return status;
}

/* Every table and index is one we know, with the text we gave it: a file that was tampered with does not get to run
 * triggers, views or expressions of its own. */
static hither_status check_schema(ht_conn *conn, hither_error *err) {
    int64_t strange = 0;
    HT_TRY(
        ht_conn_number(conn, "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')", &strange, err));
    if (strange != 0)
        return ht_fail(err, HITHER_CORRUPT, "catalog: it holds %" PRId64 " triggers or views, which hither never makes",
                       strange);
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(conn->db, "SELECT sql FROM sqlite_schema WHERE name = ?1", -1, &stmt, NULL) != SQLITE_OK)
        return ht_conn_fail(conn, "reading the schema", err);
    static const char *const names[] = {"meta", "collections", "fields", "segments", "segments_by_slot"};
    const char *at = ht_schema_sql;
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && status == HITHER_OK; i++) {
        size_t bytes = strcspn(at, ";");
        sqlite3_reset(stmt);
        sqlite3_bind_text(stmt, 1, names[i], -1, SQLITE_STATIC);
        int rc = sqlite3_step(stmt);
        ht_text sql = {0};
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            status = ht_conn_fail(conn, "reading the schema", err);
        else if (rc == SQLITE_DONE || !ht_column_text(stmt, 0, &sql) || !sql.data || sql.bytes != bytes ||
                 memcmp(sql.data, at, bytes) != 0)
            status = ht_fail(err, HITHER_CORRUPT, "catalog: '%s' is missing or not as hither made it", names[i]);
        at += bytes + 1;
    }
    sqlite3_finalize(stmt);
    return status;
}

static hither_status check_journal(ht_conn *conn, hither_error *err) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(conn->db, "PRAGMA journal_mode", -1, &stmt, NULL) != SQLITE_OK)
        return ht_conn_fail(conn, "reading the journal mode", err);
    ht_text mode = {0};
    hither_status status = HITHER_OK;
    if (sqlite3_step(stmt) != SQLITE_ROW || !ht_column_text(stmt, 0, &mode))
        status = ht_conn_fail(conn, "reading the journal mode", err);
    else if (mode.bytes != 3 || memcmp(mode.data, "wal", 3) != 0)
        status = ht_fail(err, HITHER_CORRUPT, "catalog: it is not in WAL mode; another program changed it");
    sqlite3_finalize(stmt);
    return status;
}

hither_status ht_catalog_check(ht_conn *conn, hither_error *err) {
    int64_t id = 0, format = 0;
    HT_TRY(ht_conn_number(conn, "PRAGMA application_id", &id, err));
    if (id != HT_APPLICATION_ID)
        return ht_fail(err, HITHER_NOT_DATABASE, "%s holds no hither database: its catalog is some other SQLite file",
                       conn->store->path);
    HT_TRY(ht_conn_number(conn, "PRAGMA user_version", &format, err));
    if (format > HT_STORE_FORMAT)
        return ht_fail(err, HITHER_FORMAT,
                       "%s has format %" PRId64 "; this hither reads formats up to %d. Use a newer hither",
                       conn->store->path, format, HT_STORE_FORMAT);
    if (format < 1)
        return ht_fail(err, HITHER_CORRUPT, "catalog: format %" PRId64 " never existed", format);
    HT_TRY(check_journal(conn, err));
    return check_schema(conn, err);
}
