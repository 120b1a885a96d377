/*
 * column.c: building columns, and reading their parts. See column.h for who may touch what; everything here that
 * changes a column runs under the table's build lock.
 *
 * Memory orders: blocks of cells, words and the hash table are published by release stores and loaded with acquire, so
 * that a reader who meets a newer one than `covered` promised it still sees it whole.
 */
#include "engine/column_inside.h"
#include "engine/column_sets.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define BLOCKS_BASE 4 /* the first level of blocks has 16 */
#define WORDS_BASE  8 /* the first level of words has 256 */
#define TEXT_BLOCK  ((size_t)1 << 16)
#define FIRST_CODES 512

typedef struct ht_codes {
    struct ht_codes *next; /* in the list of retired ones */
    size_t mask;
    _Atomic uint32_t codes[];
} codes_table;

typedef struct ht_text_block {
    struct ht_text_block *next;
    size_t used, room;
} text_block;

/* ---- levels */

static void locate(uint64_t i, unsigned base, unsigned *level, uint64_t *at) {
    uint64_t j = i + ((uint64_t)1 << base);
    *level = 63u - (unsigned)__builtin_clzll(j) - base;
    *at = j - ((uint64_t)1 << (*level + base));
}

/* The element's place, NULL while its level is not there. */
static void *level_find(const ht_levels *levels, unsigned base, size_t size, uint64_t i) {
    unsigned level;
    uint64_t at;
    locate(i, base, &level, &at);
    char *elements = atomic_load_explicit(&levels->level[level], memory_order_acquire);
    return elements ? elements + at * size : NULL;
}

/* The same, but the level is made, zeroed; NULL without memory. */
static void *level_make(ht_levels *levels, unsigned base, size_t size, uint64_t i) {
    unsigned level;
    uint64_t at;
    locate(i, base, &level, &at);
    if (!atomic_load_explicit(&levels->level[level], memory_order_relaxed)) {
        void *elements = ht_calloc((size_t)1 << (level + base), size);
        if (!elements)
            return NULL;
        atomic_store_explicit(&levels->level[level], elements, memory_order_release);
    }
    return level_find(levels, base, size, i);
}

static void levels_clear(ht_levels *levels) {
    for (size_t i = 0; i < HT_LEVELS; i++)
        ht_release(atomic_load_explicit(&levels->level[i], memory_order_relaxed));
}

/* ---- memory that never moves */

static void *take(text_block **blocks, size_t bytes) {
    text_block *block = *blocks;
    size_t rounded, room;
    if (!ht_add_size(bytes, 7, &rounded))
        return NULL;
    rounded &= ~(size_t)7;
    if (!block || block->room - block->used < rounded) {
        room = rounded > TEXT_BLOCK ? rounded : TEXT_BLOCK;
        if (!ht_add_size(room, sizeof *block, &room) || !(block = ht_alloc(room)))
            return NULL;
        *block = (text_block){.next = *blocks, .room = room - sizeof *block};
        *blocks = block;
    }
    char *at = (char *)(block + 1) + block->used;
    block->used += rounded;
    return at;
}

static void blocks_clear(text_block *block) {
    while (block) {
        text_block *next = block->next;
        ht_release(block);
        block = next;
    }
}

/* ---- the dictionary */

static ht_word *word_at(const ht_dictionary *d, uint32_t code) {
    return level_find(&d->words, WORDS_BASE, sizeof(ht_word), code);
}

/* The code of the text or, UINT32_MAX, none; *at is the place in the table where it is or would be. */
static uint32_t look_up(const ht_dictionary *d, codes_table *table, ht_text text, uint64_t hash, size_t *at) {
    for (*at = (size_t)hash & table->mask;; *at = (*at + 1) & table->mask) {
        uint32_t code = atomic_load_explicit(&table->codes[*at], memory_order_acquire);
        if (!code)
            return UINT32_MAX;
        const ht_word *word = word_at(d, code - 1);
        if (word->hash == hash && word->bytes == text.bytes && memcmp(word->data, text.data, text.bytes) == 0)
            return code - 1;
    }
}

static bool grow_codes(ht_dictionary *d, codes_table *old, uint32_t count) {
    size_t room = old ? 2 * (old->mask + 1) : FIRST_CODES;
    codes_table *fresh = ht_calloc(1, sizeof *fresh + room * sizeof fresh->codes[0]);
    if (!fresh)
        return false;
    fresh->mask = room - 1;
    for (uint32_t code = 0; code < count; code++) {
        size_t at = (size_t)word_at(d, code)->hash & fresh->mask;
        while (atomic_load_explicit(&fresh->codes[at], memory_order_relaxed))
            at = (at + 1) & fresh->mask;
        atomic_store_explicit(&fresh->codes[at], code + 1, memory_order_relaxed);
    }
    atomic_store_explicit(&d->codes, fresh, memory_order_release);
    if (old) {
        old->next = d->retired;
        d->retired = old;
    }
    return true;
}

/* The code of the text, a new one if need be; false without memory. */
static bool encode(ht_dictionary *d, ht_text text, int64_t *out) {
    uint64_t hash = ht_hash64(text.data, text.bytes, 0);
    uint32_t count = atomic_load_explicit(&d->count, memory_order_relaxed);
    codes_table *table = atomic_load_explicit(&d->codes, memory_order_relaxed);
    if (!table || count > table->mask / 2) {
        if (count == UINT32_MAX - 1 || !grow_codes(d, table, count))
            return false;
        table = atomic_load_explicit(&d->codes, memory_order_relaxed);
    }
    size_t at;
    uint32_t code = look_up(d, table, text, hash, &at);
    if (code == UINT32_MAX) {
        ht_word *word = level_make(&d->words, WORDS_BASE, sizeof *word, count);
        char *bytes = word ? take(&d->texts, text.bytes + 1) : NULL;
        if (!bytes)
            return false;
        memcpy(bytes, text.data, text.bytes);
        *word = (ht_word){hash, bytes, text.bytes};
        code = count;
        atomic_store_explicit(&d->count, count + 1, memory_order_release);
        atomic_store_explicit(&table->codes[at], code + 1, memory_order_release);
    }
    *out = code;
    return true;
}

bool ht_column_encode(ht_field_column *column, ht_text text, int64_t *code) {
    return encode(&column->dictionary, text, code);
}

uint32_t ht_column_code(const ht_field_column *column, ht_text text) {
    const ht_dictionary *d = &column->dictionary;
    codes_table *table = atomic_load_explicit(&d->codes, memory_order_acquire);
    size_t at;
    return table ? look_up(d, table, text, ht_hash64(text.data, text.bytes, 0), &at) : UINT32_MAX;
}

ht_text ht_column_word(const ht_field_column *column, uint32_t code) {
    const ht_word *word = word_at(&column->dictionary, code);
    return (ht_text){word->data, word->bytes};
}

/* ---- cells */

const ht_cells *ht_column_cells(const ht_field_column *column, uint64_t block) {
    _Atomic(ht_cells *) *place = level_find(&column->blocks, BLOCKS_BASE, sizeof(*place), block);
    return place ? atomic_load_explicit(place, memory_order_acquire) : NULL;
}

/* What a value that is no array is as a cell; false without memory. */
static bool cell_of(ht_field_column *column, const ht_value *v, uint8_t *type, int64_t *value) {
    *type = (uint8_t)v->type;
    *value = v->type == HT_REAL ? ht_real_key(v->real) : v->type == HT_INT || v->type == HT_BOOL ? v->integer : 0;
    return v->type != HT_STRING || encode(&column->dictionary, v->text, value);
}

ht_cell_list *ht_column_make_list(ht_field_column *column, size_t count) {
    size_t bytes;
    ht_cell_list *list = NULL;
    if (ht_mul_size(count, sizeof list->items[0], &bytes) && ht_add_size(bytes, sizeof *list, &bytes))
        list = take(&column->lists, bytes);
    if (list)
        list->count = count;
    return list;
}

static bool list_of(ht_field_column *column, const json_t *json, int64_t *value) {
    ht_cell_list *list = ht_column_make_list(column, json_array_size(json));
    if (!list)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        ht_value v = ht_value_of(json_array_get(json, i));
        if (!cell_of(column, &v, &list->items[i].type, &list->items[i].value))
            return false;
    }
    *value = (int64_t)(intptr_t)list;
    return true;
}

ht_cells *ht_column_make_cells(ht_field_column *column, uint64_t block) {
    _Atomic(ht_cells *) *place = level_make(&column->blocks, BLOCKS_BASE, sizeof(*place), block);
    ht_cells *cells = place ? atomic_load_explicit(place, memory_order_relaxed) : NULL;
    if (!place || cells)
        return cells;
    cells = ht_calloc(1, sizeof *cells);
    if (!cells)
        return NULL;
    atomic_store_explicit(&cells->types, 1u << HT_MISSING, memory_order_relaxed);
    atomic_store_explicit(place, cells, memory_order_release);
    return cells;
}

static bool set_cell(ht_field_column *column, uint64_t slot, const json_t *metadata) {
    const json_t *json = NULL;
    ht_value v = ht_field_value(&column->field, metadata, &json);
    if (v.type == HT_MISSING && !ht_column_cells(column, slot / HT_CELLS))
        return true;
    ht_cells *cells = ht_column_make_cells(column, slot / HT_CELLS);
    uint8_t type = HT_LIST;
    int64_t value = 0;
    if (!cells || (v.type == HT_LIST ? !list_of(column, json, &value) : !cell_of(column, &v, &type, &value)))
        return false;
    ht_cells_put(cells, slot % HT_CELLS, type, value);
    return true;
}

/* ---- the table */

hither_status ht_columns_init(ht_columns *columns, hither_error *err) {
    atomic_init(&columns->first, NULL);
    atomic_init(&columns->count, 0);
    columns->asked = false;
    int rc = pthread_mutex_init(&columns->build, NULL);
    return rc ? ht_fail_errno(err, rc, "cannot make a lock") : HITHER_OK;
}

static void column_free(ht_field_column *column) {
    for (uint64_t i = 0; i < HT_LEVELS; i++) {
        _Atomic(ht_cells *) *blocks = atomic_load_explicit(&column->blocks.level[i], memory_order_relaxed);
        for (size_t j = 0; blocks && j < (size_t)1 << (i + BLOCKS_BASE); j++)
            ht_release(atomic_load_explicit(&blocks[j], memory_order_relaxed));
    }
    levels_clear(&column->blocks);
    levels_clear(&column->dictionary.words);
    blocks_clear(column->dictionary.texts);
    blocks_clear(column->lists);
    ht_release(atomic_load_explicit(&column->dictionary.codes, memory_order_relaxed));
    while (column->dictionary.retired) {
        codes_table *next = column->dictionary.retired->next;
        ht_release(column->dictionary.retired);
        column->dictionary.retired = next;
    }
    ht_column_sets_free(atomic_load_explicit(&column->sets, memory_order_relaxed));
    ht_release(column->field.keys);
    ht_release(column);
}

void ht_columns_clear(ht_columns *columns) {
    ht_field_column *column = atomic_load_explicit(&columns->first, memory_order_acquire);
    while (column) {
        ht_field_column *next = column->next;
        column_free(column);
        column = next;
    }
    atomic_store_explicit(&columns->first, NULL, memory_order_relaxed);
    pthread_mutex_destroy(&columns->build);
}

ht_field_column *ht_columns_lookup(ht_columns *columns, const ht_field *field) {
    ht_field_column *column = atomic_load_explicit(&columns->first, memory_order_acquire);
    while (column &&
           (column->field.bytes != field->bytes || memcmp(column->field.keys, field->keys, field->bytes) != 0))
        column = column->next;
    return column;
}

static bool covers(const ht_field_column *column, uint64_t limit) {
    return column && atomic_load_explicit(&column->covered, memory_order_acquire) >= limit;
}

bool ht_columns_find(ht_columns *columns, const ht_filter *filter, uint64_t limit, const ht_field_column **found) {
    bool all = true;
    for (uint32_t i = 0; i < filter->field_count; i++) {
        found[i] = ht_columns_lookup(columns, &filter->fields[i]);
        all = all && covers(found[i], limit);
    }
    return all;
}

/* ---- building */

ht_field_column *ht_columns_add(ht_columns *columns, const ht_field *field) {
    ht_field_column *fresh = ht_calloc(1, sizeof *fresh);
    char *keys = ht_memdup(field->keys, field->bytes);
    if (!fresh || !keys) {
        ht_release(keys);
        ht_release(fresh);
        return NULL;
    }
    fresh->field = (ht_field){keys, field->bytes};
    fresh->next = atomic_load_explicit(&columns->first, memory_order_relaxed);
    atomic_fetch_add_explicit(&columns->count, 1, memory_order_relaxed);
    atomic_store_explicit(&columns->first, fresh, memory_order_release);
    return fresh;
}

typedef struct builder {
    ht_columns *columns;
    uint64_t parsed;
    hither_error *err;
} builder;

static hither_status build_row(void *arg, uint64_t slot, ht_text metadata) {
    builder *b = arg;
    json_t *json = NULL;
    if (metadata.data) {
        b->parsed++;
        hither_status status =
            ht_json_parse(metadata.data, metadata.bytes, HITHER_MAX_TEXT_BYTES, "stored metadata", &json, b->err);
        if (status == HITHER_NOMEM)
            return status;
        if (status != HITHER_OK)
            return ht_fail(b->err, HITHER_CORRUPT, "the metadata in slot %llu is no JSON; run `hither verify`",
                           (unsigned long long)slot);
    }
    bool fine = true;
    ht_field_column *column = atomic_load_explicit(&b->columns->first, memory_order_relaxed);
    for (; column && fine; column = column->next)
        if (slot >= atomic_load_explicit(&column->covered, memory_order_relaxed))
            fine = set_cell(column, slot, json);
    json_decref(json);
    return fine ? HITHER_OK : ht_fail_nomem(b->err, sizeof(ht_cells), "a column of metadata");
}

/* Brings every column of the table to at least `limit`. */
static hither_status extend_all(ht_columns *columns, uint64_t limit, const ht_column_source *source, uint64_t *parsed,
                                hither_error *err) {
    builder b = {.columns = columns, .err = err};
    uint64_t begin = limit;
    ht_field_column *first = atomic_load_explicit(&columns->first, memory_order_relaxed);
    for (ht_field_column *column = first; column; column = column->next) {
        uint64_t covered = atomic_load_explicit(&column->covered, memory_order_relaxed);
        begin = covered < begin ? covered : begin;
    }
    HT_TRY(source->rows(source->ctx, begin, limit, build_row, &b, err));
    for (ht_field_column *column = first; column; column = column->next)
        if (atomic_load_explicit(&column->covered, memory_order_relaxed) < limit)
            atomic_store_explicit(&column->covered, limit, memory_order_release);
    *parsed += b.parsed;
    return HITHER_OK;
}

static hither_status cover_locked(ht_columns *columns, const ht_filter *filter, uint64_t limit,
                                  const ht_column_source *source, const ht_field_column **found, bool *complete,
                                  uint64_t *parsed, hither_error *err) {
    if (source->load && !columns->asked)
        source->load(source->ctx);
    columns->asked = true;
    *complete = ht_columns_find(columns, filter, limit, found); /* another thread may have been at it */
    if (*complete)
        return HITHER_OK;
    uint32_t lacking = 0;
    for (uint32_t i = 0; i < filter->field_count; i++)
        lacking += !found[i];
    if (atomic_load_explicit(&columns->count, memory_order_relaxed) + lacking > HT_COLUMNS_MAX)
        return HITHER_OK;
    for (uint32_t i = 0; i < filter->field_count; i++)
        if (!found[i])
            found[i] = ht_columns_add(columns, &filter->fields[i]);
    for (uint32_t i = 0; i < filter->field_count; i++)
        if (!found[i])
            return ht_fail_nomem(err, sizeof(ht_field_column), "a column");
    HT_TRY(extend_all(columns, limit, source, parsed, err));
    *complete = true;
    return HITHER_OK;
}

hither_status ht_columns_cover(ht_columns *columns, const ht_filter *filter, uint64_t limit,
                               const ht_column_source *source, const ht_field_column **found, bool *complete,
                               uint64_t *parsed, hither_error *err) {
    *complete = ht_columns_find(columns, filter, limit, found);
    if (*complete)
        return HITHER_OK;
    pthread_mutex_lock(&columns->build);
    hither_status status = cover_locked(columns, filter, limit, source, found, complete, parsed, err);
    pthread_mutex_unlock(&columns->build);
    return status;
}
