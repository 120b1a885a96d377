/*
 * hnsw.h: approximate search by walking a graph: Hierarchical Navigable Small Worlds (Malkov and Yashunin, 2016), over
 * codes of 4 or 8 bits an element that the graph keeps beside its links. What a walk finds is scored by D before it is
 * an answer, so distances and their order are exact; which rows are found is not.
 *
 * What differs from the paper, and why:
 *   - nodes are added in batches: each searches the graph as it was before its batch, and its batch by brute force;
 *     links are made afterwards, in order. So a graph depends on its rows and seed alone: the same bytes at any number
 *     of threads, and, as distances come from integer sums, at every SIMD level;
 *   - neighbours are chosen with alpha (Subramanya et al., 2019), which keeps some longer links;
 *   - no node is left out of reach: the last of a node's links is kept for those that pruning would have stranded.
 *
 * A graph covers some rows of an ht_vectors, by slot: a cache, made from rows alone. One thread at a time changes it
 * (ht_hnsw_extend, ht_hnsw_repair), and none searches then; any number of threads search it between. The caller is
 * between ht_fp_enter and ht_fp_leave.
 */
#ifndef HT_INDEX_HNSW_H
#define HT_INDEX_HNSW_H

#include "base/container.h"
#include "index/exact.h"

enum {
    HT_HNSW_LEAST_M = 4,
    HT_HNSW_MOST_M = 128,
    HT_HNSW_MOST_EF = 65536,
    HT_HNSW_MOST_LEVEL = 15,
};

typedef struct ht_hnsw ht_hnsw;

typedef struct ht_hnsw_spec {
    hither_dtype dtype;   /* of the rows; not b1 */
    hither_metric metric; /* cosine, dot or l2 */
    uint32_t dim;
    uint32_t m;        /* M of the paper: links of a node on an upper layer, half of those on layer 0; even */
    uint32_t ef_build; /* efConstruction */
    uint32_t bits;     /* of a code: 4 or 8 */
    uint64_t seed;
} ht_hnsw_spec;

/* Fills in what is 0 with the defaults; UNSUPPORTED, INVALID. */
HT_NODISCARD hither_status ht_hnsw_spec_check(ht_hnsw_spec *spec, hither_error *err);

HT_NODISCARD hither_status ht_hnsw_new(const ht_hnsw_spec *spec, ht_hnsw **out, hither_error *err);
HT_NODISCARD hither_status ht_hnsw_copy(const ht_hnsw *graph, ht_hnsw **out, hither_error *err);
void ht_hnsw_free(ht_hnsw *graph);

/* step: NULL, or called now and then, by the thread that called; a value other than 0 ends the work with INTERRUPTED.
 */
typedef struct ht_hnsw_progress {
    int (*step)(void *ctx, uint64_t done, uint64_t of);
    void *ctx;
    uint64_t memory; /* the work may take so many bytes, TOO_LARGE says how many it wants; 0: as many as it wants */
} ht_hnsw_progress;

static inline bool ht_hnsw_stops(const ht_hnsw_progress *progress, uint64_t done, uint64_t of) {
    return progress && progress->step && progress->step(progress->ctx, done, of);
}

/* Adds the rows at the given slots, which rise and are above all slots in the graph. On failure the graph is as it was.
 * NOMEM, NOT_FINITE (a row's slot is named), INTERRUPTED, or what vectors->touch returned. */
HT_NODISCARD hither_status ht_hnsw_extend(ht_hnsw *graph, const ht_vectors *vectors, const uint64_t *slots,
                                          size_t count, unsigned threads, const ht_hnsw_progress *progress,
                                          hither_error *err);

/* Takes the rows that are not in `live` out of the graph: the neighbours of one are joined to its own. The graph is as
 * it was on failure. NOMEM. */
HT_NODISCARD hither_status ht_hnsw_repair(ht_hnsw *graph, const ht_mask *live, unsigned threads, hither_error *err);

/* The same as new graphs: the old one stays as it is, and searches of it go on meanwhile. */
HT_NODISCARD hither_status ht_hnsw_extended(const ht_hnsw *graph, const ht_vectors *vectors, const uint64_t *slots,
                                            size_t count, unsigned threads, const ht_hnsw_progress *progress,
                                            ht_hnsw **out, hither_error *err);
HT_NODISCARD hither_status ht_hnsw_repaired(const ht_hnsw *graph, const ht_mask *live, unsigned threads, ht_hnsw **out,
                                            hither_error *err);
/* Each slot becomes the number of those before it that are in `live`; all slots of the graph are. Not of a mapped one.
 */
void ht_hnsw_renumber(ht_hnsw *graph, const ht_mask *live);
/* How many of its rows are in `live`. */
uint64_t ht_hnsw_living(const ht_hnsw *graph, const ht_mask *live);

/* ---- searching */

/* What a search works in: one search at a time; zeroed before first use. Kept between searches it allocates only when
 * the graph, or ef, is larger than any before. */
typedef struct ht_hnsw_scratch {
    void *memory;
    size_t bytes;
    uint8_t *visited; /* by node: the epoch it was last visited in */
    size_t nodes;
    uint8_t epoch;
} ht_hnsw_scratch;

void ht_hnsw_scratch_clear(ht_hnsw_scratch *scratch);

typedef struct ht_hnsw_search {
    size_t k;
    size_t ef;                   /* candidates kept on the walk; at least k */
    size_t rescore;              /* of them scored by D; at least k, 0: as many as the codes' error asks for */
    const ht_mask *live, *allow; /* NULL: all */
    double share; /* of the rows that are in both, about: how the walk is to deal with those that are not */
} ht_hnsw_search;

typedef struct ht_hnsw_stats {
    uint64_t visited;  /* nodes whose codes were compared */
    uint64_t hops;     /* nodes whose links were read */
    uint64_t rescored; /* rows scored by D */
} ht_hnsw_stats;

/* At most k rows near the query, by (D, slot). There may be fewer than k although more qualify: then the caller
 * searches exactly. The query is f32 (f64 for f64 rows), finite. stats (may be NULL) is added to. */
HT_NODISCARD hither_status ht_hnsw_find(const ht_hnsw *graph, ht_hnsw_scratch *scratch, const ht_vectors *vectors,
                                        const void *query, const ht_hnsw_search *search, ht_hit *hits, size_t *count,
                                        ht_hnsw_stats *stats, hither_error *err);

/* ---- facts, checks, files */

typedef struct ht_hnsw_info {
    ht_hnsw_spec spec;
    uint64_t nodes, levels, links; /* links of layer 0 */
    uint64_t bytes;                /* of memory, or of the mapped file */
} ht_hnsw_info;
void ht_hnsw_describe(const ht_hnsw *graph, ht_hnsw_info *out);
/* About as many bytes as making a graph of so many rows takes, on so many threads. */
uint64_t ht_hnsw_building_bytes(const ht_hnsw_spec *spec, uint64_t rows, unsigned threads);

/* The slot after the last one in the graph. */
uint64_t ht_hnsw_limit(const ht_hnsw *graph);

/* Whether every link leads to a node of its layer, none to the node itself or twice to one, and every node can be
 * reached from the entry: CORRUPT says what is wrong. Trusts nothing but the sizes of the arrays. */
HT_NODISCARD hither_status ht_hnsw_check(const ht_hnsw *graph, hither_error *err);

/* The graph as sections of a file that is being written. */
HT_NODISCARD hither_status ht_hnsw_put(const ht_hnsw *graph, ht_container_writer *writer, hither_error *err);
/* Whether each slot in the graph is that of a row: to ask of a graph from a file. */
bool ht_hnsw_fits(const ht_hnsw *graph, const ht_vectors *vectors);
/* The graph in a container, which must outlive it; every byte of it is checked, and then that it is a graph. CORRUPT,
 * NOMEM. */
HT_NODISCARD hither_status ht_hnsw_get(ht_container *file, ht_hnsw **out, hither_error *err);

#endif
