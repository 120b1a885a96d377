/* around.c: see around.h. */
#include "embed/around.h"

#include <string.h>

enum { MAX_NESTED = 4 };

const char *ht_json_text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

int64_t ht_json_number_of(const json_t *value) {
    return json_is_integer(value) && json_integer_value(value) >= 0 ? (int64_t)json_integer_value(value) : -1;
}

hither_status ht_around_add(ht_around *a, bool after, uint64_t id, const char *where, hither_error *err) {
    size_t *count = after ? &a->after_count : &a->before_count;
    if (*count == HT_AROUND_MAX || id >= HT_TOKENIZER_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: more than %d tokens before or after a text, or one with number %llu",
                       where, HT_AROUND_MAX, (unsigned long long)id);
    (after ? a->after : a->before)[(*count)++] = (uint32_t)id;
    return HITHER_OK;
}

uint32_t ht_around_ids(const ht_around *a, uint32_t ids) {
    for (size_t i = 0; i < a->before_count; i++)
        ids = a->before[i] >= ids ? a->before[i] + 1 : ids;
    for (size_t i = 0; i < a->after_count; i++)
        ids = a->after[i] >= ids ? a->after[i] + 1 : ids;
    return ids;
}

static hither_status add_special(const json_t *post, const char *name, bool after, const char *where, ht_around *out,
                                 hither_error *err) {
    const json_t *ids = json_object_get(json_object_get(json_object_get(post, "special_tokens"), name), "ids"), *id;
    size_t i;
    if (json_array_size(ids) == 0)
        return ht_fail(err, HITHER_MODEL, "%s: the template names \"%.60s\", which it does not describe", where, name);
    json_array_foreach(ids, i, id) HT_TRY(ht_around_add(out, after, (uint64_t)ht_json_number_of(id), where, err));
    return HITHER_OK;
}

static hither_status read_template(const json_t *post, const char *where, ht_around *out, hither_error *err) {
    const json_t *single = json_object_get(post, "single"), *part;
    bool after = false;
    size_t i;
    json_array_foreach(single, i, part) {
        const json_t *special = json_object_get(part, "SpecialToken");
        if (special) {
            HT_TRY(add_special(post, ht_json_text_of(special, "id"), after, where, out, err));
        } else {
            if (after || strcmp(ht_json_text_of(json_object_get(part, "Sequence"), "id"), "A") != 0)
                return ht_fail(err, HITHER_MODEL, "%s: the template of one text does not hold it once", where);
            after = true;
        }
    }
    return after ? HITHER_OK : ht_fail(err, HITHER_MODEL, "%s: the template of one text does not hold it", where);
}

static hither_status read_pair(const json_t *post, const char *where, ht_around *out, hither_error *err) {
    int64_t cls = ht_json_number_of(json_array_get(json_object_get(post, "cls"), 1));
    int64_t sep = ht_json_number_of(json_array_get(json_object_get(post, "sep"), 1));
    HT_TRY(ht_around_add(out, false, (uint64_t)cls, where, err));
    return ht_around_add(out, true, (uint64_t)sep, where, err);
}

/* What a later one adds stands around what an earlier one did. */
static hither_status put_around(const ht_around *outer, const char *where, ht_around *out, hither_error *err) {
    ht_around both = *outer;
    for (size_t i = 0; i < out->before_count; i++)
        HT_TRY(ht_around_add(&both, false, out->before[i], where, err));
    both.after_count = 0;
    for (size_t i = 0; i < out->after_count; i++)
        HT_TRY(ht_around_add(&both, true, out->after[i], where, err));
    for (size_t i = 0; i < outer->after_count; i++)
        HT_TRY(ht_around_add(&both, true, outer->after[i], where, err));
    *out = both;
    return HITHER_OK;
}

static hither_status read_one(const json_t *post, int depth, const char *where, ht_around *out, hither_error *err) {
    const char *type = ht_json_text_of(post, "type");
    ht_around own = {0};
    if (!post || json_is_null(post) || strcmp(type, "ByteLevel") == 0) /* that one changes offsets only */
        return HITHER_OK;
    if (strcmp(type, "Sequence") == 0 && depth < MAX_NESTED) {
        const json_t *parts = json_object_get(post, "processors"), *part;
        size_t i;
        json_array_foreach(parts, i, part) HT_TRY(read_one(part, depth + 1, where, out, err));
        return HITHER_OK;
    }
    if (strcmp(type, "TemplateProcessing") == 0)
        HT_TRY(read_template(post, where, &own, err));
    else if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
        HT_TRY(read_pair(post, where, &own, err));
    else
        return ht_fail(err, HITHER_MODEL, "%s: the post-processor \"%.60s\" is not supported", where, type);
    return put_around(&own, where, out, err);
}

hither_status ht_around_read(const json_t *root, const char *where, ht_around *out, hither_error *err) {
    *out = (ht_around){0};
    return read_one(json_object_get(root, "post_processor"), 0, where, out, err);
}
