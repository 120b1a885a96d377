/*
 * shape.c: see shape.h.
 */
#include "engine/shape.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/values.h"

enum { USUAL_VECTORS = 64, USUAL_ENTRIES = 256 };

/* ---- declaring */

static hither_status check_name(const char *name, size_t i, hither_error *err) {
    size_t bytes = name ? strlen(name) : 0;
    if (!bytes || bytes > HITHER_MAX_FIELD_BYTES)
        return ht_fail(err, HITHER_INVALID, "vector field %zu: its name has %zu bytes; 1 to %u are possible", i + 1,
                       bytes, HITHER_MAX_FIELD_BYTES);
    if (ht_utf8_valid_prefix(name, bytes) < bytes)
        return ht_fail(err, HITHER_ENCODING, "vector field %zu: its name is not UTF-8", i + 1);
    for (size_t j = 0; j < bytes; j++)
        if ((unsigned char)name[j] < ' ' || name[j] == 127)
            return ht_fail(err, HITHER_INVALID, "vector field %zu: its name has a control character", i + 1);
    return HITHER_OK;
}

static hither_status plan_field(const hither_field *f, ht_vector_field *out, hither_error *err) {
    hither_vector_kind kind = f->kind ? f->kind : HITHER_DENSE;
    hither_metric metric = f->metric ? f->metric : kind == HITHER_DENSE ? HITHER_COSINE : HITHER_DOT;
    bool sparse = kind == HITHER_SPARSE;
    if (kind < HITHER_DENSE || kind > HITHER_SPARSE)
        return ht_fail(err, HITHER_INVALID, "field '%s': %d is not a kind", f->name, (int)kind);
    if (sparse ? f->dim != 0 : f->dim < 1 || f->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "field '%s': %u dimensions; %s", f->name, f->dim,
                       sparse ? "a sparse field has none: 0" : "1 to 65535 are possible");
    if (f->dtype && f->dtype != HITHER_F32)
        return ht_fail(err, HITHER_UNSUPPORTED, "field '%s': fields hold f32 today, not %s", f->name,
                       ht_dtype_name(f->dtype));
    if (kind == HITHER_DENSE ? metric < HITHER_COSINE || metric > HITHER_L1 : metric != HITHER_DOT)
        return ht_fail(err, HITHER_INVALID, "field '%s': metric %d; %s", f->name, (int)metric,
                       kind == HITHER_DENSE ? "dense fields take cosine, dot, l2 and l1" : "this kind takes dot");
    if (kind == HITHER_DENSE && f->most > 1)
        return ht_fail(err, HITHER_INVALID, "field '%s': a dense field has one vector a row, not %u", f->name, f->most);
    if (f->most > (sparse ? HITHER_MAX_DIM : (uint32_t)HT_MAX_FIELD_VECTORS))
        return ht_fail(err, HITHER_TOO_LARGE, "field '%s': %u a row; at most %u are possible", f->name, f->most,
                       sparse ? HITHER_MAX_DIM : (uint32_t)HT_MAX_FIELD_VECTORS);
    *out = (ht_vector_field){.kind = kind, .metric = metric, .dim = f->dim};
    out->most = kind == HITHER_DENSE ? 1 : f->most ? f->most : sparse ? USUAL_ENTRIES : USUAL_VECTORS;
    memcpy(out->name, f->name, strlen(f->name));
    return HITHER_OK;
}

hither_status ht_fields_plan(const hither_field *fields, size_t count, ht_collection_row *row, hither_error *err) {
    if (count > HITHER_MAX_FIELDS)
        return ht_fail(err, HITHER_TOO_LARGE, "%zu vector fields; at most %u are possible", count, HITHER_MAX_FIELDS);
    for (size_t i = 0; i < count; i++) {
        HT_TRY(check_name(fields[i].name, i, err));
        for (size_t j = 0; j < i; j++)
            if (strcmp(fields[i].name, fields[j].name) == 0)
                return ht_fail(err, HITHER_INVALID, "there are two vector fields '%s'", fields[i].name);
        HT_TRY(plan_field(&fields[i], &row->fields[i], err));
    }
    row->field_count = (uint32_t)count;
    return ht_fields_place(row, err);
}

hither_status ht_fields_agree(const ht_collection_row *row, const hither_field *fields, size_t count,
                              hither_error *err) {
    ht_collection_row wanted = {.dim = row->dim};
    HT_TRY(ht_fields_plan(fields, count, &wanted, err));
    bool same = wanted.field_count == row->field_count;
    for (size_t i = 0; i < count && same; i++) {
        const ht_vector_field *a = &wanted.fields[i], *b = &row->fields[i];
        same = strcmp(a->name, b->name) == 0 && a->kind == b->kind && a->metric == b->metric && a->dim == b->dim &&
               (a->most == b->most || !fields[i].most);
    }
    return same ? HITHER_OK
                : ht_fail(err, HITHER_INVALID, "collection '%s' was made with other vector fields", row->name);
}

void ht_fields_say(const ht_collection_row *row, hither_field *out) {
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ht_vector_field *f = &row->fields[i];
        out[i] = (hither_field){.name = f->name, .kind = f->kind, .dim = f->dim, .metric = f->metric, .most = f->most};
    }
}

/* ---- shapes */

hither_status ht_shape_new(const ht_collection_row *row, ht_shape **out, hither_error *err) {
    ht_shape *shape = ht_calloc(1, sizeof *shape);
    if (!shape)
        return ht_fail_nomem(err, sizeof *shape, "the fields of a collection");
    shape->dim = row->dim;
    shape->width = row->width;
    shape->metric = row->metric;
    memcpy(shape->embedder, row->embedder, sizeof shape->embedder);
    shape->field_count = row->field_count;
    memcpy(shape->fields, row->fields, row->field_count * sizeof *row->fields);
    *out = shape;
    return HITHER_OK;
}

void ht_shapes_free(ht_shape *first) {
    while (first) {
        ht_shape *next = first->next;
        if (first->companion)
            first->release(first->companion);
        ht_release(first);
        first = next;
    }
}

bool ht_shape_fits(const ht_shape *shape, const ht_collection_row *row) {
    return shape->dim == row->dim && shape->width == row->width && strcmp(shape->embedder, row->embedder) == 0;
}

hither_status ht_shape_find(const ht_shape *shape, const char *name, uint32_t *number, hither_error *err) {
    if (!name) {
        *number = 0;
        return HITHER_OK;
    }
    for (uint32_t i = 0; i < shape->field_count; i++) {
        if (strcmp(shape->fields[i].name, name) == 0) {
            *number = i + 1;
            return HITHER_OK;
        }
    }
    return ht_fail(err, HITHER_NOT_FOUND, "the collection has no vector field '%.63s'", name);
}
