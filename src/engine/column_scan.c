/*
 * column_scan.c: compiling leaves and running them over blocks of cells. Pure but for the memory of a prepared scan.
 *
 * Numbers compare exactly: an operand of either kind becomes an interval of int64 for INT cells and one of real keys
 * for REAL cells, each rounded to the nearest value of that kind inside the condition.
 */
#include "engine/column_scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"

#define WORDS (HT_CELLS / 64)

/* What a leaf takes of one type of cell: values in [low, high] (none if low > high), or those in `list` if it is not
 * NULL, or codes whose bit is set in `codes` if that is not NULL. */
typedef struct taken {
    int64_t low, high;
    const int64_t *list;
    size_t list_count;
    const uint64_t *codes;
    size_t code_count;
} taken;

struct ht_leaf {
    taken of[HT_VALUE_TYPES];
    uint32_t types; /* bit t: some cells of type t are taken */
    uint32_t plain; /* of these, those that an interval describes */
    bool exists;    /* a list is taken whatever is in it */
    void *memory[3];
};

/* ---- compiling */

static void take_range(ht_leaf *leaf, ht_value_type type, int64_t low, int64_t high) {
    leaf->of[type] = (taken){.low = low, .high = high};
    if (low <= high) {
        leaf->types |= 1u << type;
        leaf->plain |= 1u << type;
    }
}

/* The key of the smallest double >= n, or > n. It may be one past the largest finite one, which no cell has. */
static int64_t real_key_from(int64_t n, bool strictly) {
    double near = (double)n; /* one of the two doubles around n, whatever the rounding */
    int order = ht_compare_int_real(n, near);
    return ht_real_key(near) + (order > 0 || (order == 0 && strictly) ? 1 : 0);
}

/* The smallest integer >= x, or > x; false if there is none. */
static bool int_from(double x, bool strictly, int64_t *out) {
    double floored = floor(x);
    if (floored >= 0x1p63)
        return false;
    if (floored < -0x1p63) {
        *out = INT64_MIN;
        return true;
    }
    *out = (int64_t)floored;
    if (x > floored || strictly) {
        if (*out == INT64_MAX)
            return false;
        ++*out;
    }
    return true;
}

static void take_numbers(ht_leaf *leaf, ht_filter_op op, const ht_value *v) {
    bool from = op == HT_GT || op == HT_GTE;
    bool strictly = op == HT_GT || op == HT_LTE; /* < and <= are "not from" the same or the next value */
    int64_t least_int = 0;
    bool any = true;
    if (v->type == HT_INT) {
        any = !strictly || v->integer < INT64_MAX;
        least_int = any && strictly ? v->integer + 1 : v->integer;
    } else {
        any = int_from(v->real, strictly, &least_int);
    }
    int64_t least_key = v->type == HT_INT ? real_key_from(v->integer, strictly) : ht_real_key(v->real) + strictly;
    if (from) {
        take_range(leaf, HT_INT, any ? least_int : INT64_MAX, any ? INT64_MAX : INT64_MIN);
        take_range(leaf, HT_REAL, least_key, INT64_MAX);
    } else {
        if (!any)
            take_range(leaf, HT_INT, INT64_MIN, INT64_MAX);
        else if (least_int > INT64_MIN)
            take_range(leaf, HT_INT, INT64_MIN, least_int - 1);
        take_range(leaf, HT_REAL, INT64_MIN, least_key - 1);
    }
}

static int by_value(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The values of `list`, which the leaf owns from now on. */
static void take_list(ht_leaf *leaf, ht_value_type type, int64_t *list, size_t count) {
    if (count <= 1) {
        take_range(leaf, type, count ? list[0] : 0, count ? list[0] : -1);
        ht_release(list);
        return;
    }
    qsort(list, count, sizeof *list, by_value);
    leaf->of[type] = (taken){.low = list[0], .high = list[count - 1], .list = list, .list_count = count};
    leaf->types |= 1u << type;
    leaf->memory[type == HT_INT ? 0 : 1] = list;
}

static bool take_in_numbers(ht_leaf *leaf, const ht_value *values, uint32_t count) {
    int64_t *ints = ht_alloc(count * sizeof *ints), *keys = ht_alloc(count * sizeof *keys);
    size_t int_count = 0, key_count = 0;
    if (!ints || !keys) {
        ht_release(ints);
        ht_release(keys);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const ht_value *v = &values[i];
        if (v->type == HT_INT) {
            ints[int_count++] = v->integer;
            if (ht_compare_int_real(v->integer, (double)v->integer) == 0)
                keys[key_count++] = ht_real_key((double)v->integer);
        } else if (v->type == HT_REAL) {
            keys[key_count++] = ht_real_key(v->real);
            if (v->real >= -0x1p63 && v->real < 0x1p63 && v->real == floor(v->real))
                ints[int_count++] = (int64_t)v->real;
        }
    }
    take_list(leaf, HT_INT, ints, int_count);
    take_list(leaf, HT_REAL, keys, key_count);
    return true;
}

/* A bit per code of the column, none set; NULL without memory. */
static uint64_t *make_codes(ht_leaf *leaf, const ht_field_column *column) {
    size_t count = atomic_load_explicit(&column->dictionary.count, memory_order_acquire);
    uint64_t *codes = ht_calloc(count / 64 + 1, sizeof *codes);
    leaf->memory[2] = codes;
    leaf->of[HT_STRING] = (taken){.low = 0, .high = -1, .codes = codes, .code_count = count};
    leaf->types |= 1u << HT_STRING;
    return codes;
}

static bool take_in_strings(ht_leaf *leaf, const ht_field_column *column, const ht_value *values, uint32_t count) {
    uint32_t strings = 0, only = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].type == HT_STRING) {
            strings++;
            only = ht_column_code(column, values[i].text);
        }
    }
    if (strings <= 1) {
        if (only != UINT32_MAX)
            take_range(leaf, HT_STRING, only, only);
        return true;
    }
    uint64_t *codes = make_codes(leaf, column);
    for (uint32_t i = 0; codes && i < count; i++) {
        uint32_t code = values[i].type == HT_STRING ? ht_column_code(column, values[i].text) : UINT32_MAX;
        if (code < leaf->of[HT_STRING].code_count)
            codes[code / 64] |= (uint64_t)1 << code % 64;
    }
    return codes != NULL;
}

static bool take_in(ht_leaf *leaf, const ht_field_column *column, const ht_value *values, uint32_t count) {
    int64_t low = 1, high = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].type == HT_NULL)
            take_range(leaf, HT_NULL, 0, 0);
        if (values[i].type == HT_BOOL) {
            low = values[i].integer < low ? values[i].integer : low;
            high = values[i].integer > high ? values[i].integer : high;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        if (values[i].type == HT_BOOL)
            take_range(leaf, HT_BOOL, low, high);
    return take_in_numbers(leaf, values, count) && take_in_strings(leaf, column, values, count);
}

/* Asks each word of the dictionary once. */
static bool take_strings(ht_leaf *leaf, const ht_field_column *column, const ht_filter *f, const ht_filter_node *node) {
    uint64_t *codes = make_codes(leaf, column);
    for (size_t code = 0; codes && code < leaf->of[HT_STRING].code_count; code++)
        if (ht_string_holds(f, node, ht_column_word(column, (uint32_t)code)))
            codes[code / 64] |= (uint64_t)1 << code % 64;
    return codes != NULL;
}

static bool compile(ht_leaf *leaf, const ht_filter *f, const ht_filter_node *node, const ht_field_column *column) {
    const ht_value *values = node->count ? f->values + node->first : NULL;
    for (size_t t = 0; t < HT_VALUE_TYPES; t++)
        leaf->of[t] = (taken){.low = INT64_MAX, .high = INT64_MIN};
    if (node->op == HT_EXISTS) {
        leaf->exists = true;
        for (ht_value_type t = HT_NULL; t <= HT_OBJECT; t++)
            take_range(leaf, t, INT64_MIN, INT64_MAX);
        return true;
    }
    if (node->op == HT_IN)
        return take_in(leaf, column, values, node->count);
    if (values[0].type == HT_STRING)
        return take_strings(leaf, column, f, node);
    take_numbers(leaf, node->op, &values[0]);
    return true;
}

hither_status ht_scan_prepare(ht_scan *scan, const ht_filter *filter, const ht_field_column *const *columns,
                              hither_error *err) {
    ht_leaf *leaves = ht_calloc(filter->node_count, sizeof *leaves);
    *scan = (ht_scan){.filter = filter, .columns = columns, .leaves = leaves};
    bool fine = leaves != NULL;
    for (uint32_t i = 0; fine && i < filter->node_count; i++) {
        const ht_filter_node *node = &filter->nodes[i];
        if (node->op > HT_NOT && node->field != HT_DOCUMENT)
            fine = compile(&leaves[i], filter, node, columns[node->field]);
    }
    if (fine)
        return HITHER_OK;
    ht_scan_clear(scan);
    return ht_fail_nomem(err, filter->node_count * sizeof *leaves, "a filter over columns");
}

void ht_scan_clear(ht_scan *scan) {
    for (uint32_t i = 0; scan->leaves && i < scan->filter->node_count; i++)
        for (size_t j = 0; j < 3; j++)
            ht_release(scan->leaves[i].memory[j]);
    ht_release(scan->leaves);
    scan->leaves = NULL;
}

/* ---- one cell */

static bool in_list(const taken *t, int64_t value) {
    size_t low = 0, high = t->list_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->list[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->list_count && t->list[low] == value;
}

static bool scalar_taken(const ht_leaf *leaf, uint8_t type, int64_t value) {
    const taken *t = &leaf->of[type];
    if (t->codes)
        return (uint64_t)value < t->code_count && (t->codes[value / 64] >> (value % 64) & 1);
    return value >= t->low && value <= t->high && (!t->list || in_list(t, value));
}

static bool cell_taken(const ht_leaf *leaf, uint8_t type, int64_t value) {
    if (type != HT_LIST || leaf->exists)
        return scalar_taken(leaf, type, value);
    const ht_cell_list *list = (const ht_cell_list *)(intptr_t)value;
    for (size_t i = 0; i < list->count; i++)
        if (scalar_taken(leaf, list->items[i].type, list->items[i].value))
            return true;
    return false;
}

/* ---- a block of cells */

static void scan_any(const ht_leaf *leaf, const ht_cells *cells, size_t count, uint64_t *words) {
    for (size_t i = 0; i < count; i++)
        words[i / 64] |= (uint64_t)cell_taken(leaf, cells->type[i], cells->value[i]) << i % 64;
}

/* Where at most one type of the block's cells is taken, and by an interval. Cells past count may be being written. */
static void scan_range(const ht_leaf *leaf, uint8_t type, const ht_cells *cells, size_t count, uint64_t *words) {
    const ht_kernels *kernels = ht_kernels_get();
    int64_t low = leaf->of[type].low;
    uint64_t range = (uint64_t)leaf->of[type].high - (uint64_t)low;
    size_t full = count / 64;
    for (size_t w = 0; w < full; w++)
        words[w] = kernels->cells_in_range(cells->type + w * 64, cells->value + w * 64, type, low, range);
    for (size_t i = full * 64; i < count; i++)
        words[full] |= (uint64_t)(cells->type[i] == type && (uint64_t)cells->value[i] - (uint64_t)low <= range)
                       << i % 64;
}

static void scan_codes(const ht_leaf *leaf, const ht_cells *cells, size_t count, uint64_t *words) {
    const taken *t = &leaf->of[HT_STRING];
    for (size_t i = 0; i < count; i++) {
        size_t code = cells->type[i] == HT_STRING ? (size_t)cells->value[i] : t->code_count;
        if (code < t->code_count)
            words[i / 64] |= (t->codes[code / 64] >> (code % 64) & 1) << i % 64;
    }
}

static void scan_leaf(const ht_leaf *leaf, const ht_cells *cells, size_t count, uint64_t *words) {
    memset(words, 0, WORDS * sizeof *words);
    if (!cells)
        return; /* all missing, and no leaf takes what is missing */
    uint32_t types = atomic_load_explicit(&cells->types, memory_order_relaxed), taken_types = types & leaf->types;
    bool lists = types >> HT_LIST & 1, one = (taken_types & (taken_types - 1)) == 0;
    if (!taken_types && !lists)
        return;
    uint8_t type = (uint8_t)(taken_types ? __builtin_ctz(taken_types) : 0);
    if (!lists && one && (leaf->plain & taken_types))
        scan_range(leaf, type, cells, count, words);
    else if (!lists && one && leaf->of[type].codes)
        scan_codes(leaf, cells, count, words);
    else
        scan_any(leaf, cells, count, words);
}

static void clear_past(uint64_t *words, size_t count) {
    for (size_t w = count / 64; w < WORDS; w++)
        words[w] = w * 64 < count ? words[w] & (((uint64_t)1 << count % 64) - 1) : 0;
}

/* The recursion is as deep as the filter. */
static void scan_node(const ht_scan *scan, uint32_t at, ht_scan_side side, uint64_t first, size_t count,
                      uint64_t *words) {
    const ht_filter_node *node = &scan->filter->nodes[at];
    uint64_t child_words[WORDS];
    if (node->op > HT_NOT && node->field == HT_DOCUMENT) {
        memset(words, side == HT_AT_MOST ? 0xff : 0, WORDS * sizeof *words);
    } else if (node->op > HT_NOT) {
        scan_leaf(&scan->leaves[at], ht_column_cells(scan->columns[node->field], first / HT_CELLS), count, words);
    } else if (node->op == HT_NOT) {
        scan_node(scan, at + 1, side == HT_AT_MOST ? HT_AT_LEAST : HT_AT_MOST, first, count, words);
        for (size_t w = 0; w < WORDS; w++)
            words[w] = ~words[w];
    } else {
        scan_node(scan, at + 1, side, first, count, words);
        for (uint32_t child = scan->filter->nodes[at + 1].end; child < node->end;
             child = scan->filter->nodes[child].end) {
            scan_node(scan, child, side, first, count, child_words);
            for (size_t w = 0; w < WORDS; w++)
                words[w] = node->op == HT_AND ? words[w] & child_words[w] : words[w] | child_words[w];
        }
    }
    clear_past(words, count);
}

void ht_scan_words(const ht_scan *scan, ht_scan_side side, uint64_t first, size_t count, uint64_t *words) {
    uint64_t block[WORDS];
    scan_node(scan, 0, side, first, count, block);
    memcpy(words, block, (count + 63) / 64 * sizeof *words);
}

/* ---- values and their slots */

static bool takes_set(const ht_leaf *leaf, const ht_value_set *set) {
    return set->type != HT_LIST && (leaf->types >> set->type & 1) && scalar_taken(leaf, set->type, set->value);
}

uint64_t ht_scan_leaf_count(const ht_scan *scan, uint32_t node, const ht_column_sets *sets) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < sets->count; i++) {
        const ht_value_set *set = &sets->sets[i];
        if (set->type == HT_LIST)
            count += set->count; /* each is looked at */
        else if (takes_set(&scan->leaves[node], set))
            count += set->count;
    }
    return count;
}

void ht_scan_leaf_mark(const ht_scan *scan, uint32_t node, const ht_column_sets *sets, uint64_t *words) {
    const ht_leaf *leaf = &scan->leaves[node];
    const ht_field_column *column = scan->columns[scan->filter->nodes[node].field];
    for (uint32_t i = 0; i < sets->count; i++) {
        const ht_value_set *set = &sets->sets[i];
        if (takes_set(leaf, set))
            ht_value_set_mark(sets, set, words);
        for (uint32_t j = 0; set->type == HT_LIST && j < set->count; j++) {
            uint32_t slot = sets->slots[set->at + j];
            const ht_cells *cells = ht_column_cells(column, slot / HT_CELLS);
            if (cell_taken(leaf, HT_LIST, cells->value[slot % HT_CELLS]))
                words[slot / 64] |= (uint64_t)1 << slot % 64;
        }
    }
}

/* ---- one slot */

static bool slot_matches(const ht_scan *scan, uint32_t at, uint64_t slot, ht_text document) {
    const ht_filter *f = scan->filter;
    const ht_filter_node *node = &f->nodes[at];
    if (node->op > HT_NOT && node->field == HT_DOCUMENT)
        return document.data && ht_string_holds(f, node, document);
    if (node->op > HT_NOT) {
        const ht_cells *cells = ht_column_cells(scan->columns[node->field], slot / HT_CELLS);
        return cells && cell_taken(&scan->leaves[at], cells->type[slot % HT_CELLS], cells->value[slot % HT_CELLS]);
    }
    if (node->op == HT_NOT)
        return !slot_matches(scan, at + 1, slot, document);
    for (uint32_t child = at + 1; child < node->end; child = f->nodes[child].end)
        if (slot_matches(scan, child, slot, document) != (node->op == HT_AND))
            return node->op == HT_OR;
    return node->op == HT_AND;
}

bool ht_scan_slot(const ht_scan *scan, uint64_t slot, ht_text document) {
    return slot_matches(scan, 0, slot, document);
}
