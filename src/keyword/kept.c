/*
 * kept.c: see kept.h. The arrays of all parts stand one after another in a section each; `parts` says how many elements
 * of each are whose. Numbers are little-endian, as in memory.
 */
#include "keyword/kept.h"

#include <string.h>

#include "base/alloc.h"

/* A part, in the section of that name. */
typedef struct head {
    uint64_t first, end, terms, texts, blocks, data, positions;
} head;

_Static_assert(sizeof(head) == 56 && sizeof(ht_block) == 20 && sizeof(ht_list) == 8, "no padding on disk");

enum { LENGTHS, ENDS, TEXTS, LISTS, BLOCKS, DATA, POSITIONS, ARRAYS };
static const char *const names[ARRAYS] = {"lengths", "ends", "texts", "lists", "blocks", "data", "positions"};

static head head_of(const ht_postings *p) {
    return (head){.first = p->first,
                  .end = p->end,
                  .terms = p->term_count,
                  .texts = p->term_count ? p->text_ends[p->term_count - 1] : 0,
                  .blocks = p->stored.blocks.size / sizeof(ht_block),
                  .data = p->stored.data.size,
                  .positions = p->stored.positions.size};
}

static uint64_t rows_of(const head *h) { return h->end - (h->first - h->first % 64); }

/* ---- putting */

/* The array of a part, and its bytes. */
static const void *array_of(const ht_postings *p, int array, size_t *bytes) {
    head h = head_of(p);
    const size_t sizes[ARRAYS] = {(size_t)rows_of(&h) * sizeof *p->lengths,
                                  p->term_count * sizeof *p->text_ends,
                                  (size_t)h.texts,
                                  p->term_count * sizeof *p->lists,
                                  p->stored.blocks.size,
                                  p->stored.data.size,
                                  p->stored.positions.size};
    const void *const arrays[ARRAYS] = {p->lengths,
                                        p->text_ends,
                                        p->texts,
                                        p->lists,
                                        p->stored.blocks.data,
                                        p->stored.data.data,
                                        p->stored.positions.data};
    *bytes = sizes[array];
    return arrays[array];
}

hither_status ht_postings_put(ht_postings *const *parts, size_t count, ht_container_writer *writer, hither_error *err) {
    HT_TRY(ht_container_begin(writer, "parts", err));
    for (size_t i = 0; i < count; i++) {
        head h = head_of(parts[i]);
        HT_TRY(ht_container_put(writer, &h, sizeof h, err));
    }
    for (int array = 0; array < ARRAYS; array++) {
        HT_TRY(ht_container_begin(writer, names[array], err));
        for (size_t i = 0; i < count; i++) {
            size_t bytes;
            const void *data = array_of(parts[i], array, &bytes);
            if (bytes)
                HT_TRY(ht_container_put(writer, data, bytes, err));
        }
    }
    return HITHER_OK;
}

/* ---- checking */

static hither_status bad(hither_error *err, const char *what) {
    return ht_fail(err, HITHER_CORRUPT, "postings that were kept: %s", what);
}

static int order_of(ht_text a, ht_text b) {
    int order = memcmp(a.data, b.data, ht_min_size(a.bytes, b.bytes));
    return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static hither_status check_terms(const ht_postings *p, const head *h, hither_error *err) {
    uint32_t before = 0;
    for (uint32_t i = 0; i < p->term_count; i++) {
        if (p->text_ends[i] < before || p->text_ends[i] > h->texts)
            return bad(err, "a term that ends nowhere");
        before = p->text_ends[i];
        if (i && order_of(ht_postings_term(p, i - 1), ht_postings_term(p, i)) >= 0)
            return bad(err, "terms out of order");
    }
    return before == h->texts ? HITHER_OK : bad(err, "texts of no term");
}

/* What is known while the lists are gone through, one after another. */
typedef struct walk {
    const ht_postings *p;
    const head *h;
    uint32_t *sums; /* per row: of the counts so far */
    uint64_t block, data, position;
    ht_cursor_list cursor;
} walk;

static uint64_t packed(uint64_t count, unsigned bits) { return (count * bits + 7) / 8; }

/* The positions of the decoded block: as many as it counts, rising, within their rows' documents. */
static bool check_positions(walk *w) {
    const uint8_t *all = (const uint8_t *)w->p->stored.positions.data;
    for (uint32_t i = 0; i < w->cursor.block_rows; i++) {
        uint64_t position = 0;
        for (uint32_t n = 0; n < w->cursor.count[i]; n++) {
            uint64_t value = 0, at = w->position;
            for (unsigned shift = 0;; shift += 7) {
                if (at >= w->h->positions || shift > 28)
                    return false;
                value |= (uint64_t)(all[at] & 0x7f) << shift;
                if (!(all[at++] & 0x80))
                    break;
            }
            w->position = at;
            position += value;
            if ((n && !value) || position >= w->p->lengths[w->cursor.row[i]])
                return false;
        }
    }
    return true;
}

static bool same_bounds(const ht_block *a, const ht_block *b) {
    return a->most == b->most && a->shortest_once == b->shortest_once && a->shortest_more == b->shortest_more;
}

/* The rows of the decoded block, the one after row `before`: rising, with counts and bounds that are right. */
static bool check_rows(walk *w, const ht_block *block, uint64_t before) {
    const ht_cursor_list *c = &w->cursor;
    for (uint32_t i = 0; i < c->block_rows; i++) {
        if (c->row[i] < before || c->row[i] > block->last || !c->count[i])
            return false;
        before = (uint64_t)c->row[i] + 1;
        uint32_t length = w->p->lengths[c->row[i]];
        if (c->count[i] > length - w->sums[c->row[i]])
            return false;
        w->sums[c->row[i]] += c->count[i];
    }
    ht_block bounds = ht_block_bounds(c->row, c->count, c->block_rows, w->p->lengths);
    return before == (uint64_t)block->last + 1 && same_bounds(&bounds, block);
}

static bool check_list(walk *w, ht_list list) {
    uint64_t blocks = ((uint64_t)list.rows + HT_POSTING_BLOCK - 1) / HT_POSTING_BLOCK, before = 0;
    if (!list.rows || list.first_block != w->block || blocks > w->h->blocks - w->block)
        return false;
    ht_list_open(&w->cursor, &w->p->stored, list);
    for (uint32_t i = 0; i < blocks; i++) {
        const ht_block *block = &w->cursor.blocks[i];
        uint64_t n = i + 1 < blocks ? HT_POSTING_BLOCK : list.rows - (uint64_t)i * HT_POSTING_BLOCK;
        if (block->data != w->data || block->positions != w->position || block->row_bits > 32 ||
            block->count_bits > 32 || block->last >= rows_of(w->h))
            return false;
        w->data += packed(n, block->row_bits) + packed(n, block->count_bits);
        if (w->data > w->h->data - HT_POSTING_PAD)
            return false;
        ht_list_decode(&w->cursor, i);
        if (!check_rows(w, block, before) || !check_positions(w))
            return false;
        before = (uint64_t)block->last + 1;
    }
    w->block += blocks;
    return true;
}

static hither_status check_lists(walk *w, hither_error *err) {
    const ht_postings *p = w->p;
    uint64_t rows = rows_of(w->h);
    for (uint64_t row = 0; row < p->first - p->base; row++)
        if (p->lengths[row])
            return bad(err, "a row of another part");
    for (uint32_t i = 0; i < p->term_count; i++)
        if (!check_list(w, p->lists[i]))
            return bad(err, "a list that makes no sense");
    for (uint64_t row = 0; row < rows; row++)
        if (w->sums[row] != p->lengths[row])
            return bad(err, "a row with more words than lists know");
    if (w->block != w->h->blocks || w->data + HT_POSTING_PAD != w->h->data || w->position != w->h->positions)
        return bad(err, "lists of no term");
    return HITHER_OK;
}

static hither_status check(const ht_postings *p, const head *h, hither_error *err) {
    HT_TRY(check_terms(p, h, err));
    walk *w = ht_calloc(1, sizeof *w);
    uint32_t *sums = ht_calloc((size_t)rows_of(h), sizeof *sums);
    hither_status status = HITHER_OK;
    if (w && sums) {
        w->p = p;
        w->h = h;
        w->sums = sums;
        status = check_lists(w, err);
    } else {
        status = ht_fail_nomem(err, (size_t)rows_of(h) * sizeof *sums, "postings");
    }
    ht_release(sums);
    ht_release(w);
    return status;
}

/* ---- getting */

/* What is left of each section. */
typedef struct rest {
    const char *data[ARRAYS];
    uint64_t bytes[ARRAYS];
} rest;

/* The next bytes of a section, NULL if it has not so many. */
static const void *next(rest *r, int array, uint64_t count, size_t size) {
    uint64_t bytes = count * size; /* count is below 2^33 */
    if (bytes > r->bytes[array])
        return NULL;
    const void *at = r->data[array];
    r->data[array] += bytes;
    r->bytes[array] -= bytes;
    return at;
}

static hither_status fill(ht_postings *p, const head *h, rest *r, hither_error *err) {
    const void *from[ARRAYS];
    const uint64_t counts[ARRAYS] = {rows_of(h), h->terms, h->texts, h->terms, h->blocks, h->data, h->positions};
    const size_t sizes[ARRAYS] = {
        sizeof *p->lengths, sizeof *p->text_ends, 1, sizeof *p->lists, sizeof(ht_block), 1, 1};
    for (int i = 0; i < ARRAYS; i++) {
        from[i] = next(r, i, counts[i], sizes[i]);
        if (!from[i])
            return bad(err, "a section that ends too early");
    }
    memcpy(p->lengths, from[LENGTHS], (size_t)rows_of(h) * sizeof *p->lengths);
    if (h->terms) {
        memcpy(p->text_ends, from[ENDS], (size_t)h->terms * sizeof *p->text_ends);
        memcpy(p->texts, from[TEXTS], (size_t)h->texts);
        memcpy(p->lists, from[LISTS], (size_t)h->terms * sizeof *p->lists);
    }
    ht_buf_put(&p->stored.blocks, from[BLOCKS], (size_t)h->blocks * sizeof(ht_block));
    ht_buf_put(&p->stored.data, from[DATA], (size_t)h->data - HT_POSTING_PAD); /* finishing puts the pad back */
    ht_buf_put(&p->stored.positions, from[POSITIONS], (size_t)h->positions);
    HT_TRY(ht_postings_finish(p, err));
    return check(p, h, err);
}

static hither_status get_part(const head *h, uint64_t first, rest *r, ht_postings **out, hither_error *err) {
    const uint64_t most = UINT32_MAX;
    if (h->first != first || h->end <= h->first || h->end - h->first >= most - 64 || h->terms >= most ||
        h->texts >= most || h->blocks >= most || h->data >= most || h->positions >= most || h->data < HT_POSTING_PAD ||
        rows_of(h) * sizeof(uint32_t) > r->bytes[LENGTHS] || h->terms * sizeof(ht_list) > r->bytes[LISTS] ||
        h->texts > r->bytes[TEXTS])
        return bad(err, "a part that makes no sense");
    ht_postings *p;
    HT_TRY(ht_postings_new(h->first, h->end, (size_t)h->terms, (size_t)h->texts, &p, err));
    hither_status status = fill(p, h, r, err);
    if (status == HITHER_OK)
        *out = p;
    else
        ht_postings_release(p);
    return status;
}

/* Finds and checks all sections; *count is the number of parts. */
static hither_status open_sections(ht_container *container, const head **heads, size_t *count, rest *r,
                                   hither_error *err) {
    size_t bytes;
    *heads = ht_container_section(container, "parts", &bytes);
    if (!*heads || !bytes || bytes % sizeof **heads || bytes / sizeof **heads > UINT16_MAX)
        return bad(err, "no parts");
    HT_TRY(ht_container_touch(container, "parts", 0, bytes, err));
    *count = bytes / sizeof **heads;
    for (int i = 0; i < ARRAYS; i++) {
        r->data[i] = ht_container_section(container, names[i], &bytes);
        r->bytes[i] = bytes;
        if (!r->data[i])
            return bad(err, "a section that is not there");
        HT_TRY(ht_container_touch(container, names[i], 0, bytes, err));
    }
    return HITHER_OK;
}

hither_status ht_postings_get(ht_container *container, uint64_t slots, ht_postings ***parts, size_t *count,
                              hither_error *err) {
    const head *heads = NULL;
    size_t heads_count = 0, got = 0;
    rest r = {.bytes = {0}};
    HT_TRY(open_sections(container, &heads, &heads_count, &r, err));
    ht_postings **all = ht_calloc(heads_count, sizeof *all);
    if (!all)
        return ht_fail_nomem(err, heads_count * sizeof *all, "postings");
    hither_status status = HITHER_OK;
    for (uint64_t first = 0; got < heads_count && status == HITHER_OK; got += status == HITHER_OK) {
        status = get_part(&heads[got], first, &r, &all[got], err);
        first = heads[got].end;
    }
    if (status == HITHER_OK && heads[heads_count - 1].end != slots)
        status = bad(err, "they end elsewhere");
    for (int i = 0; i < ARRAYS && status == HITHER_OK; i++)
        if (r.bytes[i])
            status = bad(err, "a section that ends too late");
    if (status == HITHER_OK) {
        *parts = all;
        *count = heads_count;
        return HITHER_OK;
    }
    for (size_t i = 0; i < got; i++)
        ht_postings_release(all[i]);
    ht_release((void *)all);
    return status;
}
