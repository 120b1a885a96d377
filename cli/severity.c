/*
 * severity.c: see severity.h. A level is a whole word near the beginning of the line: in capitals, in brackets, after
 * "level=" and the like, or before a colon. "no error occurred" states none.
 */
#include "severity.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { LOOK_AT_BYTES = 256 };

static const struct {
    const char *word, *level;
} words[] = {
    {"emerg", "fatal"},      {"emergency", "fatal"}, {"alert", "fatal"},     {"crit", "fatal"},  {"critical", "fatal"},
    {"fatal", "fatal"},      {"panic", "fatal"},     {"err", "error"},       {"error", "error"}, {"severe", "error"},
    {"failure", "error"},    {"warn", "warning"},    {"warning", "warning"}, {"notice", "info"}, {"info", "info"},
    {"information", "info"}, {"debug", "debug"},     {"dbg", "debug"},       {"trace", "trace"}, {"verbose", "trace"},
};

static bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* What stands around the word says that it is meant as a level. */
static bool marked(const char *line, size_t bytes, size_t begin, size_t end) {
    bool capitals = true;
    for (size_t i = begin; i < end; i++)
        capitals = capitals && line[i] >= 'A' && line[i] <= 'Z';
    if (capitals)
        return true;
    char before = begin > 0 ? line[begin - 1] : 0, after = end < bytes ? line[end] : 0;
    if ((before == '[' && after == ']') || (before == '<' && after == '>') || (before == '(' && after == ')'))
        return true;
    if (after == ':' && (begin == 0 || before == ' '))
        return true;
    static const char *const keys[] = {"level=", "lvl=", "severity=", "level\":", "severity\":", "priority="};
    size_t at = begin;
    while (at > 0 && (line[at - 1] == '"' || line[at - 1] == ' ') && line[at] != ':')
        at--;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t length = strlen(keys[i]);
        if (at >= length && strncasecmp(line + at - length, keys[i], length) == 0)
            return true;
    }
    return false;
}

const char *ht_severity(const char *line, size_t bytes) {
    static const char *const by_number[] = {"fatal", "fatal", "fatal", "error", "warning", "info", "info", "debug"};
    if (bytes >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>')
        return by_number[line[1] - '0'];
    size_t limit = bytes < LOOK_AT_BYTES ? bytes : LOOK_AT_BYTES;
    for (size_t begin = 0, end; begin < limit; begin = end + 1) {
        for (end = begin; end < limit && is_letter(line[end]);)
            end++;
        bool alone = (end >= bytes || (!is_digit(line[end]) && line[end] != '_' && line[end] != '-')) &&
                     (begin == 0 || (line[begin - 1] != '_' && line[begin - 1] != '-' && !is_digit(line[begin - 1])));
        for (size_t i = 0; alone && i < sizeof words / sizeof *words; i++)
            if (strlen(words[i].word) == end - begin && !strncasecmp(words[i].word, line + begin, end - begin) &&
                marked(line, bytes, begin, end))
                return words[i].level;
    }
    return NULL;
}
