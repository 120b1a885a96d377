/*
 * search_cursor.c: a search that goes on: the nearest rows of one version, then the nearest of those that were not
 * given yet, and so on. What was given is taken out of the rows that may be hits, so each step is a search like any
 * other, by the same plan: exact steps give one order of all rows, and steps that find less than all never give a row
 * twice. One thread at a time, as cursor.c.
 */
#include <string.h>

#include "engine/cursor.h"
#include "engine/search.h"

struct ht_search_cursor {
    ht_search search;   /* without its filter: that is in `left` */
    float max_distance; /* what search.max_distance points to, where there is one */
    ht_selection left;  /* rows that may be hits and were not given yet */
    uint32_t dim;
    float query[];
};

void ht_search_cursor_free(ht_search_cursor *sc) {
    if (sc)
        ht_selection_clear(&sc->left);
    ht_release(sc);
}

hither_status ht_search_cursor_new(ht_reading *v, const float *query, size_t dim, const ht_search *search,
                                   ht_search_cursor **out, hither_error *err) {
    const ht_shape *shape = v->snapshot->shape;
    if (dim != shape->dim)
        return ht_fail(err, HITHER_DIMENSION, "the query has %zu dimensions, the collection has %u", dim, shape->dim);
    ht_search_cursor *sc = ht_calloc(1, sizeof *sc + dim * sizeof *query);
    if (!sc)
        return ht_fail_nomem(err, dim * sizeof *query, "a search that goes on");
    sc->search = *search;
    sc->search.filter = NULL;
    sc->dim = (uint32_t)dim;
    memcpy(sc->query, query, dim * sizeof *query);
    if (search->max_distance) {
        sc->max_distance = *search->max_distance;
        sc->search.max_distance = &sc->max_distance;
    }
    hither_status status = search->filter ? ht_select(v->c, v->snapshot, search->filter, &v->reader, &sc->left, err)
                                          : ht_select_all(v->snapshot, &sc->left, err);
    if (status == HITHER_OK)
        status = ht_selection_own(&sc->left, err);
    if (status == HITHER_OK)
        *out = sc;
    else
        ht_search_cursor_free(sc);
    return status;
}

static hither_status step(ht_run *run, ht_search_cursor *sc, size_t k, hither_error *err) {
    ht_scratch *scratch = run->view.scratch;
    ht_run_aim(run, 0);
    ht_run_choose(run, &sc->left);
    HT_TRY(ht_reading_result(&run->view, true, &run->result, err));
    HT_TRY(ht_scratch_reserve(scratch, k, 1, err));
    HT_TRY(ht_run_nearest(run, sc->query, sc->dim * sizeof *sc->query, 1, k, scratch->hits, scratch->counts, err));
    const size_t count = ht_run_cut(run, scratch->hits, scratch->counts[0]);
    HT_TRY(ht_run_add(run, scratch->hits, count, err));
    HT_TRY(ht_result_check(run->result, err));
    for (size_t i = 0; i < count; i++)
        sc->left.words[scratch->hits[i].slot / 64] &= ~((uint64_t)1 << scratch->hits[i].slot % 64);
    sc->left.count = count < k && sc->search.max_distance ? 0 : sc->left.count - count;
    return HITHER_OK;
}

hither_status ht_search_cursor_next(ht_search_cursor *sc, const ht_reading *v, size_t limit, hither_result **out,
                                    hither_error *err) {
    ht_run run = {.search = &sc->search, .view = *v};
    const size_t most = ht_min_size(limit, HITHER_MAX_K), k = sc->left.count < most ? (size_t)sc->left.count : most;
    HT_TRY(ht_scratch_take(&v->c->db->scratches, &run.view.scratch, err));
    ht_explain_begin(&run.explain);
    hither_status status = k ? step(&run, sc, k, err) : ht_reading_result(&run.view, true, &run.result, err);
    return ht_run_end(&run, status, "exact", out, err);
}
