/*
 * cmd_grep.c: grep by meaning: by near.h, or with a sentence model by a window with one standing query, which embeds
 * each form once. Lines are printed as they come, or with -k the nearest of all at the end. Memory: a batch, the lines
 * before for -C, k lines, and the window's forms.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "commands.h"
#include "lines.h"
#include "model.h"
#include "near.h"
#include "output.h"

enum { WINDOW = 16384 };

static const double LEAST = 0.1; /* of the k nearest; below, a line shares next to nothing with the pattern */

/* A line that was read: to be printed before a match, or one of the k nearest. */
typedef struct kept {
    char *text;
    size_t bytes;
    const char *file;
    uint64_t number, order; /* order: of coming, over all files */
    ht_near_part part;
} kept;

typedef struct grep {
    const ht_args *args;
    ht_lines lines;
    ht_near_room room;
    ht_near pattern;
    hither_embedder *model; /* NULL: lines are compared by near.h */
    hither_window *window;
    hither_result *nearness; /* of the batch, by the window */
    double threshold;
    uint32_t k;             /* 0: all */
    kept *best;             /* k of them, nearest first */
    size_t found;           /* in best */
    kept *before;           /* ring of `context` lines */
    size_t context, stored; /* lines stored ever */
    uint64_t after;         /* lines still to be printed */
    uint64_t printed;       /* order of the last line printed, counted from 1; 0: none */
    uint64_t order, matches;
    bool color, named;
    ht_buf out, clean; /* clean: a line in UTF-8 */
} grep;

/* ---- printing */

static void colored(grep *g, const char *code, const char *text) {
    ht_buf_printf(&g->out, g->color ? "\033[%sm%s\033[0m" : "%s%s", g->color ? code : "", text);
}

static void print_json(grep *g, const kept *line) {
    ht_buf_puts(&g->out, "{\"similarity\":");
    ht_json_float(&g->out, line->part.similarity);
    ht_buf_puts(&g->out, ",\"file\":");
    const char *file = g->args->count > 1 ? line->file : "-";
    ht_json_text(&g->out, file, strlen(file));
    ht_buf_printf(&g->out, ",\"number\":%llu,\"line\":", (unsigned long long)line->number);
    ht_json_text(&g->out, line->text, line->bytes);
    ht_buf_puts(&g->out, ",\"part\":");
    ht_json_text(&g->out, line->text + line->part.begin, line->part.end - line->part.begin);
    ht_buf_puts(&g->out, "}\n");
}

static void print_people(grep *g, const kept *line, bool match) {
    char number[32];
    const char *mark = match ? ":" : "-";
    if (g->named) {
        colored(g, "35", line->file);
        colored(g, "36", mark);
    }
    if (ht_args_has(g->args, HT_OPT_NUMBER)) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)line->number);
        colored(g, "32", number);
        colored(g, "36", mark);
    }
    if (!match || !g->color) {
        ht_show_block(&g->out, line->text, line->bytes);
    } else {
        ht_show_block(&g->out, line->text, line->part.begin);
        ht_buf_puts(&g->out, "\033[1;31m");
        ht_show_block(&g->out, line->text + line->part.begin, line->part.end - line->part.begin);
        ht_buf_puts(&g->out, "\033[0m");
        ht_show_block(&g->out, line->text + line->part.end, line->bytes - line->part.end);
    }
    ht_buf_putc(&g->out, '\n');
}

/* Between blocks of lines that do not follow each other stands "--", as in grep. */
static void print(grep *g, const kept *line, bool match) {
    if (ht_args_has(g->args, HT_OPT_JSON)) {
        if (match)
            print_json(g, line);
        return;
    }
    if (g->context && g->printed && line->order != g->printed + 1) {
        colored(g, "36", "--");
        ht_buf_putc(&g->out, '\n');
    }
    print_people(g, line, match);
    g->printed = line->order;
}

/* ---- lines */

static hither_status copy(kept *to, const kept *from, hither_error *err) {
    char *text = ht_memdup(from->text, from->bytes + !from->bytes);
    if (!text)
        return ht_fail_nomem(err, from->bytes, "a line");
    ht_release(to->text);
    *to = *from;
    to->text = text;
    return HITHER_OK;
}

/* Into its place among the k nearest; of equals the earlier one is nearer. */
static hither_status rank(grep *g, const kept *line, hither_error *err) {
    size_t at = g->found;
    while (at > 0 && g->best[at - 1].part.similarity < line->part.similarity)
        at--;
    if (at == g->k)
        return HITHER_OK;
    kept last = {0};
    if (g->found == g->k)
        last = g->best[g->k - 1];
    else
        g->found++;
    memmove(g->best + at + 1, g->best + at, (g->found - 1 - at) * sizeof *g->best);
    g->best[at] = last; /* whose text makes room */
    hither_status status = copy(&g->best[at], line, err);
    if (status != HITHER_OK) { /* leave no text twice */
        memmove(g->best + at, g->best + at + 1, (g->found - 1 - at) * sizeof *g->best);
        g->best[--g->found] = (kept){0};
        ht_release(last.text);
    }
    return status;
}

static hither_status match(grep *g, const kept *line, hither_error *err) {
    g->matches++;
    if (g->k)
        return rank(g, line, err);
    const size_t have = g->stored < g->context ? g->stored : g->context;
    for (size_t i = g->stored - have; i < g->stored; i++) {
        const kept *before = &g->before[i % g->context];
        if (before->order > g->printed && before->file == line->file)
            print(g, before, false);
    }
    print(g, line, true);
    g->after = g->context;
    return HITHER_OK;
}

/* How near line i of the batch is. */
static hither_status compare(grep *g, size_t i, kept *line, hither_error *err) {
    if (!g->model)
        return ht_near_line(&g->pattern, &g->room, (ht_text){line->text, line->bytes}, &line->part, err);
    line->part = (ht_near_part){1 - hither_result_distances(g->nearness, i)[0], 0, line->bytes};
    return HITHER_OK;
}

static hither_status look_at(grep *g, size_t i, kept *line, hither_error *err) {
    HT_TRY(compare(g, i, line, err));
    if ((double)line->part.similarity >= g->threshold && line->bytes > 0)
        HT_TRY(match(g, line, err));
    else if (g->after > 0 && line->number > 1) {
        print(g, line, false);
        g->after--;
    } else
        g->after = 0;
    return g->context ? copy(&g->before[g->stored++ % g->context], line, err) : HITHER_OK;
}

static hither_status take(void *ctx, hither_error *err) {
    grep *g = ctx;
    const ht_lines *l = &g->lines;
    const hither_strings lines = ht_column_view(&l->texts);
    const hither_window_rows rows = {.size = sizeof rows, .texts = lines};
    hither_status status = HITHER_OK;
    if (g->model)
        HT_TRY(hither_window_push_matched(g->window, &rows, NULL, &g->nearness, err));
    for (size_t i = 0; status == HITHER_OK && i < lines.count && !g->lines.stop; i++) {
        const ht_text text = ht_strings_at(&lines, i);
        ht_buf_reset(&g->clean);
        ht_clean_utf8(&g->clean, text.data, text.bytes);
        if ((status = ht_buf_check(&g->clean, "a line", err)) != HITHER_OK)
            break;
        kept line = {.text = g->clean.data,
                     .bytes = g->clean.size,
                     .file = !strcmp(l->files[i], "-") ? "(standard input)" : l->files[i],
                     .number = l->numbers[i],
                     .order = ++g->order};
        status = look_at(g, i, &line, err);
    }
    hither_result_free(g->nearness);
    g->nearness = NULL;
    g->lines.stop |= !ht_out_buf(&g->out) || !ht_out_flush();
    return status;
}

/* ---- beginning and end */

static hither_status begin_model(grep *g, hither_error *err) {
    const char *pattern = g->args->operands[0];
    const uint64_t offsets[] = {0, strlen(pattern)};
    const float all = 2; /* each line gets its distance */
    HT_TRY(ht_model_option(g->args, &g->model, err));
    const hither_window_options options = {
        .size = sizeof options, .embedder = g->model, .capacity = WINDOW, .no_centroid = 1};
    HT_TRY(hither_window_new(&options, &g->window, err));
    const hither_window_queries queries = {
        .size = sizeof queries, .texts = {.bytes = pattern, .offsets = offsets, .count = 1}, .radius = &all};
    return hither_window_queries_set(g->window, &queries, err);
}

static hither_status begin(grep *g, hither_error *err) {
    g->best = ht_calloc((size_t)g->k + 1, sizeof *g->best);
    g->before = ht_calloc(g->context + 1, sizeof *g->before);
    if (!g->best || !g->before)
        return ht_fail_nomem(err, ((size_t)g->k + g->context) * sizeof *g->best, "lines");
    if (ht_args_has(g->args, HT_OPT_MODEL))
        return begin_model(g, err);
    HT_TRY(ht_near_room_init(&g->room, err));
    return ht_near_init(&g->pattern, g->args->operands[0], &g->room, err);
}

static void end(grep *g) {
    for (size_t i = 0; g->best && i < g->found; i++) {
        if (!g->lines.stop)
            print(g, &g->best[i], true);
        ht_release(g->best[i].text);
    }
    for (size_t i = 0; g->before && i < g->context; i++)
        ht_release(g->before[i].text);
    ht_out_buf(&g->out);
    ht_release(g->before);
    ht_release(g->best);
    hither_window_close(g->window);
    hither_embedder_close(g->model);
    ht_near_clear(&g->pattern);
    ht_near_room_clear(&g->room);
    ht_buf_clear(&g->clean);
    ht_lines_clear(&g->lines);
    ht_buf_clear(&g->out);
}

static bool wants_color(const ht_args *args) {
    const char *when = ht_args_text(args, HT_OPT_COLOR, "auto");
    return !strcmp(when, "always") || (!strcmp(when, "auto") && ht_out_terminal()->color);
}

int ht_run_grep(const ht_args *args) {
    hither_error err = {0};
    grep *g = ht_calloc(1, sizeof *g);
    if (!g)
        return ht_report(ht_fail_nomem(&err, sizeof *g, "lines"), &err);
    ht_args files = *args; /* without the pattern */
    files.operands++;
    files.count--;
    g->args = args;
    g->k = (uint32_t)ht_args_number(args, HT_OPT_K, 0);
    g->context = g->k ? 0 : (size_t)ht_args_number(args, HT_OPT_CONTEXT, 0);
    g->threshold = ht_args_has(args, HT_OPT_THRESHOLD) ? args->values[HT_OPT_THRESHOLD].real
                   : g->k                              ? LEAST
                                                       : HT_NEAR_ENOUGH;
    g->color = wants_color(args);
    g->named = files.count > 1;
    ht_buf_init(&g->out, SIZE_MAX / 2);
    ht_buf_init(&g->clean, SIZE_MAX / 2);
    ht_lines_init(&g->lines, &files);
    g->lines.keep_blank = true;
    g->lines.ctx = g;
    g->lines.take = take;
    hither_status status = begin(g, &err);
    if (status == HITHER_OK)
        status = ht_lines_run(&g->lines, &err);
    end(g);
    const bool none = g->matches == 0;
    ht_release(g);
    const int code = ht_lines_end(status, &err);
    return code == HT_EXIT_OK && none ? HT_EXIT_ERROR : code;
}
