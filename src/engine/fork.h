/*
 * fork.h: does a handle still belong to this process? A child of fork() has a copy of every handle but not of the
 * threads and file locks behind it, so each handle remembers the generation it was made in, and entry points compare.
 *
 * The one piece of process-wide state of the engine: a counter that the child's atfork handler raises. Any thread.
 */
#ifndef HT_ENGINE_FORK_H
#define HT_ENGINE_FORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The number of forks between the first process that used the library and this one. */
uint64_t ht_fork_generation(void);

/* FORKED if the handle was made in another generation. */
HT_NODISCARD hither_status ht_fork_check(uint64_t generation, hither_error *err);

#endif
