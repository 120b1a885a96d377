/*
 * io_trace.h: the trace that io_fault.c records and io_crash.c replays. For these two files only.
 */
#ifndef HT_TESTS_IO_TRACE_H
#define HT_TESTS_IO_TRACE_H

#include "base/io.h"

typedef enum trace_op {
    TRACE_CREATE,
    TRACE_FOLDER, /* made */
    TRACE_RENAME,
    TRACE_MOVE, /* a folder renamed, with all in it */
    TRACE_LINK, /* one more name of a file */
    TRACE_REMOVE,
    TRACE_WRITE,
    TRACE_RESIZE,
    TRACE_SYNC,
    TRACE_SYNC_FAILED,
    TRACE_SYNC_FOLDER
} trace_op;

#define NO_FOLDER SIZE_MAX

typedef struct trace_step {
    trace_op op;
    size_t node;      /* of the file; files are numbered in the order of their creation */
    size_t folder;    /* number of the folder whose sync makes this durable, or that is synced; NO_FOLDER */
    const char *path; /* the trace's; of a rename the new one */
    const char *from; /* of a rename or a move */
    uint64_t offset;  /* of a write; the size of a resize */
    size_t bytes;
    unsigned char *data;
} trace_step;

typedef struct trace {
    trace_step *steps;
    size_t count, room;
    char **texts; /* every path once; a folder's number is its index here */
    size_t text_count, text_room;
    size_t nodes;
} trace;

#endif
