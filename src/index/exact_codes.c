/*
 * exact_codes.c: what codes rule out of a unit of rows. One query, or a few: the coarse halves first, then both halves
 * of the rows these keep, while coarse halves rule out most; a unit they fail on is read whole, and so are more and
 * more of those behind it. For a large k, one unit says little of the threshold, and rows read too soon are most of the
 * cost: bounds of many units are made first, then the rows that look best are read, then what their threshold keeps.
 * Several queries: a group of rows at a time against all of them, so that each code is read
 * once for many. What must stay true is in docs/decisions/0007-codes.md. Called by the workers of exact.c, each for
 * itself.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "index/exact_inside.h"

enum {
    PROBE_GROUPS = 2,  /* of a unit, for whether coarse halves are worth it there */
    NOW_ROWS = 256,    /* to be scored at once, of one unit */
    AHEAD_ROWS = 2,    /* rows to be scored are asked for this early */
    MOST_SKIPPED = 15, /* units, after coarse halves failed */
    SAMPLE_ROWS = 4096,
    CROWDED_ROWS = 20, /* of a group to be read: then reading all of it in a row is as fast */
    REFINED_GROUP = HT_GROUP_ROWS / HT_CODE_REFINED
};

/* How near a row with this bound may be: larger is nearer. */
static double promise_of(const ht_worker *w, float upper, float norm) {
    if (w->s->vectors->metric == HITHER_COSINE)
        return norm > 0 ? (double)upper / (double)norm : 0;
    if (w->s->vectors->metric == HITHER_L2)
        return (double)upper - 0.5 * (double)norm * (double)norm;
    return (double)upper;
}

/* Scores the k rows of the unit with the highest bounds, and takes them out of `words`: a threshold near the final one
 * from the start is worth ten times the rows scored later. Any choice of rows would be right. */
static hither_status warm_up(ht_worker *w, size_t j, const ht_part *part, size_t begin, uint64_t *words) {
    ht_topk best;
    ht_topk_init(&best, w->warm, w->s->k);
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++) {
        for (uint64_t left = words[g]; left != 0; left &= left - 1) {
            size_t i = g * HT_GROUP_ROWS + (size_t)__builtin_ctzll(left);
            double promise = promise_of(w, w->uppers[i], part->norms[begin + i]);
            if (!isnan(promise))
                ht_topk_push(&best, (ht_hit){-promise, i});
        }
    }
    for (size_t i = 0; i < best.count; i++) {
        size_t row = (size_t)best.hits[i].slot;
        HT_TRY(ht_exact_read(w, j, part, begin + row));
        words[row / HT_GROUP_ROWS] &= ~((uint64_t)1 << row % HT_GROUP_ROWS);
    }
    return HITHER_OK;
}

/* What keep_f32 says of one row. */
static bool keeps(const ht_rule *rule, const ht_candidate *c) {
    float key = c->upper + (rule->by_norm + rule->by_norm2 * c->norm) * c->norm; /* rules of dot products have sign 1 */
    return !(key < rule->limit && key >= -FLT_MAX);
}

static void ask_for(const ht_worker *w, const ht_candidate *c) {
    const char *x = (const char *)ht_row_at(c->part, c->row);
    for (size_t at = 0; at < w->s->row_bytes; at += 64)
        __builtin_prefetch(x + at, 0, 3);
}

/* Scores the candidates that the rule, which gets stricter meanwhile, still keeps. */
static hither_status score_candidates(ht_worker *w, size_t j, const ht_candidate *candidates, size_t count) {
    ht_query_state *state = &w->state[j];
    const ht_vectors *v = w->s->vectors;
    for (size_t i = 0; v->want && i < count; i++)
        v->want(v->touch_ctx, (size_t)(candidates[i].part - v->parts), candidates[i].row);
    for (size_t i = 0; i < count && i < AHEAD_ROWS; i++)
        ask_for(w, &candidates[i]);
    for (size_t i = 0; i < count; i++) {
        const ht_candidate *c = &candidates[i];
        if (i + AHEAD_ROWS < count)
            ask_for(w, &candidates[i + AHEAD_ROWS]);
        ht_exact_refresh_rule(w, &state->code_bound, j);
        if (keeps(&state->rule, c))
            HT_TRY(ht_exact_read(w, j, c->part, c->row));
    }
    return HITHER_OK;
}

/* Drops the waiting rows that have been ruled out since; scores the others if `now`, or if too many are left. */
static hither_status settle(ht_worker *w, size_t j, bool now) {
    ht_query_state *state = &w->state[j];
    ht_candidate *waiting = w->waiting + j * w->waiting_rows;
    size_t left = 0;
    ht_exact_refresh_rule(w, &state->code_bound, j);
    for (size_t i = 0; i < state->waiting; i++)
        if (keeps(&state->rule, &waiting[i]))
            waiting[left++] = waiting[i];
    state->waiting = left;
    if (!now && left <= w->waiting_rows / 2)
        return HITHER_OK;
    state->waiting = 0;
    return score_candidates(w, j, waiting, left);
}

/* Rows that codes kept, on their way: `now` are those to be scored at once. */
typedef struct kept_rows {
    const ht_part *part;
    size_t begin; /* row of the unit that uppers[0] is of */
    ht_rule promising;
    size_t count;
    ht_candidate now[NOW_ROWS];
} kept_rows;

/* promising: with a bound that is off by as little as `usual_rest` the row would make the threshold stricter. Which row
 * goes where changes no answer. */
static void start_keeping(kept_rows *k, const ht_query_state *state, const ht_code_query *code, const ht_part *part,
                          size_t begin, float usual_rest) {
    k->part = part;
    k->begin = begin;
    k->promising = state->rule;
    k->promising.limit += code->by_rest * usual_rest;
    k->count = 0;
}

static hither_status score_now(ht_worker *w, size_t j, kept_rows *k) {
    size_t count = k->count;
    k->count = 0;
    return score_candidates(w, j, k->now, count);
}

/* Of the group's rows in `word`, takes those that probably make the threshold stricter and lets the others that the
 * rule keeps wait: by the end most of them are ruled out. */
static hither_status keep_group(ht_worker *w, size_t j, kept_rows *k, size_t at, const float *uppers, uint64_t word) {
    const ht_kernels *kernels = w->s->kernels;
    ht_query_state *state = &w->state[j];
    const float *norms = k->part->norms + k->begin + at;
    uint64_t left = word & kernels->keep_f32(uppers, norms, HT_GROUP_ROWS, &state->rule);
    if (left == 0)
        return HITHER_OK;
    w->stats.rows_fine_kept += (uint64_t)__builtin_popcountll(left);
    uint64_t best = kernels->keep_f32(uppers, norms, HT_GROUP_ROWS, &k->promising);
    for (; left != 0; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left);
        ht_candidate c = {k->part, k->begin + at + i, uppers[i], norms[i]};
        if (best >> i & 1) {
            if (k->count == NOW_ROWS)
                HT_TRY(score_now(w, j, k));
            k->now[k->count++] = c;
            continue;
        }
        if (state->waiting == w->waiting_rows)
            HT_TRY(settle(w, j, false));
        w->waiting[j * w->waiting_rows + state->waiting++] = c;
    }
    return HITHER_OK;
}

/* ---- one query, one unit */

typedef struct unit {
    const ht_part *part;
    size_t begin;
    const char *blocks; /* the unit's first */
    size_t block_bytes;
} unit;

static unit unit_of(const ht_part *part, size_t begin, size_t words) {
    size_t block_bytes = ht_code_block_bytes(words);
    return (unit){part, begin, (const char *)part->codes + begin / HT_CODE_ROWS * block_bytes, block_bytes};
}

/* Bounds from the coarse halves, or from both, of those groups of which something is wanted. */
static void scan_groups(ht_worker *w, const ht_code_query *code, const unit *u, const uint64_t *words, size_t from,
                        size_t to, bool coarse) {
    const ht_kernels *kernels = w->s->kernels;
    for (size_t g = from, run; g < to; g += run) {
        for (run = 1; words[g] != 0 && g + run < to && words[g + run] != 0;)
            run++;
        if (words[g] == 0)
            continue;
        size_t at = g * HT_GROUP_ROWS;
        const char *blocks = u->blocks + g * u->block_bytes;
        if (coarse) {
            kernels->code_coarse(code, blocks, run, w->sums + at, w->uppers + at);
            w->stats.rows_coarse += run * HT_GROUP_ROWS;
        } else {
            kernels->code_upper(code, 1, blocks, run, w->uppers + at, HT_UNIT_ROWS);
            w->stats.rows_fine += run * HT_GROUP_ROWS;
            w->whole += run * HT_GROUP_ROWS;
        }
    }
}

/* Asks for the fine half of some rows. */
static void ask_for_fine(const unit *u, size_t words, size_t rows_at) {
    const char *half = u->blocks + rows_at / HT_CODE_ROWS * u->block_bytes + ht_code_half_bytes(words);
    size_t first = rows_at % HT_CODE_ROWS;
    for (size_t line = 0; line < words + 3; line++)
        __builtin_prefetch(half + line * HT_CODE_ROWS * sizeof(float) + first * sizeof(float), 0, 3);
}

/* Sets of HT_CODE_REFINED rows of a unit, by their first row in it. */
typedef struct refine_sets {
    uint16_t at[HT_UNIT_GROUPS * REFINED_GROUP];
    size_t count, of; /* of so many */
} refine_sets;

/* Rules rows out by their coarse halves: what is left of words[from ... to) goes to left, and which sets that is in. */
static void rule_out(ht_worker *w, size_t j, const ht_code_query *code, const unit *u, const uint64_t *words,
                     uint64_t *left, size_t from, size_t to, refine_sets *sets) {
#ifdef HT_ASSERTIONS
    ht_code_query weak = *code;
    weak.by_rest *= (float)ht_bound_test_coarse;
    code = &weak;
#endif
    scan_groups(w, code, u, words, from, to, true);
    for (size_t g = from; g < to; g++) {
        size_t at = g * HT_GROUP_ROWS;
        left[g] = 0;
        if (words[g] == 0)
            continue;
        const float *norms = u->part->norms + u->begin + at;
        left[g] = words[g] & w->s->kernels->keep_f32(w->uppers + at, norms, HT_GROUP_ROWS, &w->state[j].rule);
        w->stats.rows_coarse_kept += (uint64_t)__builtin_popcountll(left[g]);
        sets->of += REFINED_GROUP;
        for (size_t i = 0; left[g] != 0 && i < REFINED_GROUP; i++)
            if (left[g] >> i * HT_CODE_REFINED & 0xffff)
                sets->at[sets->count++] = (uint16_t)(at + i * HT_CODE_REFINED);
    }
}

/* Rules rows out by their coarse halves and gives those that are left bounds from both. false: that would be too many,
 * and nothing has come of it. */
static bool scan_coarse(ht_worker *w, size_t j, const ht_code_query *code, const unit *u, uint64_t *words) {
    refine_sets sets = {.count = 0};
    uint64_t left[HT_UNIT_GROUPS];
    rule_out(w, j, code, u, words, left, 0, PROBE_GROUPS, &sets);
    if (2 * sets.count > sets.of)
        return false;
    rule_out(w, j, code, u, words, left, PROBE_GROUPS, HT_UNIT_GROUPS, &sets);
    if (sets.count > 0)
        ask_for_fine(u, code->words, sets.at[0]);
    w->stats.rows_fine += sets.count * HT_CODE_REFINED;
    for (size_t i = 0; i < sets.count; i++) {
        size_t at = sets.at[i];
        if (i + 1 < sets.count)
            ask_for_fine(u, code->words, sets.at[i + 1]);
        const char *block = u->blocks + at / HT_CODE_ROWS * u->block_bytes;
        w->s->kernels->code_refine(code, block, at % HT_CODE_ROWS, w->sums + at, w->uppers + at);
    }
    memcpy(words, left, sizeof left);
    return true;
}

static hither_status scan_unit(ht_worker *w, size_t c, const unit *u, const uint64_t *words) {
    const ht_code_query *code = &w->codes[c];
    size_t j = w->code_of[c];
    ht_query_state *state = &w->state[j];
    uint64_t left[HT_UNIT_GROUPS];
    memcpy(left, words, sizeof left);
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++)
        w->stats.rows_scanned += words[g] != 0 ? HT_GROUP_ROWS : 0;
    state->limit = NAN;
    ht_exact_refresh_rule(w, &state->code_bound, j);
    bool first = isinf(state->limit), bounded = false;
    if (!first && state->skip == 0) {
        bounded = scan_coarse(w, j, code, u, left);
        state->skip_next = bounded ? 0 : ht_min_size(2 * state->skip_next + 1, MOST_SKIPPED);
        state->skip = state->skip_next;
    } else if (!first) {
        state->skip--;
    }
    if (!bounded)
        scan_groups(w, code, u, left, 0, HT_UNIT_GROUPS, false);
    if (first && !w->s->within && w->s->k <= HT_WARM_HITS) {
        HT_TRY(warm_up(w, j, u->part, u->begin, left));
        ht_exact_refresh_rule(w, &state->code_bound, j);
    }
    kept_rows k;
    const float *rests = (const float *)(const void *)(u->blocks + u->block_bytes / 2) + 2 * HT_CODE_ROWS;
    start_keeping(&k, state, code, u->part, u->begin, *rests);
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++)
        if (left[g] != 0)
            HT_TRY(keep_group(w, j, &k, g * HT_GROUP_ROWS, w->uppers + g * HT_GROUP_ROWS, left[g]));
    return score_now(w, j, &k);
}

/* ---- several queries */

/* One group of rows, all queries that are ready for codes. Their rules are fresh. */
static hither_status scan_group(ht_worker *w, const unit *u, size_t group, uint64_t word) {
    size_t at = group * HT_GROUP_ROWS;
    const char *block = u->blocks + group * u->block_bytes;
    const float *rests = (const float *)(const void *)(block + u->block_bytes / 2) + 2 * HT_CODE_ROWS;
    const float *norms = u->part->norms + u->begin + at;
    w->s->kernels->code_upper(w->codes, w->coded, block, 1, w->estimates, HT_GROUP_ROWS);
    w->stats.rows_scanned += HT_GROUP_ROWS * w->coded;
    w->stats.rows_fine += HT_GROUP_ROWS * w->coded;
    w->whole += HT_GROUP_ROWS * w->coded;
    for (size_t c = 0; c < w->coded; c++) {
        size_t j = w->code_of[c];
        const float *uppers = w->estimates + c * HT_GROUP_ROWS;
        uint64_t left = word & w->s->kernels->keep_f32(uppers, norms, HT_GROUP_ROWS, &w->state[j].rule);
        if (left == 0)
            continue;
        kept_rows k;
        start_keeping(&k, &w->state[j], &w->codes[c], u->part, u->begin, *rests);
        HT_TRY(keep_group(w, j, &k, at, uppers, left));
        HT_TRY(score_now(w, j, &k));
    }
    return HITHER_OK;
}

/* Whether every query has a threshold; their rules are fresh then. */
static bool all_bounded(ht_worker *w) {
    for (size_t c = 0; c < w->coded; c++) {
        size_t j = w->code_of[c];
        w->state[j].limit = NAN;
        ht_exact_refresh_rule(w, &w->state[j].code_bound, j);
        if (isinf(w->state[j].limit))
            return false;
    }
    return true;
}

/* ---- many units at once, for a large k */

/* A rule that keeps about k of the rows put off, those with the highest bounds against what they are compared by. Any
 * rule would be right. */
static ht_rule likely_rule(ht_worker *w, const float *uppers) {
    size_t rows = 0, k = w->s->k + w->s->k / 16, step, seen = 0;
    for (size_t i = 0; i < w->put_off_count; i++)
        for (size_t g = 0; g < HT_UNIT_GROUPS; g++)
            rows += (size_t)__builtin_popcountll(w->put_off[i].words[g]);
    step = ht_min_size(rows / SAMPLE_ROWS + 1, HT_GROUP_ROWS);
    while (k / step + 1 > HT_WARM_HITS)
        step++;
    ht_topk best;
    ht_topk_init(&best, w->warm, k / step + 1);
    for (size_t i = 0; i < w->put_off_count; i++) {
        const ht_put_off *from = &w->put_off[i];
        for (size_t g = 0; g < HT_UNIT_GROUPS; g++)
            for (uint64_t left = from->words[g]; left != 0; left &= left - 1) {
                size_t row = g * HT_GROUP_ROWS + (size_t)__builtin_ctzll(left);
                double promise = promise_of(w, uppers[i * HT_UNIT_ROWS + row], from->part->norms[from->begin + row]);
                if (seen++ % step == 0 && !isnan(promise))
                    ht_topk_push(&best, (ht_hit){-promise, seen});
            }
    }
    double limit = -ht_topk_limit(&best);
    if (isinf(limit))
        return (ht_rule){1, 0, 0, -INFINITY};
    if (w->s->vectors->metric == HITHER_COSINE)
        return (ht_rule){1, (float)-limit, 0, 0};
    return (ht_rule){1, 0, w->s->vectors->metric == HITHER_L2 ? -0.5f : 0, (float)limit};
}

/* Reads the rows put off that `likely` keeps; or, the second time, those of the others that the threshold keeps. */
static hither_status read_put_off(ht_worker *w, size_t j, const float *uppers, const ht_rule *likely, bool second) {
    const ht_kernels *kernels = w->s->kernels;
    kept_rows k = {.count = 0};
    for (size_t at = 0; at < w->put_off_count * HT_UNIT_ROWS; at += HT_GROUP_ROWS) {
        const ht_put_off *from = &w->put_off[at / HT_UNIT_ROWS];
        size_t in_unit = at % HT_UNIT_ROWS;
        uint64_t left = from->words[in_unit / HT_GROUP_ROWS];
        if (left == 0)
            continue;
        const float *norms = from->part->norms + from->begin + in_unit;
        uint64_t best = likely ? kernels->keep_f32(uppers + at, norms, HT_GROUP_ROWS, likely) : 0;
        if (second)
            ht_exact_refresh_rule(w, &w->state[j].code_bound, j);
        left &= second ? ~best & kernels->keep_f32(uppers + at, norms, HT_GROUP_ROWS, &w->state[j].rule) : best;
        w->stats.rows_fine_kept += (uint64_t)__builtin_popcountll(left);
        if (__builtin_popcountll(left) >= CROWDED_ROWS) {
            HT_TRY(ht_exact_read_group(w, j, from->part, from->begin + in_unit, left));
            continue;
        }
        for (; left != 0; left &= left - 1) {
            size_t i = (size_t)__builtin_ctzll(left);
            if (k.count == NOW_ROWS)
                HT_TRY(score_now(w, j, &k));
            k.now[k.count++] = (ht_candidate){from->part, from->begin + in_unit + i, uppers[at + i], norms[i]};
        }
    }
    return score_now(w, j, &k);
}

static hither_status choose(ht_worker *w) {
    for (size_t c = 0; w->put_off_count > 0 && c < w->coded; c++) {
        const float *uppers = w->put_off_uppers + c * w->put_off_room * HT_UNIT_ROWS;
        size_t j = w->code_of[c];
        ht_query_state *state = &w->state[j];
        state->limit = NAN;
        ht_exact_refresh_rule(w, &state->code_bound, j);
        bool first = !w->chosen; /* any threshold comes from few rows */
        ht_rule likely = {1, 0, 0, -INFINITY};
        if (first) {
            likely = likely_rule(w, uppers);
            HT_TRY(read_put_off(w, j, uppers, &likely, false));
        }
        HT_TRY(read_put_off(w, j, uppers, first ? &likely : NULL, true));
    }
    w->chosen |= w->put_off_count > 0;
    w->put_off_count = 0;
    return HITHER_OK;
}

static hither_status put_off(ht_worker *w, const unit *u, const uint64_t *words) {
    if (w->put_off_count == w->put_off_room)
        HT_TRY(choose(w));
    ht_put_off *to = &w->put_off[w->put_off_count];
    float *uppers = w->put_off_uppers + w->put_off_count * HT_UNIT_ROWS;
    w->put_off_count++;
    to->part = u->part;
    to->begin = u->begin;
    memcpy(to->words, words, sizeof to->words);
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++) {
        if (words[g] == 0)
            continue;
        w->s->kernels->code_upper(w->codes, w->coded, u->blocks + g * u->block_bytes, 1, uppers + g * HT_GROUP_ROWS,
                                  w->put_off_room * HT_UNIT_ROWS);
        w->stats.rows_scanned += HT_GROUP_ROWS * w->coded;
        w->stats.rows_fine += HT_GROUP_ROWS * w->coded;
        w->whole += HT_GROUP_ROWS * w->coded;
    }
    return HITHER_OK;
}

hither_status ht_exact_scan_codes(ht_worker *w, const ht_part *part, size_t begin, const uint64_t *words) {
    unit u = unit_of(part, begin, w->codes->words);
    if (w->put_off_room > 0)
        return put_off(w, &u, words);
    if (w->coded >= HT_MANY_QUERIES && all_bounded(w)) {
        for (size_t g = 0; g < HT_UNIT_GROUPS; g++)
            if (words[g] != 0)
                HT_TRY(scan_group(w, &u, g, words[g]));
        return HITHER_OK;
    }
    for (size_t c = 0; c < w->coded; c++)
        HT_TRY(scan_unit(w, c, &u, words));
    return HITHER_OK;
}

hither_status ht_exact_settle(ht_worker *w) {
    HT_TRY(choose(w));
    for (size_t j = 0; j < w->queries; j++) {
        w->state[j].limit = NAN; /* the last rule may have been for f32 */
        if (w->state[j].waiting > 0)
            HT_TRY(settle(w, j, true));
    }
    return HITHER_OK;
}

void ht_exact_prepare_codes(ht_worker *w, size_t j) {
    ht_query_state *state = &w->state[j];
    const ht_vectors *v = w->s->vectors;
    ht_code_query *code = &w->codes[w->coded];
    int8_t *room = w->code_room + j * ht_code_query_room(v->dim);
    double error;
    if (!ht_code_query_make(state->query, v->dim, state->qq, room, code, &error))
        return;
    if (v->dtype == HITHER_F64) { /* what rounding it to f32 took */
        error += 0x1p-22;
        code->by_rest *= 1 + 0x1p-20f;
    }
    double share = ht_bound_share(w->s->standard_errors, v->dim);
    if (share < 1) {
        error *= share;
        code->by_rest *= (float)share;
    }
    state->code_bound = ht_bound_make_codes(v->metric, v->dim, error);
#ifdef HT_ASSERTIONS
    code->by_rest *= (float)ht_bound_test_scale;
#endif
    state->coded = true;
    state->skip = state->skip_next = 0;
    w->code_of[w->coded++] = j;
}
