/*
 * test_store.c: a store opened, written, read, closed and lost, over RAM and over disk.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store_world.h"

static void round_trip(bool on_disk) {
    store_world world;
    hither_error err;
    world_make(&world, on_disk);
    ht_store *store = world_open(&world, 0);
    ht_collection_row row = world_create(store, "notes", 24);
    assert_int_equal(row.cid, 1);
    ASSERT_OK(world_put(store, &row, 0, 100, &err));
    ASSERT_OK(world_put(store, &row, 50, 100, &err));
    world_kill(store, &row, 7);
    world_expect(store, row.cid, 0, 7);
    world_expect(store, row.cid, 8, 142);
    assert_int_equal(row.live_count, 149);
    ht_store_close(store);

    store = world_open(&world, HT_STORE_EXISTING);
    ht_collection_row again;
    ASSERT_OK(ht_store_collection(store, "notes", 0, &again, &err));
    assert_memory_equal(&again, &row, sizeof row);
    world_expect(store, row.cid, 8, 142);
    ht_store_close(store);
    world_free(&world);
}

static void test_round_trip_ram(void **state) {
    (void)state;
    round_trip(false);
}
static void test_round_trip_disk(void **state) {
    (void)state;
    round_trip(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_ram),
        cmocka_unit_test(test_round_trip_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
