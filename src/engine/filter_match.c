/*
 * filter_match.c: whether one row matches, the slow and obvious way. Columns are tested against it; the planner uses it
 * where few rows are to be checked. Pure; any thread; the recursion is as deep as the filter, which the parser bounds.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/filter.h"

int ht_compare_int_real(int64_t a, double b) {
    if (b >= 0x1p63)
        return -1;
    if (b < -0x1p63)
        return 1;
    double whole = trunc(b);
    int64_t integer = (int64_t)whole;
    if (a != integer)
        return a < integer ? -1 : 1;
    return b > whole ? -1 : b < whole ? 1 : 0;
}

bool ht_text_contains(ht_text whole, ht_text part) {
    return part.bytes == 0 || (whole.bytes >= part.bytes && memmem(whole.data, whole.bytes, part.data, part.bytes));
}

ht_value ht_value_of(const json_t *json) {
    switch (json_typeof(json)) {
    case JSON_NULL:
        return (ht_value){.type = HT_NULL};
    case JSON_TRUE:
    case JSON_FALSE:
        return (ht_value){.type = HT_BOOL, .integer = json_is_true(json)};
    case JSON_INTEGER:
        return (ht_value){.type = HT_INT, .integer = json_integer_value(json)};
    case JSON_REAL:
        return (ht_value){.type = HT_REAL, .real = json_real_value(json)};
    case JSON_STRING:
        return (ht_value){.type = HT_STRING, .text = {json_string_value(json), json_string_length(json)}};
    default:
        return (ht_value){.type = HT_OBJECT};
    }
}

ht_value ht_field_value(const ht_field *field, const json_t *metadata, const json_t **list) {
    const json_t *at = metadata;
    for (const char *key = field->keys; at && key < field->keys + field->bytes; key += strlen(key) + 1)
        at = json_object_get(at, key); /* NULL for what is not an object */
    if (!at)
        return (ht_value){.type = HT_MISSING};
    if (json_is_array(at)) {
        *list = at;
        return (ht_value){.type = HT_LIST};
    }
    return ht_value_of(at);
}

static bool is_number(const ht_value *v) { return v->type == HT_INT || v->type == HT_REAL; }

/* a against b, both numbers or both strings. */
int ht_value_compare(const ht_value *a, const ht_value *b) {
    if (a->type == HT_STRING) {
        int order = memcmp(a->text.data, b->text.data, ht_min_size(a->text.bytes, b->text.bytes));
        return order ? order : (a->text.bytes > b->text.bytes) - (a->text.bytes < b->text.bytes);
    }
    if (a->type == HT_INT)
        return b->type == HT_INT ? (a->integer > b->integer) - (a->integer < b->integer)
                                 : ht_compare_int_real(a->integer, b->real);
    return b->type == HT_INT ? -ht_compare_int_real(b->integer, a->real) : (a->real > b->real) - (a->real < b->real);
}

static bool comparable(const ht_value *a, const ht_value *b) {
    return (is_number(a) && is_number(b)) || (a->type == HT_STRING && b->type == HT_STRING);
}

static bool equal(const ht_value *a, const ht_value *b) {
    if (comparable(a, b))
        return ht_value_compare(a, b) == 0;
    return a->type == b->type && (a->type == HT_NULL || (a->type == HT_BOOL && a->integer == b->integer));
}

/* Whether a positive leaf holds for one value that is no array. */
bool ht_string_holds(const ht_filter *f, const ht_filter_node *leaf, ht_text text) {
    const ht_value whole = {.type = HT_STRING, .text = text}, *operand = &f->values[leaf->first];
    if (leaf->op == HT_CONTAINS)
        return ht_text_contains(text, operand->text);
    if (leaf->op == HT_MATCHES)
        return ht_regex_search(leaf->regex, text.data, text.bytes);
    int order = ht_value_compare(&whole, operand);
    return leaf->op == HT_GT ? order > 0 : leaf->op == HT_GTE ? order >= 0 : leaf->op == HT_LT ? order < 0 : order <= 0;
}

static bool holds(const ht_filter *f, const ht_filter_node *leaf, const ht_value *v) {
    const ht_value *operands = leaf->count ? f->values + leaf->first : NULL;
    if (leaf->op == HT_EXISTS)
        return v->type != HT_MISSING;
    if (leaf->op == HT_IN) {
        for (uint32_t i = 0; i < leaf->count; i++)
            if (equal(v, &operands[i]))
                return true;
        return false;
    }
    if (!comparable(v, &operands[0]))
        return false;
    if (v->type == HT_STRING)
        return ht_string_holds(f, leaf, v->text);
    int order = ht_value_compare(v, &operands[0]);
    return leaf->op == HT_GT ? order > 0 : leaf->op == HT_GTE ? order >= 0 : leaf->op == HT_LT ? order < 0 : order <= 0;
}

static bool leaf_matches(const ht_filter *f, const ht_filter_node *leaf, const json_t *metadata, ht_text document) {
    if (leaf->field == HT_DOCUMENT) {
        ht_value text = {.type = document.data ? HT_STRING : HT_MISSING, .text = document};
        return holds(f, leaf, &text);
    }
    const json_t *list = NULL;
    ht_value v = ht_field_value(&f->fields[leaf->field], metadata, &list);
    if (v.type != HT_LIST || leaf->op == HT_EXISTS)
        return holds(f, leaf, &v);
    for (size_t i = 0; i < json_array_size(list); i++) {
        ht_value element = ht_value_of(json_array_get(list, i));
        if (holds(f, leaf, &element))
            return true;
    }
    return false;
}

static bool node_matches(const ht_filter *f, uint32_t at, const json_t *metadata, ht_text document) {
    const ht_filter_node *node = &f->nodes[at];
    if (node->op > HT_NOT)
        return leaf_matches(f, node, metadata, document);
    if (node->op == HT_NOT)
        return !node_matches(f, at + 1, metadata, document);
    for (uint32_t child = at + 1; child < node->end; child = f->nodes[child].end)
        if (node_matches(f, child, metadata, document) != (node->op == HT_AND))
            return node->op == HT_OR;
    return node->op == HT_AND;
}

bool ht_filter_matches(const ht_filter *f, const json_t *metadata, ht_text document) {
    return node_matches(f, 0, metadata, document);
}
