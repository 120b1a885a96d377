/*
 * follow.h: the lines that are added to files, as they are added: tail -F. A file that is moved away is read to its end
 * and then the new one of its name from the beginning; one that is cut short is read from the beginning; one that is
 * not there is waited for. Only whole lines are handed out, but for the last one of a file that is gone. Main thread
 * only.
 */
#ifndef HT_CLI_FOLLOW_H
#define HT_CLI_FOLLOW_H

#include <sys/types.h>

#include "reader.h"

typedef struct ht_follow {
    const char *path; /* "-": standard input */
    int fd;           /* -1: not there now */
    bool ended;       /* standard input's end was read */
    dev_t device;
    ino_t inode;
    off_t offset;
    ht_buf line;      /* the beginning of a line whose end is to come; at most `max` bytes */
    uint64_t dropped; /* of it */
} ht_follow;

/* Never fails: a file that cannot be opened is waited for. */
void ht_follow_open(ht_follow *f, const char *path);
void ht_follow_close(ht_follow *f);
/* Hands what is there now, up to a block, to `line`; *any says whether there was anything. Longer lines are cut to
 * `max` bytes. Does not wait. */
HT_NODISCARD hither_status ht_follow_read(ht_follow *f, size_t max, bool *any,
                                          hither_status (*line)(void *ctx, const ht_line *line, hither_error *err),
                                          void *ctx, hither_error *err);

#endif
