/*
 * backup.c: a copy of a database in use. One read transaction pins what is copied: the catalog as SQLite's backup sees
 * it from inside that transaction, and of each segment the rows which that catalog counts. Committed rows never
 * change, so neither copy waits for the writer or makes it wait; a file that is dropped meanwhile is held open.
 *
 * What must stay true: the catalog of the draft lies in its tmp/ until every byte of the draft has been checked, so
 * that a draft nobody finished is no database.
 */
#include "store/backup.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "store/draft.h"
#include "store/inside.h"

enum { CHUNK = 1 << 20, HOLE = 4096, ATTEMPTS = 3 };

typedef struct part {
    ht_segment *segment;
    uint64_t committed;
} part;

typedef struct backup {
    ht_store *from;
    ht_conn *conn; /* with the transaction */
    part *parts;
    size_t count, room;
    ht_store *to; /* the draft, as a store that was never opened */
    unsigned char *chunk;
    ht_progress *progress; /* counts bytes, and then rows */
    hither_error *err;
} backup;

/* ---- what is copied */

static hither_status add_part(backup *b, const ht_segment_entry *entry) {
    if (b->count == b->room) {
        size_t room = b->room ? b->room * 2 : 16;
        void *more = ht_resize(b->parts, room * sizeof *b->parts);
        if (!more)
            return ht_fail_nomem(b->err, room * sizeof *b->parts, "the list of segments");
        b->parts = more;
        b->room = room;
    }
    HT_TRY(ht_segment_load(b->from, entry, &b->parts[b->count].segment, b->err));
    b->parts[b->count++].committed = entry->committed;
    return HITHER_OK;
}

static hither_status add_collection(void *arg, const ht_collection_row *row) {
    backup *b = arg;
    ht_segment_entry *entries = NULL;
    size_t count = 0;
    HT_TRY(ht_segments_list(b->conn, row, &entries, &count, b->err));
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < count && status == HITHER_OK; i++)
        status = add_part(b, &entries[i]);
    ht_release(entries);
    return status;
}

static void unpin(backup *b) {
    for (size_t i = 0; i < b->count; i++)
        ht_segment_release(b->parts[i].segment);
    b->count = 0;
    if (b->conn)
        ht_reader_end(&b->conn->reader);
    b->conn = NULL;
}

static hither_status pin(backup *b) {
    hither_status status = HITHER_OK;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        HT_TRY(ht_pool_take(b->from, &b->conn, b->err));
        status = ht_conn_do(b->conn, SQL_BEGIN, b->err);
        if (status == HITHER_OK)
            status = ht_collections_each(b->conn, add_collection, b, b->err);
        /* NOT_FOUND: a collection was dropped between reading of its segments and opening them. */
        if (status != HITHER_NOT_FOUND)
            break;
        unpin(b);
    }
    return status == HITHER_NOT_FOUND
               ? ht_fail(b->err, HITHER_CORRUPT, "a segment of %s is gone; no copy was made. verify lists all damage",
                         b->from->path)
               : status;
}

/* ---- the catalog */

static hither_status copy_pages(backup *b, ht_conn *to) {
    int reserved = HT_PAGE_RESERVED;
    HT_TRY(ht_conn_exec(to, "PRAGMA synchronous=FULL; PRAGMA fullfsync=1", b->err));
    if (sqlite3_file_control(to->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved) != SQLITE_OK)
        return ht_fail(b->err, HITHER_UNSUPPORTED, "SQLite %s cannot reserve bytes in a page", sqlite3_libversion());
    sqlite3_backup *pages = sqlite3_backup_init(to->db, "main", b->conn->db, "main");
    if (!pages)
        return ht_conn_fail(to, "copying the catalog", b->err);
    int rc = sqlite3_backup_step(pages, -1);
    sqlite3_backup_finish(pages);
    if (rc == SQLITE_DONE)
        return HITHER_OK;
    if (rc == SQLITE_IOERR_DATA) { /* of a page read: the draft has none to read yet */
        char trouble[sizeof b->from->vfs->trouble];
        pthread_mutex_lock(&b->from->vfs->lock);
        memcpy(trouble, b->from->vfs->trouble, sizeof trouble);
        pthread_mutex_unlock(&b->from->vfs->lock);
        return ht_fail(b->err, HITHER_CORRUPT, "%s; no copy was made. verify lists all damage", trouble);
    }
    hither_status status = ht_conn_fail(to, "copying the catalog", b->err);
    return status == HITHER_OK ? ht_fail(b->err, HITHER_IO, "copying the catalog failed (SQLite error %d)", rc)
                               : status;
}

static hither_status copy_catalog(backup *b) {
    const ht_io *io = b->to->io;
    ht_conn *conn = NULL;
    ht_file *file = NULL;
    /* Made here, for its owner alone: SQLite would let others read it. */
    HT_TRY(io->open(io->ctx, b->to->catalog_path, HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &file, b->err));
    io->close(file);
    HT_TRY(ht_conn_open(b->to, b->to->catalog_path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &conn, b->err));
    hither_status status = copy_pages(b, conn);
    ht_conn_close(conn);
    return status;
}

/* ---- segments */

/* A piece of the chunk, but for zeros, which the new file has anyway: where there were holes, holes stay. */
static hither_status write_piece(backup *b, ht_file *to, const unsigned char *piece, size_t bytes, uint64_t offset) {
    static const unsigned char zeros[HOLE];
    for (size_t begin = 0, end; begin < bytes; begin = end) {
        size_t first = HOLE - (size_t)((offset + begin) % HOLE);
        end = ht_min_size(begin + first, bytes);
        if (memcmp(piece + begin, zeros, end - begin) == 0)
            continue;
        while (end < bytes && memcmp(piece + end, zeros, ht_min_size(HOLE, bytes - end)) != 0)
            end = ht_min_size(end + HOLE, bytes);
        HT_TRY(b->to->io->write_at(to, piece + begin, end - begin, offset + begin, b->err));
    }
    return HITHER_OK;
}

static hither_status copy_range(backup *b, ht_file *from, ht_file *to, uint64_t offset, uint64_t bytes) {
    while (bytes > 0) {
        size_t step = bytes < CHUNK ? (size_t)bytes : CHUNK;
        HT_TRY(b->from->io->read_at(from, b->chunk, step, offset, b->err));
        HT_TRY(write_piece(b, to, b->chunk, step, offset));
        HT_TRY(ht_progress_step(b->progress, step, b->err));
        offset += step;
        bytes -= step;
    }
    return HITHER_OK;
}

/* Whether the segment now lies at `path` without having been copied. Of a full one both may be names of one file: rows
 * that are committed never change, and compaction and purge write new files. It is synced in any case, for a writer
 * that does not sync may have left that to do. */
static bool share_segment(backup *b, const part *p, const char *path) {
    const ht_io *io = b->to->io;
    ht_file *to = NULL;
    if (io != b->from->io || !io->share ||
        io->share(p->segment->file, path, p->committed == p->segment->header.capacity, NULL) != HITHER_OK)
        return false;
    hither_status status = io->open(io->ctx, path, 0, &to, NULL);
    if (status == HITHER_OK) {
        status = io->sync(to, NULL);
        io->close(to);
    }
    if (status == HITHER_OK)
        return true;
    if (io->remove(io->ctx, path, NULL) != HITHER_OK) {
        /* then the copy cannot be made either, and says why */
    }
    return false;
}

static hither_status copy_segment(backup *b, const part *p, const char *path) {
    const ht_io *io = b->to->io;
    const ht_segment_header *h = &p->segment->header;
    ht_file *from = p->segment->file, *to = NULL;
    hither_status status = io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &to, b->err);
    if (status != HITHER_OK)
        return status;
    status = io->resize(to, h->file_bytes, b->err);
    if (status == HITHER_OK)
        status = copy_range(b, from, to, 0, HT_SEGMENT_HEADER_BYTES);
    if (status == HITHER_OK)
        status = copy_range(b, from, to, h->sums_offset, p->committed * sizeof(ht_row_sums));
    if (status == HITHER_OK)
        status = copy_range(b, from, to, h->rows_offset, p->committed * h->stride);
    if (status == HITHER_OK)
        status = io->sync(to, b->err);
    io->close(to);
    return status;
}

static hither_status take_segment(backup *b, const part *p) {
    char *path = ht_path_join(b->to->path, p->segment->name);
    if (!path)
        return ht_fail_nomem(b->err, strlen(b->to->path), "a path");
    hither_status status = share_segment(b, p, path) ? HITHER_OK : copy_segment(b, p, path);
    ht_release(path);
    return status;
}

static hither_status copy_segments(backup *b) {
    const ht_io *io = b->to->io;
    b->chunk = ht_alloc(CHUNK);
    if (!b->chunk)
        return ht_fail_nomem(b->err, CHUNK, "copying segments");
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->count; i++)
        bytes += HT_SEGMENT_HEADER_BYTES +
                 b->parts[i].committed * (sizeof(ht_row_sums) + b->parts[i].segment->header.stride);
    hither_status status = ht_progress_phase(b->progress, "copying", bytes, b->err);
    for (size_t i = 0; i < b->count && status == HITHER_OK; i++)
        status = take_segment(b, &b->parts[i]);
    ht_release(b->chunk);
    return status == HITHER_OK ? io->sync_folder(io->ctx, b->to->segment_path, b->err) : status;
}

/* ---- the draft */

static hither_status new_target(backup *b, const ht_draft *draft) {
    ht_store *to = ht_calloc(1, sizeof *to);
    if (!to)
        return ht_fail_nomem(b->err, sizeof *to, "a database");
    b->to = to;
    to->io = draft->io;
    to->readonly = true;
    pthread_mutex_init(&to->mutex, NULL);
    to->path = ht_strdup(draft->partial);
    to->segment_path = ht_path_join(draft->partial, "seg");
    to->tmp_path = ht_path_join(draft->partial, "tmp");
    to->catalog_path = ht_path_join(draft->partial, "tmp/catalog");
    if (!to->path || !to->segment_path || !to->tmp_path || !to->catalog_path)
        return ht_fail_nomem(b->err, strlen(draft->partial), "the paths of a database");
    HT_TRY(ht_vfs_new(to->io, &to->vfs, b->err));
    HT_TRY(to->io->make_folder(to->io->ctx, to->segment_path, b->err));
    return to->io->make_folder(to->io->ctx, to->tmp_path, b->err);
}

static hither_status refuse(void *arg, const char *place, const char *problem) {
    backup *b = arg;
    return ht_fail(b->err, HITHER_CORRUPT, "%s: %s; no copy was made. verify lists all damage", place, problem);
}

/* Judges the copy as it lies on its disk; what is wrong with it was wrong before, or the disk is. */
static hither_status check(backup *b) {
    ht_conn *conn;
    HT_TRY(ht_pool_take(b->to, &conn, b->err));
    hither_status status = ht_catalog_check(conn, b->err);
    ht_pool_give(conn);
    return status == HITHER_OK ? ht_store_verify(b->to, HT_VERIFY_DEEP, refuse, b, b->progress, b->err) : status;
}

static hither_status move_up(const ht_draft *draft, const char *from, const char *name, hither_error *err) {
    const ht_io *io = draft->io;
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes = 0;
    char *old = ht_path_join(draft->partial, from), *new = ht_path_join(draft->partial, name);
    hither_status status =
        old && new ? io->stat(io->ctx, old, &kind, &bytes, err) : ht_fail_nomem(err, strlen(draft->partial), "a path");
    if (status == HITHER_OK && kind != HT_IO_ABSENT)
        status = io->rename(io->ctx, old, new, err);
    ht_release(old);
    ht_release(new);
    return status;
}

/* The log and its index too, empty as they are: a process that may not make files there can read then. The catalog
 * last: with it the draft is a database. */
static hither_status arrange(const ht_draft *draft, hither_error *err) {
    const ht_io *io = draft->io;
    ht_file *lock = NULL;
    char *path = ht_path_join(draft->partial, "LOCK");
    if (!path)
        return ht_fail_nomem(err, strlen(draft->partial), "a path");
    hither_status status = io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &lock, err);
    ht_release(path);
    if (status != HITHER_OK)
        return status;
    io->close(lock);
    HT_TRY(move_up(draft, "tmp/catalog-wal", "catalog-wal", err));
    HT_TRY(move_up(draft, "tmp/catalog-shm", "catalog-shm", err));
    return move_up(draft, "tmp/catalog", "catalog", err);
}

static hither_status make(backup *b, const ht_draft *draft) {
    hither_status status = new_target(b, draft);
    if (status == HITHER_OK)
        status = pin(b);
    if (status == HITHER_OK)
        status = ht_progress_phase(b->progress, "catalog", 0, b->err);
    if (status == HITHER_OK)
        status = copy_catalog(b);
    if (status == HITHER_OK)
        status = copy_segments(b);
    unpin(b);
    if (status == HITHER_OK)
        status = check(b);
    ht_store_close(b->to);
    ht_release(b->parts);
    return status == HITHER_OK ? arrange(draft, b->err) : status;
}

hither_status ht_store_backup(ht_store *store, const ht_io *io, const char *path, ht_progress *progress,
                              hither_error *err) {
    backup b = {.from = store, .progress = progress, .err = err};
    ht_draft draft;
    HT_TRY(ht_draft_begin(&draft, io ? io : store->io, path, "folder", err));
    hither_status status = ht_draft_outside(&draft, store->io, store->path, err);
    if (status == HITHER_OK)
        status = make(&b, &draft);
    if (status == HITHER_OK)
        status = ht_draft_finish(&draft, err);
    if (status != HITHER_OK)
        ht_draft_discard(&draft);
    return status;
}
