/*
 * postings.c: lists of rows, packed and read, and the dictionary of terms. See postings.h.
 */
#include "keyword/postings.h"

#include <string.h>

#include "base/alloc.h"

/* ---- packing */

static unsigned bits_of(uint32_t value) { return value ? 32u - (unsigned)__builtin_clz(value) : 0; }

static void pack(uint8_t *out, const uint32_t *values, size_t count, unsigned bits) {
    uint64_t held = 0;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++) {
        held |= (uint64_t)values[i] << filled;
        for (filled += bits; filled >= 8; filled -= 8, held >>= 8)
            *out++ = (uint8_t)held;
    }
    if (filled)
        *out = (uint8_t)held;
}

static void unpack(const uint8_t *in, uint32_t *values, size_t count, unsigned bits) {
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    for (size_t i = 0, at = 0; i < count; i++, at += bits) {
        uint64_t word;
        memcpy(&word, in + at / 8, sizeof word);
        values[i] = (uint32_t)(word >> at % 8 & mask);
    }
}

static size_t packed_bytes(size_t count, unsigned bits) { return (count * bits + 7) / 8; }

/* ---- appending lists */

void ht_lists_init(ht_lists *lists) {
    ht_buf_init(&lists->blocks, UINT32_MAX);
    ht_buf_init(&lists->data, UINT32_MAX);
    ht_buf_init(&lists->positions, UINT32_MAX);
}

void ht_lists_clear(ht_lists *lists) {
    ht_buf_clear(&lists->blocks);
    ht_buf_clear(&lists->data);
    ht_buf_clear(&lists->positions);
}

hither_status ht_lists_check(ht_lists *lists, hither_error *err) {
    static const char zeros[HT_POSTING_PAD];
    ht_buf_put(&lists->data, zeros, sizeof zeros);
    HT_TRY(ht_buf_check(&lists->blocks, "the postings of terms", err));
    HT_TRY(ht_buf_check(&lists->data, "the postings of terms", err));
    return ht_buf_check(&lists->positions, "the positions of terms", err);
}

static uint16_t capped(uint32_t value) { return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX; }

ht_block ht_block_bounds(const uint32_t *rows, const uint32_t *counts, size_t count, const uint32_t *lengths) {
    uint32_t most = 0, once = UINT32_MAX, more = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        uint32_t length = lengths[rows[i]];
        most = counts[i] > most ? counts[i] : most;
        if (counts[i] == 1)
            once = length < once ? length : once;
        else
            more = length < more ? length : more;
    }
    return (ht_block){.most = capped(most), .shortest_once = capped(once), .shortest_more = capped(more)};
}

static void append_block(ht_lists *lists, const uint32_t *rows, const uint32_t *counts, size_t n, uint32_t before,
                         const uint32_t *lengths) {
    uint32_t gaps[HT_POSTING_BLOCK], less[HT_POSTING_BLOCK], all_gaps = 0, all_less = 0;
    for (size_t i = 0; i < n; i++) {
        gaps[i] = rows[i] - before;
        before = rows[i] + 1;
        less[i] = counts[i] - 1;
        all_gaps |= gaps[i];
        all_less |= less[i];
    }
    ht_block block = ht_block_bounds(rows, counts, n, lengths);
    block.last = rows[n - 1];
    block.data = (uint32_t)lists->data.size;
    block.positions = (uint32_t)lists->positions.size;
    block.row_bits = (uint8_t)bits_of(all_gaps);
    block.count_bits = (uint8_t)bits_of(all_less);
    size_t row_bytes = packed_bytes(n, block.row_bits), count_bytes = packed_bytes(n, block.count_bits);
    uint8_t *room = ht_buf_grow(&lists->data, row_bytes + count_bytes);
    if (room) {
        pack(room, gaps, n, block.row_bits);
        pack(room + row_bytes, less, n, block.count_bits);
    }
    ht_buf_put(&lists->blocks, &block, sizeof block);
}

ht_list ht_lists_append(ht_lists *lists, const uint32_t *rows, const uint32_t *counts, size_t count,
                        const uint32_t *lengths, const uint8_t *positions, const uint32_t *position_bytes) {
    ht_list list = {(uint32_t)count, (uint32_t)(lists->blocks.size / sizeof(ht_block))};
    uint32_t before = 0;
    for (size_t i = 0; i < count; i += HT_POSTING_BLOCK) {
        size_t n = ht_min_size(count - i, HT_POSTING_BLOCK), bytes = 0;
        append_block(lists, rows + i, counts + i, n, before, lengths);
        before = rows[i + n - 1] + 1;
        for (size_t j = i; positions && j < i + n; j++)
            bytes += position_bytes[j];
        if (bytes) {
            ht_buf_put(&lists->positions, positions, bytes);
            positions += bytes;
        }
    }
    return list;
}

/* ---- reading lists */

void ht_list_open(ht_cursor_list *cursor, const ht_lists *lists, ht_list list) {
    cursor->lists = lists;
    cursor->blocks = list.rows ? (const ht_block *)(const void *)lists->blocks.data + list.first_block : NULL;
    cursor->rows = list.rows;
    cursor->block_count = (list.rows + HT_POSTING_BLOCK - 1) / HT_POSTING_BLOCK;
    cursor->block = cursor->block_count;
    cursor->block_rows = 0;
}

void ht_list_decode(ht_cursor_list *c, uint32_t at) {
    if (c->block == at)
        return;
    const ht_block *block = &c->blocks[at];
    uint32_t before = at ? c->blocks[at - 1].last + 1 : 0;
    uint32_t n = at + 1 < c->block_count ? HT_POSTING_BLOCK : c->rows - at * HT_POSTING_BLOCK;
    const uint8_t *data = (const uint8_t *)c->lists->data.data + block->data;
    unpack(data, c->row, n, block->row_bits);
    for (uint32_t i = 0; i < n; i++) {
        c->row[i] += before;
        before = c->row[i] + 1;
    }
    if (block->count_bits) {
        unpack(data + packed_bytes(n, block->row_bits), c->count, n, block->count_bits);
        for (uint32_t i = 0; i < n; i++)
            c->count[i]++;
    } else {
        for (uint32_t i = 0; i < n; i++)
            c->count[i] = 1;
    }
    c->block = at;
    c->block_rows = n;
    const uint8_t *positions = (const uint8_t *)c->lists->positions.data;
    c->position = positions ? positions + block->positions : NULL; /* lists made for a query have none */
    c->position_of = 0;
}

uint32_t ht_list_seek(const ht_cursor_list *c, uint32_t from, uint32_t row) {
    uint32_t step = 1, low = from, high = from;
    while (high < c->block_count && c->blocks[high].last < row) {
        low = high + 1;
        high = c->block_count - high > step ? high + step : c->block_count;
        step *= 2;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->blocks[middle].last < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ht_list_advance(ht_cursor_list *c, uint32_t row, uint32_t *at) {
    bool within = c->block < c->block_count && row <= c->blocks[c->block].last &&
                  (c->block == 0 || row > c->blocks[c->block - 1].last);
    if (!within) {
        uint32_t from = c->block < c->block_count && row > c->blocks[c->block].last ? c->block + 1 : 0;
        uint32_t block = ht_list_seek(c, from, row);
        if (block == c->block_count)
            return false;
        ht_list_decode(c, block);
    }
    uint32_t low = 0, high = c->block_rows - 1; /* the last row of the block is not before `row` */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (c->row[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return true;
}

const uint8_t *ht_list_positions(ht_cursor_list *c, uint32_t at) {
    for (; c->position_of < at; c->position_of++) {
        for (uint32_t i = 0; i < c->count[c->position_of]; i++) {
            while (*c->position & 0x80)
                c->position++;
            c->position++;
        }
    }
    return c->position;
}

/* ---- terms */

ht_text ht_postings_term(const ht_postings *p, uint32_t term) {
    uint32_t begin = term ? p->text_ends[term - 1] : 0;
    return (ht_text){p->texts + begin, p->text_ends[term] - begin};
}

static int compare(ht_text a, ht_text b) {
    int order = memcmp(a.data, b.data, ht_min_size(a.bytes, b.bytes));
    return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

uint32_t ht_postings_find(const ht_postings *p, ht_text text) {
    uint32_t low = 0, high = p->term_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(ht_postings_term(p, middle), text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

ht_list ht_postings_list(const ht_postings *p, ht_text text) {
    uint32_t term = ht_postings_find(p, text);
    if (term == p->term_count || compare(ht_postings_term(p, term), text) != 0)
        return (ht_list){0};
    return p->lists[term];
}

/* ---- making */

hither_status ht_postings_new(uint64_t first, uint64_t end, size_t terms, size_t text_bytes, ht_postings **out,
                              hither_error *err) {
    uint64_t base = first - first % 64, rows = end - base;
    if (rows >= UINT32_MAX || terms >= UINT32_MAX || text_bytes >= UINT32_MAX)
        return ht_fail(err, HITHER_TOO_LARGE, "documents with %zu different terms are too many for one list", terms);
    ht_postings *p = ht_calloc(1, sizeof *p);
    if (!p)
        return ht_fail_nomem(err, sizeof *p, "postings");
    *p = (ht_postings){.first = first, .end = end, .base = base, .term_count = (uint32_t)terms};
    atomic_init(&p->holders, 1);
    ht_lists_init(&p->stored);
    p->lengths = ht_calloc((size_t)rows, sizeof *p->lengths);
    p->short_lengths = ht_calloc((size_t)rows, 1);
    p->text_ends = ht_calloc(terms, sizeof *p->text_ends);
    p->texts = ht_alloc(text_bytes);
    p->lists = ht_calloc(terms, sizeof *p->lists);
    if (!p->lengths || !p->short_lengths || !p->text_ends || !p->texts || !p->lists) {
        ht_postings_release(p);
        return ht_fail_nomem(err, (size_t)rows * 5 + text_bytes, "postings");
    }
    *out = p;
    return HITHER_OK;
}

hither_status ht_postings_finish(ht_postings *p, hither_error *err) {
    for (uint64_t row = 0; row < p->end - p->base; row++) {
        p->rows += p->lengths[row] > 0;
        p->length += p->lengths[row];
        p->short_lengths[row] = p->lengths[row] < UINT8_MAX ? (uint8_t)p->lengths[row] : UINT8_MAX;
    }
    return ht_lists_check(&p->stored, err);
}

/* ---- holders */

void ht_postings_hold(ht_postings *p) { atomic_fetch_add_explicit(&p->holders, 1, memory_order_relaxed); }

void ht_postings_release(ht_postings *p) {
    if (!p || atomic_fetch_sub_explicit(&p->holders, 1, memory_order_acq_rel) > 1)
        return;
    ht_release(p->lengths);
    ht_release(p->short_lengths);
    ht_release(p->text_ends);
    ht_release(p->texts);
    ht_release(p->lists);
    ht_lists_clear(&p->stored);
    ht_release(p);
}

uint64_t ht_postings_bytes(const ht_postings *p) {
    uint64_t texts = p->term_count ? p->text_ends[p->term_count - 1] : 0;
    return (p->end - p->base) * (sizeof *p->lengths + 1) + texts + p->term_count * (uint64_t)(sizeof *p->lists + 4) +
           p->stored.blocks.size + p->stored.data.size + p->stored.positions.size;
}
