/*
 * charsmap.h: the "precompiled" normalizer of sentencepiece models: a double array over bytes of UTF-8 and the strings
 * that it leads to. Hostile until it is read, and no more trusted after: every step is checked. Immutable: any thread.
 */
#ifndef HT_EMBED_CHARSMAP_H
#define HT_EMBED_CHARSMAP_H

#include "base/buf.h"

typedef struct ht_charsmap {
    uint32_t *units;
    size_t unit_count;
    char *strings; /* each ends with a NUL; so does the whole */
    size_t string_bytes;
} ht_charsmap;

/* From the base64 of a tokenizer.json. MODEL (begins with `where`), NOMEM. */
HT_NODISCARD hither_status ht_charsmap_read(const char *base64, const char *where, ht_charsmap *out, hither_error *err);
void ht_charsmap_clear(ht_charsmap *map);
/* Appends the text, which is UTF-8, normalised. */
void ht_charsmap_apply(const ht_charsmap *map, const char *text, size_t bytes, ht_buf *out);

#endif
