/*
 * stored.h: rows of any type (kernels/reference.h) for exact search: as f32 for estimates, D, and norms. What
 * widening rounds is allowed for in bound.h. Pure functions; any thread; the caller is between ht_fp_enter and
 * ht_fp_leave.
 */
#ifndef HT_INDEX_STORED_H
#define HT_INDEX_STORED_H

#include "kernels/convert.h"
#include "kernels/kernels.h"

typedef struct ht_layout {
    hither_dtype dtype;
    bool bare; /* i8 rows without a scale */
    size_t dim;
} ht_layout;

/* Whether the f32 values ht_stored_widen gives may differ from the row's: by half a unit in the last place each. */
bool ht_stored_rounds(const ht_layout *layout);
/* Rows as f32, packed. Not for b1. */
void ht_stored_widen(const ht_kernels *kernels, const ht_layout *layout, const void *rows, size_t stride, size_t count,
                     float *out);

/* D of a row, and its xx for cosine (untouched otherwise). query is f64 for f64 rows, bits for b1, else f32; qq is its
 * reference dot with itself. scratch holds ht_stored_scratch bytes, aligned to 64. */
size_t ht_stored_scratch(const ht_layout *layout);
double ht_stored_distance(const ht_kernels *kernels, const ht_layout *layout, hither_metric metric, const void *query,
                          double qq, const void *row, void *scratch, double *xx);

/* A query prepared for rows of i8, whose bytes are then used as they are; `room` holds ht_byte_query_room(dim) bytes,
 * aligned to 64, and lives as long as it. false for queries outside of the lengths the proof is for. *error: a row's
 * estimate (kernels.h, dot_i8) is within error * |q| * |x| of the true dot product. */
size_t ht_byte_query_room(size_t dim);
bool ht_byte_query_make(const float *query, size_t dim, double qq, int8_t *room, ht_byte_query *out, double *error);

/* The column of the first element (of an i8 row: the scale counts as dim) that is not finite; past all, dim + 1. */
size_t ht_stored_not_finite(const ht_layout *layout, const void *row);

/* As ht_exact_norms, of rows of any type but b1. */
void ht_stored_norms(const ht_layout *layout, const void *rows, size_t stride, size_t count, float *norms);

#endif
