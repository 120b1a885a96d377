/*
 * job_kinds.c: the kinds of work that a job may be. Each holds references of the handles it needs, so that they may be
 * closed while it runs; arguments are checked where the call that waits would check them, mostly by that call. Any
 * thread.
 */
#include <string.h>

#include "api/job.h"
#include "base/alloc.h"
#include "base/result.h"
#include "engine/state.h"
#include "index/flat.h"

#define DEFAULT_WAIT_MS 1000u

void ht_work_clear(ht_work *work) {
    ht_collection_unref(work->collection.inner); /* before the database it is in */
    ht_db_close(work->db);
    ht_embedder_release(work->collection.embedder);
    ht_embedder_release(work->embedder);
    hither_index_close(work->index);
    ht_release(work->path);
    ht_release(work->to);
}

static hither_status check(const void *handle, const char *what, hither_job **out, hither_error *err) {
    if (!out)
        return ht_fail(err, HITHER_INVALID, "out is NULL");
    *out = NULL;
    return handle ? HITHER_OK : ht_fail(err, HITHER_INVALID, "the %s is NULL", what);
}

/* ---- databases */

static hither_status compact(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    (void)out;
    HT_TRY(ht_progress_phase(progress, "compacting", 0, err));
    return ht_db_compact(work->db, progress, err);
}

static hither_status purge(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    (void)out;
    if (!progress->wait_ms)
        progress->wait_ms = DEFAULT_WAIT_MS;
    HT_TRY(ht_progress_phase(progress, "purging", 0, err));
    return ht_db_purge(work->db, progress, err);
}

static hither_status verify(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    return ht_db_verify(work->db, progress, out, err);
}

static hither_status backup(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    (void)out;
    return ht_db_backup(work->db, work->path, progress, err);
}

static hither_status repair(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    return ht_db_repair(work->path, work->to, progress, out, err);
}

static hither_status copy_path(const char *path, char **out, hither_error *err) {
    *out = ht_strdup(path);
    return *out ? HITHER_OK : ht_fail_nomem(err, strlen(path), "a path");
}

static hither_status on_database(hither_db *db, ht_work *work, const hither_job_options *options, hither_job **out,
                                 hither_error *err) {
    HT_TRY(check(db, "database", out, err));
    work->db = ht_db_acquire(ht_db_in(db));
    return ht_job_start(work, options, out, err);
}

hither_status hither_job_compact(hither_db *db, const hither_job_options *options, hither_job **out,
                                 hither_error *err) {
    return on_database(db, &(ht_work){.run = compact}, options, out, err);
}

hither_status hither_job_purge(hither_db *db, const hither_job_options *options, hither_job **out, hither_error *err) {
    return on_database(db, &(ht_work){.run = purge}, options, out, err);
}

hither_status hither_job_verify(hither_db *db, const hither_job_options *options, hither_job **out, hither_error *err) {
    return on_database(db, &(ht_work){.run = verify}, options, out, err);
}

hither_status hither_job_backup(hither_db *db, const char *path, const hither_job_options *options, hither_job **out,
                                hither_error *err) {
    ht_work work = {.run = backup};
    HT_TRY(check(db, "database", out, err));
    HT_TRY(ht_new_path_check(path, err));
    HT_TRY(copy_path(path, &work.path, err));
    return on_database(db, &work, options, out, err);
}

hither_status hither_job_repair(const char *path, const char *to, const hither_job_options *options, hither_job **out,
                                hither_error *err) {
    ht_work work = {.run = repair};
    HT_TRY(check(path && *path ? path : NULL, "path of the damaged database", out, err));
    HT_TRY(ht_new_path_check(to, err));
    HT_TRY(copy_path(path, &work.path, err));
    hither_status status = copy_path(to, &work.to, err);
    if (status != HITHER_OK) {
        ht_work_clear(&work);
        return status;
    }
    return ht_job_start(&work, options, out, err);
}

/* ---- collections and indexes */

static void take_collection(ht_work *work, const hither_collection *c) {
    work->db = ht_db_acquire(c->inner->db);
    work->collection.inner = ht_collection_ref(c->inner);
    work->collection.embedder = c->embedder ? ht_embedder_acquire(c->embedder) : NULL;
}

static hither_status search(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    HT_TRY(ht_progress_phase(progress, "searching", 0, err));
    return hither_collection_search(&work->collection, &work->query, work->k, &work->search, out, err);
}

hither_status hither_job_search(hither_collection *c, const hither_query *query, uint32_t k,
                                const hither_search_options *search_options, const hither_job_options *options,
                                hither_job **out, hither_error *err) {
    ht_work work = {.run = search, .k = k};
    HT_TRY(check(c, "collection", out, err));
    HT_TRY(check(query, "query", out, err));
    HT_TRY(ht_options_read(&work.query, sizeof work.query, query, "hither_query", err));
    HT_TRY(ht_options_read(&work.search, sizeof work.search, search_options, "hither_search_options", err));
    take_collection(&work, c);
    return ht_job_start(&work, options, out, err);
}

static hither_status put(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    (void)out;
    HT_TRY(ht_progress_phase(progress, "writing", work->batch.ids.count, err));
    return hither_collection_put(&work->collection, work->mode, &work->batch, NULL, err);
}

hither_status hither_job_put(hither_collection *c, hither_mode mode, const hither_batch *batch,
                             const hither_job_options *options, hither_job **out, hither_error *err) {
    ht_work work = {.run = put, .mode = mode};
    HT_TRY(check(c, "collection", out, err));
    HT_TRY(check(batch, "batch", out, err));
    HT_TRY(ht_options_read(&work.batch, sizeof work.batch, batch, "hither_batch", err));
    take_collection(&work, c);
    return ht_job_start(&work, options, out, err);
}

static hither_status reembed(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    (void)out;
    return ht_reembed(&work->collection, work->embedder, progress, err);
}

hither_status hither_job_reembed(hither_collection *c, hither_embedder *embedder, const hither_job_options *options,
                                 hither_job **out, hither_error *err) {
    ht_work work = {.run = reembed};
    HT_TRY(check(c, "collection", out, err));
    HT_TRY(check(embedder, "embedder", out, err));
    work.db = ht_db_acquire(c->inner->db);
    work.collection.inner = ht_collection_ref(c->inner);
    work.embedder = ht_embedder_acquire(ht_embedder_in(embedder));
    return ht_job_start(&work, options, out, err);
}

static hither_status add(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    int64_t first = 0;
    hither_result *labels;
    HT_TRY(ht_result_new(0, 0, true, &labels, err));
    hither_status status = ht_progress_phase(progress, "adding", work->rows.rows, err);
    if (status == HITHER_OK)
        status = hither_index_add(work->index, &work->rows, work->labels, &first, err);
    for (size_t i = 0; status == HITHER_OK && i < work->rows.rows; i++)
        ht_result_add_int(labels, work->labels ? work->labels[i] : first + (int64_t)i);
    /* The rows are in: that their labels cannot be told is no failure of the work. */
    if (status == HITHER_OK && ht_result_check(labels, NULL) == HITHER_OK)
        *out = labels;
    else
        hither_result_free(labels);
    return status;
}

hither_status hither_job_add(hither_index *index, const hither_matrix *rows, const int64_t *labels,
                             const hither_job_options *options, hither_job **out, hither_error *err) {
    ht_work work = {.run = add, .labels = labels};
    HT_TRY(check(index, "index", out, err));
    HT_TRY(check(rows, "matrix of rows", out, err));
    work.rows = *rows;
    work.index = (hither_index *)ht_flat_acquire((ht_flat *)index);
    return ht_job_start(&work, options, out, err);
}

static int build_step(void *ctx, uint64_t done, uint64_t of) {
    ht_progress *progress = ctx;
    progress->done = done;
    progress->total = of;
    return ht_progress_step(progress, 0, NULL) != HITHER_OK;
}

static hither_status build(ht_work *work, ht_progress *progress, hither_result **out, hither_error *err) {
    (void)out;
    const hither_index_build_options o = {
        .size = sizeof o, .threads = work->threads, .step = build_step, .ctx = progress};
    HT_TRY(ht_progress_phase(progress, "building", 0, err));
    return hither_index_build(work->index, &o, err);
}

hither_status hither_job_build(hither_index *index, uint32_t threads, const hither_job_options *options,
                               hither_job **out, hither_error *err) {
    ht_work work = {.run = build, .threads = threads};
    HT_TRY(check(index, "index", out, err));
    work.index = (hither_index *)ht_flat_acquire((ht_flat *)index);
    return ht_job_start(&work, options, out, err);
}
