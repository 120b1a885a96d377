/*
 * hnsw_inside.h: what the files of the graph share. Nobody else includes it.
 *
 * Nodes are numbered from 0 in the order of their slots. A node has m0 links on layer 0 and m on each layer above, up
 * to its level; unused ones are NONE and come last. Layer 0 uses all of its links but the last, which only hnsw_reach.c
 * fills.
 */
#ifndef HT_INDEX_HNSW_INSIDE_H
#define HT_INDEX_HNSW_INSIDE_H

#include <string.h>

#include "index/hnsw.h"
#include "index/stored.h"

#define HNSW_NONE  UINT32_MAX
#define HNSW_NODES ((uint32_t)1 << 31) /* fewer than this */

struct ht_hnsw {
    ht_hnsw_spec spec;
    size_t code_bytes; /* a node, a multiple of 64 */
    uint32_t m0;
    uint32_t count, room; /* nodes there are, and there is memory for */
    uint8_t *codes;
    float *scales;   /* a row is about scale * (code - offset); for cosine, that over its length */
    float *norms2;   /* l2: |x|^2; else NULL */
    int32_t *totals; /* of a probe's bytes */
    uint64_t *slots;
    uint8_t *levels;
    uint32_t *links;    /* m0 a node */
    uint32_t *upper_at; /* by node: where its upper links begin, in rows of m; what it is for level 0 does not matter */
    uint32_t *upper;
    uint32_t upper_count, upper_room; /* rows of m */
    uint32_t entry;                   /* a node of the highest level; NONE in an empty graph */
    bool mapped;                      /* the arrays are a file's: nothing writes to them */
};

static inline uint32_t *hnsw_links(const ht_hnsw *g, uint32_t node, unsigned level) {
    return level == 0 ? g->links + (size_t)node * g->m0
                      : g->upper + ((size_t)g->upper_at[node] + level - 1) * g->spec.m;
}
/* How many links a node may have on a layer, the reserved one left out. */
static inline uint32_t hnsw_most(const ht_hnsw *g, unsigned level) { return level == 0 ? g->m0 - 1 : g->spec.m; }
static inline uint32_t hnsw_width(const ht_hnsw *g, unsigned level) { return level == 0 ? g->m0 : g->spec.m; }

/* ---- codes */

/* Something distances are taken from: a query, or a node. */
typedef struct hnsw_probe {
    int8_t *bytes;  /* hnsw_probe_bytes of them, aligned to 64 */
    int32_t offset; /* taken from a doubled sum */
    float scale, norm2;
} hnsw_probe;

size_t hnsw_code_bytes(uint32_t dim, uint32_t bits);
static inline size_t hnsw_probe_bytes(const ht_hnsw *g) { return g->code_bytes * (g->spec.bits == 4 ? 2 : 1); }
/* Codes an f32 row. */
void hnsw_encode(ht_hnsw *g, uint32_t node, const float *row);
void hnsw_probe_query(const ht_hnsw *g, const float *query, hnsw_probe *probe);
void hnsw_probe_node(const ht_hnsw *g, uint32_t node, hnsw_probe *probe);

/* Something that rises with the distance from the probe, for each node of a list. sums has room for count. */
void hnsw_keys(const ht_hnsw *g, const ht_kernels *kernels, const hnsw_probe *probe, const uint32_t *nodes,
               size_t count, int32_t *sums, float *keys);
/* The distance itself from such a key: of cosine 1 - similarity, of l2 its square, of dot the negated product. */
float hnsw_distance(const ht_hnsw *g, const hnsw_probe *probe, float key);

/* ---- walking */

/* Key, node, and whether its links were read, in one number that sorts by key and then by node. */
typedef uint64_t hnsw_candidate;
enum { HNSW_EXPANDED = 1 };

static inline hnsw_candidate hnsw_pack(float key, uint32_t node) {
    uint32_t bits;
    key += 0.0f; /* a negative zero would come before the other */
    memcpy(&bits, &key, sizeof bits);
    bits ^= (uint32_t)((int32_t)bits >> 31) | (uint32_t)1 << 31;
    return (uint64_t)bits << 32 | node << 1;
}
static inline uint32_t hnsw_node(hnsw_candidate c) { return (uint32_t)c >> 1; }
static inline float hnsw_key(hnsw_candidate c) {
    uint32_t bits = (uint32_t)(c >> 32);
    float key;
    bits ^= (uint32_t)((int32_t)~bits >> 31) | (uint32_t)1 << 31;
    memcpy(&key, &bits, sizeof key);
    return key;
}

/* The best candidates so far, by (key, node). */
typedef struct hnsw_pool {
    hnsw_candidate *items; /* room for `most` */
    size_t count, most;
    size_t next; /* all before it are expanded */
} hnsw_pool;

static inline bool hnsw_pool_wants(const hnsw_pool *pool, hnsw_candidate c) {
    return pool->count < pool->most || c < pool->items[pool->count - 1];
}
/* Only of one it wants. */
void hnsw_pool_add(hnsw_pool *pool, hnsw_candidate c);
/* The nearest that is not expanded, which it is from now on; there is one. */
uint32_t hnsw_pool_expand(hnsw_pool *pool);

/* What one walker works in. */
typedef struct hnsw_walker {
    const ht_kernels *kernels;
    hnsw_probe probe, other; /* from where; a second one for choosing neighbours */
    hnsw_pool pool, results; /* results: only of filtered walks */
    uint8_t *visited;
    uint8_t epoch;
    uint32_t *list; /* room for the nodes of one expansion */
    int32_t *sums;
    float *keys;
    uint32_t *chosen; /* m0 */
    float *row;       /* dim */
    void *room;       /* for D of a row */
    ht_hnsw_stats stats;
} hnsw_walker;

/* Most nodes that one expansion compares: a node's neighbours, and in a filtered walk theirs. */
static inline size_t hnsw_list_room(const ht_hnsw *g) { return (size_t)g->m0 * (g->m0 + 1); }

/* A walker in the scratch, for pools of `ef`; NOMEM. */
HT_NODISCARD hither_status hnsw_walker_make(const ht_hnsw *g, ht_hnsw_scratch *scratch, size_t ef, hnsw_walker *out,
                                            hither_error *err);
/* Forgets what was visited. */
void hnsw_walker_begin(ht_hnsw_scratch *scratch, hnsw_walker *w);
/* From the entry down to `level` + 1, always to the nearest neighbour: where a walk on `level` is to begin. */
hnsw_candidate hnsw_descend(const ht_hnsw *g, hnsw_walker *w, unsigned level);
/* The neighbours of a node that were not visited yet, into w->list. */
size_t hnsw_unvisited(const ht_hnsw *g, hnsw_walker *w, uint32_t node, unsigned level);
/* Compares the first `count` nodes of w->list by their codes, into w->keys; codes are asked for some rows ahead. */
void hnsw_compare(const ht_hnsw *g, hnsw_walker *w, size_t count);
/* The same; those that the pool wants, which is one of the walker's, are in it then. */
void hnsw_take(const ht_hnsw *g, hnsw_walker *w, hnsw_pool *pool, size_t count);
/* The pool holds these nodes, in order: what hnsw_select chooses from. `count` is at most pool.most. */
void hnsw_rank(const ht_hnsw *g, hnsw_walker *w, size_t count);
/* Algorithm 2, SEARCH-LAYER: the pool holds the nearest it found. */
void hnsw_walk(const ht_hnsw *g, hnsw_walker *w, unsigned level);

/* Algorithm 4, SELECT-NEIGHBORS-HEURISTIC, with alpha: picks at most `most` of the pool's candidates, by rising key as
 * seen from w->probe, none of which is nearer to one picked before it than to the probe. Returns how many; the pool is
 * spent. */
size_t hnsw_select(const ht_hnsw *g, hnsw_walker *w, size_t most, uint32_t *out);

/* ---- memory and reach */

/* Scratches for as many walkers as there are threads; taken and given back without a lock. */
enum { HNSW_WALKERS = 64 };
typedef struct hnsw_walkers {
    ht_hnsw_scratch scratch[HNSW_WALKERS];
    _Atomic int taken[HNSW_WALKERS];
} hnsw_walkers;
hnsw_walkers *hnsw_walkers_new(void); /* NULL without memory */
void hnsw_walkers_free(hnsw_walkers *walkers);
ht_hnsw_scratch *hnsw_walkers_take(hnsw_walkers *walkers, size_t *at);
void hnsw_walkers_give(hnsw_walkers *walkers, size_t at);

/* A copy with room for so many nodes, and rows of upper links, in memory of its own. */
HT_NODISCARD hither_status hnsw_copy_with_room(const ht_hnsw *graph, size_t nodes, size_t uppers, ht_hnsw **out,
                                               hither_error *err);
/* Each gets what the other was. */
void hnsw_swap(ht_hnsw *a, ht_hnsw *b);
/* Links every node that cannot be reached from the entry to one near it that can. */
HT_NODISCARD hither_status hnsw_reach(ht_hnsw *g, ht_hnsw_scratch *scratch, hither_error *err);
/* Marks in `reached` (a byte a node, zeroed) what can be reached from `from`; stack has room for all nodes. */
size_t hnsw_flood(const ht_hnsw *g, uint32_t from, uint8_t *reached, uint32_t *stack);

#endif
