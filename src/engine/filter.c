/*
 * filter.c: parsing `where`. One pass over the JSON that jansson parsed, recursing once a level of the filter, which is
 * bounded; the work and the memory are bounded by the length of the text, and the number of values is counted before
 * jansson makes objects of them. Any thread.
 */
#include "engine/filter.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define MOST_KEPT_TEXT 2048u /* of a filter whose rows are kept by its text */

typedef struct parser {
    ht_filter *f;
    ht_buf path;     /* where we are, for messages: where.$and[1].price.$gt */
    char shown[128]; /* the path as messages show it */
    unsigned depth;
    hither_error *err;
} parser;

/* ---- messages */

/* The path; of one that would leave no room for the message, the end. */
static const char *place(parser *p) {
    enum { SHOWN = 110 };
    const char *path = p->path.data;
    if (p->path.size <= SHOWN)
        return path;
    path += p->path.size - SHOWN;
    while (((unsigned char)*path & 0xc0) == 0x80)
        path++;
    (void)snprintf(p->shown, sizeof p->shown, "where...%s", path);
    return p->shown;
}

static const char *kind_of(const json_t *json) {
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "a bool";
    }
}

static hither_status expected(parser *p, const char *what, const json_t *found) {
    return ht_fail(p->err, HITHER_INVALID, "%s: expected %s, found %s", place(p), what, kind_of(found));
}

static size_t enter(parser *p, const char *key) {
    size_t before = p->path.size;
    ht_buf_putc(&p->path, '.');
    ht_buf_puts(&p->path, key);
    return before;
}

static size_t enter_element(parser *p, size_t i) {
    size_t before = p->path.size;
    ht_buf_printf(&p->path, "[%zu]", i);
    return before;
}

static void leave(parser *p, size_t before) {
    if (p->path.data && before <= p->path.size) {
        p->path.size = before;
        p->path.data[before] = '\0';
    }
}

/* ---- building */

/* Room for one more element; false without memory. */
static bool grow(void **items, uint32_t count, uint32_t *room, size_t size) {
    if (count < *room)
        return true;
    uint32_t more = *room ? *room * 2 : 8;
    void *grown = ht_resize(*items, more * size);
    if (!grown)
        return false;
    *items = grown;
    *room = more;
    return true;
}

static hither_status add_node(parser *p, ht_filter_op op, uint32_t field, uint32_t *at) {
    ht_filter *f = p->f;
    if (f->node_count == HITHER_MAX_WHERE_NODES)
        return ht_fail(p->err, HITHER_TOO_LARGE, "%s: more than %u conditions", place(p), HITHER_MAX_WHERE_NODES);
    if (!grow((void **)&f->nodes, f->node_count, &f->node_room, sizeof *f->nodes))
        return ht_fail_nomem(p->err, sizeof *f->nodes, "a filter");
    *at = f->node_count++;
    f->nodes[*at] = (ht_filter_node){.op = op, .end = f->node_count, .field = field, .first = f->value_count};
    if (field == HT_DOCUMENT && op > HT_NOT)
        f->documents = true;
    return HITHER_OK;
}

static void end_node(parser *p, uint32_t at) { p->f->nodes[at].end = p->f->node_count; }

static hither_status add_value(parser *p, uint32_t leaf, const json_t *json) {
    ht_filter *f = p->f;
    if (f->value_count == HITHER_MAX_WHERE_VALUES)
        return ht_fail(p->err, HITHER_TOO_LARGE, "%s: more than %u values in one filter", place(p),
                       HITHER_MAX_WHERE_VALUES);
    if (!grow((void **)&f->values, f->value_count, &f->value_room, sizeof *f->values))
        return ht_fail_nomem(p->err, sizeof *f->values, "a filter");
    f->values[f->value_count++] = ht_value_of(json);
    f->nodes[leaf].count++;
    return HITHER_OK;
}

/* ---- fields */

/* The keys of a dotted path; \. \\ and \$ stand for the character itself. */
static hither_status split_path(parser *p, const char *path, ht_field *out) {
    size_t length = strlen(path), keys = 1;
    char *to = ht_alloc(length + 1);
    if (!to)
        return ht_fail_nomem(p->err, length + 1, "a field's path");
    *out = (ht_field){.keys = to};
    for (const char *from = path; *from; from++) {
        if (*from == '\\' && from[1] != '\0' && strchr(".\\$", from[1])) {
            *to++ = *++from;
        } else if (*from == '\\') {
            return ht_fail(p->err, HITHER_INVALID,
                           "%s: a backslash in a field's path stands before a dot, a dollar sign or a backslash",
                           place(p));
        } else {
            keys += *from == '.';
            *to++ = *from == '.' ? '\0' : *from;
        }
    }
    *to++ = '\0';
    out->bytes = (size_t)(to - out->keys);
    if (keys > HITHER_MAX_JSON_DEPTH)
        return ht_fail(p->err, HITHER_TOO_LARGE, "%s: a path of %zu keys; metadata is at most %u levels deep", place(p),
                       keys, HITHER_MAX_JSON_DEPTH);
    return HITHER_OK;
}

static hither_status find_field(parser *p, const char *path, uint32_t *at) {
    ht_filter *f = p->f;
    ht_field field = {0};
    hither_status status = split_path(p, path, &field);
    for (*at = 0; status == HITHER_OK && *at < f->field_count; ++*at) {
        if (f->fields[*at].bytes == field.bytes && memcmp(f->fields[*at].keys, field.keys, field.bytes) == 0) {
            ht_release(field.keys);
            return HITHER_OK;
        }
    }
    if (status == HITHER_OK && !grow((void **)&f->fields, f->field_count, &f->field_room, sizeof *f->fields))
        status = ht_fail_nomem(p->err, sizeof *f->fields, "a filter");
    if (status == HITHER_OK)
        f->fields[f->field_count++] = field;
    else
        ht_release(field.keys);
    return status;
}

/* ---- operators */

typedef enum operand { SCALAR, ORDERED, SCALARS, BOOL, TEXT } operand;

static const struct rule {
    const char *name;
    ht_filter_op op;
    bool negated;
    operand wants;
} rules[] = {
    {"$eq", HT_IN, false, SCALAR},
    {"$ne", HT_IN, true, SCALAR},
    {"$gt", HT_GT, false, ORDERED},
    {"$gte", HT_GTE, false, ORDERED},
    {"$lt", HT_LT, false, ORDERED},
    {"$lte", HT_LTE, false, ORDERED},
    {"$in", HT_IN, false, SCALARS},
    {"$nin", HT_IN, true, SCALARS},
    {"$exists", HT_EXISTS, false, BOOL},
    {"$contains", HT_CONTAINS, false, TEXT},
    {"$not_contains", HT_CONTAINS, true, TEXT},
    {"$regex", HT_MATCHES, false, TEXT},
};
#define LEAF_OPERATORS "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $contains, $not_contains and $regex"
#define A_SCALAR       "a string, a number, a bool or null"

static const struct rule *find_rule(const char *name) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

static bool is_scalar(const json_t *json) { return !json_is_object(json) && !json_is_array(json); }

static hither_status add_values(parser *p, uint32_t leaf, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        size_t before = enter_element(p, i);
        if (!is_scalar(value))
            return expected(p, A_SCALAR, value);
        HT_TRY(add_value(p, leaf, value));
        leave(p, before);
    }
    return HITHER_OK;
}

static hither_status check_operand(parser *p, operand wants, const json_t *json) {
    if (wants == SCALAR && !is_scalar(json))
        return expected(p, json_is_array(json) ? A_SCALAR " ($in takes several)" : A_SCALAR, json);
    if (wants == ORDERED && !json_is_number(json) && !json_is_string(json))
        return expected(p, "a number or a string", json);
    if (wants == SCALARS && !json_is_array(json))
        return expected(p, "an array of values", json);
    if (wants == BOOL && !json_is_boolean(json))
        return expected(p, "true or false", json);
    if (wants == TEXT && !json_is_string(json))
        return expected(p, "a string", json);
    return HITHER_OK;
}

static hither_status add_regex(parser *p, uint32_t leaf) {
    ht_filter *f = p->f;
    ht_text pattern = f->values[f->nodes[leaf].first].text;
    if (f->regex_count == HITHER_MAX_REGEXES)
        return ht_fail(p->err, HITHER_TOO_LARGE, "%s: more than %u regular expressions in one filter", place(p),
                       HITHER_MAX_REGEXES);
    f->regex_count++;
    return ht_regex_compile(pattern.data, pattern.bytes, place(p), &f->nodes[leaf].regex, p->err);
}

static hither_status parse_operator(parser *p, uint32_t field, const char *name, const json_t *json) {
    const struct rule *rule = find_rule(name);
    if (!rule && (strcmp(name, "$and") == 0 || strcmp(name, "$or") == 0 || strcmp(name, "$not") == 0))
        return ht_fail(p->err, HITHER_INVALID, "%s: %s stands around conditions, not inside a field's", place(p), name);
    if (!rule && *name == '$')
        return ht_fail(p->err, HITHER_INVALID, "%s: unknown operator; there are %s", place(p), LEAF_OPERATORS);
    if (!rule)
        return ht_fail(p->err, HITHER_INVALID,
                       "%s: expected an operator like $eq, found a key; nested fields are written \"outer.inner\"",
                       place(p));
    if (field == HT_DOCUMENT && rule->op != HT_CONTAINS && rule->op != HT_MATCHES)
        return ht_fail(p->err, HITHER_INVALID,
                       "%s: a document takes $contains, $not_contains, $regex, $and, $or and $not", place(p));
    HT_TRY(check_operand(p, rule->wants, json));
    uint32_t inverse = UINT32_MAX, leaf;
    if (rule->negated || (rule->op == HT_EXISTS && json_is_false(json)))
        HT_TRY(add_node(p, HT_NOT, field, &inverse));
    HT_TRY(add_node(p, rule->op, field, &leaf));
    if (rule->wants == SCALARS)
        HT_TRY(add_values(p, leaf, json));
    else if (rule->wants != BOOL)
        HT_TRY(add_value(p, leaf, json));
    if (rule->op == HT_MATCHES)
        HT_TRY(add_regex(p, leaf));
    if (inverse != UINT32_MAX)
        end_node(p, inverse);
    return HITHER_OK;
}

/* ---- conditions */

static hither_status parse_conditions(parser *p, const json_t *json, uint32_t field);

static hither_status parse_list(parser *p, ht_filter_op op, const json_t *json, uint32_t field) {
    uint32_t at;
    if (!json_is_array(json))
        return expected(p, "an array of filters", json);
    if (!json_array_size(json))
        return ht_fail(p->err, HITHER_INVALID, "%s: expected at least one filter, found []", place(p));
    HT_TRY(add_node(p, op, field, &at));
    for (size_t i = 0; i < json_array_size(json); i++) {
        size_t before = enter_element(p, i);
        HT_TRY(parse_conditions(p, json_array_get(json, i), field));
        leave(p, before);
    }
    end_node(p, at);
    return HITHER_OK;
}

static hither_status parse_field(parser *p, const char *path, const json_t *json) {
    uint32_t field, leaf, all = UINT32_MAX;
    HT_TRY(find_field(p, path, &field));
    if (!json_is_object(json)) {
        HT_TRY(check_operand(p, SCALAR, json));
        HT_TRY(add_node(p, HT_IN, field, &leaf));
        return add_value(p, leaf, json);
    }
    if (!json_object_size(json))
        return ht_fail(p->err, HITHER_INVALID, "%s: expected an operator like $eq, found {}", place(p));
    if (json_object_size(json) > 1)
        HT_TRY(add_node(p, HT_AND, field, &all));
    const char *name;
    json_t *operand_json, *object = (json_t *)(uintptr_t)json; /* jansson's iteration wants it so; nothing is changed */
    json_object_foreach(object, name, operand_json) {
        size_t before = enter(p, name);
        HT_TRY(parse_operator(p, field, name, operand_json));
        leave(p, before);
    }
    if (all != UINT32_MAX)
        end_node(p, all);
    return HITHER_OK;
}

/* One key of a filter and what it stands for. field: HT_DOCUMENT within "$document", else 0. */
static hither_status parse_member(parser *p, const char *key, const json_t *json, uint32_t field) {
    if (strcmp(key, "$and") == 0)
        return parse_list(p, HT_AND, json, field);
    if (strcmp(key, "$or") == 0)
        return parse_list(p, HT_OR, json, field);
    if (strcmp(key, "$not") == 0) {
        uint32_t at;
        HT_TRY(add_node(p, HT_NOT, field, &at));
        HT_TRY(parse_conditions(p, json, field));
        end_node(p, at);
        return HITHER_OK;
    }
    if (field == HT_DOCUMENT)
        return parse_operator(p, field, key, json);
    if (strcmp(key, "$document") == 0)
        return parse_conditions(p, json, HT_DOCUMENT);
    if (find_rule(key))
        return ht_fail(p->err, HITHER_INVALID,
                       "%s: expected a field around the operator, like {\"price\": {\"%s\": ...}}", place(p), key);
    if (*key == '$')
        return ht_fail(p->err, HITHER_INVALID,
                       "%s: unknown operator; there are $and, $or, $not and $document; a field's own $ is written \\$",
                       place(p));
    return parse_field(p, key, json);
}

static hither_status parse_conditions(parser *p, const json_t *json, uint32_t field) {
    uint32_t all = UINT32_MAX;
    if (!json_is_object(json))
        return expected(p, "an object of conditions", json);
    if (!json_object_size(json))
        return ht_fail(p->err, HITHER_INVALID, "%s: expected at least one condition, found {}", place(p));
    if (++p->depth > HITHER_MAX_WHERE_DEPTH)
        return ht_fail(p->err, HITHER_TOO_LARGE, "%s: conditions are nested too deeply; the limit is %u levels",
                       place(p), HITHER_MAX_WHERE_DEPTH);
    if (json_object_size(json) > 1)
        HT_TRY(add_node(p, HT_AND, field, &all));
    const char *key;
    json_t *value, *object = (json_t *)(uintptr_t)json; /* jansson's iteration wants it so; nothing is changed */
    json_object_foreach(object, key, value) {
        size_t before = enter(p, key);
        HT_TRY(parse_member(p, key, value, field));
        leave(p, before);
    }
    if (all != UINT32_MAX)
        end_node(p, all);
    p->depth--;
    return HITHER_OK;
}

/* ---- the whole */

/* Each value of an array or an object costs a comma or a bracket: their number bounds what jansson will make, which
 * takes a hundred times the memory of the text. */
static hither_status check_size(const char *text, size_t bytes, hither_error *err) {
    const size_t most = HITHER_MAX_WHERE_VALUES + 4 * (size_t)HITHER_MAX_WHERE_NODES;
    size_t values = 0;
    bool inside = false;
    if (bytes > HITHER_MAX_WHERE_BYTES)
        return ht_fail(err, HITHER_TOO_LARGE, "where: %zu bytes, the limit is %u", bytes, HITHER_MAX_WHERE_BYTES);
    for (size_t i = 0; i < bytes; i++) {
        if (inside && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            inside = !inside;
        else
            values += !inside && (text[i] == ',' || text[i] == '[' || text[i] == '{');
    }
    if (values > most)
        return ht_fail(err, HITHER_TOO_LARGE, "where: more than %u values in one filter", HITHER_MAX_WHERE_VALUES);
    return HITHER_OK;
}

hither_status ht_filter_parse(const char *text, size_t bytes, ht_filter **out, hither_error *err) {
    HT_TRY(check_size(text, bytes, err));
    ht_filter *f = ht_calloc(1, sizeof *f);
    if (!f)
        return ht_fail_nomem(err, sizeof *f, "a filter");
    parser p = {.f = f, .err = err};
    ht_buf_init(&p.path, 4 * (size_t)HITHER_MAX_WHERE_BYTES);
    ht_buf_puts(&p.path, "where");
    hither_status status = ht_json_parse(text, bytes, HITHER_MAX_WHERE_BYTES, "where", &f->source, err);
    if (status == HITHER_OK)
        status = ht_buf_check(&p.path, "a filter", err);
    if (status == HITHER_OK)
        status = parse_conditions(&p, f->source, 0);
    if (status == HITHER_OK)
        status = ht_buf_check(&p.path, "a filter", err);
    ht_buf_clear(&p.path);
    if (status == HITHER_OK && bytes <= MOST_KEPT_TEXT) {
        f->text = ht_memdup(text, bytes);
        f->text_bytes = bytes;
        status = f->text ? HITHER_OK : ht_fail_nomem(err, bytes, "a filter");
    }
    if (status == HITHER_OK)
        *out = f;
    else
        ht_filter_free(f);
    return status;
}

hither_status ht_filter_field(const char *path, const char *what, ht_filter **out, hither_error *err) {
    if (strlen(path) > HITHER_MAX_WHERE_BYTES)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: a path of %zu bytes, the limit is %u", what, strlen(path),
                       HITHER_MAX_WHERE_BYTES);
    if (*path == '$')
        return ht_fail(err, HITHER_INVALID,
                       "%s: '%.64s' is no field; a key that begins with a dollar sign is written \\$", what, path);
    ht_filter *f = ht_calloc(1, sizeof *f);
    if (!f)
        return ht_fail_nomem(err, sizeof *f, "a field");
    parser p = {.f = f, .err = err};
    uint32_t field;
    ht_buf_init(&p.path, 4 * (size_t)HITHER_MAX_WHERE_BYTES);
    ht_buf_puts(&p.path, what);
    hither_status status = ht_buf_check(&p.path, "a field", err);
    if (status == HITHER_OK)
        status = find_field(&p, path, &field);
    ht_buf_clear(&p.path);
    if (status == HITHER_OK)
        *out = f;
    else
        ht_filter_free(f);
    return status;
}

void ht_filter_free(ht_filter *f) {
    if (!f)
        return;
    for (uint32_t i = 0; i < f->field_count; i++)
        ht_release(f->fields[i].keys);
    for (uint32_t i = 0; i < f->node_count; i++)
        ht_regex_free(f->nodes[i].regex);
    ht_release(f->fields);
    ht_release(f->values);
    ht_release(f->nodes);
    json_decref(f->source);
    ht_release(f->text);
    ht_release(f);
}
