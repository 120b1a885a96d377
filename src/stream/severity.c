/*
 * severity.c: see severity.h. A level is a whole word near the beginning of the line: in capitals, in brackets, after
 * "level=" and the like, or before a colon. "no error occurred" states none.
 */
#include "stream/severity.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { LOOK_AT_BYTES = 256 };

static const struct {
    const char *word;
    hither_level level;
} words[] = {
    {"alert", HITHER_LEVEL_FATAL},      {"crit", HITHER_LEVEL_FATAL},      {"critical", HITHER_LEVEL_FATAL},
    {"dbg", HITHER_LEVEL_DEBUG},        {"debug", HITHER_LEVEL_DEBUG},     {"emerg", HITHER_LEVEL_FATAL},
    {"emergency", HITHER_LEVEL_FATAL},  {"err", HITHER_LEVEL_ERROR},       {"error", HITHER_LEVEL_ERROR},
    {"failure", HITHER_LEVEL_ERROR},    {"fatal", HITHER_LEVEL_FATAL},     {"info", HITHER_LEVEL_INFO},
    {"information", HITHER_LEVEL_INFO}, {"notice", HITHER_LEVEL_INFO},     {"panic", HITHER_LEVEL_FATAL},
    {"severe", HITHER_LEVEL_ERROR},     {"trace", HITHER_LEVEL_TRACE},     {"verbose", HITHER_LEVEL_TRACE},
    {"warn", HITHER_LEVEL_WARNING},     {"warning", HITHER_LEVEL_WARNING},
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

static hither_level level_of(const char *word, size_t bytes) {
    const char first = (char)(word[0] | 0x20);
    if (bytes < 3 || bytes > 11)
        return HITHER_LEVEL_NONE;
    for (size_t i = 0; i < sizeof words / sizeof *words && words[i].word[0] <= first; i++)
        if (words[i].word[0] == first && strncasecmp(words[i].word, word, bytes) == 0 && words[i].word[bytes] == 0)
            return words[i].level;
    return HITHER_LEVEL_NONE;
}

hither_level ht_severity(const char *line, size_t bytes) {
    static const hither_level by_number[] = {HITHER_LEVEL_FATAL, HITHER_LEVEL_FATAL,   HITHER_LEVEL_FATAL,
                                             HITHER_LEVEL_ERROR, HITHER_LEVEL_WARNING, HITHER_LEVEL_INFO,
                                             HITHER_LEVEL_INFO,  HITHER_LEVEL_DEBUG};
    if (bytes >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>')
        return by_number[line[1] - '0'];
    size_t limit = bytes < LOOK_AT_BYTES ? bytes : LOOK_AT_BYTES;
    for (size_t begin = 0, end; begin < limit; begin = end + 1) {
        for (end = begin; end < limit && is_letter(line[end]);)
            end++;
        const hither_level level = end > begin ? level_of(line + begin, end - begin) : HITHER_LEVEL_NONE;
        bool alone = (end >= bytes || (!is_digit(line[end]) && line[end] != '_' && line[end] != '-')) &&
                     (begin == 0 || (line[begin - 1] != '_' && line[begin - 1] != '-' && !is_digit(line[begin - 1])));
        if (level != HITHER_LEVEL_NONE && alone && marked(line, bytes, begin, end))
            return level;
    }
    return HITHER_LEVEL_NONE;
}

const char *hither_level_name(uint32_t level) {
    static const char *const names[] = {NULL, "trace", "debug", "info", "warning", "error", "fatal"};
    return level < sizeof names / sizeof *names ? names[level] : NULL;
}
