/*
 * unique.h: which values of a collection's unique fields are taken.
 *
 * The table holds candidates: for a hash of field and value, slots that may have that value. It may name slots that are
 * dead, were never committed, or have another value by now; it must name every slot that has one. So it needs no
 * undoing when a transaction is rolled back: whoever finds a candidate asks the transaction what is really there. It is
 * made from the rows when it is first needed, and is on no disk.
 *
 * Under the writer lock, unless it says otherwise.
 */
#ifndef HT_ENGINE_UNIQUE_H
#define HT_ENGINE_UNIQUE_H

#include "engine/batch.h"
#include "engine/schema.h"

/* Checks every live row of a snapshot against a schema (INVALID, EXISTS: the message names the row's id) and fills
 * `out`, which is empty. progress may be NULL; it counts rows. Of a snapshot that is pinned, on any thread. */
HT_NODISCARD hither_status ht_uniques_make(ht_collection *c, const ht_schema *schema, const ht_snapshot *now,
                                           struct ht_progress *progress, ht_uniques *out, hither_error *err);
void ht_uniques_clear(ht_uniques *uniques);

/* Checks the rows of a resolved batch against the collection's schema, within the transaction, and against one another.
 * Its rows become candidates for the slots they will get. */
HT_NODISCARD hither_status ht_schema_admit(const ht_write *write, const ht_standing *standing, hither_error *err);

#endif
