/*
 * search_group.c: the best hits of each of the best groups. Rows are of one group when a field of theirs has equal
 * values; rows where it is no string, number or bool are in none, and are no hits.
 *
 * The nearest k' rows are walked in order, opening groups until there are k; k' doubles until every open group is full
 * or known to have no further member. So the answer is what sorting all rows and walking them would give.
 */
#include "engine/field.h"
#include "engine/search.h"

#include <stdlib.h>
#include <string.h>

typedef struct member {
    ht_key key;
    uint64_t slot;
} member;

typedef struct grouping {
    ht_run *run;
    uint32_t *group_of; /* per slot; UINT32_MAX: none */
    uint64_t *sizes;    /* per group: its members among the rows the search allows */
    uint32_t group_count;
    uint64_t members;
    /* of the walk: */
    uint32_t *opened; /* per group: its place among the open ones plus one */
    ht_hit *hits;     /* search->k * group_size: those of the i-th open group from i * group_size on */
    uint32_t *counts; /* per open group */
    uint32_t open_count;
} grouping;

static int by_key(const void *left, const void *right) {
    const member *a = left, *b = right;
    if (a->key.type != b->key.type)
        return a->key.type < b->key.type ? -1 : 1;
    if (a->key.number != b->key.number)
        return a->key.number < b->key.number ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

static uint64_t next_slot(const ht_run *run, uint64_t slot) {
    return run->chosen ? ht_selection_next(run->chosen, slot) : ht_snapshot_next(run->view.snapshot, slot);
}

/* Numbers the groups. */
static void number(grouping *g, member *members, size_t count) {
    qsort(members, count, sizeof *members, by_key);
    for (size_t i = 0; i < count; i++) {
        bool same =
            i && members[i].key.type == members[i - 1].key.type && members[i].key.number == members[i - 1].key.number;
        g->group_count += !same;
        g->group_of[members[i].slot] = g->group_count - 1;
        g->sizes[g->group_count - 1]++;
    }
    g->members = count;
}

static hither_status find_groups(grouping *g, const ht_field_values *values, hither_error *err) {
    const ht_run *run = g->run;
    uint64_t limit = run->view.snapshot->slot_limit;
    member *members = ht_calloc((size_t)run->rows, sizeof *members);
    g->group_of = ht_calloc((size_t)limit, sizeof *g->group_of);
    g->sizes = ht_calloc((size_t)run->rows, sizeof *g->sizes);
    if (!members || !g->group_of || !g->sizes) {
        ht_release(members);
        return ht_fail_nomem(err, (size_t)limit * sizeof *g->group_of, "the groups of a search");
    }
    size_t count = 0;
    memset(g->group_of, 0xff, (size_t)limit * sizeof *g->group_of);
    for (uint64_t slot = next_slot(run, 0); slot < limit; slot = next_slot(run, slot + 1)) {
        const ht_cell_list *list;
        ht_key key = ht_field_key(values, slot, &list);
        if (ht_key_plain(key))
            members[count++] = (member){key, slot};
    }
    number(g, members, count);
    ht_release(members);
    return HITHER_OK;
}

/* Takes a hit in; true once no later hit could be taken. */
static bool take(grouping *g, const ht_hit *hit, uint32_t wanted, uint32_t *unfinished) {
    uint32_t group = g->group_of[hit->slot], size = g->run->search->group_size;
    if (group == UINT32_MAX)
        return false;
    if (!g->opened[group]) {
        if (g->open_count == wanted)
            return false;
        g->opened[group] = ++g->open_count;
        g->counts[g->open_count - 1] = 0;
    }
    uint32_t at = g->opened[group] - 1;
    if (g->counts[at] == size)
        return false;
    g->hits[(size_t)at * size + g->counts[at]++] = *hit;
    if (g->counts[at] == (g->sizes[group] < size ? g->sizes[group] : size))
        --*unfinished;
    return !*unfinished;
}

/* Whether the hits, nearest first, were enough to fill every group. */
static bool walk(grouping *g, const ht_hit *hits, size_t count) {
    uint32_t wanted = g->group_count < g->run->search->k ? g->group_count : g->run->search->k, unfinished = wanted;
    memset(g->opened, 0, g->group_count * sizeof *g->opened);
    g->open_count = 0;
    for (size_t i = 0; i < count && unfinished; i++)
        if (take(g, &hits[i], wanted, &unfinished))
            return true;
    return !unfinished;
}

static hither_status fill_groups(grouping *g, const float *query, hither_error *err) {
    ht_run *run = g->run;
    ht_scratch *scratch = run->view.scratch;
    uint64_t most = run->rows, k = (uint64_t)run->search->k * run->search->group_size * 2;
    for (;; k *= 2) {
        k = k < most ? k : most;
        HT_TRY(ht_scratch_reserve(scratch, (size_t)k, 1, err));
        HT_TRY(ht_run_nearest(run, query, run->dim * sizeof(float), 1, (size_t)k, scratch->hits, scratch->counts, err));
        size_t count = ht_run_cut(run, scratch->hits, scratch->counts[0]);
        if (walk(g, scratch->hits, count) || k == most || count < scratch->counts[0])
            break;
    }
    for (uint32_t i = 0; i < g->open_count; i++)
        HT_TRY(ht_run_add(run, &g->hits[(size_t)i * run->search->group_size], g->counts[i], err));
    return HITHER_OK;
}

hither_status ht_search_groups(ht_run *run, const float *query, hither_error *err) {
    grouping g = {.run = run};
    ht_field_values values;
    size_t places = (size_t)run->search->k * run->search->group_size;
    HT_TRY(ht_field_open(&values, run->view.c, run->view.snapshot, run->search->group, &run->view.reader, err));
    hither_status status = find_groups(&g, &values, err);
    ht_field_close(&values);
    if (status == HITHER_OK) {
        ht_explain_stage(&run->explain, "groups", NULL, run->rows, g.group_count);
        g.opened = ht_calloc(g.group_count, sizeof *g.opened);
        g.hits = ht_calloc(places, sizeof *g.hits);
        g.counts = ht_calloc(run->search->k, sizeof *g.counts);
        if (!g.opened || !g.hits || !g.counts)
            status = ht_fail_nomem(err, places * sizeof *g.hits, "the groups of a search");
    }
    if (status == HITHER_OK && g.group_count)
        status = fill_groups(&g, query, err);
    ht_release(g.group_of);
    ht_release(g.sizes);
    ht_release(g.opened);
    ht_release(g.hits);
    ht_release(g.counts);
    return status;
}
