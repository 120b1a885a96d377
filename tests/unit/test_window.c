/* test_window.c: the window against a twin that keeps plain lists and computes everything anew for each record. */
#include "stream/window.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/hash.h"
#include "cmocka_all.h"
#include "embed/embed.h"
#include "kernels/reference.h"
#include "stream/mask.h"
#include "stream/severity.h"

#define DIM 40u /* enough for forms to have codes */

/* A bag of hashed letters: cheap, with many near and many equal distances, and zero for texts without letters. */
static hither_status embed(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err) {
    (void)ctx;
    (void)err;
    double sums[DIM] = {0}, norm = 0;
    for (size_t i = 0; i < bytes; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            sums[ht_hash64(text + i, 1, 9) % DIM] += 1;
    for (size_t i = 0; i < DIM; i++)
        norm += sums[i] * sums[i];
    for (size_t i = 0; i < DIM; i++)
        vector[i] = norm > 0 ? (float)(sums[i] / sqrt(norm)) : 0;
    return HITHER_OK;
}

static ht_window *new_window(uint32_t capacity) {
    hither_error err = {0};
    ht_window *w;
    ASSERT_OK(ht_window_new(&(ht_window_spec){.capacity = capacity, .dim = DIM, .embed = embed}, &w, &err));
    return w;
}

static hither_score push(ht_window *w, const char *text) {
    hither_error err = {0};
    const uint64_t offsets[] = {0, strlen(text)};
    hither_score score;
    ASSERT_OK(ht_window_push(w, &(ht_window_rows){.texts = &(hither_strings){text, offsets, 1, NULL}}, &score, &err));
    return score;
}

/* ---- the twin */

#define MOST 4000u
typedef struct twin_record {
    char form[64];
    float vector[DIM];
    uint64_t birth; /* of the form: the record it came in with */
    hither_level level;
} twin_record;
static twin_record twin[MOST];

static hither_score twin_push(uint32_t capacity, uint64_t number, const char *text) {
    uint64_t first = number > capacity ? number - capacity : 0;
    twin_record *r = &twin[number];
    hither_score score = {.record = number, .nearest = UINT64_MAX, .centroid = 1};
    ht_buf masked;
    ht_buf_init(&masked, 4096);
    ht_mask_line(NULL, text, strlen(text), &masked);
    snprintf(r->form, sizeof r->form, "%s", masked.data ? masked.data : "");
    ht_buf_clear(&masked);
    assert_int_equal(embed(NULL, r->form, strlen(r->form), r->vector, NULL), HITHER_OK);
    r->birth = number;
    score.form = number + 1;
    double best = 2, mean[DIM] = {0}, dot = 0, vv = 0, mm = 0, records = (double)(number - first) + 1;
    uint64_t best_birth = UINT64_MAX;
    for (uint64_t i = first; i < number; i++) {
        for (size_t j = 0; j < DIM; j++)
            mean[j] += (double)twin[i].vector[j];
        if (strcmp(twin[i].form, r->form) == 0) {
            r->birth = twin[i].birth;
            score.form = r->birth + 1;
            score.seen++;
            continue;
        }
        double d = ht_ref_distance_f32(HITHER_COSINE, r->vector, twin[i].vector, DIM);
        if (d < best || (d == best && twin[i].birth <= best_birth)) {
            best = d;
            best_birth = twin[i].birth;
            score.nearest = i;
        }
    }
    for (size_t j = 0; j < DIM; j++) {
        dot += mean[j] * (double)r->vector[j];
        vv += (double)r->vector[j] * (double)r->vector[j];
        mm += mean[j] * mean[j];
    }
    if (number > first)
        score.centroid = vv > 0 && mm > 0 ? (float)(dot / sqrt(vv * mm)) : 0;
    score.rarity = number == first ? 1 : (float)(-log((score.seen + 1) / records) / log(records));
    if (score.seen == 0)
        score.distance = (float)(rint((score.nearest == UINT64_MAX ? 1 : best) * 1e4) / 1e4);
    score.novelty = score.rarity + 2 * score.distance;
    r->level = ht_severity(text, strlen(text));
    score.level = r->level;
    double alike = 0;
    for (uint64_t i = first; i < number; i++)
        alike += twin[i].level >= r->level;
    if (r->level >= HITHER_LEVEL_WARNING)
        score.severity = number == first ? 1 : (float)(-log((alike + 1) / records) / log(records));
    return score;
}

static void random_text(uint64_t *seed, uint32_t words, char *out) {
    size_t filled = 0;
    static const char *const levels[] = {"", "", "", "", "INFO ", "WARN ", "[error] ", "level=fatal "};
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    const uint32_t pick = (uint32_t)((*seed >> 33) % 64);
    filled += (size_t)sprintf(out, "%s", levels[pick < 8 ? pick : pick < 20 ? 4 : 0]);
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    for (uint64_t left = (*seed >> 33) % 4; left > 0; left--) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t word = (uint32_t)((*seed >> 33) % words);
        word = word * (uint32_t)((*seed >> 50) % words) / words; /* some words are common, some are rare */
        filled += (size_t)sprintf(out + filled, "%c%c%u ", 'a' + word % 26, 'a' + word / 26 % 26, word);
    }
}

/* Whether two numberings of forms agree so far. */
static bool same_form(uint64_t record, uint64_t got, uint64_t want) {
    static uint64_t of_twin[MOST + 1], last;
    last = record == 0 ? 0 : last;
    if (want == record + 1) { /* a new form: a number that no form had */
        of_twin[want] = got;
        bool rises = got > last;
        last = got;
        return rises;
    }
    return of_twin[want] == got;
}

static void compare_with_twin(uint32_t capacity, uint32_t words, uint64_t number_of_texts, uint64_t seed) {
#ifdef __SANITIZE_THREAD__ /* one thread: a look is enough */
    number_of_texts /= 8;
#endif
    ht_window *w = new_window(capacity);
    uint64_t state = seed;
    for (uint64_t i = 0; i < number_of_texts; i++) {
        char text[64];
        random_text(&state, words, text);
        hither_score got = push(w, text), want = twin_push(capacity, i, text);
        bool same = got.seen == want.seen && got.record == want.record && got.nearest == want.nearest &&
                    same_form(i, got.form, want.form) && got.distance == want.distance &&
                    fabsf(got.rarity - want.rarity) < 1e-6f && fabsf(got.novelty - want.novelty) < 1e-6f &&
                    got.level == want.level && fabsf(got.severity - want.severity) < 1e-6f &&
                    fabsf(got.centroid - want.centroid) < 1e-6f;
        if (!same)
            fail_msg("seed %llu, capacity %u, record %llu \"%s\": seen %u %u, nearest %llu %llu, distance %.9g %.9g, "
                     "rarity %.9g %.9g, centroid %.9g %.9g",
                     (unsigned long long)seed, capacity, (unsigned long long)i, text, got.seen, want.seen,
                     (unsigned long long)got.nearest, (unsigned long long)want.nearest, (double)got.distance,
                     (double)want.distance, (double)got.rarity, (double)want.rarity, (double)got.centroid,
                     (double)want.centroid);
    }
    ht_window_free(w);
}

static void test_against_the_twin(void **state) {
    (void)state;
    compare_with_twin(1, 6, 500, 1);
    compare_with_twin(2, 6, 1000, 2);
    compare_with_twin(7, 10, 2000, 3);
    compare_with_twin(64, 40, 3000, 4);
    compare_with_twin(300, 600, MOST, 5); /* more forms than one block, and growth on the way */
    compare_with_twin(1000, 12, 2500, 6);
}

/* ---- the rest */

static void test_keeps_exactly_the_newest(void **state) {
    (void)state;
    hither_error err = {0};
    ht_window *w = new_window(10);
    uint64_t numbers[40];
    for (uint64_t i = 0; i < 40; i++)
        numbers[i] = i;
    for (uint64_t n = 0; n < 37; n++) {
        char text[32];
        snprintf(text, sizeof text, "record %llu", (unsigned long long)n);
        assert_int_equal(push(w, text).record, n);
        hither_result *result = NULL;
        ASSERT_OK(ht_window_get(w, numbers, 40, &result, &err));
        size_t kept = n + 1 < 10 ? (size_t)n + 1 : 10;
        hither_strings documents = hither_result_documents(result, 0);
        assert_int_equal(hither_result_count(result, 0), kept);
        for (size_t i = 0; i < kept; i++) {
            uint64_t number = n + 1 - kept + i;
            snprintf(text, sizeof text, "record %llu", (unsigned long long)number);
            ht_text got = ht_strings_at(&documents, i);
            assert_int_equal(hither_result_ids(result, 0).ints[i], number);
            assert_int_equal(got.bytes, strlen(text));
            assert_memory_equal(got.data, text, got.bytes);
        }
        hither_result_free(result);
    }
    hither_result *empty = NULL;
    ASSERT_OK(ht_window_get(w, (const uint64_t[]){UINT64_MAX, 37, 26, 0}, 4, &empty, &err));
    assert_int_equal(hither_result_count(empty, 0), 0);
    hither_result_free(empty);
    ht_window_free(w);
}

static void check_kept(ht_window *w, uint64_t number, const char *text, size_t bytes) {
    hither_error err = {0};
    hither_result *result = NULL;
    ASSERT_OK(ht_window_get(w, &number, 1, &result, &err));
    hither_strings documents = hither_result_documents(result, 0);
    ht_text got = ht_strings_at(&documents, 0);
    if (got.bytes != bytes || memcmp(got.data, text, bytes) != 0)
        fail_msg("record %llu: kept %zu bytes, should be %zu", (unsigned long long)number, got.bytes, bytes);
    hither_result_free(result);
}

static void test_long_and_broken_texts(void **state) {
    (void)state;
    hither_error err = {0};
    ht_window *w = new_window(4);
    enum { size = HT_WINDOW_TEXT_BYTES + 100 };
    static char text[size + 1], mended[size + 3];
    memset(text, 'x', size);
    text[size] = 0;
    push(w, text);
    check_kept(w, 0, text, HT_WINDOW_TEXT_BYTES);
    /* A character across the cut is left out whole. */
    memcpy(text + HT_WINDOW_TEXT_BYTES - 2, "\346\235\261", 3);
    push(w, text);
    check_kept(w, 1, text, HT_WINDOW_TEXT_BYTES - 2);
    /* What only looks like a broken character because the text is cut in it, and what is broken. */
    text[10] = '\377';
    push(w, text);
    memcpy(mended, text, 10);
    memcpy(mended + 10, "\357\277\275", 3);
    memcpy(mended + 13, text + 11, size - 11);
    check_kept(w, 2, mended, HT_WINDOW_TEXT_BYTES);
    memset(text, '\377', size);
    push(w, text);
    for (size_t i = 0; i < HT_WINDOW_TEXT_BYTES; i += 3)
        memcpy(mended + i, "\357\277\275", 3);
    check_kept(w, 3, mended, HT_WINDOW_TEXT_BYTES / 3 * 3);
    /* Missing and empty texts are records too. */
    const uint64_t offsets[] = {0, 0, 4};
    const uint8_t valid[] = {1};
    hither_score scores[2];
    ASSERT_OK(
        ht_window_push(w, &(ht_window_rows){.texts = &(hither_strings){"gone", offsets, 2, valid}}, scores, &err));
    assert_int_equal(scores[0].seen, 0);
    assert_int_equal(scores[1].seen, 1);
    assert_int_equal(scores[1].record, 5);
    check_kept(w, 5, "", 0);
    ht_window_free(w);
}

static void test_no_memory(void **state) {
    (void)state;
    hither_error err = {0};
    int64_t live = alloc_fault_live();
    for (uint64_t nth = 1;; nth++) {
        ht_window *w;
        alloc_fault_arm(nth, false);
        hither_status status = ht_window_new(&(ht_window_spec){.capacity = 8, .dim = DIM, .embed = embed}, &w, &err);
        uint64_t taken = 0;
        for (int i = 0; i < 100 && status == HITHER_OK; i++) {
            char text[64];
            snprintf(text, sizeof text, "word%c%c %*d", 'a' + i % 26, 'a' + i / 26, i % 30, 7);
            const uint64_t offsets[] = {0, strlen(text)};
            hither_score score;
            status =
                ht_window_push(w, &(ht_window_rows){.texts = &(hither_strings){text, offsets, 1, NULL}}, &score, &err);
            taken += status == HITHER_OK;
        }
        bool hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        if (w) { /* it goes on as if the failed push had not been */
            assert_int_equal(push(w, "after").record, taken);
            assert_int_equal(push(w, "after").seen, 1);
        }
        ht_window_free(w);
        assert_int_equal(alloc_fault_live(), live);
        if (!hit)
            break;
        assert_int_equal(status, HITHER_NOMEM);
        assert_true(nth < 1000);
    }
}

static void *push_many(void *arg) {
    ht_window *w = arg;
    for (int i = 0; i < 500; i++)
        push(w, i % 3 ? "steady state of things" : "other things\304\200");
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    ht_window *w = new_window(100);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, w), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    hither_score score = push(w, "steady state of things");
    assert_int_equal(score.record, 2000);
    assert_in_range(score.seen, 1, 99);
    ht_window_free(w);
}

static hither_status embed_builtin(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err) {
    return ht_embedder_one(ctx, HT_EMBED_DOCUMENT, text, bytes, vector, err);
}

/* What the scores are for: a new statement stands out, its repetition less, the usual least. */
static void test_the_new_stands_out(void **state) {
    (void)state;
    static const char *const usual[] = {"connection from 10.0.0.1 accepted", "request 17 done in 12 ms",
                                        "session closed for user root"};
    hither_error err = {0};
    ht_embedder *e;
    ht_window *w;
    ASSERT_OK(ht_embedder_builtin(&e, &err));
    assert_int_equal(ht_embedder_dim(e), 384);
    hither_status made = ht_window_new(
        &(ht_window_spec){.capacity = 1000, .dim = 384, .embed = embed_builtin, .embed_ctx = e}, &w, &err);
    assert_int_equal(made, HITHER_OK);
    for (int i = 0; i < 900; i++)
        push(w, usual[i % 3]);
    hither_score known = push(w, "request 99999 done in 3.5 ms"), fresh = push(w, "disk failure on sdb, giving up"),
                 near = push(w, "request 5 not done in 9 ms"), again = push(w, "disk failure on sdb, giving up");
    assert_true(known.novelty < 0.3f && known.distance == 0.0f && known.seen == 300);
    assert_true(fresh.novelty > 2.5f && fresh.rarity == 1.0f && fresh.seen == 0);
    assert_true(near.distance < 0.5f * fresh.distance && near.novelty > 1.0f && near.nearest == 900);
    assert_true(again.novelty < fresh.novelty && again.novelty > known.novelty && again.seen == 1);
    assert_true(fresh.centroid < known.centroid);
    ht_window_free(w);
    ht_embedder_release(e);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_twin),
        cmocka_unit_test(test_keeps_exactly_the_newest),
        cmocka_unit_test(test_long_and_broken_texts),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_the_new_stands_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
