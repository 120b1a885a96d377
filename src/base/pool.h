/*
 * pool.h: the one thread pool of the process, created on first need, sized by affinity mask and cgroup quota, capped
 * by the environment variable HITHER_THREADS. The caller always works too, so ht_parallel makes progress even when no
 * thread could be made. Workers block all signals. After a fork the child makes a pool of its own.
 */
#ifndef HT_BASE_POOL_H
#define HT_BASE_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The number of threads a call may use, the caller included; at least 1. */
unsigned ht_pool_threads(void);

/* Runs fn(ctx, item) for item 0 ... items - 1 on at most `threads` threads (0: all), in no order, and returns when all
 * are done. fn must not call ht_parallel. Any thread; concurrent calls share the workers. */
void ht_parallel(unsigned threads, size_t items, void (*fn)(void *ctx, size_t item), void *ctx);

/* Work that grows while its owner does something else: workers take items as they are added, and the owner those that
 * are left at the end. It lies with the owner and does not move. Between begin and end the owner alone adds; end
 * returns when all is done. Its fields are the pool's. */
typedef struct ht_pool_job {
    struct ht_pool_job *next;
    void (*fn)(void *ctx, size_t item);
    void *ctx;
    atomic_size_t items, next_item;
    unsigned wanted;  /* further workers it may have; in the list while > 0 */
    unsigned running; /* workers on it now */
    bool shared;      /* workers may come */
    pthread_cond_t idle;
} ht_pool_job;

void ht_pool_begin(ht_pool_job *job, void (*fn)(void *ctx, size_t item), void *ctx);
void ht_pool_add(ht_pool_job *job, size_t items);
void ht_pool_end(ht_pool_job *job);

#endif
