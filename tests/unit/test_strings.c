/* test_strings.c: UTF-8 against a decoder written from the RFC's table, columns from outside, the column builder. */
#include "base/strings.h"

#include <string.h>

#include "alloc_fault.h"
#include "base/hash.h"
#include "cmocka_all.h"

#define SEED 7u

/* The slow twin: decodes a character and asks whether its shortest form is what was read. */
static size_t slow_prefix(const char *text, size_t bytes) {
    size_t i = 0;
    while (i < bytes) {
        unsigned char c = (unsigned char)text[i];
        size_t n = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
        if (n == 0 || n > bytes - i)
            return i;
        uint32_t code = n == 1 ? c : c & (0xffu >> (n + 1));
        for (size_t j = 1; j < n; j++) {
            unsigned char tail = (unsigned char)text[i + j];
            if (tail >> 6 != 2)
                return i;
            code = code << 6 | (tail & 63);
        }
        size_t shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        if (shortest != n || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
            return i;
        i += n;
    }
    return i;
}

static void compare_prefix(const char *text, size_t bytes) {
    size_t fast = ht_utf8_valid_prefix(text, bytes), slow = slow_prefix(text, bytes);
    if (fast != slow)
        fail_msg("%zu bytes from 0x%02x: %zu, should be %zu", bytes, (unsigned char)text[0], fast, slow);
}

static void utf8_of_every_short_text(void **state) {
    (void)state;
    char text[4];
    for (uint32_t v = 0; v < 1u << 16; v++) {
        text[0] = (char)(v >> 8);
        text[1] = (char)v;
        compare_prefix(text, 1);
        compare_prefix(text, 2);
    }
    /* Three and four bytes: all leads, and tails around every edge. */
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (uint32_t lead = 0xc0; lead < 256; lead++) {
        for (size_t a = 0; a < 256; a++) {
            for (size_t b = 0; b < sizeof edges; b++) {
                for (size_t c = 0; c < sizeof edges; c++) {
                    text[0] = (char)lead;
                    text[1] = (char)a;
                    text[2] = (char)edges[b];
                    text[3] = (char)edges[c];
                    compare_prefix(text, 3);
                    compare_prefix(text, 4);
                }
            }
        }
    }
}

static void utf8_of_long_texts(void **state) {
    (void)state;
    static const char *const parts[] = {"abcdefgh",     "x",    "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "12345",
                                        "\xed\x9f\xbf", "\xff", "\xc0\x80", "\xed\xa0\x80"};
    for (uint64_t round = 0; round < 20000; round++) {
        char text[256];
        size_t bytes = 0;
        uint64_t r = ht_mix64(SEED + round);
        for (unsigned i = 0; i < 20; i++) {
            r = ht_mix64(r + 1);
            const char *part = parts[r % 100 < 98 ? r % 7 : 7 + r % 3];
            memcpy(text + bytes, part, strlen(part));
            bytes += strlen(part);
        }
        compare_prefix(text, bytes - r % 4);
    }
    assert_int_equal(ht_utf8_valid_prefix(NULL, 0), 0);
    assert_int_equal(ht_utf8_valid_prefix("a\0b", 3), 3);
}

static void columns_are_checked(void **state) {
    (void)state;
    hither_error err;
    const uint64_t offsets[] = {0, 3, 3, 5};
    const uint8_t all = 7, middle_missing = 5;
    hither_strings s = {.bytes = "abcde", .offsets = offsets, .count = 3};
    ASSERT_OK(ht_strings_check(&s, "documents", 3, &err));
    s.valid = &all;
    ASSERT_OK(ht_strings_check(&s, "documents", 3, &err));
    assert_memory_equal(ht_strings_at(&s, 2).data, "de", 2);
    assert_int_equal(ht_strings_at(&s, 1).bytes, 0);
    assert_non_null(ht_strings_at(&s, 1).data);
    s.valid = &middle_missing;
    assert_null(ht_strings_at(&s, 1).data);
    assert_null(ht_strings_at(&s, 3).data);
    ASSERT_FAILS(ht_strings_check(&s, "documents", 2, &err), HITHER_TOO_LARGE);
    assert_string_equal(err.message, "documents: row 0 has 3 bytes, the limit is 2");

    s.bytes = "abc\xc3(";
    ASSERT_FAILS(ht_strings_check(&s, "documents", 3, &err), HITHER_ENCODING);
    assert_string_equal(err.message, "documents: row 2 is not UTF-8 at byte 0 (0xc3)");
    const uint8_t last_missing = 3;
    s.valid = &last_missing; /* what is missing is not read */
    ASSERT_OK(ht_strings_check(&s, "documents", 3, &err));

    const uint64_t falling[] = {0, 3, 2, 5};
    ASSERT_FAILS(ht_strings_check(&(hither_strings){"abcde", falling, 3, NULL}, "texts", 9, &err), HITHER_INVALID);
    ASSERT_FAILS(ht_strings_check(&(hither_strings){"abcde", NULL, 3, NULL}, "texts", 9, &err), HITHER_INVALID);
    ASSERT_FAILS(ht_strings_check(&(hither_strings){NULL, offsets, 3, NULL}, "texts", 9, &err), HITHER_INVALID);
    const uint64_t empty[] = {4, 4, 4};
    ASSERT_OK(ht_strings_check(&(hither_strings){NULL, empty, 2, NULL}, "texts", 9, &err));
    assert_non_null(ht_strings_at(&(hither_strings){NULL, empty, 2, NULL}, 0).data);
    ASSERT_OK(ht_strings_check(&(hither_strings){0}, "texts", 9, &err));
}

static void ids_are_checked(void **state) {
    (void)state;
    hither_error err;
    ht_column column;
    char longest[HITHER_MAX_ID_BYTES + 1];
    memset(longest, 'i', sizeof longest);
    ht_column_init(&column);
    ht_column_add(&column, "a", 1);
    ht_column_add(&column, longest, HITHER_MAX_ID_BYTES);
    hither_ids ids = {.strings = ht_column_view(&column), .count = 2};
    ASSERT_OK(ht_ids_check(&ids, &err));
    assert_false(ht_ids_are_ints(&ids));
    ids.count = 3;
    ASSERT_FAILS(ht_ids_check(&ids, &err), HITHER_INVALID);
    static const struct {
        const char *text;
        size_t bytes;
        hither_status status;
    } bad[] = {
        {"", 0, HITHER_INVALID}, {"a\0b", 3, HITHER_INVALID}, {NULL, 0, HITHER_INVALID}, {"\xff", 1, HITHER_ENCODING}};
    for (size_t i = 0; i < 4; i++) {
        ht_column_clear(&column);
        ht_column_add(&column, "fine", 4);
        ht_column_add(&column, bad[i].text, bad[i].bytes);
        ids = (hither_ids){.strings = ht_column_view(&column), .count = 2};
        ASSERT_FAILS(ht_ids_check(&ids, &err), bad[i].status);
        assert_non_null(strstr(err.message, "row 1"));
    }
    ht_column_clear(&column);
    ht_column_add(&column, longest, sizeof longest);
    ids = (hither_ids){.strings = ht_column_view(&column), .count = 1};
    ASSERT_FAILS(ht_ids_check(&ids, &err), HITHER_TOO_LARGE);
    ht_column_clear(&column);
    ids = (hither_ids){.ints = (const int64_t[]){1, 2}, .count = 2};
    ASSERT_OK(ht_ids_check(&ids, &err));
    assert_true(ht_ids_are_ints(&ids));
    ASSERT_OK(ht_ids_check(&(hither_ids){0}, &err));
}

static void columns_are_built(void **state) {
    (void)state;
    hither_error err;
    ht_column column;
    ht_column_init(&column);
    assert_int_equal(ht_column_view(&column).count, 0);
    for (size_t i = 0; i < 1000; i++) {
        char text[32];
        memset(text, 'a' + (int)(i % 26), sizeof text);
        ht_column_add(&column, i % 7 == 3 ? NULL : text, i % 32);
    }
    ASSERT_OK(ht_column_check(&column, &err));
    hither_strings view = ht_column_view(&column);
    ASSERT_OK(ht_strings_check(&view, "built", 31, &err));
    for (size_t i = 0; i < 1000; i++) {
        ht_text text = ht_strings_at(&view, i);
        assert_int_equal(text.data == NULL, i % 7 == 3);
        assert_int_equal(text.bytes, i % 7 == 3 ? 0 : i % 32);
        if (text.bytes)
            assert_int_equal(text.data[text.bytes - 1], 'a' + (int)(i % 26));
    }
    ht_column_clear(&column);
    ht_column_add(&column, "", 0);
    view = ht_column_view(&column);
    assert_null(view.valid);
    assert_non_null(ht_strings_at(&view, 0).data);
    ht_column_clear(&column);

    for (uint64_t n = 1, more = 1; more; n++) {
        alloc_fault_arm(n, false);
        for (size_t i = 0; i < 500; i++)
            ht_column_add(&column, "hello", 5);
        more = alloc_fault_hit();
        alloc_fault_arm(0, false);
        ASSERT_FAILS(ht_column_check(&column, &err), more ? HITHER_NOMEM : HITHER_OK);
        ht_column_clear(&column);
        assert_int_equal(alloc_fault_live(), 0);
    }
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_of_every_short_text), cmocka_unit_test(utf8_of_long_texts),
        cmocka_unit_test(columns_are_checked),      cmocka_unit_test(ids_are_checked),
        cmocka_unit_test(columns_are_built),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
