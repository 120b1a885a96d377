/*
 * test_relaxed.c: HITHER_DURABILITY_RELAXED. An upsert returns before it is committed; flush, close, a delete, enough
 * rows and time commit what waits; a crash loses a tail of it and never a middle; what cannot be committed is told and
 * tried again. And HITHER_BUFFER_SIZE, HITHER_FLUSH_ROWS and the options of the same meaning: counted in writes.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmocka_all.h"
#include "engine/engine.h"
#include "io_fault.h"
#include "rows.h"

#define DIM  16
#define PATH "/db"
enum { FOREVER = 3600 * 1000, BATCH = 7, ROUNDS = 12 };

static hither_error err;

typedef struct world {
    ht_io *ram;
    io_fault *fault;
    ht_db *db;
    ht_collection *c;
} world;

static void open_with(world *w, const ht_io *io, ht_db_settings settings) {
    ht_collection_spec spec = {.dim = DIM, .metric = HITHER_L2, .embedder = ""};
    settings.io = io;
    assert_int_equal(ht_db_open(&settings, PATH, &w->db, &err), HITHER_OK);
    assert_int_equal(ht_collection_open(w->db, "c", &spec, &w->c, &err), HITHER_OK);
}

static void begin(world *w, ht_db_settings settings) {
    assert_int_equal(ht_io_ram_new(&w->ram, &err), HITHER_OK);
    w->fault = io_fault_new(w->ram);
    io_fault_record(w->fault);
    settings.flags |= HT_OPEN_RELAXED;
    open_with(w, io_fault_io(w->fault), settings);
}

static void close_world(world *w) {
    ht_collection_close(w->c);
    ht_db_close(w->db);
}

static void end(world *w) {
    close_world(w);
    io_fault_free(w->fault);
    ht_io_ram_free(w->ram);
}

/* Rows `first` ... of which each is new, and row 0 again with a document that says which batch this is. */
static hither_status put(world *w, hither_mode mode, int64_t first, size_t count) {
    int64_t *ids = malloc(count * sizeof *ids);
    float *vectors = malloc(count * DIM * sizeof *vectors);
    for (size_t i = 0; i < count; i++)
        ids[i] = first + (int64_t)i;
    for (size_t i = 0; i < count * DIM; i++)
        vectors[i] = test_float(3, (uint64_t)first * DIM + i);
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, count), .vectors = test_matrix(vectors, count, DIM)};
    size_t written = 0;
    hither_status status = ht_collection_put(w->c, mode, &b, NULL, &written, &err);
    assert_int_equal(written, status == HITHER_OK ? count : 0);
    memset(vectors, 0, count * DIM * sizeof *vectors); /* the caller's again */
    memset(ids, 0, count * sizeof *ids);
    free(vectors);
    free(ids);
    return status;
}

static uint64_t count_of(world *w) {
    uint64_t count;
    assert_int_equal(ht_collection_count(w->c, NULL, &count, &err), HITHER_OK);
    return count;
}

/* Until it is so; a test that would wait for good fails. */
static void wait_for(world *w, uint64_t count) {
    for (int i = 0; i < 4000 && count_of(w) != count; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_int_equal(count_of(w), count);
}

static void seen_after_a_flush(void **state) {
    (void)state;
    world w;
    begin(&w, (ht_db_settings){.relaxed_ms = FOREVER});
    assert_int_equal(put(&w, HITHER_UPSERT, 0, 5), HITHER_OK);
    assert_int_equal(put(&w, HITHER_UPSERT, 3, 5), HITHER_OK);
    assert_int_equal(count_of(&w), 0);
    assert_int_equal(ht_db_flush(w.db, &err), HITHER_OK);
    assert_int_equal(count_of(&w), 8);
    assert_int_equal(put(&w, HITHER_UPSERT, 100, 1), HITHER_OK);
    assert_int_equal(put(&w, HITHER_INSERT, 100, 1), HITHER_EXISTS); /* answered from what came before it */
    assert_int_equal(count_of(&w), 9);
    assert_int_equal(put(&w, HITHER_UPSERT, 200, 4), HITHER_OK);
    hither_ids ids = test_int_ids((const int64_t[]){200, 201, 777}, 3);
    size_t deleted;
    assert_int_equal(ht_collection_delete(w.c, &ids, NULL, &deleted, &err), HITHER_OK);
    assert_int_equal(deleted, 2);
    assert_int_equal(count_of(&w), 11);
    assert_int_equal(put(&w, HITHER_UPSERT, 300, 1), HITHER_OK);
    close_world(&w); /* commits it */
    open_with(&w, w.ram, (ht_db_settings){0});
    assert_int_equal(count_of(&w), 12);
    assert_int_equal(ht_db_verify(w.db, NULL, NULL, &err), HITHER_OK);
    end(&w);
}

static void seen_in_time(void **state) {
    (void)state;
    world w;
    begin(&w, (ht_db_settings){.relaxed_ms = 1});
    for (int64_t i = 1; i <= 20; i++) {
        assert_int_equal(put(&w, HITHER_UPSERT, i, 1), HITHER_OK);
        if (i % 10 == 0)
            wait_for(&w, (uint64_t)i);
    }
    end(&w);
}

static void what_is_wrong_is_said_at_once(void **state) {
    (void)state;
    world w;
    test_column room;
    float vector[DIM + 1] = {0};
    begin(&w, (ht_db_settings){.relaxed_ms = FOREVER});
    hither_batch b = {
        .size = sizeof b, .ids = test_int_ids((const int64_t[]){1}, 1), .vectors = test_matrix(vector, 1, DIM + 1)};
    assert_int_equal(ht_collection_put(w.c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_DIMENSION);
    b.vectors = test_matrix(vector, 1, DIM);
    b.metadata = test_strings(&room, 1, (const char *const[]){"{"});
    assert_int_equal(ht_collection_put(w.c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_SYNTAX);
    assert_int_equal(put(&w, HITHER_UPSERT, 1, 1), HITHER_OK);
    b.metadata = (hither_strings){0};
    b.ids = (hither_ids){.strings = test_strings(&room, 1, (const char *const[]){"one"}), .count = 1};
    assert_int_equal(ht_collection_put(w.c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_INVALID);
    assert_int_equal(ht_db_flush(w.db, &err), HITHER_OK);
    assert_int_equal(ht_collection_put(w.c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_INVALID);
    assert_int_equal(count_of(&w), 1);
    end(&w);
}

/* Every crash leaves whole batches, the first so many of them, and all that a flush has acknowledged. */
static void crashes_lose_a_tail(void **state) {
    (void)state;
    world w, after;
    size_t flushed[ROUNDS + 1] = {0};
    begin(&w, (ht_db_settings){.relaxed_ms = FOREVER});
    size_t start = io_fault_steps(w.fault);
    for (size_t round = 0; round < ROUNDS; round++) {
        assert_int_equal(put(&w, HITHER_UPSERT, (int64_t)round * BATCH, BATCH), HITHER_OK);
        if (round % 4 == 3)
            assert_int_equal(ht_db_flush(w.db, &err), HITHER_OK);
        flushed[round] = io_fault_steps(w.fault);
    }
    size_t steps = io_fault_steps(w.fault);
    for (size_t step = start; step <= steps; step++) {
        size_t least = 0;
        for (size_t round = 3; round < ROUNDS; round += 4)
            if (flushed[round] <= step)
                least = round + 1;
        for (uint64_t seed = 0; seed < 4; seed++) {
            ht_io *disk = io_fault_crash(w.fault, step, seed);
            open_with(&after, disk, (ht_db_settings){0});
            uint64_t count = count_of(&after);
            assert_true(count % BATCH == 0 && count / BATCH >= least);
            hither_ids first = test_int_ids((const int64_t[]){count ? (int64_t)count - 1 : 0, (int64_t)count}, 2);
            hither_result *r;
            assert_int_equal(ht_collection_get(after.c, &first, NULL, 0, &r, &err), HITHER_OK);
            assert_int_equal(hither_result_count(r, 0), count > 0); /* the first so many, and none behind them */
            hither_result_free(r);
            assert_int_equal(ht_db_verify(after.db, NULL, NULL, &err), HITHER_OK);
            close_world(&after);
            ht_io_ram_free(disk);
        }
    }
    end(&w);
}

static void a_full_disk_is_told_and_tried_again(void **state) {
    (void)state;
    world w;
    begin(&w, (ht_db_settings){.relaxed_ms = FOREVER});
    assert_int_equal(put(&w, HITHER_UPSERT, 0, 3), HITHER_OK);
    assert_int_equal(put(&w, HITHER_UPSERT, 3, 3), HITHER_OK);
    io_fault_arm(w.fault, 1, FAULT_SHORT_WRITE, true);
    hither_status status = ht_db_flush(w.db, &err);
    assert_true(status == HITHER_FULL || status == HITHER_IO);
    assert_int_not_equal(put(&w, HITHER_UPSERT, 6, 3), HITHER_OK); /* it cannot be kept either, and says so */
    assert_int_not_equal(put(&w, HITHER_INSERT, 6, 3), HITHER_OK);
    assert_int_equal(count_of(&w), 0);
    io_fault_arm(w.fault, 0, FAULT_IO, false);
    assert_int_equal(put(&w, HITHER_UPSERT, 9, 3), HITHER_OK); /* behind those, which are committed first */
    assert_int_equal(count_of(&w), 9);
    assert_int_equal(ht_db_flush(w.db, &err), HITHER_OK);
    assert_int_equal(ht_db_verify(w.db, NULL, NULL, &err), HITHER_OK);
    end(&w);
}

static void after_a_failed_sync_nothing_is_certain(void **state) {
    (void)state;
    world w;
    begin(&w, (ht_db_settings){.relaxed_ms = FOREVER});
    assert_int_equal(put(&w, HITHER_UPSERT, 0, 3), HITHER_OK);
    io_fault_arm_sync(w.fault, 1, false);
    assert_int_equal(ht_db_flush(w.db, &err), HITHER_IO);
    assert_int_equal(put(&w, HITHER_UPSERT, 3, 3), HITHER_POISONED);
    assert_int_equal(ht_db_flush(w.db, &err), HITHER_POISONED);
    end(&w);
}

/* ---- sizes */

static void enough_rows_are_committed_at_once(void **state) {
    (void)state;
    world w;
    begin(&w, (ht_db_settings){.relaxed_ms = FOREVER, .flush_rows = 100});
    for (int64_t i = 0; i < 9; i++)
        assert_int_equal(put(&w, HITHER_UPSERT, i * 11, 11), HITHER_OK);
    assert_int_equal(count_of(&w), 0);
    assert_int_equal(put(&w, HITHER_UPSERT, 99, 1), HITHER_OK);
    wait_for(&w, 100);
    end(&w);
}

/* Writes to the segment's rows, by the steps of the trace. */
static size_t row_writes(uint64_t buffer_bytes, size_t rows) {
    world w;
    size_t count = 0;
    begin(&w, (ht_db_settings){.relaxed_ms = FOREVER, .buffer_bytes = buffer_bytes});
    assert_int_equal(put(&w, HITHER_INSERT, 0, 1), HITHER_OK); /* makes the segment */
    size_t from = io_fault_steps(w.fault);
    assert_int_equal(put(&w, HITHER_INSERT, 1, rows), HITHER_OK);
    for (size_t i = from; i < io_fault_steps(w.fault); i++) {
        char text[160];
        io_fault_describe(w.fault, i, text, sizeof text);
        count += strncmp(text, "write ", 6) == 0 && strstr(text, ".vec") != NULL;
    }
    end(&w);
    return count;
}

static void vectors_are_written_in_pieces(void **state) {
    (void)state;
    assert_int_equal(row_writes(0, 1000), 2 * 1); /* rows, and their sums */
    assert_int_equal(row_writes(10 * DIM * sizeof(float), 1000), 2 * 100);
    assert_int_equal(row_writes(1, 50), 2 * 50); /* at least a row */
}

/* In a process of its own, as the environment is read once. */
static void the_environment_sets_defaults(const char *self) {
    char command[600];
    (void)snprintf(command, sizeof command, "HITHER_BUFFER_SIZE=640 HITHER_FLUSH_ROWS=30 '%s' child", self);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own program */
    (void)snprintf(command, sizeof command, "HITHER_BUFFER_SIZE=many '%s' child-refused", self);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static const char *program;

static void environment(void **state) {
    (void)state;
    the_environment_sets_defaults(program);
}

static int child(void) {
    world w;
    if (row_writes(0, 100) != (size_t)2 * 10)
        return 1;
    begin(&w, (ht_db_settings){.relaxed_ms = FOREVER});
    assert_int_equal(put(&w, HITHER_UPSERT, 0, 30), HITHER_OK);
    wait_for(&w, 30);
    end(&w);
    return 0;
}

static int child_refused(void) {
    ht_db *db;
    hither_status status = ht_db_open(&(ht_db_settings){0}, ":memory:", &db, &err);
    return status == HITHER_INVALID && strstr(err.message, "HITHER_BUFFER_SIZE is 'many'") ? 0 : 1;
}

int main(int argc, char **argv) {
    program = argv[0];
    if (argc > 1)
        return strcmp(argv[1], "child") == 0 ? child() : child_refused();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seen_after_a_flush),
        cmocka_unit_test(seen_in_time),
        cmocka_unit_test(what_is_wrong_is_said_at_once),
        cmocka_unit_test(crashes_lose_a_tail),
        cmocka_unit_test(a_full_disk_is_told_and_tried_again),
        cmocka_unit_test(after_a_failed_sync_nothing_is_certain),
        cmocka_unit_test(enough_rows_are_committed_at_once),
        cmocka_unit_test(vectors_are_written_in_pieces),
        cmocka_unit_test(environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
