/*
 * test_collection_index.c: collections with an index: what is found, with rows that come later and rows that go, under
 * filters, after opening again from the cache and from a spoilt one; built by the thread that keeps up with rows,
 * beside searches and writes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "cmocka_all.h"
#include "engine/near.h"
#include "rows.h"

enum { DIM = 32, K = 10, ROWS = 3000, QUERIES = 40, EF = 80, PROBES = 50 };

static hither_error err;
static hither_kind kind; /* that is tested */

static void make_vector(uint64_t id, float *out) {
    for (size_t j = 0; j < DIM; j++)
        out[j] = 2 * test_float(id % 37, j) + test_float(id + 1000, j);
}

static void put(ht_collection *c, uint64_t first, size_t count) {
    int64_t *ids = malloc(count * sizeof *ids);
    float *rows = malloc(count * DIM * sizeof *rows);
    char *bytes = malloc(count * 16);
    uint64_t *offsets = malloc((count + 1) * sizeof *offsets);
    offsets[0] = 0;
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int64_t)(first + i);
        make_vector(first + i, rows + i * DIM);
        offsets[i + 1] = offsets[i] + (uint64_t)sprintf(bytes + offsets[i], "{\"n\":%d}", (int)((first + i) % 10));
    }
    hither_batch b = {.size = sizeof b,
                      .ids = test_int_ids(ids, count),
                      .vectors = test_matrix(rows, count, DIM),
                      .metadata = {bytes, offsets, count, NULL}};
    assert_int_equal(ht_collection_put(c, HITHER_UPSERT, &b, NULL, NULL, &err), HITHER_OK);
    free(offsets);
    free(bytes);
    free(rows);
    free(ids);
}

static ht_collection *open_at(const ht_io *io, const char *path, ht_db **db) {
    ht_collection *c;
    ht_collection_spec spec = {.dim = DIM, .dtype = HITHER_F32, .metric = HITHER_COSINE, .embedder = ""};
    assert_int_equal(ht_db_open_io(io, path, 0, 0, db, &err), HITHER_OK);
    assert_int_equal(ht_collection_open(*db, "c", &spec, &c, &err), HITHER_OK);
    return c;
}
static void close_all(ht_collection *c, ht_db *db) {
    ht_collection_close(c);
    ht_db_close(db);
}

static void create_index(ht_collection *c) {
    const ht_approx_spec spec = {.kind = kind, .m = 8, .ef_build = 60};
    ht_progress progress = {0};
    assert_int_equal(ht_collection_index(c, &spec, &progress, &err), HITHER_OK);
}

static hither_result *find(ht_collection *c, const float *query, const char *where, bool walk) {
    hither_result *r;
    ht_filter *filter = NULL;
    if (where)
        assert_int_equal(ht_filter_parse(where, strlen(where), &filter, &err), HITHER_OK);
    ht_search search = {.k = K,
                        .include = HITHER_INCLUDE_NOTHING,
                        .filter = filter,
                        .recall = walk ? 0 : 1,
                        .effort = walk ? EF : 0,
                        .probes = walk ? PROBES : 0};
    hither_matrix q = test_matrix(query, 1, DIM);
    assert_int_equal(ht_collection_search(c, &q, NULL, &search, &r, &err), HITHER_OK);
    ht_filter_free(filter);
    return r;
}

/* The share of the exact answer that a walk finds; distances of what both have are equal, bit for bit. */
static double recall(ht_collection *c, const char *where) {
    size_t hit = 0, all = 0;
    for (uint64_t j = 0; j < QUERIES; j++) {
        float query[DIM];
        make_vector(1000000 + j, query);
        hither_result *walk = find(c, query, where, true), *exact = find(c, query, where, false);
        size_t n = hither_result_count(exact, 0);
        assert_int_equal(hither_result_count(walk, 0), n);
        assert_null(strstr(hither_result_plan(exact), "\"walk\""));
        all += n;
        for (size_t a = 0; a < n; a++) {
            for (size_t b = 0; b < n; b++) {
                if (hither_result_ids(walk, 0).ints[a] != hither_result_ids(exact, 0).ints[b])
                    continue;
                assert_true(hither_result_distances(walk, 0)[a] == hither_result_distances(exact, 0)[b]);
                hit++;
            }
        }
        hither_result_free(walk);
        hither_result_free(exact);
    }
    return (double)hit / (double)all;
}

static bool walks(ht_collection *c, const char *where) {
    float query[DIM];
    make_vector(7, query);
    hither_result *r = find(c, query, where, true);
    bool walked = strstr(hither_result_plan(r), "\"walk\":{") != NULL;
    hither_result_free(r);
    return walked;
}

static int64_t nearest(ht_collection *c, uint64_t id) {
    float query[DIM];
    make_vector(id, query);
    hither_result *r = find(c, query, NULL, true);
    int64_t first = hither_result_ids(r, 0).ints[0];
    hither_result_free(r);
    return first;
}

static void found_while_rows_come_and_go(void **state) {
    kind = **(const hither_kind **)state;
    ht_io *io;
    ht_db *db;
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    ht_collection *c = open_at(io, "/db", &db);
    put(c, 0, ROWS);
    assert_false(walks(c, NULL));
    create_index(c);
    assert_true(walks(c, NULL));
    assert_true(recall(c, NULL) > 0.95);
    assert_true(recall(c, "{\"n\":{\"$lt\":5}}") > 0.9);
    assert_false(walks(c, "{\"n\":1}")); /* a tenth of the rows is searched exactly */
    assert_true(recall(c, "{\"n\":1}") == 1);
    put(c, ROWS, 500); /* later rows are found at once */
    for (uint64_t id = ROWS; id < ROWS + 500; id += 50)
        assert_int_equal(nearest(c, id), id);
    assert_true(recall(c, NULL) > 0.95);
    int64_t gone[] = {3, 4, 5, ROWS + 7};
    hither_ids ids = test_int_ids(gone, 4);
    assert_int_equal(ht_collection_delete(c, &ids, NULL, NULL, &err), HITHER_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_not_equal(nearest(c, (uint64_t)gone[i]), gone[i]);
    put(c, 3, 1); /* under its old id, as a later row */
    assert_int_equal(nearest(c, 3), 3);
    assert_true(recall(c, NULL) > 0.95);
    const ht_approx_spec none = {.kind = HITHER_EXACT};
    ht_progress progress = {0};
    assert_int_equal(ht_collection_index(c, &none, &progress, &err), HITHER_OK);
    assert_false(walks(c, NULL));
    close_all(c, db);
    c = open_at(io, "/db", &db);
    assert_false(walks(c, NULL));
    close_all(c, db);
    ht_io_ram_free(io);
}

/* The kind changes under searches, and with it what a search works in. */
static void of_another_kind(void **state) {
    ht_io *io;
    ht_db *db;
    (void)state;
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    ht_collection *c = open_at(io, "/db", &db);
    put(c, 0, ROWS);
    for (int i = 0; i < 4; i++) {
        kind = i % 2 ? HITHER_IVF : HITHER_HNSW;
        create_index(c);
        assert_true(walks(c, NULL));
        assert_true(recall(c, NULL) > 0.95);
    }
    close_all(c, db);
    ht_io_ram_free(io);
}

static uint64_t covered(ht_collection *c);
static void wait_until_covered(ht_collection *c, uint64_t limit);

/* By whom a search that asks for this recall (0: for none) was answered. */
static bool walks_for(ht_collection *c, double asked) {
    hither_result *r;
    float query[DIM];
    make_vector(7, query);
    const ht_search search = {.k = K, .include = HITHER_INCLUDE_NOTHING, .recall = asked};
    const hither_matrix q = test_matrix(query, 1, DIM);
    assert_int_equal(ht_collection_search(c, &q, NULL, &search, &r, &err), HITHER_OK);
    bool walked = strstr(hither_result_plan(r), "\"walk\":{") != NULL;
    hither_result_free(r);
    return walked;
}

/* Nothing while rows are few, a graph once there are enough; and nobody notices who has not asked for less than all. */
static void picked_once_it_pays(void **state) {
    ht_io *io;
    ht_db *db;
    (void)state;
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    ht_collection *c = open_at(io, "/db", &db);
    put(c, 0, ROWS);
    kind = HITHER_AUTO;
    create_index(c);
    assert_int_equal(covered(c), 0);
    assert_false(walks_for(c, 0) || walks_for(c, 0.9));
    put(c, ROWS, 10000 - ROWS);
    wait_until_covered(c, 10000);
    assert_false(walks_for(c, 0));
    assert_true(walks_for(c, 0.9));
    assert_true(recall(c, NULL) > 0.9);
    close_all(c, db);
    c = open_at(io, "/db", &db);
    assert_int_equal(covered(c), 10000);
    assert_true(walks_for(c, 0.9) && !walks_for(c, 0));
    close_all(c, db);
    ht_io_ram_free(io);
}

static uint64_t covered(ht_collection *c) {
    ht_scratch *scratch;
    assert_int_equal(ht_scratch_take(&c->db->scratches, &scratch, &err), HITHER_OK);
    const ht_snapshot *s = ht_snapshot_pin(&c->home, scratch);
    uint64_t limit = s->near ? s->near->limit : 0;
    ht_scratch_give(scratch);
    return limit;
}

/* ---- files */

static hither_status spoil(void *arg, const char *name, ht_io_kind what) {
    char path[512];
    (void)what;
    if (!strstr(name, "near"))
        return HITHER_OK;
    (void)snprintf(path, sizeof path, "%s/cache/%s", (const char *)arg, name);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (long at = 4096; at < 400000; at += 8192) {
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        fputc(0x5a, f);
    }
    assert_int_equal(fclose(f), 0);
    return HITHER_OK;
}

static void kept_on_disk(void **state) {
    kind = **(const hither_kind **)state;
    char *path = test_path(), cache[512];
    ht_db *db;
    ht_collection *c = open_at(ht_io_posix(), path, &db);
    put(c, 0, ROWS);
    create_index(c);
    put(c, ROWS, 100);
    close_all(c, db);
    c = open_at(ht_io_posix(), path, &db);
    assert_int_equal(covered(c), ROWS); /* what was built, not built again */
    assert_true(walks(c, NULL));
    assert_true(recall(c, NULL) > 0.95);
    assert_int_equal(nearest(c, ROWS + 20), ROWS + 20);
    close_all(c, db);
    (void)snprintf(cache, sizeof cache, "%s/cache", path);
    assert_int_equal(ht_io_posix()->list(ht_io_posix()->ctx, cache, spoil, path, &err), HITHER_OK);
    c = open_at(ht_io_posix(), path, &db); /* the thread makes it anew meanwhile, or has not yet */
    assert_true(recall(c, NULL) > 0.95);
    close_all(c, db);
    test_remove_tree(path);
}

/* ---- the thread */

static void wait_until_covered(ht_collection *c, uint64_t limit) {
    for (int i = 0; i < 60000 && covered(c) < limit; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(covered(c) >= limit);
}

typedef struct crowd {
    ht_collection *c;
    _Atomic bool stop;
    _Atomic unsigned wrong, done;
} crowd;

static void *search_on(void *arg) {
    crowd *s = arg;
    for (uint64_t id = 0; !atomic_load(&s->stop); id = (id + 37) % ROWS) {
        atomic_fetch_add(&s->wrong, nearest(s->c, id) != (int64_t)id);
        atomic_fetch_add(&s->done, 1);
    }
    return NULL;
}

static void kept_up_beside_searches(void **state) {
    kind = **(const hither_kind **)state;
    ht_io *io;
    ht_db *db;
    pthread_t thread;
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    crowd s = {.c = open_at(io, "/db", &db)};
    put(s.c, 0, ROWS);
    create_index(s.c);
    assert_int_equal(pthread_create(&thread, NULL, search_on, &s), 0);
    for (uint64_t at = ROWS; at < ROWS + 2000; at += 100)
        put(s.c, at, 100);
    wait_until_covered(s.c, ROWS + 1024);
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
    /* a walk may miss: the same few rows each time that they are asked for again */
    assert_true(atomic_load(&s.wrong) <= 2 + atomic_load(&s.done) / 500);
    assert_true(recall(s.c, NULL) > 0.93);
    put(s.c, 10000, 2000);
    close_all(s.c, db); /* in the middle of building, perhaps */
    s.c = open_at(io, "/db", &db);
    assert_true(recall(s.c, NULL) > 0.93);
    close_all(s.c, db);
    ht_io_ram_free(io);
}

int main(void) {
    static const hither_kind kinds[] = {HITHER_HNSW, HITHER_IVF};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_another_kind),
        cmocka_unit_test(picked_once_it_pays),
        cmocka_unit_test_prestate(found_while_rows_come_and_go, (void *)&kinds[0]),
        cmocka_unit_test_prestate(kept_on_disk, (void *)&kinds[0]),
        cmocka_unit_test_prestate(kept_up_beside_searches, (void *)&kinds[0]),
        cmocka_unit_test_prestate(found_while_rows_come_and_go, (void *)&kinds[1]),
        cmocka_unit_test_prestate(kept_on_disk, (void *)&kinds[1]),
        cmocka_unit_test_prestate(kept_up_beside_searches, (void *)&kinds[1]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
