/*
 * pack.c: a pack in the making. The live rows of a store are written, by rising slot and without gaps, into a store of
 * their own, in a folder beside the file to be; its catalog and its segments then go into a container, which is opened
 * and verified before it gets its name.
 *
 * What must stay true: each row's checksums have been compared before it is taken, and those of its new slot are made
 * from the same bytes. One thread a pack.
 */
#include "store/pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/container.h"
#include "store/backup.h"
#include "store/draft.h"
#include "store/inside.h"

enum { PIECE = 1 << 20, COMMIT_ROWS = 10000, ATTEMPTS = 3 };
#define SEGMENT_BYTES ((uint64_t)1 << 30)

typedef struct packing {
    ht_store *from, *to;
    ht_collection_row row; /* of the collection under way, as its next commit will have it; cid 0 before the first */
    uint64_t left;         /* rows still to come, as the catalog counts them */
    ht_segment *segment;
    uint64_t written; /* rows of it in the file */
    uint64_t pending; /* rows of the open transaction; 0: there is none */
    unsigned char *rows;
    ht_row_sums *sums;
    size_t room, filled; /* of both, in rows */
    bool damaged;        /* salvage has found something */
    ht_pack_entry *files;
    size_t count, files_room;
    unsigned char *chunk;
    hither_error *err;
} packing;

/* ---- the list of files */

static hither_status add_file(packing *p, const char *name, uint64_t bytes) {
    if (p->count == p->files_room) {
        size_t room = p->files_room ? p->files_room * 2 : 16;
        ht_pack_entry *more = ht_resize(p->files, room * sizeof *more);
        if (!more)
            return ht_fail_nomem(p->err, room * sizeof *more, "the list of files");
        p->files = more;
        p->files_room = room;
    }
    const ht_pack_entry *last = p->count ? &p->files[p->count - 1] : NULL;
    ht_pack_entry *e = &p->files[p->count++];
    *e = (ht_pack_entry){.offset = last ? last->offset + last->bytes : 0, .bytes = bytes};
    snprintf(e->name, sizeof e->name, "%s", name);
    return HITHER_OK;
}

/* ---- rows */

static hither_status write_piece(packing *p) {
    if (p->filled == 0)
        return HITHER_OK;
    HT_TRY(ht_segment_write(p->segment, p->written, p->filled, p->rows, p->sums, p->err));
    p->written += p->filled;
    p->filled = 0;
    return HITHER_OK;
}

static hither_status commit(packing *p) {
    if (p->pending == 0)
        return HITHER_OK;
    p->row.commit_seq++;
    p->pending = 0;
    hither_status status = write_piece(p);
    if (status == HITHER_OK)
        status = ht_segment_sync(p->segment, p->err);
    if (status == HITHER_OK)
        status = ht_txn_segment(p->to, p->segment, p->written, p->err);
    if (status == HITHER_OK)
        status = ht_txn_collection(p->to, &p->row, p->err);
    if (status != HITHER_OK) {
        ht_txn_rollback(p->to);
        return status;
    }
    HT_TRY(ht_txn_commit(p->to, p->err));
    ht_segment_commit(p->segment, p->written);
    return HITHER_OK;
}

static hither_status end_segment(packing *p) {
    HT_TRY(commit(p));
    ht_segment_release(p->segment);
    p->segment = NULL;
    return HITHER_OK;
}

/* A segment for all rows to come, or as many of them as a segment may have. */
static hither_status begin_segment(packing *p) {
    ht_segment_header h = {
        .cid = p->row.cid, .dtype = p->row.dtype, .dim = p->row.width, .first_slot = p->row.next_slot, .capacity = 64};
    if (p->left == 0)
        return ht_fail(p->err, HITHER_CORRUPT, "collection '%s' has more rows than the catalog counts", p->row.name);
    HT_TRY(ht_segment_header_complete(&h, p->err));
    uint64_t most = SEGMENT_BYTES / h.stride / 64 * 64;
    if (most < 64)
        most = 64;
    h.capacity = p->left < most ? (p->left + 63) / 64 * 64 : most;
    HT_TRY(ht_segment_header_complete(&h, p->err));
    HT_TRY(ht_segment_make(p->to, &h, h.file_bytes, HT_SEGMENT_WHOLE, &p->segment, p->err));
    p->written = 0;
    p->room = ht_min_size((size_t)h.capacity, h.stride < PIECE ? PIECE / (size_t)h.stride : 1);
    ht_release(p->rows);
    ht_release(p->sums);
    p->rows = ht_calloc(p->room, (size_t)h.stride);
    p->sums = ht_calloc(p->room, sizeof *p->sums);
    if (!p->rows || !p->sums)
        return ht_fail_nomem(p->err, p->room * (size_t)h.stride, "a piece of a segment");
    return add_file(p, p->segment->name, h.file_bytes);
}

static hither_status end_collection(packing *p) {
    if (p->row.cid == 0)
        return HITHER_OK;
    HT_TRY(end_segment(p));
    if (p->left > 0 && !p->damaged)
        return ht_fail(p->err, HITHER_CORRUPT, "collection '%s' has %" PRIu64 " rows fewer than the catalog counts",
                       p->row.name, p->left);
    return HITHER_OK;
}

static hither_status take_collection(void *arg, const ht_collection_row *row, int64_t ttl) {
    packing *p = arg;
    HT_TRY(end_collection(p));
    p->row = *row;
    p->row.cid = 0;
    p->row.next_slot = p->row.live_count = p->row.commit_seq = 0;
    p->left = row->live_count;
    ht_buf schema;
    ht_buf_init(&schema, HITHER_MAX_SCHEMA_BYTES);
    hither_status status = ht_store_schema(p->from, row->cid, &schema, p->err);
    if (status == HITHER_OK)
        status = ht_store_create(p->to, &p->row, (ht_text){schema.data, schema.size}, p->err);
    ht_buf_clear(&schema);
    HT_TRY(status);
    char index[HT_INDEX_BYTES];
    HT_TRY(ht_store_index(p->from, row->cid, index, p->err));
    if (index[0])
        HT_TRY(ht_store_set_index(p->to, p->row.cid, index, p->err));
    return ttl == HT_TTL_OFF ? HITHER_OK : ht_store_set_ttl(p->to, p->row.cid, ttl, p->err);
}

static hither_status take_row(void *arg, const ht_row *row, const void *vector) {
    packing *p = arg;
    uint64_t ends[2];
    hither_ids ids = ht_row_ids(row, ends);
    if (p->segment && p->written + p->filled == p->segment->header.capacity)
        HT_TRY(end_segment(p));
    if (!p->segment)
        HT_TRY(begin_segment(p));
    if (p->pending == 0)
        HT_TRY(ht_txn_begin(p->to, p->err));
    p->pending++;
    HT_TRY(ht_txn_insert(p->to, p->row.cid, p->row.next_slot, &ids, 0, row->metadata, row->document, p->err));
    size_t bytes = ht_vector_bytes(p->row.dtype, p->row.width);
    memcpy(p->rows + p->filled * (size_t)p->segment->header.stride, vector, bytes);
    p->sums[p->filled++] = ht_row_sums_make(p->row.next_slot, vector, bytes, &ids, 0, row->metadata, row->document);
    p->row.next_slot++;
    p->row.live_count++;
    p->left -= p->left > 0;
    if (p->filled == p->room)
        HT_TRY(write_piece(p));
    return p->pending == COMMIT_ROWS ? commit(p) : HITHER_OK;
}

static hither_status take_finding(void *arg, const char *place, const char *problem) {
    packing *p = arg;
    p->damaged = true;
    return ht_fail(p->err, HITHER_CORRUPT, "%s: %s; no pack was made. verify lists all damage", place, problem);
}

/* Makes the store of the rows, closes it, and leaves its files listed. */
static hither_status fill(packing *p, const ht_io *io, const char *folder) {
    const ht_salvage to = {take_collection, take_row, take_finding, p};
    HT_TRY(add_file(p, "catalog", 0));
    HT_TRY(ht_store_open(io, folder, HT_STORE_UNSYNCED | HT_STORE_NETWORK, 0, &p->to, p->err));
    hither_status status = ht_store_salvage(p->from, &to, p->err);
    if (status == HITHER_OK)
        status = end_collection(p);
    ht_segment_release(p->segment);
    p->segment = NULL;
    if (status == HITHER_OK)
        status = ht_store_sync_all(p->to, p->err);
    if (status == HITHER_OK &&
        sqlite3_wal_checkpoint_v2(p->to->writer->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
        status = ht_conn_fail(p->to->writer, "a checkpoint", p->err);
    if (status != HITHER_OK)
        ht_store_poison(p->to); /* it goes; nothing of it need reach the disk */
    ht_store_close(p->to);
    p->to = NULL;
    return status;
}

/* ---- the file */

static hither_status put_file(packing *p, const ht_io *io, const char *folder, const ht_pack_entry *e,
                              ht_container_writer *writer) {
    ht_file *file = NULL;
    char *path = ht_path_join(folder, e->name);
    if (!path)
        return ht_fail_nomem(p->err, strlen(folder), "a path");
    hither_status status = io->open(io->ctx, path, 0, &file, p->err);
    ht_release(path);
    if (status != HITHER_OK)
        return status;
    for (uint64_t at = 0, step; at < e->bytes && status == HITHER_OK; at += step) {
        step = e->bytes - at < PIECE ? e->bytes - at : PIECE;
        status = io->read_at(file, p->chunk, (size_t)step, at, p->err);
        if (status == HITHER_OK)
            status = ht_container_put(writer, p->chunk, (size_t)step, p->err);
    }
    io->close(file);
    return status;
}

static hither_status measure_catalog(packing *p, const ht_io *io, const char *folder) {
    ht_io_kind kind;
    char *path = ht_path_join(folder, "catalog");
    if (!path)
        return ht_fail_nomem(p->err, strlen(folder), "a path");
    hither_status status = io->stat(io->ctx, path, &kind, &p->files[0].bytes, p->err);
    ht_release(path);
    for (size_t i = 1; i < p->count; i++)
        p->files[i].offset = p->files[i - 1].offset + p->files[i - 1].bytes;
    return status;
}

static hither_status write_file(packing *p, const ht_io *io, const char *folder, const char *path) {
    ht_container_writer *writer;
    HT_TRY(measure_catalog(p, io, folder));
    p->chunk = ht_alloc(PIECE);
    if (!p->chunk)
        return ht_fail_nomem(p->err, PIECE, "a piece of a file");
    HT_TRY(ht_container_create(io, path, HT_PACK_KIND, &writer, p->err));
    hither_status status = ht_container_begin(writer, "files", p->err);
    if (status == HITHER_OK)
        status = ht_container_put(writer, p->files, p->count * sizeof *p->files, p->err);
    if (status == HITHER_OK)
        status = ht_container_begin(writer, "data", p->err);
    for (size_t i = 0; i < p->count && status == HITHER_OK; i++)
        status = put_file(p, io, folder, &p->files[i], writer);
    if (status == HITHER_OK)
        return ht_container_finish(writer, p->err);
    ht_container_abandon(writer);
    return status;
}

static hither_status refuse(void *arg, const char *place, const char *problem) {
    packing *p = arg;
    return ht_fail(p->err, HITHER_CORRUPT, "the pack was not made, for it could not be read back: %s: %s", place,
                   problem);
}

/* Judges the file as it lies on its disk. */
static hither_status check_file(packing *p, const ht_io *io, const char *path) {
    ht_io *files;
    ht_store *store;
    HT_TRY(ht_pack_open(io, path, &files, p->err));
    hither_status status = ht_pack_verify(files, p->err);
    if (status == HITHER_OK)
        status = ht_store_open(files, path, HT_STORE_READONLY, 0, &store, p->err);
    if (status == HITHER_OK) {
        status = ht_store_verify(store, HT_VERIFY_DEEP, refuse, p, NULL, p->err);
        ht_store_close(store);
    }
    ht_pack_close(files);
    return status;
}

static hither_status make(packing *p, ht_draft *draft) {
    const ht_io *io = draft->io;
    char *folder = ht_path_join(draft->partial, "db"), *file = ht_path_join(draft->partial, "pack");
    hither_status status =
        folder && file ? fill(p, io, folder) : ht_fail_nomem(p->err, strlen(draft->partial), "a path");
    if (status == HITHER_OK)
        status = write_file(p, io, folder, file);
    if (status == HITHER_OK)
        status = check_file(p, io, file);
    if (status == HITHER_OK)
        status = ht_draft_finish_as(draft, "pack", p->err);
    ht_release(folder);
    ht_release(file);
    ht_release(p->rows);
    ht_release(p->sums);
    ht_release(p->files);
    ht_release(p->chunk);
    return status;
}

hither_status ht_store_pack(ht_store *store, const ht_io *io, const char *path, hither_error *err) {
    hither_status status = HITHER_OK;
    ht_draft draft;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        packing p = {.from = store, .err = err};
        HT_TRY(ht_draft_begin(&draft, io ? io : store->io, path, "file", err));
        status = ht_draft_outside(&draft, store->io, store->path, err);
        if (status == HITHER_OK)
            status = make(&p, &draft);
        ht_draft_discard(&draft);
        /* Compaction by someone else may take a segment away before it is opened; the next attempt sees its successor.
         */
        if (!p.damaged)
            break;
    }
    return status;
}
