/*
 * store.c: opening and closing a database folder. What is in it, who may be in it at once, and what is cleared away.
 *
 * What must stay true: a folder that is no database of ours is left as it was; `seg` is made last of all, so where it
 * is, there must be a catalog; only the writer, who holds LOCK, ever removes anything.
 */
#include "store/store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "store/draft.h"
#include "store/inside.h"

enum { OLDEST_SQLITE = 3040000, LOCK_POLL_MS = 10 };

/* What a folder holds, by name. */
typedef struct contents {
    bool lock, catalog, segments, strange;
} contents;

static hither_status note_name(void *arg, const char *name, ht_io_kind kind) {
    static const char *const others[] = {"catalog-wal", "catalog-shm", "catalog-journal", "cache", "tmp"};
    contents *c = arg;
    if (strcmp(name, "LOCK") == 0 && kind == HT_IO_FILE) {
        c->lock = true;
    } else if (strcmp(name, "catalog") == 0 && kind == HT_IO_FILE) {
        c->catalog = true;
    } else if (strcmp(name, "seg") == 0 && kind == HT_IO_FOLDER) {
        c->segments = true;
    } else {
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            if (strcmp(name, others[i]) == 0)
                return HITHER_OK;
        }
        c->strange = true;
    }
    return HITHER_OK;
}

/* Judges the folder by the names in it: nothing is opened, let alone written. `*fresh`: it is to become a database. */
static hither_status judge(ht_store *store, unsigned flags, bool *fresh, hither_error *err) {
    const ht_io *io = store->io;
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes = 0;
    contents c = {0};
    HT_TRY(io->stat(io->ctx, store->path, &kind, &bytes, err));
    if (kind != HT_IO_ABSENT && kind != HT_IO_FOLDER)
        return ht_fail(err, HITHER_NOT_DATABASE, "%s is a file; a hither database is a folder", store->path);
    if (kind == HT_IO_FOLDER)
        HT_TRY(io->list(io->ctx, store->path, note_name, &c, err));
    if (!c.catalog && c.strange)
        return ht_fail(err, HITHER_NOT_DATABASE, "%s is a folder with other things in it, not a hither database",
                       store->path);
    if (!c.catalog && c.segments)
        return ht_fail(err, HITHER_CORRUPT, "%s has segments but no catalog; restore 'catalog' from a copy",
                       store->path);
    *fresh = !c.catalog;
    if (*fresh)
        return flags & (HT_STORE_READONLY | HT_STORE_EXISTING)
                   ? ht_fail(err, HITHER_NOT_FOUND, "there is no database at %s", store->path)
                   : HITHER_OK;
    HT_TRY(io->stat(io->ctx, store->catalog_path, &kind, &bytes, err));
    if (bytes == 0 && c.lock)
        return ht_fail(err, HITHER_CORRUPT, "%s is empty; restore it from a copy", store->catalog_path);
    /* A database of ours has had its LOCK from the first moment on. */
    if (!c.lock && (!c.segments || c.strange))
        return ht_fail(err, HITHER_NOT_DATABASE, "%s holds a file named catalog, but it is not a hither database",
                       store->path);
    return HITHER_OK;
}

/* Locks and mapped files do not do what they must where several machines share files. */
static hither_status refuse_network(const ht_store *store, unsigned flags, hither_error *err) {
    const ht_io *io = store->io;
    if (!io->network || flags & HT_STORE_NETWORK)
        return HITHER_OK;
    const char *kind = io->network(io->ctx, store->path);
    char *parent = kind ? NULL : ht_parent_of(store->path); /* the database may be yet to be made */
    if (parent)
        kind = io->network(io->ctx, parent);
    ht_release(parent);
    if (!kind)
        return HITHER_OK;
    return ht_fail(err, HITHER_UNSUPPORTED,
                   "%s is on a network file system (%s), where locks and mapped files cannot be relied on; keep it on "
                   "a local disk, or open it with HITHER_OPEN_NETWORK from one machine only",
                   store->path, kind);
}

static hither_status take_lock(ht_store *store, uint32_t timeout_ms, hither_error *err) {
    const ht_io *io = store->io;
    char *path = ht_path_join(store->path, "LOCK");
    if (!path)
        return ht_fail_nomem(err, strlen(store->path), "a path");
    hither_status status = io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &store->lock, err);
    ht_release(path);
    if (status == HITHER_PERMISSION || status == HITHER_READONLY) {
        int os_errno = err ? err->os_errno : 0;
        ht_fail(err, status, "no permission to write in %s; open it read-only, or have its owner allow it",
                store->path);
        if (err)
            err->os_errno = os_errno;
    }
    if (status != HITHER_OK)
        return status;
    for (uint32_t waited = 0;; waited += LOCK_POLL_MS) {
        status = io->lock(store->lock, err);
        if (status != HITHER_BUSY || waited >= timeout_ms)
            return status;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
    }
}

/* ---- folders */

typedef struct sweep {
    ht_store *store;
    const char *folder;
    bool (*keep)(void *arg, const char *name);
    void *arg;
} sweep;

static hither_status sweep_one(void *arg, const char *name, ht_io_kind kind) {
    sweep *s = arg;
    if (kind != HT_IO_FILE || (s->keep && s->keep(s->arg, name)))
        return HITHER_OK;
    char *path = ht_path_join(s->folder, name);
    if (path && s->store->io->remove(s->store->io->ctx, path, NULL) != HITHER_OK) {
        /* It takes space and does no harm; the next open tries again. */
    }
    ht_release(path);
    return HITHER_OK;
}

void ht_store_sweep(ht_store *store, const char *folder, bool (*keep)(void *arg, const char *name), void *arg) {
    sweep s = {store, folder, keep, arg};
    if (store->io->list(store->io->ctx, folder, sweep_one, &s, NULL) != HITHER_OK)
        return;
}

static hither_status make_folder(const ht_io *io, const char *path, hither_error *err) {
    hither_status status = io->make_folder(io->ctx, path, err);
    return status == HITHER_EXISTS ? HITHER_OK : status;
}

/* The folders inside; seg last, as the mark of a database that was made in full. */
static hither_status make_folders(ht_store *store, bool fresh, hither_error *err) {
    const ht_io *io = store->io;
    HT_TRY(make_folder(io, store->tmp_path, err));
    ht_store_sweep(store, store->tmp_path, NULL, NULL);
    if (fresh) {
        /* LOCK must not be missing after a crash when the catalog is there: it is how we know our own. */
        HT_TRY(io->sync_folder(io->ctx, store->path, err));
        HT_TRY(ht_catalog_create(store, err));
    }
    char *cache = ht_path_join(store->path, "cache");
    if (!cache)
        return ht_fail_nomem(err, strlen(store->path), "a path");
    hither_status status = make_folder(io, cache, err);
    ht_release(cache);
    if (status == HITHER_OK)
        status = make_folder(io, store->segment_path, err);
    /* Not only when fresh: whoever made the database may have been stopped before its names were durable. */
    if (status == HITHER_OK)
        status = io->sync_folder(io->ctx, store->path, err);
    if (status == HITHER_OK) {
        status = ht_sync_parent(io, store->path, err);
        if (status == HITHER_PERMISSION && !fresh) /* a parent that may not be read */
            status = HITHER_OK;
    }
    return status;
}

/* ---- open */

static hither_status check_sqlite(hither_error *err) {
    if (sqlite3_libversion_number() < OLDEST_SQLITE)
        return ht_fail(err, HITHER_UNSUPPORTED, "SQLite %s is too old; hither needs 3.40 or newer",
                       sqlite3_libversion());
    if (!sqlite3_threadsafe())
        return ht_fail(err, HITHER_UNSUPPORTED, "this SQLite (%s) was built without threads", sqlite3_libversion());
    return HITHER_OK;
}

static hither_status name_paths(ht_store *store, const char *path, hither_error *err) {
    HT_TRY(ht_full_path(store->io, path, &store->path, err));
    store->catalog_path = ht_path_join(store->path, "catalog");
    store->segment_path = ht_path_join(store->path, "seg");
    store->tmp_path = ht_path_join(store->path, "tmp");
    if (!store->catalog_path || !store->segment_path || !store->tmp_path)
        return ht_fail_nomem(err, strlen(path), "the paths of a database");
    return HITHER_OK;
}

/* By now the writer's connection has the log open. */
static hither_status remember_log(ht_store *store, hither_error *err) {
    const ht_io *io = store->io;
    if (!io->identity)
        return HITHER_OK;
    char *path = ht_path_join(store->path, "catalog-wal");
    if (!path)
        return ht_fail_nomem(err, strlen(store->path), "a path");
    hither_status status = io->identity(io->ctx, path, store->log_identity, NULL);
    if (status == HITHER_OK)
        store->log_path = path;
    else
        ht_release(path);
    return HITHER_OK;
}

hither_status ht_log_still_ours(ht_store *store, hither_error *err) {
    uint64_t now[2];
    const ht_io *io = store->io;
    if (!store->log_path || (io->identity(io->ctx, store->log_path, now, NULL) == HITHER_OK &&
                             now[0] == store->log_identity[0] && now[1] == store->log_identity[1]))
        return HITHER_OK;
    ht_store_poison(store);
    return ht_fail(err, HITHER_POISONED,
                   "%s was replaced or removed while it was in use, as another SQLite in this process does when it "
                   "opens and closes the catalog; what was written since may be lost; close the database and reopen it",
                   store->log_path);
}

static hither_status open_writer(ht_store *store, unsigned flags, uint32_t busy_timeout_ms, hither_error *err) {
    bool fresh = false;
    HT_TRY(judge(store, flags, &fresh, err));
    if (fresh)
        HT_TRY(make_folder(store->io, store->path, err));
    HT_TRY(take_lock(store, busy_timeout_ms, err));
    /* Whoever had the lock may have made, or changed, what was judged. */
    HT_TRY(judge(store, flags, &fresh, err));
    HT_TRY(make_folders(store, fresh, err));
    HT_TRY(ht_conn_open(store, store->catalog_path, SQLITE_OPEN_READWRITE, &store->writer, err));
    hither_status status = ht_log_check(store->writer, false, err);
    if (status == HITHER_OK)
        status = ht_catalog_check(store->writer, err);
    if (status == HITHER_OK)
        status = ht_segments_recover(store, err);
    if (status == HITHER_OK)
        status = ht_log_renew(store, err);
    if (status != HITHER_OK) {
        ht_store_poison(store); /* closing must not touch what is to be examined */
        return status;
    }
    HT_TRY(remember_log(store, err));
    /* The same holds for the catalog's pages, which are then written anew, from the log. */
    int rc = sqlite3_wal_checkpoint_v2(store->writer->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return rc == SQLITE_OK || rc == SQLITE_BUSY ? HITHER_OK : ht_conn_fail(store->writer, "a checkpoint", err);
}

static hither_status open_reader(ht_store *store, unsigned flags, hither_error *err) {
    bool fresh = false;
    HT_TRY(judge(store, flags, &fresh, err));
    /* Files behind a table of this process have their locks in one store; two must not look at them at once. */
    if (!store->io->sqlite_vfs)
        HT_TRY(take_lock(store, 0, err));
    ht_conn *conn;
    HT_TRY(ht_pool_take(store, &conn, err));
    hither_status status = ht_catalog_check(conn, err);
    if (status == HITHER_OK)
        status = ht_log_check(conn, true, err);
    ht_pool_give(conn);
    return status;
}

hither_status ht_store_open(const ht_io *io, const char *path, unsigned flags, uint32_t busy_timeout_ms, ht_store **out,
                            hither_error *err) {
    *out = NULL;
    HT_TRY(check_sqlite(err));
    ht_store *store = ht_calloc(1, sizeof *store);
    if (!store)
        return ht_fail_nomem(err, sizeof *store, "a database");
    store->io = io;
    store->readonly = (flags & HT_STORE_READONLY) != 0;
    store->unsynced = !store->readonly && (flags & HT_STORE_UNSYNCED) != 0;
    pthread_mutex_init(&store->mutex, NULL);
    hither_status status = name_paths(store, path, err);
    if (status == HITHER_OK)
        status = refuse_network(store, flags, err);
    if (status == HITHER_OK)
        status = ht_vfs_new(io, &store->vfs, err);
    if (status == HITHER_OK)
        status = store->readonly ? open_reader(store, flags, err) : open_writer(store, flags, busy_timeout_ms, err);
    if (status != HITHER_OK) {
        ht_store_close(store);
        return status;
    }
    *out = store;
    return HITHER_OK;
}

hither_status ht_store_sync_all(ht_store *store, hither_error *err) {
    sqlite3_file *log = NULL;
    HT_TRY(ht_segments_sync(store, err));
    int rc = sqlite3_file_control(store->writer->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (rc == SQLITE_OK && log && log->pMethods)
        rc = log->pMethods->xSync(log, SQLITE_SYNC_FULL);
    if (rc == SQLITE_OK)
        return HITHER_OK;
    ht_store_poison(store);
    return ht_fail(err, HITHER_IO, "%s/catalog-wal cannot be synced", store->path);
}

void ht_store_close(ht_store *store) {
    if (!store)
        return;
    HT_ASSERT(store->lent == 0);
    while (store->idle) {
        ht_conn *conn = store->idle;
        store->idle = conn->next;
        ht_conn_close(conn);
    }
    ht_conn_close(store->watch);
    if (store->writer) {
        ht_txn_rollback(store);
        if (store->unsynced && !atomic_load(&store->poisoned) && ht_store_sync_all(store, NULL) != HITHER_OK)
            ht_store_poison(store);
        ht_segments_let_go(store);
        /* The last to go, and the only one that folds the log into the catalog; after a failed sync, not even that. */
        if (atomic_load(&store->poisoned))
            sqlite3_db_config(store->writer->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
        ht_conn_close(store->writer);
    }
    ht_vfs_free(store->vfs);
    if (store->lock)
        store->io->close(store->lock);
    pthread_mutex_destroy(&store->mutex);
    ht_release(store->path);
    ht_release(store->catalog_path);
    ht_release(store->segment_path);
    ht_release(store->tmp_path);
    ht_release(store->log_path);
    ht_release(store);
}

bool ht_store_readonly(const ht_store *store) { return store->readonly; }
const char *ht_store_path(const ht_store *store) { return store->path; }
const ht_io *ht_store_io(const ht_store *store) { return store->io; }
const char *ht_store_sqlite_version(void) { return sqlite3_libversion(); }
bool ht_store_poisoned(const ht_store *store) { return atomic_load(&store->poisoned); }
void ht_store_poison(ht_store *store) { atomic_store(&store->poisoned, true); }

hither_status ht_store_writable(const ht_store *store, hither_error *err) {
    if (store->readonly)
        return ht_fail(err, HITHER_READONLY, "%s is open read-only", store->path);
    if (atomic_load(&store->poisoned))
        return ht_fail(err, HITHER_POISONED, "an earlier write to %s could not be made durable; close and reopen it",
                       store->path);
    return HITHER_OK;
}

hither_status ht_store_checkpoint(ht_store *store, hither_error *err) {
    if (store->readonly)
        return HITHER_OK;
    HT_TRY(ht_store_writable(store, err));
    if (store->unsynced)
        HT_TRY(ht_store_sync_all(store, err));
    int rc = sqlite3_wal_checkpoint_v2(store->writer->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return rc == SQLITE_OK || rc == SQLITE_BUSY ? HITHER_OK : ht_conn_fail(store->writer, "a checkpoint", err);
}

/* ---- sizes */

typedef struct tally {
    ht_store *store;
    ht_conn *conn;
    ht_store_bytes bytes;
    hither_error *err;
} tally;

static hither_status count_one(void *arg, uint64_t slot, uint64_t dead_seq) {
    (void)slot;
    (void)dead_seq;
    ++*(uint64_t *)arg;
    return HITHER_OK;
}

static hither_status add_segments(void *arg, const ht_collection_row *row) {
    tally *t = arg;
    ht_segment_entry *entries = NULL;
    size_t count = 0;
    HT_TRY(ht_segments_list(t->conn, row, &entries, &count, t->err));
    for (size_t i = 0; i < count; i++)
        t->bytes.segments += entries[i].expect.rows_offset + entries[i].committed * entries[i].expect.stride;
    uint64_t stride = count ? entries[0].expect.stride : 0, dead = 0;
    ht_release(entries);
    t->conn->reader.row = *row;
    HT_TRY(ht_reader_dead(&t->conn->reader, 0, count_one, &dead, t->err));
    t->bytes.dead += dead * stride;
    return HITHER_OK;
}

/* A file that is going just now counts nothing. */
static hither_status add_cache(void *arg, const char *name, ht_io_kind kind) {
    tally *t = arg;
    uint64_t bytes = 0;
    char inner[300];
    snprintf(inner, sizeof inner, "cache/%s", name);
    char *path = ht_path_join(t->store->path, inner);
    if (!path)
        return ht_fail_nomem(t->err, strlen(t->store->path), "a path");
    if (kind == HT_IO_FILE && t->store->io->stat(t->store->io->ctx, path, &kind, &bytes, NULL) == HITHER_OK)
        t->bytes.caches += bytes;
    ht_release(path);
    return HITHER_OK;
}

static hither_status add_caches(tally *t) {
    const ht_io *io = t->store->io;
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes = 0;
    char *path = ht_path_join(t->store->path, "cache");
    hither_status status =
        path ? io->stat(io->ctx, path, &kind, &bytes, t->err) : ht_fail_nomem(t->err, strlen(t->store->path), "a path");
    if (status == HITHER_OK && kind == HT_IO_FOLDER)
        status = io->list(io->ctx, path, add_cache, t, t->err);
    ht_release(path);
    return status;
}

hither_status ht_store_sizes(ht_store *store, ht_store_bytes *out, hither_error *err) {
    const ht_io *io = store->io;
    ht_io_kind kind;
    uint64_t main_bytes = 0, log_bytes = 0;
    char *log = ht_path_join(store->path, "catalog-wal");
    if (!log)
        return ht_fail_nomem(err, strlen(store->path), "a path");
    hither_status status = io->stat(io->ctx, store->catalog_path, &kind, &main_bytes, err);
    if (status == HITHER_OK)
        status = io->stat(io->ctx, log, &kind, &log_bytes, err);
    ht_release(log);
    tally t = {.store = store, .bytes = {.catalog = main_bytes + log_bytes}, .err = err};
    if (status == HITHER_OK)
        status = add_caches(&t);
    if (status == HITHER_OK)
        status = ht_pool_take(store, &t.conn, err);
    if (status != HITHER_OK)
        return status;
    status = ht_collections_each(t.conn, add_segments, &t, err);
    ht_pool_give(t.conn);
    if (status == HITHER_OK)
        *out = t.bytes;
    return status;
}
