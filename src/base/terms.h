/*
 * terms.h: cuts a document into the terms that keyword search counts. docs/keyword.md says what a term is, for people:
 *
 *   - a run of letters and digits is one term, folded: lower case, no accents, ASCII digits; longer runs are cut into
 *     terms of HT_TERM_MAX_CHARS characters;
 *   - each CJK character begins a term: itself and the CJK character after it, or, at the end of a run, itself alone.
 *     So a run of n characters has its n - 1 pairs, and every character is the first of exactly one term, by which a
 *     search for a single character finds all of them.
 *
 * Term i of a text is at position i. Characters are classed and folded by unicode.h's frozen tables, so that the terms
 * of a document never change under postings that were made of it.
 *
 * Linear time, no allocation, any bytes: a byte that is not UTF-8 stands between words. One ht_terms, one thread.
 */
#ifndef HT_BASE_TERMS_H
#define HT_BASE_TERMS_H

#include <stdbool.h>

#include "base/unicode.h"

#define HT_TERM_MAX_CHARS 64u
#define HT_TERM_MAX_BYTES (HT_TERM_MAX_CHARS * HT_FOLD_MAX * 4)

typedef enum ht_term_kind {
    HT_TERM_WORD,
    HT_TERM_PAIR, /* two CJK characters */
    HT_TERM_LAST  /* the last CJK character of a run */
} ht_term_kind;

typedef struct ht_term {
    const char *text; /* folded, in the ht_terms until its next term */
    size_t bytes;     /* never 0 */
    ht_term_kind kind;
    size_t begin, end; /* where it stood; of a pair its first character */
} ht_term;

typedef struct ht_terms {
    const char *text;
    size_t bytes, at;
    char folded[HT_TERM_MAX_BYTES];
} ht_terms;

void ht_terms_start(ht_terms *terms, const char *text, size_t bytes);
/* false at the end of the text. */
bool ht_terms_next(ht_terms *terms, ht_term *out);

#endif
