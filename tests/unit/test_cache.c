/*
 * test_cache.c: caches on disk. Of other rows, of another collection, database or recipe, of more rows than are
 * committed, cut short or with any byte changed: one is passed over, and no answer is ever another than that of brute
 * force. And what is kept is used: the first search after an open reads no row it does not score.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "engine/codes_cache.h"
#include "engine/parts.h"
#include "engine/state.h"
#include "rows.h"

/* More bytes of rows than exact search reads in full whatever there is of them. */
enum { DIM = 40, ROWS = 64 * 60 + 5, K = 7, MORE = 600 };
#define PATH  "/db"
#define CODES PATH "/cache/1-1.codes"

static hither_error err;
static const ht_search NEAREST = {.k = K, .include = HITHER_INCLUDE_NOTHING};
static float rows[(ROWS + MORE) * DIM];

typedef struct world {
    ht_io *io;
    ht_db *db;
    ht_collection *c;
} world;

static void open_named(world *w, const char *path, const char *name) {
    ht_collection_spec spec = {.dim = DIM, .metric = HITHER_L2};
    assert_int_equal(ht_db_open_io(w->io, path, 0, 0, &w->db, &err), HITHER_OK);
    assert_int_equal(ht_collection_open(w->db, name, &spec, &w->c, &err), HITHER_OK);
}

static void open_world(world *w) { open_named(w, PATH, "c"); }

static void close_world(world *w) {
    ht_collection_close(w->c);
    ht_db_close(w->db);
}

static void put(world *w, size_t first, size_t count) {
    int64_t *ids = malloc(count * sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = (int64_t)(first + i);
    hither_batch b = {
        .size = sizeof b, .ids = test_int_ids(ids, count), .vectors = test_matrix(rows + first * DIM, count, DIM)};
    assert_int_equal(ht_collection_put(w->c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_OK);
    free(ids);
}

/* A database with rows, its codes kept, and closed. */
static void fill(world *w, const char *path) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        rows[i] = test_float(7, i);
    open_named(w, path, "c");
    put(w, 0, ROWS);
    ht_db_keep_codes(w->db, 0);
    close_world(w);
}

static void set_up(world *w) {
    assert_int_equal(ht_io_ram_new(&w->io, &err), HITHER_OK);
    fill(w, PATH);
}

static const ht_snapshot *snapshot_of(const world *w) { return atomic_load(&w->c->home.current); }

/* The nearest rows are those of brute force. */
static void check_answers(world *w, size_t count) {
    ht_part part = {.rows = rows, .count = count, .stride = DIM * sizeof(float)};
    ht_vectors all = {.dtype = HITHER_F32, .metric = HITHER_L2, .dim = DIM, .parts = &part, .part_count = 1};
    for (size_t j = 0; j < 3; j++) {
        const float *query = rows + (j * 131 + 3) * DIM;
        ht_hit hits[K];
        size_t found;
        hither_matrix q = test_matrix(query, 1, DIM);
        hither_result *r;
        assert_int_equal(ht_brute_search(&all, query, 0, 1, NULL, NULL, K, hits, &found, &err), HITHER_OK);
        if (ht_collection_search(w->c, &q, NULL, &NEAREST, &r, &err) != HITHER_OK)
            fail_msg("%s", err.message);
        assert_int_equal(hither_result_count(r, 0), K);
        for (size_t i = 0; i < K; i++)
            assert_int_equal(hither_result_ids(r, 0).ints[i], hits[i].slot);
        hither_result_free(r);
    }
}

static size_t read_file(const ht_io *io, const char *path, unsigned char **out) {
    ht_file *file;
    uint64_t bytes;
    assert_int_equal(io->open(io->ctx, path, 0, &file, &err), HITHER_OK);
    assert_int_equal(io->file_size(file, &bytes, &err), HITHER_OK);
    *out = malloc(bytes);
    assert_int_equal(io->read_at(file, *out, bytes, 0, &err), HITHER_OK);
    io->close(file);
    return bytes;
}

static void write_file(const ht_io *io, const char *path, const unsigned char *data, size_t bytes) {
    ht_file *file;
    hither_status ignored = io->remove(io->ctx, path, NULL);
    (void)ignored;
    assert_int_equal(io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &file, &err), HITHER_OK);
    assert_int_equal(io->write_at(file, data, bytes, 0, &err), HITHER_OK);
    io->close(file);
}

static bool exists(const ht_io *io, const char *path) {
    ht_io_kind kind;
    uint64_t bytes;
    assert_int_equal(io->stat(io->ctx, path, &kind, &bytes, &err), HITHER_OK);
    return kind != HT_IO_ABSENT;
}

/* How many rows have been read in full since the open, of those whose codes were kept. */
static size_t rows_checked(const world *w) {
    const ht_extent *extent = snapshot_of(w)->extents[0];
    size_t count = 0;
    for (size_t b = 0; b < extent->kept / HT_BLOCK_ROWS; b++)
        count += (size_t)__builtin_popcountll(atomic_load(&extent->seen[b]));
    return count;
}

static void kept_codes_are_used(void **state) {
    (void)state;
    world w;
    set_up(&w);
    for (int round = 0; round < 3; round++) {
        open_world(&w);
        assert_int_equal(snapshot_of(&w)->extents[0]->kept, ROWS / 64 * 64 + (round ? MORE / 64 * 64 : 0));
        check_answers(&w, round ? ROWS + MORE : ROWS);
        assert_in_range(rows_checked(&w), 1, ROWS / 2);
        if (round == 0) { /* rows that come later are searched beside those kept, and then kept themselves */
            put(&w, ROWS, MORE);
            check_answers(&w, ROWS + MORE);
            ht_db_keep_codes(w.db, 0);
        }
        close_world(&w);
    }
    ht_io_ram_free(w.io);
}

static void damage_costs_time_only(void **state) {
    (void)state;
    world w;
    unsigned char *bytes;
    set_up(&w);
    size_t size = read_file(w.io, CODES, &bytes), kept = 0, spoilt = 0;
    for (size_t at = 0; at < size; at += at < 80 ? 3 : 3999) {
        bytes[at] ^= 0x10;
        write_file(w.io, CODES, bytes, size);
        bytes[at] ^= 0x10;
        open_world(&w);
        ht_extent *extent = snapshot_of(&w)->extents[0];
        kept += extent->kept != 0;
        check_answers(&w, ROWS);
        spoilt += extent->spoilt;
        check_answers(&w, ROWS);
        close_world(&w);
    }
    assert_true(kept > 0 && spoilt > 0); /* damage in codes is met when they are read */
    for (size_t cut = 0; cut < size; cut += 9777) {
        write_file(w.io, CODES, bytes, cut);
        open_world(&w);
        assert_int_equal(snapshot_of(&w)->extents[0]->kept, 0);
        check_answers(&w, ROWS);
        close_world(&w);
    }
    free(bytes);
    ht_io_ram_free(w.io);
}

/* A file of another database, and one of rows that are no longer those. */
static void strangers_are_passed_over(void **state) {
    (void)state;
    world w;
    unsigned char *bytes;
    set_up(&w);
    size_t size = read_file(w.io, CODES, &bytes);
    for (size_t i = 0; i < (size_t)ROWS * DIM; i++)
        rows[i] += i % 11 ? 0 : 1;
    open_named(&w, "/other", "c");
    put(&w, 0, ROWS);
    close_world(&w);
    write_file(w.io, "/other/cache/1-1.codes", bytes, size);
    open_named(&w, "/other", "c");
    assert_int_equal(snapshot_of(&w)->extents[0]->kept, 0);
    check_answers(&w, ROWS);
    close_world(&w);
    free(bytes);
    ht_io_ram_free(w.io);
}

/* More rows than are committed: as after a crash of a disk that lies, or in a copy of an older catalog. */
static void none_of_rows_that_are_not_there(void **state) {
    (void)state;
    world w;
    unsigned char *bytes;
    set_up(&w);
    size_t size = read_file(w.io, CODES, &bytes);
    open_named(&w, "/other", "c");
    put(&w, 0, ROWS / 2); /* the same rows, only fewer of them */
    close_world(&w);
    write_file(w.io, "/other/cache/1-1.codes", bytes, size);
    open_named(&w, "/other", "c");
    assert_int_equal(snapshot_of(&w)->extents[0]->kept, 0);
    put(&w, ROWS / 2, ROWS - ROWS / 2);
    close_world(&w);
    open_named(&w, "/other", "c"); /* and now they are there */
    assert_int_equal(snapshot_of(&w)->extents[0]->kept, ROWS / 64 * 64);
    check_answers(&w, ROWS);
    close_world(&w);
    free(bytes);
    ht_io_ram_free(w.io);
}

/* The functions that other caches stand on. */
static void any_kind(void **state) {
    (void)state;
    world w;
    set_up(&w);
    open_world(&w);
    ht_store *store = w.db->store;
    const ht_snapshot *s = snapshot_of(&w);
    ht_cache_key key = {.kind = "graph", .cid = 1, .recipe = 3};
    const ht_cache_section sections[] = {{"a", "one", 3}, {"a", "two", 3}, {"b", "", 0}};
    assert_null(ht_cache_load(store, &key, s->extents, s->extent_count, s->slot_limit).file);
    assert_int_equal(ht_cache_save(store, &key, s->extents, s->extent_count, 100, sections, 3, &err), HITHER_OK);
    ht_cache cache = ht_cache_load(store, &key, s->extents, s->extent_count, s->slot_limit);
    size_t bytes;
    assert_non_null(cache.file);
    assert_int_equal(cache.slots, 100);
    assert_memory_equal(ht_container_section(cache.file, "a", &bytes), "onetwo", 6);
    assert_int_equal(bytes, 6);
    ht_container_close(cache.file);
    assert_null(ht_cache_load(store, &key, s->extents, s->extent_count, 99).file);
    ht_cache_key others[] = {{"graph", 1, 0, 4}, {"graph", 2, 0, 3}, {"graph", 1, 1, 3}, {"lists", 1, 0, 3}};
    for (size_t i = 0; i < 4; i++) {
        char from[] = PATH "/cache/1-0.graph", to[64];
        unsigned char *file;
        (void)snprintf(to, sizeof to, PATH "/cache/%d-%d.%s", (int)others[i].cid, (int)others[i].sid, others[i].kind);
        size_t size = read_file(w.io, from, &file);
        write_file(w.io, to, file, size);
        assert_null(ht_cache_load(store, &others[i], s->extents, s->extent_count, s->slot_limit).file);
        free(file);
    }
    close_world(&w);
    ht_io_ram_free(w.io);
}

static void what_is_left_over_goes(void **state) {
    (void)state;
    static const char *const names[] = {"1-1.codes.tmp-0", "1-7.codes", "1-0.graph", "2-1.codes", "notes"};
    static const bool stays[] = {false, false, true, true, true};
    world w;
    char path[64];
    set_up(&w);
    for (size_t i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof path, PATH "/cache/%s", names[i]);
        write_file(w.io, path, (const unsigned char *)"x", 1);
    }
    open_world(&w);
    for (size_t i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof path, PATH "/cache/%s", names[i]);
        assert_int_equal(exists(w.io, path), stays[i]);
    }
    assert_true(exists(w.io, CODES));
    assert_int_equal(ht_db_drop(w.db, "c", &err), HITHER_OK);
    assert_false(exists(w.io, CODES) || exists(w.io, PATH "/cache/1-0.graph"));
    close_world(&w);
    ht_io_ram_free(w.io);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_codes_are_used),
        cmocka_unit_test(damage_costs_time_only),
        cmocka_unit_test(strangers_are_passed_over),
        cmocka_unit_test(none_of_rows_that_are_not_there),
        cmocka_unit_test(any_kind),
        cmocka_unit_test(what_is_left_over_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
