/*
 * flat_file.c: an index saved to one container file, and opened from it by mmap.
 *
 * Sections: "head" (below), "rows" (the living, in slot order, `stride` bytes each, padding zero), "norms" (f32 a row),
 * and "labels" (int64 a row) unless every label is its row's number. A removed row is not in the file, so saving gives
 * its space back.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
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
    size_t bytes = (size_t)flat->spec.dim * sizeof(float);
    HT_TRY(ht_container_put(w, ht_flat_row(flat, part, i), bytes, err));
    return ht_container_put(w, zeros, flat->stride - bytes, err);
}

static hither_status put_norm(ht_container_writer *w, const ht_flat *flat, size_t part, size_t i, hither_error *err) {
    return ht_container_put(w, &flat->parts[part].norms[i], sizeof(float), err);
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
    if (flat->file && flat->part_count > 0 && flat->parts[0].count > 0)
        HT_TRY(ht_flat_touch(flat, 0, 0, flat->parts[0].count, err));
    HT_TRY(ht_container_begin(w, "head", err));
    HT_TRY(ht_container_put(w, &h, sizeof h, err));
    HT_TRY(ht_container_begin(w, "rows", err));
    HT_TRY(put_living(w, flat, put_row, err));
    HT_TRY(ht_container_begin(w, "norms", err));
    HT_TRY(put_living(w, flat, put_norm, err));
    if (!flat->labels.of_slot && flat->labels.alive == flat->labels.slots)
        return HITHER_OK;
    HT_TRY(ht_container_begin(w, "labels", err));
    return put_living(w, flat, put_label, err);
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
        out->stride != ht_flat_stride(out->dim) || out->next < 0)
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
    const void *rows, *norms, *labels;
    HT_TRY(find_section(flat->file, path, "rows", h->rows, h->stride, false, &rows, err));
    HT_TRY(find_section(flat->file, path, "norms", h->rows, sizeof(float), false, &norms, err));
    HT_TRY(find_section(flat->file, path, "labels", h->rows, sizeof(int64_t), true, &labels, err));
    HT_TRY(check_norms(flat->file, path, norms, (size_t)h->rows, err));
    HT_TRY(ht_flat_part(flat, rows, h->stride, (size_t)h->rows, norms, 0, err));
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
        status = ht_flat_make(&spec, &flat, err);
    }
    if (status != HITHER_OK) {
        ht_container_close(file);
        return status;
    }
    flat->file = file;
    status = open_rows(flat, path, &h, err);
    if (status == HITHER_OK)
        *out = flat;
    else
        ht_flat_release(flat);
    return status;
}

/* ---- verify */

static hither_status verify_rows(const ht_flat *flat, hither_error *err) {
    for (size_t p = 0; p < flat->part_count; p++) {
        const ht_part *part = &flat->parts[p];
        for (size_t i = 0; i < part->count; i++) {
            const float *row = ht_flat_row(flat, p, i);
            float norm;
            for (uint32_t j = 0; j < flat->spec.dim; j++)
                if (!isfinite(row[j]))
                    return ht_fail(err, HITHER_CORRUPT, "row %" PRIu64 ", column %u is not finite",
                                   part->first_slot + i, j);
            ht_exact_norms(row, part->stride, 1, flat->spec.dim, &norm);
            if (norm != part->norms[i])
                return ht_fail(err, HITHER_CORRUPT, "the stored norm of row %" PRIu64 " is not the row's",
                               part->first_slot + i);
        }
    }
    return HITHER_OK;
}

hither_status ht_flat_verify(ht_flat *flat, hither_error *err) {
    pthread_rwlock_rdlock(&flat->lock);
    hither_status status = flat->file ? ht_container_verify(flat->file, err) : HITHER_OK;
    if (status == HITHER_OK)
        status = verify_rows(flat, err);
    pthread_rwlock_unlock(&flat->lock);
    return status;
}
