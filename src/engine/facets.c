/*
 * facets.c: how many of the rows that match have which value of a field. A row whose value is an array counts once for
 * each distinct string, number or bool in it. Most frequent first, then false, true, numbers, strings.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "engine/explain.h"
#include "engine/field.h"
#include "engine/reading.h"

typedef struct entry {
    ht_key key;
    uint64_t slot;
} entry;

typedef struct facet {
    ht_value value;
    uint64_t count;
} facet;

typedef struct counting {
    ht_reading view;
    ht_selection selected;
    const ht_filter *filter;
    ht_field_values values;
    entry *entries;
    size_t count, room;
    uint64_t rows; /* that have some value */
    facet *facets;
    size_t facet_count;
} counting;

static int by_key(const void *left, const void *right) {
    const entry *a = left, *b = right;
    if (a->key.type != b->key.type)
        return a->key.type < b->key.type ? -1 : 1;
    if (a->key.number != b->key.number)
        return a->key.number < b->key.number ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

static int by_count(const void *left, const void *right) {
    const facet *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return ht_value_order(&a->value, &b->value);
}

static hither_status add(counting *n, ht_key key, uint64_t slot, hither_error *err) {
    if (!ht_key_plain(key))
        return HITHER_OK;
    if (n->count == n->room) {
        size_t room = n->room ? n->room * 2 : 1024, bytes;
        entry *grown = ht_mul_size(room, sizeof *grown, &bytes) ? ht_resize(n->entries, bytes) : NULL;
        if (!grown)
            return ht_fail_nomem(err, room * sizeof *grown, "facets");
        n->entries = grown;
        n->room = room;
    }
    n->entries[n->count++] = (entry){key, slot};
    return HITHER_OK;
}

static hither_status add_row(counting *n, uint64_t slot, hither_error *err) {
    const ht_cell_list *list = NULL;
    size_t before = n->count;
    ht_key key = ht_field_key(&n->values, slot, &list);
    if (key.type != HT_LIST)
        HT_TRY(add(n, key, slot, err));
    for (size_t i = 0; key.type == HT_LIST && i < list->count; i++)
        HT_TRY(add(n, ht_field_element(list, i), slot, err));
    n->rows += n->count > before;
    return HITHER_OK;
}

static hither_status collect(counting *n, hither_error *err) {
    const ht_snapshot *s = n->view.snapshot;
    for (uint64_t slot = 0;; slot++) {
        slot = n->filter ? ht_selection_next(&n->selected, slot) : ht_snapshot_next(s, slot);
        if (slot >= s->slot_limit)
            return HITHER_OK;
        HT_TRY(add_row(n, slot, err));
    }
}

static hither_status count_keys(counting *n, hither_error *err) {
    n->facets = ht_calloc(n->count, sizeof *n->facets);
    if (!n->facets)
        return ht_fail_nomem(err, n->count * sizeof *n->facets, "facets");
    if (n->count)
        qsort(n->entries, n->count, sizeof *n->entries, by_key);
    for (size_t i = 0; i < n->count; i++) {
        const entry *e = &n->entries[i], *before = i ? e - 1 : NULL;
        bool same = before && before->key.type == e->key.type && before->key.number == e->key.number;
        if (!same)
            n->facets[n->facet_count++].value = ht_key_value(&n->values, e->key);
        n->facets[n->facet_count - 1].count += !same || before->slot != e->slot;
    }
    if (n->facet_count)
        qsort(n->facets, n->facet_count, sizeof *n->facets, by_count);
    return HITHER_OK;
}

static hither_status put_facets(const counting *n, uint32_t limit, hither_result *result, hither_error *err) {
    ht_buf text;
    ht_buf_init(&text, SIZE_MAX / 2);
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < n->facet_count && i < limit && status == HITHER_OK; i++) {
        ht_buf_reset(&text);
        ht_buf_puts(&text, "{\"value\":");
        ht_value_json(&text, &n->facets[i].value);
        ht_buf_printf(&text, ",\"count\":%" PRIu64 "}", n->facets[i].count);
        status = ht_buf_check(&text, "a facet", err);
        if (status == HITHER_OK) {
            ht_result_add_int(result, (int64_t)i);
            ht_result_metadata(result, (ht_text){text.data, text.size});
        }
    }
    ht_buf_printf(ht_result_plan_buf(result),
                  "{\"kind\":\"facets\",\"rows\":%" PRIu64 ",\"rows_matched\":%" PRIu64 ",\"rows_with_value\":%" PRIu64
                  ",\"values\":%zu}",
                  n->view.snapshot->live_count, n->filter ? n->selected.count : n->view.snapshot->live_count, n->rows,
                  n->facet_count);
    ht_buf_clear(&text);
    return status;
}

static hither_status facets(ht_collection *c, const ht_filter *field, const ht_filter *filter, uint32_t limit,
                            hither_result **out, hither_error *err) {
    counting n = {.filter = filter};
    hither_result *result = NULL;
    hither_status status = ht_reading_open(&n.view, c, HITHER_INCLUDE_METADATA, err);
    if (status == HITHER_OK)
        status = ht_result_new(HITHER_INCLUDE_METADATA, 0, false, &result, err);
    if (status == HITHER_OK && filter)
        status = ht_select(c, n.view.snapshot, filter, &n.view.reader, &n.selected, err);
    if (status == HITHER_OK)
        status = ht_field_open(&n.values, c, n.view.snapshot, field, &n.view.reader, err);
    if (status == HITHER_OK) {
        status = collect(&n, err);
        if (status == HITHER_OK)
            status = count_keys(&n, err);
        if (status == HITHER_OK)
            status = put_facets(&n, limit, result, err);
        ht_field_close(&n.values);
    }
    ht_release(n.entries);
    ht_release(n.facets);
    ht_selection_clear(&n.selected);
    ht_reading_close(&n.view);
    return ht_result_hand_over(status, result, out, err);
}

hither_status ht_collection_facets(ht_collection *c, const ht_filter *field, const ht_filter *filter, uint32_t limit,
                                   hither_result **out, hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = facets(c, field, filter, limit, out, err);
    return status;
}
