/*
 * postings.h: which rows hold which terms, how often and where, for a run of slots. Immutable once it is built, so any
 * thread may read it; a table (table.h) keeps several of them, one after another, and merges them as they grow.
 *
 * Rows are numbered from `base`, a multiple of 64 at or below the first slot: row r is slot base + r. Terms stand in
 * the order of their bytes. The rows of a term are a list of blocks of HT_POSTING_BLOCK, each with the gaps between its
 * rows and its counts in as few bits as the largest needs, and with what bounds the score of its rows from above. The
 * positions of a term within rows are varints of their own, which only phrases read.
 */
#ifndef HT_KEYWORD_POSTINGS_H
#define HT_KEYWORD_POSTINGS_H

#include <stdatomic.h>

#include "base/error.h"
#include "base/mask.h"
#include "base/strings.h"

#define HT_POSTING_BLOCK 128u
#define HT_POSTING_PAD   8u /* bytes past the end of data that unpacking may read; they belong to it */

typedef struct ht_block {
    uint32_t last;                         /* its last row */
    uint32_t data;                         /* where its gaps and then its counts begin, in bytes */
    uint32_t positions;                    /* where the positions of its rows begin */
    uint16_t most;                         /* the largest count in it; 65535: that or more */
    uint16_t shortest_once, shortest_more; /* the least length of a row with count 1, and with more; 65535: none, or
                                              that or more */
    uint8_t row_bits, count_bits;
} ht_block;

typedef struct ht_list {
    uint32_t rows; /* in (rows + 127) / 128 blocks */
    uint32_t first_block;
} ht_list;

/* Blocks and bytes that lists are appended to. */
typedef struct ht_lists {
    ht_buf blocks, data, positions;
} ht_lists;

typedef struct ht_postings {
    uint64_t first, end; /* the slots covered */
    uint64_t base;
    uint32_t *lengths;      /* per row: terms in its document, 0 if there are none */
    uint8_t *short_lengths; /* the same up to 255 */
    uint64_t rows, length;  /* rows with terms, and the sum of their lengths */
    uint32_t term_count;
    uint32_t *text_ends; /* of each term in texts */
    char *texts;
    ht_list *lists; /* per term */
    ht_lists stored;
    _Atomic uint32_t holders;
} ht_postings;

/* A list being read: one decoded block at a time. */
typedef struct ht_cursor_list {
    const ht_lists *lists;
    const ht_block *blocks;
    uint32_t rows, block_count;
    uint32_t block;      /* the one decoded, block_count: none yet */
    uint32_t block_rows; /* rows in it */
    uint32_t row[HT_POSTING_BLOCK], count[HT_POSTING_BLOCK];
    const uint8_t *position; /* where the positions of row[position_of] begin */
    uint32_t position_of;
} ht_cursor_list;

void ht_lists_init(ht_lists *lists);
void ht_lists_clear(ht_lists *lists);
/* Appends a list of rows with their counts, both `count` long, rising; positions (may be NULL) are varints, those of
 * each row after one another: the first position, then gaps, of which position_bytes says how many bytes each row has.
 * Failure shows in ht_lists_check. `lengths` per row. */
ht_list ht_lists_append(ht_lists *lists, const uint32_t *rows, const uint32_t *counts, size_t count,
                        const uint32_t *lengths, const uint8_t *positions, const uint32_t *position_bytes);
/* NOMEM, or TOO_LARGE past 4 GiB. */
HT_NODISCARD hither_status ht_lists_check(ht_lists *lists, hither_error *err);

/* The most and the shortest of a block of rows with these counts; its other members are 0. */
ht_block ht_block_bounds(const uint32_t *rows, const uint32_t *counts, size_t count, const uint32_t *lengths);

void ht_list_open(ht_cursor_list *cursor, const ht_lists *lists, ht_list list);
/* Decodes a block into row, count, block_rows. */
void ht_list_decode(ht_cursor_list *cursor, uint32_t block);
/* The block that holds `row` or the first after it, found from block `from` on; block_count if there is none. */
uint32_t ht_list_seek(const ht_cursor_list *cursor, uint32_t from, uint32_t row);
/* The place in the decoded block of the first row >= `row`; afterwards the block that may hold it is decoded. False if
 * the list has none. */
bool ht_list_advance(ht_cursor_list *cursor, uint32_t row, uint32_t *at);
/* Where the positions of the `at`-th row of the decoded block begin; for a rising `at` within a block. */
const uint8_t *ht_list_positions(ht_cursor_list *cursor, uint32_t at);
static inline const uint8_t *ht_varint(const uint8_t *p, uint32_t *out) {
    uint32_t value = *p & 0x7f;
    for (unsigned shift = 7; *p++ & 0x80; shift += 7)
        value |= (uint32_t)(*p & 0x7f) << shift;
    *out = value;
    return p;
}
/* Writes at most 5 bytes. */
static inline uint8_t *ht_varint_put(uint8_t *p, uint32_t value) {
    for (; value >= 0x80; value >>= 7)
        *p++ = (uint8_t)(value | 0x80);
    *p++ = (uint8_t)value;
    return p;
}

ht_text ht_postings_term(const ht_postings *p, uint32_t term);
/* The first term that is not before the text; term_count if all are. */
uint32_t ht_postings_find(const ht_postings *p, ht_text text);
/* The rows of exactly this term; none: rows 0. */
ht_list ht_postings_list(const ht_postings *p, ht_text text);

/* Room for a building: terms and bytes of their texts as many as may come, lengths all 0, term_count set. NOMEM,
 * TOO_LARGE. */
HT_NODISCARD hither_status ht_postings_new(uint64_t first, uint64_t end, size_t terms, size_t text_bytes,
                                           ht_postings **out, hither_error *err);
/* What follows from the lengths and lists once they are there. */
HT_NODISCARD hither_status ht_postings_finish(ht_postings *p, hither_error *err);

void ht_postings_hold(ht_postings *p);
void ht_postings_release(ht_postings *p);

/* Two that cover neighbouring slots, as one; of their rows those in `keep` (NULL: all). b NULL: a alone. NOMEM,
 * TOO_LARGE. */
HT_NODISCARD hither_status ht_postings_merge(const ht_postings *a, const ht_postings *b, const ht_mask *keep,
                                             ht_postings **out, hither_error *err);
uint64_t ht_postings_bytes(const ht_postings *p);

#endif
