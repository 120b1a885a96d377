/*
 * memory.h: how much memory this process may have: the machine's, or what its control group leaves of that. For
 * deciding whether a file will stay in memory once it was read. Any thread.
 */
#ifndef HT_BASE_MEMORY_H
#define HT_BASE_MEMORY_H

#include <stdint.h>

/* In bytes; UINT64_MAX where nothing says. Asked anew each time, as limits change. */
uint64_t ht_memory_limit(void);

#endif
