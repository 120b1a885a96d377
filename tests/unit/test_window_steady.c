/*
 * test_window_steady.c: a window that has been full for a while asks for no memory: not to take texts or vectors, of
 * known forms or of new ones, scored or not, and not to find the nearest into the caller's array. A search takes no
 * lock either, nor does a push into a window without novelty. Requests are counted by the library's allocator hook,
 * locks by a function that stands before the system's.
 */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alloc_fault.h"
#include "cmocka_all.h"
#include "embed/embedder.h"
#include "kernels/kernels.h"
#include "stream/window_inside.h"

enum { DIM = 384, CAPACITY = 700, BLOCK = 50, K = 10 };

static _Atomic uint64_t locks;

typedef int lock_function(pthread_mutex_t *);

int pthread_mutex_lock(pthread_mutex_t *mutex) {
    static _Atomic(lock_function *) real;
    lock_function *found = atomic_load(&real);
    if (!found) {
        *(void **)(void *)&found = dlsym(RTLD_NEXT, "pthread_mutex_lock");
        atomic_store(&real, found);
    }
    atomic_fetch_add(&locks, 1);
    return found(mutex);
}

static hither_status embed(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err) {
    return ht_embedder_one(ctx, HT_EMBED_DOCUMENT, text, bytes, vector, err);
}

/* Lines of one length, so that each place has seen the longest once the window is full. */
static void push_texts(ht_window *w, uint64_t first, bool same_forms) {
    static char bytes[BLOCK * 32];
    uint64_t offsets[BLOCK + 1] = {0};
    for (uint64_t i = 0; i < BLOCK; i++) {
        const uint64_t n = first + i, form = same_forms ? n % 40 : n;
        char line[33];
        for (int j = 0; j < 12; j++) /* letters, which are not masked */
            line[j] = (char)('g' + (form >> (2 * (unsigned)j) & 3) + (unsigned)(j % 5));
        snprintf(line + 12, 21, " said %014llu", (unsigned long long)n);
        memcpy(bytes + i * 32, line, 32);
        offsets[i + 1] = (i + 1) * 32;
    }
    hither_score scores[BLOCK];
    hither_error err;
    const hither_strings texts = {bytes, offsets, BLOCK, NULL};
    ASSERT_OK(ht_window_push(w, &(ht_window_rows){.texts = &texts}, scores, &err));
}

static void push_vectors(ht_window *w, uint64_t first, bool same_forms) {
    static float rows[BLOCK][DIM];
    uint64_t offsets[BLOCK + 1] = {0};
    for (uint64_t i = 0; i < BLOCK; i++) {
        const uint64_t n = same_forms ? (first + i) % 40 : first + i;
        for (uint64_t j = 0; j < DIM; j++)
            rows[i][j] = (float)((n * 2654435761u + j * j * 40503u) % 1009) - 504;
        offsets[i + 1] = (i + 1) * 5;
    }
    static char bytes[BLOCK * 5];
    memset(bytes, 'x', sizeof bytes);
    hither_score scores[BLOCK];
    hither_error err;
    const hither_strings texts = {bytes, offsets, BLOCK, NULL};
    const hither_matrix vectors = {.data = rows, .rows = BLOCK, .dim = DIM, .stride = sizeof rows[0]};
    ASSERT_OK(ht_window_push(w, &(ht_window_rows){.texts = &texts, .vectors = &vectors}, scores, &err));
}

static void search(ht_window *w) {
    static _Alignas(64) float query[DIM];
    ht_hit hits[K];
    ht_moment view;
    size_t count;
    hither_error err;
    query[3] = 1;
    ASSERT_OK(ht_window_view(w, &view, &err));
    ASSERT_OK(ht_moment_search(&view, HITHER_COSINE, query, K, hits, &count, &err));
    assert_int_equal(count, K);
    ht_moment_close(&view);
}

static void check(bool vectors, bool same_forms, bool no_novelty) {
    ht_embedder *embedder;
    ht_window *w;
    hither_error err;
    ASSERT_OK(ht_embedder_builtin(&embedder, &err));
    const ht_window_spec spec = {.capacity = CAPACITY,
                                 .dim = DIM,
                                 .embed = embed,
                                 .embed_ctx = embedder,
                                 .no_novelty = no_novelty,
                                 .alarm_rate = no_novelty ? 0 : 0.01,
                                 .alarm_below = 2};
    ASSERT_OK(ht_window_new(&spec, &w, &err));
    uint64_t n = 0, before = 0;
    for (; n < 20 * CAPACITY; n += BLOCK) {
        if (n == 10 * CAPACITY) {
            alloc_fault_arm(0, false);
            before = atomic_load(&locks);
        }
        (vectors ? push_vectors : push_texts)(w, n, same_forms);
        const uint64_t pushed = atomic_load(&locks);
        search(w);
        assert_int_equal(atomic_load(&locks), pushed);
    }
    assert_int_equal(alloc_fault_requests(), 0);
    if (no_novelty)
        assert_int_equal(atomic_load(&locks), before);
    ht_window_free(w);
    ht_embedder_release(embedder);
}

static void test_steady(void **state) {
    (void)state;
    for (unsigned how = 0; how < 8; how++)
        check(how & 1, how & 2, how & 4);
}

static hither_status embed_or_fail(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err) {
    (void)ctx;
    for (size_t j = 0; j < DIM; j++)
        vector[j] = bytes > 4 && memcmp(text, "fail", 4) == 0 ? INFINITY : (float)(j + 1);
    return isfinite(vector[0]) ? HITHER_OK : ht_fail(err, HITHER_MODEL, "it overflows");
}

/* What a model leaves behind where it fails is in no sum. */
static void test_a_failing_model(void **state) {
    (void)state;
    static char bytes[] = "form1fails";
    static float row[DIM], mean[DIM], before[DIM];
    row[2] = 1;
    for (int open = 0; open < 2; open++) {
        const ht_window_spec spec = {.capacity = 100, .dim = DIM, .embed = embed_or_fail, .no_novelty = open};
        const hither_strings good = {bytes, (const uint64_t[]){0, 5}, 1, NULL};
        const hither_strings bad = {bytes, (const uint64_t[]){5, 10}, 1, NULL};
        const hither_matrix vector = {.data = row, .rows = 1, .dim = DIM, .stride = sizeof row};
        ht_window *w;
        hither_score score;
        hither_error err;
        ASSERT_OK(ht_window_new(&spec, &w, &err));
        ASSERT_OK(ht_window_push(w, &(ht_window_rows){.texts = &good}, &score, &err));
        ASSERT_OK(ht_window_centroid(w, before, &err));
        assert_int_equal(ht_window_push(w, &(ht_window_rows){.texts = &bad}, &score, &err), HITHER_MODEL);
        ASSERT_OK(
            ht_window_push(w, &(ht_window_rows){open ? NULL : &good, .vectors = open ? &vector : NULL}, &score, &err));
        ASSERT_OK(ht_window_centroid(w, mean, &err));
        for (size_t j = 0; j < DIM; j++)
            assert_true(fabsf(mean[j] - (open ? (before[j] + row[j]) / 2 : before[j])) < 1e-6f);
        ht_window_free(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steady), cmocka_unit_test(test_a_failing_model)};
    alloc_fault_install();
    ht_fp_state fp = ht_fp_enter();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ht_fp_leave(fp);
    return failed;
}
