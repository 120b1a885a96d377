/*
 * reembed.h: moving a collection to another embedder while it is served. Any thread; one at a time in a database, and
 * not beside compaction.
 */
#ifndef HT_ENGINE_REEMBED_H
#define HT_ENGINE_REEMBED_H

#include "base/progress.h"
#include "engine/state.h"

typedef struct ht_reembedding {
    const char *name;
    uint32_t dim;
    /* One vector of `dim` floats a text, packed. Called with and without the writer lock. */
    hither_status (*embed)(void *ctx, const hither_strings *texts, float *vectors, hither_error *err);
    void *ctx;
    void *companion; /* of the new shape: whatever the caller wants to find there. Taken over in any case */
    void (*release)(void *companion);
} ht_reembedding;

/* Every row gets the vector that the embedder makes of its document. INVALID names a row without one; BUSY, READONLY,
 * NOT_FOUND, INTERRUPTED, and what embedding, reading and writing give. Otherwise than OK nothing has changed. */
HT_NODISCARD hither_status ht_collection_reembed(ht_collection *c, const ht_reembedding *with, ht_progress *progress,
                                                 hither_error *err);

#endif
