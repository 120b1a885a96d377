/*
 * resolve.c: see resolve.h. A prefix adds up the counts of its terms row by row; a phrase goes through the rows that
 * all its terms have and looks at positions there.
 */
#include "keyword/resolve.h"

#include <string.h>

#include "base/alloc.h"

/* Rows and counts under construction. */
typedef struct rows {
    ht_buf row, count;
} rows;

static void rows_add(rows *r, uint32_t row, uint32_t count) {
    ht_buf_put(&r->row, &row, sizeof row);
    ht_buf_put(&r->count, &count, sizeof count);
}

static hither_status finish(rows *r, const ht_postings *p, ht_lists *lists, ht_list *out, hither_error *err) {
    hither_status status = ht_buf_check(&r->row, "the rows of a phrase", err);
    if (status == HITHER_OK)
        status = ht_buf_check(&r->count, "the rows of a phrase", err);
    if (status == HITHER_OK)
        *out = ht_lists_append(lists, (const uint32_t *)(const void *)r->row.data,
                               (const uint32_t *)(const void *)r->count.data, r->row.size / sizeof(uint32_t),
                               p->lengths, NULL, NULL);
    ht_buf_clear(&r->row);
    ht_buf_clear(&r->count);
    return status;
}

/* ---- prefixes */

static hither_status resolve_prefix(const ht_postings *p, ht_text prefix, ht_lists *lists, ht_list *out,
                                    hither_error *err) {
    uint32_t row_count = (uint32_t)(p->end - p->base);
    rows r;
    ht_buf_init(&r.row, SIZE_MAX);
    ht_buf_init(&r.count, SIZE_MAX);
    ht_cursor_list *c = ht_alloc(sizeof *c);
    uint32_t *counts = ht_calloc(row_count, sizeof *counts);
    bool fine = c && counts;
    for (uint32_t term = ht_postings_find(p, prefix); fine && term < p->term_count; term++) {
        ht_text text = ht_postings_term(p, term);
        if (text.bytes < prefix.bytes || memcmp(text.data, prefix.data, prefix.bytes) != 0)
            break;
        ht_list_open(c, &p->stored, p->lists[term]);
        for (uint32_t block = 0; block < c->block_count; block++) {
            ht_list_decode(c, block);
            for (uint32_t i = 0; i < c->block_rows; i++)
                counts[c->row[i]] += c->count[i];
        }
    }
    for (uint32_t row = 0; fine && row < row_count; row++)
        if (counts[row])
            rows_add(&r, row, counts[row]);
    ht_release(c);
    ht_release(counts);
    hither_status status = finish(&r, p, lists, out, err);
    return fine || status != HITHER_OK ? status : ht_fail_nomem(err, row_count * sizeof *counts, "a prefix");
}

/* ---- phrases */

/* A term of a phrase, standing at a row: its positions there, read as they rise. */
typedef struct strand {
    ht_cursor_list cursor;
    uint32_t offset, at; /* in the phrase; in the decoded block */
    const uint8_t *next;
    uint32_t left, position;
} strand;

static void strand_start(strand *s) {
    s->next = ht_list_positions(&s->cursor, s->at);
    s->left = s->cursor.count[s->at] - 1;
    s->next = ht_varint(s->next, &s->position);
}

/* Goes to the first position >= wanted; false if there is none. */
static bool strand_reach(strand *s, uint32_t wanted) {
    while (s->position < wanted) {
        uint32_t gap;
        if (!s->left)
            return false;
        s->left--;
        s->next = ht_varint(s->next, &gap);
        s->position += gap;
    }
    return true;
}

/* How often the phrase stands in the row that all strands stand at. */
static uint32_t occurrences(strand *strands, uint32_t count) {
    uint32_t found = 0, start = 0;
    for (uint32_t i = 0; i < count; i++)
        strand_start(&strands[i]);
    for (;;) {
        bool whole = true;
        for (uint32_t i = 0; i < count && whole; i++) {
            if (!strand_reach(&strands[i], start + strands[i].offset))
                return found;
            whole = strands[i].position == start + strands[i].offset;
            if (!whole)
                start = strands[i].position - strands[i].offset;
        }
        found += whole;
        start += whole;
    }
}

/* The next row >= `row` that all strands have; false if there is none. */
static bool meet(strand *strands, uint32_t count, uint32_t *row) {
    for (uint32_t i = 0, agreed = 0; agreed < count; i = (i + 1) % count) {
        strand *s = &strands[i];
        if (!ht_list_advance(&s->cursor, *row, &s->at))
            return false;
        agreed = s->cursor.row[s->at] == *row ? agreed + 1 : 1;
        *row = s->cursor.row[s->at];
    }
    return true;
}

static hither_status resolve_phrase(const ht_postings *p, const ht_query *query, const ht_clause *clause,
                                    ht_lists *lists, ht_list *out, hither_error *err) {
    rows r;
    strand *strands = ht_calloc(clause->count, sizeof *strands);
    if (!strands)
        return ht_fail_nomem(err, clause->count * sizeof *strands, "a phrase");
    ht_buf_init(&r.row, SIZE_MAX);
    ht_buf_init(&r.count, SIZE_MAX);
    bool possible = true;
    for (uint32_t i = 0; i < clause->count; i++) {
        const ht_item *item = ht_query_item(query, clause->first + i);
        ht_list list = ht_postings_list(p, ht_query_text(query, item));
        possible = possible && list.rows;
        ht_list_open(&strands[i].cursor, &p->stored, list);
        strands[i].offset = item->offset;
    }
    for (uint32_t row = 0; possible && meet(strands, clause->count, &row); row++) {
        uint32_t found = occurrences(strands, clause->count);
        if (found)
            rows_add(&r, row, found);
    }
    ht_release(strands);
    return finish(&r, p, lists, out, err);
}

hither_status ht_clause_resolve(const ht_postings *p, const ht_query *query, const ht_clause *clause, ht_lists *lists,
                                ht_list *out, bool *made, hither_error *err) {
    ht_text text = ht_query_text(query, ht_query_item(query, clause->first));
    *made = clause->kind != HT_CLAUSE_TERM;
    if (clause->kind == HT_CLAUSE_PHRASE)
        return resolve_phrase(p, query, clause, lists, out, err);
    if (clause->kind == HT_CLAUSE_PREFIX)
        return resolve_prefix(p, text, lists, out, err);
    *out = ht_postings_list(p, text);
    return HITHER_OK;
}
