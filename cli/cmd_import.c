/*
 * cmd_import.c: import. Reads rows until a batch is full, writes it, and goes on; nothing is made or changed before the
 * first batch has been read without a fault. On a fault, and on Ctrl-C, it says how many rows are in.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "batch.h"
#include "commands.h"
#include "output.h"
#include "signals.h"

enum format { TEXT, JSONL, CSV, NPY, PARQUET };
#define BATCH_BYTES ((size_t)64 << 20)

typedef struct importer {
    const ht_args *args;
    ht_reader reader, ids;
    ht_source *source;
    ht_target target;
    ht_batch batch;
    ht_field_list fields;
    ht_column remove;
    uint64_t rows;       /* read */
    double began, shown; /* seconds; when the progress was last shown */
} importer;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- progress, on a terminal only */

static void show_progress(importer *im) {
    double now = seconds(), spent = now - im->began;
    if (!ht_out_terminal()->error_tty || now - im->shown < 0.1 || spent < 0.3)
        return;
    im->shown = now;
    ht_buf line;
    ht_buf_init(&line, 1000);
    ht_buf_puts(&line, "\r\033[K");
    ht_show_count(&line, im->target.written);
    ht_buf_puts(&line, " rows  ");
    ht_show_count(&line, (uint64_t)((double)im->target.written / spent));
    ht_buf_puts(&line, " rows/s");
    if (im->reader.size) {
        double share = (double)im->reader.consumed / (double)im->reader.size;
        double left = share > 0 ? spent / share - spent : 0;
        ht_buf_printf(&line, "  %2.0f %%", 100 * share);
        if (share > 0.01)
            ht_buf_printf(&line, "  %d:%02d left", (int)left / 60, (int)left % 60);
    }
    if (!line.failed) {
        ssize_t ignored = write(STDERR_FILENO, line.data, line.size);
        (void)ignored;
    }
    ht_buf_clear(&line);
}

static void end_progress(const importer *im) {
    if (im->shown > 0) {
        ssize_t ignored = write(STDERR_FILENO, "\r\033[K", 4);
        (void)ignored;
    }
}

/* "117,659 rows in 3.2 s: 117,659 new, 0 replaced" */
static void say_done(importer *im) {
    uint64_t after = 0, before = im->target.opened.facts.count;
    hither_error err;
    end_progress(im);
    if (!ht_out_terminal()->error_tty)
        return;
    ht_buf line;
    ht_buf_init(&line, 1000);
    ht_show_count(&line, im->target.written);
    ht_buf_printf(&line, " row%s in %.1f s", im->target.written == 1 ? "" : "s", seconds() - im->began);
    if (im->target.written && hither_collection_count(im->target.opened.collection, NULL, &after, &err) == HITHER_OK) {
        uint64_t fresh = after > before ? after - before : 0;
        ht_buf_puts(&line, ": ");
        ht_show_count(&line, fresh);
        ht_buf_puts(&line, " new, ");
        ht_show_count(&line, im->target.written > fresh ? im->target.written - fresh : 0);
        ht_buf_puts(&line, " replaced");
    }
    ht_say("%s", line.failed ? "done" : line.data);
    ht_buf_clear(&line);
}

/* ---- the options */

static enum format format_of(const ht_args *args) {
    if (ht_args_has(args, HT_OPT_FORMAT))
        return (enum format)args->values[HT_OPT_FORMAT].choice;
    static const struct {
        const char *extension;
        enum format format;
    } known[] = {{"jsonl", JSONL}, {"ndjson", JSONL}, {"json", JSONL},
                 {"csv", CSV},     {"npy", NPY},      {"parquet", PARQUET}};
    const char *slash = strrchr(args->operands[2], '/'), *name = slash ? slash + 1 : args->operands[2];
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(dot + 1, known[i].extension))
            return known[i].format;
    return TEXT;
}

/* An option that the format has no use for is a mistake, not a wish. */
static bool options_fit(const ht_args *args, enum format format) {
    static const char *const names[] = {"text", "jsonl", "csv", "npy", "parquet"};
    static const struct {
        ht_opt option;
        const char *name, *formats;
    } fits[] = {{HT_OPT_ID, "id", "jsonl and csv"},
                {HT_OPT_TEXT, "text", "jsonl and csv"},
                {HT_OPT_VECTOR, "vector", "jsonl and csv"},
                {HT_OPT_FIELDS, "fields", "jsonl"},
                {HT_OPT_IDS, "ids", "npy"}};
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++)
        if (ht_args_has(args, fits[i].option) && !strstr(fits[i].formats, names[format])) {
            ht_say("import: --%s is for %s, and %s is taken as %s; --format says otherwise", fits[i].name,
                   fits[i].formats, args->operands[2], names[format]);
            return false;
        }
    return true;
}

/* The vector fields that rows may have: as --fields says, or as the collection has them, if it is there. */
static hither_status find_fields(importer *im, hither_error *err) {
    const char *asked = ht_args_text(im->args, HT_OPT_FIELDS, NULL);
    if (asked)
        return ht_fields_parse(asked, &im->fields, err);
    ht_opened opened;
    hither_error ignored;
    if (ht_open_both(im->target.path, im->target.name, HT_OPEN_READ, &opened, &ignored) != HITHER_OK)
        return HITHER_OK; /* not there; or what is wrong shows when it is written */
    hither_status status = ht_fields_of(opened.collection, &im->fields, err);
    ht_close_both(&opened);
    return status;
}

static hither_status open_source(importer *im, enum format format, hither_error *err) {
    const ht_args *args = im->args;
    const ht_fields fields = {.id = ht_args_text(args, HT_OPT_ID, NULL),
                              .text = ht_args_text(args, HT_OPT_TEXT, NULL),
                              .vector = ht_args_text(args, HT_OPT_VECTOR, NULL),
                              .named = im->fields.count > 0,
                              .parts = im->target.mode == HITHER_UPDATE};
    const char *ids = ht_args_text(args, HT_OPT_IDS, NULL);
    if (format == PARQUET)
        return ht_fail(err, HITHER_UNSUPPORTED,
                       "Parquet is read by the Python package: hither import --from parquet DB NAME FILE");
    HT_TRY(ht_reader_open(&im->reader, args->operands[2], err));
    im->reader.wake_fd = ht_signals_catch();
    if (ids) {
        HT_TRY(ht_reader_open(&im->ids, ids, err));
        im->ids.wake_fd = im->reader.wake_fd;
    }
    switch (format) {
    case JSONL:
        return ht_source_jsonl(&im->reader, &fields, &im->source, err);
    case CSV:
        return ht_source_csv(&im->reader, &fields, &im->source, err);
    case NPY:
        return ht_source_npy(&im->reader, ids ? &im->ids : NULL, &im->source, err);
    case TEXT:
    case PARQUET:
        break;
    }
    return ht_source_text(&im->reader, &im->source, err);
}

/* ---- the work */

static hither_status write_batch(importer *im, hither_error *err) {
    HT_TRY(ht_batch_write(&im->batch, &im->target, err));
    show_progress(im);
    return HITHER_OK;
}

/* Reads and writes all rows. INTERRUPTED after a signal, with the rows read so far written. */
static hither_status copy_rows(importer *im, hither_error *err) {
    const uint64_t limit = ht_args_number(im->args, HT_OPT_BATCH, 1000);
    ht_batch *b = &im->batch;
    for (;;) {
        ht_row row;
        bool end = false;
        hither_status status = ht_signals_caught() ? HITHER_INTERRUPTED : im->source->next(im->source, &row, &end, err);
        if (status == HITHER_INTERRUPTED) {
            if (b->rows)
                HT_TRY(write_batch(im, err));
            return ht_fail(err, HITHER_INTERRUPTED, "interrupted");
        }
        HT_TRY(status);
        if (end)
            break;
        if (!ht_batch_accepts(b, &row))
            HT_TRY(write_batch(im, err));
        HT_TRY(ht_batch_add(b, &im->target, &row, err));
        im->rows++;
        if (b->rows == limit || ht_batch_bytes(b) > BATCH_BYTES)
            HT_TRY(write_batch(im, err));
    }
    if (!b->rows && !im->target.opened.collection)
        b->dim = im->source->dim;
    if (b->rows || (!im->target.opened.collection && (im->source->dim || im->source->texts)))
        return write_batch(im, err);
    return HITHER_OK;
}

static int report(importer *im, hither_status status, const hither_error *err) {
    end_progress(im);
    ht_buf rows;
    ht_buf_init(&rows, 100);
    ht_show_count(&rows, im->target.written);
    const char *written = rows.failed ? "some" : rows.data, *s = im->target.written == 1 ? "" : "s";
    int code = HT_EXIT_ERROR;
    if (status == HITHER_INTERRUPTED) {
        ht_say("interrupted; %s row%s of %s %s in \"%s\"", written, s, im->reader.name, *s ? "are" : "is",
               im->args->operands[1]);
        code = 128 + ht_signals_caught();
    } else {
        ht_report(status, err);
        if (im->target.written)
            ht_say("%s row%s before that %s in \"%s\"%s", written, s, im->target.written == 1 ? "is" : "are",
                   im->args->operands[1],
                   im->target.mode == HITHER_UPSERT ? "; importing again replaces rows with the same ids" : "");
        else
            ht_say("nothing was imported");
    }
    ht_buf_clear(&rows);
    return code;
}

/* --mode, and --remove: a key, or a JSON array of them. */
static hither_status take_mode(importer *im, hither_error *err) {
    static const hither_mode modes[] = {HITHER_UPSERT, HITHER_INSERT, HITHER_UPDATE};
    const char *keys = ht_args_text(im->args, HT_OPT_REMOVE, NULL);
    json_t *parsed = NULL;
    im->target.mode = modes[im->args->values[HT_OPT_MODE].choice];
    im->target.remove = &im->remove;
    if (!keys)
        return HITHER_OK;
    if (im->target.mode != HITHER_UPDATE)
        return ht_fail(err, HITHER_INVALID, "--remove is for --mode update");
    if (*keys != '[') {
        ht_column_add(&im->remove, keys, strlen(keys));
        return ht_column_check(&im->remove, err);
    }
    HT_TRY(ht_json_parse(keys, strlen(keys), HITHER_MAX_TEXT_BYTES, "--remove", &parsed, err));
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < json_array_size(parsed) && status == HITHER_OK; i++) {
        const json_t *key = json_array_get(parsed, i);
        if (json_is_string(key))
            ht_column_add(&im->remove, json_string_value(key), json_string_length(key));
        else
            status = ht_fail(err, HITHER_INVALID, "--remove: element %zu is no string", i);
    }
    json_decref(parsed);
    return status == HITHER_OK ? ht_column_check(&im->remove, err) : status;
}

/* What other engines wrote is read by Python, which takes this process's place. */
static int import_from(const ht_args *args) {
    static const char *const kinds[] = {"chroma", "faiss", "hnswlib", "lancedb", "nseekfs", "parquet", "srvdb"};
    static const char *const metrics[] = {"cosine", "dot", "l2", "l1"};
    const char *python = getenv("HITHER_PYTHON"), *table = ht_args_text(args, HT_OPT_TABLE, NULL);
    python = python && *python ? python : "python3";
    const char *argv[12] = {python,
                            "-m",
                            "hither.importers",
                            kinds[args->values[HT_OPT_FROM].choice],
                            args->operands[2],
                            args->operands[0],
                            args->operands[1]};
    size_t n = 7;
    if (table) {
        argv[n++] = "--table";
        argv[n++] = table;
    }
    if (ht_args_has(args, HT_OPT_METRIC)) {
        argv[n++] = "--metric";
        argv[n++] = metrics[args->values[HT_OPT_METRIC].choice];
    }
    execvp(python, (char *const *)(uintptr_t)argv);
    ht_say("import: --from takes the Python package, and %s cannot be started: %s; HITHER_PYTHON names another", python,
           strerror(errno));
    return HT_EXIT_ERROR;
}

int ht_run_import(const ht_args *args) {
    if (ht_args_has(args, HT_OPT_FROM))
        return import_from(args);
    hither_error err = {0};
    enum format format = format_of(args);
    if (!options_fit(args, format))
        return HT_EXIT_USAGE;
    importer im = {.args = args,
                   .reader = {.fd = -1, .wake_fd = -1, .name = args->operands[2]},
                   .ids = {.fd = -1, .wake_fd = -1},
                   .target = {.path = args->operands[0],
                              .name = args->operands[1],
                              .metric = ht_metric_option(args),
                              .args = args},
                   .began = seconds()};
    if (ht_args_has(args, HT_OPT_ID_TYPE))
        im.target.asked = args->values[HT_OPT_ID_TYPE].choice == 0 ? HT_IDS_INT : HT_IDS_TEXT;
    im.target.fields = &im.fields;
    ht_column_init(&im.remove);
    hither_status status = take_mode(&im, &err);
    if (status == HITHER_OK && format == JSONL)
        status = find_fields(&im, &err);
    if (status == HITHER_OK)
        status = open_source(&im, format, &err);
    if (status == HITHER_OK) {
        ht_batch_init(&im.batch, im.source, im.reader.name, &im.fields);
        status = copy_rows(&im, &err);
        ht_batch_clear(&im.batch);
    }
    int code = HT_EXIT_OK;
    if (status == HITHER_OK)
        say_done(&im);
    else
        code = report(&im, status, &err);
    ht_source_close(im.source);
    ht_reader_close(&im.reader);
    ht_reader_close(&im.ids);
    ht_close_both(&im.target.opened);
    ht_fields_clear(&im.fields);
    ht_column_clear(&im.remove);
    return code;
}
