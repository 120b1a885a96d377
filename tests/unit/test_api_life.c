/*
 * test_api_life.c: databases and collections through hither.h, every test in memory and on disk: making, opening,
 * naming, dropping, describing, verifying; read-only handles that follow a writer; handles in a forked child.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "place.h"

/* ---- collections */

static hither_status open_collection(hither_db *db, const char *name, hither_collection_options o) {
    hither_collection *c = (hither_collection *)db;
    o.size = sizeof o;
    hither_status status = hither_collection_open(db, name, &o, &c, &err);
    if (status == HITHER_OK)
        hither_collection_close(c);
    else
        assert_null(c);
    return status;
}

static void collection_options(void **state) {
    place *p = *state;
    char name[HITHER_MAX_NAME_BYTES + 2];
    memset(name, 'n', sizeof name);
    name[HITHER_MAX_NAME_BYTES + 1] = '\0';
    hither_collection_options good = {.dim = DIM};
    const char *const names[] = {"", "a/b", "tab\t", "bad\xff", "\x7f", "\xc2\x85", name, NULL};
    for (size_t i = 0; i < 8; i++)
        ASSERT_FAILS(open_collection(p->db, names[i], good), HITHER_INVALID);
    name[HITHER_MAX_NAME_BYTES] = '\0';
    ASSERT_OK(open_collection(p->db, name, good));
    ASSERT_OK(open_collection(p->db, "\xc3\xa9 x", good));
    ASSERT_FAILS(open_collection(p->db, "new", (hither_collection_options){0}), HITHER_INVALID);
    ASSERT_FAILS(open_collection(p->db, "new", (hither_collection_options){.dim = HITHER_MAX_DIM + 1}),
                 HITHER_DIMENSION);
    ASSERT_FAILS(open_collection(p->db, "new", (hither_collection_options){.dim = 3, .metric = HITHER_HAMMING}),
                 HITHER_INVALID);
    ASSERT_FAILS(open_collection(p->db, "new", (hither_collection_options){.dim = 3, .metric = (hither_metric)9}),
                 HITHER_INVALID);
    ASSERT_FAILS(open_collection(p->db, "new", (hither_collection_options){.dim = 3, .dtype = HITHER_F64}),
                 HITHER_UNSUPPORTED);
    ASSERT_FAILS(open_collection(p->db, "new", (hither_collection_options){.dim = 3, .dtype = (hither_dtype)9}),
                 HITHER_INVALID);
    ASSERT_FAILS(
        open_collection(p->db, "new", (hither_collection_options){.dim = 3, .flags = HITHER_COLLECTION_EXISTING}),
        HITHER_NOT_FOUND);
    ASSERT_FAILS(open_collection(p->db, "new", (hither_collection_options){.dim = 3, .flags = 3}), HITHER_INVALID);
    ASSERT_FAILS(open_collection(p->db, "new", (hither_collection_options){.dim = 3, .flags = 8}), HITHER_UNSUPPORTED);
    ASSERT_FAILS(open_collection(p->db, "notes", (hither_collection_options){.dim = 4}), HITHER_DIMENSION);
    ASSERT_FAILS(open_collection(p->db, "notes", (hither_collection_options){.metric = HITHER_L2}), HITHER_INVALID);
    ASSERT_FAILS(open_collection(p->db, "notes", (hither_collection_options){.flags = HITHER_COLLECTION_NEW}),
                 HITHER_EXISTS);
    ASSERT_OK(open_collection(p->db, "notes", (hither_collection_options){.metric = HITHER_COSINE}));
    ASSERT_OK(open_collection(p->db, "wide", (hither_collection_options){.dim = HITHER_MAX_DIM}));
    hither_result *r;
    ASSERT_OK(hither_db_list(p->db, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 4);
    const char *const listed[] = {name, "notes", "wide", "\xc3\xa9 x"};
    for (size_t i = 0; i < 4; i++)
        assert_text(hither_result_ids(r, 0).strings, i, listed[i]);
    assert_text(hither_result_metadata(r, 0), 1,
                "{\"dim\":3,\"dtype\":\"f32\",\"metric\":\"cosine\",\"id_kind\":null,\"count\":0,\"embedder\":null}");
    hither_result_free(r);
}

static void drop_and_rename(void **state) {
    place *p = *state;
    put_three(p->c);
    hither_collection *other;
    hither_cursor *cursor;
    hither_result *r;
    uint64_t n;
    ASSERT_OK(
        hither_collection_open(p->db, "other", HITHER_OPTIONS(hither_collection_options, .dim = DIM), &other, &err));
    ASSERT_FAILS(hither_db_rename(p->db, "other", "notes", &err), HITHER_EXISTS);
    ASSERT_FAILS(hither_db_rename(p->db, "nothing", "x", &err), HITHER_NOT_FOUND);
    ASSERT_FAILS(hither_db_rename(p->db, "other", "a/b", &err), HITHER_INVALID);
    ASSERT_OK(hither_db_rename(p->db, "notes", "letters", &err));
    ASSERT_OK(hither_db_rename(p->db, "letters", "letters", &err));
    assert_three(p->c); /* the handle goes on */
    ASSERT_OK(hither_collection_info(p->c, &r, &err));
    assert_text(hither_result_ids(r, 0).strings, 0, "letters");
    hither_result_free(r);
    ASSERT_OK(hither_collection_scan(p->c, NULL, 0, &cursor, &err));
    ASSERT_FAILS(hither_db_drop(p->db, "notes", &err), HITHER_NOT_FOUND);
    ASSERT_OK(hither_db_drop(p->db, "letters", &err));
    ASSERT_FAILS(hither_collection_count(p->c, NULL, &n, &err), HITHER_NOT_FOUND);
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, three_ids, 3, three_vectors, NULL, NULL, NULL), HITHER_NOT_FOUND);
    ASSERT_FAILS(hither_cursor_next(cursor, 1, &r, &err), HITHER_NOT_FOUND);
    hither_cursor_close(cursor);
    hither_query query = {.size = sizeof query, .vectors = test_matrix(three_vectors, 1, DIM)};
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, &r, &err), HITHER_NOT_FOUND);
    ASSERT_FAILS(hither_collection_info(p->c, &r, &err), HITHER_NOT_FOUND);
    /* The name is free again, and what is made under it is new. */
    hither_collection *fresh = open_notes(p->db);
    assert_int_equal(count_of(fresh), 0);
    put_three(fresh);
    assert_three(fresh);
    hither_collection_close(other);
    hither_collection_close(p->c);
    p->c = fresh;
    reopen(p);
    assert_three(p->c);
}

static void info_and_verify(void **state) {
    place *p = *state;
    put_three(p->c);
    hither_result *r;
    ASSERT_OK(hither_db_info(p->db, &r, &err));
    hither_strings column = hither_result_metadata(r, 0);
    ht_text json = ht_strings_at(&column, 0);
    char *text = strndup(json.data, json.bytes);
    const char *const members[] = {"\"path\":",       "\"format\":1", "\"sqlite\":\"3.",   "\"readonly\":false",
                                   "\"durability\":", "\"catalog\":", "\"collections\":1", "\"simd\":"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        assert_non_null(strstr(text, members[i]));
    free(text);
    hither_result_free(r);
    ASSERT_OK(hither_db_flush(p->db, &err));
    ASSERT_OK(hither_db_verify(p->db, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 0);
    hither_result_free(r);
    ASSERT_OK(hither_db_verify(p->db, NULL, &err));
}

/* ---- opening */

static void opening(void **state) {
    place *p = *state;
    hither_db *db = p->db;
    ASSERT_FAILS(hither_db_open(NULL, NULL, &db, &err), HITHER_INVALID);
    assert_null(db);
    ASSERT_FAILS(hither_db_open("", NULL, &db, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_db_open(":memory:", NULL, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_db_open(":memory:", HITHER_OPTIONS(hither_db_options, .flags = 64), &db, &err),
                 HITHER_UNSUPPORTED);
    hither_db_close(NULL);
    hither_collection_close(NULL);
    hither_cursor_close(NULL);
    if (!p->disk)
        return;
    char *missing = test_path();
    ASSERT_FAILS(hither_db_open(missing, HITHER_OPTIONS(hither_db_options, .flags = HITHER_OPEN_EXISTING), &db, &err),
                 HITHER_NOT_FOUND);
    ASSERT_FAILS(hither_db_open(missing, HITHER_OPTIONS(hither_db_options, .flags = HITHER_OPEN_READONLY), &db, &err),
                 HITHER_NOT_FOUND);
    assert_int_not_equal(access(missing, F_OK), 0);
    FILE *file = fopen(missing, "w");
    assert_non_null(file);
    fputs("not a database", file);
    fclose(file);
    ASSERT_FAILS(hither_db_open(missing, NULL, &db, &err), HITHER_NOT_DATABASE);
    test_remove_tree(missing);
    ASSERT_FAILS(hither_db_open(p->path, NULL, &db, &err), HITHER_BUSY);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(err.message, pid));
}

static void readers_follow(void **state) {
    place *p = *state;
    if (!p->disk)
        return;
    put_three(p->c);
    hither_db *db = open_db(p, HITHER_OPEN_READONLY);
    hither_collection *c = open_notes(db), *none;
    assert_three(c);
    ASSERT_FAILS(put_ints(c, HITHER_UPSERT, three_ids, 1, three_vectors, NULL, NULL, NULL), HITHER_READONLY);
    hither_ids ids = test_int_ids(three_ids, 1);
    ASSERT_FAILS(hither_collection_delete(c, &ids, NULL, NULL, &err), HITHER_READONLY);
    ASSERT_FAILS(hither_db_drop(db, "notes", &err), HITHER_READONLY);
    ASSERT_FAILS(hither_db_rename(db, "notes", "x", &err), HITHER_READONLY);
    ASSERT_FAILS(hither_collection_open(db, "x", HITHER_OPTIONS(hither_collection_options, .dim = 3), &none, &err),
                 HITHER_READONLY);
    hither_cursor *cursor;
    ASSERT_OK(hither_collection_scan(c, NULL, 0, &cursor, &err));
    for (int64_t i = 0; i < 20; i++) {
        const float vector[] = {(float)i, 1, 2};
        ASSERT_OK(put_ints(p->c, HITHER_UPSERT, &(int64_t){i}, 1, vector, NULL, NULL, NULL));
        assert_row(c, i, vector, NULL, NULL);
    }
    ASSERT_OK(hither_collection_delete(p->c, &ids, NULL, NULL, &err));
    assert_int_equal(count_of(c), count_of(p->c));
    hither_result *r;
    ASSERT_OK(hither_cursor_next(cursor, 100, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 3);
    hither_result_free(r);
    hither_cursor_close(cursor);
    ASSERT_OK(hither_db_drop(p->db, "notes", &err));
    uint64_t n;
    ASSERT_FAILS(hither_collection_count(c, NULL, &n, &err), HITHER_NOT_FOUND);
    hither_collection_close(c);
    hither_db_close(db);
}

/* ---- fork */

static int in_child(place *p, hither_cursor *cursor) {
    uint64_t n;
    hither_result *r;
    hither_collection *c;
    hither_ids ids = test_int_ids(three_ids, 1);
    hither_query query = {.size = sizeof query, .vectors = test_matrix(three_vectors, 1, DIM)};
    int wrong = 0;
    wrong += hither_collection_count(p->c, NULL, &n, &err) != HITHER_FORKED;
    wrong += hither_collection_get(p->c, &ids, NULL, 0, &r, &err) != HITHER_FORKED;
    wrong += hither_collection_search(p->c, &query, 1, NULL, &r, &err) != HITHER_FORKED;
    wrong += hither_collection_delete(p->c, &ids, NULL, NULL, &err) != HITHER_FORKED;
    wrong += put_ints(p->c, HITHER_UPSERT, three_ids, 1, three_vectors, NULL, NULL, NULL) != HITHER_FORKED;
    wrong += hither_collection_info(p->c, &r, &err) != HITHER_FORKED;
    wrong += hither_cursor_next(cursor, 1, &r, &err) != HITHER_FORKED;
    wrong += hither_db_list(p->db, &r, &err) != HITHER_FORKED;
    wrong += hither_db_info(p->db, &r, &err) != HITHER_FORKED;
    wrong += hither_db_flush(p->db, &err) != HITHER_FORKED;
    wrong += hither_db_drop(p->db, "notes", &err) != HITHER_FORKED;
    wrong += hither_db_verify(p->db, NULL, &err) != HITHER_FORKED;
    wrong += hither_collection_open(p->db, "notes", NULL, &c, &err) != HITHER_FORKED;
    hither_cursor_close(cursor);
    hither_collection_close(p->c);
    hither_db_close(p->db);
    return wrong;
}

static void a_child_is_refused(void **state) {
    place *p = *state;
    put_three(p->c);
    hither_cursor *cursor;
    ASSERT_OK(hither_collection_scan(p->c, NULL, 0, &cursor, &err));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(in_child(p, cursor));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The parent's handles are as they were. */
    hither_cursor_close(cursor);
    assert_three(p->c);
    const int64_t more = 77;
    ASSERT_OK(put_ints(p->c, HITHER_INSERT, &more, 1, three_vectors, NULL, NULL, NULL));
    reopen(p);
    assert_int_equal(count_of(p->c), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(collection_options), BOTH(drop_and_rename),    BOTH(info_and_verify), BOTH(opening),
        BOTH(readers_follow),     BOTH(a_child_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
