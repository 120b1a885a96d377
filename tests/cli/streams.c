/* streams.c: the parts of watch and its siblings from the inside: times of lines, groups. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/cmocka_all.h"
#include "groups.h"
#include "times.h"

/* 2026-11-21T13:17:30Z; lines without a zone are an hour ahead of UTC. */
static const ht_times frame = {.now_ms = 1795267050000, .zone_s = 3600};

static void times_of_lines(void **state) {
    (void)state;
    static const struct {
        const char *line, *time; /* NULL: none */
    } samples[] = {
        {"2026-11-21T13:17:30.123Z ok", "2026-11-21T13:17:30.123Z"},
        {"2026-11-21T13:17:30,5+02:00 ok", "2026-11-21T11:17:30.500Z"},
        {"2026-11-21 13:17:30 no zone", "2026-11-21T12:17:30.000Z"},
        {"2026-11-21 13:17:30 +0530 x", "2026-11-21T07:47:30.000Z"},
        {"[2026-11-21 13:17:30.123456789] x", "2026-11-21T12:17:30.123Z"},
        {"2026/11/21 13:17:30 [error] 7#7: nginx", "2026-11-21T12:17:30.000Z"},
        {"ts=2024-02-29T23:59:60Z leap", "2024-03-01T00:00:00.000Z"},
        {"1.2.3.4 - - [21/Nov/2026:13:17:30 +0100] \"GET / HTTP/1.1\" 200 5", "2026-11-21T12:17:30.000Z"},
        {"[Sat Nov 21 13:17:30.5 2026] [core:error] apache", "2026-11-21T12:17:30.500Z"},
        {"Nov 21 13:17:30 host sshd[7]: syslog", "2026-11-21T12:17:30.000Z"},
        {"<13>Nov  1 01:02:03 host x", "2026-11-01T00:02:03.000Z"},
        {"Dec 24 01:02:03 of the last year", "2025-12-24T00:02:03.000Z"},
        {"nov 22 01:00:00 a clock ahead", "2026-11-22T00:00:00.000Z"},
        {"1795267050 epoch", "2026-11-21T13:17:30.000Z"},
        {"1795267050.25 epoch", "2026-11-21T13:17:30.250Z"},
        {"[1795267050123] ms", "2026-11-21T13:17:30.123Z"},
        {"1795267050123456 us", "2026-11-21T13:17:30.123Z"},
        {"1795267050123456789 ns", "2026-11-21T13:17:30.123Z"},
        {"1969-12-31T23:59:59.999Z before", "1969-12-31T23:59:59.999Z"},
        {"2026-13-21T13:17:30Z", NULL},
        {"2026-11-21T24:17:30Z", NULL},
        {"12026-11-21T14:17:30Z", NULL},
        {"2026-11-21", NULL},
        {"13:17:30 only a time of day", NULL},
        {"179526705 too short, 1795267050 not at the beginning", NULL},
        {"1795267050abc", NULL},
        {"v1.2026-11-21T13:17:30Z", NULL},
        {"Novel 21 13:17:30", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char *copy = malloc(strlen(samples[i].line) + 1), text[HT_TIME_TEXT] = "none";
        memcpy(copy, samples[i].line, strlen(samples[i].line));
        const int64_t time_ms = ht_line_time(copy, strlen(samples[i].line), &frame);
        free(copy);
        if (time_ms != HT_NO_TIME)
            ht_time_text(time_ms, text);
        if (strcmp(text, samples[i].time ? samples[i].time : "none") != 0)
            fail_msg("%s: %s", samples[i].line, text);
    }
}

static void clock_of_a_stream(void **state) {
    (void)state;
    ht_clock clock = {0};
    int64_t wall[] = {HT_NO_TIME, HT_NO_TIME};
    ht_clock_fill(&clock, &frame, wall, 2);
    assert_false(clock.own);
    assert_int_equal(wall[0], frame.now_ms);
    assert_int_equal(wall[1], frame.now_ms);
    clock = (ht_clock){0};
    int64_t own[] = {HT_NO_TIME, 5000, HT_NO_TIME, 4000, HT_NO_TIME};
    ht_clock_fill(&clock, &frame, own, 5);
    static const int64_t want[] = {5000, 5000, 5000, 4000, 4000};
    assert_true(clock.own);
    assert_memory_equal(own, want, sizeof want);
    int64_t later[] = {HT_NO_TIME};
    ht_clock_fill(&clock, &frame, later, 1);
    assert_int_equal(later[0], 4000);
}

/* ---- groups */

enum { CAPACITY = 20, LINES = 2000 };

typedef struct twin {
    char text[64]; /* of the leader */
    float *vector;
    uint64_t count;
} twin;

static bool has_text(const ht_line_group *group, const char *text) {
    return group->bytes == strlen(text) && memcmp(group->text, text, group->bytes) == 0;
}

static size_t left;
static void on_leaving(void *ctx, const ht_line_group *group) {
    const twin *twins = ctx;
    assert_true(has_text(group, twins[left].text));
    assert_int_equal(twins[left].count, group->count);
    left++;
}

static void embed(hither_embedder *embedder, const char *text, float *vector) {
    const uint64_t offsets[] = {0, strlen(text)};
    hither_error err = {0};
    ASSERT_OK(hither_embedder_embed(embedder, &(hither_strings){.bytes = text, .offsets = offsets, .count = 1}, vector,
                                    &err));
}

/* Against leaders kept in a list and compared one by one; texts without anything to mask. A line of a known form stays
 * with the leader it had, as long as that is kept. */
static void groups_are_led_by_the_nearest(void **state) {
    (void)state;
    hither_error err = {0};
    hither_embedder *embedder;
    hither_window *window;
    ht_groups *groups;
    ASSERT_OK(hither_embedder_builtin(&embedder, &err));
    ASSERT_OK(hither_window_new(&(hither_window_options){.size = sizeof(hither_window_options)}, &window, &err));
    ASSERT_OK(ht_groups_new(CAPACITY, 0.3, NULL, &groups, &err));
    static const char *const words[] = {"disk", "full", "user", "login", "failed", "network", "down", "is"};
    const uint32_t dim = hither_embedder_dim(embedder);
    twin *twins = calloc(LINES, sizeof *twins);
    float *vector = calloc(dim, sizeof *vector);
    size_t led = 0;
    struct {
        char text[64];
        size_t leader;
    } *known = calloc(LINES, sizeof *known);
    uint64_t seed = 7;
    left = 0;
    ht_groups_on_leaving(groups, on_leaving, twins);
    for (size_t i = 0; i < LINES; i++) {
        char text[64] = "";
        for (size_t j = 0; j < 4; j++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", j ? " " : "", words[seed >> 33 & 7]);
        }
        embed(embedder, text, vector);
        size_t best = led, same = 0;
        double near = 2;
        while (same < i && strcmp(known[same].text, text) != 0)
            same++;
        for (size_t t = led > CAPACITY ? led - CAPACITY : 0; t < led; t++) {
            double sum = 0;
            for (uint32_t d = 0; d < dim; d++)
                sum += (double)vector[d] * (double)twins[t].vector[d];
            if (1 - sum < near - 1e-7) {
                near = 1 - sum;
                best = t;
            }
        }
        if (same < i && known[same].leader + CAPACITY >= led) {
            best = known[same].leader;
        } else if (near > 0.3 + 1e-6) {
            best = led++;
            snprintf(twins[best].text, sizeof twins[best].text, "%s", text);
            twins[best].vector = malloc(dim * sizeof *vector);
            memcpy(twins[best].vector, vector, dim * sizeof *vector);
        }
        const uint64_t offsets[] = {0, strlen(text)};
        const hither_strings line = {.bytes = text, .offsets = offsets, .count = 1};
        hither_score score;
        ASSERT_OK(hither_window_push(window, &line, &score, &err));
        ASSERT_OK(ht_groups_add(groups, &line, &score, &err));
        twins[best].count++;
        snprintf(known[same].text, sizeof known[same].text, "%s", text);
        known[same].leader = best;
    }
    assert_int_equal(led, left + ht_groups_count(groups));
    assert_in_range(left, 1, LINES);
    for (size_t i = 0; i < ht_groups_count(groups); i++)
        on_leaving(twins, ht_groups_at(groups, i));
    for (size_t i = 0; i < led; i++)
        free(twins[i].vector);
    free(twins);
    free(known);
    free(vector);
    ht_groups_free(groups);
    hither_window_close(window);
    hither_embedder_close(embedder);
}

static void growing_groups(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *window;
    ht_groups *groups;
    ASSERT_OK(hither_window_new(NULL, &window, &err));
    ASSERT_OK(ht_groups_new(100, 0.3, NULL, &groups, &err));
    static const char *const kinds[] = {"disk full", "user login failed", "network is down", "tea is ready"};
    for (unsigned tick = 0; tick < 100; tick++) {
        for (size_t kind = 0; kind < 4; kind++) /* the second grows, the fourth stops */
            for (size_t n = kind == 1 ? tick / 10 : kind == 3 && tick > 50 ? 0 : kind + 1; n > 0; n--) {
                const uint64_t offsets[] = {0, strlen(kinds[kind])};
                const hither_strings line = {.bytes = kinds[kind], .offsets = offsets, .count = 1};
                hither_score score;
                ASSERT_OK(hither_window_push(window, &line, &score, &err));
                ASSERT_OK(ht_groups_add(groups, &line, &score, &err));
            }
        if (tick < 99)
            ht_groups_tick(groups);
    }
    const ht_line_group *found[4];
    assert_int_equal(ht_groups_growing(groups, 10, found, 4), 4);
    assert_true(has_text(found[0], kinds[1]));
    assert_true(has_text(found[1], kinds[2]));
    assert_true(has_text(found[2], kinds[0]));
    assert_true(has_text(found[3], kinds[3]));
    assert_int_equal(ht_groups_growing(groups, 10, found, 2), 2);
    assert_true(has_text(found[0], kinds[1]));
    assert_int_equal(ht_groups_lines(groups, found[0], 0), 9);
    assert_int_equal(ht_groups_lines(groups, found[0], 20), 7);
    assert_int_equal(ht_groups_lines(groups, found[0], HT_GROUP_TICKS), 0);
    ht_groups_free(groups);
    hither_window_close(window);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_of_lines),
        cmocka_unit_test(clock_of_a_stream),
        cmocka_unit_test(groups_are_led_by_the_nearest),
        cmocka_unit_test(growing_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
