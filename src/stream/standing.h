/*
 * standing.h: standing queries: vectors with a radius each, held against every record that comes. The set is an array
 * of rows like any other, searched exactly with the record as the query, so that a record costs one pass over 4-bit
 * codes however many queries there are, and up to 64 records share it. What must stay true: a record matches a query if
 * and only if D, rounded to f32, is at most that query's radius.
 *
 * A set does not change once made; windows hold it by counts. Its cache of what known forms match is the one
 * exception: only the holder of the window's mutex passes forms. A matcher is of one thread. The caller is between
 * ht_fp_enter and ht_fp_leave.
 */
#ifndef HT_STREAM_STANDING_H
#define HT_STREAM_STANDING_H

#include <stdbool.h>

#include "base/error.h"
#include "base/result.h"
#include "index/exact.h"

#define HT_STANDING_MOST 100000u

typedef struct ht_standing ht_standing;

/* rows: count rows of stride bytes (dim floats, zeros behind them), aligned, which the set takes over, also when making
 * it fails; radius: one each, copied. first_only: only records whose form was not in the window are asked for. NOMEM.
 */
HT_NODISCARD hither_status ht_standing_new(float *rows, size_t stride, uint32_t dim, const float *radius,
                                           uint32_t count, bool first_only, ht_standing **out, hither_error *err);
ht_standing *ht_standing_acquire(ht_standing *s); /* s may be NULL */
void ht_standing_release(ht_standing *s);

typedef struct ht_matcher ht_matcher;

/* Matches go to the result, a group a record, by D and then by number. s may be NULL: nothing matches. NOMEM. */
HT_NODISCARD hither_status ht_matcher_new(ht_standing *s, size_t stride, uint32_t dim, hither_result *result,
                                          ht_matcher **out, hither_error *err);
/* The next record. form: what ht_form.birth is, or 0; known: its form was in the window before it. */
HT_NODISCARD hither_status ht_matcher_add(ht_matcher *m, const float *vector, uint64_t form, bool known,
                                          hither_error *err);
/* After the last record. NOMEM. */
HT_NODISCARD hither_status ht_matcher_finish(ht_matcher *m, hither_error *err);
void ht_matcher_free(ht_matcher *m);

#endif
