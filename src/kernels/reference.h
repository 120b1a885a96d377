/*
 * reference.h: the reference distance D. It is the meaning of every answer hither gives; brute force in every test is
 * D over all rows.
 *
 * The query is rounded once to f32 (f64 for f64 rows). Elements are widened to f64; element j is added to lane j mod 16
 * in rising j; lanes fold 16 -> 8 -> 4 -> 2 -> 1, the upper half onto the lower. dot = sum q*x. l2 = sum (q-x)^2 with
 * difference, square and sum each rounded, no FMA. l1 = sum |q-x|. cosine = 1 - dot/sqrt(qq*xx), clamped to [0, 2]; a
 * zero norm has similarity 0. Answers are ordered by (D, slot); the distance returned is (float)D.
 *
 * Stored rows (hither_dtype): f16 and bf16 widen exactly. An i8 row is dim signed bytes c, then its f32 scale s at the
 * next multiple of 4 bytes; "bare" rows have no scale, it is 1. Its dot is (sum q*c) * s, its xx (sum c*c) * (s*s), and
 * its elements for l2 and l1 are s*c, exact in f64. b1 rows are bits as numpy.packbits lays them, bits past dim have no
 * meaning; hamming counts those that differ.
 *
 * Plain C, compiled with -ffp-contract=off and without auto-vectorisation. Any thread.
 */
#ifndef HT_KERNELS_REFERENCE_H
#define HT_KERNELS_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "hither.h"

double ht_ref_dot_f32(const float *query, const float *row, size_t dim);
double ht_ref_l2_f32(const float *query, const float *row, size_t dim);
double ht_ref_l1_f32(const float *query, const float *row, size_t dim);

/* D from its sums. dot is -dot as a distance; for cosine qq and xx are the reference dots of a vector with itself. */
double ht_ref_cosine(double dot, double qq, double xx);

/* D of one pair, all from the scalar reference: the slow, obvious twin. */
double ht_ref_distance_f32(hither_metric metric, const float *query, const float *row, size_t dim);

/* The same for any stored row; the query is f64 for f64 rows, bits for b1 rows, and f32 for all others. hamming is for
 * b1, and b1 for hamming. */
double ht_ref_distance(hither_dtype dtype, bool bare, hither_metric metric, const void *query, const void *row,
                       size_t dim);

/* Element j of a stored row, widened; an i8 element without its scale. */
double ht_ref_element(hither_dtype dtype, const void *row, size_t j);

#endif
