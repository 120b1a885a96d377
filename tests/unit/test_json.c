/* test_json.c: what is accepted and refused, with the place in the message, and merging of texts as they are written.
 */
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#include "alloc_fault.h"
#include "cmocka_all.h"

static hither_status parse(const char *text, hither_error *err) {
    json_t *value = NULL;
    hither_status status = ht_json_parse(text, strlen(text), HITHER_MAX_TEXT_BYTES, "row 7: metadata", &value, err);
    assert_true((status == HITHER_OK) == (value != NULL));
    json_decref(value);
    return status;
}

static void values_are_parsed(void **state) {
    (void)state;
    static const char *const good[] = {"{}",
                                       "[]",
                                       "1",
                                       " \"a\" ",
                                       "null",
                                       "true",
                                       "-0.5e-7",
                                       "{\"a\":[1,{\"b\":null}]}",
                                       "\"\\ud83d\\ude00\"",
                                       "9223372036854775807",
                                       "\"\\\\\"",
                                       "[\"[[[\"]"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        hither_error err;
        ASSERT_OK(parse(good[i], &err));
    }
    hither_error err;
    json_t *value = NULL;
    ASSERT_OK(ht_json_parse("{\"a\": [1, 2]}", 13, 13, "x", &value, &err));
    assert_int_equal(json_integer_value(json_array_get(json_object_get(value, "a"), 1)), 2);
    json_decref(value);
}

static void bad_texts_are_refused_with_the_place(void **state) {
    (void)state;
    static const struct {
        const char *text;
        hither_status status;
        const char *part; /* of the message */
    } bad[] = {
        {"", HITHER_SYNTAX, "byte 0"},
        {"   ", HITHER_SYNTAX, "row 7: metadata: "},
        {"{", HITHER_SYNTAX, "byte 1"},
        {"{\"a\":1,}", HITHER_SYNTAX, "byte 7"},
        {"{\"a\":1}x", HITHER_SYNTAX, "row 7"},
        {"{\"a\":1,\"a\":2}", HITHER_SYNTAX, "duplicate"},
        {"{\"a\":1,\"\\u0061\":2}", HITHER_SYNTAX, "duplicate"},
        {"\"\\u0000\"", HITHER_SYNTAX, "row 7"},
        {"{\"\\u0000\":1}", HITHER_SYNTAX, "row 7"},
        {"\"\\ud800\"", HITHER_SYNTAX, "row 7"},
        {"NaN", HITHER_SYNTAX, "row 7"},
        {"01", HITHER_SYNTAX, "row 7"},
        {"'a'", HITHER_SYNTAX, "row 7"},
        {"1e999", HITHER_SYNTAX, "row 7"},
        {"9223372036854775808", HITHER_SYNTAX, "row 7"},
        {"\"a", HITHER_SYNTAX, "row 7"},
        {"\"a\\", HITHER_SYNTAX, "row 7"},
        {"[1,\n\"\xc3\xa9\", \xff]", HITHER_ENCODING, "(line 2, column 6, byte 10)"},
        {"\"\xed\xa0\x80\"", HITHER_ENCODING, "byte 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hither_error err;
        ASSERT_FAILS(parse(bad[i].text, &err), bad[i].status);
        if (!strstr(err.message, bad[i].part))
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, err.message, bad[i].part);
    }
    hither_error err;
    ASSERT_FAILS(ht_json_parse("[1,2]", 5, 4, "x", &(json_t *){NULL}, &err), HITHER_TOO_LARGE);
    ASSERT_FAILS(ht_json_parse(NULL, 0, 4, "x", &(json_t *){NULL}, &err), HITHER_SYNTAX);
    ASSERT_FAILS(ht_json_parse("\"a\0b\"", 5, 9, "x", &(json_t *){NULL}, &err), HITHER_SYNTAX);
}

static void depth_is_counted_before_parsing(void **state) {
    (void)state;
    static char text[300000];
    hither_error err;
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t depth = 63; depth <= 65; depth++) {
            size_t n = 0;
            for (size_t i = 0; i < depth; i++)
                n += (size_t)sprintf(text + n, kind ? "{\"]}\\\"[{\":" : "[\"[[\",");
            n += (size_t)sprintf(text + n, "0");
            for (size_t i = 0; i < depth; i++)
                text[n++] = kind ? '}' : ']';
            text[n] = '\0';
            ASSERT_FAILS(parse(text, &err), depth <= 64 ? HITHER_OK : HITHER_TOO_LARGE);
        }
        for (size_t i = 0; i < sizeof text / 5; i++)
            memcpy(text + 5 * i, kind ? "{\"\": " : "[    ", 5);
        text[sizeof text - 1] = '\0';
        ASSERT_FAILS(parse(text, &err), HITHER_TOO_LARGE);
        assert_non_null(strstr(err.message, "byte 320)"));
    }
}

static void only_objects_are_metadata(void **state) {
    (void)state;
    hither_error err;
    ASSERT_OK(ht_json_check_object(" {\"a\": 1} ", 10, "row 3", &err));
    ASSERT_FAILS(ht_json_check_object("[1]", 3, "row 3", &err), HITHER_SYNTAX);
    assert_non_null(strstr(err.message, "row 3: a JSON object is needed"));
    ASSERT_FAILS(ht_json_check_object("", 0, "row 3", &err), HITHER_SYNTAX);
}

/* A check and a parse agree on texts of pieces that jansson has its own mind about: keys alike, also as spelt with
 * escapes, at any level; many keys; numbers near and past the largest. */
static void a_check_agrees_with_a_parse(void **state) {
    (void)state;
    static const char *const keys[] = {"\"a\"", "\"b\"", "\"\\u0061\"", "\"a\\n\"", "\"\"", "\"ab\"", "\"\xc3\xa4\""};
    static const char *const values[] = {"1",
                                         "999999999999999999",
                                         "9223372036854775807",
                                         "9223372036854775808",
                                         "-9223372036854775808",
                                         "-9223372036854775809",
                                         "0.5",
                                         "1e99",
                                         "1e308",
                                         "1e309",
                                         "1.7976931348623159e308",
                                         "1e-400",
                                         "-0",
                                         "true",
                                         "[{}, []]",
                                         "\"a\""};
    uint32_t random = 1;
    size_t accepted = 0, refused = 0;
    for (size_t round = 0; round < 20000; round++) {
        ht_buf text;
        hither_error err;
        json_t *value = NULL;
        size_t open = 0, members = 0;
        ht_buf_init(&text, SIZE_MAX);
        ht_buf_putc(&text, '{');
        for (size_t most = round % 100 == 0 ? 200 : 1 + round % 4; members < most || open; members++) {
            random = random * 1664525u + 1013904223u;
            if (open && (random >> 8 & 3) == 0) {
                ht_buf_putc(&text, '}');
                open--;
                continue;
            }
            if (members && text.data[text.size - 1] != '{')
                ht_buf_putc(&text, ',');
            if (most == 200)
                ht_buf_printf(&text, "\"k%u\":", (random >> 10) % (round % 200 ? 1000000 : 10000));
            else
                ht_buf_printf(&text, "%s:", keys[(random >> 10) % (sizeof keys / sizeof *keys)]);
            bool deeper = members < most && (random >> 20 & 7) == 0;
            open += deeper;
            ht_buf_puts(&text, deeper ? "{" : values[(random >> 23) % (sizeof values / sizeof *values)]);
        }
        ht_buf_putc(&text, '}');
        hither_status wanted = ht_json_parse(text.data, text.size, SIZE_MAX, "row 1", &value, &err);
        json_decref(value);
        assert_int_equal(ht_json_check_object(text.data, text.size, "row 1", &err), wanted);
        *(wanted == HITHER_OK ? &accepted : &refused) += 1;
        ht_buf_clear(&text);
    }
    assert_true(accepted > 2000 && refused > 2000);
}

static void a_usual_check_asks_for_no_memory(void **state) {
    (void)state;
    hither_error err;
    static const char text[] = "{\"n\": 17, \"source\": \"file-\\u00e4\", \"score\": -1.5e-07, \"tags\": [\"a\", "
                               "\"b\"], \"x\": {\"n\": null}}";
    alloc_fault_arm(1, true);
    hither_status status = ht_json_check_object(text, sizeof text - 1, "row 1", &err);
    alloc_fault_arm(0, false);
    assert_int_equal(status, HITHER_OK);
}

static void merging_keeps_what_was_written(void **state) {
    (void)state;
    static const struct {
        const char *base, *patch, *wanted;
    } cases[] = {
        {NULL, "{}", "{}"},
        {"", "{\"a\": 1}", "{\"a\":1}"},
        {"{\"a\":0.1,\"b\":1e3}", "{}", "{\"a\":0.1,\"b\":1e3}"},
        {"{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":4}", "{\"a\":1,\"b\":3,\"c\":4}"},
        {" { \"a\" : [ 1 , {\"x y\" : \" \"} ] , \"b\":\"} , \\\" {\" } ", "{\"c\" : { } }",
         "{\"a\":[1,{\"x y\":\" \"}],\"b\":\"} , \\\" {\",\"c\":{}}"},
        {"{\"a\":1}", "{\"\\u0061\": null}", "{\"a\":null}"},
        {"{\"\\u0061\":1}", "{\"a\":[]}", "{\"\\u0061\":[]}"},
        {"{\"n\":{\"x\":1}}", "{\"n\":{\"y\":2}}", "{\"n\":{\"y\":2}}"},
        {"{\"\":1}", "{\"\":2}", "{\"\":2}"},
        {"{\"\xc3\xa9\":1}", "{\"\\u00e9\":2,\"z\":-1.50}", "{\"\xc3\xa9\":2,\"z\":-1.50}"},
    };
    ht_buf out;
    hither_error err;
    ht_buf_init(&out, SIZE_MAX);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ht_buf_reset(&out);
        ASSERT_OK(ht_json_merge(cases[i].base, cases[i].base ? strlen(cases[i].base) : 0, cases[i].patch,
                                strlen(cases[i].patch), &out, &err));
        assert_string_equal(out.data, cases[i].wanted);
        ASSERT_OK(ht_json_check_object(out.data, out.size, "merged", &err));
    }
    ht_buf_reset(&out);
    ASSERT_FAILS(ht_json_merge("{}", 2, "[]", 2, &out, &err), HITHER_SYNTAX);
    ASSERT_FAILS(ht_json_merge("{", 1, "{}", 2, &out, &err), HITHER_SYNTAX);
    assert_int_equal(out.size, 0);
    ht_buf_clear(&out);
    ht_buf_init(&out, 4);
    ASSERT_FAILS(ht_json_merge("{}", 2, "{\"a\":1}", 7, &out, &err), HITHER_TOO_LARGE);
    ht_buf_clear(&out);
}

static void without_memory_it_says_so(void **state) {
    (void)state;
    hither_error err;
    const char *text = "{\"a\":[1,2,{\"b\":\"c\"}],\"d\":0.5}", *patch = "{\"x\":1,\"d\":[]}";
    for (uint64_t n = 1, more = 1; more; n++) {
        ht_buf out;
        ht_buf_init(&out, SIZE_MAX);
        alloc_fault_arm(n, false);
        hither_status status = ht_json_merge(text, strlen(text), patch, strlen(patch), &out, &err);
        more = alloc_fault_hit();
        alloc_fault_arm(0, false);
        if (status != HITHER_OK)
            assert_int_equal(status, HITHER_NOMEM);
        else
            assert_string_equal(out.data, "{\"a\":[1,2,{\"b\":\"c\"}],\"d\":[],\"x\":1}");
        ht_buf_clear(&out);
        assert_int_equal(alloc_fault_live(), 0);
    }
}

int main(void) {
    alloc_fault_install();
    alloc_fault_install_jansson();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_parsed),
        cmocka_unit_test(bad_texts_are_refused_with_the_place),
        cmocka_unit_test(depth_is_counted_before_parsing),
        cmocka_unit_test(only_objects_are_metadata),
        cmocka_unit_test(a_check_agrees_with_a_parse),
        cmocka_unit_test(a_usual_check_asks_for_no_memory),
        cmocka_unit_test(merging_keeps_what_was_written),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
