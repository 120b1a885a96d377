/*
 * mask.h: the variable parts of a log line (times, dates, numbers, hex, UUIDs, addresses, quoted strings) replaced by a
 * mark each, so that lines written by the same statement become the same form. Linear time, no regex, any bytes: what
 * is not UTF-8 becomes U+FFFD. docs/watch.md lists the rules. Any thread.
 */
#ifndef HT_STREAM_MASK_H
#define HT_STREAM_MASK_H

#include "base/buf.h"
#include "stream/rules.h"

/* Appends the masked form of the line to out. rules: the user's own, tried first; NULL: none. */
void ht_mask_line(const ht_rules *rules, const char *line, size_t bytes, ht_buf *out);

#endif
