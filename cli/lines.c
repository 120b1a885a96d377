/* lines.c: see lines.h. */
#include "lines.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "follow.h"
#include "output.h"
#include "signals.h"

enum { ASK_AGAIN_MS = 100 };

void ht_lines_init(ht_lines *l, const ht_args *args) {
    memset(l, 0, sizeof *l);
    l->args = args;
    l->key_fd = -1;
    l->wake_fd = ht_signals_catch();
    ht_column_init(&l->texts);
}

void ht_lines_clear(ht_lines *l) { ht_column_clear(&l->texts); }

static size_t file_count(const ht_lines *l) { return l->args->count ? l->args->count : 1; }
static const char *file_name(const ht_lines *l, size_t i) { return l->args->count ? l->args->operands[i] : "-"; }

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
static bool journal_message(const char *line, size_t bytes, json_t **parsed, ht_text *message, int64_t *time_ms) {
    *parsed = NULL;
    if (bytes < 2 || line[0] != '{' || !memmem(line, bytes, "\"MESSAGE\"", 9))
        return false;
    if (ht_json_parse(line, bytes, HT_LINE_MAX_BYTES, "a line", parsed, NULL) != HITHER_OK)
        return false;
    const json_t *text = json_object_get(*parsed, "MESSAGE");
    if (!json_is_string(text)) {
        json_decref(*parsed);
        *parsed = NULL;
        return false;
    }
    *message = (ht_text){json_string_value(text), json_string_length(text)};
    const char *time = json_string_value(json_object_get(*parsed, "__REALTIME_TIMESTAMP"));
    long long microseconds = time ? strtoll(time, NULL, 10) : 0;
    if (microseconds > 0)
        *time_ms = microseconds / 1000;
    return true;
}

static void add_line(ht_lines *l, const ht_line *line) {
    size_t bytes = line->dropped ? whole_chars(line->data, line->bytes) : line->bytes;
    ht_text text = {line->data, bytes};
    json_t *parsed = NULL;
    int64_t time_ms = INT64_MIN;
    l->number++;
    if (l->journal)
        journal_message(line->data, bytes, &parsed, &text, &time_ms);
    if (text.bytes > 0 || l->keep_blank) {
        l->overlong += line->dropped > 0;
        l->with_nul += memchr(text.data, 0, text.bytes) != NULL;
        l->not_utf8 += ht_utf8_valid_prefix(text.data, text.bytes) < text.bytes;
        const size_t i = l->texts.count;
        l->files[i] = l->file;
        l->numbers[i] = l->number;
        l->times_ms[i] = time_ms;
        ht_column_add(&l->texts, text.data, text.bytes);
    }
    json_decref(parsed);
}

static hither_status take(ht_lines *l, hither_error *err) {
    HT_TRY(ht_column_check(&l->texts, err));
    HT_TRY(l->take(l->ctx, err));
    ht_column_clear(&l->texts);
    ht_column_init(&l->texts);
    return HITHER_OK;
}

/* ---- one file after another */

/* Says so to `idle` while nothing comes. */
static hither_status wait_for_line(ht_lines *l, const ht_reader *r, hither_error *err) {
    while (l->idle && !l->stop && !r->finished && !ht_reader_has_line(r) && !ht_signals_caught()) {
        struct pollfd fds[2] = {{.fd = r->fd, .events = POLLIN}, {.fd = l->wake_fd, .events = POLLIN}};
        if (poll(fds, l->wake_fd >= 0 ? 2 : 1, HT_IDLE_MS) != 0)
            break;
        HT_TRY(l->idle(l->ctx, err));
    }
    return HITHER_OK;
}

static hither_status read_one(ht_lines *l, const char *path, hither_error *err) {
    ht_reader r;
    HT_TRY(ht_reader_open(&r, path, err));
    r.wake_fd = l->wake_fd;
    l->file = path;
    l->number = 0;
    bool end = false;
    hither_status status = ht_reader_skip_bom(&r, err);
    while (status == HITHER_OK && !end && !l->stop) {
        ht_line line;
        status = wait_for_line(l, &r, err);
        if (status != HITHER_OK || l->stop)
            break;
        status =
            ht_signals_caught() ? HITHER_INTERRUPTED : ht_reader_line(&r, HT_LINE_MAX_BYTES, true, &line, &end, err);
        if (status == HITHER_OK && !end)
            add_line(l, &line);
        bool waiting = end || !ht_reader_has_line(&r) || l->texts.count == HT_LINES_AT_ONCE;
        if (status == HITHER_OK && waiting && l->texts.count)
            status = take(l, err);
    }
    ht_reader_close(&r);
    return status;
}

/* ---- all files at once */

static hither_status follow_line(void *ctx, const ht_line *line, hither_error *err) {
    ht_lines *l = ctx;
    add_line(l, line);
    return l->texts.count == HT_LINES_AT_ONCE ? take(l, err) : HITHER_OK;
}

/* Sleeps for a moment, or until a key or a signal comes; after a second of that it is idle. */
static hither_status rest(ht_lines *l, unsigned *rests, hither_error *err) {
    struct pollfd fds[2] = {{.fd = l->wake_fd, .events = POLLIN}, {.fd = l->key_fd, .events = POLLIN}};
    poll(fds, 2, ASK_AGAIN_MS); /* a negative descriptor is passed over */
    if (++*rests < HT_IDLE_MS / ASK_AGAIN_MS || !l->idle)
        return HITHER_OK;
    *rests = 0;
    return l->idle(l->ctx, err);
}

static hither_status follow_all(ht_lines *l, ht_follow *sources, uint64_t *numbers, hither_error *err) {
    unsigned rests = 0;
    while (!l->stop) {
        bool any = false, open = false;
        for (size_t i = 0; i < file_count(l) && !l->stop; i++) {
            bool news;
            l->file = sources[i].path;
            l->number = numbers[i];
            HT_TRY(ht_follow_read(&sources[i], HT_LINE_MAX_BYTES, &news, follow_line, l, err));
            numbers[i] = l->number;
            any |= news;
            open |= !sources[i].ended;
        }
        if (l->texts.count)
            HT_TRY(take(l, err));
        if (ht_signals_caught())
            return HITHER_INTERRUPTED;
        if (l->turn)
            HT_TRY(l->turn(l->ctx, err));
        else if (!open)
            break;
        rests = any ? 0 : rests;
        if (!any && !l->stop)
            HT_TRY(rest(l, &rests, err));
    }
    return HITHER_OK;
}

static hither_status follow(ht_lines *l, hither_error *err) {
    const size_t count = file_count(l);
    ht_follow *sources = ht_calloc(count, sizeof *sources);
    uint64_t *numbers = ht_calloc(count, sizeof *numbers);
    hither_status status = HITHER_OK;
    if (!sources || !numbers)
        status = ht_fail_nomem(err, count * sizeof *sources, "the files");
    for (size_t i = 0; status == HITHER_OK && i < count; i++)
        ht_follow_open(&sources[i], file_name(l, i));
    if (status == HITHER_OK) {
        status = follow_all(l, sources, numbers, err);
        for (size_t i = 0; i < count; i++)
            ht_follow_close(&sources[i]);
    }
    ht_release(sources);
    ht_release(numbers);
    return status;
}

hither_status ht_lines_run(ht_lines *l, hither_error *err) {
    if (l->follow)
        return follow(l, err);
    hither_status status = HITHER_OK;
    for (size_t i = 0; status == HITHER_OK && !l->stop && i < file_count(l); i++)
        status = read_one(l, file_name(l, i), err);
    return status;
}

/* ---- the end */

static void say_flaw(uint64_t count, const char *what) {
    if (count)
        ht_say("%llu line%s %s", (unsigned long long)count, count == 1 ? "" : "s", what);
}

void ht_lines_say_flaws(const ht_lines *l) {
    say_flaw(l->overlong, "longer than 64 KiB, cut there");
    say_flaw(l->not_utf8, "not in UTF-8, its bad bytes taken as U+FFFD");
    say_flaw(l->with_nul, "with NUL bytes, taken as they are");
}

int ht_lines_end(hither_status status, const hither_error *err) {
    if (status == HITHER_INTERRUPTED)
        return 128 + ht_signals_caught();
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, err);
}
