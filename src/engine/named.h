/*
 * named.h: columns of vector fields (hither_named) on their way into rows of a segment, and out of them. One thread.
 */
#ifndef HT_ENGINE_NAMED_H
#define HT_ENGINE_NAMED_H

#include "base/result.h"
#include "engine/shape.h"

/* Whether a column of `count` rows may go into the field: INVALID, DIMENSION, TOO_LARGE name row and field. The column
 * itself (pointers, offsets, finite numbers) was checked by api/. */
HT_NODISCARD hither_status ht_column_check_field(const ht_vector_field *field, const hither_named *column, size_t count,
                                                 hither_error *err);
/* Row i of the column, which is there, as a row of a segment has it; `out` has room for payload + 1 floats, zeros. */
void ht_column_put(const ht_vector_field *field, const hither_named *column, size_t i, float *out);
/* Queries of a MULTI or SPARSE field as blocks (search_fields.c), packed, in *out->data, the caller's to release.
 * Errors as of ht_column_check_field, but a query may have any number of vectors or entries up to HITHER_MAX_DIM. */
HT_NODISCARD hither_status ht_queries_encode(const ht_vector_field *field, const hither_named *queries,
                                             hither_matrix *out, hither_error *err);
/* Asks a result for the fields in `include`, and gives it what a row of a segment has in them. */
HT_NODISCARD hither_status ht_fields_want(const ht_vector_field *fields, uint32_t count, uint32_t include,
                                          hither_result *out, hither_error *err);
void ht_fields_add(const ht_vector_field *fields, uint32_t count, uint32_t include, const float *row,
                   hither_result *out);
/* Sorts the entries of a sparse vector by index, in place. */
void ht_entries_sort(uint32_t *indices, float *values, size_t count);

#endif
