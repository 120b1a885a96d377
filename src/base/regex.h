/*
 * regex.h: does a text match a regular expression somewhere? In time linear in the text whatever the pattern: there is
 * no backtracking. docs/filters.md has the syntax, for people; it is a subset of what Python and RE2 share:
 *
 *   .  [a-z] [^a-z]  \d \w \s \D \W \S (ASCII)  ab  a|b  (a) (?:a)  * + ? {n} {n,} {n,m}  ^ $ \A \z  (?i) (?s)
 *
 * A pattern is parsed over code points (regex_parse.c), compiled to a program over bytes of UTF-8 (regex_program.c) and
 * run as an automaton whose states are made as they are met and forgotten when they fill their memory (regex.c). All
 * memory is taken when it is compiled, so a search cannot fail. Patterns are hostile: length, depth, and the size of
 * the program are bounded, and with them the steps a byte of text can cost.
 *
 * Any thread may search with one regex; they take turns.
 */
#ifndef HT_BASE_REGEX_H
#define HT_BASE_REGEX_H

#include <stdbool.h>

#include "base/error.h"

typedef struct ht_regex ht_regex;

/* `pattern` is UTF-8. INVALID and TOO_LARGE begin with `what` and name the character; NOMEM. */
HT_NODISCARD hither_status ht_regex_compile(const char *pattern, size_t bytes, const char *what, ht_regex **out,
                                            hither_error *err);
void ht_regex_free(ht_regex *regex);
/* Whether it matches somewhere in the text, which is UTF-8. */
bool ht_regex_search(ht_regex *regex, const char *text, size_t bytes);

#endif
