/*
 * rank.h: BM25 over postings. docs/keyword.md has the formula; sums run over the clauses in the order of the query, in
 * f64, so that the same rows have the same bits of score whatever was skipped on the way to them. What counts is what
 * lives: rows, lengths and the rows of a clause are those of the live set.
 *
 * A job is one query over one state of the postings. It holds the postings; the query is the caller's for as long. One
 * thread at a time.
 */
#ifndef HT_KEYWORD_RANK_H
#define HT_KEYWORD_RANK_H

#include "base/mask.h"
#include "base/topk.h"
#include "keyword/postings.h"
#include "keyword/query.h"

typedef struct ht_job ht_job;

typedef struct ht_job_stats {
    uint64_t rows, length;  /* live rows with terms, and the sum of their lengths */
    uint64_t postings;      /* (row, clause) pairs there are, of clauses that score */
    uint64_t postings_read; /* those unpacked to be scored; the rest was skipped by bounds */
} ht_job_stats;

/* parts by rising slot; live as the snapshot has it. NOMEM. */
HT_NODISCARD hither_status ht_job_new(ht_postings *const *parts, size_t count, const ht_query *query,
                                      const ht_mask *live, ht_job **out, hither_error *err);
void ht_job_free(ht_job *job);

/* The k best rows of those alive and in `allow` (NULL: all): hits has room for k and gets them best first, ties by
 * slot; a hit's distance is its score with the sign turned. Rows that match the query, no others, and min(k, those) of
 * them. NOMEM. */
HT_NODISCARD hither_status ht_job_top(ht_job *job, const ht_mask *live, const ht_mask *allow, size_t k, ht_hit *hits,
                                      size_t *count, hither_error *err);
/* The score of one live slot; false if it does not match. */
bool ht_job_score(ht_job *job, uint64_t slot, double *score);

ht_job_stats ht_job_said(const ht_job *job);
/* Live rows of a clause, and its weight: what its share of a score is multiplied with. */
uint64_t ht_job_clause_rows(const ht_job *job, uint32_t clause);
double ht_job_clause_weight(const ht_job *job, uint32_t clause);

#endif
