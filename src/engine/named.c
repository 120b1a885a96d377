/*
 * named.c: see named.h.
 */
#include "engine/named.h"

#include <inttypes.h>

#include "base/alloc.h"

static bool is_there(const hither_named *column, size_t i) {
    return !column->valid || (column->valid[i / 8] >> (i % 8) & 1);
}

/* ---- entries */

/* Heap sort, which needs no room and has no worst case. */
static void sift(uint32_t *indices, float *values, size_t at, size_t count) {
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && indices[child] < indices[child + 1])
            child++;
        if (indices[at] >= indices[child])
            return;
        uint32_t index = indices[at];
        float value = values[at];
        indices[at] = indices[child];
        values[at] = values[child];
        indices[child] = index;
        values[child] = value;
    }
}

void ht_entries_sort(uint32_t *indices, float *values, size_t count) {
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = indices[i - 1] < indices[i];
    if (sorted)
        return;
    for (size_t i = count / 2; i-- > 0;)
        sift(indices, values, i, count);
    for (size_t end = count; end-- > 1;) {
        uint32_t index = indices[0];
        float value = values[0];
        indices[0] = indices[end];
        values[0] = values[end];
        indices[end] = index;
        values[end] = value;
        sift(indices, values, 0, end);
    }
}

/* ---- checking */

/* INVALID where a row has an index twice. */
static hither_status check_indices(const ht_vector_field *field, const hither_named *column, hither_error *err) {
    uint32_t *indices = ht_calloc(field->most, sizeof *indices);
    float *unused = ht_calloc(field->most, sizeof *unused);
    hither_status status =
        indices && unused ? HITHER_OK : ht_fail_nomem(err, field->most * sizeof *indices, "indices to check");
    for (size_t i = 0; i < column->count && status == HITHER_OK; i++) {
        size_t has = is_there(column, i) ? (size_t)(column->offsets[i + 1] - column->offsets[i]) : 0;
        if (has)
            memcpy(indices, column->indices + column->offsets[i], has * sizeof *indices);
        ht_entries_sort(indices, unused, has);
        for (size_t j = 1; j < has && status == HITHER_OK; j++)
            if (indices[j - 1] == indices[j])
                status = ht_fail(err, HITHER_INVALID, "row %zu: index %" PRIu32 " twice in field '%s'", i, indices[j],
                                 field->name);
    }
    ht_release(unused);
    ht_release(indices);
    return status;
}

static hither_status check_dim(const ht_vector_field *field, const hither_matrix *m, hither_error *err) {
    if (m->rows && m->dim != field->dim)
        return ht_fail(err, HITHER_DIMENSION, "field '%s': the vectors have %zu dimensions, the field has %u",
                       field->name, m->dim, field->dim);
    return HITHER_OK;
}

hither_status ht_column_check_field(const ht_vector_field *field, const hither_named *column, size_t count,
                                    hither_error *err) {
    bool sparse = field->kind == HITHER_SPARSE, dense = field->kind == HITHER_DENSE;
    if (column->count != count)
        return ht_fail(err, HITHER_INVALID, "field '%s': %zu rows for %zu ids", field->name, column->count, count);
    if (sparse ? column->vectors.rows != 0 : column->indices || (dense && column->vectors.rows != count))
        return ht_fail(err, HITHER_INVALID, "field '%s' is %s; give it %s", field->name,
                       sparse  ? "sparse"
                       : dense ? "dense"
                               : "multi",
                       sparse  ? "indices and values"
                       : dense ? "a vector a row"
                               : "vectors");
    HT_TRY(check_dim(field, &column->vectors, err));
    if (dense)
        return column->offsets ? ht_fail(err, HITHER_INVALID, "field '%s' is dense; it takes no offsets", field->name)
                               : HITHER_OK;
    if (!column->offsets)
        return ht_fail(err, HITHER_INVALID, "field '%s': offsets are missing", field->name);
    for (size_t i = 0; i < count; i++) {
        uint64_t has = column->offsets[i + 1] - column->offsets[i];
        if (is_there(column, i) && has > field->most)
            return ht_fail(err, HITHER_TOO_LARGE, "row %zu: %" PRIu64 " %s in field '%s', which has room for %u", i,
                           has, sparse ? "entries" : "vectors", field->name, field->most);
    }
    return sparse ? check_indices(field, column, err) : HITHER_OK;
}

/* ---- into a row */

static void put_sparse(const ht_vector_field *field, const hither_named *column, size_t i, float *out) {
    uint64_t from = column->offsets[i];
    uint32_t count = (uint32_t)(column->offsets[i + 1] - from), *indices = (uint32_t *)(void *)(out + field->most);
    if (count) {
        memcpy(out, column->values + from, count * sizeof *out);
        memcpy(indices, column->indices + from, count * sizeof *indices);
        ht_entries_sort(indices, out, count);
    }
    memcpy(out + field->payload, &count, sizeof count);
}

void ht_column_put(const ht_vector_field *field, const hither_named *column, size_t i, float *out) {
    const hither_matrix *m = &column->vectors;
    size_t row = m->dim * sizeof(float), stride = m->stride ? m->stride : row;
    if (field->kind == HITHER_SPARSE) {
        put_sparse(field, column, i, out);
        return;
    }
    uint64_t from = field->kind == HITHER_DENSE ? i : column->offsets[i];
    uint32_t count = field->kind == HITHER_DENSE ? 1 : (uint32_t)(column->offsets[i + 1] - from);
    for (uint32_t v = 0; v < count; v++)
        memcpy(out + (size_t)v * field->dim, (const char *)m->data + (from + v) * stride, row);
    memcpy(out + field->payload, &count, sizeof count);
}

/* ---- out of a row */

hither_status ht_fields_want(const ht_vector_field *fields, uint32_t count, uint32_t include, hither_result *out,
                             hither_error *err) {
    for (uint32_t i = 0; i < count; i++)
        if (include & HT_INCLUDE_FIELD(i + 1))
            HT_TRY(ht_result_want_field(out, i + 1, fields[i].name, fields[i].kind, fields[i].dim, err));
    return HITHER_OK;
}

void ht_fields_add(const ht_vector_field *fields, uint32_t count, uint32_t include, const float *row,
                   hither_result *out) {
    for (uint32_t i = 0; i < count; i++) {
        const float *data = ht_field_data(&fields[i], row);
        if (include & HT_INCLUDE_FIELD(i + 1))
            ht_result_field(out, i + 1, data, (const uint32_t *)(const void *)(data + fields[i].most),
                            ht_field_count(&fields[i], row));
    }
}

/* ---- queries */

hither_status ht_queries_encode(const ht_vector_field *field, const hither_named *queries, hither_matrix *out,
                                hither_error *err) {
    ht_vector_field wide = *field; /* with room for the largest query */
    size_t bytes;
    wide.most = 1;
    for (size_t i = 0; queries->offsets && i < queries->count; i++) {
        uint64_t has = queries->offsets[i + 1] - queries->offsets[i];
        if (has > HITHER_MAX_DIM)
            return ht_fail(err, HITHER_TOO_LARGE, "query %zu: %" PRIu64 " vectors or entries; at most %u are possible",
                           i, has, HITHER_MAX_DIM);
        wide.most = has > wide.most ? (uint32_t)has : wide.most;
    }
    HT_TRY(ht_column_check_field(&wide, queries, queries->count, err));
    wide.payload = field->kind == HITHER_SPARSE ? 2 * wide.most : wide.most * field->dim;
    size_t stride = ((size_t)wide.payload + 2) * sizeof(float);
    float *blocks = ht_mul_size(queries->count, stride, &bytes) ? ht_calloc(queries->count, stride) : NULL;
    if (!blocks)
        return ht_fail_nomem(err, queries->count * stride, "queries");
    for (size_t i = 0; i < queries->count; i++) {
        float *block = blocks + i * (stride / sizeof(float));
        ht_column_put(&wide, queries, i, block + 1);
        uint32_t has;
        memcpy(&has, block + 1 + wide.payload, sizeof has);
        memcpy(block, &has, sizeof has);
        if (field->kind == HITHER_SPARSE) /* the indices right behind the values */
            memmove(block + 1 + has, block + 1 + wide.most, has * sizeof *block);
    }
    *out = (hither_matrix){blocks, queries->count, stride / sizeof(float), stride, HITHER_F32};
    return HITHER_OK;
}
