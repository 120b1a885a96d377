/*
 * mask.h: a set of slots, read 64 at a time: which rows are alive, which a filter selects. Whoever makes one keeps the
 * memory. Any thread.
 */
#ifndef HT_BASE_MASK_H
#define HT_BASE_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In chunks of 65,536 bits: bit s of chunk s / 65536. A NULL chunk is all ones; slots at and past `limit` are not in
 * the set. chunk_count * 65536 >= limit. */
typedef struct ht_mask {
    const uint64_t *const *chunks;
    size_t chunk_count;
    uint64_t limit;
} ht_mask;

/* The bits of slots slot ... slot + 63; slot is a multiple of 64. NULL: all. */
static inline uint64_t ht_mask_word(const ht_mask *mask, uint64_t slot) {
    if (!mask)
        return ~(uint64_t)0;
    if (slot >= mask->limit)
        return 0;
    uint64_t left = mask->limit - slot;
    const uint64_t *chunk = mask->chunks ? mask->chunks[slot / 65536] : NULL;
    uint64_t word = chunk ? chunk[slot % 65536 / 64] : ~(uint64_t)0;
    return left < 64 ? word & (((uint64_t)1 << left) - 1) : word;
}

static inline bool ht_mask_has(const ht_mask *mask, uint64_t slot) {
    return ht_mask_word(mask, slot - slot % 64) >> slot % 64 & 1;
}

#endif
