/*
 * alloc.h: all memory of the library comes from here, so that a test can fail any single allocation and a host can
 * bring its own. Sizes that come from input go through the checked sums below, never through a bare `*`.
 *
 * Blocks from ht_alloc and friends are at least 16-byte aligned; ht_alloc_aligned gives 64. Each is released by
 * ht_release. A size of 0 gives a valid block. Any thread.
 */
#ifndef HT_BASE_ALLOC_H
#define HT_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hither.h"

void *ht_alloc(size_t bytes);
void *ht_calloc(size_t count, size_t size); /* zeroed; NULL if the product overflows */
void *ht_alloc_aligned(size_t bytes);       /* 64-byte aligned, for rows */
void *ht_resize(void *ptr, size_t bytes);   /* not for aligned blocks; NULL leaves the old block as it was */
void ht_release(void *ptr);                 /* NULL is fine */
char *ht_strdup(const char *text);
void *ht_memdup(const void *data, size_t bytes);

/* false on overflow, and then *out is left alone. */
static inline bool ht_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool ht_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

static inline size_t ht_min_size(size_t a, size_t b) { return a < b ? a : b; }

#endif
