/*
 * exact.c: exact search by estimate, bound and D. The rows are cut into units of 1,024 that threads take one at a
 * time; a unit is worked through in groups of 64 rows, one mask word each, against a block of up to 64 queries. Groups
 * that have codes are estimated from these, a query at a time while the unit's codes are in the cache. Each
 * worker keeps the k best by D of what it saw; the k-th best is the threshold of its rules (bound.h). What must stay
 * true: a row is dropped only by such a rule, and a threshold only ever comes from D of live, allowed rows.
 */
#include "index/exact.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/values.h"
#include "index/bound.h"
#include "index/codes.h"
#include "index/mask.h"
#include "index/stored.h"
#include "kernels/kernels.h"

enum {
    GROUP_ROWS = 64,
    UNIT_ROWS = 1024,
    UNIT_GROUPS = UNIT_ROWS / GROUP_ROWS,
    SPARSE_ROWS = 6, /* of a group: no more than these are read in f32 at once, codes or not */
    WARM_HITS = 256, /* the largest k for which a first threshold comes from the most promising rows of a unit */
    WAITING_ROWS = 512,
    AHEAD_ROWS = 2, /* rows to be scored are asked for this early */
    BLOCK_QUERIES = 64,
    HITS_A_WORKER = 1 << 20, /* room for the heaps of one worker: fewer queries at once when k is large */
    TILE_BYTES = 24 << 10,
    ALONE_BYTES = 32 << 20, /* one query that reads no more than this runs on its caller */
    ALONE_SUMS = 1 << 20    /* so does a search of so few products that waking a thread costs more */
};

/* One search: read-only while workers run, but for the atomics. */
typedef struct search {
    const ht_vectors *vectors;
    const void *queries;
    size_t query_stride, query_count, block_queries;
    const ht_mask *live, *allow;
    const ht_kernels *kernels;
    size_t k;           /* no more than there are rows */
    size_t *first_unit; /* of each part, and one past the last */
    size_t units;
    size_t row_bytes;
    ht_hit *hits; /* k a query: nothing reaches the caller before all went well */
    size_t *counts;
    unsigned threads;
    size_t blocks, block; /* of queries; the one being worked on when workers share a block */
    bool by_blocks;       /* workers take whole blocks of queries instead of units of rows */
    _Atomic size_t next;  /* unit, or block */
    _Atomic int failed;
    _Atomic double limits[BLOCK_QUERIES]; /* a threshold some worker reached, for each query of a shared block */
    struct worker *workers;
} search;

typedef struct query_state {
    const float *query; /* in f32 */
    const void *given;
    double qq;
    bool wild;    /* rounding to f32 may have changed it beyond all bounds: every row is scored */
    double limit; /* the threshold `rule` was made for */
    ht_rule rule;
    ht_topk top;
    ht_bound code_bound;
    ht_code_query code;
    size_t waiting; /* rows */
} query_state;

/* A row that codes could not rule out. */
typedef struct candidate {
    const ht_part *part;
    size_t row;
    float upper, norm;
} candidate;

typedef struct worker {
    search *s;
    size_t queries;     /* in the block */
    ht_hit *room;       /* for the heaps of a shared block; worker 0 has its heaps in search.hits */
    int8_t *code_room;  /* for the queries of a block against codes; NULL: there are none */
    candidate *waiting; /* WAITING_ROWS a query */
    bool coded;         /* every query of the block is ready for codes */
    float *tile;        /* rows as f32, for types that are not; so for the queries of a block of f64 */
    size_t tile_rows;
    float *rounded;
    void *scratch; /* for D */
    uint64_t scanned, rescored;
    bool took_part;
    hither_status status;
    hither_error error;
    query_state state[BLOCK_QUERIES];
    float norms[GROUP_ROWS];
    float estimates[BLOCK_QUERIES * GROUP_ROWS];
    float uppers[UNIT_ROWS];
    ht_hit warm[WARM_HITS];
} worker;

static const void *query_at(const search *s, size_t i) { return (const char *)s->queries + i * s->query_stride; }
static const void *row_at(const ht_part *part, size_t i) { return (const char *)part->rows + i * part->stride; }

static ht_layout layout_of(const ht_vectors *v, const ht_part *part) {
    return (ht_layout){v->dtype, part && part->bare, v->dim};
}

void ht_exact_norms(const void *rows, size_t stride, size_t count, size_t dim, float *norms) {
    const ht_kernels *kernels = ht_kernels_get();
    for (size_t i = 0; i < count; i++) {
        const float *row = (const float *)(const void *)((const char *)rows + i * stride);
        double norm = sqrt(kernels->ref_dot_f32(row, row, dim)) * (1 + 0x1p-38);
        float rounded = (float)norm;
        norms[i] = (double)rounded < norm ? nextafterf(rounded, INFINITY) : rounded;
    }
}

/* ---- one worker, one block of queries */

static void shared_limit_lower(_Atomic double *shared, double limit) {
    double seen = atomic_load_explicit(shared, memory_order_relaxed);
    while (limit < seen &&
           !atomic_compare_exchange_weak_explicit(shared, &seen, limit, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* Makes the rule of query j anew if its threshold has moved. */
static void refresh_rule(worker *w, const ht_bound *bound, size_t j) {
    query_state *state = &w->state[j];
    double limit = ht_topk_limit(&state->top);
    if (!w->s->by_blocks && w->s->threads > 1) {
        shared_limit_lower(&w->s->limits[j], limit);
        double shared = atomic_load_explicit(&w->s->limits[j], memory_order_relaxed);
        limit = shared < limit ? shared : limit;
    }
    if (limit == state->limit)
        return;
    state->limit = limit;
    state->rule = ht_bound_rule(bound, state->qq, state->wild ? (double)INFINITY : limit);
}

static hither_status fail_not_finite(worker *w, const ht_part *part, size_t row) {
    ht_layout layout = layout_of(w->s->vectors, part);
    unsigned long long slot = part->first_slot + row;
    size_t column = ht_stored_not_finite(&layout, row_at(part, row));
    if (column > layout.dim)
        return ht_fail(&w->error, HITHER_NOT_FINITE, "row in slot %llu: its distance is beyond f64", slot);
    return ht_fail(&w->error, HITHER_NOT_FINITE, "row in slot %llu, column %zu: not a finite number", slot, column);
}

static hither_status score(worker *w, query_state *state, const ht_part *part, size_t row) {
    const search *s = w->s;
    ht_layout layout = layout_of(s->vectors, part);
    double d, xx = 0;
    if (s->vectors->touch_codes && s->vectors->touch) {
        size_t p = (size_t)(part - s->vectors->parts);
        HT_TRY(s->vectors->touch(s->vectors->touch_ctx, p, row, row + 1, &w->error));
    }
    d = ht_stored_distance(s->kernels, &layout, s->vectors->metric, state->given, state->qq, row_at(part, row),
                           w->scratch, &xx);
    if (!isfinite(d) || !isfinite(xx))
        return fail_not_finite(w, part, row);
    ht_topk_push(&state->top, (ht_hit){d, part->first_slot + row});
    w->rescored++;
    return HITHER_OK;
}

static void root_norms(worker *w, size_t at, size_t count) {
    for (size_t i = at; i < at + count; i++)
        w->norms[i] = sqrtf(w->norms[i]);
}

/* Estimates for `count` rows as f32, which are at `at` in their group, and their norms where the rules need them. */
static void estimate_f32(worker *w, const ht_bound *bound, const ht_part *part, const void *rows, size_t stride,
                         size_t at, size_t count) {
    const search *s = w->s;
    const ht_kernels *kernels = s->kernels;
    const float *query = w->state[0].query;
    size_t dim = s->vectors->dim, query_stride = w->rounded ? dim * sizeof(float) : s->query_stride;
    if (bound->direct) {
        for (size_t j = 0; j < w->queries; j++) {
            float *out = w->estimates + j * GROUP_ROWS + at;
            if (s->vectors->metric == HITHER_L1)
                kernels->l1_f32(w->state[j].query, rows, stride, count, dim, out);
            else
                kernels->l2_f32(w->state[j].query, rows, stride, count, dim, out);
        }
        if (bound->widened > 0 && !part->norms) {
            kernels->norm_f32(rows, stride, count, dim, w->norms + at);
            root_norms(w, at, count);
        }
        return;
    }
    if (w->queries == 1 && part->norms) {
        kernels->dot_f32(query, rows, stride, count, dim, w->estimates + at);
        return;
    }
    if (w->queries == 1) {
        kernels->dot_norm_f32(query, rows, stride, count, dim, w->estimates + at, w->norms + at);
    } else {
        if (!part->norms)
            kernels->norm_f32(rows, stride, count, dim, w->norms + at);
        kernels->dots_f32(query, query_stride, w->queries, rows, stride, count, dim, w->estimates + at, GROUP_ROWS);
    }
    if (!part->norms)
        root_norms(w, at, count);
}

/* The same for rows [at, at + count) of the group that begins at row `first`. */
static void estimate(worker *w, const ht_bound *bound, const ht_part *part, size_t first, size_t at, size_t count) {
    const search *s = w->s;
    ht_layout layout = layout_of(s->vectors, part);
    w->scanned += count * w->queries;
    if (layout.dtype == HITHER_B1) {
        for (size_t j = 0; j < w->queries; j++)
            s->kernels->hamming_b1(w->state[j].given, row_at(part, first + at), part->stride, count, layout.dim,
                                   w->estimates + j * GROUP_ROWS + at);
        return;
    }
    if (!w->tile) {
        estimate_f32(w, bound, part, row_at(part, first + at), part->stride, at, count);
        return;
    }
    for (size_t done = 0, n; done < count; done += n) {
        n = ht_min_size(w->tile_rows, count - done);
        ht_stored_widen(s->kernels, &layout, row_at(part, first + at + done), part->stride, n, w->tile);
        estimate_f32(w, bound, part, w->tile, layout.dim * sizeof(float), at + done, n);
    }
}

/* word: the rows of this group that take part, at least one. */
static hither_status scan_group(worker *w, const ht_bound *bound, const ht_part *part, size_t first, size_t count,
                                uint64_t word) {
    if ((size_t)__builtin_popcountll(word) * 2 >= count) {
        estimate(w, bound, part, first, 0, count);
    } else {
        for (uint64_t left = word; left != 0;) {
            size_t at = (size_t)__builtin_ctzll(left);
            size_t run = (size_t)__builtin_ctzll(~(left >> at));
            estimate(w, bound, part, first, at, run);
            left &= ~((((uint64_t)1 << run) - 1) << at);
        }
    }
    const float *norms = bound->direct && bound->widened == 0 ? NULL : part->norms ? part->norms + first : w->norms;
    for (size_t j = 0; j < w->queries; j++) {
        refresh_rule(w, bound, j);
        query_state *state = &w->state[j];
        uint64_t kept = w->s->kernels->keep_f32(w->estimates + j * GROUP_ROWS, norms, count, &state->rule) & word;
        for (; kept != 0; kept &= kept - 1)
            HT_TRY(score(w, state, part, first + (size_t)__builtin_ctzll(kept)));
    }
    return HITHER_OK;
}

/* ---- codes */

/* Scores the k rows of the unit with the highest bounds, and takes them out of `words`: a threshold near the final one
 * from the start is worth ten times the rows scored later. Any choice of rows would be right. */
static hither_status warm_up(worker *w, query_state *state, const ht_part *part, size_t begin, uint64_t *words) {
    ht_topk best;
    ht_topk_init(&best, w->warm, w->s->k);
    for (size_t g = 0; g < UNIT_GROUPS; g++) {
        for (uint64_t left = words[g]; left != 0; left &= left - 1) {
            size_t i = g * GROUP_ROWS + (size_t)__builtin_ctzll(left);
            double upper = (double)w->uppers[i], norm = (double)part->norms[begin + i], promise = upper;
            if (w->s->vectors->metric == HITHER_COSINE)
                promise = norm > 0 ? upper / norm : 0;
            else if (w->s->vectors->metric == HITHER_L2)
                promise = 2 * upper - norm * norm;
            if (!isnan(promise))
                ht_topk_push(&best, (ht_hit){-promise, i});
        }
    }
    for (size_t i = 0; i < best.count; i++) {
        size_t row = (size_t)best.hits[i].slot;
        HT_TRY(score(w, state, part, begin + row));
        words[row / GROUP_ROWS] &= ~((uint64_t)1 << row % GROUP_ROWS);
    }
    return HITHER_OK;
}

static void ask_for(const worker *w, const candidate *c) {
    const char *x = (const char *)row_at(c->part, c->row);
    for (size_t at = 0; at < w->s->row_bytes; at += 64)
        __builtin_prefetch(x + at, 0, 3);
}

/* Scores the candidates that the rule, which gets stricter meanwhile, still keeps. */
static hither_status score_candidates(worker *w, size_t j, const candidate *candidates, size_t count) {
    query_state *state = &w->state[j];
    for (size_t i = 0; i < count && i < AHEAD_ROWS; i++)
        ask_for(w, &candidates[i]);
    for (size_t i = 0; i < count; i++) {
        const candidate *c = &candidates[i];
        if (i + AHEAD_ROWS < count)
            ask_for(w, &candidates[i + AHEAD_ROWS]);
        refresh_rule(w, &state->code_bound, j);
        if (w->s->kernels->keep_f32(&c->upper, &c->norm, 1, &state->rule))
            HT_TRY(score(w, state, c->part, c->row));
    }
    return HITHER_OK;
}

/* Drops the waiting rows that have been ruled out since; scores the others if `now`, or if too many are left. */
static hither_status settle(worker *w, size_t j, bool now) {
    query_state *state = &w->state[j];
    candidate *waiting = w->waiting + j * WAITING_ROWS;
    size_t left = 0;
    refresh_rule(w, &state->code_bound, j);
    for (size_t i = 0; i < state->waiting; i++)
        if (w->s->kernels->keep_f32(&waiting[i].upper, &waiting[i].norm, 1, &state->rule))
            waiting[left++] = waiting[i];
    state->waiting = left;
    if (!now && left <= WAITING_ROWS / 2)
        return HITHER_OK;
    state->waiting = 0;
    return score_candidates(w, j, waiting, left);
}

/* Of the unit's rows in `words`, scores those that probably make the threshold stricter and lets the others that the
 * rule keeps wait: by the end most of them are ruled out. */
static hither_status score_kept(worker *w, size_t j, const ht_part *part, size_t begin, const uint64_t *words,
                                float usual_rest) {
    const ht_kernels *kernels = w->s->kernels;
    query_state *state = &w->state[j];
    ht_rule promising = state->rule;
    promising.limit += state->code.by_rest * usual_rest; /* which row goes where changes no answer */
    candidate now[UNIT_ROWS];
    size_t count = 0;
    for (size_t g = 0; g < UNIT_GROUPS; g++) {
        size_t at = g * GROUP_ROWS;
        if (words[g] == 0)
            continue;
        uint64_t left =
            words[g] & kernels->keep_f32(w->uppers + at, part->norms + begin + at, GROUP_ROWS, &state->rule);
        if (left == 0)
            continue;
        uint64_t best = kernels->keep_f32(w->uppers + at, part->norms + begin + at, GROUP_ROWS, &promising);
        for (; left != 0; left &= left - 1) {
            size_t i = at + (size_t)__builtin_ctzll(left);
            candidate c = {part, begin + i, w->uppers[i], part->norms[begin + i]};
            if (best >> (i - at) & 1) {
                now[count++] = c;
                continue;
            }
            if (state->waiting == WAITING_ROWS)
                HT_TRY(settle(w, j, false));
            w->waiting[j * WAITING_ROWS + state->waiting++] = c;
        }
    }
    return score_candidates(w, j, now, count);
}

/* words: the rows of the unit that begins at row `begin`, all of them in coded groups. */
static hither_status scan_codes(worker *w, size_t j, const ht_part *part, size_t begin, const uint64_t *words) {
    query_state *state = &w->state[j];
    size_t block_bytes = ht_code_block_bytes(state->code.words);
    const char *blocks = (const char *)part->codes + begin / HT_CODE_ROWS * block_bytes;
    const size_t group_blocks = GROUP_ROWS / HT_CODE_ROWS;
    uint64_t left[UNIT_GROUPS];
    memcpy(left, words, sizeof left);
    for (size_t g = 0, run; g < UNIT_GROUPS; g += run) {
        for (run = 1; words[g] != 0 && g + run < UNIT_GROUPS && words[g + run] != 0;)
            run++;
        if (words[g] == 0)
            continue;
        w->s->kernels->code_upper(&state->code, blocks + g * group_blocks * block_bytes, run * group_blocks,
                                  w->uppers + g * GROUP_ROWS);
        w->scanned += run * GROUP_ROWS;
    }
    state->limit = NAN;
    refresh_rule(w, &state->code_bound, j);
    if (isinf(state->limit) && w->s->k <= WARM_HITS) {
        HT_TRY(warm_up(w, state, part, begin, left));
        refresh_rule(w, &state->code_bound, j);
    }
    float usual_rest = ((const float *)(const void *)blocks)[2 * HT_CODE_ROWS];
    return score_kept(w, j, part, begin, left, usual_rest);
}

/* ---- a unit of rows */

/* The rows of a unit that take part: those to be estimated from codes, and those in f32. */
typedef struct selection {
    uint64_t coded[UNIT_GROUPS], plain[UNIT_GROUPS];
    bool any_coded, any_plain;
} selection;

static selection select_rows(const worker *w, const ht_part *part, size_t begin, size_t end) {
    const search *s = w->s;
    selection chosen = {.any_coded = false};
    bool codes = w->coded && part->codes && part->norms;
    for (size_t first = begin, g = 0; first < end; first += GROUP_ROWS, g++) {
        size_t count = ht_min_size(GROUP_ROWS, end - first);
        uint64_t word = ht_mask_rows(s->live, s->allow, part, first, count);
        if (codes && first + GROUP_ROWS <= part->coded_rows && __builtin_popcountll(word) > SPARSE_ROWS) {
            chosen.coded[g] = word;
            chosen.any_coded = true;
        } else {
            chosen.plain[g] = word;
            chosen.any_plain |= word != 0;
        }
    }
    return chosen;
}

/* Has the unit checked before anything of it is read; with touch_codes, rows scored from codes are checked one by one
 * when they are scored. */
static hither_status touch_unit(worker *w, size_t p, size_t begin, size_t end, const selection *chosen) {
    const ht_vectors *v = w->s->vectors;
    if (v->touch_codes && chosen->any_coded)
        HT_TRY(v->touch_codes(v->touch_ctx, p, begin, ht_min_size(end, v->parts[p].coded_rows), &w->error));
    if (v->touch && (chosen->any_plain || (chosen->any_coded && !v->touch_codes)))
        HT_TRY(v->touch(v->touch_ctx, p, begin, end, &w->error));
    return HITHER_OK;
}

static hither_status scan_unit(worker *w, size_t unit) {
    const search *s = w->s;
    const ht_vectors *v = s->vectors;
    size_t p = 0;
    while (unit >= s->first_unit[p + 1])
        p++;
    const ht_part *part = &v->parts[p];
    size_t begin = (unit - s->first_unit[p]) * UNIT_ROWS;
    size_t end = ht_min_size(begin + UNIT_ROWS, part->count);
    selection chosen = select_rows(w, part, begin, end);
    HT_TRY(touch_unit(w, p, begin, end, &chosen));
    for (size_t j = 0; chosen.any_coded && j < w->queries; j++)
        HT_TRY(scan_codes(w, j, part, begin, chosen.coded));
    if (!chosen.any_plain)
        return HITHER_OK;
    ht_layout layout = layout_of(v, part);
    bool rounds = ht_stored_rounds(&layout);
    ht_bound bound = ht_bound_make(v->metric, w->queries > 1 || rounds, part->norms != NULL, s->kernels, v->dim);
    if (rounds)
        ht_bound_widen(&bound, v->dim);
    for (size_t j = 0; j < w->queries; j++)
        w->state[j].limit = NAN; /* rules are a part's own, as norms may be */
    for (size_t g = 0; g < UNIT_GROUPS; g++) {
        size_t first = begin + g * GROUP_ROWS;
        if (chosen.plain[g] != 0)
            HT_TRY(scan_group(w, &bound, part, first, ht_min_size(GROUP_ROWS, end - first), chosen.plain[g]));
    }
    return HITHER_OK;
}

/* ---- a block of queries, alone or shared */

static bool prepare_codes(worker *w, size_t j) {
    query_state *state = &w->state[j];
    const ht_vectors *v = w->s->vectors;
    int8_t *room = w->code_room + j * ht_code_query_room(v->dim);
    double error;
    if (!ht_code_query_make(state->query, v->dim, state->qq, room, &state->code, &error))
        return false;
    if (v->dtype == HITHER_F64) { /* what rounding it to f32 took */
        error += 0x1p-22;
        state->code.by_rest *= 1 + 0x1p-20f;
    }
    state->code_bound = ht_bound_make_codes(v->metric, v->dim, error);
#ifdef HT_ASSERTIONS
    state->code.by_rest *= (float)ht_bound_test_scale;
#endif
    return true;
}

static void read_query(worker *w, query_state *state, size_t j) {
    const search *s = w->s;
    size_t dim = s->vectors->dim;
    state->wild = false;
    if (s->vectors->dtype == HITHER_B1)
        return;
    if (s->vectors->dtype != HITHER_F64) {
        state->query = state->given;
        state->qq = s->kernels->ref_dot_f32(state->query, state->query, dim);
        return;
    }
    float *rounded = w->rounded + j * dim;
    s->kernels->widen_f64(state->given, 0, 1, dim, rounded);
    state->query = rounded;
    state->qq = s->kernels->ref_dot_f64(state->given, state->given, dim);
    state->wild = !(state->qq >= 0x1p-120 && state->qq <= 0x1p+120);
}

static void begin_block(worker *w, size_t block, ht_hit *room) {
    const search *s = w->s;
    size_t first = block * s->block_queries;
    w->queries = ht_min_size(s->block_queries, s->query_count - first);
    w->coded = w->code_room != NULL;
    for (size_t j = 0; j < w->queries; j++) {
        query_state *state = &w->state[j];
        state->given = query_at(s, first + j);
        state->waiting = 0;
        read_query(w, state, j);
        ht_topk_init(&state->top, room + j * s->k, s->k);
        if (w->coded)
            w->coded = prepare_codes(w, j);
    }
}

static ht_hit *hits_of_block(const search *s, size_t block) { return s->hits + block * s->block_queries * s->k; }

static hither_status settle_all(worker *w) {
    for (size_t j = 0; j < w->queries; j++) {
        w->state[j].limit = NAN; /* the last rule may have been for f32 */
        if (w->state[j].waiting > 0)
            HT_TRY(settle(w, j, true));
    }
    return HITHER_OK;
}

static void finish_block(worker *w, size_t block) {
    for (size_t j = 0; j < w->queries; j++) {
        ht_topk_sort(&w->state[j].top);
        w->s->counts[block * w->s->block_queries + j] = w->state[j].top.count;
    }
}

static void worker_fail(worker *w, hither_status status) {
    w->status = status;
    atomic_store_explicit(&w->s->failed, 1, memory_order_relaxed);
}

/* The work of one thread: units of the shared block, or whole blocks. */
static void work(void *ctx, size_t item) {
    search *s = ctx;
    worker *w = &s->workers[item];
    ht_fp_state fp = ht_fp_enter();
    size_t todo = s->by_blocks ? s->blocks : s->units;
    size_t taken;
    if (!s->by_blocks)
        begin_block(w, s->block, item == 0 ? hits_of_block(s, s->block) : w->room);
    while (!atomic_load_explicit(&s->failed, memory_order_relaxed) &&
           (taken = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < todo) {
        w->took_part = true;
        hither_status status = HITHER_OK;
        if (s->by_blocks) {
            begin_block(w, taken, hits_of_block(s, taken));
            for (size_t unit = 0; unit < s->units && status == HITHER_OK; unit++)
                status = scan_unit(w, unit);
            if (status == HITHER_OK)
                status = settle_all(w);
            finish_block(w, taken);
        } else {
            status = scan_unit(w, taken);
        }
        if (status != HITHER_OK)
            worker_fail(w, status);
    }
    if (!s->by_blocks && w->status == HITHER_OK) {
        hither_status status = settle_all(w);
        if (status != HITHER_OK)
            worker_fail(w, status);
    }
    ht_fp_leave(fp);
}

static void share_blocks(search *s) {
    for (s->block = 0; s->block < s->blocks && !atomic_load(&s->failed); s->block++) {
        atomic_store(&s->next, 0);
        for (size_t j = 0; j < BLOCK_QUERIES; j++)
            atomic_store_explicit(&s->limits[j], (double)INFINITY, memory_order_relaxed);
        ht_parallel(s->threads, s->threads, work, s);
        worker *first = &s->workers[0];
        for (unsigned i = 1; i < s->threads; i++)
            for (size_t j = 0; j < first->queries; j++)
                for (size_t h = 0; h < s->workers[i].state[j].top.count; h++)
                    ht_topk_push(&first->state[j].top, s->workers[i].state[j].top.hits[h]);
        finish_block(first, s->block);
    }
}

/* ---- setting up */

static hither_status check(const ht_vectors *v, hither_error *err) {
    bool bits = v->dtype == HITHER_B1;
    if (v->dtype < HITHER_F32 || v->dtype > HITHER_B1)
        return ht_fail(err, HITHER_UNSUPPORTED, "exact search: rows of dtype %d", (int)v->dtype);
    if (v->metric < HITHER_COSINE || v->metric > HITHER_HAMMING || bits != (v->metric == HITHER_HAMMING))
        return ht_fail(err, HITHER_UNSUPPORTED, "exact search: metric %d has no meaning for %s rows", (int)v->metric,
                       ht_dtype_name(v->dtype));
    return HITHER_OK;
}

static void plan(search *s, size_t rows, double bytes, unsigned threads) {
    const ht_vectors *v = s->vectors;
    unsigned most = ht_pool_threads();
    s->threads = threads == 0 || threads > most ? most : threads;
    double sums = (double)rows * v->dim * (double)s->query_count;
    if (sums <= ALONE_SUMS || (s->query_count == 1 && bytes <= ALONE_BYTES))
        s->threads = 1;
    s->block_queries = ht_min_size(BLOCK_QUERIES, s->query_count);
    if (s->k > 0)
        s->block_queries = ht_min_size(s->block_queries, HITS_A_WORKER / s->k + 1);
    s->by_blocks = s->threads == 1 || s->units < 4 * (size_t)s->threads;
    if (s->by_blocks && s->threads > 1)
        s->block_queries = ht_min_size(s->block_queries, (s->query_count - 1) / (2 * (size_t)s->threads) + 1);
    s->blocks = (s->query_count - 1) / s->block_queries + 1;
    if (s->by_blocks && s->threads > s->blocks)
        s->threads = (unsigned)s->blocks;
}

static bool part_has_codes(const ht_vectors *v, const ht_part *part) {
    return part->codes && part->norms && v->metric != HITHER_L1;
}

static bool has_codes(const ht_vectors *v) {
    bool found = false;
    for (size_t p = 0; p < v->part_count && !found; p++)
        found = part_has_codes(v, &v->parts[p]);
    return found;
}

/* A tile stays in the first cache for one query, in the second for several. */
static hither_status allocate_tile(const search *s, worker *w, hither_error *err) {
    ht_layout layout = layout_of(s->vectors, NULL);
    size_t row = layout.dim * sizeof(float), scratch = ht_stored_scratch(&layout);
    if (layout.dtype == HITHER_F32 || layout.dtype == HITHER_B1)
        return HITHER_OK;
    w->tile_rows = ht_min_size(GROUP_ROWS, 4 + (s->block_queries == 1 ? TILE_BYTES : 8 * TILE_BYTES) / row);
    w->tile = ht_alloc_aligned(w->tile_rows * row);
    if (scratch)
        w->scratch = ht_alloc_aligned(scratch);
    if (layout.dtype == HITHER_F64)
        w->rounded = ht_alloc_aligned(s->block_queries * row);
    if (!w->tile || (scratch && !w->scratch) || (layout.dtype == HITHER_F64 && !w->rounded))
        return ht_fail_nomem(err, w->tile_rows * row, "the threads of a search");
    return HITHER_OK;
}

static hither_status allocate(search *s, hither_error *err) {
    size_t hits, bytes;
    if (!ht_mul_size(s->query_count, s->k, &hits) || !ht_mul_size(hits, sizeof *s->hits, &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "hits");
    s->hits = ht_alloc(bytes);
    if (!s->hits)
        return ht_fail_nomem(err, bytes, "hits");
    s->counts = ht_calloc(s->query_count, sizeof *s->counts);
    s->workers = ht_calloc(s->threads, sizeof *s->workers);
    if (!s->counts || !s->workers)
        return ht_fail_nomem(err, s->threads * sizeof *s->workers, "the threads of a search");
    for (unsigned i = 0; i < s->threads; i++) {
        s->workers[i].s = s;
        HT_TRY(allocate_tile(s, &s->workers[i], err));
        if (has_codes(s->vectors)) {
            bytes = s->block_queries * ht_code_query_room(s->vectors->dim);
            s->workers[i].code_room = ht_alloc(bytes);
            s->workers[i].waiting = ht_calloc(s->block_queries, WAITING_ROWS * sizeof(candidate));
            if (!s->workers[i].code_room || !s->workers[i].waiting)
                return ht_fail_nomem(err, bytes, "queries");
        }
        if (i == 0 || s->by_blocks)
            continue;
        bytes = s->block_queries * s->k * sizeof(ht_hit);
        s->workers[i].room = ht_alloc(bytes);
        if (!s->workers[i].room)
            return ht_fail_nomem(err, bytes, "hits");
    }
    return HITHER_OK;
}

/* The rows of all parts, the bytes one query reads of them, and the units they make. */
static hither_status count_units(search *s, size_t *rows, double *bytes, hither_error *err) {
    const ht_vectors *v = s->vectors;
    s->first_unit = ht_calloc(v->part_count + 1, sizeof *s->first_unit);
    if (!s->first_unit)
        return ht_fail_nomem(err, (v->part_count + 1) * sizeof *s->first_unit, "the parts of a search");
    *rows = 0;
    *bytes = 0;
    for (size_t p = 0; p < v->part_count; p++) {
        HT_ASSERT(v->parts[p].first_slot % 64 == 0);
        size_t coded = part_has_codes(v, &v->parts[p]) ? v->parts[p].coded_rows : 0;
        *rows += v->parts[p].count;
        *bytes += (double)coded * v->dim / 2 + (double)(v->parts[p].count - coded) * (double)s->row_bytes;
        s->first_unit[p + 1] = s->first_unit[p] + (v->parts[p].count + UNIT_ROWS - 1) / UNIT_ROWS;
    }
    s->units = s->first_unit[v->part_count];
    return HITHER_OK;
}

static hither_status collect(search *s, size_t k, ht_hit *hits, size_t *counts, ht_exact_stats *stats,
                             hither_error *err) {
    for (unsigned i = 0; i < s->threads; i++) {
        if (s->workers[i].status != HITHER_OK) {
            if (err)
                *err = s->workers[i].error;
            return s->workers[i].status;
        }
    }
    for (size_t j = 0; j < s->query_count; j++) {
        counts[j] = s->counts[j];
        if (s->counts[j] > 0)
            memcpy(hits + j * k, s->hits + j * s->k, s->counts[j] * sizeof *hits);
    }
    uint32_t took_part = 0;
    for (unsigned i = 0; i < s->threads; i++) {
        took_part += s->workers[i].took_part;
        if (stats) {
            stats->rows_scanned += s->workers[i].scanned;
            stats->rows_rescored += s->workers[i].rescored;
        }
    }
    if (stats && took_part > stats->threads)
        stats->threads = took_part;
    return HITHER_OK;
}

hither_status ht_exact_search(const ht_vectors *vectors, const void *queries, size_t query_stride, size_t query_count,
                              const ht_mask *live, const ht_mask *allow, size_t k, unsigned threads, ht_hit *hits,
                              size_t *counts, ht_exact_stats *stats, hither_error *err) {
    HT_TRY(check(vectors, err));
    if (query_count == 0)
        return HITHER_OK;
    search s = {.vectors = vectors,
                .queries = queries,
                .query_stride = query_stride,
                .query_count = query_count,
                .live = live,
                .allow = allow,
                .kernels = ht_kernels_get(),
                .row_bytes = ht_row_bytes(vectors->dtype, vectors->dim, false)};
    size_t rows = 0;
    double bytes = 0;
    hither_status status = count_units(&s, &rows, &bytes, err);
    if (status != HITHER_OK)
        return status;
    s.k = ht_min_size(k, rows);
    plan(&s, rows, bytes, threads);
    status = allocate(&s, err);
    if (status != HITHER_OK)
        goto done;
    if (s.by_blocks)
        ht_parallel(s.threads, s.threads, work, &s);
    else
        share_blocks(&s);
    status = collect(&s, k, hits, counts, stats, err);
done:
    for (unsigned i = 0; s.workers && i < s.threads; i++) {
        ht_release(s.workers[i].rounded);
        ht_release(s.workers[i].scratch);
        ht_release(s.workers[i].tile);
        ht_release(s.workers[i].waiting);
        ht_release(s.workers[i].code_room);
        ht_release(s.workers[i].room);
    }
    ht_release(s.workers);
    ht_release(s.counts);
    ht_release(s.hits);
    ht_release(s.first_unit);
    return status;
}
