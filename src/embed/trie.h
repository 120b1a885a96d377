/*
 * trie.h: strings to numbers, walked a byte at a time: which of a vocabulary's tokens begin here? Immutable once built:
 * any thread.
 */
#ifndef HT_EMBED_TRIE_H
#define HT_EMBED_TRIE_H

#include <stdbool.h>

#include "base/error.h"

typedef struct ht_trie_key {
    const char *text;
    uint32_t bytes, value;
} ht_trie_key;

typedef struct ht_trie {
    uint32_t nodes;
    uint8_t *labels;  /* the byte that leads to a node */
    uint32_t *firsts; /* its children: those from firsts[n] to before firsts[n + 1] */
    uint32_t *values; /* value + 1; 0: no key ends here */
} ht_trie;

/* Sorts the keys; of equal ones the largest value counts, and empty ones are left out. TOO_LARGE, NOMEM. */
HT_NODISCARD hither_status ht_trie_build(ht_trie_key *keys, size_t count, ht_trie *out, hither_error *err);
void ht_trie_clear(ht_trie *trie);

/* The node that a byte leads to from a node (0 is the first), 0 if there is none. */
uint32_t ht_trie_step(const ht_trie *trie, uint32_t node, unsigned char byte);
/* The value of a key plus one, 0 if it is none. */
uint32_t ht_trie_find(const ht_trie *trie, const char *text, size_t bytes);
/* The values of the tokens <0x00> to <0xFF>, which stand for single bytes, as far as there are such. */
void ht_trie_find_bytes(const ht_trie *trie, bool has[256], uint32_t values[256]);

#endif
