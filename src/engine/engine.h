/*
 * engine.h: the one place where rows and indexes meet. A database of collections: the write path (group.c), the
 * snapshots readers hold (snapshot.c), search, get, scan. It knows vectors, not texts or models: api/ embeds first.
 *
 * Lock order, everywhere: collection building lock -> database writer lock -> collection table lock or queue lock.
 * Readers take none: a search pins a snapshot through a hazard pointer in a scratch from a lock-free pool, runs no SQL
 * until it fetches payloads, and never waits for a writer. (A read-only handle has no writer; its readers take the
 * writer lock to advance to what another process has committed.)
 *
 * The functions mirror hither.h one to one (ht_db_open for hither_db_open); their contracts stand there. Arguments
 * have been checked by api/ as far as that needs no database: pointers, sizes of options, UTF-8 and shapes of columns,
 * finite vectors. The engine checks what needs the collection: dimension, id kind, JSON, known ids.
 */
#ifndef HT_ENGINE_ENGINE_H
#define HT_ENGINE_ENGINE_H

#include "base/error.h"
#include "base/io.h"
#include "base/result.h"
#include "engine/filter.h"

typedef struct ht_db ht_db;
typedef struct ht_collection ht_collection;
typedef struct ht_cursor ht_cursor;
struct ht_progress;

typedef struct ht_collection_spec {
    uint32_t flags; /* HITHER_COLLECTION_... */
    uint32_t dim;   /* 0: not said */
    hither_dtype dtype;
    hither_metric metric;       /* 0: not said */
    const char *embedder;       /* NULL: not said; "" none */
    const char *schema;         /* NULL: not said */
    const hither_field *fields; /* none: not said */
    size_t field_count;
} ht_collection_spec;

/* Beside HITHER_OPEN_... in flags: HITHER_DURABILITY_MEMORY, HITHER_DURABILITY_RELAXED. */
#define HT_OPEN_UNSYNCED (1u << 31)
#define HT_OPEN_RELAXED  (1u << 30)

/* As in hither_db_options; 0 is the default. */
typedef struct ht_db_settings {
    const ht_io *io; /* NULL: the operating system's files, or memory for ":memory:" */
    uint32_t flags, busy_timeout_ms, relaxed_ms;
    uint64_t buffer_bytes, flush_rows;
} ht_db_settings;

/* Puts in what the environment or the default says for what is 0. INVALID names the variable. */
HT_NODISCARD hither_status ht_db_settings_complete(ht_db_settings *settings, hither_error *err);

HT_NODISCARD hither_status ht_db_open(const ht_db_settings *settings, const char *path, ht_db **out, hither_error *err);
/* The same over an implementation of files, which must outlive the database, with defaults. */
HT_NODISCARD hither_status ht_db_open_io(const ht_io *io, const char *path, uint32_t flags, uint32_t busy_timeout_ms,
                                         ht_db **out, hither_error *err);
void ht_db_close(ht_db *db);
HT_NODISCARD hither_status ht_db_flush(ht_db *db, hither_error *err);
HT_NODISCARD hither_status ht_db_list(ht_db *db, hither_result **out, hither_error *err);
HT_NODISCARD hither_status ht_db_info(ht_db *db, hither_result **out, hither_error *err);
HT_NODISCARD hither_status ht_db_drop(ht_db *db, const char *name, hither_error *err);
HT_NODISCARD hither_status ht_db_rename(ht_db *db, const char *from, const char *to, hither_error *err);
HT_NODISCARD hither_status ht_db_verify(ht_db *db, struct ht_progress *progress, hither_result **report,
                                        hither_error *err);
HT_NODISCARD hither_status ht_db_verify_fast(ht_db *db, hither_result **report, hither_error *err);
HT_NODISCARD hither_status ht_db_compact(ht_db *db, struct ht_progress *progress, hither_error *err);
HT_NODISCARD hither_status ht_collection_compact(ht_collection *c, struct ht_progress *progress, hither_error *err);
HT_NODISCARD hither_status ht_db_purge(ht_db *db, struct ht_progress *progress, hither_error *err);
HT_NODISCARD hither_status ht_db_backup(ht_db *db, const char *path, struct ht_progress *progress, hither_error *err);
HT_NODISCARD hither_status ht_db_pack(ht_db *db, const char *path, hither_error *err);
HT_NODISCARD hither_status ht_db_repair(const char *path, const char *to, struct ht_progress *progress,
                                        hither_result **report, hither_error *err);
/* The same over any implementation of files. */
HT_NODISCARD hither_status ht_db_repair_io(const ht_io *io, const char *path, const char *to,
                                           struct ht_progress *progress, hither_result **report, hither_error *err);

HT_NODISCARD hither_status ht_collection_open(ht_db *db, const char *name, const ht_collection_spec *spec,
                                              ht_collection **out, hither_error *err);
void ht_collection_close(ht_collection *c);
HT_NODISCARD hither_status ht_collection_info(ht_collection *c, hither_result **out, hither_error *err);
/* schema NULL: none. */
HT_NODISCARD hither_status ht_collection_set_schema(ht_collection *c, const char *schema, hither_error *err);
bool ht_collection_strict(const ht_collection *c); /* it has a schema */
uint32_t ht_collection_dim(const ht_collection *c);
const char *ht_collection_embedder(const ht_collection *c); /* "" for none */
/* batch->vectors are packed or strided f32. For UPDATE they may be missing, all of them (rows 0) or those whose bit in
 * has_vector is 0 (bit i % 8 of byte i / 8; NULL: all are there). Of an id that stands several times in an UPDATE the
 * rows are applied one after another. */
HT_NODISCARD hither_status ht_collection_put(ht_collection *c, hither_mode mode, const hither_batch *batch,
                                             const uint8_t *has_vector, size_t *written, hither_error *err);
/* The same of vectors that an embedder of this name made (NULL: none did): STALE where rows are of another by now. */
HT_NODISCARD hither_status ht_collection_put_by(ht_collection *c, const char *embedder, hither_mode mode,
                                                const hither_batch *batch, const uint8_t *has_vector, size_t *written,
                                                hither_error *err);
/* Filters are borrowed for the call; NULL: all rows. ids NULL: whatever their ids; then there is a filter. */
HT_NODISCARD hither_status ht_collection_delete(ht_collection *c, const hither_ids *ids, const ht_filter *filter,
                                                size_t *deleted, hither_error *err);
HT_NODISCARD hither_status ht_collection_count(ht_collection *c, const ht_filter *filter, uint64_t *out,
                                               hither_error *err);
HT_NODISCARD hither_status ht_collection_get(ht_collection *c, const hither_ids *ids, const ht_filter *filter,
                                             uint32_t include, hither_result **out, hither_error *err);
/* What a search is to do besides going near. Filters are borrowed; `group` is one of ht_filter_field. */
typedef struct ht_search {
    uint32_t k; /* 0: every row within max_distance, which then is not NULL */
    uint32_t include, threads;
    const ht_filter *filter;   /* NULL: all rows */
    const float *max_distance; /* NULL: however far */
    const ht_filter *group;    /* NULL: no groups */
    uint32_t group_size;
    double diversity; /* 0: none, up to 1 */
    uint32_t candidates;
    const hither_strings *keywords; /* NULL: none; else one a query */
    hither_fusion fusion;
    double vector_weight;
    double recall;   /* where there is an index: the share of the nearest that is enough; 0: its default, 1: exact */
    uint32_t effort; /* its effort, in the place of a recall; 0: not said. Of a graph, */
    uint32_t probes; /* and of lists */
    uint32_t field;  /* whose vectors; 0: the rows' own */
    const hither_matrix *beside; /* a second list of queries to be fused with the first; NULL: none */
    uint32_t beside_field;       /* whose vectors those are */
    const char *embedder;        /* who made the queries: STALE where rows are of another by now; NULL: nobody did */
} ht_search;

/* queries are f32; or NULL, and ids names rows whose vectors are the queries, or is empty: then there are keywords. */
HT_NODISCARD hither_status ht_collection_search(ht_collection *c, const hither_matrix *queries, const hither_ids *ids,
                                                const ht_search *search, hither_result **out, hither_error *err);

typedef struct ht_recommend {
    hither_ids positive, negative; /* rows; either may be empty, not both */
    hither_strategy strategy;
} ht_recommend;
HT_NODISCARD hither_status ht_collection_recommend(ht_collection *c, const ht_recommend *examples,
                                                   const ht_search *search, hither_result **out, hither_error *err);

/* One page of rows; `where` and `order` besides their filters only to know the listing again. */
typedef struct ht_page {
    const ht_filter *filter, *order; /* NULL: all rows; in order of writing. `order` is one of ht_filter_field */
    const char *where, *order_by;    /* their texts, or NULL */
    bool descending;
    uint32_t include, limit;
    uint64_t offset;
    const char *after; /* a token, or NULL */
} ht_page;
HT_NODISCARD hither_status ht_collection_page(ht_collection *c, const ht_page *page, hither_result **out,
                                              hither_error *err);
HT_NODISCARD hither_status ht_collection_facets(ht_collection *c, const ht_filter *field, const ht_filter *filter,
                                                uint32_t limit, hither_result **out, hither_error *err);
HT_NODISCARD hither_status ht_collection_scan(ht_collection *c, const ht_filter *filter, uint32_t include,
                                              ht_cursor **out, hither_error *err);
/* The hits of a search, the nearest first, as many as are asked for: see cursor.h. */
HT_NODISCARD hither_status ht_collection_search_on(ht_collection *c, const float *query, size_t dim,
                                                   const ht_search *search, ht_cursor **out, hither_error *err);
HT_NODISCARD hither_status ht_cursor_next(ht_cursor *cursor, size_t limit, hither_result **out, hither_error *err);
void ht_cursor_close(ht_cursor *cursor);

#endif
