/*
 * ring.h: the newest records of a stream, written by any number of threads and read by others beside them. Each record
 * has a number, its ticket; numbers rise by one. What must stay true:
 *   - a record is seen whole or not at all: its flag is released after everything else of it is written;
 *   - memory that a reader may look at is not written: chunks of 256 records are opened for writing one after another,
 *     and only when the records that stood there are older than anything a pinned reader may want;
 *   - readers wait for nobody, and nobody for a reader, unless it is asked for: where the spare chunks are used up, a
 *     push fails BUSY.
 * docs/decisions/0013-ring.md has the protocol and why it holds. All memory is got when a chunk is first used, texts
 * apart, whose places keep the largest size they ever had.
 *
 * Any thread. The caller is between ht_fp_enter and ht_fp_leave.
 */
#ifndef HT_STREAM_RING_H
#define HT_STREAM_RING_H

#include <stdbool.h>

#include "base/strings.h"
#include "base/topk.h"
#include "index/exact.h"

typedef struct ht_ring ht_ring;

#define HT_RING_CHUNK   256u
#define HT_RING_READERS 64u /* at a time; more take turns */

/* slack: records that may come while a reader looks; 0: a sixteenth of the capacity, at least 1,024 or as many as that.
 * wait_ms: how long a push may wait for readers when there is no room. in_turn: one record is written after the other,
 * so that fewer places are needed. */
HT_NODISCARD hither_status ht_ring_new(uint32_t capacity, uint32_t dim, uint32_t slack, uint32_t wait_ms, bool in_turn,
                                       ht_ring **out, hither_error *err);
/* Nobody uses it any more. */
void ht_ring_free(ht_ring *ring);
size_t ht_ring_stride(const ht_ring *ring);
/* The number of the next record. */
uint64_t ht_ring_next(const ht_ring *ring);
/* Pushes that failed BUSY. */
uint64_t ht_ring_busy(const ht_ring *ring);
/* The number of the first record that was ever written here. */
uint64_t ht_ring_first(const ht_ring *ring);
/* Before any record: the number of the first. */
void ht_ring_start(ht_ring *ring, uint64_t number);

/* ---- writing */

typedef struct ht_ring_record {
    const float *vector; /* dim floats */
    float norm;          /* as ht_exact_norms; negative: not known */
    double scale;        /* kept for ht_ring_leaving */
    ht_text text, metadata;
    int64_t time_ms;
} ht_ring_record;

/* Makes sure that the next record has a place; for a caller that alone writes, the claim after it cannot fail. BUSY,
 * NOMEM. */
HT_NODISCARD hither_status ht_ring_ready(ht_ring *ring, hither_error *err);
/* Asks the processor for the memory of this record, after ht_ring_ready. */
void ht_ring_expect(const ht_ring *ring, uint64_t number);
/* Takes the next 1 ... want numbers. Each must be written (or given up) soon: few others may be taken before it is.
 * What they drive out of the window is whole, and stays readable by ht_ring_leaving until they are written. */
HT_NODISCARD hither_status ht_ring_claim(ht_ring *ring, uint32_t want, uint64_t *first, uint32_t *count,
                                         hither_error *err);
/* Room for the texts of a record, after ht_ring_ready or a claim of it. NOMEM. */
HT_NODISCARD hither_status ht_ring_reserve(ht_ring *ring, uint64_t number, size_t bytes, hither_error *err);
/* Writes a claimed record whose room is reserved, and shows it. */
void ht_ring_write(ht_ring *ring, uint64_t number, const ht_ring_record *record);
/* Leaves its place empty for good. */
void ht_ring_give_up(ht_ring *ring, uint64_t number);
/* The vector of record `number` - capacity, and its scale, while `number` is claimed and not written; NULL: there is
 * none. */
const float *ht_ring_leaving(const ht_ring *ring, uint64_t number, double *scale);
/* For a caller that alone writes: a record of the newest `capacity`. NULL: given up. */
const float *ht_ring_vector(const ht_ring *ring, uint64_t number);

/* ---- reading */

/* The newest records at one moment, pinned until it is closed. One thread. Its memory is kept for the next reader. */
typedef struct ht_moment {
    ht_ring *ring;
    unsigned pin;
    uint64_t base, end; /* numbers; base is a multiple of 64 */
    size_t records;     /* in `bits` */
    uint64_t *bits;     /* of number base + i; may be cleared by the caller */
    ht_mask live;
    ht_vectors vectors;
} ht_moment;

/* Exactly the newest min(capacity, all) whole records. NOMEM. */
HT_NODISCARD hither_status ht_moment_open(ht_ring *ring, ht_moment *view, hither_error *err);
void ht_moment_close(ht_moment *view);
static inline bool ht_moment_has(const ht_moment *view, uint64_t number) {
    uint64_t at = number - view->base;
    return number >= view->base && number < view->end && (view->bits[at / 64] >> at % 64 & 1);
}
/* Lets go of the records before this number. */
void ht_moment_from(ht_moment *view, uint64_t number);
/* A record of the view. Its texts live as long as that: data NULL: there is none. */
ht_ring_record ht_moment_record(const ht_moment *view, uint64_t number);
/* The records nearest to the query by D and number; hits has room for k, slots are numbers. NOMEM. */
HT_NODISCARD hither_status ht_moment_search(ht_moment *view, hither_metric metric, const float *query, size_t k,
                                            ht_hit *hits, size_t *count, hither_error *err);
/* All within the radius; found is the caller's to release. NOMEM. */
HT_NODISCARD hither_status ht_moment_within(ht_moment *view, hither_metric metric, const float *query, float radius,
                                            ht_found *found, hither_error *err);

#endif
