/*
 * static.h: static models: a vector for each token, and a text's is the mean of its tokens', each with its weight.
 * Inside src/embed/ only.
 */
#ifndef HT_EMBED_STATIC_H
#define HT_EMBED_STATIC_H

#include "embed/embedder.h"

/* Whether the folder holds one: config.json says model2vec, or no type at all. */
HT_NODISCARD hither_status ht_static_is(const ht_io *io, const char *folder, bool *out, hither_error *err);
/* MODEL, INVALID (a file of weights), SYNTAX, TOO_LARGE, PERMISSION, IO, NOMEM. */
HT_NODISCARD hither_status ht_static_open(const ht_io *io, const char *folder, const ht_model_options *options,
                                          ht_embedder **out, hither_error *err);

#endif
