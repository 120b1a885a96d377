/*
 * plan.h: from a filter to the set of slots it selects in one snapshot, the cheapest way that is known to be right:
 *
 *   kept      the same filter was asked of the same version: its rows are known.
 *   columns   every field has a column that covers the snapshot: scan them. Columns that lack are made first.
 *   bitmap    a condition that has to hold is on a field with few values, whose slots are known (column_sets.h): begin
 *             with those, and look at the other conditions of what is left. Where that costs less than a scan.
 *   rows      fetch the rows one by one and look: where there are few, or where there are too many columns already.
 *
 * Conditions on documents are left to the rows that the columns cannot decide. Whatever runs, the set is the same.
 * Any thread; the snapshot is pinned or held by the caller.
 */
#ifndef HT_ENGINE_PLAN_H
#define HT_ENGINE_PLAN_H

#include "engine/filter.h"
#include "engine/state.h"

/* The live slots that match, as a bit array of its own. */
typedef struct ht_selection {
    uint64_t *words;          /* (limit + 63) / 64 of them */
    const uint64_t **chunks;  /* for ht_mask */
    ht_row_set *kept;         /* whose words and chunks are; NULL: they are this selection's own */
    uint64_t limit, count;    /* slots looked at, slots selected */
    const char *plan;         /* as above */
    uint64_t estimate;        /* of count, made before the scan from a sample of the columns; live rows where none is */
    uint64_t parsed, checked; /* rows parsed into columns; rows fetched one by one */
} ht_selection;

/* *reader is begun here if it is needed and NULL; it is the caller's to end, also on failure. A reader that is there
 * must see the snapshot. */
HT_NODISCARD hither_status ht_select(ht_collection *c, const ht_snapshot *s, const ht_filter *filter,
                                     ht_reader **reader, ht_selection *out, hither_error *err);
/* Of a filter with conditions on documents: about how many rows' documents ht_select would have to read. */
uint64_t ht_select_open(ht_collection *c, const ht_snapshot *s, const ht_filter *filter);
/* All live rows. */
HT_NODISCARD hither_status ht_select_all(const ht_snapshot *s, ht_selection *out, hither_error *err);
/* Makes words its own, to be changed. NOMEM. */
HT_NODISCARD hither_status ht_selection_own(ht_selection *selection, hither_error *err);
void ht_selection_clear(ht_selection *selection);

ht_mask ht_selection_mask(const ht_selection *selection);
/* The first selected slot at or after `slot`, or the limit. */
uint64_t ht_selection_next(const ht_selection *selection, uint64_t slot);

/* Whether a row that was fetched matches. CORRUPT if its metadata is no JSON. */
HT_NODISCARD hither_status ht_row_matches(const ht_filter *filter, const ht_row *row, bool *matches, hither_error *err);

#endif
