/*
 * hnsw.c: a graph's memory, and facts about it.
 */
#include "index/hnsw.h"

#include <string.h>

#include "base/alloc.h"
#include "base/values.h"
#include "index/hnsw_inside.h"

enum { DEFAULT_M = 16, DEFAULT_EF_BUILD = 100, DEFAULT_BITS = 4 };

hither_status ht_hnsw_spec_check(ht_hnsw_spec *spec, hither_error *err) {
    if (spec->dtype == HITHER_B1 || spec->metric < HITHER_COSINE || spec->metric > HITHER_L2)
        return ht_fail(err, HITHER_UNSUPPORTED, "a graph of %s rows by %s; it takes cosine, dot and l2, of all but b1",
                       ht_dtype_name(spec->dtype), ht_metric_name(spec->metric));
    if (spec->dim == 0 || spec->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "a graph of %u dimensions; 1 to %u are possible", spec->dim,
                       HITHER_MAX_DIM);
    if (spec->m == 0)
        spec->m = DEFAULT_M;
    if (spec->ef_build == 0)
        spec->ef_build = DEFAULT_EF_BUILD;
    if (spec->bits == 0)
        spec->bits = DEFAULT_BITS;
    if (spec->m < HT_HNSW_LEAST_M || spec->m > HT_HNSW_MOST_M)
        return ht_fail(err, HITHER_INVALID, "m is %u; %d to %d links a node are possible", spec->m, HT_HNSW_LEAST_M,
                       HT_HNSW_MOST_M);
    if (spec->ef_build > HT_HNSW_MOST_EF)
        return ht_fail(err, HITHER_INVALID, "ef_build is %u; at most %d is possible", spec->ef_build, HT_HNSW_MOST_EF);
    if (spec->bits != 4 && spec->bits != 8)
        return ht_fail(err, HITHER_INVALID, "codes of %u bits; 4 and 8 are possible", spec->bits);
    return HITHER_OK;
}

hither_status ht_hnsw_new(const ht_hnsw_spec *spec, ht_hnsw **out, hither_error *err) {
    ht_hnsw_spec full = *spec;
    HT_TRY(ht_hnsw_spec_check(&full, err));
    ht_hnsw *g = ht_calloc(1, sizeof *g);
    if (!g)
        return ht_fail_nomem(err, sizeof *g, "a graph");
    g->spec = full;
    g->m0 = 2 * full.m;
    g->code_bytes = hnsw_code_bytes(full.dim, full.bits);
    g->entry = HNSW_NONE;
    *out = g;
    return HITHER_OK;
}

static void release_arrays(ht_hnsw *g) {
    if (g->mapped)
        return;
    ht_release(g->codes);
    ht_release(g->scales);
    ht_release(g->norms2);
    ht_release(g->totals);
    ht_release(g->slots);
    ht_release(g->levels);
    ht_release(g->links);
    ht_release(g->upper_at);
    ht_release(g->upper);
}

void ht_hnsw_free(ht_hnsw *g) {
    if (!g)
        return;
    release_arrays(g);
    ht_release(g);
}

/* `used` of the old array's items in a new one with room for `room`; NULL without memory. */
static void *grown(const void *old, size_t used, size_t room, size_t size) {
    size_t bytes;
    void *fresh = ht_mul_size(room ? room : 1, size, &bytes) ? ht_alloc_aligned(bytes) : NULL;
    if (fresh && used)
        memcpy(fresh, old, used * size);
    return fresh;
}

/* A graph with the same nodes and room for more. */
static hither_status copy_arrays(const ht_hnsw *g, size_t nodes, size_t uppers, ht_hnsw *out, hither_error *err) {
    ht_hnsw fresh = *g;
    fresh.mapped = false;
    fresh.room = (uint32_t)nodes;
    fresh.upper_room = (uint32_t)uppers;
    fresh.codes = grown(g->codes, g->count, nodes, g->code_bytes);
    fresh.scales = grown(g->scales, g->count, nodes, sizeof *g->scales);
    fresh.norms2 = g->spec.metric == HITHER_L2 ? grown(g->norms2, g->count, nodes, sizeof *g->norms2) : NULL;
    fresh.totals = grown(g->totals, g->count, nodes, sizeof *g->totals);
    fresh.slots = grown(g->slots, g->count, nodes, sizeof *g->slots);
    fresh.levels = grown(g->levels, g->count, nodes, sizeof *g->levels);
    fresh.links = grown(g->links, g->count, nodes, g->m0 * sizeof *g->links);
    fresh.upper_at = grown(g->upper_at, g->count, nodes, sizeof *g->upper_at);
    fresh.upper = grown(g->upper, g->upper_count, uppers, g->spec.m * sizeof *g->upper);
    bool whole = fresh.codes && fresh.scales && fresh.totals && fresh.slots && fresh.levels && fresh.links &&
                 fresh.upper_at && fresh.upper && (fresh.norms2 || g->spec.metric != HITHER_L2);
    if (!whole) {
        release_arrays(&fresh);
        return ht_fail_nomem(err, nodes * (g->code_bytes + g->m0 * sizeof *g->links), "a graph");
    }
    *out = fresh;
    return HITHER_OK;
}

hither_status hnsw_copy_with_room(const ht_hnsw *graph, size_t nodes, size_t uppers, ht_hnsw **out, hither_error *err) {
    if (nodes >= HNSW_NODES || uppers >= HNSW_NODES)
        return ht_fail(err, HITHER_TOO_LARGE, "a graph of %zu nodes; %u are possible", nodes, HNSW_NODES - 1);
    ht_hnsw *g = ht_calloc(1, sizeof *g);
    if (!g)
        return ht_fail_nomem(err, sizeof *g, "a graph");
    hither_status status = copy_arrays(graph, nodes, uppers, g, err);
    if (status == HITHER_OK)
        *out = g;
    else
        ht_release(g);
    return status;
}

hither_status ht_hnsw_copy(const ht_hnsw *graph, ht_hnsw **out, hither_error *err) {
    return hnsw_copy_with_room(graph, graph->count, graph->upper_count, out, err);
}

void hnsw_swap(ht_hnsw *a, ht_hnsw *b) {
    ht_hnsw other = *a;
    *a = *b;
    *b = other;
}

uint64_t ht_hnsw_limit(const ht_hnsw *g) { return g->count ? g->slots[g->count - 1] + 1 : 0; }

void ht_hnsw_describe(const ht_hnsw *g, ht_hnsw_info *out) {
    *out = (ht_hnsw_info){.spec = g->spec, .nodes = g->count};
    out->levels = g->count ? g->levels[g->entry] + 1u : 0;
    for (size_t i = 0; i < (size_t)g->count * g->m0; i++)
        out->links += g->links[i] != HNSW_NONE;
    size_t node = g->code_bytes + sizeof *g->scales + (g->norms2 ? sizeof *g->norms2 : 0) + sizeof *g->slots +
                  sizeof *g->totals + sizeof *g->levels + sizeof *g->upper_at + g->m0 * sizeof *g->links;
    out->bytes = g->room * node + (uint64_t)g->upper_room * g->spec.m * sizeof *g->upper;
}

uint64_t ht_hnsw_building_bytes(const ht_hnsw_spec *spec, uint64_t rows, unsigned threads) {
    const uint64_t links = (uint64_t)2 * spec->m + spec->m / (spec->m - 1) + 1; /* with those of upper layers */
    const uint64_t node = hnsw_code_bytes(spec->dim, spec->bits) + links * sizeof(uint32_t) + sizeof(uint64_t) +
                          2 * sizeof(float) + sizeof(int32_t) + sizeof(uint32_t) + 1;
    const uint64_t walker = (uint64_t)spec->ef_build * 32 + 16 * (uint64_t)spec->dim + 32 * links * links;
    return rows * (node + threads) + threads * walker + 512 * links * 64; /* 512: nodes of a batch */
}
