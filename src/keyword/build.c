/*
 * build.c: see build.h. Words are collected as (term, row, position), in the order of rows and positions; one counting
 * sort by term then gives every list in its order.
 */
#include "keyword/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define FULL_WORDS ((size_t)4 << 20)
#define FULL_ROWS  ((uint64_t)1 << 28)
#define FIRST_ROOM 1024

typedef struct ht_seen {
    uint64_t hash;
    uint32_t term; /* + 1; 0: free */
} seen;

typedef struct place {
    uint32_t begin, bytes;
} place;

typedef struct word {
    uint32_t term, row, position;
} word;

void ht_builder_init(ht_builder *b, uint64_t first_slot) {
    *b = (ht_builder){.first = first_slot, .base = first_slot - first_slot % 64};
    ht_buf_init(&b->texts, UINT32_MAX);
    ht_buf_init(&b->terms, SIZE_MAX);
    ht_buf_init(&b->words, SIZE_MAX);
    ht_buf_init(&b->lengths, SIZE_MAX);
}

void ht_builder_clear(ht_builder *b) {
    ht_release(b->table);
    b->table = NULL;
    ht_buf_clear(&b->texts);
    ht_buf_clear(&b->terms);
    ht_buf_clear(&b->words);
    ht_buf_clear(&b->lengths);
}

bool ht_builder_full(const ht_builder *b) {
    return b->words.size / sizeof(word) >= FULL_WORDS || b->lengths.size / sizeof(uint32_t) >= FULL_ROWS;
}

static const place *places(const ht_builder *b) { return (const place *)(const void *)b->terms.data; }

static ht_text text_of(const ht_builder *b, uint32_t term) {
    place at = places(b)[term];
    return (ht_text){b->texts.data + at.begin, at.bytes};
}

static bool grow(ht_builder *b) {
    size_t room = b->room ? 2 * b->room : FIRST_ROOM;
    seen *fresh = ht_calloc(room, sizeof *fresh);
    if (!fresh)
        return false;
    for (size_t i = 0; i < b->room; i++) {
        if (!b->table[i].term)
            continue;
        size_t at = (size_t)b->table[i].hash & (room - 1);
        while (fresh[at].term)
            at = (at + 1) & (room - 1);
        fresh[at] = b->table[i];
    }
    ht_release(b->table);
    b->table = fresh;
    b->room = room;
    return true;
}

/* The number of a term, a new one if need be; false without memory. */
static bool number_of(ht_builder *b, const char *text, size_t bytes, uint32_t *out) {
    if (b->term_count >= b->room / 2 && !grow(b))
        return false;
    uint64_t hash = ht_hash64(text, bytes, 0);
    size_t at = (size_t)hash & (b->room - 1);
    for (; b->table[at].term; at = (at + 1) & (b->room - 1)) {
        *out = b->table[at].term - 1;
        if (b->table[at].hash == hash && places(b)[*out].bytes == bytes &&
            memcmp(b->texts.data + places(b)[*out].begin, text, bytes) == 0)
            return true;
    }
    place fresh = {(uint32_t)b->texts.size, (uint32_t)bytes};
    ht_buf_put(&b->texts, text, bytes);
    ht_buf_put(&b->terms, &fresh, sizeof fresh);
    if (b->texts.failed || b->terms.failed)
        return false;
    *out = (uint32_t)b->term_count++;
    b->table[at] = (seen){hash, *out + 1};
    return true;
}

hither_status ht_builder_add(ht_builder *b, uint64_t slot, ht_text document, hither_error *err) {
    static const uint32_t none;
    uint32_t row = (uint32_t)(slot - b->base), length = 0;
    ht_term term;
    while (!b->lengths.failed && b->lengths.size / sizeof none < row)
        ht_buf_put(&b->lengths, &none, sizeof none);
    ht_terms_start(&b->reader, document.data ? document.data : "", document.bytes);
    while (ht_terms_next(&b->reader, &term)) {
        word w = {.row = row, .position = length++};
        if (!number_of(b, term.text, term.bytes, &w.term))
            return ht_fail_nomem(err, sizeof w, "the words of documents");
        ht_buf_put(&b->words, &w, sizeof w);
    }
    ht_buf_put(&b->lengths, &length, sizeof length);
    HT_TRY(ht_buf_check(&b->lengths, "the words of documents", err));
    return ht_buf_check(&b->words, "the words of documents", err);
}

/* ---- the end */

typedef struct sorted {
    ht_text text;
    uint32_t term;
} sorted;

static int by_text(const void *a, const void *b) {
    const sorted *x = a, *y = b;
    int order = memcmp(x->text.data, y->text.data, ht_min_size(x->text.bytes, y->text.bytes));
    return order ? order : (x->text.bytes > y->text.bytes) - (x->text.bytes < y->text.bytes);
}

/* Lays out the terms in the order of their bytes; rank[term] is its place. */
static bool lay_out_terms(const ht_builder *b, ht_postings *p, uint32_t *rank) {
    sorted *all = ht_alloc(b->term_count * sizeof *all);
    if (!all)
        return false;
    for (uint32_t i = 0; i < b->term_count; i++)
        all[i] = (sorted){text_of(b, i), i};
    qsort(all, b->term_count, sizeof *all, by_text);
    uint32_t end = 0;
    for (uint32_t i = 0; i < b->term_count; i++) {
        memcpy(p->texts + end, all[i].text.data, all[i].text.bytes);
        p->text_ends[i] = end += (uint32_t)all[i].text.bytes;
        rank[all[i].term] = i;
    }
    ht_release(all);
    return true;
}

/* What one list is made of. */
typedef struct parts {
    uint32_t *rows, *counts, *bytes;
    uint8_t *positions;
} parts;

/* The words of one term, by row and position, as a list. */
static ht_list put_list(ht_postings *p, const word *words, size_t count, const parts *m) {
    size_t rows = 0;
    uint8_t *to = m->positions;
    for (size_t i = 0; i < count; rows++) {
        uint8_t *begin = to;
        uint32_t row = words[i].row, before = 0, n = 0;
        for (; i < count && words[i].row == row; i++, n++) {
            to = ht_varint_put(to, words[i].position - before);
            before = words[i].position;
        }
        m->rows[rows] = row;
        m->counts[rows] = n;
        m->bytes[rows] = (uint32_t)(to - begin);
    }
    return ht_lists_append(&p->stored, m->rows, m->counts, rows, p->lengths, m->positions, m->bytes);
}

/* Sorts the words by their terms' ranks, keeping their order; ends[rank] is where a term's words end. */
static void sort_words(const ht_builder *b, const uint32_t *rank, word *to, size_t *ends) {
    const word *from = (const word *)(const void *)b->words.data;
    size_t count = b->words.size / sizeof *from, sum = 0;
    for (size_t i = 0; i < count; i++)
        ends[rank[from[i].term]]++;
    for (size_t i = 0; i < b->term_count; i++) {
        size_t n = ends[i];
        ends[i] = sum;
        sum += n;
    }
    for (size_t i = 0; i < count; i++)
        to[ends[rank[from[i].term]]++] = from[i];
}

static bool put_lists(ht_postings *p, const word *words, const size_t *ends) {
    size_t longest = 0;
    for (uint32_t i = 0; i < p->term_count; i++) {
        size_t n = ends[i] - (i ? ends[i - 1] : 0);
        longest = n > longest ? n : longest;
    }
    parts m = {ht_alloc(longest * 4), ht_alloc(longest * 4), ht_alloc(longest * 4), ht_alloc(longest * 5)};
    bool fine = m.rows && m.counts && m.bytes && m.positions;
    for (uint32_t i = 0; fine && i < p->term_count; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        p->lists[i] = put_list(p, words + begin, ends[i] - begin, &m);
    }
    ht_release(m.rows);
    ht_release(m.counts);
    ht_release(m.bytes);
    ht_release(m.positions);
    return fine;
}

static bool fill(const ht_builder *b, ht_postings *p) {
    uint32_t *rank = ht_alloc(b->term_count * sizeof *rank);
    size_t *ends = ht_calloc(b->term_count, sizeof *ends);
    word *words = ht_alloc(b->words.size);
    bool fine = rank && ends && words && lay_out_terms(b, p, rank);
    if (fine) {
        sort_words(b, rank, words, ends);
        fine = put_lists(p, words, ends);
    }
    ht_release(rank);
    ht_release(ends);
    ht_release(words);
    return fine;
}

hither_status ht_builder_end(ht_builder *b, uint64_t end, ht_postings **out, hither_error *err) {
    ht_postings *p;
    HT_TRY(ht_postings_new(b->first, end, b->term_count, b->texts.size, &p, err));
    if (b->lengths.size)
        memcpy(p->lengths, b->lengths.data, b->lengths.size);
    hither_status status = HITHER_OK;
    if (b->term_count && !fill(b, p))
        status = ht_fail_nomem(err, b->words.size, "the postings of terms");
    if (status == HITHER_OK)
        status = ht_postings_finish(p, err);
    if (status == HITHER_OK)
        *out = p;
    else
        ht_postings_release(p);
    return status;
}
