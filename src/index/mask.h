/*
 * mask.h: the rows of a part that are in sets of slots, 64 at a time. Any thread.
 */
#ifndef HT_INDEX_MASK_H
#define HT_INDEX_MASK_H

#include "index/exact.h"

/* The rows [row, row + count) of a part that are in both sets; row is a multiple of 64, count at most 64. */
static inline uint64_t ht_mask_rows(const ht_mask *live, const ht_mask *allow, const ht_part *part, size_t row,
                                    size_t count) {
    uint64_t slot = part->first_slot + row;
    uint64_t word = ht_mask_word(live, slot) & ht_mask_word(allow, slot);
    return count < 64 ? word & (((uint64_t)1 << count) - 1) : word;
}

#endif
