/*
 * test_purge.c: after a purge no file of the folder holds a byte of a row that was deleted or replaced: a marker in the
 * ids, vectors, metadata and documents of such rows is looked for in every file. What is alive stays, to the byte.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "hither.h"
#include "ok.h"
#include "rows.h"

enum { WIDTH = 64, PLENTY = 600, FEW = 20 };

static hither_error err;

static const char MARK[] = "Xq7SECRETx";
static const char FOLDED[] = "xq7secretx"; /* as postings have it */
static const uint32_t BITS = 0x41c3a55au;  /* a float like any other: 24.455... */

/* ---- looking for the marker */

static size_t count_in(const unsigned char *data, size_t bytes, const void *what, size_t length) {
    size_t found = 0;
    for (size_t i = 0; i + length <= bytes; i++)
        found += data[i] == *(const unsigned char *)what && memcmp(data + i, what, length) == 0;
    return found;
}

static size_t count_in_file(const char *path) {
    struct stat st;
    uint32_t pattern[2] = {BITS, BITS};
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &st) != 0)
        fail_msg("%s", path);
    unsigned char *data = malloc((size_t)st.st_size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)st.st_size, file), st.st_size);
    fclose(file);
    size_t found = count_in(data, (size_t)st.st_size, MARK, sizeof MARK - 1) +
                   count_in(data, (size_t)st.st_size, FOLDED, sizeof FOLDED - 1) +
                   count_in(data, (size_t)st.st_size, pattern, sizeof pattern);
    free(data);
    return found;
}

static size_t count_in_tree(const char *path) {
    size_t found = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        char inner[900];
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (lstat(inner, &st) == 0)
            found += S_ISDIR(st.st_mode) ? count_in_tree(inner) : count_in_file(inner);
    }
    closedir(folder);
    return found;
}

/* ---- rows with and without it */

static hither_collection *open_in(hither_db *db, const char *name) {
    hither_collection *c;
    OK(hither_collection_open(db, name, HITHER_OPTIONS(hither_collection_options, .dim = WIDTH, .metric = HITHER_L2),
                              &c, &err));
    return c;
}

static void put(hither_collection *c, size_t first, size_t count, bool secret) {
    static float vectors[FEW * WIDTH];
    for (size_t done = 0; done < count; done += FEW) {
        char ids[FEW][40], texts[FEW][120];
        const char *id_list[FEW], *text_list[FEW];
        test_column a, b, d;
        for (size_t i = 0; i < FEW; i++) {
            size_t n = first + done + i;
            /* of the secret rows every other is to be deleted, and has an id that is secret too */
            snprintf(ids[i], sizeof ids[i], "%s%zu", n % 2 ? "row" : MARK, n);
            snprintf(texts[i], sizeof texts[i], "{\"t\":\"%s %zu\"}", secret ? MARK : "open", n);
            id_list[i] = ids[i];
            text_list[i] = texts[i];
            for (size_t j = 0; j < WIDTH; j++) {
                vectors[i * WIDTH + j] = test_float(n, j);
                if (secret)
                    memcpy(&vectors[i * WIDTH + j], &BITS, sizeof BITS);
            }
        }
        hither_batch batch = {.size = sizeof batch,
                              .vectors = test_matrix(vectors, FEW, WIDTH),
                              .metadata = test_strings(&a, FEW, text_list),
                              .documents = test_strings(&b, FEW, text_list)};
        batch.ids = (hither_ids){.strings = test_strings(&d, FEW, id_list), .count = FEW};
        OK(hither_collection_put(c, HITHER_UPSERT, &batch, NULL, &err));
    }
}

/* Secret rows among others: half of them are deleted, by id; the others are replaced. */
static void write_and_delete(hither_collection *c) {
    put(c, 0, PLENTY, true);
    for (size_t first = 0; first < PLENTY; first += FEW) {
        char ids[FEW][40];
        const char *list[FEW];
        test_column a;
        size_t n = 0;
        for (size_t i = first; i < first + FEW; i += 2) {
            snprintf(ids[n], sizeof ids[n], "%s%zu", MARK, i);
            list[n] = ids[n];
            n++;
        }
        hither_ids column = {.strings = test_strings(&a, n, list), .count = n};
        OK(hither_collection_delete(c, &column, NULL, NULL, &err));
    }
    /* The rows that stay, without secrets. */
    for (size_t i = 1; i < PLENTY; i += 2) {
        char id[40];
        const char *list[1] = {id};
        test_column a, b;
        float vector[WIDTH];
        for (size_t j = 0; j < WIDTH; j++)
            vector[j] = test_float(i, j);
        snprintf(id, sizeof id, "row%zu", i);
        const char *open[1] = {"{}"};
        hither_batch batch = {
            .size = sizeof batch, .vectors = test_matrix(vector, 1, WIDTH), .metadata = test_strings(&b, 1, open)};
        batch.ids = (hither_ids){.strings = test_strings(&a, 1, list), .count = 1};
        OK(hither_collection_put(c, HITHER_UPSERT, &batch, NULL, &err));
    }
}

static void search_some(hither_collection *c) {
    float query[WIDTH] = {0};
    const hither_query q = {.size = sizeof q, .vectors = test_matrix(query, 1, WIDTH)};
    hither_result *found;
    OK(hither_collection_search(c, &q, 5, NULL, &found, &err));
    assert_int_equal(hither_result_count(found, 0), 5);
    hither_result_free(found);
}

static void test_no_byte_is_left(void **state) {
    (void)state;
    char *path = test_path();
    hither_db *db;
    OK(hither_db_open(path, NULL, &db, &err));
    hither_collection *c = open_in(db, "c"), *gone = open_in(db, "gone");
    put(gone, 0, 2 * FEW, true);
    hither_collection_close(gone);
    OK(hither_db_drop(db, "gone", &err));
    write_and_delete(c);
    search_some(c);
    hither_collection_close(c);
    hither_db_close(db); /* caches are written */
    OK(hither_db_open(path, NULL, &db, &err));
    c = open_in(db, "c");
    assert_true(count_in_tree(path) > 0); /* the test can tell */
    OK(hither_db_purge(db, NULL, &err));
    assert_int_equal(count_in_tree(path), 0);
    OK(hither_db_verify(db, NULL, &err));
    uint64_t count;
    OK(hither_collection_count(c, NULL, &count, &err));
    assert_int_equal(count, PLENTY / 2);
    search_some(c);
    put(c, 5000, FEW, false);
    OK(hither_db_purge(db, NULL, &err)); /* nothing more to be done is fine */
    hither_collection_close(c);
    hither_db_close(db);
    OK(hither_db_open(path, NULL, &db, &err));
    OK(hither_db_verify(db, NULL, &err));
    hither_db_close(db);
    test_remove_tree(path);
}

/* Has columns and postings made, of all rows. */
static void search_by_all_means(hither_collection *c, uint64_t rows) {
    const char *words[1] = {"open"};
    test_column room;
    hither_result *found;
    const hither_query q = {.size = sizeof q, .keywords = test_strings(&room, 1, words)};
    OK(hither_collection_search(c, &q, 5, NULL, &found, &err));
    hither_result_free(found);
    uint64_t count;
    OK(hither_collection_count(c, "{\"t\":{\"$exists\":true}}", &count, &err));
    assert_int_equal(count, rows);
    search_some(c);
}

static size_t count_in_caches(const char *path) {
    char folder[600];
    snprintf(folder, sizeof folder, "%s/cache", path);
    return count_in_tree(folder);
}

/* How often the length of a secret vector stands in a file of cache/, as codes have it: rounded up by little. */
static size_t lengths_in_caches(const char *path) {
    char folder[600], inner[900];
    double value = 0;
    float secret;
    memcpy(&secret, &BITS, sizeof secret);
    value = sqrt((double)WIDTH) * secret;
    snprintf(folder, sizeof folder, "%s/cache", path);
    size_t found = 0;
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *e = readdir(list); e; e = readdir(list)) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%s/%s", folder, e->d_name);
        FILE *file = fopen(inner, "rb");
        assert_non_null(file);
        for (float number; fread(&number, sizeof number, 1, file) == 1;)
            found += (double)number >= value && (double)number <= value * (1 + 1e-6);
        fclose(file);
    }
    closedir(list);
    return found;
}

/* What was derived from purged rows is not written by whoever closes the database after the purge. */
static void test_caches_after(void **state) {
    (void)state;
    enum { SECRETS = 80 * FEW, OTHERS = 120 * FEW }; /* enough that codes are kept on disk */
    char *path = test_path();
    hither_db *db;
    OK(hither_db_open(path, HITHER_OPTIONS(hither_db_options, .durability = HITHER_DURABILITY_MEMORY), &db, &err));
    hither_collection *c = open_in(db, "c");
    put(c, 0, SECRETS, true);
    put(c, SECRETS, OTHERS, false);
    search_by_all_means(c, SECRETS + OTHERS);
    hither_collection_close(c);
    hither_db_close(db);
    assert_true(lengths_in_caches(path) > SECRETS / 2); /* the test can tell */
    assert_true(count_in_caches(path) > SECRETS);
    OK(hither_db_open(path, NULL, &db, &err));
    c = open_in(db, "c");
    search_by_all_means(c, SECRETS + OTHERS); /* with what was kept */
    size_t deleted;
    OK(hither_collection_delete(c, NULL, "{\"t\":{\"$lt\":\"Y\"}}", &deleted, &err));
    assert_int_equal(deleted, SECRETS);
    search_by_all_means(c, OTHERS);
    OK(hither_db_purge(db, NULL, &err));
    assert_int_equal(lengths_in_caches(path) + count_in_caches(path), 0);
    search_by_all_means(c, OTHERS);
    hither_collection_close(c);
    hither_db_close(db);
    assert_int_equal(lengths_in_caches(path) + count_in_caches(path), 0);
    OK(hither_db_open(path, NULL, &db, &err));
    c = open_in(db, "c");
    search_by_all_means(c, OTHERS);
    hither_collection_close(c);
    hither_db_close(db);
    assert_int_equal(lengths_in_caches(path) + count_in_caches(path), 0);
    test_remove_tree(path);
}

/* With a cursor on an older version it says BUSY, and goes on once that is closed. */
static void test_busy(void **state) {
    (void)state;
    char *path = test_path();
    hither_db *db;
    hither_cursor *cursor;
    hither_result *rows;
    OK(hither_db_open(path, NULL, &db, &err));
    hither_collection *c = open_in(db, "c");
    put(c, 0, FEW, true);
    OK(hither_collection_scan(c, NULL, HITHER_INCLUDE_DOCUMENTS, &cursor, &err));
    write_and_delete(c);
    const hither_work_options once = {.size = sizeof once, .wait_ms = 1};
    assert_int_equal(hither_db_purge(db, &once, &err), HITHER_BUSY);
    OK(hither_cursor_next(cursor, 100, &rows, &err));
    assert_int_equal(hither_result_count(rows, 0), FEW);
    hither_result_free(rows);
    hither_cursor_close(cursor);
    OK(hither_db_purge(db, &once, &err));
    assert_int_equal(count_in_tree(path), 0);
    hither_collection_close(c);
    hither_db_close(db);
    test_remove_tree(path);
}

/* ---- beside a reader in another process */

static void say(int fd) { assert_int_equal(write(fd, "x", 1), 1); }

static void hear(int fd) {
    char c;
    assert_int_equal(read(fd, &c, 1), 1);
}

/* Reads a row of a version, says so, and once it hears that it may, the rest: all of it, or that it is too late. 0: as
 * it should be. */
static int read_slowly(const char *path, int in, int out) {
    hither_db *db;
    hither_collection *c;
    hither_cursor *cursor;
    hither_result *rows;
    char byte;
    const hither_db_options reading = {.size = sizeof reading, .flags = HITHER_OPEN_READONLY};
    if (hither_db_open(path, &reading, &db, NULL) != HITHER_OK ||
        hither_collection_open(db, "c", NULL, &c, NULL) != HITHER_OK ||
        hither_collection_scan(c, NULL, HITHER_INCLUDE_DOCUMENTS, &cursor, NULL) != HITHER_OK ||
        hither_cursor_next(cursor, 1, &rows, NULL) != HITHER_OK)
        return 1;
    hither_result_free(rows);
    if (write(out, "x", 1) != 1 || read(in, &byte, 1) != 1)
        return 2;
    hither_status status = hither_cursor_next(cursor, 10 * PLENTY, &rows, NULL);
    if (status == HITHER_OK) {
        size_t count = hither_result_count(rows, 0);
        hither_result_free(rows);
        if (count != PLENTY / 2 - 1)
            return 3;
    } else if (status != HITHER_STALE) {
        return 4;
    }
    hither_cursor_close(cursor);
    hither_collection_close(c);
    hither_db_close(db);
    return 0;
}

static void test_beside_a_process(void **state) {
    (void)state;
    char *path = test_path();
    int there[2], back[2], ended = -1;
    hither_db *db;
    OK(hither_db_open(path, NULL, &db, &err));
    hither_collection *c = open_in(db, "c");
    write_and_delete(c);
    hither_collection_close(c);
    hither_db_close(db);
    assert_int_equal(pipe(there) + pipe(back), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(read_slowly(path, there[0], back[1]));
    assert_true(child > 0);
    hear(back[0]);
    OK(hither_db_open(path, NULL, &db, &err));
    const hither_work_options once = {.size = sizeof once, .wait_ms = 1};
    hither_status status = hither_db_purge(db, &once, &err);
    assert_true(status == HITHER_OK || status == HITHER_BUSY);
    if (status == HITHER_OK)
        assert_int_equal(count_in_tree(path), 0);
    say(there[1]);
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_int_equal(ended, 0);
    OK(hither_db_purge(db, &once, &err));
    assert_int_equal(count_in_tree(path), 0);
    OK(hither_db_verify(db, NULL, &err));
    hither_db_close(db);
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
    test_remove_tree(path);
}

static int at_once(void *ctx, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    return ++*(int *)ctx > 2;
}

static void test_refusals(void **state) {
    (void)state;
    hither_db *db;
    int calls = 0;
    assert_int_equal(hither_db_purge(NULL, NULL, &err), HITHER_INVALID);
    OK(hither_db_open(":memory:", NULL, &db, &err));
    hither_collection *c = open_in(db, "c");
    write_and_delete(c);
    const hither_work_options impatient = {.size = sizeof impatient, .progress = at_once, .ctx = &calls};
    assert_int_equal(hither_db_purge(db, &impatient, &err), HITHER_INTERRUPTED);
    OK(hither_db_verify(db, NULL, &err));
    OK(hither_db_purge(db, NULL, &err));
    OK(hither_db_verify(db, NULL, &err));
    hither_collection_close(c);
    hither_db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_byte_is_left),  cmocka_unit_test(test_caches_after), cmocka_unit_test(test_busy),
        cmocka_unit_test(test_beside_a_process), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
