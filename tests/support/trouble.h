/*
 * trouble.h: drives a scenario through failures, and judges each answer. What a failed act may leave behind:
 *   - nothing: the database holds what it held, and the same act done again works, if the trouble is over;
 *   - of a create, the new collection, empty, which could not be opened then;
 *   - or, when the handle says POISONED from then on, it is unknown: after reopening the act took effect or did not.
 * Anything else is an error of the code under test. One thread.
 */
#ifndef HT_TESTS_TROUBLE_H
#define HT_TESTS_TROUBLE_H

#include "scenario.h"

typedef struct trouble {
    const ht_io *io;
    const char *path;
    ht_db *db;
    model sure;  /* what was acknowledged */
    model maybe; /* and, when has_maybe, the act that failed last on top of it */
    bool has_maybe;
    size_t failures;
    hither_status last;                          /* of the last failure */
    bool (*allowed)(hither_status status);       /* for a failed act */
    void (*report)(const char *text, void *ctx); /* called with what went wrong; must not return */
    void *ctx;
} trouble;

/* Does an act while trouble may strike once: on failure judges, tries again, reopens if it must, until it is done. */
void trouble_overcome(trouble *t, const act *a);
/* Does an act while trouble stays: false when it failed. */
bool trouble_try(trouble *t, const act *a);
/* With the trouble over: closes, opens, compares with what may be there, verifies, closes. */
void trouble_settle(trouble *t);

#endif
