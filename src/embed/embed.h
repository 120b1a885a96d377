/*
 * embed.h: text to vectors behind one interface, so that a model from a folder can stand where the built-in embedder
 * stands. Beside the engine, never under it: api/ joins text -> embed -> put.
 *
 * An embedder is immutable after it is made and may be used by any number of threads.
 */
#ifndef HT_EMBED_EMBED_H
#define HT_EMBED_EMBED_H

#include "base/error.h"
#include "base/strings.h"

typedef struct ht_embedder ht_embedder;

/* The built-in one: HT_BUILTIN_DIM hashed features; docs/embedder.md is its specification, and its bytes are fixed for
 * good under the name HT_BUILTIN_NAME. */
#define HT_BUILTIN_DIM  384u
#define HT_BUILTIN_NAME "builtin-1"
HT_NODISCARD hither_status ht_embedder_builtin(ht_embedder **out, hither_error *err);

ht_embedder *ht_embedder_acquire(ht_embedder *embedder);
void ht_embedder_release(ht_embedder *embedder);
uint32_t ht_embedder_dim(const ht_embedder *embedder);
const char *ht_embedder_name(const ht_embedder *embedder);
/* texts have passed ht_strings_check; a missing text gives the zero vector. Uses the pool for many texts. */
HT_NODISCARD hither_status ht_embedder_embed(ht_embedder *embedder, const hither_strings *texts, float *vectors,
                                             hither_error *err);
/* One text on the calling thread, without allocating in the steady state. */
HT_NODISCARD hither_status ht_embedder_one(ht_embedder *embedder, const char *text, size_t bytes, float *vector,
                                           hither_error *err);

#endif
