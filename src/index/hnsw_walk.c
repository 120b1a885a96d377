/*
 * hnsw_walk.c: walking a layer, and choosing neighbours: algorithms 2 and 4 of the paper, with its letters where it
 * has some.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "index/hnsw_inside.h"

/* A candidate c is kept only while alpha * d(c, kept) > d(c, node) for all kept before it; squares take its square. So
 * of equal rows one is kept. */
#define ALPHA 1.1f

enum {
    AHEAD = 8,        /* rows whose codes are asked for before they are compared */
    AT_ONCE = 4,      /* rows compared between asking for more */
    PREFETCHED = 256, /* bytes of a code that are asked for: the processor finds those behind them by itself */
};

/* ---- the pool */

void hnsw_pool_add(hnsw_pool *pool, hnsw_candidate c) {
    size_t low = 0, span = pool->count;
    while (span > 0) { /* the first place whose candidate comes after */
        size_t half = span / 2;
        bool before = pool->items[low + half] < c;
        low += before ? span - half : 0;
        span = half;
    }
    if (pool->count < pool->most)
        pool->count++;
    memmove(pool->items + low + 1, pool->items + low, (pool->count - 1 - low) * sizeof *pool->items);
    pool->items[low] = c;
    if (low < pool->next)
        pool->next = low;
}

uint32_t hnsw_pool_expand(hnsw_pool *pool) {
    uint32_t node = hnsw_node(pool->items[pool->next]);
    pool->items[pool->next++] |= HNSW_EXPANDED;
    while (pool->next < pool->count && (pool->items[pool->next] & HNSW_EXPANDED))
        pool->next++;
    return node;
}

/* ---- the walker */

static size_t lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

hither_status hnsw_walker_make(const ht_hnsw *g, ht_hnsw_scratch *scratch, size_t ef, hnsw_walker *out,
                               hither_error *err) {
    const ht_layout layout = {g->spec.dtype, false, g->spec.dim};
    size_t probe = lines(hnsw_probe_bytes(g)), list = hnsw_list_room(g), candidates = 0, bytes = 0;
    size_t row =
        lines(g->spec.dim * sizeof(float)) + lines(ht_stored_scratch(&layout)) + lines(g->m0 * sizeof(uint32_t));
    list = list > ef ? list : ef;
    if (!ht_mul_size(ef, sizeof(hnsw_candidate), &candidates) || !ht_add_size(candidates, 63, &candidates) ||
        !ht_mul_size(candidates / 64 * 64, 2, &bytes) ||
        !ht_add_size(bytes, 2 * probe + 3 * lines(list * sizeof(uint32_t)) + row, &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "a walk");
    candidates = candidates / 64 * 64;
    if (scratch->bytes < bytes) {
        ht_release(scratch->memory);
        scratch->memory = ht_alloc_aligned(bytes);
        scratch->bytes = scratch->memory ? bytes : 0;
    }
    if (scratch->nodes < g->room) {
        ht_release(scratch->visited);
        scratch->visited = ht_calloc(g->room, 1);
        scratch->nodes = scratch->visited ? g->room : 0;
        scratch->epoch = 0;
    }
    if (!scratch->memory || (g->room && !scratch->visited))
        return ht_fail_nomem(err, bytes, "a walk");
    char *at = scratch->memory;
    *out = (hnsw_walker){.kernels = ht_kernels_get(), .visited = scratch->visited};
    out->pool = (hnsw_pool){.items = (hnsw_candidate *)(void *)at, .most = ef};
    at += candidates;
    out->results = (hnsw_pool){.items = (hnsw_candidate *)(void *)at, .most = ef};
    at += candidates;
    out->probe.bytes = (int8_t *)at;
    at += probe;
    out->other.bytes = (int8_t *)at;
    at += probe;
    out->list = (uint32_t *)(void *)at;
    at += lines(list * sizeof(uint32_t));
    out->sums = (int32_t *)(void *)at;
    at += lines(list * sizeof(uint32_t));
    out->keys = (float *)(void *)at;
    at += lines(list * sizeof(uint32_t));
    out->row = (float *)(void *)at;
    at += lines(g->spec.dim * sizeof(float));
    out->chosen = (uint32_t *)(void *)at;
    out->room = at + lines(g->m0 * sizeof(uint32_t));
    return HITHER_OK;
}

void ht_hnsw_scratch_clear(ht_hnsw_scratch *scratch) {
    ht_release(scratch->memory);
    ht_release(scratch->visited);
    *scratch = (ht_hnsw_scratch){0};
}

hnsw_walkers *hnsw_walkers_new(void) { return ht_calloc(1, sizeof(hnsw_walkers)); }

void hnsw_walkers_free(hnsw_walkers *walkers) {
    for (size_t i = 0; walkers && i < HNSW_WALKERS; i++)
        ht_hnsw_scratch_clear(&walkers->scratch[i]);
    ht_release(walkers);
}

ht_hnsw_scratch *hnsw_walkers_take(hnsw_walkers *walkers, size_t *at) {
    for (size_t i = 0;; i = (i + 1) % HNSW_WALKERS) {
        int none = 0;
        if (atomic_compare_exchange_strong(&walkers->taken[i], &none, 1)) {
            *at = i;
            return &walkers->scratch[i];
        }
    }
}
void hnsw_walkers_give(hnsw_walkers *walkers, size_t at) { atomic_store(&walkers->taken[at], 0); }

void hnsw_walker_begin(ht_hnsw_scratch *scratch, hnsw_walker *w) {
    if (++scratch->epoch == 0) {
        memset(scratch->visited, 0, scratch->nodes);
        scratch->epoch = 1;
    }
    w->epoch = scratch->epoch;
    w->pool.count = w->pool.next = 0;
    w->results.count = w->results.next = 0;
}

hnsw_candidate hnsw_descend(const ht_hnsw *g, hnsw_walker *w, unsigned level) {
    hnsw_keys(g, w->kernels, &w->probe, &g->entry, 1, w->sums, w->keys);
    hnsw_candidate best = hnsw_pack(w->keys[0], g->entry);
    for (unsigned l = g->levels[g->entry]; l > level; l--) {
        for (bool moved = true; moved;) {
            const uint32_t *links = hnsw_links(g, hnsw_node(best), l);
            size_t count = 0;
            while (count < g->spec.m && links[count] != HNSW_NONE)
                count++;
            hnsw_keys(g, w->kernels, &w->probe, links, count, w->sums, w->keys);
            w->stats.visited += count;
            w->stats.hops++;
            moved = false;
            for (size_t i = 0; i < count; i++) {
                hnsw_candidate c = hnsw_pack(w->keys[i], links[i]);
                moved = moved || c < best;
                best = c < best ? c : best;
            }
        }
    }
    return best;
}

/* Asks for the codes of list[from ... end). */
static void prefetch_codes(const ht_hnsw *g, const uint32_t *list, size_t from, size_t end) {
    const size_t bytes = g->code_bytes < PREFETCHED ? g->code_bytes : PREFETCHED;
    for (size_t i = from; i < end; i++) {
        const uint8_t *code = g->codes + (size_t)list[i] * g->code_bytes;
        for (size_t at = 0; at < bytes; at += 64)
            __builtin_prefetch(code + at);
    }
}

size_t hnsw_unvisited(const ht_hnsw *g, hnsw_walker *w, uint32_t node, unsigned level) {
    const uint32_t *links = hnsw_links(g, node, level);
    const size_t width = hnsw_width(g, level);
    uint32_t *list = w->list;
    uint8_t *visited = w->visited;
    const uint8_t epoch = w->epoch;
    size_t count = 0;
    for (size_t i = 0; i < width && links[i] != HNSW_NONE; i++) { /* no branch on what nobody can foresee */
        const uint32_t e = links[i];
        list[count] = e;
        count += visited[e] != epoch;
        visited[e] = epoch;
    }
    prefetch_codes(g, list, 0, count < AHEAD ? count : AHEAD);
    return count;
}

void hnsw_compare(const ht_hnsw *g, hnsw_walker *w, size_t count) {
    for (size_t i = 0; i < count; i += AT_ONCE) {
        const size_t end = ht_min_size(i + AT_ONCE, count);
        prefetch_codes(g, w->list, ht_min_size(i + AHEAD, count), ht_min_size(end + AHEAD, count));
        hnsw_keys(g, w->kernels, &w->probe, w->list + i, end - i, w->sums, w->keys + i);
    }
}

void hnsw_take(const ht_hnsw *g, hnsw_walker *w, hnsw_pool *pool, size_t count) {
    hnsw_compare(g, w, count);
    for (size_t i = 0; i < count; i++) {
        hnsw_candidate c = hnsw_pack(w->keys[i], w->list[i]);
        if (hnsw_pool_wants(pool, c))
            hnsw_pool_add(pool, c);
    }
}

static int compare_candidates(const void *a, const void *b) {
    hnsw_candidate x = *(const hnsw_candidate *)a, y = *(const hnsw_candidate *)b;
    return x < y ? -1 : x > y;
}

void hnsw_rank(const ht_hnsw *g, hnsw_walker *w, size_t count) {
    hnsw_keys(g, w->kernels, &w->probe, w->list, count, w->sums, w->keys);
    for (size_t i = 0; i < count; i++)
        w->pool.items[i] = hnsw_pack(w->keys[i], w->list[i]);
    qsort(w->pool.items, count, sizeof *w->pool.items, compare_candidates);
    w->pool.count = count;
}

void hnsw_walk(const ht_hnsw *g, hnsw_walker *w, unsigned level) {
    hnsw_pool *pool = &w->pool;
    while (pool->next < pool->count) {
        size_t count = hnsw_unvisited(g, w, hnsw_pool_expand(pool), level);
        if (pool->next < pool->count) /* most often what is expanded next */
            __builtin_prefetch(hnsw_links(g, hnsw_node(pool->items[pool->next]), level));
        hnsw_take(g, w, pool, count);
        w->stats.visited += count;
        w->stats.hops++;
    }
}

/* ---- choosing */

/* Drops from the pool what is nearer to the node kept last than to the probe, once that is allowed for by alpha. */
static void drop_near(const ht_hnsw *g, hnsw_walker *w, uint32_t kept, float alpha) {
    hnsw_pool *pool = &w->pool;
    size_t left = 0;
    for (size_t i = 0; i < pool->count; i++)
        w->list[i] = hnsw_node(pool->items[i]);
    hnsw_probe_node(g, kept, &w->other);
    hnsw_keys(g, w->kernels, &w->other, w->list, pool->count, w->sums, w->keys);
    for (size_t i = 0; i < pool->count; i++) {
        float distance = hnsw_distance(g, &w->probe, hnsw_key(pool->items[i]));
        if (alpha * hnsw_distance(g, &w->other, w->keys[i]) > distance)
            pool->items[left++] = pool->items[i];
    }
    pool->count = left;
}

size_t hnsw_select(const ht_hnsw *g, hnsw_walker *w, size_t most, uint32_t *out) {
    const float alpha = g->spec.metric == HITHER_DOT ? 1 : g->spec.metric == HITHER_L2 ? ALPHA * ALPHA : ALPHA;
    hnsw_pool whole = w->pool;
    size_t kept = 0;
    while (w->pool.count > 0 && kept < most) {
        out[kept] = hnsw_node(w->pool.items[0]);
        w->pool.items++;
        w->pool.count--;
        drop_near(g, w, out[kept++], alpha);
    }
    w->pool.items = whole.items;
    return kept;
}
