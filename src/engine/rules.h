/*
 * rules.h: the schema of a collection: where it is set, stored, and found again. schema.h has what it is.
 */
#ifndef HT_ENGINE_RULES_H
#define HT_ENGINE_RULES_H

#include "engine/schema.h"
#include "engine/state.h"

/* What the catalog has; *out NULL: nothing. The caller's to free. CORRUPT where it makes no sense. */
HT_NODISCARD hither_status ht_rules_read(ht_db *db, int64_t cid, ht_schema **out, hither_error *err);
/* The same, for a collection that is being loaded for writing. */
HT_NODISCARD hither_status ht_rules_load(ht_collection *c, hither_error *err);
/* INVALID unless the collection has this schema. */
HT_NODISCARD hither_status ht_rules_agree(ht_db *db, const ht_collection_row *row, const char *schema,
                                          hither_error *err);
/* ht_store_create with a schema (NULL: none). The writer lock is held. */
HT_NODISCARD hither_status ht_rules_create(ht_db *db, ht_collection_row *row, const char *schema, hither_error *err);

/* From now on no upsert to the collection is acknowledged before it is committed; or again some may be. */
void ht_collection_hasten(ht_collection *c, bool strict);

#endif
