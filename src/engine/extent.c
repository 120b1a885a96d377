/*
 * extent.c: first touch. A block is claimed by setting the top bit of its count, checked, and given back with the new
 * count; a thread that finds it claimed by another yields until that one is done (the work is 64 rows). Memory orders:
 * the count is released after the norms and codes are written and acquired before they are read.
 *
 * The codes of a segment are one block of memory for its whole capacity, an eighth of the segment: the allocator asks
 * the system for it at that size, and the system backs a page when it is first written.
 */
#include "engine/extent.h"

#include <sched.h>

#include "base/alloc.h"
#include "index/codes.h"
#include "index/exact.h"

#define BUSY            0x80u
#define LEAST_CODED_DIM 32u /* below, a row's 12 bytes beside its codes outweigh what they save */

hither_status ht_extent_new(ht_segment *segment, hither_metric metric, ht_extent **out, hither_error *err) {
    const ht_segment_info *info = ht_segment_describe(segment);
    bool coded = metric != HITHER_L1 && info->dim >= LEAST_CODED_DIM; /* no bound for L1 comes from codes */
    size_t blocks = (size_t)(info->capacity / HT_BLOCK_ROWS);
    ht_extent *extent = ht_calloc(1, sizeof *extent);
    size_t norm_bytes;
    float *norms = ht_mul_size(info->capacity, sizeof *norms, &norm_bytes) ? ht_alloc(norm_bytes) : NULL;
    _Atomic uint8_t *checked = ht_calloc(blocks, sizeof *checked);
    size_t code_bytes = coded ? ht_codes_bytes(info->capacity, info->dim) : 0;
    void *codes = code_bytes ? ht_alloc_aligned(code_bytes) : NULL;
    _Atomic uint8_t *marks = ht_calloc(blocks, sizeof *marks);
    if (!extent || !norms || !checked || !marks || (code_bytes && !codes)) {
        ht_release((void *)marks);
        ht_release(codes);
        ht_release((void *)checked);
        ht_release(norms);
        ht_release(extent);
        return ht_fail_nomem(err, info->capacity * sizeof *norms + code_bytes, "the norms and codes of a segment");
    }
    atomic_init(&extent->references, 1);
    extent->segment = segment;
    extent->sid = info->sid;
    extent->first_slot = info->first_slot;
    extent->capacity = info->capacity;
    extent->stride = info->stride;
    extent->dim = info->dim;
    extent->rows = ht_segment_rows(segment);
    extent->norms = norms;
    extent->codes = codes;
    extent->checked = checked;
    extent->coded = marks;
    *out = extent;
    return HITHER_OK;
}

ht_extent *ht_extent_acquire(ht_extent *extent) {
    atomic_fetch_add_explicit(&extent->references, 1, memory_order_relaxed);
    return extent;
}

void ht_extent_release(ht_extent *extent) {
    /* acq_rel: whoever frees sees everything the others did with it. */
    if (!extent || atomic_fetch_sub_explicit(&extent->references, 1, memory_order_acq_rel) != 1)
        return;
    ht_segment_release(extent->segment);
    ht_release((void *)extent->checked);
    ht_release((void *)extent->coded);
    ht_release(extent->codes);
    ht_release(extent->norms);
    ht_release(extent);
}

void ht_extent_stage(ht_extent *extent, size_t position, const void *rows, size_t count) {
    ht_exact_norms(rows, extent->stride, count, extent->dim, extent->norms + position);
}

/* The bytes of all rows of block `b` are final. */
static void code_block(ht_extent *extent, size_t b) {
    if (!extent->codes)
        return;
    ht_codes_make(extent->rows, extent->stride, extent->dim, b * HT_BLOCK_ROWS, (b + 1) * HT_BLOCK_ROWS, extent->codes);
    atomic_store_explicit(&extent->coded[b], 1, memory_order_release);
}

static bool is_coded(const ht_extent *extent, size_t b) {
    return atomic_load_explicit(&extent->coded[b], memory_order_acquire) != 0;
}

static hither_status check_rows(ht_extent *extent, size_t begin, size_t end, hither_error *err) {
    HT_TRY(ht_segment_check(extent->segment, begin, end, err));
    ht_exact_norms(extent->rows + begin * extent->stride, extent->stride, end - begin, extent->dim,
                   extent->norms + begin);
    return HITHER_OK;
}

/* Brings block `b` to at least `wanted` checked rows, and to codes if they are asked for. */
static hither_status touch_block(ht_extent *extent, size_t b, uint8_t wanted, bool codes, hither_error *err) {
    _Atomic uint8_t *count = &extent->checked[b];
    for (;;) {
        uint8_t seen = atomic_load_explicit(count, memory_order_acquire);
        if ((seen & ~BUSY) >= wanted && (!codes || is_coded(extent, b)))
            return HITHER_OK;
        if (seen & BUSY) {
            sched_yield();
            continue;
        }
        if (!atomic_compare_exchange_weak_explicit(count, &seen, (uint8_t)(seen | BUSY), memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        hither_status status = HITHER_OK;
        uint8_t reached = seen;
        if (seen < wanted) {
            status = check_rows(extent, b * HT_BLOCK_ROWS + seen, b * HT_BLOCK_ROWS + wanted, err);
            reached = status == HITHER_OK ? wanted : seen;
        }
        if (status == HITHER_OK && codes && !is_coded(extent, b))
            code_block(extent, b);
        atomic_store_explicit(count, reached, memory_order_release);
        return status;
    }
}

hither_status ht_extent_touch(ht_extent *extent, size_t begin, size_t end, bool codes, hither_error *err) {
    codes = codes && extent->codes;
    for (size_t b = begin / HT_BLOCK_ROWS; b * HT_BLOCK_ROWS < end; b++) {
        uint8_t wanted = (uint8_t)ht_min_size(HT_BLOCK_ROWS, end - b * HT_BLOCK_ROWS);
        bool all = codes && wanted == HT_BLOCK_ROWS;
        if (atomic_load_explicit(&extent->checked[b], memory_order_acquire) != HT_BLOCK_ROWS ||
            (all && !is_coded(extent, b)))
            HT_TRY(touch_block(extent, b, wanted, all, err));
    }
    return HITHER_OK;
}

hither_status ht_extent_check_row(const ht_extent *extent, size_t position, hither_error *err) {
    uint8_t seen = atomic_load_explicit(&extent->checked[position / HT_BLOCK_ROWS], memory_order_acquire);
    if (position % HT_BLOCK_ROWS < (size_t)(seen & ~BUSY))
        return HITHER_OK;
    return ht_segment_check(extent->segment, position, position + 1, err);
}

void ht_extent_code(ht_extent *extent, size_t begin, size_t end) {
    /* Whether or not the rows before ours in the first block are checked yet: they may be by the time we trust it. No
     * reader codes that block now, which would take a snapshot with our rows. */
    for (size_t b = begin / HT_BLOCK_ROWS; (b + 1) * HT_BLOCK_ROWS <= end; b++)
        code_block(extent, b);
}

void ht_extent_trust(ht_extent *extent, size_t begin, size_t end) {
    for (size_t b = begin / HT_BLOCK_ROWS; b * HT_BLOCK_ROWS < end; b++) {
        size_t from = begin > b * HT_BLOCK_ROWS ? begin - b * HT_BLOCK_ROWS : 0;
        uint8_t seen = (uint8_t)from, now = (uint8_t)ht_min_size(HT_BLOCK_ROWS, end - b * HT_BLOCK_ROWS);
        /* Where the rows before ours are still unchecked, or being checked, ours are checked with them later. */
        (void)atomic_compare_exchange_strong_explicit(&extent->checked[b], &seen, now, memory_order_release,
                                                      memory_order_relaxed);
    }
}
