/* test_alarm.c: on streams of many kinds, about as many alarms as were asked for, and one a form. */
#include "stream/alarm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "hither.h"

static uint64_t state;

static double uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53;
}

/* Kinds of streams of scores: even, many equal, bursts, drift, two bands as novelty has. */
static double score_of(int kind, uint64_t i, uint64_t n) {
    double u = uniform();
    switch (kind) {
    case 0:
        return 3 * u;
    case 1:
        return u < 0.9 ? 0.1 : u < 0.99 ? 1.5 : 3;
    case 2:
        return i / 2000 % 7 == 3 ? 1 + 2 * u : u;
    case 3:
        return u + 2 * (double)i / (double)n * uniform();
    default:
        return u < 0.95 ? uniform() : 1 + 2 * uniform() * uniform();
    }
}

static void test_rate(void **unused) {
    (void)unused;
    const double rates[] = {0.0005, 0.001, 0.01, 0.1};
    for (int kind = 0; kind < 5; kind++)
        for (size_t r = 0; r < 4; r++) {
            const uint64_t n = 200000;
            uint64_t alarms = 0;
            ht_alarm alarm;
            ht_alarm_init(&alarm);
            state = (uint64_t)kind + 7;
            for (uint64_t i = 0; i < n; i++)
                alarms += ht_alarm_take(&alarm, rates[r], score_of(kind, i, n), true);
            double asked = rates[r] * (double)n, ratio = (double)alarms / asked;
            if (ratio < 1 / 1.5 || ratio > 1.5)
                fail_msg("kind %d, rate %g: %llu alarms, %g asked", kind, rates[r], (unsigned long long)alarms, asked);
        }
}

/* ---- through the window: generated logs */

static hither_window *new_window(double rate, uint64_t after) {
    hither_error err = {0};
    hither_window *w;
    ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = 2000, .alarm_rate = rate,
                                               .alarm_after = after, .alarm_below = 2),
                                &w, &err));
    return w;
}

static hither_score push(hither_window *w, const char *line) {
    hither_error err = {0};
    const uint64_t offsets[] = {0, strlen(line)};
    hither_score score = {0};
    ASSERT_OK(hither_window_push(w, &(hither_strings){line, offsets, 1, NULL}, &score, &err));
    return score;
}

static void word(char *out, size_t letters) {
    for (size_t i = 0; i < letters; i++)
        out[i] = (char)('a' + (int)(uniform() * 26));
    out[letters] = 0;
}

/* Forty statements, the rarer the later, and in `share` of the lines something never seen: 0 a word in a known
 * statement, 1 whole new statements, 2 those in bursts. */
static void log_line(int kind, uint64_t i, double share, char *out, size_t room) {
    static const char *const verbs[] = {"opened", "closed", "read", "wrote", "checked", "moved", "sent", "dropped"};
    int statement = (int)(40 * uniform() * uniform());
    char a[16], b[16], c[16];
    word(a, 7);
    word(b, 5);
    word(c, 9);
    bool fresh = uniform() < (kind == 2 ? (i / 100 % 10 == 5 ? share * 10 : 0) : share);
    if (fresh && kind > 0)
        snprintf(out, room, "%s %s of %s after %d", a, b, c, (int)(uniform() * 900));
    else
        snprintf(out, room, "unit%c %s block %d from 10.0.0.%d%s%s", 'a' + statement % 26, verbs[statement % 8],
                 (int)(uniform() * 9999), (int)(uniform() * 250), fresh ? " because " : "", fresh ? a : "");
}

static void test_logs(void **unused) {
    (void)unused;
    for (int kind = 0; kind < 3; kind++)
        for (int more = 0; more < 2; more++) {
            const uint64_t lines = 12000, after = 2000;
            double rate = more ? 0.01 : 0.005;
            uint64_t alarms = 0;
            hither_window *w = new_window(rate, after);
            state = (uint64_t)kind * 2 + 1;
            for (uint64_t i = 0; i < lines; i++) {
                char line[160];
                log_line(kind, i, 0.03, line, sizeof line);
                hither_score score = push(w, line);
                assert_true(i >= after || score.alarm == 0);
                assert_true(score.alarm != 1 || score.seen < 2);
                alarms += score.alarm == 1;
            }
            double asked = rate * (double)(lines - after), ratio = (double)alarms / asked;
            if (ratio < 1 / 1.5 || ratio > 1.5)
                fail_msg("kind %d, rate %g: %llu alarms, %g asked", kind, rate, (unsigned long long)alarms, asked);
            hither_window_close(w);
        }
}

static void test_once_a_form(void **unused) {
    (void)unused;
    hither_error err = {0};
    hither_window *w = new_window(0.01, 100);
    for (int i = 0; i < 300; i++)
        assert_int_equal(push(w, "request 1 done").alarm, 0);
    assert_int_equal(push(w, "disk 7 failed").alarm, 1);
    assert_int_equal(push(w, "disk 8 failed").alarm, 2);
    for (int i = 0; i < 1998; i++)
        assert_int_equal(push(w, "request 1 done").alarm, 0);
    assert_int_equal(push(w, "disk 8 failed").alarm, 2);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(push(w, "request 1 done").alarm, 0);
    assert_int_equal(push(w, "disk 9 failed").alarm, 1); /* forgotten, so new again */
    hither_window_close(w);
    const double bad[] = {-0.1, 1.1, NAN};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(hither_window_new(HITHER_OPTIONS(hither_window_options, .alarm_rate = bad[i]), &w, &err),
                         HITHER_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_once_a_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
