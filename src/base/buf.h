/*
 * buf.h: bytes that grow, with a ceiling set at birth so that no input can make one grow without bound.
 *
 * Appending past the ceiling, or without memory, sets `failed` and drops the bytes; a writer may append many times and
 * ask once at the end (ht_buf_check). data is NULL before the first append, then NUL-terminated
 * for convenience; the NUL is not counted. One thread.
 */
#ifndef HT_BASE_BUF_H
#define HT_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/error.h"

typedef struct ht_buf {
    char *data;
    size_t size, capacity, ceiling;
    bool failed, past_ceiling;
} ht_buf;

void ht_buf_init(ht_buf *buf, size_t ceiling);
void ht_buf_clear(ht_buf *buf); /* releases the memory; the buffer may be used again */
void ht_buf_reset(ht_buf *buf); /* size 0, the memory stays */
void ht_buf_put(ht_buf *buf, const void *data, size_t bytes);
void ht_buf_puts(ht_buf *buf, const char *text);
void ht_buf_putc(ht_buf *buf, char c);
void ht_buf_number(ht_buf *buf, uint64_t number); /* its decimal digits */
void ht_buf_printf(ht_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string literal with its quotes; text is valid UTF-8. */
void ht_buf_json_string(ht_buf *buf, const char *text, size_t bytes);
/* Room for so many more at once, where a writer knows; failing to get it fails like an append. */
void ht_buf_reserve(ht_buf *buf, size_t bytes);
/* `bytes` further bytes to write into, already counted; NULL when failed. */
void *ht_buf_grow(ht_buf *buf, size_t bytes);
/* NOMEM or TOO_LARGE if an append failed. */
HT_NODISCARD hither_status ht_buf_check(const ht_buf *buf, const char *what, hither_error *err);

#endif
