/*
 * flat_near_file.c: what an index is searched by, in its file: the section "approx" (below) and those of the kind
 * (hnsw_file.c). All of it is a cache: where it is damaged, or of a kind this library does not know, it is left out,
 * and the index is searched exactly.
 */
#include <string.h>

#include "index/flat_inside.h"

#define SECTION "approx"
#define GONE    "gone" /* rows taken out since what it is searched by was made whole, a u64 */

/* As on disk, little-endian, no padding. */
typedef struct head {
    uint32_t kind, m, ef_build, bits, lists, built; /* built: 0, none; then covered and curve are zero */
    uint64_t seed, covered;
    ht_approx_curve curve;
} head;
_Static_assert(sizeof(head) == 40 + 24 + 16 * HT_APPROX_EFFORTS, "the layout on disk has no padding");

/* ---- in */

static uint64_t living_below(const ht_flat *flat, uint64_t slot) {
    uint64_t living = 0;
    for (uint64_t i = 0; i < slot; i++)
        living += ht_labels_alive(&flat->labels, i);
    return living;
}

hither_status ht_flat_near_put(ht_flat *flat, ht_container_writer *w, hither_error *err) {
    const ht_approx_spec *spec = &flat->spec.approx;
    const bool whole = flat->labels.alive == flat->labels.slots;
    if (spec->kind == HITHER_EXACT)
        return HITHER_OK;
    head h = {.kind = (uint32_t)spec->kind,
              .m = spec->m,
              .ef_build = spec->ef_build,
              .bits = spec->bits,
              .lists = spec->lists,
              .built = flat->approx != NULL,
              .seed = spec->seed};
    if (flat->approx) {
        h.covered = whole ? flat->covered : living_below(flat, flat->covered);
        h.curve = flat->curve;
    }
    const uint64_t gone = flat->gone + (flat->approx ? flat->stray : 0);
    HT_TRY(ht_container_begin(w, SECTION, err));
    HT_TRY(ht_container_put(w, &h, sizeof h, err));
    HT_TRY(ht_container_begin(w, GONE, err));
    HT_TRY(ht_container_put(w, &gone, sizeof gone, err));
    if (!flat->approx)
        return HITHER_OK;
    if (whole)
        return flat->kind->put(flat->approx, w, err);
    const ht_mask live = ht_labels_mask(&flat->labels);
    ht_approx *saved;
    HT_TRY(flat->kind->repaired(flat->approx, &live, true, 0, &saved, err));
    hither_status status = flat->kind->put(saved, w, err);
    flat->kind->free(saved);
    return status;
}

/* ---- out */

/* Whether there is one that makes sense. */
static bool read_head(ht_container *file, head *out) {
    size_t bytes;
    const void *data = ht_container_section(file, SECTION, &bytes);
    if (!data || bytes != sizeof *out || ht_container_touch(file, SECTION, 0, bytes, NULL) != HITHER_OK)
        return false;
    memcpy(out, data, sizeof *out);
    return ht_approx_curve_sound(&out->curve);
}

static ht_approx_spec spec_of(const head *h) {
    return (ht_approx_spec){.kind = (hither_kind)h->kind,
                            .m = h->m,
                            .ef_build = h->ef_build,
                            .bits = h->bits,
                            .lists = h->lists,
                            .seed = h->seed};
}

void ht_flat_near_kind(ht_container *file, hither_dtype dtype, hither_metric metric, uint32_t dim,
                       ht_approx_spec *out) {
    head h;
    if (!read_head(file, &h))
        return;
    ht_approx_spec spec = spec_of(&h);
    const ht_approx_kind *kind = ht_approx_kind_of(spec.kind);
    spec.dtype = dtype;
    spec.metric = metric;
    spec.dim = dim;
    if (kind && (!kind->takes(dtype, metric) || kind->complete(&spec, NULL) == HITHER_OK))
        *out = spec;
}

static uint64_t read_gone(ht_container *file) {
    uint64_t gone = 0;
    size_t bytes;
    const void *data = ht_container_section(file, GONE, &bytes);
    if (data && bytes == sizeof gone && ht_container_touch(file, GONE, 0, bytes, NULL) == HITHER_OK)
        memcpy(&gone, data, sizeof gone);
    return gone;
}

hither_status ht_flat_near_get(ht_flat *flat, hither_error *err) {
    head h;
    if (!flat->kind || !read_head(flat->file, &h) || !h.built || h.covered > flat->labels.slots)
        return HITHER_OK;
    ht_vectors vectors = ht_flat_vectors(flat, flat->parts, flat->part_count);
    ht_approx_facts facts;
    ht_approx *read;
    hither_status status = flat->kind->get(&flat->spec.approx, flat->file, &vectors, &read, err);
    if (status == HITHER_NOMEM)
        return status;
    if (status != HITHER_OK)
        return HITHER_OK;
    flat->kind->describe(read, &facts);
    if (facts.rows != h.covered) {
        flat->kind->free(read);
        return HITHER_OK;
    }
    flat->approx = read;
    flat->covered = h.covered;
    flat->curve = h.curve;
    flat->gone = read_gone(flat->file);
    return HITHER_OK;
}
