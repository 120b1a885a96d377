/*
 * embedder.c: the life of an embedder, and many texts at once on the pool. Any thread.
 */
#include "embed/embedder.h"

#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"

ht_embedder *ht_embedder_acquire(ht_embedder *embedder) {
    atomic_fetch_add_explicit(&embedder->references, 1, memory_order_relaxed);
    return embedder;
}

void ht_embedder_release(ht_embedder *embedder) {
    if (embedder && atomic_fetch_sub_explicit(&embedder->references, 1, memory_order_acq_rel) == 1)
        embedder->free(embedder);
}

uint32_t ht_embedder_dim(const ht_embedder *embedder) { return embedder->dim; }

const char *ht_embedder_name(const ht_embedder *embedder) { return embedder->name; }

void ht_embedder_clear(ht_embedder *embedder) {
    ht_release(embedder->prefixes[0]);
    ht_release(embedder->prefixes[1]);
}

hither_status ht_embedder_prefixed(const ht_embedder *embedder, ht_embed_role role, const char **text, size_t *bytes,
                                   char **both, hither_error *err) {
    const char *prefix = embedder->prefixes[role];
    size_t before = prefix ? strlen(prefix) : 0;
    *both = NULL;
    if (before == 0)
        return HITHER_OK;
    *both = ht_alloc(before + *bytes);
    if (!*both)
        return ht_fail_nomem(err, before + *bytes, "a text");
    memcpy(*both, prefix, before);
    if (*bytes)
        memcpy(*both + before, *text, *bytes);
    *text = *both;
    *bytes += before;
    return HITHER_OK;
}

hither_status ht_embedder_one(ht_embedder *embedder, ht_embed_role role, const char *text, size_t bytes, float *vector,
                              hither_error *err) {
    char *both;
    hither_status status = ht_embedder_prefixed(embedder, role, &text, &bytes, &both, err);
    if (status == HITHER_OK)
        status = embedder->one(embedder, text, bytes, vector, err);
    ht_release(both);
    return status;
}

typedef struct batch {
    ht_embedder *embedder;
    ht_embed_role role;
    size_t each; /* texts of an item */
    const hither_strings *texts;
    float *vectors;
    atomic_int failed; /* taken by the first item that fails, which alone writes status and error */
    hither_status status;
    hither_error error;
} batch;

static void keep_error(batch *b, hither_status status, const hither_error *error) {
    int nobody = 0;
    if (status != HITHER_OK && atomic_compare_exchange_strong(&b->failed, &nobody, 1)) {
        b->status = status;
        b->error = *error;
    }
}

static void embed_item(void *ctx, size_t item) {
    batch *b = ctx;
    size_t begin = item * b->each, end = ht_min_size(begin + b->each, b->texts->count);
    size_t dim = b->embedder->dim;
    if (b->embedder->some) {
        hither_error error = {0};
        if (!atomic_load_explicit(&b->failed, memory_order_relaxed))
            keep_error(b, b->embedder->some(b->embedder, b->role, b->texts, begin, end, b->vectors, &error), &error);
        return;
    }
    for (size_t i = begin; i < end && !atomic_load_explicit(&b->failed, memory_order_relaxed); i++) {
        ht_text text = ht_strings_at(b->texts, i);
        float *vector = b->vectors + i * dim;
        if (!text.data) {
            memset(vector, 0, dim * sizeof *vector);
            continue;
        }
        hither_error error = {0};
        keep_error(b, ht_embedder_one(b->embedder, b->role, text.data, text.bytes, vector, &error), &error);
    }
}

hither_status ht_embedder_embed(ht_embedder *embedder, ht_embed_role role, const hither_strings *texts, float *vectors,
                                hither_error *err) {
    if (embedder->all)
        return embedder->all(embedder, role, texts, vectors, err);
    batch b = {.embedder = embedder, .role = role, .texts = texts, .vectors = vectors, .status = HITHER_OK};
    const size_t share = texts->count / ht_pool_threads(); /* few texts are spread over all threads */
    b.each = ht_min_size(embedder->texts_an_item, share > 0 ? share : 1);
    size_t items = texts->count / b.each + (texts->count % b.each != 0);
    if (items == 1)
        embed_item(&b, 0);
    else
        ht_parallel(0, items, embed_item, &b);
    if (b.status != HITHER_OK && err)
        *err = b.error;
    return b.status;
}
