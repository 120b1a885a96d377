/*
 * fork.c: the generation counter of fork.h. The atfork handler is installed once, with the first handle; it only
 * raises the counter, which is all that is safe in the child of a process with threads.
 */
#include "engine/fork.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic uint64_t generation = 1;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static void in_child(void) { atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed); }

static void install(void) { (void)pthread_atfork(NULL, NULL, in_child); }

uint64_t ht_fork_generation(void) {
    (void)pthread_once(&installed, install);
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

hither_status ht_fork_check(uint64_t made_in, hither_error *err) {
    /* Relaxed is enough: the counter changes only in a child, before its first thread goes on. */
    if (made_in == atomic_load_explicit(&generation, memory_order_relaxed))
        return HITHER_OK;
    return ht_fail(
        err, HITHER_FORKED,
        "this handle was made before a fork and belongs to the parent process; open the database again here");
}
