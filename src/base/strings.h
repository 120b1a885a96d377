/*
 * strings.h: reading and building Arrow-like columns of strings and ids, and checking UTF-8.
 *
 * Views come from outside: ht_strings_check and ht_ids_check must have passed before any other use. Any thread.
 */
#ifndef HT_BASE_STRINGS_H
#define HT_BASE_STRINGS_H

#include <stdbool.h>

#include "base/buf.h"

typedef struct ht_text {
    const char *data; /* NULL when missing */
    size_t bytes;
} ht_text;

static inline bool ht_strings_has(const hither_strings *s, size_t i) {
    return i < s->count && (!s->valid || (s->valid[i / 8] >> (i % 8) & 1));
}
static inline ht_text ht_strings_at(const hither_strings *s, size_t i) {
    if (!ht_strings_has(s, i))
        return (ht_text){0};
    return (ht_text){s->bytes ? s->bytes + s->offsets[i] : "", (size_t)(s->offsets[i + 1] - s->offsets[i])};
}

/* Offsets rise, pointers are there, no string is longer than max_bytes, each is UTF-8. `what` names the column in
 * messages ("documents"). INVALID, TOO_LARGE, ENCODING (row and byte). */
HT_NODISCARD hither_status ht_strings_check(const hither_strings *s, const char *what, size_t max_bytes,
                                            hither_error *err);
/* As above for ids: strings of 1...HITHER_MAX_ID_BYTES bytes without NUL; none missing. */
HT_NODISCARD hither_status ht_ids_check(const hither_ids *ids, hither_error *err);
static inline bool ht_ids_are_ints(const hither_ids *ids) { return ids->ints != NULL; }

/* The offset of the first byte that is not UTF-8 (RFC 3629: no surrogates, no overlong forms), or `bytes`. */
size_t ht_utf8_valid_prefix(const char *text, size_t bytes);

/* A column under construction: bytes, offsets, validity. ht_column_view is good until the next append. */
typedef struct ht_column {
    ht_buf bytes, offsets, valid;
    size_t count;
    bool missing; /* some string is */
} ht_column;
void ht_column_init(ht_column *column);
void ht_column_clear(ht_column *column);
void ht_column_add(ht_column *column, const char *text, size_t bytes); /* text NULL: missing */
HT_NODISCARD hither_status ht_column_check(const ht_column *column, hither_error *err);
hither_strings ht_column_view(const ht_column *column);

#endif
