/*
 * cmd_export.c: export. CSV and npy must know something of all rows before the first one is written (the columns, the
 * count), so they walk the collection twice, by two cursors opened together: should another process commit between
 * the two openings, the second walk notices and nothing is written.
 */
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "commands.h"
#include "database.h"
#include "import.h"
#include "row_fields.h"
#include "rows.h"
#include "sink.h"

enum { ROWS_AT_ONCE = 1000, COLUMNS_MAX = 4000 };
enum format { JSONL, CSV, NPY };

typedef struct exporter {
    const ht_args *args;
    const char *id, *text, *vector; /* names of the fields */
    bool vectors;
    ht_opened opened;
    ht_field_list fields; /* vector fields, where they are written */
    hither_cursor *first, *second;
    ht_sink sink, ids;
    ht_buf out, ids_out;
    ht_column names; /* csv: the metadata's fields, in order of appearance */
    uint64_t rows, done;
} exporter;

typedef hither_status each_row(exporter *x, const ht_rows *rows, size_t i, hither_error *err);

static hither_status walk(exporter *x, hither_cursor *cursor, each_row *each, hither_error *err) {
    for (;;) {
        hither_result *result;
        HT_TRY(hither_cursor_next(cursor, ROWS_AT_ONCE, &result, err));
        ht_rows rows = ht_rows_of(result, 0);
        hither_status status = HITHER_OK;
        for (size_t i = 0; status == HITHER_OK && i < rows.count; i++)
            status = each(x, &rows, i, err);
        if (status == HITHER_OK)
            status = ht_sink_buf(&x->sink, &x->out, err);
        if (status == HITHER_OK && (x->ids.path || x->ids_out.size))
            status = ht_sink_buf(&x->ids, &x->ids_out, err);
        hither_result_free(result);
        HT_TRY(status);
        if (!rows.count || x->sink.closed)
            return HITHER_OK;
    }
}

/* ---- jsonl */

static bool named(const ht_member *m, const char *name) {
    return m->key.bytes == strlen(name) && !memcmp(m->key.data, name, m->key.bytes);
}

static hither_status name_taken(const exporter *x, const ht_rows *rows, size_t i, const char *name, hither_error *err) {
    ht_buf id;
    ht_buf_init(&id, 60);
    ht_json_id(&id, &rows->ids, i);
    const char *shown = id.failed ? "?" : id.data;
    const char *option = !strcmp(name, x->id)       ? "id"
                         : !strcmp(name, x->text)   ? "text"
                         : !strcmp(name, x->vector) ? "vector"
                                                    : NULL;
    hither_status status =
        option ? ht_fail(err, HITHER_EXISTS,
                         "the metadata of row %s has a field \"%.40s\" of its own; name the row's with --%s FIELD",
                         shown, name, option)
               : ht_fail(err, HITHER_EXISTS,
                         "the metadata of row %s has a field \"%.40s\" of its own, where its vector fields would go; "
                         "Parquet, by the Python package, holds both",
                         shown, name);
    ht_buf_clear(&id);
    return status;
}

/* import takes "text" and "embedding" too where the first choice is missing: a null in its place says there is none. */
static hither_status jsonl_metadata(exporter *x, const ht_rows *rows, size_t i, bool document, hither_error *err) {
    ht_text metadata = ht_strings_at(&rows->metadata, i);
    size_t at = 0;
    ht_member m;
    while (metadata.data && ht_json_member(metadata.data, metadata.bytes, &at, &m)) {
        if (named(&m, x->id) || named(&m, x->text) || named(&m, x->vector))
            return name_taken(x, rows, i, named(&m, x->id) ? x->id : named(&m, x->text) ? x->text : x->vector, err);
        if (x->fields.count && named(&m, HT_ROW_FIELDS))
            return name_taken(x, rows, i, HT_ROW_FIELDS, err);
        if (!document && named(&m, "text"))
            ht_buf_printf(&x->out, ",\"%s\":null", x->text);
        if (!x->vectors && named(&m, "embedding"))
            ht_buf_printf(&x->out, ",\"%s\":null", x->vector);
        ht_buf_putc(&x->out, ',');
        ht_buf_put(&x->out, m.key.data - 1, m.key.bytes + 2);
        ht_buf_putc(&x->out, ':');
        ht_json_stored(&x->out, m.value.data, m.value.bytes);
    }
    return HITHER_OK;
}

static void json_name(ht_buf *out, const char *name) {
    ht_json_text(out, name, strlen(name));
    ht_buf_putc(out, ':');
}

static hither_status jsonl_row(exporter *x, const ht_rows *rows, size_t i, hither_error *err) {
    ht_text document = ht_strings_at(&rows->documents, i);
    ht_buf_putc(&x->out, '{');
    json_name(&x->out, x->id);
    ht_json_id(&x->out, &rows->ids, i);
    if (document.data) {
        ht_buf_putc(&x->out, ',');
        json_name(&x->out, x->text);
        ht_buf_json_string(&x->out, document.data, document.bytes);
    }
    HT_TRY(jsonl_metadata(x, rows, i, document.data != NULL, err));
    if (x->vectors) {
        ht_buf_putc(&x->out, ',');
        json_name(&x->out, x->vector);
        ht_row_json_vector(&x->out, rows, i);
    }
    if (x->fields.count)
        ht_row_json_fields(&x->out, rows, i);
    ht_buf_puts(&x->out, "}\n");
    return HITHER_OK;
}

/* ---- csv */

/* A JSON string's or key's text; raw is with its quotes. The caller clears out. */
static void decode(const char *raw, size_t bytes, ht_buf *out) {
    ht_buf_reset(out);
    if (!memchr(raw, '\\', bytes)) {
        ht_buf_put(out, raw + 1, bytes - 2);
        return;
    }
    json_t *text = json_loadb(raw, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (text)
        ht_buf_put(out, json_string_value(text), json_string_length(text));
    else
        out->failed = true;
    json_decref(text);
}

static size_t find_name(const ht_column *names, const ht_buf *name) {
    const hither_strings all = ht_column_view(names);
    for (size_t i = 0; i < all.count; i++) {
        ht_text have = ht_strings_at(&all, i);
        if (have.bytes == name->size && !memcmp(have.data, name->data ? name->data : "", have.bytes))
            return i;
    }
    return SIZE_MAX;
}

static hither_status collect_names(exporter *x, const ht_rows *rows, size_t i, hither_error *err) {
    ht_text metadata = ht_strings_at(&rows->metadata, i);
    size_t at = 0;
    ht_member m;
    ht_buf name;
    hither_status status = HITHER_OK;
    ht_buf_init(&name, SIZE_MAX / 2);
    while (status == HITHER_OK && metadata.data && ht_json_member(metadata.data, metadata.bytes, &at, &m)) {
        decode(m.key.data - 1, m.key.bytes + 2, &name);
        if (named(&m, x->id) || named(&m, x->text) || (x->vectors && named(&m, x->vector)))
            status = name_taken(x, rows, i, named(&m, x->id) ? x->id : named(&m, x->text) ? x->text : x->vector, err);
        else if (find_name(&x->names, &name) == SIZE_MAX)
            ht_column_add(&x->names, name.data ? name.data : "", name.size);
        if (status == HITHER_OK && x->names.count > COLUMNS_MAX)
            status = ht_fail(err, HITHER_TOO_LARGE, "the metadata has more than %d different fields; use jsonl",
                             COLUMNS_MAX);
    }
    ht_buf_clear(&name);
    x->rows++;
    return status;
}

static void csv_cell(ht_buf *out, const char *text, size_t bytes, bool string) {
    bool quote = string && (bytes == 0 || ht_canonical_number(text, bytes));
    for (size_t i = 0; i < bytes && !quote; i++)
        quote = strchr(",\"\n\r", text[i]) && text[i];
    if (quote)
        ht_buf_putc(out, '"');
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"')
            ht_buf_putc(out, '"');
        ht_buf_putc(out, text[i]);
    }
    if (quote)
        ht_buf_putc(out, '"');
}

static void csv_header(exporter *x) {
    const hither_strings names = ht_column_view(&x->names);
    csv_cell(&x->out, x->id, strlen(x->id), false);
    ht_buf_putc(&x->out, ',');
    csv_cell(&x->out, x->text, strlen(x->text), false);
    for (size_t i = 0; i < names.count; i++) {
        ht_text name = ht_strings_at(&names, i);
        ht_buf_putc(&x->out, ',');
        csv_cell(&x->out, name.data, name.bytes, false);
    }
    if (x->vectors) {
        ht_buf_putc(&x->out, ',');
        csv_cell(&x->out, x->vector, strlen(x->vector), false);
    }
    ht_buf_putc(&x->out, '\n');
}

/* The row's metadata by column: where each value stands in its text. */
static hither_status csv_values(exporter *x, ht_text metadata, ht_text *values, hither_error *err) {
    size_t at = 0;
    ht_member m;
    ht_buf name;
    hither_status status = HITHER_OK;
    ht_buf_init(&name, SIZE_MAX / 2);
    while (status == HITHER_OK && metadata.data && ht_json_member(metadata.data, metadata.bytes, &at, &m)) {
        decode(m.key.data - 1, m.key.bytes + 2, &name);
        size_t column = find_name(&x->names, &name);
        if (column == SIZE_MAX)
            status = ht_fail(err, HITHER_STALE, "the collection changed while it was exported; export again");
        else
            values[column] = m.value;
    }
    ht_buf_clear(&name);
    return status;
}

static hither_status csv_row(exporter *x, const ht_rows *rows, size_t i, hither_error *err) {
    ht_text document = ht_strings_at(&rows->documents, i);
    ht_text *values = ht_calloc(x->names.count + 1, sizeof *values);
    ht_buf text;
    ht_buf_init(&text, SIZE_MAX / 2);
    if (!values)
        return ht_fail_nomem(err, x->names.count * sizeof *values, "a row");
    hither_status status = csv_values(x, ht_strings_at(&rows->metadata, i), values, err);
    if (rows->ids.ints) {
        ht_json_id(&x->out, &rows->ids, i);
    } else {
        ht_text id = ht_strings_at(&rows->ids.strings, i);
        csv_cell(&x->out, id.data, id.bytes, true);
    }
    ht_buf_putc(&x->out, ',');
    if (document.data)
        csv_cell(&x->out, document.data, document.bytes, true);
    for (size_t j = 0; j < x->names.count; j++) {
        ht_buf_putc(&x->out, ',');
        if (values[j].data && *values[j].data == '"') {
            decode(values[j].data, values[j].bytes, &text);
            csv_cell(&x->out, text.data ? text.data : "", text.size, true);
        } else if (values[j].data) {
            csv_cell(&x->out, values[j].data, values[j].bytes, false);
        }
    }
    if (x->vectors) {
        ht_buf_puts(&x->out, ",\"");
        ht_row_json_vector(&x->out, rows, i);
        ht_buf_putc(&x->out, '"');
    }
    ht_buf_putc(&x->out, '\n');
    x->out.failed |= text.failed;
    ht_buf_clear(&text);
    ht_release(values);
    return status;
}

/* ---- npy */

static hither_status count_row(exporter *x, const ht_rows *rows, size_t i, hither_error *err) {
    (void)rows, (void)i, (void)err;
    x->rows++;
    return HITHER_OK;
}

static hither_status npy_row(exporter *x, const ht_rows *rows, size_t i, hither_error *err) {
    const hither_matrix *m = &rows->vectors;
    const size_t bytes = m->dim * sizeof(float);
    ht_buf_put(&x->out, (const char *)m->data + i * (m->stride ? m->stride : bytes), bytes);
    x->done++;
    if (!ht_args_has(x->args, HT_OPT_IDS))
        return HITHER_OK;
    if (rows->ids.ints) {
        ht_json_id(&x->ids_out, &rows->ids, i);
    } else {
        ht_text id = ht_strings_at(&rows->ids.strings, i);
        if (memchr(id.data, '\n', id.bytes) || (id.bytes && id.data[id.bytes - 1] == '\r'))
            return ht_fail(err, HITHER_UNSUPPORTED, "an id holds a line end and does not fit an id file; use jsonl");
        ht_buf_put(&x->ids_out, id.data, id.bytes);
    }
    ht_buf_putc(&x->ids_out, '\n');
    return HITHER_OK;
}

/* ---- the command */

static enum format format_of(const ht_args *args) {
    const char *path = ht_args_text(args, HT_OPT_OUTPUT, "");
    const char *dot = strrchr(path, '.');
    if (ht_args_has(args, HT_OPT_FORMAT))
        return (enum format)args->values[HT_OPT_FORMAT].choice;
    return dot && !strcasecmp(dot, ".csv") ? CSV : dot && !strcasecmp(dot, ".npy") ? NPY : JSONL;
}

static hither_status export_rows(exporter *x, enum format format, hither_error *err) {
    const uint32_t include =
        HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS | (x->vectors ? HITHER_INCLUDE_VECTORS : 0);
    hither_collection *c = x->opened.collection;
    const char *where = ht_args_text(x->args, HT_OPT_WHERE, NULL);
    if (format == JSONL) {
        if (x->vectors)
            HT_TRY(ht_fields_of(c, &x->fields, err));
        const uint32_t all = include | (x->fields.count ? HITHER_INCLUDE_FIELDS : 0);
        HT_TRY(hither_collection_scan(c, where, all, &x->second, err));
        return walk(x, x->second, jsonl_row, err);
    }
    const uint32_t needed = format == CSV ? HITHER_INCLUDE_METADATA : HITHER_INCLUDE_NOTHING;
    HT_TRY(hither_collection_scan(c, where, needed, &x->first, err));
    HT_TRY(hither_collection_scan(c, where, format == CSV ? include : HITHER_INCLUDE_VECTORS, &x->second, err));
    HT_TRY(walk(x, x->first, format == CSV ? collect_names : count_row, err));
    if (format == CSV) {
        HT_TRY(ht_column_check(&x->names, err));
        csv_header(x);
        return walk(x, x->second, csv_row, err);
    }
    ht_npy_header(&x->out, x->rows, x->opened.facts.dim);
    HT_TRY(walk(x, x->second, npy_row, err));
    if (x->done != x->rows && !x->sink.closed)
        return ht_fail(err, HITHER_STALE, "the collection changed while it was exported; export again");
    return HITHER_OK;
}

static hither_status export_all(exporter *x, enum format format, hither_error *err) {
    HT_TRY(ht_open_both(x->args->operands[0], x->args->operands[1], HT_OPEN_READ, &x->opened, err));
    HT_TRY(ht_sink_open(&x->sink, ht_args_text(x->args, HT_OPT_OUTPUT, NULL), err));
    if (ht_args_has(x->args, HT_OPT_IDS))
        HT_TRY(ht_sink_open(&x->ids, x->args->values[HT_OPT_IDS].text, err));
    HT_TRY(export_rows(x, format, err));
    HT_TRY(ht_sink_finish(&x->ids, err));
    return ht_sink_finish(&x->sink, err);
}

int ht_run_export(const ht_args *args) {
    hither_error err;
    enum format format = format_of(args);
    if (ht_args_has(args, HT_OPT_IDS) && format != NPY) {
        ht_say("export: --ids is for npy; jsonl and csv hold the ids themselves");
        return HT_EXIT_USAGE;
    }
    exporter x = {.args = args,
                  .id = ht_args_text(args, HT_OPT_ID, "id"),
                  .text = ht_args_text(args, HT_OPT_TEXT, "document"),
                  .vector = ht_args_text(args, HT_OPT_VECTOR, "vector"),
                  .vectors = ht_args_has(args, HT_OPT_VECTORS)};
    ht_buf_init(&x.out, SIZE_MAX / 2);
    ht_buf_init(&x.ids_out, SIZE_MAX / 2);
    ht_column_init(&x.names);
    hither_status status = export_all(&x, format, &err);
    ht_sink_close(&x.sink);
    ht_sink_close(&x.ids);
    hither_cursor_close(x.first);
    hither_cursor_close(x.second);
    ht_close_both(&x.opened);
    ht_fields_clear(&x.fields);
    ht_column_clear(&x.names);
    ht_buf_clear(&x.out);
    ht_buf_clear(&x.ids_out);
    if (status == HITHER_OK)
        return HT_EXIT_OK;
    ht_out_flush();
    return ht_report(status, &err);
}
