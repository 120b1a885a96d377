/*
 * test_job.c: jobs do what the calls that wait do, and are held against them; they are stopped at any point, outlive
 * the handles they were begun on, and are freed in any order.
 */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "hither.h"
#include "ok.h"
#include "rows.h"

enum { DIM = 32, ROWS = 3000, KEPT = 600, BATCH = 500 };

static hither_error err;

#define FAILS(call, wanted) assert_string_equal(hither_status_name(call), hither_status_name(wanted))

/* ---- a database: ids 0 ... ROWS - 1, of which those below KEPT are alive */

typedef struct world {
    char *path, *other;
    hither_db *db;
    hither_collection *c;
    float *vectors;
} world;

static void put(hither_collection *c, const float *vectors, int64_t first, size_t count) {
    int64_t ids[BATCH];
    for (size_t done = 0; done < count; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            ids[i] = first + (int64_t)(done + i);
        hither_batch batch = {.size = sizeof batch,
                              .ids = test_int_ids(ids, BATCH),
                              .vectors = test_matrix(vectors + (size_t)ids[0] * DIM, BATCH, DIM)};
        OK(hither_collection_put(c, HITHER_UPSERT, &batch, NULL, &err));
    }
}

static void delete_junk(world *w) {
    int64_t ids[ROWS - KEPT];
    for (size_t i = 0; i < ROWS - KEPT; i++)
        ids[i] = (int64_t)(KEPT + i);
    hither_ids column = test_int_ids(ids, ROWS - KEPT);
    OK(hither_collection_delete(w->c, &column, NULL, NULL, &err));
}

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    *state = w;
    w->path = test_path();
    w->other = test_path();
    w->vectors = malloc(sizeof(float) * ROWS * DIM);
    assert_non_null(w->vectors);
    for (size_t i = 0; i < ROWS * DIM; i++)
        w->vectors[i] = test_float(7, i);
    OK(hither_db_open(w->path, NULL, &w->db, &err));
    OK(hither_collection_open(w->db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM, .metric = HITHER_L2),
                              &w->c, &err));
    put(w->c, w->vectors, 0, ROWS);
    delete_junk(w);
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    hither_collection_close(w->c);
    hither_db_close(w->db);
    test_remove_tree(w->path);
    test_remove_tree(w->other);
    free(w->vectors);
    free(w);
    return 0;
}

/* Every row that is alive, with its vector; and not one byte wrong. */
static void assert_sound(const world *w, const char *path) {
    hither_db *db;
    hither_collection *c;
    hither_cursor *cursor;
    OK(hither_db_open(path, HITHER_OPTIONS(hither_db_options, .flags = HITHER_OPEN_READONLY), &db, &err));
    OK(hither_db_verify(db, NULL, &err));
    OK(hither_collection_open(db, "c", NULL, &c, &err));
    OK(hither_collection_scan(c, NULL, HITHER_INCLUDE_VECTORS, &cursor, &err));
    int64_t next = 0;
    for (size_t count = 1; count > 0;) {
        hither_result *rows;
        OK(hither_cursor_next(cursor, 256, &rows, &err));
        count = hither_result_count(rows, 0);
        hither_ids ids = hither_result_ids(rows, 0);
        hither_matrix m = hither_result_vectors(rows, 0);
        for (size_t i = 0; i < count; i++, next++) {
            assert_int_equal(ids.ints[i], next);
            assert_memory_equal((const char *)m.data + i * (m.stride ? m.stride : DIM * 4),
                                w->vectors + (size_t)next * DIM, DIM * 4);
        }
        hither_result_free(rows);
    }
    assert_int_equal(next, KEPT);
    hither_cursor_close(cursor);
    hither_collection_close(c);
    hither_db_close(db);
}

/* Whether anything beside the database itself has a name that begins as `path` does. */
static bool anything_at(const char *path) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    assert_non_null(slash);
    *slash = 0;
    bool found = false;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        found = found || strncmp(entry->d_name, slash + 1, strlen(slash + 1)) == 0;
    closedir(dir);
    return found;
}

static void finish(hither_job *job, hither_status wanted) {
    hither_progress now = {.size = sizeof now};
    FAILS(hither_job_result(job, NULL, &err), wanted);
    OK(hither_job_progress(job, &now, &err));
    assert_int_equal(now.ended, 1);
    assert_true(now.total == 0 || now.done <= now.total);
    OK(hither_job_wait(job, 0, &err));
    hither_job_free(job);
}

/* ---- what each does */

static void test_work_on_a_database(void **state) {
    world *w = *state;
    hither_job *job;
    hither_result *report = NULL;
    OK(hither_job_compact(w->db, NULL, &job, &err));
    finish(job, HITHER_OK);
    assert_sound(w, w->path);
    OK(hither_job_purge(w->db, NULL, &job, &err));
    finish(job, HITHER_OK);
    assert_sound(w, w->path);
    OK(hither_job_verify(w->db, NULL, &job, &err));
    OK(hither_job_result(job, &report, &err));
    assert_int_equal(hither_result_count(report, 0), 0);
    FAILS(hither_job_result(job, &report, &err), HITHER_INVALID); /* taken already */
    hither_job_free(job);
    hither_result_free(report); /* outlives its job */
    OK(hither_job_backup(w->db, w->other, NULL, &job, &err));
    finish(job, HITHER_OK);
    assert_sound(w, w->other);
    OK(hither_job_backup(w->db, w->other, NULL, &job, &err));
    finish(job, HITHER_EXISTS);
    char *third = test_path();
    OK(hither_job_repair(w->other, third, NULL, &job, &err));
    finish(job, HITHER_OK);
    assert_sound(w, third);
    test_remove_tree(third);
}

static void test_search_is_the_search_that_waits(void **state) {
    world *w = *state;
    hither_job *jobs[8];
    hither_query query = {.size = sizeof query, .vectors = test_matrix(w->vectors, 5, DIM)};
    hither_result *twin, *found;
    OK(hither_collection_search(w->c, &query, 10, NULL, &twin, &err));
    for (size_t i = 0; i < 8; i++)
        OK(hither_job_search(w->c, &query, 10, NULL, NULL, &jobs[i], &err));
    for (size_t i = 8; i-- > 0;) {
        OK(hither_job_result(jobs[i], &found, &err));
        hither_job_free(jobs[i]);
        for (size_t g = 0; g < 5; g++)
            assert_memory_equal(hither_result_ids(found, g).ints, hither_result_ids(twin, g).ints, 10 * 8);
        hither_result_free(found);
    }
    hither_result_free(twin);
    OK(hither_job_search(w->c, &query, 0, NULL, NULL, &jobs[0], &err));
    found = NULL;
    FAILS(hither_job_result(jobs[0], &found, &err), HITHER_INVALID);
    assert_null(found);
    assert_non_null(strstr(err.message, "k"));
    hither_job_free(jobs[0]);
}

/* All rows, also when the collection is closed meanwhile; an error names the row, and then there is none. */
static void test_rows_are_put(void **state) {
    world *w = *state;
    hither_job *job;
    hither_collection *c;
    size_t count;
    int64_t ids[] = {KEPT, KEPT + 1, KEPT + 2};
    hither_batch batch = {
        .size = sizeof batch, .ids = test_int_ids(ids, 3), .vectors = test_matrix(w->vectors, 3, DIM)};
    OK(hither_collection_open(w->db, "c", NULL, &c, &err));
    OK(hither_job_put(c, HITHER_INSERT, &batch, NULL, &job, &err));
    hither_collection_close(c);
    finish(job, HITHER_OK);
    OK(hither_collection_count(w->c, NULL, &count, &err));
    assert_int_equal(count, KEPT + 3);
    ids[0] = KEPT + 9;
    OK(hither_job_put(w->c, HITHER_INSERT, &batch, NULL, &job, &err));
    FAILS(hither_job_result(job, NULL, &err), HITHER_EXISTS);
    assert_non_null(strstr(err.message, "601")); /* the row that is there, by its id */
    finish(job, HITHER_EXISTS);
    OK(hither_collection_count(w->c, NULL, &count, &err));
    assert_int_equal(count, KEPT + 3);
}

static void test_rows_are_added_to_an_index(void **state) {
    world *w = *state;
    hither_index *index;
    hither_job *job;
    hither_result *labels;
    hither_matrix rows = test_matrix(w->vectors, 100, DIM);
    OK(hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = DIM), &index, &err));
    for (int turn = 0; turn < 2; turn++) {
        OK(hither_job_add(index, &rows, NULL, NULL, &job, &err));
        OK(hither_job_result(job, &labels, &err));
        assert_int_equal(hither_result_count(labels, 0), 100);
        assert_int_equal(hither_result_ids(labels, 0).ints[99], turn * 100 + 99);
        hither_result_free(labels);
        hither_job_free(job);
    }
    int64_t again = 5;
    rows.rows = 1;
    OK(hither_job_add(index, &rows, &again, NULL, &job, &err));
    hither_index_close(index);
    finish(job, HITHER_EXISTS);
}

static void test_an_index_is_built(void **state) {
    world *w = *state;
    hither_index *index;
    hither_job *job;
    hither_progress now = {.size = sizeof now};
    hither_matrix rows = test_matrix(w->vectors, ROWS, DIM);
    OK(hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = DIM, .kind = HITHER_HNSW), &index, &err));
    for (int turn = 0; turn < 3; turn++)
        OK(hither_index_add(index, &rows, NULL, NULL, &err));
    OK(hither_job_build(index, 1, NULL, &job, &err));
    OK(hither_job_cancel(job, &err));
    hither_status status = hither_job_result(job, NULL, &err);
    if (status != HITHER_OK)
        assert_string_equal(hither_status_name(status), "INTERRUPTED");
    hither_job_free(job);
    OK(hither_index_verify(index, &err));
    OK(hither_job_build(index, 0, NULL, &job, &err));
    hither_index_close(index);
    OK(hither_job_wait(job, -1, &err));
    OK(hither_job_progress(job, &now, &err));
    assert_string_equal(now.phase, "building");
    finish(job, HITHER_OK);
}

/* ---- stopping */

static hither_job *begin(world *w, int kind) {
    hither_job *job = NULL;
    if (kind == 0)
        OK(hither_job_compact(w->db, NULL, &job, &err));
    else if (kind == 1)
        OK(hither_job_purge(w->db, NULL, &job, &err));
    else if (kind == 2)
        OK(hither_job_verify(w->db, NULL, &job, &err));
    else if (kind == 3)
        OK(hither_job_backup(w->db, w->other, NULL, &job, &err));
    else
        OK(hither_job_repair(w->path, w->other, NULL, &job, &err));
    return job;
}

/* Cancelled after it has told of `steps` things; a backup or a repair is there whole, or there is nothing of it. */
static void stop_after(world *w, int kind, uint64_t steps, size_t *stopped) {
    hither_job *job = begin(w, kind);
    hither_progress now = {.size = sizeof now};
    do {
        OK(hither_job_progress(job, &now, &err));
        assert_non_null(now.phase);
    } while (!now.ended && now.done < steps);
    OK(hither_job_cancel(job, &err));
    hither_status status = hither_job_result(job, NULL, &err);
    if (status != HITHER_INTERRUPTED)
        assert_int_equal(status, HITHER_OK);
    *stopped += status == HITHER_INTERRUPTED;
    hither_job_free(job);
    assert_sound(w, w->path);
    if (kind < 3)
        return;
    assert_int_equal(anything_at(w->other), status == HITHER_OK);
    if (status == HITHER_OK)
        assert_sound(w, w->other);
    test_remove_tree(w->other);
    w->other = test_path();
}

static void test_stopped_anywhere(void **state) {
    world *w = *state;
    static const uint64_t after[] = {0, 1, 600, 2500, 20000};
    for (int kind = 0; kind < 5; kind++) {
        size_t stopped = 0;
        for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
            if (kind < 2) {
                put(w->c, w->vectors, KEPT + (ROWS - KEPT) % BATCH, BATCH * 2);
                delete_junk(w);
            }
            stop_after(w, kind, after[i], &stopped);
        }
        assert_true(stopped > 0);
    }
}

/* A purge that a cursor is in the way of, for as long as the test likes. */
static hither_job *begin_stuck(world *w, hither_cursor **cursor, const hither_job_options *options) {
    hither_job *job;
    OK(hither_collection_scan(w->c, NULL, 0, cursor, &err));
    put(w->c, w->vectors, KEPT - BATCH, BATCH); /* so that the cursor's version is an old one */
    OK(hither_job_purge(w->db, options, &job, &err));
    return job;
}

static void test_waiting(void **state) {
    world *w = *state;
    hither_cursor *cursor;
    hither_job *job = begin_stuck(w, &cursor, HITHER_OPTIONS(hither_job_options, .wait_ms = 600000));
    int fd = -1, same = -1;
    FAILS(hither_job_wait(job, 0, &err), HITHER_TIMEOUT);
    FAILS(hither_job_wait(job, 30, &err), HITHER_TIMEOUT);
    OK(hither_job_fd(job, &fd, &err));
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 20), 0);
    hither_cursor_close(cursor);
    assert_int_equal(poll(&polled, 1, 60000), 1);
    assert_true(polled.revents & POLLIN);
    OK(hither_job_fd(job, &same, &err));
    assert_int_equal(fd, same);
    OK(hither_job_wait(job, -1, &err));
    finish(job, HITHER_OK);
    /* Asked for after the end it is readable at once. */
    OK(hither_job_verify(w->db, NULL, &job, &err));
    OK(hither_job_wait(job, INT64_MAX, &err));
    OK(hither_job_fd(job, &polled.fd, &err));
    assert_int_equal(poll(&polled, 1, 0), 1);
    finish(job, HITHER_OK);
}

/* ---- lifetimes */

static void test_freed_while_it_runs(void **state) {
    world *w = *state;
    hither_cursor *cursor;
    hither_job *job = begin_stuck(w, &cursor, HITHER_OPTIONS(hither_job_options, .wait_ms = 600000));
    hither_job_free(job); /* cancels: else this would take ten minutes */
    hither_cursor_close(cursor);
    assert_sound(w, w->path);
}

static void test_handles_go_first(void **state) {
    world *w = *state;
    hither_job *jobs[3];
    hither_query query = {.size = sizeof query, .vectors = test_matrix(w->vectors, 2, DIM)};
    OK(hither_job_backup(w->db, w->other, NULL, &jobs[0], &err));
    OK(hither_job_search(w->c, &query, 3, NULL, NULL, &jobs[1], &err));
    OK(hither_job_verify(w->db, NULL, &jobs[2], &err));
    hither_db_close(w->db);
    hither_collection_close(w->c);
    w->db = NULL;
    w->c = NULL;
    for (size_t i = 0; i < 3; i++)
        finish(jobs[i], HITHER_OK);
    assert_sound(w, w->other);
    OK(hither_db_open(w->path, NULL, &w->db, &err)); /* nobody holds it any more */
}

typedef struct told {
    atomic_int calls;
    atomic_int status;
    bool frees;
} told;

static void note_end(void *ctx, hither_job *job) {
    told *t = ctx;
    atomic_store(&t->status, (int)hither_job_result(job, NULL, NULL));
    if (t->frees)
        hither_job_free(job);
    atomic_fetch_add(&t->calls, 1);
}

static void test_told_of_the_end(void **state) {
    world *w = *state;
    for (int frees = 0; frees < 2; frees++) {
        for (int turn = 0; turn < 20; turn++) {
            told t = {.frees = frees};
            hither_job *job;
            OK(hither_job_verify(w->db, HITHER_OPTIONS(hither_job_options, .ended = note_end, .ctx = &t), &job, &err));
            if (!frees)
                hither_job_free(job); /* waits for note_end too */
            while (!atomic_load(&t.calls))
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            assert_int_equal(atomic_load(&t.calls), 1);
            assert_true(atomic_load(&t.status) == HITHER_OK || (!frees && t.status == HITHER_INTERRUPTED));
        }
    }
}

static int in_child(hither_job *job) {
    hither_progress now = {.size = sizeof now};
    int fd;
    if (hither_job_progress(job, &now, NULL) != HITHER_FORKED || hither_job_wait(job, -1, NULL) != HITHER_FORKED ||
        hither_job_cancel(job, NULL) != HITHER_FORKED || hither_job_fd(job, &fd, NULL) != HITHER_FORKED ||
        hither_job_result(job, NULL, NULL) != HITHER_FORKED)
        return 1;
    hither_job_free(job);
    return 0;
}

static void test_forked(void **state) {
    world *w = *state;
    hither_cursor *cursor;
    hither_job *job = begin_stuck(w, &cursor, HITHER_OPTIONS(hither_job_options, .wait_ms = 600000));
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(in_child(job));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    hither_cursor_close(cursor);
    finish(job, HITHER_OK);
    assert_sound(w, w->path);
}

static void test_what_makes_no_sense(void **state) {
    world *w = *state;
    hither_job *job = (hither_job *)w;
    hither_job_options huge = {.size = 1};
    FAILS(hither_job_compact(NULL, NULL, &job, &err), HITHER_INVALID);
    assert_null(job);
    FAILS(hither_job_compact(w->db, NULL, NULL, &err), HITHER_INVALID);
    FAILS(hither_job_verify(w->db, &huge, &job, &err), HITHER_INVALID);
    FAILS(hither_job_backup(w->db, NULL, NULL, &job, &err), HITHER_INVALID);
    FAILS(hither_job_backup(w->db, ":memory:", NULL, &job, &err), HITHER_INVALID);
    FAILS(hither_job_repair("", w->other, NULL, &job, &err), HITHER_INVALID);
    FAILS(hither_job_search(w->c, NULL, 1, NULL, NULL, &job, &err), HITHER_INVALID);
    FAILS(hither_job_put(w->c, HITHER_UPSERT, NULL, NULL, &job, &err), HITHER_INVALID);
    FAILS(hither_job_add(NULL, NULL, NULL, NULL, &job, &err), HITHER_INVALID);
    FAILS(hither_job_wait(NULL, 0, &err), HITHER_INVALID);
    hither_job_free(NULL);
    OK(hither_job_verify(w->db, NULL, &job, &err));
    hither_progress old = {.size = 8};
    FAILS(hither_job_progress(job, &old, &err), HITHER_INVALID);
    FAILS(hither_job_fd(job, NULL, &err), HITHER_INVALID);
    finish(job, HITHER_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_work_on_a_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_search_is_the_search_that_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows_are_put, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows_are_added_to_an_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_index_is_built, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_freed_while_it_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_handles_go_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_told_of_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_makes_no_sense, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
