/*
 * embedder.h: what the kinds of embedder share with embedder.c, inside src/embed/ only. A kind fills in this struct and
 * hands it out with one reference; everything but the count is constant from then on, so any number of threads may use
 * it.
 */
#ifndef HT_EMBED_EMBEDDER_H
#define HT_EMBED_EMBEDDER_H

#include <stdatomic.h>

#include "embed/embed.h"

struct ht_embedder {
    atomic_size_t references;
    uint32_t dim;
    const char *name;
    size_t texts_an_item; /* handed to a worker at a time, at most */
    char *prefixes[2];    /* by ht_embed_role: what embedder.c puts before texts; NULL for nothing */
    /* Writes dim floats for one text; called from any number of threads at once. */
    hither_status (*one)(ht_embedder *embedder, const char *text, size_t bytes, float *vector, hither_error *err);
    /* The same for those of many texts from begin to end, which may have a prefix or be missing, of a kind that is
     * faster at some side by side; else NULL. */
    hither_status (*some)(ht_embedder *embedder, ht_embed_role role, const hither_strings *texts, size_t begin,
                          size_t end, float *vectors, hither_error *err);
    /* For all texts, likewise, of those whose threads are its own affair; else NULL. */
    hither_status (*all)(ht_embedder *embedder, ht_embed_role role, const hither_strings *texts, float *vectors,
                         hither_error *err);
    /* Of an encoder: how many tokens it knows, and the vector of one alone; 0 and NULL of the others. */
    uint32_t tokens;
    hither_status (*token)(ht_embedder *embedder, uint32_t token, float *vector, hither_error *err);
    void (*free)(ht_embedder *embedder);
};

/* Releases what the struct holds, not the struct. */
void ht_embedder_clear(ht_embedder *embedder);

/* *text and *bytes become those of the text behind its prefix, in *both, which is the caller's to release, whatever
 * comes back; without a prefix all stays as it is, and *both NULL. */
HT_NODISCARD hither_status ht_embedder_prefixed(const ht_embedder *embedder, ht_embed_role role, const char **text,
                                                size_t *bytes, char **both, hither_error *err);

#endif
