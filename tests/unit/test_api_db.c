/*
 * test_api_db.c: rows through hither.h, every test in memory and on disk: each mode of writing, getting, searching and
 * scanning, each error with its status and that nothing changed, ids of both kinds, limits at, below and above.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

/* ---- writing */

static void insert_get_reopen(void **state) {
    place *p = *state;
    assert_int_equal(count_of(p->c), 0);
    put_three(p->c);
    assert_three(p->c);
    reopen(p);
    assert_three(p->c);
    hither_result *r;
    const int64_t asked[] = {30, 99, 10, 30};
    hither_ids ids = test_int_ids(asked, 4);
    ASSERT_OK(hither_collection_get(p->c, &ids, NULL, 0, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 3);
    const int64_t wanted[] = {30, 10, 30};
    assert_memory_equal(hither_result_ids(r, 0).ints, wanted, sizeof wanted);
    assert_text(hither_result_documents(r, 0), 1, "one");
    assert_null(hither_result_vectors(r, 0).data);
    assert_null(hither_result_distances(r, 0));
    hither_result_free(r);
    ASSERT_OK(hither_collection_get(p->c, &ids, NULL, HITHER_INCLUDE_NOTHING, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 3);
    assert_int_equal(hither_result_metadata(r, 0).count, 0);
    hither_result_free(r);
}

static void insert_refuses_known_and_repeated(void **state) {
    place *p = *state;
    put_three(p->c);
    const int64_t known[] = {40, 20}, repeated[] = {40, 50, 40};
    ASSERT_FAILS(put_ints(p->c, HITHER_INSERT, known, 2, three_vectors, NULL, NULL, NULL), HITHER_EXISTS);
    assert_non_null(strstr(err.message, "row 1"));
    assert_non_null(strstr(err.message, "20"));
    ASSERT_FAILS(put_ints(p->c, HITHER_INSERT, repeated, 3, three_vectors, NULL, NULL, NULL), HITHER_EXISTS);
    assert_non_null(strstr(err.message, "row 2"));
    assert_three(p->c);
    reopen(p);
    assert_three(p->c);
    /* The write that failed left nothing in the way of the next. */
    const int64_t fresh[] = {40, 50};
    ASSERT_OK(put_ints(p->c, HITHER_INSERT, fresh, 2, three_vectors, NULL, NULL, NULL));
    reopen(p);
    assert_int_equal(count_of(p->c), 5);
    assert_row(p->c, 40, three_vectors, NULL, NULL);
}

static void upsert_replaces_and_last_wins(void **state) {
    place *p = *state;
    put_three(p->c);
    const int64_t ids[] = {20, 40, 20};
    const float vectors[] = {9, 9, 9, 1, 2, 3, 7, 8, 9};
    const char *const documents[] = {"lost", "four", "two again"};
    size_t written = 0;
    ASSERT_OK(put_ints(p->c, HITHER_UPSERT, ids, 3, vectors, NULL, documents, &written));
    assert_int_equal(written, 2);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(count_of(p->c), 4);
        assert_row(p->c, 20, vectors + 6, NULL, "two again");
        assert_row(p->c, 40, vectors + 3, NULL, "four");
        assert_row(p->c, 10, three_vectors, three_metadata[0], "one");
        reopen(p);
    }
}

static void update_merges(void **state) {
    place *p = *state;
    put_three(p->c);
    const int64_t unknown[] = {10, 77};
    ASSERT_FAILS(put_ints(p->c, HITHER_UPDATE, unknown, 2, three_vectors, NULL, NULL, NULL), HITHER_NOT_FOUND);
    assert_non_null(strstr(err.message, "77"));
    assert_three(p->c);

    const char *const patch[] = {"{\"b\":true}", "{\"c\":null}"};
    ASSERT_OK(put_ints(p->c, HITHER_UPDATE, three_ids, 2, NULL, patch, NULL, NULL));
    assert_row(p->c, 10, three_vectors, "{\"a\":1,\"b\":true}", "one");
    assert_row(p->c, 20, three_vectors + DIM, "{\"c\":null}", "two");

    const char *const documents[] = {NULL, "zwei"};
    ASSERT_OK(put_ints(p->c, HITHER_UPDATE, three_ids, 2, three_vectors + DIM, NULL, documents, NULL));
    reopen(p);
    assert_row(p->c, 10, three_vectors + DIM, "{\"a\":1,\"b\":true}", "one");
    assert_row(p->c, 20, three_vectors + 2 * DIM, "{\"c\":null}", "zwei");

    /* One id several times: one after another. */
    const int64_t same[] = {30, 30, 30};
    const char *const patches[] = {"{\"x\":1}", NULL, "{\"y\":2,\"a\":4}"}, *const texts[] = {"first", "second", NULL};
    size_t written = 0;
    ASSERT_OK(put_ints(p->c, HITHER_UPDATE, same, 3, NULL, patches, texts, &written));
    assert_int_equal(written, 1);
    reopen(p);
    assert_row(p->c, 30, three_vectors + 2 * DIM, "{\"a\":4,\"b\":[1,2],\"x\":1,\"y\":2}", "second");
    assert_int_equal(count_of(p->c), 3);
}

static void deleting(void **state) {
    place *p = *state;
    put_three(p->c);
    const int64_t gone[] = {30, 31, 10, 30};
    hither_ids ids = test_int_ids(gone, 4);
    size_t deleted = 0;
    ASSERT_OK(hither_collection_delete(p->c, &ids, NULL, &deleted, &err));
    assert_int_equal(deleted, 2);
    ASSERT_OK(hither_collection_delete(p->c, &ids, NULL, &deleted, &err));
    assert_int_equal(deleted, 0);
    reopen(p);
    assert_int_equal(count_of(p->c), 1);
    assert_row(p->c, 20, three_vectors + DIM, NULL, "two");
    /* A deleted id may come back. */
    ASSERT_OK(put_ints(p->c, HITHER_INSERT, gone, 1, three_vectors, NULL, NULL, NULL));
    reopen(p);
    assert_int_equal(count_of(p->c), 2);
    assert_row(p->c, 30, three_vectors, NULL, NULL);
}

static void bad_batches_change_nothing(void **state) {
    place *p = *state;
    put_three(p->c);
    const int64_t ids[] = {40, 50};
    float bad[] = {1, 2, 3, 4, NAN, 6};
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, bad, NULL, NULL, NULL), HITHER_NOT_FINITE);
    assert_non_null(strstr(err.message, "row 1, column 1"));
    bad[4] = -INFINITY;
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, bad, NULL, NULL, NULL), HITHER_NOT_FINITE);
    bad[4] = 5;
    const char *const broken[] = {"{\"a\":1}", "{\"a\":"}, *const array[] = {"[1]", NULL}, *const empty[] = {"", NULL};
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, bad, broken, NULL, NULL), HITHER_SYNTAX);
    assert_non_null(strstr(err.message, "row 1"));
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, bad, array, NULL, NULL), HITHER_SYNTAX);
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, bad, empty, NULL, NULL), HITHER_SYNTAX);
    const char *const latin[] = {"ok", "caf\xe9"};
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, bad, NULL, latin, NULL), HITHER_ENCODING);
    assert_non_null(strstr(err.message, "row 1"));
    ASSERT_FAILS(put_ints(p->c, (hither_mode)9, ids, 2, bad, NULL, NULL, NULL), HITHER_INVALID);
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, NULL, NULL, NULL, NULL), HITHER_INVALID);
    const char *const texts[] = {"a", "b"}, *const half[] = {"a", NULL};
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, NULL, NULL, texts, NULL), HITHER_MODEL);
    ASSERT_FAILS(put_ints(p->c, HITHER_UPSERT, ids, 2, NULL, NULL, half, NULL), HITHER_INVALID);

    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, 2), .vectors = test_matrix(bad, 2, DIM - 1)};
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_DIMENSION);
    b.vectors = test_matrix(bad, 1, DIM);
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    b.vectors = test_matrix(bad, 2, DIM);
    b.vectors.stride = 4;
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    b.vectors.stride = 13;
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    b.vectors = test_matrix(bad, 2, DIM);
    b.vectors.dtype = HITHER_F16;
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_UNSUPPORTED);
    b.vectors.dtype = (hither_dtype)77;
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    b.vectors = test_matrix(NULL, 2, DIM);
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    b.vectors = test_matrix(bad, 2, DIM);
    test_column one;
    b.metadata = test_strings(&one, 1, three_metadata);
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    b.metadata = (hither_strings){0};
    b.size = 4;
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_UPSERT, NULL, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_collection_put(NULL, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    assert_three(p->c);
    reopen(p);
    assert_three(p->c);
    /* An empty batch is no error. */
    size_t written = 9;
    ASSERT_OK(put_ints(p->c, HITHER_INSERT, ids, 0, NULL, NULL, NULL, &written));
    assert_int_equal(written, 0);
}

static void wide_and_strided_vectors(void **state) {
    place *p = *state;
    const int64_t ids[] = {1, 2};
    double wide[] = {0.1, 0.2, 0.3, -1, 1e300, 5, 6, -1};
    hither_batch b = {
        .size = sizeof b,
        .ids = test_int_ids(ids, 2),
        .vectors = {.data = wide, .rows = 2, .dim = DIM, .stride = 4 * sizeof(double), .dtype = HITHER_F64}};
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_INSERT, &b, NULL, &err), HITHER_NOT_FINITE);
    assert_non_null(strstr(err.message, "row 1, column 0"));
    assert_int_equal(count_of(p->c), 0);
    wide[4] = 4;
    ASSERT_OK(hither_collection_put(p->c, HITHER_INSERT, &b, NULL, &err));
    assert_row(p->c, 1, (const float[]){0.1f, 0.2f, 0.3f}, NULL, NULL);
    assert_row(p->c, 2, (const float[]){4, 5, 6}, NULL, NULL);

    const float narrow[] = {1, 2, 3, -1, 7, 8, 9, -1, -1};
    b.vectors = (hither_matrix){.data = narrow, .rows = 2, .dim = DIM, .stride = 16, .dtype = HITHER_F32};
    ASSERT_OK(hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err));
    assert_row(p->c, 1, narrow, NULL, NULL);
    assert_row(p->c, 2, narrow + 4, NULL, NULL);
}

/* ---- ids */

static hither_status put_text(hither_collection *c, hither_mode mode, const char *const *ids, size_t n) {
    test_column column;
    static const float zeros[HT_TEST_ROWS * DIM];
    hither_batch b = {.size = sizeof b, .vectors = test_matrix(zeros, n, DIM)};
    b.ids = (hither_ids){.strings = test_strings(&column, n, ids), .count = n};
    return hither_collection_put(c, mode, &b, NULL, &err);
}

static void text_ids(void **state) {
    place *p = *state;
    char longest[HITHER_MAX_ID_BYTES + 2];
    memset(longest, 'x', sizeof longest);
    longest[HITHER_MAX_ID_BYTES + 1] = '\0';
    const char *too_long[] = {"a", longest}, *empty[] = {"a", ""}, *missing[] = {"a", NULL}, *bytes[] = {"a", "\xff"};
    ASSERT_FAILS(put_text(p->c, HITHER_INSERT, too_long, 2), HITHER_TOO_LARGE);
    ASSERT_FAILS(put_text(p->c, HITHER_INSERT, empty, 2), HITHER_INVALID);
    ASSERT_FAILS(put_text(p->c, HITHER_INSERT, missing, 2), HITHER_INVALID);
    ASSERT_FAILS(put_text(p->c, HITHER_INSERT, bytes, 2), HITHER_ENCODING);
    assert_int_equal(count_of(p->c), 0);
    longest[HITHER_MAX_ID_BYTES] = '\0';
    const char *good[] = {longest, "b", "\xc3\xa9t\xc3\xa9", "quote'\"\\"};
    ASSERT_OK(put_text(p->c, HITHER_INSERT, good, 4));
    ASSERT_FAILS(put_text(p->c, HITHER_INSERT, good + 1, 2), HITHER_EXISTS);
    assert_non_null(strstr(err.message, "'b'"));
    reopen(p);
    assert_int_equal(count_of(p->c), 4);
    test_column column;
    hither_ids ids = {.strings = test_strings(&column, 4, good), .count = 4};
    hither_result *r;
    ASSERT_OK(hither_collection_get(p->c, &ids, NULL, HITHER_INCLUDE_NOTHING, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 4);
    for (size_t i = 0; i < 4; i++)
        assert_text(hither_result_ids(r, 0).strings, i, good[i]);
    assert_null(hither_result_ids(r, 0).ints);
    hither_result_free(r);
    /* The other kind is refused everywhere. */
    ASSERT_FAILS(put_ints(p->c, HITHER_INSERT, three_ids, 1, three_vectors, NULL, NULL, NULL), HITHER_INVALID);
    hither_ids ints = test_int_ids(three_ids, 1);
    ASSERT_FAILS(hither_collection_get(p->c, &ints, NULL, 0, &r, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_collection_delete(p->c, &ints, NULL, NULL, &err), HITHER_INVALID);
    assert_int_equal(count_of(p->c), 4);
}

static void integer_ids_at_the_ends(void **state) {
    place *p = *state;
    const int64_t ids[] = {INT64_MIN, -1, INT64_MAX};
    ASSERT_OK(put_ints(p->c, HITHER_INSERT, ids, 3, three_vectors, NULL, NULL, NULL));
    const char *text[] = {"1"};
    ASSERT_FAILS(put_text(p->c, HITHER_UPSERT, text, 1), HITHER_INVALID);
    reopen(p);
    for (size_t i = 0; i < 3; i++)
        assert_row(p->c, ids[i], three_vectors + i * DIM, NULL, NULL);
}

static void texts_at_their_limits(void **state) {
    place *p = *state;
    char *big = malloc(HITHER_MAX_TEXT_BYTES + 1);
    memset(big, 'a', HITHER_MAX_TEXT_BYTES + 1);
    uint64_t offsets[] = {0, HITHER_MAX_TEXT_BYTES + 1};
    hither_batch b = {
        .size = sizeof b, .ids = test_int_ids(three_ids, 1), .vectors = test_matrix(three_vectors, 1, DIM)};
    b.documents = (hither_strings){.bytes = big, .offsets = offsets, .count = 1};
    ASSERT_FAILS(hither_collection_put(p->c, HITHER_INSERT, &b, NULL, &err), HITHER_TOO_LARGE);
    assert_int_equal(count_of(p->c), 0);
    offsets[1]--;
    ASSERT_OK(hither_collection_put(p->c, HITHER_INSERT, &b, NULL, &err));
    reopen(p);
    hither_result *r;
    ASSERT_OK(hither_collection_get(p->c, &b.ids, NULL, 0, &r, &err));
    hither_strings documents = hither_result_documents(r, 0);
    ht_text back = ht_strings_at(&documents, 0);
    assert_int_equal(back.bytes, HITHER_MAX_TEXT_BYTES);
    assert_int_equal(memcmp(back.data, big, back.bytes), 0);
    hither_result_free(r);
    for (int over = 0; over < 2; over++) { /* nesting: the limit, and one more */
        size_t depth = HITHER_MAX_JSON_DEPTH + (size_t)over, at = 0;
        for (size_t i = 0; i < depth; i++)
            at += (size_t)sprintf(big + at, "{\"a\":");
        at += (size_t)sprintf(big + at, "1");
        for (size_t i = 0; i < depth; i++)
            big[at++] = '}';
        offsets[1] = at;
        b.documents = (hither_strings){0};
        b.metadata = (hither_strings){.bytes = big, .offsets = offsets, .count = 1};
        hither_status status = hither_collection_put(p->c, HITHER_UPSERT, &b, NULL, &err);
        assert_true(over ? status != HITHER_OK : status == HITHER_OK);
    }
    free(big);
}

/* ---- searching */

static void search_vectors(void **state) {
    place *p = *state;
    hither_result *r;
    const float q[] = {1, 0.1f, 0, 0, 0, 0};
    hither_query query = {.size = sizeof query, .vectors = test_matrix(q, 2, DIM)};
    ASSERT_OK(hither_collection_search(p->c, &query, 5, NULL, &r, &err)); /* of an empty collection */
    assert_int_equal(hither_result_groups(r), 2);
    assert_int_equal(hither_result_count(r, 0), 0);
    hither_result_free(r);
    put_three(p->c);
    for (int again = 0; again < 2; again++) {
        ASSERT_OK(hither_collection_search(p->c, &query, HITHER_MAX_K, NULL, &r, &err));
        assert_int_equal(hither_result_groups(r), 2);
        assert_int_equal(hither_result_count(r, 0), 3);
        const int64_t nearest[] = {10, 30, 20}, ties[] = {10, 20, 30};
        assert_memory_equal(hither_result_ids(r, 0).ints, nearest, sizeof nearest);
        assert_memory_equal(hither_result_ids(r, 1).ints, ties, sizeof ties); /* zero query: all at 1 */
        assert_true(hither_result_distances(r, 1)[2] == 1.0f);
        assert_true(hither_result_distances(r, 0)[0] < hither_result_distances(r, 0)[1]);
        assert_text(hither_result_documents(r, 0), 0, "one");
        assert_text(hither_result_metadata(r, 0), 1, three_metadata[2]);
        assert_non_null(strstr(hither_result_plan(r), "\"kind\":\"exact\""));
        hither_result_free(r);
        reopen(p);
    }
    ASSERT_OK(hither_collection_search(
        p->c, &query, 2, HITHER_OPTIONS(hither_search_options, .include = HITHER_INCLUDE_VECTORS), &r, &err));
    assert_int_equal(hither_result_count(r, 1), 2);
    assert_memory_equal(hither_result_vectors(r, 0).data, three_vectors, DIM * sizeof(float));
    assert_int_equal(hither_result_documents(r, 0).count, 0);
    hither_result_free(r);
}

static void search_by_ids(void **state) {
    place *p = *state;
    put_three(p->c);
    hither_result *r;
    const int64_t asked[] = {20, 10};
    hither_query query = {.size = sizeof query, .ids = test_int_ids(asked, 2)};
    ASSERT_OK(hither_collection_search(p->c, &query, 1, NULL, &r, &err));
    assert_int_equal(hither_result_ids(r, 0).ints[0], 20);
    assert_int_equal(hither_result_ids(r, 1).ints[0], 10);
    hither_result_free(r);
    const int64_t unknown[] = {20, 11};
    query.ids = test_int_ids(unknown, 2);
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, &r, &err), HITHER_NOT_FOUND);
    assert_non_null(strstr(err.message, "11"));
}

static void bad_searches(void **state) {
    place *p = *state;
    put_three(p->c);
    hither_result *r = (hither_result *)p;
    float q[] = {1, 2, 3, 4};
    hither_query query = {.size = sizeof query, .vectors = test_matrix(q, 1, DIM)};
    ASSERT_FAILS(hither_collection_search(p->c, &query, 0, NULL, &r, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_collection_search(p->c, &query, HITHER_MAX_K + 1, NULL, &r, &err), HITHER_TOO_LARGE);
    ASSERT_FAILS(hither_collection_search(p->c, NULL, 1, NULL, &r, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(
        hither_collection_search(p->c, &query, 1, HITHER_OPTIONS(hither_search_options, .include = 64), &r, &err),
        HITHER_UNSUPPORTED);
    query.ids = test_int_ids(three_ids, 1);
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, &r, &err), HITHER_INVALID);
    query.ids = (hither_ids){0};
    query.vectors.dim = 4;
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, &r, &err), HITHER_DIMENSION);
    query.vectors.dim = 0;
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, &r, &err), HITHER_DIMENSION);
    query.vectors.dim = DIM;
    q[2] = NAN;
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, &r, &err), HITHER_NOT_FINITE);
    query.vectors = (hither_matrix){0};
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, &r, &err), HITHER_INVALID);
    test_column texts;
    query.texts = test_strings(&texts, 1, three_documents);
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, NULL, &r, &err), HITHER_MODEL);
    struct {
        hither_search_options known;
        uint64_t future;
    } later = {.known = {.size = sizeof later}, .future = 1};
    query = (hither_query){.size = sizeof query, .ids = test_int_ids(three_ids, 1)};
    ASSERT_FAILS(hither_collection_search(p->c, &query, 1, &later.known, &r, &err), HITHER_UNSUPPORTED);
    assert_ptr_equal(r, p); /* outputs are written only on success */
    later.future = 0;
    ASSERT_OK(hither_collection_search(p->c, &query, 1, &later.known, &r, &err));
    hither_result_free(r);
    assert_three(p->c);
}

static void texts_are_embedded(void **state) {
    place *p = *state;
    hither_embedder *e;
    ASSERT_OK(hither_embedder_builtin(&e, &err));
    hither_collection *c, *again;
    ASSERT_FAILS(hither_collection_open(p->db, "t", HITHER_OPTIONS(hither_collection_options, .embedder = e, .dim = 3),
                                        &c, &err),
                 HITHER_DIMENSION);
    ASSERT_OK(hither_collection_open(p->db, "t", HITHER_OPTIONS(hither_collection_options, .embedder = e), &c, &err));
    ASSERT_FAILS(
        hither_collection_open(p->db, "notes", HITHER_OPTIONS(hither_collection_options, .embedder = e), &again, &err),
        HITHER_DIMENSION);
    /* A collection made without it does not take it later, whatever the dimension. */
    ASSERT_OK(
        hither_collection_open(p->db, "plain", HITHER_OPTIONS(hither_collection_options, .dim = 384), &again, &err));
    hither_collection_close(again);
    ASSERT_FAILS(
        hither_collection_open(p->db, "plain", HITHER_OPTIONS(hither_collection_options, .embedder = e), &again, &err),
        HITHER_MODEL);
    assert_null(again);
    hither_embedder_close(e);
    const char *const texts[] = {"the quick brown fox", "a slow red turtle", ""}, *const asked[] = {"quick foxes"};
    test_column column;
    hither_batch b = {
        .size = sizeof b, .ids = test_int_ids(three_ids, 3), .documents = test_strings(&column, 3, texts)};
    ASSERT_OK(hither_collection_put(c, HITHER_INSERT, &b, NULL, &err));
    hither_collection_close(c);
    reopen(p);
    ASSERT_OK(hither_collection_open(p->db, "t", NULL, &c, &err)); /* finds the built-in embedder by itself */
    hither_result *r;
    test_column queries;
    hither_query query = {.size = sizeof query, .texts = test_strings(&queries, 1, asked)};
    ASSERT_OK(hither_collection_search(c, &query, 1, NULL, &r, &err));
    assert_int_equal(hither_result_ids(r, 0).ints[0], 10);
    assert_text(hither_result_documents(r, 0), 0, texts[0]);
    hither_result_free(r);
    /* A new document brings a new vector, a row without one keeps its own. */
    const char *const changed[] = {NULL, "quick foxes", NULL};
    b.documents = test_strings(&column, 3, changed);
    ASSERT_OK(hither_collection_put(c, HITHER_UPDATE, &b, NULL, &err));
    ASSERT_OK(hither_collection_search(c, &query, 2, NULL, &r, &err));
    const int64_t order[] = {20, 10};
    assert_memory_equal(hither_result_ids(r, 0).ints, order, sizeof order);
    assert_true(hither_result_distances(r, 0)[0] < 1e-6f);
    assert_text(hither_result_documents(r, 0), 1, texts[0]);
    hither_result_free(r);
    hither_collection_close(c);
}

/* ---- scanning */

static void scan_sees_one_version(void **state) {
    place *p = *state;
    enum { ROWS = 300 };
    static int64_t ids[ROWS];
    static float vectors[ROWS * DIM];
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)(i * 7919 % 1009);
        vectors[i * DIM] = (float)i;
    }
    ASSERT_OK(put_ints(p->c, HITHER_INSERT, ids, ROWS, vectors, NULL, NULL, NULL));
    reopen(p);
    hither_cursor *cursor;
    hither_result *r;
    ASSERT_OK(hither_collection_scan(p->c, NULL, HITHER_INCLUDE_VECTORS, &cursor, &err));
    hither_ids half = test_int_ids(ids, ROWS / 2);
    ASSERT_OK(hither_collection_delete(p->c, &half, NULL, NULL, &err));
    ASSERT_OK(put_ints(p->c, HITHER_UPSERT, ids + ROWS - 2, 1, vectors, NULL, NULL, NULL));
    ASSERT_FAILS(hither_cursor_next(cursor, 0, &r, &err), HITHER_INVALID);
    size_t seen = 0;
    for (;;) {
        ASSERT_OK(hither_cursor_next(cursor, 7, &r, &err));
        size_t n = hither_result_count(r, 0);
        for (size_t i = 0; i < n; i++, seen++) {
            assert_int_equal(hither_result_ids(r, 0).ints[i], ids[seen]);
            assert_true(((const float *)hither_result_vectors(r, 0).data)[i * DIM] == (float)seen);
        }
        hither_result_free(r);
        if (n == 0)
            break;
        assert_true(n == 7 || seen == ROWS);
    }
    assert_int_equal(seen, ROWS);
    hither_cursor_close(cursor);
    /* An updated row moved to the end; the handles may be closed in any order. */
    ASSERT_OK(hither_collection_scan(p->c, NULL, HITHER_INCLUDE_NOTHING, &cursor, &err));
    hither_collection_close(p->c);
    hither_db_close(p->db);
    ASSERT_OK(hither_cursor_next(cursor, 1000, &r, &err));
    assert_int_equal(hither_result_count(r, 0), ROWS / 2);
    assert_int_equal(hither_result_ids(r, 0).ints[ROWS / 2 - 2], ids[ROWS - 1]);
    assert_int_equal(hither_result_ids(r, 0).ints[ROWS / 2 - 1], ids[ROWS - 2]);
    hither_result_free(r);
    hither_cursor_close(cursor);
    p->db = open_db(p, 0);
    p->c = open_notes(p->db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(insert_get_reopen),
        BOTH(insert_refuses_known_and_repeated),
        BOTH(upsert_replaces_and_last_wins),
        BOTH(update_merges),
        BOTH(deleting),
        BOTH(bad_batches_change_nothing),
        BOTH(wide_and_strided_vectors),
        BOTH(text_ids),
        BOTH(integer_ids_at_the_ends),
        BOTH(texts_at_their_limits),
        BOTH(search_vectors),
        BOTH(search_by_ids),
        BOTH(bad_searches),
        BOTH(texts_are_embedded),
        BOTH(scan_sees_one_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
