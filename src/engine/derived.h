/*
 * derived.h: the columns and postings of a collection, kept on disk (cache.h) so that the next process need not read
 * the metadata and documents again. Both say what rows hold that are never changed, so a file of an older version of
 * the collection is good for every newer one; of rows that were not alive when it was written it knows nothing, so it
 * is passed over where this process may still read a version older than that.
 *
 * Loading is done by who first needs them, under their build lock; saving when a database is closed.
 */
#ifndef HT_ENGINE_DERIVED_H
#define HT_ENGINE_DERIVED_H

#include "engine/state.h"

/* Put in what was kept of the rows of a snapshot, if anything. Under the build lock of columns or keywords. */
void ht_derived_load_columns(ht_collection *c, const ht_snapshot *s);
void ht_derived_load_words(ht_collection *c, const ht_snapshot *s);

/* Writes both where there is something worth it that is not on disk: of at least `least` slots. Nobody else uses the
 * collection. A failure costs the next process time. */
void ht_derived_save(ht_collection *c, uint64_t least);

#endif
