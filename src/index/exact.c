/*
 * exact.c: exact search by estimate, bound and D. The rows are cut into units of 1,024 that threads take one at a
 * time; a unit is worked through in groups of 64 rows, one mask word each, against a block of up to 64 queries. Each
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
#include "index/bound.h"
#include "index/mask.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

enum {
    GROUP_ROWS = 64,
    UNIT_ROWS = 1024,
    BLOCK_QUERIES = 64,
    HITS_A_WORKER = 1 << 20, /* room for the heaps of one worker: fewer queries at once when k is large */
    ALONE_BYTES = 32 << 20,  /* one query that reads no more than this runs on its caller */
    ALONE_SUMS = 1 << 20     /* so does a search of so few products that waking a thread costs more */
};

/* One search: read-only while workers run, but for the atomics. */
typedef struct search {
    const ht_vectors *vectors;
    const float *queries;
    size_t query_stride, query_count, block_queries;
    const ht_mask *live, *allow;
    const ht_kernels *kernels;
    size_t k;           /* no more than there are rows */
    size_t *first_unit; /* of each part, and one past the last */
    size_t units;
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
    const float *query;
    double qq;
    double limit; /* the threshold `rule` was made for */
    ht_rule rule;
    ht_topk top;
} query_state;

typedef struct worker {
    search *s;
    size_t queries; /* in the block */
    ht_hit *room;   /* for the heaps of a shared block; worker 0 has its heaps in search.hits */
    uint64_t scanned, rescored;
    bool took_part;
    hither_status status;
    hither_error error;
    query_state state[BLOCK_QUERIES];
    float norms[GROUP_ROWS];
    float estimates[BLOCK_QUERIES * GROUP_ROWS];
} worker;

static const float *query_at(const search *s, size_t i) {
    return (const float *)(const void *)((const char *)s->queries + i * s->query_stride);
}

static const float *row_at(const ht_part *part, size_t i) {
    return (const float *)(const void *)((const char *)part->rows + i * part->stride);
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
    state->rule = ht_bound_rule(bound, state->qq, limit);
}

static hither_status fail_not_finite(worker *w, const ht_part *part, size_t row) {
    const float *x = row_at(part, row);
    size_t column = 0;
    while (column + 1 < w->s->vectors->dim && isfinite(x[column]))
        column++;
    return ht_fail(&w->error, HITHER_NOT_FINITE, "row in slot %llu, column %zu: not a finite number",
                   (unsigned long long)(part->first_slot + row), column);
}

static hither_status score(worker *w, query_state *state, const ht_part *part, size_t row) {
    const search *s = w->s;
    const float *x = row_at(part, row);
    size_t dim = s->vectors->dim;
    double d, xx = 0;
    switch (s->vectors->metric) {
    case HITHER_DOT:
        d = -s->kernels->ref_dot_f32(state->query, x, dim);
        break;
    case HITHER_L2:
        d = s->kernels->ref_l2_f32(state->query, x, dim);
        break;
    case HITHER_L1:
        d = s->kernels->ref_l1_f32(state->query, x, dim);
        break;
    default:
        xx = s->kernels->ref_dot_f32(x, x, dim);
        d = ht_ref_cosine(s->kernels->ref_dot_f32(state->query, x, dim), state->qq, xx);
    }
    if (!isfinite(d) || !isfinite(xx))
        return fail_not_finite(w, part, row);
    ht_topk_push(&state->top, (ht_hit){d, part->first_slot + row});
    w->rescored++;
    return HITHER_OK;
}

/* Estimates for rows [at, at + count) of the group that begins at row `first`, and their norms where the rules need
 * them. */
static void estimate(worker *w, const ht_bound *bound, const ht_part *part, size_t first, size_t at, size_t count) {
    const search *s = w->s;
    const ht_kernels *kernels = s->kernels;
    const void *rows = row_at(part, first + at);
    const float *query = w->state[0].query;
    size_t dim = s->vectors->dim, stride = part->stride;
    w->scanned += count * w->queries;
    if (bound->direct) {
        for (size_t j = 0; j < w->queries; j++) {
            float *out = w->estimates + j * GROUP_ROWS + at;
            if (s->vectors->metric == HITHER_L1)
                kernels->l1_f32(w->state[j].query, rows, stride, count, dim, out);
            else
                kernels->l2_f32(w->state[j].query, rows, stride, count, dim, out);
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
        kernels->dots_f32(query, s->query_stride, w->queries, rows, stride, count, dim, w->estimates + at, GROUP_ROWS);
    }
    if (!part->norms)
        for (size_t i = at; i < at + count; i++)
            w->norms[i] = sqrtf(w->norms[i]);
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
    const float *norms = bound->direct ? NULL : part->norms ? part->norms + first : w->norms;
    for (size_t j = 0; j < w->queries; j++) {
        refresh_rule(w, bound, j);
        query_state *state = &w->state[j];
        uint64_t kept = w->s->kernels->keep_f32(w->estimates + j * GROUP_ROWS, norms, count, &state->rule) & word;
        for (; kept != 0; kept &= kept - 1)
            HT_TRY(score(w, state, part, first + (size_t)__builtin_ctzll(kept)));
    }
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
    ht_bound bound = {0};
    for (size_t first = begin; first < end; first += GROUP_ROWS) {
        size_t count = ht_min_size(GROUP_ROWS, end - first);
        uint64_t word = ht_mask_rows(s->live, s->allow, part, first, count);
        if (word == 0)
            continue;
        if (bound.sum == 0) { /* the first group of the unit with a row to look at */
            if (v->touch)
                HT_TRY(v->touch(v->touch_ctx, p, begin, end, &w->error));
            bound = ht_bound_make(v->metric, w->queries > 1, part->norms != NULL, s->kernels, v->dim);
            for (size_t j = 0; j < w->queries; j++)
                w->state[j].limit = NAN; /* rules are a part's own, as norms may be */
        }
        HT_TRY(scan_group(w, &bound, part, first, count, word));
    }
    return HITHER_OK;
}

/* ---- a block of queries, alone or shared */

static void begin_block(worker *w, size_t block, ht_hit *room) {
    const search *s = w->s;
    size_t first = block * s->block_queries;
    w->queries = ht_min_size(s->block_queries, s->query_count - first);
    for (size_t j = 0; j < w->queries; j++) {
        query_state *state = &w->state[j];
        state->query = query_at(s, first + j);
        state->qq = s->kernels->ref_dot_f32(state->query, state->query, s->vectors->dim);
        ht_topk_init(&state->top, room + j * s->k, s->k);
    }
}

static ht_hit *hits_of_block(const search *s, size_t block) { return s->hits + block * s->block_queries * s->k; }

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
            finish_block(w, taken);
        } else {
            status = scan_unit(w, taken);
        }
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
    if (v->dtype != HITHER_F32)
        return ht_fail(err, HITHER_UNSUPPORTED, "exact search: rows of dtype %d; only f32 today", (int)v->dtype);
    if (v->metric < HITHER_COSINE || v->metric > HITHER_L1)
        return ht_fail(err, HITHER_UNSUPPORTED, "exact search: metric %d has no meaning for f32 rows", (int)v->metric);
    return HITHER_OK;
}

static void plan(search *s, size_t rows, unsigned threads) {
    const ht_vectors *v = s->vectors;
    unsigned most = ht_pool_threads();
    s->threads = threads == 0 || threads > most ? most : threads;
    double sums = (double)rows * v->dim * (double)s->query_count;
    if (sums <= ALONE_SUMS || (s->query_count == 1 && sums * sizeof(float) <= ALONE_BYTES))
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
        if (i == 0 || s->by_blocks)
            continue;
        bytes = s->block_queries * s->k * sizeof(ht_hit);
        s->workers[i].room = ht_alloc(bytes);
        if (!s->workers[i].room)
            return ht_fail_nomem(err, bytes, "hits");
    }
    return HITHER_OK;
}

/* The rows of all parts, and the units they make. */
static hither_status count_units(search *s, size_t *rows, hither_error *err) {
    const ht_vectors *v = s->vectors;
    s->first_unit = ht_calloc(v->part_count + 1, sizeof *s->first_unit);
    if (!s->first_unit)
        return ht_fail_nomem(err, (v->part_count + 1) * sizeof *s->first_unit, "the parts of a search");
    *rows = 0;
    for (size_t p = 0; p < v->part_count; p++) {
        HT_ASSERT(v->parts[p].first_slot % 64 == 0);
        *rows += v->parts[p].count;
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

hither_status ht_exact_search(const ht_vectors *vectors, const float *queries, size_t query_stride, size_t query_count,
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
                .kernels = ht_kernels_get()};
    size_t rows = 0;
    hither_status status = count_units(&s, &rows, err);
    if (status != HITHER_OK)
        return status;
    s.k = ht_min_size(k, rows);
    plan(&s, rows, threads);
    status = allocate(&s, err);
    if (status != HITHER_OK)
        goto done;
    if (s.by_blocks)
        ht_parallel(s.threads, s.threads, work, &s);
    else
        share_blocks(&s);
    status = collect(&s, k, hits, counts, stats, err);
done:
    for (unsigned i = 0; s.workers && i < s.threads; i++)
        ht_release(s.workers[i].room);
    ht_release(s.workers);
    ht_release(s.counts);
    ht_release(s.hits);
    ht_release(s.first_unit);
    return status;
}
