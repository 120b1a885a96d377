/*
 * row_fields.h: what rows have in vector fields, as JSONL spells it: an object with a member a field, in which a dense
 * field is an array of numbers, a multi field an array of such arrays, and a sparse field
 * {"indices":[...],"values":[...]}. Written so that it is read back equal to the bit; what is read is hostile. Main
 * thread.
 */
#ifndef HT_CLI_ROW_FIELDS_H
#define HT_CLI_ROW_FIELDS_H

#include "base/json.h"
#include "base/strings.h"
#include "fields.h"

/* The member of a row that holds them. */
#define HT_ROW_FIELDS "fields"

/* What a batch of rows has in one field. */
typedef struct ht_fields_column {
    ht_buf numbers, indices, offsets, valid; /* float, uint32_t, uint64_t (where each row ends), a bit a row */
} ht_fields_column;

/* What a batch of rows has in all of them. */
typedef struct ht_row_fields {
    const ht_field_list *fields; /* borrowed */
    size_t rows;
    ht_fields_column columns[HITHER_MAX_FIELDS];
} ht_row_fields;

void ht_row_fields_init(ht_row_fields *rows, const ht_field_list *fields);
void ht_row_fields_clear(ht_row_fields *rows);
size_t ht_row_fields_bytes(const ht_row_fields *rows);
/* A row more; `text` is its object, which has been parsed as JSON already, or missing. `where` begins the message:
 * SYNTAX, NOT_FOUND (no such field), DIMENSION, TOO_LARGE, NOT_FINITE. After an error rows is only to be cleared. */
HT_NODISCARD hither_status ht_row_fields_add(ht_row_fields *rows, ht_text text, const char *where, hither_error *err);
/* Borrowed columns for hither_batch; how many. */
size_t ht_row_fields_view(const ht_row_fields *rows, hither_named out[HITHER_MAX_FIELDS]);

#endif
