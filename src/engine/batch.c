/*
 * batch.c: checking a batch and resolving it against the rows it replaces. One thread per ht_write.
 */
#include "engine/batch.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "engine/named.h"
#include "engine/unique.h"

/* ---- before the lock */

static hither_status check_dim(const ht_write *w, const ht_shape *shape, hither_error *err) {
    const hither_matrix *m = &w->batch->vectors;
    if (m->rows && m->dim != shape->dim)
        return ht_fail(err, HITHER_DIMENSION, "the vectors have %zu dimensions, the collection has %u", m->dim,
                       shape->dim);
    return HITHER_OK;
}

static hither_status check_shape(const ht_write *w, hither_error *err) {
    const hither_batch *b = w->batch;
    size_t n = b->ids.count;
    HT_TRY(check_dim(w, ht_collection_shape(w->collection), err));
    if (b->vectors.rows && b->vectors.rows != n)
        return ht_fail(err, HITHER_INVALID, "%zu vectors for %zu ids", b->vectors.rows, n);
    if (!b->vectors.rows && n && w->mode != HITHER_UPDATE)
        return ht_fail(err, HITHER_INVALID, "rows need a vector each");
    return HITHER_OK;
}

/* Puts each column of a vector field where its field is. */
static hither_status take_columns(ht_write *w, hither_error *err) {
    const ht_shape *shape = ht_collection_shape(w->collection);
    for (size_t i = 0; i < w->batch->named_count; i++) {
        const hither_named *column = &w->batch->named[i];
        uint32_t number;
        HT_TRY(ht_shape_find(shape, column->field, &number, err));
        if (!number || w->columns[number - 1])
            return ht_fail(err, HITHER_INVALID, "two columns of vectors for field '%s'", number ? column->field : "");
        HT_TRY(ht_column_check_field(&shape->fields[number - 1], column, w->batch->ids.count, err));
        w->columns[number - 1] = column;
    }
    return HITHER_OK;
}

static hither_status check_metadata(const hither_batch *b, hither_error *err) {
    for (size_t i = 0; i < b->metadata.count; i++) {
        ht_text text = ht_strings_at(&b->metadata, i);
        if (!text.data)
            continue;
        char where[64];
        (void)snprintf(where, sizeof where, "row %zu: metadata", i);
        HT_TRY(ht_json_check_object(text.data, text.bytes, where, err));
    }
    return HITHER_OK;
}

static uint64_t id_hash(const hither_ids *ids, size_t i) {
    if (ht_ids_are_ints(ids))
        return ht_mix64((uint64_t)ids->ints[i]);
    ht_text id = ht_strings_at(&ids->strings, i);
    return ht_hash64(id.data, id.bytes, 0);
}

static bool same_id(const hither_ids *ids, size_t i, size_t j) {
    if (ht_ids_are_ints(ids))
        return ids->ints[i] == ids->ints[j];
    ht_text a = ht_strings_at(&ids->strings, i), b = ht_strings_at(&ids->strings, j);
    return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

/* Fills previous[] by open addressing: the table holds, per id, the last row that named it, plus one. */
static hither_status link_repeats(ht_write *w, hither_error *err) {
    const hither_ids *ids = &w->batch->ids;
    size_t room = 16;
    while (room / 2 < ids->count)
        room *= 2;
    size_t *table = ht_calloc(room, sizeof *table);
    if (!table)
        return ht_fail_nomem(err, room * sizeof *table, "the ids of a batch");
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < ids->count && status == HITHER_OK; i++) {
        size_t at = (size_t)id_hash(ids, i) & (room - 1);
        while (table[at] && !same_id(ids, table[at] - 1, i))
            at = (at + 1) & (room - 1);
        w->previous[i] = table[at] ? table[at] - 1 : HT_NO_ROW;
        if (table[at] && w->mode == HITHER_INSERT) {
            char shown[HT_ID_SHOWN];
            status = ht_fail(err, HITHER_EXISTS, "row %zu: id %s stands in row %zu of the batch already", i,
                             ht_id_show(ids, i, shown), w->previous[i]);
        }
        table[at] = i + 1;
    }
    ht_release(table);
    return status;
}

static hither_status allocate(ht_write *w, hither_error *err) {
    size_t n = w->batch->ids.count;
    w->previous = ht_calloc(n, sizeof *w->previous);
    w->rows = ht_calloc(n, sizeof *w->rows);
    w->replaces = ht_calloc(n, sizeof *w->replaces);
    w->metadata = ht_calloc(n, sizeof *w->metadata);
    w->documents = ht_calloc(n, sizeof *w->documents);
    w->owned = ht_calloc(n, 2 * sizeof *w->owned);
    w->kept = ht_calloc(n, sizeof *w->kept);
    w->old = ht_calloc(n, sizeof *w->old);
    if (w->old && w->previous && w->rows && w->replaces && w->metadata && w->documents && w->owned && w->kept)
        return HITHER_OK;
    return ht_fail_nomem(err, n * sizeof *w->metadata, "the rows of a batch");
}

/* The rows that no later row replaces, in order. `replaces` serves as the set of the others until it is resolved. */
static void choose_rows(ht_write *w) {
    size_t n = w->batch->ids.count;
    for (size_t i = 0; i < n; i++) {
        if (w->previous[i] != HT_NO_ROW)
            w->replaces[w->previous[i]] = 1;
    }
    for (size_t i = 0; i < n; i++) {
        if (!w->replaces[i])
            w->rows[w->row_count++] = i;
    }
}

hither_status ht_write_prepare(ht_write *w, ht_collection *c, hither_mode mode, const hither_batch *batch,
                               const uint8_t *has_vector, hither_error *err) {
    *w = (ht_write){.collection = c, .mode = mode, .batch = batch, .has_vector = has_vector};
    HT_TRY(check_shape(w, err));
    HT_TRY(take_columns(w, err));
    HT_TRY(check_metadata(batch, err));
    hither_status status = allocate(w, err);
    if (status == HITHER_OK)
        status = link_repeats(w, err);
    if (status == HITHER_OK)
        choose_rows(w);
    else
        ht_write_clear(w);
    return status;
}

void ht_write_clear(ht_write *w) {
    for (size_t i = 0; w->owned && i < 2 * w->batch->ids.count; i++)
        ht_release(w->owned[i]);
    ht_release(w->owned);
    ht_release((void *)w->old);
    ht_release((void *)w->kept);
    ht_release(w->documents);
    ht_release(w->metadata);
    ht_release(w->replaces);
    ht_release(w->rows);
    ht_release(w->previous);
    *w = (ht_write){0};
}

/* ---- under the lock */

static hither_status find_replaced(ht_write *w, hither_error *err) {
    const hither_ids *ids = &w->batch->ids;
    char shown[HT_ID_SHOWN];
    for (size_t i = 0; i < ids->count; i++) {
        if (w->previous[i] != HT_NO_ROW) {
            w->replaces[i] = w->replaces[w->previous[i]];
            continue;
        }
        HT_TRY(ht_txn_find(w->collection->db->store, w->collection->cid, ids, i, &w->replaces[i], err));
        bool known = w->replaces[i] != HT_NO_SLOT;
        if (known && w->mode == HITHER_INSERT)
            return ht_fail(err, HITHER_EXISTS, "row %zu: id %s is in the collection already", i,
                           ht_id_show(ids, i, shown));
        if (!known && w->mode == HITHER_UPDATE)
            return ht_fail(err, HITHER_NOT_FOUND, "row %zu: no id %s in the collection", i, ht_id_show(ids, i, shown));
    }
    return HITHER_OK;
}

static hither_status keep_text(ht_text text, void **owned, ht_text *out, hither_error *err) {
    if (!text.data) {
        *out = text;
        return HITHER_OK;
    }
    *owned = ht_memdup(text.data, text.bytes);
    if (!*owned)
        return ht_fail_nomem(err, text.bytes, "a row to update");
    *out = (ht_text){*owned, text.bytes};
    return HITHER_OK;
}

static hither_status merge(ht_text base, ht_text patch, size_t row, void **owned, ht_text *out, hither_error *err) {
    ht_buf merged;
    ht_buf_init(&merged, HITHER_MAX_TEXT_BYTES);
    hither_status status = ht_json_merge(base.data, base.bytes, patch.data, patch.bytes, &merged, err);
    if (status == HITHER_OK) {
        char what[64];
        (void)snprintf(what, sizeof what, "row %zu: the merged metadata", row);
        status = ht_buf_check(&merged, what, err);
    }
    if (status == HITHER_OK)
        status = keep_text((ht_text){merged.data, merged.size}, owned, out, err);
    ht_buf_clear(&merged);
    return status;
}

/* The metadata without the keys that the batch removes; *owned is the caller's to release. */
static hither_status strip(ht_text base, const hither_strings *keys, void **owned, ht_text *out, hither_error *err) {
    ht_buf rest;
    ht_buf_init(&rest, HITHER_MAX_TEXT_BYTES);
    hither_status status = ht_json_remove(base.data, base.bytes, keys, &rest, err);
    if (status == HITHER_OK)
        status = keep_text((ht_text){rest.data, rest.size}, owned, out, err);
    ht_buf_clear(&rest);
    return status;
}

static bool brings_vector(const ht_write *w, size_t i) {
    return w->batch->vectors.rows && (!w->has_vector || (w->has_vector[i / 8] >> (i % 8) & 1));
}

/* The row in a slot that this transaction sees. */
static hither_status standing_row(const ht_standing *standing, uint64_t slot, const float **out, hither_error *err) {
    for (size_t i = 0; i < standing->extent_count; i++) {
        const ht_extent *extent = standing->extents[i];
        if (slot < extent->first_slot || slot - extent->first_slot >= extent->capacity)
            continue;
        if (slot < standing->committed)
            HT_TRY(ht_extent_check_row(extent, (size_t)(slot - extent->first_slot), err));
        *out = ht_extent_row(extent, slot);
        return HITHER_OK;
    }
    return ht_fail(err, HITHER_CORRUPT, "no segment holds slot %llu; run `hither verify`", (unsigned long long)slot);
}

static const float *own_vector(const ht_write *w, size_t i) {
    if (w->kept[i])
        return w->kept[i];
    const hither_matrix *m = &w->batch->vectors;
    size_t stride = m->stride ? m->stride : m->dim * sizeof(float);
    return (const float *)(const void *)((const char *)m->data + i * stride);
}

/* What row i of an UPDATE keeps of the vectors there were. */
static hither_status keep_vectors(ht_write *w, const ht_standing *standing, size_t i, hither_error *err) {
    size_t before = w->previous[i];
    bool brings = brings_vector(w, i);
    if (before != HT_NO_ROW) {
        w->old[i] = w->old[before];
        w->kept[i] = brings ? NULL : own_vector(w, before);
        return HITHER_OK;
    }
    if (brings && !standing->row->field_count)
        return HITHER_OK;
    HT_TRY(standing_row(standing, w->replaces[i], &w->old[i], err));
    w->kept[i] = brings ? NULL : w->old[i];
    return HITHER_OK;
}

/* What row i of an UPDATE becomes: its own parts over those of the row before it, in the batch or in the store. */
static hither_status update_row(ht_write *w, const ht_standing *standing, size_t i, hither_error *err) {
    const hither_batch *b = w->batch;
    size_t before = w->previous[i];
    ht_row old = {0};
    if (before == HT_NO_ROW) {
        HT_TRY(ht_txn_row(w->collection->db->store, standing->row, w->replaces[i], &old, err));
    } else {
        old.metadata = w->metadata[before];
        old.document = w->documents[before];
    }
    ht_text metadata = ht_strings_at(&b->metadata, i), document = ht_strings_at(&b->documents, i);
    void **owned = &w->owned[2 * i], *stripped = NULL;
    hither_status status = HITHER_OK;
    if (b->remove.count && old.metadata.data)
        status = strip(old.metadata, &b->remove, &stripped, &old.metadata, err);
    if (status == HITHER_OK && metadata.data)
        status = merge(old.metadata, metadata, i, &owned[0], &w->metadata[i], err);
    else if (status == HITHER_OK)
        status = keep_text(old.metadata, &owned[0], &w->metadata[i], err);
    ht_release(stripped);
    HT_TRY(status);
    if (document.data)
        w->documents[i] = document;
    else
        HT_TRY(keep_text(old.document, &owned[1], &w->documents[i], err));
    return keep_vectors(w, standing, i, err);
}

/* Forgets what an earlier transaction, which was rolled back, made of the batch. */
static void unresolve(ht_write *w) {
    for (size_t i = 0; i < w->batch->ids.count; i++) {
        ht_release(w->owned[2 * i]);
        ht_release(w->owned[2 * i + 1]);
        w->owned[2 * i] = w->owned[2 * i + 1] = NULL;
        w->kept[i] = w->old[i] = NULL;
    }
}

hither_status ht_write_resolve(ht_write *w, const ht_standing *standing, hither_error *err) {
    const hither_batch *b = w->batch;
    unresolve(w);
    w->shape = ht_collection_shape(w->collection);
    if (w->embedder && strcmp(w->embedder, w->shape->embedder) != 0)
        return ht_fail(err, HITHER_STALE, "the collection was moved to embedder '%s' meanwhile", w->shape->embedder);
    HT_TRY(check_dim(w, w->shape, err));
    HT_TRY(ht_id_kind_check(standing->row->id_kind, &b->ids, err));
    HT_TRY(find_replaced(w, err));
    for (size_t i = 0; i < b->ids.count; i++) {
        if (w->mode == HITHER_UPDATE) {
            HT_TRY(update_row(w, standing, i, err));
        } else {
            w->metadata[i] = ht_strings_at(&b->metadata, i);
            w->documents[i] = ht_strings_at(&b->documents, i);
        }
    }
    return ht_schema_admit(w, standing, err);
}

/* Whether row i of the batch says what it has in the field of number f + 1. */
static bool brings_field(const ht_write *w, size_t f, size_t i) {
    const hither_named *column = w->columns[f];
    return column && (!column->valid || (column->valid[i / 8] >> (i % 8) & 1));
}

void ht_write_row(const ht_write *w, size_t i, float *out) {
    const ht_shape *shape = w->shape;
    memcpy(out, own_vector(w, i), shape->dim * sizeof *out);
    memset(out + shape->dim, 0, (shape->width - shape->dim) * sizeof *out);
    for (size_t f = 0; f < shape->field_count; f++) {
        const ht_vector_field *field = &shape->fields[f];
        size_t from = i;
        while (w->mode == HITHER_UPDATE && from != HT_NO_ROW && !brings_field(w, f, from))
            from = w->previous[from];
        if (from != HT_NO_ROW && brings_field(w, f, from))
            ht_column_put(field, w->columns[f], from, out + field->at);
        else if (w->old[i])
            memcpy(out + field->at, w->old[i] + field->at, (field->payload + 1) * sizeof *out);
    }
}
