/* test_io_fault.c: the trouble-maker itself: it fails the n-th operation, and builds exactly the disks it may. */
#include "io_fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

typedef struct rig {
    ht_io *ram;
    io_fault *fault;
    const ht_io *io;
} rig;

static int setup(void **state) {
    static rig r;
    if (ht_io_ram_new(&r.ram, NULL) != HITHER_OK)
        return -1;
    r.fault = io_fault_new(r.ram);
    r.io = io_fault_io(r.fault);
    *state = &r;
    return 0;
}

static int teardown(void **state) {
    rig *r = *state;
    io_fault_free(r->fault);
    ht_io_ram_free(r->ram);
    return 0;
}

static ht_file *create(rig *r, const char *path) {
    hither_error err;
    ht_file *file = NULL;
    ASSERT_OK(r->io->open(r->io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &file, &err));
    return file;
}

/* One of every operation; the number that failed. */
static size_t do_everything(rig *r, hither_status expected) {
    const ht_io *io = r->io;
    size_t failed = 0, i = 0;
    ht_file *file = NULL;
    char byte;
    uint64_t size;
    ht_io_kind kind;
    const void *map = NULL;
    hither_status status[16];
    status[i++] = io->make_folder(io->ctx, "d", NULL);
    status[i++] = io->open(io->ctx, "a", HT_IO_WRITE | HT_IO_CREATE, &file, NULL);
    if (file) {
        status[i++] = io->write_at(file, "0123456789", 10, 0, NULL);
        status[i++] = io->read_at(file, &byte, 1, 0, NULL);
        status[i++] = io->file_size(file, &size, NULL);
        status[i++] = io->resize(file, 10, NULL);
        status[i++] = io->reserve(file, 0, 10, NULL);
        status[i++] = io->sync(file, NULL);
        status[i++] = io->map(file, 1, &map, NULL);
        if (map)
            io->unmap(file, map, 1);
        status[i++] = io->lock(file, NULL);
        io->close(file);
    }
    status[i++] = io->stat(io->ctx, "a", &kind, &size, NULL);
    status[i++] = io->rename(io->ctx, "a", "b", NULL);
    status[i++] = io->sync_folder(io->ctx, "d", NULL);
    status[i++] = io->remove(io->ctx, "b", NULL);
    status[i++] = io->remove(io->ctx, "d", NULL);
    for (size_t j = 0; j < i; j++)
        failed += status[j] == expected;
    return failed;
}

static void the_nth_operation_fails(void **state) {
    rig *r = *state;
    io_fault_arm(r->fault, 0, FAULT_IO, false);
    assert_int_equal(do_everything(r, HITHER_OK), 15);
    assert_int_equal(io_fault_operations(r->fault), 15);
    assert_false(io_fault_hit(r->fault));
    for (uint64_t n = 1; n <= 15; n++) {
        ht_io_ram_free(r->ram);
        io_fault_free(r->fault);
        setup(state);
        io_fault_arm(r->fault, n, FAULT_IO, false);
        assert_int_equal(do_everything(r, HITHER_IO), 1);
        assert_true(io_fault_hit(r->fault));
        assert_true(strlen(io_fault_what(r->fault)) > 2);
    }
    io_fault_arm(r->fault, 3, FAULT_IO, true);
    assert_int_equal(do_everything(r, HITHER_IO), 13);
}

static void kinds_of_failure(void **state) {
    rig *r = *state;
    hither_error err;
    char data[4];
    uint64_t size;
    ht_file *file = create(r, "a");
    io_fault_arm(r->fault, 1, FAULT_FULL, false);
    ASSERT_FAILS(r->io->write_at(file, "abcd", 4, 0, &err), HITHER_FULL);
    assert_int_equal(err.os_errno, ENOSPC);
    assert_string_equal(io_fault_what(r->fault), "write a");
    ASSERT_OK(r->io->file_size(file, &size, &err));
    assert_int_equal(size, 0);
    io_fault_arm(r->fault, 1, FAULT_SHORT_WRITE, false);
    ASSERT_FAILS(r->io->write_at(file, "abcd", 4, 0, &err), HITHER_FULL);
    ASSERT_OK(r->io->read_at(file, data, 2, 0, &err));
    assert_memory_equal(data, "ab", 2);
    io_fault_arm(r->fault, 1, FAULT_FULL, false);
    ASSERT_FAILS(r->io->read_at(file, data, 2, 0, &err), HITHER_IO);
    io_fault_arm_sync(r->fault, 2, false);
    ASSERT_OK(r->io->write_at(file, "abcd", 4, 0, &err));
    ASSERT_OK(r->io->sync(file, &err));
    ASSERT_OK(r->io->write_at(file, "abcd", 4, 0, &err));
    ASSERT_FAILS(r->io->sync(file, &err), HITHER_IO);
    ASSERT_OK(r->io->sync(file, &err));
    io_fault_arm(r->fault, 0, FAULT_IO, false);
    r->io->close(file);

    ht_io_event event = {.op = HT_OP_SYNC, .path = "catalog-wal"};
    io_fault_arm(r->fault, 2, FAULT_IO, false);
    assert_int_equal(r->io->observe(r->io->ctx, &event), HITHER_OK);
    assert_int_equal(r->io->observe(r->io->ctx, &event), HITHER_IO);
}

/* ---- crashes */

/* The file's bytes as text after a crash, or "-" if it is not there. */
static const char *after(rig *r, size_t steps, uint64_t seed, const char *path) {
    static char text[4096];
    hither_error err;
    ht_io_kind kind;
    uint64_t bytes;
    ht_io *disk = io_fault_crash(r->fault, steps, seed);
    ASSERT_OK(disk->stat(disk->ctx, path, &kind, &bytes, &err));
    strcpy(text, kind == HT_IO_FOLDER ? "/" : "-");
    if (kind == HT_IO_FILE) {
        ht_file *file = NULL;
        ASSERT_OK(disk->open(disk->ctx, path, 0, &file, &err));
        ASSERT_OK(disk->read_at(file, text, bytes, 0, &err));
        text[bytes] = '\0';
        disk->close(file);
    }
    ht_io_ram_free(disk);
    return text;
}

/* How many of 256 seeds leave this. */
static size_t times(rig *r, size_t steps, const char *path, const char *wanted) {
    size_t n = 0;
    for (uint64_t seed = 0; seed < 256; seed++)
        n += strcmp(after(r, steps, seed, path), wanted) == 0;
    return n;
}

static void what_was_synced_is_there(void **state) {
    rig *r = *state;
    hither_error err;
    const ht_io *io = r->io;
    io_fault_record(r->fault);
    ASSERT_OK(io->make_folder(io->ctx, "d", &err));
    ht_file *file = create(r, "d/a");
    ASSERT_OK(io->write_at(file, "one", 3, 0, &err));
    ASSERT_OK(io->sync(file, &err));
    size_t before_names = io_fault_steps(r->fault);
    ASSERT_OK(io->sync_folder(io->ctx, "d", &err));
    ASSERT_OK(io->sync_folder(io->ctx, ".", &err));
    size_t all = io_fault_steps(r->fault);
    assert_int_equal(times(r, all, "d/a", "one"), 256);
    assert_true(times(r, before_names, "d/a", "one") < 256); /* a name of its own needs its folder's sync */
    assert_true(times(r, before_names, "d/a", "one") > 0);
    assert_int_equal(times(r, before_names, "d/a", "one") + times(r, before_names, "d/a", "-"), 256);
    assert_int_equal(times(r, 0, "d", "-"), 256);
    assert_string_equal(after(r, before_names, 0, "d/a"), "-");
    assert_string_equal(after(r, before_names, 1, "d/a"), "one");

    ASSERT_OK(io->write_at(file, "two", 3, 0, &err));
    size_t dirty = io_fault_steps(r->fault);
    assert_true(times(r, dirty, "d/a", "one") > 50);
    assert_true(times(r, dirty, "d/a", "two") > 50);
    assert_int_equal(times(r, dirty, "d/a", "one") + times(r, dirty, "d/a", "two"), 256);
    assert_int_equal(times(r, all, "d/a", "two"), 0);
    io->close(file);
}

static void a_failed_sync_is_never_made_good(void **state) {
    rig *r = *state;
    hither_error err;
    io_fault_record(r->fault);
    ht_file *file = create(r, "a-wal"); /* its name comes with its first sync */
    ASSERT_OK(r->io->sync(file, &err));
    ASSERT_OK(r->io->write_at(file, "lost", 4, 0, &err));
    io_fault_arm_sync(r->fault, 1, false);
    ASSERT_FAILS(r->io->sync(file, &err), HITHER_IO);
    ASSERT_OK(r->io->sync(file, &err));
    assert_string_equal(after(r, io_fault_steps(r->fault), 0, "a-wal"), "");
    ASSERT_OK(r->io->write_at(file, "kept", 4, 0, &err));
    ASSERT_OK(r->io->sync(file, &err));
    assert_int_equal(times(r, io_fault_steps(r->fault), "a-wal", "kept"), 256);
    r->io->close(file);
}

static void renames_and_removals_wait_for_their_folder(void **state) {
    rig *r = *state;
    hither_error err;
    const ht_io *io = r->io;
    io_fault_record(r->fault);
    ht_file *file = create(r, "new"), *old = create(r, "old");
    ASSERT_OK(io->write_at(file, "new", 3, 0, &err));
    ASSERT_OK(io->sync(file, &err));
    ASSERT_OK(io->write_at(old, "old", 3, 0, &err));
    ASSERT_OK(io->sync(old, &err));
    io->close(file);
    io->close(old);
    ASSERT_OK(io->sync_folder(io->ctx, ".", &err));
    ASSERT_OK(io->rename(io->ctx, "new", "old", &err));
    size_t renamed = io_fault_steps(r->fault);
    assert_true(times(r, renamed, "old", "old") > 50);
    assert_true(times(r, renamed, "old", "new") > 50);
    assert_int_equal(times(r, renamed, "old", "new") + times(r, renamed, "old", "old"), 256);
    assert_int_equal(times(r, renamed, "new", "-") + times(r, renamed, "new", "new"), 256);
    ASSERT_OK(io->sync_folder(io->ctx, ".", &err));
    size_t settled = io_fault_steps(r->fault);
    assert_int_equal(times(r, settled, "old", "new"), 256);
    assert_int_equal(times(r, settled, "new", "-"), 256);
    ASSERT_OK(io->remove(io->ctx, "old", &err));
    size_t removed = io_fault_steps(r->fault);
    assert_true(times(r, removed, "old", "new") > 50);
    assert_true(times(r, removed, "old", "-") > 50);
    ASSERT_OK(io->sync_folder(io->ctx, ".", &err));
    assert_int_equal(times(r, io_fault_steps(r->fault), "old", "-"), 256);
}

static void writes_are_torn_at_sectors(void **state) {
    rig *r = *state;
    hither_error err;
    char data[1536];
    size_t torn = 0;
    io_fault_record(r->fault);
    ht_file *file = create(r, "a");
    memset(data, 'o', sizeof data);
    ASSERT_OK(r->io->write_at(file, data, sizeof data, 0, &err));
    ASSERT_OK(r->io->sync(file, &err));
    ASSERT_OK(r->io->sync_folder(r->io->ctx, ".", &err));
    memset(data, 'n', sizeof data);
    ASSERT_OK(r->io->write_at(file, data, 1000, 100, &err)); /* touches three sectors */
    r->io->close(file);
    for (uint64_t seed = 0; seed < 400; seed++) {
        const char *text = after(r, io_fault_steps(r->fault), seed, "a");
        assert_int_equal(strlen(text), sizeof data);
        assert_true(text[99] == 'o' && text[1100] == 'o');
        static const size_t runs[][2] = {{100, 512}, {512, 1024}, {1024, 1100}};
        for (size_t i = 0; i < 3; i++) {
            for (size_t j = runs[i][0]; j < runs[i][1]; j++)
                assert_int_equal(text[j], text[runs[i][0]]);
        }
        torn += text[100] != text[512] || text[512] != text[1024];
        if (seed % 4 < 2)
            assert_int_equal(text[100], seed % 4 ? 'n' : 'o');
    }
    assert_true(torn > 20);
}

static void ignored_syncs_promise_nothing(void **state) {
    rig *r = *state;
    hither_error err;
    io_fault_record(r->fault);
    io_fault_ignore_syncs(r->fault, "seg");
    ht_file *file = create(r, "a-wal"), *segment = create(r, "seg-wal");
    ASSERT_OK(r->io->write_at(file, "x", 1, 0, &err));
    ASSERT_OK(r->io->write_at(segment, "x", 1, 0, &err));
    ASSERT_OK(r->io->sync(file, &err));
    ASSERT_OK(r->io->sync(segment, &err));
    r->io->close(file);
    r->io->close(segment);
    assert_string_equal(after(r, io_fault_steps(r->fault), 0, "a-wal"), "x");
    assert_string_equal(after(r, io_fault_steps(r->fault), 0, "seg-wal"), "");
}

static void what_was_there_before_is_durable(void **state) {
    rig *r = *state;
    hither_error err;
    ASSERT_OK(r->io->make_folder(r->io->ctx, "d", &err));
    ASSERT_OK(r->io->make_folder(r->io->ctx, "d/e", &err));
    ht_file *file = create(r, "d/e/a");
    ASSERT_OK(r->io->write_at(file, "old", 3, 0, &err));
    r->io->close(file);
    io_fault_record_over(r->fault, "d");
    file = create(r, "d/e/a");
    size_t start = io_fault_steps(r->fault);
    assert_int_equal(times(r, start, "d/e/a", "old"), 256);
    ASSERT_OK(r->io->write_at(file, "new", 3, 0, &err));
    assert_true(times(r, start + 1, "d/e/a", "old") > 50);
    ASSERT_OK(r->io->sync(file, &err));
    assert_int_equal(times(r, start + 2, "d/e/a", "new"), 256);
    r->io->close(file);
}

/* What SQLite does on a disk of its own arrives through `observe` and makes the same trace. */
static void observed_operations_are_recorded(void **state) {
    rig *r = *state;
    io_fault_record(r->fault);
    ht_io_event events[] = {{.op = HT_OP_OPEN, .path = "/base/c-wal"},
                            {.op = HT_OP_WRITE, .path = "/base/c-wal", .offset = 2, .data = "xyz", .bytes = 3},
                            {.op = HT_OP_TRUNCATE, .path = "/base/c-wal", .offset = 4},
                            {.op = HT_OP_READ, .path = "/base/c-wal", .bytes = 1},
                            {.op = HT_OP_OPEN, .path = ""},
                            {.op = HT_OP_SYNC, .path = "/base/c-wal"}};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        assert_int_equal(r->io->observe(r->io->ctx, &events[i]), HITHER_OK);
    for (uint64_t seed = 0; seed < 8; seed++)
        assert_memory_equal(after(r, io_fault_steps(r->fault), seed, "/base/c-wal"), "\0\0xy", 5);
    ht_io_event removal = {.op = HT_OP_DELETE, .path = "/base/c-wal"};
    assert_int_equal(r->io->observe(r->io->ctx, &removal), HITHER_OK);
    assert_string_equal(after(r, io_fault_steps(r->fault), 1, "/base/c-wal"), "-");
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RIG(the_nth_operation_fails),
        WITH_RIG(kinds_of_failure),
        WITH_RIG(what_was_synced_is_there),
        WITH_RIG(a_failed_sync_is_never_made_good),
        WITH_RIG(renames_and_removals_wait_for_their_folder),
        WITH_RIG(writes_are_torn_at_sectors),
        WITH_RIG(ignored_syncs_promise_nothing),
        WITH_RIG(what_was_there_before_is_durable),
        WITH_RIG(observed_operations_are_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
