/*
 * io_crash.c: from a trace to a disk. Walking backwards finds which steps were made durable; walking forwards applies
 * these and a choice of the others. Bytes go into files named by node number, whatever names the files had; the names
 * are kept in a table of their own and given at the end. One thread.
 */
#include "io_crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { SECTOR = 512 };

typedef struct entry {
    const char *path;
    size_t node;
    bool folder;
} entry;

typedef struct disk {
    ht_io *io;
    ht_file **files; /* by node; NULL before the first byte */
    size_t nodes;
    entry *entries;
    size_t count;
    char **moved; /* paths of what was moved with its folder */
    size_t moved_count;
    uint64_t random, mode;
} disk;

static void must(bool fine) {
    if (!fine) {
        fprintf(stderr, "io_crash: cannot build a disk\n");
        abort();
    }
}

static uint64_t draw(disk *d, uint64_t below) { return ht_mix64(d->random += 0x9e3779b97f4a7c15u) % below; }

/* Whether a step that nothing made durable happened all the same. */
static bool by_chance(disk *d) {
    switch (d->mode) {
    case 0:
        return false;
    case 1:
        return true;
    case 2:
        return draw(d, 2) == 0;
    default:
        return draw(d, 8) != 0;
    }
}

/* ---- what is durable */

enum { NOT_SYNCED, SYNCED, SYNC_FAILED };

static void find_durable(const trace *t, size_t steps, bool *durable) {
    unsigned char *node_state = calloc(t->nodes + 1, 1);
    bool *folder_synced = calloc(t->text_count + 1, sizeof *folder_synced);
    must(node_state && folder_synced);
    for (size_t i = steps; i-- > 0;) {
        const trace_step *s = &t->steps[i];
        switch (s->op) {
        case TRACE_SYNC:
            node_state[s->node] = SYNCED;
            if (s->folder != NO_FOLDER)
                folder_synced[s->folder] = true;
            break;
        case TRACE_SYNC_FAILED:
            node_state[s->node] = SYNC_FAILED;
            break;
        case TRACE_SYNC_FOLDER:
            folder_synced[s->folder] = true;
            break;
        case TRACE_WRITE:
        case TRACE_RESIZE:
            durable[i] = node_state[s->node] == SYNCED;
            break;
        default:
            durable[i] = folder_synced[s->folder];
        }
    }
    free(node_state);
    free(folder_synced);
}

/* ---- bytes */

static ht_file *file_of(disk *d, size_t node) {
    char path[64];
    if (!d->files[node]) {
        snprintf(path, sizeof path, "node-%zu", node);
        must(d->io->open(d->io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &d->files[node], NULL) == HITHER_OK);
    }
    return d->files[node];
}

static void apply_write(disk *d, const trace_step *s, bool torn) {
    ht_file *file = file_of(d, s->node);
    if (!torn) {
        must(d->io->write_at(file, s->data, s->bytes, s->offset, NULL) == HITHER_OK);
        return;
    }
    for (size_t at = 0; at < s->bytes;) {
        size_t bytes = SECTOR - (size_t)((s->offset + at) % SECTOR);
        if (bytes > s->bytes - at)
            bytes = s->bytes - at;
        if (draw(d, 2) == 0)
            must(d->io->write_at(file, s->data + at, bytes, s->offset + at, NULL) == HITHER_OK);
        at += bytes;
    }
}

/* ---- names */

static entry *find(disk *d, const char *path) {
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->entries[i].path, path) == 0)
            return &d->entries[i];
    }
    return NULL;
}

static void drop(disk *d, const char *path) {
    entry *e = find(d, path);
    if (e)
        *e = d->entries[--d->count];
}

static void put(disk *d, const char *path, size_t node, bool folder) {
    drop(d, path);
    d->entries[d->count++] = (entry){path, node, folder};
}

static void move(disk *d, const char *from, const char *to) {
    size_t length = strlen(from);
    for (size_t i = 0; i < d->count; i++) {
        const char *old = d->entries[i].path;
        if (strncmp(old, from, length) != 0 || (old[length] != '/' && old[length] != '\0'))
            continue;
        size_t room = strlen(to) + strlen(old + length) + 1;
        char *path = malloc(room);
        d->moved = realloc(d->moved, (d->moved_count + 1) * sizeof *d->moved);
        must(path && d->moved);
        snprintf(path, room, "%s%s", to, old + length);
        d->moved[d->moved_count++] = path;
        d->entries[i].path = path;
    }
}

static void apply_name(disk *d, const trace_step *s) {
    switch (s->op) {
    case TRACE_CREATE:
    case TRACE_LINK:
        put(d, s->path, s->node, false);
        break;
    case TRACE_MOVE:
        move(d, s->from, s->path);
        break;
    case TRACE_FOLDER:
        put(d, s->path, 0, true);
        break;
    case TRACE_RENAME:
        drop(d, s->from);
        put(d, s->path, s->node, false);
        break;
    default:
        drop(d, s->path);
    }
}

static int by_length(const void *a, const void *b) {
    size_t x = strlen(((const entry *)a)->path), y = strlen(((const entry *)b)->path);
    return (x > y) - (x < y);
}

/* The folders above what was recorded were there before. */
static void make_ancestors(disk *d, const char *path) {
    char part[4096];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        hither_status status = d->io->make_folder(d->io->ctx, part, NULL);
        must(status == HITHER_OK || status == HITHER_EXISTS);
    }
}

/* Whether the trace made or moved this folder, so that it is there only if the disk has it. */
static bool was_made(const trace *t, size_t steps, const char *path, size_t length) {
    for (size_t i = 0; i < steps; i++) {
        const trace_step *s = &t->steps[i];
        if ((s->op == TRACE_FOLDER || s->op == TRACE_MOVE) && strncmp(s->path, path, length) == 0 &&
            s->path[length] == '\0')
            return true;
    }
    return false;
}

/* Without its folder a name is lost, however durable. */
static bool has_folders(disk *d, const trace *t, size_t steps, const char *path) {
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - path);
        bool there = false;
        for (size_t i = 0; i < d->count; i++) {
            const entry *e = &d->entries[i];
            there = there || (e->folder && strncmp(e->path, path, length) == 0 && e->path[length] == '\0');
        }
        if (!there && was_made(t, steps, path, length))
            return false;
    }
    return true;
}

static void give_names(disk *d, const trace *t, size_t steps) {
    char node[64];
    bool *named = calloc(t->nodes + 1, sizeof *named);
    must(named != NULL);
    if (t->count > 0) /* what was made first lies outermost */
        make_ancestors(d, t->steps[0].path);
    qsort(d->entries, d->count, sizeof *d->entries, by_length);
    for (size_t i = 0; i < d->count; i++) {
        const entry *e = &d->entries[i];
        if (!has_folders(d, t, steps, e->path))
            continue;
        make_ancestors(d, e->path);
        if (e->folder) {
            must(d->io->make_folder(d->io->ctx, e->path, NULL) == HITHER_OK);
            continue;
        }
        ht_file *file = file_of(d, e->node);
        if (named[e->node]) {
            must(d->io->share(file, e->path, true, NULL) == HITHER_OK);
            continue;
        }
        snprintf(node, sizeof node, "node-%zu", e->node);
        must(d->io->rename(d->io->ctx, node, e->path, NULL) == HITHER_OK);
        named[e->node] = true;
    }
    free(named);
}

ht_io *io_crash_build(const trace *t, size_t steps, uint64_t seed) {
    disk d = {.nodes = t->nodes, .random = ht_mix64(seed), .mode = seed % 4};
    bool *durable = calloc(steps + 1, sizeof *durable);
    d.files = calloc(t->nodes + 1, sizeof *d.files);
    d.entries = calloc(steps + 1, sizeof *d.entries);
    must(durable && d.files && d.entries && ht_io_ram_new(&d.io, NULL) == HITHER_OK);
    find_durable(t, steps, durable);
    for (size_t i = 0; i < steps; i++) {
        const trace_step *s = &t->steps[i];
        if (s->op == TRACE_SYNC || s->op == TRACE_SYNC_FAILED || s->op == TRACE_SYNC_FOLDER)
            continue;
        if (!durable[i] && !by_chance(&d))
            continue;
        if (s->op == TRACE_WRITE)
            apply_write(&d, s, !durable[i] && d.mode > 1 && draw(&d, 2) == 0);
        else if (s->op == TRACE_RESIZE)
            must(d.io->resize(file_of(&d, s->node), s->offset, NULL) == HITHER_OK);
        else
            apply_name(&d, s);
    }
    give_names(&d, t, steps);
    for (size_t i = 0; i < t->nodes; i++) {
        char path[64];
        if (!d.files[i])
            continue;
        d.io->close(d.files[i]);
        snprintf(path, sizeof path, "node-%zu", i);
        hither_status status = d.io->remove(d.io->ctx, path, NULL);
        must(status == HITHER_OK || status == HITHER_NOT_FOUND); /* it has a name now */
    }
    for (size_t i = 0; i < d.moved_count; i++)
        free(d.moved[i]);
    free(d.moved);
    free(durable);
    free(d.files);
    free(d.entries);
    return d.io;
}
