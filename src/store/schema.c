/*
 * schema.c: all of the SQL in hither. The tables are format 1, for good: docs/format.md says what each column means.
 * What later features need is here already: named, sparse and multi-vector fields are rows of `fields` and `segments`,
 * compaction is `state`.
 */
#include <stddef.h>

#include "store/inside.h"

const char *const ht_schema_sql =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE collections("
    "cid INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL, dtype INTEGER NOT NULL, "
    "metric INTEGER NOT NULL, id_kind INTEGER NOT NULL, embedder TEXT NOT NULL, next_slot INTEGER NOT NULL, "
    "live_count INTEGER NOT NULL, commit_seq INTEGER NOT NULL) STRICT;"
    "CREATE TABLE fields("
    "cid INTEGER NOT NULL, field INTEGER NOT NULL, name TEXT NOT NULL, dim INTEGER NOT NULL, dtype INTEGER NOT NULL, "
    "metric INTEGER NOT NULL, layout INTEGER NOT NULL, PRIMARY KEY(cid, field)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE segments("
    "sid INTEGER PRIMARY KEY AUTOINCREMENT, cid INTEGER NOT NULL, field INTEGER NOT NULL, uuid BLOB NOT NULL, "
    "first_slot INTEGER NOT NULL, capacity INTEGER NOT NULL, committed INTEGER NOT NULL, state INTEGER NOT NULL) "
    "STRICT;"
    "CREATE UNIQUE INDEX segments_by_slot ON segments(cid, field, first_slot);";

const char *const ht_rows_create[3] = {
    ("CREATE TABLE rows_%lld(slot INTEGER PRIMARY KEY, id ANY NOT NULL, metadata TEXT, document TEXT, "
     "dead_seq INTEGER, flags INTEGER NOT NULL DEFAULT 0) STRICT"),
    "CREATE UNIQUE INDEX rows_%lld_live ON rows_%lld(id) WHERE dead_seq IS NULL",
    "CREATE INDEX rows_%lld_dead ON rows_%lld(dead_seq) WHERE dead_seq IS NOT NULL",
};
const char *const ht_rows_drop = "DROP TABLE rows_%lld";

#define COLLECTION "SELECT cid, name, dim, dtype, metric, id_kind, embedder, next_slot, live_count, commit_seq "

static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN DEFERRED",
    [SQL_BEGIN_IMMEDIATE] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_DATA_VERSION] = "PRAGMA data_version",
    [SQL_COLLECTIONS] = COLLECTION "FROM collections ORDER BY name",
    [SQL_COLLECTION_BY_NAME] = COLLECTION "FROM collections WHERE name = ?1",
    [SQL_COLLECTION_BY_CID] = COLLECTION "FROM collections WHERE cid = ?1",
    [SQL_COLLECTION_ADD] = "INSERT INTO collections(name, dim, dtype, metric, id_kind, embedder, next_slot, "
                           "live_count, commit_seq) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SQL_COLLECTION_SET] = "UPDATE collections SET next_slot = ?2, live_count = ?3, commit_seq = ?4, id_kind = ?5 "
                           "WHERE cid = ?1",
    [SQL_COLLECTION_RENAME] = "UPDATE collections SET name = ?2 WHERE cid = ?1",
    [SQL_COLLECTION_REEMBED] = "UPDATE collections SET dim = ?2, embedder = ?3 WHERE cid = ?1",
    [SQL_FIELD_DIM] = "UPDATE fields SET dim = ?2 WHERE cid = ?1 AND field = 0",
    [SQL_COLLECTION_DROP] = "DELETE FROM collections WHERE cid = ?1",
    [SQL_FIELD_ADD] = "INSERT INTO fields(cid, field, name, dim, dtype, metric, layout) "
                      "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_FIELDS] = "SELECT field, name, dim, dtype, metric, layout FROM fields WHERE cid = ?1 ORDER BY field",
    [SQL_FIELDS_DROP] = "DELETE FROM fields WHERE cid = ?1",
    [SQL_SEGMENTS] = "SELECT sid, uuid, first_slot, capacity, committed, state FROM segments "
                     "WHERE cid = ?1 AND field = 0 ORDER BY first_slot",
    [SQL_SEGMENT_SET] = "INSERT INTO segments(sid, cid, field, uuid, first_slot, capacity, committed, state) "
                        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
                        "ON CONFLICT(sid) DO UPDATE SET committed = excluded.committed",
    [SQL_SEGMENTS_DROP] = "DELETE FROM segments WHERE cid = ?1",
    [SQL_SEGMENT_ADD] = "INSERT INTO segments(sid, cid, field, uuid, first_slot, capacity, committed, state) "
                        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_SEGMENT_DROP] = "DELETE FROM segments WHERE sid = ?1",
    [SQL_FLOOR] = "SELECT value FROM meta WHERE key = 'floor-' || ?1",
    [SQL_FLOOR_SET] = "INSERT INTO meta(key, value) VALUES('floor-' || ?1, ?2) "
                      "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    [SQL_TTL] = "SELECT value FROM meta WHERE key = 'ttl-' || ?1",
    [SQL_TTL_SET] = "INSERT INTO meta(key, value) VALUES('ttl-' || ?1, ?2) "
                    "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    [SQL_TTL_DROP] = "DELETE FROM meta WHERE key = 'ttl-' || ?1",
    [SQL_SCHEMA] = "SELECT value FROM meta WHERE key = 'schema-' || ?1",
    [SQL_SCHEMA_SET] = "INSERT INTO meta(key, value) VALUES('schema-' || ?1, ?2) "
                       "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    [SQL_SCHEMA_DROP] = "DELETE FROM meta WHERE key = 'schema-' || ?1",
    [SQL_INDEX] = "SELECT value FROM meta WHERE key = 'index-' || ?1",
    [SQL_INDEX_SET] = "INSERT INTO meta(key, value) VALUES('index-' || ?1, ?2) "
                      "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    [SQL_INDEX_DROP] = "DELETE FROM meta WHERE key = 'index-' || ?1",
    [SQL_FLOOR_DROP] = "DELETE FROM meta WHERE key = 'floor-' || ?1",
    [SQL_ROW_FIND] = "SELECT slot FROM rows_%lld INDEXED BY rows_%lld_live WHERE id = ?1 AND dead_seq IS NULL",
    [SQL_ROW_FIND_DEAD] = "SELECT slot FROM rows_%lld INDEXED BY rows_%lld_dead "
                          "WHERE dead_seq > ?2 AND id = ?1 AND slot < ?3",
    [SQL_ROW_GET] = "SELECT id, metadata, document FROM rows_%lld WHERE slot = ?1",
    [SQL_ROW_DEAD] = "SELECT slot, dead_seq FROM rows_%lld INDEXED BY rows_%lld_dead WHERE dead_seq > ?1",
    [SQL_ROW_ADD] = "INSERT INTO rows_%lld(slot, id, metadata, document) VALUES(?1, ?2, ?3, ?4)",
    [SQL_ROW_KILL] = "UPDATE rows_%lld SET dead_seq = ?2 WHERE slot = ?1 AND dead_seq IS NULL",
    [SQL_ROW_FORGET] = "DELETE FROM rows_%lld WHERE slot = ?1 AND dead_seq IS NOT NULL",
    [SQL_ROW_METADATA] = "SELECT slot, metadata FROM rows_%lld WHERE slot >= ?1 AND slot < ?2 ORDER BY slot",
    [SQL_ROW_DOCUMENT] = "SELECT slot, document FROM rows_%lld WHERE slot >= ?1 AND slot < ?2 ORDER BY slot",
    [SQL_ROW_ALL] = "SELECT slot, id, metadata, document, dead_seq FROM rows_%lld ORDER BY slot",
};

const char *ht_sql_text(ht_sql which) { return texts[which]; }
