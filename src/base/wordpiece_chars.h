/*
 * wordpiece_chars.h: characters as the models of the BERT family know them: what one counts as, what it decomposes to,
 * and its lower case. Apart from unicode.h, which is the built-in embedder's: those tables are ours, these are those
 * that the models were trained behind. Pure; any thread.
 */
#ifndef HT_BASE_WORDPIECE_CHARS_H
#define HT_BASE_WORDPIECE_CHARS_H

#include <stddef.h>
#include <stdint.h>

typedef enum ht_wordpiece_kind {
    HT_WORDPIECE_LETTER,      /* part of a word: whatever is none of the rest */
    HT_WORDPIECE_DROPPED,     /* controls and the like: cleaning leaves them out */
    HT_WORDPIECE_SPACE,       /* between words */
    HT_WORDPIECE_PUNCTUATION, /* a word by itself */
    HT_WORDPIECE_CHINESE,     /* ideographs: a word by itself, where the model says so */
    HT_WORDPIECE_MARK,        /* accents on their own: stripping leaves them out */
    HT_WORDPIECE_WHOLE        /* a letter that is not decomposed */
} ht_wordpiece_kind;

typedef struct ht_wordpiece_range {
    uint32_t first, last, kind;
} ht_wordpiece_range;
extern const size_t ht_wordpiece_range_count;
extern const ht_wordpiece_range ht_wordpiece_ranges[]; /* of characters from 0x80 on; sorted */

/* Characters one may become. */
#define HT_WORDPIECE_MOST 8u

/* cp is at most 0x10FFFF. */
ht_wordpiece_kind ht_wordpiece_kind_of(uint32_t cp);
/* Its canonical decomposition, itself where there is none. */
size_t ht_wordpiece_decompose(uint32_t cp, uint32_t out[HT_WORDPIECE_MOST]);
/* Its lower case, at most three characters. */
size_t ht_wordpiece_lower(uint32_t cp, uint32_t out[HT_WORDPIECE_MOST]);
/* The canonical combining class: marks in a row are ordered by it. */
unsigned ht_wordpiece_order(uint32_t cp);

#endif
