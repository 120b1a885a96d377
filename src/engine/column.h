/*
 * column.h: the values of metadata fields by slot, typed, in memory: what filters scan instead of JSON. A cache in the
 * sense of the design: made from the rows on first need, never of any weight for what is true.
 *
 * A column covers slots [0, covered). A row version never changes, so what a column says of a slot is final; it says it
 * of dead rows too. Columns grow in place, at the end: cells past `covered` belong to the thread that holds the table's
 * build lock, and `covered` is stored (release) after them. Whoever loads it (acquire) may read all cells below it
 * without a lock, for as long as the collection lives: nothing a reader can reach is ever moved or freed.
 *
 * Any thread. Only threads that need a column to grow take the build lock; a writer never does.
 */
#ifndef HT_ENGINE_COLUMN_H
#define HT_ENGINE_COLUMN_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/mask.h"
#include "engine/filter.h"

#define HT_CELLS 4096u /* slots of a block of cells */

/* A cell's value: BOOL 0 or 1; INT itself; REAL its ht_real_key; STRING a code of the dictionary; LIST the address of
 * an ht_cell_list; others 0. */
typedef struct ht_cells {
    _Atomic uint32_t types; /* bit t: some cell is of type t; may say so too early, never too late */
    uint8_t type[HT_CELLS];
    int64_t value[HT_CELLS];
} ht_cells;

typedef struct ht_cell_list {
    size_t count;
    struct {
        int64_t value;
        uint8_t type;
    } items[];
} ht_cell_list;

/* Numbers that grow without moving: level i has 2^(i + base) of them. */
#define HT_LEVELS 40
typedef struct ht_levels {
    _Atomic(void *) level[HT_LEVELS];
} ht_levels;

typedef struct ht_word {
    uint64_t hash;
    const char *data;
    size_t bytes;
} ht_word;

/* The distinct strings of a column, numbered as they came. */
typedef struct ht_dictionary {
    ht_levels words;
    _Atomic uint32_t count;           /* of words, those past `covered` included */
    _Atomic(struct ht_codes *) codes; /* a hash table of code + 1 */
    struct ht_codes *retired;         /* smaller ones, which readers may still be in */
    struct ht_text_block *texts;      /* the bytes; the newest block first */
} ht_dictionary;

typedef struct ht_column_sets ht_column_sets;

typedef struct ht_field_column {
    struct ht_field_column *next; /* fixed once in the list */
    ht_field field;
    _Atomic uint64_t covered;
    ht_levels blocks; /* of pointers to ht_cells; NULL: all cells are missing */
    ht_dictionary dictionary;
    struct ht_text_block *lists;
    _Atomic(ht_column_sets *) sets; /* column_sets.h; NULL: none yet */
    _Atomic uint32_t asked;         /* how often sets would have helped */
    _Atomic bool many;              /* it has too many values for them */
} ht_field_column;

#define HT_COLUMNS_MAX 64u /* of a collection; filters on yet other fields look at the rows */

typedef struct ht_columns {
    _Atomic(ht_field_column *) first;
    _Atomic uint32_t count;
    pthread_mutex_t build;
    bool asked; /* under build: the source has been asked to load what was kept */
} ht_columns;

/* Where rows come from: calls each(arg, slot, metadata) for the rows there are in [begin, end), by rising slot. */
typedef struct ht_column_source {
    hither_status (*rows)(void *ctx, uint64_t begin, uint64_t end,
                          hither_status (*each)(void *arg, uint64_t slot, ht_text metadata), void *arg,
                          hither_error *err);
    void *ctx;
    void (*load)(void *ctx); /* puts in what was kept, if anything (column_kept.h); NULL: nothing is. Called once */
} ht_column_source;

HT_NODISCARD hither_status ht_columns_init(ht_columns *columns, hither_error *err);
void ht_columns_clear(ht_columns *columns); /* nobody reads any more */

/* The filter's columns, found[i] for its field i, or NULL where there is none yet; true if all are there and cover
 * `limit` slots. Takes no lock. */
bool ht_columns_find(ht_columns *columns, const ht_filter *filter, uint64_t limit, const ht_field_column **found);
/* The same, but what lacks is read from the source: one pass over the rows that any column lacks, each parsed once for
 * all columns. *parsed (added to) counts them. *complete is false where there are too many columns already. CORRUPT
 * (the row's metadata is no JSON), NOMEM, or what the source returned. */
HT_NODISCARD hither_status ht_columns_cover(ht_columns *columns, const ht_filter *filter, uint64_t limit,
                                            const ht_column_source *source, const ht_field_column **found,
                                            bool *complete, uint64_t *parsed, hither_error *err);

/* Copies what the columns say of the slots in `needed` into `to`, which is empty and nobody else's yet; it does not
 * cover what is past the limit of `needed`. Waits for whoever is making columns. NOMEM: `to` is only to be cleared. */
HT_NODISCARD hither_status ht_columns_copy(ht_columns *from, const ht_mask *needed, ht_columns *to, hither_error *err);

/* The cells of slots [block * HT_CELLS, ...); NULL: all missing. */
const ht_cells *ht_column_cells(const ht_field_column *column, uint64_t block);
/* The code of a string, UINT32_MAX if no covered row has it. */
uint32_t ht_column_code(const ht_field_column *column, ht_text text);
ht_text ht_column_word(const ht_field_column *column, uint32_t code);

/* Orders doubles as themselves, both zeros the same, neighbours one apart; x is not NaN. */
static inline int64_t ht_real_key(double x) {
    int64_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    if ((bits & INT64_MAX) == 0)
        return 0;
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

#endif
