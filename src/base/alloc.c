/*
 * alloc.c: the library's memory, from malloc or from the host's allocator.
 *
 * The allocator may only be replaced before the first block was given out, since a block must go back to where it came
 * from; `given_out` remembers that. It is the one piece of global state here and only ever goes from false to true.
 * Any thread, but hither_set_allocator, which comes before all threads.
 */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"

#define DEFAULT_ALIGN 16
#define ROW_ALIGN     64

/* Blocks of rows from this size on ask for large pages: fewer are cleared one by one, and scans miss fewer of them. */
#define LARGE_BLOCK ((size_t)4 << 20)
#define LARGE_PAGE  ((size_t)2 << 20)

static void *system_alloc(void *ctx, size_t bytes, size_t align) {
    (void)ctx;
    if (align <= DEFAULT_ALIGN)
        return malloc(bytes);
    void *block = NULL;
    bool large = bytes >= LARGE_BLOCK;
    if (posix_memalign(&block, large ? LARGE_PAGE : align, bytes) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (large)
        (void)madvise(block, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE); /* advice: nothing depends on it */
#endif
    return block;
}

static void *system_resize(void *ctx, void *ptr, size_t bytes) {
    (void)ctx;
    return realloc(ptr, bytes);
}

static void system_release(void *ctx, void *ptr) {
    (void)ctx;
    free(ptr);
}

static hither_allocator current = {system_alloc, system_resize, system_release, NULL};
static atomic_bool given_out;

hither_status hither_set_allocator(const hither_allocator *allocator, hither_error *err) {
    if (!allocator || !allocator->alloc || !allocator->resize || !allocator->release)
        return ht_fail(err, HITHER_INVALID, "hither_set_allocator needs alloc, resize and release");
    if (atomic_load(&given_out))
        return ht_fail(err, HITHER_INVALID,
                       "memory has been given out already; set the allocator before any other call");
    current = *allocator;
    return HITHER_OK;
}

static void *take(size_t bytes, size_t align) {
    /* Read first: a store on every allocation would pass one cache line between all threads. */
    if (!atomic_load_explicit(&given_out, memory_order_relaxed))
        atomic_store(&given_out, true);
    return current.alloc(current.ctx, bytes ? bytes : 1, align);
}

void *ht_alloc(size_t bytes) { return take(bytes, DEFAULT_ALIGN); }

void *ht_calloc(size_t count, size_t size) {
    size_t bytes;
    if (!ht_mul_size(count, size, &bytes))
        return NULL;
    void *block = take(bytes, DEFAULT_ALIGN);
    if (block)
        memset(block, 0, bytes);
    return block;
}

void *ht_alloc_aligned(size_t bytes) { return take(bytes, ROW_ALIGN); }

void *ht_resize(void *ptr, size_t bytes) {
    if (!ptr)
        return ht_alloc(bytes);
    return current.resize(current.ctx, ptr, bytes ? bytes : 1);
}

void ht_release(void *ptr) {
    if (ptr)
        current.release(current.ctx, ptr);
}

void *ht_memdup(const void *data, size_t bytes) {
    void *copy = ht_alloc(bytes);
    if (copy && bytes)
        memcpy(copy, data, bytes);
    return copy;
}

char *ht_strdup(const char *text) { return ht_memdup(text, strlen(text) + 1); }
