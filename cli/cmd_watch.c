/*
 * cmd_watch.c: watch. Lines go to the window as they arrive, all that are there at once, so that one line a second is
 * answered at once and a burst in blocks. A log must go on: nothing a line holds stops it, and memory stays bounded.
 */
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "commands.h"
#include "follow.h"
#include "on_alarm.h"
#include "output.h"
#include "reader.h"
#include "severity.h"
#include "signals.h"

enum { LINES_AT_ONCE = 512, LINE_MAX_BYTES = 64 << 10, ASK_AGAIN_MS = 100 };

static const double USUAL_RATE = 0.001;

typedef struct watcher {
    const ht_args *args;
    hither_window *window;
    ht_column lines;
    const char *files[LINES_AT_ONCE]; /* where each came from */
    hither_score scores[LINES_AT_ONCE];
    const char *file; /* being read */
    ht_buf out, kept;
    uint64_t warmup, rare;
    double rate; /* 0: --threshold decides */
    double threshold;
    bool more;                             /* standard output is still read */
    uint64_t read, alarms, repeats;        /* lines pushed; lines printed; lines of forms that were */
    uint64_t failed;                       /* commands */
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

typedef struct alarm_line {
    const hither_score *score;
    const char *reason, *file; /* file NULL: there is but one */
    ht_text line, nearest;
} alarm_line;

static void alarm_json(ht_buf *out, const alarm_line *a) {
    const hither_score *score = a->score;
    const char *level = ht_severity(a->line.data, a->line.bytes);
    ht_buf_puts(out, "{\"score\":");
    ht_json_float(out, score->novelty);
    ht_buf_printf(out, ",\"reason\":\"%s\",\"line\":", a->reason);
    ht_json_text(out, a->line.data, a->line.bytes);
    ht_buf_puts(out, ",\"nearest\":");
    if (a->nearest.data)
        ht_json_text(out, a->nearest.data, a->nearest.bytes);
    else
        ht_buf_puts(out, "null");
    ht_buf_printf(out, ",\"count\":%u,\"number\":%llu,\"rarity\":", score->seen, (unsigned long long)score->record + 1);
    ht_json_float(out, score->rarity);
    ht_buf_puts(out, ",\"distance\":");
    ht_json_float(out, score->distance);
    ht_buf_puts(out, ",\"level\":");
    if (level)
        ht_json_text(out, level, strlen(level));
    else
        ht_buf_puts(out, "null");
    if (a->file) {
        ht_buf_puts(out, ",\"file\":");
        ht_json_text(out, a->file, strlen(a->file));
    }
    ht_buf_puts(out, "}\n");
}

static void alarm_people(ht_buf *out, const alarm_line *a) {
    const unsigned indent = 18, width = ht_out_terminal()->width;
    const unsigned room = width > indent + 20 ? width - indent : 20;
    ht_show_bold(out, true);
    ht_buf_printf(out, "%5.2f  %-9s  ", (double)a->score->novelty, a->reason);
    ht_show_text(out, a->line.data, a->line.bytes, room);
    ht_show_bold(out, false);
    if (a->nearest.data) {
        ht_show_dim(out, true);
        ht_buf_printf(out, "\n       %-9s  ", "nearest");
        ht_show_text(out, a->nearest.data, a->nearest.bytes, room);
        ht_show_dim(out, false);
    }
    ht_buf_putc(out, '\n');
}

static hither_status alarm(watcher *w, const hither_score *score, const char *file, ht_text line, hither_error *err) {
    hither_result *result;
    alarm_line a = {.score = score,
                    .reason = score->seen ? "rare" : "new form",
                    .file = w->args->count > 1 ? file : NULL,
                    .line = line};
    HT_TRY(nearest_text(w, score->nearest, &result, &a.nearest, err));
    (ht_args_has(w->args, HT_OPT_JSON) ? alarm_json : alarm_people)(&w->out, &a);
    hither_result_free(result);
    w->alarms++;
    if (!ht_args_has(w->args, HT_OPT_ON_ALARM))
        return HITHER_OK;
    w->more = ht_out_buf(&w->out) && ht_out_flush(); /* first the alarm, then what the command prints */
    int code = 0;
    HT_TRY(ht_on_alarm(w->args->values[HT_OPT_ON_ALARM].text, line, (double)score->novelty, a.reason, &code, err));
    w->failed += code != 0;
    return HITHER_OK;
}

/* ---- lines */

static void say_learned(watcher *w) {
    w->learned = true;
    if (w->warmup)
        ht_say("learned from the first %llu lines; new and rare ones are printed from here on",
               (unsigned long long)w->warmup);
}

static bool is_alarm(const watcher *w, const hither_score *score) {
    if (w->rate > 0)
        return score->alarm == 1;
    return score->seen <= w->rare && (double)score->novelty >= w->threshold;
}

static hither_status push(watcher *w, hither_error *err) {
    const hither_strings lines = ht_column_view(&w->lines);
    HT_TRY(ht_column_check(&w->lines, err));
    HT_TRY(hither_window_push(w->window, &lines, w->scores, err));
    for (size_t i = 0; i < lines.count; i++) {
        const hither_score *score = &w->scores[i];
        if (w->read++ < w->warmup)
            continue;
        if (!w->learned)
            say_learned(w);
        w->repeats += score->alarm == 2;
        if (is_alarm(w, score))
            HT_TRY(alarm(w, score, w->files[i], ht_strings_at(&lines, i), err));
    }
    w->more = ht_out_buf(&w->out) && ht_out_flush();
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

/* The message of a line of journalctl -o json; *parsed is what holds it. False: it is no such line. */
static bool journal_message(const char *line, size_t bytes, json_t **parsed, ht_text *message) {
    *parsed = NULL;
    if (bytes < 2 || line[0] != '{' || !memmem(line, bytes, "\"MESSAGE\"", 9))
        return false;
    if (ht_json_parse(line, bytes, LINE_MAX_BYTES, "a line", parsed, NULL) != HITHER_OK)
        return false;
    const json_t *text = json_object_get(*parsed, "MESSAGE");
    if (!json_is_string(text)) {
        json_decref(*parsed);
        *parsed = NULL;
        return false;
    }
    *message = (ht_text){json_string_value(text), json_string_length(text)};
    return true;
}

static void add_line(watcher *w, const ht_line *line) {
    size_t bytes = line->dropped ? whole_chars(line->data, line->bytes) : line->bytes;
    ht_text text = {line->data, bytes};
    json_t *parsed = NULL;
    if (strcmp(ht_args_text(w->args, HT_OPT_FORMAT, "auto"), "text") != 0)
        journal_message(line->data, bytes, &parsed, &text);
    if (text.bytes > 0) { /* blank lines say nothing */
        w->overlong += line->dropped > 0;
        w->with_nul += memchr(text.data, 0, text.bytes) != NULL;
        w->not_utf8 += ht_utf8_valid_prefix(text.data, text.bytes) < text.bytes;
        w->files[w->lines.count] = w->file;
        ht_column_add(&w->lines, text.data, text.bytes);
    }
    json_decref(parsed);
}

static hither_status watch_one(watcher *w, const char *path, int wake_fd, hither_error *err) {
    ht_reader r;
    HT_TRY(ht_reader_open(&r, path, err));
    r.wake_fd = wake_fd;
    w->file = path;
    bool end = false;
    hither_status status = ht_reader_skip_bom(&r, err);
    while (status == HITHER_OK && !end && w->more) {
        ht_line line;
        status = ht_signals_caught() ? HITHER_INTERRUPTED : ht_reader_line(&r, LINE_MAX_BYTES, true, &line, &end, err);
        if (status == HITHER_OK && !end)
            add_line(w, &line);
        bool waiting = end || !ht_reader_has_line(&r) || w->lines.count == LINES_AT_ONCE;
        if (status == HITHER_OK && waiting && w->lines.count)
            status = push(w, err);
    }
    ht_reader_close(&r);
    return status;
}

/* ---- -f */

static hither_status follow_line(void *ctx, const ht_line *line, hither_error *err) {
    watcher *w = ctx;
    add_line(w, line);
    return w->lines.count == LINES_AT_ONCE ? push(w, err) : HITHER_OK;
}

/* Reads all sources in turn, and sleeps when none has news, until a signal or, of standard input alone, its end. */
static hither_status follow_all(watcher *w, ht_follow *sources, size_t count, int wake_fd, hither_error *err) {
    while (w->more) {
        bool any = false, open = false;
        for (size_t i = 0; i < count; i++) {
            bool news;
            w->file = sources[i].path;
            HT_TRY(ht_follow_read(&sources[i], LINE_MAX_BYTES, &news, follow_line, w, err));
            any |= news;
            open |= !sources[i].ended;
        }
        if (w->lines.count)
            HT_TRY(push(w, err));
        if (ht_signals_caught())
            return HITHER_INTERRUPTED;
        if (!open)
            break;
        struct pollfd wake = {.fd = wake_fd, .events = POLLIN};
        if (!any)
            poll(&wake, wake_fd >= 0 ? 1 : 0, ASK_AGAIN_MS);
    }
    return HITHER_OK;
}

static hither_status follow(watcher *w, int wake_fd, hither_error *err) {
    size_t count = w->args->count ? w->args->count : 1;
    ht_follow *sources = ht_calloc(count, sizeof *sources);
    if (!sources)
        return ht_fail_nomem(err, count * sizeof *sources, "the files");
    for (size_t i = 0; i < count; i++)
        ht_follow_open(&sources[i], w->args->count ? w->args->operands[i] : "-");
    hither_status status = follow_all(w, sources, count, wake_fd, err);
    for (size_t i = 0; i < count; i++)
        ht_follow_close(&sources[i]);
    ht_release(sources);
    return status;
}

/* ---- beginning and end */

static void say_flaw(uint64_t count, const char *what) {
    if (count)
        ht_say("%llu line%s %s", (unsigned long long)count, count == 1 ? "" : "s", what);
}

static void say_end(const watcher *w) {
    say_flaw(w->overlong, "longer than 64 KiB, cut there");
    say_flaw(w->not_utf8, "not in UTF-8, its bad bytes taken as U+FFFD");
    say_flaw(w->with_nul, "with NUL bytes, taken as they are");
    if (w->failed)
        ht_say("the command of --on-alarm failed %llu time%s", (unsigned long long)w->failed,
               w->failed == 1 ? "" : "s");
    if (w->repeats && w->more)
        ht_say("%llu further line%s of forms that were printed", (unsigned long long)w->repeats,
               w->repeats == 1 ? "" : "s");
    if (w->read <= w->warmup && w->read && w->warmup)
        ht_say("the input ended after %llu line%s, all of which were only learned from (--warmup)",
               (unsigned long long)w->read, w->read == 1 ? "" : "s");
}

/* "0.1%" or "0.001", in (0, 1]. */
static hither_status read_rate(const ht_args *args, double *rate, hither_error *err) {
    *rate = ht_args_has(args, HT_OPT_THRESHOLD) ? 0 : USUAL_RATE;
    if (!ht_args_has(args, HT_OPT_RATE))
        return HITHER_OK;
    const char *text = args->values[HT_OPT_RATE].text;
    char *end;
    double value = strtod(text, &end);
    bool percent = end != text && *end == '%';
    value = percent ? value / 100 : value;
    if (end == text || end[percent] != 0 || !(value > 0 && value <= 1))
        return ht_fail(err, HITHER_INVALID, "--rate %s is not a share of the lines, such as 0.1%%", text);
    *rate = value;
    return HITHER_OK;
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
    w->more = true;
    ht_column_init(&w->lines);
    ht_buf_init(&w->out, SIZE_MAX / 2);
    hither_status status = read_rate(args, &w->rate, &err);
    const hither_window_options options = {
        .size = sizeof options,
        .capacity = (uint32_t)ht_args_number(args, HT_OPT_WINDOW, 0),
        .no_centroid = 1,
        .alarm_rate = w->rate,
        .alarm_after = w->warmup,
        .alarm_below = (uint32_t)w->rare + 1,
    };
    if (status == HITHER_OK)
        status = hither_window_new(&options, &w->window, &err);
    int wake_fd = ht_signals_catch();
    if (status == HITHER_OK && ht_args_has(args, HT_OPT_FOLLOW))
        status = follow(w, wake_fd, &err);
    else
        for (size_t i = 0; status == HITHER_OK && w->more && i < (args->count ? args->count : 1); i++)
            status = watch_one(w, args->count ? args->operands[i] : "-", wake_fd, &err);
    say_end(w);
    hither_window_close(w->window);
    ht_column_clear(&w->lines);
    ht_buf_clear(&w->out);
    ht_release(w);
    if (status == HITHER_INTERRUPTED)
        return 128 + ht_signals_caught();
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}
