/*
 * jobs.c: long work on a thread of the library's: a check that is polled for beside other things, a compaction that is
 * watched and stopped, and a search that is waited for.
 */
#include <hither.h>

#include <poll.h>
#include <stdio.h>

enum { DIM = 8, ROWS = 2000 };

static int fill(hither_collection *notes, hither_error *err) {
    static float vectors[ROWS][DIM];
    static int64_t ids[ROWS];
    for (int i = 0; i < ROWS; i++) {
        ids[i] = i;
        vectors[i][i % DIM] = 1.0F + (float)i;
    }
    hither_batch batch = {.size = sizeof batch,
                          .ids = {.ints = ids, .count = ROWS},
                          .vectors = {.data = vectors, .rows = ROWS, .dim = DIM, .dtype = HITHER_F32}};
    hither_ids junk = {.ints = ids, .count = ROWS / 2};
    return hither_collection_put(notes, HITHER_UPSERT, &batch, NULL, err) ||
           hither_collection_delete(notes, &junk, NULL, NULL, err);
}

/* A program with an event loop has the descriptor in it, and gets a word when the work is over. */
static int check(hither_db *db, hither_error *err) {
    hither_job *job;
    int fd = -1;
    if (hither_job_verify(db, NULL, &job, err))
        return 1;
    int failed = hither_job_fd(job, &fd, err) != HITHER_OK;
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    while (!failed && poll(&wanted, 1, 100) == 0)
        ; /* time for other things */
    failed = failed || hither_job_result(job, NULL, err) != HITHER_OK;
    hither_job_free(job);
    if (!failed)
        printf("sound\n");
    return failed;
}

/* Whatever a stop comes to, the database is sound, and the next compaction goes on from there. */
static int tidy(hither_db *db, hither_error *err) {
    hither_job *job;
    hither_progress now = {.size = sizeof now};
    if (hither_job_compact(db, NULL, &job, err))
        return 1;
    int failed = hither_job_wait(job, 1, NULL) == HITHER_TIMEOUT && hither_job_progress(job, &now, err) != HITHER_OK;
    (void)hither_job_cancel(job, NULL);
    hither_status status = hither_job_result(job, NULL, err);
    failed = failed || (status != HITHER_OK && status != HITHER_INTERRUPTED);
    hither_job_free(job);
    failed = failed || hither_db_compact(db, NULL, err) || hither_db_verify(db, NULL, err);
    if (!failed)
        printf("compacted\n");
    return failed;
}

static int look(hither_collection *notes, hither_error *err) {
    const float vector[DIM] = {0, 0, 0, 1};
    hither_query query = {.size = sizeof query,
                          .vectors = {.data = vector, .rows = 1, .dim = DIM, .dtype = HITHER_F32}};
    hither_job *job;
    hither_result *hits = NULL;
    if (hither_job_search(notes, &query, 3, NULL, NULL, &job, err))
        return 1;
    int failed = hither_job_result(job, &hits, err) != HITHER_OK;
    hither_job_free(job);
    for (size_t i = 0; !failed && i < hither_result_count(hits, 0); i++)
        printf("found %lld\n", (long long)hither_result_ids(hits, 0).ints[i]);
    hither_result_free(hits);
    return failed;
}

int main(void) {
    hither_db *db = NULL;
    hither_collection *notes = NULL;
    hither_error err = {0};
    int failed =
        hither_db_open("notes.hither", NULL, &db, &err) ||
        hither_collection_open(db, "notes", HITHER_OPTIONS(hither_collection_options, .dim = DIM), &notes, &err) ||
        fill(notes, &err) || check(db, &err) || tidy(db, &err) || look(notes, &err);
    if (failed)
        fprintf(stderr, "jobs: %s: %s\n", hither_status_name(err.status), err.message);
    hither_collection_close(notes);
    hither_db_close(db);
    return failed;
}
