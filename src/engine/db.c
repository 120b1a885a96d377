/*
 * db.c: the life of a database: open, close, list, info, drop, rename, verify. Any thread.
 *
 * A database lives until the last of its handle, its open collections and its cursors is closed. In a forked child the
 * last close gives memory back and leaves the store and all open files alone: locks, connections and log are the
 * parent's, and a mutex below may have been held by a thread that does not exist here.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/codes_cache.h"
#include "engine/derived.h"
#include "engine/later.h"
#include "engine/near.h"
#include "engine/state.h"
#include "kernels/kernels.h"
#include "store/draft.h"
#include "store/pack.h"

#define MEMORY_PATH   ":memory:"
#define MEMORY_FOLDER "/:memory:" /* where it lies among the files in RAM */

ht_db *ht_db_acquire(ht_db *db) {
    atomic_fetch_add_explicit(&db->references, 1, memory_order_relaxed);
    return db;
}

static unsigned store_flags(uint32_t flags) {
    return (flags & HITHER_OPEN_READONLY ? HT_STORE_READONLY : 0u) |
           (flags & HITHER_OPEN_EXISTING ? HT_STORE_EXISTING : 0u) |
           (flags & HITHER_OPEN_NETWORK ? HT_STORE_NETWORK : 0u) | (flags & HT_OPEN_UNSYNCED ? HT_STORE_UNSYNCED : 0u);
}

static hither_status open_over(const ht_io *io, const char *path, const ht_db_settings *given, ht_db **out,
                               hither_error *err) {
    ht_db *db = ht_calloc(1, sizeof *db);
    if (!db)
        return ht_fail_nomem(err, sizeof *db, "a database");
    db->settings = *given;
    hither_status status = ht_db_settings_complete(&db->settings, err);
    if (status == HITHER_OK)
        status = ht_store_open(io, path, store_flags(given->flags), given->busy_timeout_ms, &db->store, err);
    if (status != HITHER_OK) {
        ht_release(db);
        return status;
    }
    atomic_init(&db->references, 1);
    atomic_init(&db->scratches.first, NULL);
    db->generation = ht_fork_generation();
    db->readonly = ht_store_readonly(db->store);
    db->unsynced = (given->flags & HT_OPEN_UNSYNCED) != 0;
    (void)pthread_mutex_init(&db->writer, NULL);
    (void)pthread_mutex_init(&db->table, NULL);
    ht_queue_init(&db->queue);
    if (!db->readonly && !(db->upkeep = ht_upkeep_new()))
        status = ht_fail_nomem(err, 0, "a database");
    if (status == HITHER_OK && given->flags & HT_OPEN_RELAXED && !db->readonly)
        status = ht_later_start(db, err);
    if (status == HITHER_OK)
        *out = db;
    else
        ht_db_close(db);
    return status;
}

hither_status ht_db_open_io(const ht_io *io, const char *path, uint32_t flags, uint32_t busy_timeout_ms, ht_db **out,
                            hither_error *err) {
    return ht_db_open(&(ht_db_settings){.io = io, .flags = flags, .busy_timeout_ms = busy_timeout_ms}, path, out, err);
}

hither_status ht_db_look(const ht_io *io, const char *path, ht_io **pack, hither_error *err) {
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes = 0;
    *pack = NULL;
    /* What cannot be looked at is for the store to judge. */
    if (io->stat(io->ctx, path, &kind, &bytes, NULL) != HITHER_OK || kind != HT_IO_FILE)
        return HITHER_OK;
    hither_status status = ht_pack_open(io, path, pack, err);
    return status == HITHER_NOT_DATABASE
               ? ht_fail(err, status,
                         "%s is a file, but not one of hither pack; a database is a folder, or such a file", path)
               : status;
}

/* A folder, or a pack: that is read-only whatever was asked for. */
static hither_status open_place(const ht_io *io, const char *path, const ht_db_settings *given, ht_db **out,
                                hither_error *err) {
    ht_io *pack;
    char *full;
    HT_TRY(ht_full_path(io, path, &full, err));
    hither_status status = ht_db_look(io, full, &pack, err);
    if (status == HITHER_OK && pack) {
        ht_db_settings settings = *given;
        settings.flags |= HITHER_OPEN_READONLY;
        status = open_over(pack, full, &settings, out, err);
    } else if (status == HITHER_OK) {
        status = open_over(io, path, given, out, err);
    }
    ht_release(full);
    if (!pack)
        return status;
    if (status != HITHER_OK) {
        ht_pack_close(pack);
        return status;
    }
    (*out)->pack = pack;
    (*out)->around = io;
    return HITHER_OK;
}

hither_status ht_db_open(const ht_db_settings *settings, const char *path, ht_db **out, hither_error *err) {
    if (settings->io || strcmp(path, MEMORY_PATH) != 0)
        return open_place(settings->io ? settings->io : ht_io_posix(), path, settings, out, err);
    ht_io *memory;
    HT_TRY(ht_io_ram_new(&memory, err));
    hither_status status = open_over(memory, MEMORY_FOLDER, settings, out, err);
    if (status == HITHER_OK)
        (*out)->memory = memory;
    else
        ht_io_ram_free(memory);
    return status;
}

/* Codes made by this process, for the next one; of collections for which that is worth a file. */
#define LEAST_KEPT_BYTES ((size_t)1 << 19)
#define LEAST_KEPT_SLOTS 1024u

void ht_db_keep_codes(ht_db *db, size_t least) {
    if (db->readonly || db->memory)
        return;
    for (ht_collection *c = db->collections; c; c = c->next) {
        const ht_snapshot *s = atomic_load_explicit(&c->home.current, memory_order_relaxed);
        for (size_t i = 0; i < s->extent_count; i++)
            ht_codes_save(db->store, s->extents[i], s->slot_limit, least);
        ht_derived_save(c, least ? LEAST_KEPT_SLOTS : 1);
    }
}

void ht_db_close(ht_db *db) {
    if (!db || atomic_fetch_sub_explicit(&db->references, 1, memory_order_acq_rel) != 1)
        return;
    bool ours = db->generation == ht_fork_generation();
    if (ours) {
        ht_later_stop(db);
        ht_upkeep_stop(db);
        ht_db_keep_codes(db, LEAST_KEPT_BYTES);
        ht_graveyard_clear(&db->graveyard);
    }
    while (db->collections) {
        ht_collection *c = db->collections;
        db->collections = c->next;
        ht_collection_unref(c);
    }
    ht_scratch_clear(&db->scratches);
    if (ours) {
        ht_store_close(db->store);
        ht_io_ram_free(db->memory);
        ht_pack_close(db->pack);
        ht_queue_destroy(&db->queue);
        (void)pthread_mutex_destroy(&db->table);
        (void)pthread_mutex_destroy(&db->writer);
    }
    ht_upkeep_free(db, ours);
    ht_release(db);
}

hither_status ht_db_flush(ht_db *db, hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    if (db->readonly)
        return HITHER_OK;
    if (db->queue.relaxed)
        HT_TRY(ht_queue_flush(db, err));
    pthread_mutex_lock(&db->writer);
    hither_status status = ht_store_checkpoint(db->store, err);
    pthread_mutex_unlock(&db->writer);
    return status;
}

/* ---- list and info */

static void describe_fields(const ht_collection_row *row, ht_buf *json) {
    static const char *const kinds[] = {"", "dense", "multi", "sparse"};
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ht_vector_field *f = &row->fields[i];
        ht_buf_puts(json, i ? ",{\"name\":" : ",\"fields\":[{\"name\":");
        ht_buf_json_string(json, f->name, strlen(f->name));
        ht_buf_printf(json, ",\"kind\":\"%s\",\"dim\":%u,\"metric\":\"%s\",\"most\":%u}", kinds[f->kind], f->dim,
                      ht_metric_name(f->metric), f->most);
    }
    if (row->field_count)
        ht_buf_putc(json, ']');
}

hither_status ht_collection_describe(ht_db *db, const ht_collection_row *row, hither_result *out, hither_error *err) {
    static const char *const kinds[] = {"null", "\"int\"", "\"text\""};
    ht_buf json, schema;
    ht_buf_init(&schema, HITHER_MAX_SCHEMA_BYTES);
    hither_status status = ht_store_schema(db->store, row->cid, &schema, err);
    if (status != HITHER_OK)
        return status;
    ht_buf_init(&json, 16384 + HITHER_MAX_SCHEMA_BYTES);
    ht_buf_printf(&json, "{\"dim\":%u,\"dtype\":\"%s\",\"metric\":\"%s\",\"id_kind\":%s,\"count\":%llu,\"embedder\":",
                  row->dim, ht_dtype_name(row->dtype), ht_metric_name(row->metric), kinds[row->id_kind],
                  (unsigned long long)row->live_count);
    if (row->embedder[0])
        ht_buf_json_string(&json, row->embedder, strlen(row->embedder));
    else
        ht_buf_puts(&json, "null");
    describe_fields(row, &json);
    if (schema.size) {
        ht_buf_puts(&json, ",\"schema\":");
        ht_buf_put(&json, schema.data, schema.size);
    }
    ht_buf_putc(&json, '}');
    ht_buf_clear(&schema);
    status = ht_buf_check(&json, "the description of a collection", err);
    if (status == HITHER_OK) {
        ht_result_add_text(out, row->name, strlen(row->name));
        ht_result_metadata(out, (ht_text){json.data, json.size});
    }
    ht_buf_clear(&json);
    return status;
}

typedef struct rows {
    ht_collection_row *rows;
    size_t count, room;
    hither_error *err;
} rows;

static hither_status collect(void *arg, const ht_collection_row *row) {
    rows *all = arg;
    if (all->count == all->room) {
        size_t room = all->room ? all->room * 2 : 16;
        ht_collection_row *grown = ht_resize(all->rows, room * sizeof *grown);
        if (!grown)
            return ht_fail_nomem(all->err, room * sizeof *grown, "the list of collections");
        all->rows = grown;
        all->room = room;
    }
    all->rows[all->count++] = *row;
    return HITHER_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ht_collection_row *)a)->name, ((const ht_collection_row *)b)->name);
}

hither_status ht_db_collections(ht_db *db, ht_collection_row **out, size_t *count, hither_error *err) {
    rows all = {.err = err};
    hither_status status = ht_store_collections(db->store, collect, &all, err);
    if (status != HITHER_OK) {
        ht_release(all.rows);
        return status;
    }
    if (all.count)
        qsort(all.rows, all.count, sizeof *all.rows, by_name);
    *out = all.rows;
    *count = all.count;
    return HITHER_OK;
}

hither_status ht_db_list(ht_db *db, hither_result **out, hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    ht_collection_row *all = NULL;
    size_t count = 0;
    hither_result *result = NULL;
    HT_TRY(ht_db_collections(db, &all, &count, err));
    hither_status status = ht_result_new(HITHER_INCLUDE_METADATA, 0, false, &result, err);
    for (size_t i = 0; i < count && status == HITHER_OK; i++)
        status = ht_collection_describe(db, &all[i], result, err);
    if (status == HITHER_OK)
        status = ht_result_check(result, err);
    ht_release(all);
    if (status == HITHER_OK)
        *out = result;
    else
        hither_result_free(result);
    return status;
}

static hither_status count_one(void *arg, const ht_collection_row *row) {
    (void)row;
    ++*(size_t *)arg;
    return HITHER_OK;
}

static const char *durability(const ht_db *db) {
    if (db->readonly)
        return "null";
    if (db->queue.relaxed)
        return "\"relaxed\"";
    return db->unsynced || db->memory ? "\"memory\"" : "\"full\"";
}

hither_status ht_db_info(ht_db *db, hither_result **out, hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    ht_store_bytes bytes;
    size_t collections = 0;
    HT_TRY(ht_store_sizes(db->store, &bytes, err));
    HT_TRY(ht_store_collections(db->store, count_one, &collections, err));
    const char *path = db->memory ? MEMORY_PATH : ht_store_path(db->store);
    ht_buf json;
    ht_buf_init(&json, (size_t)1 << 20);
    ht_buf_puts(&json, "{\"path\":");
    ht_buf_json_string(&json, path, ht_utf8_valid_prefix(path, strlen(path)));
    ht_buf_printf(
        &json,
        ",\"format\":%d,\"version\":\"%s\",\"sqlite\":\"%s\",\"readonly\":%s,\"durability\":%s,\"simd\":\"%s\","
        "\"bytes\":{\"catalog\":%llu,\"segments\":%llu},\"cache_bytes\":%llu,\"dead_bytes\":%llu,"
        "\"collections\":%zu}",
        HT_STORE_FORMAT, HITHER_VERSION_TEXT, ht_store_sqlite_version(), db->readonly ? "true" : "false",
        durability(db), ht_kernels_get()->name, (unsigned long long)bytes.catalog, (unsigned long long)bytes.segments,
        (unsigned long long)bytes.caches, (unsigned long long)bytes.dead, collections);
    hither_result *result = NULL;
    hither_status status = ht_buf_check(&json, "the description of a database", err);
    if (status == HITHER_OK)
        status = ht_result_new(HITHER_INCLUDE_METADATA, 0, false, &result, err);
    if (status == HITHER_OK) {
        ht_result_add_text(result, path, ht_utf8_valid_prefix(path, strlen(path)));
        ht_result_metadata(result, (ht_text){json.data, json.size});
        status = ht_result_check(result, err);
    }
    ht_buf_clear(&json);
    if (status == HITHER_OK)
        *out = result;
    else
        hither_result_free(result);
    return status;
}

/* ---- drop, rename */

static hither_status enter_write(ht_db *db, hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    if (db->readonly)
        return ht_fail(err, HITHER_READONLY, "this handle was opened read-only");
    pthread_mutex_lock(&db->writer);
    return HITHER_OK;
}

hither_status ht_db_drop(ht_db *db, const char *name, hither_error *err) {
    HT_TRY(enter_write(db, err));
    ht_collection_row row;
    hither_status status = ht_store_collection(db->store, name, 0, &row, err);
    if (status == HITHER_OK)
        status = ht_store_drop(db->store, row.cid, err);
    if (status == HITHER_OK) {
        ht_collection_forget(db, row.cid);
        ht_cache_sweep(db->store, row.cid, NULL, 0);
    }
    pthread_mutex_unlock(&db->writer);
    return status;
}

hither_status ht_db_rename(ht_db *db, const char *from, const char *to, hither_error *err) {
    HT_TRY(enter_write(db, err));
    ht_collection_row row;
    hither_status status = ht_store_collection(db->store, from, 0, &row, err);
    if (status == HITHER_OK && strcmp(from, to) != 0)
        status = ht_store_rename(db->store, row.cid, to, err);
    pthread_mutex_unlock(&db->writer);
    return status;
}
