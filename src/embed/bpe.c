/* bpe.c: see bpe.h. Pairs wait in a heap by rank and place; one whose symbols have changed since is passed over. */
#include "embed/bpe.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "embed/bpe_inside.h"

void ht_bpe_clear(ht_bpe *b) {
    ht_trie_clear(&b->vocabulary);
    ht_release(b->merges);
    *b = (ht_bpe){0};
}

static const ht_merge *find_merge(const ht_bpe *b, uint32_t left, uint32_t right) {
    size_t at = ht_bpe_place(left, right) & b->mask;
    for (; b->merges[at].rank_plus_one; at = (at + 1) & b->mask)
        if (b->merges[at].left == left && b->merges[at].right == right)
            return &b->merges[at];
    return NULL;
}

/* ---- the heap */

static bool comes_before(const ht_bpe_candidate *a, const ht_bpe_candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static bool push(ht_bpe_room *r, ht_bpe_candidate c) {
    if (r->heap_count == r->heap_room) {
        size_t room = r->heap_room ? r->heap_room * 2 : 64;
        ht_bpe_candidate *heap = ht_resize(r->heap, room * sizeof *heap);
        if (!heap)
            return false;
        r->heap = heap;
        r->heap_room = room;
    }
    size_t at = r->heap_count++;
    for (; at > 0 && comes_before(&c, &r->heap[(at - 1) / 2]); at = (at - 1) / 2)
        r->heap[at] = r->heap[(at - 1) / 2];
    r->heap[at] = c;
    return true;
}

static ht_bpe_candidate pop(ht_bpe_room *r) {
    ht_bpe_candidate top = r->heap[0], last = r->heap[--r->heap_count];
    size_t at = 0;
    for (size_t child = 1; child < r->heap_count; child = 2 * at + 1) {
        if (child + 1 < r->heap_count && comes_before(&r->heap[child + 1], &r->heap[child]))
            child++;
        if (!comes_before(&r->heap[child], &last))
            break;
        r->heap[at] = r->heap[child];
        at = child;
    }
    if (r->heap_count)
        r->heap[at] = last;
    return top;
}

/* ---- a word */

static bool add_symbol(ht_bpe_room *r, uint32_t id) {
    if (r->symbol_count == r->symbol_room) {
        size_t room = r->symbol_room ? r->symbol_room * 2 : 64;
        ht_bpe_symbol *symbols = ht_resize(r->symbols, room * sizeof *symbols);
        if (!symbols)
            return false;
        r->symbols = symbols;
        r->symbol_room = room;
    }
    int32_t at = (int32_t)r->symbol_count++;
    r->symbols[at] = (ht_bpe_symbol){id, at - 1, at + 1, false};
    return true;
}

/* The number of a character, plus one, with what stands around it in the vocabulary. */
static uint32_t find_char(const ht_bpe *b, const char *text, size_t bytes, bool first, bool last) {
    char full[2 * HT_BPE_MAX_AFFIX + 8];
    size_t length = first ? 0 : strlen(b->prefix), behind = last ? strlen(b->suffix) : 0;
    if (length + behind == 0)
        return ht_trie_find(&b->vocabulary, text, bytes);
    memcpy(full, b->prefix, length);
    memcpy(full + length, text, bytes);
    length += bytes;
    memcpy(full + length, b->suffix, behind);
    return ht_trie_find(&b->vocabulary, full, length + behind);
}

static bool all_bytes(const ht_bpe *b, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (!b->has_byte[(unsigned char)text[i]])
            return false;
    return b->fallback;
}

static bool add_chars(const ht_bpe *b, ht_bpe_room *r, const char *text, size_t bytes) {
    bool waits = false, fits = true; /* an unknown one waits for others to join it */
    size_t length;
    for (size_t at = 0; fits && at < bytes; at += length) {
        bool valid;
        (void)ht_utf8_next(text + at, bytes - at, &length, &valid);
        uint32_t id = find_char(b, text + at, length, at == 0, at + length == bytes);
        if (id) {
            fits = (!waits || add_symbol(r, b->unknown)) && add_symbol(r, id - 1);
            waits = false;
        } else if (all_bytes(b, text + at, length)) {
            for (size_t i = 0; fits && i < length; i++)
                fits = add_symbol(r, b->bytes[(unsigned char)text[at + i]]);
        } else if (b->has_unknown) {
            fits = !waits || b->fuse || add_symbol(r, b->unknown);
            waits = true;
        }
    }
    return fits && (!waits || add_symbol(r, b->unknown));
}

static bool offer(const ht_bpe *b, ht_bpe_room *r, int32_t at) {
    int32_t next = r->symbols[at].next;
    const ht_merge *m = find_merge(b, r->symbols[at].id, r->symbols[next].id);
    return !m || push(r, (ht_bpe_candidate){m->rank_plus_one, (uint32_t)at, m->id});
}

static bool merge_all(const ht_bpe *b, ht_bpe_room *r) {
    int32_t count = (int32_t)r->symbol_count;
    bool fits = true;
    r->heap_count = 0;
    for (int32_t i = 0; fits && i + 1 < count; i++)
        fits = offer(b, r, i);
    while (fits && r->heap_count) {
        ht_bpe_candidate top = pop(r);
        ht_bpe_symbol *s = &r->symbols[top.at];
        if (s->gone || s->next >= count)
            continue;
        ht_bpe_symbol *right = &r->symbols[s->next];
        const ht_merge *m = find_merge(b, s->id, right->id);
        if (!m || m->id != top.id)
            continue;
        s->id = top.id;
        s->next = right->next;
        right->gone = true;
        if (s->next < count)
            r->symbols[s->next].before = (int32_t)top.at;
        if (s->before >= 0)
            fits = offer(b, r, s->before);
        if (fits && s->next < count)
            fits = offer(b, r, (int32_t)top.at);
    }
    return fits;
}

hither_status ht_bpe_word(const ht_bpe *b, ht_bpe_room *room, const char *text, size_t bytes, ht_ids *ids,
                          hither_error *err) {
    uint32_t whole = b->ignore_merges ? ht_trie_find(&b->vocabulary, text, bytes) : 0;
    if (whole) {
        ht_ids_put(ids, whole - 1);
        return HITHER_OK;
    }
    room->symbol_count = 0;
    if (!add_chars(b, room, text, bytes) || !merge_all(b, room))
        return ht_fail_nomem(err, bytes * sizeof(ht_bpe_symbol), "a text");
    for (int32_t at = 0; at < (int32_t)room->symbol_count && ids->count < ids->most; at = room->symbols[at].next)
        ht_ids_put(ids, room->symbols[at].id);
    return HITHER_OK;
}
