/*
 * buf.c: the growing buffer. size <= ceiling and size < capacity hold whenever data is there; once an append failed,
 * all later ones are dropped too, so that the bytes kept are always a prefix of what was meant. One thread.
 */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST_CAPACITY 64

void ht_buf_init(ht_buf *buf, size_t ceiling) { *buf = (ht_buf){.ceiling = ceiling}; }

void ht_buf_clear(ht_buf *buf) {
    ht_release(buf->data);
    ht_buf_init(buf, buf->ceiling);
}

void ht_buf_reset(ht_buf *buf) {
    buf->size = 0;
    buf->failed = buf->past_ceiling = false;
    if (buf->data)
        buf->data[0] = '\0';
}

/* Room for `bytes` more and the NUL. */
static bool make_room(ht_buf *buf, size_t bytes) {
    size_t wanted;
    if (buf->failed)
        return false;
    if (!ht_add_size(buf->size, bytes, &wanted) || wanted > buf->ceiling || wanted == SIZE_MAX) {
        buf->failed = buf->past_ceiling = true;
        return false;
    }
    if (wanted < buf->capacity)
        return true;
    size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    while (capacity <= wanted) {
        if (!ht_add_size(capacity, capacity / 2 + 16, &capacity))
            capacity = wanted + 1;
    }
    char *data = ht_resize(buf->data, capacity);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void *ht_buf_grow(ht_buf *buf, size_t bytes) {
    if (!make_room(buf, bytes))
        return NULL;
    char *start = buf->data + buf->size;
    buf->size += bytes;
    buf->data[buf->size] = '\0';
    return start;
}

void ht_buf_put(ht_buf *buf, const void *data, size_t bytes) {
    void *room = ht_buf_grow(buf, bytes);
    if (room && bytes)
        memcpy(room, data, bytes);
}

void ht_buf_reserve(ht_buf *buf, size_t bytes) { (void)make_room(buf, bytes); }

void ht_buf_number(ht_buf *buf, uint64_t number) {
    char digits[20], *end = digits + sizeof digits, *at = end;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    ht_buf_put(buf, at, (size_t)(end - at));
}

void ht_buf_puts(ht_buf *buf, const char *text) { ht_buf_put(buf, text, strlen(text)); }

void ht_buf_putc(ht_buf *buf, char c) { ht_buf_put(buf, &c, 1); }

void ht_buf_printf(ht_buf *buf, const char *format, ...) {
    va_list args;
    /* Into the room there is, if there is any; most texts fit, and are then formatted once. */
    char *end = buf->data && !buf->failed ? buf->data + buf->size : NULL;
    size_t left = end ? buf->capacity - buf->size : 0;
    va_start(args, format);
    int wanted = vsnprintf(end, left, format, args);
    va_end(args);
    if (wanted >= 0 && (size_t)wanted < left && (size_t)wanted <= buf->ceiling - buf->size) {
        buf->size += (size_t)wanted;
        return;
    }
    if (end)
        *end = '\0';
    char *room = wanted < 0 ? NULL : ht_buf_grow(buf, (size_t)wanted);
    if (!room) {
        buf->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(room, (size_t)wanted + 1, format, args);
    va_end(args);
}

static void put_escaped(ht_buf *buf, unsigned char c) {
    switch (c) {
    case '"':
        ht_buf_put(buf, "\\\"", 2);
        break;
    case '\\':
        ht_buf_put(buf, "\\\\", 2);
        break;
    case '\n':
        ht_buf_put(buf, "\\n", 2);
        break;
    case '\r':
        ht_buf_put(buf, "\\r", 2);
        break;
    case '\t':
        ht_buf_put(buf, "\\t", 2);
        break;
    default:
        ht_buf_printf(buf, "\\u%04x", c);
    }
}

void ht_buf_json_string(ht_buf *buf, const char *text, size_t bytes) {
    ht_buf_putc(buf, '"');
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        ht_buf_put(buf, text + plain, i - plain);
        put_escaped(buf, c);
        plain = i + 1;
    }
    if (plain < bytes)
        ht_buf_put(buf, text + plain, bytes - plain);
    ht_buf_putc(buf, '"');
}

hither_status ht_buf_check(const ht_buf *buf, const char *what, hither_error *err) {
    if (!buf->failed)
        return HITHER_OK;
    if (buf->past_ceiling)
        return ht_fail(err, HITHER_TOO_LARGE, "%s would be longer than %zu bytes", what, buf->ceiling);
    return ht_fail(err, HITHER_NOMEM, "no memory for %s beyond %zu bytes", what, buf->size);
}
