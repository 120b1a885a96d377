/*
 * hnsw_build.c: adding nodes, a batch at a time: algorithm 1 of the paper, INSERT, for all of a batch at once.
 *
 *   1. Each new node q is searched for in the graph as it is before the batch, and among its batch by brute force; its
 *      neighbours are chosen from what was found, W. Nothing leads to a new node yet, so all of this runs in parallel.
 *   2. Every link q -> e asks for e -> q. The wishes are sorted by e, then q, and each e takes its own: those that fit
 *      are appended, and where there are too many, all of its links are chosen anew. In parallel too, e by e.
 *
 * Both write what depends on the graph before the batch and on the batch alone, so threads cannot change the result.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/pool.h"
#include "index/build_failure.h"
#include "index/hnsw_inside.h"

enum {
    FIRST_BATCH = 32,
    LARGEST_BATCH = 512, /* more would spend more on brute force than it saves on waiting */
    BATCH_SHARE = 8,     /* a batch is at most this part of the graph before it */
    NODES_AT_ONCE = 4,   /* of one thread */
    CODE_AT_ONCE = 256,
};

/* A wish for a link from target to source; sorted as they are numbers. */
typedef uint64_t wish;
static wish wish_of(uint32_t target, uint32_t source) { return (uint64_t)target << 32 | source; }

typedef struct build {
    ht_hnsw *g;
    const ht_vectors *vectors;
    unsigned threads;
    hnsw_walkers *walkers;
    uint32_t begin, end; /* the batch */
    unsigned level;      /* being linked */
    uint32_t *chosen;    /* of the batch: by node, then by level from 0 on, hnsw_width links */
    const wish *wishes;
    const size_t *starts; /* by distinct target: where its wishes begin */
    ht_build_failure failure;
} build;

/* ---- levels and codes */

/* l with probability m^-l, from the slot and the seed alone. */
static uint8_t level_of_slot(const ht_hnsw_spec *spec, uint64_t slot) {
    uint64_t random = ht_mix64(ht_mix64(slot + 0x9e3779b97f4a7c15u) ^ spec->seed);
    uint8_t level = 0;
    for (uint64_t limit = UINT64_MAX / spec->m; random < limit && level < HT_HNSW_MOST_LEVEL; limit /= spec->m)
        level++;
    return level;
}

static bool finite_row(const float *row, size_t dim) {
    for (size_t j = 0; j < dim; j++)
        if (!isfinite(row[j]))
            return false;
    return true;
}

/* Codes of nodes from begin + item * CODE_AT_ONCE on. */
static void encode_slice(void *ctx, size_t item) {
    build *b = ctx;
    ht_hnsw *g = b->g;
    size_t first = b->begin + item * CODE_AT_ONCE, end = ht_min_size(first + CODE_AT_ONCE, b->end);
    ht_fp_state fp = ht_fp_enter();
    float *row = ht_alloc_aligned(g->spec.dim * sizeof *row);
    for (size_t node = first; row && node < end && !ht_build_failed(&b->failure); node++) {
        size_t at, i;
        const ht_part *part = ht_vectors_part(b->vectors, g->slots[node], &at, &i);
        hither_status status = part ? HITHER_OK : HITHER_CORRUPT;
        if (part && b->vectors->touch)
            status = b->vectors->touch(b->vectors->touch_ctx, at, i, i + 1, NULL);
        if (status != HITHER_OK) {
            ht_build_fail_row(&b->failure, g->slots[node], status);
            break;
        }
        const ht_layout layout = {g->spec.dtype, part->bare, g->spec.dim};
        ht_stored_widen(ht_kernels_get(), &layout, (const char *)part->rows + i * part->stride, part->stride, 1, row);
        if (finite_row(row, g->spec.dim))
            hnsw_encode(g, (uint32_t)node, row);
        else
            ht_build_fail_row(&b->failure, g->slots[node], HITHER_NOT_FINITE);
    }
    if (!row)
        ht_build_fail(&b->failure, HITHER_NOMEM);
    ht_release(row);
    ht_fp_leave(fp);
}

/* ---- 1: neighbours of new nodes */

static size_t width_before(const ht_hnsw *g, unsigned level) {
    return level == 0 ? 0 : g->m0 + (level - 1) * g->spec.m;
}

/* Others of the batch on this level join W. */
static void add_peers(const build *b, hnsw_walker *w, uint32_t q, unsigned level) {
    const ht_hnsw *g = b->g;
    size_t room = hnsw_list_room(g), count = 0;
    for (uint32_t e = b->begin; e <= b->end; e++) {
        if (e < b->end && e != q && g->levels[e] >= level)
            w->list[count++] = e;
        if (count < room && e < b->end)
            continue;
        hnsw_take(g, w, &w->pool, count);
        count = 0;
    }
}

static void choose_links(build *b, hnsw_walker *w, ht_hnsw_scratch *scratch, uint32_t q) {
    ht_hnsw *g = b->g;
    unsigned own = g->levels[q], top = 0;
    size_t found = 0;
    hnsw_candidate *ep = w->results.items; /* where the walk on the next layer begins */
    hnsw_probe_node(g, q, &w->probe);
    if (g->entry != HNSW_NONE) {
        top = g->levels[g->entry];
        ep[0] = hnsw_descend(g, w, own < top ? own : top);
        found = 1;
    }
    for (unsigned level = own + 1; level-- > 0;) {
        hnsw_walker_begin(scratch, w);
        if (level <= top && found > 0) {
            for (size_t i = 0; i < found; i++) {
                w->visited[hnsw_node(ep[i])] = w->epoch;
                w->pool.items[i] = ep[i] & ~(hnsw_candidate)HNSW_EXPANDED;
            }
            w->pool.count = found;
            hnsw_walk(g, w, level);
            found = w->pool.count;
            memcpy(ep, w->pool.items, found * sizeof *ep);
        }
        add_peers(b, w, q, level);
        uint32_t *out = b->chosen + (q - b->begin) * width_before(g, HT_HNSW_MOST_LEVEL + 1) + width_before(g, level);
        size_t kept = hnsw_select(g, w, g->spec.m, out);
        for (size_t i = kept; i < hnsw_width(g, level); i++)
            out[i] = HNSW_NONE;
    }
}

static void choose_slice(void *ctx, size_t item) {
    build *b = ctx;
    size_t at;
    ht_hnsw_scratch *scratch = hnsw_walkers_take(b->walkers, &at);
    hnsw_walker w;
    ht_fp_state fp = ht_fp_enter();
    if (hnsw_walker_make(b->g, scratch, b->g->spec.ef_build, &w, NULL) != HITHER_OK)
        ht_build_fail(&b->failure, HITHER_NOMEM);
    uint32_t first = b->begin + (uint32_t)item * NODES_AT_ONCE;
    for (uint32_t q = first; q < first + NODES_AT_ONCE && q < b->end && !ht_build_failed(&b->failure); q++)
        choose_links(b, &w, scratch, q);
    ht_fp_leave(fp);
    hnsw_walkers_give(b->walkers, at);
}

/* ---- 2: links back */

static int compare_wishes(const void *a, const void *b) {
    wish x = *(const wish *)a, y = *(const wish *)b;
    return x < y ? -1 : x > y;
}

/* All of a node's wishes; the links it has come first. */
static void grant(build *b, hnsw_walker *w, uint32_t target, const wish *first, const wish *end) {
    ht_hnsw *g = b->g;
    uint32_t *links = hnsw_links(g, target, b->level);
    size_t most = hnsw_most(g, b->level), count = 0, had;
    while (count < most && links[count] != HNSW_NONE) {
        w->list[count] = links[count];
        count++;
    }
    had = count;
    for (const wish *at = first; at < end; at++) {
        uint32_t source = (uint32_t)*at;
        bool there = false;
        for (size_t i = 0; i < had && !there; i++)
            there = links[i] == source;
        if (!there && count < w->pool.most)
            w->list[count++] = source;
    }
    if (count <= most) {
        memcpy(links, w->list, count * sizeof *links);
        return;
    }
    hnsw_probe_node(g, target, &w->probe);
    hnsw_rank(g, w, count);
    uint32_t *chosen = w->chosen;
    size_t kept = hnsw_select(g, w, most, chosen);
    uint32_t spare = b->level == 0 ? links[most] : HNSW_NONE; /* hnsw_reach.c's; it moves up to the others */
    for (size_t i = 0; i < kept && spare != HNSW_NONE; i++)
        spare = chosen[i] == spare ? HNSW_NONE : spare;
    if (spare != HNSW_NONE)
        chosen[kept++] = spare;
    memcpy(links, chosen, kept * sizeof *links);
    for (size_t i = kept; i < hnsw_width(g, b->level); i++)
        links[i] = HNSW_NONE;
}

static void grant_slice(void *ctx, size_t item) {
    build *b = ctx;
    size_t at;
    ht_hnsw_scratch *scratch = hnsw_walkers_take(b->walkers, &at);
    hnsw_walker w;
    const wish *first = b->wishes + b->starts[item], *end = b->wishes + b->starts[item + 1];
    size_t most = hnsw_most(b->g, b->level) + (size_t)(end - first);
    ht_fp_state fp = ht_fp_enter();
    most = most > b->g->spec.ef_build ? most : b->g->spec.ef_build;
    if (hnsw_walker_make(b->g, scratch, most, &w, NULL) == HITHER_OK)
        grant(b, &w, (uint32_t)(*first >> 32), first, end);
    else
        ht_build_fail(&b->failure, HITHER_NOMEM);
    ht_fp_leave(fp);
    hnsw_walkers_give(b->walkers, at);
}

/* The new nodes' own links go in, and their wishes out. */
static size_t collect_wishes(build *b, unsigned level, wish *out) {
    ht_hnsw *g = b->g;
    size_t count = 0;
    for (uint32_t q = b->begin; q < b->end; q++) {
        if (g->levels[q] < level)
            continue;
        const uint32_t *chosen =
            b->chosen + (q - b->begin) * width_before(g, HT_HNSW_MOST_LEVEL + 1) + width_before(g, level);
        memcpy(hnsw_links(g, q, level), chosen, hnsw_width(g, level) * sizeof *chosen);
        for (size_t i = 0; i < hnsw_width(g, level) && chosen[i] != HNSW_NONE; i++)
            out[count++] = wish_of(chosen[i], q);
    }
    qsort(out, count, sizeof *out, compare_wishes);
    return count;
}

static void link_level(build *b, unsigned level, wish *wishes, size_t *starts) {
    size_t count = collect_wishes(b, level, wishes), targets = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || wishes[i] >> 32 != wishes[i - 1] >> 32)
            starts[targets++] = i;
    starts[targets] = count;
    b->level = level;
    b->wishes = wishes;
    b->starts = starts;
    if (targets)
        ht_parallel(b->threads, targets, grant_slice, b);
}

/* ---- batches */

/* What a batch needs beside the graph. */
typedef struct batch_room {
    uint32_t *chosen;
    wish *wishes;
    size_t *starts;
} batch_room;

static void add_batch(build *b, const batch_room *room) {
    ht_hnsw *g = b->g;
    b->chosen = room->chosen;
    ht_parallel(b->threads, (b->end - b->begin - 1) / NODES_AT_ONCE + 1, choose_slice, b);
    if (ht_build_failed(&b->failure))
        return;
    unsigned top = 0;
    for (uint32_t q = b->begin; q < b->end; q++)
        top = g->levels[q] > top ? g->levels[q] : top;
    for (unsigned level = top + 1; level-- > 0;)
        link_level(b, level, room->wishes, room->starts);
    for (uint32_t q = b->begin; q < b->end; q++)
        if (g->entry == HNSW_NONE || g->levels[q] > g->levels[g->entry])
            g->entry = q;
}

static uint32_t next_batch(uint32_t count, uint32_t end) {
    uint32_t size = count / BATCH_SHARE;
    size = size < FIRST_BATCH ? FIRST_BATCH : size > LARGEST_BATCH ? LARGEST_BATCH : size;
    return end - count < size ? end - count : size;
}

static hither_status add_batches(build *b, uint32_t from, uint32_t to, const batch_room *room,
                                 const ht_hnsw_progress *progress, hither_error *err) {
    for (uint32_t done = from; done < to;) {
        if (ht_hnsw_stops(progress, done - from, to - from))
            return ht_fail(err, HITHER_INTERRUPTED, "building the graph was stopped at row %u of %u", done - from,
                           to - from);
        b->begin = done;
        b->end = done + next_batch(done, to);
        add_batch(b, room);
        HT_TRY(ht_build_failure_say(&b->failure, "a walk", err));
        done = b->end;
    }
    return HITHER_OK;
}

static size_t upper_rows(const ht_hnsw *g, const uint64_t *slots, size_t count) {
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += level_of_slot(&g->spec, slots[i]);
    return rows;
}

/* The new nodes' slots, levels and empty links. */
static void make_nodes(ht_hnsw *g, const uint64_t *slots, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t node = g->count++;
        g->slots[node] = slots[i];
        g->levels[node] = level_of_slot(&g->spec, slots[i]);
        g->upper_at[node] = g->upper_count;
        g->upper_count += g->levels[node];
        memset(g->links + (size_t)node * g->m0, 0xff, g->m0 * sizeof *g->links);
        memset(g->upper + (size_t)g->upper_at[node] * g->spec.m, 0xff, g->levels[node] * g->spec.m * sizeof *g->upper);
    }
}

static hither_status encode_nodes(build *b, uint32_t from, hither_error *err) {
    b->begin = from;
    b->end = b->g->count;
    ht_parallel(b->threads, (b->end - from - 1) / CODE_AT_ONCE + 1, encode_slice, b);
    return ht_build_failure_say(&b->failure, "a row", err);
}

static hither_status build_all(build *b, const uint64_t *slots, size_t count, const ht_hnsw_progress *progress,
                               hither_error *err) {
    ht_hnsw *g = b->g;
    uint32_t from = g->count;
    make_nodes(g, slots, count);
    HT_TRY(encode_nodes(b, from, err));
    size_t links = width_before(g, HT_HNSW_MOST_LEVEL + 1);
    batch_room room = {.chosen = ht_alloc(LARGEST_BATCH * links * sizeof(uint32_t)),
                       .wishes = ht_alloc((size_t)LARGEST_BATCH * g->m0 * sizeof(wish)),
                       .starts = ht_alloc(((size_t)LARGEST_BATCH * g->m0 + 1) * sizeof(size_t))};
    hither_status status = HITHER_OK;
    if (!room.chosen || !room.wishes || !room.starts)
        status = ht_fail_nomem(err, LARGEST_BATCH * links * sizeof(uint32_t), "a batch of nodes");
    if (status == HITHER_OK)
        status = add_batches(b, from, g->count, &room, progress, err);
    if (status == HITHER_OK)
        status = hnsw_reach(g, &b->walkers->scratch[0], err);
    ht_release(room.starts);
    ht_release(room.wishes);
    ht_release(room.chosen);
    return status;
}

hither_status ht_hnsw_extended(const ht_hnsw *graph, const ht_vectors *vectors, const uint64_t *slots, size_t count,
                               unsigned threads, const ht_hnsw_progress *progress, ht_hnsw **out, hither_error *err) {
    HT_ASSERT(count == 0 || slots[0] >= ht_hnsw_limit(graph));
    if (count >= HNSW_NODES - graph->count)
        return ht_fail(err, HITHER_TOO_LARGE, "%zu more rows for a graph of %u nodes; %u are possible", count,
                       graph->count, HNSW_NODES - 1);
    ht_hnsw *fresh;
    HT_TRY(hnsw_copy_with_room(graph, graph->count + count, graph->upper_count + upper_rows(graph, slots, count),
                               &fresh, err));
    hnsw_walkers *all = hnsw_walkers_new();
    build b = {.g = fresh, .vectors = vectors, .threads = threads, .walkers = all};
    ht_build_failure_begin(&b.failure);
    hither_status status = all ? HITHER_OK : ht_fail_nomem(err, sizeof *all, "walks");
    if (status == HITHER_OK && count > 0)
        status = build_all(&b, slots, count, progress, err);
    hnsw_walkers_free(all);
    if (status == HITHER_OK)
        *out = fresh;
    else
        ht_hnsw_free(fresh);
    return status;
}

hither_status ht_hnsw_extend(ht_hnsw *graph, const ht_vectors *vectors, const uint64_t *slots, size_t count,
                             unsigned threads, const ht_hnsw_progress *progress, hither_error *err) {
    ht_hnsw *fresh;
    if (count == 0)
        return HITHER_OK;
    HT_TRY(ht_hnsw_extended(graph, vectors, slots, count, threads, progress, &fresh, err));
    hnsw_swap(graph, fresh);
    ht_hnsw_free(fresh);
    return HITHER_OK;
}
