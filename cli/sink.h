/*
 * sink.h: where export writes: standard output, or a file that appears whole or not at all (written beside its place
 * under another name, synced, renamed). A path that is there and is no regular file is written to directly. Main
 * thread.
 */
#ifndef HT_CLI_SINK_H
#define HT_CLI_SINK_H

#include <stdio.h>

#include "base/buf.h"

typedef struct ht_sink {
    const char *path; /* NULL: standard output */
    FILE *file;
    char *temporary; /* the name until it is whole; NULL: none */
    bool closed;     /* standard output's reader has gone: stop, without an error */
} ht_sink;

/* path NULL or "-": standard output. */
HT_NODISCARD hither_status ht_sink_open(ht_sink *sink, const char *path, hither_error *err);
/* Writes the buffer and empties it. */
HT_NODISCARD hither_status ht_sink_buf(ht_sink *sink, ht_buf *buf, hither_error *err);
/* Puts the file into its place. */
HT_NODISCARD hither_status ht_sink_finish(ht_sink *sink, hither_error *err);
/* Removes what was not finished. */
void ht_sink_close(ht_sink *sink);

#endif
