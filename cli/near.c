/* near.c: see near.h. */
#include "near.h"

#include <string.h>

#include "base/alloc.h"

enum { PARTS = 96, WORDS = 1024 };

static const float WORTH_A_LOOK = 0.1F; /* of a whole line; below, it shares next to nothing with the text */

hither_status ht_near_room_init(ht_near_room *room, hither_error *err) {
    *room = (ht_near_room){0};
    HT_TRY(hither_embedder_builtin(&room->embedder, err));
    room->dim = hither_embedder_dim(room->embedder);
    room->vectors = ht_calloc((size_t)room->dim * PARTS, sizeof *room->vectors);
    return room->vectors ? HITHER_OK : ht_fail_nomem(err, (size_t)room->dim * PARTS * sizeof(float), "lines");
}

void ht_near_room_clear(ht_near_room *room) {
    hither_embedder_close(room->embedder);
    ht_release(room->vectors);
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

static float similarity(const ht_near *near, const ht_near_room *room, size_t part) {
    const float *vector = room->vectors + part * room->dim;
    double sum = 0;
    for (uint32_t i = 0; i < room->dim; i++)
        sum += (double)near->vector[i] * (double)vector[i];
    return (float)sum;
}

/* The nearest run of words of the line, if that is nearer than the whole. One word more than the text has, for the one
 * that often stands between. */
static hither_status nearest_part(const ht_near *near, const ht_near_room *room, ht_text line, ht_near_part *out,
                                  hither_error *err) {
    size_t begins[WORDS], ends[WORDS], from[PARTS] = {0}, to[PARTS] = {0}, parts = 0;
    const size_t count = split(line.data, line.bytes, begins, ends), width = near->words + 1;
    const size_t step = count > PARTS ? (count + PARTS - 1) / PARTS : 1;
    ht_column texts;
    ht_column_init(&texts);
    for (size_t i = 0; i + width <= count && parts < PARTS; i += step) {
        from[parts] = begins[i];
        to[parts] = ends[i + width - 1];
        ht_column_add(&texts, line.data + from[parts], to[parts] - from[parts]);
        parts++;
    }
    const hither_strings view = ht_column_view(&texts);
    hither_status status = ht_column_check(&texts, err);
    if (status == HITHER_OK && parts > 0)
        status = hither_embedder_embed(room->embedder, &view, room->vectors, err);
    for (size_t i = 0; status == HITHER_OK && i < parts; i++)
        if (similarity(near, room, i) > out->similarity)
            *out = (ht_near_part){similarity(near, room, i), from[i], to[i]};
    ht_column_clear(&texts);
    return status;
}

hither_status ht_near_line(const ht_near *near, const ht_near_room *room, ht_text line, ht_near_part *out,
                           hither_error *err) {
    const uint64_t offsets[] = {0, line.bytes};
    const hither_strings one = {.bytes = line.data, .offsets = offsets, .count = 1};
    HT_TRY(hither_embedder_embed(room->embedder, &one, room->vectors, err));
    *out = (ht_near_part){similarity(near, room, 0), 0, line.bytes};
    return out->similarity < WORTH_A_LOOK ? HITHER_OK : nearest_part(near, room, line, out, err);
}
