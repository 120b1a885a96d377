/*
 * flat.c: the rows of an index in parts, and searching them. A part never moves: adding fills the last one and then
 * makes another, so no row is copied twice and memory is asked for in pieces that grow with the index.
 */
#include "index/flat.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "index/flat_inside.h"

#define SMALLEST_PART  ((size_t)1024)
#define LARGEST_GROWTH ((size_t)65536)

size_t ht_flat_stride(uint32_t dim) {
    size_t bytes = (size_t)dim * sizeof(float);
    size_t padded = (bytes + 63) / 64 * 64;
    return padded - bytes <= bytes / 16 ? padded : (bytes + 15) / 16 * 16;
}

/* ---- making and freeing */

hither_status ht_flat_make(const ht_flat_spec *spec, ht_flat **out, hither_error *err) {
    if (spec->dtype != HITHER_F32)
        return ht_fail(err, HITHER_UNSUPPORTED, "an index of dtype %d; only f32 today", (int)spec->dtype);
    if (spec->dim == 0 || spec->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "an index of %u dimensions; 1 to %u are possible", spec->dim,
                       HITHER_MAX_DIM);
    ht_flat *flat = ht_calloc(1, sizeof *flat);
    if (!flat)
        return ht_fail_nomem(err, sizeof *flat, "an index");
    if (pthread_rwlock_init(&flat->lock, NULL) != 0) {
        ht_release(flat);
        return ht_fail_nomem(err, sizeof flat->lock, "a lock");
    }
    atomic_init(&flat->references, 1);
    flat->spec = *spec;
    flat->stride = ht_flat_stride(spec->dim);
    ht_labels_init(&flat->labels);
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

void ht_flat_release(ht_flat *flat) {
    if (!flat || atomic_fetch_sub_explicit(&flat->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < flat->part_count; i++) {
        ht_release(flat->blocks[i].rows);
        ht_release(flat->blocks[i].norms);
    }
    ht_release(flat->parts);
    ht_release(flat->blocks);
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

hither_status ht_flat_part(ht_flat *flat, const void *rows, size_t stride, size_t count, const float *norms,
                           size_t capacity, hither_error *err) {
    HT_TRY(reserve_arrays(flat, err));
    uint64_t first_slot = 0;
    if (flat->part_count > 0) { /* behind the rows the last part has, or will have once it is full */
        const ht_part *last = &flat->parts[flat->part_count - 1];
        const flat_block *b = &flat->blocks[flat->part_count - 1];
        first_slot = last->first_slot + (b->rows ? b->capacity : last->count);
    }
    flat_block block = {.capacity = rows ? count : capacity};
    size_t bytes;
    if (!ht_mul_size(block.capacity, flat->stride, &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "rows");
    if (!rows)
        block.rows = ht_alloc_aligned(bytes);
    if (!norms)
        block.norms = ht_alloc(block.capacity * sizeof *block.norms);
    if ((!rows && !block.rows) || (!norms && !block.norms)) {
        ht_release(block.rows);
        ht_release(block.norms);
        return ht_fail_nomem(err, bytes, "rows");
    }
    flat->parts[flat->part_count] = (ht_part){.rows = rows ? rows : block.rows,
                                              .first_slot = first_slot,
                                              .count = count,
                                              .stride = stride,
                                              .norms = norms ? norms : block.norms};
    HT_ASSERT(flat->parts[flat->part_count].first_slot % 64 == 0);
    flat->blocks[flat->part_count++] = block;
    if (rows && !norms)
        ht_exact_norms(rows, stride, count, flat->spec.dim, block.norms);
    return HITHER_OK;
}

/* The mapped rows past the last full group of 64 move to RAM, so that others can follow them. */
static hither_status unshare_tail(ht_flat *flat, size_t more, hither_error *err) {
    ht_part *last = &flat->parts[flat->part_count - 1];
    size_t tail = last->count % 64, kept = last->count - tail;
    if (flat->blocks[flat->part_count - 1].rows || tail == 0)
        return HITHER_OK;
    HT_TRY(ht_flat_touch(flat, flat->part_count - 1, kept, last->count, err));
    last->count = kept;
    hither_status status = ht_flat_part(flat, NULL, flat->stride, 0, NULL, (tail + more + 63) / 64 * 64, err);
    last = &flat->parts[flat->part_count - (status == HITHER_OK ? 2 : 1)];
    if (status != HITHER_OK) {
        last->count = kept + tail;
        return status;
    }
    memcpy(flat->blocks[flat->part_count - 1].rows, (const char *)last->rows + kept * last->stride,
           tail * flat->stride);
    memcpy(flat->blocks[flat->part_count - 1].norms, last->norms + kept, tail * sizeof(float));
    flat->parts[flat->part_count - 1].count = tail;
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
    return ht_flat_part(flat, NULL, flat->stride, 0, NULL, wanted / 64 * 64, err);
}

/* The room is there. */
static void copy_rows(ht_flat *flat, const hither_matrix *rows) {
    size_t bytes = (size_t)flat->spec.dim * sizeof(float), done = 0;
    for (size_t p = 0; p < flat->part_count && done < rows->rows; p++) {
        ht_part *part = &flat->parts[p];
        flat_block *block = &flat->blocks[p];
        if (!block->rows)
            continue;
        size_t n = ht_min_size(block->capacity - part->count, rows->rows - done);
        char *to = block->rows + part->count * flat->stride;
        for (size_t i = 0; i < n; i++, to += flat->stride) {
            memcpy(to, (const char *)rows->data + (done + i) * rows->stride, bytes);
            memset(to + bytes, 0, flat->stride - bytes);
        }
        ht_exact_norms(block->rows + part->count * flat->stride, flat->stride, n, flat->spec.dim,
                       block->norms + part->count);
        part->count += n;
        done += n;
    }
    HT_ASSERT(done == rows->rows);
}

hither_status ht_flat_wrap(const hither_matrix *rows, hither_metric metric, ht_flat **out, hither_error *err) {
    ht_flat_spec spec = {.dtype = rows->dtype, .metric = metric, .dim = (uint32_t)rows->dim};
    ht_flat *flat;
    HT_TRY(ht_flat_make(&spec, &flat, err));
    flat->borrowed = true;
    hither_status status = ht_flat_part(flat, rows->data ? rows->data : "", rows->stride, rows->rows, NULL, 0, err);
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
    pthread_rwlock_wrlock(&flat->lock);
    int64_t next = flat->labels.next;
    hither_status status = reserve(flat, rows->rows, err);
    if (status == HITHER_OK)
        status = ht_labels_add(&flat->labels, labels, rows->rows, err);
    if (status == HITHER_OK) {
        copy_rows(flat, rows);
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
        status = ht_labels_remove(&flat->labels, labels[i], &there, err);
        gone += there;
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
    size_t last = (end - 1) * flat->stride + flat->spec.dim * sizeof(float);
    return ht_container_touch(flat->file, "rows", begin * flat->stride, last, err);
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

/* Under the lock. */
static hither_status search_into(ht_flat *flat, const hither_matrix *queries, const ht_flat_search *search,
                                 ht_hit *hits, size_t *counts, ht_exact_stats *stats, hither_error *err) {
    ht_vectors vectors = {.dtype = flat->spec.dtype,
                          .metric = search->metric ? search->metric : flat->spec.metric,
                          .dim = flat->spec.dim,
                          .parts = flat->parts,
                          .part_count = flat->part_count,
                          .touch = flat->file ? ht_flat_touch : NULL,
                          .touch_ctx = flat};
    ht_allowed allowed = {0};
    if (search->allow)
        HT_TRY(ht_labels_allow(&flat->labels, search->allow, search->allow_bits, &allowed, err));
    ht_mask live = ht_labels_mask(&flat->labels);
    bool all = flat->labels.alive == flat->labels.slots;
    hither_status status =
        ht_exact_search(&vectors, queries->data, queries->stride, queries->rows, all ? NULL : &live,
                        search->allow ? &allowed.mask : NULL, search->k, search->threads, hits, counts, stats, err);
    ht_labels_allow_clear(&allowed);
    return status;
}

hither_status ht_flat_knn(ht_flat *flat, const hither_matrix *queries, const ht_flat_search *search, int64_t *labels,
                          float *distances, ht_exact_stats *stats, hither_error *err) {
    if (queries->dim != flat->spec.dim)
        return ht_fail(err, HITHER_DIMENSION, "queries have %zu dimensions, the index has %u", queries->dim,
                       flat->spec.dim);
    size_t total, bytes;
    if (!ht_mul_size(queries->rows, search->k, &total) || !ht_mul_size(total, sizeof(ht_hit), &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "hits");
    ht_hit *hits = ht_alloc(bytes);
    size_t *counts = ht_calloc(queries->rows, sizeof *counts);
    hither_status status = hits && counts ? HITHER_OK : ht_fail_nomem(err, bytes, "hits");
    if (status == HITHER_OK) {
        pthread_rwlock_rdlock(&flat->lock);
        status = search_into(flat, queries, search, hits, counts, stats, err);
        if (status == HITHER_OK)
            write_arrays(flat, queries->rows, search->k, hits, counts, labels, distances);
        pthread_rwlock_unlock(&flat->lock);
    }
    ht_release(counts);
    ht_release(hits);
    return status;
}

void ht_flat_describe(ht_flat *flat, ht_flat_info *out) {
    pthread_rwlock_rdlock(&flat->lock);
    *out = (ht_flat_info){.spec = flat->spec,
                          .rows = flat->labels.alive,
                          .slots = flat->labels.slots,
                          .mapped = flat->file != NULL,
                          .borrowed = flat->borrowed};
    for (size_t i = 0; i < flat->part_count; i++) {
        out->bytes_rows += flat->parts[i].count * flat->parts[i].stride;
        out->bytes_extra += flat->parts[i].count * sizeof(float);
    }
    if (flat->labels.of_slot)
        out->bytes_extra += flat->labels.room * sizeof(int64_t) + flat->labels.table_size * sizeof(uint64_t);
    pthread_rwlock_unlock(&flat->lock);
}
