/* watch_alarm.c: how an alarm is printed, and which words make it differ from the nearest known line. */
#include <string.h>

#include "output.h"
#include "severity.h"
#include "watch.h"

enum { CHANGED_WORDS = 16, LOOKED_AT = 256, WORD_BYTES = 64 };

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static bool in_word(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80; }

/* The next word from *at on; false: there is none. Words without a letter say nothing about a form. */
static bool next_word(ht_text text, size_t *at, ht_text *word) {
    while (*at < text.bytes) {
        while (*at < text.bytes && !in_word(text.data[*at]))
            ++*at;
        size_t begin = *at;
        bool letters = false;
        while (*at < text.bytes && (in_word(text.data[*at]) || (text.data[*at] == '-' && !is_space(text.data[*at]) &&
                                                                *at + 1 < text.bytes && in_word(text.data[*at + 1])))) {
            letters = letters || is_letter(text.data[*at]) || (unsigned char)text.data[*at] >= 0x80;
            ++*at;
        }
        if (letters && *at - begin <= WORD_BYTES) { /* longer ones are no words */
            *word = (ht_text){text.data + begin, *at - begin};
            return true;
        }
    }
    return false;
}

/* Equal, if any digits count as equal. */
static bool same_word(ht_text a, ht_text b) {
    size_t i = 0, j = 0;
    while (i < a.bytes && j < b.bytes) {
        bool digit = a.data[i] >= '0' && a.data[i] <= '9';
        if (digit != (b.data[j] >= '0' && b.data[j] <= '9') || (!digit && a.data[i] != b.data[j]))
            return false;
        i++, j++;
        while (digit && i < a.bytes && a.data[i] >= '0' && a.data[i] <= '9')
            i++;
        while (digit && j < b.bytes && b.data[j] >= '0' && b.data[j] <= '9')
            j++;
    }
    return i == a.bytes && j == b.bytes;
}

static bool has_word(const ht_text *words, size_t count, ht_text word) {
    for (size_t i = 0; i < count; i++)
        if (same_word(words[i], word))
            return true;
    return false;
}

size_t ht_changed_words(ht_text line, ht_text other, ht_text *words, size_t most) {
    ht_text known[LOOKED_AT], word;
    size_t count = 0, found = 0;
    for (size_t at = 0; count < LOOKED_AT && next_word(other, &at, &word);)
        known[count++] = word;
    for (size_t at = 0, seen = 0; found < most && seen < LOOKED_AT && next_word(line, &at, &word); seen++)
        if (!has_word(known, count, word) && !has_word(words, found, word))
            words[found++] = word;
    return found;
}

/* ---- as JSON */

static void json_text_or_null(ht_buf *out, const char *key, ht_text text) {
    ht_buf_printf(out, ",\"%s\":", key);
    if (text.data)
        ht_json_text(out, text.data, text.bytes);
    else
        ht_buf_puts(out, "null");
}

static void json_float(ht_buf *out, const char *key, float value) {
    ht_buf_printf(out, ",\"%s\":", key);
    ht_json_float(out, value);
}

void ht_alarm_json(ht_buf *out, const ht_alarm_line *a) {
    const hither_score *score = a->score;
    const char *level = ht_severity(a->line.data, a->line.bytes);
    ht_text words[CHANGED_WORDS];
    ht_buf_puts(out, "{\"score\":");
    ht_json_float(out, score->novelty);
    json_text_or_null(out, "reason", (ht_text){a->reason, strlen(a->reason)});
    if (a->query) {
        json_text_or_null(out, "query", (ht_text){a->query, strlen(a->query)});
        json_float(out, "similarity", a->similarity);
    }
    json_text_or_null(out, "line", a->line);
    json_text_or_null(out, "nearest", a->nearest);
    ht_buf_puts(out, ",\"changed\":[");
    size_t changed = a->nearest.data ? ht_changed_words(a->line, a->nearest, words, CHANGED_WORDS) : 0;
    for (size_t i = 0; i < changed; i++) {
        ht_buf_puts(out, i ? "," : "");
        ht_json_text(out, words[i].data, words[i].bytes);
    }
    ht_buf_printf(out, "],\"count\":%u,\"number\":%llu", score->seen, (unsigned long long)score->record + 1);
    json_float(out, "rarity", score->rarity);
    json_float(out, "distance", score->distance);
    json_text_or_null(out, "level", (ht_text){level, level ? strlen(level) : 0});
    char time[HT_TIME_TEXT];
    ht_time_text(a->time_ms, time);
    ht_buf_printf(out, ",\"time\":\"%s\",\"clock\":\"%s\"", time, a->own_time ? "line" : "wall");
    if (a->file)
        json_text_or_null(out, "file", (ht_text){a->file, strlen(a->file)});
    ht_buf_puts(out, "}\n");
}

/* ---- for people */

static void below(ht_buf *out, const char *what, ht_text text, unsigned room) {
    ht_show_dim(out, true);
    ht_buf_printf(out, "\n       %-9s  ", what);
    ht_show_text(out, text.data, text.bytes, room);
    ht_show_dim(out, false);
}

void ht_alarm_people(ht_buf *out, const ht_alarm_line *a) {
    const unsigned indent = 18, width = ht_out_terminal()->width;
    const unsigned room = width > indent + 20 ? width - indent : 20;
    ht_show_bold(out, true);
    ht_buf_printf(out, "%5.2f  %-9s  ", (double)(a->query ? a->similarity : a->score->novelty), a->reason);
    ht_show_text(out, a->line.data, a->line.bytes, room);
    ht_show_bold(out, false);
    if (a->query)
        below(out, "query", (ht_text){a->query, strlen(a->query)}, room);
    else if (a->nearest.data)
        below(out, "nearest", a->nearest, room);
    ht_buf_putc(out, '\n');
}
