/* test_severity.c: the level a line states, and what only looks like one; a level in a score, and its name. */
#include "stream/severity.h"

#include <string.h>

#include "cmocka_all.h"
#include "hither.h"

static void test_levels(void **state) {
    (void)state;
    static const struct {
        const char *line;
        hither_level level;
    } cases[] = {
        {"", HITHER_LEVEL_NONE},
        {"2026-11-21 10:00:00 ERROR cannot reach the database", HITHER_LEVEL_ERROR},
        {"[warn] cache is cold", HITHER_LEVEL_WARNING},
        {"error: no such file", HITHER_LEVEL_ERROR},
        {"sshd[7]: fatal: Write failed", HITHER_LEVEL_FATAL},
        {"level=info msg=x", HITHER_LEVEL_INFO},
        {"{\"level\":\"debug\",\"msg\":\"error\"}", HITHER_LEVEL_DEBUG},
        {"<3>disk failed", HITHER_LEVEL_ERROR},
        {"<6>disk is back", HITHER_LEVEL_INFO},
        {"TRACE entering", HITHER_LEVEL_TRACE},
        {"EMERGENCY", HITHER_LEVEL_FATAL},
        {"no error occurred", HITHER_LEVEL_NONE},
        {"ERRORS 5, ERROR_COUNT 7, ERROR-7", HITHER_LEVEL_NONE},
        {"INFORMATIONS", HITHER_LEVEL_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ht_severity(cases[i].line, strlen(cases[i].line)) != cases[i].level)
            fail_msg("\"%s\": %d", cases[i].line, (int)ht_severity(cases[i].line, strlen(cases[i].line)));
}

/* The first error of a window is as severe as can be, the fourth of four lines is not; forms share no more than they
 * say. */
static void test_in_a_score(void **state) {
    (void)state;
    static const char *const lines[] = {"all is well", "ERROR disk full", "<4>late", "<6>late", "ERROR disk full"};
    static const hither_level levels[] = {HITHER_LEVEL_NONE, HITHER_LEVEL_ERROR, HITHER_LEVEL_WARNING,
                                          HITHER_LEVEL_INFO, HITHER_LEVEL_ERROR};
    hither_error err = {0};
    hither_window *w;
    hither_score score;
    ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = 4), &w, &err));
    for (size_t i = 0; i < 5; i++) {
        const uint64_t offsets[] = {0, strlen(lines[i])};
        const hither_strings one = {.bytes = lines[i], .offsets = offsets, .count = 1};
        ASSERT_OK(hither_window_push(w, &one, &score, &err));
        assert_int_equal(score.level, levels[i]);
        assert_true((score.severity > 0) == (levels[i] >= HITHER_LEVEL_WARNING));
        if (i == 1)
            assert_true(score.severity == 1);
    }
    assert_true(score.severity < 1); /* one of two */
    hither_window_close(w);
    assert_string_equal(hither_level_name(HITHER_LEVEL_ERROR), "error");
    assert_null(hither_level_name(HITHER_LEVEL_NONE));
    assert_null(hither_level_name(77));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_in_a_score)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
