/*
 * lines.h: the lines of files and of standard input for the commands that read streams: in batches of what has arrived,
 * so that one line a second is handled at once and a burst in blocks. A log must go on: nothing a line holds stops the
 * reading, memory stays bounded, and what was taken with a flaw is counted. Main thread only.
 */
#ifndef HT_CLI_LINES_H
#define HT_CLI_LINES_H

#include "args.h"
#include "base/strings.h"

enum { HT_LINES_AT_ONCE = 512, HT_LINE_MAX_BYTES = 64 << 10, HT_IDLE_MS = 500 };

typedef struct ht_lines ht_lines;
struct ht_lines {
    /* Set by the caller, the rest by ht_lines_init. */
    bool follow;     /* read all files at once and go on as they grow */
    bool journal;    /* of journalctl's JSON take the message */
    bool keep_blank; /* blank lines count; else they say nothing and are passed over */
    int key_fd;      /* of `turn`: what to wait for beside the input; -1: nothing */
    void *ctx;
    /* The batch below is complete. */
    hither_status (*take)(void *ctx, hither_error *err);
    /* Nothing has come for a while; NULL: nobody wants to know. */
    hither_status (*idle)(void *ctx, hither_error *err);
    /* Once a round of `follow`, at least ten times a second; keeps reading on after the end of standard input. */
    hither_status (*turn)(void *ctx, hither_error *err);

    bool stop; /* set by any of them to end in good order */

    const ht_args *args;
    int wake_fd;
    /* The batch. */
    ht_column texts;
    const char *files[HT_LINES_AT_ONCE];
    uint64_t numbers[HT_LINES_AT_ONCE]; /* within the file, from 1 */
    int64_t times_ms[HT_LINES_AT_ONCE]; /* that the journal gives; INT64_MIN: none */

    const char *file; /* being read */
    uint64_t number;
    uint64_t overlong, not_utf8, with_nul; /* lines taken with a flaw */
};

/* The operands of args are the files; none: standard input. Catches signals. */
void ht_lines_init(ht_lines *l, const ht_args *args);
void ht_lines_clear(ht_lines *l);
/* Until the end, a signal (INTERRUPTED) or `stop`. NOT_FOUND and the like for a file that cannot be read. */
HT_NODISCARD hither_status ht_lines_run(ht_lines *l, hither_error *err);
/* What was wrong with lines, on standard error. */
void ht_lines_say_flaws(const ht_lines *l);
/* How a command that read lines ends: its exit status. */
int ht_lines_end(hither_status status, const hither_error *err);

#endif
