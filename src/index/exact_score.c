/*
 * exact_score.c: from an estimate in full width to D. An estimate puts D into a range (bound.h); the k-th lowest top of
 * these ranges is a threshold, as k rows have a D that is no higher. Rows whose range begins above it are out; the
 * others are finalists, and only when all rows were seen, or too many finalists are left, are these scored by D: about
 * k rows a query are. What must stay true: every row is counted once in `ceilings`, with a number its D does not
 * exceed. Called by the workers of a search, each for itself.
 */
#include <math.h>

#include "index/exact_inside.h"

static void shared_limit_lower(_Atomic double *shared, double limit) {
    double seen = atomic_load_explicit(shared, memory_order_relaxed);
    while (limit < seen &&
           !atomic_compare_exchange_weak_explicit(shared, &seen, limit, memory_order_relaxed, memory_order_relaxed))
        ;
}

double ht_exact_limit(ht_worker *w, size_t j) {
    ht_query_state *state = &w->state[j];
    if (w->s->within)
        return w->s->radius_limit;
    double limit = ht_topk_limit(&state->ceilings), scored = ht_topk_limit(&state->top);
    limit = scored < limit ? scored : limit;
    if (!w->s->by_blocks && w->s->threads > 1) {
        shared_limit_lower(&w->s->limits[j], limit);
        limit = fmin(limit, atomic_load_explicit(&w->s->limits[j], memory_order_relaxed));
    }
    return limit;
}

void ht_exact_refresh_rule(ht_worker *w, const ht_bound *bound, size_t j) {
    ht_query_state *state = &w->state[j];
    double limit = ht_exact_limit(w, j);
    if (limit == state->limit)
        return;
    state->limit = limit;
    state->rule = ht_bound_rule(bound, state->qq, state->wild ? (double)INFINITY : limit);
}

static hither_status fail_not_finite(ht_worker *w, const ht_part *part, size_t row) {
    ht_layout layout = ht_layout_of(w->s->vectors, part);
    unsigned long long slot = part->first_slot + row;
    size_t column = ht_stored_not_finite(&layout, ht_row_at(part, row));
    if (column > layout.dim)
        return ht_fail(&w->error, HITHER_NOT_FINITE, "row in slot %llu: its distance is beyond f64", slot);
    return ht_fail(&w->error, HITHER_NOT_FINITE, "row in slot %llu, column %zu: not a finite number", slot, column);
}

/* Scores the row by D and keeps it if it is among the best. */
static hither_status score(ht_worker *w, ht_query_state *state, const ht_part *part, size_t row, ht_hit *hit) {
    const ht_search *s = w->s;
    ht_layout layout = ht_layout_of(s->vectors, part);
    double xx = 0;
    double d = ht_stored_distance(s->kernels, &layout, s->vectors->metric, state->given, state->qq,
                                  ht_row_at(part, row), w->scratch, &xx);
    if (!isfinite(d) || !isfinite(xx))
        return fail_not_finite(w, part, row);
    w->stats.rows_rescored++;
    *hit = (ht_hit){d, part->first_slot + row};
    if (s->within)
        return (float)d <= s->radius ? ht_found_add(&state->found, *hit, &w->error) : HITHER_OK;
    ht_topk_push(&state->top, *hit);
    return HITHER_OK;
}

static void drop_finalists(ht_worker *w, size_t j) {
    ht_query_state *state = &w->state[j];
    double limit = ht_exact_limit(w, j);
    size_t left = 0;
    for (size_t i = 0; i < state->finalist_count; i++)
        if (state->finalists[i].low <= limit)
            state->finalists[left++] = state->finalists[i];
    state->finalist_count = left;
}

hither_status ht_exact_score_finalists(ht_worker *w, size_t j) {
    ht_query_state *state = &w->state[j];
    ht_hit hit;
    drop_finalists(w, j);
    for (size_t i = 0; i < state->finalist_count; i++) {
        const ht_finalist *f = &state->finalists[i];
        if (f->low <= ht_topk_limit(&state->top))
            HT_TRY(score(w, state, f->part, f->row, &hit));
    }
    state->finalist_count = 0;
    return HITHER_OK;
}

hither_status ht_exact_estimated(ht_worker *w, size_t j, const ht_bound *bound, const ht_part *part, size_t row,
                                 float estimate, float norm) {
    ht_query_state *state = &w->state[j];
    ht_range range = ht_bound_range(bound, state->qq, state->length, (double)estimate, (double)norm);
    bool known = range.low > -(double)INFINITY && !state->wild;
    if (known && range.low > ht_exact_limit(w, j))
        return HITHER_OK;
    w->stats.rows_full_kept++;
    if (w->s->within || !known || w->s->vectors->metric == HITHER_HAMMING) {
        ht_hit hit;
        HT_TRY(score(w, state, part, row, &hit));
        if (!w->s->within)
            ht_topk_push(&state->ceilings, hit);
        return HITHER_OK;
    }
    if (state->finalist_count == w->finalist_room) {
        drop_finalists(w, j);
        if (state->finalist_count > w->finalist_room / 8 * 7)
            HT_TRY(ht_exact_score_finalists(w, j));
    }
    ht_topk_push(&state->ceilings, (ht_hit){range.high, part->first_slot + row});
    state->finalists[state->finalist_count++] = (ht_finalist){part, row, range.low};
    return HITHER_OK;
}
