/*
 * store_world.c: see store_world.h.
 */
#include "store_world.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

void world_make(store_world *world, bool on_disk) {
    hither_error err;
    *world = (store_world){.on_disk = on_disk};
    if (on_disk) {
        const char *tmp = getenv("TMPDIR");
        snprintf(world->root, sizeof world->root, "%s/hither-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
        assert_non_null(mkdtemp(world->root));
        world->io = ht_io_posix();
    } else {
        ASSERT_OK(ht_io_ram_new(&world->ram, &err));
        world->io = world->ram;
        snprintf(world->root, sizeof world->root, "/ram");
        ASSERT_OK(world->io->make_folder(world->io->ctx, world->root, &err));
    }
    snprintf(world->path, sizeof world->path, "%s/t.hither", world->root);
}

void world_make_over(store_world *world, const ht_io *io) {
    hither_error err;
    *world = (store_world){.io = io, .borrowed = true};
    snprintf(world->root, sizeof world->root, "/ram");
    ASSERT_OK(io->make_folder(io->ctx, world->root, &err));
    snprintf(world->path, sizeof world->path, "%s/t.hither", world->root);
}

static hither_status remove_tree(const ht_io *io, const char *path);

typedef struct removal {
    const ht_io *io;
    const char *folder;
} removal;

static hither_status remove_entry(void *arg, const char *name, ht_io_kind kind) {
    removal *r = arg;
    char *path = ht_path_join(r->folder, name);
    hither_status status = kind == HT_IO_FOLDER ? remove_tree(r->io, path) : r->io->remove(r->io->ctx, path, NULL);
    ht_release(path);
    return status;
}

static hither_status remove_tree(const ht_io *io, const char *path) {
    removal r = {io, path};
    HT_TRY(io->list(io->ctx, path, remove_entry, &r, NULL));
    return io->remove(io->ctx, path, NULL);
}

void world_free(store_world *world) {
    if (world->on_disk)
        assert_int_equal(remove_tree(world->io, world->root), HITHER_OK);
    else if (!world->borrowed)
        ht_io_ram_free(world->ram);
}

hither_status world_try(const store_world *world, unsigned flags, hither_error *err) {
    ht_store *store;
    hither_status status = ht_store_open(world->io, world->path, flags, 0, &store, err);
    if (status == HITHER_OK)
        ht_store_close(store);
    return status;
}

ht_store *world_open(const store_world *world, unsigned flags) {
    hither_error err;
    ht_store *store = NULL;
    ASSERT_OK(ht_store_open(world->io, world->path, flags, 0, &store, &err));
    return store;
}

/* ---- files */

unsigned char *world_read(const store_world *world, const char *name, size_t *bytes) {
    const ht_io *io = world->io;
    hither_error err;
    ht_file *file;
    uint64_t size = 0;
    char *path = ht_path_join(world->path, name);
    ASSERT_OK(io->open(io->ctx, path, 0, &file, &err));
    ASSERT_OK(io->file_size(file, &size, &err));
    unsigned char *data = malloc((size_t)size + 1);
    assert_non_null(data);
    ASSERT_OK(io->read_at(file, data, (size_t)size, 0, &err));
    io->close(file);
    ht_release(path);
    *bytes = (size_t)size;
    return data;
}

static void put_file(const ht_io *io, const char *path, const void *data, size_t bytes) {
    hither_error err;
    ht_file *file;
    ASSERT_OK(io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &file, &err));
    ASSERT_OK(io->resize(file, bytes, &err));
    ASSERT_OK(io->write_at(file, data, bytes, 0, &err));
    io->close(file);
}

void world_write(const store_world *world, const char *name, const void *data, size_t bytes) {
    char *path = ht_path_join(world->path, name);
    put_file(world->io, path, data, bytes);
    ht_release(path);
}

bool world_has(const store_world *world, const char *name) {
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes;
    char *path = ht_path_join(world->path, name);
    assert_int_equal(world->io->stat(world->io->ctx, path, &kind, &bytes, NULL), HITHER_OK);
    ht_release(path);
    return kind != HT_IO_ABSENT;
}

void world_flip(const store_world *world, const char *name, uint64_t offset, unsigned char bits) {
    const ht_io *io = world->io;
    hither_error err;
    ht_file *file;
    unsigned char byte;
    char *path = ht_path_join(world->path, name);
    ASSERT_OK(io->open(io->ctx, path, HT_IO_WRITE, &file, &err));
    ASSERT_OK(io->read_at(file, &byte, 1, offset, &err));
    byte = (unsigned char)(byte ^ bits);
    ASSERT_OK(io->write_at(file, &byte, 1, offset, &err));
    io->close(file);
    ht_release(path);
}

typedef struct copying {
    const store_world *from;
    store_world *to;
    const char *folder; /* inside the database, "" for itself */
} copying;

static hither_status copy_entry(void *arg, const char *name, ht_io_kind kind) {
    copying *c = arg;
    const ht_io *io = c->to->io;
    /* The index of the log lives in memory that a crash takes; the copy must not have it. */
    if (strcmp(name, "catalog-shm") == 0)
        return HITHER_OK;
    char inner[160], path[300];
    snprintf(inner, sizeof inner, "%s%s%s", c->folder, *c->folder ? "/" : "", name);
    snprintf(path, sizeof path, "%s/%s", c->to->path, inner);
    if (kind == HT_IO_FOLDER) {
        copying deeper = {c->from, c->to, inner};
        char from[300];
        snprintf(from, sizeof from, "%s/%s", c->from->path, inner);
        assert_int_equal(io->make_folder(io->ctx, path, NULL), HITHER_OK);
        return c->from->io->list(c->from->io->ctx, from, copy_entry, &deeper, NULL);
    }
    size_t bytes;
    unsigned char *data = world_read(c->from, inner, &bytes);
    put_file(io, path, data, bytes);
    free(data);
    return HITHER_OK;
}

void world_copy(const store_world *from, store_world *to) {
    copying c = {from, to, ""};
    world_make(to, false);
    assert_int_equal(to->io->make_folder(to->io->ctx, to->path, NULL), HITHER_OK);
    assert_int_equal(from->io->list(from->io->ctx, from->path, copy_entry, &c, NULL), HITHER_OK);
}

/* ---- rows */

ht_collection_row world_create(ht_store *store, const char *name, uint32_t dim) {
    hither_error err;
    ht_collection_row row = {.dim = dim, .dtype = HITHER_F32, .metric = HITHER_COSINE, .id_kind = HT_ID_TEXT};
    snprintf(row.name, sizeof row.name, "%s", name);
    ASSERT_OK(ht_store_create(store, &row, (ht_text){0}, &err));
    return row;
}

float world_element(uint64_t slot, uint32_t j) { return (float)(slot % 1000) + (float)j / 8; }

static ht_text metadata_of(uint64_t slot, char room[32]) {
    int n = snprintf(room, 32, "{\"n\":%" PRIu64 "}", slot);
    return (ht_text){room, (size_t)n};
}
static ht_text document_of(uint64_t slot, char room[32]) {
    if (slot % 3 == 0)
        return (ht_text){0};
    room[0] = 0;
    int n = slot % 3 == 1 ? 0 : snprintf(room, 32, "row %" PRIu64, slot);
    return (ht_text){room, (size_t)n};
}

/* One id as a column of one. */
typedef struct one_id {
    char text[32];
    uint64_t offsets[2];
    hither_ids ids;
} one_id;
static const hither_ids *id_of(one_id *id, uint64_t n) {
    int length = snprintf(id->text, sizeof id->text, "id-%" PRIu64, n);
    id->offsets[0] = 0;
    id->offsets[1] = (uint64_t)length;
    id->ids = (hither_ids){.strings = {.bytes = id->text, .offsets = id->offsets, .count = 1}, .count = 1};
    return &id->ids;
}

/* The segment that slot `next` goes to, made if need be; counted. */
static hither_status segment_for(ht_store *store, const ht_collection_row *row, ht_segment **out, hither_error *err) {
    ht_segment **all;
    size_t count;
    HT_TRY(ht_store_segments(store, row->cid, &all, &count, err));
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        const ht_segment_info *info = ht_segment_describe(all[i]);
        if (row->next_slot >= info->first_slot && row->next_slot < info->first_slot + info->capacity)
            *out = ht_segment_acquire(all[i]);
        ht_segment_release(all[i]);
    }
    ht_release(all);
    return *out ? HITHER_OK : ht_segment_create(store, row, row->next_slot, count, out, err);
}

static hither_status write_vectors(ht_segment *segment, const ht_collection_row *row, uint64_t first, size_t count,
                                   hither_error *err) {
    const ht_segment_info *info = ht_segment_describe(segment);
    unsigned char *bytes = calloc(count, info->stride);
    ht_row_sums *sums = calloc(count, sizeof *sums);
    assert_true(bytes && sums);
    for (size_t i = 0; i < count; i++) {
        float *vector = (float *)(void *)(bytes + i * info->stride);
        uint64_t slot = row->next_slot + i;
        char a[32], b[32];
        one_id id;
        for (uint32_t j = 0; j < row->dim; j++)
            vector[j] = world_element(slot, j);
        sums[i] = ht_row_sums_make(slot, vector, row->dim * sizeof *vector, id_of(&id, first + i), 0,
                                   metadata_of(slot, a), document_of(slot, b));
    }
    hither_status status = ht_segment_write(segment, row->next_slot - info->first_slot, count, bytes, sums, err);
    if (status == HITHER_OK)
        status = ht_segment_sync(segment, err);
    free(bytes);
    free(sums);
    return status;
}

static hither_status write_rows(ht_store *store, ht_collection_row *row, ht_segment *segment, uint64_t first,
                                size_t count, hither_error *err) {
    for (size_t i = 0; i < count; i++) {
        char a[32], b[32];
        one_id id;
        uint64_t old, slot = row->next_slot++;
        HT_TRY(ht_txn_find(store, row->cid, id_of(&id, first + i), 0, &old, err));
        if (old != UINT64_MAX)
            HT_TRY(ht_txn_kill(store, row->cid, old, row->commit_seq + 1, err));
        else
            row->live_count++;
        HT_TRY(ht_txn_insert(store, row->cid, slot, &id.ids, 0, metadata_of(slot, a), document_of(slot, b), err));
    }
    row->commit_seq++;
    HT_TRY(ht_txn_segment(store, segment, row->next_slot - ht_segment_describe(segment)->first_slot, err));
    return ht_txn_collection(store, row, err);
}

/* As many as the segment takes. */
static hither_status put_some(ht_store *store, ht_collection_row *row, uint64_t first, size_t *count,
                              hither_error *err) {
    ht_collection_row after = *row;
    ht_segment *segment = NULL;
    HT_TRY(segment_for(store, row, &segment, err));
    const ht_segment_info *info = ht_segment_describe(segment);
    uint64_t room = info->first_slot + info->capacity - row->next_slot;
    if (*count > room)
        *count = (size_t)room;
    hither_status status = write_vectors(segment, row, first, *count, err);
    if (status == HITHER_OK)
        status = ht_txn_begin(store, err);
    if (status == HITHER_OK) {
        status = write_rows(store, &after, segment, first, *count, err);
        if (status == HITHER_OK)
            status = ht_txn_commit(store, err);
        else
            ht_txn_rollback(store);
    }
    ht_segment_release(segment);
    if (status == HITHER_OK)
        *row = after;
    return status;
}

hither_status world_put(ht_store *store, ht_collection_row *row, uint64_t first, size_t count, hither_error *err) {
    while (count > 0) {
        size_t some = count;
        HT_TRY(put_some(store, row, first, &some, err));
        first += some;
        count -= some;
    }
    return HITHER_OK;
}

static hither_status kill_in(ht_store *store, ht_collection_row *row, uint64_t n, hither_error *err) {
    one_id id;
    uint64_t slot;
    HT_TRY(ht_txn_find(store, row->cid, id_of(&id, n), 0, &slot, err));
    assert_true(slot != UINT64_MAX);
    HT_TRY(ht_txn_kill(store, row->cid, slot, ++row->commit_seq, err));
    row->live_count--;
    return ht_txn_collection(store, row, err);
}

hither_status world_kill(ht_store *store, ht_collection_row *row, uint64_t n, hither_error *err) {
    ht_collection_row after = *row;
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = kill_in(store, &after, n, err);
    if (status == HITHER_OK)
        status = ht_txn_commit(store, err);
    else
        ht_txn_rollback(store);
    if (status == HITHER_OK)
        *row = after;
    return status;
}

static const ht_segment *segment_of(ht_segment *const *all, size_t count, uint64_t slot) {
    for (size_t i = 0; i < count; i++) {
        const ht_segment_info *info = ht_segment_describe(all[i]);
        if (slot >= info->first_slot && slot < info->first_slot + info->committed)
            return all[i];
    }
    return NULL;
}

static void expect_text(ht_text got, ht_text wanted) {
    assert_int_equal(got.data == NULL, wanted.data == NULL);
    assert_int_equal(got.bytes, wanted.bytes);
    if (got.bytes > 0)
        assert_memory_equal(got.data, wanted.data, got.bytes);
}

void world_expect(ht_store *store, int64_t cid, uint64_t first, size_t count) {
    hither_error err;
    ht_reader *reader;
    ht_segment **all;
    size_t segments;
    uint64_t seq;
    ht_collection_row row;
    ASSERT_OK(ht_reader_begin(store, cid, &reader, &seq, &err));
    ASSERT_OK(ht_reader_collection(reader, &row, &err));
    ASSERT_OK(ht_store_segments(store, cid, &all, &segments, &err));
    for (size_t i = 0; i < count; i++) {
        one_id id;
        uint64_t slot;
        ht_row got;
        char a[32], b[32];
        ASSERT_OK(ht_reader_find(reader, id_of(&id, first + i), 0, seq, row.next_slot, &slot, &err));
        if (slot == UINT64_MAX)
            fail_msg("id-%" PRIu64 " is missing", first + i);
        ASSERT_OK(ht_reader_row(reader, slot, &got, &err));
        assert_int_equal(got.id_kind, HT_ID_TEXT);
        expect_text(got.text_id, (ht_text){id.text, (size_t)id.offsets[1]});
        expect_text(got.metadata, metadata_of(slot, a));
        expect_text(got.document, document_of(slot, b));
        const ht_segment *segment = segment_of(all, segments, slot);
        assert_non_null(segment);
        const ht_segment_info *info = ht_segment_describe(segment);
        uint64_t at = slot - info->first_slot;
        const float *vector = (const float *)(const void *)((const char *)ht_segment_rows(segment) + at * info->stride);
        for (uint32_t j = 0; j < row.dim; j++)
            assert_true(vector[j] == world_element(slot, j));
        ASSERT_OK(ht_segment_check(segment, at, at + 1, &err));
    }
    for (size_t i = 0; i < segments; i++)
        ht_segment_release(all[i]);
    ht_release(all);
    ht_reader_end(reader);
}

typedef struct findings {
    size_t count;
    char *text;
} findings;

static hither_status note_finding(void *arg, const char *place, const char *problem) {
    findings *f = arg;
    if (f->count++ == 0 && f->text)
        snprintf(f->text, 512, "%s: %s", place, problem);
    return HITHER_OK;
}

size_t world_verify(ht_store *store, char text[512]) {
    hither_error err;
    findings f = {0, text};
    ASSERT_OK(ht_store_verify(store, HT_VERIFY_DEEP, note_finding, &f, NULL, &err));
    return f.count;
}
