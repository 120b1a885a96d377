/* cmd_collections.c: create, list, rename, drop, info and verify. Each function is a command of the table. */
#include <string.h>

#include "cmd_schema.h"
#include "commands.h"
#include "database.h"
#include "fields.h"
#include "model.h"
#include "output.h"

int ht_run_create(const ht_args *args) {
    hither_error err;
    hither_db *db = NULL;
    hither_embedder *embedder = NULL;
    hither_collection *c = NULL;
    hither_collection_options options = {.size = sizeof options,
                                         .flags = HITHER_COLLECTION_NEW,
                                         .dim = (uint32_t)ht_args_number(args, HT_OPT_DIM, 0),
                                         .metric = ht_metric_option(args)};
    hither_status status =
        options.dim && !ht_args_has(args, HT_OPT_MODEL) ? HITHER_OK : ht_model_option(args, &embedder, &err);
    options.embedder = embedder;
    const char *given = ht_args_text(args, HT_OPT_SCHEMA, NULL);
    ht_buf schema;
    ht_buf_init(&schema, 0);
    if (status == HITHER_OK && given) {
        status = ht_schema_read(given, &schema, &err);
        options.schema = schema.data;
    }
    ht_field_list fields = {.count = 0};
    if (status == HITHER_OK)
        status = ht_fields_parse(ht_args_text(args, HT_OPT_FIELDS, NULL), &fields, &err);
    options.fields = fields.fields;
    options.field_count = fields.count;
    if (status == HITHER_OK)
        status = ht_try_collection(args->operands[1], &options, &err);
    if (status == HITHER_OK)
        status = ht_open_database(args->operands[0], HT_OPEN_MAKE, &db, &err);
    if (status == HITHER_OK)
        status = hither_collection_open(db, args->operands[1], &options, &c, &err);
    ht_buf_clear(&schema);
    ht_fields_clear(&fields);
    hither_collection_close(c);
    hither_embedder_close(embedder);
    hither_db_close(db);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

int ht_run_drop(const ht_args *args) {
    hither_error err;
    hither_db *db;
    hither_status status = ht_open_database(args->operands[0], HT_OPEN_WRITE, &db, &err);
    if (status == HITHER_OK) {
        status = hither_db_drop(db, args->operands[1], &err);
        hither_db_close(db);
    }
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

int ht_run_rename(const ht_args *args) {
    hither_error err;
    hither_db *db;
    hither_status status = ht_open_database(args->operands[0], HT_OPEN_WRITE, &db, &err);
    if (status == HITHER_OK) {
        status = hither_db_rename(db, args->operands[1], args->operands[2], &err);
        hither_db_close(db);
    }
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* A fact as a cell of a table: no quotes around strings, "-" for what is not there. */
static void show_fact(ht_buf *out, const json_t *value) {
    if (json_is_string(value) && json_string_length(value)) {
        ht_show_text(out, json_string_value(value), json_string_length(value), 1000);
    } else if (json_is_integer(value)) {
        ht_buf_printf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        ht_buf_puts(out, json_is_true(value) ? "yes" : "no");
    } else {
        ht_buf_putc(out, '-');
    }
}

static hither_status list_row(ht_buf *cells, const hither_result *result, size_t i, bool json, hither_error *err) {
    static const char *const columns[] = {"count", "dim", "dtype", "metric", "id_kind", "embedder"};
    const hither_ids ids = hither_result_ids(result, 0);
    const hither_strings metadata = hither_result_metadata(result, 0);
    if (json) {
        ht_text facts = ht_strings_at(&metadata, i);
        ht_buf_puts(cells, "{\"name\":");
        ht_json_id(cells, &ids, i);
        ht_buf_putc(cells, facts.bytes > 2 ? ',' : '}');
        ht_buf_put(cells, facts.data + 1, facts.bytes - 1);
        ht_buf_putc(cells, '\n');
        return HITHER_OK;
    }
    json_t *facts;
    HT_TRY(ht_metadata_object(result, i, &facts, err));
    ht_show_id(cells, &ids, i);
    for (size_t j = 0; j < sizeof columns / sizeof *columns; j++) {
        ht_buf_putc(cells, '\t');
        const json_t *value = json_object_get(facts, columns[j]);
        if (j == 0 && json_is_integer(value))
            ht_show_count(cells, (uint64_t)json_integer_value(value));
        else
            show_fact(cells, value);
    }
    ht_buf_putc(cells, '\n');
    json_decref(facts);
    return HITHER_OK;
}

int ht_run_list(const ht_args *args) {
    hither_error err;
    hither_db *db;
    hither_result *result = NULL;
    bool json = ht_args_has(args, HT_OPT_JSON);
    hither_status status = ht_open_database(args->operands[0], HT_OPEN_READ, &db, &err);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    ht_buf cells;
    ht_buf_init(&cells, SIZE_MAX / 2);
    status = hither_db_list(db, &result, &err);
    size_t count = status == HITHER_OK ? hither_result_count(result, 0) : 0;
    if (!json && count)
        ht_buf_puts(&cells, "name\trows\tdim\tdtype\tmetric\tids\tembedder\n");
    for (size_t i = 0; status == HITHER_OK && i < count; i++)
        status = list_row(&cells, result, i, json, &err);
    if (status == HITHER_OK && count) {
        if (json)
            ht_out_buf(&cells);
        else
            ht_print_table(&cells, 2 | 4);
    } else if (status == HITHER_OK && ht_out_terminal()->tty && !json) {
        ht_buf_puts(&cells, "no collections yet; import or create makes one\n");
        ht_out_buf(&cells);
    }
    ht_buf_clear(&cells);
    hither_result_free(result);
    hither_db_close(db);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* Every fact of an object on a line of its own; objects within are flattened with a space. */
static void fact_lines(ht_buf *cells, const char *prefix, const json_t *facts) {
    const char *key;
    json_t *value, *object = json_incref((json_t *)(uintptr_t)facts);
    json_object_foreach(object, key, value) {
        char name[100];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? " " : "", key);
        if (json_is_object(value)) {
            fact_lines(cells, name, value);
            continue;
        }
        ht_show_text(cells, name, strlen(name), 1000);
        ht_buf_putc(cells, '\t');
        show_fact(cells, value);
        ht_buf_putc(cells, '\n');
    }
    json_decref(object);
}

hither_status ht_print_facts(const ht_args *args, const hither_result *result, hither_error *err) {
    ht_buf cells;
    json_t *facts;
    HT_TRY(ht_metadata_object(result, 0, &facts, err));
    ht_buf_init(&cells, SIZE_MAX / 2);
    if (ht_args_has(args, HT_OPT_JSON)) {
        const hither_strings metadata = hither_result_metadata(result, 0);
        ht_text text = ht_strings_at(&metadata, 0);
        ht_buf_put(&cells, text.data, text.bytes);
        ht_buf_putc(&cells, '\n');
        ht_out_buf(&cells);
    } else {
        fact_lines(&cells, "", facts);
        ht_print_table(&cells, 0);
    }
    ht_buf_clear(&cells);
    json_decref(facts);
    return HITHER_OK;
}

int ht_run_info(const ht_args *args) {
    hither_error err;
    ht_opened opened = {0};
    hither_result *result = NULL;
    hither_status status;
    if (args->count == 2)
        status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_READ, &opened, &err);
    else
        status = ht_open_database(args->operands[0], HT_OPEN_READ, &opened.db, &err);
    if (status == HITHER_OK)
        status = opened.collection ? hither_collection_info(opened.collection, &result, &err)
                                   : hither_db_info(opened.db, &result, &err);
    if (status == HITHER_OK)
        status = ht_print_facts(args, result, &err);
    hither_result_free(result);
    ht_close_both(&opened);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

static uint64_t sum_of(const json_t *value) {
    uint64_t sum = json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
    const char *key;
    json_t *part, *object = json_incref((json_t *)(uintptr_t)value);
    json_object_foreach(object, key, part) { sum += sum_of(part); }
    json_decref(object);
    return sum;
}

/* "ok: 7 rows in 1 collection, 1,234 bytes checked" */
static hither_status print_all_well(hither_db *db, hither_error *err) {
    hither_result *list = NULL, *info = NULL;
    json_t *facts = NULL;
    uint64_t rows = 0;
    size_t collections = 0;
    hither_status status = hither_db_list(db, &list, err);
    for (; status == HITHER_OK && collections < hither_result_count(list, 0); collections++) {
        status = ht_metadata_object(list, collections, &facts, err);
        if (status == HITHER_OK)
            rows += sum_of(json_object_get(facts, "count"));
        json_decref(facts);
        facts = NULL;
    }
    if (status == HITHER_OK)
        status = hither_db_info(db, &info, err);
    if (status == HITHER_OK)
        status = ht_metadata_object(info, 0, &facts, err);
    if (status == HITHER_OK) {
        ht_buf line;
        ht_buf_init(&line, 1000);
        ht_buf_puts(&line, "ok: ");
        ht_show_count(&line, rows);
        ht_buf_printf(&line, " row%s in %zu collection%s, ", rows == 1 ? "" : "s", collections,
                      collections == 1 ? "" : "s");
        ht_show_count(&line, sum_of(json_object_get(facts, "bytes")));
        ht_buf_puts(&line, " bytes checked\n");
        ht_out_buf(&line);
        ht_buf_clear(&line);
    }
    json_decref(facts);
    hither_result_free(info);
    hither_result_free(list);
    return status;
}

void ht_print_findings(const hither_result *report) {
    const hither_ids places = hither_result_ids(report, 0);
    const hither_strings findings = hither_result_documents(report, 0);
    ht_buf line;
    ht_buf_init(&line, SIZE_MAX / 2);
    for (size_t i = 0; i < hither_result_count(report, 0); i++) {
        ht_text text = ht_strings_at(&findings, i);
        ht_show_id(&line, &places, i);
        ht_buf_puts(&line, ": ");
        ht_show_text(&line, text.data ? text.data : "", text.bytes, (unsigned)-1);
        ht_buf_putc(&line, '\n');
        if (!ht_out_buf(&line))
            break;
    }
    ht_buf_clear(&line);
}

int ht_run_verify(const ht_args *args) {
    hither_error err;
    hither_db *db = NULL;
    hither_result *report = NULL;
    hither_status status = ht_open_database(args->operands[0], HT_OPEN_READ, &db, &err);
    if (status == HITHER_OK)
        status = (ht_args_has(args, HT_OPT_FAST) ? hither_db_verify_fast : hither_db_verify)(db, &report, &err);
    if (status == HITHER_OK)
        status = print_all_well(db, &err);
    if (status == HITHER_CORRUPT && report)
        ht_print_findings(report);
    hither_result_free(report);
    hither_db_close(db);
    if (status == HITHER_OK)
        return HT_EXIT_OK;
    ht_out_flush();
    ht_report(status, &err);
    return status == HITHER_CORRUPT ? HT_EXIT_DAMAGE : HT_EXIT_ERROR;
}
