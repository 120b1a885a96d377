/*
 * merge.c: two postings that cover neighbouring slots, as one: the terms of both in order, and of each its rows in the
 * first, then its rows in the second. Or one, without rows that are not to be kept.
 */
#include <string.h>

#include "base/alloc.h"
#include "keyword/postings.h"

/* One list, unpacked. */
typedef struct gathered {
    ht_buf rows, counts, bytes, positions;
    ht_cursor_list cursor;
} gathered;

/* Appends the rows of a list that are kept, `shift` higher. */
static void gather(gathered *g, const ht_postings *p, ht_list list, uint32_t shift, const ht_mask *keep) {
    ht_cursor_list *c = &g->cursor;
    ht_list_open(c, &p->stored, list);
    for (uint32_t block = 0; block < c->block_count; block++) {
        ht_list_decode(c, block);
        const uint8_t *begin = c->position;
        for (uint32_t i = 0; i < c->block_rows; i++) {
            const uint8_t *end = ht_list_positions(c, i + 1);
            uint32_t row = c->row[i] + shift, bytes = (uint32_t)(end - begin);
            if (!keep || ht_mask_has(keep, p->base + c->row[i])) {
                ht_buf_put(&g->rows, &row, sizeof row);
                ht_buf_put(&g->counts, &c->count[i], sizeof c->count[i]);
                ht_buf_put(&g->bytes, &bytes, sizeof bytes);
                ht_buf_put(&g->positions, begin, bytes);
            }
            begin = end;
        }
    }
}

static void reset(gathered *g) {
    ht_buf_reset(&g->rows);
    ht_buf_reset(&g->counts);
    ht_buf_reset(&g->bytes);
    ht_buf_reset(&g->positions);
}

/* Makes the list of the next term, unless none of its rows was kept. */
static hither_status append(gathered *g, ht_postings *to, ht_text text, hither_error *err) {
    HT_TRY(ht_buf_check(&g->rows, "the postings of a term", err));
    HT_TRY(ht_buf_check(&g->counts, "the postings of a term", err));
    HT_TRY(ht_buf_check(&g->bytes, "the postings of a term", err));
    HT_TRY(ht_buf_check(&g->positions, "the postings of a term", err));
    if (!g->rows.size)
        return HITHER_OK;
    uint32_t end = to->term_count ? to->text_ends[to->term_count - 1] : 0;
    memcpy(to->texts + end, text.data, text.bytes);
    to->text_ends[to->term_count] = end + (uint32_t)text.bytes;
    to->lists[to->term_count++] =
        ht_lists_append(&to->stored, (const uint32_t *)(const void *)g->rows.data,
                        (const uint32_t *)(const void *)g->counts.data, g->rows.size / sizeof(uint32_t), to->lengths,
                        (const uint8_t *)g->positions.data, (const uint32_t *)(const void *)g->bytes.data);
    return HITHER_OK;
}

static int order_of(const ht_postings *a, uint32_t i, const ht_postings *b, uint32_t j) {
    if (!b || i == a->term_count || j == b->term_count)
        return b && i == a->term_count ? 1 : -1;
    ht_text x = ht_postings_term(a, i), y = ht_postings_term(b, j);
    int order = memcmp(x.data, y.data, ht_min_size(x.bytes, y.bytes));
    return order ? order : (x.bytes > y.bytes) - (x.bytes < y.bytes);
}

static hither_status merge_lists(gathered *g, const ht_postings *a, const ht_postings *b, const ht_mask *keep,
                                 ht_postings *to, hither_error *err) {
    uint32_t shift = b ? (uint32_t)(b->base - a->base) : 0, b_terms = b ? b->term_count : 0;
    for (uint32_t i = 0, j = 0; i < a->term_count || j < b_terms;) {
        int order = order_of(a, i, b, j);
        ht_text text = order <= 0 ? ht_postings_term(a, i) : ht_postings_term(b, j);
        reset(g);
        if (order <= 0)
            gather(g, a, a->lists[i++], 0, keep);
        if (order >= 0)
            gather(g, b, b->lists[j++], shift, keep);
        HT_TRY(append(g, to, text, err));
    }
    return HITHER_OK;
}

static void copy_lengths(ht_postings *to, const ht_postings *from, const ht_mask *keep) {
    for (uint64_t slot = from->first; slot < from->end;
         slot++) /* the base of a second part may be below the first's end */
        to->lengths[slot - to->base] = !keep || ht_mask_has(keep, slot) ? from->lengths[slot - from->base] : 0;
}

static uint32_t texts_of(const ht_postings *p) { return p && p->term_count ? p->text_ends[p->term_count - 1] : 0; }

hither_status ht_postings_merge(const ht_postings *a, const ht_postings *b, const ht_mask *keep, ht_postings **out,
                                hither_error *err) {
    ht_postings *to;
    size_t terms = (size_t)a->term_count + (b ? b->term_count : 0), texts = (size_t)texts_of(a) + texts_of(b);
    HT_TRY(ht_postings_new(a->first, b ? b->end : a->end, terms, texts, &to, err));
    copy_lengths(to, a, keep);
    if (b)
        copy_lengths(to, b, keep);
    gathered *g = ht_alloc(sizeof *g);
    hither_status status = g ? HITHER_OK : ht_fail_nomem(err, sizeof *g, "the postings of a term");
    if (g) {
        ht_buf_init(&g->rows, SIZE_MAX);
        ht_buf_init(&g->counts, SIZE_MAX);
        ht_buf_init(&g->bytes, SIZE_MAX);
        ht_buf_init(&g->positions, SIZE_MAX);
        to->term_count = 0; /* counted again as they come: terms of both are there once */
        status = merge_lists(g, a, b, keep, to, err);
        ht_buf_clear(&g->rows);
        ht_buf_clear(&g->counts);
        ht_buf_clear(&g->bytes);
        ht_buf_clear(&g->positions);
        ht_release(g);
    }
    if (status == HITHER_OK)
        status = ht_postings_finish(to, err);
    if (status == HITHER_OK)
        *out = to;
    else
        ht_postings_release(to);
    return status;
}
