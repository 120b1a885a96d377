/*
 * hnsw_repair.c: taking rows out of a graph. The nodes that stay are copied to a new graph under new numbers, in their
 * order. One that linked to a node that goes chooses its links anew, among those it has left and those of the node that
 * goes: what could be reached through it stays near. Node by node, so in parallel; the result does not depend on it.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "index/hnsw_inside.h"
#include "index/mask.h"

enum { NODES_AT_ONCE = 64 };

typedef struct repair {
    const ht_hnsw *old;
    ht_hnsw *fresh;
    const uint32_t *number; /* by old node: its new number, NONE for one that goes */
    const uint32_t *was;    /* by new node: its old number */
    hnsw_walkers *walkers;
    _Atomic int failed;
} repair;

static void note(hnsw_walker *w, uint32_t node, size_t *count) {
    if (w->visited[node] == w->epoch)
        return;
    w->visited[node] = w->epoch;
    w->list[(*count)++] = node;
}

/* The old nodes a node may link to: its links that stay, and those of its links that go. Whether any goes. */
static bool gather(const repair *r, hnsw_walker *w, uint32_t node, unsigned level, size_t *count) {
    const ht_hnsw *g = r->old;
    const uint32_t *links = hnsw_links(g, node, level);
    size_t width = hnsw_width(g, level);
    bool any = false;
    *count = 0;
    w->visited[node] = w->epoch;
    for (size_t i = 0; i < width && links[i] != HNSW_NONE; i++) {
        if (r->number[links[i]] != HNSW_NONE) {
            note(w, links[i], count);
            continue;
        }
        any = true;
        const uint32_t *beyond = hnsw_links(g, links[i], level);
        for (size_t j = 0; j < width && beyond[j] != HNSW_NONE; j++)
            if (r->number[beyond[j]] != HNSW_NONE)
                note(w, beyond[j], count);
    }
    return any;
}

static void relink(const repair *r, hnsw_walker *w, uint32_t node, uint32_t fresh, unsigned level) {
    const ht_hnsw *g = r->old;
    uint32_t *out = hnsw_links(r->fresh, fresh, level);
    size_t count, kept = 0;
    if (gather(r, w, node, level, &count)) {
        hnsw_probe_node(g, node, &w->probe);
        hnsw_rank(g, w, count);
        w->pool.count = ht_min_size(count, g->spec.ef_build);
        kept = hnsw_select(g, w, hnsw_most(g, level), w->chosen);
    } else {
        memcpy(w->chosen, w->list, count * sizeof *w->list);
        kept = count;
    }
    for (size_t i = 0; i < hnsw_width(g, level); i++)
        out[i] = i < kept ? r->number[w->chosen[i]] : HNSW_NONE;
}

static void relink_slice(void *ctx, size_t item) {
    repair *r = ctx;
    size_t at;
    ht_hnsw_scratch *scratch = hnsw_walkers_take(r->walkers, &at);
    hnsw_walker w;
    if (hnsw_walker_make(r->old, scratch, hnsw_list_room(r->old), &w, NULL) != HITHER_OK) {
        atomic_store(&r->failed, 1);
        hnsw_walkers_give(r->walkers, at);
        return;
    }
    ht_fp_state fp = ht_fp_enter();
    size_t first = item * NODES_AT_ONCE, end = ht_min_size(first + NODES_AT_ONCE, r->fresh->count);
    for (size_t fresh = first; fresh < end; fresh++) {
        for (unsigned level = 0; level <= r->fresh->levels[fresh]; level++) {
            hnsw_walker_begin(scratch, &w);
            relink(r, &w, r->was[fresh], (uint32_t)fresh, level);
        }
    }
    ht_fp_leave(fp);
    hnsw_walkers_give(r->walkers, at);
}

/* What a node is, links aside. */
static void copy_node(const ht_hnsw *old, uint32_t node, ht_hnsw *fresh) {
    uint32_t to = fresh->count++;
    memcpy(fresh->codes + to * old->code_bytes, old->codes + node * old->code_bytes, old->code_bytes);
    fresh->scales[to] = old->scales[node];
    fresh->totals[to] = old->totals[node];
    if (old->norms2)
        fresh->norms2[to] = old->norms2[node];
    fresh->slots[to] = old->slots[node];
    fresh->levels[to] = old->levels[node];
    fresh->upper_at[to] = fresh->upper_count;
    fresh->upper_count += old->levels[node];
    if (fresh->entry == HNSW_NONE || fresh->levels[to] > fresh->levels[fresh->entry])
        fresh->entry = to;
}

/* The nodes that stay, without links. number and was have room for all. */
static hither_status copy_living(const ht_hnsw *g, const ht_mask *live, uint32_t *number, uint32_t *was, ht_hnsw **out,
                                 hither_error *err) {
    ht_hnsw empty = {.spec = g->spec, .m0 = g->m0, .code_bytes = g->code_bytes, .entry = HNSW_NONE};
    size_t nodes = 0, uppers = 0;
    for (uint32_t node = 0; node < g->count; node++) {
        bool stays = ht_mask_word(live, g->slots[node] / 64 * 64) >> (g->slots[node] % 64) & 1;
        number[node] = stays ? (uint32_t)nodes : HNSW_NONE;
        uppers += stays ? g->levels[node] : 0u;
        if (stays)
            was[nodes++] = node;
    }
    HT_TRY(hnsw_copy_with_room(&empty, nodes, uppers, out, err));
    for (size_t i = 0; i < nodes; i++)
        copy_node(g, was[i], *out);
    return HITHER_OK;
}

hither_status ht_hnsw_repaired(const ht_hnsw *graph, const ht_mask *live, unsigned threads, ht_hnsw **out,
                               hither_error *err) {
    uint32_t *number = ht_alloc((graph->count + 1) * sizeof *number), *was = ht_alloc((graph->count + 1) * sizeof *was);
    hnsw_walkers *walkers = hnsw_walkers_new();
    ht_hnsw *fresh = NULL;
    hither_status status = number && was && walkers ? HITHER_OK : ht_fail_nomem(err, graph->count, "a graph's repair");
    if (status == HITHER_OK)
        status = copy_living(graph, live, number, was, &fresh, err);
    if (status == HITHER_OK && fresh->count > 0) {
        repair r = {.old = graph, .fresh = fresh, .number = number, .was = was, .walkers = walkers};
        ht_parallel(threads, (fresh->count - 1) / NODES_AT_ONCE + 1, relink_slice, &r);
        status = atomic_load(&r.failed) ? ht_fail_nomem(err, 0, "a walk") : HITHER_OK;
    }
    if (status == HITHER_OK)
        status = hnsw_reach(fresh, &walkers->scratch[0], err);
    if (status == HITHER_OK)
        *out = fresh;
    else
        ht_hnsw_free(fresh);
    hnsw_walkers_free(walkers);
    ht_release(was);
    ht_release(number);
    return status;
}

hither_status ht_hnsw_repair(ht_hnsw *graph, const ht_mask *live, unsigned threads, hither_error *err) {
    ht_hnsw *fresh;
    if (ht_hnsw_living(graph, live) == graph->count)
        return HITHER_OK;
    HT_TRY(ht_hnsw_repaired(graph, live, threads, &fresh, err));
    hnsw_swap(graph, fresh);
    ht_hnsw_free(fresh);
    return HITHER_OK;
}

uint64_t ht_hnsw_living(const ht_hnsw *graph, const ht_mask *live) {
    uint64_t living = 0;
    for (uint32_t node = 0; node < graph->count; node++)
        living += ht_mask_has(live, graph->slots[node]);
    return living;
}

void ht_hnsw_renumber(ht_hnsw *graph, const ht_mask *live) {
    uint64_t slot = 0, before = 0; /* `before` of the slots below `slot` are in it */
    for (uint32_t node = 0; node < graph->count; node++) {
        for (; slot + 64 <= graph->slots[node]; slot += 64)
            before += (uint64_t)__builtin_popcountll(ht_mask_word(live, slot));
        uint64_t below = ((uint64_t)1 << (graph->slots[node] - slot)) - 1;
        graph->slots[node] = before + (uint64_t)__builtin_popcountll(ht_mask_word(live, slot) & below);
    }
}
