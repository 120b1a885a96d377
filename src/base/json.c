/*
 * json.c: jansson, kept from text that would hurt it.
 *
 * jansson recurses once a level, so the depth is counted here first, in one pass without recursion. Merging works on
 * the texts, not on parsed values: numbers come out as they were written, digit for digit. Any thread.
 */
#include "base/json.h"

#include <string.h>

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

/* ---- scanning: right for every text that jansson accepts, safe for any */

/* The index after the string literal that begins at text[at] == '"'; `bytes` if it does not end. */
static size_t skip_string(const char *text, size_t bytes, size_t at) {
    for (size_t i = at + 1; i < bytes; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == '"')
            return i + 1;
    }
    return bytes;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* The index of the first bracket nested too deeply, or `bytes`. */
static size_t too_deep_at(const char *text, size_t bytes) {
    size_t depth = 0;
    for (size_t i = 0; i < bytes;) {
        char c = text[i];
        if (c == '"') {
            i = skip_string(text, bytes, i);
            continue;
        }
        if (c == '{' || c == '[') {
            if (++depth > HITHER_MAX_JSON_DEPTH)
                return i;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
        i++;
    }
    return bytes;
}

/* ---- parsing */

static hither_status explain(const json_error_t *error, const char *where, const char *text, size_t bytes,
                             hither_error *err) {
    size_t at = error->position > 0 ? (size_t)error->position : 0;
    if (at > bytes)
        at = bytes;
    if (json_error_code(error) == json_error_out_of_memory)
        return ht_fail(err, HITHER_NOMEM, "%s: no memory to parse %zu bytes of JSON", where, bytes);
    return fail_at(err, HITHER_SYNTAX, where, text, at, error->text);
}

hither_status ht_json_parse(const char *text, size_t bytes, size_t max_bytes, const char *where, json_t **out,
                            hither_error *err) {
    if (bytes > max_bytes)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: %zu bytes of JSON, the limit is %zu", where, bytes, max_bytes);
    size_t good = ht_utf8_valid_prefix(text, bytes);
    if (good < bytes)
        return fail_at(err, HITHER_ENCODING, where, text, good, "not UTF-8");
    size_t deep = too_deep_at(text, bytes);
    if (deep < bytes)
        return fail_at(err, HITHER_TOO_LARGE, where, text, deep, "nested too deeply; the limit is 64 levels");
    _Static_assert(HITHER_MAX_JSON_DEPTH == 64, "the message above says 64");
    json_error_t error;
    json_t *value = json_loadb(bytes ? text : "", bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value)
        return explain(&error, where, text, bytes, err);
    *out = value;
    return HITHER_OK;
}

static hither_status parse_object(const char *text, size_t bytes, const char *where, json_t **out, hither_error *err) {
    json_t *value = NULL;
    HT_TRY(ht_json_parse(text, bytes, HITHER_MAX_TEXT_BYTES, where, &value, err));
    if (!json_is_object(value)) {
        json_decref(value);
        return ht_fail(err, HITHER_SYNTAX, "%s: a JSON object is needed, like {\"key\": 1}", where);
    }
    *out = value;
    return HITHER_OK;
}

hither_status ht_json_check_object(const char *text, size_t bytes, const char *where, hither_error *err) {
    json_t *value = NULL;
    HT_TRY(parse_object(text, bytes, where, &value, err));
    json_decref(value);
    return HITHER_OK;
}

/* ---- merging */

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

/* decoded key -> where its value stands in the patch (offset, then length) */
static bool index_patch(json_t *index, member_walk walk) {
    while (next_member(&walk)) {
        json_t *key = decode_key(walk.key);
        json_t *place = json_pack("[I, I]", (json_int_t)(walk.value.data - walk.text), (json_int_t)walk.value.bytes);
        bool fine = key && json_object_set_new(index, json_string_value(key), place) == 0;
        json_decref(key);
        if (!fine)
            return false;
    }
    return true;
}

static bool merge_members(json_t *index, member_walk base, member_walk patch, ht_buf *out) {
    bool first = true;
    const char *patch_text = patch.text;
    while (next_member(&base)) {
        json_t *key = decode_key(base.key);
        if (!key)
            return false;
        const json_t *place = json_object_get(index, json_string_value(key));
        span value = base.value;
        if (place) {
            value = (span){patch_text + json_integer_value(json_array_get(place, 0)),
                           (size_t)json_integer_value(json_array_get(place, 1))};
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
