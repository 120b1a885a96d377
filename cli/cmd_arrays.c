/* cmd_arrays.c: knn and embed, which need no database. Each is a command of the table. */
#include <limits.h>
#include <string.h>

#include "array.h"
#include "base/alloc.h"
#include "commands.h"
#include "database.h"
#include "model.h"
#include "output.h"

/* Many queries at once: the library codes an array once a call, where they repay it. */
enum { LINES_AT_ONCE = 256, QUERIES_AT_ONCE = 256, CELLS_AT_ONCE = 4 << 20 };

typedef struct finding {
    hither_matrix rows;
    hither_knn_options options;
    uint32_t k;
    size_t at_once; /* queries */
    bool json, within;
    float radius;
    int64_t *labels;
    float *distances;
    ht_buf out;
} finding;

static hither_status knn_part(finding *f, const ht_array *queries, size_t from, hither_error *err) {
    const hither_matrix part = ht_array_view(queries, from, ht_min_size(queries->rows - from, f->at_once));
    if (f->within) {
        hither_result *found;
        HT_TRY(hither_within(&f->rows, &part, f->radius, &f->options, &found, err));
        for (size_t j = 0; j < part.rows; j++)
            ht_print_found(&f->out, f->json, from + j, found, j);
        hither_result_free(found);
        return HITHER_OK;
    }
    HT_TRY(hither_knn(&f->rows, &part, f->k, &f->options, f->labels, f->distances, err));
    for (size_t j = 0; j < part.rows; j++)
        ht_print_labels(&f->out, f->json, from + j, f->k, f->labels + j * f->k, f->distances + j * f->k);
    return HITHER_OK;
}

static hither_status knn(finding *f, const ht_array *queries, hither_error *err) {
    f->at_once = CELLS_AT_ONCE / f->k > QUERIES_AT_ONCE ? CELLS_AT_ONCE / f->k : QUERIES_AT_ONCE;
    size_t cells = ht_min_size(queries->rows, f->at_once) * f->k;
    bool more = true;
    f->labels = ht_calloc(cells, sizeof *f->labels);
    f->distances = ht_calloc(cells, sizeof *f->distances);
    ht_buf_init(&f->out, SIZE_MAX / 2);
    hither_status status = f->labels && f->distances ? HITHER_OK : ht_fail_nomem(err, cells * 12, "the answers");
    if (status == HITHER_OK && !f->json)
        ht_buf_puts(&f->out, "query\trank\trow\tdistance\n");
    for (size_t i = 0; status == HITHER_OK && more && i < queries->rows; i += f->at_once) {
        status = knn_part(f, queries, i, err);
        more = status == HITHER_OK && ht_out_buf(&f->out);
    }
    ht_buf_clear(&f->out);
    ht_release(f->labels);
    ht_release(f->distances);
    return status;
}

/* The metric asked for already says that rows are bits. */
static hither_dtype asked_dtype(const ht_args *args) {
    return ht_metric_option(args) == HITHER_HAMMING ? HITHER_B1 : ht_dtype_option(args);
}

int ht_run_knn(const ht_args *args) {
    hither_error err;
    ht_array base = {0}, queries = {0};
    finding f = {.options = {.size = sizeof f.options, .metric = ht_metric_option(args)},
                 .k = (uint32_t)ht_args_number(args, HT_OPT_K, 10),
                 .json = ht_args_has(args, HT_OPT_JSON),
                 .within = ht_args_has(args, HT_OPT_RADIUS),
                 .radius = (float)ht_args_real(args, HT_OPT_RADIUS, 0)};
    if (!ht_recall_option(args, &f.options.recall))
        return HT_EXIT_USAGE;
    hither_status status = ht_array_read(args->operands[0], asked_dtype(args), &base, &err);
    if (status == HITHER_OK)
        status = ht_array_read_queries(args->operands[1], base.dtype, &queries, &err);
    if (status == HITHER_OK) {
        f.rows = ht_array_view(&base, 0, base.rows);
        status = knn(&f, &queries, &err);
    }
    ht_array_free(&base);
    ht_array_free(&queries);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* ---- embed */

typedef struct embedding {
    ht_reader reader;
    hither_embedder *embedder;
    float *vectors;
    ht_column texts;
    ht_buf out;
    uint64_t line;
} embedding;

/* The lines that are there, at least one unless the end has come. */
static hither_status gather(embedding *e, bool *end, hither_error *err) {
    ht_column_clear(&e->texts);
    ht_column_init(&e->texts);
    do {
        ht_line line;
        hither_status status = ht_reader_line(&e->reader, HITHER_MAX_TEXT_BYTES, false, &line, end, err);
        if (status == HITHER_TOO_LARGE)
            return ht_fail(err, status, "%.100s: line %llu is longer than %u bytes", e->reader.name,
                           (unsigned long long)e->line + 1, HITHER_MAX_TEXT_BYTES);
        HT_TRY(status);
        if (*end)
            break;
        e->line++;
        size_t good = ht_utf8_valid_prefix(line.data, line.bytes);
        if (good < line.bytes)
            return ht_fail(err, HITHER_ENCODING, "%.100s: line %llu is not UTF-8 at byte %zu", e->reader.name,
                           (unsigned long long)e->line, good);
        ht_column_add(&e->texts, line.data, line.bytes);
    } while (e->texts.count < LINES_AT_ONCE && ht_reader_has_line(&e->reader));
    return ht_column_check(&e->texts, err);
}

static hither_status embed_lines(embedding *e, bool *more, hither_error *err) {
    const uint32_t dim = hither_embedder_dim(e->embedder);
    const hither_strings texts = ht_column_view(&e->texts);
    HT_TRY(hither_embedder_embed(e->embedder, &texts, e->vectors, err));
    for (size_t i = 0; i < texts.count; i++) {
        ht_buf_putc(&e->out, '[');
        for (uint32_t j = 0; j < dim; j++) {
            if (j)
                ht_buf_putc(&e->out, ',');
            ht_json_float(&e->out, e->vectors[i * dim + j]);
        }
        ht_buf_puts(&e->out, "]\n");
    }
    *more = ht_out_buf(&e->out) && ht_out_flush();
    return HITHER_OK;
}

int ht_run_embed(const ht_args *args) {
    hither_error err;
    embedding e = {.reader = {.fd = -1, .wake_fd = -1}};
    bool end = false, more = true;
    ht_column_init(&e.texts);
    ht_buf_init(&e.out, SIZE_MAX / 2);
    hither_status status = ht_reader_open(&e.reader, args->count ? args->operands[0] : "-", &err);
    if (status == HITHER_OK)
        status = ht_model_option(args, &e.embedder, &err);
    if (status == HITHER_OK) {
        size_t bytes = (size_t)LINES_AT_ONCE * hither_embedder_dim(e.embedder) * sizeof(float);
        e.vectors = ht_alloc(bytes);
        status = e.vectors ? ht_reader_skip_bom(&e.reader, &err) : ht_fail_nomem(&err, bytes, "vectors");
    }
    while (status == HITHER_OK && more && !end) {
        status = gather(&e, &end, &err);
        if (status == HITHER_OK && e.texts.count)
            status = embed_lines(&e, &more, &err);
    }
    ht_release(e.vectors);
    ht_column_clear(&e.texts);
    ht_buf_clear(&e.out);
    hither_embedder_close(e.embedder);
    ht_reader_close(&e.reader);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}
