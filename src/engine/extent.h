/*
 * extent.h: a segment of rows together with what this process knows about it: which rows' checksums it has seen to be
 * good, the norm of each of those rows, rounded up, and their 4-bit codes (index/codes.h). Snapshots share extents, so
 * every byte is checked and coded once in a process, on first touch, whoever touches it.
 *
 * What must stay true:
 *   - per block of 64 rows, the first `checked` rows have good checksums and final norms; nobody writes those norms
 *     again, so readers read them without a lock once they have seen the count (acquire, paired with its release);
 *   - a block marked `coded` has 64 checked rows and their final codes; any other is searched in full precision, or
 *     coded by whoever touches it for its codes;
 *   - the first `kept` rows, whole blocks, came with norms and codes from a cache on disk (codes_cache.h), which
 *     vouches for both: such a row is checked on its own, when it is read in full (`seen`, a bit a row, in place of
 *     `checked`), and its norm never written. Should the cache prove bad (`spoilt`), its codes are made as if it were
 *     not there; the norms, which were checked when they were loaded, stay;
 *   - norms past the count, and the codes of a block that is not full, are written by one thread at a time: a reader
 *     that has claimed the block, or the writer for rows no snapshot has yet.
 * Any thread may touch; only the holder of the writer lock calls ht_extent_stage, ht_extent_code and ht_extent_trust,
 * or has threads of the pool do so for rows that are theirs alone.
 * Norms and codes are computed between ht_fp_enter and ht_fp_leave, which the caller sees to.
 */
#ifndef HT_ENGINE_EXTENT_H
#define HT_ENGINE_EXTENT_H

#include <stdatomic.h>

#include "engine/shape.h"
#include "store/store.h"

#define HT_BLOCK_ROWS 64u

typedef struct ht_extent {
    _Atomic uint32_t references;
    struct ht_extent **fields; /* `field_count`: a DENSE field's vectors as an extent, NULL for other kinds. Owned */
    struct ht_extent *whole;   /* of a field's: the extent of the rows it is part of, which checks them */
    const ht_shape *shape;
    _Atomic uint64_t *present; /* of a field's, per block: which of the checked rows have a vector in it */
    ht_segment *segment;
    int64_t sid;
    uint64_t first_slot, capacity;
    size_t stride;
    uint32_t dim;
    const char *rows; /* the mapping: row i at rows + i * stride; of a field's, from its vectors on */
    float *norms;     /* capacity of them */
    void *codes;      /* room for capacity of them, of which the system gives what is written; NULL: not coded */
    _Atomic uint8_t *checked;       /* per block: rows checked, 0...64; the top bit: a thread is at work on it */
    _Atomic uint8_t *coded;         /* per block: 1 once its codes are final */
    _Atomic size_t ready[2];        /* blocks coded in a row, from the first on, and from `kept` on */
    size_t kept;                    /* rows; set before any other thread knows the extent */
    struct ht_container *kept_file; /* NULL: kept is 0 */
    const void *kept_codes;
    _Atomic uint64_t *seen; /* per block below `kept` */
    _Atomic bool spoilt;
    _Atomic bool warm; /* searched before, or written by this process: codes are worth making */
} ht_extent;

/* Takes over the segment's reference on success. One reference is the caller's. The shape outlives it. */
HT_NODISCARD hither_status ht_extent_new(ht_segment *segment, const ht_shape *shape, ht_extent **out,
                                         hither_error *err);
ht_extent *ht_extent_acquire(ht_extent *extent);
void ht_extent_release(ht_extent *extent);

/* The extent of a field's vectors, which is DENSE; 0: the rows' own. */
static inline ht_extent *ht_extent_of(ht_extent *extent, uint32_t field) {
    return field ? extent->fields[field - 1] : extent;
}

/* Of a field's: which rows of block `b` have a vector in it, of those that were checked. */
static inline uint64_t ht_extent_present(const ht_extent *extent, size_t b) {
    return atomic_load_explicit(&extent->present[b], memory_order_acquire);
}

static inline const float *ht_extent_row(const ht_extent *extent, uint64_t slot) {
    return (const float *)(const void *)(extent->rows + (slot - extent->first_slot) * extent->stride);
}

/* Whether the first `kept` rows are searched by the codes of the cache. */
static inline bool ht_extent_keeps(const ht_extent *extent) {
    return extent->kept && !atomic_load_explicit(&extent->spoilt, memory_order_acquire);
}

/* How many of the rows [from, rows), from being 0 or `kept`, have been coded so far, all in a row from the first on. */
size_t ht_extent_coded(ht_extent *extent, size_t from, size_t rows);
/* Codes up to `budget` bytes of vectors more of those rows, in parallel. A row that fails its checksum ends it: whoever
 * searches will meet it. */
void ht_extent_code_ahead(ht_extent *extent, size_t from, size_t rows, size_t budget);
/* Has the cache's codes of rows [begin, end) below `kept` checked; a failure spoils it. */
HT_NODISCARD hither_status ht_extent_touch_kept(ht_extent *extent, size_t begin, size_t end, hither_error *err);

/* Makes sure that rows [begin, end), positions in the extent, are checked and have norms, and, with `codes`, that the
 * full blocks among them are coded. CORRUPT names the place. */
HT_NODISCARD hither_status ht_extent_touch(ht_extent *extent, size_t begin, size_t end, bool codes, hither_error *err);

/* The same for one row that is only read: a neighbour's bad checksum does not stand in its way. */
HT_NODISCARD hither_status ht_extent_check_row(const ht_extent *extent, size_t position, hither_error *err);

/* Norms of rows about to be written at `position`, from the writer's own copy (rows `stride` bytes apart). */
void ht_extent_stage(ht_extent *extent, size_t position, const void *rows, size_t count);
/* Codes the blocks that rows [begin, end), written by this process and in no snapshot yet, have made full. */
void ht_extent_code(ht_extent *extent, size_t begin, size_t end);
/* The same for whole blocks of such rows, from a copy of them that begins with the first. */
void ht_extent_code_copy(ht_extent *extent, size_t begin, size_t end, const char *rows);
/* The rows [begin, end) written by this process are committed: they count as checked, with the norms staged and the
 * codes made. */
void ht_extent_trust(ht_extent *extent, size_t begin, size_t end);

#endif
