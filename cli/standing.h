/*
 * standing.h: standing queries of watch: texts, and each line of a new form is held against all of them: by the window,
 * as a whole, in one pass, and then its parts against those that have something to do with it. A sentence model
 * understands a line as a whole, so with one the window's answer stands. They come from a file of one a line ('#'
 * begins a comment), to which the live view adds. Main thread only.
 */
#ifndef HT_CLI_STANDING_H
#define HT_CLI_STANDING_H

#include "near.h"

typedef struct ht_standing {
    const char *path; /* NULL: they are not kept */
    ht_near_room room;
    ht_near *queries;
    size_t count;
    ht_buf clean;
    hither_window *window; /* whose records the queries are held against */
    bool whole;            /* lines are not looked at in parts */
} ht_standing;

/* A file that is not there is made when the first query is added. path NULL: none. */
HT_NODISCARD hither_status ht_standing_open(ht_standing *s, hither_window *window, const char *path, bool whole,
                                            hither_error *err);
void ht_standing_close(ht_standing *s);
/* Adds a query, to the file too. One that is there already stays single. */
HT_NODISCARD hither_status ht_standing_add(ht_standing *s, const char *text, hither_error *err);
/* The query that the line is nearest to, if it is near enough for any, else NULL. matches, group: what the window found
 * for it. */
HT_NODISCARD hither_status ht_standing_match(ht_standing *s, const hither_result *matches, size_t group, ht_text line,
                                             const char **query, float *similarity, hither_error *err);

#endif
