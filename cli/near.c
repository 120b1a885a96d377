/* near.c: see near.h. */
#include "near.h"

#include <string.h>

#include "base/alloc.h"

enum { PARTS = HT_NEAR_PARTS, WORDS = HT_NEAR_WORDS };

hither_status ht_near_room_init(ht_near_room *room, hither_error *err) {
    *room = (ht_near_room){0};
    HT_TRY(hither_embedder_builtin(&room->embedder, err));
    room->dim = hither_embedder_dim(room->embedder);
    room->whole = ht_calloc(room->dim, sizeof *room->whole);
    return room->whole ? HITHER_OK : ht_fail_nomem(err, room->dim * sizeof(float), "lines");
}

void ht_near_room_clear(ht_near_room *room) {
    hither_embedder_close(room->embedder);
    ht_release(room->whole);
    for (size_t i = 0; i < HT_NEAR_WIDTHS; i++)
        ht_release(room->runs[i].vectors);
    *room = (ht_near_room){0};
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static size_t split(const char *text, size_t bytes, size_t begins[WORDS], size_t ends[WORDS]) {
    size_t count = 0;
    for (size_t i = 0; i < bytes && count < WORDS;) {
        while (i < bytes && is_blank(text[i]))
            i++;
        begins[count] = i;
        while (i < bytes && !is_blank(text[i]))
            i++;
        ends[count] = i;
        count += ends[count] > begins[count];
    }
    return count;
}

hither_status ht_near_init(ht_near *near, const char *text, const ht_near_room *room, hither_error *err) {
    size_t begins[WORDS], ends[WORDS];
    const uint64_t offsets[] = {0, strlen(text)};
    const hither_strings one = {.bytes = text, .offsets = offsets, .count = 1};
    *near = (ht_near){.text = ht_strdup(text),
                      .vector = ht_calloc(room->dim, sizeof(float)),
                      .words = split(text, strlen(text), begins, ends)};
    hither_status status = near->text && near->vector ? hither_embedder_embed(room->embedder, &one, near->vector, err)
                                                      : ht_fail_nomem(err, strlen(text), "a text to look for");
    bool some = false;
    for (uint32_t i = 0; status == HITHER_OK && i < room->dim; i++)
        some = some || near->vector[i] != 0;
    if (status == HITHER_OK && !some)
        status = ht_fail(err, HITHER_INVALID, "\"%.60s\" has no word to look for", text);
    if (status != HITHER_OK)
        ht_near_clear(near);
    return status;
}

void ht_near_clear(ht_near *near) {
    ht_release(near->text);
    ht_release(near->vector);
    *near = (ht_near){0};
}

static float similarity(const ht_near *near, uint32_t dim, const float *vector) {
    double sum = 0;
    for (uint32_t i = 0; i < dim; i++)
        sum += (double)near->vector[i] * (double)vector[i];
    return (float)sum;
}

hither_status ht_near_read(ht_near_room *room, ht_text line, hither_error *err) {
    const uint64_t offsets[] = {0, line.bytes};
    const hither_strings one = {.bytes = line.data, .offsets = offsets, .count = 1};
    room->line = line;
    room->words = split(line.data, line.bytes, room->begins, room->ends);
    for (size_t i = 0; i < HT_NEAR_WIDTHS; i++)
        room->runs[i].width = 0;
    return hither_embedder_embed(room->embedder, &one, room->whole, err);
}

/* Embeds the runs of so many words. */
static hither_status read_runs(ht_near_room *room, ht_near_runs *runs, size_t width, hither_error *err) {
    const size_t step = room->words > PARTS ? (room->words + PARTS - 1) / PARTS : 1;
    ht_column texts;
    runs->width = runs->count = 0;
    if (!runs->vectors && !(runs->vectors = ht_calloc((size_t)room->dim * PARTS, sizeof *runs->vectors)))
        return ht_fail_nomem(err, (size_t)room->dim * PARTS * sizeof(float), "lines");
    ht_column_init(&texts);
    for (size_t i = 0; i + width <= room->words && runs->count < PARTS; i += step) {
        const size_t from = runs->from[runs->count] = room->begins[i];
        runs->to[runs->count++] = room->ends[i + width - 1];
        ht_column_add(&texts, room->line.data + from, room->ends[i + width - 1] - from);
    }
    const hither_strings view = ht_column_view(&texts);
    hither_status status = ht_column_check(&texts, err);
    if (status == HITHER_OK && runs->count > 0)
        status = hither_embedder_embed(room->embedder, &view, runs->vectors, err);
    if (status == HITHER_OK)
        runs->width = width;
    ht_column_clear(&texts);
    return status;
}

/* The nearest run of words of the line, if that is nearer than the whole. One word more than the text has, for the one
 * that often stands between. */
hither_status ht_near_compare(const ht_near *near, ht_near_room *room, ht_near_part *out, hither_error *err) {
    *out = (ht_near_part){similarity(near, room->dim, room->whole), 0, room->line.bytes};
    if (out->similarity < HT_NEAR_LOOK)
        return HITHER_OK;
    const size_t width = near->words + 1;
    ht_near_runs *runs = &room->runs[width % HT_NEAR_WIDTHS];
    if (runs->width != width)
        HT_TRY(read_runs(room, runs, width, err));
    for (size_t i = 0; i < runs->count; i++) {
        const float part = similarity(near, room->dim, runs->vectors + i * room->dim);
        if (part > out->similarity)
            *out = (ht_near_part){part, runs->from[i], runs->to[i]};
    }
    return HITHER_OK;
}

hither_status ht_near_line(const ht_near *near, ht_near_room *room, ht_text line, ht_near_part *out,
                           hither_error *err) {
    HT_TRY(ht_near_read(room, line, err));
    return ht_near_compare(near, room, out, err);
}
