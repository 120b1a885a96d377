/*
 * group.c: the write path, in order:
 *
 *   check the batch -> queue -> (leader) writer lock -> BEGIN -> for each batch: find what is replaced, give out slots,
 *   new segments if needed, write rows and sums, rows and kills -> sync -> segment lengths, collection rows -> COMMIT
 * -> publish -> everybody returns
 *
 * SQLite's COMMIT is the only commit point. Everything that could fail is done before it, so that publishing cannot.
 *
 * A batch that is refused (EXISTS, NOT_FOUND, ids of another kind) is refused before it has changed anything, and the
 * others go on without it. Any other failure undoes the whole group, and each batch is then tried alone, so that one
 * writer's trouble (memory, space) is not another's. Only where the store is poisoned, and nothing can be tried again,
 * does everyone get the one error.
 *
 * Batches of one collection are written in the order they came; batches of different collections may change places,
 * which nobody can see, for nobody was answered before.
 */
#include "engine/group.h"

#include <time.h>

#include "engine/commit.h"
#include "engine/later.h"
#include "kernels/kernels.h"

typedef ht_request request;

void ht_queue_init(ht_queue *queue) {
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_cond_init(&queue->moved, NULL);
    pthread_condattr_t steady;
    (void)pthread_condattr_init(&steady);
    (void)pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->work, &steady);
    (void)pthread_condattr_destroy(&steady);
    queue->first = NULL;
    queue->last = &queue->first;
}

void ht_queue_destroy(ht_queue *queue) {
    (void)pthread_cond_destroy(&queue->work);
    (void)pthread_cond_destroy(&queue->moved);
    (void)pthread_mutex_destroy(&queue->lock);
}

/* ---- one transaction */

/* A refusal, which leaves the transaction as it was. */
static bool is_refusal(hither_status status) {
    return status == HITHER_EXISTS || status == HITHER_NOT_FOUND || status == HITHER_INVALID ||
           status == HITHER_SYNTAX || status == HITHER_TOO_LARGE || status == HITHER_STALE ||
           status == HITHER_DIMENSION;
}

/* OK if the batch is in the transaction or was refused, which r->status says; otherwise the transaction is spoilt. */
static hither_status take(ht_share *share, request *r, hither_error *err) {
    ht_standing standing = ht_share_standing(share);
    r->taken = true;
    r->status = r->write ? ht_write_resolve(r->write, &standing, &r->error)
                : r->ids ? ht_id_kind_check(share->row.id_kind, r->ids, &r->error)
                         : HITHER_OK;
    if (is_refusal(r->status))
        return HITHER_OK;
    if (r->status == HITHER_OK)
        r->status = r->write ? ht_share_put(share, r->write, &r->error)
                             : ht_share_delete(share, r->ids, r->filter, &r->deleted, &r->error);
    if (r->status != HITHER_OK && err)
        *err = r->error;
    return r->status;
}

/* Takes every batch of the first collection that has one left. */
static hither_status take_collection(request *first, ht_share **shares, hither_error *err) {
    ht_collection *c = first->c;
    ht_share *share;
    HT_TRY(ht_share_new(c, &share, err));
    share->next = *shares;
    *shares = share;
    for (request *r = first; r; r = r->next) {
        if (r->c == c)
            HT_TRY(take(share, r, err));
    }
    return HITHER_OK;
}

static hither_status take_all(request *group, ht_share **shares, hither_error *err) {
    for (request *r = group; r; r = r->next) {
        if (r->taken || !r->c) {
            r->taken = true;
            continue;
        }
        if (atomic_load_explicit(&r->c->dropped, memory_order_acquire)) {
            r->taken = true;
            r->status = ht_fail(&r->error, HITHER_NOT_FOUND, "the collection was dropped");
            continue;
        }
        HT_TRY(take_collection(r, shares, err));
    }
    return HITHER_OK;
}

/* Drops the shares in which nothing changed. */
static void drop_unchanged(ht_share **shares) {
    for (ht_share **link = shares; *link;) {
        ht_share *share = *link;
        if (ht_share_changed(share)) {
            link = &share->next;
            continue;
        }
        *link = share->next;
        ht_share_free(share);
    }
}

static hither_status commit(ht_store *store, ht_share *shares, hither_error *err) {
    for (ht_share *t = shares; t; t = t->next)
        HT_TRY(ht_share_ready(t, err));
    HT_TRY(ht_share_sync(shares, err));
    for (ht_share *t = shares; t; t = t->next)
        HT_TRY(ht_share_record(t, err));
    HT_TRY(ht_txn_commit(store, err));
    for (ht_share *t = shares; t; t = t->next)
        ht_share_publish(t);
    return HITHER_OK;
}

/* On OK each request has its own answer; otherwise nothing was changed, or the store is poisoned. */
static hither_status run(ht_store *store, request *group, hither_error *err) {
    ht_share *shares = NULL;
    for (request *r = group; r; r = r->next)
        r->taken = false;
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = take_all(group, &shares, err);
    if (status == HITHER_OK)
        drop_unchanged(&shares);
    if (status == HITHER_OK && shares)
        status = commit(store, shares, err);
    if (status != HITHER_OK || !shares)
        ht_txn_rollback(store);
    while (shares) {
        ht_share *next = shares->next;
        ht_share_free(shares);
        shares = next;
    }
    return status;
}

static void answer(request *r, hither_status status, const hither_error *error) {
    r->status = status;
    r->error = *error;
}

static void run_group(ht_store *store, request *group) {
    hither_error failure, error;
    hither_status status = run(store, group, &failure);
    if (status == HITHER_OK)
        return;
    if (!group->next) {
        answer(group, status, &failure);
        return;
    }
    for (request *r = group, *next; r; r = next) {
        next = r->next;
        r->next = NULL;
        hither_status alone = run(store, r, &error);
        if (alone == HITHER_POISONED)
            answer(r, status, &failure);
        else if (alone != HITHER_OK)
            answer(r, alone, &error);
        r->next = next;
        /* What nobody waits for is tried again; nothing overtakes it. */
        for (request *rest = next; alone != HITHER_OK && r->detached && rest; rest = next = rest->next)
            answer(rest, r->status, &r->error);
    }
}

/* ---- the queue */

/* The batches that wait, as far as they fit a group; under the queue's lock. A delete by filter is one by itself: it
 * looks at what is committed. */
static request *take_waiting(ht_queue *queue) {
    request *group = queue->first, *last = group;
    size_t bytes = group->bytes;
    while (!group->filter && last->next && !last->next->filter && bytes + last->next->bytes <= HT_GROUP_BYTES) {
        last = last->next;
        bytes += last->bytes;
    }
    queue->first = last->next;
    if (!queue->first)
        queue->last = &queue->first;
    last->next = NULL;
    return group;
}

void ht_queue_add(ht_queue *queue, request *r) {
    *queue->last = r;
    queue->last = &r->next;
    if (r->detached) {
        queue->bytes += r->bytes;
        queue->rows += r->rows;
    }
}

/* Requests that could not be committed and nobody waits for go back to the head. Whoever waits behind them is told. */
static void put_back(ht_queue *queue, request *failed, request **last) {
    hither_status status = failed->status;
    hither_error error = failed->error;
    *last = queue->first;
    queue->first = failed;
    queue->last = &queue->first;
    for (request **link = &queue->first; *link;) {
        request *r = *link;
        if (r->detached) {
            link = &r->next;
            queue->last = link;
            continue;
        }
        *link = r->next;
        answer(r, status, &error);
        r->done = true;
    }
}

/* Ends the requests of a group that was tried. */
static void settle(ht_queue *queue, request *group) {
    request *failed = NULL, **last = &failed, *next;
    for (request *r = group; r; r = next) {
        next = r->next;
        if (!r->detached) {
            r->done = true; /* and gone, once the lock is free */
        } else if (r->status == HITHER_OK || is_refusal(r->status)) {
            queue->bytes -= r->bytes;
            queue->rows -= r->rows;
            ht_later_free(r);
        } else {
            *last = r;
            last = &r->next;
        }
    }
    queue->failing = failed != NULL;
    if (failed)
        put_back(queue, failed, last);
}

void ht_queue_lead(ht_db *db) {
    ht_queue *queue = &db->queue;
    queue->leading = true;
    pthread_mutex_unlock(&queue->lock);
    pthread_mutex_lock(&db->writer);
    pthread_mutex_lock(&queue->lock);
    request *group = take_waiting(queue);
    pthread_mutex_unlock(&queue->lock);
    ht_fp_state fp = ht_fp_enter();
    run_group(db->store, group);
    ht_fp_leave(fp);
    pthread_mutex_unlock(&db->writer);
    pthread_mutex_lock(&queue->lock);
    settle(queue, group);
    queue->leading = false;
    pthread_cond_broadcast(&queue->moved);
}

hither_status ht_queue_wait(ht_db *db, request *r, hither_error *err) {
    ht_queue *queue = &db->queue;
    ht_queue_add(queue, r);
    while (!r->done && queue->leading)
        pthread_cond_wait(&queue->moved, &queue->lock);
    while (!r->done)
        ht_queue_lead(db);
    if (r->status != HITHER_OK && err)
        *err = r->error;
    return r->status;
}

static hither_status submit(request *r, hither_error *err) {
    ht_db *db = r->c->db;
    pthread_mutex_lock(&db->queue.lock);
    hither_status status = ht_queue_wait(db, r, err);
    pthread_mutex_unlock(&db->queue.lock);
    return status;
}

hither_status ht_queue_flush(ht_db *db, hither_error *err) {
    request r = {.status = HITHER_OK};
    pthread_mutex_lock(&db->queue.lock);
    hither_status status = ht_queue_wait(db, &r, err);
    pthread_mutex_unlock(&db->queue.lock);
    return status;
}

/* ---- put and delete */

hither_status ht_collection_put_by(ht_collection *c, const char *embedder, hither_mode mode, const hither_batch *batch,
                                   const uint8_t *has_vector, size_t *written, hither_error *err) {
    HT_TRY(ht_collection_check_write(c, err));
    if (ht_later_takes(c->db, mode))
        return ht_later_put(c, embedder, batch, written, err);
    ht_write w;
    HT_TRY(ht_write_prepare(&w, c, mode, batch, has_vector, err));
    w.embedder = embedder;
    request r = {.c = c, .write = &w, .bytes = w.row_count * ht_collection_shape(c)->width * sizeof(float)};
    hither_status status = w.row_count ? submit(&r, err) : HITHER_OK;
    if (status == HITHER_OK && written)
        *written = w.row_count;
    ht_write_clear(&w);
    return status;
}

hither_status ht_collection_put(ht_collection *c, hither_mode mode, const hither_batch *batch,
                                const uint8_t *has_vector, size_t *written, hither_error *err) {
    return ht_collection_put_by(c, NULL, mode, batch, has_vector, written, err);
}

hither_status ht_collection_delete(ht_collection *c, const hither_ids *ids, const ht_filter *filter, size_t *deleted,
                                   hither_error *err) {
    request r = {.c = c, .ids = ids, .filter = filter};
    HT_TRY(ht_collection_check_write(c, err));
    if (!ids || ids->count)
        HT_TRY(submit(&r, err));
    if (deleted)
        *deleted = r.deleted;
    return HITHER_OK;
}
