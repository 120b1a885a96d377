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
struct ht_write;

/* A batch in the queue; it lies on its writer's stack. Its leader writes it, but for `next`, which the queue's lock
 * guards until it is taken, and `done`, which that lock guards always. */
typedef struct ht_request {
    struct ht_request *next;
    struct ht_collection *c;
    struct ht_write *write;         /* NULL: a delete */
    const hither_ids *ids;          /* of the rows to delete; NULL: all that match the filter */
    const struct ht_filter *filter; /* NULL: none; with one, this request is a group by itself */
    size_t deleted;
    size_t bytes; /* of vectors */
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
} ht_queue;

void ht_queue_init(ht_queue *queue);
void ht_queue_destroy(ht_queue *queue);

#endif
