/* cmd_rows.c: get, delete, count and scan. Each function is a command of the table. */
#include <limits.h>
#include <string.h>

#include "commands.h"
#include "database.h"
#include "pages.h"
#include "rows.h"

enum { SCAN_BLOCK = 1000 };

static const char *where_of(const ht_args *args) { return ht_args_text(args, HT_OPT_WHERE, NULL); }

static bool same_id(const hither_ids *ids, size_t i, const ht_facts *facts, const char *typed) {
    ht_id_list one;
    ht_id_list_init(&one, ids->ints != NULL);
    bool same = ht_id_list_type(&one, facts, typed);
    hither_ids view = ht_id_list_view(&one);
    if (same && ids->ints) {
        same = view.ints[0] == ids->ints[i];
    } else if (same) {
        ht_text id = ht_strings_at(&ids->strings, i);
        same = id.bytes == strlen(typed) && !memcmp(id.data, typed, id.bytes);
    }
    ht_id_list_clear(&one);
    return same;
}

/* The result holds the rows that are there in the order asked: whatever it passes over is missing. */
static int name_missing(const ht_args *args, const ht_facts *facts, const ht_rows *rows) {
    ht_buf missing;
    ht_buf_init(&missing, 3000);
    size_t at = 0, count = 0;
    for (size_t i = 2; i < args->count; i++) {
        if (at < rows->count && same_id(&rows->ids, at, facts, args->operands[i]))
            at++;
        else
            ht_buf_printf(&missing, "%s%s", count++ ? ", " : "", args->operands[i]);
    }
    if (count)
        ht_say("no row with id %s%s in \"%s\" (NOT_FOUND)", missing.data ? missing.data : "",
               missing.failed ? ", ..." : "", args->operands[1]);
    ht_buf_clear(&missing);
    return count ? HT_EXIT_ERROR : HT_EXIT_OK;
}

static void print_rows(const ht_args *args, const ht_rows *rows) {
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    for (size_t i = 0; i < rows->count; i++) {
        if (ht_args_has(args, HT_OPT_JSON)) {
            ht_row_json(&out, rows, i);
            ht_buf_putc(&out, '\n');
        } else {
            if (i)
                ht_buf_putc(&out, '\n');
            ht_row_block(&out, rows, i);
        }
        if (!ht_out_buf(&out))
            break;
    }
    ht_buf_clear(&out);
}

int ht_run_get(const ht_args *args) {
    hither_error err;
    ht_opened opened;
    hither_status status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_READ, &opened, &err);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    int code = HT_EXIT_ERROR;
    hither_result *result = NULL;
    ht_id_list list;
    ht_id_list_init(&list, opened.facts.ids == HT_IDS_INT);
    for (size_t i = 2; i < args->count; i++)
        ht_id_list_type(&list, &opened.facts, args->operands[i]);
    hither_ids ids = ht_id_list_view(&list);
    status = ht_id_list_check(&list, &err);
    if (status == HITHER_OK && ids.count)
        status = hither_collection_get(opened.collection, &ids, where_of(args), ht_include_of(args), &result, &err);
    if (status == HITHER_OK) {
        ht_rows rows = result ? ht_rows_of(result, 0) : (ht_rows){0}; /* none: no row can have such an id */
        print_rows(args, &rows);
        ht_out_flush();
        code = where_of(args) ? HT_EXIT_OK : name_missing(args, &opened.facts, &rows);
    } else {
        ht_report(status, &err);
    }
    hither_result_free(result);
    ht_id_list_clear(&list);
    ht_close_both(&opened);
    return code;
}

int ht_run_delete(const ht_args *args) {
    hither_error err;
    ht_opened opened;
    bool by_ids = args->count > 2;
    if (!by_ids && !where_of(args)) {
        ht_say("delete: what to delete is wanted: ids, or --where JSON");
        return HT_EXIT_USAGE;
    }
    hither_status status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_WRITE, &opened, &err);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    size_t deleted = 0;
    ht_id_list list;
    ht_id_list_init(&list, opened.facts.ids == HT_IDS_INT);
    for (size_t i = 2; i < args->count; i++)
        ht_id_list_type(&list, &opened.facts, args->operands[i]);
    hither_ids ids = ht_id_list_view(&list);
    status = ht_id_list_check(&list, &err);
    if (status == HITHER_OK && (ids.count || !by_ids))
        status = hither_collection_delete(opened.collection, by_ids ? &ids : NULL, where_of(args), &deleted, &err);
    ht_id_list_clear(&list);
    ht_close_both(&opened);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    ht_buf line;
    ht_buf_init(&line, 1000);
    if (by_ids)
        ht_buf_printf(&line, "deleted %zu of %zu\n", deleted, args->count - 2);
    else
        ht_buf_printf(&line, "deleted %zu\n", deleted);
    ht_out_buf(&line);
    ht_buf_clear(&line);
    return HT_EXIT_OK;
}

int ht_run_count(const ht_args *args) {
    hither_error err;
    ht_opened opened;
    uint64_t count = 0;
    hither_status status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_READ, &opened, &err);
    if (status == HITHER_OK) {
        status = hither_collection_count(opened.collection, where_of(args), &count, &err);
        ht_close_both(&opened);
    }
    if (status != HITHER_OK)
        return ht_report(status, &err);
    ht_buf line;
    ht_buf_init(&line, 100);
    ht_buf_printf(&line, "%llu\n", (unsigned long long)count);
    ht_out_buf(&line);
    ht_buf_clear(&line);
    return HT_EXIT_OK;
}

static bool print_scanned(const ht_args *args, const hither_result *result) {
    bool fine = true;
    ht_rows rows = ht_rows_of(result, 0);
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    for (size_t i = 0; fine && i < rows.count; i++) {
        if (ht_args_has(args, HT_OPT_JSON)) {
            ht_row_json(&out, &rows, i);
            ht_buf_putc(&out, '\n');
        } else if (ht_args_has(args, HT_OPT_VECTORS)) {
            ht_row_block(&out, &rows, i);
            ht_buf_putc(&out, '\n');
        } else {
            ht_show_id(&out, &rows.ids, i);
            const unsigned used = ht_columns(out.data, out.size) + 2;
            ht_buf_puts(&out, "  ");
            ht_row_payload(&out, &rows, i, used);
        }
        fine = ht_out_buf(&out);
    }
    ht_buf_clear(&out);
    return fine;
}

int ht_run_scan(const ht_args *args) {
    hither_error err;
    ht_opened opened;
    hither_cursor *cursor = NULL;
    uint64_t left = ht_args_number(args, HT_OPT_LIMIT, UINT64_MAX);
    hither_status status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_READ, &opened, &err);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    if (ht_wants_pages(args)) {
        status = ht_print_pages(args, opened.collection, ht_include_of(args), print_scanned, &err);
        left = 0;
    } else {
        status = hither_collection_scan(opened.collection, where_of(args), ht_include_of(args), &cursor, &err);
    }
    while (status == HITHER_OK && left > 0) {
        hither_result *result = NULL;
        status = hither_cursor_next(cursor, left < SCAN_BLOCK ? (size_t)left : SCAN_BLOCK, &result, &err);
        size_t count = status == HITHER_OK ? hither_result_count(result, 0) : 0;
        bool more = count && print_scanned(args, result);
        left -= count;
        hither_result_free(result);
        if (!more)
            break;
    }
    hither_cursor_close(cursor);
    ht_close_both(&opened);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}
