/*
 * linear.h: rows times a matrix of weights plus a bias, in f32 or by bytes; inside src/embed/ only. Its arrays lie in a
 * block of the caller's, one after the other, so that a block can be written to a file and mapped again. Immutable once
 * filled: any thread.
 */
#ifndef HT_EMBED_LINEAR_H
#define HT_EMBED_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives out a block, 64 bytes aligned, from its beginning; without a base it counts alone. */
typedef struct ht_laying {
    char *base;
    size_t used;
} ht_laying;

static inline void *ht_lay(ht_laying *laying, size_t bytes) {
    void *out = laying->base ? laying->base + laying->used : NULL;
    laying->used += (bytes + 63) & ~(size_t)63;
    return out;
}

typedef struct ht_linear {
    size_t depth, columns; /* multiples of 16 */
    float *bias;           /* of each column */
    float *weights;        /* f32: a column after the other */
    int8_t *bytes;         /* i8: as ht_kernels.linear_u8 takes them, with a scale a column and the sum of its bytes */
    float *scales;
    int32_t *totals;
} ht_linear;

/* Sets its pointers. depth is at most 65,536. */
void ht_linear_lay(ht_linear *l, size_t depth, size_t columns, bool bytes, ht_laying *laying);
/* Of one by bytes: packs its weights, a column after the other. steps: what a column's weights are whole multiples of
 * (from -128 to 127), or 0 where that is to be chosen. */
void ht_linear_pack(ht_linear *l, const float *weights, const float *steps);

/* out gets `rows` rows of l->columns, x has as many of l->depth; both packed. With gelu that of what comes out. Of
 * bytes: room holds HT_LINEAR_ROWS * depth bytes. */
enum { HT_LINEAR_ROWS = 48 };
void ht_linear_apply(const ht_linear *l, const float *x, size_t rows, uint8_t *room, bool gelu, float *out);

#endif
