/*
 * explain.h: what a reading call did, stage by stage, for people and tests: rows, estimates beside truths, and times.
 * Filled as the call goes, written as JSON at its end. Costs a reading of the clock a stage. One thread.
 */
#ifndef HT_ENGINE_EXPLAIN_H
#define HT_ENGINE_EXPLAIN_H

#include "base/buf.h"
#include "base/result.h"
#include "index/exact.h"

struct ht_selection;

#define HT_STAGES 8u

typedef struct ht_stage {
    const char *name, *how; /* how may be NULL */
    uint64_t rows_in, rows_out;
    uint64_t ns;
} ht_stage;

typedef struct ht_explain {
    uint64_t began, mark; /* of the call, of the stage */
    ht_stage stages[HT_STAGES];
    size_t count;
    ht_buf members; /* further ones of the plan, each with a comma before it */
} ht_explain;

void ht_explain_begin(ht_explain *e);
void ht_explain_end(ht_explain *e); /* after it was written, or not; any number of times */
/* What passed since the last stage, or since the beginning, was this one. Stages of one name add up. */
void ht_explain_stage(ht_explain *e, const char *name, const char *how, uint64_t rows_in, uint64_t rows_out);
/* Sets the result's plan. `rows` is how many the collection holds, `returned` how many the answer does. */
void ht_explain_write(const ht_explain *e, hither_result *result, const char *kind, const ht_exact_stats *stats,
                      const struct ht_selection *selected, uint64_t rows, uint64_t returned);

#endif
