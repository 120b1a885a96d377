/* cmd_schema.c: what rows must be like: --schema of create, and schema. Main thread. */
#include <string.h>

#include "cmd_schema.h"
#include "commands.h"
#include "database.h"
#include "output.h"
#include "reader.h"

hither_status ht_schema_read(const char *given, ht_buf *out, hither_error *err) {
    size_t got = 0;
    ht_reader r;
    ht_buf_init(out, HITHER_MAX_SCHEMA_BYTES + 1);
    if (given[strspn(given, " \t\n")] == '{') {
        ht_buf_puts(out, given);
        return ht_buf_check(out, "the schema", err);
    }
    HT_TRY(ht_reader_open(&r, given, err));
    void *room = ht_buf_grow(out, HITHER_MAX_SCHEMA_BYTES + 1);
    hither_status status = ht_buf_check(out, "the schema", err);
    if (status == HITHER_OK)
        status = ht_reader_take(&r, room, HITHER_MAX_SCHEMA_BYTES + 1, &got, err);
    ht_reader_close(&r);
    if (status == HITHER_OK && got > HITHER_MAX_SCHEMA_BYTES)
        status = ht_fail(err, HITHER_TOO_LARGE, "%s: a schema has at most %u bytes", given, HITHER_MAX_SCHEMA_BYTES);
    if (status == HITHER_OK && memchr(room, 0, got))
        status = ht_fail(err, HITHER_SYNTAX, "%s: a NUL byte, which JSON does not allow", given);
    if (status == HITHER_OK) {
        out->size = got;
        out->data[got] = 0;
    }
    return status;
}

static hither_status print(hither_collection *c, hither_error *err) {
    hither_result *result;
    json_t *facts;
    HT_TRY(hither_collection_info(c, &result, err));
    hither_status status = ht_metadata_object(result, 0, &facts, err);
    hither_result_free(result);
    HT_TRY(status);
    const json_t *schema = json_object_get(facts, "schema");
    char *text = schema ? json_dumps(schema, JSON_COMPACT) : NULL;
    if (text) {
        ht_buf line;
        ht_buf_init(&line, 2 * (size_t)HITHER_MAX_SCHEMA_BYTES);
        ht_buf_puts(&line, text);
        ht_buf_putc(&line, '\n');
        ht_out_buf(&line);
        ht_buf_clear(&line);
    }
    free(text);
    json_decref(facts);
    return HITHER_OK;
}

int ht_run_schema(const ht_args *args) {
    hither_error err;
    ht_opened opened = {0};
    ht_buf schema;
    ht_buf_init(&schema, 0);
    const char *given = args->count == 3 ? args->operands[2] : NULL;
    bool none = given && strcmp(given, "none") == 0;
    hither_status status = given && !none ? ht_schema_read(given, &schema, &err) : HITHER_OK;
    if (status == HITHER_OK)
        status =
            ht_open_both(args->operands[0], args->operands[1], given ? HT_OPEN_WRITE : HT_OPEN_READ, &opened, &err);
    if (status == HITHER_OK)
        status = given ? hither_collection_set_schema(opened.collection, none ? NULL : schema.data, &err)
                       : print(opened.collection, &err);
    ht_buf_clear(&schema);
    ht_close_both(&opened);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}
