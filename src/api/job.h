/*
 * job.h: a piece of work on a thread of its own. job.c runs it and knows nothing of what it does; job_kinds.c has the
 * kinds of work there are.
 */
#ifndef HT_API_JOB_H
#define HT_API_JOB_H

#include "api/collection.h"
#include "base/progress.h"

/* What a job works on. It holds a reference of each handle; what is borrowed stays the caller's until the job ends. */
typedef struct ht_work {
    hither_status (*run)(struct ht_work *work, ht_progress *progress, hither_result **out, hither_error *err);
    ht_db *db;
    hither_collection collection; /* inner NULL: none */
    hither_index *index;
    ht_embedder *embedder; /* to move to */
    char *path, *to;
    hither_query query;
    hither_search_options search;
    uint32_t k;
    hither_matrix rows;
    const int64_t *labels;
    hither_batch batch;
    hither_mode mode;
    uint32_t threads;
} ht_work;

/* Begins the work, and takes it over: on failure it is cleared too. */
HT_NODISCARD hither_status ht_job_start(ht_work *work, const hither_job_options *options, hither_job **out,
                                        hither_error *err);
/* Lets go of what it holds. */
void ht_work_clear(ht_work *work);

#endif
