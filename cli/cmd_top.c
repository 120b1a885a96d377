/*
 * cmd_top.c: top. The groups of near-equal lines that grew most in the last minute: in place on a terminal, as one list
 * after another elsewhere.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "commands.h"
#include "groups.h"
#include "lines.h"
#include "model.h"
#include "output.h"

enum { GROUPS = 4096, WINDOW = 16384, MINUTE = 60, MOST = 200 };

typedef struct top {
    const ht_args *args;
    ht_lines lines;
    hither_embedder *embedder;
    hither_window *window;
    ht_groups *groups;
    hither_score scores[HT_LINES_AT_ONCE];
    ht_buf out;
    uint64_t every_s, read, shown; /* shown: lines read when the list was shown last */
    int64_t ticked_s, shown_s;
} top;

static int64_t seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec;
}

static size_t rows(const top *t) {
    struct winsize size = {0};
    size_t fit = 10;
    if (ht_out_terminal()->tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 3)
        fit = size.ws_row - 3U;
    fit = (size_t)ht_args_number(t->args, HT_OPT_LIMIT, fit);
    return fit < MOST ? fit : MOST;
}

static void show(top *t) {
    const ht_line_group *groups[MOST];
    const bool tty = ht_out_terminal()->tty;
    const size_t count = ht_groups_growing(t->groups, MINUTE, groups, rows(t));
    if (tty)
        ht_buf_puts(&t->out, "\033[H\033[J");
    ht_show_count(&t->out, t->read);
    ht_buf_printf(&t->out, " line%s, ", t->read == 1 ? "" : "s");
    ht_show_count(&t->out, ht_groups_count(t->groups));
    ht_buf_printf(&t->out, " group%s\n", ht_groups_count(t->groups) == 1 ? "" : "s");
    ht_show_dim(&t->out, true);
    ht_buf_puts(&t->out, "  last minute       in all  first line");
    ht_show_dim(&t->out, false);
    ht_buf_putc(&t->out, '\n');
    for (size_t i = 0; i < count; i++) {
        uint64_t recent = 0;
        for (unsigned ago = 0; ago < MINUTE; ago++)
            recent += ht_groups_lines(t->groups, groups[i], ago);
        ht_buf_printf(&t->out, "%13llu%13llu  ", (unsigned long long)recent, (unsigned long long)groups[i]->count);
        const unsigned width = ht_out_terminal()->width;
        ht_show_text(&t->out, groups[i]->text, groups[i]->bytes, width > 48 ? width - 28 : 20);
        ht_buf_putc(&t->out, '\n');
    }
    t->shown = t->read;
    t->shown_s = seconds();
    t->lines.stop |= !ht_out_buf(&t->out) || !ht_out_flush();
}

static hither_status pass_time(void *ctx, hither_error *err) {
    top *t = ctx;
    (void)err;
    const int64_t now = seconds();
    if (now - t->ticked_s > HT_GROUP_TICKS)
        t->ticked_s = now - HT_GROUP_TICKS;
    for (; t->ticked_s < now; t->ticked_s++)
        ht_groups_tick(t->groups);
    if (now - t->shown_s >= (int64_t)t->every_s && (t->read > t->shown || ht_out_terminal()->tty))
        show(t);
    return HITHER_OK;
}

static hither_status take(void *ctx, hither_error *err) {
    top *t = ctx;
    const hither_strings lines = ht_column_view(&t->lines.texts);
    HT_TRY(hither_window_push(t->window, &lines, t->scores, err));
    HT_TRY(ht_groups_add(t->groups, &lines, t->scores, err));
    t->read += lines.count;
    return pass_time(ctx, err);
}

static hither_status run(top *t, hither_error *err) {
    HT_TRY(ht_model_option(t->args, &t->embedder, err));
    const hither_window_options options = {
        .size = sizeof options, .embedder = t->embedder, .capacity = WINDOW, .no_centroid = 1};
    HT_TRY(hither_window_new(&options, &t->window, err));
    HT_TRY(ht_groups_new(GROUPS, HT_NEAR, t->embedder, &t->groups, err));
    return ht_lines_run(&t->lines, err);
}

int ht_run_top(const ht_args *args) {
    hither_error err = {0};
    top *t = ht_calloc(1, sizeof *t);
    if (!t)
        return ht_report(ht_fail_nomem(&err, sizeof *t, "groups of lines"), &err);
    t->args = args;
    t->every_s = ht_args_number(args, HT_OPT_EVERY, 2);
    t->ticked_s = t->shown_s = seconds();
    ht_buf_init(&t->out, SIZE_MAX / 2);
    ht_lines_init(&t->lines, args);
    t->lines.follow = ht_args_has(args, HT_OPT_FOLLOW);
    t->lines.ctx = t;
    t->lines.take = take;
    t->lines.idle = pass_time;
    hither_status status = run(t, &err);
    if (t->groups && !t->lines.stop && (status == HITHER_OK || status == HITHER_INTERRUPTED))
        show(t);
    ht_lines_say_flaws(&t->lines);
    ht_groups_free(t->groups);
    hither_window_close(t->window);
    hither_embedder_close(t->embedder);
    ht_lines_clear(&t->lines);
    ht_buf_clear(&t->out);
    ht_release(t);
    return ht_lines_end(status, &err);
}
