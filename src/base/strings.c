/*
 * strings.c: checks of the columns that come from outside, UTF-8, and the column builder.
 *
 * The checks read nothing that an earlier check did not allow: pointers first, then offsets, then bytes. Any thread;
 * a column under construction belongs to one.
 */
#include "base/strings.h"

#include <inttypes.h>
#include <string.h>

/* ---- UTF-8 */

static bool is_tail(unsigned char c) { return (c & 0xc0) == 0x80; }

/* The length of the character at p, of which `left` > 0 bytes are there; 0 if it is none. */
static size_t character(const unsigned char *p, size_t left) {
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    if (c < 0xc2) /* a tail, or an overlong form of ASCII */
        return 0;
    if (c < 0xe0)
        return left >= 2 && is_tail(p[1]) ? 2 : 0;
    if (c < 0xf0) {
        if (left < 3 || !is_tail(p[1]) || !is_tail(p[2]))
            return 0;
        if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] >= 0xa0)) /* overlong; surrogates */
            return 0;
        return 3;
    }
    if (c > 0xf4 || left < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]))
        return 0;
    if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] >= 0x90)) /* overlong; above U+10FFFF */
        return 0;
    return 4;
}

size_t ht_utf8_valid_prefix(const char *text, size_t bytes) {
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;
    while (i < bytes) {
        uint64_t word;
        while (bytes - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            if (word & 0x8080808080808080u)
                break;
            i += sizeof word;
        }
        if (i == bytes)
            break;
        size_t length = character(p + i, bytes - i);
        if (length == 0)
            break;
        i += length;
    }
    return i;
}

/* ---- columns from outside */

static hither_status check_text(const hither_strings *s, size_t i, const char *what, size_t max_bytes,
                                hither_error *err) {
    ht_text text = ht_strings_at(s, i);
    if (text.bytes > max_bytes)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: row %zu has %zu bytes, the limit is %zu", what, i, text.bytes,
                       max_bytes);
    size_t good = ht_utf8_valid_prefix(text.data, text.bytes);
    if (good < text.bytes)
        return ht_fail(err, HITHER_ENCODING, "%s: row %zu is not UTF-8 at byte %zu (0x%02x)", what, i, good,
                       (unsigned char)text.data[good]);
    return HITHER_OK;
}

hither_status ht_strings_check(const hither_strings *s, const char *what, size_t max_bytes, hither_error *err) {
    if (s->count == 0)
        return HITHER_OK;
    if (!s->offsets)
        return ht_fail(err, HITHER_INVALID, "%s: %zu strings without offsets", what, s->count);
    for (size_t i = 0; i < s->count; i++) {
        if (s->offsets[i + 1] < s->offsets[i])
            return ht_fail(err, HITHER_INVALID, "%s: row %zu ends at offset %" PRIu64 ", before its start %" PRIu64,
                           what, i, s->offsets[i + 1], s->offsets[i]);
    }
    if (s->offsets[s->count] > SIZE_MAX)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: offsets beyond this machine's memory", what);
    if (!s->bytes && s->offsets[s->count] != s->offsets[0])
        return ht_fail(err, HITHER_INVALID, "%s: offsets promise bytes but there are none", what);
    for (size_t i = 0; i < s->count; i++) {
        if (ht_strings_has(s, i))
            HT_TRY(check_text(s, i, what, max_bytes, err));
    }
    return HITHER_OK;
}

hither_status ht_ids_check(const hither_ids *ids, hither_error *err) {
    if (ids->ints)
        return HITHER_OK;
    if (ids->strings.count != ids->count)
        return ht_fail(err, HITHER_INVALID, "ids: count is %zu but there are %zu strings", ids->count,
                       ids->strings.count);
    HT_TRY(ht_strings_check(&ids->strings, "ids", HITHER_MAX_ID_BYTES, err));
    for (size_t i = 0; i < ids->count; i++) {
        ht_text id = ht_strings_at(&ids->strings, i);
        if (!id.data)
            return ht_fail(err, HITHER_INVALID, "ids: row %zu is missing", i);
        if (id.bytes == 0)
            return ht_fail(err, HITHER_INVALID, "ids: row %zu is empty; an id has at least one byte", i);
        const char *nul = memchr(id.data, '\0', id.bytes);
        if (nul)
            return ht_fail(err, HITHER_INVALID, "ids: row %zu has a NUL at byte %zu", i, (size_t)(nul - id.data));
    }
    return HITHER_OK;
}

/* ---- a column under construction */

void ht_column_init(ht_column *column) {
    *column = (ht_column){0};
    ht_buf_init(&column->bytes, SIZE_MAX);
    ht_buf_init(&column->offsets, SIZE_MAX);
    ht_buf_init(&column->valid, SIZE_MAX);
}

void ht_column_clear(ht_column *column) {
    ht_buf_clear(&column->bytes);
    ht_buf_clear(&column->offsets);
    ht_buf_clear(&column->valid);
    column->count = 0;
    column->missing = false;
}

void ht_column_add(ht_column *column, const char *text, size_t bytes) {
    size_t i = column->count++;
    if (i == 0)
        ht_buf_put(&column->offsets, &(uint64_t){0}, sizeof(uint64_t));
    if (i % 8 == 0)
        ht_buf_putc(&column->valid, 0);
    if (!text)
        column->missing = true;
    else if (!column->valid.failed)
        column->valid.data[i / 8] = (char)((unsigned char)column->valid.data[i / 8] | 1u << i % 8);
    /* Even an empty text makes the bytes a pointer, so that "" differs from a missing column. */
    ht_buf_put(&column->bytes, text, text ? bytes : 0);
    ht_buf_put(&column->offsets, &(uint64_t){column->bytes.size}, sizeof(uint64_t));
}

hither_status ht_column_check(const ht_column *column, hither_error *err) {
    HT_TRY(ht_buf_check(&column->bytes, "a column of text", err));
    HT_TRY(ht_buf_check(&column->offsets, "the offsets of a column", err));
    return ht_buf_check(&column->valid, "the validity of a column", err);
}

hither_strings ht_column_view(const ht_column *column) {
    if (column->count == 0)
        return (hither_strings){0};
    return (hither_strings){
        .bytes = column->bytes.data,
        .offsets = (const uint64_t *)(const void *)column->offsets.data,
        .count = column->count,
        .valid = column->missing ? (const uint8_t *)column->valid.data : NULL,
    };
}
