/*
 * column_sets.c: see column_sets.h. Two passes over the cells: one counts each value, one writes the slots down.
 */
#include "engine/column_sets.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

enum {
    ASKED = 3,        /* filters, before sets are worth making */
    LEAST = 4096 * 2, /* slots */
    ROOM = 4096       /* of the table of values: four times as many */
};

typedef struct counting {
    const ht_field_column *column;
    uint64_t upto;
    uint16_t table[ROOM]; /* a value's number plus one */
    ht_value_set values[HT_MOST_VALUES];
    uint32_t count;
} counting;

static uint64_t hash_of(uint8_t type, int64_t value) { return ht_mix64((uint64_t)value * 8 + type); }

/* The number of a value, a new one if need be; HT_MOST_VALUES: there is no room for it. */
static uint32_t number_of(counting *c, uint8_t type, int64_t value) {
    if (type == HT_LIST)
        value = 0;
    size_t at = hash_of(type, value) % ROOM;
    for (; c->table[at]; at = (at + 1) % ROOM) {
        const ht_value_set *v = &c->values[c->table[at] - 1];
        if (v->type == type && v->value == value)
            return c->table[at] - 1u;
    }
    if (c->count == HT_MOST_VALUES)
        return HT_MOST_VALUES;
    c->values[c->count] = (ht_value_set){.type = type, .value = value};
    c->table[at] = (uint16_t)(c->count + 1);
    return c->count++;
}

static bool count_all(counting *c) {
    for (uint64_t block = 0; block * HT_CELLS < c->upto; block++) {
        const ht_cells *cells = ht_column_cells(c->column, block);
        for (size_t i = 0; cells && i < HT_CELLS; i++) {
            if (cells->type[i] == HT_MISSING)
                continue;
            uint32_t number = number_of(c, cells->type[i], cells->value[i]);
            if (number == HT_MOST_VALUES)
                return false;
            c->values[number].count++;
        }
    }
    return true;
}

static void write_all(counting *c, ht_column_sets *sets) {
    for (uint64_t block = 0; block * HT_CELLS < c->upto; block++) {
        const ht_cells *cells = ht_column_cells(c->column, block);
        for (size_t i = 0; cells && i < HT_CELLS; i++) {
            if (cells->type[i] == HT_MISSING)
                continue;
            ht_value_set *set = &sets->sets[number_of(c, cells->type[i], cells->value[i])];
            uint64_t slot = block * HT_CELLS + i;
            if (set->dense)
                sets->bits[set->at + slot / 64] |= (uint64_t)1 << slot % 64;
            else
                sets->slots[set->at + set->count++] = (uint32_t)slot;
        }
    }
}

static ht_column_sets *make(counting *c) {
    uint64_t slots = 0, words = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        ht_value_set *v = &c->values[i];
        v->dense = (uint64_t)v->count * 32 > c->upto && v->type != HT_LIST; /* then bits take less than a list */
        v->at = v->dense ? words : slots;
        words += v->dense ? c->upto / 64 : 0;
        slots += v->dense ? 0 : v->count;
    }
    ht_column_sets *sets = ht_calloc(1, sizeof *sets + c->count * sizeof sets->sets[0]);
    if (!sets)
        return NULL;
    sets->upto = c->upto;
    sets->count = c->count;
    sets->slots = ht_alloc((size_t)slots * sizeof *sets->slots + 1);
    sets->bits = ht_calloc((size_t)words + 1, sizeof *sets->bits);
    if (!sets->slots || !sets->bits) {
        ht_column_sets_free(sets);
        return NULL;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        sets->sets[i] = c->values[i];
        sets->sets[i].count = c->values[i].dense ? c->values[i].count : 0; /* counted again as they are written */
    }
    write_all(c, sets);
    return sets;
}

/* Under the build lock. */
static void build(ht_field_column *column, uint64_t upto) {
    counting *c = ht_calloc(1, sizeof *c);
    if (!c)
        return;
    c->column = column;
    c->upto = upto;
    if (!count_all(c)) {
        atomic_store_explicit(&column->many, true, memory_order_relaxed);
    } else {
        ht_column_sets *sets = make(c);
        if (sets) {
            sets->older = atomic_load_explicit(&column->sets, memory_order_relaxed);
            atomic_store_explicit(&column->sets, sets, memory_order_release);
        }
    }
    ht_release(c);
}

const ht_column_sets *ht_column_sets_of(ht_columns *columns, const ht_field_column *column) {
    ht_field_column *own = (ht_field_column *)(uintptr_t)column; /* its atomics, and under the lock its sets */
    ht_column_sets *sets = atomic_load_explicit(&own->sets, memory_order_acquire);
    uint64_t covered = atomic_load_explicit(&own->covered, memory_order_acquire) / HT_CELLS * HT_CELLS;
    bool due = covered >= LEAST && covered <= UINT32_MAX && (!sets || sets->upto * 2 <= covered) &&
               !atomic_load_explicit(&own->many, memory_order_relaxed);
    if (!due || atomic_fetch_add_explicit(&own->asked, 1, memory_order_relaxed) < ASKED)
        return sets;
    if (pthread_mutex_trylock(&columns->build) != 0)
        return sets;
    if (atomic_load_explicit(&own->sets, memory_order_relaxed) == sets)
        build(own, covered);
    pthread_mutex_unlock(&columns->build);
    return atomic_load_explicit(&own->sets, memory_order_acquire);
}

void ht_column_sets_free(ht_column_sets *sets) {
    while (sets) {
        ht_column_sets *older = sets->older;
        ht_release(sets->slots);
        ht_release(sets->bits);
        ht_release(sets);
        sets = older;
    }
}

void ht_value_set_mark(const ht_column_sets *sets, const ht_value_set *set, uint64_t *words) {
    if (set->dense) {
        for (uint64_t w = 0; w < sets->upto / 64; w++)
            words[w] |= sets->bits[set->at + w];
        return;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t slot = sets->slots[set->at + i];
        words[slot / 64] |= (uint64_t)1 << slot % 64;
    }
}
