/* token_chars.c: see token_chars.h. */
#include "base/token_chars.h"

#include <utf8proc.h>

#include "base/alloc.h"
#include "base/text.h"

enum { MARKS = 1024, PARTS = 32, PIECE = 4096 };

unsigned ht_token_facts(uint32_t cp) {
    size_t page = cp >> 8, low, high;
    if (page + 1 < ht_token_page_count) {
        low = ht_token_pages[page];
        high = (size_t)ht_token_pages[page + 1] + 1;
    } else {
        low = ht_token_pages[ht_token_page_count - 1];
        high = ht_token_run_count;
    }
    while (high - low > 1) { /* the run at low begins at or before cp */
        size_t middle = low + (high - low) / 2;
        if (ht_token_runs[middle] >> 11 <= cp)
            low = middle;
        else
            high = middle;
    }
    return ht_token_runs[low] & 0x7ff;
}

bool ht_token_space(uint32_t cp) {
    if (cp < 0x80)
        return cp == ' ' || (cp >= 9 && cp <= 13);
    unsigned category = ht_token_facts(cp) & HT_FACT_CATEGORY;
    return cp == 0x85 || (category >= HT_ZS && category <= HT_ZP);
}

size_t ht_token_lower(uint32_t cp, uint32_t out[3]) {
    if (cp < 0x80) {
        out[0] = cp >= 'A' && cp <= 'Z' ? cp | 0x20 : cp;
        return 1;
    }
    if (cp == 0x130) { /* the one letter whose lower case is two characters */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    size_t low = 0, high = ht_token_lower_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ht_token_lowers[middle].from < cp)
            low = middle + 1;
        else
            high = middle;
    }
    bool listed = low < ht_token_lower_count && ht_token_lowers[low].from == cp;
    out[0] = listed ? ht_token_lowers[low].to : (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
    return 1;
}

/* ---- normal forms */

/* Characters decomposed so far, ordered; `marks` of them at the end are marks that may still be reordered. */
typedef struct forming {
    utf8proc_int32_t *chars;
    size_t count, room, marks;
    utf8proc_option_t options;
    ht_buf *out;
} forming;

static unsigned order_of(utf8proc_int32_t cp) { return utf8proc_get_property(cp)->combining_class; }

static bool add_part(forming *f, utf8proc_int32_t cp) {
    if (f->count == f->room) {
        size_t room = f->room ? f->room * 2 : 256;
        utf8proc_int32_t *chars = ht_resize(f->chars, room * sizeof *chars);
        if (!chars)
            return false;
        f->chars = chars;
        f->room = room;
    }
    unsigned order = order_of(cp);
    size_t at = f->count++;
    if (order == 0) {
        f->marks = 0;
    } else {
        for (size_t i = 0; i < f->marks && i < MARKS && order_of(f->chars[at - 1]) > order; i++, at--)
            f->chars[at] = f->chars[at - 1];
        f->marks++;
    }
    f->chars[at] = cp;
    return true;
}

static void flush(forming *f) {
    char bytes[4];
    utf8proc_ssize_t count = (utf8proc_ssize_t)f->count;
    if (count > 0 && (f->options & UTF8PROC_COMPOSE))
        count = utf8proc_normalize_utf32(f->chars, count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        ht_buf_put(f->out, bytes, ht_utf8_put((uint32_t)f->chars[i], bytes));
    f->count = f->marks = 0;
}

static bool take(forming *f, uint32_t cp) {
    utf8proc_int32_t parts[PARTS];
    int boundary = 0;
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)cp, parts, PARTS, f->options | UTF8PROC_DECOMPOSE, &boundary);
    if (count < 0 || count > PARTS)
        return add_part(f, (utf8proc_int32_t)cp);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        if (!add_part(f, parts[i]))
            return false;
    return true;
}

hither_status ht_token_normal_form(ht_normal_form form, const char *text, size_t bytes, ht_buf *out,
                                   hither_error *err) {
    forming f = {.out = out, .options = UTF8PROC_STABLE};
    if (form == HT_NFKC || form == HT_NFKD)
        f.options |= UTF8PROC_COMPAT;
    if (form == HT_NFC || form == HT_NFKC)
        f.options |= UTF8PROC_COMPOSE;
    bool fits = true;
    size_t length;
    for (size_t at = 0; fits && at < bytes; at += length) {
        bool valid;
        uint32_t cp = ht_utf8_next(text + at, bytes - at, &length, &valid);
        if (cp < 0x80 && f.count >= PIECE)
            flush(&f);
        if (cp < 0x80) {
            fits = add_part(&f, (utf8proc_int32_t)cp);
        } else if (ht_token_facts(cp) & HT_FACT_INERT) {
            flush(&f);
            ht_buf_put(out, text + at, length);
        } else {
            fits = take(&f, cp);
        }
    }
    flush(&f);
    ht_release(f.chars);
    return fits ? ht_buf_check(out, "a normalised text", err) : ht_fail_nomem(err, bytes, "a normalised text");
}

/* The character itself, or one like it where it is newer than the library's tables. */
static utf8proc_int32_t known(uint32_t cp) {
    unsigned category = cp < 0x80 ? HT_CN : ht_token_facts(cp) & HT_FACT_CATEGORY;
    if ((cp >= 0x1ab0 && cp <= 0x1add) || (cp >= 0x1ae0 && cp <= 0x1aeb)) /* a block of marks that still fills */
        category = HT_MN;
    if (category < HT_MN || category > HT_ME || utf8proc_category((utf8proc_int32_t)cp) != UTF8PROC_CATEGORY_CN)
        return (utf8proc_int32_t)cp;
    return category == HT_MC ? 0x903 : 0x301;
}

size_t ht_token_grapheme(const char *text, size_t bytes) {
    size_t length, at;
    bool valid;
    utf8proc_int32_t state = 0;
    uint32_t before = ht_utf8_next(text, bytes, &length, &valid);
    for (at = length; at < bytes; at += length) {
        uint32_t cp = ht_utf8_next(text + at, bytes - at, &length, &valid);
        if (before < 0x80 && cp < 0x80 && !(before == '\r' && cp == '\n'))
            return at;
        if (utf8proc_grapheme_break_stateful(known(before), known(cp), &state))
            return at;
        before = cp;
    }
    return at;
}
