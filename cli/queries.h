/*
 * queries.h: queries read from a file: one a row of an .npy array or a line of JSON; of a field with several vectors a
 * row the whole file is one query; of a sparse field a line is {"indices": [...], "values": [...]}. What is read is
 * hostile. Main thread.
 */
#ifndef HT_CLI_QUERIES_H
#define HT_CLI_QUERIES_H

#include "row_fields.h"

typedef struct ht_file_queries {
    size_t count;
    hither_matrix vectors; /* unless of a sparse field */
    hither_named named;    /* of a field, the same as a column */
    float *floats;         /* what they are in, from here on */
    ht_field_list field;
    ht_row_fields entries;
    uint64_t all[2];
} ht_file_queries;

/* Reads those of a field (name NULL: rows' own vectors), of the field's dimensions; `holder` is what has these, for
 * messages. SYNTAX, DIMENSION, NOT_FINITE, TOO_LARGE, IO. The field's name is borrowed. To be cleared in any case. */
HT_NODISCARD hither_status ht_file_queries_read(const char *path, const hither_field *field, const char *holder,
                                                ht_file_queries *out, hither_error *err);
void ht_file_queries_clear(ht_file_queries *queries);
/* Queries first ... first + count as a column; first is a multiple of 8. */
hither_named ht_file_queries_slice(const ht_file_queries *queries, size_t first, size_t count);

#endif
