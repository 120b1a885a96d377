/*
 * labels.h: which slots of an index are alive, and under which label. Slots are given out in order and never again;
 * labels are int64 >= 0, unique among the living. While labels are simply the slots (0, 1, 2, ... as given out by
 * default) neither labels nor a table are stored; the first label that differs from its slot makes both.
 *
 * Not thread-safe: the index's lock guards it. Readers may run together.
 */
#ifndef HT_INDEX_LABELS_H
#define HT_INDEX_LABELS_H

#include <stdbool.h>

#include "index/exact.h"

#define HT_NO_SLOT UINT64_MAX

typedef struct ht_labels {
    uint64_t slots;    /* given out, dead ones included */
    uint64_t alive;    /* of them */
    int64_t next;      /* the next default label: one more than the largest ever in force */
    uint64_t **chunks; /* the living, as an ht_mask: NULL is all ones */
    size_t chunk_count;
    int64_t *of_slot; /* NULL: label == slot */
    size_t room;      /* slots of_slot has room for */
    uint64_t *table;  /* slot + 1 by label, open addressing, 0 is free; dead slots stay until the table grows */
    size_t table_size, table_used;
} ht_labels;

void ht_labels_init(ht_labels *labels);
void ht_labels_clear(ht_labels *labels);

/* Gives the next `count` slots the labels given, or the next default ones (given NULL). EXISTS names the row of a label
 * that is in force or stands twice in `given`, INVALID that of a negative one; then nothing has changed. */
HT_NODISCARD hither_status ht_labels_add(ht_labels *labels, const int64_t *given, size_t count, hither_error *err);
/* Takes back the last `count` slots of an add whose rows could not be stored. */
void ht_labels_take_back(ht_labels *labels, size_t count, int64_t next);
/* The living slot under a label, or HT_NO_SLOT. */
uint64_t ht_labels_find(const ht_labels *labels, int64_t label);
/* *removed: whether the label was in force. NOMEM. */
HT_NODISCARD hither_status ht_labels_remove(ht_labels *labels, int64_t label, bool *removed, hither_error *err);

static inline int64_t ht_labels_at(const ht_labels *labels, uint64_t slot) {
    return labels->of_slot ? labels->of_slot[slot] : (int64_t)slot;
}
static inline bool ht_labels_alive(const ht_labels *labels, uint64_t slot) {
    const uint64_t *chunk = labels->chunks[slot / 65536];
    return !chunk || (chunk[slot % 65536 / 64] >> (slot % 64) & 1);
}
static inline ht_mask ht_labels_mask(const ht_labels *labels) {
    return (ht_mask){
        .chunks = (const uint64_t *const *)labels->chunks, .chunk_count = labels->chunk_count, .limit = labels->slots};
}

/* The slots whose labels are allowed: bit i of `allow` for label i, labels at and past allow_bits are not. The chunks
 * may borrow from `allow`; ht_labels_allow_clear releases the rest. */
typedef struct ht_allowed {
    ht_mask mask;
    const uint64_t **chunks;
    uint64_t *words; /* NULL while the chunks are the caller's own words */
} ht_allowed;
HT_NODISCARD hither_status ht_labels_allow(const ht_labels *labels, const uint64_t *allow, uint64_t allow_bits,
                                           ht_allowed *out, hither_error *err);
void ht_labels_allow_clear(ht_allowed *allowed);

#endif
