/*
 * codes_cache.c: loading and saving what codes_cache.h describes.
 */
#include "engine/codes_cache.h"

#include <string.h>

#include "base/alloc.h"
#include "index/codes.h"

enum { RECIPE = 1 };

static ht_cache_key key_of(const ht_extent *extent) {
    const ht_segment_info *info = ht_segment_describe(extent->segment);
    return (ht_cache_key){.kind = "codes", .cid = info->cid, .sid = info->sid, .recipe = RECIPE};
}

static bool adopt(ht_extent *extent, ht_container *file, size_t rows) {
    size_t norm_bytes, code_bytes;
    const void *norms = ht_container_section(file, "norms", &norm_bytes);
    const void *codes = ht_container_section(file, "codes", &code_bytes);
    size_t wanted = ht_codes_bytes(rows, extent->dim);
    if (!norms || !codes || !wanted || rows % HT_BLOCK_ROWS || norm_bytes != rows * sizeof(float) ||
        code_bytes != wanted || ht_container_touch(file, "norms", 0, norm_bytes, NULL) != HITHER_OK)
        return false;
    extent->seen = ht_calloc(rows / HT_BLOCK_ROWS, sizeof *extent->seen);
    if (!extent->seen)
        return false;
    memcpy(extent->norms, norms, norm_bytes);
    extent->kept = rows;
    extent->kept_file = file;
    extent->kept_codes = codes;
    return true;
}

void ht_codes_load(ht_store *store, ht_extent *extent, uint64_t committed) {
    if (!extent->codes)
        return;
    ht_cache_key key = key_of(extent);
    ht_cache cache = ht_cache_load(store, &key, &extent, 1, committed);
    if (cache.file && !adopt(extent, cache.file, (size_t)(cache.slots - extent->first_slot)))
        ht_container_close(cache.file);
}

/* Codes in a row from the first on, whose norms are final. */
static size_t saveable(ht_extent *extent, size_t rows) {
    size_t kept = ht_extent_keeps(extent) ? extent->kept : 0;
    size_t reached = kept + ht_extent_coded(extent, kept, rows);
    for (size_t b = extent->kept / HT_BLOCK_ROWS; b * HT_BLOCK_ROWS < reached; b++)
        if (atomic_load_explicit(&extent->checked[b], memory_order_acquire) != HT_BLOCK_ROWS)
            return b * HT_BLOCK_ROWS;
    return reached;
}

void ht_codes_save(ht_store *store, ht_extent *extent, uint64_t committed, size_t least) {
    if (!extent->codes || committed <= extent->first_slot)
        return;
    size_t rows = (size_t)(committed - extent->first_slot);
    rows = saveable(extent, rows < extent->capacity ? rows : (size_t)extent->capacity);
    size_t kept = ht_extent_keeps(extent) ? extent->kept : 0, fresh = rows > kept ? rows - kept : 0;
    if (!fresh || fresh * extent->stride < least || fresh < kept / 8 ||
        (kept && ht_extent_touch_kept(extent, 0, kept, NULL) != HITHER_OK))
        return;
    size_t before = ht_codes_bytes(kept, extent->dim);
    const ht_cache_section sections[] = {
        {"norms", extent->norms, rows * sizeof *extent->norms},
        {"codes", kept ? extent->kept_codes : extent->codes, before},
        {"codes", (const char *)extent->codes + before, ht_codes_bytes(rows, extent->dim) - before}};
    ht_cache_key key = key_of(extent);
    hither_status ignored = ht_cache_save(store, &key, &extent, 1, extent->first_slot + rows, sections, 3, NULL);
    (void)ignored;
}
