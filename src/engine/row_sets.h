/*
 * row_sets.h: the sets of rows that filters selected lately, so that the same filter on the same version of a
 * collection is answered without looking at anything. A set belongs to one version (seq) and one text of a filter.
 *
 * Any thread. Finding and keeping never wait: who finds the lock taken goes on as if there were nothing. Sets are
 * counted and immutable, so one that is given up stays whole for those who use it.
 */
#ifndef HT_ENGINE_ROW_SETS_H
#define HT_ENGINE_ROW_SETS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/strings.h"

#define HT_ROW_SETS      256u               /* kept at most, of a collection */
#define HT_ROW_SET_BYTES ((size_t)16 << 20) /* in all, of a collection */

typedef struct ht_row_set {
    _Atomic uint32_t holders;
    uint64_t *words;
    const uint64_t **chunks;
    uint64_t limit, count, seq, hash, used;
    size_t bytes, text_bytes;
    char text[];
} ht_row_set;

typedef struct ht_row_sets {
    pthread_mutex_t lock;
    ht_row_set *sets[HT_ROW_SETS];
    size_t count, bytes;
    uint64_t clock;
} ht_row_sets;

HT_NODISCARD hither_status ht_row_sets_init(ht_row_sets *sets, hither_error *err);
void ht_row_sets_clear(ht_row_sets *sets); /* nobody uses it any more */

/* The set of a filter's text, held for the caller; NULL: none is kept. */
ht_row_set *ht_row_sets_find(ht_row_sets *sets, ht_text text, uint64_t seq);
/* Makes a set of words and chunks, which it owns from then on, and keeps it; it is held for the caller. NULL: it is not
 * kept, for want of memory or of the lock, and words and chunks are the caller's as before. */
ht_row_set *ht_row_sets_keep(ht_row_sets *sets, ht_text text, uint64_t seq, uint64_t limit, uint64_t count,
                             uint64_t *words, const uint64_t **chunks);
void ht_row_set_release(ht_row_set *set);

#endif
