/*
 * ivf_file.c: lists as sections of a container, and back. Lists that come from a file are used where they lie, once
 * every byte of them is checked, and then that they are lists.
 *
 * Sections: "ivf" (head, below), "v-centres", "v-counts", "v-slots", "v-norms" (l2 only), "v-codes": the arrays of
 * ivf_inside.h as they are, little-endian.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "index/ivf_inside.h"

/* As on disk, little-endian, no padding. */
typedef struct head {
    uint32_t dtype, metric, dim, wished; /* wished: the lists of the spec */
    uint64_t seed, trained, largest;
    uint32_t lists, blocks;
} head;
_Static_assert(sizeof(head) == 48, "the layout on disk has no padding");

/* ---- in */

static hither_status put_section(ht_container_writer *w, const char *name, const void *data, size_t bytes,
                                 hither_error *err) {
    HT_TRY(ht_container_begin(w, name, err));
    return ht_container_put(w, data, bytes, err);
}

hither_status ivf_put(const ht_approx *approx, ht_container_writer *w, hither_error *err) {
    const ivf *v = ivf_in(approx);
    const uint32_t lists = v->centres ? v->centres->count : 0;
    const size_t places = v->blocks * HT_CODE_ROWS;
    const head h = {.dtype = (uint32_t)v->spec.dtype,
                    .metric = (uint32_t)v->spec.metric,
                    .dim = v->spec.dim,
                    .wished = v->spec.lists,
                    .seed = v->spec.seed,
                    .trained = v->trained,
                    .largest = v->largest,
                    .lists = lists,
                    .blocks = (uint32_t)v->blocks};
    HT_TRY(put_section(w, "ivf", &h, sizeof h, err));
    if (lists == 0)
        return HITHER_OK;
    HT_TRY(put_section(w, "v-centres", v->centres->rows, (size_t)lists * v->spec.dim * sizeof *v->centres->rows, err));
    HT_TRY(put_section(w, "v-counts", v->counts, lists * sizeof *v->counts, err));
    HT_TRY(put_section(w, "v-slots", v->slots, places * sizeof *v->slots, err));
    if (v->norms)
        HT_TRY(put_section(w, "v-norms", v->norms, places * sizeof *v->norms, err));
    return put_section(w, "v-codes", v->codes, v->blocks * v->block_bytes, err);
}

/* ---- checks */

static hither_status check_list(const ivf *v, uint32_t l, uint8_t *seen, uint64_t limit, hither_error *err) {
    const uint32_t *slots = v->slots + v->begins[l];
    for (size_t i = 0; i < v->counts[l]; i++) {
        if (slots[i] == IVF_NO_SLOT || (i > 0 && slots[i] <= slots[i - 1]))
            return ht_fail(err, HITHER_CORRUPT, "lists: slot %u of list %u does not rise", slots[i], l);
        if (slots[i] >= limit || (seen[slots[i] / 8] >> slots[i] % 8 & 1))
            return ht_fail(err, HITHER_CORRUPT, "lists: the row at slot %u is in two lists", slots[i]);
        seen[slots[i] / 8] |= (uint8_t)(1 << slots[i] % 8);
    }
    return HITHER_OK;
}

static hither_status check_numbers(const ivf *v, hither_error *err) {
    for (size_t i = 0; i < (size_t)v->centres->count * v->spec.dim; i++)
        if (!isfinite(v->centres->rows[i]))
            return ht_fail(err, HITHER_CORRUPT, "lists: the centre of list %zu is not finite", i / v->spec.dim);
    for (size_t i = 0; v->norms && i < v->blocks * HT_CODE_ROWS; i++)
        if (!(v->norms[i] >= 0))
            return ht_fail(err, HITHER_CORRUPT, "lists: the norm at place %zu is no length", i);
    return HITHER_OK;
}

hither_status ivf_check(const ht_approx *approx, hither_error *err) {
    const ivf *v = ivf_in(approx);
    uint64_t limit = 0;
    if (!v->centres)
        return HITHER_OK;
    HT_TRY(check_numbers(v, err));
    for (size_t i = v->count; i < v->blocks * HT_CODE_ROWS; i++)
        if (v->slots[i] != IVF_NO_SLOT)
            return ht_fail(err, HITHER_CORRUPT, "lists: there is a row behind the last");
    for (size_t i = 0; i < v->blocks * HT_CODE_ROWS; i++)
        if (v->slots[i] != IVF_NO_SLOT && v->slots[i] >= limit)
            limit = (uint64_t)v->slots[i] + 1;
    uint8_t *seen = ht_calloc((size_t)(limit / 8 + 1), 1);
    if (!seen)
        return ht_fail_nomem(err, limit / 8, "the check of lists");
    hither_status status = HITHER_OK;
    for (uint32_t l = 0; l < v->centres->count && status == HITHER_OK; l++)
        status = check_list(v, l, seen, limit, err);
    ht_release(seen);
    return status;
}

/* Whether each slot is that of a row. */
static bool fits(const ivf *v, const ht_vectors *vectors) {
    size_t at, row;
    for (size_t i = 0; i < v->blocks * HT_CODE_ROWS; i++)
        if (v->slots[i] != IVF_NO_SLOT && !ht_vectors_part(vectors, v->slots[i], &at, &row))
            return false;
    return true;
}

/* ---- out */

/* A section that must have so many bytes, checked. */
static hither_status find_section(ht_container *file, const char *name, size_t bytes, const void **out,
                                  hither_error *err) {
    size_t found;
    *out = ht_container_section(file, name, &found);
    if (found != bytes || (bytes > 0 && !*out))
        return ht_fail(err, HITHER_CORRUPT, "lists: section %s has %zu bytes, not %zu", name, found, bytes);
    return ht_container_touch(file, name, 0, bytes, err);
}

static hither_status read_head(ht_container *file, const ht_approx_spec *spec, head *out, hither_error *err) {
    const void *data;
    HT_TRY(find_section(file, "ivf", sizeof *out, &data, err));
    memcpy(out, data, sizeof *out);
    if (out->dtype != (uint32_t)spec->dtype || out->metric != (uint32_t)spec->metric || out->dim != spec->dim ||
        out->wished != spec->lists || out->seed != spec->seed || out->lists > IVF_MOST_LISTS)
        return ht_fail(err, HITHER_CORRUPT, "lists: they are of other rows than the index has");
    return HITHER_OK;
}

static hither_status read_arrays(ht_container *file, const head *h, ivf *v, hither_error *err) {
    const size_t rows = (size_t)h->lists * h->dim * sizeof(float), places = (size_t)h->blocks * HT_CODE_ROWS;
    const void *centres, *counts, *slots, *norms = NULL, *codes;
    HT_TRY(find_section(file, "v-centres", rows, &centres, err));
    HT_TRY(find_section(file, "v-counts", h->lists * sizeof *v->counts, &counts, err));
    HT_TRY(find_section(file, "v-slots", places * sizeof *v->slots, &slots, err));
    if (v->spec.metric == HITHER_L2)
        HT_TRY(find_section(file, "v-norms", places * sizeof *v->norms, &norms, err));
    HT_TRY(find_section(file, "v-codes", h->blocks * v->block_bytes, &codes, err));
    HT_TRY(ht_centres_new(h->dim, h->lists, &v->centres, err));
    memcpy(v->centres->rows, centres, rows);
    memcpy(&v->counts, &counts, sizeof counts); /* mapped: nobody writes to them */
    memcpy(&v->slots, &slots, sizeof slots);
    memcpy(&v->norms, &norms, sizeof norms);
    memcpy(&v->codes, &codes, sizeof codes);
    v->begins = ht_alloc(((size_t)h->lists + 1) * sizeof *v->begins);
    if (!v->begins)
        return ht_fail_nomem(err, h->lists * sizeof *v->begins, "lists");
    if (!ivf_lay_out(v) || v->blocks != h->blocks)
        return ht_fail(err, HITHER_CORRUPT, "lists: they do not have %u blocks together", h->blocks);
    HT_TRY(ivf_check(&v->base, err));
    for (uint32_t i = 0; i < h->lists; i++)
        ht_centres_code(v->centres, i);
    return HITHER_OK;
}

hither_status ivf_get(const ht_approx_spec *spec, ht_container *file, const ht_vectors *vectors, ht_approx **out,
                      hither_error *err) {
    head h;
    HT_TRY(read_head(file, spec, &h, err));
    ivf *v = ivf_new(spec);
    if (!v)
        return ht_fail_nomem(err, sizeof *v, "lists");
    v->mapped = true;
    v->trained = h.trained;
    v->largest = h.largest;
    hither_status status = h.lists ? read_arrays(file, &h, v, err) : HITHER_OK;
    if (status == HITHER_OK && !fits(v, vectors))
        status = ht_fail(err, HITHER_CORRUPT, "lists: a row of theirs is not there");
    if (status == HITHER_OK)
        *out = &v->base;
    else
        ivf_free(&v->base);
    return status;
}
