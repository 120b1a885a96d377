/*
 * view.h: the live view of watch: what passes, in groups, what was never seen before, and a search by meaning. Needs a
 * terminal and ncurses; without the latter ht_view_open fails and says so. Main thread only.
 */
#ifndef HT_CLI_VIEW_H
#define HT_CLI_VIEW_H

#include "watch.h"

typedef struct ht_view ht_view;

/* The window is searched, the archive too (may be NULL), queries are added to `standing`. UNSUPPORTED, INVALID (no
 * terminal), NOMEM. */
HT_NODISCARD hither_status ht_view_open(const ht_watch *watch, ht_view **out, hither_error *err);
/* Gives the terminal back as it was, then prints what was to be said meanwhile. */
void ht_view_close(ht_view *view);
/* Where keys come from. */
int ht_view_keys(const ht_view *view);

/* Lines were pushed and scored, and that took so long. */
HT_NODISCARD hither_status ht_view_lines(ht_view *view, const hither_strings *lines, const hither_score *scores,
                                         double seconds, hither_error *err);
HT_NODISCARD hither_status ht_view_alarm(ht_view *view, const ht_alarm_line *alarm, hither_error *err);
/* Takes keys, and draws if it is time; *quit: that was wished. */
HT_NODISCARD hither_status ht_view_turn(ht_view *view, bool *quit, hither_error *err);

#endif
