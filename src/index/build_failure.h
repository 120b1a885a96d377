/*
 * build_failure.h: what went wrong while threads build an index row by row. Every thread stops once one has failed; of
 * the rows that were found not to be finite by then, the one with the least slot is named.
 *
 * Begun by the thread that owns the build; told and asked by any; said by the owner once the others are done.
 */
#ifndef HT_INDEX_BUILD_FAILURE_H
#define HT_INDEX_BUILD_FAILURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct ht_build_failure {
    _Atomic int status;   /* a hither_status */
    _Atomic uint64_t bad; /* the least slot whose row is not finite */
} ht_build_failure;

void ht_build_failure_begin(ht_build_failure *failure);
void ht_build_fail(ht_build_failure *failure, hither_status status);
/* Because of the row at that slot. */
void ht_build_fail_row(ht_build_failure *failure, uint64_t slot, hither_status status);
static inline bool ht_build_failed(ht_build_failure *failure) { return atomic_load(&failure->status) != HITHER_OK; }
/* OK, or the failure as an error; `wanted` is what there was no memory for, if that is it. */
HT_NODISCARD hither_status ht_build_failure_say(ht_build_failure *failure, const char *wanted, hither_error *err);

#endif
