/*
 * io_fault.c: counting, failing and recording; see io_fault.h. io_crash.c builds the disks. One mutex guards all of it;
 * it is never held during an operation of the table below.
 */
#include "io_fault.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io_crash.h"

typedef struct file_name {
    char *path;
    size_t node;
} file_name;

struct io_fault {
    ht_io io;
    const ht_io *below;
    pthread_mutex_t mutex;
    uint64_t operations, fail_at;
    fault_kind kind;
    bool for_good, syncs_only, hit;
    char what[600];
    char *ignored; /* syncs of paths with this in them do nothing */
    bool recording;
    trace trace;
    file_name *names; /* of the files now */
    size_t name_count, name_room;
    bool *name_synced; /* by node: the first sync of a log has happened */
    size_t synced_room;
};

typedef struct fault_file {
    ht_file base;
    io_fault *fault;
    ht_file *below;
    unsigned flags;
    size_t node;
    char path[];
} fault_file;

static fault_file *of(ht_file *file) { return (fault_file *)(void *)file; }

/* Tests may stop when the machine itself has no memory. */
static void *grown(void *block, size_t count, size_t *room, size_t size) {
    if (count < *room)
        return block;
    *room = *room ? *room * 2 : 64;
    block = realloc(block, *room * size);
    if (!block)
        abort();
    return block;
}

/* ---- failing */

static bool is_sync(const char *verb) { return strncmp(verb, "sync", 4) == 0; }
static bool needs_space(const char *verb) {
    return is_sync(verb) || strcmp(verb, "write") == 0 || strcmp(verb, "resize") == 0 || strcmp(verb, "reserve") == 0 ||
           strcmp(verb, "make") == 0 || strcmp(verb, "create") == 0 || strcmp(verb, "rename") == 0;
}

/* The errno this operation is to fail with, or 0. */
static int decide(io_fault *f, const char *verb, const char *path) {
    int problem = 0;
    pthread_mutex_lock(&f->mutex);
    if (!f->syncs_only || is_sync(verb)) {
        uint64_t n = ++f->operations;
        if (f->fail_at != 0 && (n == f->fail_at || (f->for_good && n > f->fail_at))) {
            if (!f->hit)
                snprintf(f->what, sizeof f->what, "%s %s", verb, path);
            f->hit = true;
            problem = f->kind != FAULT_IO && needs_space(verb) ? ENOSPC : EIO;
        }
    }
    pthread_mutex_unlock(&f->mutex);
    return problem;
}

static hither_status gate(io_fault *f, const char *verb, const char *path, hither_error *err) {
    int problem = decide(f, verb, path);
    return problem ? ht_fail_errno(err, problem, "injected: cannot %s %s", verb, path) : HITHER_OK;
}

static bool is_ignored(io_fault *f, const char *path) {
    pthread_mutex_lock(&f->mutex);
    bool ignored = f->ignored && strstr(path, f->ignored);
    pthread_mutex_unlock(&f->mutex);
    return ignored;
}

/* ---- recording; the mutex is held for all of these */

static size_t text_number(io_fault *f, const char *text, size_t length) {
    trace *t = &f->trace;
    for (size_t i = 0; i < t->text_count; i++) {
        if (strncmp(t->texts[i], text, length) == 0 && t->texts[i][length] == '\0')
            return i;
    }
    t->texts = grown(t->texts, t->text_count, &t->text_room, sizeof *t->texts);
    t->texts[t->text_count] = strndup(text, length);
    return t->text_count++;
}

static const char *keep(io_fault *f, const char *path) {
    size_t number = text_number(f, path, strlen(path)); /* may move the list */
    return f->trace.texts[number];
}

static size_t folder_of(io_fault *f, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return text_number(f, ".", 1);
    return text_number(f, path, slash == path ? 1 : (size_t)(slash - path));
}

static trace_step *add_step(io_fault *f, trace_op op, size_t node, const char *path) {
    trace *t = &f->trace;
    t->steps = grown(t->steps, t->count, &t->room, sizeof *t->steps);
    trace_step *step = &t->steps[t->count++];
    *step = (trace_step){.op = op, .node = node, .folder = NO_FOLDER, .path = keep(f, path)};
    return step;
}

static file_name *find_name(io_fault *f, const char *path) {
    for (size_t i = 0; i < f->name_count; i++) {
        if (strcmp(f->names[i].path, path) == 0)
            return &f->names[i];
    }
    return NULL;
}

static void drop_name(io_fault *f, const char *path) {
    file_name *n = find_name(f, path);
    if (!n)
        return;
    free(n->path);
    *n = f->names[--f->name_count];
}

static void add_name(io_fault *f, const char *path, size_t node) {
    f->names = grown(f->names, f->name_count, &f->name_room, sizeof *f->names);
    f->names[f->name_count++] = (file_name){strdup(path), node};
}

/* The node of a path that was opened; a path not known is a new file. */
static size_t node_of(io_fault *f, const char *path) {
    const file_name *n = find_name(f, path);
    if (n)
        return n->node;
    size_t node = f->trace.nodes++;
    add_name(f, path, node);
    size_t before = f->synced_room;
    f->name_synced = grown(f->name_synced, node, &f->synced_room, sizeof *f->name_synced);
    memset(f->name_synced + before, 0, (f->synced_room - before) * sizeof *f->name_synced);
    size_t folder = folder_of(f, path);
    add_step(f, TRACE_CREATE, node, path)->folder = folder;
    return node;
}

static bool ends_in(const char *path, const char *end) {
    size_t length = strlen(path), bytes = strlen(end);
    return length >= bytes && strcmp(path + length - bytes, end) == 0;
}

static void add_write(io_fault *f, size_t node, const char *path, const void *data, size_t bytes, uint64_t offset) {
    trace_step *step = add_step(f, TRACE_WRITE, node, path);
    step->offset = offset;
    step->bytes = bytes;
    step->data = malloc(bytes ? bytes : 1);
    if (!step->data)
        abort();
    memcpy(step->data, data, bytes);
}

static void add_sync(io_fault *f, size_t node, const char *path, bool fine) {
    size_t folder = NO_FOLDER;
    if (fine && !f->name_synced[node] && (ends_in(path, "-wal") || ends_in(path, "-journal"))) {
        f->name_synced[node] = true;
        folder = folder_of(f, path);
    }
    add_step(f, fine ? TRACE_SYNC : TRACE_SYNC_FAILED, node, path)->folder = folder;
}

/* ---- files */

static hither_status fault_open(void *ctx, const char *path, unsigned flags, ht_file **out, hither_error *err) {
    io_fault *f = ctx;
    HT_TRY(gate(f, flags & HT_IO_CREATE ? "create" : "open", path, err));
    size_t length = strlen(path);
    fault_file *file = malloc(sizeof *file + length + 1);
    if (!file)
        return ht_fail_nomem(err, sizeof *file + length, "an open file");
    hither_status status = f->below->open(f->below->ctx, path, flags, &file->below, err);
    if (status != HITHER_OK) {
        free(file);
        return status;
    }
    file->base.io = &f->io;
    file->fault = f;
    file->flags = flags;
    file->node = 0;
    memcpy(file->path, path, length + 1);
    pthread_mutex_lock(&f->mutex);
    if (f->recording)
        file->node = node_of(f, path);
    pthread_mutex_unlock(&f->mutex);
    *out = &file->base;
    return HITHER_OK;
}

static void fault_close(ht_file *handle) {
    if (!handle)
        return;
    fault_file *file = of(handle);
    io_fault *f = file->fault;
    pthread_mutex_lock(&f->mutex);
    if (f->recording && (file->flags & HT_IO_DELETE)) {
        size_t folder = folder_of(f, file->path);
        add_step(f, TRACE_REMOVE, file->node, file->path)->folder = folder;
        drop_name(f, file->path);
    }
    pthread_mutex_unlock(&f->mutex);
    f->below->close(file->below);
    free(file);
}

static hither_status fault_read_at(ht_file *handle, void *data, size_t bytes, uint64_t offset, hither_error *err) {
    fault_file *file = of(handle);
    HT_TRY(gate(file->fault, "read", file->path, err));
    return file->fault->below->read_at(file->below, data, bytes, offset, err);
}

static hither_status fault_write_at(ht_file *handle, const void *data, size_t bytes, uint64_t offset,
                                    hither_error *err) {
    fault_file *file = of(handle);
    io_fault *f = file->fault;
    int problem = decide(f, "write", file->path);
    size_t done = problem == 0 ? bytes : f->kind == FAULT_SHORT_WRITE ? bytes / 2 : 0;
    if (done > 0) {
        HT_TRY(f->below->write_at(file->below, data, done, offset, err));
        pthread_mutex_lock(&f->mutex);
        if (f->recording)
            add_write(f, file->node, file->path, data, done, offset);
        pthread_mutex_unlock(&f->mutex);
    }
    return problem ? ht_fail_errno(err, problem, "injected: cannot write %s", file->path) : HITHER_OK;
}

static hither_status fault_size(ht_file *handle, uint64_t *out, hither_error *err) {
    fault_file *file = of(handle);
    HT_TRY(gate(file->fault, "size", file->path, err));
    return file->fault->below->file_size(file->below, out, err);
}

static hither_status fault_resize(ht_file *handle, uint64_t bytes, hither_error *err) {
    fault_file *file = of(handle);
    io_fault *f = file->fault;
    HT_TRY(gate(f, "resize", file->path, err));
    HT_TRY(f->below->resize(file->below, bytes, err));
    pthread_mutex_lock(&f->mutex);
    if (f->recording)
        add_step(f, TRACE_RESIZE, file->node, file->path)->offset = bytes;
    pthread_mutex_unlock(&f->mutex);
    return HITHER_OK;
}

static hither_status fault_reserve(ht_file *handle, uint64_t offset, uint64_t bytes, hither_error *err) {
    fault_file *file = of(handle);
    HT_TRY(gate(file->fault, "reserve", file->path, err));
    return file->fault->below->reserve(file->below, offset, bytes, err);
}

static hither_status fault_sync(ht_file *handle, hither_error *err) {
    fault_file *file = of(handle);
    io_fault *f = file->fault;
    if (is_ignored(f, file->path))
        return HITHER_OK;
    hither_status status = gate(f, "sync", file->path, err);
    if (status == HITHER_OK)
        status = f->below->sync(file->below, err);
    pthread_mutex_lock(&f->mutex);
    if (f->recording)
        add_sync(f, file->node, file->path, status == HITHER_OK);
    pthread_mutex_unlock(&f->mutex);
    return status;
}

static hither_status fault_map(ht_file *handle, size_t bytes, const void **out, hither_error *err) {
    fault_file *file = of(handle);
    HT_TRY(gate(file->fault, "map", file->path, err));
    return file->fault->below->map(file->below, bytes, out, err);
}

static void fault_unmap(ht_file *handle, const void *data, size_t bytes) {
    fault_file *file = of(handle);
    file->fault->below->unmap(file->below, data, bytes);
}

static hither_status fault_lock(ht_file *handle, hither_error *err) {
    fault_file *file = of(handle);
    HT_TRY(gate(file->fault, "lock", file->path, err));
    return file->fault->below->lock(file->below, err);
}

/* ---- folders */

static hither_status fault_stat(void *ctx, const char *path, ht_io_kind *kind, uint64_t *bytes, hither_error *err) {
    io_fault *f = ctx;
    HT_TRY(gate(f, "stat", path, err));
    return f->below->stat(f->below->ctx, path, kind, bytes, err);
}

static hither_status fault_make_folder(void *ctx, const char *path, hither_error *err) {
    io_fault *f = ctx;
    HT_TRY(gate(f, "make", path, err));
    HT_TRY(f->below->make_folder(f->below->ctx, path, err));
    pthread_mutex_lock(&f->mutex);
    if (f->recording) {
        size_t folder = folder_of(f, path);
        add_step(f, TRACE_FOLDER, 0, path)->folder = folder;
    }
    pthread_mutex_unlock(&f->mutex);
    return HITHER_OK;
}

/* A file that grows is not shared while recording: a crash would have to know that its copy does not grow with it. */
static hither_status fault_share(ht_file *handle, const char *path, int sealed, hither_error *err) {
    fault_file *file = of(handle);
    io_fault *f = file->fault;
    HT_TRY(gate(f, "share", path, err));
    if ((f->recording && !sealed) || !f->below->share)
        return ht_fail(err, HITHER_UNSUPPORTED, "no sharing");
    HT_TRY(f->below->share(file->below, path, sealed, err));
    pthread_mutex_lock(&f->mutex);
    if (f->recording) {
        size_t folder = folder_of(f, path);
        add_step(f, TRACE_LINK, file->node, path)->folder = folder;
        add_name(f, path, file->node);
    }
    pthread_mutex_unlock(&f->mutex);
    return HITHER_OK;
}

static void record_rename(io_fault *f, const char *from, const char *to) {
    size_t node = node_of(f, from), folder = folder_of(f, to);
    trace_step *step = add_step(f, TRACE_RENAME, node, to);
    step->folder = folder;
    step->from = keep(f, from);
    drop_name(f, to);
    file_name *n = find_name(f, from);
    free(n->path);
    n->path = strdup(to);
}

static void record_move(io_fault *f, const char *from, const char *to) {
    size_t folder = folder_of(f, to), length = strlen(from), room = strlen(to) + 1;
    trace_step *step = add_step(f, TRACE_MOVE, 0, to);
    step->folder = folder;
    step->from = keep(f, from);
    for (size_t i = 0; i < f->name_count; i++) {
        char *old = f->names[i].path;
        if (strncmp(old, from, length) != 0 || old[length] != '/')
            continue;
        size_t bytes = room + strlen(old + length);
        char *moved = malloc(bytes);
        if (!moved)
            abort();
        snprintf(moved, bytes, "%s%s", to, old + length);
        f->names[i].path = moved;
        free(old);
    }
}

static hither_status fault_rename(void *ctx, const char *from, const char *to, hither_error *err) {
    io_fault *f = ctx;
    ht_io_kind kind = HT_IO_FILE;
    uint64_t bytes;
    HT_TRY(gate(f, "rename", to, err));
    HT_TRY(f->below->stat(f->below->ctx, from, &kind, &bytes, err));
    HT_TRY(f->below->rename(f->below->ctx, from, to, err));
    pthread_mutex_lock(&f->mutex);
    if (f->recording && kind == HT_IO_FOLDER)
        record_move(f, from, to);
    else if (f->recording)
        record_rename(f, from, to);
    pthread_mutex_unlock(&f->mutex);
    return HITHER_OK;
}

static void record_removal(io_fault *f, const char *path) {
    pthread_mutex_lock(&f->mutex);
    if (f->recording) {
        const file_name *n = find_name(f, path);
        size_t node = n ? n->node : 0, folder = folder_of(f, path);
        add_step(f, TRACE_REMOVE, node, path)->folder = folder;
        drop_name(f, path);
    }
    pthread_mutex_unlock(&f->mutex);
}

static hither_status fault_remove(void *ctx, const char *path, hither_error *err) {
    io_fault *f = ctx;
    HT_TRY(gate(f, "remove", path, err));
    HT_TRY(f->below->remove(f->below->ctx, path, err));
    record_removal(f, path);
    return HITHER_OK;
}

static hither_status fault_sync_folder(void *ctx, const char *path, hither_error *err) {
    io_fault *f = ctx;
    if (is_ignored(f, path))
        return HITHER_OK;
    HT_TRY(gate(f, "sync folder", path, err));
    HT_TRY(f->below->sync_folder(f->below->ctx, path, err));
    pthread_mutex_lock(&f->mutex);
    if (f->recording) {
        size_t folder = text_number(f, path, strlen(path));
        add_step(f, TRACE_SYNC_FOLDER, 0, path)->folder = folder;
    }
    pthread_mutex_unlock(&f->mutex);
    return HITHER_OK;
}

static hither_status fault_list(void *ctx, const char *path,
                                hither_status (*each)(void *arg, const char *name, ht_io_kind kind), void *arg,
                                hither_error *err) {
    io_fault *f = ctx;
    HT_TRY(gate(f, "list", path, err));
    return f->below->list(f->below->ctx, path, each, arg, err);
}

/* ---- SQLite's own files, shown before the operation */

static hither_status fault_observe(void *ctx, const ht_io_event *event) {
    static const char *const verbs[] = {
        [HT_OP_READ] = "read",       [HT_OP_WRITE] = "write",   [HT_OP_SYNC] = "sync",
        [HT_OP_TRUNCATE] = "resize", [HT_OP_DELETE] = "remove", [HT_OP_OPEN] = "create"};
    io_fault *f = ctx;
    hither_status status = gate(f, verbs[event->op], event->path, NULL);
    if (event->path[0] == '\0') /* a temporary file without a name; no crash leaves it */
        return status;
    if (event->op == HT_OP_DELETE && status == HITHER_OK) {
        record_removal(f, event->path);
        return HITHER_OK;
    }
    bool ignored = event->op == HT_OP_SYNC && is_ignored(f, event->path);
    pthread_mutex_lock(&f->mutex);
    if (f->recording && (status == HITHER_OK || event->op == HT_OP_SYNC)) {
        size_t node = node_of(f, event->path);
        if (event->op == HT_OP_WRITE)
            add_write(f, node, event->path, event->data, event->bytes, event->offset);
        else if (event->op == HT_OP_TRUNCATE)
            add_step(f, TRACE_RESIZE, node, event->path)->offset = event->offset;
        else if (event->op == HT_OP_SYNC && !ignored)
            add_sync(f, node, event->path, status == HITHER_OK);
    }
    pthread_mutex_unlock(&f->mutex);
    return status;
}

/* ---- the test's side */

io_fault *io_fault_new(const ht_io *below) {
    io_fault *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    pthread_mutex_init(&f->mutex, NULL);
    f->below = below;
    f->io = (ht_io){
        .size = sizeof f->io,
        .ctx = f,
        .sqlite_vfs = below->sqlite_vfs,
        .observe = fault_observe,
        .open = fault_open,
        .close = fault_close,
        .read_at = fault_read_at,
        .write_at = fault_write_at,
        .file_size = fault_size,
        .resize = fault_resize,
        .reserve = fault_reserve,
        .sync = fault_sync,
        .map = fault_map,
        .unmap = fault_unmap,
        .lock = fault_lock,
        .stat = fault_stat,
        .make_folder = fault_make_folder,
        .rename = fault_rename,
        .remove = fault_remove,
        .sync_folder = fault_sync_folder,
        .list = fault_list,
        .share = fault_share,
    };
    return f;
}

void io_fault_free(io_fault *f) {
    if (!f)
        return;
    for (size_t i = 0; i < f->trace.count; i++)
        free(f->trace.steps[i].data);
    free(f->trace.steps);
    for (size_t i = 0; i < f->trace.text_count; i++)
        free(f->trace.texts[i]);
    free(f->trace.texts);
    for (size_t i = 0; i < f->name_count; i++)
        free(f->names[i].path);
    free(f->names);
    free(f->name_synced);
    free(f->ignored);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

const ht_io *io_fault_io(io_fault *f) { return &f->io; }

static void arm(io_fault *f, uint64_t nth, fault_kind kind, bool for_good, bool syncs_only) {
    pthread_mutex_lock(&f->mutex);
    f->operations = 0;
    f->fail_at = nth;
    f->kind = kind;
    f->for_good = for_good;
    f->syncs_only = syncs_only;
    f->hit = false;
    f->what[0] = '\0';
    pthread_mutex_unlock(&f->mutex);
}

void io_fault_arm(io_fault *f, uint64_t nth, fault_kind kind, bool for_good) { arm(f, nth, kind, for_good, false); }
void io_fault_arm_sync(io_fault *f, uint64_t nth, bool for_good) { arm(f, nth, FAULT_IO, for_good, true); }
uint64_t io_fault_operations(const io_fault *f) { return f->operations; }
bool io_fault_hit(const io_fault *f) { return f->hit; }
const char *io_fault_what(const io_fault *f) { return f->what; }

void io_fault_ignore_syncs(io_fault *f, const char *part) {
    pthread_mutex_lock(&f->mutex);
    free(f->ignored);
    f->ignored = part ? strdup(part) : NULL;
    pthread_mutex_unlock(&f->mutex);
}

/* ---- what was there before the recording */

typedef struct import {
    io_fault *fault;
    const char *folder;
} import;

static void import_folder(io_fault *f, const char *path);

static void import_file(io_fault *f, const char *path) {
    const ht_io *io = f->below;
    ht_file *file = NULL;
    uint64_t bytes = 0;
    if (io->open(io->ctx, path, 0, &file, NULL) != HITHER_OK || io->file_size(file, &bytes, NULL) != HITHER_OK)
        abort();
    char *data = malloc(bytes + 1);
    if (!data || io->read_at(file, data, bytes, 0, NULL) != HITHER_OK)
        abort();
    io->close(file);
    size_t node = node_of(f, path);
    add_write(f, node, path, data, bytes, 0);
    free(data);
    add_sync(f, node, path, true);
}

static hither_status import_entry(void *arg, const char *name, ht_io_kind kind) {
    const import *i = arg;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", i->folder, name);
    if (kind == HT_IO_FOLDER)
        import_folder(i->fault, path);
    else
        import_file(i->fault, path);
    return HITHER_OK;
}

static void import_folder(io_fault *f, const char *path) {
import i = {f, path };
    size_t parent = folder_of(f, path), self = text_number(f, path, strlen(path));
    add_step(f, TRACE_FOLDER, 0, path)->folder = parent;
    add_step(f, TRACE_SYNC_FOLDER, 0, path)->folder = parent;
    if (f->below->list(f->below->ctx, path, import_entry, &i, NULL) != HITHER_OK)
        abort();
    add_step(f, TRACE_SYNC_FOLDER, 0, path)->folder = self;
}

void io_fault_record(io_fault *f) {
    pthread_mutex_lock(&f->mutex);
    f->recording = true;
    pthread_mutex_unlock(&f->mutex);
}

void io_fault_record_over(io_fault *f, const char *folder) {
    pthread_mutex_lock(&f->mutex);
    import_folder(f, folder);
    f->recording = true;
    pthread_mutex_unlock(&f->mutex);
}

size_t io_fault_steps(const io_fault *f) { return f->trace.count; }

void io_fault_describe(const io_fault *f, size_t step, char *text, size_t room) {
    static const char *const verbs[] = {[TRACE_CREATE] = "create",
                                        [TRACE_FOLDER] = "make folder",
                                        [TRACE_RENAME] = "rename to",
                                        [TRACE_MOVE] = "move to",
                                        [TRACE_LINK] = "link",
                                        [TRACE_REMOVE] = "remove",
                                        [TRACE_WRITE] = "write",
                                        [TRACE_RESIZE] = "resize",
                                        [TRACE_SYNC] = "sync",
                                        [TRACE_SYNC_FAILED] = "fail sync",
                                        [TRACE_SYNC_FOLDER] = "sync folder"};
    if (step >= f->trace.count) {
        snprintf(text, room, "the end");
        return;
    }
    const trace_step *s = &f->trace.steps[step];
    snprintf(text, room, "%s %s %" PRIu64 "+%zu", verbs[s->op], s->path, s->offset, s->bytes);
}

ht_io *io_fault_crash(const io_fault *f, size_t steps, uint64_t seed) { return io_crash_build(&f->trace, steps, seed); }
