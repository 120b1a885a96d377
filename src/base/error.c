/*
 * error.c: filling a hither_error, and the names of the statuses.
 *
 * The message always fits: a text that is too long is cut before a character, never inside one, so that it stays
 * UTF-8. Nothing here allocates. Any thread.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/strings.h"

/* Ends the message before a character that was cut in two. */
static void drop_half_character(char *message, size_t length) {
    size_t start = length;
    while (start > 0 && length - start < 4 && ((unsigned char)message[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0 || (unsigned char)message[start - 1] < 0xc0)
        return;
    unsigned char lead = (unsigned char)message[start - 1];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (length - (start - 1) < wanted)
        message[start - 1] = '\0';
}

/* What a message quotes may be cut within a character, or be none: each such byte becomes a question mark. */
static void mend(char *message) {
    size_t bytes = strlen(message), at = 0;
    while ((at += ht_utf8_valid_prefix(message + at, bytes - at)) < bytes)
        message[at++] = '?';
}

static void fill(hither_error *err, hither_status status, int os_errno, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));
static void fill(hither_error *err, hither_status status, int os_errno, const char *format, va_list args) {
    err->status = (int32_t)status;
    err->os_errno = os_errno;
    int wanted = vsnprintf(err->message, sizeof err->message, format, args);
    if (wanted < 0)
        err->message[0] = '\0';
    else if ((size_t)wanted >= sizeof err->message)
        drop_half_character(err->message, sizeof err->message - 1);
    mend(err->message);
}

hither_status ht_fail(hither_error *err, hither_status status, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        fill(err, status, 0, format, args);
        va_end(args);
    }
    return status;
}

static hither_status status_of_errno(int os_errno) {
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
        return HITHER_FULL;
    case EACCES:
    case EPERM:
        return HITHER_PERMISSION;
    case EROFS:
        return HITHER_READONLY;
    case ENOENT:
        return HITHER_NOT_FOUND;
    case EEXIST:
        return HITHER_EXISTS;
    case ENOMEM:
        return HITHER_NOMEM;
    default:
        return HITHER_IO;
    }
}

/* strerror_r comes in two shapes: glibc's returns the text, POSIX's fills the room. */
static const char *describe(int os_errno, char *room, size_t size) {
#if defined(__GLIBC__)
    return strerror_r(os_errno, room, size);
#else
    if (strerror_r(os_errno, room, size) != 0)
        snprintf(room, size, "error %d", os_errno);
    return room;
#endif
}

hither_status ht_fail_errno(hither_error *err, int os_errno, const char *format, ...) {
    hither_status status = status_of_errno(os_errno);
    if (err) {
        va_list args;
        va_start(args, format);
        fill(err, status, os_errno, format, args);
        va_end(args);
        /* What the system said matters more than the end of a long path, so it gets its room first. */
        char room[96], tail[104];
        int added = snprintf(tail, sizeof tail, ": %s", describe(os_errno, room, sizeof room));
        size_t length = strlen(err->message), most = sizeof err->message - 1 - (size_t)added;
        if (length > most) {
            err->message[most] = '\0';
            drop_half_character(err->message, most);
            length = strlen(err->message);
        }
        memcpy(err->message + length, tail, (size_t)added + 1);
    }
    return status;
}

hither_status ht_fail_nomem(hither_error *err, size_t bytes, const char *what) {
    return ht_fail(err, HITHER_NOMEM, "no memory for %zu bytes of %s", bytes, what);
}

const char *hither_status_name(hither_status status) {
    static const char *const names[] = {
        [HITHER_OK] = "OK",
        [HITHER_INVALID] = "INVALID",
        [HITHER_DIMENSION] = "DIMENSION",
        [HITHER_NOT_FINITE] = "NOT_FINITE",
        [HITHER_ENCODING] = "ENCODING",
        [HITHER_SYNTAX] = "SYNTAX",
        [HITHER_TOO_LARGE] = "TOO_LARGE",
        [HITHER_NOMEM] = "NOMEM",
        [HITHER_IO] = "IO",
        [HITHER_FULL] = "FULL",
        [HITHER_PERMISSION] = "PERMISSION",
        [HITHER_NOT_FOUND] = "NOT_FOUND",
        [HITHER_EXISTS] = "EXISTS",
        [HITHER_BUSY] = "BUSY",
        [HITHER_READONLY] = "READONLY",
        [HITHER_NOT_DATABASE] = "NOT_DATABASE",
        [HITHER_FORMAT] = "FORMAT",
        [HITHER_CORRUPT] = "CORRUPT",
        [HITHER_POISONED] = "POISONED",
        [HITHER_UNSUPPORTED] = "UNSUPPORTED",
        [HITHER_MODEL] = "MODEL",
        [HITHER_INTERRUPTED] = "INTERRUPTED",
        [HITHER_TIMEOUT] = "TIMEOUT",
        [HITHER_STALE] = "STALE",
        [HITHER_FORKED] = "FORKED",
    };
    size_t i = (size_t)status;
    return i < sizeof names / sizeof names[0] ? names[i] : "UNKNOWN";
}
