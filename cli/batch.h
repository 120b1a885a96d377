/*
 * batch.h: rows of a source on their way into a collection, one transaction at a time. Decides of which kind the ids
 * of a new collection are, makes the collection when its first rows are known, and turns the place of a bad row into
 * words. Main thread.
 */
#ifndef HT_CLI_BATCH_H
#define HT_CLI_BATCH_H

#include "database.h"
#include "import.h"
#include "row_fields.h"

typedef struct ht_target {
    const char *path, *name;     /* of the database and the collection */
    hither_metric metric;        /* 0: not said */
    const ht_args *args;         /* for --model */
    const ht_field_list *fields; /* vector fields that it has, or is to be made with */
    hither_mode mode;
    const ht_column *remove; /* keys that all rows lose from their metadata; of an update */
    ht_ids_are asked;        /* --id-type */
    ht_ids_are ids;          /* as the collection has them, or as the first batch decided */
    ht_opened opened;        /* from the first write on */
    uint64_t written;        /* rows acknowledged */
} ht_target;

typedef struct ht_batch {
    const ht_source *source;
    const char *name; /* of the file, for messages */
    size_t rows;
    uint32_t dim; /* of its vectors; 0: rows are texts to embed */
    ht_buf kinds, places, numbers;
    ht_column id_texts, documents, metadata;
    ht_buf vectors;
    ht_row_fields named;
} ht_batch;

void ht_batch_init(ht_batch *b, const ht_source *source, const char *name, const ht_field_list *fields);
void ht_batch_clear(ht_batch *b);

/* Whether the row can join the rows that are there; if not, write the batch first. */
bool ht_batch_accepts(const ht_batch *b, const ht_row *row);
/* INVALID, TOO_LARGE, DIMENSION: the row can never be written; the message names its place. */
HT_NODISCARD hither_status ht_batch_add(ht_batch *b, const ht_target *target, const ht_row *row, hither_error *err);
/* Bytes held, to keep batches of long rows small. */
size_t ht_batch_bytes(const ht_batch *b);
/* Writes all rows as one transaction and empties the batch. With no rows it still makes the collection if `dim` (or
 * texts) tells how. */
HT_NODISCARD hither_status ht_batch_write(ht_batch *b, ht_target *target, hither_error *err);

#endif
