/*
 * rows.h: how a row is shown: as one JSON object, as a block with all of it, or as a line. Shared by get, scan and
 * search. Main thread.
 */
#ifndef HT_CLI_ROWS_H
#define HT_CLI_ROWS_H

#include "args.h"
#include "output.h"

/* What get, scan and search are to bring, as --vectors says. */
uint32_t ht_include_of(const ht_args *args);

/* A group of a result with its columns at hand. */
typedef struct ht_rows {
    const hither_result *result;
    size_t group, count;
    hither_ids ids;
    const float *distances;
    const double *scores; /* of a search by words, else NULL */
    hither_matrix vectors;
    hither_strings metadata, documents;
} ht_rows;
ht_rows ht_rows_of(const hither_result *result, size_t group);

/* {"id":..,"metadata":..,"document":..} and what ht_row_json_vectors has; no line end. */
void ht_row_json(ht_buf *out, const ht_rows *rows, size_t i);
/* ,"metadata":..,"document":.. of an object that has begun. */
void ht_row_json_payload(ht_buf *out, const ht_rows *rows, size_t i);
/* [0.1,0.2] */
void ht_json_floats(ht_buf *out, const float *numbers, size_t count);
void ht_row_json_vector(ht_buf *out, const ht_rows *rows, size_t i);
/* Appends the member "fields" of the object that record i is, with a comma before it: what it has in the fields that
 * were asked for. Nothing where it has nothing. */
void ht_row_json_fields(ht_buf *out, const ht_rows *rows, size_t i);
/* ,"vector":..,"fields":.. as far as they were asked for. */
void ht_row_json_vectors(ht_buf *out, const ht_rows *rows, size_t i);
/* Lines "id", "document", "metadata", "vector", "fields", as far as the row has them. */
void ht_row_block(ht_buf *out, const ht_rows *rows, size_t i);
/* The document from column `used` on, cut to the terminal, then the metadata dimmed on a line of its own, indented. */
void ht_row_payload(ht_buf *out, const ht_rows *rows, size_t i, unsigned used);

#endif
