/*
 * shape.h: what the rows of a collection are like: their own vectors, the vector fields beside them, and where each
 * lies in a row of a segment (store.h: ht_vector_field). Immutable; a collection keeps every shape it ever had, so a
 * snapshot's is good for as long as the collection. Fields are numbered from 1; 0 is the rows' own vectors. Any thread.
 */
#ifndef HT_ENGINE_SHAPE_H
#define HT_ENGINE_SHAPE_H

#include <string.h>

#include "store/store.h"

#define HT_INCLUDE_FIELD(number) ((uint32_t)HITHER_INCLUDE_FIELD << ((number)-1))

typedef struct ht_shape {
    struct ht_shape *next; /* in the collection's list: the one before */
    void *companion;       /* what a reembedding has left here, and how it goes; NULL: none */
    void (*release)(void *companion);
    uint32_t dim, width; /* floats of the own vector, and of a row */
    hither_metric metric;
    char embedder[64];
    uint32_t field_count;
    ht_vector_field fields[HITHER_MAX_FIELDS];
} ht_shape;

/* The fields of a collection to be made, into row; INVALID, DIMENSION, TOO_LARGE, UNSUPPORTED name the field. */
HT_NODISCARD hither_status ht_fields_plan(const hither_field *fields, size_t count, ht_collection_row *row,
                                          hither_error *err);
/* The fields of a collection as they were declared; `out` has room for HITHER_MAX_FIELDS and points into row. */
void ht_fields_say(const ht_collection_row *row, hither_field *out);
/* INVALID unless these are the fields the collection in `row` was made with. */
HT_NODISCARD hither_status ht_fields_agree(const ht_collection_row *row, const hither_field *fields, size_t count,
                                           hither_error *err);

HT_NODISCARD hither_status ht_shape_new(const ht_collection_row *row, ht_shape **out, hither_error *err);
void ht_shapes_free(ht_shape *first);
/* Whether rows of the collection are as the shape says. */
bool ht_shape_fits(const ht_shape *shape, const ht_collection_row *row);
/* The number of the field of that name; NULL is 0. NOT_FOUND. */
HT_NODISCARD hither_status ht_shape_find(const ht_shape *shape, const char *name, uint32_t *number, hither_error *err);

/* What a field has in a row: its payload, and how many vectors or entries that is, never more than `most`. */
static inline const float *ht_field_data(const ht_vector_field *field, const float *row) { return row + field->at; }
static inline uint32_t ht_field_count(const ht_vector_field *field, const float *row) {
    uint32_t count;
    memcpy(&count, row + field->at + field->payload, sizeof count);
    return count < field->most ? count : field->most;
}

#endif
