/* charsmap.c: see charsmap.h. */
#include "embed/charsmap.h"

#include <string.h>

#include "base/alloc.h"
#include "base/strings.h"
#include "base/text.h"
#include "base/token_chars.h"

enum { WHOLE = 6 }; /* clusters shorter than so many bytes are looked up as they are */

static int digit_of(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The bytes of base64 with its padding; false if it is none. `out` has room for 3/4 of it. */
static bool decode(const char *text, size_t length, unsigned char *out, size_t *bytes) {
    *bytes = 0;
    if (length % 4)
        return false;
    for (size_t i = 0; i < length; i += 4) {
        size_t have = i + 4 < length || text[i + 3] != '=' ? 4 : text[i + 2] != '=' ? 3 : 2;
        uint32_t bits = 0;
        for (size_t j = 0; j < 4; j++) {
            int digit = j < have ? digit_of(text[i + j]) : 0;
            if (digit < 0)
                return false;
            bits = bits << 6 | (uint32_t)digit;
        }
        for (size_t j = 0; j + 1 < have; j++)
            out[(*bytes)++] = (unsigned char)(bits >> (16 - 8 * j));
    }
    return true;
}

static uint32_t word_at(const unsigned char *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static hither_status take(const unsigned char *raw, size_t bytes, const char *where, ht_charsmap *map,
                          hither_error *err) {
    size_t units = bytes >= 4 ? word_at(raw) : 0;
    if (bytes < 4 || units % 4 || units == 0 || units > bytes - 4)
        return ht_fail(err, HITHER_MODEL, "%s: the precompiled_charsmap of %zu bytes is cut short", where, bytes);
    map->unit_count = units / 4;
    map->string_bytes = bytes - 4 - units;
    map->units = ht_alloc(units);
    map->strings = ht_alloc(map->string_bytes + 1);
    if (!map->units || !map->strings)
        return ht_fail_nomem(err, bytes, "a tokenizer");
    for (size_t i = 0; i < map->unit_count; i++)
        map->units[i] = word_at(raw + 4 + 4 * i);
    memcpy(map->strings, raw + 4 + units, map->string_bytes);
    map->strings[map->string_bytes] = '\0';
    if (ht_utf8_valid_prefix(map->strings, map->string_bytes) < map->string_bytes)
        return ht_fail(err, HITHER_MODEL, "%s: the precompiled_charsmap is not UTF-8", where);
    return HITHER_OK;
}

hither_status ht_charsmap_read(const char *base64, const char *where, ht_charsmap *out, hither_error *err) {
    size_t length = strlen(base64), bytes;
    *out = (ht_charsmap){0};
    unsigned char *raw = ht_alloc(length / 4 * 3 + 3);
    if (!raw)
        return ht_fail_nomem(err, length, "a tokenizer");
    hither_status status = decode(base64, length, raw, &bytes)
                               ? take(raw, bytes, where, out, err)
                               : ht_fail(err, HITHER_MODEL, "%s: the precompiled_charsmap is not base64", where);
    ht_release(raw);
    if (status != HITHER_OK)
        ht_charsmap_clear(out);
    return status;
}

void ht_charsmap_clear(ht_charsmap *map) {
    ht_release(map->units);
    ht_release(map->strings);
    *map = (ht_charsmap){0};
}

static size_t offset_of(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6); }

/* What the shortest beginning of the text that is listed leads to; NULL if none is. */
static const char *find(const ht_charsmap *map, const char *text, size_t bytes) {
    size_t node = offset_of(map->units[0]);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        node ^= c;
        if (c == 0 || node >= map->unit_count)
            return NULL;
        uint32_t unit = map->units[node];
        if ((unit & (1u << 31 | 0xff)) != c)
            return NULL;
        node ^= offset_of(unit);
        if (unit >> 8 & 1) {
            size_t at = node < map->unit_count ? map->units[node] & ~(1u << 31) : SIZE_MAX;
            bool begins = at < map->string_bytes && ((unsigned char)map->strings[at] & 0xc0u) != 0x80;
            return begins || at == map->string_bytes ? map->strings + at : NULL;
        }
    }
    return NULL;
}

void ht_charsmap_apply(const ht_charsmap *map, const char *text, size_t bytes, ht_buf *out) {
    size_t length, cluster;
    for (size_t at = 0; at < bytes; at += cluster) {
        cluster = ht_token_grapheme(text + at, bytes - at);
        const char *whole = cluster < WHOLE ? find(map, text + at, cluster) : NULL;
        if (whole) {
            ht_buf_puts(out, whole);
            continue;
        }
        for (size_t i = at; i < at + cluster; i += length) {
            bool valid;
            (void)ht_utf8_next(text + i, at + cluster - i, &length, &valid);
            const char *other = find(map, text + i, length);
            if (other)
                ht_buf_puts(out, other);
            else
                ht_buf_put(out, text + i, length);
        }
    }
}
