/*
 * progress.c: see progress.h.
 */
#include "base/progress.h"

hither_status ht_progress_step(ht_progress *p, uint64_t done, hither_error *err) {
    if (!p)
        return HITHER_OK;
    p->done += done;
    if (p->call && p->call(p->ctx, p->done, p->total > p->done ? p->total : p->done))
        return ht_fail(err, HITHER_INTERRUPTED, "stopped on request; what was done by then is whole");
    return HITHER_OK;
}

hither_status ht_progress_phase(ht_progress *p, const char *phase, uint64_t more, hither_error *err) {
    if (!p)
        return HITHER_OK;
    p->phase = phase;
    p->total += more;
    return ht_progress_step(p, 0, err);
}
