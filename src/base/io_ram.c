/*
 * io_ram.c: the I/O table over memory, with the semantics of the disk: an open file survives its removal and renaming,
 * a map shows later writes, a lock stands between handles. Nothing is ever durable, so sync does nothing.
 *
 * Two kinds of lock. The table's mutex guards names, links and locks; each node's rwlock guards its bytes. The mutex is
 * never taken while a rwlock is held. A node's bytes lie in one block; when it outgrows the block a larger one takes
 * its place, and an old block that is still mapped stays and gets every write too. So a map never moves, and reading
 * through it takes no lock. Blocks of a page and more come from mmap: they are zero without being touched, which a
 * segment made large ahead of time needs. Any thread.
 */
#include "base/io.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#define FIRST_CAPACITY ((size_t)1024)
#define MAP_CAPACITY   ((size_t)65536) /* blocks from here on are mapped, smaller ones allocated */

typedef struct block {
    struct block *next; /* older ones, kept alive by their maps */
    size_t capacity;
    size_t maps;
    unsigned char *data;
} block;

typedef struct node {
    pthread_rwlock_t lock; /* of size and blocks */
    uint64_t size;
    block *blocks; /* the newest first; NULL while empty */
    /* Guarded by the table's mutex: */
    size_t holders; /* names (0 or 1) and open handles */
    const void *locked_by;
    bool folder;
} node;

typedef struct entry {
    struct entry *next;
    node *node;
    char *path;
} entry;

typedef struct ram {
    ht_io io;
    pthread_mutex_t mutex;
    entry *entries;
} ram;

typedef struct ram_file {
    ht_file base;
    ram *ram;
    node *node;
    unsigned flags;
    char path[];
} ram_file;

static ram_file *of(ht_file *file) { return (ram_file *)(void *)file; }

/* ---- blocks */

static void free_block(block *b) {
    if (b->capacity >= MAP_CAPACITY)
        munmap(b->data, b->capacity);
    else
        ht_release(b->data);
    ht_release(b);
}

static block *new_block(size_t capacity) {
    block *b = ht_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->capacity = capacity;
    if (capacity >= MAP_CAPACITY) {
        void *data = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        b->data = data == MAP_FAILED ? NULL : data;
    } else {
        b->data = ht_calloc(capacity, 1);
    }
    if (!b->data) {
        ht_release(b);
        return NULL;
    }
    return b;
}

/* Drops the old blocks that nobody has mapped any more. */
static void drop_unmapped(node *n) {
    block **link = n->blocks ? &n->blocks->next : NULL;
    while (link && *link) {
        block *b = *link;
        if (b->maps > 0) {
            link = &b->next;
            continue;
        }
        *link = b->next;
        free_block(b);
    }
}

/* Makes the newest block hold `bytes`; the write lock is held. */
static hither_status make_room(ram_file *file, uint64_t bytes, hither_error *err) {
    node *n = file->node;
    size_t capacity = n->blocks ? n->blocks->capacity : 0;
    if (bytes <= capacity)
        return HITHER_OK;
    if (bytes > SIZE_MAX / 2)
        return ht_fail(err, HITHER_FULL, "%s cannot hold %" PRIu64 " bytes in RAM", file->path, bytes);
    /* What asks for much at once knows its size; small appends double. */
    size_t wanted = capacity ? capacity * 2 : FIRST_CAPACITY;
    if (wanted < bytes)
        wanted = ((size_t)bytes + FIRST_CAPACITY - 1) / FIRST_CAPACITY * FIRST_CAPACITY;
    block *b = new_block(wanted);
    if (!b)
        return ht_fail_nomem(err, wanted, file->path);
    if (n->blocks)
        memcpy(b->data, n->blocks->data, (size_t)n->size);
    b->next = n->blocks;
    n->blocks = b;
    drop_unmapped(n);
    return HITHER_OK;
}

/* ---- nodes and names; the mutex is held for all of these */

static void let_go(node *n) {
    if (--n->holders > 0)
        return;
    while (n->blocks) {
        block *b = n->blocks;
        n->blocks = b->next;
        free_block(b);
    }
    pthread_rwlock_destroy(&n->lock);
    ht_release(n);
}

/* The path without a leading "./" and doubled or trailing slashes, so that each file has one name; the caller's. */
static char *tidy(const char *path, hither_error *err) {
    char *copy = ht_alloc(strlen(path) + 1);
    if (!copy) {
        ht_fail_nomem(err, strlen(path) + 1, "a path");
        return NULL;
    }
    size_t length = 0;
    bool dotted = path[0] == '.' && path[1] == '/';
    for (path += dotted; dotted && *path == '/';)
        path++;
    for (; *path; path++) {
        if (*path != '/' || length == 0 || copy[length - 1] != '/')
            copy[length++] = *path;
    }
    while (length > 1 && copy[length - 1] == '/')
        length--;
    if (dotted && length == 0)
        copy[length++] = '.';
    copy[length] = '\0';
    return copy;
}

static entry *find(const ram *r, const char *path, size_t length) {
    for (entry *e = r->entries; e; e = e->next) {
        if (strncmp(e->path, path, length) == 0 && e->path[length] == '\0')
            return e;
    }
    return NULL;
}

/* Like on disk, a file needs a folder to be in. "/" and the working folder are always there. */
static bool has_parent(const ram *r, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return path[0] != '\0';
    const entry *parent = find(r, path, (size_t)(slash - path));
    return parent && parent->node->folder;
}

/* Takes the path over. */
static hither_status add_entry(ram *r, char *path, bool folder, entry **out, hither_error *err) {
    entry *e = ht_calloc(1, sizeof *e);
    node *n = ht_calloc(1, sizeof *n);
    if (!e || !n || pthread_rwlock_init(&n->lock, NULL) != 0) {
        ht_release(e);
        ht_release(n);
        return ht_fail_nomem(err, sizeof *e + sizeof *n, "a file in RAM");
    }
    n->folder = folder;
    n->holders = 1;
    e->node = n;
    e->path = path;
    e->next = r->entries;
    r->entries = e;
    *out = e;
    return HITHER_OK;
}

static void drop_entry(ram *r, entry *gone) {
    entry **link = &r->entries;
    while (*link != gone)
        link = &(*link)->next;
    *link = gone->next;
    let_go(gone->node);
    ht_release(gone->path);
    ht_release(gone);
}

/* Folders that nobody makes: the root, and the one relative paths start from. */
static bool is_start(const char *path) { return strcmp(path, "/") == 0 || strcmp(path, ".") == 0; }

/* How much of the paths inside a folder is the folder, its slash included. */
static size_t prefix_bytes(const char *folder) {
    return strcmp(folder, ".") == 0 ? 0 : strcmp(folder, "/") == 0 ? 1 : strlen(folder) + 1;
}

/* The first entry inside a folder, from `e` on. */
static entry *inside(entry *e, const char *folder) {
    size_t prefix = prefix_bytes(folder);
    for (; e; e = e->next) {
        bool match =
            prefix == 0 ? e->path[0] != '/' : strncmp(e->path, folder, prefix - 1) == 0 && e->path[prefix - 1] == '/';
        if (match && e->path[prefix] != '\0')
            break;
    }
    return e;
}

/* ---- open and close */

static hither_status open_entry(ram *r, char **path, unsigned flags, entry **out, hither_error *err) {
    entry *e = find(r, *path, strlen(*path));
    if (!e) {
        if (!(flags & HT_IO_CREATE) || !has_parent(r, *path))
            return ht_fail(err, HITHER_NOT_FOUND, "cannot open %s: no such file or folder", *path);
        HT_TRY(add_entry(r, *path, false, &e, err));
        *path = NULL;
    } else if (e->node->folder) {
        return ht_fail(err, HITHER_IO, "%s is not a regular file", *path);
    } else if ((flags & HT_IO_CREATE) && (flags & HT_IO_EXCLUSIVE)) {
        return ht_fail(err, HITHER_EXISTS, "cannot open %s: it exists", *path);
    }
    *out = e;
    return HITHER_OK;
}

static hither_status ram_open(void *ctx, const char *path, unsigned flags, ht_file **out, hither_error *err) {
    ram *r = ctx;
    size_t length = strlen(path);
    char *name = tidy(path, err);
    if (!name)
        return HITHER_NOMEM;
    ram_file *file = ht_alloc(sizeof *file + length + 1);
    if (!file) {
        ht_release(name);
        return ht_fail_nomem(err, sizeof *file + length + 1, "an open file");
    }
    entry *e = NULL;
    pthread_mutex_lock(&r->mutex);
    hither_status status = open_entry(r, &name, flags, &e, err);
    if (status == HITHER_OK) {
        e->node->holders++;
        file->base.io = &r->io;
        file->ram = r;
        file->node = e->node;
        file->flags = flags;
        memcpy(file->path, path, length + 1);
    }
    pthread_mutex_unlock(&r->mutex);
    ht_release(name);
    if (status != HITHER_OK) {
        ht_release(file);
        return status;
    }
    *out = &file->base;
    return HITHER_OK;
}

static void ram_close(ht_file *handle) {
    if (!handle)
        return;
    ram_file *file = of(handle);
    ram *r = file->ram;
    pthread_mutex_lock(&r->mutex);
    if (file->node->locked_by == file)
        file->node->locked_by = NULL;
    if (file->flags & HT_IO_DELETE) {
        for (entry *e = r->entries; e; e = e->next) {
            if (e->node == file->node) {
                drop_entry(r, e);
                break;
            }
        }
    }
    let_go(file->node);
    pthread_mutex_unlock(&r->mutex);
    ht_release(file);
}

/* ---- bytes */

static hither_status ram_read_at(ht_file *handle, void *data, size_t bytes, uint64_t offset, hither_error *err) {
    ram_file *file = of(handle);
    node *n = file->node;
    hither_status status = HITHER_OK;
    pthread_rwlock_rdlock(&n->lock);
    if (offset > n->size || bytes > n->size - offset)
        status = ht_fail(err, HITHER_CORRUPT, "%s ends at byte %" PRIu64 ", wanted %" PRIu64, file->path, n->size,
                         offset + bytes);
    else if (bytes > 0)
        memcpy(data, n->blocks->data + offset, bytes);
    pthread_rwlock_unlock(&n->lock);
    return status;
}

static hither_status check_writable(const ram_file *file, hither_error *err) {
    if (!(file->flags & HT_IO_WRITE))
        return ht_fail(err, HITHER_IO, "cannot write to %s: it was opened for reading", file->path);
    return HITHER_OK;
}

/* Sets the size; the write lock is held. */
static hither_status set_size(ram_file *file, uint64_t bytes, hither_error *err) {
    node *n = file->node;
    HT_TRY(make_room(file, bytes, err));
    if (bytes < n->size) {
        for (block *b = n->blocks; b; b = b->next) { /* so that growing again leaves zeros */
            uint64_t end = n->size < b->capacity ? n->size : b->capacity;
            if (bytes < end)
                memset(b->data + bytes, 0, (size_t)(end - bytes));
        }
    }
    n->size = bytes;
    return HITHER_OK;
}

static hither_status ram_write_at(ht_file *handle, const void *data, size_t bytes, uint64_t offset, hither_error *err) {
    ram_file *file = of(handle);
    node *n = file->node;
    uint64_t end;
    HT_TRY(check_writable(file, err));
    if (__builtin_add_overflow(offset, bytes, &end))
        return ht_fail(err, HITHER_INVALID, "%s has no byte %" PRIu64 " + %zu", file->path, offset, bytes);
    if (bytes == 0)
        return HITHER_OK;
    pthread_rwlock_wrlock(&n->lock);
    hither_status status = end > n->size ? set_size(file, end, err) : HITHER_OK;
    for (block *b = n->blocks; b && status == HITHER_OK; b = b->next) {
        if (offset < b->capacity)
            memcpy(b->data + offset, data, (size_t)((end < b->capacity ? end : b->capacity) - offset));
    }
    pthread_rwlock_unlock(&n->lock);
    return status;
}

static hither_status ram_size(ht_file *handle, uint64_t *out, hither_error *err) {
    (void)err;
    node *n = of(handle)->node;
    pthread_rwlock_rdlock(&n->lock);
    *out = n->size;
    pthread_rwlock_unlock(&n->lock);
    return HITHER_OK;
}

static hither_status ram_resize(ht_file *handle, uint64_t bytes, hither_error *err) {
    ram_file *file = of(handle);
    HT_TRY(check_writable(file, err));
    pthread_rwlock_wrlock(&file->node->lock);
    hither_status status = set_size(file, bytes, err);
    pthread_rwlock_unlock(&file->node->lock);
    return status;
}

static hither_status ram_reserve(ht_file *handle, uint64_t offset, uint64_t bytes, hither_error *err) {
    ram_file *file = of(handle);
    uint64_t end;
    if (__builtin_add_overflow(offset, bytes, &end))
        return ht_fail(err, HITHER_INVALID, "%s has no byte %" PRIu64 " + %" PRIu64, file->path, offset, bytes);
    pthread_rwlock_wrlock(&file->node->lock);
    hither_status status = make_room(file, end, err);
    pthread_rwlock_unlock(&file->node->lock);
    return status;
}

static hither_status ram_sync(ht_file *handle, hither_error *err) {
    (void)handle;
    (void)err;
    return HITHER_OK;
}

/* ---- maps */

static hither_status ram_map(ht_file *handle, size_t bytes, const void **out, hither_error *err) {
    ram_file *file = of(handle);
    node *n = file->node;
    hither_status status = HITHER_OK;
    if (bytes == 0)
        return ht_fail(err, HITHER_INVALID, "cannot map 0 bytes of %s", file->path);
    pthread_rwlock_wrlock(&n->lock);
    if (n->size < bytes) {
        status = ht_fail(err, HITHER_CORRUPT, "%s ends at byte %" PRIu64 ", wanted %zu", file->path, n->size, bytes);
    } else {
        n->blocks->maps++;
        *out = n->blocks->data;
    }
    pthread_rwlock_unlock(&n->lock);
    return status;
}

static void ram_unmap(ht_file *handle, const void *data, size_t bytes) {
    (void)bytes;
    if (!data)
        return;
    node *n = of(handle)->node;
    pthread_rwlock_wrlock(&n->lock);
    for (block *b = n->blocks; b; b = b->next) {
        if (b->data == data)
            b->maps--;
    }
    drop_unmapped(n);
    pthread_rwlock_unlock(&n->lock);
}

static hither_status ram_lock(ht_file *handle, hither_error *err) {
    ram_file *file = of(handle);
    pthread_mutex_lock(&file->ram->mutex);
    bool taken = file->node->locked_by && file->node->locked_by != file;
    if (!taken)
        file->node->locked_by = file;
    pthread_mutex_unlock(&file->ram->mutex);
    if (taken)
        return ht_fail(err, HITHER_BUSY, "%s is in use by process %ld", file->path, (long)getpid());
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    hither_status status = ram_write_at(handle, text, (size_t)length, 0, err);
    if (status == HITHER_OK)
        status = ram_resize(handle, (uint64_t)length, err);
    if (status != HITHER_OK) {
        pthread_mutex_lock(&file->ram->mutex);
        file->node->locked_by = NULL;
        pthread_mutex_unlock(&file->ram->mutex);
    }
    return status;
}

/* ---- folders */

static hither_status ram_stat(void *ctx, const char *path, ht_io_kind *kind, uint64_t *bytes, hither_error *err) {
    ram *r = ctx;
    char *name = tidy(path, err);
    if (!name)
        return HITHER_NOMEM;
    pthread_mutex_lock(&r->mutex);
    const entry *e = find(r, name, strlen(name));
    node *n = e && !e->node->folder ? e->node : NULL;
    *kind = n ? HT_IO_FILE : e || is_start(name) ? HT_IO_FOLDER : HT_IO_ABSENT;
    if (n)
        n->holders++;
    pthread_mutex_unlock(&r->mutex);
    ht_release(name);
    *bytes = 0;
    if (n) {
        pthread_rwlock_rdlock(&n->lock);
        *bytes = n->size;
        pthread_rwlock_unlock(&n->lock);
        pthread_mutex_lock(&r->mutex);
        let_go(n);
        pthread_mutex_unlock(&r->mutex);
    }
    return HITHER_OK;
}

static hither_status ram_make_folder(void *ctx, const char *path, hither_error *err) {
    ram *r = ctx;
    entry *e;
    char *name = tidy(path, err);
    if (!name)
        return HITHER_NOMEM;
    hither_status status;
    pthread_mutex_lock(&r->mutex);
    if (is_start(name) || find(r, name, strlen(name)))
        status = ht_fail(err, HITHER_EXISTS, "cannot make the folder %s: it exists", path);
    else if (!has_parent(r, name))
        status = ht_fail(err, HITHER_NOT_FOUND, "cannot make the folder %s: no such file or folder", path);
    else
        status = add_entry(r, name, true, &e, err);
    pthread_mutex_unlock(&r->mutex);
    if (status != HITHER_OK)
        ht_release(name);
    return status;
}

/* Gives every path inside the folder `from` the beginning `to`. All new paths are made before the first is used. */
static hither_status rename_inside(ram *r, const char *from, const char *to, hither_error *err) {
    size_t cut = strlen(from), moved = 0;
    for (entry *e = inside(r->entries, from); e; e = inside(e->next, from))
        moved++;
    char **paths = ht_calloc(moved + 1, sizeof *paths);
    size_t made = 0;
    for (entry *e = inside(r->entries, from); paths && e; e = inside(e->next, from), made++) {
        size_t bytes = strlen(to) + strlen(e->path + cut) + 1;
        paths[made] = ht_alloc(bytes);
        if (!paths[made])
            break;
        snprintf(paths[made], bytes, "%s%s", to, e->path + cut);
    }
    if (made < moved || !paths) {
        while (made > 0)
            ht_release(paths[--made]);
        ht_release(paths);
        return ht_fail_nomem(err, cut, "a path");
    }
    entry *e = inside(r->entries, from);
    for (size_t i = 0; i < moved; i++) {
        entry *next = inside(e->next, from); /* before the path changes under it */
        ht_release(e->path);
        e->path = paths[i];
        e = next;
    }
    ht_release(paths);
    return HITHER_OK;
}

/* Takes *to over when it succeeds. */
static hither_status rename_entry(ram *r, const char *from, char **to, hither_error *err) {
    entry *e = find(r, from, strlen(from)), *old = find(r, *to, strlen(*to));
    if (!e || !has_parent(r, *to))
        return ht_fail(err, HITHER_NOT_FOUND, "cannot rename %s to %s: no such file or folder", from, *to);
    if (e == old)
        return HITHER_OK;
    if (old && (old->node->folder != e->node->folder || inside(r->entries, *to)))
        return ht_fail(err, HITHER_IO, "cannot rename %s to %s: a folder is in the way", from, *to);
    if (e->node->folder && strncmp(*to, from, strlen(from)) == 0 && (*to)[strlen(from)] == '/')
        return ht_fail(err, HITHER_IO, "cannot rename %s into itself, to %s", from, *to);
    if (e->node->folder)
        HT_TRY(rename_inside(r, from, *to, err));
    if (old)
        drop_entry(r, old);
    ht_release(e->path);
    e->path = *to;
    *to = NULL;
    return HITHER_OK;
}

static hither_status ram_rename(void *ctx, const char *from, const char *to, hither_error *err) {
    ram *r = ctx;
    hither_status status = HITHER_NOMEM;
    char *old = tidy(from, err), *new = old ? tidy(to, err) : NULL;
    if (new) {
        pthread_mutex_lock(&r->mutex);
        status = rename_entry(r, old, &new, err);
        pthread_mutex_unlock(&r->mutex);
    }
    ht_release(old);
    ht_release(new);
    return status;
}

/* A file in RAM has no reflinks, but may have several names. */
static hither_status ram_share(ht_file *handle, const char *path, int sealed, hither_error *err) {
    ram_file *file = of(handle);
    ram *r = file->ram;
    entry *e = NULL;
    if (!sealed)
        return ht_fail(err, HITHER_UNSUPPORTED, "%s cannot share the space of %s", path, file->path);
    char *name = tidy(path, err);
    if (!name)
        return HITHER_NOMEM;
    pthread_mutex_lock(&r->mutex);
    hither_status status = HITHER_OK;
    if (find(r, name, strlen(name)) || !has_parent(r, name))
        status = ht_fail(err, HITHER_UNSUPPORTED, "%s cannot be made", path);
    else
        status = add_entry(r, name, false, &e, err);
    if (status == HITHER_OK) {
        let_go(e->node);
        e->node = file->node;
        e->node->holders++;
    }
    pthread_mutex_unlock(&r->mutex);
    if (status != HITHER_OK)
        ht_release(name);
    return status;
}

static hither_status ram_remove(void *ctx, const char *path, hither_error *err) {
    ram *r = ctx;
    char *name = tidy(path, err);
    if (!name)
        return HITHER_NOMEM;
    hither_status status = HITHER_OK;
    pthread_mutex_lock(&r->mutex);
    entry *e = find(r, name, strlen(name));
    if (!e)
        status = ht_fail(err, HITHER_NOT_FOUND, "cannot remove %s: no such file or folder", path);
    else if (inside(r->entries, name))
        status = ht_fail(err, HITHER_IO, "cannot remove %s: the folder is not empty", path);
    else
        drop_entry(r, e);
    pthread_mutex_unlock(&r->mutex);
    ht_release(name);
    return status;
}

static hither_status ram_sync_folder(void *ctx, const char *path, hither_error *err) {
    ht_io_kind kind;
    uint64_t bytes;
    HT_TRY(ram_stat(ctx, path, &kind, &bytes, err));
    if (kind != HT_IO_FOLDER)
        return ht_fail(err, HITHER_NOT_FOUND, "cannot open the folder %s: there is none", path);
    return HITHER_OK;
}

/* The names are collected first, so that `each` may use the table. */
static hither_status ram_list(void *ctx, const char *path,
                              hither_status (*each)(void *arg, const char *name, ht_io_kind kind), void *arg,
                              hither_error *err) {
    ram *r = ctx;
    HT_TRY(ram_sync_folder(ctx, path, err));
    char *name = tidy(path, err);
    if (!name)
        return HITHER_NOMEM;
    ht_buf names; /* kind as one byte, name, NUL; again and again */
    ht_buf_init(&names, SIZE_MAX);
    size_t cut = prefix_bytes(name);
    pthread_mutex_lock(&r->mutex);
    for (entry *e = inside(r->entries, name); e; e = inside(e->next, name)) {
        if (strchr(e->path + cut, '/'))
            continue;
        ht_buf_putc(&names, (char)(e->node->folder ? HT_IO_FOLDER : HT_IO_FILE));
        ht_buf_put(&names, e->path + cut, strlen(e->path + cut) + 1);
    }
    pthread_mutex_unlock(&r->mutex);
    ht_release(name);
    hither_status status = ht_buf_check(&names, path, err);
    for (size_t i = 0; status == HITHER_OK && i < names.size; i += strlen(names.data + i + 1) + 2)
        status = each(arg, names.data + i + 1, (ht_io_kind)names.data[i]);
    ht_buf_clear(&names);
    return status;
}

/* ---- the table */

hither_status ht_io_ram_new(ht_io **out, hither_error *err) {
    ram *r = ht_calloc(1, sizeof *r);
    if (!r || pthread_mutex_init(&r->mutex, NULL) != 0) {
        ht_release(r);
        return ht_fail_nomem(err, sizeof *r, "a table of files");
    }
    r->io = (ht_io){
        .size = sizeof r->io,
        .ctx = r,
        .open = ram_open,
        .close = ram_close,
        .read_at = ram_read_at,
        .write_at = ram_write_at,
        .file_size = ram_size,
        .resize = ram_resize,
        .reserve = ram_reserve,
        .sync = ram_sync,
        .map = ram_map,
        .unmap = ram_unmap,
        .lock = ram_lock,
        .stat = ram_stat,
        .make_folder = ram_make_folder,
        .rename = ram_rename,
        .remove = ram_remove,
        .sync_folder = ram_sync_folder,
        .list = ram_list,
        .share = ram_share,
    };
    *out = &r->io;
    return HITHER_OK;
}

void ht_io_ram_free(ht_io *io) {
    if (!io)
        return;
    ram *r = io->ctx;
    while (r->entries)
        drop_entry(r, r->entries);
    pthread_mutex_destroy(&r->mutex);
    ht_release(r);
}
