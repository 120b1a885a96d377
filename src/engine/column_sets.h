/*
 * column_sets.h: of a column with few distinct values, the slots that hold each: a list where they are few, bits where
 * they are many. What a condition selects is then known by looking at the values instead of the cells, and so is how
 * many slots that is. Made of a column when filters have asked it a few times, over the slots it covers then; slots
 * that come later are scanned until there are as many of them.
 *
 * Immutable once they are there: a reader takes them with acquire and keeps them as long as the column lives. Made
 * under the build lock, which nobody waits for.
 */
#ifndef HT_ENGINE_COLUMN_SETS_H
#define HT_ENGINE_COLUMN_SETS_H

#include "engine/column.h"

#define HT_MOST_VALUES 1024u /* distinct ones; a column with more has no sets */

typedef struct ht_value_set {
    int64_t value; /* as in cells */
    uint64_t at;   /* of its first slot in slots, or of its first word in bits */
    uint32_t count;
    uint8_t type; /* LIST: all slots that hold one, each with its own value */
    bool dense;   /* bits: upto / 64 words */
} ht_value_set;

struct ht_column_sets {
    struct ht_column_sets *older; /* that a reader may still be in */
    uint64_t upto;                /* slots, a multiple of HT_CELLS */
    uint32_t count;
    uint32_t *slots;
    uint64_t *bits;
    ht_value_set sets[];
};

/* Notes that a filter asks, and makes the sets if that is due and nobody else is at work; NULL: there are none. */
const ht_column_sets *ht_column_sets_of(ht_columns *columns, const ht_field_column *column);
void ht_column_sets_free(ht_column_sets *sets);

/* Sets the bits of a set's slots. */
void ht_value_set_mark(const ht_column_sets *sets, const ht_value_set *set, uint64_t *words);

#endif
