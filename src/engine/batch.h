/*
 * batch.h: a batch of rows on its way into a collection: what can be checked before the writer lock is taken, and then,
 * under the lock, what each row becomes given the rows it replaces.
 *
 * A batch may name an id several times. INSERT refuses that. UPSERT keeps the last of them. UPDATE applies them one
 * after another, so that the last one's parts, and every metadata key of all of them, end up in the row.
 */
#ifndef HT_ENGINE_BATCH_H
#define HT_ENGINE_BATCH_H

#include "engine/state.h"

#define HT_NO_SLOT UINT64_MAX
#define HT_NO_ROW  SIZE_MAX

typedef struct ht_write {
    ht_collection *collection;
    hither_mode mode;
    const hither_batch *batch;
    const uint8_t *has_vector; /* bit i: row i of batch->vectors counts; NULL: all do. For UPDATE only */
    size_t *previous;          /* per row of the batch: the row before it with the same id, or HT_NO_ROW */
    size_t *rows;              /* the rows of the batch that will be in force, in order */
    size_t row_count;
    /* Filled by ht_write_resolve, per row of the batch: */
    uint64_t *replaces; /* the live slot it takes the place of, or HT_NO_SLOT */
    ht_text *metadata;  /* as it will be stored */
    ht_text *documents; /* as it will be stored */
    void **owned;       /* texts made here, two a row */
    const float **kept; /* UPDATE: the old vector where the batch brings none, else NULL */
    const float **old;  /* UPDATE of a collection with fields: the stored row it began with; of others NULL */
    const hither_named *columns[HITHER_MAX_FIELDS]; /* of the batch, by field; NULL: none */
    const char *embedder;                           /* who made the vectors; NULL: nobody did */
    const ht_shape *shape;                          /* of what is to be stored */
} ht_write;

/* A collection as the writer's transaction has left it so far. */
typedef struct ht_standing {
    const ht_collection_row *row;
    ht_extent *const *extents; /* of all slots below row->next_slot */
    size_t extent_count;
    uint64_t committed; /* slots from here on were written by this transaction */
} ht_standing;

/* Checks dimension, JSON and repeated ids; any thread, no lock. The batch is borrowed until ht_write_clear. */
HT_NODISCARD hither_status ht_write_prepare(ht_write *write, ht_collection *c, hither_mode mode,
                                            const hither_batch *batch, const uint8_t *has_vector, hither_error *err);
/* Inside the writer's transaction: finds the rows to replace (EXISTS, NOT_FOUND) and, for UPDATE, reads what stays of
 * them; then asks whether the schema admits what they become (INVALID, EXISTS). May be called again, in a later
 * transaction. */
HT_NODISCARD hither_status ht_write_resolve(ht_write *write, const ht_standing *standing, hither_error *err);
/* What the i-th row of the batch will have in a segment: shape->width floats. */
void ht_write_row(const ht_write *write, size_t i, float *out);
void ht_write_clear(ht_write *write);

#endif
