/*
 * embed.h: text to vectors behind one interface, so that a model from a folder can stand where the built-in embedder
 * stands. Beside the engine, never under it: api/ joins text -> embed -> put.
 *
 * An embedder is immutable after it is made and may be used by any number of threads.
 */
#ifndef HT_EMBED_EMBED_H
#define HT_EMBED_EMBED_H

#include "base/error.h"
#include "base/io.h"
#include "base/strings.h"

typedef struct ht_embedder ht_embedder;

/* The built-in one: HT_BUILTIN_DIM hashed features; docs/embedder.md is its specification, and its bytes are fixed for
 * good under the name HT_BUILTIN_NAME. */
#define HT_BUILTIN_DIM  384u
#define HT_BUILTIN_NAME "builtin-1"
HT_NODISCARD hither_status ht_embedder_builtin(ht_embedder **out, hither_error *err);

/* A sentence model from its folder (docs/models.md). MODEL says what is missing, wrong or not supported; SYNTAX,
 * TOO_LARGE, PERMISSION, IO, NOMEM. */
typedef enum ht_engine { HT_ENGINE_AUTO, HT_ENGINE_OWN, HT_ENGINE_ONNXRUNTIME } ht_engine;
typedef struct ht_model_options {
    const char *cache;                          /* a folder for packed weights; NULL or "": none */
    ht_engine engine;                           /* auto: ours, and ONNX Runtime for an ONNX file that is not for ours */
    const char *onnxruntime;                    /* its library, or the folder of it; NULL: looked for */
    bool bytes;                                 /* multiply by bytes, else in f32 */
    uint32_t max_tokens;                        /* 0: as the folder says */
    const char *query_prefix, *document_prefix; /* NULL: as the folder says */
    const char *file;                           /* of the weights, in the folder; NULL: the first that is there */
} ht_model_options;
HT_NODISCARD hither_status ht_embedder_model(const ht_io *io, const char *folder, const ht_model_options *options,
                                             ht_embedder **out, hither_error *err);

/* What a text is: some models were trained with another prefix for each. */
typedef enum ht_embed_role { HT_EMBED_DOCUMENT, HT_EMBED_QUERY } ht_embed_role;

ht_embedder *ht_embedder_acquire(ht_embedder *embedder);
void ht_embedder_release(ht_embedder *embedder);
uint32_t ht_embedder_dim(const ht_embedder *embedder);
const char *ht_embedder_name(const ht_embedder *embedder);
/* texts have passed ht_strings_check; a missing text gives the zero vector. Uses the pool for many texts. */
HT_NODISCARD hither_status ht_embedder_embed(ht_embedder *embedder, ht_embed_role role, const hither_strings *texts,
                                             float *vectors, hither_error *err);
/* One text on the calling thread, without allocating in the steady state (but
 * for a prefix). */
HT_NODISCARD hither_status ht_embedder_one(ht_embedder *embedder, ht_embed_role role, const char *text, size_t bytes,
                                           float *vector, hither_error *err);

#endif
