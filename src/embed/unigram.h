/*
 * unigram.h: words to the pieces that are likeliest together: each piece of the vocabulary has a score, and of all ways
 * to cut a word that of the largest sum counts. Immutable once read: any thread, each with a room of its own.
 */
#ifndef HT_EMBED_UNIGRAM_H
#define HT_EMBED_UNIGRAM_H

#include "base/json.h"
#include "embed/ids.h"
#include "embed/trie.h"

typedef struct ht_unigram {
    ht_trie trie;
    double *scores;
    uint32_t count, unknown;
    double unknown_score;
    bool fallback; /* what no piece has is cut into bytes */
    uint32_t bytes[256];
    bool has_byte[256];
} ht_unigram;

/* The best way to a place in the word, and the way on from there. */
typedef struct ht_unigram_node {
    double score;
    uint32_t begin, id, next;
    bool reached;
} ht_unigram_node;

typedef struct ht_unigram_room {
    ht_unigram_node *nodes;
    size_t room;
} ht_unigram_room;

/* From the member model. MODEL, TOO_LARGE, NOMEM; what was read is the caller's to clear. */
HT_NODISCARD hither_status ht_unigram_read(const json_t *model, const char *where, ht_unigram *out, hither_error *err);
void ht_unigram_clear(ht_unigram *unigram);
/* A word of at most 2^30 bytes. */
HT_NODISCARD hither_status ht_unigram_word(const ht_unigram *unigram, ht_unigram_room *room, const char *text,
                                           size_t bytes, ht_ids *ids, hither_error *err);

#endif
