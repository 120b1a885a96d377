/*
 * schema.c: reading a schema, and checking a row against one. See schema.h.
 */
#include "engine/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/expiry.h"

/* ---- reading one */

static const char *const type_names[] = {"any", "bool", "int", "float", "string"};

/* "int" or "int[]". */
static hither_status read_type(const char *name, const char *text, ht_declared *d, hither_error *err) {
    size_t bytes = strlen(text);
    d->array = bytes > 2 && strcmp(text + bytes - 2, "[]") == 0;
    bytes -= d->array ? 2 : 0;
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (strlen(type_names[i]) == bytes && memcmp(type_names[i], text, bytes) == 0) {
            d->type = (ht_declared_type)i;
            return HITHER_OK;
        }
    }
    return ht_fail(err, HITHER_INVALID,
                   "schema: field '%.64s' has type '%.64s'; there are any, bool, int, float and string, each also with "
                   "[] behind it",
                   name, text);
}

static hither_status read_flag(const char *name, const char *key, const json_t *value, bool *out, hither_error *err) {
    if (!json_is_boolean(value))
        return ht_fail(err, HITHER_INVALID, "schema: field '%.64s': %s is true or false", name, key);
    *out = json_is_true(value);
    return HITHER_OK;
}

static hither_status read_object(const char *name, json_t *json, ht_declared *d, hither_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value) {
        if (strcmp(key, "type") == 0 && json_is_string(value))
            HT_TRY(read_type(name, json_string_value(value), d, err));
        else if (strcmp(key, "required") == 0)
            HT_TRY(read_flag(name, key, value, &d->required, err));
        else if (strcmp(key, "unique") == 0)
            HT_TRY(read_flag(name, key, value, &d->unique, err));
        else
            return ht_fail(err, HITHER_INVALID,
                           "schema: field '%.64s': '%.64s' makes no sense there; a field has a type, \"required\" and "
                           "\"unique\"",
                           name, key);
    }
    return HITHER_OK;
}

static hither_status read_field(const char *name, json_t *json, ht_declared *d, hither_error *err) {
    d->name = ht_strdup(name);
    if (!d->name)
        return ht_fail_nomem(err, strlen(name) + 1, "a schema");
    HT_TRY(ht_filter_field(name, "schema", &d->path, err));
    if (json_is_string(json))
        HT_TRY(read_type(name, json_string_value(json), d, err));
    else if (json_is_object(json))
        HT_TRY(read_object(name, json, d, err));
    else
        return ht_fail(err, HITHER_INVALID, "schema: field '%.64s' is neither a type nor an object with one", name);
    if (d->unique && (d->array || d->type == HT_DECLARED_ANY))
        return ht_fail(err, HITHER_INVALID,
                       "schema: field '%.64s' cannot be unique; one with type bool, int, float or string can", name);
    return HITHER_OK;
}

static bool same_path(const ht_declared *a, const ht_declared *b) {
    const ht_field *x = a->path->fields, *y = b->path->fields;
    return x->bytes == y->bytes && memcmp(x->keys, y->keys, x->bytes) == 0;
}

static hither_status read_fields(ht_schema *s, json_t *fields, hither_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(fields))
        return ht_fail(err, HITHER_INVALID, "schema: \"fields\" is an object: each field's path and its type");
    if (json_object_size(fields) > HITHER_MAX_SCHEMA_FIELDS)
        return ht_fail(err, HITHER_TOO_LARGE, "schema: %zu fields; at most %u are possible", json_object_size(fields),
                       HITHER_MAX_SCHEMA_FIELDS);
    s->fields = ht_calloc(json_object_size(fields), sizeof *s->fields);
    if (!s->fields)
        return ht_fail_nomem(err, json_object_size(fields) * sizeof *s->fields, "a schema");
    json_object_foreach(fields, key, value) {
        ht_declared *d = &s->fields[s->count++];
        HT_TRY(read_field(key, value, d, err));
        s->unique_count += d->unique;
        for (size_t i = 0; i + 1 < s->count; i++)
            if (same_path(&s->fields[i], d))
                return ht_fail(err, HITHER_INVALID, "schema: '%.64s' and '%.64s' are one field", s->fields[i].name,
                               key);
    }
    return HITHER_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ht_declared *)a)->name, ((const ht_declared *)b)->name);
}

/* One spelling for each schema: fields by name, types alone where that says it all. */
static hither_status spell(ht_schema *s, hither_error *err) {
    if (s->count)
        qsort(s->fields, s->count, sizeof *s->fields, by_name);
    ht_buf_puts(&s->text, "{\"fields\":{");
    for (size_t i = 0; i < s->count; i++) {
        const ht_declared *d = &s->fields[i];
        bool more = d->required || d->unique;
        ht_buf_puts(&s->text, i ? "," : "");
        ht_buf_json_string(&s->text, d->name, strlen(d->name));
        ht_buf_printf(&s->text, more ? ":{\"type\":\"%s%s\"" : ":\"%s%s\"", type_names[d->type], d->array ? "[]" : "");
        ht_buf_puts(&s->text, d->required ? ",\"required\":true" : "");
        ht_buf_puts(&s->text, d->unique ? ",\"unique\":true" : "");
        ht_buf_puts(&s->text, more ? "}" : "");
    }
    ht_buf_puts(&s->text, s->closed ? "},\"closed\":true}" : "}}");
    return ht_buf_check(&s->text, "the schema", err);
}

static hither_status read_schema(ht_schema *s, json_t *json, hither_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(json) || !json_object_get(json, "fields"))
        return ht_fail(err, HITHER_INVALID, "schema: it is an object with \"fields\", and may be \"closed\"");
    json_object_foreach(json, key, value) {
        if (strcmp(key, "fields") == 0)
            HT_TRY(read_fields(s, value, err));
        else if (strcmp(key, "closed") == 0 && json_is_boolean(value))
            s->closed = json_is_true(value);
        else
            return ht_fail(err, HITHER_INVALID,
                           "schema: '%.64s' makes no sense there; it has \"fields\", and \"closed\", true or false",
                           key);
    }
    return spell(s, err);
}

hither_status ht_schema_parse(const char *text, size_t bytes, ht_schema **out, hither_error *err) {
    json_t *json = NULL;
    HT_TRY(ht_json_parse(text, bytes, HITHER_MAX_SCHEMA_BYTES, "schema", &json, err));
    ht_schema *s = ht_calloc(1, sizeof *s);
    hither_status status = s ? HITHER_OK : ht_fail_nomem(err, sizeof *s, "a schema");
    if (s)
        ht_buf_init(&s->text, HITHER_MAX_SCHEMA_BYTES);
    if (status == HITHER_OK)
        status = read_schema(s, json, err);
    json_decref(json);
    if (status == HITHER_OK)
        *out = s;
    else
        ht_schema_free(s);
    return status;
}

void ht_schema_free(ht_schema *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        ht_filter_free(s->fields[i].path);
        ht_release(s->fields[i].name);
    }
    ht_release(s->fields);
    ht_buf_clear(&s->text);
    ht_release(s);
}

/* ---- checking a row */

static bool fits(ht_declared_type type, const json_t *value) {
    switch (type) {
    case HT_DECLARED_BOOL:
        return json_is_boolean(value);
    case HT_DECLARED_INT:
        return json_is_integer(value);
    case HT_DECLARED_FLOAT:
        return json_is_number(value);
    case HT_DECLARED_STRING:
        return json_is_string(value);
    default:
        return true;
    }
}

static const char *kind_of(const json_t *value) {
    static const char *const kinds[] = {[JSON_OBJECT] = "an object",
                                        [JSON_ARRAY] = "an array",
                                        [JSON_STRING] = "a string",
                                        [JSON_INTEGER] = "an integer",
                                        [JSON_REAL] = "a number with a fraction or an exponent",
                                        [JSON_TRUE] = "true",
                                        [JSON_FALSE] = "false",
                                        [JSON_NULL] = "null"};
    return kinds[json_typeof(value)];
}

static const json_t *value_at(const ht_declared *d, const json_t *metadata) {
    const ht_field *field = d->path->fields;
    const json_t *at = metadata;
    for (const char *key = field->keys; at && key < field->keys + field->bytes; key += strlen(key) + 1)
        at = json_object_get(at, key);
    return at;
}

static hither_status check_array(const ht_declared *d, const json_t *list, const char *row, hither_error *err) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *element = json_array_get(list, i);
        if (!fits(d->type, element))
            return ht_fail(err, HITHER_INVALID, "%s: element %zu of '%.64s' is %s; the schema wants %s[]", row, i,
                           d->name, kind_of(element), type_names[d->type]);
    }
    return HITHER_OK;
}

static hither_status check_field(const ht_declared *d, const json_t *metadata, const char *row, hither_error *err) {
    const json_t *value = value_at(d, metadata);
    if (!value || json_is_null(value))
        return d->required ? ht_fail(err, HITHER_INVALID, "%s: '%.64s' is %s; the schema requires it", row, d->name,
                                     value ? "null" : "missing")
                           : HITHER_OK;
    if (d->array && json_is_array(value))
        return check_array(d, value, row, err);
    if (d->array || !fits(d->type, value))
        return ht_fail(err, HITHER_INVALID, "%s: '%.64s' is %s; the schema wants %s%s", row, d->name, kind_of(value),
                       type_names[d->type], d->array ? "[]" : "");
    return HITHER_OK;
}

static bool is_declared(const ht_schema *s, const char *key) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->fields[i].path->fields->keys, key) == 0)
            return true;
    return strcmp(key, HT_EXPIRES) == 0;
}

hither_status ht_schema_check(const ht_schema *s, const json_t *metadata, const char *row, hither_error *err) {
    const char *key;
    json_t *value;
    for (size_t i = 0; i < s->count; i++)
        HT_TRY(check_field(&s->fields[i], metadata, row, err));
    if (!s->closed || !metadata)
        return HITHER_OK;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) {
        (void)value;
        if (!is_declared(s, key))
            return ht_fail(err, HITHER_INVALID, "%s: '%.64s' is not in the schema, which is closed", row, key);
    }
    return HITHER_OK;
}
