/*
 * made.h: what is made of a collection's rows in memory, by slot, when somebody first needs it: columns of metadata,
 * postings of documents, lists of sparse fields, rows that were answered. Caches, all of them, that grow at the end as
 * rows are written.
 *
 * A snapshot has one, and shares it with the snapshots made from it, so that whoever has pinned a snapshot may use its
 * without a lock. When compaction has found rows that nobody needs any more, the snapshot it ends with gets one without
 * them; the old one goes with the last snapshot that had it. So memory follows the rows there are, not those there ever
 * were.
 *
 * Any thread; what is inside says who may do what.
 */
#ifndef HT_ENGINE_MADE_H
#define HT_ENGINE_MADE_H

#include "engine/column.h"
#include "engine/met_rows.h"
#include "engine/sparse.h"
#include "keyword/table.h"

struct ht_made {
    _Atomic uint32_t references;
    uint64_t gone; /* rows it was made without */
    ht_columns columns;
    ht_keyword_table keywords;
    ht_sparse_table sparse;
    ht_met_rows met_rows;
};

HT_NODISCARD hither_status ht_made_new(ht_made **out, hither_error *err);
/* The same without the rows that `needed` leaves out, of which there are `gone`; NOMEM, TOO_LARGE. */
HT_NODISCARD hither_status ht_made_without(ht_made *made, const ht_mask *needed, uint64_t gone, ht_made **out,
                                           hither_error *err);
ht_made *ht_made_acquire(ht_made *made);
void ht_made_release(ht_made *made);

#endif
