/* convert.c: the conversions of convert.h, by the definition of each format. */
#include "kernels/convert.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

size_t ht_row_bytes(hither_dtype dtype, size_t dim, bool bare) {
    switch (dtype) {
    case HITHER_F64:
        return dim * sizeof(double);
    case HITHER_F16:
    case HITHER_BF16:
        return dim * sizeof(uint16_t);
    case HITHER_I8:
        return bare ? dim : ht_scale_at(dim) + sizeof(float);
    case HITHER_B1:
        return (dim + 7) / 8;
    default:
        return dim * sizeof(float);
    }
}

bool ht_converts(hither_dtype from, hither_dtype to) { return from == HITHER_F32 || from == HITHER_F64 || from == to; }

static double element(hither_dtype from, const void *row, size_t j) {
    float single;
    double wide;
    if (from == HITHER_F32) {
        memcpy(&single, (const char *)row + j * sizeof single, sizeof single);
        return (double)single;
    }
    memcpy(&wide, (const char *)row + j * sizeof wide, sizeof wide);
    return wide;
}

/* The first that is not finite; whether there is any is quickly seen. */
static size_t bad_f64(const double *x, size_t dim) {
    double lanes[8] = {0};
    size_t j = 0;
    for (; j + 8 <= dim; j += 8)
        for (size_t l = 0; l < 8; l++)
            lanes[l] += x[j + l] * 0; /* 0, or NaN */
    for (size_t l = 1; l < 8; l++)
        lanes[0] += lanes[l];
    for (j = lanes[0] == 0 ? j : 0; j < dim; j++)
        if (!isfinite(x[j]))
            return j;
    return dim;
}

static size_t bad_f32(const float *x, size_t dim) {
    float lanes[16] = {0};
    size_t j = 0;
    for (; j + 16 <= dim; j += 16)
        for (size_t l = 0; l < 16; l++)
            lanes[l] += x[j + l] * 0;
    for (size_t l = 1; l < 16; l++)
        lanes[0] += lanes[l];
    for (j = lanes[0] == 0 ? j : 0; j < dim; j++)
        if (!isfinite(x[j]))
            return j;
    return dim;
}

static size_t to_f64(hither_dtype from, const void *row, size_t dim, void *out) {
    double *to = out;
    if (from == HITHER_F64)
        memcpy(to, row, dim * sizeof *to);
    for (size_t j = 0; from == HITHER_F32 && j < dim; j++)
        to[j] = element(HITHER_F32, row, j);
    return bad_f64(to, dim);
}

static size_t to_f32(hither_dtype from, const void *row, size_t dim, void *out) {
    float *to = out;
    if (from == HITHER_F32)
        memcpy(to, row, dim * sizeof *to);
    for (size_t j = 0; from == HITHER_F64 && j < dim; j++)
        to[j] = (float)element(HITHER_F64, row, j);
    return bad_f32(to, dim);
}

/* x in a format of 16 bits with so many of them mantissa, nearest even; false if it is too large or not finite. */
static bool narrow(double x, int mantissa, uint16_t *out) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent_bits = 15 - mantissa, bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = (int)(bits >> 52 & 2047) - 1023 + bias;
    uint64_t significand = (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52;
    int drop = 52 - mantissa + (exponent < 1 ? 1 - exponent : 0);
    uint64_t kept = 0;
    if (drop < 54) { /* else it is less than half of the smallest: zero (f64's own denormals among them) */
        uint64_t rest = significand & (((uint64_t)1 << drop) - 1), half = (uint64_t)1 << (drop - 1);
        kept = significand >> drop;
        kept += rest > half || (rest == half && (kept & 1));
    }
    if (exponent > 1)
        kept += (uint64_t)(exponent - 1) << mantissa; /* the significand's leading one, or a carry, does the rest */
    *out = (uint16_t)(kept | bits >> 63 << 15);
    return kept < (uint64_t)((1 << exponent_bits) - 1) << mantissa;
}

static size_t to_small(hither_dtype from, const void *row, int mantissa, size_t dim, void *out) {
    uint16_t *to = out;
    for (size_t j = 0; j < dim; j++)
        if (!narrow(element(from, row, j), mantissa, &to[j]))
            return j;
    return dim;
}

static size_t to_i8(hither_dtype from, const void *row, size_t dim, void *out) {
    int8_t *to = out;
    double most = 0;
    size_t where = 0;
    for (size_t j = 0; j < dim; j++) {
        double x = fabs(element(from, row, j));
        if (!isfinite(x))
            return j;
        where = x > most ? j : where;
        most = x > most ? x : most;
    }
    float scale = (float)(most / 127);
    if (!isfinite(scale))
        return where;
    for (size_t j = 0; j < dim; j++) {
        double c = scale > 0 ? rint(element(from, row, j) / (double)scale) : 0;
        to[j] = (int8_t)(c > 127 ? 127 : c < -127 ? -127 : c); /* a denormal scale may be far from most / 127 */
    }
    memset(to + dim, 0, ht_scale_at(dim) - dim);
    memcpy(to + ht_scale_at(dim), &scale, sizeof scale);
    return dim;
}

static size_t to_b1(hither_dtype from, const void *row, size_t dim, void *out) {
    uint8_t *to = out;
    memset(to, 0, ht_row_bytes(HITHER_B1, dim, false));
    for (size_t j = 0; j < dim; j++) {
        double x = element(from, row, j);
        if (!isfinite(x))
            return j;
        to[j / 8] |= (uint8_t)((x > 0) << (7 - j % 8));
    }
    return dim;
}

static size_t copy_small(const void *row, int mantissa, size_t dim, void *out) {
    uint16_t top = (uint16_t)(0x7fff >> mantissa << mantissa);
    uint16_t *to = memcpy(out, row, dim * sizeof *to);
    for (size_t j = 0; j < dim; j++)
        if ((to[j] & top) == top)
            return j;
    return dim;
}

static size_t copy_i8(const void *row, size_t dim, void *out) {
    const float one = 1;
    int8_t *to = memcpy(out, row, dim);
    memset(to + dim, 0, ht_scale_at(dim) - dim);
    memcpy(to + ht_scale_at(dim), &one, sizeof one);
    return dim;
}

static size_t copy_b1(const void *row, size_t dim, void *out) {
    size_t bytes = ht_row_bytes(HITHER_B1, dim, true);
    uint8_t *to = memcpy(out, row, bytes);
    if (dim % 8)
        to[bytes - 1] &= (uint8_t)(0xffu << (8 - dim % 8));
    return dim;
}

size_t ht_convert_row(hither_dtype from, const void *row, hither_dtype to, size_t dim, void *out) {
    bool same = from == to;
    switch (to) {
    case HITHER_F64:
        return to_f64(from, row, dim, out);
    case HITHER_F16:
        return same ? copy_small(row, 10, dim, out) : to_small(from, row, 10, dim, out);
    case HITHER_BF16:
        return same ? copy_small(row, 7, dim, out) : to_small(from, row, 7, dim, out);
    case HITHER_I8:
        return same ? copy_i8(row, dim, out) : to_i8(from, row, dim, out);
    case HITHER_B1:
        return same ? copy_b1(row, dim, out) : to_b1(from, row, dim, out);
    default:
        return to_f32(from, row, dim, out);
    }
}
