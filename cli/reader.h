/*
 * reader.h: bytes from a file, a pipe or memory, as lines or as blocks, through one buffer that never grows past the
 * longest line allowed. Parsers stand on this, so that tests and fuzzers can feed them from memory.
 *
 * A read takes what is there: a line is handed on as soon as its end has arrived. Main thread only.
 */
#ifndef HT_CLI_READER_H
#define HT_CLI_READER_H

#include "base/strings.h"

typedef struct ht_reader {
    const char *name; /* for messages */
    int fd;           /* -1: all is in the buffer already */
    int wake_fd;      /* readable when a signal asked to stop; -1 for none */
    uint64_t size;    /* bytes of a regular file, 0 when unknown */
    char *data;       /* [begin, end) is unread; memory readers borrow it */
    size_t begin, end, capacity;
    bool borrowed, finished;
    uint64_t consumed; /* bytes handed out */
} ht_reader;

/* A line without its end ("\n" or "\r\n"). Good until the next call. */
typedef struct ht_line {
    const char *data;
    size_t bytes;
    uint64_t dropped; /* bytes cut off past the limit */
    bool complete;    /* its end was there */
} ht_line;

/* "-" is standard input. NOT_FOUND, PERMISSION, IO; INVALID for a folder. */
HT_NODISCARD hither_status ht_reader_open(ht_reader *r, const char *path, hither_error *err);
void ht_reader_memory(ht_reader *r, const char *name, const void *data, size_t bytes);
void ht_reader_close(ht_reader *r);

/* Passes over a UTF-8 byte order mark at the very beginning. */
HT_NODISCARD hither_status ht_reader_skip_bom(ht_reader *r, hither_error *err);

/* The next line of at most `max` bytes; *end when there is none. A longer one is TOO_LARGE, or is cut to `max` bytes
 * with the rest dropped unread if `cut`. INTERRUPTED when a signal came first. */
HT_NODISCARD hither_status ht_reader_line(ht_reader *r, size_t max, bool cut, ht_line *line, bool *end,
                                          hither_error *err);
/* Whether ht_reader_line will answer without waiting. */
bool ht_reader_has_line(const ht_reader *r);

/* Up to `bytes` bytes; fewer only at the end. */
HT_NODISCARD hither_status ht_reader_take(ht_reader *r, void *out, size_t bytes, size_t *got, hither_error *err);

/* The next byte, or -1 at the end or on failure; then *status says which. */
int ht_reader_refill_byte(ht_reader *r, hither_status *status, hither_error *err);
static inline int ht_reader_byte(ht_reader *r, hither_status *status, hither_error *err) {
    if (r->begin == r->end)
        return ht_reader_refill_byte(r, status, err);
    r->consumed++;
    return (unsigned char)r->data[r->begin++];
}

#endif
