/*
 * store.h: durable rows. A folder holds a catalog (SQLite: ids, metadata, documents, collections, and how many rows of
 * each segment count) and segments (our own append-only files of vectors). SQLite's COMMIT is the only commit point:
 * bytes past the committed length of a segment do not exist.
 *
 * This is the only folder that includes sqlite3.h, and nothing above it writes SQL. docs/format.md has the bytes.
 *
 * Threads: a store has one writer at a time (the engine's writer lock; ht_txn functions and ht_segment_write are for
 * its holder). Readers (ht_reader) may be used by many threads, each acquiring its own. Segment lookups are immutable
 * once published by the engine's snapshot.
 */
#ifndef HT_STORE_STORE_H
#define HT_STORE_STORE_H

#include "base/buf.h"
#include "base/io.h"
#include "base/progress.h"
#include "base/strings.h"

typedef struct ht_store ht_store;
typedef struct ht_segment ht_segment;
typedef struct ht_reader ht_reader;

/* UNSYNCED: commits reach the system, in order, and the disk only by ht_store_checkpoint and on close: what a killed
 * process leaves is whole, what a power cut leaves may not be. */
enum { HT_STORE_READONLY = 1, HT_STORE_EXISTING = 2, HT_STORE_UNSYNCED = 4, HT_STORE_NETWORK = 8 };
#define HT_STORE_FORMAT 1 /* of the files written */

/* ---- open and close */

/* UNSUPPORTED on a network file system, unless NETWORK allows it. Takes LOCK (unless read-only), opens or makes the
 * catalog, empties tmp/, removes segment files the catalog does not know. A second writer: BUSY with the holder's pid.
 * Over a table whose files no SQLite VFS reaches (RAM), one store is open at a time, read-only ones too. NOT_FOUND,
 * NOT_DATABASE (left untouched), FORMAT, CORRUPT, PERMISSION, ... */
HT_NODISCARD hither_status ht_store_open(const ht_io *io, const char *path, unsigned flags, uint32_t busy_timeout_ms,
                                         ht_store **out, hither_error *err);
void ht_store_close(ht_store *store);
bool ht_store_readonly(const ht_store *store);
const char *ht_store_path(const ht_store *store);
const ht_io *ht_store_io(const ht_store *store); /* the table its files are reached through */
const char *ht_store_sqlite_version(void);

/* Bytes of the catalog (with its log), of all segments, of these the vectors of dead rows that compaction has not taken
 * yet, and of the files in cache/. */
typedef struct ht_store_bytes {
    uint64_t catalog, segments, dead, caches;
} ht_store_bytes;
HT_NODISCARD hither_status ht_store_sizes(ht_store *store, ht_store_bytes *out, hither_error *err);
/* Folds the log into the catalog; of an UNSYNCED store, after syncing all that was written. */
HT_NODISCARD hither_status ht_store_checkpoint(ht_store *store, hither_error *err);

/* After a write that may or may not be durable: every later ht_txn_begin is POISONED. */
void ht_store_poison(ht_store *store);
bool ht_store_poisoned(const ht_store *store);

/* ---- collections */

typedef enum ht_id_kind { HT_ID_UNKNOWN = 0, HT_ID_INT = 1, HT_ID_TEXT = 2 } ht_id_kind;

enum { HT_MAX_FIELD_VECTORS = 16384 }; /* vectors of a MULTI field in a row */

/* A vector field beside a collection's own vectors. A row of a segment is `width` floats: the row's own vector, and
 * then what each field has there: `payload` floats, which are the vector (DENSE), the vectors one after another
 * (MULTI), or values and then as many u32 indices (SPARSE), filled up with zeros; and a u32, how many vectors (DENSE: 0
 * or 1) or entries those are. */
typedef struct ht_vector_field {
    char name[HITHER_MAX_FIELD_BYTES + 1];
    hither_vector_kind kind;
    hither_metric metric;
    uint32_t dim;     /* of a vector; SPARSE: 0 */
    uint32_t most;    /* vectors or entries a row may have; DENSE: 1 */
    uint32_t at;      /* floats before it in a row */
    uint32_t payload; /* floats before its count */
} ht_vector_field;

typedef struct ht_collection_row {
    int64_t cid; /* never used twice */
    char name[HITHER_MAX_NAME_BYTES + 1];
    uint32_t dim;
    hither_dtype dtype;
    hither_metric metric;
    ht_id_kind id_kind;
    char embedder[64];  /* name with digest, "" for none */
    uint64_t next_slot; /* slots below it were given out */
    uint64_t live_count;
    uint64_t commit_seq; /* rises by one with every commit to this collection */
    uint32_t width;      /* floats of a row in a segment: dim, where there are no fields */
    uint32_t field_count;
    ht_vector_field fields[HITHER_MAX_FIELDS]; /* number i + 1 is fields[i] */
} ht_collection_row;

/* Fills `width`, and `at` and `payload` of the fields, from the rest. TOO_LARGE where a row would be. */
HT_NODISCARD hither_status ht_fields_place(ht_collection_row *row, hither_error *err);

/* As the catalog stands now. The callback may stop the walk with a status. */
HT_NODISCARD hither_status ht_store_collections(ht_store *store,
                                                hither_status (*each)(void *arg, const ht_collection_row *row),
                                                void *arg, hither_error *err);
/* NOT_FOUND by name or by cid (name NULL). */
HT_NODISCARD hither_status ht_store_collection(ht_store *store, const char *name, int64_t cid, ht_collection_row *out,
                                               hither_error *err);
/* Each its own durable transaction, by the writer. create fills row->cid; `schema` is as in ht_store_set_schema. drop
 * removes rows and, after the commit, the segment files. EXISTS, NOT_FOUND. */
HT_NODISCARD hither_status ht_store_create(ht_store *store, ht_collection_row *row, ht_text schema, hither_error *err);
HT_NODISCARD hither_status ht_store_drop(ht_store *store, int64_t cid, hither_error *err);
HT_NODISCARD hither_status ht_store_rename(ht_store *store, int64_t cid, const char *to, hither_error *err);
/* How many seconds new rows live; 0: for ever, but rows may say otherwise; HT_TTL_OFF: nobody looks at what they say. A
 * durable transaction of its own, by the writer. */
#define HT_TTL_OFF (-1)
HT_NODISCARD hither_status ht_store_set_ttl(ht_store *store, int64_t cid, int64_t seconds, hither_error *err);
HT_NODISCARD hither_status ht_reader_ttl(ht_reader *reader, int64_t *seconds, hither_error *err);
/* What rows must be like, a text whose meaning is the engine's; data NULL: none. Setting is a durable transaction of
 * its own, by the writer. Reading appends it to a buffer that is empty and stays so where there is none. */
HT_NODISCARD hither_status ht_store_set_schema(ht_store *store, int64_t cid, ht_text schema, hither_error *err);
HT_NODISCARD hither_status ht_store_schema(ht_store *store, int64_t cid, ht_buf *out, hither_error *err);
/* What index a collection is to have, a text whose meaning is the engine's; empty: none. Setting is a durable
 * transaction of its own, by the writer. */
#define HT_INDEX_BYTES 256u
HT_NODISCARD hither_status ht_store_set_index(ht_store *store, int64_t cid, const char *text, hither_error *err);
HT_NODISCARD hither_status ht_store_index(ht_store *store, int64_t cid, char out[HT_INDEX_BYTES], hither_error *err);
/* A number that changes whenever another connection has committed (PRAGMA data_version): how a read-only handle learns
 * that there is something new. */
HT_NODISCARD hither_status ht_store_data_version(ht_store *store, uint64_t *out, hither_error *err);

/* ---- segments: a collection's vectors, of all fields, a row at position slot - first_slot */

typedef struct ht_segment_info {
    int64_t sid;
    int64_t cid;
    uint32_t field;
    hither_dtype dtype;
    uint32_t dim;        /* the collection's width */
    size_t stride;       /* bytes a row, a multiple of 64 */
    uint64_t first_slot; /* a multiple of 64 */
    uint64_t capacity;   /* rows, a multiple of 64 */
    uint64_t committed;  /* rows that count, as of loading or the last ht_segment_commit */
} ht_segment_info;

/* The committed segments of a collection by rising first_slot, without overlap, the last one ending at next_slot (slots
 * between them are dead, and compaction has taken their segments); each
 * opened, its header and size checked, and mapped.
 * *out is an array of *count counted references, the caller's (ht_segment_release each, ht_release the array). */
HT_NODISCARD hither_status ht_store_segments(ht_store *store, int64_t cid, ht_segment ***out, size_t *count,
                                             hither_error *err);
/* The same as a reader's transaction sees them; NOT_FOUND where compaction or a drop has overtaken it: then a new
 * transaction sees others. */
HT_NODISCARD hither_status ht_reader_segments(ht_reader *reader, ht_segment ***out, size_t *count, hither_error *err);
/* Makes a new segment file for slots from first_slot on: written under tmp/, synced, renamed, folder synced. It is
 * known to the catalog only by ht_txn_segment. capacity: the next of 1, 2, 4 ... 1,024 MiB for this collection. */
HT_NODISCARD hither_status ht_segment_create(ht_store *store, const ht_collection_row *collection, uint64_t first_slot,
                                             size_t ordinal, ht_segment **out, hither_error *err);
ht_segment *ht_segment_acquire(ht_segment *segment);
void ht_segment_release(ht_segment *segment);
const ht_segment_info *ht_segment_describe(const ht_segment *segment);
/* Whether compaction has taken the row at a position below the committed ones: it is dead to everyone who can see this
 * segment. Any thread. */
bool ht_segment_dropped(const ht_segment *segment, uint64_t position);
bool ht_segment_sparse(const ht_segment *segment); /* whether any row may have been dropped */
/* Row 0 of the mapping; rows past the committed ones hold anything. */
const void *ht_segment_rows(const ht_segment *segment);

/* What the checksum table holds for a row. */
typedef struct ht_row_sums {
    uint32_t vector; /* crc32c(slot as u64 LE || vector bytes, dim elements without padding; nothing if it has none) */
    uint32_t row;    /* crc32c(slot as u64 LE || id || metadata || document), each as tag byte, u32 LE length, bytes */
} ht_row_sums;
/* Folds the sums of rows [begin, end), and where they are, into a digest that began as zeros: equal digests mean equal
 * rows, ids, metadata and documents included, but for chances of one in 2^96. Any thread. */
void ht_segment_digest(const ht_segment *segment, uint64_t begin, uint64_t end, uint64_t digest[2]);
ht_row_sums ht_row_sums_make(uint64_t slot, const void *vector, size_t vector_bytes, const hither_ids *ids, size_t i,
                             ht_text metadata, ht_text document);
/* The bytes from one row of `width` floats to the next. */
size_t ht_segment_stride(uint32_t width);
/* Space for rows that are about to be written, so that running out is noticed before a byte is. FULL: nothing was
 * changed. */
HT_NODISCARD hither_status ht_segment_reserve(ht_segment *segment, uint64_t position, size_t count, hither_error *err);
/* Writes `count` rows (each `stride` bytes, padding zero) and their sums at `position`; not durable before sync. Space
 * is reserved first: on FULL nothing was changed. POISONED: after a commit whose end is unknown, these rows may be
 * committed ones. Several threads may write at once, each its own rows, where space was reserved before. */
HT_NODISCARD hither_status ht_segment_write(ht_segment *segment, uint64_t position, size_t count, const void *rows,
                                            const ht_row_sums *sums, hither_error *err);
/* Of an UNSYNCED store it only remembers that the segment is to be synced. */
HT_NODISCARD hither_status ht_segment_sync(ht_segment *segment, hither_error *err);
/* Checks the vector sums of rows [begin, end); CORRUPT names file, row and offset. Any thread. */
HT_NODISCARD hither_status ht_segment_check(const ht_segment *segment, uint64_t begin, uint64_t end, hither_error *err);

/* ---- the writer's transaction */

/* BEGIN IMMEDIATE. A transaction works on one collection after another: it does not come back to one. POISONED,
 * READONLY. */
HT_NODISCARD hither_status ht_txn_begin(ht_store *store, hither_error *err);
/* The live row with the i-th id: slot, or UINT64_MAX in *slot. It is below next_slot, or was inserted before in this
 * transaction; anything else is CORRUPT. */
HT_NODISCARD hither_status ht_txn_find(ht_store *store, int64_t cid, const hither_ids *ids, size_t i, uint64_t *slot,
                                       hither_error *err);
HT_NODISCARD hither_status ht_txn_insert(ht_store *store, int64_t cid, uint64_t slot, const hither_ids *ids, size_t i,
                                         ht_text metadata, ht_text document, hither_error *err);
/* Marks a slot dead as of commit `seq`. */
HT_NODISCARD hither_status ht_txn_kill(ht_store *store, int64_t cid, uint64_t slot, uint64_t seq, hither_error *err);
/* Records (or extends) a segment: from the commit on, `committed` rows of it count. */
HT_NODISCARD hither_status ht_txn_segment(ht_store *store, const ht_segment *segment, uint64_t committed,
                                          hither_error *err);
/* next_slot, live_count, commit_seq and id_kind of the collection. */
HT_NODISCARD hither_status ht_txn_collection(ht_store *store, const ht_collection_row *row, hither_error *err);
/* Durable on OK, unless the store is UNSYNCED. POISONED if the log has been replaced under this process, which a second
 * SQLite in it does that opens and closes the catalog: what was committed to it is gone. On failure the transaction is
 * gone; if it cannot be known whether it is durable, the store is poisoned too. */
HT_NODISCARD hither_status ht_txn_commit(ht_store *store, hither_error *err);
void ht_txn_rollback(ht_store *store);
/* Tells a segment object how many of its rows count now (after ht_txn_commit). */
void ht_segment_commit(ht_segment *segment, uint64_t committed);

/* ---- readers: each one a connection with one open read transaction at most */

/* A reader from the store's pool, inside a read transaction; *seq is the collection's commit_seq it sees. NOT_FOUND if
 * the collection was dropped. Never waits for the writer. */
HT_NODISCARD hither_status ht_reader_begin(ht_store *store, int64_t cid, ht_reader **out, uint64_t *seq,
                                           hither_error *err);
void ht_reader_end(ht_reader *reader); /* ends the transaction, gives the reader back; NULL is fine */

/* The slot of the i-th id as of commit `seq` <= the one begun with (rows with slot < slot_limit that were alive then);
 * UINT64_MAX if there is none. */
HT_NODISCARD hither_status ht_reader_find(ht_reader *reader, const hither_ids *ids, size_t i, uint64_t seq,
                                          uint64_t slot_limit, uint64_t *slot, hither_error *err);

typedef struct ht_row {
    uint64_t slot;
    ht_id_kind id_kind;
    int64_t int_id;
    ht_text text_id, metadata, document; /* data NULL: missing; good until the reader's next call */
} ht_row;
/* Its id as a column of one; `ends` is where the column keeps what it needs. */
static inline hither_ids ht_row_ids(const ht_row *row, uint64_t ends[2]) {
    ends[0] = 0;
    ends[1] = row->text_id.bytes;
    if (row->id_kind == HT_ID_INT)
        return (hither_ids){.ints = &row->int_id, .count = 1};
    return (hither_ids){.strings = {.bytes = row->text_id.data, .offsets = ends, .count = 1}, .count = 1};
}
/* One row by slot, dead or alive. NOT_FOUND if compaction took it. CORRUPT if its id is not of the collection's kind.
 */
HT_NODISCARD hither_status ht_reader_row(ht_reader *reader, uint64_t slot, ht_row *out, hither_error *err);
/* The same within the writer's transaction, which sees its own rows; good until its next call. `collection` as the
 * transaction has it. */
HT_NODISCARD hither_status ht_txn_row(ht_store *store, const ht_collection_row *collection, uint64_t slot, ht_row *out,
                                      hither_error *err);
/* Calls each(arg, slot, dead_seq) for every dead row with dead_seq > after, in no order. Slots are below next_slot. */
HT_NODISCARD hither_status ht_reader_dead(ht_reader *reader, uint64_t after,
                                          hither_status (*each)(void *arg, uint64_t slot, uint64_t dead_seq), void *arg,
                                          hither_error *err);
/* Calls each(arg, slot, metadata) for every row with begin <= slot < end, dead or alive, by rising slot; the text is
 * good for the length of the call. */
HT_NODISCARD hither_status ht_reader_metadata(ht_reader *reader, uint64_t begin, uint64_t end,
                                              hither_status (*each)(void *arg, uint64_t slot, ht_text metadata),
                                              void *arg, hither_error *err);
/* The same of documents. */
HT_NODISCARD hither_status ht_reader_documents(ht_reader *reader, uint64_t begin, uint64_t end,
                                               hither_status (*each)(void *arg, uint64_t slot, ht_text document),
                                               void *arg, hither_error *err);
/* The oldest version, as a commit_seq, of which every row is still there: compaction has taken dead rows that older
 * ones need. Known in read-only stores, else 0: within a writing process compaction waits for its readers. */
uint64_t ht_reader_floor(const ht_reader *reader);
/* The collection's row as this transaction sees it. */
HT_NODISCARD hither_status ht_reader_collection(ht_reader *reader, ht_collection_row *out, hither_error *err);

/* ---- verify */

/* Checks every committed byte, or (FAST) all but rows: the log, the catalog's pages, headers and sizes of segments, and
 * that catalog and segments agree; calls finding(arg, place, problem) for each thing wrong. OK even with findings;
 * other statuses mean that the check itself could not go on. progress may be NULL; it counts rows. */
typedef enum ht_depth { HT_VERIFY_FAST, HT_VERIFY_DEEP } ht_depth;
HT_NODISCARD hither_status ht_store_verify(ht_store *store, ht_depth depth,
                                           hither_status (*finding)(void *arg, const char *place, const char *problem),
                                           void *arg, ht_progress *progress, hither_error *err);

#endif
