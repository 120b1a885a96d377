/*
 * ring_inside.h: what ring.c (writing) and ring_view.c (reading) share. Numbers of records are called tickets here;
 * chunk q holds tickets 256 q ... 256 q + 255 and lies at q mod `chunks`.
 */
#ifndef HT_STREAM_RING_INSIDE_H
#define HT_STREAM_RING_INSIDE_H

#include <stdatomic.h>

#include "index/codes.h"
#include "stream/ring.h"

#define HT_SLAB_ROWS  4096u
#define HT_NOT_PINNED UINT64_MAX
#define HT_GIVEN_UP   ((uint64_t)1 << 63)

typedef struct ht_ring_slot {
    char *text; /* the metadata behind it */
    uint32_t bytes, metadata_bytes, room;
    bool has_text, has_metadata;
    int64_t time_ms;
    double scale;
} ht_ring_slot;

/* Memory of 4,096 records side by side; the last slab may be smaller. */
typedef struct ht_slab {
    float *rows, *norms;
    void *codes; /* NULL: the dimension is too small for them to pay */
    ht_ring_slot *slots;
    _Atomic uint64_t *flags;  /* ticket + 1 once the record is whole; with HT_GIVEN_UP if it is none */
    _Atomic uint64_t *coding; /* of 64 records: their first ticket + 1 once somebody makes their codes */
    _Atomic uint64_t *coded;  /* once they are made */
} ht_slab;

/* What a reader works in. */
typedef struct ht_ring_scratch {
    uint64_t *bits, *settled;
    const uint64_t **chunks;
    size_t words;
    ht_part *parts;
    size_t part_room;
    float *copies, *copied_norms; /* blocks of 64 */
    size_t copy_room;
    ht_exact_scratch exact;
} ht_ring_scratch;

typedef struct ht_ring_pin {
    _Alignas(64) _Atomic uint64_t low; /* no ticket from here on may be written over; HT_NOT_PINNED: not in use */
    atomic_bool taken;
    ht_ring_scratch scratch; /* of who took it */
} ht_ring_pin;

struct ht_ring {
    uint32_t capacity, dim, chunks, unfinished; /* chunks that may be claimed before the oldest of them is whole */
    uint32_t wait_ms;                           /* for readers */
    size_t stride, slab_count;
    uint64_t first; /* ticket */
    _Atomic(ht_slab *) *slabs;
    _Atomic uint64_t *done;               /* of a place for a chunk: records ever settled in it */
    _Atomic uint64_t *voids;              /* the last chunk + 1 there in which one was given up */
    _Alignas(64) _Atomic uint64_t next;   /* ticket */
    _Alignas(64) _Atomic uint64_t opened; /* chunks that may be written, all before this */
    _Atomic uint64_t floor;               /* tickets below may be written over, or soon will */
    _Atomic uint64_t sought;              /* tickets below are coded by who writes them: somebody searches */
    _Atomic uint64_t busy;
    ht_ring_pin pins[HT_RING_READERS];
};

static inline uint64_t ht_ring_place(const ht_ring *r, uint64_t ticket) {
    return ticket % ((uint64_t)r->chunks * HT_RING_CHUNK);
}
static inline ht_slab *ht_ring_slab(const ht_ring *r, uint64_t place) {
    return atomic_load_explicit(&r->slabs[place / HT_SLAB_ROWS], memory_order_acquire);
}
static inline float *ht_slab_row(const ht_ring *r, const ht_slab *slab, uint64_t at) {
    return (float *)(void *)((char *)slab->rows + at * r->stride);
}
/* The codes of the block of 64 records whose first has this ticket, which lies at `at` of its slab. */
static inline bool ht_ring_coded(const ht_slab *slab, uint64_t ticket, uint64_t at) {
    return slab->codes && atomic_load_explicit(&slab->coded[at / HT_CODE_ROWS], memory_order_acquire) == ticket + 1;
}
/* Makes them, unless somebody else does; false: they are not there yet. All its records are written, and stay so. */
bool ht_ring_code(const ht_ring *r, ht_slab *slab, uint64_t ticket, uint64_t at);
/* Every record of the chunk, which is open, is settled. */
static inline bool ht_ring_whole(const ht_ring *r, uint64_t chunk) {
    return atomic_load_explicit(&r->done[chunk % r->chunks], memory_order_acquire) >=
           HT_RING_CHUNK * (chunk / r->chunks + 1);
}

#endif
