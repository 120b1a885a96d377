/*
 * ort.h: a model of sentences that ONNX Runtime runs: tokens in, unit vectors out. What the model pools by itself is
 * taken as it is; of what is a vector a token the mean, the first or the last is made.
 *
 * One session with one thread of its own, in which any number of our threads run at once. Immutable: any thread.
 */
#ifndef HT_EMBED_ORT_H
#define HT_EMBED_ORT_H

#include "embed/bert.h"
#include "embed/onnx.h"

typedef struct ht_ort ht_ort;

/* folder: of the file that onnx was read from, which is only needed for this call. MODEL: no library (what to do about
 * it), or a model that it or we cannot run. NOMEM. */
HT_NODISCARD hither_status ht_ort_open(const ht_io *io, const char *library, const ht_onnx *onnx, const char *folder,
                                       ht_ort **out, hither_error *err);
void ht_ort_free(ht_ort *ort);

/* How tokens' vectors become one. It is the mean unless this is called, before anything is computed. */
void ht_ort_set_pooling(ht_ort *ort, ht_pooling pooling);
/* Whether the model has a vector for a whole text among its outputs. */
bool ht_ort_pools(const ht_ort *ort);
/* Whether texts may be computed beside each other without changing one another's vectors (but for the last bits). */
bool ht_ort_batches(const ht_ort *ort);
/* What a text's vector has; known once something was computed. */
uint32_t ht_ort_dim(const ht_ort *ort);
/* A first computation, of one token, that says the dimension. MODEL, NOMEM. */
HT_NODISCARD hither_status ht_ort_try(ht_ort *ort, uint32_t token, hither_error *err);

/* `count` texts: text i is lengths[i] tokens, at least 1 and at most `longest`, from tokens + i * longest on; the rest
 * of its row is padding, whatever it holds. vectors: count x dim. MODEL, NOMEM. */
HT_NODISCARD hither_status ht_ort_vectors(const ht_ort *ort, const uint32_t *tokens, const uint32_t *lengths,
                                          size_t count, size_t longest, float *vectors, hither_error *err);

#endif
