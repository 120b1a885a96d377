/*
 * search.h: one search on its way, shared by the files that answer searches: search.c (the k nearest, and all within a
 * distance), search_group.c (best per group), search_diverse.c (hits unlike one another), recommend.c (by examples),
 * search_keyword.c (by words).
 * One thread.
 */
#ifndef HT_ENGINE_SEARCH_H
#define HT_ENGINE_SEARCH_H

#include "engine/explain.h"
#include "engine/near.h"
#include "engine/reading.h"

typedef struct ht_run {
    ht_reading view;
    const ht_search *search;
    uint32_t field; /* whose vectors are searched now; 0: the rows' own */
    bool blocks;    /* it is MULTI or SPARSE: queries are blocks (search_fields.c) */
    uint32_t dim;   /* of those vectors; of blocks their floats */
    hither_metric metric;
    ht_selection selected; /* of a search with a filter */
    ht_selection present;  /* of a search in a field: of those, the rows that have a vector in it */
    ht_selection
        *chosen;    /* the one of the two that says which rows may be hits by their vectors; NULL: all live ones */
    ht_mask allow;  /* of the chosen one */
    uint64_t rows;  /* that may be such hits */
    bool may_check; /* hits one by one instead of selecting rows by the filter first */
    double chance;  /* that a row matches the filter, where hits are to be checked one by one; else 0 */
    ht_exact_stats stats;
    ht_near_stats near;
    ht_explain explain;
    uint64_t returned;
    hither_result *result;
} ht_run;

/* From now on it is about this field: fills in what follows from it, once there is a view. */
void ht_run_aim(ht_run *run, uint32_t field);
/* The same once the run has begun: and about the rows that may be hits by what they have in it. */
HT_NODISCARD hither_status ht_run_turn(ht_run *run, uint32_t field, hither_error *err);
/* D of a row to a query; NAN where it has nothing in the field. */
HT_NODISCARD hither_status ht_run_distance(const ht_run *run, const float *query, uint64_t slot, double *out,
                                           hither_error *err);
/* What may be a hit: runs the filter, and makes the result. */
HT_NODISCARD hither_status ht_run_begin(ht_run *run, const ht_search *search, hither_error *err);
/* From now on only these rows may be hits by their vectors. */
void ht_run_choose(ht_run *run, ht_selection *chosen);
/* The end, well or not: everything but the result is let go. The view is closed too. */
hither_status ht_run_end(ht_run *run, hither_status status, const char *kind, hither_result **out, hither_error *err);

/* The k nearest rows to each of n packed or strided queries that the search allows: hits has room for n * k. */
HT_NODISCARD hither_status ht_run_nearest(ht_run *run, const float *queries, size_t stride, size_t n, size_t k,
                                          ht_hit *hits, size_t *counts, hither_error *err);
/* Appends hits with their payloads to the group the result is at. */
HT_NODISCARD hither_status ht_run_add(ht_run *run, const ht_hit *hits, size_t count, hither_error *err);
/* How many of the hits are within the search's max_distance. */
size_t ht_run_cut(const ht_run *run, const ht_hit *hits, size_t count);

/* Of a MULTI or SPARSE field: ht_run_nearest of one query, and D. */
HT_NODISCARD hither_status ht_block_nearest(ht_run *run, const float *query, size_t k, ht_hit *hits, size_t *count,
                                            hither_error *err);
double ht_block_distance(const ht_vector_field *field, const float *query, const float *row);

/* One query each, as search.c calls them; hits have been asked for by the search. */
HT_NODISCARD hither_status ht_search_groups(ht_run *run, const float *query, hither_error *err);
HT_NODISCARD hither_status ht_search_diverse(ht_run *run, const float *query, hither_error *err);
/* All queries of a search with keywords; queries->data NULL: there are no vectors. */
HT_NODISCARD hither_status ht_search_keywords(ht_run *run, const hither_matrix *queries, hither_error *err);

/* Whether it costs less to look at the rows that are near, one after another, until k of them match than to find all
 * that match: then run->chance is set, and the search goes by ht_search_candidates. */
HT_NODISCARD hither_status ht_candidates_choose(ht_run *run, hither_error *err);
/* The k nearest rows that match: hits has room for k. It may find that there are too few, and then turns to a selection
 * like any search's. */
HT_NODISCARD hither_status ht_search_candidates(ht_run *run, const float *query, size_t stride, size_t k, ht_hit *hits,
                                                size_t *count, hither_error *err);
/* Selects the rows that may be hits by the filter. */
HT_NODISCARD hither_status ht_run_select(ht_run *run, hither_error *err);

#endif
