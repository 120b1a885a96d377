/*
 * flat.c: the rows of an index in parts, and searching them. A part never moves: adding fills the last one and then
 * makes another, so no row is copied twice and memory is asked for in pieces that grow with the index.
 */
#include "index/flat.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/values.h"
#include "index/codes.h"
#include "index/flat_inside.h"

#define SMALLEST_PART   ((size_t)1024)
#define MOST_KEPT       ((size_t)16 << 20) /* bytes of a room between searches */
#define LARGEST_GROWTH  ((size_t)65536)
#define SLICE_ROWS      ((size_t)1024) /* of norms and codes made by one thread at a time; a multiple of HT_CODE_ROWS */
#define LEAST_CODED_DIM 32u            /* below, a row's 12 bytes beside its codes outweigh what they save */

size_t ht_flat_stride(hither_dtype dtype, uint32_t dim) {
    size_t bytes = ht_row_bytes(dtype, dim, false);
    size_t padded = (bytes + 63) / 64 * 64;
    return padded - bytes <= bytes / 16 ? padded : (bytes + 15) / 16 * 16;
}

/* ---- making and freeing */

/* A writer that waits comes before searches that come after it: searches without a pause must not keep it out. (The C
 * library's default lets them.) Nothing here takes the lock twice, which this kind does not allow. */
static bool make_lock(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t kind;
    if (pthread_rwlockattr_init(&kind) != 0)
        return false;
#ifdef __GLIBC__
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    int failed = pthread_rwlock_init(lock, &kind);
    pthread_rwlockattr_destroy(&kind);
    return failed == 0;
}

hither_status ht_flat_make(const ht_flat_spec *spec, ht_flat **out, hither_error *err) {
    if (spec->dtype < HITHER_F32 || spec->dtype > HITHER_B1)
        return ht_fail(err, HITHER_INVALID, "dtype %d is none of hither_dtype", (int)spec->dtype);
    if ((spec->dtype == HITHER_B1) != (spec->metric == HITHER_HAMMING))
        return ht_fail(err, HITHER_UNSUPPORTED, "%s has no meaning for %s rows; hamming is for b1, and only it",
                       ht_metric_name(spec->metric), ht_dtype_name(spec->dtype));
    if (spec->dim == 0 || spec->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "an index of %u dimensions; 1 to %u are possible", spec->dim,
                       HITHER_MAX_DIM);
    ht_flat *flat = ht_calloc(1, sizeof *flat);
    if (!flat)
        return ht_fail_nomem(err, sizeof *flat, "an index");
    if (!make_lock(&flat->lock)) {
        ht_release(flat);
        return ht_fail_nomem(err, sizeof flat->lock, "a lock");
    }
    atomic_init(&flat->references, 1);
    flat->spec = *spec;
    flat->stride = ht_flat_stride(spec->dtype, spec->dim);
    ht_labels_init(&flat->labels);
    hither_status status = ht_flat_near_init(flat, err);
    if (status != HITHER_OK) {
        ht_flat_release(flat);
        return status;
    }
    *out = flat;
    return HITHER_OK;
}

hither_status ht_flat_new(const ht_flat_spec *spec, ht_flat **out, hither_error *err) {
    return ht_flat_make(spec, out, err);
}

ht_flat *ht_flat_acquire(ht_flat *flat) {
    atomic_fetch_add_explicit(&flat->references, 1, memory_order_relaxed);
    return flat;
}

/* ---- rooms: searches that follow one another allocate nothing */

static void free_room(flat_room *room) {
    if (!room)
        return;
    ht_exact_scratch_clear(&room->scratch);
    ht_release(room->answers);
    ht_release(room);
}

/* A room whose answers have at least that many bytes; NULL without memory. */
static flat_room *take_room(ht_flat *flat, size_t bytes) {
    flat_room *room = NULL;
    for (size_t i = 0; i < FLAT_ROOMS && !room; i++)
        room = atomic_exchange(&flat->rooms[i], NULL);
    if (!room)
        room = ht_calloc(1, sizeof *room);
    if (room && room->bytes < bytes) {
        ht_release(room->answers);
        room->answers = ht_alloc(bytes);
        room->bytes = room->answers ? bytes : 0;
    }
    if (room && !room->answers) {
        free_room(room);
        return NULL;
    }
    return room;
}

/* A large one is not kept: it was for a search of many answers. */
static void give_room(ht_flat *flat, flat_room *room) {
    for (size_t i = 0; i < FLAT_ROOMS && room->bytes + room->scratch.bytes <= MOST_KEPT; i++) {
        flat_room *none = NULL;
        if (atomic_compare_exchange_strong(&flat->rooms[i], &none, room))
            return;
    }
    free_room(room);
}

void ht_flat_release(ht_flat *flat) {
    if (!flat || atomic_fetch_sub_explicit(&flat->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < flat->part_count; i++) {
        ht_release(flat->blocks[i].rows);
        ht_release(flat->blocks[i].norms);
        ht_release(flat->blocks[i].codes);
    }
    ht_release(flat->parts);
    ht_release(flat->blocks);
    for (size_t i = 0; i < FLAT_ROOMS; i++)
        free_room(atomic_load(&flat->rooms[i]));
    ht_flat_near_clear(flat);
    ht_labels_clear(&flat->labels);
    ht_container_close(flat->file);
    pthread_rwlock_destroy(&flat->lock);
    ht_release(flat);
}

/* ---- parts */

static hither_status reserve_arrays(ht_flat *flat, hither_error *err) {
    size_t count = flat->part_count + 1;
    ht_part *parts = ht_resize(flat->parts, count * sizeof *parts);
    if (!parts)
        return ht_fail_nomem(err, count * sizeof *parts, "the parts of an index");
    flat->parts = parts;
    flat_block *blocks = ht_resize(flat->blocks, count * sizeof *blocks);
    if (!blocks)
        return ht_fail_nomem(err, count * sizeof *blocks, "the parts of an index");
    flat->blocks = blocks;
    return HITHER_OK;
}

bool ht_flat_codes_help(hither_dtype dtype, uint32_t dim) {
    bool wide = dtype == HITHER_F64 && dim <= HT_CODES_MOST_F64_DIM;
    return dim >= LEAST_CODED_DIM && (wide || dtype == HITHER_F32);
}

void ht_flat_codes(const ht_flat *flat, const void *rows, size_t stride, size_t begin, size_t end, void *codes) {
    if (flat->spec.dtype == HITHER_F64)
        ht_codes_make_f64(rows, stride, flat->spec.dim, begin, end, codes);
    else
        ht_codes_make(rows, stride, flat->spec.dim, begin, end, codes);
}

static hither_status allocate_block(const ht_flat *flat, bool rows, size_t capacity, flat_block *out,
                                    hither_error *err) {
    size_t bytes, codes = ht_flat_coded(flat) ? ht_codes_bytes(capacity, flat->spec.dim) : 0;
    if (!ht_mul_size(capacity, flat->stride, &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "rows");
    flat_block block = {.capacity = capacity};
    if (ht_flat_normed(flat))
        block.norms = ht_alloc(capacity * sizeof(float));
    if (rows)
        block.rows = ht_alloc_aligned(bytes);
    if (codes)
        block.codes = ht_alloc_aligned(codes);
    if ((ht_flat_normed(flat) && !block.norms) || (rows && !block.rows) || (codes && !block.codes)) {
        ht_release(block.codes);
        ht_release(block.rows);
        ht_release(block.norms);
        return ht_fail_nomem(err, bytes, "rows");
    }
    *out = block;
    return HITHER_OK;
}

/* ---- norms and codes of new rows, on all cores */

typedef struct finishing {
    const ht_flat *flat;
    size_t part, from, to;
} finishing;

static void finish_slice(void *ctx, size_t item) {
    const finishing *f = ctx;
    const ht_part *part = &f->flat->parts[f->part];
    const flat_block *block = &f->flat->blocks[f->part];
    ht_layout layout = ht_flat_layout(f->flat);
    size_t begin = f->from + item * SLICE_ROWS, end = ht_min_size(begin + SLICE_ROWS, f->to);
    ht_fp_state fp = ht_fp_enter();
    ht_stored_norms(&layout, ht_flat_row(f->flat, f->part, begin), part->stride, end - begin, block->norms + begin);
    if (block->codes)
        ht_flat_codes(f->flat, part->rows, part->stride, begin, end / HT_CODE_ROWS * HT_CODE_ROWS, block->codes);
    ht_fp_leave(fp);
}

/* Makes what searching needs of the rows of a part the index owns or borrows, from where that was left off. */
static void finish_rows(ht_flat *flat, size_t p) {
    ht_part *part = &flat->parts[p];
    flat_block *block = &flat->blocks[p];
    finishing f = {flat, p, block->finished / HT_CODE_ROWS * HT_CODE_ROWS, part->count};
    if (f.to > f.from && block->norms)
        ht_parallel(flat->threads, (f.to - f.from - 1) / SLICE_ROWS + 1, finish_slice, &f);
    block->finished = part->count;
    if (block->codes)
        part->coded_rows = part->count / HT_CODE_ROWS * HT_CODE_ROWS;
}

hither_status ht_flat_part(ht_flat *flat, const ht_part *given, size_t capacity, hither_error *err) {
    bool mapped = given && !flat->borrowed;
    HT_TRY(reserve_arrays(flat, err));
    ht_part part = {.stride = flat->stride};
    flat_block block = {0};
    if (given)
        part = *given;
    if (!mapped)
        HT_TRY(allocate_block(flat, !given, given ? given->count : capacity, &block, err));
    part.first_slot = 0;
    if (flat->part_count > 0) { /* behind the rows the last part has, or will have once it is full */
        const ht_part *last = &flat->parts[flat->part_count - 1];
        const flat_block *b = &flat->blocks[flat->part_count - 1];
        part.first_slot = last->first_slot + (b->rows ? b->capacity : last->count);
    }
    HT_ASSERT(part.first_slot % 64 == 0);
    if (!given)
        part.rows = block.rows;
    if (!mapped) {
        part.norms = block.norms;
        part.codes = block.codes;
    }
    flat->parts[flat->part_count] = part;
    flat->blocks[flat->part_count++] = block;
    if (!mapped)
        finish_rows(flat, flat->part_count - 1);
    return HITHER_OK;
}

/* The mapped rows past the last full group of 64 move to RAM, so that others can follow them. */
static hither_status unshare_tail(ht_flat *flat, size_t more, hither_error *err) {
    size_t p = flat->part_count - 1, count = flat->parts[p].count, tail = count % 64;
    if (flat->blocks[p].rows || tail == 0)
        return HITHER_OK;
    HT_TRY(ht_flat_touch(flat, p, count - tail, count, err));
    size_t coded = flat->parts[p].coded_rows;
    flat->parts[p].count = count - tail;
    flat->parts[p].coded_rows = ht_min_size(coded, count - tail);
    hither_status status = ht_flat_part(flat, NULL, (tail + more + 63) / 64 * 64, err);
    if (status != HITHER_OK) {
        flat->parts[p].count = count;
        flat->parts[p].coded_rows = coded;
        return status;
    }
    memcpy(flat->blocks[p + 1].rows, ht_flat_row(flat, p, count - tail), tail * flat->stride);
    flat->parts[p + 1].count = tail;
    finish_rows(flat, p + 1);
    return HITHER_OK;
}

/* Room for `count` more rows: in the parts there are, and for the rest in a new one. */
static hither_status reserve(ht_flat *flat, size_t count, hither_error *err) {
    if (flat->part_count > 0)
        HT_TRY(unshare_tail(flat, count, err));
    size_t room = 0;
    for (size_t i = 0; i < flat->part_count; i++)
        if (flat->blocks[i].rows)
            room += flat->blocks[i].capacity - flat->parts[i].count;
    if (count <= room)
        return HITHER_OK;
    uint64_t slots = flat->labels.slots;
    size_t growth = slots < SMALLEST_PART ? SMALLEST_PART : slots < LARGEST_GROWTH ? (size_t)slots : LARGEST_GROWTH;
    size_t wanted = count - room > growth ? count - room : growth;
    if (!ht_add_size(wanted, 63, &wanted))
        return ht_fail_nomem(err, SIZE_MAX, "rows");
    return ht_flat_part(flat, NULL, wanted / 64 * 64, err);
}

/* ---- rows in */

/* Rows to be converted, and the room for them, which is nobody's until all of them are there. */
typedef struct incoming {
    const hither_matrix *rows;
    const ht_flat *flat;
    _Atomic size_t worst; /* the first row that cannot be stored */
} incoming;

static char *room_for(const ht_flat *flat, size_t row) {
    for (size_t p = 0; p < flat->part_count; p++) {
        const flat_block *block = &flat->blocks[p];
        size_t room = block->rows ? block->capacity - flat->parts[p].count : 0;
        if (row < room)
            return block->rows + (flat->parts[p].count + row) * flat->stride;
        row -= room;
    }
    HT_ASSERT(false);
    return NULL;
}

static size_t convert_one(const incoming *in, size_t i, void *to) {
    return ht_convert_row(in->rows->dtype, (const char *)in->rows->data + i * in->rows->stride, in->flat->spec.dtype,
                          in->rows->dim, to);
}

static void convert_slice(void *ctx, size_t item) {
    incoming *in = ctx;
    const hither_matrix *m = in->rows;
    size_t end = ht_min_size((item + 1) * SLICE_ROWS, m->rows), stride = in->flat->stride;
    size_t bytes = ht_row_bytes(in->flat->spec.dtype, m->dim, false);
    ht_fp_state fp = ht_fp_enter();
    for (size_t i = item * SLICE_ROWS; i < end; i++) {
        char *to = room_for(in->flat, i);
        memset(to + bytes, 0, stride - bytes);
        if (convert_one(in, i, to) == m->dim)
            continue;
        size_t worst = atomic_load_explicit(&in->worst, memory_order_relaxed);
        while (i < worst && !atomic_compare_exchange_weak_explicit(&in->worst, &worst, i, memory_order_relaxed,
                                                                   memory_order_relaxed))
            ;
        break;
    }
    ht_fp_leave(fp);
}

static hither_status convert_rows(ht_flat *flat, const hither_matrix *rows, hither_error *err) {
    incoming in = {.rows = rows, .flat = flat};
    atomic_init(&in.worst, SIZE_MAX);
    if (rows->rows > 0)
        ht_parallel(0, (rows->rows - 1) / SLICE_ROWS + 1, convert_slice, &in);
    size_t row = atomic_load(&in.worst);
    if (row == SIZE_MAX)
        return HITHER_OK;
    return ht_fail(err, HITHER_NOT_FINITE, "rows: row %zu, column %zu is not finite, or too large for %s", row,
                   convert_one(&in, row, room_for(flat, row)), ht_dtype_name(flat->spec.dtype));
}

/* The next `count` rows are there: they become the parts' own. */
static void take_rows(ht_flat *flat, size_t count) {
    for (size_t p = 0; p < flat->part_count && count > 0; p++) {
        flat_block *block = &flat->blocks[p];
        if (!block->rows)
            continue;
        size_t n = ht_min_size(block->capacity - flat->parts[p].count, count);
        flat->parts[p].count += n;
        finish_rows(flat, p);
        count -= n;
    }
    HT_ASSERT(count == 0);
}

hither_status ht_flat_wrap(const hither_matrix *rows, hither_metric metric, unsigned threads, ht_flat **out,
                           hither_error *err) {
    ht_flat_spec spec = {.dtype = rows->dtype, .metric = metric, .dim = (uint32_t)rows->dim};
    ht_flat *flat = NULL;
    HT_TRY(ht_flat_make(&spec, &flat, err));
    flat->borrowed = true;
    flat->threads = threads;
    ht_part part = {.rows = rows->data, .stride = rows->stride, .count = rows->rows, .bare = rows->dtype == HITHER_I8};
    hither_status status = ht_flat_part(flat, &part, 0, err);
    if (status == HITHER_OK)
        status = ht_labels_add(&flat->labels, NULL, rows->rows, err);
    if (status == HITHER_OK)
        *out = flat;
    else
        ht_flat_release(flat);
    return status;
}

hither_status ht_flat_add(ht_flat *flat, const hither_matrix *rows, const int64_t *labels, int64_t *first,
                          hither_error *err) {
    if (flat->borrowed)
        return ht_fail(err, HITHER_READONLY, "this index only borrows its rows; make one that copies to add to it");
    if (rows->dim != flat->spec.dim)
        return ht_fail(err, HITHER_DIMENSION, "rows have %zu dimensions, the index has %u", rows->dim, flat->spec.dim);
    if (!ht_converts(rows->dtype, flat->spec.dtype))
        return ht_fail(err, HITHER_UNSUPPORTED, "%s rows for an index of %s; it takes f32, f64 and its own",
                       ht_dtype_name(rows->dtype), ht_dtype_name(flat->spec.dtype));
    pthread_rwlock_wrlock(&flat->lock);
    int64_t next = flat->labels.next;
    hither_status status = reserve(flat, rows->rows, err);
    if (status == HITHER_OK)
        status = convert_rows(flat, rows, err);
    if (status == HITHER_OK)
        status = ht_labels_add(&flat->labels, labels, rows->rows, err);
    if (status == HITHER_OK) {
        take_rows(flat, rows->rows);
        if (first)
            *first = next;
    }
    pthread_rwlock_unlock(&flat->lock);
    return status;
}

hither_status ht_flat_remove(ht_flat *flat, const int64_t *labels, size_t count, size_t *removed, hither_error *err) {
    size_t gone = 0;
    hither_status status = HITHER_OK;
    pthread_rwlock_wrlock(&flat->lock);
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        bool there = false;
        uint64_t slot = flat->approx ? ht_labels_find(&flat->labels, labels[i]) : HT_NO_SLOT;
        status = ht_labels_remove(&flat->labels, labels[i], &there, err);
        gone += there;
        flat->stray += there && slot < flat->covered;
    }
    pthread_rwlock_unlock(&flat->lock);
    if (status == HITHER_OK && removed)
        *removed = gone;
    return status;
}

/* ---- searching */

hither_status ht_flat_touch(void *ctx, size_t part, size_t begin, size_t end, hither_error *err) {
    ht_flat *flat = ctx;
    if (part != 0 || !flat->file)
        return HITHER_OK;
    size_t last = (end - 1) * flat->stride + ht_row_bytes(flat->spec.dtype, flat->spec.dim, false);
    return ht_container_touch(flat->file, "rows", begin * flat->stride, last, err);
}

void ht_flat_want(void *ctx, size_t part, size_t row) {
    ht_flat *flat = ctx;
    if (part == 0)
        ht_container_want(flat->file, "rows", row * flat->stride, (row + 1) * flat->stride);
}

hither_status ht_flat_touch_codes(void *ctx, size_t part, size_t begin, size_t end, hither_error *err) {
    ht_flat *flat = ctx;
    if (part != 0 || !flat->file || begin >= end)
        return HITHER_OK;
    return ht_container_touch(flat->file, "codes", ht_codes_bytes(begin, flat->spec.dim),
                              ht_codes_bytes(end, flat->spec.dim), err);
}

static void write_arrays(const ht_flat *flat, size_t queries, size_t k, const ht_hit *hits, const size_t *counts,
                         int64_t *labels, float *distances) {
    for (size_t j = 0; j < queries; j++) {
        for (size_t i = 0; i < k; i++) {
            bool there = i < counts[j];
            labels[j * k + i] = there ? ht_labels_at(&flat->labels, hits[j * k + i].slot) : -1;
            distances[j * k + i] = there ? (float)hits[j * k + i].distance : INFINITY;
        }
    }
}

ht_vectors ht_flat_vectors(ht_flat *flat, const ht_part *parts, size_t count) {
    return (ht_vectors){.dtype = flat->spec.dtype,
                        .metric = flat->spec.metric,
                        .dim = flat->spec.dim,
                        .parts = parts,
                        .part_count = count,
                        .touch = flat->file ? ht_flat_touch : NULL,
                        .touch_codes = flat->file ? ht_flat_touch_codes : NULL,
                        .want = flat->cold ? ht_flat_want : NULL,
                        .touch_ctx = flat};
}

static hither_status aim(ht_flat *flat, const ht_flat_search *search, flat_target *t, hither_error *err) {
    *t = (flat_target){.vectors = ht_flat_vectors(flat, flat->parts, flat->part_count),
                       .live = ht_labels_mask(&flat->labels)};
    t->vectors.recall = search->recall;
    if (flat->kind && (flat->approx || flat->kind != &ht_approx_auto))
        t->vectors.recall = 1; /* what is not found by a walk is found exactly */
    if (search->metric)
        t->vectors.metric = search->metric;
    if (search->allow) {
        HT_TRY(ht_labels_allow(&flat->labels, search->allow, search->allow_bits, &t->allowed, err));
        t->only_allowed = &t->allowed.mask;
    }
    if (flat->labels.alive != flat->labels.slots)
        t->only_live = &t->live;
    return HITHER_OK;
}

/* Under the lock. */
static hither_status search_into(ht_flat *flat, const hither_matrix *queries, const ht_flat_search *search,
                                 ht_exact_scratch *scratch, ht_hit *hits, size_t *counts, ht_flat_stats *stats,
                                 hither_error *err) {
    flat_target t;
    size_t effort;
    hither_status status;
    HT_TRY(aim(flat, search, &t, err));
    if (flat->kind && ht_flat_nears(flat, &t, search, &effort, stats))
        status = ht_flat_near(flat, &t, queries, search, effort, hits, counts, stats, err);
    else
        status = ht_exact_search_in(scratch, &t.vectors, queries->data, queries->stride, queries->rows, t.only_live,
                                    t.only_allowed, search->k, search->threads, hits, counts,
                                    stats ? &stats->exact : NULL, err);
    ht_labels_allow_clear(&t.allowed);
    return status;
}

static hither_status check_dim(const ht_flat *flat, const hither_matrix *queries, hither_error *err) {
    if (queries->dim == flat->spec.dim)
        return HITHER_OK;
    return ht_fail(err, HITHER_DIMENSION, "queries have %zu dimensions, the index has %u", queries->dim,
                   flat->spec.dim);
}

hither_status ht_flat_within(ht_flat *flat, const hither_matrix *queries, const ht_flat_search *search, float radius,
                             ht_found *found, ht_exact_stats *stats, hither_error *err) {
    flat_target t;
    HT_TRY(check_dim(flat, queries, err));
    pthread_rwlock_rdlock(&flat->lock);
    hither_status status = aim(flat, search, &t, err);
    if (status == HITHER_OK) {
        status = ht_exact_within(NULL, &t.vectors, queries->data, queries->stride, queries->rows, t.only_live,
                                 t.only_allowed, radius, search->threads, found, stats, err);
        ht_labels_allow_clear(&t.allowed);
    }
    for (size_t j = 0; status == HITHER_OK && j < queries->rows; j++)
        for (size_t i = 0; i < found[j].count; i++)
            found[j].hits[i].slot = (uint64_t)ht_labels_at(&flat->labels, found[j].hits[i].slot);
    pthread_rwlock_unlock(&flat->lock);
    return status;
}

hither_status ht_flat_knn(ht_flat *flat, const hither_matrix *queries, const ht_flat_search *search, int64_t *labels,
                          float *distances, ht_flat_stats *stats, hither_error *err) {
    HT_TRY(check_dim(flat, queries, err));
    size_t total, bytes, counts_bytes;
    if (!ht_mul_size(queries->rows, search->k, &total) || !ht_mul_size(total, sizeof(ht_hit), &total) ||
        !ht_mul_size(queries->rows, sizeof(size_t), &counts_bytes) || !ht_add_size(total, counts_bytes, &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "hits");
    flat_room *room = take_room(flat, bytes);
    if (!room)
        return ht_fail_nomem(err, bytes, "hits");
    ht_hit *hits = room->answers;
    size_t *counts = (size_t *)(void *)((char *)room->answers + total);
    pthread_rwlock_rdlock(&flat->lock);
    hither_status status = search_into(flat, queries, search, &room->scratch, hits, counts, stats, err);
    if (status == HITHER_OK)
        write_arrays(flat, queries->rows, search->k, hits, counts, labels, distances);
    pthread_rwlock_unlock(&flat->lock);
    give_room(flat, room);
    return status;
}

const ht_flat_spec *ht_flat_spec_of(const ht_flat *flat) { return &flat->spec; }

void ht_flat_describe(ht_flat *flat, ht_flat_info *out) {
    pthread_rwlock_rdlock(&flat->lock);
    *out = (ht_flat_info){.spec = flat->spec,
                          .rows = flat->labels.alive,
                          .slots = flat->labels.slots,
                          .mapped = flat->file != NULL,
                          .borrowed = flat->borrowed,
                          .approximate = flat->approx != NULL,
                          .waiting = flat->labels.slots - flat->covered,
                          .stray = flat->stray,
                          .curve = flat->curve};
    if (flat->approx) {
        out->built = flat->approx->kind;
        out->built->describe(flat->approx, &out->facts);
        out->bytes_extra += out->facts.bytes;
    }
    for (size_t i = 0; i < flat->part_count; i++) {
        out->bytes_rows += flat->parts[i].count * flat->parts[i].stride;
        out->bytes_extra += flat->parts[i].norms ? flat->parts[i].count * sizeof(float) : 0;
        out->bytes_extra += ht_codes_bytes(flat->parts[i].coded_rows, flat->spec.dim);
    }
    if (flat->labels.of_slot)
        out->bytes_extra += flat->labels.room * sizeof(int64_t) + flat->labels.table_size * sizeof(uint64_t);
    pthread_rwlock_unlock(&flat->lock);
}
