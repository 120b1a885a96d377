/*
 * recover.c: the segments the catalog knows: listing them, opening them, and what the writer does about them at open.
 * Nothing is ever cut off: bytes past the committed rows are not looked at, and written over later.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "store/inside.h"

enum { TAIL_ROWS = 1000, ATTEMPTS = 3 };

static hither_status read_entry(ht_conn *conn, sqlite3_stmt *stmt, const ht_collection_row *collection,
                                ht_segment_entry *out, hither_error *err) {
    ht_segment_entry entry = {.expect = {.cid = collection->cid,
                                         .sid = sqlite3_column_int64(stmt, 0),
                                         .dtype = collection->dtype,
                                         .dim = collection->width,
                                         .first_slot = (uint64_t)sqlite3_column_int64(stmt, 2),
                                         .capacity = (uint64_t)sqlite3_column_int64(stmt, 3)},
                              .committed = (uint64_t)sqlite3_column_int64(stmt, 4),
                              .state = sqlite3_column_int64(stmt, 5)};
    const void *uuid = sqlite3_column_blob(stmt, 1);
    if (!uuid && sqlite3_errcode(conn->db) == SQLITE_NOMEM)
        return ht_conn_fail(conn, "reading a segment", err);
    ht_segment_header *h = &entry.expect;
    bool good = h->sid > 0 && uuid && sqlite3_column_bytes(stmt, 1) == (int)sizeof h->uuid && h->capacity > 0 &&
                h->capacity <= INT64_MAX && h->capacity % 64 == 0 && h->first_slot <= INT64_MAX &&
                h->first_slot % 64 == 0 && entry.committed <= h->capacity;
    if (good) {
        memcpy(h->uuid, uuid, sizeof h->uuid);
        good = ht_segment_header_complete(h, NULL) == HITHER_OK;
    }
    if (!good)
        return ht_fail(err, HITHER_CORRUPT,
                       "catalog: the entry of segment %" PRId64 " of collection %" PRId64 " makes no sense", h->sid,
                       h->cid);
    *out = entry;
    return HITHER_OK;
}

hither_status ht_segments_list(ht_conn *conn, const ht_collection_row *collection, ht_segment_entry **out,
                               size_t *count, hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, SQL_SEGMENTS, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, collection->cid);
    ht_segment_entry *entries = NULL;
    size_t n = 0, room = 0;
    hither_status status = HITHER_OK;
    int rc;
    while (status == HITHER_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            status = ht_conn_fail(conn, "listing segments", err);
            break;
        }
        if (n == room) {
            room = room ? room * 2 : 16;
            void *more = ht_resize(entries, room * sizeof *entries);
            if (!more) {
                status = ht_fail_nomem(err, room * sizeof *entries, "the list of segments");
                break;
            }
            entries = more;
        }
        status = read_entry(conn, stmt, collection, &entries[n], err);
        if (status == HITHER_OK)
            n++;
    }
    sqlite3_reset(stmt);
    if (status != HITHER_OK) {
        ht_release(entries);
        return status;
    }
    *out = entries;
    *count = n;
    return HITHER_OK;
}

hither_status ht_segment_load(ht_store *store, const ht_segment_entry *entry, ht_segment **out, hither_error *err) {
    return ht_segment_open(store, &entry->expect, entry->committed, entry->state, out, err);
}

/* Segments must follow one another without overlap and hold every slot given out: who walks them relies on it. */
static hither_status check_order(const ht_collection_row *row, const ht_segment_entry *entries, size_t count,
                                 hither_error *err) {
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        const ht_segment_header *h = &entries[i].expect;
        if (h->first_slot < end)
            return ht_fail(err, HITHER_CORRUPT, "catalog: segments of collection '%s' overlap at slot %" PRIu64,
                           row->name, h->first_slot);
        end = h->first_slot + (i + 1 < count ? h->capacity : entries[i].committed);
    }
    if (end != row->next_slot)
        return ht_fail(err, HITHER_CORRUPT,
                       "catalog: the segments of collection '%s' end at slot %" PRIu64 " instead of %" PRIu64,
                       row->name, end, row->next_slot);
    return HITHER_OK;
}

static hither_status load_entries(ht_store *store, const ht_segment_entry *entries, size_t count, ht_segment ***out,
                                  hither_error *err) {
    hither_status status = HITHER_OK;
    ht_segment **segments = ht_calloc(count, sizeof *segments);
    if (!segments)
        return ht_fail_nomem(err, count * sizeof *segments, "the list of segments");
    for (size_t i = 0; i < count && status == HITHER_OK; i++)
        status = ht_segment_load(store, &entries[i], &segments[i], err);
    if (status == HITHER_OK) {
        *out = segments;
        return HITHER_OK;
    }
    for (size_t i = 0; i < count; i++)
        ht_segment_release(segments[i]);
    ht_release(segments);
    return status;
}

hither_status ht_reader_segments(ht_reader *reader, ht_segment ***out, size_t *count, hither_error *err) {
    ht_segment_entry *entries = NULL;
    size_t n = 0;
    ht_reader_let_go(reader);
    HT_TRY(ht_fields_read(reader->conn, &reader->row, err));
    HT_TRY(ht_segments_list(reader->conn, &reader->row, &entries, &n, err));
    hither_status status = check_order(&reader->row, entries, n, err);
    if (status == HITHER_OK)
        status = load_entries(reader->conn->store, entries, n, out, err);
    if (status == HITHER_OK)
        *count = n;
    ht_release(entries);
    return status;
}

/* One attempt; NOT_FOUND where a file went between reading the catalog and opening it. */
static hither_status load_all(ht_store *store, int64_t cid, ht_segment ***out, size_t *count, hither_error *err) {
    ht_reader *reader;
    uint64_t seq;
    HT_TRY(ht_reader_begin(store, cid, &reader, &seq, err));
    hither_status status = ht_reader_segments(reader, out, count, err);
    ht_reader_end(reader);
    return status;
}

hither_status ht_store_segments(ht_store *store, int64_t cid, ht_segment ***out, size_t *count, hither_error *err) {
    hither_status status = HITHER_OK;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        status = load_all(store, cid, out, count, err);
        if (status != HITHER_NOT_FOUND)
            break;
    }
    return status;
}

/* ---- at open, by the writer */

typedef struct known {
    ht_store *store;
    int64_t *sids; /* of the catalog's segments, sorted before anyone looks */
    size_t count, room;
    hither_error *err;
} known;

/* Opens the segments of a collection, and checks the sums of the rows committed last. */
static hither_status recover_collection(void *arg, const ht_collection_row *row) {
    known *k = arg;
    ht_segment_entry *entries = NULL;
    size_t count = 0;
    HT_TRY(ht_segments_list(k->store->writer, row, &entries, &count, k->err));
    hither_status status = check_order(row, entries, count, k->err);
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        ht_segment *segment = NULL;
        status = ht_segment_load(k->store, &entries[i], &segment, k->err);
        if (status == HITHER_NOT_FOUND)
            status = ht_fail(k->err, HITHER_CORRUPT, "seg/%" PRId64 "-%" PRId64 ".vec is gone; restore it from a copy",
                             row->cid, entries[i].expect.sid);
        uint64_t committed = entries[i].committed;
        if (status == HITHER_OK && i + 1 == count)
            status = ht_segment_check(segment, committed > TAIL_ROWS ? committed - TAIL_ROWS : 0, committed, k->err);
        ht_segment_release(segment);
        if (status == HITHER_OK && k->count == k->room) {
            size_t room = k->room ? k->room * 2 : 64;
            int64_t *more = ht_resize(k->sids, room * sizeof *more);
            if (!more)
                status = ht_fail_nomem(k->err, room * sizeof *more, "the list of segments");
            else
                k->sids = more, k->room = room;
        }
        if (status == HITHER_OK)
            k->sids[k->count++] = entries[i].expect.sid;
    }
    ht_release(entries);
    return status;
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Files that are not named like segments were put there by someone else: they stay. */
static bool is_known(void *arg, const char *name) {
    const known *k = arg;
    int64_t cid, sid;
    return !ht_segment_name_read(name, &cid, &sid) ||
           (k->count > 0 && bsearch(&sid, k->sids, k->count, sizeof sid, by_number));
}

hither_status ht_segments_recover(ht_store *store, hither_error *err) {
    known k = {.store = store, .err = err};
    hither_status status = ht_collections_each(store->writer, recover_collection, &k, err);
    int64_t last = 0;
    if (status == HITHER_OK)
        status = ht_conn_number(store->writer,
                                "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'segments'), 0), "
                                "coalesce((SELECT max(sid) FROM segments), 0))",
                                &last, err);
    if (status == HITHER_OK) {
        store->next_sid = last + 1;
        if (k.count > 0)
            qsort(k.sids, k.count, sizeof *k.sids, by_number);
        ht_store_sweep(store, store->segment_path, is_known, &k);
    }
    ht_release(k.sids);
    return status;
}
