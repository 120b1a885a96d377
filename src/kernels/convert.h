/*
 * convert.h: what is stored when numbers of one type are put into rows of another. Integers and fixed f64 arithmetic
 * only: the same bytes on every machine and at every level. Pure; any thread; the caller is between ht_fp_enter and
 * ht_fp_leave.
 */
#ifndef HT_KERNELS_CONVERT_H
#define HT_KERNELS_CONVERT_H

#include <stdbool.h>
#include <stddef.h>

#include "hither.h"

/* Bytes of a row: as an index stores it, or bare, as in an array of numbers (an i8 row then has no scale). */
size_t ht_row_bytes(hither_dtype dtype, size_t dim, bool bare);

/* Whether rows of type `from` can become rows of type `to`: f32 and f64 any, others only their own. */
bool ht_converts(hither_dtype from, hither_dtype to);

/* Writes row (bare, any alignment) as a stored row of type `to`; out has the alignment of a float, or of a double for
 * f64. Its own type verbatim, i8 then with scale 1. To f32, f16 and bf16: nearest, ties to even. To i8: scale
 * s = max|x| / 127 rounded to f32, c = the integer nearest to x / s, ties to even, within -127 ... 127. To b1: x > 0.
 * Returns dim, or the column of the first value that is not finite, or is none once rounded; for i8, of the largest if
 * its scale is beyond f32. out is then unspecified. */
size_t ht_convert_row(hither_dtype from, const void *row, hither_dtype to, size_t dim, void *out);

#endif
