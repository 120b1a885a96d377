/*
 * answers.c: see answers.h.
 */
#include "api/answers.h"

#include <math.h>
#include <stdio.h>

hither_status ht_k_check(uint32_t k, hither_error *err) {
    if (k == 0)
        return ht_fail(err, HITHER_INVALID, "k is 0; ask for at least 1 result");
    if (k > HITHER_MAX_K)
        return ht_fail(err, HITHER_TOO_LARGE, "k is %u; at most %u results a query are possible", k, HITHER_MAX_K);
    return HITHER_OK;
}

hither_status ht_recall_read(double recall, double *out, hither_error *err) {
    if (!(recall >= 0 && recall <= 1))
        return ht_fail(err, HITHER_INVALID, "recall is %g; it is a share of the true answers, above 0 and up to 1",
                       recall);
    *out = recall > 0 ? recall : 1;
    return HITHER_OK;
}

void ht_answers_write(size_t queries, size_t k, const ht_hit *hits, const size_t *counts, int64_t *labels,
                      float *distances) {
    for (size_t j = 0; j < queries; j++) {
        for (size_t i = 0; i < k; i++) {
            bool there = i < counts[j];
            labels[j * k + i] = there ? (int64_t)hits[j * k + i].slot : -1;
            distances[j * k + i] = there ? (float)hits[j * k + i].distance : INFINITY;
        }
    }
}

static void add_plan(hither_result *r, uint64_t rows, const ht_exact_stats *stats) {
    char plan[256];
    (void)snprintf(plan, sizeof plan,
                   "{\"kind\":\"exact\",\"rows\":%llu,\"rows_scanned\":%llu,\"rows_rescored\":%llu,\"threads\":%u}",
                   (unsigned long long)rows, (unsigned long long)stats->rows_scanned,
                   (unsigned long long)stats->rows_rescored, stats->threads);
    ht_result_plan(r, plan);
}

static hither_status give(hither_result *r, hither_result **out, hither_error *err) {
    hither_status status = ht_result_check(r, err);
    if (status == HITHER_OK)
        *out = r;
    else
        hither_result_free(r);
    return status;
}

hither_status ht_answers_found(size_t queries, const ht_found *found, uint64_t rows, const ht_exact_stats *stats,
                               hither_result **out, hither_error *err) {
    hither_result *r;
    HT_TRY(ht_result_new(HITHER_INCLUDE_NOTHING, 0, true, &r, err));
    for (size_t j = 0; j < queries; j++) {
        if (j > 0)
            ht_result_next_group(r);
        for (size_t i = 0; i < found[j].count; i++) {
            ht_result_add_int(r, (int64_t)found[j].hits[i].slot);
            ht_result_distance(r, (float)found[j].hits[i].distance);
        }
    }
    add_plan(r, rows, stats);
    return give(r, out, err);
}

hither_status ht_answers_nearest(size_t queries, size_t k, const int64_t *labels, const float *distances, uint64_t rows,
                                 const ht_exact_stats *stats, hither_result **out, hither_error *err) {
    hither_result *r;
    HT_TRY(ht_result_new(HITHER_INCLUDE_NOTHING, 0, true, &r, err));
    for (size_t j = 0; j < queries; j++) {
        if (j > 0)
            ht_result_next_group(r);
        for (size_t i = j * k; i < (j + 1) * k && labels[i] >= 0; i++) {
            ht_result_add_int(r, labels[i]);
            ht_result_distance(r, distances[i]);
        }
    }
    add_plan(r, rows, stats);
    return give(r, out, err);
}
