/*
 * wordpiece_inside.h: the tokenizer as wordpiece.c uses it and wordpiece_read.c makes it.
 */
#ifndef HT_EMBED_WORDPIECE_INSIDE_H
#define HT_EMBED_WORDPIECE_INSIDE_H

#include "base/buf.h"
#include "embed/wordpiece.h"

enum {
    HT_WORD_MAX_CHARS = 1024 /* the most that max_input_chars_per_word may be */
};

/* A place of the hash table: a piece of the vocabulary, its bytes in `bytes`. */
typedef struct ht_piece {
    uint32_t hash;
    uint32_t id_plus_one; /* 0: empty */
    uint32_t offset, length;
} ht_piece;

struct ht_wordpiece {
    bool chinese, strip, lowercase;
    uint32_t unknown, most_chars, longest; /* bytes of the longest piece */
    uint32_t ids;
    ht_piece *places; /* mask + 1 of them; pieces that go on hash with another seed and come without their prefix */
    size_t mask;
    ht_buf bytes;
};

/* The hash goes on from piece to piece: of all beginnings of a word in one pass. */
#define HT_PIECE_FIRST   0x811c9dc5u
#define HT_PIECE_FURTHER 0x2b5c1a37u
static inline uint32_t ht_piece_step(uint32_t h, unsigned char byte) { return (h ^ byte) * 0x01000193u; }
static inline uint32_t ht_piece_end(uint32_t h) {
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    return h ^ h >> 13;
}

#endif
