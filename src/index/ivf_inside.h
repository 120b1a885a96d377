/*
 * ivf_inside.h: what the files of inverted lists share: rows cut into lists by the nearest of some centres (kmeans.h),
 * each list a run of codes (codes.h) of what a row differs from its centre by. A search looks into the lists
 * whose centres are nearest to the query, estimates their rows from codes, and scores by D those that may be among the
 * answers. A kind of approx.h, whose rules hold; nobody else includes this.
 *
 * For cosine everything is made of rows of length 1. Places count rows list by list, 64 to a block of codes, so that
 * two lists, or more, may share a block. In a list, slots rise.
 */
#ifndef HT_INDEX_IVF_INSIDE_H
#define HT_INDEX_IVF_INSIDE_H

#include "index/approx.h"
#include "index/codes.h"
#include "index/kmeans.h"
#include "index/stored.h"

enum {
    IVF_MOST_LISTS = 65536,
    IVF_AT_ONCE = 256 /* rows of one thread */
};
#define IVF_NO_SLOT UINT32_MAX

typedef struct ivf {
    ht_approx base;
    ht_approx_spec spec;
    size_t block_bytes;
    ht_centres *centres; /* its count is that of the lists; 0 where there are no rows */
    uint64_t count;      /* rows */
    uint64_t trained;    /* rows there were when the centres were made, */
    uint64_t largest;    /* and rows of the largest list then */
    uint64_t blocks;
    uint32_t *counts; /* of each list: rows */
    uint32_t *begins; /* and the place of its first; one more than there are lists */
    uint32_t *slots;  /* of each place */
    float *norms;     /* of each place, |x| rounded to nearest; of l2 only, else NULL */
    char *codes;      /* block_bytes each */
    bool mapped;      /* counts, slots, norms and codes are a file's */
} ivf;

static inline const ivf *ivf_in(const ht_approx *approx) { return (const ivf *)approx; }
static inline char *ivf_block(const ivf *v, uint64_t block) { return v->codes + block * v->block_bytes; }

/* Nothing but a spec. NULL without memory. */
ivf *ivf_new(const ht_approx_spec *spec);
void ivf_free(ht_approx *approx);
/* Memory for lists of these sizes, which it takes over (an ht_alloc'd array of as many as there are centres); the
 * places are no row's yet. NOMEM, TOO_LARGE. */
HT_NODISCARD hither_status ivf_make_room(ivf *v, uint32_t *counts, hither_error *err);
/* Fills in begins, blocks and count from the counts; false: too many. */
bool ivf_lay_out(ivf *v);
void ivf_copy_row(const ivf *from, size_t was, ivf *to, size_t place);

/* The row as codes and centres are made of it; room: ht_row_bytes. NOT_FINITE, CORRUPT (no such row), or what touch
 * returned. norm (may be NULL): its length. */
HT_NODISCARD hither_status ivf_row(const ivf *v, const ht_vectors *vectors, uint64_t slot, float *out, float *norm);

/* CORRUPT says what is wrong: trusts nothing but the sizes of the arrays. */
HT_NODISCARD hither_status ivf_check(const ht_approx *approx, hither_error *err);

/* approx.h's functions. */
HT_NODISCARD hither_status ivf_extended(const ht_approx *from, const ht_approx_spec *spec, const ht_vectors *vectors,
                                        const uint64_t *slots, size_t count, unsigned threads,
                                        const ht_hnsw_progress *progress, ht_approx **out, hither_error *err);
HT_NODISCARD hither_status ivf_repaired(const ht_approx *from, const ht_mask *live, bool renumber, unsigned threads,
                                        ht_approx **out, hither_error *err);
void *ivf_scratch_new(void);
void ivf_scratch_free(void *scratch);
HT_NODISCARD hither_status ivf_find(const ht_approx *approx, void *scratch, const ht_vectors *vectors,
                                    const void *query, const ht_approx_search *search, ht_hit *hits, size_t *count,
                                    ht_approx_stats *stats, hither_error *err);
HT_NODISCARD hither_status ivf_put(const ht_approx *approx, ht_container_writer *writer, hither_error *err);
HT_NODISCARD hither_status ivf_get(const ht_approx_spec *spec, ht_container *file, const ht_vectors *vectors,
                                   ht_approx **out, hither_error *err);

#endif
