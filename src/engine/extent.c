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
#include <string.h>

#include "base/alloc.h"
#include "base/container.h"
#include "base/pool.h"
#include "index/codes.h"
#include "index/exact.h"
#include "kernels/kernels.h"

#define BUSY            0x80u
#define LEAST_CODED_DIM 32u /* below, a row's 12 bytes beside its codes outweigh what they save */
#define AHEAD_BLOCKS    8u  /* coded at once by one thread */

/* An extent of `dim` numbers a row, with one reference; the rest is the caller's to fill in. */
static hither_status allocate(const ht_segment_info *info, uint32_t dim, hither_metric metric, ht_extent **out,
                              hither_error *err) {
    bool coded = metric != HITHER_L1 && dim >= LEAST_CODED_DIM; /* no bound for L1 comes from codes */
    size_t blocks = (size_t)(info->capacity / HT_BLOCK_ROWS);
    ht_extent *extent = ht_calloc(1, sizeof *extent);
    size_t norm_bytes;
    float *norms = ht_mul_size(info->capacity, sizeof *norms, &norm_bytes) ? ht_alloc(norm_bytes) : NULL;
    _Atomic uint8_t *checked = ht_calloc(blocks, sizeof *checked);
    size_t code_bytes = coded ? ht_codes_bytes(info->capacity, dim) : 0;
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
    extent->sid = info->sid;
    extent->first_slot = info->first_slot;
    extent->capacity = info->capacity;
    extent->stride = info->stride;
    extent->dim = dim;
    extent->norms = norms;
    extent->codes = codes;
    extent->checked = checked;
    extent->coded = marks;
    *out = extent;
    return HITHER_OK;
}

static void release_all(ht_extent *extent) {
    for (uint32_t i = 0; extent->fields && i < extent->shape->field_count; i++)
        if (extent->fields[i])
            release_all(extent->fields[i]);
    ht_release((void *)extent->fields);
    ht_container_close(extent->kept_file);
    ht_release((void *)extent->present);
    ht_release((void *)extent->seen);
    ht_release((void *)extent->checked);
    ht_release((void *)extent->coded);
    ht_release(extent->codes);
    ht_release(extent->norms);
    ht_release(extent);
}

static hither_status add_field(ht_extent *whole, const ht_segment_info *info, uint32_t i, hither_error *err) {
    const ht_vector_field *field = &whole->shape->fields[i];
    ht_extent *extent;
    HT_TRY(allocate(info, field->dim, field->metric, &extent, err));
    extent->whole = whole;
    extent->shape = whole->shape;
    extent->rows = whole->rows + field->at * sizeof(float);
    extent->present = ht_calloc((size_t)(info->capacity / HT_BLOCK_ROWS), sizeof *extent->present);
    whole->fields[i] = extent;
    return extent->present ? HITHER_OK : ht_fail_nomem(err, (size_t)info->capacity / 8, "which rows have a vector");
}

hither_status ht_extent_new(ht_segment *segment, const ht_shape *shape, ht_extent **out, hither_error *err) {
    const ht_segment_info *info = ht_segment_describe(segment);
    ht_extent *extent;
    if (info->dim != shape->width)
        return ht_fail(err, HITHER_CORRUPT, "segment %lld has rows of %u numbers, not of %u", (long long)info->sid,
                       info->dim, shape->width);
    HT_TRY(allocate(info, shape->dim, shape->metric, &extent, err));
    extent->shape = shape;
    extent->rows = ht_segment_rows(segment);
    hither_status status = HITHER_OK;
    if (shape->field_count) {
        extent->fields = ht_calloc(shape->field_count, sizeof(ht_extent *));
        if (!extent->fields)
            status = ht_fail_nomem(err, shape->field_count * sizeof(ht_extent *), "the fields of a segment");
    }
    for (uint32_t i = 0; i < shape->field_count && status == HITHER_OK; i++)
        if (shape->fields[i].kind == HITHER_DENSE)
            status = add_field(extent, info, i, err);
    if (status != HITHER_OK) {
        release_all(extent);
        return status;
    }
    extent->segment = segment;
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
    release_all(extent);
}

/* The extent of field number `i`, or NULL. */
static ht_extent *field_at(const ht_extent *extent, uint32_t i) { return extent->fields ? extent->fields[i] : NULL; }

/* Notes which rows at `position` have a vector in the field, from `rows`, the field's part of them. Nobody else writes
 * these bits now. */
static void note_present(ht_extent *extent, size_t position, const char *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t there;
        uint64_t bit = (uint64_t)1 << (position + i) % HT_BLOCK_ROWS;
        _Atomic uint64_t *word = &extent->present[(position + i) / HT_BLOCK_ROWS];
        memcpy(&there, rows + i * extent->stride + extent->dim * sizeof(float), sizeof there);
        if (there)
            atomic_fetch_or_explicit(word, bit, memory_order_release);
        else
            atomic_fetch_and_explicit(word, ~bit, memory_order_release);
    }
}

void ht_extent_stage(ht_extent *extent, size_t position, const void *rows, size_t count) {
    ht_exact_norms(rows, extent->stride, count, extent->dim, extent->norms + position);
    for (uint32_t i = 0; i < extent->shape->field_count; i++) {
        ht_extent *field = field_at(extent, i);
        const char *part = (const char *)rows + extent->shape->fields[i].at * sizeof(float);
        if (!field)
            continue;
        ht_exact_norms(part, field->stride, count, field->dim, field->norms + position);
        note_present(field, position, part, count);
    }
}

/* Codes block `b`, whose first row is at `rows`. The bytes of all its rows are final. */
static void code_block_at(ht_extent *extent, size_t b, const char *rows) {
    if (!extent->codes)
        return;
    char *codes = (char *)extent->codes + ht_codes_bytes(b * HT_BLOCK_ROWS, extent->dim);
    ht_codes_make(rows, extent->stride, extent->dim, 0, HT_BLOCK_ROWS, codes);
    atomic_store_explicit(&extent->coded[b], 1, memory_order_release);
}

static void code_block(ht_extent *extent, size_t b) {
    code_block_at(extent, b, extent->rows + b * HT_BLOCK_ROWS * extent->stride);
}

static bool is_coded(const ht_extent *extent, size_t b) {
    return atomic_load_explicit(&extent->coded[b], memory_order_acquire) != 0;
}

/* Checks the rows of `mask` in a block whose norms the cache has brought. Two threads may check one row at once. */
static hither_status check_kept(ht_extent *extent, size_t b, uint64_t mask, hither_error *err) {
    uint64_t left = mask & ~atomic_load_explicit(&extent->seen[b], memory_order_acquire);
    for (; left; left &= left - 1) {
        size_t row = b * HT_BLOCK_ROWS + (size_t)__builtin_ctzll(left);
        HT_TRY(ht_segment_check(extent->segment, row, row + 1, err));
    }
    atomic_fetch_or_explicit(&extent->seen[b], mask, memory_order_release);
    return HITHER_OK;
}

/* The first `count` rows of a block. */
static uint64_t rows_mask(size_t count) { return count < 64 ? ((uint64_t)1 << count) - 1 : UINT64_MAX; }

/* Rows [from, to) of block b; nobody else is at work on it. */
static hither_status check_rows(ht_extent *extent, size_t b, size_t from, size_t to, hither_error *err) {
    if (b * HT_BLOCK_ROWS < extent->kept)
        return check_kept(extent, b, rows_mask(to), err);
    size_t begin = b * HT_BLOCK_ROWS + from;
    if (extent->whole) {
        HT_TRY(ht_extent_touch(extent->whole, begin, b * HT_BLOCK_ROWS + to, false, err));
        note_present(extent, begin, extent->rows + begin * extent->stride, to - from);
    } else {
        HT_TRY(ht_segment_check(extent->segment, begin, b * HT_BLOCK_ROWS + to, err));
    }
    ht_exact_norms(extent->rows + begin * extent->stride, extent->stride, to - from, extent->dim,
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
            status = check_rows(extent, b, seen, wanted, err);
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
        size_t wanted = ht_min_size(HT_BLOCK_ROWS, end - b * HT_BLOCK_ROWS);
        bool all = codes && wanted == HT_BLOCK_ROWS;
        if (!all && b * HT_BLOCK_ROWS < extent->kept) {
            uint64_t before = begin > b * HT_BLOCK_ROWS ? rows_mask(begin - b * HT_BLOCK_ROWS) : 0;
            HT_TRY(check_kept(extent, b, rows_mask(wanted) & ~before, err));
        } else if (atomic_load_explicit(&extent->checked[b], memory_order_acquire) != HT_BLOCK_ROWS ||
                   (all && !is_coded(extent, b))) {
            HT_TRY(touch_block(extent, b, (uint8_t)wanted, all, err));
        }
    }
    return HITHER_OK;
}

hither_status ht_extent_touch_kept(ht_extent *extent, size_t begin, size_t end, hither_error *err) {
    hither_status status = ht_container_touch(extent->kept_file, "codes", ht_codes_bytes(begin, extent->dim),
                                              ht_codes_bytes(end, extent->dim), err);
    if (status != HITHER_OK)
        atomic_store_explicit(&extent->spoilt, true, memory_order_release);
    return status;
}

size_t ht_extent_coded(ht_extent *extent, size_t from, size_t rows) {
    _Atomic size_t *ready = &extent->ready[from != 0];
    size_t first = from / HT_BLOCK_ROWS, limit = rows / HT_BLOCK_ROWS, had, reached;
    if (!extent->codes || limit <= first)
        return 0;
    had = reached = first + atomic_load_explicit(ready, memory_order_acquire);
    while (reached < limit && is_coded(extent, reached))
        reached++;
    if (reached > had) /* a race leaves the lesser of two numbers that are both right */
        atomic_store_explicit(ready, reached - first, memory_order_release);
    return (ht_min_size(reached, limit) - first) * HT_BLOCK_ROWS;
}

/* Blocks to be coded, by several threads. */
typedef struct ahead {
    ht_extent *extent;
    size_t first, limit;
} ahead;

static void code_some(void *ctx, size_t item) {
    const ahead *a = ctx;
    size_t begin = (a->first + item * AHEAD_BLOCKS) * HT_BLOCK_ROWS;
    size_t end = ht_min_size(begin + AHEAD_BLOCKS * HT_BLOCK_ROWS, a->limit * HT_BLOCK_ROWS);
    ht_fp_state fp = ht_fp_enter();
    hither_status ignored = ht_extent_touch(a->extent, begin, end, true, NULL);
    ht_fp_leave(fp);
    (void)ignored;
}

void ht_extent_code_ahead(ht_extent *extent, size_t from, size_t rows, size_t budget) {
    size_t coded = ht_extent_coded(extent, from, rows);
    size_t blocks = 1 + budget / (HT_BLOCK_ROWS * extent->stride);
    ahead a = {extent, (from + coded) / HT_BLOCK_ROWS, rows / HT_BLOCK_ROWS};
    if (!extent->codes || a.first >= a.limit)
        return;
    a.limit = a.first + ht_min_size(blocks, a.limit - a.first);
    ht_parallel(0, (a.limit - a.first + AHEAD_BLOCKS - 1) / AHEAD_BLOCKS, code_some, &a);
}

hither_status ht_extent_check_row(const ht_extent *extent, size_t position, hither_error *err) {
    size_t b = position / HT_BLOCK_ROWS;
    if (position < extent->kept &&
        atomic_load_explicit(&extent->seen[b], memory_order_acquire) >> position % HT_BLOCK_ROWS & 1)
        return HITHER_OK;
    uint8_t seen = atomic_load_explicit(&extent->checked[b], memory_order_acquire);
    if (position % HT_BLOCK_ROWS < (size_t)(seen & ~BUSY))
        return HITHER_OK;
    return ht_segment_check(extent->segment, position, position + 1, err);
}

void ht_extent_code(ht_extent *extent, size_t begin, size_t end) {
    /* Whether or not the rows before ours in the first block are checked yet: they may be by the time we trust it. No
     * reader codes that block now, which would take a snapshot with our rows. */
    for (size_t b = begin / HT_BLOCK_ROWS; (b + 1) * HT_BLOCK_ROWS <= end; b++) {
        code_block(extent, b);
        for (uint32_t i = 0; i < extent->shape->field_count; i++)
            if (field_at(extent, i))
                code_block(field_at(extent, i), b);
    }
}

void ht_extent_code_copy(ht_extent *extent, size_t begin, size_t end, const char *rows) {
    for (size_t b = begin / HT_BLOCK_ROWS; (b + 1) * HT_BLOCK_ROWS <= end; b++) {
        const char *block = rows + (b * HT_BLOCK_ROWS - begin) * extent->stride;
        code_block_at(extent, b, block);
        for (uint32_t i = 0; i < extent->shape->field_count; i++)
            if (field_at(extent, i))
                code_block_at(field_at(extent, i), b, block + extent->shape->fields[i].at * sizeof(float));
    }
}

void ht_extent_trust(ht_extent *extent, size_t begin, size_t end) {
    for (size_t b = begin / HT_BLOCK_ROWS; b * HT_BLOCK_ROWS < end; b++) {
        size_t from = begin > b * HT_BLOCK_ROWS ? begin - b * HT_BLOCK_ROWS : 0;
        uint8_t seen = (uint8_t)from, now = (uint8_t)ht_min_size(HT_BLOCK_ROWS, end - b * HT_BLOCK_ROWS);
        /* Where the rows before ours are still unchecked, or being checked, ours are checked with them later. */
        (void)atomic_compare_exchange_strong_explicit(&extent->checked[b], &seen, now, memory_order_release,
                                                      memory_order_relaxed);
    }
    for (uint32_t i = 0; extent->fields && i < extent->shape->field_count; i++)
        if (field_at(extent, i))
            ht_extent_trust(field_at(extent, i), begin, end);
}
