/*
 * named.c: columns of vector fields as callers give them. Any thread.
 */
#include <math.h>
#include <string.h>

#include "api/collection.h"
#include "base/alloc.h"
#include "engine/state.h"

hither_status ht_vectors_find(const hither_collection *c, const char *field, uint32_t *number, hither_error *err) {
    const ht_shape *shape = ht_collection_shape(c->inner);
    HT_TRY(ht_shape_find(shape, field, number, err));
    if (*number && shape->fields[*number - 1].kind != HITHER_DENSE)
        return ht_fail(err, HITHER_INVALID, "field '%s' is not dense", field);
    return HITHER_OK;
}

static hither_status check_offsets(const hither_named *column, uint64_t *end, hither_error *err) {
    const uint64_t *offsets = column->offsets;
    for (size_t i = 0; i < column->count; i++)
        if (offsets[i] > offsets[i + 1])
            return ht_fail(err, HITHER_INVALID, "field '%s': its offsets fall at row %zu", column->field, i);
    *end = offsets[column->count];
    return HITHER_OK;
}

static hither_status check_entries(const hither_named *column, uint64_t end, hither_error *err) {
    if (end && (!column->indices || !column->values))
        return ht_fail(err, HITHER_INVALID, "field '%s': indices or values are NULL", column->field);
    for (uint64_t i = column->offsets[0]; i < end; i++)
        if (!isfinite(column->values[i]))
            return ht_fail(err, HITHER_NOT_FINITE, "field '%s': value %zu is not finite", column->field, (size_t)i);
    return HITHER_OK;
}

/* The vectors of a column, read; NULL rows of it (by `valid`) are read too, and must be finite. */
static hither_status read_column(hither_named *column, ht_floats *floats, hither_error *err) {
    char what[HITHER_MAX_FIELD_BYTES + 16];
    uint64_t end = 0;
    if (!column->field)
        return ht_fail(err, HITHER_INVALID, "a column of vectors names no field");
    size_t bytes = strlen(column->field), shown = ht_utf8_valid_prefix(column->field, bytes < 64 ? bytes : 64);
    (void)snprintf(what, sizeof what, "field '%.*s'", (int)(shown < 64 ? shown : 63), column->field);
    if (column->offsets)
        HT_TRY(check_offsets(column, &end, err));
    if (column->indices || column->values || (column->offsets && !column->vectors.data)) {
        if (column->vectors.rows)
            return ht_fail(err, HITHER_INVALID, "%s has both vectors and entries", what);
        return column->offsets ? check_entries(column, end, err)
                               : ht_fail(err, HITHER_INVALID, "%s: offsets are missing", what);
    }
    HT_TRY(ht_floats_read(&column->vectors, what, floats, err));
    column->vectors = floats->view;
    uint64_t wanted = column->offsets ? end : column->count;
    if (wanted > column->vectors.rows || (!column->offsets && wanted != column->vectors.rows))
        return ht_fail(err, HITHER_INVALID, "%s: %zu vectors, where %zu are needed", what, column->vectors.rows,
                       (size_t)wanted);
    return HITHER_OK;
}

hither_status ht_named_read(const hither_named *columns, size_t count, ht_named_list *out, hither_error *err) {
    if (!count)
        return HITHER_OK;
    if (count > HITHER_MAX_FIELDS)
        return ht_fail(err, HITHER_TOO_LARGE, "%zu columns of vector fields; at most %u are possible", count,
                       HITHER_MAX_FIELDS);
    out->columns = ht_memdup(columns, count * sizeof *columns);
    out->floats = ht_calloc(count, sizeof *out->floats);
    if (!out->columns || !out->floats)
        return ht_fail_nomem(err, count * sizeof *columns, "the columns of vector fields");
    for (; out->count < count; out->count++)
        HT_TRY(read_column(&out->columns[out->count], &out->floats[out->count], err));
    return HITHER_OK;
}

void ht_named_clear(ht_named_list *list) {
    for (size_t i = 0; list->floats && i < list->count; i++)
        ht_floats_clear(&list->floats[i]);
    ht_release(list->floats);
    ht_release(list->columns);
    *list = (ht_named_list){0};
}
