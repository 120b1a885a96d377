/*
 * ok.h: OK(call) fails the test with the call, its status and what `err` says; a hither_error named err is in scope.
 */
#ifndef HT_TESTS_OK_H
#define HT_TESTS_OK_H

#include "cmocka_all.h"
#include "hither.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        hither_status got_ = (call);                                                                                   \
        if (got_ != HITHER_OK)                                                                                         \
            fail_msg("%s: %s: %s", #call, hither_status_name(got_), err.message);                                      \
    } while (0)

#endif
