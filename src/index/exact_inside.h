/*
 * exact_inside.h: what the files of exact search share: one search, its workers, and a worker's state for each query of
 * its block. exact.c shares out the work and estimates in f32, exact_codes.c estimates from codes, exact_choice.c says
 * which of these a unit is read by, exact_score.c makes answers of estimates, exact_memory.c lays a search out in
 * memory. Nobody else includes it.
 */
#ifndef HT_INDEX_EXACT_INSIDE_H
#define HT_INDEX_EXACT_INSIDE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "index/bound.h"
#include "index/codes.h"
#include "index/exact.h"
#include "index/stored.h"

enum {
    HT_GROUP_ROWS = 64,
    HT_UNIT_ROWS = 4096,
    HT_UNIT_GROUPS = HT_UNIT_ROWS / HT_GROUP_ROWS,
    HT_WARM_HITS = 256, /* the largest k for which a first threshold comes from the most promising rows of a unit */
    HT_BLOCK_QUERIES = 64,
    HT_PUT_OFF_K = 64,      /* from this k on, rows in codes are chosen from many units at once */
    HT_PUT_OFF_UNITS = 64,  /* no more than these */
    HT_PUT_OFF_QUERIES = 8, /* at a time */
    HT_MANY_QUERIES = 4     /* from here on reading a code once for all of them is worth more than reading half of it */
};

/* One search: read-only while workers run, but for the atomics. */
typedef struct ht_search {
    const ht_vectors *vectors;
    const void *queries;
    size_t query_stride, query_count, block_queries;
    const ht_mask *live, *allow;
    const ht_kernels *kernels;
    bool puts_off;      /* units, to choose from many at once */
    size_t k;           /* no more than there are rows; 0 in a search of all within a radius */
    size_t *first_unit; /* of each part, and one past the last */
    size_t rows, units;
    size_t row_bytes;
    double bytes;           /* that one query reads of all rows */
    bool coded;             /* some part has codes that help */
    double standard_errors; /* that codes are trusted within; 0: their bounds are proofs */
    bool within;
    float radius;
    double radius_limit; /* no D above it is within the radius */
    ht_hit *hits;        /* k a query: nothing reaches the caller before all went well */
    size_t *counts;
    ht_found *found; /* of a search within a radius */
    unsigned threads;
    size_t blocks, block; /* of queries; the one being worked on when workers share a block */
    bool by_blocks;       /* workers take whole blocks of queries instead of units of rows */
    _Atomic size_t next;  /* unit, or block */
    _Atomic int failed;
    _Atomic double limits[HT_BLOCK_QUERIES]; /* a threshold some worker reached, for each query of a shared block */
    struct ht_worker *workers;
} ht_search;

/* A row that codes could not rule out. */
typedef struct ht_candidate {
    const ht_part *part;
    size_t row;
    float upper, norm;
} ht_candidate;

/* A row that its estimate in full width could not rule out: D is no lower than `low`. */
typedef struct ht_finalist {
    const ht_part *part;
    size_t row;
    double low;
} ht_finalist;

/* A unit whose rows have bounds, and are yet to be chosen from. */
typedef struct ht_put_off {
    const ht_part *part;
    size_t begin;
    uint64_t words[HT_UNIT_GROUPS];
} ht_put_off;

typedef struct ht_query_state {
    const float *query; /* in f32 */
    const void *given;
    double qq, length; /* its reference dot with itself; the root of that, rounded up */
    bool wild;         /* rounding to f32 may have changed it beyond all bounds: every row is scored */
    bool coded;        /* it can be estimated from codes */
    double limit;      /* the threshold `rule` was made for */
    ht_rule rule;
    ht_topk top;      /* of the rows scored by D */
    ht_topk ceilings; /* of all rows read in full width: what their D cannot exceed */
    ht_finalist *finalists;
    size_t finalist_count;
    ht_found found;
    ht_bound code_bound;
    size_t waiting;     /* rows */
    unsigned skip;      /* units to be read whole before the coarse halves are tried again */
    unsigned skip_next; /* how many that will be when they fail again */
} ht_query_state;

typedef struct ht_worker {
    ht_search *s;
    size_t queries;         /* in the block */
    size_t coded;           /* how many of them are ready for codes */
    ht_code_query *codes;   /* those, side by side */
    size_t *code_of;        /* which query of the block each is */
    ht_hit *room;           /* for the heaps of a shared block; worker 0 has its heaps in search.hits */
    int8_t *code_room;      /* for the queries of a block against codes; NULL: there are none */
    ht_hit *ceilings;       /* k a query */
    ht_finalist *finalists; /* finalist_room a query */
    size_t finalist_room;
    ht_bound band;         /* of rows read one by one */
    ht_candidate *waiting; /* waiting_rows a query */
    size_t waiting_rows;
    ht_put_off *put_off;   /* put_off_room units; NULL: every unit is searched when its turn comes */
    float *put_off_uppers; /* of every row of them, for each query that is ready for codes */
    size_t put_off_room, put_off_count;
    bool chosen;           /* from units put off, in this block */
    unsigned in_full;      /* units to be read in full before codes are tried again; or HT_ALL_IN_FULL */
    unsigned in_full_next; /* how many that will be when they keep too much again */
    bool judged;           /* whether codes help has been looked at in this block */
    float *tile;           /* rows as f32, for types that are not; so for the queries of a block of f64 */
    size_t tile_rows;
    float *rounded;
    ht_byte_query *bytes; /* the queries of a block, for rows of i8; NULL: not so searched */
    int8_t *byte_room;
    double byte_error; /* the largest of theirs; +inf: some query has none */
    void *scratch;     /* for D */
    ht_exact_stats stats;
    uint64_t whole; /* rows of stats.rows_fine whose coarse half was read with the fine one */
    bool took_part;
    hither_status status;
    hither_error error;
    ht_query_state state[HT_BLOCK_QUERIES];
    float norms[HT_GROUP_ROWS];
    float estimates[HT_BLOCK_QUERIES * HT_GROUP_ROWS];
    float uppers[HT_UNIT_ROWS];
    int32_t sums[HT_UNIT_ROWS];
    ht_hit warm[HT_WARM_HITS];
} ht_worker;

/* Of a block: none of its rows are read by codes. */
#define HT_ALL_IN_FULL UINT_MAX

static inline const void *ht_row_at(const ht_part *part, size_t i) {
    return part->places ? (const void *)part->places[i] : (const char *)part->rows + i * part->stride;
}

static inline ht_layout ht_layout_of(const ht_vectors *v, const ht_part *part) {
    return (ht_layout){v->dtype, part && part->bare, v->dim};
}

/* Makes the rule of query j anew if its threshold has moved. */
void ht_exact_refresh_rule(ht_worker *w, const ht_bound *bound, size_t j);
/* The threshold of query j: no row whose D is above it is among its answers. */
double ht_exact_limit(ht_worker *w, size_t j);
/* Takes a row into account that query j has an estimate for, in full width, with its norm (any number where the bound
 * needs none). */
hither_status ht_exact_estimated(ht_worker *w, size_t j, const ht_bound *bound, const ht_part *part, size_t row,
                                 float estimate, float norm);
/* Estimates a row of a part with norms for query j, and takes it into account. */
hither_status ht_exact_read(ht_worker *w, size_t j, const ht_part *part, size_t row);
/* The same for the rows of a group that are in `word`: all 64 are read, one after the other. */
hither_status ht_exact_read_group(ht_worker *w, size_t j, const ht_part *part, size_t first, uint64_t word);
/* Scores by D what can still be among the answers of query j. */
hither_status ht_exact_score_finalists(ht_worker *w, size_t j);

/* Whether the next unit is to be read by codes: asked once a unit. */
bool ht_exact_by_codes(ht_worker *w);
/* What came of one that was: so many rows were read in full for all queries that are ready for codes. */
void ht_exact_judge(ht_worker *w, const uint64_t *words, uint64_t reads);
/* For a large k: how many groups are read in full first, and, once those in `words` of the unit that begins at row
 * `begin` were, what becomes of the block. */
size_t ht_exact_sample_groups(const ht_search *s);
void ht_exact_foresee(ht_worker *w, const ht_part *part, size_t begin, const uint64_t *words);

/* Makes query j of the worker's block ready for codes, if that is possible. */
void ht_exact_prepare_codes(ht_worker *w, size_t j);
/* Searches the rows in `words` of the unit that begins at row `begin`, all of them in coded groups, for all queries
 * that are ready for codes. Rows may be left waiting, which ht_exact_settle ends. */
hither_status ht_exact_scan_codes(ht_worker *w, const ht_part *part, size_t begin, const uint64_t *words);
hither_status ht_exact_settle(ht_worker *w);

/* Whether of a group of `count` rows so few take part that they are better read one by one. */
bool ht_exact_is_sparse(uint64_t word, size_t count);
/* Reads the rows in `words` of the unit that begins at row `begin` for query j: f32 rows of a part with norms. */
hither_status ht_exact_scan_sparse(ht_worker *w, size_t j, const ht_bound *bound, const ht_part *part, size_t begin,
                                   const uint64_t *words);

/* Counts rows, bytes and units. */
void ht_exact_count(ht_search *s);
/* Lays out everything the planned search needs in the scratch, which grows where it must. */
hither_status ht_exact_lay_out(ht_search *s, ht_exact_scratch *scratch, hither_error *err);
/* Appends to the list. */
hither_status ht_found_add(ht_found *found, ht_hit hit, hither_error *err);

#endif
