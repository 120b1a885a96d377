/*
 * exact_choice.c: whether the next rows are read by their codes or in full. Codes are read for a fraction of what rows
 * cost, but each row they keep is then read by itself, out of order and for one query only, while rows read in full are
 * read once for all queries of a block. So codes are given up where they keep too much: for a small k, unit by unit, by
 * what the last one took; for a large k, where all bounds are made before any row is read, by a sample before that.
 * What must stay true: nothing here changes an answer. Called by the workers of exact.c, each for itself.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "index/exact_inside.h"

/* What one row costs one query, measured on rows of 384 dimensions beyond the caches: in full, for a query alone, it is
 * 1; several share it, down to what the products take; by codes, alone and in blocks; and read by itself, which for a
 * large k comes with going over the bounds of all rows twice. */
static const double FULL_SHARED = 1.0 / 7, CODE_ALONE = 1.0 / 7, CODE_SHARED = 1.0 / 20, BY_ITSELF = 2, CHOSEN = 3;

enum {
    MOST_UNITS_IN_FULL = 15, /* before codes are tried again */
    SAMPLED_HITS = 16,       /* of the k nearest are in the sample, as far as its size allows that */
    LEAST_SAMPLE = 4,        /* groups */
    MOST_SAMPLE = HT_UNIT_GROUPS
};

/* Whether codes cost more than they save when they keep so many of the rows. */
static bool too_many(const ht_worker *w, double kept, double rows) {
    double alone = 1 / (double)w->queries, full = alone > FULL_SHARED ? alone : FULL_SHARED;
    double code = w->queries < HT_MANY_QUERIES && !w->s->puts_off ? CODE_ALONE : CODE_SHARED;
    return rows > 0 && code + (w->s->puts_off ? CHOSEN : BY_ITSELF) * kept / rows > full;
}

bool ht_exact_by_codes(ht_worker *w) {
    if (w->coded == 0)
        return false;
    if (w->in_full == 0)
        return true;
    if (w->in_full != HT_ALL_IN_FULL)
        w->in_full--;
    return false;
}

void ht_exact_judge(ht_worker *w, const uint64_t *words, uint64_t reads) {
    uint64_t rows = 0;
    bool first = !w->judged;
    w->judged = true;
    if (w->s->puts_off || first) /* the first unit has no threshold to begin with */
        return;
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++)
        rows += (uint64_t)__builtin_popcountll(words[g]);
    if (too_many(w, (double)reads, (double)(rows * w->coded)))
        w->in_full_next = (unsigned)ht_min_size(2 * (size_t)w->in_full_next + 1, MOST_UNITS_IN_FULL);
    else
        w->in_full_next = 0;
    w->in_full = w->in_full_next;
}

size_t ht_exact_sample_groups(const ht_search *s) {
    size_t groups = SAMPLED_HITS * (s->rows / HT_GROUP_ROWS + 1) / s->k;
    return groups < LEAST_SAMPLE ? LEAST_SAMPLE : ht_min_size(groups, MOST_SAMPLE);
}

/* The threshold there will be for query j in the end, as far as its estimates of `groups` groups tell: of the k nearest
 * of all rows these have their share. +inf: they have not so many rows. */
static double threshold_to_be(ht_worker *w, size_t j, size_t groups) {
    ht_topk best = w->state[j].ceilings;
    size_t share = w->s->k * groups * HT_GROUP_ROWS / w->s->rows;
    if (share >= best.count)
        return (double)INFINITY;
    ht_topk nearest;
    ht_topk_init(&nearest, w->warm, ht_min_size(share + 1, HT_WARM_HITS));
    for (size_t i = 0; i < best.count; i++)
        ht_topk_push(&nearest, best.hits[i]);
    return ht_topk_limit(&nearest);
}

void ht_exact_foresee(ht_worker *w, const ht_part *part, size_t begin, const uint64_t *words) {
    const ht_kernels *kernels = w->s->kernels;
    size_t block_bytes = ht_code_block_bytes(w->codes->words), groups = 0;
    uint64_t rows = 0, kept = 0;
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++)
        groups += words[g] != 0;
    for (size_t c = 0; c < w->coded; c++) {
        const ht_query_state *state = &w->state[w->code_of[c]];
        double threshold = threshold_to_be(w, w->code_of[c], groups);
        ht_rule rule = ht_bound_rule(&state->code_bound, state->qq, threshold);
        for (size_t g = 0; g < HT_UNIT_GROUPS; g++) {
            size_t at = begin + g * HT_GROUP_ROWS;
            if (words[g] == 0)
                continue;
            kernels->code_upper(&w->codes[c], 1, (const char *)part->codes + at / HT_CODE_ROWS * block_bytes, 1,
                                w->uppers, HT_GROUP_ROWS);
            rows += (uint64_t)__builtin_popcountll(words[g]);
            uint64_t left = words[g] & kernels->keep_f32(w->uppers, part->norms + at, HT_GROUP_ROWS, &rule);
            kept += (uint64_t)__builtin_popcountll(left);
        }
    }
    w->judged = true;
    w->in_full = too_many(w, (double)kept, (double)rows) ? HT_ALL_IN_FULL : 0;
}
