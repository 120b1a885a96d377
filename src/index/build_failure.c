/*
 * build_failure.c: see build_failure.h.
 */
#include "index/build_failure.h"

void ht_build_failure_begin(ht_build_failure *failure) {
    atomic_init(&failure->status, HITHER_OK);
    atomic_init(&failure->bad, UINT64_MAX);
}

void ht_build_fail(ht_build_failure *failure, hither_status status) { atomic_store(&failure->status, (int)status); }

void ht_build_fail_row(ht_build_failure *failure, uint64_t slot, hither_status status) {
    uint64_t least = atomic_load(&failure->bad);
    while (status == HITHER_NOT_FINITE && slot < least && !atomic_compare_exchange_weak(&failure->bad, &least, slot))
        ;
    ht_build_fail(failure, status);
}

hither_status ht_build_failure_say(ht_build_failure *failure, const char *wanted, hither_error *err) {
    const hither_status status = (hither_status)atomic_load(&failure->status);
    if (status == HITHER_OK)
        return status;
    if (status == HITHER_NOT_FINITE)
        return ht_fail(err, status, "the row at slot %llu is not finite",
                       (unsigned long long)atomic_load(&failure->bad));
    return status == HITHER_NOMEM ? ht_fail_nomem(err, 0, wanted)
                                  : ht_fail(err, status, "a row could not be read; search it to see why");
}
