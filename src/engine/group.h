/*
 * group.h: the queue of batches that wait to be written. The first writer to find nobody at work becomes the leader: it
 * takes the writer lock, then all batches that wait by then, and commits them as one transaction with one sync; its
 * followers sleep until theirs is done. db.c makes and ends the queue, group.c uses it.
 */
#ifndef HT_ENGINE_GROUP_H
#define HT_ENGINE_GROUP_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

struct ht_collection;
struct ht_db;
struct ht_write;

/* A batch in the queue; it lies on its writer's stack, or (detached, later.h) in memory of its own. Its leader writes
 * it, but for `next`, which the queue's lock guards until it is taken, and `done`, which that lock guards always. */
typedef struct ht_request {
    struct ht_request *next;
    struct ht_collection *c;        /* NULL: nothing is to be done but to wait for those before */
    struct ht_write *write;         /* NULL: a delete */
    const hither_ids *ids;          /* of the rows to delete; NULL: all that match the filter */
    const struct ht_filter *filter; /* NULL: none; with one, this request is a group by itself */
    size_t deleted;
    size_t bytes, rows; /* of vectors */
    uint64_t due_ms;    /* detached: when it is to be committed */
    bool detached;      /* nobody waits for it */
    hither_status status;
    hither_error error;
    bool taken; /* into the transaction being built */
    bool done;
} ht_request;

typedef struct ht_queue {
    pthread_mutex_t lock; /* held for moments; the last of all in the lock order */
    pthread_cond_t moved; /* requests were done, or the leader stepped back */
    ht_request *first, **last;
    bool leading;
    /* Of a database whose durability is relaxed (later.h), under the lock but for the first two: */
    bool relaxed; /* set before anyone else has the database */
    pthread_t thread;
    pthread_cond_t work; /* for the thread: there is something to do */
    size_t bytes, rows;  /* of detached requests that are not committed yet */
    bool failing;        /* those at the head could not be committed the last time */
    bool stop;
} ht_queue;

/* A group takes no more bytes of vectors than this, unless its first batch alone has more: what waits for a leader
 * should not wait for long. */
#define HT_GROUP_BYTES ((size_t)32 << 20)

void ht_queue_init(ht_queue *queue);
void ht_queue_destroy(ht_queue *queue);

/* Under the queue's lock, which the last two let go meanwhile: */
void ht_queue_add(ht_queue *queue, ht_request *request);
/* Adds a request and returns when it is done, having led if nobody else did. */
HT_NODISCARD hither_status ht_queue_wait(struct ht_db *db, ht_request *request, hither_error *err);
/* Commits one group. There is one, and nobody leads. */
void ht_queue_lead(struct ht_db *db);
/* Returns once all that was queued before is committed; what stands in the way of that. Takes the lock itself. */
HT_NODISCARD hither_status ht_queue_flush(struct ht_db *db, hither_error *err);

#endif
