/*
 * test_regex.c: what patterns match, what is refused and where, and that nothing a pattern says makes it slow: the
 * bounds on a pattern's program are met by those that would take forever. Random patterns are compared with Python's re
 * by tests/python/test_regex.py, and with the program run step by step by tests/fuzz/fuzz_regex.c.
 */
#include <stdio.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/regex_inside.h"
#include "cmocka_all.h"

static hither_error err;

static bool matches(const char *pattern, const char *text) {
    ht_regex *r;
    ASSERT_OK(ht_regex_compile(pattern, strlen(pattern), "p", &r, &err));
    bool found = ht_regex_search(r, text, strlen(text)), again = ht_regex_search(r, text, strlen(text));
    assert_int_equal(found, again);
    ht_regex_free(r);
    return found;
}

static void test_meaning(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", true},
        {"a", "bab", true},
        {"a", "b", false},
        {"^a", "ba", false},
        {"^a", "ab", true},
        {"a$", "ba", true},
        {"a$", "ab", false},
        {"^$", "", true},
        {"$^", "", true},
        {"^$", "a", false},
        {"\\Aab\\z", "ab", true},
        {"a|bc|", "x", true},
        {"^(a|bc)$", "bc", true},
        {"^(?:ab)+$", "ababab", true},
        {"^(?:ab)+$", "ababa", false},
        {"^a{2,3}$", "aaaa", false},
        {"^a{2,3}$", "aaa", true},
        {"^a{2}$", "aa", true},
        {"^a{2,}$", "aaaaa", true},
        {"^a{0}$", "", true},
        {"^a{0,2}?b", "aab", true},
        {"^(a*)*$", "aaaa", true},
        {"^(a|b*)*c", "abbac", true},
        {"^.$", "\xc3\xa4", true},
        {"^.$", "\xf0\x9f\xa6\x89", true},
        {"^..$", "\xc3\xa4", false},
        {".", "\n", false},
        {"(?s)^.$", "\n", true},
        {"(?i)STRASSE", "strasse", true},
        {"(?i)\xc3\x84", "\xc3\xa4", true},
        {"(?si)a.B", "A\nb", true},
        {"(?i)[a-c]", "B", true},
        {"(?i)[^a]", "A", false},
        {"^[a-c]$", "d", false},
        {"^[^a-c]$", "d", true},
        {"^[]a]$", "]", true},
        {"^[a-]$", "-", true},
        {"^[^\\d]$", "7", false},
        {"^[\\w-]+$", "a-b_9", true},
        {"^\\D\\W\\S$", "a!b", true},
        {"^\\s$", "\t", true},
        {"\\.\\*\\\\", ".*\\", true},
        {"^\\x41\\u00e4$", "A\xc3\xa4", true},
        {"^[\\u0400-\\u04ff]+$", "\xd0\xb0\xd1\x8f", true},
        {"^[\\u0400-\\u04ff]+$", "a", false},
        {"^[^\\x00-\\x7f]$", "\xe6\x9d\xb1", true},
        {"[^\\s\\S]", "anything", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (matches(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("%s on \"%s\" is not %d", cases[i].pattern, cases[i].text, cases[i].matches);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *message;
    } cases[] = {
        {"a(b", "p: at character 2 of the pattern: a ( without its )"},
        {"ab)", "p: at character 3 of the pattern: a ) without its ("},
        {"\xc3\xa4[b", "p: at character 2 of the pattern: a [ without its ]"},
        {"a**", "p: at character 3 of the pattern: a repetition of a repetition; put the inner one into (?:...)"},
        {"*a", "p: at character 1 of the pattern: nothing to repeat before it"},
        {"a|+", "p: at character 3 of the pattern: nothing to repeat before it"},
        {"^*", "p: at character 2 of the pattern: an anchor cannot be repeated"},
        {"a{1001}", "p: at character 7 of the pattern: more than 1000 repetitions"},
        {"a{3,2}", "p: at character 6 of the pattern: more repetitions at least than at most"},
        {"a{x}", "p: at character 3 of the pattern: expected {n}, {n,} or {n,m}; a brace itself is \\{"},
        {"[b-a]", "p: at character 5 of the pattern: a range ends before it begins"},
        {"[a-\\d]", "p: at character 6 of the pattern: \\d and the like cannot end a range"},
        {"a\\", "p: at character 3 of the pattern: a backslash at the end"},
        {"\\bx", "p: at character 2 of the pattern: no such escape"},
        {"(a)\\1", "p: at character 5 of the pattern: no such escape"},
        {"\\xg0", "p: at character 3 of the pattern: expected two hex digits after \\x"},
        {"\\ud800", "p: at character 7 of the pattern: half of a surrogate pair is no character"},
        {"(?=a)", "p: at character 2 of the pattern: of groups with ? there is (?:...)"},
        {"(?x)a", "p: at character 2 of the pattern: of groups with ? there is (?:...)"},
        {"(?im)a", "p: at character 4 of the pattern: of flags there are (?i) and (?s)"},
        {"(?i)[\\x00-\\uffff][\\x00-\\uffff]", "p: at character 30 of the pattern: ranges too wide for (?i)"},
    };
    ht_regex *r = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hither_status status = ht_regex_compile(cases[i].pattern, strlen(cases[i].pattern), "p", &r, &err);
        assert_int_equal(status, HITHER_INVALID);
        if (strncmp(err.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s gave %s", cases[i].pattern, err.message);
    }
}

/* Patterns that would take forever, or all memory, if there were no bounds. */
static void test_bombs(void **state) {
    (void)state;
    static char text[HT_REGEX_BYTES + 2];
    ht_regex *r;
    const char *large[] = {"(((a{1000}){1000}){1000})", ".{1000}.{1000}", "(x{500}){500}"};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        ASSERT_FAILS(ht_regex_compile(large[i], strlen(large[i]), "p", &r, &err), HITHER_TOO_LARGE);
        assert_non_null(strstr(err.message, "p: the pattern is too large"));
    }
    memset(text, 'a', sizeof text);
    ASSERT_OK(ht_regex_compile(text, 4000, "p", &r, &err));
    ht_regex_free(r);
    ASSERT_FAILS(ht_regex_compile(text, HT_REGEX_BYTES + 1, "p", &r, &err), HITHER_TOO_LARGE);
    memset(text, '(', sizeof text);
    ASSERT_FAILS(ht_regex_compile(text, HT_REGEX_BYTES, "p", &r, &err), HITHER_INVALID);
    assert_true(matches("(((((((){1000}){1000}){1000}){1000}){1000}){1000}){1000}", "x"));
    assert_false(matches("^(a*)*(a*)*(a*)*(a*)*(a*)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    assert_false(matches("(a?){60}a{60}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    /* 2^20 states, if all were kept */
    memset(text, 'b', sizeof text);
    for (size_t i = 0; i < sizeof text; i += 1 + i * 7 % 5)
        text[i] = 'a';
    ASSERT_OK(ht_regex_compile("(a|b)*a(a|b){20}c", 17, "p", &r, &err));
    assert_false(ht_regex_search(r, text, sizeof text));
    text[sizeof text - 1] = 'c';
    text[sizeof text - 22] = 'a';
    assert_true(ht_regex_search(r, text, sizeof text));
    ht_regex_free(r);
}

/* What is known to take other engines exponential or quadratic time, on texts that almost match: the work, counted, is
 * bounded by the program for each byte, and twice the text is at most about twice the work. */
static void test_work(void **state) {
    (void)state;
    enum { LENGTH = 20000 };
    static char text[2 * LENGTH + 1];
    const char *bombs[] = {"(a*)*c",
                           "(a|a)*c",
                           "(a|aa)+$.",
                           "(.*)*(.*)*(.*)*z",
                           "(x+x+)+y",
                           "(a?){60}a{60}c",
                           "([a-z]+)*=",
                           "^(([a-z])+.)+[A-Z]([a-z])+$",
                           "(a|b)*a(a|b){20}c",
                           "(a.*){30}z",
                           "((a{0,30}){0,30}){0,2}z",
                           "(?i)(a|b|ab)*(bc|c|abc)*d$"};
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = "aaaabbbx"[ht_mix64(i) % 8];
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        ht_regex *r;
        uint32_t steps;
        ASSERT_OK(ht_regex_compile(bombs[i], strlen(bombs[i]), "p", &r, &err));
        assert_false(ht_regex_search(r, text, LENGTH));
        uint64_t once = ht_regex_work(r, &steps);
        ht_regex_free(r);
        ASSERT_OK(ht_regex_compile(bombs[i], strlen(bombs[i]), "p", &r, &err));
        assert_false(ht_regex_search(r, text, 2 * (size_t)LENGTH));
        uint64_t twice = ht_regex_work(r, &steps);
        ht_regex_free(r);
        assert_true(steps <= HT_REGEX_PROGRAM);
        if (once > (LENGTH + 2) * (uint64_t)steps * 4 || twice > 3 * once + 4 * (uint64_t)steps)
            fail_msg("%s, %u steps: %llu looked at, and %llu for twice the text", bombs[i], steps,
                     (unsigned long long)once, (unsigned long long)twice);
    }
}

static void test_without_memory(void **state) {
    (void)state;
    static const char pattern[] = "(?i)^(a|[^b-d\\w])+x{2,5}$";
    int64_t before = alloc_fault_live();
    hither_status status = HITHER_NOMEM;
    ht_regex *r = NULL;
    uint64_t n;
    for (n = 1; status != HITHER_OK && n < 1000; n++) {
        alloc_fault_arm(n, false);
        status = ht_regex_compile(pattern, sizeof pattern - 1, "p", &r, &err);
        alloc_fault_arm(0, false);
        assert_true(status == HITHER_OK || status == HITHER_NOMEM);
    }
    assert_true(n > 8 && ht_regex_search(r, "AaXx", 4));
    ht_regex_free(r);
    assert_int_equal(alloc_fault_live(), before);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meaning), cmocka_unit_test(test_refused),        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_work),    cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
