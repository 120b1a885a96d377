/*
 * linear.h: rows times a matrix of weights plus a bias, in f32 or by bytes; inside src/embed/ only. Immutable once
 * packed: any thread.
 */
#ifndef HT_EMBED_LINEAR_H
#define HT_EMBED_LINEAR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct ht_linear {
    size_t depth, columns; /* multiples of 16 */
    float *bias;           /* of each column */
    float *weights;        /* f32: a column after the other */
    int8_t *bytes;         /* i8: as ht_kernels.product_u8 takes them, with a scale a column and the sum of its bytes */
    float *scales;
    int32_t *totals;
} ht_linear;

/* Takes `weights` and `bias` over (ht_release), whatever happens; depth is at most 65,536. */
HT_NODISCARD hither_status ht_linear_init(ht_linear *l, float *weights, float *bias, size_t depth, size_t columns,
                                          bool bytes, hither_error *err);
void ht_linear_clear(ht_linear *l);

/* out gets `rows` rows of l->columns, x has as many of l->depth; both packed. Of bytes: room_a holds HT_LINEAR_ROWS *
 * depth bytes, room_sums as many times columns. */
enum { HT_LINEAR_ROWS = 48 };
void ht_linear_apply(const ht_linear *l, const float *x, size_t rows, uint8_t *room_a, int32_t *room_sums, float *out);

#endif
