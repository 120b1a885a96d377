/*
 * test_version.c: what the library says of itself: the number in the header, the text in VERSION, the kernels in use.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "hither.h"

static void number_and_text_agree(void **state) {
    (void)state;
    int number = hither_version_number(), major = 0, minor = 0, patch = 0;
    assert_int_equal(number, HITHER_VERSION_NUMBER);
    assert_int_equal(sscanf(hither_version(), "%d.%d.%d", &major, &minor, &patch), 3);
    assert_int_equal(number, major * 1000000 + minor * 1000 + patch);
}

static void kernels_have_a_name(void **state) {
    (void)state;
    const char *name = hither_simd();
    assert_true(strlen(name) > 0);
    assert_string_equal(name, hither_simd());
    const char *cap = getenv("HITHER_SIMD");
    if (cap && !strcmp(cap, "scalar"))
        assert_string_equal(name, "scalar");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_and_text_agree),
        cmocka_unit_test(kernels_have_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
