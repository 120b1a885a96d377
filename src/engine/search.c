/*
 * search.c: the k nearest rows, and all within a distance. Any thread; see reading.h and search.h.
 */
#include "engine/search.h"

#include <math.h>
#include <string.h>

#include "engine/parts.h"
#include "kernels/reference.h"

/* Hits held at once; a batch of more queries is answered in parts. */
#define HITS_AT_ONCE ((size_t)1 << 20)

/* ---- the run */

void ht_run_aim(ht_run *run, uint32_t field) {
    const ht_shape *shape = run->view.snapshot->shape;
    const ht_vector_field *f = field ? &shape->fields[field - 1] : NULL;
    run->field = field;
    run->blocks = f && f->kind != HITHER_DENSE;
    run->dim = f ? f->dim : shape->dim;
    run->metric = f ? f->metric : shape->metric;
}

/* Which have a vector in the field is known once they were checked. */
static hither_status find_present(ht_run *run, hither_error *err) {
    const ht_snapshot *s = run->view.snapshot;
    ht_selection *present = &run->present;
    HT_TRY(ht_select_all(s, present, err));
    present->count = 0;
    for (size_t i = 0; i < s->extent_count; i++) {
        ht_extent *extent = ht_extent_of(s->extents[i], run->field);
        uint64_t rows = s->slot_limit - extent->first_slot, first = extent->first_slot / 64;
        rows = rows < extent->capacity ? rows : extent->capacity;
        HT_TRY(ht_extent_touch(extent, 0, (size_t)rows, false, err));
        for (uint64_t b = 0; b * 64 < rows; b++) {
            uint64_t *word = &present->words[first + b];
            *word &= ht_extent_present(extent, (size_t)b) & (run->chosen ? run->chosen->words[first + b] : UINT64_MAX);
            present->count += (uint64_t)__builtin_popcountll(*word);
        }
    }
    return HITHER_OK;
}

void ht_run_choose(ht_run *run, ht_selection *chosen) {
    run->chosen = chosen;
    run->allow = ht_selection_mask(chosen);
    run->rows = chosen->count;
}

hither_status ht_run_select(ht_run *run, hither_error *err) {
    ht_reading *v = &run->view;
    HT_TRY(ht_select(v->c, v->snapshot, run->search->filter, &v->reader, &run->selected, err));
    ht_run_choose(run, &run->selected);
    run->chance = 0;
    ht_explain_stage(&run->explain, "filter", run->selected.plan, v->snapshot->live_count, run->rows);
    return HITHER_OK;
}

hither_status ht_run_begin(ht_run *run, const ht_search *search, hither_error *err) {
    ht_reading *v = &run->view;
    HT_TRY(ht_reading_result(v, true, &run->result, err));
    const ht_snapshot *s = v->snapshot;
    v->search = true;
    run->rows = s->live_count;
    if (search->filter && search->filter->documents && run->may_check && !search->field && !search->beside)
        HT_TRY(ht_candidates_choose(run, err));
    if (search->filter && !(run->chance > 0))
        HT_TRY(ht_run_select(run, err));
    return search->field ? ht_run_turn(run, search->field, err) : HITHER_OK;
}

hither_status ht_run_turn(ht_run *run, uint32_t field, hither_error *err) {
    const ht_snapshot *s = run->view.snapshot;
    bool first = !run->explain.members.size || !strstr(run->explain.members.data, ",\"field\":");
    ht_run_aim(run, field);
    ht_selection_clear(&run->present);
    run->chosen = NULL;
    run->rows = s->live_count;
    if (run->selected.words)
        ht_run_choose(run, &run->selected);
    if (!field)
        return HITHER_OK;
    if (first) {
        const char *name = s->shape->fields[field - 1].name;
        ht_buf_puts(&run->explain.members, ",\"field\":");
        ht_buf_json_string(&run->explain.members, name, strlen(name));
    }
    uint64_t before = run->rows;
    if (run->blocks)
        return HITHER_OK; /* who has nothing in it is met on the way */
    HT_TRY(find_present(run, err));
    ht_run_choose(run, &run->present);
    ht_explain_stage(&run->explain, "field", NULL, before, run->rows);
    return HITHER_OK;
}

hither_status ht_run_distance(const ht_run *run, const float *query, uint64_t slot, double *out, hither_error *err) {
    const ht_vector_field *field = run->field ? &run->view.snapshot->shape->fields[run->field - 1] : NULL;
    const float *row;
    HT_TRY(ht_snapshot_row(run->view.snapshot, slot, &row, err));
    if (field && !ht_field_count(field, row))
        *out = NAN;
    else if (run->blocks)
        *out = ht_block_distance(field, query, row);
    else
        *out = ht_ref_distance_f32(run->metric, query, field ? ht_field_data(field, row) : row, run->dim);
    return HITHER_OK;
}

/* What the plan says of a walk. */
static void explain_walk(ht_run *run) {
    const ht_near *near = run->view.snapshot->near;
    const ht_near_stats *s = &run->near;
    ht_buf_printf(&run->explain.members,
                  ",\"walk\":{\"index\":\"%s\",\"%s\":%zu,\"recall\":%.3f,\"visited\":%llu,\"steps\":%llu,"
                  "\"rescored\":%llu,\"later\":%llu,\"exact\":%llu}",
                  near->approx->kind->name, near->approx->kind->effort, s->effort,
                  ht_approx_recall(&near->curve, s->effort, run->search->k), (unsigned long long)s->walk.visited,
                  (unsigned long long)s->walk.steps, (unsigned long long)s->walk.rescored,
                  (unsigned long long)(run->view.snapshot->slot_limit - near->limit), (unsigned long long)s->exact);
}

hither_status ht_run_end(ht_run *run, hither_status status, const char *kind, hither_result **out, hither_error *err) {
    if (status == HITHER_OK && run->near.effort)
        explain_walk(run);
    if (status == HITHER_OK)
        ht_explain_write(&run->explain, run->result, kind, &run->stats, run->search->filter ? &run->selected : NULL,
                         run->view.snapshot->live_count, run->returned);
    ht_explain_end(&run->explain);
    ht_selection_clear(&run->selected);
    ht_selection_clear(&run->present);
    ht_reading_close(&run->view);
    return ht_result_hand_over(status, run->result, out, err);
}

hither_status ht_run_nearest(ht_run *run, const float *queries, size_t stride, size_t n, size_t k, ht_hit *hits,
                             size_t *counts, hither_error *err) {
    unsigned threads = run->search->threads ? run->search->threads : n == 1;
    hither_matrix some = {queries, n, run->dim, stride, HITHER_F32};
    const ht_mask *allow = run->chosen ? &run->allow : NULL;
    size_t effort = run->field ? 0 : ht_near_effort(run->view.snapshot, run->search, k, run->rows, run->chosen != NULL);
    if (k && run->blocks) {
        for (size_t i = 0; i < n; i++) {
            const float *query = (const float *)(const void *)((const char *)queries + i * stride);
            HT_TRY(ht_block_nearest(run, query, k, hits + i * k, &counts[i], err));
        }
    } else if (k && effort) {
        ht_near_note(run->view.c, queries, run->dim);
        HT_TRY(ht_near_search(run->view.snapshot, &run->view.c->db->scratches, run->view.scratch, run->metric, &some,
                              allow, run->rows, k, effort, threads, hits, counts, &run->near, &run->stats, err));
    } else if (k)
        HT_TRY(ht_parts_search(run->view.snapshot, run->view.scratch, run->field, run->metric, &some, allow, k, threads,
                               hits, counts, &run->stats, err));
    else
        memset(counts, 0, n * sizeof *counts);
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += counts[i];
    ht_explain_stage(&run->explain, "search", effort ? "walk" : NULL, run->rows * n, found);
    return HITHER_OK;
}

size_t ht_run_cut(const ht_run *run, const ht_hit *hits, size_t count) {
    if (run->search->max_distance)
        while (count && (float)hits[count - 1].distance > *run->search->max_distance)
            count--;
    return count;
}

hither_status ht_run_add(ht_run *run, const ht_hit *hits, size_t count, hither_error *err) {
    for (size_t i = 0; i < count; i++) {
        HT_TRY(ht_reading_add_row(&run->view, hits[i].slot, NULL, run->result, err));
        ht_result_distance(run->result, (float)hits[i].distance);
    }
    run->returned += count;
    ht_explain_stage(&run->explain, "payload", NULL, count, count);
    return HITHER_OK;
}

/* ---- the k nearest */

static hither_status search_nearest(ht_run *run, const hither_matrix *queries, hither_error *err) {
    ht_scratch *scratch = run->view.scratch;
    size_t k = run->rows < run->search->k ? (size_t)run->rows : run->search->k;
    size_t at_once = ht_min_size(queries->rows, k ? 1 + (HITS_AT_ONCE - 1) / k : queries->rows);
    HT_TRY(ht_scratch_reserve(scratch, at_once * k, at_once, err));
    for (size_t first = 0; first < queries->rows; first += at_once) {
        size_t n = ht_min_size(at_once, queries->rows - first);
        const float *q = (const float *)(const void *)((const char *)queries->data + first * queries->stride);
        HT_TRY(ht_run_nearest(run, q, queries->stride, n, k, scratch->hits, scratch->counts, err));
        for (size_t j = 0; j < n; j++) {
            if (first + j)
                ht_result_next_group(run->result);
            const ht_hit *hits = k ? &scratch->hits[j * k] : NULL; /* k is 0 where no row is left */
            HT_TRY(ht_run_add(run, hits, ht_run_cut(run, hits, scratch->counts[j]), err));
        }
    }
    return HITHER_OK;
}

/* The same, of a run that looks at near rows one by one. */
static hither_status search_checked(ht_run *run, const hither_matrix *queries, hither_error *err) {
    size_t k = run->rows < run->search->k ? (size_t)run->rows : run->search->k, count = 0;
    ht_hit *hits = ht_calloc(k, sizeof *hits);
    hither_status status = hits ? HITHER_OK : ht_fail_nomem(err, k * sizeof *hits, "the hits of a search");
    for (size_t i = 0; i < queries->rows && status == HITHER_OK; i++) {
        const float *q = (const float *)(const void *)((const char *)queries->data + i * queries->stride);
        if (i)
            ht_result_next_group(run->result);
        status = ht_search_candidates(run, q, queries->stride, k, hits, &count, err);
        if (status == HITHER_OK)
            status = ht_run_add(run, hits, ht_run_cut(run, hits, count), err);
    }
    ht_release(hits);
    return status;
}

/* ---- all within a distance */

/* All rows that have anything in the field are ranked, and cut off at the distance. */
static hither_status within_blocks(ht_run *run, const float *query, hither_error *err) {
    ht_scratch *scratch = run->view.scratch;
    HT_TRY(ht_scratch_reserve(scratch, (size_t)run->rows, 1, err));
    HT_TRY(ht_run_nearest(run, query, 0, 1, (size_t)run->rows, scratch->hits, scratch->counts, err));
    size_t count = ht_run_cut(run, scratch->hits, scratch->counts[0]);
    if (count > HITHER_MAX_ROWS || run->returned + count > HITHER_MAX_ROWS)
        return ht_fail(err, HITHER_TOO_LARGE, "%zu rows are within %g, and one answer holds at most %u", count,
                       (double)*run->search->max_distance, HITHER_MAX_ROWS);
    return ht_run_add(run, scratch->hits, count, err);
}

static hither_status within_one(ht_run *run, const float *query, size_t stride, hither_error *err) {
    ht_found found = {0};
    hither_matrix one = {query, 1, run->dim, stride, HITHER_F32};
    if (run->blocks)
        return within_blocks(run, query, err);
    HT_TRY(ht_parts_within(run->view.snapshot, run->view.scratch, run->field, run->metric, &one,
                           run->chosen ? &run->allow : NULL, *run->search->max_distance, run->search->threads, &found,
                           &run->stats, err));
    ht_explain_stage(&run->explain, "search", NULL, run->rows, found.count);
    hither_status status = HITHER_OK;
    if (found.count > HITHER_MAX_ROWS || run->returned + found.count > HITHER_MAX_ROWS)
        status = ht_fail(err, HITHER_TOO_LARGE,
                         "%zu rows are within %g, and one answer holds at most %u; ask for a smaller distance, or for "
                         "the k nearest with that as their largest",
                         found.count, (double)*run->search->max_distance, HITHER_MAX_ROWS);
    if (status == HITHER_OK)
        status = ht_run_add(run, found.hits, found.count, err);
    ht_release(found.hits);
    return status;
}

/* ---- each query by itself */

static hither_status search_each(ht_run *run, const hither_matrix *queries, hither_error *err) {
    const ht_search *search = run->search;
    for (size_t i = 0; i < queries->rows; i++) {
        const float *query = (const float *)(const void *)((const char *)queries->data + i * queries->stride);
        if (i)
            ht_result_next_group(run->result);
        if (search->group)
            HT_TRY(ht_search_groups(run, query, err));
        else if (search->diversity > 0)
            HT_TRY(ht_search_diverse(run, query, err));
        else
            HT_TRY(within_one(run, query, queries->stride, err));
    }
    return HITHER_OK;
}

static hither_status check_queries(const ht_run *run, const hither_matrix *queries, hither_error *err) {
    if (queries->rows && !run->blocks && queries->dim != run->dim)
        return ht_fail(err, HITHER_DIMENSION, "the queries have %zu dimensions, the %s has %u", queries->dim,
                       run->search->field ? "field" : "collection", run->dim);
    return HITHER_OK;
}

static hither_status search_once(ht_collection *c, const hither_matrix *queries, const hither_ids *ids,
                                 const ht_search *search, hither_result **out, hither_error *err) {
    ht_run run = {.search = search, .may_check = true};
    float *gathered = NULL;
    hither_matrix rows = {.dtype = HITHER_F32};
    ht_explain_begin(&run.explain);
    bool by_ids = !queries && ids->count;
    hither_status status = by_ids ? ht_reading_open_for_ids(&run.view, c, search->include, err)
                                  : ht_reading_open(&run.view, c, search->include, err);
    if (status == HITHER_OK && search->embedder && strcmp(search->embedder, run.view.snapshot->shape->embedder) != 0)
        status = ht_fail(err, HITHER_STALE, "the collection was moved to another embedder meanwhile");
    if (status == HITHER_OK)
        ht_run_aim(&run, search->field);
    if (status == HITHER_OK && queries) {
        status = check_queries(&run, queries, err);
        rows = *queries;
        if (!rows.stride)
            rows.stride = rows.dim * sizeof(float);
    } else if (status == HITHER_OK && by_ids) {
        status = ht_reading_vectors_of(&run.view, ids, search->field, &gathered, NULL, err);
        rows = (hither_matrix){gathered, ids->count, run.dim, run.dim * sizeof(float), HITHER_F32};
    }
    if (status == HITHER_OK)
        status = ht_run_begin(&run, search, err);
    if (status == HITHER_OK && (search->keywords || search->beside))
        status = ht_search_keywords(&run, &rows, err);
    else if (status == HITHER_OK)
        status = run.chance > 0                                            ? search_checked(&run, &rows, err)
                 : search->k && !search->group && !(search->diversity > 0) ? search_nearest(&run, &rows, err)
                                                                           : search_each(&run, &rows, err);
    ht_release(gathered);
    return ht_run_end(&run, status,
                      !search->keywords && !search->beside ? "exact"
                      : rows.data                          ? "hybrid"
                                                           : "keyword",
                      out, err);
}

hither_status ht_collection_search(ht_collection *c, const hither_matrix *queries, const hither_ids *ids,
                                   const ht_search *search, hither_result **out, hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = search_once(c, queries, ids, search, out, err);
    return status;
}
