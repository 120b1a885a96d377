/* bpe_inside.h: what bpe.c and bpe_read.c share: where a merge is looked for first. */
#ifndef HT_EMBED_BPE_INSIDE_H
#define HT_EMBED_BPE_INSIDE_H

#include "base/hash.h"
#include "embed/bpe.h"

static inline size_t ht_bpe_place(uint32_t left, uint32_t right) {
    return (size_t)ht_mix64((uint64_t)left << 32 | right);
}

#endif
