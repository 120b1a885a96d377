/* test_mask.c: lines and their forms; that equal statements get equal forms; odd bytes; linear time's bounds. */
#include "stream/mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "cmocka_all.h"

#define SEED  23u
#define NEVER "never \\{uuid}\\{uuid}" /* fits nothing here */

static const char *mask(ht_buf *buf, const char *line) {
    ht_buf_reset(buf);
    ht_mask_line(NULL, line, strlen(line), buf);
    assert_false(buf->failed);
    return buf->data ? buf->data : "";
}

static void test_lines_and_forms(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"  lead \t and   trail  \r\n", "lead and trail"},
        {"nothing to mask here.", "nothing to mask here."},
        /* times */
        {"2026-11-21T13:17:30.123Z up", "<time> up"},
        {"2026-11-21 13:17:30,747 - up", "<time> - up"},
        {"2026/11/21 up", "<time> up"},
        {"[21/Nov/2026:13:17:30 +0100] up", "[<time>] up"},
        {"Jun 14 15:16:01 up", "<time> up"},
        {"Jun  4 15:16:01 up", "<time> up"},
        {"Sat Nov 21 13:17:30 2026 up", "<time> up"},
        {"Mon, 21 Nov 2026 13:17:30 GMT up", "<time> up"},
        {"June 14, 2026 10:00:01 PM up", "<time> up"},
        {"13:17:30.123456 up", "<time> up"},
        {"13:17:30+02:00 up", "<time> up"},
        {"9:17:30 up", "<time> up"},
        {"21.11.2026 up", "<time> up"},
        {"ratio 12:30", "ratio <num>:<num>"},
        {"you may 5 times", "you may <num> times"},
        {"Sun is up", "Sun is up"},
        {"2026-13-41", "<num>-<num>-<num>"},
        /* numbers */
        {"took 12.5ms, 45% of 3GB", "took <num>, <num> of <num>"},
        {"1,024 1e-05 +3 -4", "<num>"},
        {"took 1h30m15s", "took <num>"},
        {"10GbE 3rd 2x", "<num>GbE <num>rd <num>"},
        {"eth0 worker-7 a5b", "eth<num> worker-<num> a<num>b"},
        {"blk_-6952295868487656571", "blk_<num>"},
        {"5-6 a-5 --5", "<num>-<num> a-<num> --<num>"},
        {"v1.2.3-rc4", "v<num>-rc<num>"},
        {"ids 1 2 3 4", "ids <num>"},
        {"a a b b", "a a b b"},
        {"x=1 x=2 y=3", "x=<num> y=<num>"},
        /* hex, ids, addresses */
        {"0x1f at 0xDEADBEEF", "<hex> at <hex>"},
        {"commit e3b0c44298fc of deadbeef", "commit <hex> of deadbeef"},
        {"id 550e8400-e29b-41d4-a716-446655440000.", "id <uuid>."},
        {"pod web-7d4b9c6f5d-x2v9q", "pod web-<hex>-<id>"},
        {"from 10.0.0.1:8080 to /10.0.0.2", "from <ip>:<num> to /<ip>"},
        {"from fe80::1%eth0: no", "from <ip>%eth<num>: no"},
        {"::ffff:10.0.0.1", "::ffff:<ip>"},
        {"mac 00:1b:44:11:3a:b7 up", "mac <mac> up"},
        {"300.300.300.300", "<num>"},
        {"mail joe.doe+x@mail.example.co.uk, <a@b.de>", "mail <email>, <<email>>"},
        {"not@mail @home a@b", "not@mail @home a@b"},
        {"at www.example.com (a.b.example.ru)", "at <host> (<host>)"},
        {"org.apache.zookeeper.Main lib.so foo.py", "org.apache.zookeeper.Main lib.so foo.py"},
        /* quotes */
        {"can't open 'foo bar' in \"a \\\" b\"", "can't open <str> in <str>"},
        {"don't and won't", "don't and won't"},
        {"\"key\": \"value\" left \"open", "\"key\": <str> left \"open"},
        {"{\"level\":\"error\",\"msg\":\"disk full\",\"n\":7}",
         "{\"level\":\"error\",\"msg\":\"disk full\",\"n\":<num>}"},
        /* names and paths */
        {"Invalid user admin from 10.0.0.1 port 22", "Invalid user <name> from <ip> port <num>"},
        {"user unknown", "user unknown"},
        {"for root from a, for me to go from", "for <name> from a, for me to go from"},
        {"ruser= rhost=ns1.example.com user=root", "ruser= rhost=<name> user=<name>"},
        {"/home/alice/x1.txt and C:\\Users\\bob\\y", "/home/<name>/x<num>.txt and C:\\Users\\<name>\\y"},
        {"/var/log/app-12/e3b0c44298fc.log", "/var/log/app-<num>/<hex>.log"},
        /* bytes beyond ASCII */
        {"caf\303\251 na\303\257ve \346\235\261\344\272\254 9",
         "caf\303\251 na\303\257ve \346\235\261\344\272\254 <num>"},
        {"\303\2515\303\251", "\303\251<num>\303\251"},
        {"bad \377\376 \303", "bad \357\277\275\357\277\275 \357\277\275"},
        {"a\001b\177c", "a b c"},
    };
    ht_buf buf;
    ht_buf_init(&buf, 1u << 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = mask(&buf, cases[i][0]);
        if (strcmp(got, cases[i][1]) != 0)
            fail_msg("\"%s\" gives \"%s\", should be \"%s\"", cases[i][0], got, cases[i][1]);
    }
    ht_buf_clear(&buf);
}

/* What one statement prints with other values has one form. */
static void test_one_statement_one_form(void **state) {
    (void)state;
    ht_buf buf;
    char line[512], first[512] = "";
    uint64_t seed = SEED;
    ht_buf_init(&buf, 1u << 16);
    for (int round = 0; round < 5000; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned a = (unsigned)(seed >> 33), b = (unsigned)(seed >> 20);
        int listed =
            snprintf(line, sizeof line,
                     "2026-%02u-%02u %02u:%02u:%02u.%03u worker-%u: request %08x-%04x-4%03x-a%03x-%012x from "
                     "%u.%u.%u.%u:%u took %u.%ums (%u%%), blocks",
                     1 + a % 12, 1 + b % 28, a % 24, b % 60, a % 60, b % 1000, a % 100, a, b & 0xFFFF, a & 0xFFF,
                     b & 0xFFF, b, a % 256, b % 256, a % 200, b % 250, a % 65536, b % 5000, a % 10, a % 101);
        for (unsigned i = 0; i <= a % 5; i++)
            listed += snprintf(line + listed, sizeof line - (size_t)listed, " blk_%d", (int)(b + i) * (i % 2 ? 1 : -1));
        const char *got = mask(&buf, line);
        if (round == 0)
            snprintf(first, sizeof first, "%s", got);
        else if (strcmp(got, first) != 0)
            fail_msg("seed %u, round %d: \"%s\" gives \"%s\", the first gave \"%s\"", SEED, round, line, got, first);
    }
    assert_string_equal(first,
                        "<time> worker-<num>: request <uuid> from <ip>:<num> took <num> (<num>), blocks blk_<num>");
    ht_buf_clear(&buf);
}

/* With rules each shape is tried at each letter. */
static void as_slowly(const char *line, size_t bytes, const ht_buf *fast, const ht_rules *never, int round) {
    ht_buf slow;
    ht_buf_init(&slow, 6 * bytes + 64);
    ht_mask_line(never, line, bytes, &slow);
    if (slow.size != fast->size || (slow.size > 0 && memcmp(slow.data, fast->data, slow.size) != 0))
        fail_msg("seed %u, round %d: \"%.*s\" gives \"%.*s\", with rules \"%.*s\"", SEED, round, (int)bytes, line,
                 (int)fast->size, fast->size ? fast->data : "", (int)slow.size, slow.size ? slow.data : "");
    ht_buf_clear(&slow);
}

/* Random pieces of shapes, cut anywhere: the form is UTF-8 and within the growth the window reckons with; and a text's
 * end acts like the end of a word, so nothing behind the line is read (a sanitizer would see it). */
static void test_odd_bytes(void **state) {
    (void)state;
    static const char *const pieces[] = {"1",
                                         "12:",
                                         "::",
                                         "a@b.",
                                         "com",
                                         "0x",
                                         "f",
                                         "\"",
                                         "'",
                                         " ",
                                         "-",
                                         "Jun",
                                         " 14",
                                         "20",
                                         "26-",
                                         ".",
                                         ",",
                                         "\xff",
                                         "\xc3",
                                         "\\",
                                         "=",
                                         "user=",
                                         "/home/",
                                         "e",
                                         "ms",
                                         "h",
                                         "\303\251",
                                         "T",
                                         "Z",
                                         "+01",
                                         "{",
                                         "<num>",
                                         "x2v9",
                                         "for ",
                                         " from ",
                                         "ab:",
                                         "Mon ",
                                         "_",
                                         "%",
                                         "www",
                                         "invalid user ",
                                         "fee",
                                         "zone",
                                         "Mar",
                                         "7 ",
                                         " 3 Jan 2026",
                                         "1234",
                                         ")",
                                         "5;"};
    uint64_t seed = SEED;
    ht_rules *never;
    hither_error err;
    ASSERT_OK(ht_rules_new(NEVER, sizeof NEVER - 1, &never, &err));
    for (int round = 0; round < 40000; round++) {
        char line[256];
        size_t bytes = 0;
        for (;;) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            const char *piece = pieces[(seed >> 33) % (sizeof pieces / sizeof *pieces)];
            size_t length = strlen(piece);
            if (bytes + length > sizeof line || (seed >> 60) == 0)
                break;
            memcpy(line + bytes, piece, length);
            bytes += length;
        }
        char *exact = malloc(bytes ? bytes : 1);
        memcpy(exact, line, bytes);
        ht_buf buf;
        ht_buf_init(&buf, 6 * bytes + 64);
        ht_mask_line(NULL, exact, bytes, &buf);
        if (buf.failed || (buf.size > 0 && ht_utf8_valid_prefix(buf.data, buf.size) != buf.size))
            fail_msg("seed %u, round %d: %.*s", SEED, round, (int)bytes, line);
        as_slowly(exact, bytes, &buf, never, round);
        ht_buf_clear(&buf);
        free(exact);
    }
    ht_rules_free(never);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_forms),
        cmocka_unit_test(test_one_statement_one_form),
        cmocka_unit_test(test_odd_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
