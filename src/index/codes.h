/*
 * codes.h: 4-bit codes of f32 rows: an eighth of the bytes, from which exact search proves nearly every row out
 * (docs/decisions/0007-codes.md). A cache: made from rows alone, the same bytes on every machine, never on disk as the
 * only copy of anything.
 *
 * Rows are coded in blocks of HT_CODE_ROWS (64), each block written once and whole. Pure functions; any thread; the
 * caller is between ht_fp_enter and ht_fp_leave.
 */
#ifndef HT_INDEX_CODES_H
#define HT_INDEX_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* Bytes for the codes of `rows` rows (a multiple of 64 is coded; a rest is left out); 0 if that overflows. */
size_t ht_codes_bytes(size_t rows, size_t dim);

/* Codes rows [begin, end) into `codes`, which has ht_codes_bytes for at least end rows and is aligned to 64 bytes.
 * begin and end are multiples of 64; row 0 is at `rows`. */
void ht_codes_make(const void *rows, size_t stride, size_t dim, size_t begin, size_t end, void *codes);

/* The same of one f32 row, as row r of a block, which it alone is written to. */
void ht_codes_make_row(const float *row, size_t dim, void *block, size_t r);
/* Copies row r of a block to row `to` of another. */
void ht_codes_copy_row(const void *block, size_t r, size_t dim, void *other, size_t to);

/* The same of f64 rows, of at most HT_CODES_MOST_F64_DIM dimensions: codes of the rows rounded to f32, whose rests
 * allow for the rounding. */
enum { HT_CODES_MOST_F64_DIM = 8192 };
void ht_codes_make_f64(const void *rows, size_t stride, size_t dim, size_t begin, size_t end, void *codes);

/* A query prepared for codes; `room` holds ht_code_query_room(dim) bytes and lives as long as it. false where codes
 * are no use: the query is zero, beyond the range in which the proof holds, or one byte an element is too coarse for
 * it. *error is |q - s * query| / |q|, rounded up. qq is the reference dot of the query with itself. */
size_t ht_code_query_room(size_t dim);
bool ht_code_query_make(const float *query, size_t dim, double qq, int8_t *room, ht_code_query *out, double *error);

#endif
