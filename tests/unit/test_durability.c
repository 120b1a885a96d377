/*
 * test_durability.c: HITHER_DURABILITY_MEMORY. Writes wait for no sync; a process killed anywhere leaves each batch
 * whole and all that was acknowledged; what was flushed, or closed, survives a power cut. FULL is what all other tests
 * test.
 */
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "engine/engine.h"
#include "io_fault.h"
#include "rows.h"

#define DIM  33
#define PATH "/db"
enum { ROWS = 70, EVERYTHING = 1 }; /* the seed of a crash after which all that was written is there */

static hither_error err;

typedef struct world {
    ht_io *ram;
    io_fault *fault;
    ht_db *db;
    ht_collection *c;
} world;

static void world_open(world *w, const ht_io *io, uint32_t flags) {
    ht_collection_spec spec = {.dim = DIM, .dtype = HITHER_F32, .metric = HITHER_L2, .embedder = ""};
    assert_int_equal(ht_db_open_io(io, PATH, flags, 0, &w->db, &err), HITHER_OK);
    assert_int_equal(ht_collection_open(w->db, "c", &spec, &w->c, &err), HITHER_OK);
}

static void world_close(world *w) {
    ht_collection_close(w->c);
    ht_db_close(w->db);
}

static void world_begin(world *w) {
    assert_int_equal(ht_io_ram_new(&w->ram, &err), HITHER_OK);
    w->fault = io_fault_new(w->ram);
    io_fault_record(w->fault);
    world_open(w, io_fault_io(w->fault), HT_OPEN_UNSYNCED);
}

static void world_end(world *w) {
    io_fault_free(w->fault);
    ht_io_ram_free(w->ram);
}

/* Every row gets `value` in all its elements. */
static hither_status put(world *w, float value) {
    int64_t ids[ROWS];
    float vectors[ROWS * DIM];
    for (size_t i = 0; i < ROWS; i++)
        ids[i] = (int64_t)i;
    for (size_t i = 0; i < (size_t)ROWS * DIM; i++)
        vectors[i] = value;
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, ROWS), .vectors = test_matrix(vectors, ROWS, DIM)};
    return ht_collection_put(w->c, HITHER_UPSERT, &b, NULL, NULL, &err);
}

/* The value of all rows, 0 if there are none; fails where they differ. */
static float value_of(world *w) {
    hither_result *r;
    int64_t ids[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        ids[i] = (int64_t)i;
    hither_ids asked = test_int_ids(ids, ROWS);
    assert_int_equal(ht_collection_get(w->c, &asked, NULL, HITHER_INCLUDE_VECTORS, &r, &err), HITHER_OK);
    const float *x = hither_result_vectors(r, 0).data;
    size_t count = hither_result_count(r, 0);
    float value = count ? *x : 0;
    assert_true(count == 0 || count == ROWS);
    for (size_t i = 0; i < count * DIM; i++)
        assert_float_equal(x[i], value, 0);
    hither_result_free(r);
    return value;
}

/* What a crash after `steps` leaves, opened and verified. */
static float value_after(const world *w, size_t steps, uint64_t seed) {
    world after;
    ht_io *disk = io_fault_crash(w->fault, steps, seed);
    world_open(&after, disk, 0);
    float value = value_of(&after);
    assert_int_equal(ht_db_verify(after.db, NULL, NULL, &err), HITHER_OK);
    world_close(&after);
    ht_io_ram_free(disk);
    return value;
}

static void nothing_waits_for_the_disk(void **state) {
    (void)state;
    world w;
    world_begin(&w);
    assert_int_equal(put(&w, 1), HITHER_OK);
    io_fault_arm_sync(w.fault, 1, true);
    for (float value = 2; value < 9; value++)
        assert_int_equal(put(&w, value), HITHER_OK);
    assert_false(io_fault_hit(w.fault));
    assert_int_equal(ht_db_flush(w.db, &err), HITHER_IO); /* it does: and after that nothing is certain */
    assert_int_equal(put(&w, 9), HITHER_POISONED);
    assert_int_equal(ht_db_flush(w.db, &err), HITHER_POISONED);
    world_close(&w);
    world_end(&w);
}

static void kills_lose_nothing(void **state) {
    (void)state;
    enum { ROUNDS = 6 };
    world w;
    size_t acknowledged[ROUNDS + 1], least = 0;
    world_begin(&w);
    acknowledged[0] = io_fault_steps(w.fault);
    for (size_t round = 1; round <= ROUNDS; round++) {
        assert_int_equal(put(&w, (float)round), HITHER_OK);
        acknowledged[round] = io_fault_steps(w.fault);
    }
    for (size_t steps = acknowledged[0]; steps <= acknowledged[ROUNDS]; steps++) {
        while (least < ROUNDS && acknowledged[least + 1] <= steps)
            least++;
        float found = value_after(&w, steps, EVERYTHING);
        if (found < (float)least || found > (float)least + 1)
            fail_msg("killed after step %zu: round %g is there, %zu was acknowledged", steps, (double)found, least);
    }
    world_close(&w);
    world_end(&w);
}

static void what_was_flushed_stays(void **state) {
    (void)state;
    world w;
    world_begin(&w);
    assert_int_equal(put(&w, 1), HITHER_OK);
    assert_int_equal(put(&w, 2), HITHER_OK);
    assert_int_equal(ht_db_flush(w.db, &err), HITHER_OK);
    size_t flushed = io_fault_steps(w.fault);
    assert_int_equal(put(&w, 3), HITHER_OK);
    world_close(&w);
    size_t closed = io_fault_steps(w.fault);
    for (uint64_t seed = 0; seed < 24; seed++) {
        assert_float_equal(value_after(&w, flushed, seed), 2, 0);
        assert_float_equal(value_after(&w, closed, seed), 3, 0);
    }
    world_end(&w);
}

static void levels_are_checked(void **state) {
    (void)state;
    hither_db *db;
    const struct {
        int level;
        hither_status wanted;
    } cases[] = {{-1, HITHER_INVALID},
                 {0, HITHER_OK},
                 {HITHER_DURABILITY_FULL, HITHER_OK},
                 {HITHER_DURABILITY_MEMORY, HITHER_OK},
                 {HITHER_DURABILITY_RELAXED, HITHER_OK},
                 {HITHER_DURABILITY_RELAXED + 1, HITHER_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hither_db_options o = {.size = sizeof o, .durability = (hither_durability)cases[i].level};
        assert_int_equal(hither_db_open(":memory:", &o, &db, &err), cases[i].wanted);
        hither_db_close(db);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_waits_for_the_disk),
        cmocka_unit_test(kills_lose_nothing),
        cmocka_unit_test(what_was_flushed_stays),
        cmocka_unit_test(levels_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
