/*
 * vfs_disk.c: a shim over SQLite's own VFS. Each operation on a file is shown to io->observe first, so that a test can
 * record or fail it; the pages of the main file get and lose their checksums here. Locks and shared memory are passed
 * through untouched. SQLite never maps the main file (the methods stop at version 2), so no page escapes the check.
 */
#include <string.h>

#include "store/vfs.h"

typedef struct disk_file {
    sqlite3_file base;
    ht_vfs *vfs;
    const char *path;   /* SQLite's, good until close */
    bool main;          /* the catalog itself, not its log or journal */
    sqlite3_file *real; /* lies right behind this struct */
} disk_file;

/* The real file's struct starts at a multiple of 16 for its own alignment. */
enum { DISK_FILE_BYTES = (sizeof(disk_file) + 15) / 16 * 16 };

static int observe(const disk_file *file, ht_io_op op, sqlite3_int64 offset, const void *data, int bytes, int code) {
    const ht_io *io = file->vfs->io;
    if (!io->observe)
        return SQLITE_OK;
    ht_io_event event = {op, file->path, (uint64_t)offset, data, (size_t)bytes};
    return ht_vfs_code(io->observe(io->ctx, &event), code);
}

static int disk_close(sqlite3_file *f) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods ? file->real->pMethods->xClose(file->real) : SQLITE_OK;
}

static int disk_read(sqlite3_file *f, void *data, int bytes, sqlite3_int64 offset) {
    disk_file *file = (disk_file *)f;
    int rc = observe(file, HT_OP_READ, offset, NULL, bytes, SQLITE_IOERR_READ);
    if (rc != SQLITE_OK)
        return rc;
    rc = file->real->pMethods->xRead(file->real, data, bytes, offset);
    if (!file->main || !ht_is_page(offset, bytes))
        return rc;
    if (rc == SQLITE_OK)
        return ht_vfs_check_page(file->vfs, data, (uint64_t)offset);
    sqlite3_int64 size = 0;
    if (rc == SQLITE_IOERR_SHORT_READ && file->real->pMethods->xFileSize(file->real, &size) == SQLITE_OK &&
        size > offset)
        return ht_vfs_cut_page(file->vfs, (uint64_t)offset, (uint64_t)size);
    return rc;
}

static int disk_write(sqlite3_file *f, const void *data, int bytes, sqlite3_int64 offset) {
    disk_file *file = (disk_file *)f;
    unsigned char page[HT_PAGE_BYTES];
    if (file->main) {
        if (!ht_is_page(offset, bytes))
            return SQLITE_IOERR_WRITE;
        memcpy(page, data, HT_PAGE_BYTES);
        ht_page_seal(page, (uint64_t)offset);
        data = page;
    }
    int rc = observe(file, HT_OP_WRITE, offset, data, bytes, SQLITE_IOERR_WRITE);
    return rc != SQLITE_OK ? rc : file->real->pMethods->xWrite(file->real, data, bytes, offset);
}

static int disk_truncate(sqlite3_file *f, sqlite3_int64 size) {
    disk_file *file = (disk_file *)f;
    int rc = observe(file, HT_OP_TRUNCATE, size, NULL, 0, SQLITE_IOERR_TRUNCATE);
    return rc != SQLITE_OK ? rc : file->real->pMethods->xTruncate(file->real, size);
}

static int disk_sync(sqlite3_file *f, int flags) {
    disk_file *file = (disk_file *)f;
    int rc = observe(file, HT_OP_SYNC, 0, NULL, 0, SQLITE_IOERR_FSYNC);
    /* A sync that failed must look like one, whatever the reason: the caller gives the handle up. */
    if (rc != SQLITE_OK)
        return SQLITE_IOERR_FSYNC;
    return file->real->pMethods->xSync(file->real, flags);
}

static int disk_size(sqlite3_file *f, sqlite3_int64 *size) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xFileSize(file->real, size);
}
static int disk_lock(sqlite3_file *f, int level) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xLock(file->real, level);
}
static int disk_unlock(sqlite3_file *f, int level) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xUnlock(file->real, level);
}
static int disk_reserved(sqlite3_file *f, int *out) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xCheckReservedLock(file->real, out);
}
static int disk_control(sqlite3_file *f, int op, void *arg) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xFileControl(file->real, op, arg);
}
static int disk_sector(sqlite3_file *f) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xSectorSize(file->real);
}
static int disk_traits(sqlite3_file *f) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xDeviceCharacteristics(file->real);
}
static int disk_shm_map(sqlite3_file *f, int region, int bytes, int extend, void volatile **out) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xShmMap(file->real, region, bytes, extend, out);
}
static int disk_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xShmLock(file->real, offset, n, flags);
}
static void disk_shm_barrier(sqlite3_file *f) {
    disk_file *file = (disk_file *)f;
    file->real->pMethods->xShmBarrier(file->real);
}
static int disk_shm_unmap(sqlite3_file *f, int remove) {
    disk_file *file = (disk_file *)f;
    return file->real->pMethods->xShmUnmap(file->real, remove);
}

static const sqlite3_io_methods disk_methods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_reserved,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_traits,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
};

static int disk_open(sqlite3_vfs *base, const char *path, sqlite3_file *f, int flags, int *out_flags) {
    ht_vfs *vfs = (ht_vfs *)base;
    disk_file *file = (disk_file *)f;
    memset(file, 0, sizeof *file);
    file->vfs = vfs;
    file->path = path ? path : "";
    file->main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    file->real = (sqlite3_file *)((char *)f + DISK_FILE_BYTES);
    file->real->pMethods = NULL;
    int rc = observe(file, HT_OP_OPEN, 0, NULL, 0, SQLITE_CANTOPEN);
    if (rc == SQLITE_OK)
        rc = vfs->below->xOpen(vfs->below, path, file->real, flags, out_flags);
    if (rc == SQLITE_OK)
        file->base.pMethods = &disk_methods;
    else if (file->real->pMethods)
        file->real->pMethods->xClose(file->real);
    return rc;
}

static int disk_delete(sqlite3_vfs *base, const char *path, int sync_folder) {
    ht_vfs *vfs = (ht_vfs *)base;
    disk_file file = {.vfs = vfs, .path = path};
    int rc = observe(&file, HT_OP_DELETE, 0, NULL, 0, SQLITE_IOERR_DELETE);
    return rc != SQLITE_OK ? rc : vfs->below->xDelete(vfs->below, path, sync_folder);
}

static int disk_access(sqlite3_vfs *base, const char *path, int flags, int *out) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xAccess(vfs->below, path, flags, out);
}
static int disk_full_path(sqlite3_vfs *base, const char *path, int bytes, char *out) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xFullPathname(vfs->below, path, bytes, out);
}
static int disk_randomness(sqlite3_vfs *base, int bytes, char *out) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xRandomness(vfs->below, bytes, out);
}
static int disk_sleep(sqlite3_vfs *base, int microseconds) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xSleep(vfs->below, microseconds);
}
static int disk_time(sqlite3_vfs *base, double *out) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xCurrentTime(vfs->below, out);
}
static int disk_last_error(sqlite3_vfs *base, int bytes, char *out) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xGetLastError(vfs->below, bytes, out);
}

void ht_vfs_disk_init(ht_vfs *vfs) {
    vfs->base = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = DISK_FILE_BYTES + vfs->below->szOsFile,
        .mxPathname = vfs->below->mxPathname,
        .xOpen = disk_open,
        .xDelete = disk_delete,
        .xAccess = disk_access,
        .xFullPathname = disk_full_path,
        .xRandomness = disk_randomness,
        .xSleep = disk_sleep,
        .xCurrentTime = disk_time,
        .xGetLastError = disk_last_error,
    };
}
