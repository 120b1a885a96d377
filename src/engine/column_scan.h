/*
 * column_scan.h: a filter over columns: which slots match, 64 at a time. Each leaf becomes, per type of cell, an
 * interval of cell values, a sorted list of them, or a set of dictionary codes, so that the loop over cells knows
 * nothing of operators. The scan borrows filter and columns. One thread prepares; then any number may read.
 */
#ifndef HT_ENGINE_COLUMN_SCAN_H
#define HT_ENGINE_COLUMN_SCAN_H

#include "engine/column_sets.h"

typedef struct ht_leaf ht_leaf;

typedef struct ht_scan {
    const ht_filter *filter;
    const ht_field_column *const *columns; /* per field of the filter; they cover all slots asked about */
    ht_leaf *leaves;                       /* per node */
} ht_scan;

HT_NODISCARD hither_status ht_scan_prepare(ht_scan *scan, const ht_filter *filter,
                                           const ht_field_column *const *columns, hither_error *err);
void ht_scan_clear(ht_scan *scan);

/* Of a filter with conditions on documents, which columns know nothing of, there are two answers: */
typedef enum ht_scan_side {
    HT_AT_LEAST, /* slots that match whatever their documents are */
    HT_AT_MOST   /* slots that may match; the same set where the filter has no such conditions */
} ht_scan_side;

/* Sets words[i] to the matches among slots first + 64 * i ... + 63, for the slots [first, first + count); first is a
 * multiple of HT_CELLS and count at most that. Bits past count are 0. */
void ht_scan_words(const ht_scan *scan, ht_scan_side side, uint64_t first, size_t count, uint64_t *words);

/* How many slots below sets->upto one leaf, on the column that the sets are of, selects, and how many it takes to look
 * at beyond that: those that hold lists. */
uint64_t ht_scan_leaf_count(const ht_scan *scan, uint32_t node, const ht_column_sets *sets);
/* Sets their bits. */
void ht_scan_leaf_mark(const ht_scan *scan, uint32_t node, const ht_column_sets *sets, uint64_t *words);

/* Whether one slot matches, given its document. */
bool ht_scan_slot(const ht_scan *scan, uint64_t slot, ht_text document);

#endif
