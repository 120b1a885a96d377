/*
 * shapes.h: the variable parts of log lines that mask.c replaces, one matcher each, beside those of base/pattern.h.
 * Each looks at text[at] and after and gives the number of bytes of the shape that begins there, or 0. None looks
 * further than a few hundred bytes, or than the run of digits or letters it stands on. Any bytes; any thread.
 */
#ifndef HT_STREAM_SHAPES_H
#define HT_STREAM_SHAPES_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ht_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool ht_is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
/* What a word consists of; bytes beyond ASCII count as letters. */
static inline bool ht_is_word(char c) { return ht_is_digit(c) || ht_is_letter(c) || (unsigned char)c >= 0x80; }

/* A date, a time of day with seconds, or both: 2026-11-21T13:17:30.123Z, Jun 14 15:16:01, 21/Nov/2026:13:17:30 +0100,
 * Sat Nov 21 13:17:30 2026. Begins with a digit or a letter. */
size_t ht_match_time(const char *text, size_t bytes, size_t at);
/* Digits with '.' and ',' between them. */
size_t ht_match_digits(const char *text, size_t bytes, size_t at);
/* The same with an exponent, and a unit or '%' that follows at once: 1,024.5ms, 1h30m, 1e-5. */
size_t ht_match_number(const char *text, size_t bytes, size_t at);
/* name@host.tld */
size_t ht_match_email(const char *text, size_t bytes, size_t at);
/* Labels with dots between them whose last is a well-known top-level domain, all in lower case. */
size_t ht_match_host(const char *text, size_t bytes, size_t at);
/* At least five ASCII letters and digits that change between each other at least three times: x2v9q. */
size_t ht_match_id(const char *text, size_t bytes, size_t at);
/* From a quote to its partner, both included, if it looks like a quotation and no apostrophe. */
size_t ht_match_quoted(const char *text, size_t bytes, size_t at);
/* A word that stands where lines name a user or a host: after "user=", "invalid user " and the like. */
size_t ht_match_name(const char *text, size_t bytes, size_t at);

#endif
