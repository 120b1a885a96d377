/*
 * search.c: the part of hither.h that searches a collection. Joins text -> embed -> search. Any thread.
 */
#include <math.h>
#include <string.h>

#include "api/collection.h"
#include "base/alloc.h"
#include "engine/named.h"
#include "engine/state.h"
#include "kernels/kernels.h"

enum { REEMBEDDED = 8 }; /* times that may happen during one call */

static hither_status check_k(uint32_t k, hither_error *err) {
    if (!k)
        return ht_fail(err, HITHER_INVALID, "k is 0; ask for at least one result");
    if (k > HITHER_MAX_K)
        return ht_fail(err, HITHER_TOO_LARGE, "k is %u; at most %u results are possible", k, HITHER_MAX_K);
    return HITHER_OK;
}

static hither_status check_query(const hither_query *q, hither_error *err) {
    int kinds = (q->vectors.rows > 0) + (q->texts.count > 0) + (q->ids.count > 0), named = q->named && q->named->count;
    size_t queries = kinds ? q->vectors.rows + q->texts.count + q->ids.count : named ? q->named->count : 0;
    if (kinds && named && (q->ids.count || q->named->count != queries))
        return ht_fail(err, HITHER_INVALID, "%zu queries of field '%s' beside %zu %s", q->named->count,
                       q->named->field ? q->named->field : "", queries, q->ids.count ? "ids" : "others");
    if (kinds > 1 || (!kinds && !named && !q->keywords.count))
        return ht_fail(err, HITHER_INVALID, "%s; give vectors, texts, ids or keywords",
                       kinds ? "the query is of several kinds" : "there is no query");
    if (!kinds && q->field)
        return ht_fail(err, HITHER_INVALID, "a search by keywords alone is in no vector field");
    if ((kinds || named) && q->keywords.count && q->keywords.count != queries)
        return ht_fail(err, HITHER_INVALID, "%zu keyword queries for %zu others", q->keywords.count, queries);
    HT_TRY(ht_strings_check(&q->keywords, "keywords", HITHER_MAX_TEXT_BYTES, err));
    HT_TRY(ht_strings_check(&q->texts, "texts", HITHER_MAX_TEXT_BYTES, err));
    return q->ids.count ? ht_ids_check(&q->ids, err) : HITHER_OK;
}

/* ---- options */

static hither_status check_groups(const hither_search_options *o, uint32_t k, hither_error *err) {
    if (!o->group_by)
        return o->group_size ? ht_fail(err, HITHER_INVALID, "group_size is %u, but there is no group_by", o->group_size)
                             : HITHER_OK;
    if (o->diversity > 0)
        return ht_fail(err, HITHER_INVALID, "a search has group_by or diversity, not both");
    if (o->group_size && (uint64_t)k * o->group_size > HITHER_MAX_K)
        return ht_fail(err, HITHER_TOO_LARGE, "%u groups of %u; at most %u results are possible", k, o->group_size,
                       HITHER_MAX_K);
    return HITHER_OK;
}

static hither_status check_options(const hither_search_options *o, uint32_t k, hither_error *err) {
    HT_TRY(ht_include_check(o->include, err));
    HT_TRY(check_groups(o, k, err));
    if (o->max_distance && isnan(*o->max_distance))
        return ht_fail(err, HITHER_INVALID, "max_distance is not a number");
    if (!(o->diversity >= 0 && o->diversity <= 1))
        return ht_fail(err, HITHER_INVALID, "diversity is %g; it is from 0 to 1", o->diversity);
    if (o->candidates > HITHER_MAX_K)
        return ht_fail(err, HITHER_TOO_LARGE, "candidates is %u; at most %u are possible", o->candidates, HITHER_MAX_K);
    return HITHER_OK;
}

/* What only searches with keywords take, and what they do not take. */
static hither_status check_keywords(const hither_query *q, const hither_search_options *o, hither_error *err) {
    bool vectors = q->vectors.rows + q->texts.count + q->ids.count, named = q->named && q->named->count;
    bool hybrid = (q->keywords.count != 0) + vectors + named > 1;
    if ((q->keywords.count || hybrid) && (o->max_distance || o->group_by || o->diversity > 0))
        return ht_fail(err, HITHER_INVALID,
                       "a search by keywords, or by several things, takes no max_distance, group_by or diversity");
    if (!hybrid && (o->fusion || o->vector_weight != 0))
        return ht_fail(err, HITHER_INVALID, "fusion and vector_weight are for a search by keywords and vectors");
    if (named && o->diversity > 0)
        return ht_fail(err, HITHER_INVALID, "a search by queries of a field takes no diversity");
    if (o->fusion && o->fusion != HITHER_RRF && o->fusion != HITHER_WEIGHTED)
        return ht_fail(err, HITHER_INVALID, "%d is not a fusion", (int)o->fusion);
    if (!(o->vector_weight >= 0 && o->vector_weight < 1))
        return ht_fail(err, HITHER_INVALID, "vector_weight is %g; it is between 0 and 1", o->vector_weight);
    if (!(o->recall >= 0 && o->recall <= 1))
        return ht_fail(err, HITHER_INVALID, "recall is %g; it is a share, at most 1", o->recall);
    if (o->candidates && !hybrid && !(o->diversity > 0))
        return ht_fail(err, HITHER_INVALID, "candidates is %u, but there is no diversity", o->candidates);
    return HITHER_OK;
}

/* The caller's options as the engine takes them; the filters are to be freed, also on failure. */
static hither_status read_options(const hither_collection *c, const hither_search_options *o, uint32_t k,
                                  ht_search *out, ht_filter **filter, ht_filter **group, hither_error *err) {
    uint32_t candidates = o->candidates ? o->candidates : k > HITHER_MAX_K / 4 ? HITHER_MAX_K : 4 * k;
    *filter = *group = NULL;
    *out = (ht_search){0};
    HT_TRY(ht_reading_where(c, o->where, filter, err));
    HT_TRY(ht_field_parse(o->group_by, "group_by", group, err));
    *out = (ht_search){.k = k,
                       .include = o->include,
                       .threads = o->threads,
                       .filter = *filter,
                       .max_distance = o->max_distance,
                       .group = *group,
                       .group_size = o->group_size ? o->group_size : 1,
                       .diversity = o->diversity,
                       .fusion = o->fusion ? o->fusion : HITHER_RRF,
                       .vector_weight = o->vector_weight > 0 ? o->vector_weight : 0.5,
                       .recall = o->recall,
                       .effort = o->ef,
                       .probes = o->nprobe,
                       .candidates = !o->candidates && candidates < 64 ? 64
                                     : candidates < k                  ? k
                                                                       : candidates};
    return HITHER_OK;
}

/* ---- search */

/* The queries of a vector field: checked, and as the engine takes them. */
typedef struct field_queries {
    ht_named_list list;
    float *blocks;
    hither_matrix rows;
    uint32_t field;
} field_queries;

static hither_status read_named(const hither_collection *c, const hither_named *named, field_queries *out,
                                hither_error *err) {
    const ht_shape *shape = ht_collection_shape(c->inner);
    if (!named || !named->count)
        return HITHER_OK;
    HT_TRY(ht_named_read(named, 1, &out->list, err));
    const hither_named *queries = out->list.columns;
    if (queries->valid)
        return ht_fail(err, HITHER_INVALID, "field '%s': queries that are not there", queries->field);
    HT_TRY(ht_shape_find(shape, queries->field, &out->field, err));
    const ht_vector_field *field = &shape->fields[out->field - 1];
    if (field->kind == HITHER_DENSE) {
        HT_TRY(ht_column_check_field(field, queries, queries->count, err));
        out->rows = queries->vectors;
        return HITHER_OK;
    }
    HT_TRY(ht_queries_encode(field, queries, &out->rows, err));
    out->blocks = (float *)(uintptr_t)out->rows.data;
    return HITHER_OK;
}

static hither_status search(hither_collection *c, const hither_query *q, uint32_t k, const hither_search_options *o,
                            hither_result **out, hither_error *err) {
    ht_floats vectors = {0};
    field_queries named = {0};
    ht_filter *filter, *group;
    ht_search wanted;
    hither_status status = read_options(c, o, k, &wanted, &filter, &group, err);
    wanted.keywords = q->keywords.count ? &q->keywords : NULL;
    if (status == HITHER_OK)
        status = ht_vectors_find(c, q->field, &wanted.field, err);
    if (status == HITHER_OK && q->vectors.rows)
        status = ht_floats_read(&q->vectors, "queries", &vectors, err);
    else if (status == HITHER_OK && q->texts.count)
        status = ht_texts_embed(c, HT_EMBED_QUERY, &q->texts, &vectors, &wanted.embedder, err);
    if (status == HITHER_OK)
        status = read_named(c, q->named, &named, err);
    const hither_matrix *queries = vectors.view.rows ? &vectors.view : NULL;
    if (named.rows.rows && queries) {
        wanted.beside = &named.rows;
        wanted.beside_field = named.field;
    } else if (named.rows.rows) {
        queries = &named.rows;
        wanted.field = named.field;
    }
    if (status == HITHER_OK)
        status = ht_collection_search(c->inner, queries, &q->ids, &wanted, out, err);
    ht_filter_free(filter);
    ht_filter_free(group);
    ht_release(named.blocks);
    ht_named_clear(&named.list);
    ht_floats_clear(&vectors);
    return status;
}

static hither_status checked_search(hither_collection *c, const hither_query *query, uint32_t k,
                                    const hither_search_options *o, hither_result **out, hither_error *err) {
    hither_query q;
    HT_TRY(ht_options_read(&q, sizeof q, query, "hither_query", err));
    HT_TRY(check_query(&q, err));
    HT_TRY(check_keywords(&q, o, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status =
        HITHER_STALE; /* texts may have been embedded while the collection moved to another embedder */
    for (int i = 0; i < REEMBEDDED && status == HITHER_STALE; i++)
        status = search(c, &q, k, o, out, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_collection_search(hither_collection *c, const hither_query *query, uint32_t k,
                                       const hither_search_options *options, hither_result **out, hither_error *err) {
    hither_search_options o;
    HT_TRY(ht_call_check(c, query && out ? out : NULL, err));
    HT_TRY(check_k(k, err));
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_search_options", err));
    HT_TRY(check_options(&o, k, err));
    return checked_search(c, query, k, &o, out, err);
}

/* ---- a search that goes on */

static hither_status check_going_on(const hither_query *q, const hither_search_options *o, hither_error *err) {
    const bool others = q->ids.count || q->keywords.count || q->field || (q->named && q->named->count);
    if (others || q->vectors.rows + q->texts.count != 1)
        return ht_fail(err, HITHER_INVALID,
                       "a search that goes on takes one vector or one text, and nothing beside it");
    if (o->group_by || o->group_size || o->diversity != 0 || o->candidates || o->fusion || o->vector_weight != 0)
        return ht_fail(err, HITHER_INVALID, "a search that goes on takes no group_by, diversity, candidates or fusion");
    if (!(o->recall >= 0 && o->recall <= 1))
        return ht_fail(err, HITHER_INVALID, "recall is %g; it is a share, at most 1", o->recall);
    return HITHER_OK;
}

static hither_status search_on(hither_collection *c, const hither_query *q, const hither_search_options *o,
                               ht_cursor **out, hither_error *err) {
    ht_floats vectors = {0};
    ht_filter *filter, *group;
    ht_search wanted;
    hither_status status = read_options(c, o, 1, &wanted, &filter, &group, err);
    if (status == HITHER_OK && q->vectors.rows)
        status = ht_floats_read(&q->vectors, "queries", &vectors, err);
    else if (status == HITHER_OK)
        status = ht_texts_embed(c, HT_EMBED_QUERY, &q->texts, &vectors, &wanted.embedder, err);
    if (status == HITHER_OK)
        status = ht_collection_search_on(c->inner, vectors.view.data, vectors.view.dim, &wanted, out, err);
    ht_filter_free(filter);
    ht_filter_free(group);
    ht_floats_clear(&vectors);
    return status;
}

hither_status hither_collection_search_on(hither_collection *c, const hither_query *query,
                                          const hither_search_options *options, hither_cursor **out,
                                          hither_error *err) {
    hither_search_options o;
    hither_query q;
    ht_cursor *cursor;
    HT_TRY(ht_call_check(c, query && out ? out : NULL, err));
    *out = NULL;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_search_options", err));
    HT_TRY(ht_options_read(&q, sizeof q, query, "hither_query", err));
    HT_TRY(check_query(&q, err));
    HT_TRY(check_going_on(&q, &o, err));
    HT_TRY(check_options(&o, 1, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = HITHER_STALE; /* as for a search */
    for (int i = 0; i < REEMBEDDED && status == HITHER_STALE; i++)
        status = search_on(c, &q, &o, &cursor, err);
    ht_fp_leave(fp);
    if (status == HITHER_OK)
        *out = (hither_cursor *)cursor;
    return status;
}

hither_status hither_collection_within(hither_collection *c, const hither_query *query, float radius,
                                       const hither_search_options *options, hither_result **out, hither_error *err) {
    hither_search_options o;
    HT_TRY(ht_call_check(c, query && out ? out : NULL, err));
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_search_options", err));
    if (isnan(radius))
        return ht_fail(err, HITHER_INVALID, "the radius is not a number");
    if (o.max_distance || o.group_by || o.diversity != 0)
        return ht_fail(err, HITHER_INVALID, "within takes no max_distance, group_by or diversity; a search does");
    HT_TRY(check_options(&o, 0, err));
    if (o.fusion)
        return ht_fail(err, HITHER_INVALID, "within takes no fusion");
    o.max_distance = &radius;
    return checked_search(c, query, 0, &o, out, err);
}

/* ---- recommend */

static hither_status check_examples(hither_examples *e, hither_error *err) {
    if (!e->strategy)
        e->strategy = HITHER_AVERAGE;
    if (e->strategy != HITHER_AVERAGE && e->strategy != HITHER_BEST)
        return ht_fail(err, HITHER_INVALID, "%d is not a strategy", (int)e->strategy);
    if (!e->positive.count && (e->strategy == HITHER_AVERAGE || !e->negative.count))
        return ht_fail(err, HITHER_INVALID, "there is no positive example");
    if (e->positive.count > HITHER_MAX_K || e->negative.count > HITHER_MAX_K)
        return ht_fail(err, HITHER_TOO_LARGE, "%zu examples; at most %u are possible",
                       e->positive.count > e->negative.count ? e->positive.count : e->negative.count, HITHER_MAX_K);
    if (e->positive.count)
        HT_TRY(ht_ids_check(&e->positive, err));
    return e->negative.count ? ht_ids_check(&e->negative, err) : HITHER_OK;
}

hither_status hither_collection_recommend(hither_collection *c, const hither_examples *examples, uint32_t k,
                                          const hither_search_options *options, hither_result **out,
                                          hither_error *err) {
    hither_examples e;
    hither_search_options o;
    ht_filter *filter, *group;
    ht_search wanted;
    HT_TRY(ht_call_check(c, examples && out ? out : NULL, err));
    HT_TRY(check_k(k, err));
    HT_TRY(ht_options_read(&e, sizeof e, examples, "hither_examples", err));
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_search_options", err));
    if (o.group_by || o.diversity != 0 || o.candidates || o.fusion || o.vector_weight != 0)
        return ht_fail(err, HITHER_INVALID, "recommend takes no group_by, diversity, candidates or fusion");
    HT_TRY(check_options(&o, k, err));
    HT_TRY(check_examples(&e, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = read_options(c, &o, k, &wanted, &filter, &group, err);
    if (status == HITHER_OK)
        status = ht_vectors_find(c, e.field, &wanted.field, err);
    ht_recommend inner = {.positive = e.positive, .negative = e.negative, .strategy = e.strategy};
    if (status == HITHER_OK)
        status = ht_collection_recommend(c->inner, &inner, &wanted, out, err);
    ht_filter_free(filter);
    ht_filter_free(group);
    ht_fp_leave(fp);
    return status;
}
