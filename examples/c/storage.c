/*
 * storage.c: a database on storage of your own. The back end here keeps files in the memory of this process: it is
 * small enough to read, and shows every function of the table. Nothing of it is on disk; two databases in it know
 * nothing of each other, and one that is closed can be opened again while the process lives.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for anonymous memory */
#endif
#include <hither.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FILES = 64, PATH_BYTES = 256 };
static const size_t largest = (size_t)1 << 32; /* address space a file is given; memory comes with use */

/* What has a name: a file, or a folder. */
typedef struct node {
    char path[PATH_BYTES]; /* "" once it was removed */
    int folder, locked, handles;
    unsigned char *data;
    uint64_t size;
} node;

typedef struct shelf {
    node nodes[FILES];
    unsigned long long written, syncs;
} shelf;

/* An open file begins with hither_file. One thread uses this program, so there is no lock. */
typedef struct handle {
    hither_file base;
    node *node;
    int has_lock;
} handle;

static node *node_of(hither_file *file) { return ((handle *)(void *)file)->node; }

static hither_status fail(hither_error *err, hither_status status, const char *what, const char *path) {
    if (err) {
        err->status = status;
        err->os_errno = 0;
        snprintf(err->message, sizeof err->message, "%.150s: %.80s", path, what);
    }
    return status;
}

static node *find(shelf *s, const char *path) {
    for (size_t i = 0; i < FILES; i++)
        if (s->nodes[i].path[0] && strcmp(s->nodes[i].path, path) == 0)
            return &s->nodes[i];
    return NULL;
}

static hither_status make(shelf *s, const char *path, int folder, node **out, hither_error *err) {
    for (size_t i = 0; i < FILES; i++) {
        node *n = &s->nodes[i];
        if (n->path[0] || n->handles || strlen(path) >= PATH_BYTES)
            continue;
        void *data =
            folder ? NULL
                   : mmap(NULL, largest, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (data == MAP_FAILED)
            return fail(err, HITHER_NOMEM, "no memory", path);
        *n = (node){.folder = folder, .data = data};
        strcpy(n->path, path);
        *out = n;
        return HITHER_OK;
    }
    return fail(err, HITHER_FULL, "the shelf is full", path);
}

/* Nobody can reach it any more. */
static void drop_if_gone(node *n) {
    if (!n->path[0] && n->handles == 0 && n->data) {
        munmap(n->data, largest);
        n->data = NULL;
    }
}

static hither_status shelf_open(void *ctx, const char *path, unsigned flags, hither_file **out, hither_error *err);

static void shelf_close(hither_file *file) {
    handle *h = (handle *)(void *)file;
    if (h->has_lock)
        h->node->locked = 0;
    h->node->handles--;
    drop_if_gone(h->node);
    free(h);
}

static hither_status read_at(hither_file *file, void *data, size_t bytes, uint64_t offset, hither_error *err) {
    node *n = node_of(file);
    if (offset > n->size || bytes > n->size - offset)
        return fail(err, HITHER_CORRUPT, "it ends early", n->path);
    memcpy(data, n->data + offset, bytes);
    return HITHER_OK;
}

static hither_status write_at(hither_file *file, const void *data, size_t bytes, uint64_t offset, hither_error *err) {
    node *n = node_of(file);
    if (offset > largest || bytes > largest - offset)
        return fail(err, HITHER_FULL, "too large for this shelf", n->path);
    if (bytes > 0)
        memcpy(n->data + offset, data, bytes);
    if (n->size < offset + bytes)
        n->size = offset + bytes;
    ((shelf *)file->io->ctx)->written += bytes;
    return HITHER_OK;
}

static hither_status file_size(hither_file *file, uint64_t *out, hither_error *err) {
    (void)err;
    *out = node_of(file)->size;
    return HITHER_OK;
}

static hither_status resize(hither_file *file, uint64_t bytes, hither_error *err) {
    node *n = node_of(file);
    if (bytes > largest)
        return fail(err, HITHER_FULL, "too large for this shelf", n->path);
    if (bytes < n->size)
        memset(n->data + bytes, 0, (size_t)(n->size - bytes));
    n->size = bytes;
    return HITHER_OK;
}

static hither_status reserve(hither_file *file, uint64_t offset, uint64_t bytes, hither_error *err) {
    (void)file, (void)offset, (void)bytes, (void)err; /* nothing can be promised */
    return HITHER_OK;
}

static hither_status sync_file(hither_file *file, hither_error *err) {
    (void)err;
    ((shelf *)file->io->ctx)->syncs++; /* there is nothing slower to bring it to */
    return HITHER_OK;
}

/* The file's own memory: later writes show through, and it never moves. */
static hither_status map(hither_file *file, size_t bytes, const void **out, hither_error *err) {
    node *n = node_of(file);
    if (bytes > n->size)
        return fail(err, HITHER_CORRUPT, "it ends early", n->path);
    *out = n->data;
    return HITHER_OK;
}

static void unmap(hither_file *file, const void *data, size_t bytes) { (void)file, (void)data, (void)bytes; }

static hither_status lock(hither_file *file, hither_error *err) {
    node *n = node_of(file);
    if (n->locked)
        return fail(err, HITHER_BUSY, "it is in use", n->path);
    n->locked = ((handle *)(void *)file)->has_lock = 1;
    return HITHER_OK;
}

static hither_status stat_path(void *ctx, const char *path, hither_io_kind *kind, uint64_t *bytes, hither_error *err) {
    const node *n = find(ctx, path);
    (void)err;
    *kind = !n ? HITHER_IO_ABSENT : n->folder ? HITHER_IO_FOLDER : HITHER_IO_FILE;
    *bytes = n ? n->size : 0;
    return HITHER_OK;
}

static hither_status make_folder(void *ctx, const char *path, hither_error *err) {
    node *made;
    return find(ctx, path) ? fail(err, HITHER_EXISTS, "it is there already", path) : make(ctx, path, 1, &made, err);
}

static hither_status remove_path(void *ctx, const char *path, hither_error *err) {
    node *n = find(ctx, path);
    if (!n)
        return fail(err, HITHER_NOT_FOUND, "there is no such file", path);
    n->path[0] = '\0';
    drop_if_gone(n);
    return HITHER_OK;
}

static hither_status rename_path(void *ctx, const char *from, const char *to, hither_error *err) {
    node *n = find(ctx, from);
    if (!n || strlen(to) >= PATH_BYTES)
        return fail(err, HITHER_NOT_FOUND, "there is no such file", from);
    if (find(ctx, to) && remove_path(ctx, to, err) != HITHER_OK)
        return HITHER_IO;
    strcpy(n->path, to);
    return HITHER_OK;
}

static hither_status sync_folder(void *ctx, const char *path, hither_error *err) {
    (void)path, (void)err;
    ((shelf *)ctx)->syncs++;
    return HITHER_OK;
}

static hither_status list(void *ctx, const char *path,
                          hither_status (*each)(void *arg, const char *name, hither_io_kind kind), void *arg,
                          hither_error *err) {
    shelf *s = ctx;
    size_t length = strlen(path);
    (void)err;
    for (size_t i = 0; i < FILES; i++) {
        const char *name = s->nodes[i].path;
        if (strncmp(name, path, length) != 0 || name[length] != '/' || strchr(name + length + 1, '/'))
            continue;
        char copy[PATH_BYTES]; /* `each` may remove it */
        strcpy(copy, name + length + 1);
        hither_status status = each(arg, copy, s->nodes[i].folder ? HITHER_IO_FOLDER : HITHER_IO_FILE);
        if (status != HITHER_OK)
            return status;
    }
    return HITHER_OK;
}

static shelf files;
static const hither_io table = {.size = sizeof table,
                                .ctx = &files,
                                .open = shelf_open,
                                .close = shelf_close,
                                .read_at = read_at,
                                .write_at = write_at,
                                .file_size = file_size,
                                .resize = resize,
                                .reserve = reserve,
                                .sync = sync_file,
                                .map = map,
                                .unmap = unmap,
                                .lock = lock,
                                .stat = stat_path,
                                .make_folder = make_folder,
                                .rename = rename_path,
                                .remove = remove_path,
                                .sync_folder = sync_folder,
                                .list = list};

static hither_status shelf_open(void *ctx, const char *path, unsigned flags, hither_file **out, hither_error *err) {
    node *n = find(ctx, path);
    if (n && n->folder)
        return fail(err, HITHER_IO, "it is a folder", path);
    if (n && flags & HITHER_IO_EXCLUSIVE)
        return fail(err, HITHER_EXISTS, "it is there already", path);
    if (!n && !(flags & HITHER_IO_CREATE))
        return fail(err, HITHER_NOT_FOUND, "there is no such file", path);
    if (!n) {
        hither_status status = make(ctx, path, 0, &n, err);
        if (status != HITHER_OK)
            return status;
    }
    handle *h = calloc(1, sizeof *h);
    if (!h)
        return fail(err, HITHER_NOMEM, "no memory", path);
    h->base.io = &table;
    h->node = n;
    n->handles++;
    if (flags & HITHER_IO_DELETE)
        n->path[0] = '\0'; /* open files outlive their names */
    *out = &h->base;
    return HITHER_OK;
}

/* ---- using it */

static void check(hither_status status, const hither_error *err) {
    if (status != HITHER_OK) {
        fprintf(stderr, "%s: %s\n", hither_status_name(status), err->message);
        exit(1);
    }
}

int main(void) {
    hither_error err;
    hither_db *db;
    hither_collection *points;
    const int64_t ids[] = {1, 2, 3};
    const float vectors[] = {0, 0, 3, 4, 6, 8};
    for (int round = 0; round < 2; round++) {
        check(hither_db_open("/db", HITHER_OPTIONS(hither_db_options, .io = &table), &db, &err), &err);
        check(hither_collection_open(db, "points",
                                     HITHER_OPTIONS(hither_collection_options, .dim = 2, .metric = HITHER_L2), &points,
                                     &err),
              &err);
        if (round == 0) {
            hither_batch batch = {.size = sizeof batch,
                                  .ids = {.ints = ids, .count = 3},
                                  .vectors = {vectors, 3, 2, 2 * sizeof(float), HITHER_F32}};
            check(hither_collection_put(points, HITHER_UPSERT, &batch, NULL, &err), &err);
            printf("written to the shelf and closed\n");
        } else {
            uint64_t count;
            check(hither_collection_count(points, NULL, &count, &err), &err);
            check(hither_db_verify(db, NULL, &err), &err);
            printf("opened again: %llu rows, verified\n", (unsigned long long)count);
        }
        hither_collection_close(points);
        hither_db_close(db);
    }
    printf("bytes were written: %s; syncs were asked for: %s\n", files.written > 0 ? "yes" : "no",
           files.syncs > 0 ? "yes" : "no");
    return 0;
}
