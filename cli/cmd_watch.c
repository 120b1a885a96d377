/*
 * cmd_watch.c: watch. Lines go to the window as they arrive, all that are there at once, and those that it calls alarms
 * are printed. A log must go on: nothing a line holds stops it, and memory stays bounded.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "commands.h"
#include "database.h"
#include "on_alarm.h"
#include "output.h"
#include "view.h"
#include "watch.h"

/* ---- one alarm */

/* Why it is one, by the window's own word: the nearest known line, and the words that differ. *facts is the caller's,
 * *result holds the texts. */
static hither_status explain(ht_watch *w, ht_alarm_line *a, hither_result **result, json_t **facts, hither_error *err) {
    *facts = NULL;
    HT_TRY(hither_window_explain(w->window, a->score, result, err));
    const hither_strings documents = hither_result_documents(*result, 0);
    a->nearest = ht_strings_at(&documents, 0);
    hither_status status = ht_metadata_object(*result, 0, facts, err);
    if (status != HITHER_OK) {
        hither_result_free(*result);
        *result = NULL;
        return status;
    }
    a->added = json_object_get(*facts, "added");
    a->removed = json_object_get(*facts, "removed");
    return HITHER_OK;
}

static void flush(ht_watch *w) { w->lines.stop |= !ht_out_buf(&w->out) || !ht_out_flush(); }

static hither_status show(ht_watch *w, const ht_alarm_line *a, hither_error *err) {
    if (w->view)
        HT_TRY(ht_view_alarm(w->view, a, err));
    else
        (ht_args_has(w->args, HT_OPT_JSON) ? ht_alarm_json : ht_alarm_people)(&w->out, a);
    if (!ht_args_has(w->args, HT_OPT_ON_ALARM))
        return HITHER_OK;
    flush(w); /* first the alarm, then what the command prints */
    int code = 0;
    const double score = (double)(a->query ? a->similarity : a->score->novelty);
    HT_TRY(ht_on_alarm(w->args->values[HT_OPT_ON_ALARM].text, a->line, score, a->reason, &code, err));
    w->failed += code != 0;
    return HITHER_OK;
}

/* query: the standing query the line is near to, or NULL. */
static hither_status raise_alarm(ht_watch *w, size_t i, ht_text line, const char *query, float similarity,
                                 hither_error *err) {
    const hither_score *score = &w->scores[i];
    hither_result *result;
    json_t *facts;
    ht_alarm_line a = {.score = score,
                       .reason = query         ? "like"
                                 : score->seen ? "rare"
                                               : "new form",
                       .query = query,
                       .similarity = similarity,
                       .file = w->args->count > 1 ? w->lines.files[i] : NULL,
                       .line = line,
                       .time_ms = w->times_ms[i],
                       .own_time = w->clock.own};
    HT_TRY(explain(w, &a, &result, &facts, err));
    hither_status status = show(w, &a, err);
    json_decref(facts);
    hither_result_free(result);
    w->alarms++;
    return status;
}

/* ---- lines */

static void say_learned(ht_watch *w) {
    w->learned = true;
    if (w->warmup && !w->view)
        ht_say("learned from the first %llu lines; new and rare ones are printed from here on",
               (unsigned long long)w->warmup);
}

static bool is_alarm(const ht_watch *w, const hither_score *score) {
    if (!ht_args_has(w->args, HT_OPT_THRESHOLD))
        return score->alarm == 1;
    return score->seen <= w->rare && (double)score->novelty >= w->args->values[HT_OPT_THRESHOLD].real;
}

/* When each line came, by its own word if it has one. */
static void read_times(ht_watch *w, const hither_strings *lines) {
    const ht_times now = ht_times_now();
    for (size_t i = 0; i < lines->count; i++) {
        const ht_text line = ht_strings_at(lines, i);
        w->times_ms[i] =
            w->lines.times_ms[i] != HT_NO_TIME ? w->lines.times_ms[i] : ht_line_time(line.data, line.bytes, &now);
    }
    ht_clock_fill(&w->clock, &now, w->times_ms, lines->count);
}

static void to_archive(ht_watch *w, const hither_strings *lines) {
    for (size_t i = 0; i < lines->count; i++) {
        const ht_text line = ht_strings_at(lines, i);
        ht_archive_add(w->archive, line, w->times_ms[i], w->args->count > 1 ? w->lines.files[i] : NULL,
                       hither_level_name(w->scores[i].level));
    }
    ht_archive_write(w->archive, false);
}

/* Standing queries look at the first line of each form, and need no warm-up. */
static hither_status judge(ht_watch *w, size_t i, ht_text line, const hither_result *matches, hither_error *err) {
    const hither_score *score = &w->scores[i];
    const char *query = NULL;
    float similarity = 0;
    if (matches)
        HT_TRY(ht_standing_match(w->standing, matches, i, line, &query, &similarity, err));
    const bool learning = w->read++ < w->warmup;
    if (!learning && !w->learned)
        say_learned(w);
    w->repeats += !learning && score->alarm == 2;
    return query || (!learning && is_alarm(w, score)) ? raise_alarm(w, i, line, query, similarity, err) : HITHER_OK;
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static hither_status take(void *ctx, hither_error *err) {
    ht_watch *w = ctx;
    const double began = seconds_now();
    const hither_strings lines = ht_column_view(&w->lines.texts);
    read_times(w, &lines);
    const hither_window_rows rows = {.size = sizeof rows, .texts = lines, .times_ms = w->times_ms};
    hither_result *matches = NULL;
    hither_status status = w->standing ? hither_window_push_matched(w->window, &rows, w->scores, &matches, err)
                                       : hither_window_push_rows(w->window, &rows, w->scores, err);
    for (size_t i = 0; i < lines.count && status == HITHER_OK; i++)
        status = judge(w, i, ht_strings_at(&lines, i), matches, err);
    hither_result_free(matches);
    HT_TRY(status);
    flush(w);
    if (w->view)
        HT_TRY(ht_view_lines(w->view, &lines, w->scores, seconds_now() - began, err));
    if (w->archive)
        to_archive(w, &lines);
    ht_watch_save(w, false);
    return HITHER_OK;
}

static hither_status turn(void *ctx, hither_error *err) {
    ht_watch *w = ctx;
    bool quit;
    HT_TRY(ht_view_turn(w->view, &quit, err));
    w->lines.stop |= quit;
    return HITHER_OK;
}

/* What has its time, whether lines come or not. */
static hither_status idle(void *ctx, hither_error *err) {
    ht_watch *w = ctx;
    (void)err;
    if (w->archive)
        ht_archive_write(w->archive, false);
    ht_watch_save(w, false);
    return HITHER_OK;
}

/* ---- beginning and end */

static void say_end(const ht_watch *w) {
    ht_lines_say_flaws(&w->lines);
    if (w->failed)
        ht_say("the command of --on-alarm failed %llu time%s", (unsigned long long)w->failed,
               w->failed == 1 ? "" : "s");
    if (w->repeats && !w->lines.stop && !ht_args_has(w->args, HT_OPT_VIEW))
        ht_say("%llu further line%s of forms that were printed", (unsigned long long)w->repeats,
               w->repeats == 1 ? "" : "s");
    if (w->read <= w->warmup && w->read && w->warmup)
        ht_say("the input ended after %llu line%s, all of which were only learned from (--warmup)",
               (unsigned long long)w->read, w->read == 1 ? "" : "s");
}

static hither_status begin_view(ht_watch *w, hither_error *err) {
    if (w->args->count == 0 && isatty(STDIN_FILENO))
        return ht_fail(err, HITHER_INVALID,
                       "--view: name a file, or pipe lines in: tail -f app.log | hither watch --view");
    HT_TRY(ht_view_open(w, &w->view, err));
    w->lines.follow = true; /* keys and the clock go on while no lines come */
    w->lines.turn = turn;
    w->lines.key_fd = ht_view_keys(w->view);
    return HITHER_OK;
}

static hither_status begin(ht_watch *w, hither_error *err) {
    const bool view = ht_args_has(w->args, HT_OPT_VIEW);
    HT_TRY(ht_watch_window(w, err));
    if (ht_args_has(w->args, HT_OPT_ARCHIVE))
        HT_TRY(ht_archive_open(w->args->values[HT_OPT_ARCHIVE].text, w->embedder, &w->archive, err));
    if (w->archive || ht_args_has(w->args, HT_OPT_STATE))
        w->lines.idle = idle;
    if (view || ht_args_has(w->args, HT_OPT_QUERIES)) {
        w->standing = &w->queries;
        HT_TRY(ht_standing_open(w->standing, w->window, ht_args_text(w->args, HT_OPT_QUERIES, NULL),
                                ht_args_has(w->args, HT_OPT_MODEL), err));
    }
    return view ? begin_view(w, err) : HITHER_OK;
}

static void end(ht_watch *w) {
    ht_view_close(w->view);
    if (w->window)
        ht_watch_save(w, true);
    say_end(w);
    ht_archive_close(w->archive);
    if (w->standing)
        ht_standing_close(w->standing);
    hither_window_close(w->window);
    hither_embedder_close(w->embedder);
    ht_lines_clear(&w->lines);
    ht_buf_clear(&w->out);
    ht_buf_clear(&w->rules);
    ht_release(w);
}

int ht_run_watch(const ht_args *args) {
    hither_error err = {0};
    ht_watch *w = ht_calloc(1, sizeof *w);
    if (!w)
        return ht_report(ht_fail_nomem(&err, sizeof *w, "the window"), &err);
    w->args = args;
    w->warmup = ht_args_number(args, HT_OPT_WARMUP, 200);
    w->rare = ht_args_number(args, HT_OPT_RARE, 1);
    w->saved_ms = ht_times_now().now_ms;
    ht_buf_init(&w->out, SIZE_MAX / 2);
    ht_buf_init(&w->rules, 1 << 20);
    ht_lines_init(&w->lines, args);
    w->lines.follow = ht_args_has(args, HT_OPT_FOLLOW);
    w->lines.journal = strcmp(ht_args_text(args, HT_OPT_FORMAT, "auto"), "text") != 0;
    w->lines.ctx = w;
    w->lines.take = take;
    hither_status status = begin(w, &err);
    if (status == HITHER_OK)
        status = ht_lines_run(&w->lines, &err);
    end(w);
    return ht_lines_end(status, &err);
}
