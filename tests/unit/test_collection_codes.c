/*
 * test_collection_codes.c: collections searched from codes give what brute force gives, bit by bit: while rows come,
 * change and go, after opening again, while several threads touch the same rows first, and beside a writer. And the
 * codes that a process keeps are those of the rows, whoever made them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "cmocka_all.h"
#include "engine/parts.h"
#include "engine/state.h"
#include "index/codes.h"
#include "rows.h"

#define SEED     2026u
#define DIM      40
#define IDS      1500
#define VERSIONS 9000
#define K        12
#define QUERIES  6

static hither_error err;
static const ht_search NEAREST = {.k = K, .include = HITHER_INCLUDE_NOTHING};

/* Every row version ever written, in order of writing: slots and positions here are the same. */
typedef struct twin {
    hither_metric metric;
    float rows[VERSIONS][DIM];
    int64_t ids[VERSIONS];
    bool live[VERSIONS];
    size_t count;
    size_t place[IDS]; /* of each id, plus one; 0: none */
} twin;

static void make_vector(uint64_t seed, float *out) {
    uint64_t cluster = ht_mix64(seed) % 17;
    for (size_t j = 0; j < DIM; j++)
        out[j] = 2 * test_float(cluster, j) + test_float(seed + 1000, j) * (j % 5 ? 0.3f : 1.0f);
    if (seed % 97 == 0)
        memset(out, 0, DIM * sizeof *out);
    if (seed % 89 == 0)
        make_vector(1, out); /* ties */
}

static void twin_kill(twin *t, size_t id) {
    if (t->place[id])
        t->live[t->place[id] - 1] = false;
    t->place[id] = 0;
}

static void upsert(twin *t, ht_collection *c, uint64_t seed, size_t count) {
    int64_t *ids = malloc(count * sizeof *ids);
    float *rows = malloc(count * DIM * sizeof *rows);
    uint64_t start = ht_mix64(seed) % IDS;
    for (size_t i = 0; i < count; i++) {
        size_t id = (size_t)((start + i) % IDS), at = t->count;
        assert_true(at < VERSIONS);
        ids[i] = (int64_t)id;
        make_vector(seed * 1000 + i, rows + i * DIM);
        twin_kill(t, id);
        memcpy(t->rows[at], rows + i * DIM, sizeof t->rows[at]);
        t->ids[at] = (int64_t)id;
        t->live[at] = true;
        t->place[id] = ++t->count;
    }
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, count), .vectors = test_matrix(rows, count, DIM)};
    assert_int_equal(ht_collection_put(c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_OK);
    free(rows);
    free(ids);
}

static void erase(twin *t, ht_collection *c, uint64_t seed, size_t count) {
    int64_t ids[64];
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int64_t)(ht_mix64(seed + i) % IDS);
        twin_kill(t, (size_t)ids[i]);
    }
    hither_ids asked = test_int_ids(ids, count);
    assert_int_equal(ht_collection_delete(c, &asked, NULL, NULL, &err), HITHER_OK);
}

typedef struct answer {
    size_t count;
    int64_t ids[K];
    float distances[K];
} answer;

static void twin_search(const twin *t, const float *query, answer *out) {
    size_t chunks = (t->count + 65535) / 65536;
    uint64_t *words = calloc(chunks, 65536 / 8);
    const uint64_t *chunk[1] = {words};
    assert_true(chunks == 1);
    for (size_t i = 0; i < t->count; i++)
        words[i / 64] |= (uint64_t)t->live[i] << (i % 64);
    ht_part part = {.rows = t->rows, .count = t->count, .stride = sizeof t->rows[0]};
    ht_vectors v = {.dtype = HITHER_F32, .metric = t->metric, .dim = DIM, .parts = &part, .part_count = 1};
    ht_mask live = {.chunks = chunk, .chunk_count = 1, .limit = t->count};
    ht_hit hits[K];
    assert_int_equal(ht_brute_search(&v, query, DIM * sizeof(float), 1, &live, NULL, K, hits, &out->count, &err),
                     HITHER_OK);
    for (size_t i = 0; i < out->count; i++) {
        out->ids[i] = t->ids[hits[i].slot];
        out->distances[i] = (float)hits[i].distance;
    }
    free(words);
}

static bool same_answer(const hither_result *r, size_t group, const answer *a) {
    return hither_result_count(r, group) == a->count &&
           memcmp(hither_result_ids(r, group).ints, a->ids, a->count * sizeof *a->ids) == 0 &&
           memcmp(hither_result_distances(r, group), a->distances, a->count * sizeof *a->distances) == 0;
}

static void check(const twin *t, ht_collection *c, uint64_t seed) {
    float queries[QUERIES][DIM];
    for (size_t j = 0; j < QUERIES; j++)
        make_vector(seed * 31 + j, queries[j]);
    hither_matrix q = test_matrix(&queries[0][0], QUERIES, DIM);
    hither_result *many, *one;
    assert_int_equal(ht_collection_search(c, &q, NULL, &NEAREST, &many, &err), HITHER_OK);
    for (size_t j = 0; j < QUERIES; j++) {
        answer a;
        hither_matrix single = test_matrix(queries[j], 1, DIM);
        twin_search(t, queries[j], &a);
        assert_int_equal(ht_collection_search(c, &single, NULL, &NEAREST, &one, &err), HITHER_OK);
        if (!same_answer(one, 0, &a) || !same_answer(many, j, &a))
            fail_msg("seed %u: query %zu of round %llu differs", SEED, j, (unsigned long long)seed);
        hither_result_free(one);
    }
    hither_result_free(many);
}

/* After a search has touched everything: codes are those of the rows, and searches may use them. */
static void check_codes(const twin *t, ht_collection *c) {
    const ht_snapshot *s = atomic_load(&c->home.current);
    size_t coded = 0, plain = 0;
    ht_scratch scratch;
    memset(&scratch, 0, sizeof scratch); /* clang 14 refuses {0} where an atomic pointer is first */
    ht_vectors v;
    assert_int_equal(ht_parts_make(s, &scratch, DIM, t->metric, QUERIES, &v, &err), HITHER_OK);
    for (size_t p = 0; p < v.part_count; p++) {
        const ht_part *part = &v.parts[p];
        size_t bytes = ht_codes_bytes(part->coded_rows, DIM);
        coded += part->coded_rows;
        plain += part->count - part->coded_rows;
        if (!part->coded_rows) {
            assert_null(part->codes);
            continue;
        }
        void *fresh = aligned_alloc(64, (bytes + 64) / 64 * 64);
        ht_codes_make(part->rows, part->stride, DIM, 0, part->coded_rows, fresh);
        assert_memory_equal(fresh, part->codes, bytes);
        free(fresh);
    }
    ht_release(scratch.parts);
    ht_release(scratch.homes);
    assert_true(t->metric == HITHER_L1 || plain < HT_BLOCK_ROWS * s->extent_count);
    assert_true(t->metric == HITHER_L1 ? coded == 0 : coded > 0 || t->count < HT_BLOCK_ROWS);
}

static ht_collection *open_collection(const ht_io *io, const char *path, hither_metric metric, ht_db **db) {
    ht_collection *c;
    ht_collection_spec spec = {.dim = DIM, .dtype = HITHER_F32, .metric = metric, .embedder = ""};
    assert_int_equal(ht_db_open_io(io, path, 0, 0, db, &err), HITHER_OK);
    assert_int_equal(ht_collection_open(*db, "c", &spec, &c, &err), HITHER_OK);
    return c;
}

static void follows_the_twin(const ht_io *io, const char *path, hither_metric metric, unsigned rounds) {
    twin *t = calloc(1, sizeof *t);
    ht_db *db;
    ht_collection *c = open_collection(io, path, metric, &db);
    t->metric = metric;
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t random = ht_mix64(SEED + round * 7 + (unsigned)metric);
        size_t count = round % 3 == 0 ? 1 + random % 5 : 1 + random % 300;
        upsert(t, c, random % 100000, count);
        if (round % 4 == 1)
            erase(t, c, random, 1 + random % 60);
        if (random % 3 == 0) { /* sometimes written to again before anything is touched */
            if (random % 2)
                ht_db_keep_codes(db, 0);
            ht_collection_close(c);
            ht_db_close(db);
            c = open_collection(io, path, metric, &db);
        }
        if (random % 2 == 0 || round + 1 == rounds) {
            check(t, c, round);
            check_codes(t, c);
        }
    }
    ht_collection_close(c);
    ht_db_close(db);
    free(t);
}

static void like_brute_force(void **state) {
    (void)state;
    const hither_metric metrics[] = {HITHER_COSINE, HITHER_DOT, HITHER_L2, HITHER_L1};
    for (size_t i = 0; i < 4; i++) {
        ht_io *io;
        assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
        follows_the_twin(io, "/db", metrics[i], 24);
        ht_io_ram_free(io);
    }
}

static void like_brute_force_on_disk(void **state) {
    (void)state;
    char *path = test_path();
    follows_the_twin(ht_io_posix(), path, HITHER_COSINE, 20);
    test_remove_tree(path);
}

/* ---- threads */

typedef struct crowd {
    ht_collection *c;
    float queries[QUERIES][DIM];
    answer answers[QUERIES];
    _Atomic bool stop;
    _Atomic unsigned wrong;
} crowd;

static void *search_first(void *arg) {
    crowd *s = arg;
    for (size_t j = 0; j < QUERIES; j++) {
        hither_matrix q = test_matrix(s->queries[j], 1, DIM);
        hither_result *r;
        if (ht_collection_search(s->c, &q, NULL, &NEAREST, &r, NULL) != HITHER_OK) {
            atomic_fetch_add(&s->wrong, 1);
            continue;
        }
        atomic_fetch_add(&s->wrong, !same_answer(r, 0, &s->answers[j]));
        hither_result_free(r);
    }
    return NULL;
}

/* Rows far away from every query: they complete blocks and change no answer. */
static void *write_far(void *arg) {
    crowd *s = arg;
    for (int64_t id = 100000; id < 100150; id++) {
        float far[DIM];
        for (size_t j = 0; j < DIM; j++)
            far[j] = 1000 + test_float((uint64_t)id, j);
        hither_batch b = {.size = sizeof b, .ids = test_int_ids(&id, 1), .vectors = test_matrix(far, 1, DIM)};
        if (ht_collection_put(s->c, HITHER_UPSERT, &b, NULL, NULL, NULL) != HITHER_OK)
            atomic_fetch_add(&s->wrong, 1);
    }
    return NULL;
}

static void many_touch_first(void **state) {
    (void)state;
    twin *t = calloc(1, sizeof *t);
    crowd *s = calloc(1, sizeof *s);
    const char *path = "/db";
    ht_io *io;
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    ht_db *db;
    ht_collection *c = open_collection(io, path, HITHER_L2, &db);
    t->metric = HITHER_L2;
    upsert(t, c, 5, 1200);
    upsert(t, c, 6, 777);
    for (size_t j = 0; j < QUERIES; j++) {
        make_vector(j * 131 + 7, s->queries[j]);
        twin_search(t, s->queries[j], &s->answers[j]);
    }
    for (unsigned round = 0; round < 4; round++) {
        if (round % 2) /* once from rows, once from what was kept of them */
            ht_db_keep_codes(db, 0);
        ht_collection_close(c);
        ht_db_close(db);
        c = open_collection(io, path, HITHER_L2, &db);
        pthread_t threads[5];
        s->c = c;
        for (size_t i = 0; i < 5; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, i == 4 ? write_far : search_first, s), 0);
        for (size_t i = 0; i < 5; i++)
            pthread_join(threads[i], NULL);
        search_first(s);
        assert_int_equal(s->wrong, 0);
        check_codes(t, c);
    }
    ht_collection_close(c);
    ht_db_close(db);
    ht_io_ram_free(io);
    free(s);
    free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_brute_force),
        cmocka_unit_test(like_brute_force_on_disk),
        cmocka_unit_test(many_touch_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
