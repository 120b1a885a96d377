/*
 * scan.h: the patterns that a tokenizer.json splits and replaces by. They are of a dialect with backtracking (Ruby's),
 * and which of several matches counts is part of what the model learned, so this is not base/regex.h. What is read:
 *
 *   .  [a-z] [^a-z] [a[bc]]  \s \S \d \D \w \W \p{L} \P{Lu}  \r \n \t \uXXXX \x{X} ...  ab  a|b  (a) (?:a) (?i:a)
 *   (?=a) (?!a) (?>a)  * + ? {n} {n,} {n,m}  and these lazy or possessive  ^ $ (of lines)
 *
 * and nothing else is. Patterns and texts are hostile: the size of a pattern is bounded, and so are the steps that a
 * text may cost. Immutable once compiled: any thread, each with a room of its own.
 */
#ifndef HT_EMBED_SCAN_H
#define HT_EMBED_SCAN_H

#include <stdbool.h>

#include "base/error.h"

typedef struct ht_scan ht_scan;

enum { HT_SCAN_STACK = 2048 };

typedef struct ht_scan_place {
    uint32_t pc;
    size_t least, at; /* a place to go back to: at, or any character on from least to it */
} ht_scan_place;

typedef struct ht_scan_room {
    uint64_t steps; /* that may still be taken; ht_scan_begin sets them */
    size_t top;
    ht_scan_place places[HT_SCAN_STACK];
} ht_scan_room;

/* MODEL (begins with `where`, says what of the pattern is not supported), TOO_LARGE, NOMEM. */
HT_NODISCARD hither_status ht_scan_compile(const char *pattern, size_t bytes, const char *where, ht_scan **out,
                                           hither_error *err);
/* A pattern that is the text itself. */
HT_NODISCARD hither_status ht_scan_literal(const char *text, size_t bytes, const char *where, ht_scan **out,
                                           hither_error *err);
void ht_scan_free(ht_scan *scan);

/* Before the matches of a text of so many bytes are looked for. */
void ht_scan_begin(ht_scan_room *room, size_t bytes);
/* The first match at or after `at` that is not empty; *begin == bytes if there is none. The text is UTF-8. MODEL if it
 * takes too many steps. */
HT_NODISCARD hither_status ht_scan_next(const ht_scan *scan, ht_scan_room *room, const char *text, size_t bytes,
                                        size_t at, size_t *begin, size_t *end, hither_error *err);

#endif
