/*
 * trouble.c: see trouble.h.
 */
#include "trouble.h"

#include <stdio.h>

static void report(trouble *t, const act *a, const char *what, hither_status status, const char *detail) {
    char description[200] = "the end", text[1200];
    if (a)
        act_describe(a, description, sizeof description);
    snprintf(text, sizeof text, "%s: %s: %s: %s", description, what, hither_status_name(status), detail);
    t->report(text, t->ctx);
}

static bool attempt(trouble *t, const act *a, hither_error *err) {
    hither_status status = act_do(t->io, t->path, &t->db, a, err);
    if (status == HITHER_OK) {
        model_apply(&t->sure, a);
        t->has_maybe = false;
        return true;
    }
    t->failures++;
    t->last = status;
    if (!t->allowed(status))
        report(t, a, "fails with a status it must not have", status, err->message);
    if ((int32_t)status != err->status || err->message[0] == '\0')
        report(t, a, "fails without saying why", status, err->message);
    return false;
}

/* After a reopen: which of the two it is. */
static bool look(trouble *t, const act *a) {
    char why[700];
    int which = scenario_compare(t->db, &t->sure, t->has_maybe ? &t->maybe : NULL, why, sizeof why);
    if (which < 0)
        report(t, a, "after reopening", HITHER_CORRUPT, why);
    if (which == 1)
        t->sure = t->maybe;
    t->has_maybe = false;
    return which == 1;
}

static void reopen(trouble *t, const act *a) {
    hither_error err = {0};
    const act open = {.kind = ACT_OPEN};
    hither_status status = act_do(t->io, t->path, &t->db, &open, &err);
    if (status != HITHER_OK)
        report(t, a, "cannot be reopened", status, err.message);
}

static void suspect(trouble *t, const act *a) {
    t->maybe = t->sure;
    model_apply(&t->maybe, a);
    t->has_maybe = true;
}

void trouble_overcome(trouble *t, const act *a) {
    hither_error err = {0};
    char why[700];
    if (attempt(t, a, &err))
        return;
    if (a->kind == ACT_OPEN) {
        reopen(t, a);
        look(t, a);
        return;
    }
    /* The trouble is over. The handle shows the state before (a collection may have been made, and then not opened),
     * ... */
    suspect(t, a);
    int which = scenario_compare(t->db, &t->sure, a->kind == ACT_CREATE ? &t->maybe : NULL, why, sizeof why);
    if (which < 0)
        report(t, a, "the handle shows half of a failed act", t->last, why);
    if (which == 1) {
        t->sure = t->maybe;
        t->has_maybe = false;
        return;
    }
    t->has_maybe = false;
    /* ... and works, or says that it does not. */
    hither_status status = act_do(t->io, t->path, &t->db, a, &err);
    if (status == HITHER_OK) {
        model_apply(&t->sure, a);
        return;
    }
    if (status != HITHER_POISONED)
        report(t, a, "done again without trouble", status, err.message);
    suspect(t, a);
    reopen(t, a);
    if (look(t, a))
        return;
    status = act_do(t->io, t->path, &t->db, a, &err);
    if (status != HITHER_OK)
        report(t, a, "done again after reopening", status, err.message);
    model_apply(&t->sure, a);
}

bool trouble_try(trouble *t, const act *a) {
    hither_error err = {0};
    if (attempt(t, a, &err))
        return true;
    if (a->kind != ACT_OPEN)
        suspect(t, a);
    return false;
}

void trouble_settle(trouble *t) {
    hither_error err = {0};
    reopen(t, NULL);
    look(t, NULL);
    hither_status status = ht_db_verify(t->db, NULL, NULL, &err);
    if (status != HITHER_OK)
        report(t, NULL, "verify", status, err.message);
    ht_db_close(t->db);
    t->db = NULL;
}
