/*
 * error.h: how a function inside says that it failed.
 *
 * A fallible function returns a hither_status and takes a hither_error last, which may be NULL. ht_fail fills it and
 * gives the status back, so that `return ht_fail(err, HITHER_IO, "cannot read %s", path);` is the whole idiom. The
 * message says what was wrong, where, and what to do. Any thread.
 */
#ifndef HT_BASE_ERROR_H
#define HT_BASE_ERROR_H

#include "hither.h"

#define HT_NODISCARD HITHER_MUST_CHECK

/* Fills err (if there is one) and returns status. os_errno becomes 0. */
hither_status ht_fail(hither_error *err, hither_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: ENOSPC and EDQUOT give FULL, EACCES and EPERM PERMISSION, EROFS READONLY, ENOENT
 * NOT_FOUND, EEXIST EXISTS, ENOMEM NOMEM, the rest IO; ": " and strerror are appended to the message. */
hither_status ht_fail_errno(hither_error *err, int os_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* NOMEM, saying how many bytes were wanted and for what. */
hither_status ht_fail_nomem(hither_error *err, size_t bytes, const char *what);

/* Passes a failure on where nothing is held; with something held, use one `goto done`. */
#define HT_TRY(call)                                                                                                   \
    do {                                                                                                               \
        hither_status ht_try_ = (call);                                                                                \
        if (ht_try_ != HITHER_OK)                                                                                      \
            return ht_try_;                                                                                            \
    } while (0)

/* States what the program guarantees, never what input should be. On in dev, test and fuzz builds. */
#ifdef HT_ASSERTIONS
#include <assert.h>
#define HT_ASSERT(x) assert(x)
#else
#define HT_ASSERT(x) ((void)0)
#endif

#endif
