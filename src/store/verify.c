/*
 * verify.c: every committed byte, checked. One read transaction from begin to end, so that everything is judged as of
 * one commit while the writer goes on. What cannot be read is a finding, not the end of the check.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "store/inside.h"
#include "store/wal.h"

enum { FINDINGS_A_SEGMENT = 100, INTEGRITY_ROWS = 100, ROWS_A_STEP = 1024, WAL_ATTEMPTS = 5, PIN_ATTEMPTS = 5 };

typedef struct verify {
    ht_store *store;
    ht_conn *conn;
    hither_status (*finding)(void *arg, const char *place, const char *problem);
    void *arg;
    ht_progress *progress; /* NULL: nobody asks */
    ht_depth depth;
    hither_error *err;
    hither_status stopped; /* what ended the check inside a walk, its message in err */
    int64_t *sids;         /* of all segments of the catalog */
    size_t sid_count, sid_room;
    ht_segment **pinned; /* those of its files that could be opened at once, before compaction took one away */
    size_t pinned_count, pinned_room;
    bool vanished; /* a file was not there when they were pinned */
} verify;

static hither_status report(verify *v, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static hither_status report(verify *v, const char *place, const char *format, ...) {
    char problem[300];
    va_list args;
    va_start(args, format);
    vsnprintf(problem, sizeof problem, format, args);
    va_end(args);
    return v->finding(v->arg, place, problem);
}

/* Makes a finding of a failure to read; only what says nothing about the files is passed on. */
static hither_status absorb(verify *v, const char *place, hither_status status, const hither_error *why) {
    if (status == HITHER_OK)
        return HITHER_OK;
    if (status == HITHER_NOMEM || status == HITHER_INTERRUPTED || status == HITHER_BUSY) {
        if (v->err)
            *v->err = *why;
        return status;
    }
    return report(v, place, "%s", why->message);
}

/* ---- the catalog's log and pages */

typedef struct log_walk {
    sqlite3_file *file, *main;
    uint32_t after;       /* frames up to this one are in the main file */
    unsigned char *newer; /* bit a page: the log has a newer version than the main file */
    uint32_t pages;
} log_walk;

static hither_status read_log(void *ctx, void *data, size_t bytes, uint64_t offset, hither_error *err) {
    log_walk *walk = ctx;
    int rc = walk->file->pMethods->xRead(walk->file, data, (int)bytes, (sqlite3_int64)offset);
    return rc == SQLITE_OK
               ? HITHER_OK
               : ht_fail(err, HITHER_IO, "the log cannot be read at offset %" PRIu64 " (SQLite error %d)", offset, rc);
}

static hither_status read_main(void *ctx, uint32_t page, unsigned char data[HT_PAGE_BYTES], hither_error *err) {
    log_walk *walk = ctx;
    int rc = walk->main->pMethods->xRead(walk->main, data, HT_PAGE_BYTES, (sqlite3_int64)(page - 1) * HT_PAGE_BYTES);
    return rc == SQLITE_OK ? HITHER_OK : ht_fail(err, HITHER_IO, "page %" PRIu32 " cannot be read", page);
}

static void note_frame(void *ctx, uint32_t number, uint32_t page) {
    log_walk *walk = ctx;
    if (number > walk->after && page >= 1 && page <= walk->pages)
        walk->newer[(page - 1) / 8] = (unsigned char)(walk->newer[(page - 1) / 8] | 1u << (page - 1) % 8);
}

static hither_status check_log(verify *v, sqlite3_file *main, log_walk *walk) {
    hither_error why = {0};
    sqlite3_int64 bytes = 0;
    walk->main = main;
    sqlite3_file_control(v->conn->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &walk->file);
    if (!walk->file || !walk->file->pMethods)
        return HITHER_OK;
    for (int attempt = 0;; attempt++) {
        ht_log_index index, again;
        ht_wal_scan scan;
        if (!ht_log_index_read(main, &index) || walk->file->pMethods->xFileSize(walk->file, &bytes) != SQLITE_OK)
            return HITHER_OK; /* no index: nothing of the log counts */
        if (index.frames == 0)
            return HITHER_OK;
        memset(walk->newer, 0, walk->pages / 8 + 1);
        walk->after = index.backfilled;
        ht_wal wal = {.read = read_log,
                      .ctx = walk,
                      .bytes = (uint64_t)bytes,
                      .pages = walk->pages,
                      .read_page = read_main,
                      .frame = note_frame};
        hither_status status = ht_wal_scan_file(&wal, &scan, &why);
        if (status != HITHER_OK)
            return absorb(v, "catalog-wal", status, &why);
        /* The log may have started over meanwhile, and have grown again; never while this transaction needs it. */
        if (scan.good >= index.frames && !scan.damaged)
            return HITHER_OK;
        if (!ht_log_index_read(main, &again) ||
            (memcmp(again.salts, index.salts, sizeof again.salts) != 0 && attempt < WAL_ATTEMPTS))
            continue;
        /* Beyond the index: whoever opened the log last took it for one that was cut short there. */
        return report(v, "catalog-wal", "frame %" PRIu32 " (offset %" PRIu64 ") fails its checksum", scan.good + 1,
                      HT_WAL_HEADER + (uint64_t)scan.good * HT_WAL_FRAME);
    }
}

static hither_status check_page(verify *v, sqlite3_file *main, uint64_t offset, uint64_t bytes) {
    unsigned char page[HT_PAGE_BYTES];
    char place[64];
    snprintf(place, sizeof place, "catalog, page %" PRIu64 " (offset %" PRIu64 ")", offset / HT_PAGE_BYTES + 1, offset);
    if (offset >= bytes || bytes - offset < HT_PAGE_BYTES)
        return report(v, place, "the file ends at byte %" PRIu64, bytes);
    int rc = main->pMethods->xRead(main, page, HT_PAGE_BYTES, (sqlite3_int64)offset);
    if (rc == SQLITE_IOERR_DATA)
        return report(v, place, "the page fails its checksum");
    return rc == SQLITE_OK ? HITHER_OK : report(v, place, "the page cannot be read (SQLite error %d)", rc);
}

static hither_status check_pages(verify *v) {
    hither_error why = {0};
    int64_t pages = 0;
    sqlite3_file *main = NULL;
    sqlite3_int64 bytes = 0;
    hither_status status = ht_conn_number(v->conn, "PRAGMA page_count", &pages, &why);
    if (status != HITHER_OK)
        return absorb(v, "catalog", status, &why);
    sqlite3_file_control(v->conn->db, "main", SQLITE_FCNTL_FILE_POINTER, &main);
    if (!main)
        return report(v, "catalog", "it is not open");
    log_walk walk = {.pages = (uint32_t)pages, .newer = ht_calloc((size_t)pages / 8 + 1, 1)};
    if (!walk.newer)
        return ht_fail_nomem(v->err, (size_t)pages / 8 + 1, "the list of pages");
    status = check_log(v, main, &walk);
    /* Only now: what the log had given to the main file by then is in it, however long it was before. */
    if (status == HITHER_OK && main->pMethods->xFileSize(main, &bytes) != SQLITE_OK)
        status = report(v, "catalog", "its size cannot be read");
    for (int64_t i = 0; i < pages && status == HITHER_OK; i++) {
        bool unused = i == (1 << 30) / HT_PAGE_BYTES; /* SQLite keeps its locks there */
        if (!unused && !(walk.newer[i / 8] >> (i % 8) & 1))
            status = check_page(v, main, (uint64_t)i * HT_PAGE_BYTES, (uint64_t)bytes);
    }
    ht_release(walk.newer);
    return status;
}

static hither_status check_integrity(verify *v) {
    sqlite3_stmt *stmt = NULL;
    hither_error why = {0};
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA integrity_check(%d)", INTEGRITY_ROWS);
    hither_status status = HITHER_OK;
    if (sqlite3_prepare_v2(v->conn->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return absorb(v, "catalog", ht_conn_fail(v->conn, "checking its structure", &why), &why);
    int rc;
    while (status == HITHER_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            status = absorb(v, "catalog", ht_conn_fail(v->conn, "checking its structure", &why), &why);
            break;
        }
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        if (!text || strcmp(text, "ok") != 0)
            status = report(v, "catalog", "%s", text ? text : "an unreadable finding");
    }
    sqlite3_finalize(stmt);
    return status;
}

/* ---- collections */

/* A collection under check. */
typedef struct subject {
    const ht_collection_row *row;
    char place[HITHER_MAX_NAME_BYTES + 32];
    ht_segment **segments; /* NULL where one could not be opened */
    ht_segment_entry *entries;
    size_t count;
    uint64_t live, rows, missing, first_missing, expected; /* expected: the next slot that should have a row */
    size_t at;                                             /* the segment the last row was in */
} subject;

static hither_status remember(verify *v, int64_t sid) {
    if (v->sid_count == v->sid_room) {
        size_t room = v->sid_room ? v->sid_room * 2 : 64;
        int64_t *more = ht_resize(v->sids, room * sizeof *more);
        if (!more)
            return ht_fail_nomem(v->err, room * sizeof *more, "the list of segments");
        v->sids = more;
        v->sid_room = room;
    }
    v->sids[v->sid_count++] = sid;
    return HITHER_OK;
}

static hither_status check_vectors(verify *v, const ht_segment *segment, uint64_t committed) {
    const ht_segment_header *h = &segment->header;
    uint64_t bad = 0;
    HT_TRY(ht_progress_phase(v->progress, "vectors", committed, v->err));
    for (uint64_t position = 0; position < committed; position++) {
        if (position % ROWS_A_STEP == 0)
            HT_TRY(ht_progress_step(v->progress,
                                    committed - position < ROWS_A_STEP ? committed - position : ROWS_A_STEP, v->err));
        if (ht_segment_row_ok(segment, position) || bad++ >= FINDINGS_A_SEGMENT)
            continue;
        char place[128];
        snprintf(place, sizeof place, "%s, slot %" PRIu64 " (offset %" PRIu64 ")", segment->name,
                 h->first_slot + position, h->rows_offset + position * h->stride);
        HT_TRY(report(v, place, "the vector fails its checksum"));
    }
    if (bad > FINDINGS_A_SEGMENT)
        return report(v, segment->name, "the vectors of %" PRIu64 " more slots fail their checksums",
                      bad - FINDINGS_A_SEGMENT);
    return HITHER_OK;
}

static ht_segment *take_pinned(const verify *v, int64_t sid) {
    for (size_t i = 0; i < v->pinned_count; i++) {
        if (v->pinned[i]->header.sid == sid)
            return ht_segment_acquire(v->pinned[i]);
    }
    return NULL;
}

static hither_status check_segments(verify *v, subject *s) {
    hither_error why = {0};
    uint64_t end = 0;
    hither_status status = ht_segments_list(v->conn, s->row, &s->entries, &s->count, &why);
    if (status != HITHER_OK)
        return absorb(v, s->place, status, &why);
    s->segments = ht_calloc(s->count, sizeof *s->segments);
    if (!s->segments)
        return ht_fail_nomem(v->err, s->count * sizeof *s->segments, "the list of segments");
    for (size_t i = 0; i < s->count; i++) {
        const ht_segment_entry *entry = &s->entries[i];
        char name[HT_SEGMENT_NAME_BYTES], place[HT_SEGMENT_NAME_BYTES + 8];
        ht_segment_name_write(name, entry->expect.cid, entry->expect.sid);
        snprintf(place, sizeof place, "seg/%s", name);
        HT_TRY(remember(v, entry->expect.sid));
        if (entry->expect.first_slot < end)
            HT_TRY(report(v, place, "its slots are those of the segment before it, too"));
        end = entry->expect.first_slot + entry->committed;
        s->segments[i] = take_pinned(v, entry->expect.sid);
        if (!s->segments[i])
            HT_TRY(absorb(v, place, ht_segment_load(v->store, entry, &s->segments[i], &why), &why));
        if (s->segments[i] && v->depth == HT_VERIFY_DEEP)
            HT_TRY(check_vectors(v, s->segments[i], entry->committed));
    }
    if (end != s->row->next_slot)
        return report(v, s->place, "its segments end at slot %" PRIu64 ", the collection at slot %" PRIu64, end,
                      s->row->next_slot);
    return HITHER_OK;
}

static void note_missing(subject *s, uint64_t begin, uint64_t end) {
    if (s->missing == 0)
        s->first_missing = begin;
    s->missing += end - begin;
}

/* Slots from `expected` up to `slot` have no row. Where a compacted segment marks them that is as it should be. */
static void note_gap(subject *s, uint64_t slot) {
    for (size_t i = 0; i < s->count; i++) {
        uint64_t first = s->entries[i].expect.first_slot, begin = first, end = first + s->entries[i].committed;
        begin = begin > s->expected ? begin : s->expected;
        end = end < slot ? end : slot;
        if (begin < end && s->entries[i].state == HT_SEGMENT_WHOLE)
            note_missing(s, begin, end);
        else
            for (; begin < end && s->segments[i]; begin++)
                if (!ht_segment_dropped(s->segments[i], begin - first))
                    note_missing(s, begin, begin + 1);
    }
}

static hither_status check_row(verify *v, subject *s, sqlite3_stmt *stmt) {
    uint64_t slot = (uint64_t)sqlite3_column_int64(stmt, 0);
    bool is_int = sqlite3_column_type(stmt, 1) == SQLITE_INTEGER;
    ht_text id = {0}, metadata, document;
    char place[sizeof s->place + 32];
    snprintf(place, sizeof place, "%s, slot %" PRIu64, s->place, slot);
    if ((!is_int && !ht_column_text(stmt, 1, &id)) || !ht_column_text(stmt, 2, &metadata) ||
        !ht_column_text(stmt, 3, &document))
        return ht_fail_nomem(v->err, 0, "a row");
    if (slot > s->expected)
        note_gap(s, slot);
    s->expected = slot + 1;
    s->rows++;
    bool alive = sqlite3_column_type(stmt, 4) == SQLITE_NULL;
    if (alive)
        s->live++;
    else if ((uint64_t)sqlite3_column_int64(stmt, 4) > s->row->commit_seq)
        HT_TRY(report(v, place, "it died in a commit that has not happened"));
    if (s->row->id_kind != (is_int ? HT_ID_INT : HT_ID_TEXT))
        HT_TRY(report(v, place, "its id is not of the collection's kind"));
    while (s->at + 1 < s->count && slot >= s->entries[s->at + 1].expect.first_slot)
        s->at++;
    if (s->count == 0 || slot < s->entries[s->at].expect.first_slot ||
        slot - s->entries[s->at].expect.first_slot >= s->entries[s->at].committed)
        /* A dead row of a segment that compaction has taken is about to go too. */
        return alive ? report(v, place, "no segment has it") : HITHER_OK;
    if (!s->segments[s->at])
        return HITHER_OK; /* reported already */
    uint64_t position = slot - s->entries[s->at].expect.first_slot;
    if (ht_segment_dropped(s->segments[s->at], position))
        return alive ? report(v, place, "compaction has dropped its vector, but it is alive") : HITHER_OK;
    uint32_t sum =
        ht_row_sum(slot, is_int ? HT_ID_INT : HT_ID_TEXT, sqlite3_column_int64(stmt, 1), id, metadata, document);
    if (ht_segment_sums(s->segments[s->at], position).row != sum)
        return report(v, place, "its id, metadata or document does not fit the checksum in %s (offset %" PRIu64 ")",
                      s->segments[s->at]->name, s->segments[s->at]->header.sums_offset + position * 8 + 4);
    return HITHER_OK;
}

static hither_status check_rows(verify *v, subject *s) {
    hither_error why = {0};
    sqlite3_stmt *stmt;
    hither_status status = ht_conn_prepare(v->conn, SQL_ROW_ALL, s->row->cid, &stmt, &why);
    if (status != HITHER_OK)
        return absorb(v, s->place, status, &why);
    int rc;
    while (status == HITHER_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            status = absorb(v, s->place, ht_conn_fail(v->conn, "reading its rows", &why), &why);
            sqlite3_reset(stmt);
            return status; /* the counts would be wrong */
        }
        status = check_row(v, s, stmt);
    }
    sqlite3_reset(stmt);
    if (status != HITHER_OK)
        return status;
    note_gap(s, s->row->next_slot);
    if (s->missing > 0)
        HT_TRY(report(v, s->place, "%" PRIu64 " slots have no row, the first of them %" PRIu64, s->missing,
                      s->first_missing));
    if (s->live != s->row->live_count)
        return report(v, s->place, "it has %" PRIu64 " rows, its entry says %" PRIu64, s->live, s->row->live_count);
    return HITHER_OK;
}

static hither_status check_collection(void *arg, const ht_collection_row *row) {
    verify *v = arg;
    subject s = {.row = row};
    snprintf(s.place, sizeof s.place, "collection '%s'", row->name);
    hither_status status = check_segments(v, &s);
    if (status == HITHER_OK && s.segments && v->depth == HT_VERIFY_DEEP)
        status = check_rows(v, &s);
    for (size_t i = 0; s.segments && i < s.count; i++)
        ht_segment_release(s.segments[i]);
    ht_release(s.segments);
    ht_release(s.entries);
    v->stopped = status;
    return status;
}

/* ---- files nobody knows */

typedef struct lodger {
    verify *v;
    int64_t last; /* the highest number of a segment that was ever committed */
} lodger;

/* A file that compaction has replaced is removed a moment after its commit. */
static bool is_going(const ht_store *store, const char *name) {
    const ht_io *io = store->io;
    ht_io_kind kind = HT_IO_FILE;
    uint64_t bytes;
    char *path = ht_path_join(store->path, name);
    for (int i = 0; path && i < 10 && kind != HT_IO_ABSENT; i++) {
        nanosleep(&(struct timespec){.tv_nsec = i * 1000000L}, NULL);
        if (io->stat(io->ctx, path, &kind, &bytes, NULL) != HITHER_OK)
            break;
    }
    ht_release(path);
    return kind == HT_IO_ABSENT;
}

static hither_status check_name(void *arg, const char *name, ht_io_kind kind) {
    lodger *l = arg;
    int64_t cid, sid;
    char place[300];
    snprintf(place, sizeof place, "seg/%s", name);
    if (kind != HT_IO_FILE || !ht_segment_name_read(name, &cid, &sid))
        return report(l->v, place, "it is none of hither's files");
    /* A higher number is one the writer is about to use, or was when it died. */
    if (sid > l->last)
        return HITHER_OK;
    for (size_t i = 0; i < l->v->sid_count; i++) {
        if (l->v->sids[i] == sid)
            return HITHER_OK;
    }
    if (is_going(l->v->store, place))
        return HITHER_OK;
    return report(l->v, place, "the catalog does not know it; the next open for writing removes it");
}

static hither_status check_names(verify *v) {
    const ht_io *io = v->store->io;
    hither_error why = {0};
    lodger l = {.v = v};
    hither_status status = ht_conn_number(v->conn,
                                          "SELECT coalesce((SELECT seq FROM sqlite_sequence "
                                          "WHERE name = 'segments'), 0)",
                                          &l.last, &why);
    if (status != HITHER_OK)
        return absorb(v, "catalog", status, &why);
    return io->list(io->ctx, v->store->segment_path, check_name, &l, v->err);
}

static hither_status check_collections(verify *v) {
    hither_error why = {0};
    hither_status status = ht_collections_each(v->conn, check_collection, v, &why);
    if (v->stopped != HITHER_OK)
        return v->stopped;
    return status == HITHER_OK ? check_names(v) : absorb(v, "catalog", status, &why);
}

/* ---- the version that is judged */

static void unpin(verify *v) {
    for (size_t i = 0; i < v->pinned_count; i++)
        ht_segment_release(v->pinned[i]);
    v->pinned_count = 0;
}

static hither_status pin_one(verify *v, const ht_segment_entry *entry) {
    hither_error why = {0};
    if (v->pinned_count == v->pinned_room) {
        size_t room = v->pinned_room ? v->pinned_room * 2 : 64;
        ht_segment **more = ht_resize(v->pinned, room * sizeof(ht_segment *));
        if (!more)
            return ht_fail_nomem(v->err, room * sizeof(ht_segment *), "the list of segments");
        v->pinned = more;
        v->pinned_room = room;
    }
    hither_status status = ht_segment_load(v->store, entry, &v->pinned[v->pinned_count], &why);
    v->pinned_count += status == HITHER_OK;
    v->vanished = v->vanished || status == HITHER_NOT_FOUND;
    return HITHER_OK; /* what is wrong comes up again, and is reported, when it is its turn */
}

static hither_status pin_collection(void *arg, const ht_collection_row *row) {
    verify *v = arg;
    ht_segment_entry *entries = NULL;
    size_t count = 0;
    if (ht_segments_list(v->conn, row, &entries, &count, NULL) != HITHER_OK)
        return HITHER_OK;
    for (size_t i = 0; i < count && v->stopped == HITHER_OK; i++)
        v->stopped = pin_one(v, &entries[i]);
    ht_release(entries);
    return v->stopped;
}

/* Begins the transaction that everything is judged by, and opens its segments: compaction may take one out of the
 * catalog, and then its file away, at any moment. */
static hither_status pin(verify *v) {
    int64_t ignored;
    hither_error why = {0};
    for (int attempt = 0; attempt < PIN_ATTEMPTS; attempt++) {
        HT_TRY(ht_conn_do(v->conn, SQL_BEGIN, v->err));
        HT_TRY(
            absorb(v, "catalog", ht_conn_number(v->conn, "SELECT count(*) FROM sqlite_schema", &ignored, &why), &why));
        v->vanished = false;
        hither_status status = ht_collections_each(v->conn, pin_collection, v, NULL);
        if (v->stopped != HITHER_OK)
            return v->stopped;
        if (status != HITHER_OK || !v->vanished || attempt + 1 == PIN_ATTEMPTS)
            return HITHER_OK;
        unpin(v);
        HT_TRY(ht_conn_do(v->conn, SQL_ROLLBACK, v->err));
    }
    return HITHER_OK;
}

hither_status ht_store_verify(ht_store *store, ht_depth depth,
                              hither_status (*finding)(void *arg, const char *place, const char *problem), void *arg,
                              ht_progress *progress, hither_error *err) {
    verify v = {.store = store, .finding = finding, .arg = arg, .progress = progress, .depth = depth, .err = err};
    HT_TRY(ht_pool_take(store, &v.conn, err));
    hither_status status = pin(&v);
    if (status == HITHER_OK)
        status = ht_progress_phase(progress, "catalog", 0, err);
    if (status == HITHER_OK)
        status = check_pages(&v);
    if (status == HITHER_OK && depth == HT_VERIFY_DEEP)
        status = check_integrity(&v);
    if (status == HITHER_OK)
        status = check_collections(&v);
    unpin(&v);
    ht_release(v.pinned);
    ht_release(v.sids);
    ht_reader_end(&v.conn->reader);
    return status;
}
