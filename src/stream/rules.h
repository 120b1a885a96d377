/*
 * rules.h: a user's own mask rules, beside those of mask.c and tried before them. One rule a line, NAME PATTERN: what
 * the pattern fits becomes <NAME>. docs/watch.md describes patterns.
 *
 * Rules are immutable after they are made; any thread. Matching is without backtracking: at one place it reads a few
 * hundred bytes a rule at most, whatever the line and the rules.
 */
#ifndef HT_STREAM_RULES_H
#define HT_STREAM_RULES_H

#include "base/error.h"

typedef struct ht_rules ht_rules;

#define HT_RULES_MOST       64u /* rules */
#define HT_RULES_TEXT_BYTES 65536u
#define HT_RULE_MARK_BYTES  34u /* the longest "<name>" */

/* Rules from text. INVALID names the line; TOO_LARGE; NOMEM. */
HT_NODISCARD hither_status ht_rules_new(const char *text, size_t bytes, ht_rules **out, hither_error *err);
void ht_rules_free(ht_rules *rules);
/* The text they came from. */
const char *ht_rules_text(const ht_rules *rules, size_t *bytes);
/* The number of bytes of text[at] and after that the first fitting rule fits, and its mark; 0 if none does. */
size_t ht_rules_match(const ht_rules *rules, const char *text, size_t bytes, size_t at, const char **mark);

#endif
