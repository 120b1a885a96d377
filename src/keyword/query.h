/*
 * query.h: what a keyword query asks for. docs/keyword.md has the syntax, for people:
 *
 *   word   "several words in a row"   begin*   +must   -not
 *
 * Every text is a query, nothing in it is an error: a quote that is not closed closes at the end, a sign that stands
 * alone is none. With + and -, what breaks into several terms (+state-of-the-art) is the phrase of them. The last term
 * of a run of CJK characters is not asked for, as its pairs hold it already; a single such character is looked for as
 * the beginning of a pair. What is asked for twice counts twice.
 *
 * Immutable once it is parsed: any thread.
 */
#ifndef HT_KEYWORD_QUERY_H
#define HT_KEYWORD_QUERY_H

#include "base/strings.h"

typedef enum ht_clause_kind {
    HT_CLAUSE_TERM,
    HT_CLAUSE_PREFIX, /* every term that begins so, taken together as if it were one */
    HT_CLAUSE_PHRASE  /* terms in a row */
} ht_clause_kind;

typedef struct ht_clause {
    ht_clause_kind kind;
    bool must, never;
    uint32_t first, count; /* its items; one unless it is a phrase */
    uint32_t times;        /* how often it is asked for */
} ht_clause;

typedef struct ht_item {
    uint32_t begin, bytes; /* of the term in texts */
    uint32_t offset;       /* where it stands in the phrase */
} ht_item;

typedef struct ht_query {
    ht_buf clauses, items, texts;
    uint32_t clause_count;
} ht_query;

/* TOO_LARGE past HITHER_MAX_KEYWORDS terms, NOMEM; the query is to be cleared in any case. */
HT_NODISCARD hither_status ht_query_parse(ht_query *query, ht_text text, hither_error *err);
void ht_query_clear(ht_query *query);

static inline const ht_clause *ht_query_clause(const ht_query *q, uint32_t i) {
    return &((const ht_clause *)(const void *)q->clauses.data)[i];
}
static inline const ht_item *ht_query_item(const ht_query *q, uint32_t i) {
    return &((const ht_item *)(const void *)q->items.data)[i];
}
static inline ht_text ht_query_text(const ht_query *q, const ht_item *item) {
    return (ht_text){q->texts.data + item->begin, item->bytes};
}
/* Appends the clause as a query writes it: +"new york". */
void ht_query_show(const ht_query *query, uint32_t clause, ht_buf *out);

#endif
