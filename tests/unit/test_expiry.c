/*
 * test_expiry.c: rows that end by themselves, by a clock that the test sets: in no answer from their moment on, removed
 * by expire and compaction, their ids free; and nothing of it where nobody asked for it.
 */
#include <string.h>

#include "engine/expiry.h"
#include "place.h"

#define NOW 2000000000 /* seconds */

static void set_clock(int64_t seconds) { atomic_store(&ht_expiry_clock, seconds * 1000); }

static int tear_down(void **state) {
    set_clock(0);
    return place_tear_down(state);
}

#define BOTH_PLACES(test)                                                                                              \
    {#test " in memory", test, place_set_up, tear_down, NULL}, {                                                       \
#test " on disk", test, place_set_up, tear_down, (void *)"disk"                                                \
    }

static const int64_t ids[4] = {1, 2, 3, 4};
static const float vectors[4 * DIM] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1};
/* gone at NOW + 10; for ever; at NOW + 20.5; no number: for ever */
static const char *const metadata[4] = {"{\"_expires\":2000000010}", "{\"a\":1}", "{\"_expires\":2000000020.5,\"a\":1}",
                                        "{\"_expires\":\"soon\"}"};

static void put_four(hither_collection *c) {
    assert_int_equal(put_ints(c, HITHER_UPSERT, ids, 4, vectors, metadata, NULL, NULL), HITHER_OK);
}

static size_t found(hither_collection *c, const char *where) {
    const hither_query q = {.size = sizeof q, .vectors = test_matrix(vectors, 1, DIM)};
    hither_search_options o = {.size = sizeof o, .where = where};
    hither_result *r;
    assert_int_equal(hither_collection_search(c, &q, 10, &o, &r, &err), HITHER_OK);
    size_t n = hither_result_count(r, 0);
    hither_result_free(r);
    return n;
}

static size_t got(hither_collection *c) {
    hither_ids column = test_int_ids(ids, 4);
    hither_result *r;
    assert_int_equal(hither_collection_get(c, &column, NULL, 0, &r, &err), HITHER_OK);
    size_t n = hither_result_count(r, 0);
    hither_result_free(r);
    return n;
}

static size_t scanned(hither_collection *c) {
    hither_cursor *cursor;
    hither_result *r;
    assert_int_equal(hither_collection_scan(c, NULL, 0, &cursor, &err), HITHER_OK);
    assert_int_equal(hither_cursor_next(cursor, 10, &r, &err), HITHER_OK);
    size_t n = hither_result_count(r, 0);
    hither_result_free(r);
    hither_cursor_close(cursor);
    return n;
}

static void expect(hither_collection *c, size_t n, size_t with_a) {
    assert_int_equal(count_of(c), n);
    assert_int_equal(found(c, NULL), n);
    assert_int_equal(found(c, "{\"a\":1}"), with_a);
    assert_int_equal(got(c), n);
    assert_int_equal(scanned(c), n);
}

static void nobody_looks(void **state) {
    place *p = *state;
    set_clock(NOW + 1000);
    put_four(p->c);
    expect(p->c, 4, 2);
    size_t deleted = 9;
    assert_int_equal(hither_collection_expire(p->c, &deleted, &err), HITHER_OK);
    assert_int_equal(deleted, 0);
    assert_int_equal(hither_db_compact(p->db, NULL, &err), HITHER_OK);
    expect(p->c, 4, 2);
}

static void from_their_moment_on(void **state) {
    place *p = *state;
    set_clock(NOW);
    put_four(p->c);
    assert_int_equal(hither_collection_set_ttl(p->c, 0, &err), HITHER_OK);
    expect(p->c, 4, 2);
    set_clock(NOW + 9);
    expect(p->c, 4, 2);
    set_clock(NOW + 10);
    expect(p->c, 3, 2);
    reopen(p);
    expect(p->c, 3, 2);
    atomic_store(&ht_expiry_clock, (int64_t)NOW * 1000 + 20499);
    expect(p->c, 3, 2);
    set_clock(NOW + 21);
    expect(p->c, 2, 1);
    assert_int_equal(hither_collection_set_ttl(p->c, HITHER_TTL_OFF, &err), HITHER_OK);
    expect(p->c, 4, 2); /* nobody removed them */
    assert_int_equal(hither_collection_set_ttl(p->c, 0, &err), HITHER_OK);
    size_t deleted = 0;
    assert_int_equal(hither_collection_expire(p->c, &deleted, &err), HITHER_OK);
    assert_int_equal(deleted, 2);
    assert_int_equal(hither_collection_set_ttl(p->c, HITHER_TTL_OFF, &err), HITHER_OK);
    expect(p->c, 2, 1);
    reopen(p);
    expect(p->c, 2, 1);
}

static void a_lifetime_for_all(void **state) {
    place *p = *state;
    set_clock(NOW);
    assert_int_equal(hither_collection_set_ttl(p->c, 60, &err), HITHER_OK);
    static const char *const some[4] = {NULL, "{}", "{\"a\":1}", "{\"_expires\":3000000000}"};
    assert_int_equal(put_ints(p->c, HITHER_INSERT, ids, 4, vectors, some, NULL, NULL), HITHER_OK);
    assert_row(p->c, 1, vectors, "{\"_expires\":2000000060}", NULL);
    assert_row(p->c, 2, vectors + DIM, "{\"_expires\":2000000060}", NULL);
    assert_row(p->c, 3, vectors + 2 * DIM, "{\"a\":1,\"_expires\":2000000060}", NULL);
    assert_row(p->c, 4, vectors + 3 * DIM, "{\"_expires\":3000000000}", NULL);
    reopen(p);
    set_clock(NOW + 60);
    expect(p->c, 1, 0);
    /* An expired row is not there: neither in the way nor to be updated. */
    assert_int_equal(put_ints(p->c, HITHER_UPDATE, ids, 1, vectors, NULL, NULL, NULL), HITHER_NOT_FOUND);
    assert_int_equal(put_ints(p->c, HITHER_INSERT, ids, 3, vectors, some, NULL, NULL), HITHER_OK);
    expect(p->c, 4, 1);
    static const char *const bad[1] = {"[1]"};
    assert_int_equal(put_ints(p->c, HITHER_UPSERT, ids, 1, vectors, bad, NULL, NULL), HITHER_SYNTAX);
    set_clock(NOW + 1000);
    assert_int_equal(hither_db_purge(p->db, NULL, &err), HITHER_OK);
    assert_int_equal(hither_collection_set_ttl(p->c, HITHER_TTL_OFF, &err), HITHER_OK);
    expect(p->c, 1, 0);
    assert_int_equal(hither_db_verify(p->db, NULL, &err), HITHER_OK);
}

/* ---- no call shows a row that has ended */

static size_t count_and_free(hither_status status, hither_result *r, int64_t never) {
    assert_int_equal(status, HITHER_OK);
    size_t n = hither_result_count(r, 0);
    const hither_ids shown = hither_result_ids(r, 0);
    for (size_t i = 0; shown.ints && i < n; i++)
        assert_true(shown.ints[i] != never);
    hither_result_free(r);
    return n;
}

static size_t facet_values(hither_collection *c) {
    hither_result *r;
    assert_int_equal(hither_collection_facets(c, "k", NULL, 0, &r, &err), HITHER_OK);
    size_t n = hither_result_count(r, 0);
    hither_result_free(r);
    return n;
}

static size_t paged(hither_collection *c, const char *order) {
    const hither_page_options o = {.size = sizeof o, .limit = 10, .order_by = order};
    hither_result *r = NULL;
    hither_status status = hither_collection_page(c, &o, &r, &err);
    return count_and_free(status, r, 1);
}

static hither_status search(hither_collection *c, const hither_query *q, const hither_search_options *o, size_t *n) {
    hither_result *r = NULL;
    hither_status status = hither_collection_search(c, q, 10, o, &r, &err);
    if (status == HITHER_OK)
        *n = count_and_free(status, r, 1);
    return status;
}

/* Row 1 has ended, if anyone looks; 2, 3 and 4 have not. */
static void expect_three(hither_collection *c) {
    const int64_t one = 1, two = 2;
    test_column room;
    const hither_strings word = test_strings(&room, 1, (const char *const[]){"hawk"});
    const hither_matrix vector = test_matrix(vectors, 1, DIM);
    const hither_query by_words = {.size = sizeof by_words, .keywords = word},
                       by_both = {.size = sizeof by_both, .keywords = word, .vectors = vector},
                       near = {.size = sizeof near, .vectors = vector},
                       like_one = {.size = sizeof like_one, .ids = test_int_ids(&one, 1)},
                       like_two = {.size = sizeof like_two, .ids = test_int_ids(&two, 1)};
    const hither_search_options grouped = {.size = sizeof grouped, .group_by = "k"},
                                diverse = {.size = sizeof diverse, .diversity = 0.5};
    size_t n = 0;
    expect(c, 3, 0);
    assert_int_equal(search(c, &by_words, NULL, &n), HITHER_OK);
    assert_int_equal(n, 3);
    assert_int_equal(search(c, &by_both, NULL, &n), HITHER_OK);
    assert_int_equal(n, 3);
    assert_int_equal(search(c, &near, &grouped, &n), HITHER_OK);
    assert_int_equal(n, 3);
    assert_int_equal(search(c, &near, &diverse, &n), HITHER_OK);
    assert_int_equal(n, 3);
    assert_int_equal(search(c, &like_two, NULL, &n), HITHER_OK);
    assert_int_equal(n, 3); /* itself among them */
    assert_int_equal(search(c, &like_one, NULL, &n), HITHER_NOT_FOUND);
    hither_result *r = NULL;
    hither_status status = hither_collection_within(c, &near, 100, NULL, &r, &err);
    assert_int_equal(count_and_free(status, r, 1), 3);
    hither_examples examples = {.size = sizeof examples, .positive = test_int_ids(&two, 1)};
    r = NULL;
    status = hither_collection_recommend(c, &examples, 10, NULL, &r, &err);
    assert_int_equal(count_and_free(status, r, 1), 2);
    examples.negative = test_int_ids(&one, 1);
    assert_int_equal(hither_collection_recommend(c, &examples, 10, NULL, &r, &err), HITHER_NOT_FOUND);
    assert_int_equal(facet_values(c), 3);
    assert_int_equal(paged(c, NULL), 3);
    assert_int_equal(paged(c, "k"), 3);
    uint64_t counted = 9;
    assert_int_equal(hither_collection_count(c, "{\"k\":1}", &counted, &err), HITHER_OK);
    assert_int_equal(counted, 0);
}

static void every_call(void **state) {
    place *p = *state;
    static const char *const keyed[4] = {"{\"k\":1,\"_expires\":2000000010}", "{\"k\":2}", "{\"k\":3}", "{\"k\":4}"};
    static const char *const texts[4] = {"hawk", "a hawk", "hawks and a hawk", "one hawk more"};
    set_clock(NOW);
    assert_int_equal(put_ints(p->c, HITHER_UPSERT, ids, 4, vectors, keyed, texts, NULL), HITHER_OK);
    assert_int_equal(hither_collection_set_ttl(p->c, 0, &err), HITHER_OK);
    assert_int_equal(facet_values(p->c), 4);
    set_clock(NOW + 10);
    expect_three(p->c);
    reopen(p);
    expect_three(p->c);
    assert_int_equal(hither_db_purge(p->db, NULL, &err), HITHER_OK);
    expect_three(p->c);
    reopen(p);
    expect_three(p->c);
}

static void refusals(void **state) {
    place *p = *state;
    assert_int_equal(hither_collection_set_ttl(NULL, 1, &err), HITHER_INVALID);
    assert_int_equal(hither_collection_set_ttl(p->c, -2, &err), HITHER_INVALID);
    assert_int_equal(hither_collection_set_ttl(p->c, (int64_t)HITHER_MAX_TTL + 1, &err), HITHER_INVALID);
    assert_int_equal(hither_collection_set_ttl(p->c, HITHER_MAX_TTL, &err), HITHER_OK);
    assert_int_equal(hither_collection_expire(NULL, NULL, &err), HITHER_INVALID);
    uint64_t n;
    assert_int_equal(hither_collection_count(p->c, "{\"a\":", &n, &err), HITHER_SYNTAX);
    if (!p->disk)
        return;
    hither_db *other = open_db(p, HITHER_OPEN_READONLY);
    hither_collection *c = open_notes(other);
    assert_int_equal(hither_collection_set_ttl(c, 1, &err), HITHER_READONLY);
    hither_collection_close(c);
    hither_db_close(other);
}

/* What one process sets, another one reads by. */
static void readers_follow(void **state) {
    place *p = *state;
    if (!p->disk)
        return;
    set_clock(NOW + 15);
    put_four(p->c);
    hither_db *other = open_db(p, HITHER_OPEN_READONLY);
    hither_collection *c = open_notes(other);
    expect(c, 4, 2);
    assert_int_equal(hither_collection_set_ttl(p->c, 0, &err), HITHER_OK);
    (void)count_of(c); /* catches up */
    expect(c, 3, 2);
    hither_collection_close(c);
    hither_db_close(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {BOTH_PLACES(nobody_looks),       BOTH_PLACES(from_their_moment_on),
                                       BOTH_PLACES(a_lifetime_for_all), BOTH_PLACES(refusals),
                                       BOTH_PLACES(readers_follow),     BOTH_PLACES(every_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
