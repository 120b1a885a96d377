/*
 * met_rows.h: rows that searches answered with lately, by slot, so that the next answer need not go to the catalog for
 * them. What is in a slot never changes, so what is here stays true.
 *
 * Of a row with nothing but an integer id, that is kept, in blocks of slots. A row with metadata, a document or a text
 * id is kept whole while it is short and there is room: the first HT_MET_ROWS_BYTES that were met stay.
 *
 * Any thread, without a lock: a number is stored before its bit is set (release), and read after the bit (acquire); a
 * row is complete before it is linked in, and nothing is taken out before the end.
 */
#ifndef HT_ENGINE_MET_ROWS_H
#define HT_ENGINE_MET_ROWS_H

#include <stdatomic.h>

#include "store/store.h"

#define HT_MET_ROWS_LEVELS 40u
#define HT_MET_ROWS_BYTES  ((size_t)4 << 20) /* of rows kept whole, a collection */

typedef struct ht_met_rows {
    _Atomic(void *) levels[HT_MET_ROWS_LEVELS]; /* of ids; level i: 2^i blocks, or NULL */
    _Atomic(void *) whole;                      /* heads of lists of rows, by slot, or NULL */
    _Atomic size_t bytes;                       /* of the rows in them */
} ht_met_rows;

void ht_met_rows_clear(ht_met_rows *rows); /* nobody uses it any more */
bool ht_met_rows_id(const ht_met_rows *rows, uint64_t slot, int64_t *id);
/* The row as ht_reader_row gives it, good until the end. */
bool ht_met_rows_find(const ht_met_rows *rows, uint64_t slot, ht_row *out);
void ht_met_rows_note_id(ht_met_rows *rows, uint64_t slot, int64_t id);
/* Without memory, nothing is noted. */
void ht_met_rows_note(ht_met_rows *rows, const ht_row *row);

#endif
