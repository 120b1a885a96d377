/* fields.c: see fields.h. */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "database.h"
#include "output.h"

static const char *const metrics[] = {"", "cosine", "dot", "l2", "l1"};

static hither_metric metric_of(const char *name) {
    for (size_t i = 1; i < sizeof metrics / sizeof *metrics; i++)
        if (strcmp(metrics[i], name) == 0)
            return (hither_metric)i;
    return 0;
}

static bool number(const char *text, uint32_t *out) {
    char *end;
    unsigned long value = text && *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (!value || *end || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* One of them, its parts without their colons. */
static bool parse_one(char *text, hither_field *out) {
    char *rest = text, *parts[4] = {NULL, NULL, NULL, NULL};
    size_t count = 0;
    for (char *part; (part = strsep(&rest, ":"));) {
        if (count == 4 || !*part)
            return false;
        parts[count++] = part;
    }
    *out = (hither_field){.name = parts[0], .kind = HITHER_DENSE};
    if (count < 2)
        return false;
    if (strcmp(parts[1], "sparse") == 0) {
        out->kind = HITHER_SPARSE;
        return count == 2 || (count == 3 && number(parts[2], &out->most));
    }
    if (!number(parts[1], &out->dim))
        return false;
    if (count >= 3 && strcmp(parts[2], "multi") == 0) {
        out->kind = HITHER_MULTI;
        return count == 3 || number(parts[3], &out->most);
    }
    if (count == 3)
        out->metric = metric_of(parts[2]);
    return count == 2 || (count == 3 && out->metric);
}

hither_status ht_fields_parse(const char *text, ht_field_list *out, hither_error *err) {
    *out = (ht_field_list){.count = 0};
    if (!text)
        return HITHER_OK;
    out->text = ht_strdup(text);
    if (!out->text)
        return ht_fail_nomem(err, strlen(text), "the fields");
    char *rest = out->text;
    for (char *one; (one = strsep(&rest, ","));) {
        if (out->count == HITHER_MAX_FIELDS)
            return ht_fail(err, HITHER_TOO_LARGE, "more than %u fields", HITHER_MAX_FIELDS);
        if (!parse_one(one, &out->fields[out->count++]))
            return ht_fail(
                err, HITHER_INVALID,
                "field \"%.60s\": NAME:DIM, NAME:DIM:METRIC, NAME:DIM:multi:MOST or NAME:sparse:MOST is wanted", one);
    }
    return HITHER_OK;
}

void ht_fields_clear(ht_field_list *list) { ht_release(list->text); }

/* One of them, as the collection's facts have it; its name is put at *name, which moves on. */
static hither_field field_of(const json_t *facts, char **name) {
    const char *kind = json_string_value(json_object_get(facts, "kind"));
    const json_t *text = json_object_get(facts, "name");
    hither_field field = {.name = *name,
                          .dim = (uint32_t)json_integer_value(json_object_get(facts, "dim")),
                          .most = (uint32_t)json_integer_value(json_object_get(facts, "most"))};
    memcpy(*name, json_string_value(text), json_string_length(text) + 1);
    *name += json_string_length(text) + 1;
    field.kind = strcmp(kind, "multi") == 0 ? HITHER_MULTI : strcmp(kind, "sparse") == 0 ? HITHER_SPARSE : HITHER_DENSE;
    field.metric = metric_of(json_string_value(json_object_get(facts, "metric")));
    return field;
}

hither_status ht_fields_of(hither_collection *c, ht_field_list *out, hither_error *err) {
    hither_result *info;
    json_t *facts = NULL;
    *out = (ht_field_list){.count = 0};
    HT_TRY(hither_collection_info(c, &info, err));
    hither_status status = ht_metadata_object(info, 0, &facts, err);
    const json_t *fields = json_object_get(facts, "fields");
    if (json_array_size(fields)) {
        const size_t bytes = HITHER_MAX_FIELDS * (HITHER_MAX_FIELD_BYTES + 1);
        char *name = out->text = ht_alloc(bytes);
        if (!name)
            status = ht_fail_nomem(err, bytes, "the fields");
        for (size_t i = 0; name && i < json_array_size(fields) && i < HITHER_MAX_FIELDS; i++)
            out->fields[out->count++] = field_of(json_array_get(fields, i), &name);
    }
    json_decref(facts);
    hither_result_free(info);
    return status;
}

hither_status ht_field_look(hither_collection *c, const char *name, hither_field *out, hither_error *err) {
    ht_field_list list;
    bool found = false;
    hither_status status = ht_fields_of(c, &list, err);
    for (size_t i = 0; i < list.count && !found; i++) {
        *out = list.fields[i];
        found = strcmp(out->name, name) == 0;
    }
    out->name = name;
    ht_fields_clear(&list);
    if (status == HITHER_OK && !found)
        status = ht_fail(err, HITHER_NOT_FOUND, "there is no vector field \"%.63s\"; info shows those there are", name);
    return status;
}
