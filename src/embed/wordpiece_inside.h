/*
 * wordpiece_inside.h: the tokenizer as wordpiece.c uses it and wordpiece_read.c makes it.
 */
#ifndef HT_EMBED_WORDPIECE_INSIDE_H
#define HT_EMBED_WORDPIECE_INSIDE_H

#include "base/buf.h"
#include "embed/wordpiece.h"

enum {
    HT_WORD_MAX_CHARS = 1024,  /* the most that max_input_chars_per_word may be */
    HT_SPECIAL_MAX = 256,      /* tokens that are found in texts as they stand */
    HT_SPECIAL_MAX_BYTES = 64, /* the length of one */
    HT_AROUND_MAX = 8          /* tokens before or after a text */
};

/* A place of the hash table: a piece of the vocabulary, its bytes in `bytes`. */
typedef struct ht_piece {
    uint32_t hash;
    uint32_t id_plus_one; /* 0: empty */
    uint32_t offset, length;
} ht_piece;

typedef struct ht_special {
    char text[HT_SPECIAL_MAX_BYTES];
    uint32_t length, id;
} ht_special;

struct ht_wordpiece {
    bool chinese, strip, lowercase;
    uint32_t unknown, most_chars, longest; /* bytes of the longest piece */
    uint32_t ids;
    ht_piece *places; /* mask + 1 of them; pieces that go on hash with another seed and come without their prefix */
    size_t mask;
    ht_buf bytes;
    ht_special *specials; /* the longer first */
    size_t special_count;
    bool special_first[256]; /* bytes that one begins with */
    uint32_t before[HT_AROUND_MAX], after[HT_AROUND_MAX];
    size_t before_count, after_count;
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
