/*
 * draft.c: see draft.h.
 */
#include "store/draft.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { PATH_ROOM = 4096, PARTIAL_ROOM = sizeof ".partial-01234567" };

/* ---- paths */

hither_status ht_full_path(const ht_io *io, const char *path, char **out, hither_error *err) {
    char full[PATH_ROOM];
    size_t bytes = strlen(path);
    if (bytes == 0)
        return ht_fail(err, HITHER_INVALID, "the path of a database cannot be empty");
    if (io->sqlite_vfs) {
        sqlite3_vfs *vfs = sqlite3_vfs_find(io->sqlite_vfs);
        int room = vfs && vfs->mxPathname < PATH_ROOM ? vfs->mxPathname : PATH_ROOM;
        if (!vfs || bytes + sizeof "/tmp/catalog-journal" > (size_t)room ||
            (vfs->xFullPathname(vfs, path, room, full) & 0xff) != SQLITE_OK)
            return ht_fail(err, HITHER_INVALID, "the path of a database may have about %d bytes: %s",
                           room - (int)sizeof "/tmp/catalog-journal", path);
        path = full;
    }
    char *copy = ht_strdup(path);
    if (!copy)
        return ht_fail_nomem(err, bytes, "the path of a database");
    for (size_t end = strlen(copy); end > 1 && copy[end - 1] == '/'; end--)
        copy[end - 1] = '\0';
    *out = copy;
    return HITHER_OK;
}

char *ht_parent_of(const char *path) {
    char *parent = ht_strdup(path), *slash = parent ? strrchr(parent, '/') : NULL;
    if (slash == parent && slash) {
        slash[1] = '\0';
    } else if (slash) {
        *slash = '\0';
    } else if (parent) {
        ht_release(parent);
        parent = ht_strdup(".");
    }
    return parent;
}

hither_status ht_sync_parent(const ht_io *io, const char *path, hither_error *err) {
    char *parent = ht_parent_of(path);
    if (!parent)
        return ht_fail_nomem(err, strlen(path), "a path");
    hither_status status = io->sync_folder(io->ctx, parent, err);
    ht_release(parent);
    return status;
}

/* ---- drafts */

static hither_status refuse_existing(const ht_draft *draft, hither_error *err) {
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes = 0;
    HT_TRY(draft->io->stat(draft->io->ctx, draft->path, &kind, &bytes, err));
    if (kind == HT_IO_ABSENT)
        return HITHER_OK;
    return ht_fail(err, HITHER_EXISTS, "%s is there already; name a %s that is not", draft->path, draft->what);
}

static void forget(ht_draft *draft) {
    ht_release(draft->path);
    ht_release(draft->partial);
    *draft = (ht_draft){0};
}

hither_status ht_draft_begin(ht_draft *draft, const ht_io *io, const char *path, const char *what, hither_error *err) {
    uint32_t chance;
    *draft = (ht_draft){.io = io, .what = what};
    HT_TRY(ht_full_path(io, path, &draft->path, err));
    hither_status status = refuse_existing(draft, err);
    if (status == HITHER_OK) {
        size_t room = strlen(draft->path) + PARTIAL_ROOM;
        draft->partial = ht_alloc(room);
        if (draft->partial) {
            sqlite3_randomness(sizeof chance, &chance);
            snprintf(draft->partial, room, "%s.partial-%08" PRIx32, draft->path, chance);
            status = io->make_folder(io->ctx, draft->partial, err);
            if (status == HITHER_NOT_FOUND)
                ht_fail(err, status, "cannot make %s: the folder it would lie in is not there", draft->path);
        } else {
            status = ht_fail_nomem(err, room, "a path");
        }
    }
    if (status != HITHER_OK)
        forget(draft);
    return status;
}

hither_status ht_draft_finish(ht_draft *draft, hither_error *err) {
    const ht_io *io = draft->io;
    HT_TRY(io->sync_folder(io->ctx, draft->partial, err));
    /* A file or folder that came meanwhile: rename replaces nothing but an empty folder. */
    HT_TRY(refuse_existing(draft, err));
    HT_TRY(io->rename(io->ctx, draft->partial, draft->path, err));
    hither_status status = ht_sync_parent(io, draft->path, err);
    if (status != HITHER_OK) {
        /* Whether the name outlives a crash is unknown: whoever asked is told no, so it must go. */
        ht_release(draft->partial);
        draft->partial = draft->path;
        draft->path = NULL;
        return status;
    }
    forget(draft);
    return HITHER_OK;
}

hither_status ht_draft_finish_as(ht_draft *draft, const char *file, hither_error *err) {
    const ht_io *io = draft->io;
    char *from = ht_path_join(draft->partial, file);
    if (!from)
        return ht_fail_nomem(err, strlen(draft->partial), "a path");
    hither_status status = refuse_existing(draft, err);
    bool named = false;
    if (status == HITHER_OK) {
        status = io->rename(io->ctx, from, draft->path, err);
        named = status == HITHER_OK;
    }
    if (named)
        status = ht_sync_parent(io, draft->path, err);
    /* As in ht_draft_finish: whoever is told no must not find it. */
    if (named && status != HITHER_OK && io->remove(io->ctx, draft->path, NULL) != HITHER_OK) {
        /* nothing more to be done */
    }
    ht_release(from);
    return status;
}

hither_status ht_draft_outside(const ht_draft *draft, const ht_io *io, const char *path, hither_error *err) {
    size_t bytes = strlen(path);
    if (draft->io != io || strncmp(draft->path, path, bytes) != 0 || draft->path[bytes] != '/')
        return HITHER_OK;
    return ht_fail(err, HITHER_INVALID, "%s lies inside the database; name a %s outside of it", draft->path,
                   draft->what);
}

static void remove_tree(const ht_io *io, const char *path);

typedef struct removal {
    const ht_io *io;
    const char *folder;
} removal;

static hither_status remove_entry(void *arg, const char *name, ht_io_kind kind) {
    const removal *r = arg;
    char *path = ht_path_join(r->folder, name);
    if (path && kind == HT_IO_FOLDER)
        remove_tree(r->io, path);
    else if (path && r->io->remove(r->io->ctx, path, NULL) != HITHER_OK) {
        /* It stays, under a name that says what it is. */
    }
    ht_release(path);
    return HITHER_OK;
}

static void remove_tree(const ht_io *io, const char *path) {
    removal r = {io, path};
    if (io->list(io->ctx, path, remove_entry, &r, NULL) != HITHER_OK || io->remove(io->ctx, path, NULL) != HITHER_OK)
        return;
}

void ht_draft_discard(ht_draft *draft) {
    if (draft->partial)
        remove_tree(draft->io, draft->partial);
    forget(draft);
}
