/*
 * column_copy.c: columns without the rows that nobody needs any more; see column.h. Strings are numbered anew, so that
 * those of no needed row stay behind, and blocks without a needed cell are not made at all.
 */
#include "base/alloc.h"
#include "engine/column_inside.h"

typedef struct copying {
    const ht_field_column *from;
    ht_field_column *to;
    uint32_t *codes; /* plus one, by those of `from`; 0: not met yet */
} copying;

static bool copy_scalar(copying *c, uint8_t type, int64_t value, int64_t *out) {
    *out = value;
    if (type != HT_STRING)
        return true;
    if (!c->codes[value]) {
        int64_t code;
        if (!ht_column_encode(c->to, ht_column_word(c->from, (uint32_t)value), &code))
            return false;
        c->codes[value] = (uint32_t)code + 1;
    }
    *out = c->codes[value] - 1;
    return true;
}

static bool copy_list(copying *c, int64_t value, int64_t *out) {
    const ht_cell_list *list = (const ht_cell_list *)(intptr_t)value;
    ht_cell_list *copy = ht_column_make_list(c->to, list->count);
    for (size_t i = 0; copy && i < list->count; i++) {
        copy->items[i].type = list->items[i].type;
        if (!copy_scalar(c, list->items[i].type, list->items[i].value, &copy->items[i].value))
            return false;
    }
    *out = (int64_t)(intptr_t)copy;
    return copy != NULL;
}

static bool copy_block(copying *c, uint64_t block, uint64_t covered, const ht_mask *needed) {
    const ht_cells *cells = ht_column_cells(c->from, block);
    uint64_t first = block * HT_CELLS, count = covered - first < HT_CELLS ? covered - first : HT_CELLS;
    for (uint64_t i = 0; cells && i < count; i++) {
        uint8_t type = cells->type[i];
        int64_t value;
        if (type == HT_MISSING || !ht_mask_has(needed, first + i))
            continue;
        ht_cells *copy = ht_column_make_cells(c->to, block);
        if (!copy ||
            !(type == HT_LIST ? copy_list(c, cells->value[i], &value) : copy_scalar(c, type, cells->value[i], &value)))
            return false;
        ht_cells_put(copy, i, type, value);
    }
    return true;
}

static bool copy_column(const ht_field_column *from, const ht_mask *needed, ht_columns *to) {
    copying c = {from, ht_columns_add(to, &from->field), NULL};
    uint64_t covered = atomic_load_explicit(&from->covered, memory_order_relaxed);
    covered = covered < needed->limit ? covered : needed->limit;
    c.codes = ht_calloc(atomic_load_explicit(&from->dictionary.count, memory_order_relaxed), sizeof *c.codes);
    bool fine = c.to && c.codes;
    for (uint64_t block = 0; fine && block * HT_CELLS < covered; block++)
        fine = copy_block(&c, block, covered, needed);
    if (fine) {
        atomic_store_explicit(&c.to->asked, atomic_load_explicit(&from->asked, memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(&c.to->covered, covered, memory_order_release);
    }
    ht_release(c.codes);
    return fine;
}

hither_status ht_columns_copy(ht_columns *from, const ht_mask *needed, ht_columns *to, hither_error *err) {
    bool fine = true;
    pthread_mutex_lock(&from->build);
    to->asked = from->asked;
    const ht_field_column *column = atomic_load_explicit(&from->first, memory_order_relaxed);
    for (; column && fine; column = column->next)
        fine = copy_column(column, needed, to);
    pthread_mutex_unlock(&from->build);
    return fine ? HITHER_OK : ht_fail_nomem(err, sizeof(ht_cells), "a column of metadata");
}
