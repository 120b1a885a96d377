/*
 * reduce.c: see reduce.h. The eigenvectors of the covariance, by Jacobi's rotations: slow, short, and exact enough that
 * there is nothing to tune. All in doubles, in one order.
 */
#include "embed/reduce.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"

enum { SWEEPS = 60 };

typedef struct reduction {
    const float *x;
    size_t rows, width, dim;
    double *mean, *covariance, *vectors;
    size_t *order; /* of the eigenvectors, those that say most first */
    float *out;
} reduction;

static void take_mean(const reduction *r) {
    for (size_t i = 0; i < r->rows; i++)
        for (size_t j = 0; j < r->width; j++)
            r->mean[j] += (double)r->x[i * r->width + j];
    for (size_t j = 0; j < r->width; j++)
        r->mean[j] /= (double)r->rows;
}

/* One row of the covariance, from its diagonal on. */
static void covariance_row(void *ctx, size_t row) {
    const reduction *r = ctx;
    double *to = r->covariance + row * r->width;
    for (size_t i = 0; i < r->rows; i++) {
        const float *x = r->x + i * r->width;
        const double by = (double)x[row] - r->mean[row];
        for (size_t j = row; j < r->width; j++)
            to[j] += by * ((double)x[j] - r->mean[j]);
    }
}

/* Turns the plane of p and q so that their element becomes 0: rows and columns of a, and the vectors along. */
static void rotate(const reduction *r, double *a, size_t p, size_t q) {
    const size_t n = r->width;
    const double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
    const double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    const double c = 1 / sqrt(t * t + 1), s = t * c;
    for (size_t k = 0; k < n; k++) {
        double *row = a + k * n, x = row[p], y = row[q];
        row[p] = c * x - s * y;
        row[q] = s * x + c * y;
    }
    double *rows[2] = {a + p * n, a + q * n}, *vectors[2] = {r->vectors + p * n, r->vectors + q * n};
    for (size_t k = 0; k < n; k++) {
        double x = rows[0][k], y = rows[1][k], v = vectors[0][k], w = vectors[1][k];
        rows[0][k] = c * x - s * y;
        rows[1][k] = s * x + c * y;
        vectors[0][k] = c * v - s * w;
        vectors[1][k] = s * v + c * w;
    }
}

static void find_vectors(const reduction *r) {
    const size_t n = r->width;
    double *a = r->covariance, all = 0;
    for (size_t i = 0; i < n; i++) {
        r->vectors[i * n + i] = 1;
        for (size_t j = 0; j < n; j++) {
            a[i * n + j] = i > j ? a[j * n + i] : a[i * n + j];
            all += a[i * n + j] * a[i * n + j];
        }
    }
    const double small = sqrt(all) * 1e-13 / (double)n;
    bool turned = true;
    for (int sweep = 0; sweep < SWEEPS && turned; sweep++) {
        turned = false;
        for (size_t p = 0; p + 1 < n; p++)
            for (size_t q = p + 1; q < n; q++)
                if (fabs(a[p * n + q]) > small) {
                    rotate(r, a, p, q);
                    turned = true;
                }
    }
}

/* Those of the largest eigenvalues first; each with its largest element positive. */
static void put_in_order(const reduction *r) {
    const size_t n = r->width;
    for (size_t i = 0; i < n; i++) {
        size_t at = i, most = 0;
        for (; at > 0 && r->covariance[r->order[at - 1] * (n + 1)] < r->covariance[i * (n + 1)]; at--)
            r->order[at] = r->order[at - 1];
        r->order[at] = i;
        double *v = r->vectors + i * n;
        for (size_t j = 1; j < n; j++)
            most = fabs(v[j]) > fabs(v[most]) ? j : most;
        for (size_t j = 0; v[most] < 0 && j < n; j++)
            v[j] = j == most ? v[j] : -v[j];
        v[most] = fabs(v[most]);
    }
}

static void project(void *ctx, size_t row) {
    const reduction *r = ctx;
    for (size_t i = 0; i < r->dim; i++) {
        const double *v = r->vectors + r->order[i] * r->width;
        double sum = 0;
        for (size_t j = 0; j < r->width; j++)
            sum += v[j] * ((double)r->x[row * r->width + j] - r->mean[j]);
        r->out[row * r->dim + i] = (float)sum;
    }
}

hither_status ht_reduce(const float *x, size_t rows, size_t width, size_t dim, float *out, hither_error *err) {
    reduction r = {.x = x, .rows = rows, .width = width, .dim = dim, .out = out};
    r.mean = ht_calloc(width, sizeof *r.mean);
    r.covariance = ht_calloc(width * width, sizeof *r.covariance);
    r.vectors = ht_calloc(width * width, sizeof *r.vectors);
    r.order = ht_calloc(width, sizeof *r.order);
    bool fits = r.mean && r.covariance && r.vectors && r.order;
    if (fits) {
        take_mean(&r);
        ht_parallel(0, width, covariance_row, &r);
        find_vectors(&r);
        put_in_order(&r);
        ht_parallel(0, rows, project, &r);
    }
    ht_release(r.mean);
    ht_release(r.covariance);
    ht_release(r.vectors);
    ht_release(r.order);
    return fits ? HITHER_OK : ht_fail_nomem(err, 2 * width * width * sizeof(double), "principal components");
}
