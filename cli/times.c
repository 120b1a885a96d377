/* times.c: see times.h. Linear time: each shape is tried where a digit or a letter begins a word. */
#include "times.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { LOOK_AT_BYTES = 256 };

/* Text that is taken from the front. */
typedef struct cursor {
    const char *text;
    size_t bytes;
} cursor;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

static bool take_char(cursor *c, const char *any) {
    if (c->bytes == 0 || *c->text == 0 || !strchr(any, *c->text))
        return false;
    c->text++;
    c->bytes--;
    return true;
}

/* A number of least to most digits, all that stand there. */
static bool take_number(cursor *c, size_t least, size_t most, int *out) {
    size_t n = 0;
    int value = 0;
    while (n < c->bytes && n < most && is_digit(c->text[n]))
        value = value * 10 + (c->text[n++] - '0');
    if (n < least || (n < c->bytes && is_digit(c->text[n])))
        return false;
    c->text += n;
    c->bytes -= n;
    *out = value;
    return true;
}

static bool take_name(cursor *c, const char *names, int *out) {
    for (int i = 0; names[i * 3]; i++)
        if (c->bytes >= 3 && strncasecmp(c->text, names + (ptrdiff_t)i * 3, 3) == 0 &&
            (c->bytes == 3 || !is_letter(c->text[3]))) {
            c->text += 3;
            c->bytes -= 3;
            *out = i;
            return true;
        }
    return false;
}

static bool take_month(cursor *c, int *month) {
    if (!take_name(c, "janfebmaraprmayjunjulaugsepoctnovdec", month))
        return false;
    ++*month;
    return true;
}

typedef struct moment {
    int year, month, day, hour, minute, second, ms;
    bool zoned;
    int zone_s;
} moment;

/* 13:17:30, with a fraction of any length. */
static bool take_time(cursor *c, moment *m) {
    if (!take_number(c, 1, 2, &m->hour) || !take_char(c, ":") || !take_number(c, 2, 2, &m->minute) ||
        !take_char(c, ":") || !take_number(c, 2, 2, &m->second))
        return false;
    if (c->bytes > 1 && (*c->text == '.' || *c->text == ',') && is_digit(c->text[1])) {
        c->text++;
        c->bytes--;
        for (int unit = 100; c->bytes > 0 && is_digit(*c->text); unit /= 10, c->text++, c->bytes--)
            m->ms += (*c->text - '0') * unit;
    }
    return m->hour < 24 && m->minute < 60 && m->second < 61;
}

/* Z, +01:00, +0100, +01; a blank may stand before a numeric one. */
static void take_zone(cursor *c, moment *m) {
    cursor after = *c;
    int hours, minutes = 0;
    if (take_char(&after, "Zz") && (after.bytes == 0 || !is_letter(*after.text))) {
        m->zoned = true;
        *c = after;
        return;
    }
    after = *c;
    take_char(&after, " ");
    const bool minus = after.bytes > 0 && *after.text == '-';
    if (!take_char(&after, "+-"))
        return;
    if (take_number(&after, 4, 4, &hours)) {
        minutes = hours % 100;
        hours /= 100;
    } else if (!take_number(&after, 2, 2, &hours) || (take_char(&after, ":") && !take_number(&after, 2, 2, &minutes))) {
        return;
    }
    if (hours > 15 || minutes > 59)
        return;
    m->zoned = true;
    m->zone_s = (hours * 60 + minutes) * (minus ? -60 : 60);
    *c = after;
}

/* 2026-11-21T13:17:30, or with slashes. */
static bool take_iso(cursor *c, moment *m) {
    if (!take_number(c, 4, 4, &m->year) || m->year == 0 || c->bytes == 0)
        return false;
    const char separator[] = {*c->text, 0};
    if (!take_char(c, "-/") || !take_number(c, 2, 2, &m->month) || !take_char(c, separator) ||
        !take_number(c, 2, 2, &m->day) || !take_char(c, "Tt _") || !take_time(c, m))
        return false;
    take_zone(c, m);
    return true;
}

/* 21/Nov/2026:13:17:30 +0100 */
static bool take_apache(cursor *c, moment *m) {
    if (!take_number(c, 2, 2, &m->day) || !take_char(c, "/") || !take_month(c, &m->month) || !take_char(c, "/") ||
        !take_number(c, 4, 4, &m->year) || m->year == 0 || !take_char(c, ": ") || !take_time(c, m))
        return false;
    take_zone(c, m);
    return true;
}

/* Nov 21 13:17:30, and 2026 after it where it stands there. */
static bool take_syslog(cursor *c, moment *m) {
    if (!take_month(c, &m->month) || !take_char(c, " "))
        return false;
    take_char(c, " ");
    if (!take_number(c, 1, 2, &m->day) || !take_char(c, " ") || !take_time(c, m))
        return false;
    cursor after = *c;
    if (take_char(&after, " ") && take_number(&after, 4, 4, &m->year) && m->year >= 1970)
        *c = after;
    else
        m->year = 0;
    return true;
}

/* Days since 1970-01-01 of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day) {
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t in_ms(const moment *m, const ht_times *times) {
    const int64_t seconds = days_of(m->year, m->month, m->day) * 86400 + m->hour * 3600 + m->minute * 60 + m->second;
    return (seconds - (m->zoned ? m->zone_s : times->zone_s)) * 1000 + m->ms;
}

static int year_of(int64_t time_ms) {
    const time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    return gmtime_r(&seconds, &parts) ? parts.tm_year + 1900 : 1970;
}

static int64_t resolve(moment m, const ht_times *times) {
    if (m.month < 1 || m.month > 12 || m.day < 1 || m.day > 31)
        return HT_NO_TIME;
    if (m.year > 0)
        return in_ms(&m, times);
    m.year = year_of(times->now_ms); /* the latest year in which it is not in the future, but for clocks that differ */
    const int64_t time_ms = in_ms(&m, times), day_ms = 86400000;
    if (time_ms <= times->now_ms + day_ms)
        return time_ms;
    m.year--;
    return in_ms(&m, times);
}

/* 10 digits and a fraction, or 13, 16 or 19 digits, that the line begins with. */
static int64_t epoch(const char *line, size_t bytes) {
    size_t at = bytes > 0 && (*line == '[' || *line == '('), digits = 0;
    int64_t value = 0;
    for (; at + digits < bytes && is_digit(line[at + digits]) && digits < 20; digits++)
        value = digits < 18 ? value * 10 + (line[at + digits] - '0') : value;
    const size_t end = at + digits;
    if (end < bytes && is_letter(line[end]))
        return HT_NO_TIME;
    int64_t ms = HT_NO_TIME;
    if (digits == 10)
        ms = value * 1000;
    else if (digits == 13)
        ms = value;
    else if (digits == 16)
        ms = value / 1000;
    else if (digits == 19)
        ms = value / 100000;
    if (digits == 10 && end + 1 < bytes && line[end] == '.')
        for (size_t i = end + 1, unit = 100; i < bytes && is_digit(line[i]) && unit > 0; i++, unit /= 10)
            ms += (line[i] - '0') * (int64_t)unit;
    const int64_t year_2001 = 1000000000000;
    return ms >= year_2001 ? ms : HT_NO_TIME;
}

int64_t ht_line_time(const char *line, size_t bytes, const ht_times *times) {
    const int64_t at_start = epoch(line, bytes);
    if (at_start != HT_NO_TIME)
        return at_start;
    const size_t limit = bytes < LOOK_AT_BYTES ? bytes : LOOK_AT_BYTES;
    for (size_t i = 0; i < limit; i++) {
        if (i > 0 && (is_digit(line[i - 1]) || is_letter(line[i - 1]) || line[i - 1] == '.'))
            continue;
        const cursor from = {line + i, bytes - i};
        cursor c = from;
        moment m = {0};
        bool found = false;
        if (is_digit(line[i])) {
            found = take_iso(&c, &m);
            if (!found)
                c = from, m = (moment){0}, found = take_apache(&c, &m);
        } else if (is_letter(line[i])) {
            found = take_syslog(&c, &m);
        }
        const int64_t time_ms = found ? resolve(m, times) : HT_NO_TIME;
        if (time_ms != HT_NO_TIME)
            return time_ms;
    }
    return HT_NO_TIME;
}

ht_times ht_times_now(void) {
    struct timespec now;
    struct tm parts = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    tzset();
    localtime_r(&now.tv_sec, &parts);
    return (ht_times){.now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, .zone_s = (int32_t)parts.tm_gmtoff};
}

void ht_time_text(int64_t time_ms, char out[HT_TIME_TEXT]) {
    int64_t seconds = time_ms / 1000, ms = time_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    const time_t whole = (time_t)seconds;
    struct tm parts = {0};
    char date[24] = "";
    if (gmtime_r(&whole, &parts))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, HT_TIME_TEXT, "%s.%03dZ", date, (int)ms);
}

void ht_clock_fill(ht_clock *clock, const ht_times *times, int64_t *times_ms, size_t count) {
    for (size_t i = 0; i < count && !clock->own; i++)
        if (times_ms[i] != HT_NO_TIME) {
            clock->own = true;
            clock->last_ms = times_ms[i];
        }
    for (size_t i = 0; i < count; i++) {
        if (times_ms[i] == HT_NO_TIME)
            times_ms[i] = clock->own ? clock->last_ms : times->now_ms;
        clock->last_ms = times_ms[i];
    }
}
