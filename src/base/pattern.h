/*
 * pattern.h: recognises the shapes that machines write into texts: UUIDs, addresses, hex strings. Each function looks
 * at text[at] and after, and gives the number of bytes of the shape that begins there, or 0. A shape must be followed
 * by the end, or by an ASCII character that is no letter or digit.
 *
 * Part of the built-in embedder's format (docs/embedder.md): what these accept never changes. Time is bounded by the
 * length of the shape, ht_match_hex's by the run of hex digits. Any bytes; any thread.
 */
#ifndef HT_BASE_PATTERN_H
#define HT_BASE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

bool ht_is_hex_digit(char c);
/* 8-4-4-4-12 hex digits. */
size_t ht_match_uuid(const char *text, size_t bytes, size_t at);
/* Six pairs of hex digits, with ':' or '-' between all of them. */
size_t ht_match_mac(const char *text, size_t bytes, size_t at);
/* Four numbers up to 255; no fifth may follow. */
size_t ht_match_ipv4(const char *text, size_t bytes, size_t at);
/* Eight groups of hex digits, or fewer with "::" (not at the start) and a decimal digit somewhere: "fe80::1". */
size_t ht_match_ipv6(const char *text, size_t bytes, size_t at);
/* 0x and hex digits, or at least seven hex digits among which are a decimal digit and a letter. */
size_t ht_match_hex(const char *text, size_t bytes, size_t at);

#endif
