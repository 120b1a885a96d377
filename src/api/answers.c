/*
 * answers.c: see answers.h.
 */
#include "api/answers.h"

#include <inttypes.h>
#include <math.h>

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

static void put_stage(ht_buf *out, const char *name, uint64_t rows, uint64_t kept) {
    if (rows > 0)
        ht_buf_printf(out, "{\"stage\":\"%s\",\"rows\":%" PRIu64 ",\"kept\":%" PRIu64 "},", name, rows, kept);
}

static void put_walk(ht_buf *out, const ht_searched *s) {
    const ht_flat_stats *stats = &s->stats;
    if (stats->why)
        ht_buf_printf(out, "\"why\":\"%s\",", stats->why);
    if (stats->walked)
        ht_buf_printf(out,
                      "\"walk\":{\"%s\":%zu,\"expected\":%g,\"visited\":%" PRIu64 ",\"steps\":%" PRIu64
                      ",\"rescored\":%" PRIu64 ",\"fallback\":%" PRIu64 "},",
                      stats->kind->effort, stats->effort, stats->expected, stats->approx.visited, stats->approx.steps,
                      stats->approx.rescored, stats->fallback);
}

/* The stages in their order, each with the rows it looked at and those it could not rule out. What the last one scores
 * by the reference distance it keeps if it is among the answers: `found` are. */
static hither_status add_plan(hither_result *r, const ht_searched *s, size_t found, hither_error *err) {
    const ht_exact_stats *stats = &s->stats.exact;
    ht_buf plan;
    ht_buf_init(&plan, SIZE_MAX / 2);
    ht_buf_printf(&plan, "{\"kind\":\"%s\",\"rows\":%" PRIu64 ",\"plan\":\"%s\",\"bound\":\"%s\",",
                  s->stats.walked ? s->stats.kind->name : "exact", s->rows, stats->plan ? stats->plan : "none",
                  stats->bound ? stats->bound : "none");
    put_walk(&plan, s);
    ht_buf_printf(&plan, "\"recall\":%g,\"rows_scanned\":%" PRIu64 ",\"rows_rescored\":%" PRIu64 ",", s->recall,
                  stats->rows_scanned, stats->rows_rescored);
    ht_buf_printf(&plan, "\"bytes_read\":%" PRIu64 ",\"threads\":%u,\"stages\":[", stats->bytes_read, stats->threads);
    put_stage(&plan, "coarse codes", stats->rows_coarse, stats->rows_coarse_kept);
    put_stage(&plan, "codes", stats->rows_fine, stats->rows_fine_kept);
    put_stage(&plan, "rows", stats->rows_full, stats->rows_full_kept);
    put_stage(&plan, "distance", stats->rows_rescored, found);
    if (plan.size > 0 && plan.data[plan.size - 1] == ',')
        plan.size--;
    ht_buf_put(&plan, "]}", 3);
    hither_status status = ht_buf_check(&plan, "a plan", err);
    if (status == HITHER_OK)
        ht_result_plan(r, plan.data);
    ht_buf_clear(&plan);
    return status;
}

static hither_status give(hither_result *r, const ht_searched *s, size_t found, hither_result **out,
                          hither_error *err) {
    hither_status status = add_plan(r, s, found, err);
    return ht_result_hand_over(status, r, out, err);
}

hither_status ht_answers_found(size_t queries, const ht_found *found, const ht_searched *s, hither_result **out,
                               hither_error *err) {
    hither_result *r;
    size_t total = 0;
    HT_TRY(ht_result_new(HITHER_INCLUDE_NOTHING, 0, true, &r, err));
    for (size_t j = 0; j < queries; j++) {
        if (j > 0)
            ht_result_next_group(r);
        total += found[j].count;
        for (size_t i = 0; i < found[j].count; i++) {
            ht_result_add_int(r, (int64_t)found[j].hits[i].slot);
            ht_result_distance(r, (float)found[j].hits[i].distance);
        }
    }
    return give(r, s, total, out, err);
}

hither_status ht_answers_nearest(size_t queries, size_t k, const int64_t *labels, const float *distances,
                                 const ht_searched *s, hither_result **out, hither_error *err) {
    hither_result *r;
    size_t total = 0;
    HT_TRY(ht_result_new(HITHER_INCLUDE_NOTHING, 0, true, &r, err));
    for (size_t j = 0; j < queries; j++) {
        if (j > 0)
            ht_result_next_group(r);
        for (size_t i = j * k; i < (j + 1) * k && labels[i] >= 0; i++, total++) {
            ht_result_add_int(r, labels[i]);
            ht_result_distance(r, distances[i]);
        }
    }
    return give(r, s, total, out, err);
}
