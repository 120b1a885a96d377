/* view_screen.c: the live view on a terminal, by ncurses. See view_inside.h. */
#include "view_inside.h"

#ifdef HT_NCURSES

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output.h"

struct ht_view_screen {
    SCREEN *curses;
    FILE *in;
    bool utf8;
};

enum { LEAST_WIDTH = 40, LEAST_HEIGHT = 10, FIXED_ROWS = 4 };

hither_status ht_screen_open(ht_view_screen **out, hither_error *err) {
    *out = NULL;
    ht_view_screen *s = ht_calloc(1, sizeof *s);
    if (!s)
        return ht_fail_nomem(err, sizeof *s, "the view");
    setlocale(LC_CTYPE, "");
    s->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    s->in = fopen("/dev/tty", "re"); /* standard input may be the log */
    const char *term = getenv("TERM");
    if (s->in)
        s->curses = newterm(NULL, stdout, s->in);
    if (!s->curses) {
        hither_status status = ht_fail(err, HITHER_UNSUPPORTED, "--view cannot draw on this terminal (TERM is %.40s)",
                                       term ? term : "not set");
        ht_screen_close(s);
        return status;
    }
    set_term(s->curses);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    *out = s;
    return HITHER_OK;
}

void ht_screen_close(ht_view_screen *s) {
    if (!s)
        return;
    if (s->curses) {
        endwin();
        delscreen(s->curses);
    }
    if (s->in)
        fclose(s->in);
    ht_release(s);
}

int ht_screen_keys(const ht_view_screen *s) { return fileno(s->in); }

int ht_screen_key(ht_view_screen *s) {
    (void)s;
    const int key = getch();
    switch (key) {
    case ERR:
        return HT_KEY_NONE;
    case KEY_ENTER:
    case '\r':
        return HT_KEY_ENTER;
    case KEY_BACKSPACE:
    case '\b':
        return HT_KEY_BACK;
    case KEY_UP:
        return HT_KEY_UP;
    case KEY_DOWN:
        return HT_KEY_DOWN;
    case KEY_RESIZE:
        return HT_KEY_RESIZED;
    default:
        return key;
    }
}

/* ---- drawing */

/* Rows of the upper list: groups, or what a search found. */
static int list_rows(void) {
    const int rows = (LINES - FIXED_ROWS) / 2;
    return rows > 1 ? rows : 1;
}

size_t ht_screen_list_rows(const ht_view_screen *s) {
    (void)s;
    return (size_t)list_rows();
}

/* Text from column x on, cut to the screen; the rest of the row is cleared. */
static void put(const ht_view_screen *s, int y, int x, const char *text, size_t bytes) {
    const int room = COLS - x;
    if (room <= 0 || y >= LINES)
        return;
    ht_buf shown;
    ht_buf_init(&shown, SIZE_MAX / 2);
    ht_show_text(&shown, text, bytes, (unsigned)room);
    for (size_t i = 0; !s->utf8 && i < shown.size; i++)
        if ((unsigned char)shown.data[i] >= 0x80)
            shown.data[i] = '?';
    move(y, x);
    clrtoeol();
    if (shown.data)
        addnstr(shown.data, (int)shown.size);
    ht_buf_clear(&shown);
}

static void put_text(const ht_view_screen *s, int y, int x, const char *text) { put(s, y, x, text, strlen(text)); }

static void title(const ht_view_screen *s, int y, const char *text) {
    attron(A_BOLD | A_UNDERLINE);
    put_text(s, y, 0, text);
    for (int x = getcurx(stdscr); x < COLS; x++)
        addch(' ');
    attroff(A_BOLD | A_UNDERLINE);
}

static void draw_head(const ht_view_screen *s, const ht_view *v, const ht_view_facts *facts) {
    ht_buf head;
    ht_buf_init(&head, 4096);
    ht_buf_puts(&head, " hither watch  ");
    ht_show_count(&head, facts->rate);
    ht_buf_printf(&head, " lines/s  %.1f ms  %llu MB  window ", v->latency_s * 1000,
                  (unsigned long long)(facts->memory >> 20));
    ht_show_count(&head, facts->records);
    ht_buf_puts(&head, "/");
    ht_show_count(&head, facts->capacity);
    ht_buf_puts(&head, "  forms ");
    ht_show_count(&head, facts->forms);
    if (v->paused)
        ht_buf_puts(&head, "  paused");
    attron(A_REVERSE);
    put(s, 0, 0, head.data ? head.data : "", head.size);
    for (int x = getcurx(stdscr); x < COLS; x++)
        addch(' ');
    attroff(A_REVERSE);
    ht_buf_clear(&head);
}

/* The last minute, three seconds a column, against the group's own highest. */
static void spark(const ht_view_screen *s, const ht_view *v, const ht_line_group *group, ht_buf *out) {
    static const char *const fine[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    uint32_t lines[HT_VIEW_SPARKS], most = 1;
    for (unsigned i = 0; i < HT_VIEW_SPARKS; i++) {
        lines[i] = 0;
        for (unsigned j = 0; j < 3; j++)
            lines[i] += ht_groups_lines(v->groups, group, (HT_VIEW_SPARKS - 1 - i) * 3 + j);
        most = lines[i] > most ? lines[i] : most;
    }
    for (unsigned i = 0; i < HT_VIEW_SPARKS; i++) {
        const unsigned level = (unsigned)(((uint64_t)lines[i] * 8 + most - 1) / most);
        ht_buf_puts(out, (s->utf8 ? fine : plain)[level]);
    }
}

static void draw_groups(const ht_view_screen *s, const ht_view *v, int y, int rows) {
    const ht_line_group *groups[256];
    char head[80];
    snprintf(head, sizeof head, "%9s  %-*s  groups of lines", "lines", HT_VIEW_SPARKS, "last minute");
    title(s, y, head);
    const size_t count = ht_groups_growing(v->groups, 60, groups, rows < 256 ? (size_t)rows : 256);
    for (int i = 0; i < rows; i++) {
        move(y + 1 + i, 0);
        clrtoeol();
        if ((size_t)i >= count)
            continue;
        ht_buf line;
        ht_buf_init(&line, SIZE_MAX / 2);
        ht_buf_printf(&line, "%9llu  ", (unsigned long long)groups[i]->count);
        spark(s, v, groups[i], &line);
        addnstr(line.data ? line.data : "", (int)line.size);
        ht_buf_clear(&line);
        put(s, y + 1 + i, 13 + HT_VIEW_SPARKS, groups[i]->text, groups[i]->bytes);
    }
}

static void draw_hits(const ht_view_screen *s, const ht_view *v, int y, int rows) {
    char head[HT_VIEW_PROMPT + 40];
    snprintf(head, sizeof head, "   near   lines  like \"%s\"", v->sought);
    title(s, y, head);
    for (int i = 0; i < rows; i++) {
        move(y + 1 + i, 0);
        clrtoeol();
        if ((size_t)i >= v->hit_count)
            continue;
        char near[64];
        snprintf(near, sizeof near, "%7.2f%8llu  %s", (double)v->hits[i].similarity,
                 (unsigned long long)v->hits[i].count, v->hits[i].archived ? "archive: " : "");
        put_text(s, y + 1 + i, 0, near);
        put(s, y + 1 + i, (int)strlen(near), v->hits[i].line, v->hits[i].bytes);
    }
}

static void draw_alarms(const ht_view_screen *s, const ht_view *v, int y, int end) {
    char head[80];
    snprintf(head, sizeof head, "  score  never seen before (%llu)", (unsigned long long)v->alarm_count);
    title(s, y++, head);
    for (size_t ago = v->first; y < end; ago++) {
        if (ago >= v->alarm_count || ago >= HT_VIEW_ALARMS) {
            move(y++, 0);
            clrtoeol();
            continue;
        }
        const ht_view_alarm_kept *a = &v->alarms[(v->alarm_count - 1 - ago) % HT_VIEW_ALARMS];
        char score[64];
        snprintf(score, sizeof score, "%7.2f  ", (double)a->score);
        attron(A_BOLD);
        put_text(s, y, 0, score);
        put(s, y, 9, a->line, a->bytes);
        attroff(A_BOLD);
        if (++y >= end)
            break;
        attron(A_DIM);
        if (a->nearest) {
            put_text(s, y, 0, strcmp(a->reason, "like") ? "nearest  " : "   like  ");
            put(s, y, 9, a->nearest, a->nearest_bytes);
        } else {
            put_text(s, y, 0, "");
        }
        attroff(A_DIM);
        y++;
    }
}

static void draw_foot(const ht_view_screen *s, const ht_view *v, int y) {
    char line[HT_VIEW_PROMPT + 64];
    if (v->asking)
        snprintf(line, sizeof line, "/%s", v->typed);
    else if (v->said[0])
        snprintf(line, sizeof line, "%s", v->said);
    else
        snprintf(line, sizeof line, "%s", "/ search by meaning   s save it as a standing query   space pause   q quit");
    put_text(s, y, 0, line);
    curs_set(v->asking);
}

void ht_screen_draw(ht_view_screen *s, const ht_view *v, const ht_view_facts *facts) {
    const int rows = list_rows();
    if (LINES < LEAST_HEIGHT || COLS < LEAST_WIDTH) {
        erase();
        put_text(s, 0, 0, "terminal too small");
        refresh();
        return;
    }
    draw_head(s, v, facts);
    (v->sought[0] ? draw_hits : draw_groups)(s, v, 1, rows);
    draw_alarms(s, v, 2 + rows, LINES - 1);
    draw_foot(s, v, LINES - 1);
    refresh();
}

#else

hither_status ht_screen_open(ht_view_screen **out, hither_error *err) {
    *out = NULL;
    return ht_fail(err, HITHER_UNSUPPORTED,
                   "--view: this hither was built without ncurses; build it where libncurses-dev is installed");
}
void ht_screen_close(ht_view_screen *screen) { (void)screen; }
int ht_screen_keys(const ht_view_screen *screen) {
    (void)screen;
    return -1;
}
int ht_screen_key(ht_view_screen *screen) {
    (void)screen;
    return HT_KEY_NONE;
}
void ht_screen_draw(ht_view_screen *screen, const ht_view *view, const ht_view_facts *facts) {
    (void)screen;
    (void)view;
    (void)facts;
}
size_t ht_screen_list_rows(const ht_view_screen *screen) {
    (void)screen;
    return 0;
}

#endif
