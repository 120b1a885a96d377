/*
 * approx.h: what an index may have beside its rows to find near ones without looking at all of them: the graph of
 * hnsw.h, and any other kind, behind one table of functions. Rows and labels stay flat.h's; a kind finds slots.
 *
 * A value is immutable once made: adding rows and taking them out give a new one, so searches of the old one go on
 * meanwhile. It covers rows of an ht_vectors, by slot, and is a cache: made from rows alone, the same bytes at any
 * number of threads. What a kind does not take (a metric, a type, too few rows) is searched exactly by whoever asks.
 *
 * Any thread. The caller is between ht_fp_enter and ht_fp_leave.
 */
#ifndef HT_INDEX_APPROX_H
#define HT_INDEX_APPROX_H

#include "base/container.h"
#include "index/exact.h"
#include "index/hnsw.h"

typedef struct ht_approx_spec {
    hither_kind kind; /* HITHER_EXACT: none */
    hither_dtype dtype;
    hither_metric metric;
    uint32_t dim;
    uint32_t m, ef_build, bits; /* HNSW's, as in ht_hnsw_spec */
    uint32_t lists;             /* IVF's */
    uint64_t seed;
} ht_approx_spec;

typedef struct ht_approx_search {
    size_t k;
    size_t effort;               /* ef, or lists to look into: what more of finds more, for more time */
    const ht_mask *live, *allow; /* NULL: all */
    double share;                /* of the rows that are in both, about */
} ht_approx_search;

/* What searches did; added to. */
typedef struct ht_approx_stats {
    uint64_t visited;  /* rows compared by their codes */
    uint64_t steps;    /* nodes whose links were read, or lists scanned */
    uint64_t rescored; /* rows scored by D */
} ht_approx_stats;

typedef struct ht_approx_facts {
    uint64_t rows, levels, links, lists; /* those that the kind has */
    uint64_t bytes;
} ht_approx_facts;

typedef struct ht_approx_kind ht_approx_kind;

/* The first member of what a kind makes. */
typedef struct ht_approx {
    const ht_approx_kind *kind;
} ht_approx;

enum { HT_APPROX_EFFORTS = 24 };

struct ht_approx_kind {
    hither_kind number;
    const char *name;   /* "hnsw" */
    const char *effort; /* what its effort is called: "ef" */
    bool pooled;        /* an effort below k is taken for k */
    size_t least;       /* fewer rows are searched exactly in less time */
    double visit;       /* what one row that a search of it compares costs, in rows that an exact search scans */
    bool thins;         /* comparing costs more where few rows qualify, beyond comparing more of them */

    bool (*takes)(hither_dtype dtype, hither_metric metric);
    /* Fills in what is 0 with the defaults; INVALID. */
    hither_status (*complete)(ht_approx_spec *spec, hither_error *err);
    /* `from` (NULL: nothing) and the rows at the given slots, which rise and are above all of its own. NOMEM,
     * NOT_FINITE, INTERRUPTED, TOO_LARGE, or what vectors->touch returned. */
    hither_status (*extended)(const ht_approx *from, const ht_approx_spec *spec, const ht_vectors *vectors,
                              const uint64_t *slots, size_t count, unsigned threads, const ht_hnsw_progress *progress,
                              ht_approx **out, hither_error *err);
    /* Without the rows that are not in `live`; renumber: as if slots were counted among those in it. NOMEM. */
    hither_status (*repaired)(const ht_approx *from, const ht_mask *live, bool renumber, unsigned threads,
                              ht_approx **out, hither_error *err);
    void (*free)(ht_approx *approx);

    /* What one search at a time works in; NULL without memory. */
    void *(*scratch_new)(void);
    void (*scratch_free)(void *scratch);
    /* At most k rows near the query, by (D, slot); stats (may be NULL) is added to. The query is f32, finite; of f64
     * rows f64. NOMEM, or what vectors->touch returned. */
    hither_status (*find)(const ht_approx *approx, void *scratch, const ht_vectors *vectors, const void *query,
                          const ht_approx_search *search, ht_hit *hits, size_t *count, ht_approx_stats *stats,
                          hither_error *err);
    /* The efforts worth measuring, rising; returns how many, at most HT_APPROX_EFFORTS. */
    size_t (*efforts)(const ht_approx *approx, uint32_t *out);

    void (*describe)(const ht_approx *approx, ht_approx_facts *out);
    /* How many of the rows it covers are in `live`. */
    uint64_t (*living)(const ht_approx *approx, const ht_mask *live);
    hither_status (*check)(const ht_approx *approx, hither_error *err); /* CORRUPT says what is wrong */
    /* As sections of a file being written, and from one, which must outlive it: checked whole. CORRUPT, NOMEM. */
    hither_status (*put)(const ht_approx *approx, ht_container_writer *writer, hither_error *err);
    hither_status (*get)(const ht_approx_spec *spec, ht_container *file, const ht_vectors *vectors, ht_approx **out,
                         hither_error *err);
};

/* A repair leaves rows that are harder to find than those of something made anew: links that went through what is gone
 * are guessed at, centres are those of other rows. Whether one of so many rows has lost so many since it was made
 * whole that it is to be made anew. */
static inline bool ht_approx_worn(uint64_t rows, uint64_t gone) { return gone > rows / 3; }

/* NULL for HITHER_EXACT and what is no kind. */
const ht_approx_kind *ht_approx_kind_of(hither_kind number);
extern const ht_approx_kind ht_approx_hnsw, ht_approx_ivf;
/* HITHER_AUTO: what it makes is one of the others, and says so by its own kind; it passes on what it is asked of that.
 * Names and costs are to be asked of what was made. */
extern const ht_approx_kind ht_approx_auto;
/* The kind that so many rows are given; NULL for HITHER_EXACT. */
const ht_approx_kind *ht_approx_granted(const ht_approx_spec *spec, uint64_t rows);

/* ---- how much effort a recall asks for: measured */

/* For an effort: of the 10 and of the 100 nearest, the share found, less what chance may have added. */
typedef struct ht_approx_point {
    uint32_t effort, visited; /* visited: rows a search compares, on average */
    float recall10, recall100;
} ht_approx_point;
typedef struct ht_approx_curve {
    uint32_t count;    /* 0: not measured */
    uint32_t own;      /* measured with so many of the index's own rows as queries */
    uint32_t asked;    /* and with so many true queries */
    uint32_t unpooled; /* 1: of a kind that is not pooled */
    uint64_t rows;     /* that it covered then */
    ht_approx_point points[HT_APPROX_EFFORTS];
} ht_approx_curve;

/* The least effort that finds `recall` of the k nearest; 0: none that was measured does. */
size_t ht_approx_effort(const ht_approx_curve *curve, double recall, size_t k);
/* The recall that an effort was measured to have (0 where none was), and the rows a search compares with it. */
double ht_approx_recall(const ht_approx_curve *curve, size_t effort, size_t k);
double ht_approx_visits(const ht_approx_curve *curve, size_t effort);
/* Whether a curve from a file makes sense. */
bool ht_approx_curve_sound(const ht_approx_curve *curve);
/* Measures. `queries` (may be NULL): true ones, as find takes them, packed; while they are few, rows in live stand in,
 * moved. NOMEM, or what vectors->touch returned. */
HT_NODISCARD hither_status ht_approx_measure(const ht_approx *approx, const ht_vectors *vectors, const ht_mask *live,
                                             uint64_t slots, const void *queries, size_t query_count, unsigned threads,
                                             ht_approx_curve *out, hither_error *err);

#endif
