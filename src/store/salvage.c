/*
 * salvage.c: what is left of a damaged database. Each row is looked up and judged by itself, so that a damaged page or
 * a damaged stretch of a segment costs the rows in it and no others. Segments are read, not mapped, and their headers
 * not needed: a file that is cut short, or whose first page is gone, still gives the rows whose checksums are right.
 *
 * A row is handed over only if the row checksum fits the catalog's id, metadata and document, and the vector checksum
 * beside it fits the vector: both know the slot. Nothing is written. Any thread.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "store/backup.h"
#include "store/inside.h"

enum { ID_SHOWN = 64 };

/* Why the rows of a run are lost. */
typedef enum loss { LOSS_NONE, LOSS_NO_ROW, LOSS_UNREADABLE_ROW, LOSS_UNREADABLE_VECTOR, LOSS_NO_SEGMENT } loss;

typedef struct salvage {
    ht_store *store;
    ht_conn *conn;
    const ht_salvage *to;
    hither_error *err;
    hither_status stopped; /* what ended the walk of the collections from inside */
    /* of the collection at hand */
    const ht_collection_row *row;
    sqlite3_stmt *stmt;
    ht_file *file; /* of the segment at hand; NULL if it cannot be opened, and then why */
    hither_error unopened;
    char name[64];
    unsigned char *vector;
    size_t vector_bytes;
    loss why;             /* of the run that is open */
    uint64_t first, last; /* its slots */
    hither_error detail;  /* what the first of them gave */
} salvage;

static hither_status tell(salvage *s, const char *place, const char *format, ...) __attribute__((format(printf, 3, 4)));
static hither_status tell(salvage *s, const char *place, const char *format, ...) {
    char problem[400];
    va_list args;
    va_start(args, format);
    vsnprintf(problem, sizeof problem, format, args);
    va_end(args);
    return s->to->finding(s->to->arg, place, problem);
}

/* Memory that ran out says nothing about the files. */
static bool ends_all(hither_status status) { return status == HITHER_NOMEM || status == HITHER_INTERRUPTED; }

/* ---- runs of slots lost for the same reason */

static hither_status close_run(salvage *s) {
    char place[HITHER_MAX_NAME_BYTES + 80];
    loss why = s->why;
    if (why == LOSS_NONE)
        return HITHER_OK;
    s->why = LOSS_NONE;
    if (s->first == s->last)
        snprintf(place, sizeof place, "collection '%s', slot %" PRIu64, s->row->name, s->first);
    else
        snprintf(place, sizeof place, "collection '%s', slots %" PRIu64 " to %" PRIu64, s->row->name, s->first,
                 s->last);
    switch (why) {
    case LOSS_NO_ROW:
        return tell(s, place, "lost: the catalog has no row for it");
    case LOSS_UNREADABLE_ROW:
        return tell(s, place, "lost: the row cannot be read: %s", s->detail.message);
    case LOSS_UNREADABLE_VECTOR:
        return tell(s, place, "lost: the vector cannot be read from %s: %s", s->name, s->detail.message);
    default:
        return tell(s, place, "lost: no segment has it");
    }
}

static hither_status lose(salvage *s, uint64_t slot, uint64_t last, loss why, const hither_error *detail) {
    if (s->why == why && slot == s->last + 1) {
        s->last = last;
        return HITHER_OK;
    }
    HT_TRY(close_run(s));
    s->why = why;
    s->first = slot;
    s->last = last;
    s->detail = detail ? *detail : (hither_error){0};
    return HITHER_OK;
}

/* ---- one row */

static void show_row(const salvage *s, const ht_row *row, char *place, size_t room) {
    if (row->id_kind == HT_ID_INT) {
        snprintf(place, room, "collection '%s', id %" PRId64 " (slot %" PRIu64 ")", s->row->name, row->int_id,
                 row->slot);
        return;
    }
    size_t bytes = row->text_id.bytes < ID_SHOWN ? row->text_id.bytes : ID_SHOWN;
    bytes = row->text_id.data ? ht_utf8_valid_prefix(row->text_id.data, bytes) : 0;
    snprintf(place, room, "collection '%s', id \"%.*s%s\" (slot %" PRIu64 ")", s->row->name, (int)bytes,
             row->text_id.data ? row->text_id.data : "", bytes < row->text_id.bytes ? "..." : "", row->slot);
}

static ht_row_sums sums_of(const salvage *s, const ht_row *row) {
    uint64_t ends[2];
    hither_ids ids = ht_row_ids(row, ends);
    return ht_row_sums_make(row->slot, s->vector, s->vector_bytes, &ids, 0, row->metadata, row->document);
}

/* The live row that the statement stands on, against what the segment has at `position`. */
static hither_status judge_row(salvage *s, const ht_segment_header *h, uint64_t position, const ht_row *row) {
    const ht_io *io = s->store->io;
    hither_error why = {0};
    ht_row_sums stored, found;
    char place[HITHER_MAX_NAME_BYTES + ID_SHOWN + 80];
    hither_status status =
        io->read_at(s->file, &stored, sizeof stored, h->sums_offset + position * sizeof stored, &why);
    if (status == HITHER_OK)
        status = io->read_at(s->file, s->vector, s->vector_bytes, h->rows_offset + position * h->stride, &why);
    if (ends_all(status)) {
        if (s->err)
            *s->err = why;
        return status;
    }
    if (status != HITHER_OK)
        return lose(s, row->slot, row->slot, LOSS_UNREADABLE_VECTOR, &why);
    found = sums_of(s, row);
    if (row->id_kind == s->row->id_kind && found.row == stored.row && found.vector == stored.vector) {
        HT_TRY(close_run(s));
        return s->to->row(s->to->arg, row, s->vector);
    }
    HT_TRY(close_run(s));
    show_row(s, row, place, sizeof place);
    if (found.row != stored.row || row->id_kind != s->row->id_kind)
        return tell(s, place, "lost: its id, metadata or document fails the checksum in %s", s->name);
    return tell(s, place, "lost: its vector fails its checksum (%s, offset %" PRIu64 ")", s->name,
                h->rows_offset + position * h->stride);
}

/* The row of the statement; false without memory. */
static bool read_row(sqlite3_stmt *stmt, uint64_t slot, ht_row *out) {
    ht_row row = {.slot = slot, .id_kind = HT_ID_TEXT};
    bool good = true;
    if (sqlite3_column_type(stmt, 0) == SQLITE_INTEGER) {
        row.id_kind = HT_ID_INT;
        row.int_id = sqlite3_column_int64(stmt, 0);
    } else {
        good = ht_column_text(stmt, 0, &row.text_id);
    }
    good = good && ht_column_text(stmt, 1, &row.metadata) && ht_column_text(stmt, 2, &row.document);
    *out = row;
    return good;
}

static hither_status take_slot(salvage *s, const ht_segment_entry *entry, uint64_t position) {
    uint64_t slot = entry->expect.first_slot + position;
    hither_status status = HITHER_OK;
    hither_error why = {0};
    ht_row row;
    sqlite3_reset(s->stmt);
    sqlite3_bind_int64(s->stmt, 1, (int64_t)slot);
    int rc = sqlite3_step(s->stmt);
    if (rc == SQLITE_DONE) {
        /* Where compaction has been, dead rows have no row any more. */
        status = entry->state == HT_SEGMENT_WHOLE ? lose(s, slot, slot, LOSS_NO_ROW, NULL) : HITHER_OK;
    } else if (rc != SQLITE_ROW) {
        status = ht_conn_fail(s->conn, "reading a row", &why);
        if (!ends_all(status))
            status = lose(s, slot, slot, LOSS_UNREADABLE_ROW, &why);
        else if (s->err)
            *s->err = why;
    } else if (sqlite3_column_type(s->stmt, 3) == SQLITE_NULL) { /* alive */
        if (!read_row(s->stmt, slot, &row))
            status = ht_fail_nomem(s->err, 0, "a row");
        else if (!s->file)
            status = lose(s, slot, slot, LOSS_UNREADABLE_VECTOR, &s->unopened);
        else
            status = judge_row(s, &entry->expect, position, &row);
    }
    sqlite3_reset(s->stmt);
    return status;
}

/* ---- one segment */

/* Opens the file; what is wrong with its header is told, and no reason to leave its rows. */
static hither_status open_segment(salvage *s, const ht_segment_header *expect) {
    const ht_io *io = s->store->io;
    unsigned char bytes[HT_SEGMENT_HEADER_BYTES];
    char file[HT_SEGMENT_NAME_BYTES];
    ht_segment_header found;
    hither_error why = {0};
    ht_segment_name_write(file, expect->cid, expect->sid);
    snprintf(s->name, sizeof s->name, "seg/%s", file);
    char *path = ht_path_join(s->store->path, s->name);
    if (!path)
        return ht_fail_nomem(s->err, strlen(s->store->path), "a path");
    hither_status status = io->open(io->ctx, path, 0, &s->file, &why);
    ht_release(path);
    if (status != HITHER_OK) {
        s->file = NULL;
        s->unopened = why;
        return ends_all(status) ? ht_fail(s->err, status, "%s", why.message) : HITHER_OK;
    }
    status = io->read_at(s->file, bytes, sizeof bytes, 0, &why);
    if (status == HITHER_OK)
        status = ht_segment_header_read(bytes, s->name, &found, &why);
    if (status == HITHER_OK)
        status = ht_segment_header_compare(&found, expect, s->name, &why);
    return status == HITHER_OK ? HITHER_OK : tell(s, s->name, "%s; its rows were judged one by one", why.message);
}

static hither_status take_segment(salvage *s, const ht_segment_entry *entry, uint64_t begin) {
    const ht_segment_header *h = &entry->expect;
    hither_status status = open_segment(s, h);
    for (uint64_t i = begin - h->first_slot; i < entry->committed && status == HITHER_OK; i++)
        status = take_slot(s, entry, i);
    if (status == HITHER_OK)
        status = close_run(s); /* it speaks of this file */
    if (s->file)
        s->store->io->close(s->file);
    s->file = NULL;
    return status;
}

/* ---- one collection */

static hither_status take_segments(salvage *s, const ht_segment_entry *entries, size_t count) {
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t first = entries[i].expect.first_slot, stop = first + entries[i].committed;
        if (first < end)
            first = end; /* slots that two segments claim are looked for in the first */
        if (first < stop)
            HT_TRY(take_segment(s, &entries[i], first));
        if (stop > end)
            end = stop;
    }
    if (end < s->row->next_slot)
        HT_TRY(lose(s, end, s->row->next_slot - 1, LOSS_NO_SEGMENT, NULL));
    return close_run(s);
}

/* Lists the segments, and gets ready to look rows up. */
static hither_status prepare(salvage *s, ht_segment_entry **entries, size_t *count, hither_error *err) {
    char sql[128];
    HT_TRY(ht_segments_list(s->conn, s->row, entries, count, err));
    snprintf(sql, sizeof sql, "SELECT id, metadata, document, dead_seq FROM rows_%" PRId64 " WHERE slot = ?1",
             s->row->cid);
    return sqlite3_prepare_v2(s->conn->db, sql, -1, &s->stmt, NULL) == SQLITE_OK
               ? HITHER_OK
               : ht_conn_fail(s->conn, "reading its rows", err);
}

static hither_status take_rows(salvage *s, const ht_segment_entry *entries, size_t count) {
    s->vector_bytes = ht_vector_bytes(s->row->dtype, s->row->width);
    s->vector = ht_alloc(s->vector_bytes);
    if (!s->vector)
        return ht_fail_nomem(s->err, s->vector_bytes, "a vector");
    hither_status status = take_segments(s, entries, count);
    ht_release(s->vector);
    return status;
}

static hither_status lifetime(salvage *s, const ht_collection_row *row, const char *place, int64_t *out) {
    hither_error why = {0};
    s->conn->reader.row = *row;
    hither_status status = ht_reader_ttl(&s->conn->reader, out, &why);
    if (status == HITHER_OK)
        return HITHER_OK;
    return ends_all(status) ? ht_fail(s->err, status, "%s", why.message)
                            : tell(s, place, "how long its rows live is lost: %s", why.message);
}

static hither_status take_collection(void *arg, const ht_collection_row *row) {
    salvage *s = arg;
    ht_segment_entry *entries = NULL;
    size_t count = 0;
    char place[HITHER_MAX_NAME_BYTES + 32];
    hither_error why = {0};
    s->row = row;
    s->why = LOSS_NONE;
    snprintf(place, sizeof place, "collection '%s'", row->name);
    int64_t ttl = HT_TTL_OFF;
    hither_status status = lifetime(s, row, place, &ttl);
    if (status == HITHER_OK)
        status = s->to->collection(s->to->arg, row, ttl);
    if (status == HITHER_OK) {
        status = prepare(s, &entries, &count, &why);
        if (status == HITHER_OK)
            status = take_rows(s, entries, count);
        else if (ends_all(status))
            status = ht_fail(s->err, status, "%s", why.message);
        else
            status = tell(s, place, "lost, with all its %" PRIu64 " rows: %s", row->live_count, why.message);
    }
    sqlite3_finalize(s->stmt);
    s->stmt = NULL;
    ht_release(entries);
    s->stopped = status;
    return status;
}

hither_status ht_store_salvage(ht_store *store, const ht_salvage *to, hither_error *err) {
    salvage s = {.store = store, .to = to, .err = err};
    hither_error why = {0};
    HT_TRY(ht_pool_take(store, &s.conn, err));
    hither_status status = ht_conn_do(s.conn, SQL_BEGIN, err);
    if (status == HITHER_OK) {
        status = ht_collections_each(s.conn, take_collection, &s, &why);
        if (s.stopped != HITHER_OK)
            status = s.stopped;
        else if (status != HITHER_OK)
            status = ht_fail(err, status, "the list of collections cannot be read: %s", why.message);
    }
    ht_reader_end(&s.conn->reader);
    return status;
}
