/*
 * cmocka_all.h: cmocka with the headers it forgets to include itself.
 */
#ifndef HT_TESTS_CMOCKA_ALL_H
#define HT_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* That a call went well; its message is shown when it did not. Needs a hither_error named `err` in scope. */
#define ASSERT_OK(call)                                                                                                \
    do {                                                                                                               \
        hither_status assert_status_ = (call);                                                                         \
        if (assert_status_ != HITHER_OK)                                                                               \
            fail_msg("%s gave %s: %s", #call, hither_status_name(assert_status_), err.message);                        \
    } while (0)

/* That it failed with this status. */
#define ASSERT_FAILS(call, wanted)                                                                                     \
    do {                                                                                                               \
        hither_status assert_status_ = (call);                                                                         \
        if (assert_status_ != (wanted))                                                                                \
            fail_msg("%s gave %s, wanted %s (%s)", #call, hither_status_name(assert_status_),                          \
                     hither_status_name(wanted), err.message);                                                         \
    } while (0)

#endif
