/* test_result.c: results of many groups against plain arrays, what was not asked for, what was not given. */
#include "base/result.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/hash.h"
#include "cmocka_all.h"

#define SEED 99u
#define DIM  3u

enum { ALL = HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS };

/* What record i holds is a function of i; some parts are missing. */
static bool lacks(size_t i, unsigned part) { return ht_mix64(SEED + 4 * i + part) % 5 == 0; }

static void add_record(hither_result *r, size_t i, bool text_ids) {
    char text[32];
    if (text_ids)
        ht_result_add_text(r, text, (size_t)snprintf(text, sizeof text, "id-%zu", i));
    else
        ht_result_add_int(r, (int64_t)i * 10);
    ht_result_distance(r, (float)i);
    if (!lacks(i, 0))
        ht_result_vector(r, (const float[DIM]){(float)i, 1, 2});
    if (!lacks(i, 1))
        ht_result_metadata(r, (ht_text){text, (size_t)snprintf(text, sizeof text, "{\"n\":%zu}", i)});
    else if (i % 2)
        ht_result_metadata(r, (ht_text){0});
    if (!lacks(i, 2))
        ht_result_document(r, (ht_text){text, (size_t)snprintf(text, sizeof text, "%zu", i) % 3});
}

static void check_text(const hither_strings *column, size_t at, bool missing, const char *wanted, size_t bytes) {
    ht_text text = ht_strings_at(column, at);
    assert_int_equal(text.data == NULL, missing);
    if (missing)
        return;
    assert_int_equal(text.bytes, bytes);
    assert_memory_equal(text.data, wanted, bytes);
}

static void check_group(const hither_result *r, size_t g, size_t first, size_t count, uint32_t include, bool text_ids) {
    char wanted[32];
    assert_int_equal(hither_result_count(r, g), count);
    hither_ids ids = hither_result_ids(r, g);
    hither_matrix vectors = hither_result_vectors(r, g);
    hither_strings metadata = hither_result_metadata(r, g), documents = hither_result_documents(r, g);
    const float *distances = hither_result_distances(r, g);
    assert_int_equal(ids.count, count);
    assert_int_equal(vectors.rows, include & HITHER_INCLUDE_VECTORS ? count : 0);
    assert_int_equal(metadata.count, include & HITHER_INCLUDE_METADATA ? count : 0);
    assert_int_equal(documents.count, include & HITHER_INCLUDE_DOCUMENTS ? count : 0);
    for (size_t at = 0; at < count; at++) {
        size_t i = first + at;
        if (text_ids)
            check_text(&ids.strings, at, false, wanted, (size_t)snprintf(wanted, sizeof wanted, "id-%zu", i));
        else
            assert_int_equal(ids.ints[at], i * 10);
        assert_true(distances[at] == (float)i);
        if (include & HITHER_INCLUDE_VECTORS) {
            const float *vector = (const float *)(const void *)((const char *)vectors.data + at * vectors.stride);
            assert_true(lacks(i, 0) ? isnan(vector[0]) && isnan(vector[DIM - 1]) : vector[0] == (float)i);
        }
        if (include & HITHER_INCLUDE_METADATA)
            check_text(&metadata, at, lacks(i, 1), wanted, (size_t)snprintf(wanted, sizeof wanted, "{\"n\":%zu}", i));
        if (include & HITHER_INCLUDE_DOCUMENTS)
            check_text(&documents, at, lacks(i, 2), wanted, (size_t)snprintf(wanted, sizeof wanted, "%zu", i) % 3);
    }
}

static void groups_equal_arrays(void **state) {
    (void)state;
    hither_error err;
    for (uint32_t include = 0; include <= ALL; include++) {
        for (int text_ids = 0; text_ids < 2; text_ids++) {
            hither_result *r = NULL;
            ASSERT_OK(ht_result_new(include, DIM, true, &r, &err));
            size_t n = 0;
            for (size_t g = 0; g < 40; g++) {
                if (g > 0)
                    ht_result_next_group(r);
                for (size_t i = 0; i < ht_mix64(SEED + g) % 20; i++)
                    add_record(r, n++, text_ids);
            }
            ASSERT_OK(ht_result_check(r, &err));
            assert_int_equal(hither_result_groups(r), 40);
            n = 0;
            for (size_t g = 0; g < 40; g++) {
                check_group(r, g, n, ht_mix64(SEED + g) % 20, include, text_ids);
                n += ht_mix64(SEED + g) % 20;
            }
            hither_result_free(r);
        }
    }
    assert_int_equal(alloc_fault_live(), 0);
}

static void what_is_not_there_reads_as_empty(void **state) {
    (void)state;
    hither_error err;
    hither_result *r = NULL;
    ASSERT_OK(ht_result_new(HITHER_INCLUDE_NOTHING, DIM, false, &r, &err));
    ASSERT_OK(ht_result_check(r, &err));
    assert_int_equal(hither_result_groups(r), 1);
    assert_string_equal(hither_result_plan(r), "");
    for (size_t g = 0; g < 3; g++) {
        assert_int_equal(hither_result_count(r, g), 0);
        assert_int_equal(hither_result_ids(r, g).count, 0);
        assert_null(hither_result_distances(r, g));
        assert_null(hither_result_vectors(r, g).data);
        assert_int_equal(hither_result_metadata(r, g).count, 0);
        assert_int_equal(hither_result_documents(r, SIZE_MAX).count, 0);
    }
    ht_result_add_int(r, 4);
    ht_result_vector(r, (const float[DIM]){0});
    ht_result_document(r, (ht_text){"x", 1});
    ht_result_plan(r, "{\"kind\":\"old\"}");
    ht_result_plan(r, "{\"kind\":\"exact\"}");
    ASSERT_OK(ht_result_check(r, &err));
    assert_int_equal(hither_result_ids(r, 0).ints[0], 4);
    assert_null(hither_result_vectors(r, 0).data);
    assert_int_equal(hither_result_documents(r, 0).count, 0);
    assert_null(hither_result_distances(r, 0));
    assert_string_equal(hither_result_plan(r), "{\"kind\":\"exact\"}");
    hither_result_free(r);
    hither_result_free(NULL);
}

static void without_memory_it_says_so(void **state) {
    (void)state;
    hither_error err;
    for (uint64_t n = 1, more = 1; more; n++) {
        hither_result *r = NULL;
        alloc_fault_arm(n, n % 2);
        hither_status status = ht_result_new(ALL, DIM, true, &r, &err);
        for (size_t i = 0; status == HITHER_OK && i < 60; i++) {
            add_record(r, i, true);
            if (i % 7 == 0)
                ht_result_next_group(r);
        }
        if (status == HITHER_OK) {
            ht_result_plan(r, "{}");
            status = ht_result_check(r, &err);
        }
        more = alloc_fault_hit();
        alloc_fault_arm(0, false);
        ASSERT_FAILS(status, more ? HITHER_NOMEM : HITHER_OK);
        hither_result_free(r);
        assert_int_equal(alloc_fault_live(), 0);
    }
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_equal_arrays),
        cmocka_unit_test(what_is_not_there_reads_as_empty),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
