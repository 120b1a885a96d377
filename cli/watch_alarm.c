/* watch_alarm.c: how an alarm is printed: as JSON, or for people. */
#include <string.h>

#include "output.h"
#include "watch.h"

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

static void json_words(ht_buf *out, const char *key, const json_t *words) {
    ht_buf_printf(out, ",\"%s\":%s", key, words ? "[" : "null");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const json_t *word = json_array_get(words, i);
        ht_buf_puts(out, i ? "," : "");
        ht_json_text(out, json_string_value(word), json_string_length(word));
    }
    ht_buf_puts(out, words ? "]" : "");
}

void ht_alarm_json(ht_buf *out, const ht_alarm_line *a) {
    const hither_score *score = a->score;
    const char *level = hither_level_name(score->level);
    ht_buf_puts(out, "{\"score\":");
    ht_json_float(out, score->novelty);
    json_text_or_null(out, "reason", (ht_text){a->reason, strlen(a->reason)});
    if (a->query) {
        json_text_or_null(out, "query", (ht_text){a->query, strlen(a->query)});
        json_float(out, "similarity", a->similarity);
    }
    json_text_or_null(out, "line", a->line);
    json_text_or_null(out, "nearest", a->nearest);
    json_words(out, "added", a->added);
    json_words(out, "removed", a->removed);
    ht_buf_printf(out, ",\"count\":%u,\"number\":%llu", score->seen, (unsigned long long)score->record + 1);
    json_float(out, "rarity", score->rarity);
    json_float(out, "distance", score->distance);
    json_float(out, "severity", score->severity);
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

/* +more than the nearest form has -less */
static void changed_words(ht_buf *out, const ht_alarm_line *a, unsigned room) {
    const json_t *const lists[] = {a->added, a->removed};
    ht_buf text;
    ht_buf_init(&text, SIZE_MAX / 2);
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < json_array_size(lists[l]); i++) {
            const json_t *word = json_array_get(lists[l], i);
            ht_buf_printf(&text, "%s%s", text.size ? " " : "", l ? "-" : "+");
            ht_buf_put(&text, json_string_value(word), json_string_length(word));
        }
    if (text.size)
        below(out, "changed", (ht_text){text.data, text.size}, room);
    ht_buf_clear(&text);
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
    if (!a->query && a->nearest.data)
        changed_words(out, a, room);
    ht_buf_putc(out, '\n');
}
