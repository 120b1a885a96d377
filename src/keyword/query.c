/*
 * query.c: see query.h. One pass over the text; time is linear but for finding what was asked for before, which is
 * bounded by the square of HITHER_MAX_KEYWORDS.
 */
#include "keyword/query.h"

#include <string.h>

#include "base/terms.h"

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

typedef struct parser {
    ht_query *q;
    ht_terms terms;
    hither_error *err;
} parser;

/* ---- clauses */

static bool same_items(const ht_query *q, const ht_clause *a, const ht_clause *b) {
    for (uint32_t i = 0; i < a->count; i++) {
        const ht_item *x = ht_query_item(q, a->first + i), *y = ht_query_item(q, b->first + i);
        if (x->offset != y->offset || x->bytes != y->bytes ||
            memcmp(q->texts.data + x->begin, q->texts.data + y->begin, x->bytes) != 0)
            return false;
    }
    return true;
}

/* Adds the clause whose items were added last, or counts the one that is there already. */
static void add_clause(ht_query *q, ht_clause clause) {
    if (q->items.failed || q->texts.failed)
        return;
    for (uint32_t i = 0; i < q->clause_count; i++) {
        ht_clause *old = &((ht_clause *)(void *)q->clauses.data)[i];
        if (old->kind == clause.kind && old->never == clause.never && old->count == clause.count &&
            same_items(q, old, &clause)) {
            old->times++;
            old->must = old->must || clause.must;
            return;
        }
    }
    clause.times = 1;
    ht_buf_put(&q->clauses, &clause, sizeof clause);
    q->clause_count += !q->clauses.failed;
}

static uint32_t item_count(const ht_query *q) { return (uint32_t)(q->items.size / sizeof(ht_item)); }

static hither_status add_item(parser *p, const ht_term *term, uint32_t offset) {
    ht_query *q = p->q;
    ht_item item = {(uint32_t)q->texts.size, (uint32_t)term->bytes, offset};
    if (item_count(q) == HITHER_MAX_KEYWORDS)
        return ht_fail(p->err, HITHER_TOO_LARGE, "a keyword query of more than %u words", HITHER_MAX_KEYWORDS);
    ht_buf_put(&q->texts, term->text, term->bytes);
    ht_buf_put(&q->items, &item, sizeof item);
    return HITHER_OK;
}

/* ---- pieces of the text */

/* Terms one by one; `open`: the last is a beginning. */
static hither_status take_words(parser *p, ht_text text, bool open) {
    ht_term term;
    bool after_pair = false;
    uint32_t first = UINT32_MAX;
    ht_clause_kind last = HT_CLAUSE_TERM;
    ht_terms_start(&p->terms, text.data, text.bytes);
    while (ht_terms_next(&p->terms, &term)) {
        bool skipped = term.kind == HT_TERM_LAST && after_pair;
        after_pair = term.kind == HT_TERM_PAIR;
        if (first != UINT32_MAX)
            add_clause(p->q, (ht_clause){.kind = last, .first = first, .count = 1});
        first = UINT32_MAX;
        if (skipped)
            continue;
        first = item_count(p->q);
        HT_TRY(add_item(p, &term, 0));
        last = term.kind == HT_TERM_LAST ? HT_CLAUSE_PREFIX : HT_CLAUSE_TERM;
    }
    if (first != UINT32_MAX)
        add_clause(p->q, (ht_clause){.kind = open ? HT_CLAUSE_PREFIX : last, .first = first, .count = 1});
    return HITHER_OK;
}

/* All terms as one phrase; of a single one, that term. */
static hither_status take_phrase(parser *p, ht_text text, ht_clause clause, bool open) {
    ht_term term;
    ht_term_kind kind = HT_TERM_WORD, before = HT_TERM_WORD;
    clause.first = item_count(p->q);
    ht_terms_start(&p->terms, text.data, text.bytes);
    for (uint32_t offset = 0; ht_terms_next(&p->terms, &term); offset++) {
        HT_TRY(add_item(p, &term, offset));
        before = kind;
        kind = term.kind;
    }
    clause.count = item_count(p->q) - clause.first;
    if (clause.count > 1 && kind == HT_TERM_LAST && before == HT_TERM_PAIR) {
        p->q->items.size -= sizeof(ht_item);
        clause.count--;
        kind = before;
    }
    if (!clause.count)
        return HITHER_OK;
    clause.kind = clause.count > 1               ? HT_CLAUSE_PHRASE
                  : open || kind == HT_TERM_LAST ? HT_CLAUSE_PREFIX
                                                 : HT_CLAUSE_TERM;
    add_clause(p->q, clause);
    return HITHER_OK;
}

/* What begins at `at`, which is no space; gives where it ends. */
static hither_status take_piece(parser *p, ht_text text, size_t *at) {
    size_t begin = *at, end;
    ht_clause clause = {.kind = HT_CLAUSE_PHRASE};
    bool sign = text.data[begin] == '+' || text.data[begin] == '-';
    if (sign) {
        clause.must = text.data[begin] == '+';
        clause.never = !clause.must;
        begin++;
    }
    bool quoted = begin < text.bytes && text.data[begin] == '"';
    begin += quoted;
    for (end = begin; end < text.bytes && text.data[end] != '"' && (quoted || !is_space(text.data[end])); end++) {
    }
    *at = end + (quoted && end < text.bytes);
    ht_text piece = {text.data + begin, end - begin};
    bool open = !quoted && piece.bytes && piece.data[piece.bytes - 1] == '*';
    return quoted || sign ? take_phrase(p, piece, clause, open) : take_words(p, piece, open);
}

hither_status ht_query_parse(ht_query *query, ht_text text, hither_error *err) {
    parser p = {.q = query, .err = err};
    *query = (ht_query){0};
    ht_buf_init(&query->clauses, SIZE_MAX);
    ht_buf_init(&query->items, SIZE_MAX);
    ht_buf_init(&query->texts, UINT32_MAX);
    for (size_t at = 0; at < text.bytes;) {
        if (is_space(text.data[at]))
            at++;
        else
            HT_TRY(take_piece(&p, text, &at));
    }
    HT_TRY(ht_buf_check(&query->texts, "a keyword query", err));
    HT_TRY(ht_buf_check(&query->items, "a keyword query", err));
    return ht_buf_check(&query->clauses, "a keyword query", err);
}

void ht_query_clear(ht_query *query) {
    ht_buf_clear(&query->clauses);
    ht_buf_clear(&query->items);
    ht_buf_clear(&query->texts);
    query->clause_count = 0;
}

void ht_query_show(const ht_query *query, uint32_t clause, ht_buf *out) {
    const ht_clause *c = ht_query_clause(query, clause);
    bool phrase = c->kind == HT_CLAUSE_PHRASE;
    ht_buf_puts(out, c->must ? "+" : c->never ? "-" : "");
    ht_buf_puts(out, phrase ? "\"" : "");
    for (uint32_t i = 0; i < c->count; i++) {
        ht_text text = ht_query_text(query, ht_query_item(query, c->first + i));
        ht_buf_puts(out, i ? " " : "");
        ht_buf_put(out, text.data, text.bytes);
    }
    ht_buf_puts(out, phrase ? "\"" : c->kind == HT_CLAUSE_PREFIX ? "*" : "");
}
