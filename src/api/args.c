/*
 * args.c: checking what callers pass: options structs of any version, and matrices. Any thread.
 */
#include <math.h>
#include <string.h>

#include "api/api.h"
#include "base/alloc.h"
#include "base/values.h"

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

/* The alignment of a matrix: that of its numbers from f32 on. */
static size_t alignment(hither_dtype dtype) {
    return dtype == HITHER_F64 ? sizeof(double) : dtype == HITHER_F32 ? sizeof(float) : 1;
}

hither_status ht_matrix_check(hither_matrix *m, const char *what, hither_error *err) {
    if (m->dtype < HITHER_F32 || m->dtype > HITHER_B1)
        return ht_fail(err, HITHER_INVALID, "%s: %d is not a dtype", what, (int)m->dtype);
    if (m->dim < 1 || m->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "%s have %zu dimensions; 1 to %u are possible", what, m->dim,
                       HITHER_MAX_DIM);
    size_t row = ht_row_bytes(m->dtype, m->dim, true), multiple = alignment(m->dtype), bytes;
    if (m->stride == 0)
        m->stride = row;
    if (m->rows == 0)
        return HITHER_OK;
    if (!m->data)
        return ht_fail(err, HITHER_INVALID, "%s: %zu rows but no data", what, m->rows);
    if (m->stride < row || m->stride % multiple)
        return ht_fail(err, HITHER_INVALID, "%s: a stride of %zu bytes; a multiple of %zu, at least %zu is needed",
                       what, m->stride, multiple, row);
    if ((uintptr_t)m->data % multiple)
        return ht_fail(err, HITHER_INVALID, "%s: data is not aligned to %zu bytes", what, multiple);
    if (!ht_mul_size(m->rows, m->stride, &bytes))
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
    hither_matrix rows = *m;
    if (!m->rows)
        return HITHER_OK;
    HT_TRY(ht_matrix_check(&rows, what, err));
    if (rows.dtype != HITHER_F32 && rows.dtype != HITHER_F64)
        return ht_fail(err, HITHER_UNSUPPORTED, "%s are %s; they are taken as f32 or f64", what,
                       ht_dtype_name(rows.dtype));
    if (rows.dtype == HITHER_F32) {
        out->view = rows;
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

hither_status ht_queries_read(const hither_matrix *m, hither_dtype dtype, ht_floats *out, hither_error *err) {
    hither_matrix queries = *m;
    if (dtype != HITHER_F64 && dtype != HITHER_B1)
        return ht_floats_read(m, "queries", out, err);
    *out = (ht_floats){.view = {.rows = m->rows, .dim = m->dim, .dtype = dtype}};
    if (!m->rows)
        return HITHER_OK;
    HT_TRY(ht_matrix_check(&queries, "queries", err));
    if (!ht_converts(queries.dtype, dtype))
        return ht_fail(err, HITHER_UNSUPPORTED, "queries are %s; rows of %s take f32, f64 and their own",
                       ht_dtype_name(queries.dtype), ht_dtype_name(dtype));
    size_t stride = (ht_row_bytes(dtype, queries.dim, true) + 7) / 8 * 8, bytes;
    char *packed = ht_mul_size(queries.rows, stride, &bytes) ? ht_alloc_aligned(bytes) : NULL;
    if (!packed)
        return ht_fail_nomem(err, stride, "queries");
    for (size_t i = 0; i < queries.rows; i++) {
        const char *row = (const char *)queries.data + i * queries.stride;
        size_t column = ht_convert_row(queries.dtype, row, dtype, queries.dim, packed + i * stride);
        if (column < queries.dim) {
            ht_release(packed);
            return ht_fail(err, HITHER_NOT_FINITE, "queries: row %zu, column %zu is not finite", i, column);
        }
    }
    out->view.data = out->owned = packed;
    out->view.stride = stride;
    return HITHER_OK;
}

void ht_floats_clear(ht_floats *floats) {
    ht_release(floats->owned);
    *floats = (ht_floats){0};
}
