/*
 * shapes.c: see shapes.h. Hand-written matchers: the lines are hostile and come by the hundred thousand a second, so
 * no regular expressions and no backtracking over more than a shape.
 */
#include "stream/shapes.h"

#include <string.h>
#include <strings.h>

#define LONGEST_QUOTED 512u
#define LONGEST_HOST   253u
#define LONGEST_LOCAL  64u
#define LONGEST_UNITS  64u

static bool ends_word(const char *text, size_t bytes, size_t at) { return at >= bytes || !ht_is_word(text[at]); }

/* `count` digits with a value in [low, high]. */
static bool digits_in(const char *text, size_t bytes, size_t at, size_t count, unsigned low, unsigned high) {
    unsigned value = 0;
    if (at > bytes || bytes - at < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!ht_is_digit(text[at + i]))
            return false;
        value = value * 10 + (unsigned)(text[at + i] - '0');
    }
    return value >= low && value <= high;
}

/* The length of the name at `at` if it is one of the three-letter names in `names`, written out or not. */
static size_t match_name_of(const char *names, const char *text, size_t bytes, size_t at) {
    size_t length = 0;
    while (at + length < bytes && length < 10 && ht_is_letter(text[at + length]))
        length++;
    if (length < 3 || text[at] < 'A' || text[at] > 'Z') /* "may 5 of them" is no date */
        return 0;
    for (; *names; names += 3)
        if ((text[at] | 0x20) == *names && strncasecmp(names, text + at, 3) == 0)
            return length == 3 || length > 4 || text[at + 3] == 'y' || text[at + 3] == 'e' || text[at + 3] == 't'
                       ? length
                       : 0;
    return 0;
}

static size_t match_month(const char *text, size_t bytes, size_t at) {
    return match_name_of("janfebmaraprmayjunjulaugsepoctnovdec", text, bytes, at);
}

static size_t match_zone(const char *text, size_t bytes, size_t at) {
    if (at < bytes && text[at] == 'Z' && ends_word(text, bytes, at + 1))
        return 1;
    size_t space = at < bytes && text[at] == ' ' ? 1 : 0, i = at + space;
    if (bytes > i + 2 &&
        (memcmp(text + i, "UTC", 3) == 0 || memcmp(text + i, "GMT", 3) == 0 || memcmp(text + i, "CET", 3) == 0) &&
        ends_word(text, bytes, i + 3))
        return space + 3;
    if (i >= bytes || (text[i] != '+' && text[i] != '-') || !digits_in(text, bytes, i + 1, 2, 0, 14))
        return 0;
    size_t colon = i + 3 < bytes && text[i + 3] == ':' ? 1 : 0;
    if (digits_in(text, bytes, i + 3 + colon, 2, 0, 59) && ends_word(text, bytes, i + 5 + colon))
        return space + 5 + colon;
    return 0;
}

/* HH:MM:SS, a fraction, AM or PM, a zone. */
static size_t match_clock(const char *text, size_t bytes, size_t at) {
    size_t hour = at + 1 < bytes && text[at + 1] == ':' ? 1 : 2;
    if (!digits_in(text, bytes, at, hour, 0, 23) || at + hour >= bytes || text[at + hour] != ':' ||
        !digits_in(text, bytes, at + hour + 1, 2, 0, 59) || at + hour + 3 >= bytes || text[at + hour + 3] != ':' ||
        !digits_in(text, bytes, at + hour + 4, 2, 0, 60))
        return 0;
    size_t end = at + hour + 6;
    if (end + 1 < bytes && (text[end] == '.' || text[end] == ',') && ht_is_digit(text[end + 1]))
        for (end++; end < bytes && ht_is_digit(text[end]);)
            end++;
    if (end + 2 < bytes && text[end] == ' ' && (text[end + 1] == 'A' || text[end + 1] == 'P') && text[end + 2] == 'M' &&
        ends_word(text, bytes, end + 3))
        end += 3;
    end += match_zone(text, bytes, end);
    bool more = end + 1 < bytes && text[end] == ':' && ht_is_digit(text[end + 1]);
    return ends_word(text, bytes, end) && !more ? end - at : 0;
}

/* YYYY-MM-DD, DD-MM-YYYY, with '-', '/' or '.'; DD/Mon/YYYY, DD Mon YYYY. */
static size_t match_date(const char *text, size_t bytes, size_t at) {
    if (digits_in(text, bytes, at, 4, 1900, 2199) && bytes - at >= 10) {
        char mark = text[at + 4];
        bool date = (mark == '-' || mark == '/' || mark == '.') && text[at + 7] == mark &&
                    digits_in(text, bytes, at + 5, 2, 1, 12) && digits_in(text, bytes, at + 8, 2, 1, 31);
        return date && (at + 10 >= bytes || !ht_is_digit(text[at + 10])) ? 10 : 0;
    }
    size_t day = at + 1 < bytes && ht_is_digit(text[at + 1]) ? 2 : 1;
    if (!digits_in(text, bytes, at, day, 1, 31) || at + day >= bytes)
        return 0;
    char mark = text[at + day];
    if (mark != '-' && mark != '/' && mark != '.' && mark != ' ')
        return 0;
    size_t month = match_month(text, bytes, at + day + 1);
    if (month == 0 && day == 2 && mark != ' ' && digits_in(text, bytes, at + 3, 2, 1, 12))
        month = 2;
    size_t year = at + day + 1 + month + 1;
    if (month == 0 || year > bytes || text[year - 1] != mark || !digits_in(text, bytes, year, 4, 1900, 2199))
        return 0;
    return year + 4 >= bytes || !ht_is_digit(text[year + 4]) ? year + 4 - at : 0;
}

/* Jun 14, Jun  4, June 14 2026, June 14, 2026. */
static size_t match_month_day(const char *text, size_t bytes, size_t at) {
    size_t i = at + match_month(text, bytes, at);
    if (i == at || i >= bytes || text[i] != ' ')
        return 0;
    i += i + 1 < bytes && text[i + 1] == ' ' ? 2 : 1;
    size_t day = i + 1 < bytes && ht_is_digit(text[i + 1]) ? 2 : 1;
    if (!digits_in(text, bytes, i, day, 1, 31) || !ends_word(text, bytes, i + day))
        return 0;
    i += day;
    size_t gap = i + 1 < bytes && text[i] == ',' && text[i + 1] == ' ' ? 2 : 1;
    if (i < bytes && (text[i] == ' ' || gap == 2) && digits_in(text, bytes, i + gap, 4, 1900, 2199) &&
        ends_word(text, bytes, i + gap + 4))
        i += gap + 4;
    return i - at;
}

size_t ht_match_time(const char *text, size_t bytes, size_t at) {
    size_t start = at;
    if (ht_is_letter(text[at])) {
        size_t weekday = match_name_of("montuewedthufrisatsun", text, bytes, at);
        size_t i = at + weekday;
        if (weekday > 0 && i < bytes && text[i] == ',')
            i++;
        if (weekday > 0 && i < bytes && text[i] == ' ')
            at = i + 1;
        if (at >= bytes || (weekday > 0 && at == start))
            return 0;
    }
    size_t date = ht_is_digit(text[at]) ? match_date(text, bytes, at) : match_month_day(text, bytes, at);
    if (date == 0)
        return at == start ? match_clock(text, bytes, at) : 0;
    size_t end = at + date;
    if (end + 1 < bytes && strchr(" T_:,", text[end]) && text[end] != 0) {
        size_t clock = match_clock(text, bytes, end + 1);
        if (clock == 0 && text[end] == ',' && text[end + 1] == ' ')
            clock = (clock = match_clock(text, bytes, end + 2)) > 0 ? clock + 1 : 0;
        if (clock > 0)
            end += 1 + clock;
        if (clock > 0 && end < bytes && text[end] == ' ' && !ht_is_digit(text[at]) &&
            digits_in(text, bytes, end + 1, 4, 1900, 2199) && ends_word(text, bytes, end + 5))
            end += 5;
    }
    return ends_word(text, bytes, end) ? end - start : 0;
}

/* The unit at `at`, if letters up to the end of the word are one; several follow each other in 1h30m. */
static size_t match_unit(const char *text, size_t bytes, size_t at) {
    static const char units[][5] = {"ns",   "us",   "ms",  "s",   "sec", "secs", "m",   "min", "mins",
                                    "h",    "hr",   "hrs", "d",   "b",   "k",    "kb",  "mb",  "gb",
                                    "tb",   "g",    "t",   "kib", "mib", "gib",  "tib", "bps", "kbps",
                                    "mbps", "gbps", "hz",  "khz", "mhz", "ghz",  "x"};
    size_t length = 0;
    while (at + length < bytes && ht_is_letter(text[at + length]) && length < 5)
        length++;
    if (length == 0 || length > 4)
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i][0] == (text[at] | 0x20) && units[i][length] == 0 && strncasecmp(units[i], text + at, length) == 0)
            return length;
    return 0;
}

size_t ht_match_digits(const char *text, size_t bytes, size_t at) {
    size_t i = at;
    while (i < bytes &&
           (ht_is_digit(text[i]) || ((text[i] == '.' || text[i] == ',') && i + 1 < bytes && ht_is_digit(text[i + 1]))))
        i++;
    return i - at;
}

size_t ht_match_number(const char *text, size_t bytes, size_t at) {
    size_t end = at + ht_match_digits(text, bytes, at);
    if (end < bytes && (text[end] | 0x20) == 'e') {
        size_t sign = end + 1 < bytes && (text[end + 1] == '-' || text[end + 1] == '+') ? 1 : 0;
        size_t exponent = end + 1 + sign;
        while (exponent < bytes && ht_is_digit(text[exponent]))
            exponent++;
        if (exponent > end + 1 + sign && ends_word(text, bytes, exponent))
            return exponent - at;
    }
    if (end < bytes && text[end] == '%')
        return end + 1 - at;
    /* Each turn takes digits and a unit; the number with all its units counts only if the word ends there. */
    for (size_t i = end; i - at < LONGEST_UNITS;) {
        size_t unit = match_unit(text, bytes, i);
        if (unit == 0)
            return end - at;
        i += unit;
        if (ends_word(text, bytes, i))
            return i - at;
        size_t digits = ht_match_digits(text, bytes, i);
        if (digits == 0)
            return end - at;
        i += digits;
        if (ends_word(text, bytes, i))
            return i - at;
    }
    return end - at;
}

static bool is_host_char(char c) { return ht_is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '.'; }

static bool is_local_char(char c) {
    return ht_is_digit(c) || ht_is_letter(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-';
}

size_t ht_match_email(const char *text, size_t bytes, size_t at) {
    size_t i = at;
    while (i < bytes && i - at < LONGEST_LOCAL && is_local_char(text[i]))
        i++;
    if (i == at || i >= bytes || text[i] != '@')
        return 0;
    size_t host = i + 1, dot = 0;
    for (i = host; i < bytes && i - host < LONGEST_HOST && (is_host_char((char)(text[i] | 0x20)) || text[i] == '.');
         i++)
        if (text[i] == '.' && i + 1 < bytes && ht_is_letter(text[i + 1]))
            dot = i;
    if (dot <= host)
        return 0;
    while (i > host && (text[i - 1] == '.' || text[i - 1] == '-'))
        i--;
    return i > dot + 1 && ends_word(text, bytes, i) ? i - at : 0;
}

size_t ht_match_host(const char *text, size_t bytes, size_t at) {
    static const char *const domains[] = {"com", "net",   "org",      "edu", "gov", "info",
                                          "biz", "local", "internal", "lan", "arpa"};
    static const char *const countries[] = {"ar", "at", "au", "be", "br", "ca", "ch", "cn", "cz", "de", "dk",
                                            "es", "eu", "fi", "fr", "gr", "hk", "hu", "id", "ie", "il", "in",
                                            "ir", "it", "jp", "kr", "mx", "nl", "no", "nz", "pl", "pt", "ro",
                                            "ru", "se", "sg", "th", "tr", "tw", "ua", "uk", "us", "vn", "za"};
    size_t end = at, dots = 0, last = 0;
    while (end < bytes && end - at < LONGEST_HOST && is_host_char(text[end])) {
        if (text[end] == '.' && end + 1 < bytes && is_host_char(text[end + 1])) {
            dots++;
            last = end + 1;
        }
        end++;
    }
    while (end > at && (text[end - 1] == '.' || text[end - 1] == '-'))
        end--;
    if (dots == 0 || last >= end || !ends_word(text, bytes, end) || (end < bytes && text[end] == '_'))
        return 0;
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
        if (strlen(domains[i]) == end - last && memcmp(domains[i], text + last, end - last) == 0)
            return end - at;
    for (size_t i = 0; dots > 1 && end - last == 2 && i < sizeof countries / sizeof *countries; i++)
        if (memcmp(countries[i], text + last, 2) == 0)
            return end - at;
    return 0;
}

size_t ht_match_id(const char *text, size_t bytes, size_t at) {
    size_t end = at, changes = 0;
    for (; end < bytes && (ht_is_digit(text[end]) || ht_is_letter(text[end])); end++)
        changes += end > at && ht_is_digit(text[end]) != ht_is_digit(text[end - 1]);
    return end - at >= 5 && changes >= 3 && ends_word(text, bytes, end) ? end - at : 0;
}

size_t ht_match_quoted(const char *text, size_t bytes, size_t at) {
    char quote = text[at];
    if ((quote != '"' && quote != '\'') || (at > 0 && (ht_is_word(text[at - 1]) || text[at - 1] == '\\')))
        return 0;
    size_t limit = bytes - at > LONGEST_QUOTED ? at + LONGEST_QUOTED : bytes;
    for (size_t i = at + 1; i < limit; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == quote && ends_word(text, bytes, i + 1))
            return i + 1 < bytes && text[i + 1] == ':' ? 0 : i + 1 - at; /* before a colon it is a key */
    }
    return 0;
}

size_t ht_match_name(const char *text, size_t bytes, size_t at) {
    static const char leads[][16] = {"user=",     "rhost=",    "host=",  "username=", "invalid user ", "illegal user ",
                                     "for user ", "hostname=", "/home/", "/Users/",   "\\Users\\"};
    bool named = false;
    const char last = at > 0 ? text[at - 1] : 0;
    const bool may_lead = last == '=' || last == ' ' || last == '/' || last == '\\';
    for (size_t i = 0; may_lead && !named && at >= 5 && i < sizeof leads / sizeof *leads; i++) {
        const char *lead = leads[i];
        const size_t length = strlen(lead);
        /* Nearly every word is told from its last two bytes. */
        named = lead[length - 1] == text[at - 1] && (lead[length - 2] | 0x20) == (text[at - 2] | 0x20) &&
                at >= length && strncasecmp(text + at - length, lead, length) == 0;
    }
    /* "password for root from 10.0.0.1": who, though no word says so. */
    const bool between = !named && at >= 4 && memcmp(text + at - 4, "for ", 4) == 0;
    size_t end = at;
    while ((named || between) && end < bytes &&
           (ht_is_word(text[end]) || text[end] == '.' || text[end] == '_' || text[end] == '-' || text[end] == '@' ||
            text[end] == '$'))
        end++;
    if (between && (bytes - end < 6 || memcmp(text + end, " from ", 6) != 0))
        return 0;
    while (end > at && !ht_is_word(text[end - 1]))
        end--;
    return end - at;
}
