/*
 * test_guards.c: what a database refuses to stand on: a log that has been replaced under it, a network file system, a
 * table of files that is not whole. And that it stands on any table that is, through the public option.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cmocka_all.h"
#include "hither.h"
#include "rows.h"

static hither_error err;

static hither_status open_at(const char *path, const hither_io *io, uint32_t flags, hither_db **db) {
    return hither_db_open(path, HITHER_OPTIONS(hither_db_options, .io = io, .flags = flags), db, &err);
}

static hither_status put(hither_collection *c, int64_t id) {
    const float vector[2] = {1, 2};
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(&id, 1), .vectors = test_matrix(vector, 1, 2)};
    return hither_collection_put(c, HITHER_UPSERT, &b, NULL, &err);
}

static hither_collection *points_of(hither_db *db) {
    hither_collection *c;
    assert_int_equal(
        hither_collection_open(db, "points", HITHER_OPTIONS(hither_collection_options, .dim = 2), &c, &err), HITHER_OK);
    return c;
}

/* What a second SQLite in the process leaves behind when it closes the catalog: the log removed, or made anew. */
static void a_log_that_was_replaced(void **state) {
    (void)state;
    for (int made_anew = 0; made_anew < 2; made_anew++) {
        char *path = test_path(), log[300], other[320];
        hither_db *db;
        uint64_t count;
        assert_int_equal(open_at(path, NULL, 0, &db), HITHER_OK);
        hither_collection *c = points_of(db);
        assert_int_equal(put(c, 1), HITHER_OK);
        assert_int_equal(hither_db_flush(db, &err), HITHER_OK);
        (void)snprintf(log, sizeof log, "%s/catalog-wal", path);
        (void)snprintf(other, sizeof other, "%s.other", log);
        if (made_anew) { /* while the old one is there, so that it cannot get its number */
            FILE *file = fopen(other, "w");
            assert_non_null(file);
            assert_int_equal(fclose(file), 0);
            assert_int_equal(rename(other, log), 0);
        } else {
            assert_int_equal(unlink(log), 0);
        }
        assert_int_equal(put(c, 2), HITHER_POISONED);
        assert_non_null(strstr(err.message, "catalog-wal was replaced or removed"));
        assert_int_equal(put(c, 3), HITHER_POISONED);
        hither_collection_close(c);
        hither_db_close(db);
        assert_int_equal(open_at(path, NULL, 0, &db), HITHER_OK);
        c = points_of(db);
        assert_int_equal(hither_collection_count(c, NULL, &count, &err), HITHER_OK);
        assert_int_equal(count, 1);
        assert_int_equal(put(c, 2), HITHER_OK);
        hither_collection_close(c);
        hither_db_close(db);
        test_remove_tree(path);
    }
}

static const char *always_nfs(void *ctx, const char *path) {
    (void)ctx;
    (void)path;
    return "NFS";
}

static void network_file_systems(void **state) {
    (void)state;
    char *path = test_path();
    hither_db *db;
    hither_io io = *hither_io_system();
    io.network = always_nfs;
    assert_int_equal(open_at(path, &io, 0, &db), HITHER_UNSUPPORTED);
    assert_null(db);
    assert_non_null(strstr(err.message, "(NFS)"));
    assert_int_not_equal(access(path, F_OK), 0); /* nothing was made */
    assert_int_equal(open_at(path, &io, HITHER_OPEN_NETWORK, &db), HITHER_OK);
    hither_db_close(db);
    assert_int_equal(open_at(path, &io, HITHER_OPEN_READONLY, &db), HITHER_UNSUPPORTED);
    assert_int_equal(open_at(path, &io, HITHER_OPEN_READONLY | HITHER_OPEN_NETWORK, &db), HITHER_OK);
    hither_db_close(db);
    assert_null(hither_io_system()->network(NULL, "/proc/self"));
    test_remove_tree(path);
}

static void tables_are_checked(void **state) {
    (void)state;
    hither_db *db;
    hither_io io = *hither_io_system();
    io.sync_folder = NULL;
    assert_int_equal(open_at("/nowhere", &io, 0, &db), HITHER_INVALID);
    assert_non_null(strstr(err.message, "lacks a function"));
    io = *hither_io_system();
    io.size -= sizeof(void *);
    assert_int_equal(open_at("/nowhere", &io, 0, &db), HITHER_INVALID);
    assert_non_null(strstr(err.message, "hither_io.size"));
}

/* ---- a table of one's own */

static uint64_t writes;

static hither_status count_writes(hither_file *file, const void *data, size_t bytes, uint64_t offset, hither_error *e) {
    writes++;
    return hither_io_system()->write_at(file, data, bytes, offset, e);
}

static hither_status count_events(void *ctx, const hither_io_event *event) {
    (void)ctx;
    writes += event->op == HITHER_OP_WRITE;
    return HITHER_OK;
}

static void stands_on_any_table(void **state) {
    (void)state;
    char *path = test_path();
    hither_db *db;
    hither_io io = *hither_io_system();
    io.write_at = count_writes;
    io.observe = count_events;
    io.identity = NULL;
    io.network = NULL;
    assert_int_equal(open_at(path, &io, 0, &db), HITHER_OK);
    hither_collection *c = points_of(db);
    uint64_t before = writes;
    assert_int_equal(put(c, 1), HITHER_OK);
    assert_true(writes >= before + 4); /* vectors, sums, and at least two frames of the log */
    hither_collection_close(c);
    hither_db_close(db);
    test_remove_tree(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_was_replaced),
        cmocka_unit_test(network_file_systems),
        cmocka_unit_test(tables_are_checked),
        cmocka_unit_test(stands_on_any_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
