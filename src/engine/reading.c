/*
 * reading.c: opening views, and what is read through them. See reading.h for who may call.
 */
#include "engine/reading.h"

#include <string.h>

#include "engine/expiry.h"
#include "engine/named.h"

void ht_reading_close(ht_reading *v) {
    ht_reader_end(v->reader);
    ht_scratch_give(v->scratch);
}

hither_status ht_reading_open(ht_reading *v, ht_collection *c, uint32_t include, hither_error *err) {
    *v = (ht_reading){.c = c, .include = include ? include : HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS};
    HT_TRY(ht_collection_enter(c, err));
    HT_TRY(ht_scratch_take(&c->db->scratches, &v->scratch, err));
    v->snapshot = ht_snapshot_pin(&c->home, v->scratch);
    return HITHER_OK;
}

hither_status ht_reading_reader(ht_reading *v, hither_error *err) {
    return v->reader ? HITHER_OK : ht_collection_reader(v->c, v->snapshot, &v->reader, err);
}

hither_status ht_reading_open_for_ids(ht_reading *v, ht_collection *c, uint32_t include, hither_error *err) {
    HT_TRY(ht_reading_open(v, c, include, err));
    for (;;) {
        uint64_t seq;
        HT_TRY(ht_reader_begin(c->db->store, c->cid, &v->reader, &seq, err));
        v->snapshot = ht_snapshot_pin(&c->home, v->scratch);
        if (v->snapshot->seq < ht_reader_floor(v->reader))
            return ht_fail(err, HITHER_STALE, "compaction has overtaken this read");
        if (v->snapshot->seq <= seq)
            return HITHER_OK;
        ht_reader_end(v->reader);
        v->reader = NULL;
    }
}

hither_status ht_reading_find(ht_reading *v, const hither_ids *ids, size_t i, uint64_t *slot, hither_error *err) {
    return ht_reader_find(v->reader, ids, i, v->snapshot->seq, v->snapshot->slot_limit, slot, err);
}

/* Makes *slot none where the row in it has ended. `alive` NULL: rows do not end. */
static hither_status pass_over_ended(ht_reading *v, const ht_filter *alive, uint64_t *slot, hither_error *err) {
    ht_row row;
    bool matches = true;
    if (!alive || *slot == UINT64_MAX)
        return HITHER_OK;
    HT_TRY(ht_reader_row(v->reader, *slot, &row, err));
    HT_TRY(ht_row_matches(alive, &row, &matches, err));
    if (!matches)
        *slot = UINT64_MAX;
    return HITHER_OK;
}

hither_status ht_reading_vector(const ht_reading *v, uint64_t slot, uint32_t field, const float **out,
                                hither_error *err) {
    const ht_vector_field *f = field ? &v->snapshot->shape->fields[field - 1] : NULL;
    const float *row;
    HT_TRY(ht_snapshot_row(v->snapshot, slot, &row, err));
    *out = !f ? row : ht_field_count(f, row) ? ht_field_data(f, row) : NULL;
    return HITHER_OK;
}

static hither_status vector_of(ht_reading *v, const ht_filter *alive, const hither_ids *ids, size_t i, uint32_t field,
                               const float **row, uint64_t *slot, hither_error *err) {
    char shown[HT_ID_SHOWN];
    HT_TRY(ht_reading_find(v, ids, i, slot, err));
    HT_TRY(pass_over_ended(v, alive, slot, err));
    if (*slot == UINT64_MAX)
        return ht_fail(err, HITHER_NOT_FOUND, "no id %s in the collection", ht_id_show(ids, i, shown));
    HT_TRY(ht_reading_vector(v, *slot, field, row, err));
    return *row ? HITHER_OK
                : ht_fail(err, HITHER_NOT_FOUND, "id %s has no vector in field '%s'", ht_id_show(ids, i, shown),
                          v->snapshot->shape->fields[field - 1].name);
}

hither_status ht_reading_vectors_of(ht_reading *v, const hither_ids *ids, uint32_t field, float **out, uint64_t *slots,
                                    hither_error *err) {
    const ht_shape *shape = v->snapshot->shape;
    size_t dim = field ? shape->fields[field - 1].dim : shape->dim, bytes;
    float *vectors = ht_mul_size(ids->count, dim * sizeof(float), &bytes) ? ht_alloc(bytes) : NULL;
    if (!vectors)
        return ht_fail_nomem(err, ids->count, "the vectors to search by");
    ht_filter *alive = NULL; /* none where rows do not end */
    hither_status status = ht_id_kind_check(v->snapshot->id_kind, ids, err);
    if (status == HITHER_OK)
        status = ht_expiry_filter(v->c, NULL, &alive, err);
    for (size_t i = 0; i < ids->count && status == HITHER_OK; i++) {
        uint64_t slot;
        const float *row;
        status = vector_of(v, alive, ids, i, field, &row, &slot, err);
        if (status == HITHER_OK)
            memcpy(vectors + i * dim, row, dim * sizeof(float));
        if (status == HITHER_OK && slots)
            slots[i] = slot;
    }
    ht_filter_free(alive);
    if (status == HITHER_OK)
        *out = vectors;
    else
        ht_release(vectors);
    return status;
}

hither_status ht_reading_result(const ht_reading *v, bool distances, hither_result **out, hither_error *err) {
    const ht_shape *shape = v->snapshot->shape;
    uint32_t asked = v->include & HITHER_INCLUDE_FIELDS;
    if (asked != HITHER_INCLUDE_FIELDS && asked >= HT_INCLUDE_FIELD(shape->field_count + 1))
        return ht_fail(err, HITHER_INVALID, "include asks for a vector field that the collection, with %u, has not",
                       shape->field_count);
    hither_result *r;
    HT_TRY(ht_result_new(v->include, shape->dim, distances, &r, err));
    hither_status status = ht_fields_want(shape->fields, shape->field_count, v->include, r, err);
    if (status != HITHER_OK) {
        hither_result_free(r);
        return status;
    }
    *out = r;
    return HITHER_OK;
}

static hither_status add_vector(ht_reading *v, uint64_t slot, hither_result *out, hither_error *err) {
    const float *vectors;
    if (!(v->include & (HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_FIELDS)))
        return HITHER_OK;
    HT_TRY(ht_snapshot_row(v->snapshot, slot, &vectors, err));
    ht_result_vector(out, vectors);
    ht_fields_add(v->snapshot->shape->fields, v->snapshot->shape->field_count, v->include, vectors, out);
    return HITHER_OK;
}

/* The row as it was met before, or from the catalog; the latter is remembered. */
static hither_status find_row(ht_reading *v, uint64_t slot, bool bare, ht_row *row, hither_error *err) {
    ht_met_rows *met = &v->snapshot->made->met_rows;
    if (ht_met_rows_find(met, slot, row))
        return HITHER_OK;
    HT_TRY(ht_reading_reader(v, err));
    hither_status status = ht_reader_row(v->reader, slot, row, err);
    if (status == HITHER_NOT_FOUND)
        return ht_fail(err, HITHER_CORRUPT, "the catalog has no row for slot %llu; run `hither verify`",
                       (unsigned long long)slot);
    HT_TRY(status);
    if (bare && row->id_kind == HT_ID_INT)
        ht_met_rows_note_id(met, slot, row->int_id);
    else if (v->search)
        ht_met_rows_note(met, row);
    return HITHER_OK;
}

hither_status ht_reading_add_row(ht_reading *v, uint64_t slot, const ht_filter *filter, hither_result *out,
                                 hither_error *err) {
    ht_row row;
    bool bare = !filter && !(v->include & (HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS));
    int64_t id;
    if (bare && ht_met_rows_id(&v->snapshot->made->met_rows, slot, &id)) {
        ht_result_add_int(out, id);
        return add_vector(v, slot, out, err);
    }
    HT_TRY(find_row(v, slot, bare, &row, err));
    bool matches = true;
    if (filter)
        HT_TRY(ht_row_matches(filter, &row, &matches, err));
    if (!matches)
        return HITHER_OK;
    if (row.id_kind == HT_ID_INT) {
        ht_result_add_int(out, row.int_id);
    } else {
        ht_result_add_text(out, row.text_id.data, row.text_id.bytes);
    }
    if (v->include & HITHER_INCLUDE_METADATA)
        ht_result_metadata(out, row.metadata);
    if (v->include & HITHER_INCLUDE_DOCUMENTS)
        ht_result_document(out, row.document);
    return add_vector(v, slot, out, err);
}
