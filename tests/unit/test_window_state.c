/* test_window_state.c: a window saved and opened goes on as if it had never stopped; its rules; why a record scored. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "hither.h"

static char folder[64], path[96];

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hither-window-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static hither_score push_at(hither_window *w, const char *text, const int64_t *time_ms) {
    hither_error err = {0};
    const uint64_t offsets[] = {0, strlen(text)};
    hither_score score;
    ASSERT_OK(hither_window_push_rows(
        w, HITHER_OPTIONS(hither_window_rows, .texts = {text, offsets, 1, NULL}, .times_ms = time_ms), &score, &err));
    return score;
}

static hither_score push(hither_window *w, const char *text) { return push_at(w, text, NULL); }

static const char *line_of(unsigned i) {
    static char line[128];
    static const char *const WORDS[] = {"disk", "net", "user", "cache", "queue", "lock", "page"};
    unsigned h = i * 2654435761u >> 16;
    snprintf(line, sizeof line, "%s worker %u %s %s in %u ms", h % 31 ? "ok" : "odd", i, WORDS[h % 7], WORDS[h / 7 % 7],
             h);
    return line;
}

static void same_scores(const hither_score *a, const hither_score *b) {
    assert_memory_equal(&a->novelty, &b->novelty, sizeof a->novelty);
    assert_memory_equal(&a->rarity, &b->rarity, sizeof a->rarity);
    assert_memory_equal(&a->distance, &b->distance, sizeof a->distance);
    assert_memory_equal(&a->centroid, &b->centroid, sizeof a->centroid);
    assert_int_equal(a->seen, b->seen);
    assert_int_equal(a->alarm, b->alarm);
    assert_int_equal(a->record, b->record);
    assert_int_equal(a->nearest, b->nearest);
    assert_int_equal(a->form, b->form);
}

static void goes_on(const hither_window_options *options) {
    hither_error err = {0};
    hither_window *w, *again;
    ASSERT_OK(hither_window_new(options, &w, &err));
    for (unsigned i = 0; i < 700; i++)
        push(w, line_of(i));
    ASSERT_OK(hither_window_save(w, path, &err));
    ASSERT_OK(hither_window_open(path, NULL, &again, &err));
    unsigned alarms = 0;
    for (unsigned i = 700; i < 1500; i++) {
        hither_score a = push(w, line_of(i)), b = push(again, line_of(i));
        same_scores(&a, &b);
        alarms += a.alarm == 1;
    }
    assert_true(alarms > 0 || !(options->alarm_rate > 0));
    float means[2][384];
    ASSERT_OK(hither_window_centroid(w, means[0], 384, &err));
    ASSERT_OK(hither_window_centroid(again, means[1], 384, &err));
    assert_memory_equal(means[0], means[1], sizeof means[0]);
    hither_window_close(w);
    hither_window_close(again);
}

static void test_goes_on(void **state) {
    (void)state;
    goes_on(HITHER_OPTIONS(hither_window_options, .capacity = 300, .alarm_rate = 0.05));
    goes_on(HITHER_OPTIONS(hither_window_options, .capacity = 300, .half_life = 50, .alarm_rate = 0.01));
    goes_on(HITHER_OPTIONS(hither_window_options, .capacity = 2000, .rules = "what worker {num} {word}\n"));
}

static void test_smaller_and_refused(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *w, *again;
    ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = 100, .rules = "order ORD-{num}\n"),
                                &w, &err));
    for (unsigned i = 0; i < 250; i++)
        push(w, line_of(i));
    ASSERT_OK(hither_window_save(w, path, &err));
    hither_window_close(w);
    ASSERT_OK(hither_window_open(path, HITHER_OPTIONS(hither_window_options, .capacity = 10), &again, &err));
    hither_result *r;
    const uint64_t numbers[] = {239, 240, 249, 250};
    ASSERT_OK(hither_window_get(again, numbers, 4, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 2);
    hither_result_free(r);
    assert_int_equal(push(again, "ok").record, 250);
    hither_window_close(again);
    assert_int_equal(hither_window_open(path, HITHER_OPTIONS(hither_window_options, .dim = 7), &again, &err),
                     HITHER_DIMENSION);
    assert_int_equal(hither_window_open(path, HITHER_OPTIONS(hither_window_options, .rules = "a b"), &again, &err),
                     HITHER_INVALID);
    assert_int_equal(hither_window_open("/nonexistent/x", NULL, &again, &err), HITHER_NOT_FOUND);
    assert_null(again);
}

/* All its records too old when it was saved: it goes on from its number, in a place that nothing was written to. */
static void test_emptied_by_age(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *w, *again;
    hither_result *r;
    const char *text = "ok worker";
    const uint64_t offsets[] = {0, strlen(text)};
    for (unsigned before = 9; before < 300; before += 200) {
        ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = 50, .age_ms = 1), &w, &err));
        for (unsigned i = 0; i < before; i++)
            push(w, line_of(i));
        usleep(5000);
        ASSERT_OK(hither_window_save(w, path, &err));
        ASSERT_OK(hither_window_open(path, NULL, &again, &err));
        ASSERT_OK(
            hither_window_search(again, HITHER_OPTIONS(hither_query, .texts = {text, offsets, 1, NULL}), 3, &r, &err));
        assert_int_equal(hither_result_count(r, 0), 0);
        hither_result_free(r);
        assert_int_equal(push(again, "one more").record, before);
        hither_window_close(again);
        hither_window_close(w);
    }
}

/* Without novelty, opened with room for more: the mean is of the records there are. */
static void test_larger(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *w, *again;
    float rows[30][4], mean[4], wanted[4];
    for (int i = 0; i < 30; i++)
        for (int j = 0; j < 4; j++)
            rows[i][j] = (float)((i * 7 + j * 5) % 11) - 4.5F;
    ASSERT_OK(
        hither_window_new(HITHER_OPTIONS(hither_window_options, .dim = 4, .capacity = 10, .no_novelty = 1), &w, &err));
    ASSERT_OK(hither_window_push_rows(w, HITHER_OPTIONS(hither_window_rows, .vectors = {rows, 30, 4, 0, HITHER_F32}),
                                      NULL, &err));
    ASSERT_OK(hither_window_centroid(w, wanted, 4, &err));
    ASSERT_OK(hither_window_save(w, path, &err));
    hither_window_close(w);
    ASSERT_OK(hither_window_open(path, HITHER_OPTIONS(hither_window_options, .capacity = 20), &again, &err));
    ASSERT_OK(hither_window_centroid(again, mean, 4, &err));
    assert_memory_equal(mean, wanted, sizeof mean);
    hither_window_close(again);
}

static void test_rules(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *w;
    const char *rules = "# of the shop\n\norder ORD-{any};\nsession sess_{hex}\npath /tenants/{any}/\nwho by {word}\n"
                        "brace a{{b";
    ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .rules = rules), &w, &err));
    push(w, "paid ORD-x/y; by anna at /tenants/acme/bills sess_00ff a{b xsess_12");
    hither_score second = push(w, "paid ORD-zz; by bob at /tenants/b/bills sess_1 a{b xsess_12");
    assert_int_equal(second.seen, 1);
    hither_result *r;
    ASSERT_OK(hither_window_explain(w, &second, &r, &err));
    hither_strings m = hither_result_metadata(r, 0);
    assert_non_null(strstr(m.bytes, "\"form\":\"paid <order> <who> at <path>bills <session> <brace> xsess_<num>\""));
    hither_result_free(r);
    hither_window_close(w);
    static const char *const BAD[] = {"name", "na:me x", "x {num", "ok a\nx {what}", "x ", "\xff x"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        hither_status status = hither_window_new(HITHER_OPTIONS(hither_window_options, .rules = BAD[i]), &w, &err);
        assert_true(status == HITHER_INVALID || status == HITHER_ENCODING);
        assert_non_null(strstr(err.message, i == 3 ? "line 2" : "rules"));
    }
}

static void test_explain(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *w;
    ASSERT_OK(hither_window_new(NULL, &w, &err));
    hither_score first = push(w, "disk sda is full at 97 percent");
    hither_score second = push(w, "disk sdb is nearly full at 98 percent");
    hither_result *r;
    ASSERT_OK(hither_window_explain(w, &second, &r, &err));
    hither_strings m = hither_result_metadata(r, 0), d = hither_result_documents(r, 0);
    assert_memory_equal(d.bytes + d.offsets[0], "disk sda is full at 97 percent", 30);
    assert_non_null(strstr(m.bytes, "\"reason\":\"new form\""));
    assert_non_null(strstr(m.bytes, "\"added\":[\"sdb\",\"nearly\"],\"removed\":[\"sda\"]"));
    hither_result_free(r);
    ASSERT_OK(hither_window_explain(w, &first, &r, &err));
    m = hither_result_metadata(r, 0);
    assert_non_null(strstr(m.bytes, "\"nearest\":null,\"form\":\"disk sda is full at <num> percent\","
                                    "\"nearest_form\":null}"));
    hither_result_free(r);
    first.record = 99; /* left, or never there */
    ASSERT_OK(hither_window_explain(w, &first, &r, &err));
    hither_result_free(r);
    hither_window_close(w);
}

/* Thirty days of a new form every ten minutes: a share of time, whatever the number of lines. */
static void test_alarms_per_day(void **state) {
    (void)state;
    hither_error err = {0};
    const double asked[] = {5, 50};
    for (int i = 0; i < 2; i++) {
        hither_window *w;
        ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = 500, .alarms_per_day = asked[i]),
                                    &w, &err));
        double alarms = 0;
        for (unsigned minute = 0; minute < 30 * 1440; minute += 10) {
            char line[96];
            int64_t time = (int64_t)minute * 60000;
            unsigned h = minute * 2654435761u;
            snprintf(line, sizeof line, "event %c%c%c%c of %c", 'a' + h % 26, 'a' + h / 26 % 26, 'a' + h / 676 % 26,
                     'a' + h / 17576 % 26, 'a' + h / 456976 % 26);
            alarms += push_at(w, line, &time).alarm == 1;
        }
        double ratio = alarms / (30 * asked[i]);
        if (ratio < 1 / 1.5 || ratio > 1.5)
            fail_msg("%g alarms in 30 days, %g a day asked for", alarms, asked[i]);
        hither_window_close(w);
    }
    hither_window *w;
    assert_int_equal(
        hither_window_new(HITHER_OPTIONS(hither_window_options, .alarms_per_day = 1, .alarm_rate = 0.1), &w, &err),
        HITHER_INVALID);
}

/* The newest count most; records that left still count. */
static void test_half_life(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *w;
    float mean[4];
    const float rows[3][4] = {{1, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 3, 0}};
    ASSERT_OK(
        hither_window_new(HITHER_OPTIONS(hither_window_options, .dim = 4, .capacity = 2, .half_life = 1), &w, &err));
    ASSERT_OK(hither_window_push_rows(w, HITHER_OPTIONS(hither_window_rows, .vectors = {rows, 3, 4, 0, HITHER_F32}),
                                      NULL, &err));
    ASSERT_OK(hither_window_centroid(w, mean, 4, &err));
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(mean[i] - (float)(1 << i) / 7.0f) < 1e-6f);
    hither_window_close(w);
    assert_int_equal(
        hither_window_new(HITHER_OPTIONS(hither_window_options, .half_life = 1, .no_centroid = 1), &w, &err),
        HITHER_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_smaller_and_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_emptied_by_age, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_larger, set_up, tear_down),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_alarms_per_day),
        cmocka_unit_test(test_half_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
