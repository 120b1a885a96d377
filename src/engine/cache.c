/*
 * cache.c: cache.h's files: the head that says of which rows one is, and when it may be used.
 */
#include "engine/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define FOLDER "cache"

enum { NAME_BYTES = 80, KIND_BYTES = 10 };

/* As on disk: little-endian, no padding anywhere. */
typedef struct head {
    int64_t cid, sid;
    uint64_t recipe, slots, rows, digest[2];
} head;

_Static_assert(sizeof(head) == 56, "the layout on disk has no padding");

static void name_file(char name[NAME_BYTES], const ht_cache_key *key) {
    (void)snprintf(name, NAME_BYTES, "%" PRId64 "-%" PRId64 ".%s", key->cid, key->sid, key->kind);
}

static void name_container(char name[HT_CONTAINER_NAME], const ht_cache_key *key) {
    HT_ASSERT(*key->kind && strlen(key->kind) < KIND_BYTES);
    (void)snprintf(name, HT_CONTAINER_NAME, "cache-%s", key->kind);
}

/* Of a file in the folder; NULL without memory. */
static char *path_of(const ht_store *store, const char *name) {
    char *folder = ht_path_join(ht_store_path(store), FOLDER);
    char *path = folder ? ht_path_join(folder, name) : NULL;
    ht_release(folder);
    return path;
}

/* How many rows an extent has in slots below the limit. */
static uint64_t rows_below(const ht_extent *extent, uint64_t limit) {
    uint64_t rows = limit > extent->first_slot ? limit - extent->first_slot : 0;
    return rows < extent->capacity ? rows : extent->capacity;
}

static void describe(const ht_cache_key *key, ht_extent *const *extents, size_t count, uint64_t slots, head *out) {
    *out = (head){.cid = key->cid, .sid = key->sid, .recipe = key->recipe, .slots = slots};
    for (size_t i = 0; i < count; i++) {
        uint64_t rows = rows_below(extents[i], slots);
        ht_segment_digest(extents[i]->segment, 0, rows, out->digest);
        out->rows += rows;
    }
}

/* ---- reading */

static bool fits(ht_container *file, const ht_cache_key *key, ht_extent *const *extents, size_t count,
                 uint64_t committed, uint64_t *slots) {
    size_t bytes;
    const void *data = ht_container_section(file, "head", &bytes);
    head found, wanted;
    if (!data || bytes != sizeof found || ht_container_touch(file, "head", 0, bytes, NULL) != HITHER_OK)
        return false;
    memcpy(&found, data, sizeof found);
    if (found.slots > committed)
        return false;
    describe(key, extents, count, found.slots, &wanted);
    *slots = found.slots;
    return memcmp(&found, &wanted, sizeof found) == 0;
}

ht_cache ht_cache_load(ht_store *store, const ht_cache_key *key, ht_extent *const *extents, size_t count,
                       uint64_t committed) {
    ht_cache cache = {0};
    char name[NAME_BYTES], kind[HT_CONTAINER_NAME];
    name_file(name, key);
    name_container(kind, key);
    char *path = path_of(store, name);
    if (path && ht_container_open(ht_store_io(store), path, kind, &cache.file, NULL) == HITHER_OK &&
        !fits(cache.file, key, extents, count, committed, &cache.slots)) {
        ht_container_close(cache.file);
        cache = (ht_cache){0};
    }
    ht_release(path);
    return cache;
}

/* ---- writing */

typedef struct listed {
    const ht_cache_section *sections;
    size_t count;
} listed;

static hither_status put_listed(void *ctx, ht_container_writer *w, hither_error *err) {
    const listed *l = ctx;
    const char *last = "head";
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(last, l->sections[i].name) != 0)
            HT_TRY(ht_container_begin(w, l->sections[i].name, err));
        last = l->sections[i].name;
        HT_TRY(ht_container_put(w, l->sections[i].data, l->sections[i].bytes, err));
    }
    return HITHER_OK;
}

static hither_status put_all(ht_container_writer *w, const head *h, const ht_cache_content *content,
                             hither_error *err) {
    HT_TRY(ht_container_begin(w, "head", err));
    HT_TRY(ht_container_put(w, h, sizeof *h, err));
    return content->put(content->ctx, w, err);
}

hither_status ht_cache_write(ht_store *store, const ht_cache_key *key, ht_extent *const *extents, size_t count,
                             uint64_t slots, const ht_cache_content *content, hither_error *err) {
    char name[NAME_BYTES], kind[HT_CONTAINER_NAME];
    if (ht_store_readonly(store))
        return ht_fail(err, HITHER_READONLY, "%s is open read-only", ht_store_path(store));
    head h;
    ht_container_writer *writer = NULL;
    describe(key, extents, count, slots, &h);
    name_file(name, key);
    name_container(kind, key);
    char *path = path_of(store, name);
    hither_status status = path ? ht_container_create(ht_store_io(store), path, kind, &writer, err)
                                : ht_fail_nomem(err, strlen(ht_store_path(store)), "a path");
    ht_release(path);
    HT_TRY(status);
    status = put_all(writer, &h, content, err);
    if (status == HITHER_OK)
        return ht_container_finish(writer, err);
    ht_container_abandon(writer);
    return status;
}

hither_status ht_cache_save(ht_store *store, const ht_cache_key *key, ht_extent *const *extents, size_t count,
                            uint64_t slots, const ht_cache_section *sections, size_t section_count, hither_error *err) {
    listed l = {sections, section_count};
    return ht_cache_write(store, key, extents, count, slots, &(ht_cache_content){put_listed, &l}, err);
}

/* ---- sweeping */

typedef struct sweep {
    ht_store *store;
    int64_t cid;
    ht_extent *const *extents;
    size_t count;
    bool whole; /* only those of no one segment */
} sweep;

/* Whether a file with this name has no business to be there. What is not named like a cache of ours stays. */
static bool is_left_over(const sweep *s, const char *name) {
    char *end;
    int64_t cid = strtoll(name, &end, 10);
    if (cid != s->cid || *end != '-')
        return false;
    int64_t sid = strtoll(end + 1, &end, 10);
    if (*end != '.')
        return false;
    if (s->whole)
        return sid == 0;
    if (strstr(end, ".tmp-") || !s->count)
        return true;
    for (size_t i = 0; i < s->count; i++)
        if (s->extents[i]->sid == sid)
            return false;
    return sid != 0;
}

static hither_status sweep_one(void *arg, const char *name, ht_io_kind kind) {
    const sweep *s = arg;
    const ht_io *io = ht_store_io(s->store);
    char *path = kind == HT_IO_FILE && is_left_over(s, name) ? path_of(s->store, name) : NULL;
    if (path && io->remove(io->ctx, path, NULL) != HITHER_OK) {
        /* it takes space and does no harm */
    }
    ht_release(path);
    return HITHER_OK;
}

static void sweep_all(sweep s) {
    const ht_io *io = ht_store_io(s.store);
    char *folder = ht_path_join(ht_store_path(s.store), FOLDER);
    hither_status ignored = folder ? io->list(io->ctx, folder, sweep_one, &s, NULL) : HITHER_NOMEM;
    (void)ignored;
    ht_release(folder);
}

void ht_cache_sweep(ht_store *store, int64_t cid, ht_extent *const *extents, size_t count) {
    sweep_all((sweep){.store = store, .cid = cid, .extents = extents, .count = count});
}

void ht_cache_forget(ht_store *store, int64_t cid) { sweep_all((sweep){.store = store, .cid = cid, .whole = true}); }
