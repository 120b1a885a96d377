/*
 * reference.c: the reference distance D, written to be obviously what reference.h says. It must never change: every
 * answer hither ever gave is defined by it. Compiled without auto-vectorisation and without contraction.
 */
#include "kernels/reference.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 16

static double fold(double lanes[LANES]) {
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            lanes[j] += lanes[j + half];
    return lanes[0];
}

double ht_ref_dot_f32(const float *query, const float *row, size_t dim) {
    double lanes[LANES] = {0};
    for (size_t j = 0; j < dim; j++)
        lanes[j % LANES] += (double)query[j] * (double)row[j];
    return fold(lanes);
}

double ht_ref_l2_f32(const float *query, const float *row, size_t dim) {
    double lanes[LANES] = {0};
    for (size_t j = 0; j < dim; j++) {
        double difference = (double)query[j] - (double)row[j];
        double square = difference * difference;
        lanes[j % LANES] += square;
    }
    return fold(lanes);
}

double ht_ref_l1_f32(const float *query, const float *row, size_t dim) {
    double lanes[LANES] = {0};
    for (size_t j = 0; j < dim; j++)
        lanes[j % LANES] += fabs((double)query[j] - (double)row[j]);
    return fold(lanes);
}

double ht_ref_cosine(double dot, double qq, double xx) {
    double similarity = qq > 0 && xx > 0 ? dot / sqrt(qq * xx) : 0;
    double distance = 1 - similarity;
    return distance < 0 ? 0 : distance > 2 ? 2 : distance;
}

double ht_ref_distance_f32(hither_metric metric, const float *query, const float *row, size_t dim) {
    switch (metric) {
    case HITHER_DOT:
        return -ht_ref_dot_f32(query, row, dim);
    case HITHER_L2:
        return ht_ref_l2_f32(query, row, dim);
    case HITHER_L1:
        return ht_ref_l1_f32(query, row, dim);
    default: /* HITHER_COSINE; hamming has no f32 rows */
        return ht_ref_cosine(ht_ref_dot_f32(query, row, dim), ht_ref_dot_f32(query, query, dim),
                             ht_ref_dot_f32(row, row, dim));
    }
}

/* ---- stored rows */

/* A number with `exponent` and `mantissa` bits, the sign above them, as IEEE 754 reads it. */
static double read_small(uint32_t bits, int exponent, int mantissa) {
    int bias = (1 << (exponent - 1)) - 1, top = (1 << exponent) - 1;
    int e = (int)(bits >> mantissa) & top;
    double fraction = (double)(bits & ((1u << mantissa) - 1)), one = (double)(1u << mantissa), x;
    if (e == top)
        x = fraction > 0 ? (double)NAN : (double)INFINITY;
    else if (e == 0)
        x = ldexp(fraction / one, 1 - bias);
    else
        x = ldexp(1 + fraction / one, e - bias);
    return bits >> (exponent + mantissa) & 1 ? -x : x;
}

double ht_ref_element(hither_dtype dtype, const void *row, size_t j) {
    const char *bytes = row;
    double wide;
    float single;
    uint16_t small;
    switch (dtype) {
    case HITHER_F64:
        memcpy(&wide, bytes + j * sizeof wide, sizeof wide);
        return wide;
    case HITHER_F16:
        memcpy(&small, bytes + j * sizeof small, sizeof small);
        return read_small(small, 5, 10);
    case HITHER_BF16:
        memcpy(&small, bytes + j * sizeof small, sizeof small);
        return read_small(small, 8, 7);
    case HITHER_I8:
        return (double)((const int8_t *)row)[j];
    case HITHER_B1:
        return (double)(((const uint8_t *)row)[j / 8] >> (7 - j % 8) & 1);
    default:
        memcpy(&single, bytes + j * sizeof single, sizeof single);
        return (double)single;
    }
}

double ht_ref_distance(hither_dtype dtype, bool bare, hither_metric metric, const void *query, const void *row,
                       size_t dim) {
    hither_dtype of_query = dtype == HITHER_F64 || dtype == HITHER_B1 ? dtype : HITHER_F32;
    double dot[LANES] = {0}, qq[LANES] = {0}, xx[LANES] = {0}, l2[LANES] = {0}, l1[LANES] = {0};
    float scale = 1;
    if (dtype == HITHER_I8 && !bare)
        memcpy(&scale, (const char *)row + (dim + 3) / 4 * 4, sizeof scale);
    double s = (double)scale;
    for (size_t j = 0; j < dim; j++) {
        double q = ht_ref_element(of_query, query, j), c = ht_ref_element(dtype, row, j),
               x = dtype == HITHER_I8 ? s * c : c;
        double difference = q - x, square = difference * difference;
        dot[j % LANES] += q * c;
        qq[j % LANES] += q * q;
        xx[j % LANES] += c * c;
        l2[j % LANES] += square;
        l1[j % LANES] += fabs(difference);
    }
    switch (metric) {
    case HITHER_DOT:
        return -(fold(dot) * s);
    case HITHER_L2:
        return fold(l2);
    case HITHER_L1:
    case HITHER_HAMMING:
        return fold(l1);
    default:
        return ht_ref_cosine(fold(dot) * s, fold(qq), fold(xx) * (s * s));
    }
}
