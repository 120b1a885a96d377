/*
 * test_reembed_follow.c: a read-only handle beside a writer who moves the collection to another embedder. Nothing that
 * was made of the old vectors - graph, queries to measure with, lists of a sparse field - serves the new ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cmocka_all.h"
#include "engine/near.h"
#include "engine/reembed.h"
#include "rows.h"

enum { NARROW = 8, WIDE = 40, ROWS = 2200, K = 10, QUERIES = 80, EF = 120 };

static hither_error err;

/* ---- an embedder: the number a document is decides */

typedef struct embedding {
    uint32_t dim;
    uint64_t seed;
} embedding;

static void embed_one(const embedding *e, uint64_t n, float *out) {
    for (size_t j = 0; j < e->dim; j++)
        out[j] = test_float(e->seed, n * e->dim + j);
}

static hither_status embed(void *ctx, const hither_strings *texts, float *vectors, hither_error *e) {
    const embedding *how = ctx;
    (void)e;
    for (size_t i = 0; i < texts->count; i++)
        embed_one(how, strtoull(texts->bytes + texts->offsets[i], NULL, 10), vectors + i * how->dim);
    return HITHER_OK;
}

static void release_nothing(void *companion) { (void)companion; }

static void move(ht_collection *c, embedding how, const char *name) {
    const ht_reembedding with = {.name = name, .dim = how.dim, .embed = embed, .ctx = &how, .release = release_nothing};
    ht_progress progress = {0};
    assert_int_equal(ht_collection_reembed(c, &with, &progress, &err), HITHER_OK);
}

/* ---- rows */

static ht_collection *open_at(const char *path, unsigned flags, ht_db **db) {
    const hither_field field = {.name = "terms", .kind = HITHER_SPARSE, .most = 2};
    ht_collection_spec spec = {
        .dim = flags ? 0 : NARROW, .metric = flags ? 0 : HITHER_COSINE, .fields = &field, .field_count = !flags};
    ht_collection *c;
    assert_int_equal(ht_db_open_io(ht_io_posix(), path, flags, 0, db, &err), HITHER_OK);
    assert_int_equal(ht_collection_open(*db, "c", &spec, &c, &err), HITHER_OK);
    return c;
}

static void put(ht_collection *c, embedding how) {
    static int64_t ids[ROWS];
    static float vectors[ROWS * NARROW];
    static char bytes[ROWS * 8];
    static uint64_t offsets[ROWS + 1], entries[ROWS + 1];
    static uint32_t indices[ROWS];
    static float values[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)i;
        embed_one(&how, i, vectors + i * NARROW);
        offsets[i + 1] = offsets[i] + (uint64_t)sprintf(bytes + offsets[i], "%05d;", (int)i);
        entries[i + 1] = i + 1;
        indices[i] = (uint32_t)(i % 100);
        values[i] = (float)(i + 1);
    }
    const hither_named terms = {
        .field = "terms", .count = ROWS, .indices = indices, .values = values, .offsets = entries};
    const hither_batch b = {.size = sizeof b,
                            .ids = test_int_ids(ids, ROWS),
                            .vectors = test_matrix(vectors, ROWS, NARROW),
                            .documents = {bytes, offsets, ROWS, NULL},
                            .named = &terms,
                            .named_count = 1};
    assert_int_equal(ht_collection_put(c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_OK);
}

/* ---- searching */

static hither_result *find(ht_collection *c, embedding how, uint64_t n, bool walk) {
    float query[WIDE];
    hither_result *r;
    const ht_search search = {
        .k = K, .include = HITHER_INCLUDE_NOTHING, .recall = walk ? 0 : 1, .effort = walk ? EF : 0};
    embed_one(&how, n, query);
    hither_matrix q = test_matrix(query, 1, how.dim);
    assert_int_equal(ht_collection_search(c, &q, NULL, &search, &r, &err), HITHER_OK);
    return r;
}

static bool walks(ht_collection *c, embedding how) {
    hither_result *r = find(c, how, 1, true);
    bool walked = strstr(hither_result_plan(r), "\"walk\":{") != NULL;
    hither_result_free(r);
    return walked;
}

/* Asks for many, as a handle with a graph does that keeps queries to measure with, and compares with exact answers. */
static void assert_finds(ht_collection *c, embedding how) {
    size_t hit = 0;
    for (uint64_t i = 0; i < QUERIES; i++) {
        hither_result *some = find(c, how, ROWS + i, true), *all = find(c, how, ROWS + i, false);
        for (size_t a = 0; a < K; a++)
            for (size_t b = 0; b < K; b++)
                hit += hither_result_ids(some, 0).ints[a] == hither_result_ids(all, 0).ints[b];
        hither_result_free(some);
        hither_result_free(all);
    }
    if (hit < (size_t)K * QUERIES * 9 / 10)
        fail_msg("%zu of %d found", hit, K * QUERIES);
}

static void follow(embedding first, embedding second, const char *name) {
    char *path = test_path();
    ht_db *db, *other;
    ht_collection *c = open_at(path, 0, &db), *same;
    const ht_approx_spec spec = {.kind = HITHER_HNSW, .m = 8, .ef_build = 60};
    ht_progress progress = {0};
    put(c, first);
    move(c, first, "first");
    assert_int_equal(ht_collection_index(c, &spec, &progress, &err), HITHER_OK);
    same = open_at(path, HITHER_OPEN_READONLY, &other);
    assert_true(walks(same, first));
    assert_finds(same, first);
    move(c, second, name);
    assert_finds(same, second);
    assert_int_equal(ht_collection_index(c, &spec, &progress, &err), HITHER_OK);
    assert_true(walks(c, second));
    assert_finds(c, second);
    ht_collection_close(same);
    ht_db_close(other);
    same = open_at(path, HITHER_OPEN_READONLY, &other);
    assert_true(walks(same, second));
    assert_finds(same, second);
    ht_collection_close(same);
    ht_db_close(other);
    ht_collection_close(c);
    ht_db_close(db);
    test_remove_tree(path);
}

static void to_more_dimensions(void **state) {
    (void)state;
    follow((embedding){NARROW, 1}, (embedding){WIDE, 2}, "second");
}

static void to_other_vectors(void **state) {
    (void)state;
    follow((embedding){NARROW, 1}, (embedding){NARROW, 2}, "first");
}

/* A search that stood on rows that had died when the others were moved must not take their lists for its own. */
static void lists_of_rows_that_were_moved(void **state) {
    (void)state;
    const embedding first = {NARROW, 1}, second = {WIDE, 2};
    char *path = test_path();
    ht_db *db;
    ht_collection *c = open_at(path, 0, &db);
    ht_scratch *scratch;
    hither_result *r;
    struct {
        uint32_t count;
        float value;
        uint32_t index;
    } query = {1, 1, 7};
    ht_hit hits[ROWS];
    ht_exact_stats stats = {0};
    size_t count = 0, deleted;
    const int64_t gone = 7;
    const hither_ids ids = test_int_ids(&gone, 1);
    put(c, first);
    assert_int_equal(ht_scratch_take(&db->scratches, &scratch, &err), HITHER_OK);
    const ht_snapshot *old = ht_snapshot_pin(&c->home, scratch);
    assert_int_equal(ht_collection_delete(c, &ids, NULL, &deleted, &err), HITHER_OK);
    move(c, second, "second");
    ht_scratch *another;
    assert_int_equal(ht_scratch_take(&db->scratches, &another, &err), HITHER_OK);
    const ht_snapshot *fresh = ht_snapshot_pin(&c->home, another);
    ht_mask live = ht_snapshot_mask(fresh), lived = ht_snapshot_mask(old);
    assert_int_equal(ht_sparse_nearest(c, fresh, 1, (const float *)(const void *)&query, &live, NULL, ROWS, hits,
                                       &count, &stats, &err),
                     HITHER_OK);
    assert_int_equal(count, ROWS - 1);
    hither_status status = ht_sparse_nearest(c, old, 1, (const float *)(const void *)&query, &lived, NULL, ROWS, hits,
                                             &count, &stats, &err);
    if (status != HITHER_STALE) { /* refused, and begun anew by who asked; or else right */
        assert_int_equal(status, HITHER_OK);
        assert_int_equal(count, ROWS);
    }
    ht_scratch_give(another);
    ht_scratch_give(scratch);
    r = find(c, second, 3, false);
    assert_int_equal(hither_result_ids(r, 0).ints[0], 3);
    hither_result_free(r);
    ht_collection_close(c);
    ht_db_close(db);
    test_remove_tree(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(to_more_dimensions), cmocka_unit_test(to_other_vectors),
                                       cmocka_unit_test(lists_of_rows_that_were_moved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
