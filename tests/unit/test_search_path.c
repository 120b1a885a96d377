/*
 * test_search_path.c: a collection in its steady state finds its hits without asking for memory and without taking a
 * lock, whatever its codes come from. Both are counted: requests by the library's allocator hook, locks by a function
 * that stands before the system's. (The call around it does both, for its result and for reading ids from the catalog.)
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

#include "alloc_fault.h"
#include "cmocka_all.h"
#include "engine/codes_cache.h"
#include "engine/parts.h"
#include "engine/state.h"
#include "rows.h"

enum { DIM = 40, ROWS = 6000, LATER = 500, K = 10, QUERIES = 20 };

static _Atomic uint64_t locks;

typedef int lock_function(pthread_mutex_t *);

int pthread_mutex_lock(pthread_mutex_t *mutex) {
    static _Atomic(lock_function *) real;
    lock_function *found = atomic_load(&real);
    if (!found) {
        *(void **)(void *)&found = dlsym(RTLD_NEXT, "pthread_mutex_lock");
        atomic_store(&real, found);
    }
    atomic_fetch_add(&locks, 1);
    return found(mutex);
}

static float rows[(ROWS + LATER) * DIM];
static hither_error err;

static void put(ht_collection *c, int64_t first, size_t count) {
    static int64_t ids[ROWS];
    for (size_t i = 0; i < count; i++)
        ids[i] = first + (int64_t)i;
    hither_batch b = {
        .size = sizeof b, .ids = test_int_ids(ids, count), .vectors = test_matrix(rows + first * DIM, count, DIM)};
    assert_int_equal(ht_collection_put(c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_OK);
}

/* As a search does it, up to the slots of its hits. */
static uint64_t search(ht_collection *c, size_t query, size_t count) {
    ht_scratch *scratch;
    hither_matrix q = test_matrix(rows + query * DIM, count, DIM);
    assert_int_equal(ht_collection_enter(c, &err), HITHER_OK);
    assert_int_equal(ht_scratch_take(&c->db->scratches, &scratch, &err), HITHER_OK);
    const ht_snapshot *s = ht_snapshot_pin(&c->home, scratch);
    assert_int_equal(ht_scratch_reserve(scratch, count * K, count, &err), HITHER_OK);
    assert_int_equal(
        ht_parts_search(s, scratch, 0, c->metric, &q, NULL, K, 1, scratch->hits, scratch->counts, NULL, &err),
        HITHER_OK);
    uint64_t slot = scratch->hits[0].slot;
    ht_scratch_give(scratch);
    return slot;
}

static void nothing_asked_for(void **state) {
    (void)state;
    ht_db *db;
    ht_collection *c;
    ht_io *io;
    ht_collection_spec spec = {.dim = DIM, .metric = HITHER_L2};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        rows[i] = test_float(11, i);
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    for (int round = 0; round < 3; round++) { /* its own codes; kept ones; kept ones and its own */
        assert_int_equal(ht_db_open_io(io, "/db", 0, 0, &db, &err), HITHER_OK);
        assert_int_equal(ht_collection_open(db, "c", &spec, &c, &err), HITHER_OK);
        if (round != 1)
            put(c, round ? ROWS : 0, round ? LATER : ROWS);
        for (size_t i = 0; i < 3; i++) { /* everything has been touched, and scratches have their size */
            (void)search(c, i, QUERIES);
            (void)search(c, i, 1);
        }
        uint64_t before = atomic_load(&locks);
        alloc_fault_arm(0, false);
        for (size_t i = 0; i < QUERIES; i++)
            assert_int_equal(search(c, i, 1), i);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(search(c, i, QUERIES), i);
        assert_int_equal(alloc_fault_requests(), 0);
        assert_int_equal(atomic_load(&locks) - before, 0);
        ht_db_keep_codes(db, 0);
        assert_true(atomic_load(&locks) > 0); /* they are counted */
        ht_collection_close(c);
        ht_db_close(db);
    }
    ht_io_ram_free(io);
    assert_int_equal(alloc_fault_live(), 0);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_asked_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
