/*
 * reading.h: what a reading call stands on: a pinned snapshot, a scratch, and, once payloads or ids are needed, a
 * reader of the catalog. Shared by the files that answer questions (read.c, search.c, page.c, facets.c, ...).
 *
 * A search pins a snapshot, finds slots in memory, and only then reads the payloads of its hits, by slot; a row version
 * never changes, so it does not matter that the payload reader may stand on a later commit. A lookup by id is the other
 * way round: it needs a catalog at least as new as the snapshot, so the reader begins first and the snapshot is pinned
 * after; should a commit fall between the two, the reader begins again.
 *
 * Where compaction has overtaken a call, it fails with STALE and is begun anew (HT_STALE_ATTEMPTS).
 *
 * Any thread; none of them waits for a writer. A view belongs to one call.
 */
#ifndef HT_ENGINE_READING_H
#define HT_ENGINE_READING_H

#include "engine/plan.h"

typedef struct ht_reading {
    ht_collection *c;
    ht_scratch *scratch;
    ht_snapshot *snapshot;
    ht_reader *reader; /* NULL until needed */
    uint32_t include;  /* never 0 */
    bool search;       /* rows it meets are worth remembering: met_rows.h */
} ht_reading;

/* A view may hold a reader and a pin whether or not opening it succeeded: close it in any case. */
HT_NODISCARD hither_status ht_reading_open(ht_reading *v, ht_collection *c, uint32_t include, hither_error *err);
/* The newest snapshot that the catalog, as this view's reader sees it, covers. */
HT_NODISCARD hither_status ht_reading_open_for_ids(ht_reading *v, ht_collection *c, uint32_t include,
                                                   hither_error *err);
void ht_reading_close(ht_reading *v);

/* Begins a reader that sees at least the view's snapshot, unless there is one. */
HT_NODISCARD hither_status ht_reading_reader(ht_reading *v, hither_error *err);
/* The slot of the i-th id, UINT64_MAX if there is none. Of a view that was opened for ids. */
HT_NODISCARD hither_status ht_reading_find(ht_reading *v, const hither_ids *ids, size_t i, uint64_t *slot,
                                           hither_error *err);
/* The vectors of the rows with these ids in a field (0: their own), packed, in *out (the caller's to release), and
 * their slots where `slots` is not NULL. NOT_FOUND names the id, also one without a vector in the field. */
HT_NODISCARD hither_status ht_reading_vectors_of(ht_reading *v, const hither_ids *ids, uint32_t field, float **out,
                                                 uint64_t *slots, hither_error *err);
/* The vector of a slot below the snapshot's limit in a DENSE field (0: the row's own), checked; NULL: it has none. */
HT_NODISCARD hither_status ht_reading_vector(const ht_reading *v, uint64_t slot, uint32_t field, const float **out,
                                             hither_error *err);
/* A result for rows as the view includes them. */
HT_NODISCARD hither_status ht_reading_result(const ht_reading *v, bool distances, hither_result **out,
                                             hither_error *err);
/* Appends the row at a slot, its parts as the view includes them, if it matches the filter (NULL: it does). Begins a
 * reader if it takes one. */
HT_NODISCARD hither_status ht_reading_add_row(ht_reading *v, uint64_t slot, const ht_filter *filter, hither_result *out,
                                              hither_error *err);

#endif
