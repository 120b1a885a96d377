/* test_buf.c: the growing buffer against plain arrays, at its ceiling, and without memory. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "alloc_fault.h"
#include "cmocka_all.h"

static void appends_add_up(void **state) {
    (void)state;
    hither_error err;
    ht_buf buf;
    static char wanted[200000];
    size_t size = 0;
    ht_buf_init(&buf, SIZE_MAX);
    assert_null(buf.data);
    for (int i = 0; i < 9999; i++) {
        ht_buf_printf(&buf, "%d,", i);
        size += (size_t)sprintf(wanted + size, "%d,", i);
        ht_buf_putc(&buf, (char)i);
        wanted[size++] = (char)i;
        ht_buf_puts(&buf, "xy");
        memcpy(wanted + size, "xy", 2);
        size += 2;
        memset(ht_buf_grow(&buf, 3), 'g', 3);
        memset(wanted + size, 'g', 3);
        size += 3;
        assert_int_equal(buf.data[buf.size], '\0');
    }
    ASSERT_OK(ht_buf_check(&buf, "it", &err));
    assert_int_equal(buf.size, size);
    assert_memory_equal(buf.data, wanted, size);
    ht_buf_reset(&buf);
    assert_int_equal(buf.size, 0);
    assert_string_equal(buf.data, "");
    ht_buf_clear(&buf);
    assert_null(buf.data);
    ht_buf_puts(&buf, "again");
    assert_string_equal(buf.data, "again");
    ht_buf_clear(&buf);
}

static void numbers_and_room(void **state) {
    (void)state;
    static const uint64_t numbers[] = {0, 9, 10, 1234567890, UINT64_MAX};
    ht_buf buf;
    char wanted[32];
    ht_buf_init(&buf, 64);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        ht_buf_reset(&buf);
        ht_buf_reserve(&buf, 40);
        const char *data = buf.data;
        ht_buf_number(&buf, numbers[i]);
        (void)snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)numbers[i]);
        assert_string_equal(buf.data, wanted);
        ht_buf_printf(&buf, "%d", 12345678); /* fits, and is written where there is room */
        assert_ptr_equal(buf.data, data);
        assert_string_equal(buf.data + strlen(wanted), "12345678");
        assert_int_equal(buf.size, strlen(wanted) + 8);
    }
    ht_buf_reserve(&buf, 65);
    assert_true(buf.failed && buf.past_ceiling);
    ht_buf_clear(&buf);
}

static void the_ceiling_holds(void **state) {
    (void)state;
    hither_error err;
    ht_buf buf;
    ht_buf_init(&buf, 10);
    ht_buf_puts(&buf, "0123456789");
    ASSERT_OK(ht_buf_check(&buf, "it", &err));
    ht_buf_put(&buf, "", 0);
    ASSERT_OK(ht_buf_check(&buf, "it", &err));
    ht_buf_putc(&buf, 'x');
    ASSERT_FAILS(ht_buf_check(&buf, "the text", &err), HITHER_TOO_LARGE);
    assert_string_equal(err.message, "the text would be longer than 10 bytes");
    assert_string_equal(buf.data, "0123456789");
    ht_buf_reset(&buf);
    ht_buf_printf(&buf, "%s", "0123456789");
    ASSERT_OK(ht_buf_check(&buf, "it", &err));
    ht_buf_reset(&buf);
    ht_buf_printf(&buf, "%s", "0123456789a");
    ht_buf_puts(&buf, "b"); /* would fit, but would leave a hole */
    assert_int_equal(buf.size, 0);
    ASSERT_FAILS(ht_buf_check(&buf, "it", &err), HITHER_TOO_LARGE);
    ht_buf_reset(&buf);
    assert_null(ht_buf_grow(&buf, SIZE_MAX));
    ht_buf_clear(&buf);
    ht_buf_init(&buf, SIZE_MAX);
    ht_buf_putc(&buf, 'a');
    assert_null(ht_buf_grow(&buf, SIZE_MAX));
    assert_null(ht_buf_grow(&buf, SIZE_MAX - 1));
    ht_buf_clear(&buf);
}

static void without_memory_it_says_so(void **state) {
    (void)state;
    hither_error err;
    for (uint64_t n = 1;; n++) {
        ht_buf buf;
        ht_buf_init(&buf, SIZE_MAX);
        alloc_fault_arm(n, false);
        for (int i = 0; i < 1000; i++)
            ht_buf_puts(&buf, "0123456789");
        bool hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        if (hit)
            ASSERT_FAILS(ht_buf_check(&buf, "it", &err), HITHER_NOMEM);
        else
            assert_int_equal(buf.size, 10000);
        ht_buf_clear(&buf);
        assert_int_equal(alloc_fault_live(), 0);
        if (!hit)
            break;
    }
}

static void json_strings_are_escaped(void **state) {
    (void)state;
    ht_buf buf;
    ht_buf_init(&buf, SIZE_MAX);
    const char text[] = "a\"b\\c\n\r\t\x01\x1f\x7f\0z\xc3\xa9/";
    ht_buf_json_string(&buf, text, sizeof text - 1);
    assert_string_equal(buf.data, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f\x7f\\u0000z\xc3\xa9/\"");
    ht_buf_reset(&buf);
    ht_buf_json_string(&buf, NULL, 0);
    assert_string_equal(buf.data, "\"\"");
    ht_buf_clear(&buf);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_add_up),           cmocka_unit_test(numbers_and_room),
        cmocka_unit_test(the_ceiling_holds),        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(json_strings_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
