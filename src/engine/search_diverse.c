/*
 * search_diverse.c: hits that are near the query and unlike one another (maximal marginal relevance). Of the nearest
 * `candidates` rows the nearest is taken first, then again and again the one with the least
 *
 *     (1 - diversity) * D(query, row) - diversity * min over those taken of D(taken, row)
 *
 * ties by distance and order of writing. D is the reference distance, so the choice is the same on every machine.
 */
#include "engine/search.h"

#include <math.h>

#include "kernels/kernels.h"
#include "kernels/reference.h"

typedef struct candidate {
    ht_hit hit;
    const float *row;
    double nearest; /* distance to the nearest of those taken */
    bool taken;
} candidate;

/* The position of the one to take next; there is one. */
static size_t choose(const candidate *all, size_t count, double diversity) {
    size_t best = SIZE_MAX;
    double least = INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (all[i].taken)
            continue;
        double near = (1 - diversity) * all[i].hit.distance, far = diversity * all[i].nearest;
        if (best == SIZE_MAX || near - far < least) {
            least = near - far;
            best = i;
        }
    }
    return best;
}

/* Puts those taken, in order, where the candidates were found. */
static hither_status take_all(ht_run *run, candidate *all, size_t count, hither_error *err) {
    size_t wanted = ht_min_size(run->search->k, count), next = 0;
    for (size_t n = 0; n < wanted; n++) {
        run->view.scratch->hits[n] = all[next].hit;
        all[next].taken = true;
        if (n + 1 == wanted)
            break;
        for (size_t i = 0; i < count; i++) {
            if (all[i].taken)
                continue;
            const double d = ht_ref_distance_f32(run->metric, all[next].row, all[i].row, run->dim);
            all[i].nearest = d < all[i].nearest ? d : all[i].nearest;
        }
        next = choose(all, count, run->search->diversity);
    }
    ht_explain_stage(&run->explain, "diversity", NULL, count, wanted);
    return ht_run_add(run, run->view.scratch->hits, wanted, err);
}

hither_status ht_search_diverse(ht_run *run, const float *query, hither_error *err) {
    ht_scratch *scratch = run->view.scratch;
    size_t k = run->rows < run->search->candidates ? (size_t)run->rows : run->search->candidates;
    HT_TRY(ht_scratch_reserve(scratch, k, 1, err));
    HT_TRY(ht_run_nearest(run, query, run->dim * sizeof(float), 1, k, scratch->hits, scratch->counts, err));
    size_t count = ht_run_cut(run, scratch->hits, scratch->counts[0]);
    candidate *all = ht_calloc(count, sizeof *all);
    if (!all)
        return ht_fail_nomem(err, count * sizeof *all, "the candidates of a search");
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        all[i] = (candidate){.hit = scratch->hits[i], .nearest = INFINITY};
        status = ht_reading_vector(&run->view, all[i].hit.slot, run->search->field, &all[i].row, err);
    }
    if (status == HITHER_OK)
        status = take_all(run, all, count, err);
    ht_release(all);
    return status;
}
