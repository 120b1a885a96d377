/*
 * field.h: the values of one metadata field for the slots of a snapshot: what facets, groups and orders are made of.
 * They come from the collection's column of that field, or, where there are too many columns already, from one made for
 * the occasion.
 *
 * Two values are equal as filters have it: 1 is 1.0. Values are ordered false, true, numbers, strings (by their bytes);
 * null, arrays, objects and what is not there have no place in that order.
 *
 * Any thread; the snapshot is pinned or held by the caller.
 */
#ifndef HT_ENGINE_FIELD_H
#define HT_ENGINE_FIELD_H

#include "engine/state.h"

typedef struct ht_field_values {
    const ht_field_column *column;
    ht_columns own;
    bool owned;
    uint64_t parsed; /* rows that were parsed for it */
} ht_field_values;

/* A value in a form that can be compared: of equal values type and number are the same. */
typedef struct ht_key {
    uint8_t type;   /* an ht_value_type */
    int64_t number; /* as a cell's; REAL that is an integer of 64 bits is INT */
} ht_key;

/* `field` is one of ht_filter_field. *reader as in ht_select. */
HT_NODISCARD hither_status ht_field_open(ht_field_values *values, ht_collection *c, const ht_snapshot *s,
                                         const ht_filter *field, ht_reader **reader, hither_error *err);
void ht_field_close(ht_field_values *values);

/* The value in a slot below the snapshot's limit. Of a LIST, *list is its elements. */
ht_key ht_field_key(const ht_field_values *values, uint64_t slot, const ht_cell_list **list);
ht_key ht_field_element(const ht_cell_list *list, size_t i);
/* BOOL, INT, REAL or STRING. */
static inline bool ht_key_plain(ht_key key) {
    return key.type == HT_BOOL || key.type == HT_INT || key.type == HT_REAL || key.type == HT_STRING;
}
/* The value itself; the text of a STRING is the column's. */
ht_value ht_key_value(const ht_field_values *values, ht_key key);
/* -1, 0, 1 for plain values in the order above. */
int ht_value_order(const ht_value *a, const ht_value *b);
/* As JSON. */
void ht_value_json(ht_buf *out, const ht_value *value);

#endif
