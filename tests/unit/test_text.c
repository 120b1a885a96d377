/* test_text.c: classes and folds of all characters against Python's Unicode data, the shapes, the tokens. */
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/pattern.h"
#include "base/strings.h"
#include "cmocka_all.h"
#include "embedder_golden.h"

#define SEED 11u

static uint64_t digest(uint64_t h, const void *data, size_t bytes) {
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static void test_classes_and_folds_of_all_characters(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof golden_classes / sizeof *golden_classes; i++) {
        uint64_t h = 0xcbf29ce484222325u;
        for (uint32_t cp = golden_classes[i].first; cp < golden_classes[i].last; cp++) {
            unsigned char class = (unsigned char)ht_char_class_of(cp);
            h = digest(h, &class, 1);
            if (class == HT_CHAR_OTHER || class == HT_CHAR_IGNORED)
                continue;
            uint32_t folded[HT_FOLD_MAX];
            size_t count = ht_char_fold(cp, folded);
            assert_in_range(count, 1, HT_FOLD_MAX);
            for (size_t j = 0; j < count; j++) {
                char utf8[4];
                h = digest(h, utf8, ht_utf8_put(folded[j], utf8));
            }
        }
        if (h != golden_classes[i].digest)
            fail_msg("characters from U+%04X: digest %016llx", golden_classes[i].first, (unsigned long long)h);
    }
}

/* What a fold gives is folded already, and counts as something: else equal words would differ by their spelling. */
static void test_folding_twice_is_folding_once(void **state) {
    (void)state;
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        ht_char_class class = ht_char_class_of(cp);
        if (class == HT_CHAR_OTHER || class == HT_CHAR_IGNORED)
            continue;
        uint32_t once[HT_FOLD_MAX], twice[HT_FOLD_MAX];
        size_t count = ht_char_fold(cp, once);
        for (size_t i = 0; i < count; i++) {
            size_t again = ht_char_fold(once[i], twice);
            if (again != 1 || twice[0] != once[i] || ht_char_class_of(once[i]) == HT_CHAR_OTHER)
                fail_msg("U+%04X folds to U+%04X, which folds to U+%04X", cp, once[i], twice[0]);
        }
    }
}

static void test_utf8_agrees_with_the_checker(void **state) {
    (void)state;
    uint64_t seed = SEED;
    static const unsigned char pieces[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                           0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF};
    for (int round = 0; round < 200000; round++) {
        char text[5], again[4];
        size_t bytes = 1 + (size_t)(seed >> 60) % 5, length;
        for (size_t i = 0; i < bytes; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[i] = (char)pieces[(seed >> 33) % sizeof pieces];
        }
        bool valid;
        uint32_t cp = ht_utf8_next(text, bytes, &length, &valid);
        assert_in_range(length, 1, bytes);
        size_t prefix = ht_utf8_valid_prefix(text, bytes);
        if (valid != (prefix > 0))
            fail_msg("seed %u, round %d: %s, but the valid prefix is %zu", SEED, round, valid ? "valid" : "invalid",
                     prefix);
        if (valid) {
            assert_int_equal(ht_utf8_put(cp, again), length);
            assert_memory_equal(again, text, length);
        } else {
            assert_int_equal(cp, 0xFFFD);
        }
    }
}

typedef size_t matcher(const char *text, size_t bytes, size_t at);

static void test_shapes(void **state) {
    (void)state;
    static const struct {
        matcher *match;
        const char *text;
        size_t length;
    } cases[] = {
        {ht_match_uuid, "550e8400-e29b-41d4-a716-446655440000", 36},
        {ht_match_uuid, "550E8400-e29b-41d4-a716-44665544000F.", 36},
        {ht_match_uuid, "550e8400-e29b-41d4-a716-4466554400001", 0},
        {ht_match_uuid, "550e8400-e29b-41d4-a716-44665544000", 0},
        {ht_match_uuid, "550e8400xe29b-41d4-a716-446655440000", 0},
        {ht_match_uuid, "550e8400-e29b-41d4-a716-446655440000\xc3\xa9", 0},
        {ht_match_mac, "00:1b:44:11:3a:B7", 17},
        {ht_match_mac, "00-1b-44-11-3a-b7 x", 17},
        {ht_match_mac, "00:1b-44:11:3a:b7", 0},
        {ht_match_mac, "00:1b:44:11:3a:b", 0},
        {ht_match_mac, "00:1b:44:11:3a:b7a", 0},
        {ht_match_ipv4, "10.0.0.1", 8},
        {ht_match_ipv4, "255.255.255.255:80", 15},
        {ht_match_ipv4, "10.0.0.1.", 8},
        {ht_match_ipv4, "10.0.0.1.5", 0},
        {ht_match_ipv4, "10.0.0.256", 0},
        {ht_match_ipv4, "10.0.0.0001", 0},
        {ht_match_ipv4, "10.0.0.", 0},
        {ht_match_ipv4, "10.0.0", 0},
        {ht_match_ipv4, "10.0.0.1x", 0},
        {ht_match_ipv6, "fe80::1", 7},
        {ht_match_ipv6, "fe80::1: text", 7},
        {ht_match_ipv6, "2001:db8:1:2:3:4:5:6", 20},
        {ht_match_ipv6, "2001:db8:1:2:3:4:5", 0},
        {ht_match_ipv6, "1::", 3},
        {ht_match_ipv6, "1:2::3::4", 0},
        {ht_match_ipv6, "1:::4", 0},
        {ht_match_ipv6, "12345::1", 0},
        {ht_match_ipv6, "dead::beef", 0},
        {ht_match_ipv6, "12:30:45", 0},
        {ht_match_ipv6, "1111:2222:3333:4444:5555:6666:7777:8888", 39},
        {ht_match_ipv6, "1111:2222:3333:4444:5555:6666:7777:8888:", 0},
        {ht_match_hex, "0x0", 3},
        {ht_match_hex, "0XdeadBEEF,", 10},
        {ht_match_hex, "0x", 0},
        {ht_match_hex, "0xg", 0},
        {ht_match_hex, "e3b0c44", 7},
        {ht_match_hex, "e3b0c4", 0},
        {ht_match_hex, "12345678", 0},
        {ht_match_hex, "deadbeef", 0},
        {ht_match_hex, "e3b0c44z", 0},
        {ht_match_hex, "e3b0c44_", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bytes = strlen(cases[i].text);
        char *exact = malloc(bytes + 2); /* at offset 1 and without a NUL: a sanitizer sees a read past the end */
        exact[0] = '<';
        memcpy(exact + 1, cases[i].text, bytes);
        size_t length = cases[i].match(exact, bytes + 1, 1);
        free(exact);
        if (length != cases[i].length)
            fail_msg("case %zu, %s: %zu bytes, should be %zu", i, cases[i].text, length, cases[i].length);
    }
}

static void write_tokens(const char *text, char *out, size_t room) {
    static const char kinds[] = "wcnhua";
    ht_tokens tokens;
    ht_token token;
    size_t filled = 0, last = 0;
    out[0] = 0;
    ht_tokens_start(&tokens, text, strlen(text));
    while (ht_tokens_next(&tokens, &token)) {
        assert_true(token.begin >= last && token.end > token.begin);
        last = token.end;
        filled += (size_t)snprintf(out + filled, room - filled, "%s%c%s:%.*s", filled ? " " : "", kinds[token.kind],
                                   token.after_cjk ? "+" : "", (int)token.bytes, token.text);
    }
    assert_true(last <= strlen(text));
}

static void test_tokens(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {" \t.,;", ""},
        {"Hello, W\303\266rld!", "w:hello w:world"},
        {"utf8 x86_64", "w:utf n:8 w:x n:86 n:64"},
        {"3.14,5 1,024. 7.", "n:3.14,5 n:1,024 n:7"},
        {"10.0.0.1:80 1.2.3.4.5", "a:10.0.0.1 n:80 n:1.2.3.4.5"},
        {"xe3b0c44 _e3b0c44 \303\251e3b0c44", "w:xe n:3 w:b n:0 w:c n:44 h:e3b0c44 w:ee n:3 w:b n:0 w:c n:44"},
        {"550E8400-e29b-41d4-a716-446655440000", "u:550e8400-e29b-41d4-a716-446655440000"},
        {"e\314\201 \303\251 E\314\201", "w:e w:e w:e"},
        {"\346\235\261\344\272\254 abc\346\235\261", "c:\346\235\261 c+:\344\272\254 w:abc c:\346\235\261"},
        {"\346\235\261\357\270\217\344\272\254", "c:\346\235\261 c+:\344\272\254"},
        {"\357\274\241\357\274\221 \342\205\247 m\302\262", "w:a n:1 w:viii w:m n:2"},
        {"a\377b\300\200c", "w:a w:b w:c"},
        {"soft\302\255hyphen", "w:softhyphen"},
        {"Stra\303\237e \357\254\202at", "w:strasse w:flat"},
    };
    char got[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_tokens(cases[i][0], got, sizeof got);
        assert_string_equal(got, cases[i][1]);
    }
}

static void test_long_runs_are_cut(void **state) {
    (void)state;
    char text[1000], got[2000];
    memset(text, 'A', sizeof text);
    text[130] = 0;
    write_tokens(text, got, sizeof got);
    assert_int_equal(strlen(got), 3 * 2 + 2 + 130);
    assert_memory_equal(got + 66, " w:a", 4);
    assert_string_equal(got + 66 + 67, " w:aa");
    /* 64 characters that fold to 4 each fill the token's room: the largest token there is. */
    for (size_t i = 0; i < 64; i++)
        memcpy(text + 3 * i, "\342\205\247", 4);
    ht_tokens tokens;
    ht_token token;
    ht_tokens_start(&tokens, text, strlen(text));
    assert_true(ht_tokens_next(&tokens, &token));
    assert_int_equal(token.bytes, 256);
    assert_false(ht_tokens_next(&tokens, &token));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_and_folds_of_all_characters),
        cmocka_unit_test(test_folding_twice_is_folding_once),
        cmocka_unit_test(test_utf8_agrees_with_the_checker),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_long_runs_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
