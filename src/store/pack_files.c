/*
 * pack_files.c: an open pack as a table of files. What must stay true: nothing is ever written; whatever a caller gets
 * points into the mapping of a container whose directory has been checked, and never past the end of its own file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/container.h"
#include "store/pack.h"
#include "store/segment.h"

enum { PAGE = 4096 };

typedef struct pack {
    ht_io io; /* first */
    ht_container *container;
    char *path;
    size_t path_bytes;
    const ht_pack_entry *entries; /* in the mapping */
    size_t count;
    const unsigned char *data;
} pack;

typedef struct pack_file {
    ht_file base; /* first */
    const pack *of;
    const unsigned char *data;
    uint64_t bytes;
    char name[HT_PACK_NAME];
} pack_file;

/* ---- names */

/* What of `path` lies inside the pack: "" for itself; NULL if it lies elsewhere. */
static const char *inside(const pack *p, const char *path) {
    if (strncmp(path, p->path, p->path_bytes) != 0)
        return NULL;
    path += p->path_bytes;
    return *path == '/' ? path + 1 : *path == '\0' ? path : NULL;
}

static const ht_pack_entry *find(const pack *p, const char *name) {
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->entries[i].name, name) == 0)
            return &p->entries[i];
    }
    return NULL;
}

/* Files that a store wants to see, or SQLite to open: they are there, and empty. A lock excludes nobody, for nobody
 * can write. */
static bool is_empty_file(const char *name) { return strcmp(name, "LOCK") == 0 || strcmp(name, "catalog-wal") == 0; }

/* ---- files */

static hither_status refuse_write(const char *path, hither_error *err) {
    return ht_fail(err, HITHER_READONLY, "%s lies in a packed database, which is only read", path);
}

static hither_status pack_open(void *ctx, const char *path, unsigned flags, ht_file **out, hither_error *err) {
    const pack *p = ctx;
    const char *name = inside(p, path);
    const ht_pack_entry *entry = name ? find(p, name) : NULL;
    bool empty = name && is_empty_file(name);
    if (!entry && !empty)
        return flags & HT_IO_CREATE ? refuse_write(path, err)
                                    : ht_fail(err, HITHER_NOT_FOUND, "cannot open %s: the pack has no such file", path);
    if (entry && flags & HT_IO_WRITE)
        return refuse_write(path, err);
    pack_file *file = ht_calloc(1, sizeof *file);
    if (!file)
        return ht_fail_nomem(err, sizeof *file, "an open file");
    file->base.io = &p->io;
    file->of = p;
    snprintf(file->name, sizeof file->name, "%s", name);
    if (entry) {
        file->data = p->data + entry->offset;
        file->bytes = entry->bytes;
    }
    *out = &file->base;
    return HITHER_OK;
}

static void pack_close(ht_file *handle) { ht_release(handle); }

static hither_status check_end(const pack_file *file, uint64_t offset, size_t bytes, hither_error *err) {
    if (offset <= file->bytes && bytes <= file->bytes - offset)
        return HITHER_OK;
    return ht_fail(err, HITHER_CORRUPT, "%s/%s ends at byte %" PRIu64 ", wanted %zu from %" PRIu64 " on",
                   file->of->path, file->name, file->bytes, bytes, offset);
}

static hither_status pack_read_at(ht_file *handle, void *data, size_t bytes, uint64_t offset, hither_error *err) {
    const pack_file *file = (const pack_file *)handle;
    HT_TRY(check_end(file, offset, bytes, err));
    if (bytes > 0)
        memcpy(data, file->data + offset, bytes);
    return HITHER_OK;
}

static hither_status pack_write_at(ht_file *handle, const void *data, size_t bytes, uint64_t offset,
                                   hither_error *err) {
    (void)data;
    (void)bytes;
    (void)offset;
    return refuse_write(((const pack_file *)handle)->name, err);
}

static hither_status pack_size(ht_file *handle, uint64_t *out, hither_error *err) {
    (void)err;
    *out = ((const pack_file *)handle)->bytes;
    return HITHER_OK;
}

static hither_status pack_resize(ht_file *handle, uint64_t bytes, hither_error *err) {
    (void)bytes;
    return refuse_write(((const pack_file *)handle)->name, err);
}

static hither_status pack_reserve(ht_file *handle, uint64_t offset, uint64_t bytes, hither_error *err) {
    (void)offset;
    (void)bytes;
    return refuse_write(((const pack_file *)handle)->name, err);
}

static hither_status pack_nothing_to_sync(ht_file *handle, hither_error *err) {
    (void)handle;
    (void)err;
    return HITHER_OK;
}

static hither_status pack_map(ht_file *handle, size_t bytes, const void **out, hither_error *err) {
    const pack_file *file = (const pack_file *)handle;
    if (bytes == 0)
        return ht_fail(err, HITHER_INVALID, "cannot map 0 bytes of %s", file->name);
    HT_TRY(check_end(file, 0, bytes, err));
    *out = file->data;
    return HITHER_OK;
}

static void pack_unmap(ht_file *handle, const void *data, size_t bytes) {
    (void)handle;
    (void)data;
    (void)bytes;
}

static hither_status pack_lock(ht_file *handle, hither_error *err) {
    (void)handle;
    (void)err;
    return HITHER_OK;
}

/* ---- folders */

static hither_status pack_stat(void *ctx, const char *path, ht_io_kind *kind, uint64_t *bytes, hither_error *err) {
    (void)err;
    const pack *p = ctx;
    const char *name = inside(p, path);
    const ht_pack_entry *entry = name ? find(p, name) : NULL;
    *bytes = entry ? entry->bytes : 0;
    *kind = HT_IO_ABSENT;
    if (entry || (name && is_empty_file(name)))
        *kind = HT_IO_FILE;
    else if (name && (*name == '\0' || strcmp(name, "seg") == 0))
        *kind = HT_IO_FOLDER;
    return HITHER_OK;
}

static hither_status pack_list(void *ctx, const char *path,
                               hither_status (*each)(void *arg, const char *name, ht_io_kind kind), void *arg,
                               hither_error *err) {
    const pack *p = ctx;
    const char *name = inside(p, path);
    if (name && *name == '\0') {
        HT_TRY(each(arg, "LOCK", HT_IO_FILE));
        HT_TRY(each(arg, "catalog", HT_IO_FILE));
        return each(arg, "seg", HT_IO_FOLDER);
    }
    if (!name || strcmp(name, "seg") != 0)
        return ht_fail(err, HITHER_NOT_FOUND, "cannot open the folder %s: there is none", path);
    for (size_t i = 1; i < p->count; i++)
        HT_TRY(each(arg, p->entries[i].name + sizeof "seg/" - 1, HT_IO_FILE));
    return HITHER_OK;
}

static hither_status pack_make_folder(void *ctx, const char *path, hither_error *err) {
    (void)ctx;
    return refuse_write(path, err);
}

static hither_status pack_rename(void *ctx, const char *from, const char *to, hither_error *err) {
    (void)ctx;
    (void)to;
    return refuse_write(from, err);
}

static hither_status pack_remove(void *ctx, const char *path, hither_error *err) {
    (void)ctx;
    return refuse_write(path, err);
}

static hither_status pack_sync_folder(void *ctx, const char *path, hither_error *err) {
    (void)ctx;
    (void)path;
    (void)err;
    return HITHER_OK;
}

/* ---- open and close */

static hither_status bad_entry(const pack *p, size_t i, const char *what, hither_error *err) {
    uint64_t offset = PAGE + i * sizeof *p->entries; /* the list is the first section */
    return ht_fail(err, HITHER_CORRUPT, "%s, offset %" PRIu64 ": %s", p->path, offset, what);
}

/* The files lie one behind the other and fill the section; the first is the catalog, the others are segments, by rising
 * number. */
static hither_status check_entries(const pack *p, uint64_t data_bytes, hither_error *err) {
    uint64_t expected = 0;
    int64_t cid, sid, last = 0;
    for (size_t i = 0; i < p->count; i++) {
        const ht_pack_entry *e = &p->entries[i];
        if (!memchr(e->name, '\0', sizeof e->name))
            return bad_entry(p, i, "the name of a file has no end", err);
        if (i == 0 && strcmp(e->name, "catalog") != 0)
            return bad_entry(p, i, "the first file is not the catalog", err);
        if (i > 0 &&
            (strncmp(e->name, "seg/", 4) != 0 || !ht_segment_name_read(e->name + 4, &cid, &sid) || sid <= last))
            return bad_entry(p, i, "a file that cannot be there", err);
        if (e->offset != expected || e->bytes % PAGE != 0 || e->bytes == 0 || e->bytes > data_bytes - expected)
            return bad_entry(p, i, "a file lies where it cannot", err);
        expected += e->bytes;
        last = i > 0 ? sid : 0;
    }
    return expected == data_bytes ? HITHER_OK : bad_entry(p, p->count, "the list does not account for every byte", err);
}

static hither_status open_into(pack *p, const ht_io *below, hither_error *err) {
    size_t list_bytes, data_bytes;
    HT_TRY(ht_container_open(below, p->path, HT_PACK_KIND, &p->container, err));
    p->entries = ht_container_section(p->container, "files", &list_bytes);
    p->data = ht_container_section(p->container, "data", &data_bytes);
    if (!p->entries || !p->data || list_bytes == 0 || list_bytes % sizeof *p->entries != 0 ||
        (const unsigned char *)p->entries >= p->data)
        return ht_fail(err, HITHER_CORRUPT, "%s, offset %d: the list of files is missing or cut", p->path, PAGE);
    HT_TRY(ht_container_touch(p->container, "files", 0, list_bytes, err));
    p->count = list_bytes / sizeof *p->entries;
    return check_entries(p, data_bytes, err);
}

hither_status ht_pack_open(const ht_io *below, const char *path, ht_io **out, hither_error *err) {
    pack *p = ht_calloc(1, sizeof *p);
    if (!p)
        return ht_fail_nomem(err, sizeof *p, "a packed database");
    p->io = (ht_io){
        .size = sizeof p->io,
        .ctx = p,
        .open = pack_open,
        .close = pack_close,
        .read_at = pack_read_at,
        .write_at = pack_write_at,
        .file_size = pack_size,
        .resize = pack_resize,
        .reserve = pack_reserve,
        .sync = pack_nothing_to_sync,
        .map = pack_map,
        .unmap = pack_unmap,
        .lock = pack_lock,
        .stat = pack_stat,
        .make_folder = pack_make_folder,
        .rename = pack_rename,
        .remove = pack_remove,
        .sync_folder = pack_sync_folder,
        .list = pack_list,
    };
    p->path = ht_strdup(path);
    p->path_bytes = strlen(path);
    hither_status status = p->path ? open_into(p, below, err) : ht_fail_nomem(err, p->path_bytes, "a path");
    if (status == HITHER_OK)
        *out = &p->io;
    else
        ht_pack_close(&p->io);
    return status;
}

void ht_pack_close(ht_io *io) {
    if (!io)
        return;
    pack *p = io->ctx;
    ht_container_close(p->container);
    ht_release(p->path);
    ht_release(p);
}

hither_status ht_pack_verify(ht_io *io, hither_error *err) {
    return ht_container_verify(((pack *)io->ctx)->container, err);
}
