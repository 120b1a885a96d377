/*
 * flat.h: an index of rows in RAM, in one mapped file, or in an array somebody else owns: what a person with a numpy
 * array wants. Rows are copied on add (borrowed by ht_flat_wrap), labels are labels.h's. It is searched exactly, and
 * where its kind is another and enough rows are there, by what approx.h has: rows not in that yet are searched exactly
 * beside it, removed ones are passed over.
 *
 * Any thread: searches run together, a writer waits for them and they for it (one rwlock). What an opened file holds
 * stays mapped; rows added to it live in RAM until the next save, which always writes a whole new file.
 */
#ifndef HT_INDEX_FLAT_H
#define HT_INDEX_FLAT_H

#include "base/io.h"
#include "index/approx.h"
#include "index/labels.h"

typedef struct ht_flat ht_flat;

typedef struct ht_flat_spec {
    hither_dtype dtype;
    hither_metric metric; /* of searches that do not name one */
    uint32_t dim;
    ht_approx_spec approx; /* kind and options; dtype, metric and dim are filled in from above */
} ht_flat_spec;

typedef struct ht_flat_info {
    ht_flat_spec spec;
    uint64_t rows;        /* living */
    uint64_t slots;       /* with the removed ones whose space is not back yet */
    uint64_t bytes_rows;  /* of rows, in RAM or mapped */
    uint64_t bytes_extra; /* beside them: norms, codes, labels */
    bool mapped, borrowed;
    bool approximate;      /* there is something to search by; what follows is about that */
    ht_approx_facts facts; /* its bytes are part of bytes_extra */
    const ht_approx_kind *built;
    uint64_t waiting; /* rows beside it */
    uint64_t stray;   /* removed ones still in it */
    ht_approx_curve curve;
} ht_flat_info;

HT_NODISCARD hither_status ht_flat_new(const ht_flat_spec *spec, ht_flat **out, hither_error *err);
/* Borrows the rows for the life of the index; they must not change. Of any dtype, finite. Rows cannot be added. threads
 * (0: all) make norms and codes. */
HT_NODISCARD hither_status ht_flat_wrap(const hither_matrix *rows, hither_metric metric, unsigned threads,
                                        ht_flat **out, hither_error *err);
/* Whether rows of an index are coded: in few dimensions, and beside rows that are small themselves, codes cost more
 * than they save. */
bool ht_flat_codes_help(hither_dtype dtype, uint32_t dim);
ht_flat *ht_flat_acquire(ht_flat *flat);
void ht_flat_release(ht_flat *flat);

/* rows: of the index's dimension and of a dtype that converts to its own (kernels/convert.h). labels NULL: the next
 * ones; *first (may be NULL) is the first label given then. NOT_FINITE (also what is too large for the index's dtype),
 * EXISTS, INVALID, READONLY (borrowed rows), UNSUPPORTED (dtype), NOMEM; all rows go in, or none. */
HT_NODISCARD hither_status ht_flat_add(ht_flat *flat, const hither_matrix *rows, const int64_t *labels, int64_t *first,
                                       hither_error *err);
/* Labels not there are passed over; *removed (may be NULL) counts the others. */
HT_NODISCARD hither_status ht_flat_remove(ht_flat *flat, const int64_t *labels, size_t count, size_t *removed,
                                          hither_error *err);

/* What is left out of the building of a graph, or put off, is searched exactly meanwhile. */
typedef struct ht_flat_building {
    bool due;         /* only if so many rows wait, or are gone, that it pays */
    unsigned threads; /* 0: all */
    ht_hnsw_progress progress;
} ht_flat_building;

/* Makes what the kind of the index searches by, or brings it up to its rows, and measures it. Searches, adds and
 * removes go on meanwhile; one build at a time. Nothing to do for exact indexes, and for few rows. NOMEM, CORRUPT,
 * INTERRUPTED; then the index is as it was. */
HT_NODISCARD hither_status ht_flat_build(ht_flat *flat, const ht_flat_building *how, hither_error *err);
/* Measures again, with the queries there were since. */
HT_NODISCARD hither_status ht_flat_tune(ht_flat *flat, unsigned threads, hither_error *err);

#define HT_FLAT_RECALL 0.95 /* of approximate searches that ask for none */

typedef struct ht_flat_search {
    hither_metric metric; /* 0: the index's own */
    size_t k;
    unsigned threads;
    const uint64_t *allow; /* NULL: all labels */
    uint64_t allow_bits;
    double recall; /* as in ht_vectors: 1 is exact, 0 what the kind of the index has */
    size_t effort; /* of approximate searches, as in approx.h; 0: what the recall asks for */
    size_t probes; /* the same for lists that HITHER_AUTO has picked */
} ht_flat_search;

/* What searches did; added to. */
typedef struct ht_flat_stats {
    ht_exact_stats exact; /* of exact searches, and of rows beside the graph */
    ht_approx_stats approx;
    bool walked; /* approx was used; then: */
    const ht_approx_kind *kind;
    size_t effort;     /* with this */
    double expected;   /* recall that was measured for it, 0: none was */
    uint64_t fallback; /* queries that found too little and were searched exactly */
    const char *why;   /* static: why an index that is not exact was searched exactly, NULL: it was not */
} ht_flat_stats;

/* labels and distances: queries->rows x k, padded with -1 and +inf. The queries are as in exact.h. */
HT_NODISCARD hither_status ht_flat_knn(ht_flat *flat, const hither_matrix *queries, const ht_flat_search *search,
                                       int64_t *labels, float *distances, ht_flat_stats *stats, hither_error *err);

/* All rows within the radius (exact.h), with labels in the place of slots; search->k does not count. found: one for
 * each query. */
HT_NODISCARD hither_status ht_flat_within(ht_flat *flat, const hither_matrix *queries, const ht_flat_search *search,
                                          float radius, ht_found *found, ht_exact_stats *stats, hither_error *err);

/* Writes the living rows, and what searching them needs, to a new file that takes the place of `path` when whole. */
HT_NODISCARD hither_status ht_flat_save(ht_flat *flat, const ht_io *io, const char *path, hither_error *err);
/* Maps a saved file: NOT_FOUND, NOT_DATABASE, FORMAT, CORRUPT. Its rows are checked on first touch. */
HT_NODISCARD hither_status ht_flat_open(const ht_io *io, const char *path, ht_flat **out, hither_error *err);
/* Checks every byte of the mapped file and that its norms and codes are those of its rows. */
HT_NODISCARD hither_status ht_flat_verify(ht_flat *flat, hither_error *err);
/* What the index was made for: never changes. */
const ht_flat_spec *ht_flat_spec_of(const ht_flat *flat);
void ht_flat_describe(ht_flat *flat, ht_flat_info *out);

#endif
