/*
 * watch.h: what the parts of watch share: a window that lines go to as they arrive, and what becomes of its alarms.
 * Main thread only.
 */
#ifndef HT_CLI_WATCH_H
#define HT_CLI_WATCH_H

#include "archive.h"
#include "base/json.h"
#include "lines.h"
#include "standing.h"
#include "times.h"

struct ht_view;

typedef struct ht_watch {
    const ht_args *args;
    hither_embedder *embedder; /* of window, groups and archive */
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
    ht_buf rules;     /* of --rules */
    int64_t saved_ms; /* when the state was */
    bool save_failed;
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
    const json_t *added, *removed; /* arrays of words that the nearest form lacks, or has more; NULL: not known */
    int64_t time_ms;
    bool own_time; /* that of the line, not the wall's clock */
} ht_alarm_line;

/* watch_alarm.c */
void ht_alarm_json(ht_buf *out, const ht_alarm_line *a);
void ht_alarm_people(ht_buf *out, const ht_alarm_line *a);

/* watch_window.c. The window that the options ask for, or the one of --state with its counts of lines. */
HT_NODISCARD hither_status ht_watch_window(ht_watch *w, hither_error *err);
/* Saves the window where --state says, if a minute has passed since; `now` in any case. Failing is said once. */
void ht_watch_save(ht_watch *w, bool now);

#endif
