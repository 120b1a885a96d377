/*
 * bert.h: an encoder of the BERT family: tokens to one vector. Embeddings, then layers of attention and of a wider
 * layer between two narrow ones, then the mean of the tokens or the first one.
 *
 * Two ways of multiplying: f32, the reference, whose last bits depend on the processor; and i8, with weights as bytes
 * scaled a column and activations as bytes scaled a token, where the sums are exact and everything else is f32 in a
 * fixed order, so that the vector of a text is the same bytes on every machine and in any company.
 *
 * Immutable once made: any thread, each with a room of its own.
 */
#ifndef HT_EMBED_BERT_H
#define HT_EMBED_BERT_H

#include "embed/weights.h"

typedef enum ht_pooling { HT_POOL_MEAN, HT_POOL_FIRST, HT_POOL_LAST } ht_pooling; /* of tokens' vectors to one */

typedef struct ht_bert_shape {
    uint32_t vocabulary, positions, types, width, layers, heads, inner;
    float epsilon;
    bool bytes; /* i8, else f32 */
    ht_pooling pooling;
    uint32_t most; /* tokens of a text, at most positions */
} ht_bert_shape;

typedef struct ht_bert ht_bert;
typedef struct ht_bert_room ht_bert_room; /* memory of one computation */

/* Reads the weights; *digest is of the numbers read, wherever they come from and whatever type they were stored as.
 * MODEL, IO, NOMEM. */
HT_NODISCARD hither_status ht_bert_load(const ht_weights *weights, const ht_bert_shape *shape, ht_bert **out,
                                        uint64_t *digest, hither_error *err);
/* One over a block that another of the same shape had (ht_bert_block). The block stays until ht_bert_free, which ends
 * with give_back(ctx). NOMEM. */
HT_NODISCARD hither_status ht_bert_over(const void *block, const ht_bert_shape *shape, void (*give_back)(void *ctx),
                                        void *ctx, ht_bert **out, hither_error *err);
/* Frees it without giving the block back. */
void ht_bert_forget(ht_bert *bert);
/* All there is of it, in one piece without pointers: of an encoder by bytes the same on every machine of this byte
 * order. */
const void *ht_bert_block(const ht_bert *bert, size_t *bytes);
void ht_bert_free(ht_bert *bert);

HT_NODISCARD hither_status ht_bert_room_new(const ht_bert *bert, ht_bert_room **out, hither_error *err);
void ht_bert_room_free(ht_bert_room *room);

/* Where texts' tokens are to be put, one text's behind the other's, each below shape.vocabulary: as long as there are
 * fewer than HT_BERT_ENOUGH, there is room for another shape.most. */
enum { HT_BERT_ENOUGH = 40 };
uint32_t *ht_bert_tokens(ht_bert_room *room);
/* The unit vectors, of shape.width floats each, of `texts` texts of so many tokens; of none the zero vector. Of
 * a shape with bytes, what a text's vector is does not depend on the others; of f32 that is so of one text alone. MODEL
 * if what comes out is not finite, NOMEM. */
HT_NODISCARD hither_status ht_bert_vectors(const ht_bert *bert, ht_bert_room *room, const uint32_t *counts,
                                           size_t texts, float *out, hither_error *err);

/* The unit vector that `count` rows of `width` floats pool to; of none the zero vector. MODEL if it is not finite,
 * NOMEM.
 */
HT_NODISCARD hither_status ht_pool_tokens(ht_pooling pooling, const float *rows, size_t count, size_t width, float *out,
                                          hither_error *err);

#endif
