/*
 * cmocka.h: as much of cmocka as the kernel tests use, for machines whose cmocka is not at hand: the cross-compiled
 * run under an emulator (tools/test_neon.sh). A failed assertion ends the program.
 */
#ifndef HT_TESTS_CROSS_CMOCKA_H
#define HT_TESTS_CROSS_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};
#define cmocka_unit_test(function)                                                                                     \
    { #function, function }

static inline void cross_check(int holds, const char *what, const char *file, int line) {
    if (!holds) {
        printf("[  FAILED  ] %s:%d: %s\n", file, line, what);
        exit(1);
    }
}
#define assert_true(c)                   cross_check(!!(c), #c, __FILE__, __LINE__)
#define assert_false(c)                  cross_check(!(c), "not " #c, __FILE__, __LINE__)
#define assert_non_null(p)               cross_check((p) != NULL, #p " is not NULL", __FILE__, __LINE__)
#define assert_ptr_equal(a, b)           cross_check((a) == (b), #a " == " #b, __FILE__, __LINE__)
#define assert_int_equal(a, b)           cross_check((long long)(a) == (long long)(b), #a " == " #b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, bytes) cross_check(!memcmp(a, b, bytes), #a " == " #b, __FILE__, __LINE__)
#define fail()                           cross_check(0, "fail()", __FILE__, __LINE__)
#define print_error(...)                 printf(__VA_ARGS__)
#define fail_msg(...)                    (printf(__VA_ARGS__), cross_check(0, "fail_msg()", __FILE__, __LINE__))

#define cmocka_run_group_tests(tests, setup, teardown) cross_run(tests, sizeof tests / sizeof *tests)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                                      \
    (printf("%s:\n", name), cross_run(tests, sizeof tests / sizeof *tests))
static inline int cross_run(const struct CMUnitTest *tests, size_t count) {
    for (size_t i = 0; i < count; i++) {
        void *state = NULL;
        tests[i].run(&state);
        printf("[       OK ] %s\n", tests[i].name);
    }
    printf("[  PASSED  ] %zu test(s)\n", count);
    return 0;
}

#endif
