/*
 * column_kept.c: see column_kept.h. A field's cells stand in blocks of HT_CELLS: where all are of one type that is said
 * once, and values stand as their distance from the least, in as many bytes as the largest takes. Strings are numbered
 * anew, so that those of no live row stay out; a list is its number, by slot.
 */
#include "engine/column_kept.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/column_inside.h"

typedef struct field_head {
    uint32_t key_bytes, words;
    uint64_t text_bytes, lists;
} field_head;

typedef struct block_head {
    int64_t least;
    uint8_t width; /* bytes of a value: 0, 1, 2, 4, 8 */
    uint8_t type;  /* of all cells, or MIXED: then a byte of type for each comes before the values */
    uint8_t zeros[6];
} block_head;

typedef struct item {
    int64_t value;
    uint8_t type, zeros[7];
} item;

_Static_assert(sizeof(field_head) == HT_COLUMNS_FIELD_BYTES && sizeof(block_head) == 16 && sizeof(item) == 16,
               "no padding on disk");

#define MIXED 255u

enum { FIELDS, KEYS, BLOCKS, CELLS, WORDS, TEXTS, LISTS, ITEMS, SECTIONS };
static const char *const names[SECTIONS] = {"fields", "keys", "blocks", "cells", "words", "texts", "lists", "items"};

uint64_t ht_columns_covered(ht_columns *columns) {
    uint64_t least = UINT64_MAX;
    const ht_field_column *column = atomic_load_explicit(&columns->first, memory_order_acquire);
    for (; column; column = column->next) {
        uint64_t covered = atomic_load_explicit(&column->covered, memory_order_acquire);
        least = covered < least ? covered : least;
    }
    return least == UINT64_MAX ? 0 : least;
}

/* ---- putting */

typedef struct putting {
    ht_buf sections[SECTIONS];
    const ht_field_column *column;
    field_head head;
    uint32_t *codes; /* of the file, plus one, by those of the column */
} putting;

/* The number a string has in the file. */
static int64_t word_of(putting *p, int64_t code) {
    if (!p->codes[code]) {
        ht_text text = ht_column_word(p->column, (uint32_t)code);
        uint32_t bytes = (uint32_t)text.bytes;
        ht_buf_put(&p->sections[WORDS], &bytes, sizeof bytes);
        ht_buf_put(&p->sections[TEXTS], text.data, text.bytes);
        p->head.text_bytes += text.bytes;
        p->codes[code] = ++p->head.words;
    }
    return p->codes[code] - 1;
}

static int64_t list_of(putting *p, int64_t value) {
    const ht_cell_list *list = (const ht_cell_list *)(intptr_t)value;
    uint64_t count = list->count;
    ht_buf_put(&p->sections[LISTS], &count, sizeof count);
    for (size_t i = 0; i < list->count; i++) {
        item one = {.value = list->items[i].value, .type = list->items[i].type};
        if (one.type == HT_STRING)
            one.value = word_of(p, one.value);
        ht_buf_put(&p->sections[ITEMS], &one, sizeof one);
    }
    return (int64_t)p->head.lists++;
}

static uint8_t width_of(uint64_t span) {
    return span == 0 ? 0 : span <= UINT8_MAX ? 1 : span <= UINT16_MAX ? 2 : span <= UINT32_MAX ? 4 : 8;
}

static void put_block(putting *p, const ht_cells *cells, const ht_mask *live, uint64_t first, size_t count) {
    uint8_t types[HT_CELLS] = {0};
    int64_t values[HT_CELLS] = {0}, least = INT64_MAX, most = INT64_MIN;
    bool mixed = false;
    for (size_t i = 0; i < count; i++) {
        if (cells && ht_mask_has(live, first + i)) {
            types[i] = cells->type[i];
            values[i] = types[i] == HT_STRING ? word_of(p, cells->value[i])
                        : types[i] == HT_LIST ? list_of(p, cells->value[i])
                                              : cells->value[i];
        }
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
        mixed = mixed || types[i] != types[0];
    }
    block_head head = {
        .least = least, .type = mixed ? MIXED : types[0], .width = width_of((uint64_t)most - (uint64_t)least)};
    ht_buf_put(&p->sections[BLOCKS], &head, sizeof head);
    if (mixed)
        ht_buf_put(&p->sections[CELLS], types, count);
    uint8_t *to = head.width ? ht_buf_grow(&p->sections[CELLS], count * head.width) : NULL;
    for (size_t i = 0; to && i < count; i++) {
        uint64_t distance = (uint64_t)values[i] - (uint64_t)least;
        memcpy(to + i * head.width, &distance, head.width); /* little-endian */
    }
}

static hither_status put_field(putting *p, const ht_field_column *column, const ht_mask *live, uint64_t slots,
                               hither_error *err) {
    uint32_t words = atomic_load_explicit(&column->dictionary.count, memory_order_acquire);
    p->column = column;
    p->head = (field_head){.key_bytes = (uint32_t)column->field.bytes};
    p->codes = ht_calloc(words, sizeof *p->codes);
    if (!p->codes)
        return ht_fail_nomem(err, words * sizeof *p->codes, "a column to be kept");
    ht_buf_put(&p->sections[KEYS], column->field.keys, column->field.bytes);
    for (uint64_t first = 0; first < slots; first += HT_CELLS) {
        size_t count = (size_t)(slots - first < HT_CELLS ? slots - first : HT_CELLS);
        put_block(p, ht_column_cells(column, first / HT_CELLS), live, first, count);
    }
    ht_buf_put(&p->sections[FIELDS], &p->head, sizeof p->head);
    ht_release(p->codes);
    return HITHER_OK;
}

hither_status ht_columns_put(ht_columns *columns, const ht_mask *live, uint64_t slots, ht_container_writer *writer,
                             hither_error *err) {
    putting p = {.column = NULL};
    hither_status status = HITHER_OK;
    for (int i = 0; i < SECTIONS; i++)
        ht_buf_init(&p.sections[i], SIZE_MAX);
    const ht_field_column *column = atomic_load_explicit(&columns->first, memory_order_acquire);
    for (; column && status == HITHER_OK; column = column->next)
        status = put_field(&p, column, live, slots, err);
    for (int i = 0; i < SECTIONS && status == HITHER_OK; i++) {
        status = ht_buf_check(&p.sections[i], "columns to be kept", err);
        if (status == HITHER_OK)
            status = ht_container_begin(writer, names[i], err);
        if (status == HITHER_OK && p.sections[i].size)
            status = ht_container_put(writer, p.sections[i].data, p.sections[i].size, err);
    }
    for (int i = 0; i < SECTIONS; i++)
        ht_buf_clear(&p.sections[i]);
    return status;
}

/* ---- getting */

typedef struct getting {
    const char *data[SECTIONS]; /* what is left of each */
    size_t bytes[SECTIONS];
    ht_field_column *column;
    field_head head;
    uint64_t lists; /* met so far */
    hither_error *err;
} getting;

static hither_status bad(getting *g, const char *what) {
    return ht_fail(g->err, HITHER_CORRUPT, "columns that were kept: %s", what);
}

/* The next bytes of a section; NULL if it has not so many. */
static const void *next(getting *g, int section, uint64_t bytes) {
    if (bytes > g->bytes[section])
        return NULL;
    const void *at = g->data[section];
    g->data[section] += bytes;
    g->bytes[section] -= (size_t)bytes;
    return at;
}

/* Whether a cell that is neither string nor list may have this value. */
static bool sound(uint8_t type, int64_t value) {
    if (type == HT_INT)
        return true;
    if (type == HT_BOOL)
        return value == 0 || value == 1;
    if (type == HT_REAL) {
        int64_t bits = value < 0 ? value ^ INT64_MAX : value;
        double x;
        memcpy(&x, &bits, sizeof x);
        return isfinite(x) && ht_real_key(x) == value;
    }
    return value == 0;
}

static hither_status get_words(getting *g) {
    for (uint32_t i = 0; i < g->head.words; i++) {
        const void *counted = next(g, WORDS, sizeof(uint32_t));
        uint32_t bytes = 0;
        int64_t code;
        if (counted)
            memcpy(&bytes, counted, sizeof bytes);
        const char *text = counted ? next(g, TEXTS, bytes) : NULL;
        if (!text)
            return bad(g, "strings that are not there");
        if (!ht_column_encode(g->column, (ht_text){text, bytes}, &code))
            return ht_fail_nomem(g->err, bytes, "a column of metadata");
        if (code != i)
            return bad(g, "a string that is there twice");
    }
    return HITHER_OK;
}

static hither_status get_list(getting *g, int64_t *value) {
    const void *counted = next(g, LISTS, sizeof(uint64_t));
    uint64_t count = 0;
    if (counted)
        memcpy(&count, counted, sizeof count);
    if (!counted || *value != (int64_t)g->lists++ || count > g->bytes[ITEMS] / sizeof(item))
        return bad(g, "a list that is not there");
    const char *items = next(g, ITEMS, count * sizeof(item));
    ht_cell_list *list = ht_column_make_list(g->column, (size_t)count);
    if (!list)
        return ht_fail_nomem(g->err, (size_t)count * sizeof(item), "a column of metadata");
    for (size_t i = 0; i < count; i++) {
        item one;
        memcpy(&one, items + i * sizeof one, sizeof one);
        bool fine = one.type == HT_STRING ? one.value >= 0 && one.value < (int64_t)g->head.words
                                          : one.type < HT_VALUE_TYPES && one.type != HT_LIST &&
                                                one.type != HT_MISSING && sound(one.type, one.value);
        if (!fine)
            return bad(g, "an element that makes no sense");
        list->items[i].type = one.type;
        list->items[i].value = one.value;
    }
    *value = (int64_t)(intptr_t)list;
    return HITHER_OK;
}

static hither_status get_cell(getting *g, ht_cells *cells, size_t i, uint8_t type, int64_t value) {
    if (type == HT_LIST)
        HT_TRY(get_list(g, &value));
    else if (type == HT_STRING ? value < 0 || value >= (int64_t)g->head.words
                               : type >= HT_VALUE_TYPES || !sound(type, value))
        return bad(g, "a value that makes no sense");
    ht_cells_put(cells, i, type, value);
    return HITHER_OK;
}

static hither_status get_block(getting *g, uint64_t block, size_t count) {
    block_head head;
    const void *at = next(g, BLOCKS, sizeof head);
    if (!at)
        return bad(g, "a block that is not there");
    memcpy(&head, at, sizeof head);
    bool known = head.width == 0 || head.width == 1 || head.width == 2 || head.width == 4 || head.width == 8;
    const uint8_t *types = known && head.type == MIXED ? next(g, CELLS, count) : NULL;
    const uint8_t *values = known ? next(g, CELLS, (uint64_t)count * head.width) : NULL;
    if (!values || (head.type == MIXED && !types))
        return bad(g, "cells that are not there");
    if (head.type == HT_MISSING && head.width == 0 && head.least == 0)
        return HITHER_OK;
    ht_cells *cells = ht_column_make_cells(g->column, block);
    if (!cells)
        return ht_fail_nomem(g->err, sizeof *cells, "a column of metadata");
    for (size_t i = 0; i < count; i++) {
        uint64_t distance = 0;
        memcpy(&distance, values + i * head.width, head.width);
        HT_TRY(get_cell(g, cells, i, types ? types[i] : head.type, (int64_t)((uint64_t)head.least + distance)));
    }
    return HITHER_OK;
}

static hither_status get_field(getting *g, ht_columns *columns, uint64_t slots) {
    memcpy(&g->head, next(g, FIELDS, sizeof g->head), sizeof g->head);
    const char *keys = next(g, KEYS, g->head.key_bytes);
    ht_field field = {(char *)(uintptr_t)keys, g->head.key_bytes}; /* only read */
    if (!keys || !field.bytes || keys[field.bytes - 1] || ht_columns_lookup(columns, &field))
        return bad(g, "a field that makes no sense");
    uint64_t words = g->bytes[WORDS] / sizeof(uint32_t), texts = g->bytes[TEXTS];
    if (g->head.words > words || g->head.text_bytes > texts)
        return bad(g, "strings that are not there");
    g->column = ht_columns_add(columns, &field);
    if (!g->column)
        return ht_fail_nomem(g->err, sizeof *g->column, "a column of metadata");
    g->lists = 0;
    HT_TRY(get_words(g));
    if (texts - g->bytes[TEXTS] != g->head.text_bytes)
        return bad(g, "strings of another length");
    for (uint64_t first = 0; first < slots; first += HT_CELLS)
        HT_TRY(get_block(g, first / HT_CELLS, (size_t)(slots - first < HT_CELLS ? slots - first : HT_CELLS)));
    if (g->lists != g->head.lists)
        return bad(g, "lists of no row");
    atomic_store_explicit(&g->column->covered, slots, memory_order_release);
    return HITHER_OK;
}

static hither_status get_all(getting *g, ht_columns *columns, ht_container *container, uint64_t slots) {
    for (int i = 0; i < SECTIONS; i++) {
        g->data[i] = ht_container_section(container, names[i], &g->bytes[i]);
        if (!g->data[i])
            return bad(g, "a section that is not there");
        HT_TRY(ht_container_touch(container, names[i], 0, g->bytes[i], g->err));
    }
    if (g->bytes[FIELDS] % sizeof g->head || !g->bytes[FIELDS] || g->bytes[FIELDS] / sizeof g->head > HT_COLUMNS_MAX)
        return bad(g, "no fields");
    while (g->bytes[FIELDS])
        HT_TRY(get_field(g, columns, slots));
    for (int i = 0; i < SECTIONS; i++)
        if (g->bytes[i])
            return bad(g, "a section that ends too late");
    return HITHER_OK;
}

hither_status ht_columns_get(ht_columns *columns, ht_container *container, uint64_t slots, hither_error *err) {
    getting g = {.err = err};
    ht_columns fresh;
    HT_TRY(ht_columns_init(&fresh, err));
    hither_status status = get_all(&g, &fresh, container, slots);
    if (status == HITHER_OK) {
        ht_field_column *first = atomic_load_explicit(&fresh.first, memory_order_relaxed);
        atomic_store_explicit(&columns->count, atomic_load_explicit(&fresh.count, memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(&columns->first, first, memory_order_release);
        atomic_store_explicit(&fresh.first, NULL, memory_order_relaxed);
    }
    ht_columns_clear(&fresh);
    return status;
}
