/* test_error.c: messages are cut between characters, keep the system's words, and every status has its own name. */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "base/strings.h"
#include "cmocka_all.h"

static void fills_and_returns(void **state) {
    (void)state;
    hither_error err;
    assert_int_equal(ht_fail(&err, HITHER_DIMENSION, "row %d has %s", 7, "x"), HITHER_DIMENSION);
    assert_int_equal(err.status, HITHER_DIMENSION);
    assert_int_equal(err.os_errno, 0);
    assert_string_equal(err.message, "row 7 has x");
    assert_int_equal(ht_fail(NULL, HITHER_IO, "nobody listens"), HITHER_IO);
    assert_int_equal(ht_fail_errno(NULL, EIO, "nobody listens"), HITHER_IO);
    assert_int_equal(ht_fail_nomem(&err, 123, "a thing"), HITHER_NOMEM);
    assert_non_null(strstr(err.message, "123 bytes of a thing"));
    assert_int_equal(sizeof(hither_error), 256);
}

/* For every length, a message of characters of 1 to 4 bytes keeps a whole number of them. */
static void long_messages_are_cut_between_characters(void **state) {
    (void)state;
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t lead = 0; lead < 8; lead++) {
            char text[600] = "";
            memset(text, 'x', lead);
            text[lead] = '\0';
            while (strlen(text) < 400)
                strcat(text, characters[kind]);
            hither_error err;
            ht_fail(&err, HITHER_INVALID, "%s", text);
            size_t length = strlen(err.message);
            assert_int_equal(ht_utf8_valid_prefix(err.message, length), length);
            assert_true(length > sizeof err.message - 1 - 4);
            assert_memory_equal(err.message, text, length);

            ht_fail_errno(&err, ENOSPC, "%s", text);
            length = strlen(err.message);
            assert_int_equal(ht_utf8_valid_prefix(err.message, length), length);
            assert_non_null(strstr(err.message, ": No space left on device"));
        }
    }
}

static void errnos_become_statuses(void **state) {
    (void)state;
    static const struct {
        int os_errno;
        hither_status status;
    } cases[] = {{ENOSPC, HITHER_FULL},      {EDQUOT, HITHER_FULL},    {EACCES, HITHER_PERMISSION},
                 {EPERM, HITHER_PERMISSION}, {EROFS, HITHER_READONLY}, {ENOENT, HITHER_NOT_FOUND},
                 {EEXIST, HITHER_EXISTS},    {ENOMEM, HITHER_NOMEM},   {EIO, HITHER_IO},
                 {EMFILE, HITHER_IO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hither_error err;
        assert_int_equal(ht_fail_errno(&err, cases[i].os_errno, "cannot open %s", "x"), cases[i].status);
        assert_int_equal(err.status, cases[i].status);
        assert_int_equal(err.os_errno, cases[i].os_errno);
        assert_memory_equal(err.message, "cannot open x: ", 15);
    }
}

static void statuses_have_names(void **state) {
    (void)state;
    for (int i = 0; i <= HITHER_FORKED; i++) {
        assert_string_not_equal(hither_status_name((hither_status)i), "UNKNOWN");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(hither_status_name((hither_status)i), hither_status_name((hither_status)j));
    }
    assert_string_equal(hither_status_name(HITHER_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(hither_status_name((hither_status)(HITHER_FORKED + 1)), "UNKNOWN");
    assert_string_equal(hither_status_name((hither_status)-1), "UNKNOWN");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_returns),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(errnos_become_statuses),
        cmocka_unit_test(statuses_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
