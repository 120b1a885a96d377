/* test_embedder.c: the built-in embedder against the digests of a second implementation written from its document
 * (tests/python/embedder_reference.py), and what its vectors are good for. */
#include "embed/embed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/text.h"
#include "cmocka_all.h"
#include "embedder_golden.h"

static uint64_t digest(uint64_t h, const float *vector) {
    const unsigned char *p = (const unsigned char *)vector;
    for (size_t i = 0; i < HT_BUILTIN_DIM * sizeof *vector; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static ht_embedder *new_embedder(void) {
    hither_error err = {0};
    ht_embedder *e;
    ASSERT_OK(ht_embedder_builtin(&e, &err));
    return e;
}

static void embed(ht_embedder *e, const char *text, float *vector) {
    hither_error err = {0};
    ASSERT_OK(ht_embedder_one(e, HT_EMBED_DOCUMENT, text, strlen(text), vector, &err));
}

static double similarity(ht_embedder *e, const char *a, const char *b) {
    float x[HT_BUILTIN_DIM], y[HT_BUILTIN_DIM];
    embed(e, a, x);
    embed(e, b, y);
    double dot = 0;
    for (size_t i = 0; i < HT_BUILTIN_DIM; i++)
        dot += (double)x[i] * y[i];
    return dot;
}

static void test_golden_texts(void **state) {
    (void)state;
    ht_embedder *e = new_embedder();
    float vector[HT_BUILTIN_DIM];
    for (size_t i = 0; i < sizeof golden_texts / sizeof *golden_texts; i++) {
        embed(e, golden_texts[i].text, vector);
        uint64_t got = digest(0xcbf29ce484222325u, vector);
        if (got != golden_texts[i].digest)
            fail_msg("text %zu, \"%s\": digest %016llx", i, golden_texts[i].text, (unsigned long long)got);
    }
    ht_embedder_release(e);
}

/* The texts of lcg_texts in embedder_reference.py. */
static size_t random_text(uint64_t *state, char *out) {
    static const uint32_t alphabets[][2] = {{0x20, 95},      {0x61, 26},     {0x30, 10},    {0xA0, 0x250},
                                            {0x370, 0x1B0},  {0x590, 0x80},  {0x900, 0x80}, {0x3040, 0xC0},
                                            {0x4E00, 0x200}, {0xFF00, 0xE0}, {0x41, 6},     {0x2C, 15},
                                            {0x1E00, 0x200}, {0x2150, 0x60}};
    const size_t count = sizeof alphabets / sizeof *alphabets;
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    const uint32_t *alphabet = alphabets[(*state >> 33) % count];
    size_t bytes = 0;
    for (uint64_t left = (*state >> 40) % 60; left > 0; left--) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        if (*state >> 60 == 0)
            alphabet = alphabets[(*state >> 33) % count];
        uint32_t cp = (*state >> 56) % 7 != 0 ? alphabet[0] + (uint32_t)((*state >> 35) % alphabet[1]) : ' ';
        bytes += ht_utf8_put(cp, out + bytes);
    }
    return bytes;
}

/* Also that many texts at once, on however many threads, are the same bytes as one by one. */
static void test_golden_random_texts(void **state) {
    (void)state;
    hither_error err = {0};
    ht_embedder *e = new_embedder();
    ht_column column;
    ht_column_init(&column);
    uint64_t seed = 1, h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < GOLDEN_RANDOM_COUNT; i++) {
        char text[60 * 4];
        size_t bytes = random_text(&seed, text);
        ht_column_add(&column, text, bytes);
    }
    ASSERT_OK(ht_column_check(&column, &err));
    hither_strings texts = ht_column_view(&column);
    float *vectors = malloc(texts.count * HT_BUILTIN_DIM * sizeof *vectors);
    ASSERT_OK(ht_embedder_embed(e, HT_EMBED_DOCUMENT, &texts, vectors, &err));
    for (size_t i = 0; i < texts.count; i++) {
        float one[HT_BUILTIN_DIM];
        ht_text text = ht_strings_at(&texts, i);
        ASSERT_OK(ht_embedder_one(e, HT_EMBED_DOCUMENT, text.data, text.bytes, one, &err));
        assert_memory_equal(one, vectors + i * HT_BUILTIN_DIM, sizeof one);
        h = digest(h, one);
    }
    if (h != GOLDEN_RANDOM_DIGEST)
        fail_msg("digest %016llx", (unsigned long long)h);
    free(vectors);
    ht_column_clear(&column);
    ht_embedder_release(e);
}

static void test_unit_or_zero(void **state) {
    (void)state;
    ht_embedder *e = new_embedder();
    assert_int_equal(ht_embedder_dim(e), 384);
    assert_string_equal(ht_embedder_name(e), "builtin-1");
    static const char *const nothing[] = {"", " ", "...\n", "\342\200\224 !", "\377\376"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        assert_true(similarity(e, nothing[i], nothing[i]) == 0.0);
    for (size_t i = 0; i < sizeof golden_texts / sizeof *golden_texts; i++) {
        double norm = similarity(e, golden_texts[i].text, golden_texts[i].text);
        if (norm != 0.0 && fabs(norm - 1.0) > 1e-6)
            fail_msg("text %zu: squared norm %.9f", i, norm);
    }
    ht_embedder_release(e);
}

static void test_what_is_alike(void **state) {
    (void)state;
    ht_embedder *e = new_embedder();
    assert_true(similarity(e, "Caf\303\251 CR\303\210ME", "cafe\314\201 cre\314\200me") > 0.999999);
    assert_true(similarity(e, "hawks", "hawk") > 0.4);
    assert_true(similarity(e, "disk is full", "the disk was full") > similarity(e, "disk is full", "printer on fire"));
    assert_true(similarity(e, "user 81723 logged in", "user 99120 logged in") > 0.999999);
    assert_true(similarity(e, "error 404", "error 500") < 0.95);
    assert_true(similarity(e, "dog bites man", "man bites dog") < 0.999);
    assert_true(similarity(e, "a b c", "the of and") < 0.9);
    ht_embedder_release(e);
}

static void test_missing_and_too_large(void **state) {
    (void)state;
    hither_error err = {0};
    ht_embedder *e = new_embedder();
    const char bytes[] = "hawk";
    const uint64_t offsets[] = {0, 4, 4};
    const uint8_t valid[] = {1};
    float vectors[2 * HT_BUILTIN_DIM];
    memset(vectors, 0xFF, sizeof vectors);
    ASSERT_OK(ht_embedder_embed(e, HT_EMBED_DOCUMENT, &(hither_strings){bytes, offsets, 2, valid}, vectors, &err));
    for (size_t i = HT_BUILTIN_DIM; i < 2 * HT_BUILTIN_DIM; i++)
        assert_true(vectors[i] == 0.0f);
    ASSERT_OK(ht_embedder_embed(e, HT_EMBED_DOCUMENT, &(hither_strings){0}, NULL, &err));

    size_t large = (size_t)HITHER_MAX_TEXT_BYTES + 1;
    char *text = malloc(large);
    memset(text, 'a', large);
    ASSERT_FAILS(ht_embedder_one(e, HT_EMBED_DOCUMENT, text, large, vectors, &err), HITHER_TOO_LARGE);
    const uint64_t two[] = {0, 4, 4 + large};
    char *column = malloc(large + 4);
    memset(column, 'b', large + 4);
    ASSERT_FAILS(ht_embedder_embed(e, HT_EMBED_DOCUMENT, &(hither_strings){column, two, 2, NULL}, vectors, &err),
                 HITHER_TOO_LARGE);
    ASSERT_OK(ht_embedder_one(e, HT_EMBED_DOCUMENT, text, large - 1, vectors, &err));
    free(column);
    free(text);
    ht_embedder_release(e);
}

/* The steady state allocates nothing, so it cannot run out of memory either. */
static void test_no_memory(void **state) {
    (void)state;
    hither_error err = {0};
    ht_embedder *e = new_embedder(), *other;
    float vector[HT_BUILTIN_DIM];
    alloc_fault_arm(1, true);
    hither_status made = ht_embedder_builtin(&other, &err);
    hither_status embedded = ht_embedder_one(e, HT_EMBED_DOCUMENT, "hawk", 4, vector, &err);
    alloc_fault_arm(0, false);
    assert_int_equal(made, HITHER_NOMEM);
    assert_null(other);
    assert_int_equal(embedded, HITHER_OK);
    ht_embedder_release(ht_embedder_acquire(e));
    ht_embedder_release(e);
    ht_embedder_release(NULL);
    assert_int_equal(alloc_fault_live(), 0);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_texts),          cmocka_unit_test(test_golden_random_texts),
        cmocka_unit_test(test_unit_or_zero),          cmocka_unit_test(test_what_is_alike),
        cmocka_unit_test(test_missing_and_too_large), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
