/*
 * hnsw_search.c: algorithm 5, K-NN-SEARCH, and what follows it: what the walk found by its codes is scored by D, as
 * many as the codes' error asks for: the best first, until what the codes say of the next one, less what they were
 * mistaken by of those before it, is beyond the worst of the k found.
 *
 * Where only some rows qualify the walk keeps those in a pool of their own. While most do, it goes through all nodes.
 * Where few do, it compares only nodes that qualify, and sees through the others to their neighbours (ACORN-1, Patel
 * et al., 2024).
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "index/hnsw_inside.h"
#include "index/mask.h"

enum { LEAST_RESCORED_4 = 24, LEAST_RESCORED_8 = 4, SEEDS = 8, AHEAD = 3 };
#define SURELY      4   /* root mean squares of errors */
#define SEE_THROUGH 0.4 /* below this share of rows that qualify */

typedef struct finder {
    const ht_hnsw *g;
    const ht_vectors *vectors;
    const ht_hnsw_search *search;
    const void *query; /* as given */
    double qq;
    size_t row_bytes;
    hnsw_walker *w;
} finder;

static bool in_mask(const ht_mask *mask, uint64_t slot) {
    return ht_mask_word(mask, slot / 64 * 64) >> (slot % 64) & 1;
}
static bool qualifies(const finder *f, uint32_t node) {
    uint64_t slot = f->g->slots[node];
    return in_mask(f->search->live, slot) && in_mask(f->search->allow, slot);
}

/* The neighbours of a node that qualify, and those of its neighbours that do not, into w->list. */
static size_t qualifying(const finder *f, uint32_t node) {
    const ht_hnsw *g = f->g;
    hnsw_walker *w = f->w;
    const uint32_t *links = hnsw_links(g, node, 0);
    size_t count = 0;
    for (size_t i = 0; i < g->m0 && links[i] != HNSW_NONE; i++) {
        if (w->visited[links[i]] == w->epoch)
            continue;
        w->visited[links[i]] = w->epoch;
        if (qualifies(f, links[i])) {
            w->list[count++] = links[i];
            continue;
        }
        const uint32_t *beyond = hnsw_links(g, links[i], 0);
        for (size_t j = 0; j < g->m0 && beyond[j] != HNSW_NONE; j++) {
            if (w->visited[beyond[j]] == w->epoch || !qualifies(f, beyond[j]))
                continue;
            w->visited[beyond[j]] = w->epoch;
            w->list[count++] = beyond[j];
        }
    }
    return count;
}

/* Through all nodes, keeping those that qualify; ends when no node of the pool could lead to a better one. */
static void walk_all(const finder *f) {
    hnsw_walker *w = f->w;
    hnsw_pool *pool = &w->pool;
    while (pool->next < pool->count) {
        if (!hnsw_pool_wants(&w->results, pool->items[pool->next]))
            return;
        size_t count = hnsw_unvisited(f->g, w, hnsw_pool_expand(pool), 0);
        hnsw_compare(f->g, w, count);
        w->stats.visited += count;
        w->stats.hops++;
        for (size_t i = 0; i < count; i++) {
            hnsw_candidate c = hnsw_pack(w->keys[i], w->list[i]);
            if (hnsw_pool_wants(pool, c))
                hnsw_pool_add(pool, c);
            if (hnsw_pool_wants(&w->results, c) && qualifies(f, w->list[i]))
                hnsw_pool_add(&w->results, c);
        }
    }
}

static void walk_qualifying(const finder *f) {
    hnsw_walker *w = f->w;
    hnsw_pool *pool = &w->results;
    while (pool->next < pool->count) {
        size_t count = qualifying(f, hnsw_pool_expand(pool));
        hnsw_take(f->g, w, pool, count);
        w->stats.visited += count;
        w->stats.hops++;
    }
}

/* The pool with the candidates by their codes. */
static hnsw_pool *walk(const finder *f, ht_hnsw_scratch *scratch) {
    const ht_hnsw *g = f->g;
    hnsw_walker *w = f->w;
    hnsw_candidate ep = hnsw_descend(g, w, 0);
    hnsw_walker_begin(scratch, w);
    w->visited[hnsw_node(ep)] = w->epoch;
    hnsw_pool_add(&w->pool, ep);
    if (!f->search->live && !f->search->allow) {
        hnsw_walk(g, w, 0);
        return &w->pool;
    }
    if (f->search->share < SEE_THROUGH) {
        /* a short walk through all nodes finds where to begin */
        size_t ef = w->pool.most;
        w->pool.most = ht_min_size(ef, SEEDS);
        walk_all(f);
        w->pool.most = ef;
        walk_qualifying(f);
    } else {
        if (qualifies(f, hnsw_node(ep)))
            hnsw_pool_add(&w->results, ep);
        walk_all(f);
    }
    return &w->results;
}

/* ---- D */

static size_t rescored(const finder *f, const hnsw_pool *pool) {
    size_t wanted = f->search->rescore;
    if (wanted == 0) {
        size_t k = f->search->k;
        wanted = f->g->spec.bits == 4 ? 2 * k + LEAST_RESCORED_4 : k + k / 4 + LEAST_RESCORED_8;
    }
    wanted = wanted < f->search->k ? f->search->k : wanted;
    return ht_min_size(wanted, pool->count);
}

static void prefetch_row(const finder *f, uint64_t slot) {
    size_t at, row;
    const ht_part *part = ht_vectors_part(f->vectors, slot, &at, &row);
    const char *data = part ? (const char *)part->rows + row * part->stride : NULL;
    for (size_t i = 0; data && i < f->row_bytes; i += 64)
        __builtin_prefetch(data + i);
}

/* How far D was from what the codes said, of those scored so far. */
typedef struct errors {
    double squares;
    size_t count;
} errors;

static void note_error(errors *e, double error) {
    e->squares += error * error;
    e->count++;
}
/* What D of a candidate hardly falls below, given what its codes say. Errors of the best are larger than those of
 * others: to be mistaken is how some of them got there. So their mean is not taken off. */
static double hardly_below(const errors *e, double estimate) {
    return estimate - SURELY * sqrt(e->squares / (double)e->count);
}

static hither_status rescore(const finder *f, const hnsw_pool *pool, ht_hit *hits, size_t *count, hither_error *err) {
    const ht_vectors *v = f->vectors;
    size_t n = rescored(f, pool);
    errors e = {0};
    ht_topk top;
    ht_topk_init(&top, hits, f->search->k);
    const ht_kernels *kernels = f->w->kernels;
    ht_layout layout = {v->dtype, false, v->dim};
    for (size_t i = 0; v->want && i < n; i++) {
        size_t at, row;
        if (ht_vectors_part(v, f->g->slots[hnsw_node(pool->items[i])], &at, &row))
            v->want(v->touch_ctx, at, row);
    }
    for (size_t i = 0; i < n; i++) {
        size_t at, row;
        if (i + AHEAD < n)
            prefetch_row(f, f->g->slots[hnsw_node(pool->items[i + AHEAD])]);
        const double estimate = (double)hnsw_distance(f->g, &f->w->probe, hnsw_key(pool->items[i]));
        if (f->search->rescore == 0 && i >= f->search->k + LEAST_RESCORED_8 &&
            hardly_below(&e, estimate) > ht_topk_limit(&top))
            break;
        uint64_t slot = f->g->slots[hnsw_node(pool->items[i])];
        const ht_part *part = ht_vectors_part(v, slot, &at, &row);
        if (!part)
            return ht_fail(err, HITHER_CORRUPT, "the row at slot %llu of a graph is not there",
                           (unsigned long long)slot);
        if (v->touch)
            HT_TRY(v->touch(v->touch_ctx, at, row, row + 1, err));
        layout.bare = part->bare;
        double xx, d = ht_stored_distance(kernels, &layout, v->metric, f->query, f->qq,
                                          (const char *)part->rows + row * part->stride, f->w->room, &xx);
        ht_topk_push(&top, (ht_hit){d, slot});
        note_error(&e, d - estimate);
        f->w->stats.rescored++;
    }
    ht_topk_sort(&top);
    *count = top.count;
    return HITHER_OK;
}

/* The query as f32 in the probe's form, and its reference dot with itself. */
static void aim(finder *f) {
    const ht_hnsw *g = f->g;
    hnsw_walker *w = f->w;
    const float *query = f->query;
    if (g->spec.dtype == HITHER_F64) {
        const double *wide = f->query;
        float *narrow = w->row;
        for (size_t j = 0; j < g->spec.dim; j++)
            narrow[j] = (float)wide[j];
        query = narrow;
        f->qq = w->kernels->ref_dot_f64(wide, wide, g->spec.dim);
    } else {
        f->qq = w->kernels->ref_dot_f32(query, query, g->spec.dim);
    }
    hnsw_probe_query(g, query, &w->probe);
}

hither_status ht_hnsw_find(const ht_hnsw *g, ht_hnsw_scratch *scratch, const ht_vectors *vectors, const void *query,
                           const ht_hnsw_search *search, ht_hit *hits, size_t *count, ht_hnsw_stats *stats,
                           hither_error *err) {
    *count = 0;
    if (g->count == 0)
        return HITHER_OK;
    hnsw_walker w;
    size_t ef = search->ef > search->k ? search->ef : search->k;
    HT_TRY(hnsw_walker_make(g, scratch, ef, &w, err));
    finder f = {.g = g, .vectors = vectors, .search = search, .query = query, .w = &w};
    f.row_bytes = ht_row_bytes(vectors->dtype, vectors->dim, false);
    aim(&f);
    HT_TRY(rescore(&f, walk(&f, scratch), hits, count, err));
    if (stats) {
        stats->visited += w.stats.visited;
        stats->hops += w.stats.hops;
        stats->rescored += w.stats.rescored;
    }
    return HITHER_OK;
}
