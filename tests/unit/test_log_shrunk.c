/*
 * test_log_shrunk.c: a log whose header is damaged, and all of which is in the catalog already, is no damage: that is
 * how a log looks that a crash caught starting over. That holds too where the log has pages that the catalog no longer
 * has, because it has been made smaller since. And one that a writer empties while a reader who opens looks at it is
 * none either.
 */
#include <stdlib.h>

#include "store/compact.h"
#include "store/inside.h"
#include "store_world.h"

enum { DIM = 3, ROWS = 2000 };

static size_t bytes_of(const store_world *world, const char *name) {
    size_t bytes;
    free(world_read(world, name, &bytes));
    return bytes;
}

static void test_shrunk(void **state) {
    (void)state;
    store_world world, crashed;
    hither_error err;
    world_make(&world, false);
    ht_store *store = world_open(&world, 0);
    ht_collection_row kept = world_create(store, "kept", DIM), gone = world_create(store, "gone", DIM);
    ASSERT_OK(ht_store_checkpoint(store, &err)); /* the log starts over with the next commit */
    ASSERT_OK(world_put(store, &gone, 0, ROWS, &err));
    ASSERT_OK(ht_store_drop(store, gone.cid, &err));
    ASSERT_OK(ht_store_shrink(store, 10000, &err));
    ASSERT_OK(world_put(store, &kept, 0, 10, &err));
    ASSERT_OK(ht_store_checkpoint(store, &err)); /* and now the catalog has all of it */
    assert_true(bytes_of(&world, "catalog-wal") > 2 * bytes_of(&world, "catalog"));
    world_copy(&world, &crashed);
    ht_store_close(store);

    world_flip(&crashed, "catalog-wal", 25, 1); /* the header's own checksum */
    store = world_open(&crashed, 0);
    assert_int_equal(world_verify(store, NULL), 0);
    world_expect(store, kept.cid, 0, 10);
    ASSERT_OK(world_put(store, &kept, 5, 10, &err));
    ht_store_close(store);
    world_free(&crashed);
    world_free(&world);
}

static struct {
    hither_status (*read_at)(ht_file *file, void *data, size_t bytes, uint64_t offset, hither_error *err);
    ht_store *writer; /* that empties the log before its header is read next */
} emptied;

static hither_status empty_and_read(ht_file *file, void *data, size_t bytes, uint64_t offset, hither_error *error) {
    ht_store *writer = emptied.writer;
    hither_error err;
    if (writer && bytes == 32 && offset == 0) {
        emptied.writer = NULL;
        ASSERT_OK(ht_store_empty_log(writer, &err));
    }
    return emptied.read_at(file, data, bytes, offset, error);
}

static void test_emptied_meanwhile(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    ht_io *ram;
    ASSERT_OK(ht_io_ram_new(&ram, &err));
    ht_io io = *ram;
    emptied.read_at = io.read_at;
    io.read_at = empty_and_read;
    world_make_over(&world, &io);
    ht_store *store = world_open(&world, 0);
    ht_collection_row row = world_create(store, "c", DIM);
    ASSERT_OK(world_put(store, &row, 0, 100, &err));
    assert_true(bytes_of(&world, "catalog-wal") > 0);
    emptied.writer = store;
    ASSERT_OK(ht_log_check(store->writer, true, &err)); /* as a reader does, whose connection is as good as this one */
    assert_null(emptied.writer);
    assert_int_equal(bytes_of(&world, "catalog-wal"), 0);
    world_expect(store, row.cid, 0, 100);
    ht_store_close(store);
    world_free(&world);
    ht_io_ram_free(ram);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shrunk), cmocka_unit_test(test_emptied_meanwhile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
