/*
 * cmd_space.c: compact, purge and the index of a collection: work that may take long, shows how far it is on a
 * terminal, and stops soundly on Ctrl-C. Each function is a command of the table.
 */
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "database.h"
#include "model.h"
#include "output.h"
#include "signals.h"

typedef struct work {
    double began, shown;
} work;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void show(const char *text, size_t bytes) {
    ssize_t ignored = write(STDERR_FILENO, text, bytes);
    (void)ignored;
}

static int progress(void *ctx, uint64_t done, uint64_t total) {
    work *w = ctx;
    double now = seconds();
    if (ht_out_terminal()->error_tty && now - w->shown >= 0.1 && now - w->began >= 0.3 && total) {
        ht_buf line;
        ht_buf_init(&line, 200);
        ht_buf_printf(&line, "\r\033[K%2.0f %%  ", 100 * (double)done / (double)total);
        ht_show_count(&line, done);
        ht_buf_puts(&line, " of ");
        ht_show_count(&line, total);
        ht_buf_puts(&line, " rows");
        if (!line.failed)
            show(line.data, line.size);
        ht_buf_clear(&line);
        w->shown = now;
    }
    return ht_signals_caught();
}

/* `stopped` is what a stop has left. */
static int finish(const work *w, hither_status status, const char *stopped, const hither_error *err) {
    if (w->shown > 0)
        show("\r\033[K", 4);
    if (status == HITHER_INTERRUPTED && ht_signals_caught()) {
        ht_say("interrupted; %s", stopped);
        return 128 + ht_signals_caught();
    }
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, err);
}

static hither_status compact_one(hither_db *db, const char *name, const hither_work_options *options,
                                 hither_error *err) {
    const hither_collection_options old = {.size = sizeof old, .flags = HITHER_COLLECTION_EXISTING};
    hither_collection *c;
    HT_TRY(hither_collection_open(db, name, &old, &c, err));
    hither_status status = hither_collection_compact(c, options, err);
    hither_collection_close(c);
    return status;
}

static hither_status index_one(hither_db *db, const ht_args *args, const hither_work_options *options,
                               hither_error *err) {
    const hither_collection_options old = {.size = sizeof old, .flags = HITHER_COLLECTION_EXISTING};
    const hither_index_options index = {.size = sizeof index, .kind = ht_kind_option(args)};
    hither_collection *c;
    HT_TRY(hither_collection_open(db, args->operands[1], &old, &c, err));
    hither_status status = hither_collection_create_index(c, &index, options, err);
    hither_collection_close(c);
    return status;
}

enum { COMPACT, PURGE, INDEX };

static int run(const ht_args *args, int what) {
    hither_error err = {0};
    hither_db *db = NULL;
    work w = {.began = seconds()};
    const hither_work_options options = {.size = sizeof options, .progress = progress, .ctx = &w};
    if (ht_signals_catch() < 0)
        return ht_report(ht_fail(&err, HITHER_IO, "cannot make a pipe"), &err);
    hither_status status = ht_open_database(args->operands[0], HT_OPEN_WRITE, &db, &err);
    if (status == HITHER_OK && what == PURGE)
        status = hither_db_purge(db, &options, &err);
    else if (status == HITHER_OK && what == INDEX)
        status = index_one(db, args, &options, &err);
    else if (status == HITHER_OK)
        status = args->count > 1 ? compact_one(db, args->operands[1], &options, &err)
                                 : hither_db_compact(db, &options, &err);
    hither_db_close(db);
    return finish(&w, status, "what was given back by then stays so", &err);
}

int ht_run_reembed(const ht_args *args) {
    hither_error err;
    ht_opened opened;
    hither_embedder *embedder = NULL;
    work w = {.began = seconds()};
    const hither_work_options options = {.size = sizeof options, .progress = progress, .ctx = &w};
    if (ht_signals_catch() < 0)
        return ht_report(ht_fail(&err, HITHER_IO, "cannot make a pipe"), &err);
    hither_status status = ht_model_option(args, &embedder, &err);
    if (status == HITHER_OK)
        status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_WRITE, &opened, &err);
    if (status == HITHER_OK) {
        status = hither_collection_reembed(opened.collection, embedder, &options, &err);
        ht_close_both(&opened);
    }
    hither_embedder_close(embedder);
    return finish(&w, status, "nothing was changed", &err);
}

int ht_run_compact(const ht_args *args) { return run(args, COMPACT); }
int ht_run_purge(const ht_args *args) { return run(args, PURGE); }
int ht_run_index(const ht_args *args) { return run(args, INDEX); }
