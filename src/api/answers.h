/*
 * answers.h: what searches of arrays and of indexes answer, as the caller's arrays and as results. Any thread.
 */
#ifndef HT_API_ANSWERS_H
#define HT_API_ANSWERS_H

#include "base/buf.h"
#include "base/result.h"
#include "index/flat.h"

/* INVALID for k = 0, TOO_LARGE above HITHER_MAX_K. */
HT_NODISCARD hither_status ht_k_check(uint32_t k, hither_error *err);
/* What a recall of 0 means, or the recall; INVALID for what is no share. */
HT_NODISCARD hither_status ht_recall_read(double recall, double *out, hither_error *err);

/* Hits by slot as labels and distances, queries x k of each; the rest is -1 and +inf. */
void ht_answers_write(size_t queries, size_t k, const ht_hit *hits, const size_t *counts, int64_t *labels,
                      float *distances);

/* What a search was of, and what it did. */
typedef struct ht_searched {
    uint64_t rows;
    double recall;
    ht_flat_stats stats;
} ht_searched;

/* A result of one group a query, of what was found within a radius, and its plan. */
HT_NODISCARD hither_status ht_answers_found(size_t queries, const ht_found *found, const ht_searched *s,
                                            hither_result **out, hither_error *err);
/* The same of labels as ht_answers_write leaves them. */
HT_NODISCARD hither_status ht_answers_nearest(size_t queries, size_t k, const int64_t *labels, const float *distances,
                                              const ht_searched *s, hither_result **out, hither_error *err);
#endif
