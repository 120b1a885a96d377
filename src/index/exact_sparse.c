/*
 * exact_sparse.c: rows that lie far apart, as a filter leaves them: one query reads them in full, one by one, from f32
 * rows with norms. What that costs is waiting for memory, so rows are asked for ahead, and estimates are compared with
 * the threshold many at a time. Called by the workers of exact.c, each for itself.
 */
#include <math.h>

#include "base/alloc.h"
#include "index/exact_inside.h"

enum {
    AHEAD = 4, /* rows asked for before they are read: more lines than that a core does not wait for at once */
    BATCH = 16 /* estimates compared at a time */
};

static void ask_for(const ht_part *part, size_t row, size_t bytes) {
    const char *x = ht_row_at(part, row);
    for (size_t at = 0; at < bytes; at += 64)
        __builtin_prefetch(x + at, 0, 3);
}

bool ht_exact_is_sparse(uint64_t word, size_t count) { return (size_t)__builtin_popcountll(word) * 2 < count; }

hither_status ht_exact_scan_sparse(ht_worker *w, size_t j, const ht_bound *bound, const ht_part *part, size_t begin,
                                   const uint64_t *words) {
    const ht_search *s = w->s;
    uint16_t rows[HT_UNIT_ROWS];
    float estimates[BATCH], norms[BATCH];
    size_t count = 0;
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++)
        for (uint64_t left = words[g]; left; left &= left - 1)
            rows[count++] = (uint16_t)(g * HT_GROUP_ROWS + (size_t)__builtin_ctzll(left));
    for (size_t i = 0; i < count && i < AHEAD; i++)
        ask_for(part, begin + rows[i], s->row_bytes);
    for (size_t first = 0; first < count; first += BATCH) {
        size_t n = ht_min_size(BATCH, count - first);
        for (size_t i = 0; i < n; i++) {
            size_t row = begin + rows[first + i];
            if (first + i + AHEAD < count)
                ask_for(part, begin + rows[first + i + AHEAD], s->row_bytes);
            s->kernels->dot_f32(w->state[j].query, ht_row_at(part, row), part->stride, 1, s->vectors->dim,
                                &estimates[i]);
            norms[i] = part->norms[row];
        }
        ht_exact_refresh_rule(w, bound, j);
        for (uint64_t kept = s->kernels->keep_f32(estimates, norms, n, &w->state[j].rule); kept; kept &= kept - 1) {
            size_t i = (size_t)__builtin_ctzll(kept);
            HT_TRY(ht_exact_estimated(w, j, bound, part, begin + rows[first + i], estimates[i], norms[i]));
        }
    }
    w->stats.rows_full += count;
    w->stats.rows_scanned += count;
    return HITHER_OK;
}
