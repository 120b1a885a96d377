/*
 * pool.h: the one thread pool of the process, created on first need, sized by affinity mask and cgroup quota, capped
 * by the environment variable HITHER_THREADS. The caller always works too, so ht_parallel makes progress even when no
 * thread could be made. Workers block all signals. After a fork the child makes a pool of its own.
 */
#ifndef HT_BASE_POOL_H
#define HT_BASE_POOL_H

#include <stddef.h>

/* The number of threads a call may use, the caller included; at least 1. */
unsigned ht_pool_threads(void);

/* Runs fn(ctx, item) for item 0 ... items - 1 on at most `threads` threads (0: all), in no order, and returns when all
 * are done. fn must not call ht_parallel. Any thread; concurrent calls share the workers. */
void ht_parallel(unsigned threads, size_t items, void (*fn)(void *ctx, size_t item), void *ctx);

#endif
