/* test_text_api.c: hither_embedder_* and hither_window_* at their public face: arguments, errors, ownership. */
#include "hither.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc_fault.h"
#include "base/error.h"
#include "cmocka_all.h"

static void test_embedder(void **state) {
    (void)state;
    hither_error err = {0};
    hither_embedder *e = NULL;
    ASSERT_OK(hither_embedder_builtin(&e, &err));
    assert_int_equal(hither_embedder_dim(e), 384);
    assert_string_equal(hither_embedder_name(e), "builtin-1");
    assert_int_equal(hither_embedder_dim(NULL), 0);
    assert_string_equal(hither_embedder_name(NULL), "");

    float vectors[3 * 384];
    const uint64_t offsets[] = {0, 4, 4, 8};
    hither_strings texts = {"hawkbi\377d", offsets, 3, NULL};
    memset(vectors, 0x7F, sizeof vectors);
    float before = vectors[0];
    ASSERT_FAILS(hither_embedder_embed(e, &texts, vectors, &err), HITHER_ENCODING);
    assert_non_null(strstr(err.message, "row 2"));
    assert_non_null(strstr(err.message, "byte 2"));
    assert_true(memcmp(&vectors[0], &before, sizeof before) == 0); /* nothing was written */
    texts.bytes = "hawkbird";
    ASSERT_OK(hither_embedder_embed(e, &texts, vectors, &err));
    for (size_t i = 384; i < 2 * 384; i++)
        assert_true(vectors[i] == 0.0f);
    ASSERT_FAILS(hither_embedder_embed(NULL, &texts, vectors, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_embedder_embed(e, NULL, vectors, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_embedder_embed(e, &texts, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_embedder_builtin(NULL, &err), HITHER_INVALID);
    texts.count = 0;
    ASSERT_OK(hither_embedder_embed(e, &texts, NULL, &err));
    hither_embedder_close(e);
    hither_embedder_close(NULL);
}

static void test_window_options(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *w = NULL;
    ASSERT_OK(hither_window_new(NULL, &w, &err));
    hither_window_close(w);
    ASSERT_FAILS(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = (1u << 24) + 1), &w, &err),
                 HITHER_INVALID);
    assert_null(w);
    ASSERT_FAILS(hither_window_new(&(hither_window_options){.size = 1}, &w, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_window_new(NULL, NULL, &err), HITHER_INVALID);
    hither_window_close(NULL);
}

/* The embedder may be closed first; the window holds on to it. */
static void test_window_calls(void **state) {
    (void)state;
    hither_error err = {0};
    hither_embedder *e = NULL;
    hither_window *w = NULL;
    hither_result *result = (hither_result *)&err;
    ASSERT_OK(hither_embedder_builtin(&e, &err));
    ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = 3, .embedder = e), &w, &err));
    hither_embedder_close(e);

    const uint64_t offsets[] = {0, 7, 14, 16};
    hither_strings texts = {"line 12line 34\377x", offsets, 3, NULL};
    hither_score scores[3];
    ASSERT_OK(hither_window_push(w, &texts, scores, &err));
    assert_int_equal(scores[0].seen, 0);
    assert_int_equal(scores[1].seen, 1);
    assert_true(scores[1].nearest == UINT64_MAX);
    assert_int_equal(scores[2].record, 2);
    assert_int_equal(scores[2].nearest, 1);
    ASSERT_OK(hither_window_push(w, &texts, NULL, &err));
    ASSERT_OK(hither_window_push(w, &(hither_strings){0}, NULL, &err));

    const uint64_t numbers[] = {5, 2, 3, 5};
    ASSERT_OK(hither_window_get(w, numbers, 4, &result, &err));
    assert_int_equal(hither_result_count(result, 0), 3);
    assert_int_equal(hither_result_ids(result, 0).ints[0], 5);
    assert_int_equal(hither_result_ids(result, 0).ints[1], 3);
    hither_strings documents = hither_result_documents(result, 0);
    assert_memory_equal(documents.bytes, "\357\277\275xline 12", 11);
    hither_result_free(result);

    const uint64_t falling[] = {7, 0}, huge[] = {0, (uint64_t)HITHER_MAX_TEXT_BYTES + 1};
    ASSERT_FAILS(hither_window_push(w, &(hither_strings){"x", falling, 1, NULL}, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_window_push(w, &(hither_strings){"x", huge, 1, NULL}, NULL, &err), HITHER_TOO_LARGE);
    ASSERT_FAILS(hither_window_push(w, &(hither_strings){"x", NULL, 1, NULL}, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_window_push(w, &(hither_strings){NULL, offsets, 1, NULL}, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_window_push(NULL, &texts, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_window_push(w, NULL, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_window_get(w, NULL, 1, &result, &err), HITHER_INVALID);
    assert_null(result);
    ASSERT_FAILS(hither_window_get(w, numbers, 1, NULL, &err), HITHER_INVALID);
    hither_window_close(w);
}

static void test_forked_child_is_told(void **state) {
    (void)state;
    hither_error err = {0};
    hither_window *w = NULL;
    ASSERT_OK(hither_window_new(NULL, &w, &err));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const uint64_t offsets[] = {0, 1};
        hither_status status = hither_window_push(w, &(hither_strings){"x", offsets, 1, NULL}, NULL, &err);
        _exit(status == HITHER_FORKED ? 0 : 1);
    }
    int code = 0;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
    hither_window_close(w);
}

static void test_no_memory(void **state) {
    (void)state;
    hither_error err = {0};
    int64_t live = alloc_fault_live();
    for (uint64_t nth = 1;; nth++) {
        hither_window *w = NULL;
        alloc_fault_arm(nth, false);
        hither_status status = hither_window_new(NULL, &w, &err);
        bool hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        assert_int_equal(status, hit ? HITHER_NOMEM : HITHER_OK);
        assert_true((w == NULL) == hit);
        hither_window_close(w);
        assert_int_equal(alloc_fault_live(), live);
        if (!hit)
            break;
    }
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedder),     cmocka_unit_test(test_window_options),
        cmocka_unit_test(test_window_calls), cmocka_unit_test(test_forked_child_is_told),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
