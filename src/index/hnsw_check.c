/*
 * hnsw_check.c: is this a graph? Run on every graph that comes from a file, before anything walks it.
 */
#include <string.h>

#include "base/alloc.h"
#include "index/hnsw_inside.h"

static hither_status check_links(const ht_hnsw *g, uint32_t node, unsigned level, hither_error *err) {
    const uint32_t *links = hnsw_links(g, node, level);
    size_t width = hnsw_width(g, level), count = 0;
    while (count < width && links[count] != HNSW_NONE)
        count++;
    for (size_t i = 0; i < width; i++) {
        if (i >= count) {
            if (links[i] != HNSW_NONE)
                return ht_fail(err, HITHER_CORRUPT, "graph: node %u, layer %u has a link behind its last", node, level);
            continue;
        }
        if (links[i] >= g->count || links[i] == node || g->levels[links[i]] < level)
            return ht_fail(err, HITHER_CORRUPT, "graph: node %u, layer %u links to %u, which cannot be", node, level,
                           links[i]);
        for (size_t j = 0; j < i; j++)
            if (links[j] == links[i])
                return ht_fail(err, HITHER_CORRUPT, "graph: node %u, layer %u links to %u twice", node, level,
                               links[i]);
    }
    return HITHER_OK;
}

static hither_status check_nodes(const ht_hnsw *g, hither_error *err) {
    uint64_t uppers = 0;
    for (uint32_t node = 0; node < g->count; node++) {
        if (g->levels[node] > HT_HNSW_MOST_LEVEL)
            return ht_fail(err, HITHER_CORRUPT, "graph: node %u is on layer %u", node, g->levels[node]);
        if (g->levels[node] && g->upper_at[node] != uppers)
            return ht_fail(err, HITHER_CORRUPT, "graph: the upper links of node %u are not where they should be", node);
        uppers += g->levels[node];
        if (uppers > g->upper_count)
            return ht_fail(err, HITHER_CORRUPT, "graph: node %u has no room for its upper links", node);
        if (g->totals[node] > 127 * (int32_t)HITHER_MAX_DIM || g->totals[node] < -127 * (int32_t)HITHER_MAX_DIM)
            return ht_fail(err, HITHER_CORRUPT, "graph: the total of node %u is %d", node, (int)g->totals[node]);
        if (node > 0 && g->slots[node] <= g->slots[node - 1])
            return ht_fail(err, HITHER_CORRUPT, "graph: the slot of node %u does not rise", node);
    }
    if (g->entry >= g->count)
        return ht_fail(err, HITHER_CORRUPT, "graph: its entry is node %u of %u", g->entry, g->count);
    for (uint32_t node = 0; node < g->count; node++) {
        if (g->levels[node] > g->levels[g->entry])
            return ht_fail(err, HITHER_CORRUPT, "graph: node %u is above the entry", node);
        for (unsigned level = 0; level <= g->levels[node]; level++)
            HT_TRY(check_links(g, node, level, err));
    }
    return HITHER_OK;
}

hither_status ht_hnsw_check(const ht_hnsw *g, hither_error *err) {
    if (g->count == 0)
        return g->entry == HNSW_NONE ? HITHER_OK : ht_fail(err, HITHER_CORRUPT, "graph: an entry, and no nodes");
    HT_TRY(check_nodes(g, err));
    uint8_t *reached = ht_calloc(g->count, 1);
    uint32_t *stack = ht_alloc(g->count * sizeof *stack);
    hither_status status = HITHER_OK;
    if (!reached || !stack)
        status = ht_fail_nomem(err, g->count * sizeof *stack, "the check of a graph");
    else if (hnsw_flood(g, g->entry, reached, stack) != g->count)
        status = ht_fail(err, HITHER_CORRUPT, "graph: node %zu cannot be reached",
                         (size_t)((uint8_t *)memchr(reached, 0, g->count) - reached));
    ht_release(stack);
    ht_release(reached);
    return status;
}

bool ht_hnsw_fits(const ht_hnsw *g, const ht_vectors *vectors) {
    for (uint32_t node = 0; node < g->count; node++) {
        size_t part, row;
        if (!ht_vectors_part(vectors, g->slots[node], &part, &row))
            return false;
    }
    return true;
}
