/*
 * log.c: the catalog's log as a connection of SQLite has it open: whether commits in it are lost, and writing it anew.
 *
 * Its bytes are read through SQLite's own handles: a second handle of ours, when closed, would take SQLite's locks with
 * it. Any thread, with a connection of its own.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "store/inside.h"
#include "store/wal.h"

enum {
    RENEW_CHUNK = 1 << 16,
    SHM_BYTES = 32768,
    INDEX_ATTEMPTS = 1000, /* half a second in all */
    MOVED_ATTEMPTS = 100
};

typedef struct catalog_files {
    sqlite3_file *main, *log;
} catalog_files;

static hither_status read_exactly(sqlite3_file *file, void *data, size_t bytes, uint64_t offset, hither_error *err) {
    int rc = file->pMethods->xRead(file, data, (int)bytes, (sqlite3_int64)offset);
    if (rc == SQLITE_OK)
        return HITHER_OK;
    return ht_fail(err, rc == SQLITE_IOERR_NOMEM ? HITHER_NOMEM : HITHER_IO,
                   "catalog: it cannot be read at offset %" PRIu64 " (SQLite error %d)", offset, rc);
}

static hither_status read_log(void *ctx, void *data, size_t bytes, uint64_t offset, hither_error *err) {
    const catalog_files *files = ctx;
    return read_exactly(files->log, data, bytes, offset, err);
}

static hither_status read_main(void *ctx, uint32_t page, unsigned char data[HT_PAGE_BYTES], hither_error *err) {
    const catalog_files *files = ctx;
    return read_exactly(files->main, data, HT_PAGE_BYTES, (uint64_t)(page - 1) * HT_PAGE_BYTES, err);
}

/* No log: files->log is NULL. */
static hither_status find_files(ht_conn *conn, catalog_files *files, sqlite3_int64 *log_bytes,
                                sqlite3_int64 *main_bytes, hither_error *err) {
    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_FILE_POINTER, &files->main);
    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &files->log);
    if (!files->main || !files->main->pMethods || !files->log || !files->log->pMethods) {
        files->log = NULL;
        return HITHER_OK;
    }
    if (files->log->pMethods->xFileSize(files->log, log_bytes) != SQLITE_OK ||
        files->main->pMethods->xFileSize(files->main, main_bytes) != SQLITE_OK)
        return ht_fail(err, HITHER_IO, "catalog: the size of its files cannot be read");
    return HITHER_OK;
}

bool ht_log_index_read(sqlite3_file *main, ht_log_index *out) {
    void volatile *region = NULL;
    uint32_t words[25];
    *out = (ht_log_index){0};
    if (main->pMethods->xShmMap(main, 0, SHM_BYTES, 0, &region) != SQLITE_OK || !region)
        return false;
    /* Two copies of 48 bytes; while they differ somebody is writing, and may have lost the processor amid it. */
    for (int attempt = 0; attempt < INDEX_ATTEMPTS; attempt++) {
        if (attempt > 0)
            nanosleep(&(struct timespec){0, attempt * 1000L}, NULL);
        main->pMethods->xShmBarrier(main);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            words[i] = ((uint32_t volatile *)region)[i];
        if (memcmp(words, words + 12, 48) == 0) {
            *out = (ht_log_index){words[4], words[24], {words[8], words[9]}};
            return true;
        }
    }
    return false;
}

/* *moved: reading failed, and the log has another length than before. */
static hither_status check_once(ht_conn *conn, bool known, bool *moved, hither_error *err) {
    catalog_files files = {0};
    ht_log_index index = {0};
    sqlite3_int64 log_bytes = 0, main_bytes = 0, now = 0;
    HT_TRY(find_files(conn, &files, &log_bytes, &main_bytes, err));
    if (!files.log || (known && !ht_log_index_read(files.main, &index)))
        return HITHER_OK;
    ht_wal wal = {.read = read_log,
                  .ctx = &files,
                  .bytes = (uint64_t)log_bytes,
                  .known = index.frames,
                  .pages = (uint64_t)main_bytes / HT_PAGE_BYTES,
                  .read_page = read_main};
    ht_wal_scan scan;
    hither_status status = ht_wal_scan_file(&wal, &scan, err);
    *moved = status == HITHER_IO && files.log->pMethods->xFileSize(files.log, &now) == SQLITE_OK && now != log_bytes;
    if (status != HITHER_OK || !scan.damaged)
        return status;
    return ht_fail(err, HITHER_CORRUPT,
                   "catalog-wal: frame %" PRIu32 " (offset %" PRIu64 ") fails its checksum, and commits from there on "
                   "would be lost; restore the folder from a copy",
                   scan.good + 1, HT_WAL_HEADER + (uint64_t)scan.good * HT_WAL_FRAME);
}

hither_status ht_log_check(ht_conn *conn, bool known, hither_error *err) {
    bool moved = false;
    hither_status status = check_once(conn, known, &moved, err);
    /* A writer beside us may empty the log at any moment. */
    for (int attempt = 1; known && moved && attempt < MOVED_ATTEMPTS; attempt++) {
        moved = false;
        status = check_once(conn, known, &moved, err);
    }
    return status;
}

hither_status ht_log_renew(ht_store *store, hither_error *err) {
    catalog_files files = {0};
    sqlite3_int64 log_bytes = 0, main_bytes = 0;
    HT_TRY(find_files(store->writer, &files, &log_bytes, &main_bytes, err));
    if (!files.log || log_bytes <= 0)
        return HITHER_OK;
    unsigned char *chunk = ht_alloc(RENEW_CHUNK);
    if (!chunk)
        return ht_fail_nomem(err, RENEW_CHUNK, "the log");
    hither_status status = HITHER_OK;
    for (sqlite3_int64 at = 0; at < log_bytes && status == HITHER_OK; at += RENEW_CHUNK) {
        int bytes = log_bytes - at < RENEW_CHUNK ? (int)(log_bytes - at) : RENEW_CHUNK;
        status = read_exactly(files.log, chunk, (size_t)bytes, (uint64_t)at, err);
        int rc = status == HITHER_OK ? files.log->pMethods->xWrite(files.log, chunk, bytes, at) : SQLITE_OK;
        if (rc != SQLITE_OK)
            status =
                ht_fail(err, (rc & 0xff) == SQLITE_FULL ? HITHER_FULL : HITHER_IO,
                        "catalog-wal: it cannot be written at offset %" PRIu64 " (SQLite error %d)", (uint64_t)at, rc);
    }
    ht_release(chunk);
    if (status == HITHER_OK && files.log->pMethods->xSync(files.log, SQLITE_SYNC_NORMAL) != SQLITE_OK)
        status = ht_fail(err, HITHER_IO, "catalog-wal: it cannot be synced");
    return status;
}
