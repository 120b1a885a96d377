/* test_alloc.c: blocks are aligned and independent, sizes are checked, and a host's allocator is asked for all of it.
 */
#include "base/alloc.h"

#include <string.h>

#include "alloc_fault.h"
#include "cmocka_all.h"

static void blocks_are_aligned(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes < 300; bytes++) {
        char *plain = ht_alloc(bytes), *rows = ht_alloc_aligned(bytes);
        assert_non_null(plain);
        assert_non_null(rows);
        assert_int_equal((uintptr_t)plain % 16, 0);
        assert_int_equal((uintptr_t)rows % 64, 0);
        memset(plain, 1, bytes);
        memset(rows, 2, bytes);
        ht_release(plain);
        ht_release(rows);
    }
    ht_release(NULL);
}

static void calloc_is_zero_and_checked(void **state) {
    (void)state;
    unsigned char *block = ht_calloc(100, 3);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(block[i], 0);
    ht_release(block);
    assert_null(ht_calloc(SIZE_MAX / 2, 3));
    size_t out = 5;
    assert_false(ht_mul_size(SIZE_MAX, 2, &out));
    assert_true(ht_mul_size(SIZE_MAX / 2, 2, &out));
    assert_false(ht_add_size(SIZE_MAX, 1, &out));
    assert_true(ht_add_size(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
}

static void resize_keeps_the_contents(void **state) {
    (void)state;
    char *block = ht_resize(NULL, 4);
    memcpy(block, "abc", 4);
    block = ht_resize(block, 100000);
    assert_string_equal(block, "abc");
    alloc_fault_arm(1, false);
    assert_null(ht_resize(block, 200000));
    assert_string_equal(block, "abc");
    alloc_fault_arm(0, false);
    block = ht_resize(block, 0);
    assert_non_null(block);
    ht_release(block);
}

static void copies_are_copies(void **state) {
    (void)state;
    char text[] = "hither";
    char *copy = ht_strdup(text), *same = ht_memdup(text, 3);
    text[0] = 'X';
    assert_string_equal(copy, "hither");
    assert_memory_equal(same, "hit", 3);
    ht_release(copy);
    ht_release(same);
    alloc_fault_arm(1, true);
    assert_null(ht_strdup("a"));
    assert_null(ht_memdup("a", 1));
    assert_null(ht_alloc_aligned(64));
    assert_null(ht_calloc(1, 1));
    assert_int_equal(alloc_fault_requests(), 4);
    alloc_fault_arm(0, false);
}

static void the_allocator_is_chosen_once(void **state) {
    (void)state;
    hither_error err;
    const hither_allocator none = {0};
    ASSERT_FAILS(hither_set_allocator(&none, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_set_allocator(NULL, &err), HITHER_INVALID);
    ht_release(ht_alloc(1));
    const hither_allocator all = {(void *(*)(void *, size_t, size_t))1, (void *(*)(void *, void *, size_t))1,
                                  (void (*)(void *, void *))1, NULL};
    ASSERT_FAILS(hither_set_allocator(&all, &err), HITHER_INVALID);
    assert_int_equal(alloc_fault_live(), 0);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned),           cmocka_unit_test(calloc_is_zero_and_checked),
        cmocka_unit_test(resize_keeps_the_contents),    cmocka_unit_test(copies_are_copies),
        cmocka_unit_test(the_allocator_is_chosen_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
