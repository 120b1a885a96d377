/*
 * progress.h: how a long piece of work tells how far it is, and is stopped. One thread: the one that works.
 */
#ifndef HT_BASE_PROGRESS_H
#define HT_BASE_PROGRESS_H

#include "base/error.h"

typedef struct ht_progress {
    int (*call)(void *ctx, uint64_t done, uint64_t total); /* NULL: none; not 0 stops */
    void *ctx;
    const char *phase; /* what is being done, in a word or two; NULL: not said */
    uint64_t done, total;
    uint32_t wait_ms, waited_ms; /* for readers that are in the way of a purge */
} ht_progress;

/* Tells of `done` more; INTERRUPTED if the callback wants it. No lock may be held. progress NULL: nobody asks. */
HT_NODISCARD hither_status ht_progress_step(ht_progress *progress, uint64_t done, hither_error *err);
/* What is done from here on, `more` of it. progress NULL: nobody asks. */
HT_NODISCARD hither_status ht_progress_phase(ht_progress *progress, const char *phase, uint64_t more,
                                             hither_error *err);

#endif
