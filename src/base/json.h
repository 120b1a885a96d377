/*
 * json.h: jansson behind limits. Input is hostile until ht_json_check passed: depth is counted before jansson recurses,
 * duplicate keys are refused, and messages name line, column and offset. Any thread.
 */
#ifndef HT_BASE_JSON_H
#define HT_BASE_JSON_H

#include <jansson.h>

#include "base/buf.h"

/* Parses one JSON value of at most max_bytes bytes and HITHER_MAX_JSON_DEPTH levels. On success *out is the caller's
 * (json_decref). `where` begins the message ("row 7: metadata"). SYNTAX, TOO_LARGE, ENCODING, NOMEM. */
HT_NODISCARD hither_status ht_json_parse(const char *text, size_t bytes, size_t max_bytes, const char *where,
                                         json_t **out, hither_error *err);

/* SYNTAX unless the text is one JSON object within the limits. */
HT_NODISCARD hither_status ht_json_check_object(const char *text, size_t bytes, const char *where, hither_error *err);

/* Lays the keys of the object `patch` over those of `base` (top level only; base NULL or empty: {}) and appends the
 * compact text of the result to out. */
HT_NODISCARD hither_status ht_json_merge(const char *base, size_t base_bytes, const char *patch, size_t patch_bytes,
                                         ht_buf *out, hither_error *err);

/* Appends the compact text of the object `base` (NULL or empty: {}) without the top-level members of those keys, which
 * are all there. */
HT_NODISCARD hither_status ht_json_remove(const char *base, size_t base_bytes, const hither_strings *keys, ht_buf *out,
                                          hither_error *err);

#endif
