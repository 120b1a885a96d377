/* test_window_search.c: searching a window of vectors, its mean, its outliers and its clock, against comparing every
 * record. */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "cmocka_all.h"
#include "hither.h"
#include "kernels/reference.h"
#include "stream/window.h"

#define DIM  48u
#define MOST 3000u

static float pushed[MOST][DIM];
static uint64_t state;

static uint32_t random_below(uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}

/* Few values, so that distances are often equal; now and then a vector that was there, or zero. */
static void random_vector(uint64_t number, uint32_t kinds, float *out) {
    if (number > 0 && random_below(3) == 0) {
        memcpy(out, pushed[random_below((uint32_t)number)], DIM * sizeof *out);
        return;
    }
    bool zero = random_below(40) == 0;
    for (uint32_t j = 0; j < DIM; j++)
        out[j] = zero ? 0 : (float)random_below(kinds) - (float)(kinds / 2) * 0.5f;
}

static hither_window *new_window(uint32_t capacity, uint64_t age_ms, bool no_centroid) {
    hither_window *w;
    hither_error err = {0};
    ASSERT_OK(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = capacity, .dim = DIM,
                                               .wait_ms = 60000, .age_ms = age_ms, .no_centroid = no_centroid),
                                &w, &err));
    return w;
}

static void push_vectors(hither_window *w, uint64_t from, size_t count, const int64_t *times, hither_score *scores) {
    hither_error err = {0};
    ASSERT_OK(hither_window_push_rows(
        w, HITHER_OPTIONS(hither_window_rows, .vectors = {pushed[from], count, DIM, 0, HITHER_F32}, .times_ms = times),
        scores, &err));
}

/* ---- the twin */

typedef struct pair {
    double distance;
    uint64_t number;
} pair;

static int by_distance(const void *a, const void *b) {
    const pair *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static size_t twin_search(const float *query, uint64_t first, uint64_t end, pair *out) {
    for (uint64_t i = first; i < end; i++)
        out[i - first] = (pair){ht_ref_distance_f32(HITHER_COSINE, query, pushed[i], DIM), i};
    qsort(out, (size_t)(end - first), sizeof *out, by_distance);
    return (size_t)(end - first);
}

static void compare_search(hither_window *w, uint64_t first, uint64_t end, uint32_t k, uint64_t seed) {
    static pair want[MOST];
    hither_error err = {0};
    hither_result *result;
    float query[DIM];
    random_vector(end, 5, query);
    ASSERT_OK(hither_window_search(w, HITHER_OPTIONS(hither_query, .vectors = {query, 1, DIM, 0, HITHER_F32}), k,
                                   &result, &err));
    size_t records = twin_search(query, first, end, want), count = k < records ? k : records;
    assert_int_equal(hither_result_count(result, 0), count);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = (uint64_t)hither_result_ids(result, 0).ints[i];
        float distance = hither_result_distances(result, 0)[i];
        if (number != want[i].number || distance != (float)want[i].distance)
            fail_msg("seed %" PRIu64 ", records %" PRIu64 " to %" PRIu64 ", k %u, hit %zu: %" PRIu64 " at %.9g, not "
                     "%" PRIu64 " at %.9g",
                     seed, first, end, k, i, number, (double)distance, want[i].number, want[i].distance);
    }
    hither_result_free(result);
}

static double twin_mean(uint64_t first, uint64_t end, double *mean) {
    double length2 = 0;
    memset(mean, 0, DIM * sizeof *mean);
    for (uint64_t i = first; i < end; i++) {
        double norm = sqrt(ht_ref_dot_f32(pushed[i], pushed[i], DIM));
        for (uint32_t j = 0; j < DIM; j++)
            mean[j] += norm > 0 ? (double)pushed[i][j] / norm / (double)(end - first) : 0;
    }
    for (uint32_t j = 0; j < DIM; j++)
        length2 += mean[j] * mean[j];
    return sqrt(length2);
}

static double twin_similarity(const double *mean, double length, uint64_t number) {
    double dot = 0, norm = sqrt(ht_ref_dot_f32(pushed[number], pushed[number], DIM));
    for (uint32_t j = 0; j < DIM; j++)
        dot += mean[j] * (double)pushed[number][j];
    return norm > 0 && length > 0 ? dot / norm / length : 0;
}

static void compare_outliers(hither_window *w, uint64_t first, uint64_t end, uint32_t n, double below) {
    static bool taken[MOST];
    hither_error err = {0};
    hither_result *result;
    double mean[DIM], length = twin_mean(first, end, mean), last = -2, worst = -2;
    float have[DIM];
    ASSERT_OK(hither_window_centroid(w, have, DIM, &err));
    for (uint32_t j = 0; j < DIM; j++)
        assert_true(fabs((double)have[j] - mean[j]) < 1e-6);
    ASSERT_OK(hither_window_outliers(w, n, below, &result, &err));
    size_t count = hither_result_count(result, 0), expected = 0;
    memset(taken, 0, sizeof taken);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = (uint64_t)hither_result_ids(result, 0).ints[i];
        assert_in_range(number, first, end - 1);
        assert_false(taken[number]);
        taken[number] = true;
        double similarity = 1 - (double)hither_result_distances(result, 0)[i];
        assert_true(fabs(similarity - twin_similarity(mean, length, number)) < 1e-5);
        assert_true(similarity >= last);
        last = worst = similarity;
    }
    for (uint64_t i = first; i < end; i++) {
        double similarity = twin_similarity(mean, length, i);
        expected += similarity < below;
        if (!taken[i] && similarity < below - 1e-5)
            assert_true(count == n && similarity > worst - 1e-5);
    }
    assert_true(count <= n && (fabs(below) < 1 || count == (expected < n ? expected : n)));
    hither_result_free(result);
}

static void compare(uint32_t capacity, uint32_t kinds, uint64_t number, uint64_t seed, bool no_centroid) {
    hither_window *w = new_window(capacity, 0, no_centroid);
    state = seed;
    for (uint64_t i = 0; i < number; i++)
        random_vector(i, kinds, pushed[i]);
    for (uint64_t i = 0, step; i < number; i += step) {
        step = 1 + random_below(70);
        if (i + step > number)
            step = number - i;
        hither_score scores[70];
        push_vectors(w, i, (size_t)step, NULL, random_below(2) ? scores : NULL);
        uint64_t end = i + step, first = end > capacity ? end - capacity : 0;
        const uint32_t ks[] = {1, 3, 17, HITHER_MAX_K};
        compare_search(w, first, end, ks[random_below(4)], seed);
        compare_outliers(w, first, end, ks[random_below(4)], random_below(2) ? 2 : 0.1);
    }
    hither_window_close(w);
}

static void test_against_every_record(void **unused) {
    (void)unused;
    compare(1, 2, 200, 1, false);
    compare(7, 2, 500, 2, false);
    compare(100, 3, 1500, 3, false);
    compare(700, 5, MOST, 4, false);
    compare(700, 5, MOST, 5, true);
}

/* ---- the score of vectors */

static void test_scores_of_vectors(void **unused) {
    (void)unused;
    hither_window *w = new_window(500, 0, false);
    state = 9;
    for (uint64_t i = 0; i < 1200; i++)
        random_vector(i, 4, pushed[i]);
    for (uint64_t i = 0; i < 1200; i++) {
        hither_score score;
        push_vectors(w, i, 1, NULL, &score);
        uint64_t first = i > 500 ? i - 500 : 0, seen = 0;
        double best = 3, mean[DIM], length = twin_mean(first, i, mean);
        for (uint64_t j = first; j < i; j++) {
            if (!memcmp(pushed[i], pushed[j], sizeof pushed[i])) {
                seen++;
                continue;
            }
            double d = ht_ref_distance_f32(HITHER_COSINE, pushed[i], pushed[j], DIM);
            best = d < best ? d : best;
        }
        assert_int_equal(score.seen, seen);
        assert_int_equal(score.record, i);
        assert_true(fabs((double)score.distance - (seen ? 0 : best > 2 ? 1 : best)) < 1e-4);
        if (i > 0)
            assert_true(fabs((double)score.centroid - twin_similarity(mean, length, i)) < 1e-5);
        if (best <= 2)
            assert_true(ht_ref_distance_f32(HITHER_COSINE, pushed[i], pushed[score.nearest], DIM) == best);
    }
    hither_window_close(w);
}

/* ---- age */

static void expect_records(hither_window *w, size_t records) {
    hither_error err = {0};
    hither_result *result;
    char want[32];
    ASSERT_OK(hither_window_info(w, &result, &err));
    hither_strings metadata = hither_result_metadata(result, 0);
    snprintf(want, sizeof want, "\"records\":%zu,", records);
    char *found = strstr(metadata.bytes, want);
    if (!found)
        fail_msg("%.*s does not say %s", (int)metadata.offsets[1], metadata.bytes, want);
    hither_result_free(result);
}

static void test_age(void **unused) {
    (void)unused;
    hither_error err = {0};
    hither_window *w = new_window(100, 1000, false);
    state = 5;
    for (uint64_t i = 0; i < 40; i++)
        random_vector(0, 9, pushed[i]);
    /* 0 ... 900 are there at 1000; time never goes back. */
    int64_t times[40];
    for (int64_t i = 0; i < 40; i++)
        times[i] = i * 100;
    push_vectors(w, 0, 11, times, NULL);
    expect_records(w, 11);
    push_vectors(w, 11, 1, &times[11], NULL);
    expect_records(w, 11);
    push_vectors(w, 12, 1, &times[3], NULL);
    expect_records(w, 12);
    compare_search(w, 1, 13, 5, 5);
    compare_outliers(w, 1, 13, 50, 2);
    push_vectors(w, 13, 1, (const int64_t[]){2100}, NULL); /* record 12 counts as of 1100 */
    expect_records(w, 3);
    push_vectors(w, 14, 1, (const int64_t[]){INT64_MAX}, NULL);
    expect_records(w, 1);
    assert_int_equal(hither_window_push_rows(
                         w, HITHER_OPTIONS(hither_window_rows, .vectors = {pushed, 1, DIM, 0, HITHER_F32}), NULL, &err),
                     HITHER_INVALID);
    hither_window_close(w);
    /* By the clock: an hour is not over yet. */
    w = new_window(10, 3600 * 1000, false);
    push_vectors(w, 0, 3, NULL, NULL);
    expect_records(w, 3);
    hither_window_close(w);
}

/* ---- arguments, memory, threads */

static void test_arguments(void **unused) {
    (void)unused;
    hither_error err = {0};
    hither_window *w = new_window(10, 0, false);
    hither_result *result = NULL;
    float three[3] = {1, 2, 3}, bad[DIM] = {0};
    const uint64_t offsets[] = {0, 1};
    const hither_strings text = {"x", offsets, 1, NULL};
    bad[7] = NAN;
    assert_int_equal(hither_window_push(w, &text, NULL, &err), HITHER_MODEL);
    hither_window_rows rows = {.size = sizeof rows, .vectors = {three, 1, 3, 0, HITHER_F32}};
    assert_int_equal(hither_window_push_rows(w, &rows, NULL, &err), HITHER_DIMENSION);
    rows.vectors = (hither_matrix){bad, 1, DIM, 0, HITHER_F32};
    assert_int_equal(hither_window_push_rows(w, &rows, NULL, &err), HITHER_NOT_FINITE);
    rows.vectors = (hither_matrix){pushed, 2, DIM, 0, HITHER_F32};
    rows.texts = text;
    assert_int_equal(hither_window_push_rows(w, &rows, NULL, &err), HITHER_INVALID);
    hither_query q = {.size = sizeof q, .vectors = {pushed, 1, DIM, 0, HITHER_F32}};
    assert_int_equal(hither_window_search(w, &q, 0, &result, &err), HITHER_INVALID);
    assert_int_equal(hither_window_search(w, &q, HITHER_MAX_K + 1, &result, &err), HITHER_TOO_LARGE);
    q.texts = text;
    assert_int_equal(hither_window_search(w, &q, 1, &result, &err), HITHER_INVALID);
    q = (hither_query){.size = sizeof q, .texts = text};
    assert_int_equal(hither_window_search(w, &q, 1, &result, &err), HITHER_MODEL);
    assert_int_equal(hither_window_centroid(w, three, 3, &err), HITHER_DIMENSION);
    assert_int_equal(hither_window_outliers(w, 1, NAN, &result, &err), HITHER_INVALID);
    assert_int_equal(hither_window_outliers(w, 0, 2, &result, &err), HITHER_INVALID);
    assert_null(result);
    q = (hither_query){.size = sizeof q, .vectors = {pushed, 2, DIM, 0, HITHER_F32}};
    ASSERT_OK(hither_window_search(w, &q, 5, &result, &err)); /* nothing is there */
    assert_int_equal(hither_result_groups(result), 2);
    assert_int_equal(hither_result_count(result, 1), 0);
    hither_result_free(result);
    rows = (hither_window_rows){.size = sizeof rows, .vectors = {pushed, 1, DIM, 0, HITHER_F32}, .texts = text};
    ASSERT_OK(hither_window_push_rows(w, &rows, NULL, &err)); /* the text goes with it */
    ASSERT_OK(hither_window_search(w, &q, 5, &result, &err));
    hither_strings documents = hither_result_documents(result, 1);
    assert_int_equal(documents.offsets[1] - documents.offsets[0], 1);
    hither_result_free(result);
    hither_window_close(w);
    assert_int_equal(hither_window_new(HITHER_OPTIONS(hither_window_options, .dim = HITHER_MAX_DIM + 1), &w, &err),
                     HITHER_DIMENSION);
}

static void test_no_memory(void **unused) {
    (void)unused;
    hither_error err = {0};
    state = 6;
    for (uint64_t i = 0; i < 400; i++)
        random_vector(i, 9, pushed[i]);
    int64_t live = alloc_fault_live();
    for (uint64_t nth = 1;; nth++) {
        hither_window *w = new_window(64, 0, false);
        hither_result *result = NULL;
        alloc_fault_arm(nth, false);
        hither_status status = HITHER_OK;
        uint64_t taken = 0;
        hither_score score;
        for (uint64_t i = 0; i < 200 && status == HITHER_OK; i++) {
            hither_window_rows rows = {.size = sizeof rows, .vectors = {pushed[i], 1, DIM, 0, HITHER_F32}};
            status = hither_window_push_rows(w, &rows, &score, &err);
            taken += status == HITHER_OK;
        }
        hither_query q = {.size = sizeof q, .vectors = {pushed[3], 1, DIM, 0, HITHER_F32}};
        if (status == HITHER_OK)
            status = hither_window_search(w, &q, 7, &result, &err);
        hither_result_free(result);
        bool hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        if (taken > 0)
            compare_search(w, taken > 64 ? taken - 64 : 0, taken, 10, nth);
        hither_window_close(w);
        assert_int_equal(alloc_fault_live(), live);
        if (!hit)
            break;
        assert_int_equal(status, HITHER_NOMEM);
        nth += nth / 8; /* the later ones are much alike */
    }
}

static void *push_all(void *arg) {
    for (uint64_t i = 0; i < 1000; i++)
        push_vectors(arg, i, 1, NULL, NULL);
    return NULL;
}

static void *search_all(void *arg) {
    hither_error err = {0};
    for (int i = 0; i < 200; i++) {
        hither_result *result = NULL;
        hither_query q = {.size = sizeof q, .vectors = {pushed[i], 1, DIM, 0, HITHER_F32}};
        ASSERT_OK(hither_window_search(arg, &q, 20, &result, &err));
        for (size_t j = 1; j < hither_result_count(result, 0); j++)
            assert_true(hither_result_distances(result, 0)[j] >= hither_result_distances(result, 0)[j - 1]);
        hither_result_free(result);
        ASSERT_OK(hither_window_outliers(arg, 5, 2, &result, &err));
        hither_result_free(result);
    }
    return NULL;
}

static void test_threads(void **unused) {
    (void)unused;
    state = 8;
    for (uint64_t i = 0; i < 1000; i++)
        random_vector(i, 9, pushed[i]);
    hither_window *w = new_window(128, 0, false);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? search_all : push_all, w), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect_records(w, 128);
    hither_window_close(w);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_every_record),
        cmocka_unit_test(test_scores_of_vectors),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
