/*
 * test_compact_threads.c: compaction and purge while a thread writes and others search, look up and scan, in this
 * handle and in a read-only one beside it. Rows that nobody touches are in every answer, with the bytes they have
 * always had.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "hither.h"
#include "rows.h"

enum { WIDE = 48, KEPT = 300, JUNK = 1200, ROUNDS = 6, AT_ONCE = 60 };

typedef struct world {
    char *path;
    hither_db *db, *beside;
    atomic_bool done, failed;
    char why[400];
} world;

static void complain(world *w, const char *what, hither_status status, const char *message) {
    if (!atomic_exchange(&w->failed, true))
        snprintf(w->why, sizeof w->why, "%s: %s: %s", what, hither_status_name(status), message);
}

static hither_collection *rows_of(hither_db *db) {
    hither_collection *c = NULL;
    hither_error err;
    if (hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = WIDE, .metric = HITHER_L2), &c,
                               &err) != HITHER_OK)
        return NULL;
    return c;
}

/* Rows kept have ids below KEPT and lie far from the others. */
static hither_status put(hither_collection *c, int64_t first, size_t count, uint64_t version, hither_error *err) {
    float vectors[AT_ONCE * WIDE];
    int64_t ids[AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        ids[i] = first + (int64_t)i;
        for (size_t j = 0; j < WIDE; j++)
            vectors[i * WIDE + j] = test_float((uint64_t)ids[i] + version * 7919, j) + (ids[i] < KEPT ? 100.0F : 0.0F);
    }
    hither_batch batch = {
        .size = sizeof batch, .ids = test_int_ids(ids, count), .vectors = test_matrix(vectors, count, WIDE)};
    return hither_collection_put(c, HITHER_UPSERT, &batch, NULL, err);
}

static void *write_on(void *arg) {
    world *w = arg;
    hither_error err = {0};
    hither_collection *c = rows_of(w->db);
    hither_status status = c ? HITHER_OK : HITHER_NOT_FOUND;
    for (uint64_t n = 1; !atomic_load(&w->done) && status == HITHER_OK; n++) {
        int64_t first = KEPT + (int64_t)(n * 37 % (JUNK - AT_ONCE)), ids[AT_ONCE];
        status = put(c, first, AT_ONCE, n, &err);
        for (size_t i = 0; i < AT_ONCE; i++)
            ids[i] = first + (int64_t)i;
        hither_ids column = test_int_ids(ids, AT_ONCE / 2);
        if (status == HITHER_OK)
            status = hither_collection_delete(c, &column, NULL, NULL, &err);
    }
    if (status != HITHER_OK)
        complain(w, "writing", status, err.message);
    hither_collection_close(c);
    return NULL;
}

/* The KEPT rows, and none but them, lie near 100: a search for as many finds exactly them. */
static hither_status look(world *w, hither_collection *c, hither_error *err) {
    float query[WIDE];
    bool seen[KEPT] = {false};
    hither_result *found;
    for (size_t j = 0; j < WIDE; j++)
        query[j] = 100.0F;
    const hither_query q = {.size = sizeof q, .vectors = test_matrix(query, 1, WIDE)};
    hither_search_options o = {.size = sizeof o, .include = HITHER_INCLUDE_VECTORS};
    hither_status status = hither_collection_search(c, &q, KEPT, &o, &found, err);
    if (status != HITHER_OK)
        return status;
    hither_ids ids = hither_result_ids(found, 0);
    hither_matrix vectors = hither_result_vectors(found, 0);
    for (size_t i = 0; i < ids.count; i++) {
        const float *row = (const float *)(const void *)((const char *)vectors.data + i * vectors.stride);
        if (ids.ints[i] >= KEPT || seen[ids.ints[i]] || row[5] != test_float((uint64_t)ids.ints[i], 5) + 100.0F)
            complain(w, "a search", HITHER_CORRUPT, "a row that is not what it was");
        else
            seen[ids.ints[i]] = true;
    }
    if (ids.count != KEPT)
        complain(w, "a search", HITHER_CORRUPT, "a row is missing");
    hither_result_free(found);
    return HITHER_OK;
}

static hither_status walk(world *w, hither_collection *c, hither_error *err) {
    hither_cursor *cursor;
    hither_result *rows;
    size_t kept = 0, n = 1;
    hither_status status = hither_collection_scan(c, NULL, HITHER_INCLUDE_NOTHING, &cursor, err);
    if (status != HITHER_OK)
        return status;
    while (n && status == HITHER_OK) {
        status = hither_cursor_next(cursor, 50, &rows, err);
        if (status != HITHER_OK)
            break;
        hither_ids ids = hither_result_ids(rows, 0);
        n = ids.count;
        for (size_t i = 0; i < n; i++)
            kept += ids.ints[i] < KEPT;
        hither_result_free(rows);
    }
    hither_cursor_close(cursor);
    if (status == HITHER_STALE) /* of another process's cursor, as it were */
        return HITHER_OK;
    if (status == HITHER_OK && kept != KEPT)
        complain(w, "a scan", HITHER_CORRUPT, "a row is missing");
    return status;
}

static void read_on(world *w, hither_db *db) {
    hither_error err = {0};
    hither_collection *c = rows_of(db);
    hither_status status = c ? HITHER_OK : HITHER_NOT_FOUND;
    while (!atomic_load(&w->done) && status == HITHER_OK) {
        status = look(w, c, &err);
        if (status == HITHER_OK)
            status = walk(w, c, &err);
    }
    if (status != HITHER_OK)
        complain(w, db == w->db ? "reading" : "reading beside", status, err.message);
    hither_collection_close(c);
}

static void *read_here(void *arg) {
    world *w = arg;
    read_on(w, w->db);
    return NULL;
}
static void *read_beside(void *arg) {
    world *w = arg;
    read_on(w, w->beside);
    return NULL;
}

static void test_all_at_once(void **state) {
    (void)state;
    world w = {.path = test_path()};
    hither_error err;
    pthread_t threads[3];
    assert_int_equal(hither_db_open(w.path, NULL, &w.db, &err), HITHER_OK);
    hither_collection *c = rows_of(w.db);
    for (int64_t first = 0; first < KEPT; first += AT_ONCE) {
        assert_int_equal(put(c, KEPT + first, AT_ONCE, 0, &err), HITHER_OK);
        assert_int_equal(put(c, first, AT_ONCE, 0, &err), HITHER_OK);
    }
    assert_int_equal(
        hither_db_open(w.path, HITHER_OPTIONS(hither_db_options, .flags = HITHER_OPEN_READONLY), &w.beside, &err),
        HITHER_OK);
    const hither_work_options brief = {.size = sizeof brief, .wait_ms = 20};
    void *(*const work[])(void *) = {write_on, read_here, read_beside};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work[i], &w), 0);
    for (int i = 0; i < ROUNDS && !atomic_load(&w.failed); i++) {
        hither_status status = i % 4 == 3 ? hither_db_purge(w.db, &brief, &err) : hither_db_compact(w.db, NULL, &err);
        if (status != HITHER_OK && !(status == HITHER_BUSY && i % 4 == 3))
            complain(&w, "compaction", status, err.message);
        status = hither_db_verify(i % 2 ? w.beside : w.db, NULL, &err);
        if (status != HITHER_OK)
            complain(&w, "verify", status, err.message);
    }
    atomic_store(&w.done, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    if (atomic_load(&w.failed))
        fail_msg("%s", w.why);
    hither_collection_close(c);
    hither_db_close(w.beside);
    hither_db_close(w.db);
    test_remove_tree(w.path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
