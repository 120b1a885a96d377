/*
 * column_inside.h: what column.c makes columns with, for column_kept.c, which makes them of what was kept. Under the
 * build lock, or of columns nobody else sees yet.
 */
#ifndef HT_ENGINE_COLUMN_INSIDE_H
#define HT_ENGINE_COLUMN_INSIDE_H

#include "engine/column.h"

/* The columns of these keys, which are copied, at the head of the list; NULL without memory. */
ht_field_column *ht_columns_add(ht_columns *columns, const ht_field *field);
/* The cells of a block, all missing if they are new; NULL without memory. */
ht_cells *ht_column_make_cells(ht_field_column *column, uint64_t block);
/* The code of a string, the next one if it has none yet; false without memory. */
bool ht_column_encode(ht_field_column *column, ht_text text, int64_t *code);
/* Room for a list; NULL without memory. */
ht_cell_list *ht_column_make_list(ht_field_column *column, size_t count);
/* The column of a field, or NULL. */
ht_field_column *ht_columns_lookup(ht_columns *columns, const ht_field *field);

static inline void ht_cells_put(ht_cells *cells, size_t i, uint8_t type, int64_t value) {
    cells->type[i] = type;
    cells->value[i] = value;
    uint32_t types = atomic_load_explicit(&cells->types, memory_order_relaxed);
    atomic_store_explicit(&cells->types, types | 1u << type, memory_order_relaxed);
}

#endif
