/* cmd_uniq.c: uniq. One line for each group of lines that are alike, in the order of their first lines. */
#include <string.h>

#include "base/alloc.h"
#include "commands.h"
#include "groups.h"
#include "lines.h"
#include "model.h"
#include "output.h"

enum { GROUPS = 65536, WINDOW = 16384 };

typedef struct uniq {
    const ht_args *args;
    ht_lines lines;
    hither_embedder *embedder;
    hither_window *window; /* knows which lines have one form */
    ht_groups *groups;
    hither_score scores[HT_LINES_AT_ONCE];
    ht_buf out;
} uniq;

static hither_status take(void *ctx, hither_error *err) {
    uniq *u = ctx;
    const hither_strings lines = ht_column_view(&u->lines.texts);
    HT_TRY(hither_window_push(u->window, &lines, u->scores, err));
    return ht_groups_add(u->groups, &lines, u->scores, err);
}

static void print(void *ctx, const ht_line_group *group) {
    uniq *u = ctx;
    if (ht_args_has(u->args, HT_OPT_JSON)) {
        ht_buf_printf(&u->out, "{\"count\":%llu,\"number\":%llu,\"line\":", (unsigned long long)group->count,
                      (unsigned long long)group->line);
        ht_json_text(&u->out, group->text, group->bytes);
        ht_buf_puts(&u->out, "}\n");
    } else {
        ht_buf_printf(&u->out, "%7llu ", (unsigned long long)group->count);
        ht_show_block(&u->out, group->text, group->bytes);
        ht_buf_putc(&u->out, '\n');
    }
    u->lines.stop |= !ht_out_buf(&u->out);
}

static hither_status run(uniq *u, hither_error *err) {
    HT_TRY(ht_model_option(u->args, &u->embedder, err));
    const hither_window_options options = {
        .size = sizeof options, .embedder = u->embedder, .capacity = WINDOW, .no_centroid = 1};
    double near = ht_args_has(u->args, HT_OPT_NEAR) ? HT_NEAR : 0;
    if (ht_args_has(u->args, HT_OPT_THRESHOLD))
        near = 1 - u->args->values[HT_OPT_THRESHOLD].real;
    HT_TRY(hither_window_new(&options, &u->window, err));
    HT_TRY(ht_groups_new(GROUPS, near, u->embedder, &u->groups, err));
    ht_groups_on_leaving(u->groups, print, u);
    hither_status status = ht_lines_run(&u->lines, err);
    for (size_t i = 0; i < ht_groups_count(u->groups) && !u->lines.stop; i++)
        print(u, ht_groups_at(u->groups, i));
    return status;
}

int ht_run_uniq(const ht_args *args) {
    hither_error err = {0};
    uniq *u = ht_calloc(1, sizeof *u);
    if (!u)
        return ht_report(ht_fail_nomem(&err, sizeof *u, "groups of lines"), &err);
    u->args = args;
    ht_buf_init(&u->out, SIZE_MAX / 2);
    ht_lines_init(&u->lines, args);
    u->lines.ctx = u;
    u->lines.take = take;
    hither_status status = run(u, &err);
    ht_lines_say_flaws(&u->lines);
    ht_groups_free(u->groups);
    hither_window_close(u->window);
    hither_embedder_close(u->embedder);
    ht_lines_clear(&u->lines);
    ht_buf_clear(&u->out);
    ht_release(u);
    return ht_lines_end(status, &err);
}
