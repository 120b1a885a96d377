/*
 * parts.h: a snapshot as exact search wants to see it: rows in parts, with those codes that are there by now. An extent
 * gives two parts where the codes of its first rows come from disk. Any thread, with a scratch of its own.
 *
 * Codes that are not there yet are made a few at a time: each query makes as many as cost about what it costs itself,
 * many queries at once make them all, and the first query after an open, most often the only one of its process, makes
 * none. Norms and checksums are seen to when rows are first touched.
 */
#ifndef HT_ENGINE_PARTS_H
#define HT_ENGINE_PARTS_H

#include "engine/snapshot.h"

/* The vectors of a pinned snapshot, in the scratch until it is used for parts again. Codes a cache on disk has may turn
 * out bad: then a search fails with CORRUPT and ht_parts_stale says true, and new parts go without that cache. */
HT_NODISCARD hither_status ht_parts_make(const ht_snapshot *s, ht_scratch *scratch, uint32_t dim, hither_metric metric,
                                         size_t queries, ht_vectors *out, hither_error *err);
/* The same of the vectors in a DENSE field; 0: the rows' own. */
HT_NODISCARD hither_status ht_parts_make_of(const ht_snapshot *s, ht_scratch *scratch, uint32_t field, uint32_t dim,
                                            hither_metric metric, size_t queries, ht_vectors *out, hither_error *err);
bool ht_parts_stale(const ht_scratch *scratch);
/* Whether the codes of a part are those of a cache. */
bool ht_parts_kept(const ht_scratch *scratch, size_t part);
/* A part becomes number `to` <= `from`, without its first `skip` rows; what it is made of, not the part itself. */
void ht_parts_move(ht_scratch *scratch, size_t from, size_t to, size_t skip);

/* ht_exact_search_in over a pinned snapshot: in its steady state it allocates nothing and takes no lock. `live` is the
 * snapshot's mask; of a field's vectors, `allow` leaves out rows that have none. Outputs as there. */
HT_NODISCARD hither_status ht_parts_search(const ht_snapshot *s, ht_scratch *scratch, uint32_t field,
                                           hither_metric metric, const hither_matrix *queries, const ht_mask *allow,
                                           size_t k, unsigned threads, ht_hit *hits, size_t *counts,
                                           ht_exact_stats *stats, hither_error *err);
/* ht_exact_within, likewise. */
HT_NODISCARD hither_status ht_parts_within(const ht_snapshot *s, ht_scratch *scratch, uint32_t field,
                                           hither_metric metric, const hither_matrix *queries, const ht_mask *allow,
                                           float radius, unsigned threads, ht_found *found, ht_exact_stats *stats,
                                           hither_error *err);

#endif
