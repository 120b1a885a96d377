/*
 * mask.h: the variable parts of a log line (times, dates, numbers, hex, UUIDs, addresses, quoted strings) replaced by a
 * mark each, so that lines written by the same statement become the same form. Linear time, no regex, any bytes: what
 * is not UTF-8 becomes U+FFFD. docs/watch.md lists the rules. Any thread.
 */
#ifndef HT_STREAM_MASK_H
#define HT_STREAM_MASK_H

#include "base/buf.h"

/* Appends the masked form of the line to out. */
void ht_mask_line(const char *line, size_t bytes, ht_buf *out);

#endif
