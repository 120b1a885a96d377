/*
 * reference.c: the reference distance D, written to be obviously what reference.h says. It must never change: every
 * answer hither ever gave is defined by it. Compiled without auto-vectorisation and without contraction.
 */
#include "kernels/reference.h"

#include <math.h>

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
