/*
 * search_candidates.c: searches whose filter is looked at last. A condition on documents costs a row fetched from the
 * catalog for each row that nothing else rules out; where a good part of the rows match, the k nearest that do are
 * among few of the nearest, and only those need be fetched. What comes first in the order of distance comes first among
 * those that match, so the answer is exact, and where too few of them match the search turns to a selection.
 *
 * What must stay true: nothing here changes an answer. One thread.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "engine/search.h"

enum {
    LEAST_ROWS = 2048, /* below, all of them are looked at */
    SAMPLED = 64,
    AT_ONCE = 1 << 16 /* hits asked for at most */
};

/* How many rows are fetched in the time that a search takes for each row of the collection. */
#define ROWS_A_SEARCH 0.01
#define SURELY        1.5 /* times as many rows as should hold k that match */

static hither_status matches(ht_run *run, uint64_t slot, bool *found, hither_error *err) {
    ht_row row;
    HT_TRY(ht_reading_reader(&run->view, err));
    HT_TRY(ht_reader_row(run->view.reader, slot, &row, err));
    run->selected.checked++;
    return ht_row_matches(run->search->filter, &row, found, err);
}

/* The share of rows that match, from a few here and there. */
static hither_status sample(ht_run *run, double *chance, hither_error *err) {
    const ht_snapshot *s = run->view.snapshot;
    unsigned found = 0;
    for (uint64_t i = 0; i < SAMPLED; i++) {
        uint64_t step = s->slot_limit / SAMPLED; /* not in steps: rows may be alike at some distance */
        uint64_t slot = ht_snapshot_next(s, step * i + ht_mix64(i) % step);
        bool match = false;
        if (slot < s->slot_limit)
            HT_TRY(matches(run, slot, &match, err));
        found += match;
    }
    *chance = ((double)found + 0.5) / (SAMPLED + 1);
    return HITHER_OK;
}

static double rows_needed(const ht_run *run, double chance) { return SURELY * (double)run->search->k / chance + 16; }

hither_status ht_candidates_choose(ht_run *run, hither_error *err) {
    const ht_search *search = run->search;
    const ht_snapshot *s = run->view.snapshot;
    bool plain = search->k && !search->group && !(search->diversity > 0) && !search->keywords;
    double live = (double)s->live_count, chance;
    if (!plain || s->near || s->live_count < LEAST_ROWS)
        return HITHER_OK;
    double open = (double)ht_select_open(run->view.c, s, search->filter);
    if (open < rows_needed(run, 1) + SAMPLED)
        return HITHER_OK;
    HT_TRY(sample(run, &chance, err));
    double rows = rows_needed(run, chance);
    if (rows < AT_ONCE && rows < live && rows + ROWS_A_SEARCH * live < open / 2) {
        run->chance = chance;
        run->selected.plan = "candidates";
        run->selected.estimate = (uint64_t)(chance * live);
    }
    return HITHER_OK;
}

/* Those of `near` that match, up to k in all, with those found before among the first `checked`. */
static hither_status check(ht_run *run, const ht_hit *near, size_t *checked, size_t near_count, size_t k, ht_hit *hits,
                           size_t *count, hither_error *err) {
    uint64_t before = run->selected.checked;
    size_t found = *count;
    for (; *checked < near_count && *count < k; ++*checked) {
        bool match;
        HT_TRY(matches(run, near[*checked].slot, &match, err));
        if (match)
            hits[(*count)++] = near[*checked];
    }
    run->selected.count += *count - found;
    ht_explain_stage(&run->explain, "filter", "candidates", run->selected.checked - before, *count - found);
    return HITHER_OK;
}

hither_status ht_search_candidates(ht_run *run, const float *query, size_t stride, size_t k, ht_hit *hits,
                                   size_t *count, hither_error *err) {
    const ht_snapshot *s = run->view.snapshot;
    size_t checked = 0, found;
    *count = 0;
    for (double wanted = rows_needed(run, run->chance); run->chance > 0; wanted *= 4) {
        size_t n = wanted < (double)s->live_count ? (size_t)wanted : (size_t)s->live_count;
        if (n > AT_ONCE)
            break;
        HT_TRY(ht_scratch_reserve(run->view.scratch, n, 1, err));
        HT_TRY(ht_run_nearest(run, query, stride, 1, n, run->view.scratch->hits, &found, err));
        HT_TRY(check(run, run->view.scratch->hits, &checked, found, k, hits, count, err));
        if (*count == k || n == s->live_count)
            return HITHER_OK;
    }
    if (!run->chosen)
        HT_TRY(ht_run_select(run, err));
    size_t most = run->rows < k ? (size_t)run->rows : k;
    *count = 0;
    return most ? ht_run_nearest(run, query, stride, 1, most, hits, count, err) : HITHER_OK;
}
