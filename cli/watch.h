/*
 * watch.h: what the parts of watch share: a window that lines go to as they arrive, and what becomes of its alarms.
 * Main thread only.
 */
#ifndef HT_CLI_WATCH_H
#define HT_CLI_WATCH_H

#include "archive.h"
#include "lines.h"
#include "standing.h"
#include "times.h"

struct ht_view;

typedef struct ht_watch {
    const ht_args *args;
    hither_window *window;
    ht_lines lines;
    ht_clock clock;
    hither_score scores[HT_LINES_AT_ONCE];
    int64_t times_ms[HT_LINES_AT_ONCE]; /* of the batch */
    ht_archive *archive;                /* NULL: none */
    ht_standing queries, *standing;     /* standing: them, or NULL: none */
    struct ht_view *view;               /* NULL: alarms are printed */
    ht_buf out;
    uint64_t warmup, rare;
    double rate; /* 0: --threshold decides */
    double threshold;
    bool timed;                     /* the window has an age, and goes by the times of lines */
    uint64_t read, alarms, repeats; /* lines pushed; lines printed; lines of forms that were */
    uint64_t failed;                /* commands */
    bool learned;                   /* the warm-up's end was said */
} ht_watch;

/* One line that is worth a word. */
typedef struct ht_alarm_line {
    const hither_score *score;
    const char *reason;
    const char *query; /* the standing query it is near to; NULL: none */
    float similarity;  /* to that */
    const char *file;  /* NULL: there is but one */
    ht_text line, nearest;
    int64_t time_ms;
    bool own_time; /* that of the line, not the wall's clock */
} ht_alarm_line;

/* watch_alarm.c */
void ht_alarm_json(ht_buf *out, const ht_alarm_line *a);
void ht_alarm_people(ht_buf *out, const ht_alarm_line *a);
/* The words of `line` that `other` has not, but for those that are mere numbers; their number, at most `most`. */
size_t ht_changed_words(ht_text line, ht_text other, ht_text *words, size_t most);

#endif
