/* database.c: see database.h. */
#include "database.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "import.h"

hither_status ht_open_database(const char *path, ht_open_how how, hither_db **out, hither_error *err) {
    const hither_db_options options = {.size = sizeof options,
                                       .flags = how == HT_OPEN_READ    ? HITHER_OPEN_READONLY | HITHER_OPEN_EXISTING
                                                : how == HT_OPEN_WRITE ? HITHER_OPEN_EXISTING
                                                                       : 0};
    return hither_db_open(path, &options, out, err);
}

static const char *const metric_names[] = {"cosine", "dot", "l2", "l1", "hamming"};

hither_metric ht_metric_option(const ht_args *args) {
    return ht_args_has(args, HT_OPT_METRIC) ? (hither_metric)(args->values[HT_OPT_METRIC].choice + 1) : 0;
}

hither_dtype ht_dtype_option(const ht_args *args) {
    return ht_args_has(args, HT_OPT_DTYPE) ? (hither_dtype)(args->values[HT_OPT_DTYPE].choice + 1) : 0;
}

hither_kind ht_kind_option(const ht_args *args) {
    return ht_args_has(args, HT_OPT_KIND) ? (hither_kind)(args->values[HT_OPT_KIND].choice + 1) : 0;
}

const char *ht_metric_word(hither_metric metric) { return metric_names[metric - 1]; }

hither_status ht_metadata_object(const hither_result *result, size_t i, json_t **out, hither_error *err) {
    const hither_strings metadata = hither_result_metadata(result, 0);
    ht_text text = ht_strings_at(&metadata, i);
    return ht_json_parse(text.data ? text.data : "", text.bytes, HITHER_MAX_TEXT_BYTES, "facts", out, err);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

hither_status ht_read_facts(hither_collection *c, ht_facts *out, hither_error *err) {
    hither_result *info;
    json_t *facts;
    HT_TRY(hither_collection_info(c, &info, err));
    hither_status status = ht_metadata_object(info, 0, &facts, err);
    hither_result_free(info);
    HT_TRY(status);
    *out = (ht_facts){.dim = (uint32_t)json_integer_value(json_object_get(facts, "dim")),
                      .metric = HITHER_COSINE,
                      .embeds = *text_of(facts, "embedder") != '\0',
                      .count = (uint64_t)json_integer_value(json_object_get(facts, "count"))};
    (void)snprintf(out->embedder, sizeof out->embedder, "%s", text_of(facts, "embedder"));
    for (int m = 0; m < 5; m++)
        if (!strcmp(text_of(facts, "metric"), metric_names[m]))
            out->metric = (hither_metric)(m + 1);
    const char *ids = text_of(facts, "id_kind");
    out->ids = !strcmp(ids, "int") ? HT_IDS_INT : !strcmp(ids, "text") ? HT_IDS_TEXT : HT_IDS_UNDECIDED;
    json_decref(facts);
    return HITHER_OK;
}

/* NOT_FOUND that says what there is instead. */
static hither_status no_collection(hither_db *db, const char *path, const char *name, hither_error *err) {
    hither_result *list;
    HT_TRY(hither_db_list(db, &list, err));
    const hither_ids ids = hither_result_ids(list, 0);
    ht_buf have;
    ht_buf_init(&have, 100);
    for (size_t i = 0; i < ids.count; i++) {
        ht_text text = ht_strings_at(&ids.strings, i);
        ht_buf_puts(&have, i ? ", " : "; it has: ");
        ht_buf_put(&have, text.data, text.bytes);
    }
    hither_result_free(list);
    hither_status status = ht_fail(err, HITHER_NOT_FOUND, "no collection \"%.60s\" in %.60s%s%s", name, path,
                                   have.size ? have.data : "; it has none", have.failed ? ", ..." : "");
    ht_buf_clear(&have);
    return status;
}

hither_status ht_try_collection(const char *name, const hither_collection_options *options, hither_error *err) {
    hither_db *db;
    hither_collection *c = NULL;
    HT_TRY(hither_db_open(":memory:", NULL, &db, err));
    hither_status status = hither_collection_open(db, name, options, &c, err);
    hither_collection_close(c);
    hither_db_close(db);
    return status;
}

hither_status ht_open_both(const char *path, const char *name, ht_open_how how, ht_opened *out, hither_error *err) {
    *out = (ht_opened){0};
    HT_TRY(ht_open_database(path, how, &out->db, err));
    const hither_collection_options options = {.size = sizeof options, .flags = HITHER_COLLECTION_EXISTING};
    hither_status status = hither_collection_open(out->db, name, &options, &out->collection, err);
    if (status == HITHER_NOT_FOUND)
        status = no_collection(out->db, path, name, err);
    if (status == HITHER_OK)
        status = ht_read_facts(out->collection, &out->facts, err);
    if (status != HITHER_OK)
        ht_close_both(out);
    return status;
}

void ht_close_both(ht_opened *opened) {
    hither_collection_close(opened->collection);
    hither_db_close(opened->db);
    *opened = (ht_opened){0};
}

void ht_id_list_init(ht_id_list *list, bool ints) {
    list->ints = ints;
    ht_buf_init(&list->numbers, SIZE_MAX / 2);
    ht_column_init(&list->texts);
}

void ht_id_list_clear(ht_id_list *list) {
    ht_buf_clear(&list->numbers);
    ht_column_clear(&list->texts);
}

void ht_id_list_add(ht_id_list *list, int64_t number, const char *text, size_t bytes) {
    if (list->ints)
        ht_buf_put(&list->numbers, &number, sizeof number);
    else
        ht_column_add(&list->texts, text, bytes);
}

hither_status ht_id_list_check(const ht_id_list *list, hither_error *err) {
    return list->ints ? ht_buf_check(&list->numbers, "ids", err) : ht_column_check(&list->texts, err);
}

hither_ids ht_id_list_view(const ht_id_list *list) {
    if (!list->ints)
        return (hither_ids){.strings = ht_column_view(&list->texts), .count = list->texts.count};
    return (hither_ids){.ints = (const void *)list->numbers.data, .count = list->numbers.size / sizeof(int64_t)};
}

bool ht_id_list_type(ht_id_list *list, const ht_facts *facts, const char *typed) {
    size_t bytes = strlen(typed);
    int64_t number = 0;
    if (facts->ids == HT_IDS_UNDECIDED || bytes == 0 || bytes > HITHER_MAX_ID_BYTES ||
        ht_utf8_valid_prefix(typed, bytes) < bytes)
        return false;
    if (facts->ids == HT_IDS_INT && !ht_canonical_int(typed, bytes, &number))
        return false;
    ht_id_list_add(list, number, typed, bytes);
    return true;
}
