/*
 * inside.h: what the files of this folder know of each other. Nobody else includes it, tests of this folder aside.
 *
 * Two kinds of connection: the writer's (one, behind LOCK, used by the holder of the engine's writer lock) and readers'
 * (a pool; each is used by one thread at a time). Only the writer's ever checkpoints: releases of SQLite before 3.51.3
 * can corrupt the file when a second one does.
 */
#ifndef HT_STORE_INSIDE_H
#define HT_STORE_INSIDE_H

#include <stdatomic.h>

#include "store/segment.h"
#include "store/store.h"
#include "store/vfs.h"

/* Statements of a connection. Those from SQL_FIXED on speak of one collection's rows; see schema.c. */
typedef enum ht_sql {
    SQL_BEGIN,
    SQL_BEGIN_IMMEDIATE,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_DATA_VERSION,
    SQL_COLLECTIONS,
    SQL_COLLECTION_BY_NAME,
    SQL_COLLECTION_BY_CID,
    SQL_COLLECTION_ADD,
    SQL_COLLECTION_SET,
    SQL_COLLECTION_RENAME,
    SQL_COLLECTION_REEMBED,
    SQL_FIELD_DIM,
    SQL_COLLECTION_DROP,
    SQL_FIELD_ADD,
    SQL_FIELDS,
    SQL_FIELDS_DROP,
    SQL_SEGMENTS,
    SQL_SEGMENT_SET,
    SQL_SEGMENTS_DROP,
    SQL_SEGMENT_ADD,
    SQL_SEGMENT_DROP,
    SQL_FLOOR,
    SQL_FLOOR_SET,
    SQL_FLOOR_DROP,
    SQL_TTL,
    SQL_TTL_SET,
    SQL_TTL_DROP,
    SQL_SCHEMA,
    SQL_SCHEMA_SET,
    SQL_SCHEMA_DROP,
    SQL_INDEX,
    SQL_INDEX_SET,
    SQL_INDEX_DROP,
    SQL_FIXED,
    SQL_ROW_FIND = SQL_FIXED,
    SQL_ROW_FIND_DEAD,
    SQL_ROW_GET,
    SQL_ROW_DEAD,
    SQL_ROW_ADD,
    SQL_ROW_KILL,
    SQL_ROW_FORGET,
    SQL_ROW_ALL,
    SQL_ROW_METADATA,
    SQL_ROW_DOCUMENT,
    SQL_COUNT
} ht_sql;

enum {
    HT_CONN_COLLECTIONS = 16, /* collections a connection keeps statements for */
    HT_BUSY_MS = 5000         /* only the recovery of the log by another process makes anyone wait */
};

struct ht_conn;
struct ht_reader {
    struct ht_conn *conn;
    ht_collection_row row;
    uint64_t floor;     /* see ht_reader_floor */
    sqlite3_stmt *held; /* the statement whose row the caller is looking at */
};

typedef struct ht_conn {
    struct ht_conn *next; /* in the pool */
    ht_store *store;
    sqlite3 *db;
    sqlite3_stmt *fixed[SQL_FIXED];
    struct {
        int64_t cid;
        sqlite3_stmt *rows[SQL_COUNT - SQL_FIXED];
    } collections[HT_CONN_COLLECTIONS];
    unsigned victim; /* the next entry to give up */
    ht_reader reader;
} ht_conn;

struct ht_store {
    const ht_io *io;
    char *path, *catalog_path, *segment_path, *tmp_path;
    bool readonly, unsynced;
    ht_segment *to_sync; /* of an unsynced store: written since the last checkpoint, one reference each */
    ht_file *lock;
    ht_vfs *vfs;
    ht_conn *writer; /* NULL when read-only */
    int64_t next_sid;
    int64_t txn_cid;    /* the collection of the transaction, 0 until one is asked for */
    uint64_t txn_limit; /* its slots lie below: what is found elsewhere is damage */
    char *log_path;     /* of the writer: catalog-wal, and which file that is; NULL where the table cannot tell */
    uint64_t log_identity[2];
    atomic_bool poisoned;
    pthread_mutex_t mutex; /* guards what follows */
    ht_conn *idle;         /* readers' connections nobody uses */
    ht_conn *watch;        /* the one data_version asks; made on first need */
    size_t lent;
};

/* ---- segment.c: syncs what ht_segment_sync put off, and lets go of it */
HT_NODISCARD hither_status ht_segments_sync(ht_store *store, hither_error *err);
void ht_segments_let_go(ht_store *store);

/* ---- reader.c: the row that ht_reader_row gave is no longer needed */
void ht_reader_let_go(ht_reader *reader);

/* ---- schema.c: the SQL, all of it */

extern const char *const ht_schema_sql; /* makes an empty catalog of format 1 */
/* The text of a statement; a pattern with the cid for those from SQL_FIXED on. */
const char *ht_sql_text(ht_sql which);
/* The statements that make and drop the rows of a collection, as patterns with the cid. */
extern const char *const ht_rows_create[3];
extern const char *const ht_rows_drop;

/* ---- catalog.c: connections */

HT_NODISCARD hither_status ht_conn_open(ht_store *store, const char *path, int flags, ht_conn **out, hither_error *err);
void ht_conn_close(ht_conn *conn);
/* Fills err from the connection's last error; `doing` begins the message. A failed sync poisons the store. */
hither_status ht_conn_fail(ht_conn *conn, const char *doing, hither_error *err);
/* A cached statement, reset and without bindings; cid only for those from SQL_FIXED on. */
HT_NODISCARD hither_status ht_conn_prepare(ht_conn *conn, ht_sql which, int64_t cid, sqlite3_stmt **out,
                                           hither_error *err);
void ht_conn_forget(ht_conn *conn, int64_t cid); /* finalizes the statements of a collection */
/* Runs a statement that returns nothing, and resets it. */
HT_NODISCARD hither_status ht_conn_run(ht_conn *conn, sqlite3_stmt *stmt, const char *doing, hither_error *err);
HT_NODISCARD hither_status ht_conn_do(ht_conn *conn, ht_sql which, hither_error *err);
HT_NODISCARD hither_status ht_conn_exec(ht_conn *conn, const char *sql, hither_error *err);
HT_NODISCARD hither_status ht_conn_number(ht_conn *conn, const char *sql, int64_t *out, hither_error *err);
/* Makes tmp/catalog and moves it into place. */
HT_NODISCARD hither_status ht_catalog_create(ht_store *store, hither_error *err);
/* The application id, the format, the journal mode and the schema are ours. */
HT_NODISCARD hither_status ht_catalog_check(ht_conn *conn, hither_error *err);
void ht_bind_id(sqlite3_stmt *stmt, int at, const hither_ids *ids, size_t i);
void ht_bind_text(sqlite3_stmt *stmt, int at, ht_text text);
/* A text column; false without memory. NULL gives data NULL. */
bool ht_column_text(sqlite3_stmt *stmt, int at, ht_text *out);

/* ---- reader.c: the pool */

HT_NODISCARD hither_status ht_pool_take(ht_store *store, ht_conn **out, hither_error *err);
void ht_pool_give(ht_conn *conn);

/* ---- collections.c */

/* Without its fields; NOT_FOUND. */
HT_NODISCARD hither_status ht_collection_read(ht_conn *conn, const char *name, int64_t cid, ht_collection_row *out,
                                              hither_error *err);
HT_NODISCARD hither_status ht_collections_each(ht_conn *conn,
                                               hither_status (*each)(void *arg, const ht_collection_row *row),
                                               void *arg, hither_error *err);

/* ---- fields.c: those of a new collection, its own vectors first; within the writer's transaction */
HT_NODISCARD hither_status ht_fields_write(ht_conn *conn, int64_t cid, const ht_collection_row *row, hither_error *err);
/* What ht_collection_read leaves out: the fields, and the width of rows. CORRUPT. */
HT_NODISCARD hither_status ht_fields_read(ht_conn *conn, ht_collection_row *row, hither_error *err);

/* ---- within the writer's transaction */

/* Adds (SQL_SEGMENT_ADD) or extends (SQL_SEGMENT_SET) what the catalog says of a segment. */
HT_NODISCARD hither_status ht_segment_record(ht_conn *conn, ht_sql sql, const ht_segment *segment, uint64_t committed,
                                             hither_error *err);
/* data NULL: none */
HT_NODISCARD hither_status ht_schema_write(ht_conn *conn, int64_t cid, ht_text schema, hither_error *err);

/* ---- recover.c: segments as the catalog knows them */

typedef struct ht_segment_entry {
    ht_segment_header expect; /* what the file's header must say */
    uint64_t committed;
    int64_t state;
} ht_segment_entry;
/* The segments of a collection, by first slot; *out is the caller's to release. */
HT_NODISCARD hither_status ht_segments_list(ht_conn *conn, const ht_collection_row *collection, ht_segment_entry **out,
                                            size_t *count, hither_error *err);
HT_NODISCARD hither_status ht_segments_recover(ht_store *store, hither_error *err);
HT_NODISCARD hither_status ht_segment_load(ht_store *store, const ht_segment_entry *entry, ht_segment **out,
                                           hither_error *err);

/* ---- log.c */

/* The index of the log in shared memory, as SQLite documents it. */
typedef struct ht_log_index {
    uint32_t frames;     /* committed ones */
    uint32_t backfilled; /* of these, in the main file too */
    uint32_t salts[2];   /* others whenever the log starts over */
} ht_log_index;
/* `main` is the catalog as a connection has it open that has read from it. False: there is none, or none to be had. */
bool ht_log_index_read(sqlite3_file *main, ht_log_index *out);
/* CORRUPT if the log holds durable commits that SQLite, having opened it, has dropped: for the writer before its first
 * write. `known`: frames that are in the index need not be looked at again; for a reader, which may be the first to
 * open the log, and may do so beside a writer. */
HT_NODISCARD hither_status ht_log_check(ht_conn *conn, bool known, hither_error *err);
/* Writes the log's bytes over themselves and syncs them. After a sync that failed, the last process to have the
 * database open may have left frames that only the memory of the system has, though no sync ever tells of them again;
 * whatever were built on them, in the log or in the main file, would be built on nothing. */
HT_NODISCARD hither_status ht_log_renew(ht_store *store, hither_error *err);

/* ---- store.c */

/* POISONED, and from then on, if catalog-wal is no longer the file that the writer opened. */
HT_NODISCARD hither_status ht_log_still_ours(ht_store *store, hither_error *err);
/* READONLY or POISONED where nothing may be written. */
HT_NODISCARD hither_status ht_store_writable(const ht_store *store, hither_error *err);

/* Syncs what an UNSYNCED store has written: segments before the log, which says that their rows are there. */
HT_NODISCARD hither_status ht_store_sync_all(ht_store *store, hither_error *err);

/* Removes the files of a folder; a file that will not go is left. `keep` (may be NULL) says which stay. */
void ht_store_sweep(ht_store *store, const char *folder, bool (*keep)(void *arg, const char *name), void *arg);

#endif
