/* normal.c: see normal.h. */
#include "embed/normal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/token_chars.h"
#include "base/wordpiece_chars.h"
#include "embed/around.h"

enum { MAX_NESTED = 4, MAX_CONTENT = 256 };

/* ---- from the file */

hither_status ht_pattern_read(const json_t *pattern, const char *where, ht_scan **out, hither_error *err) {
    const json_t *regex = json_object_get(pattern, "Regex"), *literal = json_object_get(pattern, "String");
    if (json_is_string(regex))
        return ht_scan_compile(json_string_value(regex), json_string_length(regex), where, out, err);
    if (json_is_string(literal))
        return ht_scan_literal(json_string_value(literal), json_string_length(literal), where, out, err);
    return ht_fail(err, HITHER_MODEL, "%s: a pattern is neither String nor Regex", where);
}

static hither_status copy_text(const json_t *object, const char *key, const char *where, char **out,
                               hither_error *err) {
    const char *text = ht_json_text_of(object, key);
    if (strlen(text) > MAX_CONTENT)
        return ht_fail(err, HITHER_MODEL, "%s: the %s of a normalizer has %zu bytes; at most %d are possible", where,
                       key, strlen(text), MAX_CONTENT);
    *out = ht_strdup(text);
    return *out ? HITHER_OK : ht_fail_nomem(err, strlen(text), "a normalizer");
}

static void read_bert(const json_t *n, ht_normal_step *s) {
    const json_t *strip = json_object_get(n, "strip_accents");
    s->clean = json_is_true(json_object_get(n, "clean_text"));
    s->chinese = json_is_true(json_object_get(n, "handle_chinese_chars"));
    s->lowercase = json_is_true(json_object_get(n, "lowercase"));
    s->accents = strip && !json_is_null(strip) ? json_is_true(strip) : s->lowercase;
}

static hither_status read_step(const json_t *n, const char *type, const char *where, ht_normal_step *s,
                               hither_error *err) {
    static const struct {
        const char *name;
        ht_normal_kind kind;
        int form;
    } known[] = {{"NFC", HT_NORMAL_FORM, HT_NFC},       {"NFD", HT_NORMAL_FORM, HT_NFD},
                 {"NFKC", HT_NORMAL_FORM, HT_NFKC},     {"NFKD", HT_NORMAL_FORM, HT_NFKD},
                 {"Lowercase", HT_NORMAL_LOWERCASE, 0}, {"StripAccents", HT_NORMAL_MARKS, 0},
                 {"Strip", HT_NORMAL_STRIP, 0},         {"Replace", HT_NORMAL_REPLACE, 0},
                 {"Prepend", HT_NORMAL_PREPEND, 0},     {"ByteLevel", HT_NORMAL_BYTES, 0},
                 {"BertNormalizer", HT_NORMAL_BERT, 0}, {"Nmt", HT_NORMAL_NMT, 0},
                 {"Precompiled", HT_NORMAL_CHARSMAP, 0}};
    size_t i = 0;
    while (i < sizeof known / sizeof *known && strcmp(known[i].name, type) != 0)
        i++;
    if (i == sizeof known / sizeof *known)
        return ht_fail(err, HITHER_MODEL, "%s: the normalizer \"%.60s\" is not supported", where, type);
    s->kind = known[i].kind;
    s->form = known[i].form;
    s->left = json_is_true(json_object_get(n, "strip_left"));
    s->right = json_is_true(json_object_get(n, "strip_right"));
    if (s->kind == HT_NORMAL_BERT)
        read_bert(n, s);
    if (s->kind == HT_NORMAL_PREPEND)
        return copy_text(n, "prepend", where, &s->text, err);
    if (s->kind == HT_NORMAL_CHARSMAP)
        return ht_charsmap_read(ht_json_text_of(n, "precompiled_charsmap"), where, &s->map, err);
    if (s->kind != HT_NORMAL_REPLACE)
        return HITHER_OK;
    HT_TRY(ht_pattern_read(json_object_get(n, "pattern"), where, &s->scan, err));
    return copy_text(n, "content", where, &s->text, err);
}

static hither_status read_one(const json_t *n, int depth, const char *where, ht_normal *out, hither_error *err) {
    const char *type = ht_json_text_of(n, "type");
    if (!n || json_is_null(n))
        return HITHER_OK;
    if (strcmp(type, "Sequence") == 0 && depth < MAX_NESTED) {
        const json_t *parts = json_object_get(n, "normalizers"), *part;
        size_t i;
        json_array_foreach(parts, i, part) HT_TRY(read_one(part, depth + 1, where, out, err));
        return HITHER_OK;
    }
    if (out->count == HT_NORMAL_MAX)
        return ht_fail(err, HITHER_MODEL, "%s: more than %d normalizers", where, HT_NORMAL_MAX);
    return read_step(n, type, where, &out->steps[out->count++], err);
}

hither_status ht_normal_read(const json_t *root, const char *where, ht_normal *out, hither_error *err) {
    *out = (ht_normal){0};
    return read_one(json_object_get(root, "normalizer"), 0, where, out, err);
}

void ht_normal_clear(ht_normal *n) {
    for (size_t i = 0; i < n->count; i++) {
        ht_scan_free(n->steps[i].scan);
        ht_release(n->steps[i].text);
        ht_charsmap_clear(&n->steps[i].map);
    }
    *n = (ht_normal){0};
}

/* ---- one character after the other */

size_t ht_byte_char(unsigned char byte, char out[2]) {
    bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
    uint32_t cp = byte;
    if (!printable) /* the others follow one another from U+0100 on */
        cp = 0x100u + (byte <= 0x20 ? byte : byte == 0xad ? 0x43u : 0x21u + (byte - 0x7fu));
    return ht_utf8_put(cp, out);
}

static void put_char(ht_buf *out, uint32_t cp) {
    char bytes[4];
    ht_buf_put(out, bytes, ht_utf8_put(cp, bytes));
}

static void put_lower(ht_buf *out, uint32_t cp) {
    uint32_t lower[3];
    size_t count = ht_token_lower(cp, lower);
    for (size_t i = 0; i < count; i++)
        put_char(out, lower[i]);
}

/* Characters that the normalizer of T5 and its like leaves out, and those that it makes a space. */
static bool nmt_dropped(uint32_t cp) {
    return (cp >= 1 && cp <= 8) || cp == 11 || (cp >= 14 && cp <= 31) || cp == 127 || cp == 0x8f || cp == 0x9f;
}

static bool nmt_space(uint32_t cp) {
    return cp == 9 || cp == 10 || cp == 12 || cp == 13 || cp == 0x1680 || (cp >= 0x200b && cp <= 0x200f) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x2581 || cp == 0xfeff || cp == 0xfffd;
}

static void each_char(const ht_normal_step *s, const char *text, size_t bytes, ht_buf *out) {
    size_t length;
    for (size_t at = 0; at < bytes; at += length) {
        bool valid;
        uint32_t cp = ht_utf8_next(text + at, bytes - at, &length, &valid);
        if (s->kind == HT_NORMAL_LOWERCASE)
            put_lower(out, cp);
        else if (s->kind == HT_NORMAL_NMT && nmt_space(cp))
            ht_buf_putc(out, ' ');
        else if (s->kind == HT_NORMAL_NMT ? !nmt_dropped(cp) : !(ht_token_facts(cp) & HT_FACT_MARK))
            ht_buf_put(out, text + at, length);
    }
}

static void to_byte_chars(const char *text, size_t bytes, ht_buf *out) {
    char two[2];
    for (size_t i = 0; i < bytes; i++)
        ht_buf_put(out, two, ht_byte_char((unsigned char)text[i], two));
}

/* ---- the normalizer of the BERT family, for models of another kind */

static void clean(const ht_normal_step *s, const char *text, size_t bytes, ht_buf *out) {
    size_t length;
    for (size_t at = 0; at < bytes; at += length) {
        bool valid;
        uint32_t cp = ht_utf8_next(text + at, bytes - at, &length, &valid);
        ht_wordpiece_kind kind = ht_wordpiece_kind_of(cp);
        bool chinese = s->chinese && kind == HT_WORDPIECE_CHINESE;
        if (s->clean && (kind == HT_WORDPIECE_DROPPED || cp == 0xfffd || cp == 0))
            continue;
        if (s->clean && kind == HT_WORDPIECE_SPACE) {
            ht_buf_putc(out, ' ');
            continue;
        }
        if (chinese)
            ht_buf_putc(out, ' ');
        ht_buf_put(out, text + at, length);
        if (chinese)
            ht_buf_putc(out, ' ');
    }
}

static void finish_bert(const ht_normal_step *s, const char *text, size_t bytes, ht_buf *out) {
    size_t length;
    for (size_t at = 0; at < bytes; at += length) {
        bool valid;
        uint32_t cp = ht_utf8_next(text + at, bytes - at, &length, &valid);
        if (s->accents && ht_wordpiece_kind_of(cp) == HT_WORDPIECE_MARK)
            continue;
        if (s->lowercase)
            put_lower(out, cp);
        else
            put_char(out, cp);
    }
}

static hither_status apply_bert(const ht_normal_step *s, const char *text, size_t bytes, ht_buf *out,
                                hither_error *err) {
    ht_buf between;
    hither_status status = HITHER_OK;
    if (!s->accents) {
        ht_buf_init(&between, HT_ROOM_MAX);
        clean(s, text, bytes, &between);
        status = ht_buf_check(&between, "a text", err);
    } else {
        ht_buf cleaned;
        ht_buf_init(&cleaned, HT_ROOM_MAX);
        ht_buf_init(&between, HT_ROOM_MAX);
        clean(s, text, bytes, &cleaned);
        status = ht_buf_check(&cleaned, "a text", err);
        if (status == HITHER_OK && cleaned.size)
            status = ht_token_normal_form(HT_NFD, cleaned.data, cleaned.size, &between, err);
        ht_buf_clear(&cleaned);
    }
    if (status == HITHER_OK && between.size)
        finish_bert(s, between.data, between.size, out);
    ht_buf_clear(&between);
    return status;
}

/* ---- the rest */

static void strip(const ht_normal_step *s, const char **text, size_t *bytes) {
    size_t length, end;
    bool valid;
    while (s->left && *bytes && ht_token_space(ht_utf8_next(*text, *bytes, &length, &valid))) {
        *text += length;
        *bytes -= length;
    }
    end = *bytes;
    while (s->right && end > 0) {
        size_t back = end;
        do
            back--;
        while (back > 0 && ((unsigned char)(*text)[back] & 0xc0u) == 0x80);
        if (!ht_token_space(ht_utf8_next(*text + back, end - back, &length, &valid)))
            break;
        end = back;
    }
    *bytes = end;
}

static hither_status replace(const ht_normal_step *s, ht_normal_room *room, const char *text, size_t bytes, ht_buf *out,
                             hither_error *err) {
    size_t begin, end = 0;
    ht_scan_begin(room->scan, bytes);
    for (size_t at = 0; at < bytes; at = end) {
        HT_TRY(ht_scan_next(s->scan, room->scan, text, bytes, at, &begin, &end, err));
        ht_buf_put(out, text + at, begin - at);
        if (begin == bytes)
            break;
        ht_buf_puts(out, s->text);
    }
    return HITHER_OK;
}

static hither_status apply(const ht_normal_step *s, ht_normal_room *room, const char *text, size_t bytes, ht_buf *out,
                           hither_error *err) {
    switch (s->kind) {
    case HT_NORMAL_FORM:
        return ht_token_normal_form((ht_normal_form)s->form, text, bytes, out, err);
    case HT_NORMAL_REPLACE:
        return replace(s, room, text, bytes, out, err);
    case HT_NORMAL_PREPEND:
        ht_buf_puts(out, s->text);
        ht_buf_put(out, text, bytes);
        return HITHER_OK;
    case HT_NORMAL_BYTES:
        to_byte_chars(text, bytes, out);
        return HITHER_OK;
    case HT_NORMAL_BERT:
        return apply_bert(s, text, bytes, out, err);
    case HT_NORMAL_CHARSMAP:
        ht_charsmap_apply(&s->map, text, bytes, out);
        return HITHER_OK;
    default:
        each_char(s, text, bytes, out);
        return HITHER_OK;
    }
}

static size_t chars_between(const char *begin, const char *end) {
    size_t count = 0;
    for (; begin < end; begin++)
        count += ((unsigned char)*begin & 0xc0u) != 0x80;
    return count;
}

/* The text began with `*lead` characters that are what all of it begins with; a normal form made `out` of it. Gives how
 * many there are now: those that the form of these characters alone has too. Where marks of what follows were ordered
 * before one of theirs, they end there, as for the package `tokenizers`, whose alignments only move on. */
static hither_status keep_lead(const ht_normal_step *s, const char *text, size_t bytes, const ht_buf *out, size_t *lead,
                               hither_error *err) {
    size_t front = 0, same = 0, length;
    bool valid;
    ht_buf alone;
    for (size_t i = 0; i < *lead && front < bytes; i++, front += length)
        (void)ht_utf8_next(text + front, bytes - front, &length, &valid);
    if (front == 1) /* ASCII stays as it is, or is composed with what follows */
        return HITHER_OK;
    ht_buf_init(&alone, HT_ROOM_MAX);
    hither_status status = ht_token_normal_form((ht_normal_form)s->form, text, front, &alone, err);
    if (status == HITHER_OK) {
        while (same < alone.size && same < out->size && alone.data[same] == out->data[same])
            same++;
        while (same > 0 && same < alone.size && ((unsigned char)alone.data[same] & 0xc0u) == 0x80)
            same--;
        size_t chars = chars_between(alone.data, alone.data + same);
        *lead = chars ? chars : 1;
    }
    ht_buf_clear(&alone);
    return status;
}

/* Whether a step takes away what the text begins with, of which there are `lead` characters by now, so that what then
 * comes first stood further back. */
static bool drops_front(const ht_normal_step *s, size_t lead, const char *before, const char *text, size_t bytes,
                        const ht_buf *out) {
    size_t length;
    bool valid;
    uint32_t cp = ht_utf8_next(before, bytes, &length, &valid);
    switch (s->kind) {
    case HT_NORMAL_STRIP:
        return chars_between(before, text) >= lead;
    case HT_NORMAL_MARKS:
        return (ht_token_facts(cp) & HT_FACT_MARK) != 0;
    case HT_NORMAL_NMT:
        return nmt_dropped(cp);
    case HT_NORMAL_REPLACE: /* nothing in the place of the front */
        return s->text[0] == '\0' && (out->size == 0 || memcmp(out->data, before, ht_min_size(length, out->size)) != 0);
    default:
        return false;
    }
}

hither_status ht_normal_apply(const ht_normal *n, ht_normal_room *room, const char **text, size_t *bytes, bool *front,
                              hither_error *err) {
    size_t turn = 0, lead = 1;
    *front = true;
    for (size_t i = 0; i<n->count && * bytes> 0; i++) {
        const ht_normal_step *s = &n->steps[i];
        ht_buf *out = &room->texts[turn % 2];
        const char *before = *text;
        size_t length = *bytes;
        ht_buf_reset(out);
        if (s->kind == HT_NORMAL_STRIP) {
            strip(s, text, bytes);
        } else {
            HT_TRY(apply(s, room, *text, *bytes, out, err));
            HT_TRY(ht_buf_check(out, "a text", err));
        }
        if (s->kind == HT_NORMAL_FORM)
            HT_TRY(keep_lead(s, before, length, out, &lead, err));
        if (drops_front(s, lead, before, *text, length, out))
            *front = false;
        if (s->kind == HT_NORMAL_STRIP)
            continue;
        turn++;
        *text = out->data ? out->data : "";
        *bytes = out->size;
    }
    return HITHER_OK;
}
