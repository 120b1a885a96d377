/*
 * result.c: the columns of records a caller gets back, and the public functions that read them.
 *
 * While a result is built, `count` ids have been added and every other column has count - 1 or count entries; a part
 * that was not given is filled in as missing when the next record begins. Groups are ranges of records. A validity
 * bitmap can only be cut at whole bytes, so the columns of text are padded to a multiple of 8 entries between groups;
 * that is why a group also remembers its first entry there. Built by one thread, then immutable.
 */
#include "base/result.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

typedef struct result_group {
    size_t first;      /* record */
    size_t first_text; /* entry in metadata and documents */
    size_t first_bit;  /* in the bitmaps of vector fields */
} result_group;

/* What the records have in a vector field. */
typedef struct named_column {
    char name[HITHER_MAX_FIELD_BYTES + 1];
    hither_vector_kind kind;
    uint32_t dim;
    size_t count; /* records so far */
    uint64_t end; /* vectors or entries so far */
    ht_buf values, indices, offsets, valid;
} named_column;

struct hither_result {
    bool with_distances, with_scores, with_vectors, with_metadata, with_documents;
    uint32_t dim;
    size_t count; /* records in all groups */
    ht_buf groups;
    ht_buf int_ids;
    ht_column text_ids;
    ht_buf distances, scores, vectors;
    ht_column metadata, documents;
    ht_buf plan, next;
    size_t bits; /* in the bitmaps of vector fields, those before the current group's */
    bool with_named;
    named_column *named[HITHER_MAX_FIELDS];
};

/* ---- building */

static void start_group(hither_result *r) {
    result_group g = {r->count, r->with_metadata ? r->metadata.count : r->documents.count, r->bits};
    ht_buf_put(&r->groups, &g, sizeof g);
}

hither_status ht_result_new(uint32_t include, uint32_t dim, bool distances, hither_result **out, hither_error *err) {
    hither_result *r = ht_calloc(1, sizeof *r);
    if (!r)
        return ht_fail_nomem(err, sizeof *r, "a result");
    r->with_distances = distances;
    r->with_vectors = (include & HITHER_INCLUDE_VECTORS) != 0;
    r->with_metadata = (include & HITHER_INCLUDE_METADATA) != 0;
    r->with_documents = (include & HITHER_INCLUDE_DOCUMENTS) != 0;
    r->dim = dim;
    ht_buf_init(&r->groups, SIZE_MAX);
    ht_buf_init(&r->int_ids, SIZE_MAX);
    ht_column_init(&r->text_ids);
    ht_buf_init(&r->distances, SIZE_MAX);
    ht_buf_init(&r->scores, SIZE_MAX);
    ht_buf_init(&r->vectors, SIZE_MAX);
    ht_column_init(&r->metadata);
    ht_column_init(&r->documents);
    ht_buf_init(&r->plan, SIZE_MAX);
    ht_buf_init(&r->next, SIZE_MAX);
    start_group(r);
    *out = r;
    return HITHER_OK;
}

static size_t text_shift(const hither_result *r) {
    if (r->groups.failed)
        return 0;
    result_group g;
    memcpy(&g, r->groups.data + r->groups.size - sizeof g, sizeof g);
    return g.first_text - g.first;
}

/* Fills what the last record was not given. */
static void finish_named(hither_result *r);
static void finish_record(hither_result *r) {
    size_t texts = r->count + text_shift(r);
    if (r->with_distances && r->distances.size < r->count * sizeof(float))
        ht_buf_put(&r->distances, &(float){NAN}, sizeof(float));
    if (r->with_scores && r->scores.size < r->count * sizeof(double))
        ht_buf_put(&r->scores, &(double){(double)NAN}, sizeof(double));
    if (r->with_vectors && r->vectors.size < r->count * r->dim * sizeof(float))
        ht_result_vector(r, NULL);
    if (r->with_metadata && r->metadata.count < texts)
        ht_column_add(&r->metadata, NULL, 0);
    if (r->with_documents && r->documents.count < texts)
        ht_column_add(&r->documents, NULL, 0);
    if (r->with_named)
        finish_named(r);
}

/* ---- vector fields */

hither_status ht_result_want_field(hither_result *r, uint32_t number, const char *name, hither_vector_kind kind,
                                   uint32_t dim, hither_error *err) {
    named_column *column = ht_calloc(1, sizeof *column);
    if (!column)
        return ht_fail_nomem(err, sizeof *column, "a result");
    strncpy(column->name, name, HITHER_MAX_FIELD_BYTES);
    column->kind = kind;
    column->dim = kind == HITHER_SPARSE ? 1 : dim;
    ht_buf_init(&column->values, SIZE_MAX);
    ht_buf_init(&column->indices, SIZE_MAX);
    ht_buf_init(&column->offsets, SIZE_MAX);
    ht_buf_init(&column->valid, SIZE_MAX);
    ht_buf_put(&column->offsets, &(uint64_t){0}, sizeof(uint64_t));
    r->named[number - 1] = column;
    r->with_named = true;
    return HITHER_OK;
}

/* The bit of the last record, in a bitmap that is grown to hold it. */
static void set_valid(hither_result *r, named_column *column, bool valid) {
    result_group g;
    memcpy(&g, r->groups.data + r->groups.size - sizeof g, sizeof g);
    size_t bit = g.first_bit + (r->count - 1 - g.first);
    while (!column->valid.failed && column->valid.size <= bit / 8)
        ht_buf_putc(&column->valid, 0);
    if (valid && !column->valid.failed)
        column->valid.data[bit / 8] = (char)((unsigned char)column->valid.data[bit / 8] | 1u << bit % 8);
}

void ht_result_field(hither_result *r, uint32_t number, const float *values, const uint32_t *indices, uint32_t count) {
    named_column *column = r->named[number - 1];
    size_t numbers = (size_t)count * column->dim;
    if (!column || r->groups.failed)
        return;
    if (numbers)
        ht_buf_put(&column->values, values, numbers * sizeof *values);
    for (uint32_t j = 0; column->kind == HITHER_DENSE && !count && j < column->dim; j++)
        ht_buf_put(&column->values, &(float){NAN}, sizeof(float));
    if (count && column->kind == HITHER_SPARSE)
        ht_buf_put(&column->indices, indices, count * sizeof *indices);
    column->end += count;
    ht_buf_put(&column->offsets, &column->end, sizeof column->end);
    column->count++;
    set_valid(r, column, count != 0);
}

static void finish_named(hither_result *r) {
    for (uint32_t i = 0; i < HITHER_MAX_FIELDS; i++)
        if (r->named[i] && r->named[i]->count < r->count)
            ht_result_field(r, i + 1, NULL, NULL, 0);
}

static hither_status check_named(hither_result *r, hither_error *err) {
    for (uint32_t i = 0; i < HITHER_MAX_FIELDS; i++) {
        named_column *column = r->named[i];
        if (!column)
            continue;
        HT_TRY(ht_buf_check(&column->values, "the vectors of a result", err));
        HT_TRY(ht_buf_check(&column->indices, "the vectors of a result", err));
        HT_TRY(ht_buf_check(&column->offsets, "the vectors of a result", err));
        HT_TRY(ht_buf_check(&column->valid, "the vectors of a result", err));
    }
    return HITHER_OK;
}

static void free_named(hither_result *r) {
    for (uint32_t i = 0; i < HITHER_MAX_FIELDS; i++) {
        named_column *column = r->named[i];
        if (!column)
            continue;
        ht_buf_clear(&column->values);
        ht_buf_clear(&column->indices);
        ht_buf_clear(&column->offsets);
        ht_buf_clear(&column->valid);
        ht_release(column);
    }
}

/* ---- records */

static void pad_to_byte(ht_column *column) {
    while (column->count % 8 != 0)
        ht_column_add(column, "", 0);
}

void ht_result_next_group(hither_result *r) {
    finish_record(r);
    if (r->with_metadata)
        pad_to_byte(&r->metadata);
    if (r->with_documents)
        pad_to_byte(&r->documents);
    if (!r->groups.failed) {
        result_group g;
        memcpy(&g, r->groups.data + r->groups.size - sizeof g, sizeof g);
        r->bits = g.first_bit + (r->count - g.first + 7) / 8 * 8;
    }
    start_group(r);
}

void ht_result_add_int(hither_result *r, int64_t id) {
    HT_ASSERT(r->text_ids.count == 0);
    finish_record(r);
    ht_buf_put(&r->int_ids, &id, sizeof id);
    r->count++;
}

void ht_result_add_text(hither_result *r, const char *id, size_t bytes) {
    HT_ASSERT(r->int_ids.size == 0);
    finish_record(r);
    ht_column_add(&r->text_ids, id, bytes);
    r->count++;
}

void ht_result_distance(hither_result *r, float distance) {
    if (r->with_distances)
        ht_buf_put(&r->distances, &distance, sizeof distance);
}

void ht_result_want_scores(hither_result *r) { r->with_scores = true; }

void ht_result_score(hither_result *r, double score) {
    if (r->with_scores)
        ht_buf_put(&r->scores, &score, sizeof score);
}

void ht_result_vector(hither_result *r, const float *vector) {
    size_t bytes;
    if (!r->with_vectors)
        return;
    if (!ht_mul_size(r->dim, sizeof(float), &bytes)) {
        r->vectors.failed = true;
        return;
    }
    float *room = ht_buf_grow(&r->vectors, bytes);
    if (!room)
        return;
    if (vector && bytes) {
        memcpy(room, vector, bytes);
        return;
    }
    for (uint32_t j = 0; j < r->dim; j++)
        room[j] = NAN;
}

void ht_result_metadata(hither_result *r, ht_text metadata) {
    if (r->with_metadata)
        ht_column_add(&r->metadata, metadata.data, metadata.bytes);
}

void ht_result_document(hither_result *r, ht_text document) {
    if (r->with_documents)
        ht_column_add(&r->documents, document.data, document.bytes);
}

void ht_result_plan(hither_result *r, const char *json) {
    ht_buf_reset(&r->plan);
    ht_buf_puts(&r->plan, json);
}

ht_buf *ht_result_plan_buf(hither_result *r) { return &r->plan; }

void ht_result_next(hither_result *r, const char *token) {
    ht_buf_reset(&r->next);
    ht_buf_puts(&r->next, token);
}

hither_status ht_result_check(hither_result *r, hither_error *err) {
    finish_record(r);
    HT_TRY(ht_buf_check(&r->groups, "the groups of a result", err));
    HT_TRY(ht_buf_check(&r->int_ids, "the ids of a result", err));
    HT_TRY(ht_column_check(&r->text_ids, err));
    HT_TRY(ht_buf_check(&r->distances, "the distances of a result", err));
    HT_TRY(ht_buf_check(&r->scores, "the scores of a result", err));
    HT_TRY(ht_buf_check(&r->vectors, "the vectors of a result", err));
    HT_TRY(ht_column_check(&r->metadata, err));
    HT_TRY(ht_column_check(&r->documents, err));
    HT_TRY(check_named(r, err));
    HT_TRY(ht_buf_check(&r->plan, "the plan of a result", err));
    return ht_buf_check(&r->next, "the token of a page", err);
}

hither_status ht_result_hand_over(hither_status status, hither_result *r, hither_result **out, hither_error *err) {
    if (status == HITHER_OK)
        status = ht_result_check(r, err);
    if (status == HITHER_OK)
        *out = r;
    else
        hither_result_free(r);
    return status;
}

/* ---- reading */

static const result_group *group_at(const hither_result *r, size_t i) {
    return &((const result_group *)(const void *)r->groups.data)[i];
}

/* The records of a group; false if there are none. */
static bool range_of(const hither_result *r, size_t i, size_t *first, size_t *count) {
    size_t groups = hither_result_groups(r);
    if (i >= groups)
        return false;
    *first = group_at(r, i)->first;
    *count = (i + 1 < groups ? group_at(r, i + 1)->first : r->count) - *first;
    return *count > 0;
}

static hither_strings slice(const ht_column *column, size_t first, size_t count) {
    hither_strings all = ht_column_view(column);
    if (all.count == 0)
        return all;
    return (hither_strings){all.bytes, all.offsets + first, count, all.valid ? all.valid + first / 8 : NULL};
}

size_t hither_result_groups(const hither_result *result) { return result->groups.size / sizeof(result_group); }

size_t hither_result_count(const hither_result *result, size_t group) {
    size_t first, count;
    return range_of(result, group, &first, &count) ? count : 0;
}

hither_ids hither_result_ids(const hither_result *result, size_t group) {
    size_t first, count;
    if (!range_of(result, group, &first, &count))
        return (hither_ids){0};
    if (result->int_ids.size > 0)
        return (hither_ids){.ints = (const int64_t *)(const void *)result->int_ids.data + first, .count = count};
    return (hither_ids){.strings = slice(&result->text_ids, first, count), .count = count};
}

const float *hither_result_distances(const hither_result *result, size_t group) {
    size_t first, count;
    if (!result->with_distances || !range_of(result, group, &first, &count))
        return NULL;
    return (const float *)(const void *)result->distances.data + first;
}

const double *hither_result_scores(const hither_result *result, size_t group) {
    size_t first, count;
    if (!result->with_scores || !range_of(result, group, &first, &count))
        return NULL;
    return (const double *)(const void *)result->scores.data + first;
}

hither_matrix hither_result_vectors(const hither_result *result, size_t group) {
    size_t first, count;
    if (!result->with_vectors || !range_of(result, group, &first, &count))
        return (hither_matrix){0};
    return (hither_matrix){
        .data = (const float *)(const void *)result->vectors.data + first * result->dim,
        .rows = count,
        .dim = result->dim,
        .stride = result->dim * sizeof(float),
        .dtype = HITHER_F32,
    };
}

hither_named hither_result_named(const hither_result *result, size_t group, uint32_t field) {
    size_t first, count;
    const named_column *column = field && field <= HITHER_MAX_FIELDS ? result->named[field - 1] : NULL;
    if (!column || !range_of(result, group, &first, &count))
        return (hither_named){0};
    hither_named out = {.field = column->name, .count = count};
    out.valid = (const uint8_t *)column->valid.data + group_at(result, group)->first_bit / 8;
    const float *values = (const float *)(const void *)column->values.data;
    if (column->kind != HITHER_DENSE)
        out.offsets = (const uint64_t *)(const void *)column->offsets.data + first;
    if (column->kind == HITHER_SPARSE) {
        out.values = values;
        out.indices = (const uint32_t *)(const void *)column->indices.data;
        return out;
    }
    bool dense = column->kind == HITHER_DENSE;
    out.vectors = (hither_matrix){.data = dense ? values + first * column->dim : values,
                                  .rows = dense ? count : (size_t)column->end,
                                  .dim = column->dim,
                                  .stride = column->dim * sizeof(float),
                                  .dtype = HITHER_F32};
    return out;
}

static hither_strings texts_of(const hither_result *r, size_t i, bool included, const ht_column *column) {
    size_t first, count;
    if (!included || !range_of(r, i, &first, &count))
        return (hither_strings){0};
    return slice(column, group_at(r, i)->first_text, count);
}

hither_strings hither_result_metadata(const hither_result *result, size_t group) {
    return texts_of(result, group, result->with_metadata, &result->metadata);
}

hither_strings hither_result_documents(const hither_result *result, size_t group) {
    return texts_of(result, group, result->with_documents, &result->documents);
}

const char *hither_result_plan(const hither_result *result) { return result->plan.data ? result->plan.data : ""; }

const char *hither_result_next(const hither_result *result) { return result->next.data ? result->next.data : ""; }

void hither_result_free(hither_result *result) {
    if (!result)
        return;
    ht_buf_clear(&result->groups);
    ht_buf_clear(&result->int_ids);
    ht_column_clear(&result->text_ids);
    ht_buf_clear(&result->distances);
    ht_buf_clear(&result->scores);
    ht_buf_clear(&result->vectors);
    ht_column_clear(&result->metadata);
    ht_column_clear(&result->documents);
    free_named(result);
    ht_buf_clear(&result->plan);
    ht_buf_clear(&result->next);
    ht_release(result);
}
