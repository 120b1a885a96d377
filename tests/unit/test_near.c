/*
 * test_near.c: an index that is searched by a graph, at its public face: what recall was asked is found after builds,
 * adds, removes, repairs and a save, and under filters; nothing is lost that should be there; files are the same bytes
 * whatever the threads, and one whose graph is damaged is searched exactly; searches beside a writer.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "hither.h"
#include "rows.h"

enum { DIM = 24, ROWS = 4000, MORE = 1500, QUERIES = 60, K = 10, CENTRES = 60 };

static hither_error err;
static hither_kind kind; /* that is tested */
static float rows[(ROWS + MORE) * DIM], queries[QUERIES * DIM];

static void fill(float *row, uint64_t seed, uint64_t i) {
    for (size_t j = 0; j < DIM; j++)
        row[j] = 2 * test_float(31, (i * 7919 % CENTRES) * DIM + j) + test_float(seed, i * DIM + j);
}

static int set_up(void **state) {
    (void)state;
    for (size_t i = 0; i < ROWS + MORE; i++)
        fill(rows + i * DIM, 32, i);
    for (size_t i = 0; i < QUERIES; i++)
        fill(queries + i * DIM, 33, i);
    return 0;
}

static hither_index *fresh(hither_metric metric) {
    hither_index *index;
    ASSERT_OK(hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = DIM, .metric = metric, .kind = kind), &index,
                               &err));
    return index;
}

static void add(hither_index *index, size_t from, size_t count) {
    hither_matrix m = test_matrix(rows + from * DIM, count, DIM);
    ASSERT_OK(hither_index_add(index, &m, NULL, NULL, &err));
}

static hither_index *built(unsigned threads) {
    hither_index *index = fresh(HITHER_COSINE);
    add(index, 0, ROWS);
    ASSERT_OK(hither_index_build(index, HITHER_OPTIONS(hither_index_build_options, .threads = threads), &err));
    return index;
}

/* One number out of a JSON text. */
static double number_in(const char *json, const char *name) {
    char key[40];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    if (!at)
        fail_msg("%s is not in %s", name, json);
    return strtod(at + strlen(key), NULL);
}

/* The text of a result of one. */
static const char *text_of(const hither_result *r) {
    static char text[8192];
    const hither_strings all = hither_result_metadata(r, 0);
    assert_true(all.offsets[1] < sizeof text);
    memcpy(text, all.bytes, all.offsets[1]);
    text[all.offsets[1]] = 0;
    return text;
}

static double fact(hither_index *index, const char *name) {
    hither_result *r;
    ASSERT_OK(hither_index_info(index, &r, &err));
    double value = number_in(text_of(r), name);
    hither_result_free(r);
    return value;
}

/* The share of the exact answer that a search finds. */
static double recall_of(hither_index *index, double asked, const uint64_t *allow, uint64_t bits) {
    static int64_t found[QUERIES * K], truth[QUERIES * K];
    static float far[QUERIES * K], exact[QUERIES * K];
    hither_matrix q = test_matrix(queries, QUERIES, DIM);
    ASSERT_OK(hither_index_search(
        index, &q, K, HITHER_OPTIONS(hither_index_search_options, .recall = asked, .allow = allow, .allow_bits = bits),
        found, far, &err));
    ASSERT_OK(hither_index_search(
        index, &q, K, HITHER_OPTIONS(hither_index_search_options, .recall = 1, .allow = allow, .allow_bits = bits),
        truth, exact, &err));
    size_t hit = 0, all = 0;
    for (size_t j = 0; j < QUERIES; j++) {
        for (size_t i = j * K; i < (j + 1) * K; i++) {
            assert_int_equal(found[i] < 0, truth[i] < 0); /* never fewer than there are */
            assert_true(i == j * K || far[i - 1] <= far[i]);
            all += truth[i] >= 0;
            for (size_t t = j * K; t < (j + 1) * K && found[i] >= 0; t++)
                if (truth[t] == found[i]) {
                    assert_memory_equal(&far[i], &exact[t], sizeof(float));
                    hit++;
                }
        }
    }
    return (double)hit / (double)all;
}

static void floor_of(hither_index *index, double asked, double least, const char *when) {
    double got = recall_of(index, asked, NULL, 0);
    if (got < least)
        fail_msg("%s: asked for a recall of %g, got %g", when, asked, got);
}

static void remove_some(hither_index *index, int64_t from, int64_t to, int64_t step) {
    for (int64_t label = from; label < to; label += step)
        ASSERT_OK(hither_index_remove(index, &label, 1, NULL, &err));
}

static void test_life(void **state) {
    kind = **(const hither_kind **)state;
    hither_index *index = built(0), *again;
    char *path = test_path();
    assert_int_equal((int)fact(index, "built"), ROWS);
    floor_of(index, 0.95, 0.94, "built");
    floor_of(index, 0.99, 0.98, "built");
    add(index, ROWS, MORE);
    assert_int_equal((int)fact(index, "waiting"), MORE);
    floor_of(index, 0.95, 0.94, "with rows beside");
    ASSERT_OK(hither_index_build(index, NULL, &err));
    assert_int_equal((int)fact(index, "waiting"), 0);
    floor_of(index, 0.95, 0.94, "extended");
    remove_some(index, 0, ROWS, 3);
    assert_int_equal((int)fact(index, "stray"), (ROWS + 2) / 3);
    floor_of(index, 0.95, 0.93, "with removed rows");
    ASSERT_OK(hither_index_build(index, HITHER_OPTIONS(hither_index_build_options, .due = 1), &err));
    assert_int_equal((int)fact(index, "stray"), 0);
    floor_of(index, 0.95, 0.94, "repaired");
    remove_some(index, 1, 200, 3);
    ASSERT_OK(hither_index_save(index, path, &err));
    ASSERT_OK(hither_index_open(path, &again, &err));
    assert_int_equal((int)fact(again, "built"), (int)fact(again, "rows"));
    floor_of(again, 0.95, 0.94, "saved and opened");
    ASSERT_OK(hither_index_verify(again, &err));
    add(again, 0, MORE);
    ASSERT_OK(hither_index_build(again, NULL, &err));
    floor_of(again, 0.95, 0.94, "opened and extended");
    hither_index_close(again);
    hither_index_close(index);
    test_remove_tree(path);
}

static void test_filters(void **state) {
    kind = **(const hither_kind **)state;
    static uint64_t allow[ROWS / 64 + 1];
    static const struct {
        uint64_t one_in;
        double least;
    } shares[] = {{2, 0.94}, {10, 0.94}, {100, 1}, {1000, 1}};
    hither_index *index = built(0);
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        memset(allow, 0, sizeof allow);
        for (uint64_t i = 0; i < ROWS; i++)
            if ((i * 2654435761u >> 7) % shares[s].one_in == 0)
                allow[i / 64] |= (uint64_t)1 << i % 64;
        double got = recall_of(index, 0.95, allow, ROWS);
        if (got < shares[s].least)
            fail_msg("one row in %d: recall %g", (int)shares[s].one_in, got);
    }
    memset(allow, 0, sizeof allow);
    allow[0] = 6; /* fewer than k */
    assert_true(recall_of(index, 0.95, allow, ROWS) == 1);
    hither_index_close(index);
}

static char *contents(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*bytes);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, f), *bytes);
    fclose(f);
    return data;
}

/* Changes the first byte of a section: the directory has its name, and where it is. */
static void flip_in(char *file, size_t bytes, const char *section) {
    char name[16] = {0};
    uint64_t at;
    memcpy(name, section, strlen(section));
    for (size_t i = bytes - sizeof name - sizeof at; i-- > 0;) {
        if (memcmp(file + i, name, sizeof name) != 0)
            continue;
        memcpy(&at, file + i + sizeof name, sizeof at);
        assert_true(at < bytes);
        file[at] ^= 1;
        return;
    }
    fail_msg("there is no section %s", section);
}

static void test_same_bytes(void **state) {
    kind = **(const hither_kind **)state;
    char *path = test_path(), *first = NULL;
    size_t first_bytes = 0;
    for (unsigned threads = 1; threads <= 4; threads *= 2) {
        size_t bytes;
        hither_index *index = built(threads);
        ASSERT_OK(hither_index_save(index, path, &err));
        char *data = contents(path, &bytes);
        if (first) {
            assert_int_equal(bytes, first_bytes);
            assert_memory_equal(data, first, bytes);
            free(data);
        } else {
            first = data;
            first_bytes = bytes;
        }
        hither_index_close(index);
    }
    /* damage past the rows: an index that opens, says so when verified, and is searched exactly */
    static const char *const graph[] = {"g-links", "g-codes", "approx"}, *const lists[] = {"v-slots", "v-codes",
                                                                                           "approx"};
    const char *const *sections = kind == HITHER_HNSW ? graph : lists;
    for (size_t s = 0; s < 3; s++) {
        char *bad = malloc(first_bytes);
        assert_non_null(bad);
        memcpy(bad, first, first_bytes);
        flip_in(bad, first_bytes, sections[s]);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(bad, 1, first_bytes, f), first_bytes);
        fclose(f);
        hither_index *index;
        ASSERT_OK(hither_index_open(path, &index, &err));
        assert_true(recall_of(index, 0.95, NULL, 0) == 1);
        assert_int_equal(hither_index_verify(index, &err), HITHER_CORRUPT);
        hither_index_close(index);
        free(bad);
    }
    free(first);
    test_remove_tree(path);
}

static int stop(void *ctx, uint64_t done, uint64_t of) {
    (void)ctx;
    return done > of / 2;
}

static void test_exact_where_it_must(void **state) {
    kind = **(const hither_kind **)state;
    hither_matrix q = test_matrix(queries, 1, DIM);
    hither_result *r;
    hither_index *index = fresh(HITHER_L1), *few = fresh(HITHER_L2);
    add(index, 0, ROWS);
    add(few, 0, 500);
    ASSERT_OK(hither_index_build(index, NULL, &err));
    ASSERT_OK(hither_index_build(few, NULL, &err));
    assert_true(recall_of(index, 0.9, NULL, 0) == 1 && recall_of(few, 0.9, NULL, 0) == 1);
    hither_index_close(index);
    hither_index_close(few);
    index = fresh(HITHER_L2);
    add(index, 0, ROWS);
    assert_int_equal(hither_index_build(index, HITHER_OPTIONS(hither_index_build_options, .step = stop), &err),
                     HITHER_INTERRUPTED);
    assert_true(recall_of(index, 0.9, NULL, 0) == 1);
    assert_int_equal(hither_index_build(index, HITHER_OPTIONS(hither_index_build_options, .memory = 100000), &err),
                     HITHER_TOO_LARGE);
    assert_non_null(strstr(err.message, "100000 are allowed"));
    ASSERT_OK(hither_index_build(index, HITHER_OPTIONS(hither_index_build_options, .memory = 4000000), &err));
    ASSERT_OK(hither_index_explain(index, &q, K, HITHER_OPTIONS(hither_index_search_options, .metric = HITHER_COSINE),
                                   &r, &err));
    assert_non_null(strstr(hither_result_plan(r), "\"why\":\"another metric\""));
    hither_result_free(r);
    ASSERT_OK(hither_index_explain(index, &q, K, HITHER_OPTIONS(hither_index_search_options, .ef = 50, .nprobe = 20),
                                   &r, &err));
    const bool graph = kind == HITHER_HNSW;
    assert_true(number_in(hither_result_plan(r), graph ? "ef" : "nprobe") == (graph ? 50 : 20));
    assert_true(number_in(hither_result_plan(r), "visited") > 50);
    assert_true(number_in(hither_result_plan(r), "expected") > 0.5);
    hither_result_free(r);
    ASSERT_OK(hither_index_tune(index, &r, &err));
    assert_true(number_in(text_of(r), "own") > 100);
    hither_result_free(r);
    hither_index_close(index);
    assert_int_equal(
        hither_index_new(HITHER_OPTIONS(hither_index_options, .dim = 4, .kind = HITHER_HNSW, .bits = 5), &index, &err),
        HITHER_INVALID);
    assert_null(index);
}

typedef struct crowd {
    hither_index *index;
    _Atomic int done;
} crowd;

static void *search_on(void *ctx) {
    crowd *c = ctx;
    int64_t labels[K];
    float distances[K];
    hither_error mine;
    for (size_t i = 0; !atomic_load(&c->done); i++) {
        hither_matrix q = test_matrix(queries + i % QUERIES * DIM, 1, DIM);
        if (hither_index_search(c->index, &q, K, NULL, labels, distances, &mine) != HITHER_OK || labels[K - 1] < 0)
            return c;
    }
    return NULL;
}

static void test_searches_beside_builds(void **state) {
    kind = **(const hither_kind **)state;
    crowd c = {.index = built(0)};
    pthread_t threads[2];
    void *failed;
    atomic_init(&c.done, 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_on, &c), 0);
    for (size_t i = 0; i < 3; i++) {
        add(c.index, ROWS + i * 300, 300);
        remove_some(c.index, (int64_t)i * 200, (int64_t)i * 200 + 200, 1);
        ASSERT_OK(hither_index_build(c.index, NULL, &err));
    }
    atomic_store(&c.done, 1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    floor_of(c.index, 0.95, 0.94, "after all of it");
    hither_index_close(c.index);
}

int main(void) {
    static const hither_kind kinds[] = {HITHER_HNSW, HITHER_IVF};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_life, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_filters, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_same_bytes, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_exact_where_it_must, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_searches_beside_builds, (void *)&kinds[0]),
        cmocka_unit_test_prestate(test_life, (void *)&kinds[1]),
        cmocka_unit_test_prestate(test_filters, (void *)&kinds[1]),
        cmocka_unit_test_prestate(test_same_bytes, (void *)&kinds[1]),
        cmocka_unit_test_prestate(test_exact_where_it_must, (void *)&kinds[1]),
        cmocka_unit_test_prestate(test_searches_beside_builds, (void *)&kinds[1]),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
