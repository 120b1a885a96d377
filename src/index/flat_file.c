/*
 * flat_file.c: an index saved to one container file, and opened from it by mmap.
 *
 * Sections: "head" (below), "rows" (the living, in slot order, `stride` bytes each as kernels/reference.h says, padding
 * zero), "norms" (f32 a row; not of b1), "codes" (of f32 and f64 rows; codes.h, of every full block of 64 rows; only of
 * 32 dimensions and more), and "labels" (int64 a row) unless every label is its row's number; then, of a kind that is
 * not exact, "approx" and the kind's own (flat_near.c). A removed row is not in the file, so saving gives its space
 * back.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/memory.h"
#include "index/codes.h"
#include "index/flat_inside.h"
#include "kernels/kernels.h"

#define KIND "index-exact"

/* As on disk, little-endian, no padding. */
typedef struct head {
    uint32_t dtype, metric, dim, stride;
    uint64_t rows;
    int64_t next;
} head;
_Static_assert(sizeof(head) == 32, "the layout on disk has no padding");

/* ---- save */

typedef hither_status put_fn(ht_container_writer *w, const ht_flat *flat, size_t part, size_t i, hither_error *err);

/* Calls put for every living row. */
static hither_status put_living(ht_container_writer *w, ht_flat *flat, put_fn *put, hither_error *err) {
    for (size_t p = 0; p < flat->part_count; p++)
        for (size_t i = 0; i < flat->parts[p].count; i++)
            if (ht_labels_alive(&flat->labels, flat->parts[p].first_slot + i))
                HT_TRY(put(w, flat, p, i, err));
    return HITHER_OK;
}

static hither_status put_row(ht_container_writer *w, const ht_flat *flat, size_t part, size_t i, hither_error *err) {
    static const char zeros[64];
    const float one = 1;
    const ht_layout layout = ht_flat_layout(flat);
    size_t bytes = ht_row_bytes(layout.dtype, layout.dim, false);
    if (!layout.bare) {
        HT_TRY(ht_container_put(w, ht_flat_row(flat, part, i), bytes, err));
    } else {
        HT_TRY(ht_container_put(w, ht_flat_row(flat, part, i), layout.dim, err));
        HT_TRY(ht_container_put(w, zeros, ht_scale_at(layout.dim) - layout.dim, err));
        HT_TRY(ht_container_put(w, &one, sizeof one, err));
    }
    return ht_container_put(w, zeros, flat->stride - bytes, err);
}

static hither_status put_norm(ht_container_writer *w, const ht_flat *flat, size_t part, size_t i, hither_error *err) {
    return ht_container_put(w, &flat->parts[part].norms[i], sizeof(float), err);
}

/* Sixteen living rows at a time, gathered: where rows were removed, blocks are not what they were. */
typedef struct gathering {
    char *rows, *codes;
    size_t count, block_bytes;
} gathering;

static hither_status gather_codes(ht_container_writer *w, const ht_flat *flat, gathering *g, hither_error *err) {
    for (size_t p = 0; p < flat->part_count; p++) {
        for (size_t i = 0; i < flat->parts[p].count; i++) {
            if (!ht_labels_alive(&flat->labels, flat->parts[p].first_slot + i))
                continue;
            memcpy(g->rows + g->count++ * flat->stride, ht_flat_row(flat, p, i),
                   ht_row_bytes(flat->spec.dtype, flat->spec.dim, false));
            if (g->count < HT_CODE_ROWS)
                continue;
            ht_flat_codes(flat, g->rows, flat->stride, 0, HT_CODE_ROWS, g->codes);
            HT_TRY(ht_container_put(w, g->codes, g->block_bytes, err));
            g->count = 0;
        }
    }
    return HITHER_OK;
}

static hither_status put_codes(ht_container_writer *w, const ht_flat *flat, hither_error *err) {
    gathering g = {.block_bytes = ht_codes_bytes(HT_CODE_ROWS, flat->spec.dim)};
    hither_status status = HITHER_OK;
    for (size_t p = 0; flat->labels.alive == flat->labels.slots && p < flat->part_count && status == HITHER_OK; p++)
        status =
            ht_container_put(w, flat->parts[p].codes, ht_codes_bytes(flat->parts[p].coded_rows, flat->spec.dim), err);
    if (flat->labels.alive == flat->labels.slots)
        return status;
    g.rows = ht_alloc_aligned(HT_CODE_ROWS * flat->stride);
    g.codes = ht_alloc_aligned(g.block_bytes);
    status = g.rows && g.codes ? gather_codes(w, flat, &g, err) : ht_fail_nomem(err, g.block_bytes, "codes");
    ht_release(g.codes);
    ht_release(g.rows);
    return status;
}

static hither_status put_label(ht_container_writer *w, const ht_flat *flat, size_t part, size_t i, hither_error *err) {
    int64_t label = ht_labels_at(&flat->labels, flat->parts[part].first_slot + i);
    return ht_container_put(w, &label, sizeof label, err);
}

static hither_status write_sections(ht_container_writer *w, ht_flat *flat, hither_error *err) {
    head h = {.dtype = (uint32_t)flat->spec.dtype,
              .metric = (uint32_t)flat->spec.metric,
              .dim = flat->spec.dim,
              .stride = (uint32_t)flat->stride,
              .rows = flat->labels.alive,
              .next = flat->labels.next};
    if (flat->file && flat->parts[0].count > 0) {
        HT_TRY(ht_flat_touch(flat, 0, 0, flat->parts[0].count, err));
        HT_TRY(ht_flat_touch_codes(flat, 0, 0, flat->parts[0].coded_rows, err));
    }
    HT_TRY(ht_container_begin(w, "head", err));
    HT_TRY(ht_container_put(w, &h, sizeof h, err));
    HT_TRY(ht_container_begin(w, "rows", err));
    HT_TRY(put_living(w, flat, put_row, err));
    if (ht_flat_normed(flat)) {
        HT_TRY(ht_container_begin(w, "norms", err));
        HT_TRY(put_living(w, flat, put_norm, err));
    }
    if (ht_flat_coded(flat)) {
        HT_TRY(ht_container_begin(w, "codes", err));
        HT_TRY(put_codes(w, flat, err));
    }
    if (flat->labels.of_slot || flat->labels.alive != flat->labels.slots) {
        HT_TRY(ht_container_begin(w, "labels", err));
        HT_TRY(put_living(w, flat, put_label, err));
    }
    return ht_flat_near_put(flat, w, err);
}

hither_status ht_flat_save(ht_flat *flat, const ht_io *io, const char *path, hither_error *err) {
    ht_container_writer *w;
    HT_TRY(ht_container_create(io, path, KIND, &w, err));
    pthread_rwlock_rdlock(&flat->lock);
    hither_status status = write_sections(w, flat, err);
    pthread_rwlock_unlock(&flat->lock);
    if (status != HITHER_OK) {
        ht_container_abandon(w);
        return status;
    }
    return ht_container_finish(w, err);
}

/* ---- open */

static hither_status read_head(ht_container *file, const char *path, head *out, hither_error *err) {
    size_t bytes;
    const void *data = ht_container_section(file, "head", &bytes);
    if (!data || bytes != sizeof *out)
        return ht_fail(err, HITHER_CORRUPT, "%s: the section 'head' has %zu bytes, not %zu", path, bytes, sizeof *out);
    HT_TRY(ht_container_touch(file, "head", 0, bytes, err));
    memcpy(out, data, sizeof *out);
    if (out->metric < HITHER_COSINE || out->metric > HITHER_HAMMING || out->dim == 0 || out->dim > HITHER_MAX_DIM ||
        out->dtype < HITHER_F32 || out->dtype > HITHER_B1 ||
        (out->dtype == HITHER_B1) != (out->metric == HITHER_HAMMING) ||
        out->stride != ht_flat_stride((hither_dtype)out->dtype, out->dim) || out->next < 0)
        return ht_fail(err, HITHER_CORRUPT, "%s: the section 'head' contradicts itself", path);
    return HITHER_OK;
}

/* A section that must hold rows * size bytes; optional: may also be absent (then *out is NULL). */
static hither_status find_section(ht_container *file, const char *path, const char *name, uint64_t rows, size_t size,
                                  bool optional, const void **out, hither_error *err) {
    size_t bytes, wanted;
    *out = ht_container_section(file, name, &bytes);
    if (!*out && optional)
        return HITHER_OK;
    if (!*out || rows > SIZE_MAX || !ht_mul_size((size_t)rows, size, &wanted) || bytes != wanted)
        return ht_fail(err, HITHER_CORRUPT, "%s: the section '%s' has %zu bytes for %" PRIu64 " rows", path, name,
                       bytes, rows);
    return HITHER_OK;
}

/* Norms are read without a touch by every search, so they are checked here, four bytes a row. */
static hither_status check_norms(ht_container *file, const char *path, const float *norms, size_t rows,
                                 hither_error *err) {
    HT_TRY(ht_container_touch(file, "norms", 0, rows * sizeof *norms, err));
    for (size_t i = 0; i < rows; i++)
        if (!(norms[i] >= 0))
            return ht_fail(err, HITHER_CORRUPT, "%s: the norm of row %zu is no length", path, i);
    return HITHER_OK;
}

static hither_status take_labels(ht_flat *flat, const char *path, const head *h, const int64_t *labels,
                                 hither_error *err) {
    if (labels)
        HT_TRY(ht_container_touch(flat->file, "labels", 0, (size_t)h->rows * sizeof *labels, err));
    hither_status status = ht_labels_add(&flat->labels, labels, (size_t)h->rows, err);
    if (status == HITHER_NOMEM)
        return status;
    if (status != HITHER_OK || flat->labels.next > h->next)
        return ht_fail(err, HITHER_CORRUPT, "%s: its labels are not unique and below %" PRId64, path, h->next);
    flat->labels.next = h->next;
    return HITHER_OK;
}

static hither_status open_rows(ht_flat *flat, const char *path, const head *h, hither_error *err) {
    const void *rows, *norms = NULL, *labels, *codes = NULL;
    size_t blocks = ht_flat_coded(flat) ? (size_t)h->rows / HT_CODE_ROWS : 0;
    HT_TRY(find_section(flat->file, path, "rows", h->rows, h->stride, false, &rows, err));
    HT_TRY(find_section(flat->file, path, "labels", h->rows, sizeof(int64_t), true, &labels, err));
    if (ht_flat_normed(flat)) {
        HT_TRY(find_section(flat->file, path, "norms", h->rows, sizeof(float), false, &norms, err));
        HT_TRY(check_norms(flat->file, path, norms, (size_t)h->rows, err));
    }
    if (ht_flat_coded(flat))
        HT_TRY(
            find_section(flat->file, path, "codes", blocks, ht_codes_bytes(HT_CODE_ROWS, h->dim), false, &codes, err));
    ht_part part = {.rows = rows,
                    .stride = h->stride,
                    .count = (size_t)h->rows,
                    .norms = norms,
                    .codes = codes,
                    .coded_rows = blocks * HT_CODE_ROWS};
    HT_TRY(ht_flat_part(flat, &part, 0, err));
    return take_labels(flat, path, h, labels, err);
}

hither_status ht_flat_open(const ht_io *io, const char *path, ht_flat **out, hither_error *err) {
    ht_container *file;
    head h;
    ht_flat *flat = NULL;
    HT_TRY(ht_container_open(io, path, KIND, &file, err));
    hither_status status = read_head(file, path, &h, err);
    if (status == HITHER_OK) {
        ht_flat_spec spec = {.dtype = (hither_dtype)h.dtype, .metric = (hither_metric)h.metric, .dim = h.dim};
        ht_flat_near_kind(file, spec.dtype, spec.metric, spec.dim, &spec.approx);
        status = ht_flat_make(&spec, &flat, err);
    }
    if (status != HITHER_OK) {
        ht_container_close(file);
        return status;
    }
    flat->file = file;
    flat->cold = h.rows * h.stride > ht_memory_limit() / 2;
    status = open_rows(flat, path, &h, err);
    if (status == HITHER_OK)
        status = ht_flat_near_get(flat, err);
    if (status == HITHER_OK)
        *out = flat;
    else
        ht_flat_release(flat);
    return status;
}

/* ---- verify */

static hither_status verify_rows(const ht_flat *flat, hither_error *err) {
    const ht_layout layout = ht_flat_layout(flat);
    for (size_t p = 0; p < flat->part_count; p++) {
        const ht_part *part = &flat->parts[p];
        for (size_t i = 0; i < part->count; i++) {
            const void *row = ht_flat_row(flat, p, i);
            size_t column = ht_stored_not_finite(&layout, row);
            float norm;
            if (column <= layout.dim)
                return ht_fail(err, HITHER_CORRUPT, "row %" PRIu64 ", column %zu is not finite", part->first_slot + i,
                               column);
            if (!part->norms)
                continue;
            ht_stored_norms(&layout, row, part->stride, 1, &norm);
            if (norm != part->norms[i])
                return ht_fail(err, HITHER_CORRUPT, "the stored norm of row %" PRIu64 " is not the row's",
                               part->first_slot + i);
        }
    }
    return HITHER_OK;
}

/* Codes are made from rows alone, so they can be made again and compared. */
static hither_status verify_codes(const ht_flat *flat, hither_error *err) {
    size_t bytes = ht_codes_bytes(HT_CODE_ROWS, flat->spec.dim);
    char *fresh = ht_alloc_aligned(bytes);
    hither_status status = fresh ? HITHER_OK : ht_fail_nomem(err, bytes, "codes");
    for (size_t p = 0; p < flat->part_count && status == HITHER_OK; p++) {
        const ht_part *part = &flat->parts[p];
        for (size_t i = 0; i < part->coded_rows && status == HITHER_OK; i += HT_CODE_ROWS) {
            const char *stored = (const char *)part->codes + i / HT_CODE_ROWS * bytes;
            ht_flat_codes(flat, ht_flat_row(flat, p, i), part->stride, 0, HT_CODE_ROWS, fresh);
            if (memcmp(stored, fresh, bytes) != 0)
                status = ht_fail(err, HITHER_CORRUPT,
                                 "the stored codes of rows %" PRIu64 " to %" PRIu64 " are not those of the rows",
                                 part->first_slot + i, part->first_slot + i + HT_CODE_ROWS - 1);
        }
    }
    ht_release(fresh);
    return status;
}

hither_status ht_flat_verify(ht_flat *flat, hither_error *err) {
    pthread_rwlock_rdlock(&flat->lock);
    hither_status status = flat->file ? ht_container_verify(flat->file, err) : HITHER_OK;
    if (status == HITHER_OK)
        status = verify_rows(flat, err);
    if (status == HITHER_OK && ht_flat_coded(flat))
        status = verify_codes(flat, err);
    if (status == HITHER_OK && flat->approx)
        status = flat->kind->check(flat->approx, err);
    pthread_rwlock_unlock(&flat->lock);
    return status;
}
