/*
 * test_tokenizer.c: tokens of every kind of tokenizer against goldens; cutting off; rooms shared by threads; limits.
 * The large comparison is tests/parity/parity.py.
 */
#include "embed/tokenizer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "cmocka_all.h"
#include "tokenizer_golden.h"

enum { MOST = 100 };
#define GOLDENS (sizeof goldens / sizeof *goldens)

static ht_tokenizer *read_golden(const golden *g) {
    ht_tokenizer *t;
    hither_error err = {0};
    ASSERT_OK(ht_tokenizer_from_json(g->json, strlen(g->json), g->name, &t, &err));
    return t;
}

static void test_goldens(void **state) {
    (void)state;
    hither_error err = {0};
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden *g = &goldens[i];
        ht_tokenizer *t = read_golden(g);
        uint32_t ids[MOST], some[MOST];
        size_t count, around = ht_tokenizer_around(t);
        ASSERT_OK(ht_tokenizer_encode(t, golden_text, sizeof golden_text - 1, true, ids, MOST, &count, &err));
        assert_int_equal(count, g->count);
        assert_memory_equal(ids, g->ids, count * sizeof *ids);
        for (size_t most = around + 1; most < count; most++) { /* the text is cut off, what stands around it is not */
            size_t few;
            ASSERT_OK(ht_tokenizer_encode(t, golden_text, sizeof golden_text - 1, true, some, most, &few, &err));
            assert_int_equal(few, most);
            ASSERT_OK(
                ht_tokenizer_encode(t, golden_text, sizeof golden_text - 1, false, ids, most - around, &few, &err));
            size_t begin = 0;
            while (memcmp(some + begin, ids, few * sizeof *ids) != 0)
                assert_true(begin++ < around);
        }
        ht_tokenizer_free(t);
    }
}

/* Metaspace "first" puts a mark before what the text begins with, even where Strip took a space of its first character
 * away, as long as what then comes first is of that character too. The ids are those of the package `tokenizers`. */
static void test_front(void **state) {
    (void)state;
    hither_error err = {0};
    static const struct {
        const char *text;
        size_t count;
        uint32_t ids[16];
    } fronts[] = {
        {"the", 6, {0, 4, 6, 9, 5, 2}},
        {"\xe3\x80\x80the", 5, {0, 6, 9, 5, 2}},                    /* one space, not two parts */
        {"\xc2\xb4 the", 8, {0, 4, 3, 4, 6, 9, 5, 2}},              /* a space and its own mark */
        {"\xef\xb1\x9e\xd9\x90the", 7, {0, 4, 3, 6, 9, 5, 2}},      /* two, another between them */
        {"\xc2\xb4\xcd\x95\xcc\xa0 the", 7, {0, 3, 4, 6, 9, 5, 2}}, /* others before its own */
        {"\xef\xb9\x8c\xef\xb8\xa9 owl", 7, {0, 3, 4, 21, 15, 31, 2}},
        {" \xc2\xb4the", 6, {0, 3, 6, 9, 5, 2}},
    };
    ht_tokenizer *t = read_golden(&goldens[0]);
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
        uint32_t ids[MOST];
        size_t count;
        ASSERT_OK(ht_tokenizer_encode(t, fronts[i].text, strlen(fronts[i].text), true, ids, MOST, &count, &err));
        assert_int_equal(count, fronts[i].count);
        assert_memory_equal(ids, fronts[i].ids, count * sizeof *ids);
    }
    ht_tokenizer_free(t);
}

static void *encode_often(void *arg) {
    const ht_tokenizer *t = arg;
    uint32_t first[MOST], ids[MOST];
    size_t count, again;
    if (ht_tokenizer_encode(t, golden_text, sizeof golden_text - 1, true, first, MOST, &count, NULL) != HITHER_OK)
        return arg;
    for (int i = 0; i < 200; i++)
        if (ht_tokenizer_encode(t, golden_text, sizeof golden_text - 1, true, ids, MOST, &again, NULL) != HITHER_OK ||
            again != count || memcmp(first, ids, count * sizeof *ids) != 0)
            return arg;
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    for (size_t i = 0; i < GOLDENS; i++) {
        ht_tokenizer *t = read_golden(&goldens[i]);
        pthread_t threads[4];
        for (size_t j = 0; j < 4; j++)
            assert_int_equal(pthread_create(&threads[j], NULL, encode_often, t), 0);
        for (size_t j = 0; j < 4; j++) {
            void *failed;
            assert_int_equal(pthread_join(threads[j], &failed), 0);
            assert_null(failed);
        }
        ht_tokenizer_free(t);
    }
}

static void test_no_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden *g = &goldens[i];
        bool hit = true;
        int64_t before = alloc_fault_live();
        for (uint64_t n = 1; hit; n += 1 + n / 16) {
            ht_tokenizer *t = NULL;
            uint32_t ids[MOST];
            size_t count = 0;
            alloc_fault_arm(n, false);
            hither_status status = ht_tokenizer_from_json(g->json, strlen(g->json), g->name, &t, NULL);
            if (status == HITHER_OK)
                status = ht_tokenizer_encode(t, golden_text, sizeof golden_text - 1, true, ids, MOST, &count, NULL);
            hit = alloc_fault_hit();
            alloc_fault_arm(0, false);
            ht_tokenizer_free(t);
            assert_int_equal(alloc_fault_live(), before);
            assert_true(status == HITHER_OK ? count == g->count : hit && status == HITHER_NOMEM); /* some can be done
                                                                                                   without */
        }
    }
}

static void test_patterns_that_take_too_long(void **state) {
    (void)state;
    static const char json[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Split\","
        "\"pattern\":{\"Regex\":\"(?:a|a|aa)+$\"},\"behavior\":\"Isolated\",\"invert\":false}}";
    ht_tokenizer *t;
    hither_error err = {0};
    uint32_t ids[MOST];
    size_t count;
    char text[3001];
    memset(text, 'a', sizeof text);
    text[3000] = 'b';
    ASSERT_OK(ht_tokenizer_from_json(json, sizeof json - 1, "x", &t, &err));
    assert_int_equal(ht_tokenizer_encode(t, text, sizeof text, true, ids, MOST, &count, &err), HITHER_MODEL);
    assert_non_null(strstr(err.message, "too many steps"));
    ASSERT_OK(ht_tokenizer_encode(t, "aab", 3, true, ids, MOST, &count, &err));
    assert_int_equal(count, 3);
    ht_tokenizer_free(t);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_front),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_patterns_that_take_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
