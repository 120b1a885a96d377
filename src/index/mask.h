/*
 * mask.h: reading an ht_mask 64 slots at a time. Any thread.
 */
#ifndef HT_INDEX_MASK_H
#define HT_INDEX_MASK_H

#include "index/exact.h"

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

/* The rows [row, row + count) of a part that are in both sets; row is a multiple of 64, count at most 64. */
static inline uint64_t ht_mask_rows(const ht_mask *live, const ht_mask *allow, const ht_part *part, size_t row,
                                    size_t count) {
    uint64_t slot = part->first_slot + row;
    uint64_t word = ht_mask_word(live, slot) & ht_mask_word(allow, slot);
    return count < 64 ? word & (((uint64_t)1 << count) - 1) : word;
}

#endif
