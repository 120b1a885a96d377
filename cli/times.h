/*
 * times.h: the time a log line states itself, and the clock of a stream: the lines' own times where they have them, the
 * wall's clock otherwise. Main thread only, but for ht_line_time: any thread.
 */
#ifndef HT_CLI_TIMES_H
#define HT_CLI_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HT_NO_TIME INT64_MIN

/* What a line leaves open: the year, and the zone. */
typedef struct ht_times {
    int64_t now_ms; /* since 1970, UTC */
    int32_t zone_s; /* of lines that name none: seconds ahead of UTC */
} ht_times;
ht_times ht_times_now(void);

/* The first of these that stands in the first 256 bytes of the line, in ms since 1970, UTC, or HT_NO_TIME:
 * 2026-11-21T13:17:30.123+01:00 (ISO 8601, also with a blank, or slashes as nginx has them), Nov 21 13:17:30 (syslog),
 * 21/Nov/2026:13:17:30 +0100 and Sat Nov 21 13:17:30.1 2026 (Apache), and at the beginning 1795267050, with
 * milliseconds or a fraction (epoch, 2001 to 2286). */
int64_t ht_line_time(const char *line, size_t bytes, const ht_times *times);

enum { HT_TIME_TEXT = 32 };
/* 2026-11-21T13:17:30.123Z */
void ht_time_text(int64_t time_ms, char out[HT_TIME_TEXT]);

/* The clock of a stream. Once a line had a time, the lines' times rule: a line without takes that of the one before. */
typedef struct ht_clock {
    bool own;        /* the lines' times rule */
    int64_t last_ms; /* of the line before */
} ht_clock;
/* times_ms[i] is the line's own time or HT_NO_TIME, and becomes the time it counts with. In a batch that has the first
 * time of all, the lines before it take that. */
void ht_clock_fill(ht_clock *clock, const ht_times *times, int64_t *times_ms, size_t count);

#endif
