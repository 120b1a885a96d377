/*
 * build.h: postings from documents. Rows are added by rising slot; what a builder holds grows with the number of words
 * in them, so whoever has many rows ends it when it is full and merges. One thread.
 */
#ifndef HT_KEYWORD_BUILD_H
#define HT_KEYWORD_BUILD_H

#include "base/terms.h"
#include "keyword/postings.h"

typedef struct ht_builder {
    uint64_t first, base;
    struct ht_seen *table; /* of terms, by hash */
    size_t room, term_count;
    ht_buf texts;   /* of the terms, one after another */
    ht_buf terms;   /* per term: where it stands in texts */
    ht_buf words;   /* per word of a document: its term, row and position */
    ht_buf lengths; /* per row */
    ht_terms reader;
} ht_builder;

void ht_builder_init(ht_builder *b, uint64_t first_slot);
void ht_builder_clear(ht_builder *b);
/* NOMEM. */
HT_NODISCARD hither_status ht_builder_add(ht_builder *b, uint64_t slot, ht_text document, hither_error *err);
bool ht_builder_full(const ht_builder *b);
/* The postings of slots [first_slot, end); the builder is to be cleared afterwards. NOMEM. */
HT_NODISCARD hither_status ht_builder_end(ht_builder *b, uint64_t end, ht_postings **out, hither_error *err);

#endif
