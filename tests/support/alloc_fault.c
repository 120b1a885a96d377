/*
 * alloc_fault.c: see alloc_fault.h. Each block has a header of 64 bytes in front, which keeps rows aligned, with its
 * size and a mark that catches a release of what was never given out, or twice.
 */
#include "alloc_fault.h"

#include <jansson.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define HEADER 64
#define ALIVE  0x616c697665626c6bu
#define DEAD   0x64656164626c6f63u

typedef struct header {
    uint64_t mark;
    size_t bytes, align;
} header;

static atomic_ullong requests, fail_at;
static atomic_bool for_good_, hit;
static atomic_llong live;

static bool refuse(void) {
    uint64_t n = atomic_fetch_add(&requests, 1) + 1, at = atomic_load(&fail_at);
    if (at == 0 || n < at || (n > at && !atomic_load(&for_good_)))
        return false;
    atomic_store(&hit, true);
    return true;
}

static header *header_of(void *ptr) {
    header *h = (header *)(void *)((char *)ptr - HEADER);
    if (h->mark != ALIVE) {
        fprintf(stderr, "alloc_fault: %p is not a live block\n", ptr);
        abort();
    }
    return h;
}

static void *fresh(size_t bytes, size_t align) {
    void *raw;
    if (posix_memalign(&raw, HEADER, HEADER + bytes) != 0)
        return NULL;
    *(header *)raw = (header){ALIVE, bytes, align};
    memset((char *)raw + HEADER, 0xa5, bytes < 65536 ? bytes : 65536);
    atomic_fetch_add(&live, 1);
    return (char *)raw + HEADER;
}

static void fault_release(void *ctx, void *ptr) {
    (void)ctx;
    header *h = header_of(ptr);
    memset(ptr, 0x5a, h->bytes < 65536 ? h->bytes : 65536);
    h->mark = DEAD;
    free(h);
    atomic_fetch_sub(&live, 1);
}

static void *fault_alloc(void *ctx, size_t bytes, size_t align) {
    (void)ctx;
    return refuse() ? NULL : fresh(bytes, align);
}

static void *fault_resize(void *ctx, void *ptr, size_t bytes) {
    header *old = header_of(ptr);
    if (old->align > 16) {
        fprintf(stderr, "alloc_fault: an aligned block was resized\n");
        abort();
    }
    void *block = refuse() ? NULL : fresh(bytes, old->align);
    if (!block)
        return NULL;
    memcpy(block, ptr, old->bytes < bytes ? old->bytes : bytes);
    fault_release(ctx, ptr);
    return block;
}

static void *jansson_alloc(size_t bytes) { return fault_alloc(NULL, bytes ? bytes : 1, 16); }
static void foreign_release(void *ptr) {
    if (ptr)
        fault_release(NULL, ptr);
}

/* SQLite asks for multiples of 8 and wants to know the size of a block later. */
static void *sqlite_alloc(int bytes) { return fault_alloc(NULL, (size_t)bytes, 16); }
static void *sqlite_resize(void *ptr, int bytes) { return fault_resize(NULL, ptr, (size_t)bytes); }
static int sqlite_size(void *ptr) { return ptr ? (int)header_of(ptr)->bytes : 0; }
static int sqlite_round(int bytes) { return (bytes + 7) / 8 * 8; }
static int sqlite_init(void *unused) {
    (void)unused;
    return SQLITE_OK;
}
static void sqlite_shutdown(void *unused) { (void)unused; }

void alloc_fault_install_sqlite(void) {
    static const sqlite3_mem_methods methods = {sqlite_alloc, foreign_release, sqlite_resize,   sqlite_size,
                                                sqlite_round, sqlite_init,     sqlite_shutdown, NULL};
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK) {
        fprintf(stderr, "alloc_fault: too late for SQLite\n");
        abort();
    }
}

void alloc_fault_install(void) {
    static const hither_allocator allocator = {fault_alloc, fault_resize, fault_release, NULL};
    if (hither_set_allocator(&allocator, NULL) != HITHER_OK) {
        fprintf(stderr, "alloc_fault: too late\n");
        abort();
    }
}

void alloc_fault_install_jansson(void) { json_set_alloc_funcs(jansson_alloc, foreign_release); }

void alloc_fault_arm(uint64_t nth, bool for_good) {
    atomic_store(&fail_at, nth);
    atomic_store(&for_good_, for_good);
    atomic_store(&hit, false);
    atomic_store(&requests, 0);
}

uint64_t alloc_fault_requests(void) { return atomic_load(&requests); }
bool alloc_fault_hit(void) { return atomic_load(&hit); }
int64_t alloc_fault_live(void) { return atomic_load(&live); }
