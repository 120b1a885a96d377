/*
 * hnsw_reach.c: what can be reached from the entry on layer 0, and the links that make it everything. Choosing links
 * anew may drop the only one that led to a node; such a node gets the reserved last link of a node near it.
 */
#include <string.h>

#include "base/alloc.h"
#include "index/hnsw_inside.h"

enum { NEAR = 64 };

size_t hnsw_flood(const ht_hnsw *g, uint32_t from, uint8_t *reached, uint32_t *stack) {
    size_t depth = 0, count = 1;
    reached[from] = 1;
    stack[depth++] = from;
    while (depth > 0) {
        const uint32_t *links = hnsw_links(g, stack[--depth], 0);
        for (size_t i = 0; i < g->m0 && links[i] != HNSW_NONE; i++) {
            if (reached[links[i]])
                continue;
            reached[links[i]] = 1;
            stack[depth++] = links[i];
            count++;
        }
    }
    return count;
}

static bool append(ht_hnsw *g, uint32_t to, uint32_t node) {
    uint32_t *links = hnsw_links(g, to, 0);
    for (size_t i = 0; i < g->m0; i++) {
        if (links[i] == HNSW_NONE) {
            links[i] = node;
            return true;
        }
    }
    return false;
}

/* Links `node` to a reached node with a link to spare: the nearest that a walk finds, else any. There is always one:
 * each node has a spare link at first, and each use of one makes another node reached. */
static void rescue(ht_hnsw *g, ht_hnsw_scratch *scratch, hnsw_walker *w, uint32_t node, const uint8_t *reached) {
    hnsw_probe_node(g, node, &w->probe);
    hnsw_walker_begin(scratch, w);
    hnsw_candidate ep = hnsw_descend(g, w, 0);
    if (!reached[hnsw_node(ep)])
        ep = hnsw_pack(0, g->entry);
    w->visited[hnsw_node(ep)] = w->epoch;
    hnsw_pool_add(&w->pool, ep);
    hnsw_walk(g, w, 0);
    for (size_t i = 0; i < w->pool.count; i++)
        if (append(g, hnsw_node(w->pool.items[i]), node))
            return;
    for (uint32_t to = 0; to < g->count; to++)
        if (reached[to] && append(g, to, node))
            return;
    HT_ASSERT(false);
}

hither_status hnsw_reach(ht_hnsw *g, ht_hnsw_scratch *scratch, hither_error *err) {
    if (g->count == 0)
        return HITHER_OK;
    hnsw_walker w;
    HT_TRY(hnsw_walker_make(g, scratch, NEAR, &w, err));
    uint8_t *reached = ht_calloc(g->count, 1);
    uint32_t *stack = ht_alloc(g->count * sizeof *stack);
    hither_status status = HITHER_OK;
    if (reached && stack) {
        size_t count = hnsw_flood(g, g->entry, reached, stack);
        for (uint32_t node = 0; count < g->count; node++) {
            if (reached[node])
                continue;
            rescue(g, scratch, &w, node, reached);
            count += hnsw_flood(g, node, reached, stack);
        }
    } else {
        status = ht_fail_nomem(err, g->count * sizeof *stack, "the reach of a graph");
    }
    ht_release(stack);
    ht_release(reached);
    return status;
}
