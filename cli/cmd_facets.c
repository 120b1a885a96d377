/* cmd_facets.c: facets, and the pages of scan. */
#include <string.h>

#include "commands.h"
#include "database.h"
#include "pages.h"
#include "rows.h"

/* ---- facets */

static hither_status print_facets(const ht_args *args, const hither_result *result, hither_error *err) {
    hither_strings rows = hither_result_metadata(result, 0);
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < rows.count && status == HITHER_OK; i++) {
        ht_text text = ht_strings_at(&rows, i);
        json_t *row;
        if (ht_args_has(args, HT_OPT_JSON)) {
            ht_buf_put(&out, text.data, text.bytes);
            ht_buf_putc(&out, '\n');
            continue;
        }
        status = ht_metadata_object(result, i, &row, err);
        if (status != HITHER_OK)
            break;
        const json_t *value = json_object_get(row, "value");
        ht_buf_printf(&out, "%10lld  ", (long long)json_integer_value(json_object_get(row, "count")));
        if (json_is_string(value))
            ht_show_text(&out, json_string_value(value), json_string_length(value), UINT32_MAX);
        else /* {"value":VALUE,"count":N} */
            ht_buf_put(&out, text.data + strlen("{\"value\":"),
                       (size_t)(strstr(text.data, ",\"count\"") - text.data) - strlen("{\"value\":"));
        ht_buf_putc(&out, '\n');
        json_decref(row);
    }
    if (status == HITHER_OK)
        ht_out_buf(&out);
    ht_buf_clear(&out);
    return status;
}

int ht_run_facets(const ht_args *args) {
    hither_error err;
    ht_opened opened;
    hither_result *result = NULL;
    hither_status status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_READ, &opened, &err);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    status = hither_collection_facets(opened.collection, args->operands[2], ht_args_text(args, HT_OPT_WHERE, NULL),
                                      (uint32_t)ht_args_number(args, HT_OPT_LIMIT, 0), &result, &err);
    if (status == HITHER_OK)
        status = print_facets(args, result, &err);
    hither_result_free(result);
    ht_close_both(&opened);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* ---- pages */

enum { PAGE = 10000 };

bool ht_wants_pages(const ht_args *args) {
    return ht_args_has(args, HT_OPT_ORDER_BY) || ht_args_has(args, HT_OPT_DESCENDING) ||
           ht_args_has(args, HT_OPT_OFFSET) || ht_args_has(args, HT_OPT_AFTER) || ht_args_has(args, HT_OPT_PAGE);
}

static void say_next(const ht_args *args, const char *token) {
    ht_buf line;
    ht_buf_init(&line, 1000);
    if (ht_args_has(args, HT_OPT_JSON)) {
        ht_buf_printf(&line, "{\"next\":\"%s\"}\n", token);
        ht_out_buf(&line);
    } else {
        ht_out_flush();
        ht_say("more rows: --after %s", token);
    }
    ht_buf_clear(&line);
}

hither_status ht_print_pages(const ht_args *args, hither_collection *c, uint32_t include, ht_row_printer *print,
                             hither_error *err) {
    bool one = ht_args_has(args, HT_OPT_PAGE);
    uint64_t left = one ? ht_args_number(args, HT_OPT_PAGE, 0) : ht_args_number(args, HT_OPT_LIMIT, UINT64_MAX);
    hither_page_options options = {.size = sizeof options,
                                   .where = ht_args_text(args, HT_OPT_WHERE, NULL),
                                   .order_by = ht_args_text(args, HT_OPT_ORDER_BY, NULL),
                                   .descending = ht_args_has(args, HT_OPT_DESCENDING),
                                   .include = include,
                                   .offset = ht_args_number(args, HT_OPT_OFFSET, 0),
                                   .after = ht_args_text(args, HT_OPT_AFTER, NULL)};
    hither_result *before = NULL;
    hither_status status = HITHER_OK;
    for (bool more = left > 0; more && status == HITHER_OK;) {
        hither_result *result = NULL;
        options.limit = (uint32_t)(one || left < PAGE ? left : PAGE);
        status = hither_collection_page(c, &options, &result, err);
        hither_result_free(before);
        before = result;
        if (status != HITHER_OK)
            break;
        left -= hither_result_count(result, 0);
        options.after = hither_result_next(result);
        options.offset = 0;
        more = print(args, result) && left && *options.after;
        if (one && *options.after)
            say_next(args, options.after);
    }
    hither_result_free(before);
    return status;
}
