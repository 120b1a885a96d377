/*
 * flat_inside.h: what flat.c, flat_near.c and flat_file.c share. Nobody else includes it.
 */
#ifndef HT_INDEX_FLAT_INSIDE_H
#define HT_INDEX_FLAT_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/container.h"
#include "index/flat.h"
#include "index/stored.h"

/* Who owns the memory of parts[i]: a block. */
typedef struct flat_block {
    char *rows;      /* NULL: mapped or borrowed */
    float *norms;    /* NULL: mapped, or none */
    void *codes;     /* NULL: mapped, or none */
    size_t capacity; /* rows */
    size_t finished; /* rows that have their norms, and codes up to the last full block */
} flat_block;

/* What one search works in, kept for the next one. */
typedef struct flat_room {
    ht_exact_scratch scratch;
    void *answers;
    size_t bytes;
} flat_room;

enum { FLAT_ROOMS = 4, FLAT_WALKERS = 16, FLAT_QUERIES = 256 };

/* What one walk works in. */
typedef struct flat_walker {
    const ht_approx_kind *kind;
    void *scratch;
    ht_exact_scratch exact;
    ht_hit *hits; /* 2 * k */
    size_t room;
} flat_walker;

/* Some of the last queries, to measure with. */
typedef struct flat_queries {
    pthread_mutex_t lock;
    _Atomic uint32_t turn;
    char *rows; /* NULL: none yet */
    size_t count, next;
} flat_queries;

struct ht_flat {
    _Atomic uint32_t references;
    ht_flat_spec spec;
    size_t stride; /* of rows this index owns or maps */
    bool borrowed;
    unsigned threads; /* that make norms and codes; 0: all */
    pthread_rwlock_t lock;
    ht_labels labels;
    ht_part *parts; /* what searches see; every part but the last is full up to a multiple of 64 */
    flat_block *blocks;
    size_t part_count;
    ht_container *file;                     /* of part 0, if it is mapped; */
    bool cold;                              /* its rows are so many that they will not stay in memory */
    _Atomic(flat_room *) rooms[FLAT_ROOMS]; /* NULL: none, or in use */
    /* What an index that is not exact is searched by; flat_near.c's. */
    const ht_approx_kind *kind; /* NULL: exact, or what the kind does not take */
    ht_approx *approx;          /* NULL: none yet */
    uint64_t covered;           /* rows of slots from here on are not in it */
    uint64_t stray;             /* rows in it that were removed */
    uint64_t gone;              /* rows taken out of it since it was made whole */
    ht_approx_curve curve;
    pthread_mutex_t building; /* one at a time; taken before the lock */
    _Atomic(flat_walker *) walkers[FLAT_WALKERS];
    flat_queries queries;
};

/* What a search is of; under the lock. */
typedef struct flat_target {
    ht_vectors vectors;
    ht_mask live;
    ht_allowed allowed;
    const ht_mask *only_live, *only_allowed;
    uint64_t matches; /* rows in both; only where approx is used */
} flat_target;

/* A new index without rows. */
HT_NODISCARD hither_status ht_flat_make(const ht_flat_spec *spec, ht_flat **out, hither_error *err);
/* One more part at the end: mapped rows with their norms and codes (NULL: none) as given; borrowed rows, for which both
 * are made (norms NULL); or room for `capacity` rows of its own (rows NULL). */
HT_NODISCARD hither_status ht_flat_part(ht_flat *flat, const ht_part *given, size_t capacity, hither_error *err);
static inline bool ht_flat_coded(const ht_flat *flat) { return ht_flat_codes_help(flat->spec.dtype, flat->spec.dim); }
/* As ht_codes_make, of rows as this index stores them. */
void ht_flat_codes(const ht_flat *flat, const void *rows, size_t stride, size_t begin, size_t end, void *codes);
/* Whether a search is one for what approx.h has, and by how much effort; stats (may be NULL) says what is expected, or
 * why not. Under the lock, as all that follow. */
bool ht_flat_nears(const ht_flat *flat, flat_target *t, const ht_flat_search *search, size_t *effort,
                   ht_flat_stats *stats);
/* As ht_exact_search_in, by such a walk a query. */
HT_NODISCARD hither_status ht_flat_near(ht_flat *flat, const flat_target *t, const hither_matrix *queries,
                                        const ht_flat_search *search, size_t effort, ht_hit *hits, size_t *counts,
                                        ht_flat_stats *stats, hither_error *err);
/* Begins, ends. NOMEM, INVALID. */
HT_NODISCARD hither_status ht_flat_near_init(ht_flat *flat, hither_error *err);
void ht_flat_near_clear(ht_flat *flat);
/* The sections of a file: what is searched by, for the living rows counted from 0. */
HT_NODISCARD hither_status ht_flat_near_put(ht_flat *flat, ht_container_writer *w, hither_error *err);
/* From a file: before the index is made, which kind it is; and after its rows are there, the rest. What is damaged is
 * left out. NOMEM. */
void ht_flat_near_kind(ht_container *file, hither_dtype dtype, hither_metric metric, uint32_t dim, ht_approx_spec *out);
HT_NODISCARD hither_status ht_flat_near_get(ht_flat *flat, hither_error *err);
ht_vectors ht_flat_vectors(ht_flat *flat, const ht_part *parts, size_t count);
/* Whether it keeps norms: bits need none. */
static inline bool ht_flat_normed(const ht_flat *flat) { return flat->spec.dtype != HITHER_B1; }
/* Checks the mapped bytes of rows [begin, end) of part 0 on first touch; nothing to do for other parts. An ht_vectors
 * callback. */
HT_NODISCARD hither_status ht_flat_touch(void *flat, size_t part, size_t begin, size_t end, hither_error *err);
/* Asks for a row of part 0. */
void ht_flat_want(void *flat, size_t part, size_t row);
/* The same as touch for the codes of those rows. */
HT_NODISCARD hither_status ht_flat_touch_codes(void *flat, size_t part, size_t begin, size_t end, hither_error *err);
/* Bytes from row to row of a new index: a multiple of 64 where that costs at most a sixteenth, of 16 otherwise. */
size_t ht_flat_stride(hither_dtype dtype, uint32_t dim);

static inline const void *ht_flat_row(const ht_flat *flat, size_t part, size_t i) {
    return (const char *)flat->parts[part].rows + i * flat->parts[part].stride;
}
static inline ht_layout ht_flat_layout(const ht_flat *flat) {
    bool bare = flat->borrowed && flat->spec.dtype == HITHER_I8;
    return (ht_layout){flat->spec.dtype, bare, flat->spec.dim};
}

#endif
