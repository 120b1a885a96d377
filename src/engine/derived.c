/*
 * derived.c: see derived.h.
 */
#include "engine/derived.h"

#include <string.h>

#include "engine/cache.h"
#include "engine/column_kept.h"
#include "keyword/kept.h"
#include "store/compact.h"

#define STALE_SHARE 8u /* a file is written anew when it lacks this part of the slots */

static ht_cache_key columns_key(const ht_collection *c) {
    return (ht_cache_key){.kind = "columns", .cid = c->cid, .recipe = HT_COLUMNS_RECIPE};
}

static ht_cache_key words_key(const ht_collection *c) {
    return (ht_cache_key){.kind = "words", .cid = c->cid, .recipe = HT_WORDS_RECIPE};
}

/* The cache, if all that this process reads is as new as it; file NULL: there is none to be used. */
static ht_cache open_cache(ht_collection *c, const ht_snapshot *s, const ht_cache_key *key) {
    ht_cache cache = {0};
    if (c->db->memory)
        return cache;
    cache = ht_cache_load(c->db->store, key, s->extents, s->extent_count, s->slot_limit);
    size_t bytes = 0;
    const void *at = cache.file ? ht_container_section(cache.file, "version", &bytes) : NULL;
    uint64_t seq = UINT64_MAX;
    if (bytes == sizeof seq && ht_container_touch(cache.file, "version", 0, bytes, NULL) == HITHER_OK)
        memcpy(&seq, at, sizeof seq);
    if (cache.file && (seq > c->opened_seq || !cache.slots)) {
        ht_container_close(cache.file);
        cache = (ht_cache){0};
    }
    return cache;
}

void ht_derived_load_columns(ht_collection *c, const ht_snapshot *s) {
    ht_cache_key key = columns_key(c);
    ht_cache cache = open_cache(c, s, &key);
    if (!cache.file)
        return;
    hither_status ignored = ht_columns_get(&s->made->columns, cache.file, cache.slots, NULL);
    (void)ignored; /* then they are made */
    ht_container_close(cache.file);
}

void ht_derived_load_words(ht_collection *c, const ht_snapshot *s) {
    ht_cache_key key = words_key(c);
    ht_cache cache = open_cache(c, s, &key);
    ht_postings **parts;
    size_t count;
    if (!cache.file)
        return;
    bool got = ht_postings_get(cache.file, cache.slots, &parts, &count, NULL) == HITHER_OK;
    if (got && !ht_keyword_table_adopt(&s->made->keywords, parts, count)) {
        for (size_t i = 0; i < count; i++)
            ht_postings_release(parts[i]);
        ht_release((void *)parts);
    }
    ht_container_close(cache.file);
}

/* ---- saving */

typedef struct saving {
    ht_collection *c;
    const ht_snapshot *s;
    uint64_t slots;
} saving;

static hither_status put_version(const saving *v, ht_container_writer *writer, hither_error *err) {
    HT_TRY(ht_container_begin(writer, "version", err));
    return ht_container_put(writer, &v->s->seq, sizeof v->s->seq, err);
}

static hither_status put_columns(void *ctx, ht_container_writer *writer, hither_error *err) {
    const saving *v = ctx;
    ht_mask live = ht_snapshot_mask(v->s);
    HT_TRY(put_version(v, writer, err));
    return ht_columns_put(&v->s->made->columns, &live, v->slots, writer, err);
}

static bool any_dead(const saving *v) {
    ht_mask live = ht_snapshot_mask(v->s);
    uint64_t alive = 0;
    for (uint64_t slot = 0; slot < v->slots; slot += 64)
        alive += (uint64_t)__builtin_popcountll(ht_mask_word(&live, slot));
    return alive < v->slots;
}

/* The postings of live rows alone. */
static hither_status put_words(void *ctx, ht_container_writer *writer, hither_error *err) {
    const saving *v = ctx;
    ht_mask live = ht_snapshot_mask(v->s);
    ht_keyword_view all;
    HT_TRY(put_version(v, writer, err));
    HT_TRY(ht_keyword_table_view(&v->s->made->keywords, &all, err));
    hither_status status = HITHER_OK;
    for (size_t i = 0; any_dead(v) && i < all.count && status == HITHER_OK; i++) {
        ht_postings *alive;
        status = ht_postings_merge(all.parts[i], NULL, &live, &alive, err);
        if (status == HITHER_OK) {
            ht_postings_release(all.parts[i]);
            all.parts[i] = alive;
        }
    }
    if (status == HITHER_OK)
        status = ht_postings_put(all.parts, all.count, writer, err);
    ht_keyword_view_clear(&all);
    return status;
}

/* Whether the file there is says about as much. */
static bool is_kept(const saving *v, const ht_cache_key *key, const char *section, size_t bytes) {
    ht_cache cache = open_cache(v->c, v->s, key);
    size_t found = 0;
    if (!cache.file)
        return false;
    (void)ht_container_section(cache.file, section, &found);
    ht_container_close(cache.file);
    return cache.slots + cache.slots / STALE_SHARE >= v->slots && (!bytes || found == bytes);
}

static void keep(const saving *v, const ht_cache_key *key,
                 hither_status (*put)(void *ctx, ht_container_writer *writer, hither_error *err)) {
    ht_store *store = v->c->db->store;
    const ht_cache_content content = {put, (void *)(uintptr_t)v};
    hither_status ignored = ht_store_harden(store, NULL); /* the rows must be there for as long as the file is */
    if (ignored == HITHER_OK)
        ignored = ht_cache_write(store, key, v->s->extents, v->s->extent_count, v->slots, &content, NULL);
    (void)ignored;
}

void ht_derived_save(ht_collection *c, uint64_t least) {
    const ht_snapshot *s = atomic_load_explicit(&c->home.current, memory_order_relaxed);
    saving v = {c, s, ht_columns_covered(&s->made->columns)};
    ht_cache_key columns = columns_key(c), words = words_key(c);
    size_t fields = atomic_load_explicit(&s->made->columns.count, memory_order_relaxed) * HT_COLUMNS_FIELD_BYTES;
    if (c->db->readonly || c->db->memory || atomic_load_explicit(&c->dropped, memory_order_relaxed))
        return;
    v.slots = v.slots < s->slot_limit ? v.slots : s->slot_limit;
    if (v.slots && v.slots >= least && !is_kept(&v, &columns, "fields", fields))
        keep(&v, &columns, put_columns);
    v.slots = atomic_load_explicit(&s->made->keywords.covered, memory_order_acquire);
    if (v.slots && v.slots >= least && v.slots <= s->slot_limit && !is_kept(&v, &words, "parts", 0))
        keep(&v, &words, put_words);
}
