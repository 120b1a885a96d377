/*
 * fuzz_keyword.c: documents and keyword queries from outside. The input: a query, then documents, each with a 0xff
 * before it, a byte that no UTF-8 has. Any bytes are a query and any are a document; what a search finds is what every
 * row says of itself, and the order of the terms in a text is the order of their places.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/terms.h"
#include "fuzz.h"
#include "keyword/rank.h"
#include "keyword/table.h"

#define ROWS 64

typedef struct documents {
    ht_text text[ROWS];
    size_t count;
} documents;

static void split(documents *d, const char *text, size_t bytes) {
    d->count = 0;
    for (const char *end = text + bytes; text < end && d->count < ROWS;) {
        const char *cut = memchr(text + 1, 0xff, (size_t)(end - text - 1));
        size_t n = (size_t)((cut ? cut : end) - text - 1);
        d->text[d->count++] = (ht_text){text + 1, n};
        text = cut ? cut : end;
    }
}

static hither_status hand_out(void *ctx, uint64_t begin, uint64_t end,
                              hither_status (*each)(void *arg, uint64_t slot, ht_text document), void *arg,
                              hither_error *err) {
    const documents *d = ctx;
    (void)err;
    for (uint64_t i = begin; i < end; i++)
        HT_TRY(each(arg, i, d->text[i]));
    return HITHER_OK;
}

static void read_terms(ht_text text) {
    static ht_terms terms;
    ht_term term;
    size_t before = 0;
    ht_terms_start(&terms, text.data, text.bytes);
    while (ht_terms_next(&terms, &term)) {
        FUZZ_HOLDS(term.bytes && term.bytes <= HT_TERM_MAX_BYTES);
        FUZZ_HOLDS(term.begin >= before && term.end > term.begin && term.end <= text.bytes);
        before = term.end;
    }
}

static void search(const ht_query *q, const ht_keyword_view *view, size_t rows) {
    hither_error err;
    ht_mask live = {NULL, 1, rows};
    ht_job *job;
    ht_hit hits[ROWS];
    size_t count = 0, matches = 0;
    FUZZ_HOLDS(ht_job_new(view->parts, view->count, q, &live, &job, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_job_top(job, &live, NULL, ROWS, hits, &count, &err) == HITHER_OK);
    for (size_t i = 0; i < rows; i++) {
        double score;
        bool found = ht_job_score(job, i, &score);
        matches += found;
        for (size_t j = 0; found && j < count; j++)
            FUZZ_HOLDS(hits[j].slot != i || hits[j].distance == -score);
        FUZZ_HOLDS(!found || (isfinite(score) && score > 0));
    }
    FUZZ_HOLDS(count == matches);
    for (size_t j = 1; j < count; j++)
        FUZZ_HOLDS(ht_hit_before(hits[j - 1], hits[j]));
    ht_job_free(job);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static documents d;
    const char *text = (const char *)data, *cut = size ? memchr(text, 0xff, size) : NULL;
    size_t first = cut ? (size_t)(cut - text) : size;
    hither_error err;
    ht_query q;
    ht_keyword_table table;
    ht_keyword_view view;
    ht_document_source source = {.rows = hand_out, .ctx = &d};
    uint64_t read = 0;
    split(&d, text + first, size - first);
    read_terms((ht_text){text, first});
    hither_status status = ht_query_parse(&q, (ht_text){text, first}, &err);
    FUZZ_HOLDS(status == HITHER_OK || status == HITHER_TOO_LARGE);
    FUZZ_HOLDS(ht_keyword_table_init(&table, &err) == HITHER_OK);
    for (uint64_t limit = d.count / 2; status == HITHER_OK && limit <= d.count;
         limit += d.count - d.count / 2 + !d.count)
        FUZZ_HOLDS(ht_keyword_table_cover(&table, limit, &source, &read, &err) == HITHER_OK);
    if (status == HITHER_OK) {
        FUZZ_HOLDS(read == d.count);
        FUZZ_HOLDS(ht_keyword_table_view(&table, &view, &err) == HITHER_OK);
        search(&q, &view, d.count);
        ht_keyword_view_clear(&view);
    }
    ht_keyword_table_clear(&table);
    ht_query_clear(&q);
    return 0;
}
