/*
 * cmd_watch.c: watch. Lines go to the window as they arrive, all that are there at once, so that one line a second is
 * answered at once and a burst in blocks. A log must go on: nothing a line holds stops it, and memory stays bounded.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "commands.h"
#include "output.h"
#include "reader.h"
#include "signals.h"

enum { LINES_AT_ONCE = 512, LINE_MAX_BYTES = 64 << 10 };

typedef struct watcher {
    const ht_args *args;
    hither_window *window;
    ht_column lines;
    hither_score scores[LINES_AT_ONCE];
    ht_buf out, kept;
    uint64_t warmup, rare;
    double threshold;
    uint64_t read, alarms;                 /* lines pushed; lines printed */
    uint64_t overlong, not_utf8, with_nul; /* lines taken with a flaw */
    bool learned;                          /* the warm-up's end was said */
} watcher;

/* ---- one alarm */

/* The text of a record that may be in the window still, or one of the lines just pushed. */
static hither_status nearest_text(watcher *w, uint64_t record, hither_result **out, ht_text *text, hither_error *err) {
    *out = NULL;
    *text = (ht_text){0};
    if (record == UINT64_MAX)
        return HITHER_OK;
    HT_TRY(hither_window_get(w->window, &record, 1, out, err));
    const hither_strings documents = hither_result_documents(*out, 0);
    *text = ht_strings_at(&documents, 0);
    return HITHER_OK;
}

static void alarm_json(ht_buf *out, const hither_score *score, const char *reason, ht_text line, ht_text nearest) {
    ht_buf_puts(out, "{\"score\":");
    ht_json_float(out, score->novelty);
    ht_buf_printf(out, ",\"reason\":\"%s\",\"line\":", reason);
    ht_json_text(out, line.data, line.bytes);
    ht_buf_puts(out, ",\"nearest\":");
    if (nearest.data)
        ht_json_text(out, nearest.data, nearest.bytes);
    else
        ht_buf_puts(out, "null");
    ht_buf_printf(out, ",\"count\":%u,\"number\":%llu}\n", score->seen, (unsigned long long)score->record + 1);
}

static void alarm_people(ht_buf *out, const hither_score *score, const char *reason, ht_text line, ht_text nearest) {
    const unsigned indent = 18, width = ht_out_terminal()->width;
    const unsigned room = width > indent + 20 ? width - indent : 20;
    ht_show_bold(out, true);
    ht_buf_printf(out, "%5.2f  %-9s  ", (double)score->novelty, reason);
    ht_show_text(out, line.data, line.bytes, room);
    ht_show_bold(out, false);
    if (nearest.data) {
        ht_show_dim(out, true);
        ht_buf_printf(out, "\n       %-9s  ", "nearest");
        ht_show_text(out, nearest.data, nearest.bytes, room);
        ht_show_dim(out, false);
    }
    ht_buf_putc(out, '\n');
}

static hither_status alarm(watcher *w, const hither_score *score, ht_text line, hither_error *err) {
    hither_result *result;
    ht_text nearest;
    HT_TRY(nearest_text(w, score->nearest, &result, &nearest, err));
    const char *reason = score->seen ? "rare" : "new form";
    (ht_args_has(w->args, HT_OPT_JSON) ? alarm_json : alarm_people)(&w->out, score, reason, line, nearest);
    hither_result_free(result);
    w->alarms++;
    return HITHER_OK;
}

/* ---- lines */

static void say_learned(watcher *w) {
    w->learned = true;
    if (w->warmup)
        ht_say("learned from the first %llu lines; new and rare ones are printed from here on",
               (unsigned long long)w->warmup);
}

static hither_status push(watcher *w, bool *more, hither_error *err) {
    const hither_strings lines = ht_column_view(&w->lines);
    HT_TRY(ht_column_check(&w->lines, err));
    HT_TRY(hither_window_push(w->window, &lines, w->scores, err));
    for (size_t i = 0; i < lines.count; i++) {
        const hither_score *score = &w->scores[i];
        if (w->read++ < w->warmup)
            continue;
        if (!w->learned)
            say_learned(w);
        if (score->seen <= w->rare && (double)score->novelty >= w->threshold)
            HT_TRY(alarm(w, score, ht_strings_at(&lines, i), err));
    }
    *more = ht_out_buf(&w->out) && ht_out_flush();
    ht_column_clear(&w->lines);
    ht_column_init(&w->lines);
    return HITHER_OK;
}

/* The longest prefix of a cut line that does not end within a character. */
static size_t whole_chars(const char *text, size_t bytes) {
    size_t end = bytes;
    while (end > 0 && bytes - end < 3 && ((unsigned char)text[end - 1] & 0xc0) == 0x80)
        end--;
    return end > 0 && ((unsigned char)text[end - 1] & 0xc0) == 0xc0 &&
                   ht_utf8_valid_prefix(text + end - 1, bytes - end + 1) == 0
               ? end - 1
               : bytes;
}

static void add_line(watcher *w, const ht_line *line) {
    size_t bytes = line->dropped ? whole_chars(line->data, line->bytes) : line->bytes;
    if (bytes == 0)
        return; /* blank lines say nothing */
    w->overlong += line->dropped > 0;
    w->with_nul += memchr(line->data, 0, bytes) != NULL;
    w->not_utf8 += ht_utf8_valid_prefix(line->data, bytes) < bytes;
    ht_column_add(&w->lines, line->data, bytes);
}

static hither_status watch_one(watcher *w, const char *path, int wake_fd, bool *more, hither_error *err) {
    ht_reader r;
    HT_TRY(ht_reader_open(&r, path, err));
    r.wake_fd = wake_fd;
    bool end = false;
    hither_status status = ht_reader_skip_bom(&r, err);
    while (status == HITHER_OK && !end && *more) {
        ht_line line;
        status = ht_signals_caught() ? HITHER_INTERRUPTED : ht_reader_line(&r, LINE_MAX_BYTES, true, &line, &end, err);
        if (status == HITHER_OK && !end)
            add_line(w, &line);
        bool waiting = end || !ht_reader_has_line(&r) || w->lines.count == LINES_AT_ONCE;
        if (status == HITHER_OK && waiting && w->lines.count)
            status = push(w, more, err);
    }
    ht_reader_close(&r);
    return status;
}

static void say_flaw(uint64_t count, const char *what) {
    if (count)
        ht_say("%llu line%s %s", (unsigned long long)count, count == 1 ? "" : "s", what);
}

static void say_end(const watcher *w) {
    say_flaw(w->overlong, "longer than 64 KiB, cut there");
    say_flaw(w->not_utf8, "not in UTF-8, its bad bytes taken as U+FFFD");
    say_flaw(w->with_nul, "with NUL bytes, taken as they are");
    if (w->read <= w->warmup && w->read && w->warmup)
        ht_say("the input ended after %llu line%s, all of which were only learned from (--warmup)",
               (unsigned long long)w->read, w->read == 1 ? "" : "s");
}

int ht_run_watch(const ht_args *args) {
    hither_error err = {0};
    watcher *w = ht_calloc(1, sizeof *w);
    if (!w)
        return ht_report(ht_fail_nomem(&err, sizeof *w, "the window"), &err);
    w->args = args;
    w->warmup = ht_args_number(args, HT_OPT_WARMUP, 200);
    w->rare = ht_args_number(args, HT_OPT_RARE, 1);
    w->threshold = ht_args_has(args, HT_OPT_THRESHOLD) ? args->values[HT_OPT_THRESHOLD].real : -INFINITY;
    ht_column_init(&w->lines);
    ht_buf_init(&w->out, SIZE_MAX / 2);
    const hither_window_options options = {.size = sizeof options,
                                           .capacity = (uint32_t)ht_args_number(args, HT_OPT_WINDOW, 0)};
    hither_status status = hither_window_new(&options, &w->window, &err);
    int wake_fd = ht_signals_catch();
    bool more = true;
    for (size_t i = 0; status == HITHER_OK && more && i < (args->count ? args->count : 1); i++)
        status = watch_one(w, args->count ? args->operands[i] : "-", wake_fd, &more, &err);
    say_end(w);
    hither_window_close(w->window);
    ht_column_clear(&w->lines);
    ht_buf_clear(&w->out);
    ht_release(w);
    if (status == HITHER_INTERRUPTED)
        return 128 + ht_signals_caught();
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}
