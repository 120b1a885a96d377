/*
 * hnsw_file.c: a graph as sections of a container, and back. The sections of a mapped graph are used where they lie; a
 * graph that is to change is copied first. A file is checked whole before it is walked: its checksums, and then that it
 * is a graph (hnsw_check.c).
 *
 * Sections: "graph" (head, below), "g-codes", "g-scales", "g-norms2" (l2 only), "g-totals", "g-slots", "g-levels",
 * "g-links", "g-upper-at", "g-upper": the arrays of hnsw_inside.h as they are, little-endian.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "index/hnsw_inside.h"

/* As on disk, little-endian, no padding. */
typedef struct head {
    uint32_t dtype, metric, dim, m, ef_build, bits;
    uint64_t seed;
    uint32_t count, upper_count, entry, zero;
} head;
_Static_assert(sizeof(head) == 48, "the layout on disk has no padding");

/* An array of a graph: its section, and where it is. */
typedef struct array {
    const char *name;
    void **at;
    size_t bytes;
} array;
enum { ARRAYS = 9 };

static void arrays_of(ht_hnsw *g, array *out) {
    size_t n = g->count;
    const array all[ARRAYS] = {
        {"g-codes", (void **)&g->codes, n * g->code_bytes},
        {"g-scales", (void **)&g->scales, n * sizeof *g->scales},
        {"g-norms2", (void **)&g->norms2, g->spec.metric == HITHER_L2 ? n * sizeof *g->norms2 : 0},
        {"g-totals", (void **)&g->totals, n * sizeof *g->totals},
        {"g-slots", (void **)&g->slots, n * sizeof *g->slots},
        {"g-levels", (void **)&g->levels, n * sizeof *g->levels},
        {"g-links", (void **)&g->links, n * g->m0 * sizeof *g->links},
        {"g-upper-at", (void **)&g->upper_at, n * sizeof *g->upper_at},
        {"g-upper", (void **)&g->upper, (size_t)g->upper_count * g->spec.m * sizeof *g->upper},
    };
    memcpy(out, all, sizeof all);
}

hither_status ht_hnsw_put(const ht_hnsw *graph, ht_container_writer *w, hither_error *err) {
    ht_hnsw view = *graph;
    array all[ARRAYS];
    head h = {.dtype = (uint32_t)view.spec.dtype,
              .metric = (uint32_t)view.spec.metric,
              .dim = view.spec.dim,
              .m = view.spec.m,
              .ef_build = view.spec.ef_build,
              .bits = view.spec.bits,
              .seed = view.spec.seed,
              .count = view.count,
              .upper_count = view.upper_count,
              .entry = view.entry};
    HT_TRY(ht_container_begin(w, "graph", err));
    HT_TRY(ht_container_put(w, &h, sizeof h, err));
    arrays_of(&view, all);
    for (size_t i = 0; i < ARRAYS; i++) {
        HT_TRY(ht_container_begin(w, all[i].name, err));
        HT_TRY(ht_container_put(w, *all[i].at, all[i].bytes, err));
    }
    return HITHER_OK;
}

static hither_status read_head(ht_container *file, ht_hnsw *g, hither_error *err) {
    size_t bytes;
    const void *data = ht_container_section(file, "graph", &bytes);
    head h;
    if (!data || bytes != sizeof h)
        return ht_fail(err, HITHER_CORRUPT, "graph: its head has %zu bytes, not %zu", bytes, sizeof h);
    HT_TRY(ht_container_touch(file, "graph", 0, bytes, err));
    memcpy(&h, data, sizeof h);
    g->spec = (ht_hnsw_spec){.dtype = (hither_dtype)h.dtype,
                             .metric = (hither_metric)h.metric,
                             .dim = h.dim,
                             .m = h.m,
                             .ef_build = h.ef_build,
                             .bits = h.bits,
                             .seed = h.seed};
    ht_hnsw_spec full = g->spec;
    bool sound = h.dtype >= HITHER_F32 && h.dtype <= HITHER_I8 && ht_hnsw_spec_check(&full, NULL) == HITHER_OK &&
                 memcmp(&full, &g->spec, sizeof full) == 0 && h.count < HNSW_NODES && h.upper_count < HNSW_NODES;
    if (!sound)
        return ht_fail(err, HITHER_CORRUPT, "graph: its head makes no sense");
    g->count = g->room = h.count;
    g->upper_count = g->upper_room = h.upper_count;
    g->entry = h.entry;
    g->m0 = 2 * h.m;
    g->code_bytes = hnsw_code_bytes(h.dim, h.bits);
    return HITHER_OK;
}

hither_status ht_hnsw_get(ht_container *file, ht_hnsw **out, hither_error *err) {
    ht_hnsw *g = ht_calloc(1, sizeof *g);
    if (!g)
        return ht_fail_nomem(err, sizeof *g, "a graph");
    array all[ARRAYS];
    g->mapped = true;
    hither_status status = read_head(file, g, err);
    if (status == HITHER_OK)
        arrays_of(g, all);
    for (size_t i = 0; i < ARRAYS && status == HITHER_OK; i++) {
        size_t bytes;
        const void *data = ht_container_section(file, all[i].name, &bytes);
        if (bytes != all[i].bytes || (bytes > 0 && !data))
            status = ht_fail(err, HITHER_CORRUPT, "graph: section %s has %zu bytes, not %zu", all[i].name, bytes,
                             all[i].bytes);
        else if (bytes > 0)
            status = ht_container_touch(file, all[i].name, 0, bytes, err);
        if (bytes > 0)
            memcpy(all[i].at, &data, sizeof data);
    }
    if (status == HITHER_OK)
        status = ht_hnsw_check(g, err);
    if (status == HITHER_OK)
        *out = g;
    else
        ht_hnsw_free(g);
    return status;
}
