/*
 * stored.c: reading rows of every type. What must stay true: D has the bits of ht_ref_distance, norms are rounded up.
 */
#include "index/stored.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "index/exact.h"
#include "kernels/reference.h"

enum { PIECE = 2048 };

static const char *row_at(const void *rows, size_t stride, size_t i) { return (const char *)rows + i * stride; }

static float scale_of(const ht_layout *layout, const void *row) {
    float scale = 1;
    if (layout->dtype == HITHER_I8 && !layout->bare)
        memcpy(&scale, (const char *)row + ht_scale_at(layout->dim), sizeof scale);
    return scale;
}

bool ht_stored_rounds(const ht_layout *layout) {
    return layout->dtype == HITHER_F64 || (layout->dtype == HITHER_I8 && !layout->bare);
}

void ht_stored_widen(const ht_kernels *kernels, const ht_layout *layout, const void *rows, size_t stride, size_t count,
                     float *out) {
    size_t dim = layout->dim;
    switch (layout->dtype) {
    case HITHER_F64:
        kernels->widen_f64(rows, stride, count, dim, out);
        return;
    case HITHER_F16:
        kernels->widen_f16(rows, stride, count, dim, out);
        return;
    case HITHER_BF16:
        kernels->widen_bf16(rows, stride, count, dim, out);
        return;
    case HITHER_I8:
        kernels->widen_i8(rows, stride, count, dim, layout->bare, out);
        return;
    default:
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * dim, row_at(rows, stride, i), dim * sizeof *out);
    }
}

/* ---- D */

size_t ht_stored_scratch(const ht_layout *layout) {
    switch (layout->dtype) {
    case HITHER_F16:
    case HITHER_BF16:
        return layout->dim * sizeof(float);
    case HITHER_I8: /* its l2 and l1 are of two f64 vectors */
        return 2 * layout->dim * sizeof(double);
    default:
        return 0;
    }
}

static double from_sums(hither_metric metric, double dot, double qq, double xx) {
    return metric == HITHER_DOT ? -dot : ht_ref_cosine(dot, qq, xx);
}

static double distance_f32(const ht_kernels *kernels, hither_metric metric, const float *query, double qq,
                           const float *row, size_t dim, double *xx) {
    if (metric == HITHER_L2)
        return kernels->ref_l2_f32(query, row, dim);
    if (metric == HITHER_L1)
        return kernels->ref_l1_f32(query, row, dim);
    if (metric == HITHER_DOT)
        return -kernels->ref_dot_f32(query, row, dim);
    double dot = kernels->ref_dot_norm_f32(query, row, dim, xx);
    return ht_ref_cosine(dot, qq, *xx);
}

static double distance_f64(const ht_kernels *kernels, hither_metric metric, const double *query, double qq,
                           const double *row, size_t dim, double *xx) {
    if (metric == HITHER_L2)
        return kernels->ref_l2_f64(query, row, dim);
    if (metric == HITHER_L1)
        return kernels->ref_l1_f64(query, row, dim);
    if (metric == HITHER_COSINE)
        *xx = kernels->ref_dot_f64(row, row, dim);
    return from_sums(metric, kernels->ref_dot_f64(query, row, dim), qq, *xx);
}

static double distance_i8(const ht_kernels *kernels, const ht_layout *layout, hither_metric metric, const float *query,
                          double qq, const void *row, void *scratch, double *xx) {
    size_t dim = layout->dim;
    double scale = (double)scale_of(layout, row);
    if (metric == HITHER_L2 || metric == HITHER_L1) {
        double *q = scratch, *x = q + dim;
        for (size_t j = 0; j < dim; j++) {
            q[j] = (double)query[j];
            x[j] = scale * (double)((const int8_t *)row)[j];
        }
        return metric == HITHER_L2 ? kernels->ref_l2_f64(q, x, dim) : kernels->ref_l1_f64(q, x, dim);
    }
    float *c = scratch;
    kernels->widen_i8(row, 0, 1, dim, true, c);
    if (metric == HITHER_COSINE)
        *xx = kernels->ref_dot_f32(c, c, dim) * (scale * scale);
    return from_sums(metric, kernels->ref_dot_f32(query, c, dim) * scale, qq, *xx);
}

double ht_stored_distance(const ht_kernels *kernels, const ht_layout *layout, hither_metric metric, const void *query,
                          double qq, const void *row, void *scratch, double *xx) {
    float differ;
    switch (layout->dtype) {
    case HITHER_F64:
        return distance_f64(kernels, metric, query, qq, row, layout->dim, xx);
    case HITHER_I8:
        return distance_i8(kernels, layout, metric, query, qq, row, scratch, xx);
    case HITHER_B1:
        kernels->hamming_b1(query, row, 0, 1, layout->dim, &differ);
        return (double)differ;
    case HITHER_F32:
        return distance_f32(kernels, metric, query, qq, row, layout->dim, xx);
    default:
        ht_stored_widen(kernels, layout, row, 0, 1, scratch);
        return distance_f32(kernels, metric, query, qq, scratch, layout->dim, xx);
    }
}

/* ---- queries for rows of bytes */

static size_t padded(size_t dim) { return (dim + HT_BYTE_PAD - 1) / HT_BYTE_PAD * HT_BYTE_PAD; }

size_t ht_byte_query_room(size_t dim) { return 2 * padded(dim); }

bool ht_byte_query_make(const float *query, size_t dim, double qq, int8_t *room, ht_byte_query *out, double *error) {
    if (!(qq >= 0x1p-120 && qq <= 0x1p+120))
        return false;
    float most = 0;
    for (size_t j = 0; j < dim; j++)
        most = fabsf(query[j]) > most ? fabsf(query[j]) : most;
    const float outermost = 126 * 128; /* so that the high half never leaves -127 ... 127 */
    float scale = most / outermost, inverse = outermost / most;
    int8_t *high = room, *low = room + padded(dim);
    ht_byte_query made = {.high = high, .low = low, .scale = scale};
    double left2 = 0;
    memset(room, 0, ht_byte_query_room(dim));
    for (size_t j = 0; j < dim; j++) {
        int32_t whole = (int32_t)lrintf(query[j] * inverse), upper = (whole + 64 + (1 << 20)) / 128 - (1 << 13);
        high[j] = (int8_t)upper;
        low[j] = (int8_t)(whole - 128 * upper);
        made.high_sum += upper;
        made.low_sum += low[j];
        double left = (double)query[j] - (double)scale * (double)whole;
        left2 += left * left;
    }
    *out = made;
    *error = sqrt(left2 / qq) * (1 + 0x1p-30) + 0x1p-20; /* the second for the estimate's own rounding: 6 of 2^-24 */
    return true;
}

/* Whether all ones stand where an exponent has them in an infinity or a NaN. */
static size_t bad_small(const char *row, size_t dim, uint16_t exponent) {
    for (size_t j = 0; j < dim; j++) {
        uint16_t x;
        memcpy(&x, row + j * sizeof x, sizeof x);
        if ((x & exponent) == exponent)
            return j;
    }
    return dim + 1;
}

size_t ht_stored_not_finite(const ht_layout *layout, const void *row) {
    size_t dim = layout->dim;
    switch (layout->dtype) {
    case HITHER_F16:
        return bad_small(row, dim, 0x7c00);
    case HITHER_BF16:
        return bad_small(row, dim, 0x7f80);
    case HITHER_I8:
        return dim + isfinite(scale_of(layout, row));
    case HITHER_B1:
        return dim + 1;
    default:
        for (size_t j = 0; j < dim; j++)
            if (!isfinite(ht_ref_element(layout->dtype, row, j)))
                return j;
        return dim + 1;
    }
}

/* ---- norms */

/* Pieces of a row are rows: an element takes the same room everywhere. */
static double norm2_of(const ht_kernels *kernels, const ht_layout *layout, const char *row) {
    float values[PIECE];
    double sum = 0, scale = (double)scale_of(layout, row);
    for (size_t at = 0; at < layout->dim; at += PIECE) {
        ht_layout piece = {layout->dtype, true, ht_min_size(PIECE, layout->dim - at)};
        const char *x = row + ht_row_bytes(layout->dtype, at, true);
        if (layout->dtype == HITHER_F64) {
            const double *wide = (const double *)(const void *)x;
            sum += kernels->ref_dot_f64(wide, wide, piece.dim);
        } else {
            ht_stored_widen(kernels, &piece, x, 0, 1, values);
            sum += kernels->ref_dot_f32(values, values, piece.dim);
        }
    }
    return sum * (scale * scale);
}

void ht_stored_norms(const ht_layout *layout, const void *rows, size_t stride, size_t count, float *norms) {
    const ht_kernels *kernels = ht_kernels_get();
    if (layout->dtype == HITHER_F32) {
        ht_exact_norms(rows, stride, count, layout->dim, norms);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        double norm = sqrt(norm2_of(kernels, layout, row_at(rows, stride, i))) * (1 + 0x1p-38);
        float rounded = (float)norm;
        norms[i] = (double)rounded < norm ? nextafterf(rounded, INFINITY) : rounded;
    }
}
