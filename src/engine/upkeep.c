/*
 * upkeep.c: the one maintenance thread of a database that is open for writing: it builds what wishes ask for (near.h)
 * when rows have come or gone, and when a database was opened without its caches. It is made on first need, sleeps
 * until it is woken, and works on one collection at a time; searches and writes go on meanwhile.
 */
#include <signal.h>

#include "base/alloc.h"
#include "engine/near.h"

struct ht_upkeep {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    pthread_t thread;
    bool running, work;
    _Atomic bool stop;
};

static int stopped(void *ctx, uint64_t done, uint64_t of) {
    (void)done;
    (void)of;
    return atomic_load_explicit(&((ht_upkeep *)ctx)->stop, memory_order_relaxed);
}

static bool lags(ht_collection *c) {
    ht_scratch *scratch = NULL;
    if (atomic_load_explicit(&c->dropped, memory_order_acquire) ||
        ht_scratch_take(&c->db->scratches, &scratch, NULL) != HITHER_OK)
        return false;
    bool due = ht_near_due(c, ht_snapshot_pin(&c->home, scratch));
    ht_scratch_give(scratch);
    return due;
}

static bool is_due(ht_collection *c) { return atomic_load_explicit(&c->asked.due, memory_order_acquire) || lags(c); }

/* The next collection after the one with number `after` for which something is due, counted. */
static ht_collection *next_due(ht_db *db, int64_t after) {
    for (;;) {
        ht_collection *next = NULL;
        pthread_mutex_lock(&db->table);
        for (ht_collection *c = db->collections; c; c = c->next)
            if (c->cid > after && (!next || c->cid < next->cid))
                next = c;
        if (next)
            ht_collection_ref(next);
        pthread_mutex_unlock(&db->table);
        if (!next || is_due(next))
            return next;
        after = next->cid;
        ht_collection_unref(next);
    }
}

static void work(ht_db *db, ht_upkeep *u) {
    int64_t after = 0;
    ht_collection *c;
    while (!atomic_load(&u->stop) && (c = next_due(db, after))) {
        ht_progress progress = {.call = stopped, .ctx = u};
        bool measured = !atomic_exchange_explicit(&c->asked.due, false, memory_order_acq_rel);
        hither_status ignored = HITHER_OK; /* without what is made here, search is exact */
        if (lags(c))
            ignored = ht_near_build(c, &progress, NULL);
        else if (!measured)
            ignored = ht_near_measure(c, NULL);
        (void)ignored;
        after = c->cid;
        ht_collection_unref(c);
    }
}

static void *keep_up(void *arg) {
    ht_db *db = arg;
    ht_upkeep *u = db->upkeep;
    pthread_mutex_lock(&u->lock);
    while (!atomic_load(&u->stop)) {
        if (!u->work) {
            pthread_cond_wait(&u->woken, &u->lock);
            continue;
        }
        u->work = false;
        pthread_mutex_unlock(&u->lock);
        work(db, u);
        pthread_mutex_lock(&u->lock);
    }
    pthread_mutex_unlock(&u->lock);
    return NULL;
}

ht_upkeep *ht_upkeep_new(void) {
    ht_upkeep *u = ht_calloc(1, sizeof *u);
    if (!u)
        return NULL;
    (void)pthread_mutex_init(&u->lock, NULL);
    (void)pthread_cond_init(&u->woken, NULL);
    atomic_init(&u->stop, false);
    return u;
}

void ht_upkeep_wake(ht_db *db) {
    ht_upkeep *u = db->upkeep;
    if (db->readonly || !u)
        return;
    pthread_mutex_lock(&u->lock);
    u->work = true;
    if (!u->running && !atomic_load(&u->stop)) {
        sigset_t all, before;
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the host's threads */
        u->running = pthread_create(&u->thread, NULL, keep_up, db) == 0;
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_cond_signal(&u->woken);
    pthread_mutex_unlock(&u->lock);
}

void ht_upkeep_stop(ht_db *db) {
    ht_upkeep *u = db->upkeep;
    if (!u)
        return;
    pthread_mutex_lock(&u->lock);
    atomic_store(&u->stop, true);
    pthread_cond_signal(&u->woken);
    bool running = u->running;
    u->running = false;
    pthread_mutex_unlock(&u->lock);
    if (running)
        (void)pthread_join(u->thread, NULL);
}

void ht_upkeep_free(ht_db *db, bool ours) {
    ht_upkeep *u = db->upkeep;
    if (u && ours) {
        (void)pthread_cond_destroy(&u->woken);
        (void)pthread_mutex_destroy(&u->lock);
    }
    ht_release(u);
    db->upkeep = NULL;
}
