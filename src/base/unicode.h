/*
 * unicode.h: what a character counts as in a text, and what it folds to, from tables frozen at Unicode 14.0.0
 * (unicode_tables.c, written by tools/gen_unicode.py). The built-in embedder's format rests on them, so they never
 * change, unlike a Unicode library's. Constant data: any thread.
 */
#ifndef HT_BASE_UNICODE_H
#define HT_BASE_UNICODE_H

#include <stddef.h>
#include <stdint.h>

typedef enum ht_char_class {
    HT_CHAR_OTHER,  /* between words */
    HT_CHAR_LETTER, /* letters, and marks that belong to them */
    HT_CHAR_DIGIT,
    HT_CHAR_CJK,    /* a word by itself: ideographs, kana, hangul */
    HT_CHAR_IGNORED /* inside words, without a meaning: accents on their own, joiners, soft hyphens */
} ht_char_class;

#define HT_FOLD_MAX 4u /* characters one character may fold to */

/* cp is at most 0x10FFFF. */
ht_char_class ht_char_class_of(uint32_t cp);
/* Writes what a letter, digit or CJK character folds to (lower case, no accents, ASCII digits) and how many. */
size_t ht_char_fold(uint32_t cp, uint32_t out[HT_FOLD_MAX]);

/* The tables, for text.c alone. Sorted; pages[i] is the first entry that reaches character 256 * i or beyond. */
typedef struct ht_class_range {
    uint32_t first, last, kind;
} ht_class_range;
typedef struct ht_fold_run {
    uint32_t first, last, step; /* every step-th character */
    int32_t delta;
} ht_fold_run;
typedef struct ht_fold_several {
    uint32_t from, to[HT_FOLD_MAX]; /* zeros at the end */
} ht_fold_several;
extern const size_t ht_class_range_count, ht_fold_run_count, ht_fold_several_count;
extern const ht_class_range ht_class_ranges[];
extern const ht_fold_run ht_fold_runs[];
extern const ht_fold_several ht_fold_severals[];
extern const uint16_t ht_class_pages[257], ht_fold_pages[257];

#endif
