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
} result_group;

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
};

/* ---- building */

static void start_group(hither_result *r) {
    result_group g = {r->count, r->with_metadata ? r->metadata.count : r->documents.count};
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
}

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
    ht_buf_clear(&result->plan);
    ht_buf_clear(&result->next);
    ht_release(result);
}
