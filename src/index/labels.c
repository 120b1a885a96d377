/*
 * labels.c: labels.h by an array and a hash table of slots.
 *
 * The table holds slots, not labels: an entry's label is of_slot's, and it counts only while its slot is alive. So a
 * removal only clears a bit, and the entry left behind is dropped when the table next grows.
 */
#include "index/labels.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define CHUNK 65536u

void ht_labels_init(ht_labels *l) { *l = (ht_labels){0}; }

void ht_labels_clear(ht_labels *l) {
    for (size_t i = 0; i < l->chunk_count; i++)
        ht_release(l->chunks[i]);
    ht_release(l->chunks);
    ht_release(l->of_slot);
    ht_release(l->table);
    ht_labels_init(l);
}

/* ---- the table */

static size_t place_of(const ht_labels *l, int64_t label) {
    return (size_t)ht_mix64((uint64_t)label) & (l->table_size - 1);
}

/* Room is there and the label is not in the table under a living slot. */
static void table_put(ht_labels *l, uint64_t slot) {
    size_t at = place_of(l, l->of_slot[slot]);
    while (l->table[at] != 0)
        at = (at + 1) & (l->table_size - 1);
    l->table[at] = slot + 1;
    l->table_used++;
}

/* A table with room for `more` further entries at a load of one half, of the living alone. */
static hither_status table_reserve(ht_labels *l, size_t more, hither_error *err) {
    if (l->table && l->table_used + more <= l->table_size / 2)
        return HITHER_OK;
    size_t size = 64;
    while (size / 2 < l->alive + more)
        size *= 2;
    uint64_t *old = l->table;
    uint64_t *fresh = ht_calloc(size, sizeof *fresh);
    if (!fresh)
        return ht_fail_nomem(err, size * sizeof *fresh, "the labels of an index");
    l->table = fresh;
    l->table_size = size;
    l->table_used = 0;
    for (uint64_t slot = 0; slot < l->slots; slot++)
        if (ht_labels_alive(l, slot))
            table_put(l, slot);
    ht_release(old);
    return HITHER_OK;
}

static uint64_t table_find(const ht_labels *l, int64_t label) {
    for (size_t at = place_of(l, label); l->table[at] != 0; at = (at + 1) & (l->table_size - 1)) {
        uint64_t slot = l->table[at] - 1;
        if (l->of_slot[slot] == label && slot < l->slots && ht_labels_alive(l, slot))
            return slot;
    }
    return HT_NO_SLOT;
}

uint64_t ht_labels_find(const ht_labels *l, int64_t label) {
    if (l->table)
        return table_find(l, label);
    return label >= 0 && (uint64_t)label < l->slots && ht_labels_alive(l, (uint64_t)label) ? (uint64_t)label
                                                                                           : HT_NO_SLOT;
}

/* ---- growing */

static hither_status reserve_chunks(ht_labels *l, uint64_t slots, hither_error *err) {
    size_t wanted = (size_t)((slots + CHUNK - 1) / CHUNK);
    if (wanted <= l->chunk_count)
        return HITHER_OK;
    uint64_t **grown = ht_resize(l->chunks, wanted * sizeof *grown);
    if (!grown)
        return ht_fail_nomem(err, wanted * sizeof *grown, "the live rows of an index");
    for (size_t i = l->chunk_count; i < wanted; i++)
        grown[i] = NULL;
    l->chunks = grown;
    l->chunk_count = wanted;
    return HITHER_OK;
}

static hither_status reserve_labels(ht_labels *l, uint64_t slots, hither_error *err) {
    if (slots <= l->room)
        return HITHER_OK;
    size_t room = (size_t)(slots + slots / 2), bytes;
    if (!ht_mul_size(room, sizeof *l->of_slot, &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "the labels of an index");
    int64_t *grown = ht_resize(l->of_slot, bytes);
    if (!grown)
        return ht_fail_nomem(err, bytes, "the labels of an index");
    l->of_slot = grown;
    l->room = room;
    return HITHER_OK;
}

/* From "label == slot" to stored labels, with room for `count` more. */
static hither_status store_labels(ht_labels *l, size_t count, hither_error *err) {
    bool implied = !l->of_slot;
    HT_TRY(reserve_labels(l, l->slots + count + 1, err));
    for (uint64_t slot = 0; implied && slot < l->slots; slot++)
        l->of_slot[slot] = (int64_t)slot;
    return HITHER_OK;
}

/* Whether the labels are what "label == slot" says. */
static bool implied(const ht_labels *l, const int64_t *given, size_t count) {
    if (l->of_slot || (!given && (uint64_t)l->next != l->slots))
        return false;
    for (size_t i = 0; given && i < count; i++)
        if (given[i] < 0 || (uint64_t)given[i] != l->slots + i)
            return false;
    return true;
}

static hither_status check_given(const int64_t *given, size_t count, hither_error *err) {
    for (size_t i = 0; i < count; i++)
        if (given[i] < 0 || given[i] == INT64_MAX)
            return ht_fail(err, HITHER_INVALID, "row %zu: label %lld; labels are 0 to 2^63 - 2", i,
                           (long long)given[i]);
    return HITHER_OK;
}

hither_status ht_labels_add(ht_labels *l, const int64_t *given, size_t count, hither_error *err) {
    if (given)
        HT_TRY(check_given(given, count, err));
    if ((uint64_t)count > (uint64_t)(INT64_MAX - l->next))
        return ht_fail(err, HITHER_TOO_LARGE, "no labels are left after %lld", (long long)l->next);
    HT_TRY(reserve_chunks(l, l->slots + count, err));
    int64_t next = l->next;
    if (implied(l, given, count)) {
        l->slots += count;
        l->alive += count;
        l->next += (int64_t)count;
        return HITHER_OK;
    }
    HT_TRY(store_labels(l, count, err));
    HT_TRY(table_reserve(l, count, err));
    for (size_t i = 0; i < count; i++) {
        int64_t label = given ? given[i] : l->next;
        if (given && table_find(l, label) != HT_NO_SLOT) {
            ht_labels_take_back(l, i, next);
            return ht_fail(err, HITHER_EXISTS, "row %zu: label %lld is there already", i, (long long)label);
        }
        l->of_slot[l->slots] = label;
        table_put(l, l->slots);
        l->slots++;
        l->alive++;
        if (label >= l->next)
            l->next = label + 1;
    }
    return HITHER_OK;
}

void ht_labels_take_back(ht_labels *l, size_t count, int64_t next) {
    /* Their entries in the table point past `slots`; they are cleared so that a slot given out anew has one entry. */
    for (uint64_t slot = l->slots - count; l->table && slot < l->slots; slot++) {
        size_t at = place_of(l, l->of_slot[slot]);
        while (l->table[at] != slot + 1)
            at = (at + 1) & (l->table_size - 1);
        l->table[at] = 0;
        l->table_used--;
        /* What stands behind in the same run must stay reachable: put it in again. */
        for (at = (at + 1) & (l->table_size - 1); l->table[at] != 0; at = (at + 1) & (l->table_size - 1)) {
            uint64_t moved = l->table[at] - 1;
            l->table[at] = 0;
            l->table_used--;
            table_put(l, moved);
        }
    }
    l->slots -= count;
    l->alive -= count;
    l->next = next;
}

hither_status ht_labels_remove(ht_labels *l, int64_t label, bool *removed, hither_error *err) {
    uint64_t slot = ht_labels_find(l, label);
    *removed = slot != HT_NO_SLOT;
    if (!*removed)
        return HITHER_OK;
    uint64_t **chunk = &l->chunks[slot / CHUNK];
    if (!*chunk) {
        *chunk = ht_alloc(CHUNK / 8);
        if (!*chunk)
            return ht_fail_nomem(err, CHUNK / 8, "the live rows of an index");
        memset(*chunk, 0xff, CHUNK / 8);
    }
    (*chunk)[slot % CHUNK / 64] &= ~((uint64_t)1 << (slot % 64));
    l->alive--;
    return HITHER_OK;
}

/* ---- allowed labels to allowed slots */

static bool allows(const uint64_t *allow, uint64_t allow_bits, int64_t label) {
    return (uint64_t)label < allow_bits && (allow[label / 64] >> (label % 64) & 1);
}

hither_status ht_labels_allow(const ht_labels *l, const uint64_t *allow, uint64_t allow_bits, ht_allowed *out,
                              hither_error *err) {
    *out = (ht_allowed){0};
    uint64_t limit = !l->of_slot && allow_bits < l->slots ? allow_bits : l->slots;
    size_t count = (size_t)((limit + CHUNK - 1) / CHUNK);
    out->chunks = ht_calloc(count, sizeof *out->chunks);
    if (l->of_slot)
        out->words = ht_calloc(count, CHUNK / 8);
    if (!out->chunks || (l->of_slot && !out->words)) {
        ht_labels_allow_clear(out);
        return ht_fail_nomem(err, count * (CHUNK / 8), "the allowed rows");
    }
    for (size_t i = 0; i < count; i++)
        out->chunks[i] = (out->words ? out->words : allow) + i * (CHUNK / 64);
    for (uint64_t slot = 0; l->of_slot && slot < limit; slot++)
        if (allows(allow, allow_bits, l->of_slot[slot]))
            out->words[slot / 64] |= (uint64_t)1 << (slot % 64);
    out->mask = (ht_mask){.chunks = out->chunks, .chunk_count = count, .limit = limit};
    return HITHER_OK;
}

void ht_labels_allow_clear(ht_allowed *allowed) {
    ht_release((void *)allowed->chunks);
    ht_release(allowed->words);
    *allowed = (ht_allowed){0};
}
