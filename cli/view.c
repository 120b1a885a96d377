/* view.c: see view.h. What is shown, and what keys do. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "database.h"
#include "output.h"
#include "view_inside.h"

enum { GROUPS = 4096, DRAW_MS = 250, RATE_SECONDS = 5, HITS_ASKED = 2000 };

static int64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

hither_status ht_view_open(const ht_watch *watch, ht_view **out, hither_error *err) {
    *out = NULL;
    if (!ht_out_terminal()->tty)
        return ht_fail(err, HITHER_INVALID, "--view needs standard output to be a terminal");
    ht_view *v = ht_calloc(1, sizeof *v);
    if (!v)
        return ht_fail_nomem(err, sizeof *v, "the view");
    v->watch = watch;
    v->began_ms = clock_ms();
    v->dirty = true;
    hither_status status = ht_groups_new(GROUPS, HT_NEAR, watch->embedder, &v->groups, err);
    if (status == HITHER_OK)
        status = ht_screen_open(&v->screen, err);
    if (status != HITHER_OK) {
        ht_view_close(v);
        return status;
    }
    ht_say_into(v->said, sizeof v->said);
    *out = v;
    return HITHER_OK;
}

static void clear_hits(ht_view *v) {
    for (size_t i = 0; i < v->hit_count; i++)
        ht_release(v->hits[i].line);
    v->hit_count = 0;
}

void ht_view_close(ht_view *v) {
    if (!v)
        return;
    ht_screen_close(v->screen);
    ht_say_into(NULL, 0);
    for (size_t i = 0; i < HT_VIEW_ALARMS; i++) {
        ht_release(v->alarms[i].line);
        ht_release(v->alarms[i].nearest);
    }
    clear_hits(v);
    ht_groups_free(v->groups);
    ht_release(v);
}

int ht_view_keys(const ht_view *v) { return ht_screen_keys(v->screen); }

/* ---- what comes */

hither_status ht_view_lines(ht_view *v, const hither_strings *lines, const hither_score *scores, double seconds,
                            hither_error *err) {
    v->lines += lines->count;
    v->per_second[v->seconds % HT_GROUP_TICKS] += (uint32_t)lines->count;
    v->slowest_s = fmax(v->slowest_s, seconds);
    v->dirty = true;
    return ht_groups_add(v->groups, lines, scores, err);
}

hither_status ht_view_alarm(ht_view *v, const ht_alarm_line *a, hither_error *err) {
    const ht_text below = a->query ? (ht_text){a->query, strlen(a->query)} : a->nearest;
    char *line = ht_memdup(a->line.bytes ? a->line.data : "", a->line.bytes + !a->line.bytes);
    char *nearest = below.data ? ht_memdup(below.bytes ? below.data : "", below.bytes + !below.bytes) : NULL;
    if (!line || (below.data && !nearest)) {
        ht_release(line);
        ht_release(nearest);
        return ht_fail_nomem(err, a->line.bytes, "the view");
    }
    ht_view_alarm_kept *kept = &v->alarms[v->alarm_count++ % HT_VIEW_ALARMS];
    ht_release(kept->line);
    ht_release(kept->nearest);
    *kept = (ht_view_alarm_kept){.line = line,
                                 .nearest = nearest,
                                 .bytes = a->line.bytes,
                                 .nearest_bytes = below.bytes,
                                 .score = a->query ? a->similarity : a->score->novelty};
    snprintf(kept->reason, sizeof kept->reason, "%s", a->reason);
    v->first += v->first > 0; /* what is looked at stays */
    v->dirty = true;
    return HITHER_OK;
}

/* ---- figures */

static uint64_t resident_bytes(void) {
    unsigned long long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%llu %llu", &total, &resident) != 2)
            resident = 0;
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

hither_status ht_view_measure(ht_view *v, ht_view_facts *out, hither_error *err) {
    hither_result *info;
    json_t *facts;
    HT_TRY(hither_window_info(v->watch->window, &info, err));
    hither_status status = ht_metadata_object(info, 0, &facts, err);
    hither_result_free(info);
    HT_TRY(status);
    *out = (ht_view_facts){.memory = resident_bytes(),
                           .records = (uint64_t)json_integer_value(json_object_get(facts, "records")),
                           .capacity = (uint64_t)json_integer_value(json_object_get(facts, "capacity")),
                           .forms = (uint64_t)json_integer_value(json_object_get(facts, "forms"))};
    json_decref(facts);
    const uint64_t over = v->seconds < RATE_SECONDS ? v->seconds : RATE_SECONDS;
    for (uint64_t ago = 1; ago <= over; ago++)
        out->rate += v->per_second[(v->seconds - ago) % HT_GROUP_TICKS];
    out->rate = over ? (out->rate + over / 2) / over : v->per_second[0];
    return HITHER_OK;
}

static void pass_time(ht_view *v, int64_t now_ms) {
    const uint64_t seconds = (uint64_t)(now_ms - v->began_ms) / 1000;
    if (seconds > v->seconds + HT_GROUP_TICKS)
        v->seconds = seconds - HT_GROUP_TICKS;
    for (; v->seconds < seconds; v->dirty = true) {
        ht_groups_tick(v->groups);
        v->seconds++;
        v->per_second[v->seconds % HT_GROUP_TICKS] = 0;
        v->latency_s = v->slowest_s;
        v->slowest_s = 0;
    }
}

/* ---- the search */

static bool take_hit(ht_view *v, ht_text text, float similarity, bool archived, size_t most) {
    size_t at = v->hit_count;
    while (at > 0 && v->hits[at - 1].similarity < similarity)
        at--;
    char *line = at < most ? ht_memdup(text.bytes ? text.data : "", text.bytes + !text.bytes) : NULL;
    if (!line)
        return false;
    if (v->hit_count == most)
        ht_release(v->hits[--v->hit_count].line);
    memmove(&v->hits[at + 1], &v->hits[at], (v->hit_count - at) * sizeof *v->hits);
    v->hits[at] = (ht_view_hit){line, text.bytes, similarity, 1, archived};
    v->hit_count++;
    return true;
}

/* Hits that are equally near, which is what lines of one form are, become one; of those the last came last. */
static void add_hits(ht_view *v, const hither_result *result, bool archived, int64_t before, size_t most) {
    const hither_strings documents = hither_result_documents(result, 0);
    const hither_ids ids = hither_result_ids(result, 0);
    const float *distances = hither_result_distances(result, 0);
    for (size_t i = 0; i < documents.count;) {
        size_t last = i, count = 0;
        for (; i < documents.count && distances[i] == distances[last]; i++) {
            if (archived && ids.ints[i] >= before)
                continue; /* the window has it too */
            count++;
            last = i;
        }
        if (count == 0)
            continue;
        if (!take_hit(v, ht_strings_at(&documents, last), 1 - distances[last], archived, most))
            return;
        for (size_t at = 0; at < v->hit_count; at++)
            if (v->hits[at].similarity == 1 - distances[last] && v->hits[at].archived == archived)
                v->hits[at].count = count;
    }
}

/* The nearest lines of the window, and of the archive those that the window no longer has. */
static hither_status search(ht_view *v, uint64_t records, hither_error *err) {
    size_t most = ht_screen_list_rows(v->screen);
    most = most < HT_VIEW_HITS ? most : HT_VIEW_HITS;
    const uint64_t offsets[] = {0, strlen(v->sought)};
    const hither_query query = {.size = sizeof query, .texts = {.bytes = v->sought, .offsets = offsets, .count = 1}};
    hither_result *result;
    clear_hits(v);
    if (most == 0)
        return HITHER_OK;
    HT_TRY(hither_window_search(v->watch->window, &query, HITS_ASKED, &result, err));
    add_hits(v, result, false, 0, most);
    hither_result_free(result);
    hither_error why = {0};
    ht_archive *archive = v->watch->archive;
    if (archive && ht_archive_search(archive, v->sought, HITS_ASKED, &result, &why) == HITHER_OK) {
        add_hits(v, result, true, ht_archive_next(archive) - (int64_t)records, most);
        hither_result_free(result);
    }
    return HITHER_OK;
}

/* ---- keys */

static void say(ht_view *v, const char *what, const char *text) {
    snprintf(v->said, sizeof v->said, "%s%.160s", what, text);
}

static void ask(ht_view *v, int key) {
    if (key == HT_KEY_ENTER || key == HT_KEY_ESCAPE) {
        v->asking = false;
        memcpy(v->sought, v->typed, sizeof v->sought);
        if (key == HT_KEY_ESCAPE || v->typed_bytes == 0) {
            v->sought[0] = 0;
            clear_hits(v);
        }
    } else if (key == HT_KEY_BACK) {
        while (v->typed_bytes > 0 && ((unsigned char)v->typed[--v->typed_bytes] & 0xc0) == 0x80) {
        }
        v->typed[v->typed_bytes] = 0;
    } else if (key >= 0x20 && key < 0x100 && v->typed_bytes < HT_VIEW_PROMPT) {
        v->typed[v->typed_bytes++] = (char)key;
        v->typed[v->typed_bytes] = 0;
    }
}

static hither_status save_query(ht_view *v) {
    hither_error err = {0};
    if (!v->sought[0])
        say(v, "first search for something: /", "");
    else if (ht_standing_add(v->watch->standing, v->sought, &err) != HITHER_OK)
        say(v, "", err.message);
    else
        say(v, v->watch->standing->path ? "saved, new lines like it are shown: " : "new lines like it are shown: ",
            v->sought);
    return HITHER_OK;
}

static hither_status press(ht_view *v, int key, bool *quit) {
    v->dirty = true;
    v->said[0] = 0;
    if (key == HT_KEY_RESIZED)
        return HITHER_OK;
    if (v->asking)
        ask(v, key);
    else if (key == '/')
        v->asking = true, v->typed_bytes = 0, v->typed[0] = 0;
    else if (key == 'q')
        *quit = true;
    else if (key == 's')
        return save_query(v);
    else if (key == ' ')
        v->paused = !v->paused;
    else if (key == HT_KEY_ESCAPE)
        v->sought[0] = 0, v->first = 0, clear_hits(v);
    else if (key == HT_KEY_UP || key == 'k')
        v->first -= v->first > 0;
    else if (key == HT_KEY_DOWN || key == 'j')
        v->first += v->first + 1 < v->alarm_count && v->first + 1 < HT_VIEW_ALARMS;
    return HITHER_OK;
}

hither_status ht_view_turn(ht_view *v, bool *quit, hither_error *err) {
    *quit = false;
    const int64_t now = clock_ms();
    bool pressed = false;
    for (int key; !*quit && (key = ht_screen_key(v->screen)) != HT_KEY_NONE; pressed = true)
        HT_TRY(press(v, key, quit));
    pass_time(v, now);
    if (!v->dirty || (!pressed && (v->paused || now - v->drawn_ms < DRAW_MS)))
        return HITHER_OK;
    ht_view_facts facts;
    HT_TRY(ht_view_measure(v, &facts, err));
    if (v->sought[0])
        HT_TRY(search(v, facts.records, err));
    ht_screen_draw(v->screen, v, &facts);
    v->drawn_ms = now;
    v->dirty = false;
    return HITHER_OK;
}
