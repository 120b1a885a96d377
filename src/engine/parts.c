/*
 * parts.c: what parts.h promises.
 */
#include "engine/parts.h"

#include "base/alloc.h"
#include "index/codes.h"

#define QUERIES_WORTH_CODES 8
#define AHEAD_BYTES         ((size_t)8 << 20) /* of vectors, coded before one query is answered */

/* Which rows a part is made of. */
struct ht_part_home {
    ht_extent *extent;
    size_t base; /* of the extent's rows, the part's first */
    bool kept;   /* its codes are the cache's */
};

static hither_status touch(void *homes, size_t part, size_t begin, size_t end, hither_error *err) {
    const ht_part_home *home = (const ht_part_home *)homes + part;
    return ht_extent_touch(home->extent, home->base + begin, home->base + end, false, err);
}

static hither_status touch_codes(void *homes, size_t part, size_t begin, size_t end, hither_error *err) {
    const ht_part_home *home = (const ht_part_home *)homes + part;
    if (home->kept)
        return ht_extent_touch_kept(home->extent, begin, end, err);
    return ht_extent_touch(home->extent, home->base + begin, home->base + end, true, err);
}

static hither_status reserve(ht_scratch *scratch, size_t parts, hither_error *err) {
    size_t bytes;
    if (parts <= scratch->part_room)
        return HITHER_OK;
    ht_release(scratch->parts);
    ht_release(scratch->homes);
    scratch->part_room = 0;
    scratch->homes = NULL;
    scratch->parts = ht_mul_size(parts, sizeof *scratch->parts, &bytes) ? ht_alloc(bytes) : NULL;
    if (scratch->parts)
        scratch->homes = ht_alloc(parts * sizeof *scratch->homes);
    if (!scratch->homes)
        return ht_fail_nomem(err, parts * sizeof *scratch->parts, "the segments of a search");
    scratch->part_room = parts;
    return HITHER_OK;
}

/* Codes of the rows from `from` on that are there, or are to be made now. */
static size_t coded_rows(ht_extent *extent, size_t from, size_t rows, size_t budget) {
    if (budget)
        ht_extent_code_ahead(extent, from, rows, budget);
    return ht_extent_coded(extent, from, rows);
}

static void add_part(ht_scratch *scratch, ht_extent *extent, size_t base, size_t count, const void *codes, size_t coded,
                     bool kept) {
    size_t at = scratch->part_count++;
    scratch->homes[at] = (ht_part_home){extent, base, kept};
    scratch->parts[at] = (ht_part){.rows = extent->rows + base * extent->stride,
                                   .first_slot = extent->first_slot + base,
                                   .count = count,
                                   .stride = extent->stride,
                                   .norms = extent->norms + base,
                                   .codes = coded ? codes : NULL,
                                   .coded_rows = coded};
}

static void add_extent(ht_scratch *scratch, ht_extent *extent, size_t rows, size_t budget) {
    size_t kept = ht_extent_keeps(extent) ? extent->kept : 0;
    HT_ASSERT(kept <= rows);
    if (kept)
        add_part(scratch, extent, 0, kept, extent->kept_codes, kept, true);
    if (kept == rows)
        return;
    size_t coded = coded_rows(extent, kept, rows, budget);
    const char *codes = extent->codes ? (const char *)extent->codes + ht_codes_bytes(kept, extent->dim) : NULL;
    add_part(scratch, extent, kept, rows - kept, codes, coded, false);
}

hither_status ht_parts_make_of(const ht_snapshot *s, ht_scratch *scratch, uint32_t field, uint32_t dim,
                               hither_metric metric, size_t queries, ht_vectors *out, hither_error *err) {
    HT_TRY(reserve(scratch, 2 * s->extent_count, err));
    scratch->part_count = 0;
    size_t left = queries >= QUERIES_WORTH_CODES ? SIZE_MAX : queries * AHEAD_BYTES;
    for (size_t i = 0; i < s->extent_count; i++) {
        ht_extent *extent = ht_extent_of(s->extents[i], field);
        uint64_t rows = s->slot_limit - extent->first_slot;
        bool cold = !atomic_exchange_explicit(&extent->warm, true, memory_order_relaxed);
        size_t budget = cold && queries < QUERIES_WORTH_CODES ? 0 : left;
        add_extent(scratch, extent, (size_t)(rows < extent->capacity ? rows : extent->capacity), budget);
    }
    *out = (ht_vectors){.dtype = HITHER_F32,
                        .metric = metric,
                        .dim = dim,
                        .parts = scratch->parts,
                        .part_count = scratch->part_count,
                        .touch = touch,
                        .touch_codes = touch_codes,
                        .touch_ctx = scratch->homes};
    return HITHER_OK;
}

hither_status ht_parts_make(const ht_snapshot *s, ht_scratch *scratch, uint32_t dim, hither_metric metric,
                            size_t queries, ht_vectors *out, hither_error *err) {
    return ht_parts_make_of(s, scratch, 0, dim, metric, queries, out, err);
}

bool ht_parts_kept(const ht_scratch *scratch, size_t part) { return scratch->homes[part].kept; }

void ht_parts_move(ht_scratch *scratch, size_t from, size_t to, size_t skip) {
    scratch->homes[to] = scratch->homes[from];
    scratch->homes[to].base += skip;
    if (skip)
        scratch->homes[to].kept = false;
}

bool ht_parts_stale(const ht_scratch *scratch) {
    for (size_t i = 0; i < scratch->part_count; i++)
        if (scratch->homes[i].kept && !ht_extent_keeps(scratch->homes[i].extent))
            return true;
    return false;
}

hither_status ht_parts_search(const ht_snapshot *s, ht_scratch *scratch, uint32_t field, hither_metric metric,
                              const hither_matrix *queries, const ht_mask *allow, size_t k, unsigned threads,
                              ht_hit *hits, size_t *counts, ht_exact_stats *stats, hither_error *err) {
    ht_mask live = ht_snapshot_mask(s);
    for (;;) {
        ht_vectors vectors;
        HT_TRY(ht_parts_make_of(s, scratch, field, (uint32_t)queries->dim, metric, queries->rows, &vectors, err));
        hither_status status = ht_exact_search_in(&scratch->exact, &vectors, queries->data, queries->stride,
                                                  queries->rows, &live, allow, k, threads, hits, counts, stats, err);
        if (status == HITHER_OK || !ht_parts_stale(scratch))
            return status;
    }
}

hither_status ht_parts_within(const ht_snapshot *s, ht_scratch *scratch, uint32_t field, hither_metric metric,
                              const hither_matrix *queries, const ht_mask *allow, float radius, unsigned threads,
                              ht_found *found, ht_exact_stats *stats, hither_error *err) {
    ht_mask live = ht_snapshot_mask(s);
    for (;;) {
        ht_vectors vectors;
        HT_TRY(ht_parts_make_of(s, scratch, field, (uint32_t)queries->dim, metric, queries->rows, &vectors, err));
        hither_status status = ht_exact_within(&scratch->exact, &vectors, queries->data, queries->stride, queries->rows,
                                               &live, allow, radius, threads, found, stats, err);
        if (status == HITHER_OK || !ht_parts_stale(scratch))
            return status;
    }
}
