/*
 * bpe.h: words to pieces by merging: characters first, then ever again the pair that was learned earliest. Immutable
 * once read: any thread, each with a room of its own.
 */
#ifndef HT_EMBED_BPE_H
#define HT_EMBED_BPE_H

#include "base/json.h"
#include "embed/ids.h"
#include "embed/trie.h"

enum { HT_BPE_MAX_AFFIX = 32 };

typedef struct ht_merge {
    uint32_t left, right, rank_plus_one, id; /* rank_plus_one 0: an empty place */
} ht_merge;

typedef struct ht_bpe {
    ht_trie vocabulary;
    uint32_t ids; /* one more than the largest */
    ht_merge *merges;
    size_t mask;
    bool has_unknown, fuse, fallback, ignore_merges;
    uint32_t unknown;
    uint32_t bytes[256];
    bool has_byte[256];
    char prefix[HT_BPE_MAX_AFFIX + 1], suffix[HT_BPE_MAX_AFFIX + 1]; /* of all but the first, of the last character */
} ht_bpe;

typedef struct ht_bpe_symbol {
    uint32_t id;
    int32_t before, next; /* -1: none */
    bool gone;
} ht_bpe_symbol;

typedef struct ht_bpe_candidate {
    uint32_t rank, at, id;
} ht_bpe_candidate;

typedef struct ht_bpe_room {
    ht_bpe_symbol *symbols;
    ht_bpe_candidate *heap;
    size_t symbol_count, symbol_room, heap_count, heap_room;
} ht_bpe_room;

/* From the member model. MODEL, TOO_LARGE, NOMEM; what was read is the caller's to clear. */
HT_NODISCARD hither_status ht_bpe_read(const json_t *model, const char *where, ht_bpe *out, hither_error *err);
void ht_bpe_clear(ht_bpe *bpe);
/* A word of at most 2^30 bytes. */
HT_NODISCARD hither_status ht_bpe_word(const ht_bpe *bpe, ht_bpe_room *room, const char *text, size_t bytes,
                                       ht_ids *ids, hither_error *err);

#endif
