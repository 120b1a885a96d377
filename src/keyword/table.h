/*
 * table.h: the postings of a collection: a few parts, one after another, that cover slots [0, covered). New rows come
 * as a new part; neighbours of like size are merged, so that there are about as many parts as the number of rows has
 * bits. A row version never changes, so what a part says of a slot is final, of dead ones too.
 *
 * Any thread. Whoever needs rows that are not covered yet reads them under the build lock; a reader of what is there
 * holds the parts by their counts and takes `lock` for as long as that takes. A writer never takes either.
 */
#ifndef HT_KEYWORD_TABLE_H
#define HT_KEYWORD_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "keyword/postings.h"

typedef struct ht_keyword_table {
    pthread_mutex_t build, lock;
    _Atomic uint64_t covered;
    ht_postings **parts; /* under lock; changed under build as well */
    size_t count;
    bool asked; /* under build: the source has been asked to load what was kept */
} ht_keyword_table;

/* Where documents come from: calls each(arg, slot, document) for the rows there are in [begin, end), by rising slot. */
typedef struct ht_document_source {
    hither_status (*rows)(void *ctx, uint64_t begin, uint64_t end,
                          hither_status (*each)(void *arg, uint64_t slot, ht_text document), void *arg,
                          hither_error *err);
    void *ctx;
    void (*load)(void *ctx); /* adopts what was kept, if anything; NULL: nothing is. Called once, under build */
} ht_document_source;

/* Parts that are held. */
typedef struct ht_keyword_view {
    ht_postings **parts;
    size_t count;
} ht_keyword_view;

HT_NODISCARD hither_status ht_keyword_table_init(ht_keyword_table *table, hither_error *err);
void ht_keyword_table_clear(ht_keyword_table *table); /* nobody uses it any more */

/* Whether slots [0, limit) are covered. Takes no lock. */
bool ht_keyword_table_covers(const ht_keyword_table *table, uint64_t limit);
/* Covers them; *read (added to) counts the documents that this took. NOMEM, or what the source returned. */
HT_NODISCARD hither_status ht_keyword_table_cover(ht_keyword_table *table, uint64_t limit,
                                                  const ht_document_source *source, uint64_t *read, hither_error *err);
/* Takes over parts that cover [0, end) of the last, where nothing is covered yet; false where something is. The array
 * and the parts are the table's then. Under `build`. */
bool ht_keyword_table_adopt(ht_keyword_table *table, ht_postings **parts, size_t count);
/* The same without the rows that `needed` leaves out, into `to`, which is empty and nobody else's yet; it covers less
 * where `needed` ends before. Waits for whoever is making parts. NOMEM, TOO_LARGE: `to` is only to be cleared. */
HT_NODISCARD hither_status ht_keyword_table_copy(ht_keyword_table *from, const ht_mask *needed, ht_keyword_table *to,
                                                 hither_error *err);
/* What there is now. NOMEM. */
HT_NODISCARD hither_status ht_keyword_table_view(ht_keyword_table *table, ht_keyword_view *out, hither_error *err);
void ht_keyword_view_clear(ht_keyword_view *view);

#endif
