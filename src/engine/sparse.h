/*
 * sparse.h: inverted lists over a SPARSE field: for each index, the rows that have it and their values there. Derived
 * from the rows, in memory, when a search first needs them, and extended by the rows written since: parts over ranges
 * of slots, the later ones small, merged as they add up (anew, from the rows) so that there are few. A slot never
 * changes, so what was read of it stays right; whether its row is alive, a search asks its snapshot.
 *
 * Any thread: parts are immutable and counted, the list of them is under a lock of its own, held while rows are read.
 */
#ifndef HT_ENGINE_SPARSE_H
#define HT_ENGINE_SPARSE_H

#include <pthread.h>

#include "engine/snapshot.h"

struct ht_collection;
typedef struct ht_sparse_part ht_sparse_part;

enum { HT_SPARSE_PARTS = 40 };
typedef struct ht_sparse_lists {
    ht_sparse_part *parts[HT_SPARSE_PARTS]; /* one behind the other */
    size_t count;
    const ht_shape *shape; /* the newest of those whose rows were read */
} ht_sparse_lists;

/* Of one collection: lists by field, under the lock. */
typedef struct ht_sparse_table {
    pthread_mutex_t lock;
    ht_sparse_lists fields[HITHER_MAX_FIELDS];
} ht_sparse_table;

void ht_sparse_table_init(ht_sparse_table *table);
void ht_sparse_table_clear(ht_sparse_table *table);
/* The same without the rows that `needed` leaves out, into `to`, which is empty and nobody else's yet; it covers less
 * where `needed` ends before. NOMEM: `to` is only to be cleared. */
HT_NODISCARD hither_status ht_sparse_table_copy(ht_sparse_table *from, const ht_mask *needed, ht_sparse_table *to,
                                                hither_error *err);

/* The k rows, alive and allowed (NULL: all), with the largest dot product with a query (search_fields.c says what that
 * is) in field number `field`, of those that have anything in it. */
HT_NODISCARD hither_status ht_sparse_nearest(const struct ht_collection *c, const ht_snapshot *s, uint32_t field,
                                             const float *query, const ht_mask *live, const ht_mask *allow, size_t k,
                                             ht_hit *hits, size_t *count, ht_exact_stats *stats, hither_error *err);

#endif
