/* groups.c: see groups.h. The leaders are the records of a window, which finds the nearest one exactly. */
#include "groups.h"

#include <string.h>

#include "base/alloc.h"

enum { FORMS = 1 << 16 };         /* remembered forms; a power of two */
static const double NOISE = 1e-6; /* of a distance that is 0 */

typedef struct known_form {
    uint64_t form, group; /* 0: none; the leader's record + 1 */
} known_form;

struct ht_groups {
    hither_window *leaders;
    uint32_t capacity;
    double near;
    uint64_t next;         /* records of `leaders`; its groups are at their number % capacity */
    uint64_t now;          /* ticks ended */
    uint64_t lines;        /* ever */
    ht_line_group *groups; /* capacity of them */
    known_form *forms;
    void (*leaving)(void *ctx, const ht_line_group *group);
    void *ctx;
};

hither_status ht_groups_new(uint32_t capacity, double near, hither_embedder *embedder, ht_groups **out,
                            hither_error *err) {
    *out = NULL;
    ht_groups *g = ht_calloc(1, sizeof *g);
    if (!g)
        return ht_fail_nomem(err, sizeof *g, "groups of lines");
    g->capacity = capacity;
    g->near = near;
    g->groups = ht_calloc(capacity, sizeof *g->groups);
    g->forms = ht_calloc(FORMS, sizeof *g->forms);
    const hither_window_options options = {
        .size = sizeof options, .embedder = embedder, .capacity = capacity, .no_centroid = 1};
    hither_status status = g->groups && g->forms ? hither_window_new(&options, &g->leaders, err)
                                                 : ht_fail_nomem(err, capacity * sizeof *g->groups, "groups of lines");
    if (status == HITHER_OK)
        *out = g;
    else
        ht_groups_free(g);
    return status;
}

void ht_groups_free(ht_groups *g) {
    if (!g)
        return;
    for (uint32_t i = 0; g->groups && i < g->capacity; i++)
        ht_release(g->groups[i].text);
    hither_window_close(g->leaders);
    ht_release(g->groups);
    ht_release(g->forms);
    ht_release(g);
}

void ht_groups_on_leaving(ht_groups *g, void (*leaving)(void *ctx, const ht_line_group *group), void *ctx) {
    g->leaving = leaving;
    g->ctx = ctx;
}

/* A group of its own. */
static hither_status lead(ht_groups *g, const hither_strings *line, ht_text text, uint64_t *record, hither_error *err) {
    char *copy = ht_memdup(text.bytes ? text.data : "", text.bytes + !text.bytes);
    if (!copy)
        return ht_fail_nomem(err, text.bytes, "a group of lines");
    hither_status status = hither_window_push(g->leaders, line, NULL, err);
    if (status != HITHER_OK) {
        ht_release(copy);
        return status;
    }
    *record = g->next++;
    ht_line_group *group = &g->groups[*record % g->capacity];
    if (group->text && g->leaving)
        g->leaving(g->ctx, group);
    ht_release(group->text);
    *group = (ht_line_group){.text = copy, .bytes = text.bytes, .line = g->lines + 1};
    return HITHER_OK;
}

/* The record of the leader that line i goes with. */
static hither_status find(ht_groups *g, const hither_strings *lines, size_t i, uint64_t *record, hither_error *err) {
    const ht_text text = ht_strings_at(lines, i);
    const uint64_t offsets[] = {0, text.bytes};
    const hither_strings one = {.bytes = text.data, .offsets = offsets, .count = 1};
    if (g->next > 0) {
        hither_result *hits;
        const hither_query query = {.size = sizeof query, .texts = one};
        HT_TRY(hither_window_search(g->leaders, &query, 1, &hits, err));
        bool near = (double)hither_result_distances(hits, 0)[0] <= g->near + NOISE;
        *record = (uint64_t)hither_result_ids(hits, 0).ints[0];
        hither_result_free(hits);
        if (near)
            return HITHER_OK;
    }
    return lead(g, &one, text, record, err);
}

hither_status ht_groups_add(ht_groups *g, const hither_strings *lines, const hither_score *scores, hither_error *err) {
    for (size_t i = 0; i < lines->count; i++) {
        known_form *known = &g->forms[scores[i].form % FORMS];
        uint64_t record = known->group - 1;
        if (known->group == 0 || known->form != scores[i].form || g->next - record > g->capacity) {
            HT_TRY(find(g, lines, i, &record, err));
            *known = (known_form){scores[i].form, record + 1};
        }
        ht_line_group *group = &g->groups[record % g->capacity];
        group->count++;
        group->ticks[g->now % HT_GROUP_TICKS]++;
        g->lines++;
    }
    return HITHER_OK;
}

void ht_groups_tick(ht_groups *g) {
    g->now++;
    for (size_t i = 0; i < ht_groups_count(g); i++)
        g->groups[i].ticks[g->now % HT_GROUP_TICKS] = 0;
}

size_t ht_groups_count(const ht_groups *g) { return g->next < g->capacity ? (size_t)g->next : g->capacity; }

const ht_line_group *ht_groups_at(const ht_groups *g, size_t i) {
    return &g->groups[(g->next - ht_groups_count(g) + i) % g->capacity];
}

uint32_t ht_groups_lines(const ht_groups *g, const ht_line_group *group, unsigned ago) {
    if (ago >= HT_GROUP_TICKS || ago > g->now)
        return 0;
    return group->ticks[(g->now - ago) % HT_GROUP_TICKS];
}

size_t ht_groups_growing(const ht_groups *g, unsigned ticks, const ht_line_group **out, size_t most) {
    size_t found = 0;
    uint64_t recent[256];
    most = most < sizeof recent / sizeof *recent ? most : sizeof recent / sizeof *recent;
    for (size_t i = 0; i < ht_groups_count(g); i++) {
        const ht_line_group *group = ht_groups_at(g, i);
        uint64_t lines = 0;
        for (unsigned ago = 0; ago < ticks && ago < HT_GROUP_TICKS; ago++)
            lines += ht_groups_lines(g, group, ago);
        size_t at = found;
        while (at > 0 && (recent[at - 1] < lines || (recent[at - 1] == lines && out[at - 1]->count < group->count)))
            at--;
        if (at == most)
            continue;
        found += found < most;
        for (size_t j = found - 1; j > at; j--) {
            recent[j] = recent[j - 1];
            out[j] = out[j - 1];
        }
        recent[at] = lines;
        out[at] = group;
    }
    return found;
}
