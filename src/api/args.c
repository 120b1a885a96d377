/*
 * args.c: checking what callers pass: options structs of any version, and matrices. Any thread.
 */
#include <math.h>
#include <string.h>

#include "api/api.h"
#include "base/alloc.h"

hither_status ht_options_read(void *out, size_t bytes, const void *options, const char *what, hither_error *err) {
    memset(out, 0, bytes);
    memcpy(out, &bytes, sizeof bytes);
    if (!options)
        return HITHER_OK;
    size_t size;
    memcpy(&size, options, sizeof size);
    if (size < sizeof size)
        return ht_fail(err, HITHER_INVALID, "%s.size is %zu; set it to the size of the struct", what, size);
    const unsigned char *p = options;
    for (size_t i = bytes; i < size; i++) {
        if (p[i])
            return ht_fail(err, HITHER_UNSUPPORTED,
                           "%s has %zu bytes and sets an option at byte %zu, which this version (%zu bytes) lacks",
                           what, size, i, bytes);
    }
    size_t known = ht_min_size(size, bytes);
    memcpy((char *)out + sizeof size, p + sizeof size, known - sizeof size);
    return HITHER_OK;
}

/* ---- matrices */

static hither_status check_shape(const hither_matrix *m, size_t stride, size_t element, const char *what,
                                 hither_error *err) {
    if (m->dim < 1 || m->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "%s have %zu dimensions; 1 to %u are possible", what, m->dim,
                       HITHER_MAX_DIM);
    if (!m->data)
        return ht_fail(err, HITHER_INVALID, "%s: data is NULL", what);
    if (stride < m->dim * element || stride % element)
        return ht_fail(err, HITHER_INVALID, "%s: a stride of %zu bytes; a multiple of %zu, at least %zu is needed",
                       what, stride, element, m->dim * element);
    if ((uintptr_t)m->data % element)
        return ht_fail(err, HITHER_INVALID, "%s: data is not aligned to %zu bytes", what, element);
    size_t bytes;
    if (!ht_mul_size(m->rows, stride, &bytes))
        return ht_fail(err, HITHER_TOO_LARGE, "%s: %zu rows are more than memory can hold", what, m->rows);
    return HITHER_OK;
}

static hither_status not_finite(const char *what, size_t row, size_t column, double value, hither_error *err) {
    return ht_fail(err, HITHER_NOT_FINITE, "%s: row %zu, column %zu is %s", what, row, column,
                   isnan(value)   ? "not a number"
                   : isinf(value) ? "infinite"
                                  : "too large for f32");
}

/* Adding one to the exponent carries into the sign bit exactly where the exponent was all ones; without a branch in it
 * the loop runs at the speed of memory. */
static bool row_finite(const float *row, size_t dim) {
    uint32_t carried = 0;
    for (size_t j = 0; j < dim; j++) {
        uint32_t bits;
        memcpy(&bits, &row[j], sizeof bits);
        carried |= (bits & 0x7fffffffu) + 0x00800000u;
    }
    return !(carried >> 31);
}

static hither_status check_f32(const hither_matrix *m, const char *what, hither_error *err) {
    for (size_t i = 0; i < m->rows; i++) {
        const float *row = (const float *)(const void *)((const char *)m->data + i * m->stride);
        if (row_finite(row, m->dim))
            continue;
        for (size_t j = 0; j < m->dim; j++) {
            if (!isfinite(row[j]))
                return not_finite(what, i, j, (double)row[j], err);
        }
    }
    return HITHER_OK;
}

static hither_status convert_f64(const hither_matrix *m, const char *what, float *out, hither_error *err) {
    for (size_t i = 0; i < m->rows; i++) {
        const double *row = (const double *)(const void *)((const char *)m->data + i * m->stride);
        for (size_t j = 0; j < m->dim; j++) {
            out[i * m->dim + j] = (float)row[j];
            if (!isfinite(out[i * m->dim + j]))
                return not_finite(what, i, j, row[j], err);
        }
    }
    return HITHER_OK;
}

hither_status ht_floats_read(const hither_matrix *m, const char *what, ht_floats *out, hither_error *err) {
    *out = (ht_floats){.view = {.rows = m->rows, .dim = m->dim, .dtype = HITHER_F32}};
    hither_dtype dtype = m->dtype;
    if (!m->rows)
        return HITHER_OK;
    if (dtype < HITHER_F32 || dtype > HITHER_B1)
        return ht_fail(err, HITHER_INVALID, "%s: %d is not a dtype", what, (int)dtype);
    if (dtype != HITHER_F32 && dtype != HITHER_F64)
        return ht_fail(err, HITHER_UNSUPPORTED, "%s are taken as f32 or f64 today", what);
    size_t element = dtype == HITHER_F64 ? sizeof(double) : sizeof(float);
    size_t stride = m->stride ? m->stride : m->dim * element;
    HT_TRY(check_shape(m, stride, element, what, err));
    hither_matrix rows = *m;
    rows.stride = stride;
    if (dtype == HITHER_F32) {
        out->view.data = m->data;
        out->view.stride = stride;
        return check_f32(&rows, what, err);
    }
    size_t bytes = m->rows * m->dim * sizeof(float); /* half of rows * stride, which did not overflow */
    float *packed = ht_alloc(bytes);
    if (!packed)
        return ht_fail_nomem(err, bytes, what);
    hither_status status = convert_f64(&rows, what, packed, err);
    if (status == HITHER_OK)
        ht_floats_own(packed, m->rows, m->dim, out);
    else
        ht_release(packed);
    return status;
}

void ht_floats_own(float *packed, size_t rows, size_t dim, ht_floats *out) {
    *out = (ht_floats){
        .view = {.data = packed, .rows = rows, .dim = dim, .stride = dim * sizeof(float), .dtype = HITHER_F32},
        .owned = packed};
}

void ht_floats_clear(ht_floats *floats) {
    ht_release(floats->owned);
    *floats = (ht_floats){0};
}
