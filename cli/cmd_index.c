/* cmd_index.c: index build, info, search and verify, and tune: saved indexes over arrays. Each is a command of the
 * table. */
#include <string.h>

#include "array.h"
#include "base/alloc.h"
#include "commands.h"
#include "database.h"
#include "import.h"
#include "output.h"

enum { QUERIES_AT_ONCE = 256, LABEL_DIGITS_MAX = 20, BLOCK_BYTES = 4 << 20 };

/* ---- build */

/* One label a line, into `out` as int64. */
static hither_status read_labels(const char *path, ht_buf *out, hither_error *err) {
    ht_reader r;
    ht_line line;
    bool end = false;
    HT_TRY(ht_reader_open(&r, path, err));
    hither_status status = ht_reader_skip_bom(&r, err);
    const char *name = r.name;
    for (uint64_t number = 1; status == HITHER_OK; number++) {
        int64_t label = -1;
        status = ht_reader_line(&r, LABEL_DIGITS_MAX, true, &line, &end, err);
        if (status != HITHER_OK || end)
            break;
        if (line.dropped || !ht_canonical_int(line.data, line.bytes, &label) || label < 0)
            status = ht_fail(err, HITHER_SYNTAX, "%s: line %llu is \"%.*s\"%s, not a whole number from 0 on", name,
                             (unsigned long long)number, (int)line.bytes, line.data, line.dropped ? "..." : "");
        else
            ht_buf_put(out, &label, sizeof label);
    }
    ht_reader_close(&r);
    return status == HITHER_OK ? ht_buf_check(out, "labels", err) : status;
}

/* Rows from anything that can be read, a few MiB at a time, as `dtype`: what they are in the file, or f32. labels:
 * NULL, or one for each row. */
static hither_status add_rows(hither_index *index, ht_npy *npy, hither_dtype dtype, bool as_is, const int64_t *labels,
                              hither_error *err) {
    size_t row_bytes = (size_t)npy->dim * (as_is ? npy->item : sizeof(float)), at_once = BLOCK_BYTES / row_bytes;
    const size_t dim = (size_t)npy->dim * (dtype == HITHER_B1 ? 8 : 1);
    at_once = at_once ? at_once : 1;
    char *block = ht_alloc(at_once * row_bytes);
    hither_status status = block ? HITHER_OK : ht_fail_nomem(err, at_once * row_bytes, "rows");
    while (status == HITHER_OK && npy->next < npy->rows) {
        const uint64_t from = npy->next;
        size_t count = 0;
        for (; status == HITHER_OK && count < at_once && npy->next < npy->rows; count++) {
            char *row = block + count * row_bytes;
            status = as_is ? ht_npy_raw(npy, row, err) : ht_npy_row(npy, (float *)(void *)row, err);
        }
        const hither_matrix rows = {.data = block, .rows = count, .dim = dim, .dtype = dtype};
        if (status == HITHER_OK)
            status = hither_index_add(index, &rows, labels ? labels + from : NULL, NULL, err);
    }
    ht_release(block);
    return status;
}

/* A file whose rows are stored as they are is borrowed as it lies there, so it may be larger than memory; all else is
 * copied. */
static hither_status fill(const ht_args *args, ht_npy *npy, const int64_t *labels, ht_array *array,
                          hither_index **index, hither_error *err) {
    hither_dtype have, dtype = ht_dtype_option(args);
    HT_TRY(ht_array_dtype(npy, dtype, &have, err));
    if (!dtype)
        dtype = have == HITHER_I8 ? HITHER_I8 : HITHER_F32;
    const hither_kind kind = ht_kind_option(args);
    if (have == dtype && !labels && kind <= HITHER_EXACT)
        HT_TRY(ht_array_map(npy, dtype, array, err));
    if (array->mapping) {
        const hither_matrix rows = ht_array_view(array, 0, array->rows);
        hither_status status = hither_index_wrap(&rows, ht_metric_option(args), index, err);
        return ht_name_file(status, npy->reader->name, err);
    }
    const bool as_is = have == dtype || have == HITHER_F64;
    const uint32_t dim = npy->dim * (dtype == HITHER_B1 && as_is && have == HITHER_B1 ? 8 : 1);
    const hither_index_options options = {
        .size = sizeof options, .dim = dim, .dtype = dtype, .metric = ht_metric_option(args), .kind = kind};
    HT_TRY(hither_index_new(&options, index, err));
    HT_TRY(add_rows(*index, npy, as_is ? have : HITHER_F32, as_is, labels, err));
    return hither_index_build(*index, NULL, err);
}

static hither_status check_count(const ht_npy *npy, const char *path, const ht_buf *labels, hither_error *err) {
    if (labels->size / sizeof(int64_t) == npy->rows)
        return HITHER_OK;
    return ht_fail(err, HITHER_INVALID, "%s: %zu labels, but %s has %llu rows; one label a row is wanted",
                   strcmp(path, "-") != 0 ? path : "standard input", labels->size / sizeof(int64_t), npy->reader->name,
                   (unsigned long long)npy->rows);
}

static hither_status build(const ht_args *args, ht_npy *npy, hither_error *err) {
    const char *path = ht_args_text(args, HT_OPT_LABELS, NULL);
    ht_array array = {0};
    hither_index *index = NULL;
    ht_buf labels;
    ht_buf_init(&labels, SIZE_MAX / 2);
    hither_status status = path ? read_labels(path, &labels, err) : HITHER_OK;
    if (status == HITHER_OK && path)
        status = check_count(npy, path, &labels, err);
    if (status == HITHER_OK)
        status = fill(args, npy, (const int64_t *)(const void *)labels.data, &array, &index, err);
    if (status == HITHER_OK)
        status = hither_index_save(index, ht_args_text(args, HT_OPT_OUTPUT, NULL), err);
    hither_index_close(index);
    ht_array_free(&array);
    ht_buf_clear(&labels);
    return status;
}

int ht_run_index_build(const ht_args *args) {
    hither_error err;
    ht_reader r;
    ht_npy npy;
    if (!ht_args_has(args, HT_OPT_OUTPUT)) {
        ht_buf message;
        ht_buf_init(&message, 100);
        ht_buf_puts(&message, "where to? -o FILE is wanted");
        int code = ht_usage(args->command->name, &message);
        ht_buf_clear(&message);
        return code;
    }
    hither_status status = ht_reader_open(&r, args->operands[0], &err);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    status = ht_npy_open_any(&npy, &r, &err);
    if (status == HITHER_OK)
        status = build(args, &npy, &err);
    ht_npy_close(&npy);
    ht_reader_close(&r);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* ---- info */

int ht_run_index_info(const ht_args *args) {
    hither_error err;
    hither_index *index = NULL;
    hither_result *facts = NULL;
    hither_status status = hither_index_open(args->operands[0], &index, &err);
    if (status == HITHER_OK)
        status = hither_index_info(index, &facts, &err);
    if (status == HITHER_OK)
        status = ht_print_facts(args, facts, &err);
    hither_result_free(facts);
    hither_index_close(index);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* ---- search */

typedef struct searching {
    hither_index *index;
    const char *queries; /* the file's name */
    hither_index_search_options options;
    uint32_t k;
    bool json, explain, within;
    float radius;
    int64_t *labels;
    float *distances;
    ht_buf out;
} searching;

/* As a result, where there is more to say than labels and distances. */
static hither_status search_result(searching *s, const hither_matrix *part, size_t from, hither_error *err) {
    hither_result *result;
    if (s->within)
        HT_TRY(hither_index_within(s->index, part, s->radius, &s->options, &result, err));
    else
        HT_TRY(hither_index_explain(s->index, part, s->k, &s->options, &result, err));
    for (size_t j = 0; j < part->rows; j++)
        ht_print_found(&s->out, s->json, from + j, result, j);
    if (s->explain)
        ht_buf_printf(&s->out, s->json ? "{\"plan\":%s}\n" : "plan\t%s\n", hither_result_plan(result));
    hither_result_free(result);
    return HITHER_OK;
}

static hither_status search_part(searching *s, const ht_array *queries, size_t from, bool *more, hither_error *err) {
    const hither_matrix part = ht_array_view(queries, from, ht_min_size(queries->rows - from, QUERIES_AT_ONCE));
    if (s->within || s->explain) {
        HT_TRY(ht_name_file(search_result(s, &part, from, err), s->queries, err));
    } else {
        HT_TRY(ht_name_file(hither_index_search(s->index, &part, s->k, &s->options, s->labels, s->distances, err),
                            s->queries, err));
        for (size_t j = 0; j < part.rows; j++)
            ht_print_labels(&s->out, s->json, from + j, s->k, s->labels + j * s->k, s->distances + j * s->k);
    }
    *more = ht_out_buf(&s->out);
    return HITHER_OK;
}

static hither_status search_all(searching *s, const ht_array *queries, hither_error *err) {
    size_t cells = ht_min_size(queries->rows, QUERIES_AT_ONCE) * s->k;
    bool more = true;
    s->labels = ht_calloc(cells, sizeof *s->labels);
    s->distances = ht_calloc(cells, sizeof *s->distances);
    ht_buf_init(&s->out, SIZE_MAX / 2);
    hither_status status = s->labels && s->distances ? HITHER_OK : ht_fail_nomem(err, cells * 12, "the answers");
    if (status == HITHER_OK && !s->json)
        ht_buf_puts(&s->out, "query\trank\tlabel\tdistance\n");
    for (size_t i = 0; status == HITHER_OK && more && i < queries->rows; i += QUERIES_AT_ONCE)
        status = search_part(s, queries, i, &more, err);
    ht_buf_clear(&s->out);
    ht_release(s->distances);
    ht_release(s->labels);
    return status;
}

static hither_status index_dtype(hither_index *index, hither_dtype *out, hither_error *err) {
    hither_result *result = NULL;
    json_t *facts;
    HT_TRY(hither_index_info(index, &result, err));
    hither_status status = ht_metadata_object(result, 0, &facts, err);
    if (status == HITHER_OK) {
        const char *name = json_string_value(json_object_get(facts, "dtype"));
        *out = name && !strcmp(name, "b1") ? HITHER_B1 : HITHER_F32;
        json_decref(facts);
    }
    hither_result_free(result);
    return status;
}

int ht_run_index_search(const ht_args *args) {
    hither_error err;
    ht_array queries = {0};
    searching s = {.options = {.size = sizeof s.options},
                   .queries = args->operands[1],
                   .k = (uint32_t)ht_args_number(args, HT_OPT_K, 10),
                   .json = ht_args_has(args, HT_OPT_JSON),
                   .explain = ht_args_has(args, HT_OPT_EXPLAIN),
                   .within = ht_args_has(args, HT_OPT_RADIUS),
                   .radius = (float)ht_args_real(args, HT_OPT_RADIUS, 0)};
    s.options.ef = (uint32_t)ht_args_number(args, HT_OPT_EF, 0);
    s.options.nprobe = (uint32_t)ht_args_number(args, HT_OPT_NPROBE, 0);
    hither_dtype dtype = HITHER_F32;
    if (!ht_recall_option(args, &s.options.recall))
        return HT_EXIT_USAGE;
    if (ht_args_has(args, HT_OPT_METRIC))
        s.options.metric = ht_metric_option(args);
    hither_status status = hither_index_open(args->operands[0], &s.index, &err);
    if (status == HITHER_OK)
        status = index_dtype(s.index, &dtype, &err);
    if (status == HITHER_OK)
        status = ht_array_read_queries(args->operands[1], dtype, &queries, &err);
    if (status == HITHER_OK)
        status = search_all(&s, &queries, &err);
    ht_array_free(&queries);
    hither_index_close(s.index);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* ---- verify */

static hither_status print_sound(hither_index *index, hither_error *err) {
    hither_result *result = NULL;
    json_t *facts;
    HT_TRY(hither_index_info(index, &result, err));
    hither_status status = ht_metadata_object(result, 0, &facts, err);
    if (status == HITHER_OK) {
        ht_buf line;
        ht_buf_init(&line, 1000);
        int64_t rows = json_integer_value(json_object_get(facts, "rows"));
        ht_buf_puts(&line, "ok: ");
        ht_show_count(&line, (uint64_t)rows);
        ht_buf_printf(&line, " row%s of %lld dimensions\n", rows == 1 ? "" : "s",
                      (long long)json_integer_value(json_object_get(facts, "dim")));
        ht_out_buf(&line);
        ht_buf_clear(&line);
        json_decref(facts);
    }
    hither_result_free(result);
    return status;
}

int ht_run_index_verify(const ht_args *args) {
    hither_error err;
    hither_index *index = NULL;
    hither_status status = hither_index_open(args->operands[0], &index, &err);
    if (status == HITHER_OK)
        status = hither_index_verify(index, &err);
    if (status == HITHER_OK)
        status = print_sound(index, &err);
    hither_index_close(index);
    if (status == HITHER_OK)
        return HT_EXIT_OK;
    ht_report(status, &err);
    return status == HITHER_CORRUPT ? HT_EXIT_DAMAGE : HT_EXIT_ERROR;
}

/* ---- tune */

static hither_status print_curve(const ht_args *args, const hither_result *result, hither_error *err) {
    json_t *facts, *point;
    size_t i;
    ht_buf out;
    if (ht_args_has(args, HT_OPT_JSON))
        return ht_print_facts(args, result, err);
    HT_TRY(ht_metadata_object(result, 0, &facts, err));
    ht_buf_init(&out, SIZE_MAX / 2);
    const json_t *curve = json_object_get(facts, "curve");
    ht_buf_printf(&out, "%s\tvisited\trecall@10\trecall@100\n", json_string_value(json_object_get(facts, "effort")));
    json_array_foreach(curve, i, point) {
        const double wide = json_number_value(json_object_get(point, "recall100"));
        ht_buf_printf(&out, "%lld\t%lld\t%.4f\t", (long long)json_integer_value(json_object_get(point, "effort")),
                      (long long)json_integer_value(json_object_get(point, "visited")),
                      json_number_value(json_object_get(point, "recall10")));
        if (wide > 0)
            ht_buf_printf(&out, "%.4f", wide);
        ht_buf_putc(&out, '\n');
    }
    hither_status status = ht_buf_check(&out, "the curve", err);
    if (status == HITHER_OK)
        ht_out_buf(&out);
    ht_buf_clear(&out);
    json_decref(facts);
    return status;
}

int ht_run_tune(const ht_args *args) {
    hither_error err;
    hither_index *index = NULL;
    hither_result *result = NULL;
    hither_status status = hither_index_open(args->operands[0], &index, &err);
    if (status == HITHER_OK)
        status = hither_index_tune(index, &result, &err);
    if (status == HITHER_OK)
        status = print_curve(args, result, &err);
    hither_result_free(result);
    hither_index_close(index);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}
