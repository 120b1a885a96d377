/*
 * met_rows.c: see met_rows.h.
 */
#include "engine/met_rows.h"

#include <string.h>

#include "base/alloc.h"

enum { SLOTS = 1024 };      /* of a block */
enum { LISTS = 4096 };      /* of rows kept whole */
enum { MOST_BYTES = 1024 }; /* of such a row's id, of its metadata, and of its document */

typedef struct block {
    _Atomic uint64_t known[SLOTS / 64]; /* the id */
    _Atomic uint64_t alone[SLOTS / 64]; /* and that there is nothing else */
    _Atomic int64_t ids[SLOTS];
} block;

typedef struct kept_row {
    struct kept_row *next;
    ht_row row; /* its texts lie behind it */
} kept_row;

typedef _Atomic(kept_row *) list;

/* ---- ids */

/* Where the pointer to a slot's block is: level and place. */
static unsigned locate(uint64_t slot, uint64_t *at) {
    uint64_t n = slot / SLOTS + 1;
    unsigned level = 63u - (unsigned)__builtin_clzll(n);
    *at = n - ((uint64_t)1 << level);
    return level;
}

static block *find_block(const ht_met_rows *rows, uint64_t slot) {
    uint64_t at;
    unsigned level = locate(slot, &at);
    _Atomic(block *) *blocks =
        level < HT_MET_ROWS_LEVELS ? atomic_load_explicit(&rows->levels[level], memory_order_acquire) : NULL;
    return blocks ? atomic_load_explicit(&blocks[at], memory_order_acquire) : NULL;
}

/* Puts fresh memory into a place that is empty, unless another thread has; NULL without memory. */
static void *fill(_Atomic(void *) *place, size_t count, size_t size) {
    void *there = atomic_load_explicit(place, memory_order_acquire);
    if (there)
        return there;
    void *fresh = ht_calloc(count, size);
    if (!fresh ||
        atomic_compare_exchange_strong_explicit(place, &there, fresh, memory_order_acq_rel, memory_order_acquire))
        return fresh;
    ht_release(fresh);
    return there;
}

static bool has_bit(const _Atomic uint64_t *bits, size_t i) {
    return atomic_load_explicit(&bits[i / 64], memory_order_acquire) >> i % 64 & 1;
}

static void set_bit(_Atomic uint64_t *bits, size_t i) {
    atomic_fetch_or_explicit(&bits[i / 64], (uint64_t)1 << i % 64, memory_order_release);
}

bool ht_met_rows_id(const ht_met_rows *rows, uint64_t slot, int64_t *id) {
    const block *b = find_block(rows, slot);
    if (!b || !has_bit(b->known, slot % SLOTS))
        return false;
    *id = atomic_load_explicit(&b->ids[slot % SLOTS], memory_order_relaxed);
    return true;
}

static block *note_id(ht_met_rows *rows, uint64_t slot, int64_t id) {
    uint64_t at;
    unsigned level = locate(slot, &at);
    if (level >= HT_MET_ROWS_LEVELS)
        return NULL;
    _Atomic(void *) *blocks = fill(&rows->levels[level], (size_t)1 << level, sizeof *blocks);
    block *b = blocks ? fill(&blocks[at], 1, sizeof *b) : NULL;
    if (!b)
        return NULL;
    atomic_store_explicit(&b->ids[slot % SLOTS], id, memory_order_relaxed);
    set_bit(b->known, slot % SLOTS);
    return b;
}

void ht_met_rows_note_id(ht_met_rows *rows, uint64_t slot, int64_t id) { (void)note_id(rows, slot, id); }

/* ---- whole rows */

static const ht_row *find_whole(const ht_met_rows *rows, uint64_t slot) {
    list *lists = atomic_load_explicit(&rows->whole, memory_order_acquire);
    const kept_row *k = lists ? atomic_load_explicit(&lists[slot % LISTS], memory_order_acquire) : NULL;
    while (k && k->row.slot != slot)
        k = k->next;
    return k ? &k->row : NULL;
}

bool ht_met_rows_find(const ht_met_rows *rows, uint64_t slot, ht_row *out) {
    const block *b = find_block(rows, slot);
    if (b && has_bit(b->alone, slot % SLOTS)) {
        *out = (ht_row){.slot = slot, .id_kind = HT_ID_INT};
        out->int_id = atomic_load_explicit(&b->ids[slot % SLOTS], memory_order_relaxed);
        return true;
    }
    const ht_row *row = find_whole(rows, slot);
    if (row)
        *out = *row;
    return row != NULL;
}

/* Copies a text to `at`, and makes it point there. */
static char *move_text(ht_text *text, char *at) {
    if (!text->data)
        return at;
    if (text->bytes)
        memcpy(at, text->data, text->bytes);
    text->data = at;
    return at + text->bytes;
}

static void keep_whole(ht_met_rows *rows, const ht_row *row) {
    if (row->text_id.bytes > MOST_BYTES || row->metadata.bytes > MOST_BYTES || row->document.bytes > MOST_BYTES)
        return;
    size_t bytes = sizeof(kept_row) + row->text_id.bytes + row->metadata.bytes + row->document.bytes;
    list *lists = fill(&rows->whole, LISTS, sizeof *lists);
    if (!lists || find_whole(rows, row->slot))
        return;
    if (atomic_fetch_add_explicit(&rows->bytes, bytes, memory_order_relaxed) + bytes > HT_MET_ROWS_BYTES) {
        atomic_fetch_sub_explicit(&rows->bytes, bytes, memory_order_relaxed);
        return;
    }
    kept_row *k = ht_alloc(bytes);
    if (!k)
        return;
    k->row = *row;
    char *at = move_text(&k->row.text_id, (char *)(k + 1));
    at = move_text(&k->row.metadata, at);
    (void)move_text(&k->row.document, at);
    list *head = &lists[row->slot % LISTS];
    k->next = atomic_load_explicit(head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(head, &k->next, k, memory_order_release, memory_order_relaxed)) {
    }
}

void ht_met_rows_note(ht_met_rows *rows, const ht_row *row) {
    if (row->id_kind != HT_ID_INT || row->metadata.data || row->document.data) {
        keep_whole(rows, row);
        return;
    }
    block *b = note_id(rows, row->slot, row->int_id);
    if (b)
        set_bit(b->alone, row->slot % SLOTS);
}

/* ---- the end */

static void clear_lists(list *lists) {
    for (size_t i = 0; lists && i < LISTS; i++) {
        kept_row *k = atomic_load_explicit(&lists[i], memory_order_relaxed);
        while (k) {
            kept_row *next = k->next;
            ht_release(k);
            k = next;
        }
    }
    ht_release((void *)lists);
}

void ht_met_rows_clear(ht_met_rows *rows) {
    for (unsigned level = 0; level < HT_MET_ROWS_LEVELS; level++) {
        _Atomic(void *) *blocks = atomic_load_explicit(&rows->levels[level], memory_order_relaxed);
        for (uint64_t at = 0; blocks && at < (uint64_t)1 << level; at++)
            ht_release(atomic_load_explicit(&blocks[at], memory_order_relaxed));
        ht_release((void *)blocks);
    }
    clear_lists(atomic_load_explicit(&rows->whole, memory_order_relaxed));
}
