/*
 * json.c: jansson, kept from text that would hurt it.
 *
 * jansson recurses once a level and cannot always tell a wrong text from a lack of memory, so the grammar and the depth
 * are checked here first, in one pass without recursion. What is left to jansson are keys that stand twice and numbers
 * out of range; a pass that can rule both out, as it can for the metadata people write, is all that a check needs.
 * Merging works on the texts, not on parsed values: numbers come out as they were written, digit for digit. Any thread.
 */
#include "base/json.h"

#include <string.h>

#include "base/alloc.h"
#include "base/strings.h"

/* ---- where in the text */

static hither_status fail_at(hither_error *err, hither_status status, const char *where, const char *text, size_t at,
                             const char *problem) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return ht_fail(err, status, "%s: %s (line %zu, column %zu, byte %zu)", where, problem, line, column, at);
}

/* ---- the grammar, in one pass without recursion */

enum {
    KNOWN_KEYS = 48,        /* of the objects that are open; where there are more, jansson looks for repeated ones */
    SURE_INT_DIGITS = 18,   /* below 2^63 whatever they are */
    SURE_REAL_DIGITS = 100, /* with an exponent of two digits, far below the largest double */
    SURE_EXPONENT_DIGITS = 2
};

typedef struct scanner {
    const char *text;
    size_t bytes, at;
    size_t depth, key_count;
    const char *problem; /* NULL while all is well */
    hither_status status;
    bool escaped;                        /* the last string had a backslash */
    bool unsure;                         /* a key may stand twice, or a number be out of range */
    char closers[HITHER_MAX_JSON_DEPTH]; /* of the brackets that are open */
    uint8_t first_key[HITHER_MAX_JSON_DEPTH];
    ht_text keys[KNOWN_KEYS];
} scanner;

/* The arrays are written before they are read. */
static void scanner_init(scanner *s, const char *text, size_t bytes) {
    s->text = text;
    s->bytes = bytes;
    s->at = s->depth = s->key_count = 0;
    s->problem = NULL;
    s->status = HITHER_OK;
    s->escaped = s->unsure = false;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The character at `at`; NUL, which the grammar knows nowhere, at the end. */
static char peek(const scanner *s) { return s->at < s->bytes ? s->text[s->at] : '\0'; }

static bool refuse(scanner *s, const char *problem) {
    s->problem = s->at < s->bytes ? problem : "the text ends too early";
    s->status = HITHER_SYNTAX;
    return false;
}

static void skip_space(scanner *s) {
    while (s->at < s->bytes && is_space(s->text[s->at]))
        s->at++;
}

/* Four hex digits; -1 if they are not. */
static long scan_hex(scanner *s) {
    long code = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        char c = peek(s);
        int digit = is_digit(c)            ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            refuse(s, "\\u needs four hexadecimal digits");
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

/* From behind the backslash to behind the escape. */
static bool scan_escape(scanner *s) {
    char c = peek(s);
    if (c != 'u') {
        if (c == '\0' || !strchr("\"\\/bfnrt", c))
            return refuse(s, "an unknown escape");
        s->at++;
        return true;
    }
    size_t start = s->at++;
    long code = scan_hex(s);
    if (code < 0)
        return false;
    if (code >= 0xd800 && code < 0xdc00 && s->bytes - s->at >= 2 && memcmp(s->text + s->at, "\\u", 2) == 0) {
        s->at += 2;
        long low = scan_hex(s);
        if (low < 0)
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            return true;
    }
    if (code == 0 || (code >= 0xd800 && code < 0xe000)) {
        s->at = start - 1;
        return refuse(s, code == 0 ? "\\u0000 is not allowed" : "half of a surrogate pair");
    }
    return true;
}

static bool scan_string(scanner *s) {
    if (peek(s) != '"')
        return refuse(s, "a string in double quotes is needed");
    s->escaped = false;
    for (s->at++; s->at < s->bytes;) {
        char c = s->text[s->at];
        if (c == '"') {
            s->at++;
            return true;
        }
        if ((unsigned char)c < 0x20)
            return refuse(s, "a control character inside a string");
        s->at++;
        if (c != '\\')
            continue;
        s->escaped = true;
        if (!scan_escape(s))
            return false;
    }
    return refuse(s, "");
}

static bool scan_digits(scanner *s) {
    if (!is_digit(peek(s)))
        return refuse(s, "a digit is needed");
    while (is_digit(peek(s)))
        s->at++;
    return true;
}

static bool scan_number(scanner *s) {
    if (peek(s) == '-')
        s->at++;
    size_t start = s->at, sure = SURE_INT_DIGITS;
    if (peek(s) == '0')
        s->at++;
    else if (!scan_digits(s))
        return false;
    if (peek(s) == '.') {
        sure = SURE_REAL_DIGITS;
        s->at++;
        if (!scan_digits(s))
            return false;
    }
    size_t digits = s->at - start;
    if (peek(s) == 'e' || peek(s) == 'E') {
        sure = SURE_REAL_DIGITS;
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        start = s->at;
        if (!scan_digits(s))
            return false;
        s->unsure |= s->at - start > SURE_EXPONENT_DIGITS;
    }
    s->unsure |= digits > sure;
    return true;
}

static bool scan_word(scanner *s) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(words[i]);
        if (s->bytes - s->at >= length && memcmp(s->text + s->at, words[i], length) == 0) {
            s->at += length;
            return true;
        }
    }
    return refuse(s, "a value is needed");
}

/* Compares the key before `at` with those of its object. One with an escape can be spelt in several ways. */
static void note_key(scanner *s, size_t start) {
    ht_text key = {s->text + start, s->at - start};
    if (s->escaped || s->key_count == KNOWN_KEYS) {
        s->unsure = true;
        return;
    }
    for (size_t i = s->first_key[s->depth - 1]; i < s->key_count; i++)
        s->unsure |= s->keys[i].bytes == key.bytes && memcmp(s->keys[i].data, key.data, key.bytes) == 0;
    s->keys[s->key_count++] = key;
}

/* A key and its colon. */
static bool scan_key(scanner *s) {
    skip_space(s);
    size_t start = s->at;
    if (!scan_string(s))
        return false;
    note_key(s, start);
    skip_space(s);
    if (peek(s) != ':')
        return refuse(s, "a colon is needed after the key");
    s->at++;
    return true;
}

/* An opening bracket, and the first key of an object. *closed tells whether it was closed at once. */
static bool scan_open(scanner *s, bool *closed) {
    if (s->depth == HITHER_MAX_JSON_DEPTH) {
        s->problem = "nested too deeply; the limit is 64 levels";
        s->status = HITHER_TOO_LARGE;
        return false;
    }
    _Static_assert(HITHER_MAX_JSON_DEPTH == 64, "the message above says 64");
    char closer = s->text[s->at++] == '{' ? '}' : ']';
    skip_space(s);
    *closed = peek(s) == closer;
    if (*closed) {
        s->at++;
        return true;
    }
    s->first_key[s->depth] = (uint8_t)s->key_count;
    s->closers[s->depth++] = closer;
    return closer == ']' || scan_key(s);
}

/* What follows a value: closing brackets, then a comma and, in an object, a key. *more tells whether a value follows.
 */
static bool scan_after_value(scanner *s, bool *more) {
    for (;;) {
        skip_space(s);
        *more = s->depth > 0;
        if (s->depth == 0)
            return s->at == s->bytes || refuse(s, "something follows the value");
        char closer = s->closers[s->depth - 1], c = peek(s);
        if (c == ',') {
            s->at++;
            return closer == ']' || scan_key(s);
        }
        if (c != closer)
            return refuse(s, closer == '}' ? "a comma or } is needed" : "a comma or ] is needed");
        s->at++;
        s->key_count = s->first_key[--s->depth];
    }
}

/* Whether the whole text is one JSON value. If not, at, problem and status say what is wrong. */
static bool scan_text(scanner *s) {
    for (bool more = true; more;) {
        skip_space(s);
        char c = peek(s);
        bool closed = true, fine;
        if (c == '{' || c == '[')
            fine = scan_open(s, &closed);
        else if (c == '"')
            fine = scan_string(s);
        else
            fine = c == '-' || is_digit(c) ? scan_number(s) : scan_word(s);
        if (!fine || (closed && !scan_after_value(s, &more)))
            return false;
    }
    return true;
}

/* ---- parsing */

/* The grammar was right, so what is left to jansson is two keys alike, a number out of range, and memory. It tells
 * of the last in several ways, some of them looking like a wrong text. */
static hither_status explain(const json_error_t *error, const char *where, const char *text, size_t bytes,
                             hither_error *err) {
    size_t at = error->position > 0 ? ht_min_size((size_t)error->position, bytes) : 0;
    enum json_error_code code = json_error_code(error);
    if (code == json_error_duplicate_key || code == json_error_numeric_overflow)
        return fail_at(err, HITHER_SYNTAX, where, text, at, error->text);
    return ht_fail(err, HITHER_NOMEM, "%s: no memory to parse %zu bytes of JSON", where, bytes);
}

/* The limits and the grammar. */
static hither_status scan(scanner *s, size_t max_bytes, const char *where, hither_error *err) {
    if (s->bytes > max_bytes)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: %zu bytes of JSON, the limit is %zu", where, s->bytes, max_bytes);
    size_t good = ht_utf8_valid_prefix(s->text, s->bytes);
    if (good < s->bytes)
        return fail_at(err, HITHER_ENCODING, where, s->text, good, "not UTF-8");
    return scan_text(s) ? HITHER_OK : fail_at(err, s->status, where, s->text, s->at, s->problem);
}

static hither_status parse(const char *text, size_t bytes, const char *where, json_t **out, hither_error *err) {
    json_error_t error = {.line = 0}; /* jansson leaves the code unset when its first allocation fails */
    json_t *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value)
        return explain(&error, where, text, bytes, err);
    *out = value;
    return HITHER_OK;
}

hither_status ht_json_parse(const char *text, size_t bytes, size_t max_bytes, const char *where, json_t **out,
                            hither_error *err) {
    scanner s;
    scanner_init(&s, text, bytes);
    HT_TRY(scan(&s, max_bytes, where, err));
    return parse(text, bytes, where, out, err);
}

static bool begins_object(const char *text, size_t bytes) {
    size_t at = 0;
    while (at < bytes && is_space(text[at]))
        at++;
    return at < bytes && text[at] == '{';
}

hither_status ht_json_check_object(const char *text, size_t bytes, const char *where, hither_error *err) {
    scanner s;
    scanner_init(&s, text, bytes);
    HT_TRY(scan(&s, HITHER_MAX_TEXT_BYTES, where, err));
    if (s.unsure) {
        json_t *value = NULL;
        HT_TRY(parse(text, bytes, where, &value, err));
        json_decref(value);
    }
    if (!begins_object(text, bytes))
        return ht_fail(err, HITHER_SYNTAX, "%s: a JSON object is needed, like {\"key\": 1}", where);
    return HITHER_OK;
}

/* ---- merging: the texts have passed the checks above */

/* The index after the string literal that begins at text[at]; `bytes` if it does not end. */
static size_t skip_string(const char *text, size_t bytes, size_t at) {
    for (size_t i = at + 1; i < bytes; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == '"')
            return i + 1;
    }
    return bytes;
}

typedef struct span {
    const char *data;
    size_t bytes;
} span;

/* Walks the members of an object whose text has been checked. */
typedef struct member_walk {
    const char *text;
    size_t bytes, at;
    span key; /* with its quotes */
    span value;
} member_walk;

/* The index after the value that begins at `at`, without the space behind it. */
static size_t skip_value(const char *text, size_t bytes, size_t at) {
    size_t depth = 0, i = at;
    while (i < bytes) {
        char c = text[i];
        if (c == '"') {
            i = skip_string(text, bytes, i);
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}'))
            break;
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        i++;
    }
    while (i > at && is_space(text[i - 1]))
        i--;
    return i;
}

static bool next_member(member_walk *walk) {
    while (walk->at < walk->bytes && walk->text[walk->at] != '"')
        walk->at++; /* over the opening brace, commas and space */
    if (walk->at >= walk->bytes)
        return false;
    size_t end = skip_string(walk->text, walk->bytes, walk->at);
    walk->key = (span){walk->text + walk->at, end - walk->at};
    walk->at = end;
    while (walk->at < walk->bytes && (is_space(walk->text[walk->at]) || walk->text[walk->at] == ':'))
        walk->at++;
    end = skip_value(walk->text, walk->bytes, walk->at);
    walk->value = (span){walk->text + walk->at, end - walk->at};
    walk->at = end;
    return true;
}

static void put_compact(ht_buf *out, span s) {
    for (size_t i = 0; i < s.bytes;) {
        size_t end = i;
        if (s.data[i] == '"') {
            end = skip_string(s.data, s.bytes, i);
        } else {
            while (end < s.bytes && s.data[end] != '"' && !is_space(s.data[end]))
                end++;
        }
        ht_buf_put(out, s.data + i, end - i);
        for (i = end; i < s.bytes && is_space(s.data[i]);)
            i++;
    }
}

static void put_member(ht_buf *out, bool *first, span key, span value) {
    ht_buf_putc(out, *first ? '{' : ',');
    *first = false;
    ht_buf_put(out, key.data, key.bytes);
    ht_buf_putc(out, ':');
    put_compact(out, value);
}

/* Keys may be written in several ways ("a" is "\u0061"), so they are looked up as jansson decodes them. */
static json_t *decode_key(span key) { return json_loadb(key.data, key.bytes, JSON_DECODE_ANY, NULL); }

/* decoded key -> where its value begins in the patch */
static bool index_patch(json_t *index, member_walk walk) {
    while (next_member(&walk)) {
        json_t *key = decode_key(walk.key);
        json_t *place = json_integer((json_int_t)(walk.value.data - walk.text));
        bool fine = key && json_object_set_new(index, json_string_value(key), place) == 0;
        if (!key)
            json_decref(place);
        json_decref(key);
        if (!fine)
            return false;
    }
    return true;
}

static bool merge_members(json_t *index, member_walk base, member_walk patch, ht_buf *out) {
    bool first = true;
    while (next_member(&base)) {
        json_t *key = decode_key(base.key);
        if (!key)
            return false;
        const json_t *place = json_object_get(index, json_string_value(key));
        span value = base.value;
        if (place) {
            size_t at = (size_t)json_integer_value(place);
            value = (span){patch.text + at, skip_value(patch.text, patch.bytes, at) - at};
            json_object_del(index, json_string_value(key));
        }
        json_decref(key);
        put_member(out, &first, base.key, value);
    }
    while (next_member(&patch)) { /* what is left in the index is new */
        json_t *key = decode_key(patch.key);
        if (!key)
            return false;
        if (json_object_get(index, json_string_value(key)))
            put_member(out, &first, patch.key, patch.value);
        json_decref(key);
    }
    if (first)
        ht_buf_putc(out, '{');
    ht_buf_putc(out, '}');
    return true;
}

hither_status ht_json_merge(const char *base, size_t base_bytes, const char *patch, size_t patch_bytes, ht_buf *out,
                            hither_error *err) {
    if (!base || base_bytes == 0) {
        base = "{}";
        base_bytes = 2;
    }
    HT_TRY(ht_json_check_object(base, base_bytes, "stored metadata", err));
    HT_TRY(ht_json_check_object(patch, patch_bytes, "metadata", err));
    member_walk old = {.text = base, .bytes = base_bytes}, new = {.text = patch, .bytes = patch_bytes};
    json_t *index = json_object();
    bool fine = index && index_patch(index, new) && merge_members(index, old, new, out);
    json_decref(index);
    if (!fine)
        return ht_fail_nomem(err, base_bytes + patch_bytes, "merged metadata");
    return ht_buf_check(out, "merged metadata", err);
}

static bool index_keys(json_t *index, const hither_strings *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        const char *key = keys->bytes + keys->offsets[i];
        if (json_object_setn_new(index, key, (size_t)(keys->offsets[i + 1] - keys->offsets[i]), json_true()) != 0)
            return false;
    }
    return true;
}

static bool keep_members(json_t *index, member_walk base, ht_buf *out) {
    bool first = true;
    while (next_member(&base)) {
        json_t *key = decode_key(base.key);
        if (!key)
            return false;
        if (!json_object_get(index, json_string_value(key)))
            put_member(out, &first, base.key, base.value);
        json_decref(key);
    }
    ht_buf_puts(out, first ? "{}" : "}");
    return true;
}

hither_status ht_json_remove(const char *base, size_t base_bytes, const hither_strings *keys, ht_buf *out,
                             hither_error *err) {
    if (!base || base_bytes == 0) {
        base = "{}";
        base_bytes = 2;
    }
    HT_TRY(ht_json_check_object(base, base_bytes, "stored metadata", err));
    json_t *index = json_object();
    bool fine =
        index && index_keys(index, keys) && keep_members(index, (member_walk){.text = base, .bytes = base_bytes}, out);
    json_decref(index);
    if (!fine)
        return ht_fail_nomem(err, base_bytes, "metadata without some keys");
    return ht_buf_check(out, "metadata without some keys", err);
}
