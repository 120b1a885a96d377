/*
 * test_compact.c: compaction gives space back and changes nothing else: every row, the order of ties, what cursors see,
 * what another handle reads, what a backup and a repair find. A scan before and after is the twin it is held against.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "cmocka_all.h"
#include "hither.h"
#include "ok.h"
#include "rows.h"

enum { BATCH = 50, TEXT = 400 };

static hither_error err;

/* ---- a database */

static hither_db *open_at(const char *path, uint32_t flags) {
    hither_db *db;
    OK(hither_db_open(path, HITHER_OPTIONS(hither_db_options, .flags = flags), &db, &err));
    return db;
}

static hither_collection *notes_of(hither_db *db, uint32_t dim) {
    hither_collection *c;
    OK(hither_collection_open(db, "notes", HITHER_OPTIONS(hither_collection_options, .dim = dim, .metric = HITHER_L2),
                              &c, &err));
    return c;
}

/* Rows [first, first + count): id i has a vector of version v in which every eighth row is alike, so that there are
 * ties. */
static void put(hither_collection *c, uint32_t dim, int64_t first, size_t count, uint64_t version) {
    float *vectors = malloc(BATCH * dim * sizeof *vectors);
    char texts[BATCH][TEXT];
    const char *metadata[BATCH], *documents[BATCH];
    assert_non_null(vectors);
    for (size_t done = 0; done < count;) {
        size_t n = count - done < BATCH ? count - done : BATCH;
        int64_t ids[BATCH];
        test_column a, b;
        for (size_t i = 0; i < n; i++) {
            ids[i] = first + (int64_t)(done + i);
            for (uint32_t j = 0; j < dim; j++)
                vectors[i * dim + j] = test_float(ids[i] % 8 ? (uint64_t)ids[i] + version * 1000003 : version % 3, j);
            snprintf(texts[i], TEXT, "{\"n\":%lld,\"v\":%llu}", (long long)ids[i], (unsigned long long)version);
            metadata[i] = texts[i];
            documents[i] = ids[i] % 3 ? texts[i] : NULL;
        }
        hither_batch batch = {.size = sizeof batch,
                              .ids = test_int_ids(ids, n),
                              .vectors = test_matrix(vectors, n, dim),
                              .metadata = test_strings(&a, n, metadata),
                              .documents = test_strings(&b, n, documents)};
        OK(hither_collection_put(c, HITHER_UPSERT, &batch, NULL, &err));
        done += n;
    }
    free(vectors);
}

static void drop(hither_collection *c, int64_t first, size_t count, int64_t step) {
    int64_t *ids = malloc(count * sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = first + (int64_t)i * step;
    hither_ids column = test_int_ids(ids, count);
    OK(hither_collection_delete(c, &column, NULL, NULL, &err));
    free(ids);
}

/* A number made of every byte of every row, in order, and of a search with its ties. */
static uint64_t fold(uint64_t sum, const void *data, size_t bytes) {
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        sum = ht_mix64(sum ^ at[i]);
    return sum;
}

static uint64_t fold_rows(uint64_t sum, const hither_result *rows, uint32_t dim) {
    hither_ids ids = hither_result_ids(rows, 0);
    hither_matrix vectors = hither_result_vectors(rows, 0);
    hither_strings columns[2] = {hither_result_metadata(rows, 0), hither_result_documents(rows, 0)};
    sum = fold(sum, ids.ints, ids.count * sizeof *ids.ints);
    for (size_t i = 0; i < ids.count; i++) {
        sum = fold(sum, (const char *)vectors.data + i * (vectors.stride ? vectors.stride : dim * sizeof(float)),
                   dim * sizeof(float));
        for (size_t k = 0; k < 2; k++) {
            ht_text text = ht_strings_at(&columns[k], i);
            sum = fold(sum, text.data ? text.data : "-", text.data ? text.bytes : 1);
        }
    }
    return sum;
}

enum { EVERYTHING = HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS };

static uint64_t read_cursor(hither_cursor *cursor, uint32_t dim) {
    uint64_t sum = 1;
    for (size_t n = 1; n;) {
        hither_result *rows;
        OK(hither_cursor_next(cursor, 100, &rows, &err));
        n = hither_result_count(rows, 0);
        sum = fold_rows(sum, rows, dim);
        hither_result_free(rows);
    }
    return sum;
}

static hither_cursor *begin_scan(hither_collection *c) {
    hither_cursor *cursor;
    OK(hither_collection_scan(c, NULL, EVERYTHING, &cursor, &err));
    return cursor;
}

static uint64_t contents(hither_collection *c, uint32_t dim) {
    hither_cursor *cursor = begin_scan(c);
    uint64_t sum = read_cursor(cursor, dim), count;
    hither_cursor_close(cursor);
    OK(hither_collection_count(c, NULL, &count, &err));
    float *query = calloc(dim, sizeof *query);
    const hither_query q = {.size = sizeof q, .vectors = test_matrix(query, 1, dim)};
    for (int filtered = 0; filtered < 2; filtered++) {
        hither_result *found;
        hither_search_options o = {.size = sizeof o, .include = EVERYTHING};
        o.where = filtered ? "{\"n\":{\"$gte\":40}}" : NULL;
        OK(hither_collection_search(c, &q, 64, &o, &found, &err));
        sum = fold_rows(sum, found, dim);
        hither_result_free(found);
    }
    free(query);
    return fold(sum, &count, sizeof count);
}

/* ---- what lies on the disk */

static uint64_t blocks_in(const char *folder, const char *part) {
    char path[600];
    uint64_t bytes = 0;
    snprintf(path, sizeof path, "%s%s%s", folder, *part ? "/" : "", part);
    DIR *dir = opendir(path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        char full[900];
        struct stat st;
        snprintf(full, sizeof full, "%s/%s", path, e->d_name);
        if (lstat(full, &st) == 0 && S_ISREG(st.st_mode))
            bytes += (uint64_t)st.st_blocks * 512;
    }
    if (dir)
        closedir(dir);
    return bytes;
}

static uint64_t space_of(const char *folder) { return blocks_in(folder, "") + blocks_in(folder, "seg"); }

static size_t files_in(const char *folder, const char *part) {
    char path[600];
    size_t files = 0;
    snprintf(path, sizeof path, "%s/%s", folder, part);
    DIR *dir = opendir(path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        files += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return files;
}

/* ---- the tests */

static void test_space_comes_back(void **state) {
    (void)state;
    enum { WIDE = 256, ROWS = 6000 };
    char *path = test_path();
    hither_db *db = open_at(path, 0);
    hither_collection *c = notes_of(db, WIDE);
    put(c, WIDE, 0, ROWS, 1);
    OK(hither_db_flush(db, &err));
    uint64_t before = space_of(path);
    size_t files = files_in(path, "seg");
    drop(c, 0, ROWS * 9 / 10, 1);
    uint64_t sum = contents(c, WIDE);
    OK(hither_db_compact(db, NULL, &err));
    OK(hither_db_verify(db, NULL, &err));
    assert_int_equal(contents(c, WIDE), sum);
    uint64_t after = space_of(path);
    print_message("%llu KiB before, %llu KiB after\n", (unsigned long long)before / 1024,
                  (unsigned long long)after / 1024);
    assert_true(after * 100 <= before * 15);
    assert_true(files_in(path, "seg") < files); /* segments without rows are gone */
    hither_collection_close(c);
    hither_db_close(db);
    db = open_at(path, 0);
    c = notes_of(db, WIDE);
    assert_int_equal(contents(c, WIDE), sum);
    put(c, WIDE, 7, 200, 9); /* what is written now finds its place */
    OK(hither_db_verify(db, NULL, &err));
    hither_collection_close(c);
    hither_db_close(db);
    test_remove_tree(path);
}

/* Random deletes and updates, a compaction after each round, another handle that follows. */
static void test_nothing_changes(void **state) {
    (void)state;
    enum { NARROW = 40, ROWS = 1500, ROUNDS = 8 };
    char *path = test_path();
    hither_db *db = open_at(path, 0), *other = NULL;
    hither_collection *c = notes_of(db, NARROW), *same = NULL;
    uint64_t random = 5;
    for (int round = 0; round < ROUNDS; round++) {
        put(c, NARROW, (int64_t)((random = ht_mix64(random)) % ROWS), ROWS / 2, (uint64_t)round + 1);
        random = ht_mix64(random);
        drop(c, (int64_t)(random % ROWS), 300, 1 + (int64_t)(random / 7000 % 3));
        if (!other) {
            other = open_at(path, HITHER_OPEN_READONLY);
            same = notes_of(other, NARROW);
        }
        uint64_t sum = contents(c, NARROW);
        assert_int_equal(contents(same, NARROW), sum);
        OK(hither_collection_compact(c, NULL, &err));
        assert_int_equal(contents(c, NARROW), sum);
        assert_int_equal(contents(same, NARROW), sum);
        OK(hither_db_verify(db, NULL, &err));
        OK(hither_db_verify(other, NULL, &err));
        if (round % 3 == 2) {
            hither_collection_close(c);
            hither_db_close(db);
            db = open_at(path, 0);
            c = notes_of(db, NARROW);
            assert_int_equal(contents(c, NARROW), sum);
        }
    }
    hither_collection_close(same);
    hither_collection_close(c);
    hither_db_close(other);
    hither_db_close(db);
    test_remove_tree(path);
}

static void test_cursors(void **state) {
    (void)state;
    enum { NARROW = 8, ROWS = 900 };
    char *path = test_path();
    hither_db *db = open_at(path, 0), *other;
    hither_collection *c = notes_of(db, NARROW), *same;
    put(c, NARROW, 0, ROWS, 1);
    other = open_at(path, HITHER_OPEN_READONLY);
    same = notes_of(other, NARROW);
    hither_cursor *mine = begin_scan(c), *theirs = begin_scan(same), *twin = begin_scan(c);
    uint64_t sum = read_cursor(twin, NARROW);
    hither_cursor_close(twin);
    drop(c, 0, 800, 1);
    OK(hither_db_compact(db, NULL, &err)); /* rows that `mine` has still to see stay */
    assert_int_equal(read_cursor(mine, NARROW), sum);
    hither_cursor_close(mine);
    OK(hither_db_compact(db, NULL, &err));
    hither_result *rows = NULL;
    assert_int_equal(hither_cursor_next(theirs, 10, &rows, &err), HITHER_STALE);
    assert_null(rows);
    hither_cursor_close(theirs);
    assert_int_equal(contents(same, NARROW), contents(c, NARROW));
    OK(hither_db_verify(db, NULL, &err));
    hither_collection_close(same);
    hither_collection_close(c);
    hither_db_close(other);
    hither_db_close(db);
    test_remove_tree(path);
}

typedef struct stopper {
    uint64_t calls, stop_at, last;
} stopper;

static int stop(void *ctx, uint64_t done, uint64_t total) {
    stopper *s = ctx;
    assert_true(done <= total);
    assert_true(done >= s->last);
    s->last = done;
    return ++s->calls == s->stop_at;
}

static void test_stops(void **state) {
    (void)state;
    enum { NARROW = 600, ROWS = 1200 };
    hither_status status = HITHER_INTERRUPTED;
    uint64_t n = 1;
    char *path = test_path();
    hither_db *db = open_at(path, 0);
    hither_collection *c = notes_of(db, NARROW);
    put(c, NARROW, 0, ROWS, 1);
    for (; status == HITHER_INTERRUPTED; n++) {
        drop(c, (int64_t)n * 20, 20, 1);
        uint64_t sum = contents(c, NARROW);
        stopper s = {.stop_at = n};
        status = hither_db_compact(db, HITHER_OPTIONS(hither_work_options, .progress = stop, .ctx = &s), &err);
        assert_true(status == HITHER_OK || status == HITHER_INTERRUPTED);
        assert_int_equal(contents(c, NARROW), sum);
        OK(hither_db_verify(db, NULL, &err));
    }
    assert_true(n > 3);
    assert_int_equal(hither_db_compact(NULL, NULL, &err), HITHER_INVALID);
    hither_collection_close(c);
    hither_db_close(db);
    db = open_at(path, HITHER_OPEN_READONLY);
    assert_int_equal(hither_db_compact(db, NULL, &err), HITHER_READONLY);
    hither_db_close(db);
    test_remove_tree(path);
}

/* Rows that died since a page's token are taken from the segment before the catalog forgets them: a compaction that
 * was stopped between the two leaves what the page would need half there. */
static void test_pages_beside_a_stop(void **state) {
    (void)state;
    enum { ROWS = 6000, DIM = 8, EARLY = 2500, LATE = 1000 };
    char *path = test_path();
    hither_db *db = open_at(path, 0);
    hither_collection *c = notes_of(db, DIM);
    hither_result *first, *second = NULL;
    hither_page_options o = {.size = sizeof o, .include = HITHER_INCLUDE_VECTORS, .limit = ROWS};
    put(c, DIM, 0, ROWS, 1);
    drop(c, 0, EARLY, 1);
    OK(hither_collection_page(c, HITHER_OPTIONS(hither_page_options, .include = EVERYTHING, .limit = 500), &first,
                              &err));
    drop(c, ROWS - LATE, LATE, 1);
    o.after = hither_result_next(first);
    bool refused = false;
    uint64_t n = 1;
    for (; !refused; n++) {
        stopper s = {.stop_at = n};
        hither_status status =
            hither_db_compact(db, HITHER_OPTIONS(hither_work_options, .progress = stop, .ctx = &s), &err);
        assert_true(status == HITHER_INTERRUPTED || status == HITHER_OK);
        hither_status paged = hither_collection_page(c, &o, &second, &err);
        refused = paged == HITHER_STALE;
        assert_true(refused || (paged == HITHER_OK && status != HITHER_OK));
        for (size_t i = 0; !refused && i < ROWS - EARLY - 500; i++) {
            const hither_matrix vectors = hither_result_vectors(second, 0);
            const float *row = (const float *)(const void *)((const char *)vectors.data + i * DIM * sizeof(float));
            const int64_t id = hither_result_ids(second, 0).ints[i];
            assert_true(row[1] == test_float(id % 8 ? (uint64_t)id + 1000003 : 1, 1));
        }
        hither_result_free(second);
        second = NULL;
    }
    assert_true(n > 2);
    hither_result_free(first);
    hither_collection_close(c);
    hither_db_close(db);
    test_remove_tree(path);
}

static void test_backup_and_repair(void **state) {
    (void)state;
    enum { NARROW = 100, ROWS = 2000 };
    char *path = test_path(), *copy = test_path(), *saved = test_path();
    hither_db *db = open_at(path, 0);
    hither_collection *c = notes_of(db, NARROW);
    put(c, NARROW, 0, ROWS, 1);
    drop(c, 100, 1500, 1);
    OK(hither_db_compact(db, NULL, &err));
    uint64_t sum = contents(c, NARROW);
    OK(hither_db_backup(db, copy, &err));
    assert_true(space_of(copy) <= space_of(path) * 3 / 2); /* holes stay holes */
    hither_collection_close(c);
    hither_db_close(db);
    hither_result *report = NULL;
    OK(hither_db_repair(path, saved, &report, &err));
    assert_int_equal(hither_result_count(report, 0), 0);
    hither_result_free(report);
    char *const places[] = {copy, saved};
    for (size_t i = 0; i < 2; i++) {
        db = open_at(places[i], 0);
        c = notes_of(db, NARROW);
        assert_int_equal(contents(c, NARROW), sum);
        OK(hither_db_verify(db, NULL, &err));
        hither_collection_close(c);
        hither_db_close(db);
        test_remove_tree(places[i]);
    }
    test_remove_tree(path);
}

/* A database in memory gives memory back, by the same way. */
static void test_in_memory(void **state) {
    (void)state;
    enum { NARROW = 64 };
    hither_db *db = open_at(":memory:", 0);
    hither_collection *c = notes_of(db, NARROW);
    put(c, NARROW, 0, 3000, 1);
    drop(c, 0, 2900, 1);
    uint64_t sum = contents(c, NARROW);
    OK(hither_db_compact(db, NULL, &err));
    assert_int_equal(contents(c, NARROW), sum);
    OK(hither_db_verify(db, NULL, &err));
    put(c, NARROW, 0, 100, 2);
    OK(hither_db_verify(db, NULL, &err));
    hither_collection_close(c);
    hither_db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space_comes_back),
        cmocka_unit_test(test_nothing_changes),
        cmocka_unit_test(test_cursors),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_backup_and_repair),
        cmocka_unit_test(test_in_memory),
        cmocka_unit_test(test_pages_beside_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
