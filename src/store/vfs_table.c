/*
 * vfs_table.c: a whole SQLite VFS over an ht_io table, for files that exist only behind it. Locks and the log's shared
 * memory live in this process, in one node a path, so that several connections of one store work side by side; two
 * stores over one table must not be open at once (store.c sees to it with LOCK).
 *
 * What must stay true: vfs->lock guards every node; a node lives as long as some open file points at it.
 */
#include <string.h>

#include "base/alloc.h"
#include "store/vfs.h"

enum { SHM_SLOTS = SQLITE_SHM_NLOCK };

typedef struct table_file {
    sqlite3_file base;
    ht_vfs *vfs;
    ht_file *file;
    struct ht_table_node *node;
    bool main, persist_wal;
    int level;                 /* the lock held, SQLITE_LOCK_... */
    uint8_t shared, exclusive; /* bit i: slot i of the shared memory is held so */
    bool has_shm;
} table_file;

typedef struct ht_table_node {
    struct ht_table_node *next;
    char *path;
    size_t files;       /* open ones */
    size_t readers;     /* files with at least a shared lock */
    table_file *writer; /* the one with a reserved, pending or exclusive lock */
    bool pending;       /* no new shared locks */
    int slots[SHM_SLOTS];
    size_t mapped; /* files that use the shared memory */
    void **regions;
    size_t region_count;
} ht_table_node;

static void release_regions(ht_table_node *node) {
    for (size_t i = 0; i < node->region_count; i++)
        ht_release(node->regions[i]);
    ht_release(node->regions);
    node->regions = NULL;
    node->region_count = 0;
}

static void drop_node(ht_vfs *vfs, ht_table_node *node) {
    for (ht_table_node **at = &vfs->nodes; *at; at = &(*at)->next) {
        if (*at == node) {
            *at = node->next;
            break;
        }
    }
    release_regions(node);
    ht_release(node->path);
    ht_release(node);
}

/* With vfs->lock held; NULL without memory. */
static ht_table_node *take_node(ht_vfs *vfs, const char *path) {
    ht_table_node *node = vfs->nodes;
    while (node && strcmp(node->path, path) != 0)
        node = node->next;
    if (!node) {
        node = ht_calloc(1, sizeof *node);
        if (!node)
            return NULL;
        node->path = ht_strdup(path);
        if (!node->path) {
            ht_release(node);
            return NULL;
        }
        node->next = vfs->nodes;
        vfs->nodes = node;
    }
    node->files++;
    return node;
}

void ht_vfs_table_clear(ht_vfs *vfs) {
    while (vfs->nodes)
        drop_node(vfs, vfs->nodes);
}

/* ---- the file's bytes */

static int table_read(sqlite3_file *f, void *data, int bytes, sqlite3_int64 offset) {
    table_file *file = (table_file *)f;
    uint64_t size = 0;
    hither_status status = file->vfs->io->file_size(file->file, &size, NULL);
    if (status != HITHER_OK)
        return ht_vfs_code(status, SQLITE_IOERR_FSTAT);
    size_t there = 0;
    if ((uint64_t)offset < size)
        there = size - (uint64_t)offset < (uint64_t)bytes ? (size_t)(size - (uint64_t)offset) : (size_t)bytes;
    if (there > 0) {
        status = file->vfs->io->read_at(file->file, data, there, (uint64_t)offset, NULL);
        if (status != HITHER_OK)
            return ht_vfs_code(status, SQLITE_IOERR_READ);
    }
    bool page = file->main && ht_is_page(offset, bytes);
    if (there < (size_t)bytes) {
        memset((char *)data + there, 0, (size_t)bytes - there);
        return page && there > 0 ? ht_vfs_cut_page(file->vfs, (uint64_t)offset, size) : SQLITE_IOERR_SHORT_READ;
    }
    return page ? ht_vfs_check_page(file->vfs, data, (uint64_t)offset) : SQLITE_OK;
}

static int table_write(sqlite3_file *f, const void *data, int bytes, sqlite3_int64 offset) {
    table_file *file = (table_file *)f;
    unsigned char page[HT_PAGE_BYTES];
    if (file->main) {
        if (!ht_is_page(offset, bytes))
            return SQLITE_IOERR_WRITE;
        memcpy(page, data, HT_PAGE_BYTES);
        ht_page_seal(page, (uint64_t)offset);
        data = page;
    }
    return ht_vfs_code(file->vfs->io->write_at(file->file, data, (size_t)bytes, (uint64_t)offset, NULL),
                       SQLITE_IOERR_WRITE);
}

static int table_truncate(sqlite3_file *f, sqlite3_int64 size) {
    table_file *file = (table_file *)f;
    return ht_vfs_code(file->vfs->io->resize(file->file, (uint64_t)size, NULL), SQLITE_IOERR_TRUNCATE);
}

static int table_sync(sqlite3_file *f, int flags) {
    table_file *file = (table_file *)f;
    (void)flags;
    /* A sync that failed must look like one, whatever the reason: the caller gives the handle up. */
    return file->vfs->io->sync(file->file, NULL) == HITHER_OK ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

static int table_size(sqlite3_file *f, sqlite3_int64 *size) {
    table_file *file = (table_file *)f;
    uint64_t bytes = 0;
    hither_status status = file->vfs->io->file_size(file->file, &bytes, NULL);
    if (status == HITHER_OK)
        *size = (sqlite3_int64)bytes;
    return ht_vfs_code(status, SQLITE_IOERR_FSTAT);
}

/* ---- locks */

static int table_lock(sqlite3_file *f, int level) {
    table_file *file = (table_file *)f;
    ht_table_node *node = file->node;
    if (level <= file->level)
        return SQLITE_OK;
    int rc = SQLITE_OK;
    pthread_mutex_lock(&file->vfs->lock);
    if (level == SQLITE_LOCK_SHARED) {
        if (node->pending) {
            rc = SQLITE_BUSY;
        } else {
            node->readers++;
            file->level = level;
        }
    } else if (node->writer && node->writer != file) {
        rc = SQLITE_BUSY;
    } else {
        node->writer = file;
        file->level = level;
        if (level == SQLITE_LOCK_EXCLUSIVE) {
            node->pending = true; /* stays, as SQLite's own pending lock does, until this file unlocks */
            if (node->readers > 1) {
                file->level = SQLITE_LOCK_PENDING;
                rc = SQLITE_BUSY;
            }
        }
    }
    pthread_mutex_unlock(&file->vfs->lock);
    return rc;
}

/* With vfs->lock held. */
static void unlock_to(table_file *file, int level) {
    ht_table_node *node = file->node;
    if (level >= file->level)
        return;
    if (node->writer == file) {
        node->writer = NULL;
        node->pending = false;
    }
    if (level == SQLITE_LOCK_NONE)
        node->readers--;
    file->level = level;
}

static int table_unlock(sqlite3_file *f, int level) {
    table_file *file = (table_file *)f;
    pthread_mutex_lock(&file->vfs->lock);
    unlock_to(file, level);
    pthread_mutex_unlock(&file->vfs->lock);
    return SQLITE_OK;
}

static int table_reserved(sqlite3_file *f, int *out) {
    table_file *file = (table_file *)f;
    pthread_mutex_lock(&file->vfs->lock);
    *out = file->node->writer != NULL;
    pthread_mutex_unlock(&file->vfs->lock);
    return SQLITE_OK;
}

/* ---- the log's shared memory */

static int table_shm_map(sqlite3_file *f, int region, int bytes, int extend, void volatile **out) {
    table_file *file = (table_file *)f;
    ht_table_node *node = file->node;
    int rc = SQLITE_OK;
    *out = NULL;
    pthread_mutex_lock(&file->vfs->lock);
    if (!file->has_shm) {
        file->has_shm = true;
        node->mapped++;
    }
    while (extend && rc == SQLITE_OK && node->region_count <= (size_t)region) {
        void **regions = ht_resize(node->regions, (node->region_count + 1) * sizeof *regions);
        void *memory = ht_calloc(1, (size_t)bytes);
        if (regions)
            node->regions = regions;
        if (regions && memory) {
            node->regions[node->region_count++] = memory;
        } else {
            ht_release(memory);
            rc = SQLITE_IOERR_NOMEM;
        }
    }
    if (rc == SQLITE_OK && (size_t)region < node->region_count)
        *out = node->regions[region];
    pthread_mutex_unlock(&file->vfs->lock);
    return rc;
}

/* With vfs->lock held. */
static void shm_release(table_file *file, unsigned mask) {
    for (int i = 0; i < SHM_SLOTS; i++) {
        unsigned bit = 1u << i;
        if (!(mask & bit))
            continue;
        if (file->shared & bit)
            file->node->slots[i]--;
        else if (file->exclusive & bit)
            file->node->slots[i] = 0;
    }
    file->shared = (uint8_t)(file->shared & ~mask);
    file->exclusive = (uint8_t)(file->exclusive & ~mask);
}

static int table_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    table_file *file = (table_file *)f;
    int *slots = file->node->slots; /* -1: exclusive, else the number of shared holders */
    unsigned mask = ((1u << (offset + n)) - 1) & ~((1u << offset) - 1);
    int rc = SQLITE_OK;
    pthread_mutex_lock(&file->vfs->lock);
    if (flags & SQLITE_SHM_UNLOCK) {
        shm_release(file, mask);
    } else {
        bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
        for (int i = offset; i < offset + n && rc == SQLITE_OK; i++) {
            bool mine = ((file->shared | file->exclusive) & 1u << i) != 0;
            if (!mine && (exclusive ? slots[i] != 0 : slots[i] < 0))
                rc = SQLITE_BUSY;
        }
        for (int i = offset; i < offset + n && rc == SQLITE_OK; i++) {
            if ((file->shared | file->exclusive) & 1u << i)
                continue;
            slots[i] = exclusive ? -1 : slots[i] + 1;
            if (exclusive)
                file->exclusive = (uint8_t)(file->exclusive | 1u << i);
            else
                file->shared = (uint8_t)(file->shared | 1u << i);
        }
    }
    pthread_mutex_unlock(&file->vfs->lock);
    return rc;
}

static void table_shm_barrier(sqlite3_file *f) {
    table_file *file = (table_file *)f;
    /* A lock taken and given back is a full barrier, and one that race detectors understand. */
    pthread_mutex_lock(&file->vfs->lock);
    pthread_mutex_unlock(&file->vfs->lock);
}

/* With vfs->lock held. The memory goes with its last user: it can be built again from the log. */
static void shm_unmap(table_file *file) {
    if (!file->has_shm)
        return;
    shm_release(file, 0xff);
    file->has_shm = false;
    if (--file->node->mapped == 0)
        release_regions(file->node);
}

static int table_shm_unmap(sqlite3_file *f, int remove) {
    table_file *file = (table_file *)f;
    (void)remove;
    pthread_mutex_lock(&file->vfs->lock);
    shm_unmap(file);
    pthread_mutex_unlock(&file->vfs->lock);
    return SQLITE_OK;
}

/* ---- the rest */

static int table_close(sqlite3_file *f) {
    table_file *file = (table_file *)f;
    ht_vfs *vfs = file->vfs;
    pthread_mutex_lock(&vfs->lock);
    shm_unmap(file);
    unlock_to(file, SQLITE_LOCK_NONE);
    if (--file->node->files == 0)
        drop_node(vfs, file->node);
    pthread_mutex_unlock(&vfs->lock);
    vfs->io->close(file->file);
    return SQLITE_OK;
}

static int table_control(sqlite3_file *f, int op, void *arg) {
    table_file *file = (table_file *)f;
    int *flag = arg;
    switch (op) {
    case SQLITE_FCNTL_LOCKSTATE:
        *flag = file->level;
        return SQLITE_OK;
    case SQLITE_FCNTL_PERSIST_WAL:
        if (*flag >= 0)
            file->persist_wal = *flag != 0;
        *flag = file->persist_wal;
        return SQLITE_OK;
    default:
        return SQLITE_NOTFOUND;
    }
}

static int table_sector(sqlite3_file *f) {
    (void)f;
    return HT_PAGE_BYTES;
}
static int table_traits(sqlite3_file *f) {
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* a write never harms its neighbours */
}

static const sqlite3_io_methods table_methods = {
    .iVersion = 2,
    .xClose = table_close,
    .xRead = table_read,
    .xWrite = table_write,
    .xTruncate = table_truncate,
    .xSync = table_sync,
    .xFileSize = table_size,
    .xLock = table_lock,
    .xUnlock = table_unlock,
    .xCheckReservedLock = table_reserved,
    .xFileControl = table_control,
    .xSectorSize = table_sector,
    .xDeviceCharacteristics = table_traits,
    .xShmMap = table_shm_map,
    .xShmLock = table_shm_lock,
    .xShmBarrier = table_shm_barrier,
    .xShmUnmap = table_shm_unmap,
};

static int table_open(sqlite3_vfs *base, const char *path, sqlite3_file *f, int flags, int *out_flags) {
    ht_vfs *vfs = (ht_vfs *)base;
    table_file *file = (table_file *)f;
    memset(file, 0, sizeof *file);
    if (!path) /* a nameless temporary file: every connection keeps those in memory */
        return SQLITE_CANTOPEN;
    unsigned how = 0;
    if (flags & SQLITE_OPEN_READWRITE)
        how |= HT_IO_WRITE;
    if (flags & SQLITE_OPEN_CREATE)
        how |= HT_IO_CREATE;
    if (flags & SQLITE_OPEN_EXCLUSIVE)
        how |= HT_IO_EXCLUSIVE;
    if (flags & SQLITE_OPEN_DELETEONCLOSE)
        how |= HT_IO_DELETE;
    file->vfs = vfs;
    file->main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    hither_status status = vfs->io->open(vfs->io->ctx, path, how, &file->file, NULL);
    if (status != HITHER_OK)
        return ht_vfs_code(status, SQLITE_CANTOPEN);
    pthread_mutex_lock(&vfs->lock);
    file->node = take_node(vfs, path);
    pthread_mutex_unlock(&vfs->lock);
    if (!file->node) {
        vfs->io->close(file->file);
        return SQLITE_IOERR_NOMEM;
    }
    if (out_flags)
        *out_flags = flags;
    file->base.pMethods = &table_methods;
    return SQLITE_OK;
}

static int table_delete(sqlite3_vfs *base, const char *path, int sync_folder) {
    ht_vfs *vfs = (ht_vfs *)base;
    hither_status status = vfs->io->remove(vfs->io->ctx, path, NULL);
    if (status == HITHER_NOT_FOUND)
        return SQLITE_IOERR_DELETE_NOENT;
    if (status != HITHER_OK)
        return ht_vfs_code(status, SQLITE_IOERR_DELETE);
    if (!sync_folder)
        return SQLITE_OK;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? ht_memdup(path, (size_t)(slash - path) + 1) : ht_strdup(".");
    if (!folder)
        return SQLITE_IOERR_NOMEM;
    if (slash)
        folder[slash - path] = '\0';
    status = vfs->io->sync_folder(vfs->io->ctx, folder, NULL);
    ht_release(folder);
    return status == HITHER_OK ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
}

static int table_access(sqlite3_vfs *base, const char *path, int flags, int *out) {
    ht_vfs *vfs = (ht_vfs *)base;
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes = 0;
    hither_status status = vfs->io->stat(vfs->io->ctx, path, &kind, &bytes, NULL);
    if (status != HITHER_OK)
        return ht_vfs_code(status, SQLITE_IOERR_ACCESS);
    /* SQLite takes an empty journal or log for none at all. */
    *out = kind == HT_IO_FILE && (flags != SQLITE_ACCESS_EXISTS || bytes > 0);
    return SQLITE_OK;
}

static int table_full_path(sqlite3_vfs *base, const char *path, int bytes, char *out) {
    (void)base;
    size_t length = strlen(path);
    if (length >= (size_t)bytes)
        return SQLITE_CANTOPEN;
    memcpy(out, path, length + 1);
    return SQLITE_OK;
}

static int table_randomness(sqlite3_vfs *base, int bytes, char *out) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xRandomness(vfs->below, bytes, out);
}
static int table_sleep(sqlite3_vfs *base, int microseconds) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xSleep(vfs->below, microseconds);
}
static int table_time(sqlite3_vfs *base, double *out) {
    ht_vfs *vfs = (ht_vfs *)base;
    return vfs->below->xCurrentTime(vfs->below, out);
}
static int table_last_error(sqlite3_vfs *base, int bytes, char *out) {
    (void)base;
    (void)bytes;
    (void)out;
    return 0;
}

void ht_vfs_table_init(ht_vfs *vfs) {
    vfs->base = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(table_file),
        .mxPathname = 1024,
        .xOpen = table_open,
        .xDelete = table_delete,
        .xAccess = table_access,
        .xFullPathname = table_full_path,
        .xRandomness = table_randomness,
        .xSleep = table_sleep,
        .xCurrentTime = table_time,
        .xGetLastError = table_last_error,
    };
}
