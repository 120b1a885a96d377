/*
 * test_surface.c: pages, facets, ranges, groups, diversity, recommendations and the removal of keys through hither.h:
 * the contract on a handful of rows (tests/python/test_surface.py has brute force and random ones), what is refused,
 * and that whatever request for memory fails, the answer is NOMEM and nothing leaks.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/json.h"
#include "cmocka_all.h"
#include "rows.h"

enum { DIM = 2, ROWS = 6 };

static hither_error err;
static hither_db *db;
static hither_collection *c;

static const float values[ROWS * DIM] = {0, 0, 1, 0, 1, 1, 5, 5, 6, 5, 9, 9};
static const char *const metadata[ROWS] = {"{\"by\":\"Ada\",\"n\":3}",
                                           "{\"by\":\"Ada\",\"n\":1.5,\"tags\":[1,1,\"x\"]}",
                                           "{\"by\":\"Bob\",\"n\":true}",
                                           "{\"by\":\"Bob\",\"tags\":[1.0,null]}",
                                           "{\"by\":null}",
                                           NULL};

static int set_up(void **state) {
    (void)state;
    const int64_t ids[ROWS] = {1, 2, 3, 4, 5, 6};
    test_column room;
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, ROWS), .vectors = test_matrix(values, ROWS, DIM)};
    b.metadata = test_strings(&room, ROWS, metadata);
    ASSERT_OK(hither_db_open(":memory:", NULL, &db, &err));
    ASSERT_OK(hither_collection_open(
        db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM, .metric = HITHER_L2), &c, &err));
    ASSERT_OK(hither_collection_put(c, HITHER_INSERT, &b, NULL, &err));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    hither_collection_close(c);
    hither_db_close(db);
    assert_int_equal(alloc_fault_live(), 0);
    return 0;
}

static hither_query origin(void) {
    static const float zero[DIM] = {0, 0};
    return (hither_query){.size = sizeof(hither_query), .vectors = test_matrix(zero, 1, DIM)};
}

/* The ids of a group as digits: "214". */
static void assert_ids(hither_result *r, const char *digits) {
    hither_ids ids = hither_result_ids(r, 0);
    char have[64] = "";
    for (size_t i = 0; i < ids.count; i++)
        have[i] = (char)('0' + ids.ints[i]);
    assert_string_equal(have, digits);
}

static void assert_found(const hither_search_options *o, uint32_t k, const char *digits) {
    hither_result *r;
    hither_query q = origin();
    ASSERT_OK(hither_collection_search(c, &q, k, o, &r, &err));
    assert_ids(r, digits);
    hither_result_free(r);
}

static void searches(void **state) {
    (void)state;
    const float one = 1;
    hither_result *r;
    hither_query q = origin();
    assert_found(HITHER_OPTIONS(hither_search_options, .max_distance = &one), 5, "12");
    assert_found(HITHER_OPTIONS(hither_search_options, .group_by = "by"), 5, "13");
    assert_found(HITHER_OPTIONS(hither_search_options, .group_by = "by", .group_size = 2), 5, "1234");
    assert_found(HITHER_OPTIONS(hither_search_options, .group_by = "n"), 2, "12");
    assert_found(HITHER_OPTIONS(hither_search_options, .diversity = 1), 2, "16");
    assert_found(HITHER_OPTIONS(hither_search_options, .diversity = 1, .candidates = 4), 3, "143");
    ASSERT_OK(hither_collection_within(c, &q, 2, HITHER_OPTIONS(hither_search_options, .where = "{\"by\":\"Bob\"}"), &r,
                                       &err));
    assert_ids(r, "3");
    hither_result_free(r);
}

static void recommendations(void **state) {
    (void)state;
    const int64_t positive[] = {1, 3}, negative[] = {5};
    hither_result *r;
    hither_examples e = {.size = sizeof e, .positive = test_int_ids(positive, 2)};
    ASSERT_OK(hither_collection_recommend(c, &e, 9, NULL, &r, &err));
    assert_ids(r, "2456");
    hither_result_free(r);
    e.negative = test_int_ids(negative, 1);
    e.strategy = HITHER_BEST;
    ASSERT_OK(hither_collection_recommend(c, &e, 9, NULL, &r, &err));
    assert_ids(r, "264"); /* 4 is the nearest of those nearer to 5 than to an example of what is wanted */
    hither_result_free(r);
}

static void pages(void **state) {
    (void)state;
    hither_result *first, *second, *old;
    hither_page_options o = {.size = sizeof o, .limit = 4, .order_by = "n"};
    ASSERT_OK(hither_collection_page(c, &o, &first, &err));
    assert_ids(first, "3214"); /* true, 1.5, 3, and those without one */
    ASSERT_OK(hither_collection_delete(c, &(hither_ids){.ints = (const int64_t[]){5}, .count = 1}, NULL, NULL, &err));
    o.after = hither_result_next(first);
    assert_string_not_equal(o.after, "");
    ASSERT_OK(hither_collection_page(c, &o, &second, &err));
    assert_ids(second, "56");
    assert_string_equal(hither_result_next(second), "");
    o.descending = 1; /* another listing */
    assert_int_equal(hither_collection_page(c, &o, &old, &err), HITHER_INVALID);
    o.after = NULL;
    ASSERT_OK(hither_collection_page(c, &o, &old, &err));
    assert_ids(old, "1234");
    hither_result_free(old);
    o = (hither_page_options){.size = sizeof o, .limit = 4, .order_by = "n", .after = hither_result_next(first)};
    ASSERT_OK(hither_collection_compact(c, NULL, &err));
    hither_status status = hither_collection_page(c, &o, &old, &err);
    if (status == HITHER_OK) { /* compaction leaves what is not worth its while */
        assert_ids(old, "56");
        hither_result_free(old);
    } else {
        assert_int_equal(status, HITHER_STALE);
    }
    hither_result_free(first);
    hither_result_free(second);
}

static void facets(void **state) {
    (void)state;
    hither_result *r;
    const char *const wanted[] = {"{\"value\":1,\"count\":2}", "{\"value\":\"x\",\"count\":1}"};
    ASSERT_OK(hither_collection_facets(c, "tags", NULL, 0, &r, &err));
    hither_strings found = hither_result_metadata(r, 0);
    assert_int_equal(found.count, 2);
    for (size_t i = 0; i < 2; i++) {
        ht_text text = ht_strings_at(&found, i);
        assert_int_equal(text.bytes, strlen(wanted[i]));
        assert_memory_equal(text.data, wanted[i], text.bytes);
    }
    assert_non_null(strstr(hither_result_plan(r), "\"rows_with_value\":2,\"values\":2"));
    hither_result_free(r);
}

static void removal(void **state) {
    (void)state;
    const int64_t ids[] = {2};
    test_column keys, patch;
    hither_result *r;
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, 1)};
    b.remove = test_strings(&keys, 3, (const char *const[]){"by", "none", "n"});
    b.metadata = test_strings(&patch, 1, (const char *const[]){"{\"n\":null}"});
    assert_int_equal(hither_collection_put(c, HITHER_UPSERT, &b, NULL, &err), HITHER_INVALID);
    ASSERT_OK(hither_collection_put(c, HITHER_UPDATE, &b, NULL, &err));
    ASSERT_OK(hither_collection_get(c, &b.ids, NULL, 0, &r, &err));
    hither_strings found = hither_result_metadata(r, 0);
    ht_text text = ht_strings_at(&found, 0);
    const char *left = "{\"tags\":[1,1,\"x\"],\"n\":null}";
    assert_int_equal(text.bytes, strlen(left));
    assert_memory_equal(text.data, left, text.bytes);
    hither_result_free(r);
    b.remove = test_strings(&keys, 1, (const char *const[]){NULL});
    assert_int_equal(hither_collection_put(c, HITHER_UPDATE, &b, NULL, &err), HITHER_INVALID);
}

static void refused(void **state) {
    (void)state;
    const float nan = NAN;
    const int64_t nobody[] = {77};
    hither_result *r = NULL;
    hither_query q = origin();
    hither_examples e = {.size = sizeof e};
    const hither_search_options bad[] = {
        {.size = sizeof *bad, .max_distance = &nan},
        {.size = sizeof *bad, .group_by = "$by"},
        {.size = sizeof *bad, .group_by = "a\\b"},
        {.size = sizeof *bad, .group_size = 2},
        {.size = sizeof *bad, .group_by = "by", .diversity = 0.5},
        {.size = sizeof *bad, .diversity = -1},
        {.size = sizeof *bad, .diversity = NAN},
        {.size = sizeof *bad, .candidates = 5},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(hither_collection_search(c, &q, 3, &bad[i], &r, &err), HITHER_INVALID);
    assert_int_equal(
        hither_collection_search(c, &q, 3, HITHER_OPTIONS(hither_search_options, .group_by = "\xff"), &r, &err),
        HITHER_ENCODING);
    assert_int_equal(hither_collection_within(c, &q, NAN, NULL, &r, &err), HITHER_INVALID);
    assert_int_equal(hither_collection_recommend(c, &e, 3, NULL, &r, &err), HITHER_INVALID);
    e.positive = test_int_ids(nobody, 1);
    assert_int_equal(hither_collection_recommend(c, &e, 3, NULL, &r, &err), HITHER_NOT_FOUND);
    const char *const tokens[] = {"", "h1", "h1-0-0-0-0-0-0000000000000000 ", "h1-1-1-7-6-0-0000000000000000"};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        assert_int_equal(hither_collection_page(c, HITHER_OPTIONS(hither_page_options, .after = tokens[i]), &r, &err),
                         HITHER_INVALID);
    assert_int_equal(hither_collection_page(c, HITHER_OPTIONS(hither_page_options, .limit = 65537), &r, &err),
                     HITHER_TOO_LARGE);
    assert_int_equal(hither_collection_facets(c, NULL, NULL, 0, &r, &err), HITHER_INVALID);
    assert_null(r);
}

/* ---- memory */

static hither_status everything(void) {
    const int64_t positive[] = {1}, negative[] = {5};
    hither_result *r = NULL;
    hither_query q = origin();
    const hither_examples e = {.size = sizeof e,
                               .positive = test_int_ids(positive, 1),
                               .negative = test_int_ids(negative, 1),
                               .strategy = HITHER_BEST};
    hither_status status = hither_collection_search(
        c, &q, 3, HITHER_OPTIONS(hither_search_options, .group_by = "by", .where = "{\"n\":{\"$exists\":true}}"), &r,
        &err);
    hither_result_free(r);
    r = NULL;
    if (status == HITHER_OK)
        status = hither_collection_search(c, &q, 3, HITHER_OPTIONS(hither_search_options, .diversity = 0.5), &r, &err);
    hither_result_free(r);
    r = NULL;
    if (status == HITHER_OK)
        status = hither_collection_within(c, &q, 50, NULL, &r, &err);
    hither_result_free(r);
    r = NULL;
    if (status == HITHER_OK)
        status = hither_collection_recommend(c, &e, 3, NULL, &r, &err);
    hither_result_free(r);
    r = NULL;
    if (status == HITHER_OK)
        status = hither_collection_facets(c, "tags", NULL, 0, &r, &err);
    hither_result_free(r);
    r = NULL;
    if (status == HITHER_OK)
        status = hither_collection_page(c, HITHER_OPTIONS(hither_page_options, .order_by = "n", .limit = 2), &r, &err);
    hither_result *more = NULL;
    if (status == HITHER_OK)
        status = hither_collection_page(
            c, HITHER_OPTIONS(hither_page_options, .order_by = "n", .after = hither_result_next(r)), &more, &err);
    hither_result_free(r);
    hither_result_free(more);
    return status;
}

/* Rows that are only remembered for the next search are let go; everything else says so. */
static void without_memory(void **state) {
    (void)state;
    size_t said = 0;
    for (uint64_t nth = 1;; nth++) {
        alloc_fault_arm(nth, false);
        hither_status status = everything();
        bool hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        if (status != HITHER_NOMEM && status != HITHER_OK)
            fail_msg("request %llu: %s %s", (unsigned long long)nth, hither_status_name(status), err.message);
        said += status == HITHER_NOMEM;
        if (!hit) {
            assert_int_equal(status, HITHER_OK);
            assert_true(said > 20 && nth - said < 20);
            return;
        }
    }
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(searches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(recommendations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(facets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
