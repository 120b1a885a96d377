/*
 * import_jsonl.c: rows from lines of JSON objects. Each line is parsed (and so checked) as a whole; metadata is then
 * put together from the line's own text, so that numbers keep every digit. See import.h.
 */
#include <string.h>

#include "base/alloc.h"
#include "import.h"
#include "row_fields.h"

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* The index after the JSON value at text[at], which is known to be well-formed. */
static size_t skip_value(const char *text, size_t bytes, size_t at) {
    size_t depth = 0;
    for (size_t i = at; i < bytes; i++) {
        if (text[i] == '"') {
            for (i++; i < bytes && text[i] != '"'; i++)
                i += text[i] == '\\';
            if (depth == 0)
                return ht_min_size(i + 1, bytes);
        } else if (text[i] == '{' || text[i] == '[') {
            depth++;
        } else if (depth && (text[i] == '}' || text[i] == ']')) {
            if (--depth == 0)
                return i + 1;
        } else if (depth == 0 && (text[i] == ',' || text[i] == '}' || text[i] == ']' || is_space(text[i]))) {
            return i;
        }
    }
    return bytes;
}

bool ht_json_member(const char *text, size_t bytes, size_t *at, ht_member *member) {
    size_t i = *at;
    while (i < bytes && text[i] != '"') {
        if (text[i] == '}')
            return false;
        i++;
    }
    if (i >= bytes)
        return false;
    size_t key_end = skip_value(text, bytes, i);
    member->key = (ht_text){text + i + 1, key_end - i - 2};
    i = key_end;
    while (i < bytes && (is_space(text[i]) || text[i] == ':'))
        i++;
    size_t value_end = skip_value(text, bytes, i);
    member->value = (ht_text){text + i, value_end - i};
    *at = value_end;
    return true;
}

bool ht_json_item(const char *text, size_t bytes, size_t *at, ht_text *item) {
    size_t i = *at;
    while (i < bytes && (is_space(text[i]) || text[i] == ','))
        i++;
    if (i >= bytes || text[i] == ']')
        return false;
    *at = skip_value(text, bytes, i);
    *item = (ht_text){text + i, *at - i};
    return true;
}

typedef struct jsonl_source {
    ht_source base;
    ht_reader *reader;
    ht_fields fields;
    uint64_t line;
    json_t *parsed; /* the row's, as long as its texts are in use */
    ht_buf metadata, vector;
    char digits[24];
} jsonl_source;

/* The name under which the row has the field: the one asked for, or the first default that is there. */
static const char *field_name(const json_t *object, const char *asked, const char *first, const char *second) {
    if (asked)
        return asked;
    return json_object_get(object, first) || !second || !json_object_get(object, second) ? first : second;
}

bool ht_key_is(const ht_member *m, const char *name) {
    if (!memchr(m->key.data, '\\', m->key.bytes))
        return strlen(name) == m->key.bytes && !memcmp(m->key.data, name, m->key.bytes);
    json_t *key = json_loadb(m->key.data - 1, m->key.bytes + 2, JSON_DECODE_ANY, NULL);
    bool same = key && json_string_length(key) == strlen(name) && !memcmp(json_string_value(key), name, strlen(name));
    json_decref(key);
    return same;
}

static hither_status take_id(jsonl_source *s, const char *where, const char *name, ht_row *row, hither_error *err) {
    const json_t *id = json_object_get(s->parsed, name);
    if (json_is_integer(id)) {
        row->id_kind = HT_ROW_ID_INT;
        row->id = json_integer_value(id);
    } else if (json_is_string(id)) {
        row->id_kind = HT_ROW_ID_TEXT;
        row->id_text = (ht_text){json_string_value(id), json_string_length(id)};
    } else if (id || s->fields.id) {
        return ht_fail(err, HITHER_INVALID, "%s: the id field \"%.40s\" is %s; a string or an integer is wanted", where,
                       name, id ? "of another type" : "missing");
    } else {
        row->id_kind = HT_ROW_ID_LOOSE;
        row->id = (int64_t)s->line;
        row->id_text.data = s->digits;
        row->id_text.bytes = (size_t)snprintf(s->digits, sizeof s->digits, "%llu", (unsigned long long)s->line);
    }
    return HITHER_OK;
}

static hither_status take_document(jsonl_source *s, const char *where, const char *name, ht_row *row,
                                   hither_error *err) {
    const json_t *text = json_object_get(s->parsed, name);
    if (json_is_string(text))
        row->document = (ht_text){json_string_value(text), json_string_length(text)};
    else if (text && !json_is_null(text))
        return ht_fail(err, HITHER_INVALID, "%s: the text field \"%.40s\" is not a string; name another with --text",
                       where, name);
    return HITHER_OK;
}

/* One walk over the members as they stand: the vector, and the metadata out of all that has no other meaning. */
static hither_status take_members(jsonl_source *s, const char *where, const ht_line *line, const ht_fields *names,
                                  ht_row *row, hither_error *err) {
    size_t at = 0, count = 0;
    ht_member m;
    ht_buf_reset(&s->metadata);
    ht_buf_reset(&s->vector);
    ht_buf_putc(&s->metadata, '{');
    while (ht_json_member(line->data, line->bytes, &at, &m)) {
        if (ht_key_is(&m, names->vector)) {
            if (m.value.bytes == 4 && !memcmp(m.value.data, "null", 4))
                continue;
            HT_TRY(ht_json_vector(m.value.data, m.value.bytes, where, &s->vector, err));
        } else if (names->named && ht_key_is(&m, HT_ROW_FIELDS)) {
            row->fields = m.value;
        } else if (!ht_key_is(&m, names->text) && !ht_key_is(&m, names->id)) {
            if (count++)
                ht_buf_putc(&s->metadata, ',');
            ht_buf_put(&s->metadata, m.key.data - 1, m.key.bytes + 2);
            ht_buf_putc(&s->metadata, ':');
            ht_buf_put(&s->metadata, m.value.data, m.value.bytes);
        }
    }
    ht_buf_putc(&s->metadata, '}');
    HT_TRY(ht_buf_check(&s->metadata, "metadata", err));
    if (count)
        row->metadata = (ht_text){s->metadata.data, s->metadata.size};
    if (s->vector.size) {
        row->vector = (const void *)s->vector.data;
        row->dim = (uint32_t)(s->vector.size / sizeof(float));
    }
    return HITHER_OK;
}

static hither_status next_line(jsonl_source *s, ht_line *line, bool *end, hither_error *err) {
    if (s->line == 0)
        HT_TRY(ht_reader_skip_bom(s->reader, err));
    size_t i;
    do {
        hither_status status = ht_reader_line(s->reader, HT_IMPORT_MAX_LINE, false, line, end, err);
        if (status == HITHER_TOO_LARGE)
            return ht_fail(err, status, "%s: line %llu is longer than %zu bytes; every line is one JSON object",
                           s->reader->name, (unsigned long long)s->line + 1, HT_IMPORT_MAX_LINE);
        if (status != HITHER_OK || *end)
            return status;
        s->line++;
        for (i = 0; i < line->bytes && is_space(line->data[i]); i++)
            ;
    } while (i == line->bytes); /* blank lines are passed over */
    return HITHER_OK;
}

static hither_status jsonl_next(ht_source *source, ht_row *row, bool *end, hither_error *err) {
    jsonl_source *s = (jsonl_source *)source;
    ht_line line;
    HT_TRY(next_line(s, &line, end, err));
    if (*end)
        return HITHER_OK;
    char where[160];
    snprintf(where, sizeof where, "%.100s: line %llu", s->reader->name, (unsigned long long)s->line);
    json_decref(s->parsed);
    s->parsed = NULL;
    HT_TRY(ht_json_parse_line(line.data, line.bytes, where, &s->parsed, err));
    if (!json_is_object(s->parsed))
        return ht_fail(err, HITHER_SYNTAX,
                       "%s: not a JSON object; every line is one, e.g. {\"id\": 1, \"text\": \"...\"}", where);
    const ht_fields names = {.id = field_name(s->parsed, s->fields.id, "id", NULL),
                             .text = field_name(s->parsed, s->fields.text, "document", "text"),
                             .vector = field_name(s->parsed, s->fields.vector, "vector", "embedding"),
                             .named = s->fields.named};
    *row = (ht_row){.place = s->line};
    HT_TRY(take_id(s, where, names.id, row, err));
    HT_TRY(take_document(s, where, names.text, row, err));
    HT_TRY(take_members(s, where, &line, &names, row, err));
    if (!row->vector && !row->document.data && !s->fields.parts)
        return ht_fail(
            err, HITHER_INVALID,
            "%s: neither a text (\"%.40s\") nor a vector (\"%.40s\"); name the fields with --text or --vector", where,
            names.text, names.vector);
    return HITHER_OK;
}

static void jsonl_close(ht_source *source) {
    jsonl_source *s = (jsonl_source *)source;
    json_decref(s->parsed);
    ht_buf_clear(&s->metadata);
    ht_buf_clear(&s->vector);
    ht_release(s);
}

hither_status ht_source_jsonl(ht_reader *r, const ht_fields *fields, ht_source **out, hither_error *err) {
    jsonl_source *s = ht_calloc(1, sizeof *s);
    if (!s)
        return ht_fail_nomem(err, sizeof *s, "an importer");
    s->base = (ht_source){.next = jsonl_next, .close = jsonl_close, .unit = "line"};
    s->reader = r;
    s->fields = *fields;
    ht_buf_init(&s->metadata, 2 * HT_IMPORT_MAX_LINE);
    ht_buf_init(&s->vector, (size_t)HITHER_MAX_DIM * sizeof(float));
    *out = &s->base;
    return HITHER_OK;
}
