/*
 * exact.h: exact search over borrowed rows: the answer of brute force by D (kernels/reference.h), order of ties
 * included, found with fast kernels that rule rows out by proof.
 *
 * How: a block of rows gets estimates, in f32 or from codes of 2 and 4 bits (codes.h); each estimate e carries a bound,
 * so D lies in [e - b, e + b] (bound.h). The k-th smallest D found so far is a threshold no true answer can exceed;
 * rows whose lower bound is above it are out. What is left is scored by D. A threshold that is late, or shared between
 * threads, costs time and never changes the answer.
 *
 * Rows come in parts (segments, or one array). A part's rows carry consecutive slots. Any thread; the rows, masks and
 * parts must not change during the call. One query runs on its caller unless it must read more than 32 MB; several
 * queries use the pool, `threads` only lowers it.
 */
#ifndef HT_INDEX_EXACT_H
#define HT_INDEX_EXACT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/mask.h"
#include "base/topk.h"

/* first_slot is a multiple of 64 in every part; only the last part may hold a count that is not. */
typedef struct ht_part {
    const void *rows;
    uint64_t first_slot;
    size_t count;
    size_t stride; /* bytes */
    bool bare;     /* i8 rows are dim bytes and nothing else: their scale is 1 */
    /* |x| <= norms[i] <= |x| * (1 + (dim/2 + 16) * 2^-23) for each row, wherever that is a normal f32; +inf where it is
     * larger than any (ht_exact_norms makes them so, and better). NULL: not known, computed on the way. The bounds rest
     * on both sides. */
    const float *norms;
    /* 4-bit codes of the first coded_rows rows (codes.h), a multiple of 64; used where norms are known too. NULL: none.
     * They change how fast an answer comes, never what it is. */
    const void *codes;
    size_t coded_rows;
    /* Where each row lies, if they do not lie one after the other: of f32 rows with norms. NULL: `rows` has them. */
    const float *const *places;
} ht_part;

typedef struct ht_vectors {
    hither_dtype dtype;
    hither_metric metric;
    uint32_t dim;
    const ht_part *parts; /* by rising slot */
    size_t part_count;
    /* Called before rows [begin, end) of a part are first read in a search, possibly from several threads at once; it
     * checks their checksums and fills their norms. NULL: nothing to do. A failure ends the search with that error. */
    hither_status (*touch)(void *ctx, size_t part, size_t begin, size_t end, hither_error *err);
    /* Where this is given, codes are checked on their own: it is called before the codes of rows [begin, end) are read,
     * and touch only before a row itself is. NULL: touch vouches for both. */
    hither_status (*touch_codes)(void *ctx, size_t part, size_t begin, size_t end, hither_error *err);
    /* Where rows may be on a disk: asks that a row be on its way into memory, and does not wait. Called for all rows
     * that a search is about to read here and there, before it reads them. NULL: rows are in memory. */
    void (*want)(void *ctx, size_t part, size_t row);
    void *touch_ctx; /* of all three */
    /* 0 or 1: the answer is brute force's. Between them: rows may be ruled out by what the error of their codes is
     * likely to be instead of by what it can be, so that about this share of each answer is right. What is found still
     * has the distance D and comes in that order. Rows without codes are searched exactly. */
    double recall;
} ht_vectors;

/* The part a slot is in, its number, and the row in it; NULL: in none, and the numbers are not written. */
const ht_part *ht_vectors_part(const ht_vectors *vectors, uint64_t slot, size_t *part, size_t *row);

/* What a search did. Each query counts for itself: a row read once for eight queries counts eight times. Numbers are
 * added to what is there; names are those of the last search. */
typedef struct ht_exact_stats {
    uint64_t rows_scanned;     /* estimated at all, however often */
    uint64_t rows_coarse;      /* bounded by the coarse half of their codes alone */
    uint64_t rows_coarse_kept; /* and not ruled out by that */
    uint64_t rows_fine;        /* bounded by whole codes */
    uint64_t rows_fine_kept;   /* and not ruled out by that, at the threshold of that moment */
    uint64_t rows_full;        /* estimated in full width */
    uint64_t rows_full_kept;   /* and not ruled out by the f32 error of that */
    uint64_t rows_rescored;    /* scored by D */
    uint64_t bytes_read;       /* of codes and rows, by all of the above */
    uint32_t threads;          /* that took part */
    const char *plan;          /* static: "full": every row read in full width; "codes": codes first, where there are */
    const char *bound; /* static: what the first estimate of a row was trusted within: "rounding" (of f32 sums: plan
                        * full), "residual" (what codes leave of their rows, by Cauchy and Schwarz), or "standard
                        * error" (a share of that, as recall allows) */
} ht_exact_stats;

/* The k nearest of the rows in `live` (NULL: all) and in `allow` (NULL: all) to each query. Queries are f32 (f64 for
 * f64 rows, bits for b1 rows) with query_stride bytes between them, aligned, finite. hits has room for query_count * k,
 * best first per query; counts[j] is how many there are: min(k, rows that qualify). stats (may be NULL) is added to.
 * NOMEM, UNSUPPORTED (dtype, or metric for it), NOT_FINITE (a row that took part; the message names its slot), or what
 * touch returned; hits and counts are written only on success. */
HT_NODISCARD hither_status ht_exact_search(const ht_vectors *vectors, const void *queries, size_t query_stride,
                                           size_t query_count, const ht_mask *live, const ht_mask *allow, size_t k,
                                           unsigned threads, ht_hit *hits, size_t *counts, ht_exact_stats *stats,
                                           hither_error *err);

/* What a search works in. One that keeps it between searches allocates only when a search needs more than any before it
 * did. Zeroed before first use; one search at a time. */
typedef struct ht_exact_scratch {
    void *memory;
    size_t bytes;
} ht_exact_scratch;

void ht_exact_scratch_clear(ht_exact_scratch *scratch);

/* ht_exact_search in a scratch that outlives the search. */
HT_NODISCARD hither_status ht_exact_search_in(ht_exact_scratch *scratch, const ht_vectors *vectors, const void *queries,
                                              size_t query_stride, size_t query_count, const ht_mask *live,
                                              const ht_mask *allow, size_t k, unsigned threads, ht_hit *hits,
                                              size_t *counts, ht_exact_stats *stats, hither_error *err);

typedef struct ht_found {
    ht_hit *hits; /* by D, then by slot; ht_release frees it */
    size_t count, room;
} ht_found;

/* All rows in `live` and `allow` whose D, rounded to f32, is at most radius, for each query: found has room for
 * query_count and is written only on success. Otherwise as ht_exact_search_in (scratch may be NULL); INVALID for a
 * radius that is NaN. */
HT_NODISCARD hither_status ht_exact_within(ht_exact_scratch *scratch, const ht_vectors *vectors, const void *queries,
                                           size_t query_stride, size_t query_count, const ht_mask *live,
                                           const ht_mask *allow, float radius, unsigned threads, ht_found *found,
                                           ht_exact_stats *stats, hither_error *err);

/* norms[i]: the length of row i, rounded up by at most one part in 2^22. Pure; any thread; the caller is between
 * ht_fp_enter and ht_fp_leave. */
void ht_exact_norms(const void *rows, size_t stride, size_t count, size_t dim, float *norms);

/* The slow, obvious twin: D of every row, then a sort. */
HT_NODISCARD hither_status ht_brute_search(const ht_vectors *vectors, const void *queries, size_t query_stride,
                                           size_t query_count, const ht_mask *live, const ht_mask *allow, size_t k,
                                           ht_hit *hits, size_t *counts, hither_error *err);

#endif
