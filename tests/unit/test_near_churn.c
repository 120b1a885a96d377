/*
 * test_near_churn.c: the index of a collection whose rows all go and come back, three times over, beside compaction:
 * what it finds, what memory and what cache it takes, against one made fresh of the same rows; and after writers at
 * work at the same time: the check of the whole index, every row that is alive found by its own vector, recall at
 * every level of kernels and under filters. Of each kind.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmocka_all.h"
#include "engine/near.h"
#include "kernels/kernels.h"
#include "rows.h"

#ifdef __SANITIZE_THREAD__ /* how its threads meet shows in fewer */
enum { QUERIES = 20, ROUNDS = 1 };
#else
enum { QUERIES = 100, ROUNDS = 3 };
#endif
enum { DIM = 24, K = 10, ROWS = 2400, WRITERS = 3, EACH = 300 };

static hither_error err;
static hither_kind kind; /* that is tested */

static void make_vector(uint64_t id, float *out) {
    for (size_t j = 0; j < DIM; j++)
        out[j] = 2 * test_float(id % 37, j) + test_float(id + 1000, j);
}

/* ---- a collection */

typedef struct home {
    ht_io *io;
    ht_db *db;
    ht_collection *c;
} home;

static void open_home(home *h) {
    ht_collection_spec spec = {.dim = DIM, .dtype = HITHER_F32, .metric = HITHER_L2, .embedder = ""};
    if (!h->io)
        ASSERT_OK(ht_io_ram_new(&h->io, &err));
    ASSERT_OK(ht_db_open_io(h->io, "/db", 0, 0, &h->db, &err));
    ASSERT_OK(ht_collection_open(h->db, "c", &spec, &h->c, &err));
}
static void close_home(home *h) {
    ht_collection_close(h->c);
    ht_db_close(h->db);
}

static hither_status put(ht_collection *c, uint64_t first, size_t count, hither_error *error) {
    int64_t *ids = malloc(count * sizeof *ids);
    float *rows = malloc(count * DIM * sizeof *rows);
    char *bytes = malloc(count * 16);
    uint64_t *offsets = malloc((count + 1) * sizeof *offsets);
    offsets[0] = 0;
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int64_t)(first + i);
        make_vector(first + i, rows + i * DIM);
        offsets[i + 1] = offsets[i] + (uint64_t)sprintf(bytes + offsets[i], "{\"n\":%d}", (int)((first + i) % 1000));
    }
    const hither_batch b = {.size = sizeof b,
                            .ids = test_int_ids(ids, count),
                            .vectors = test_matrix(rows, count, DIM),
                            .metadata = {bytes, offsets, count, NULL}};
    const hither_status status = ht_collection_put(c, HITHER_INSERT, &b, NULL, NULL, error);
    free(offsets);
    free(bytes);
    free(rows);
    free(ids);
    return status;
}

static void take(ht_collection *c, uint64_t first, size_t count) {
    int64_t *gone = malloc(count * sizeof *gone);
    for (size_t i = 0; i < count; i++)
        gone[i] = (int64_t)(first + i);
    const hither_ids ids = test_int_ids(gone, count);
    ASSERT_OK(ht_collection_delete(c, &ids, NULL, NULL, &err));
    free(gone);
}

static void create_index(ht_collection *c) {
    const ht_approx_spec spec = {.kind = kind};
    ht_progress progress = {0};
    ASSERT_OK(ht_collection_index(c, &spec, &progress, &err));
}

static void bring_up(ht_collection *c) {
    ht_progress progress = {0};
    ASSERT_OK(ht_near_build(c, &progress, &err));
}

static hither_result *find(ht_collection *c, uint64_t id, size_t k, const char *where, bool exact) {
    hither_result *r;
    ht_filter *filter = NULL;
    float query[DIM];
    make_vector(id, query);
    if (where)
        ASSERT_OK(ht_filter_parse(where, strlen(where), &filter, &err));
    const ht_search search = {.k = (uint32_t)k,
                              .include = HITHER_INCLUDE_NOTHING,
                              .filter = filter,
                              .recall = exact,
                              .effort = exact ? 0 : 48,
                              .probes = exact ? 0 : 12};
    const hither_matrix q = test_matrix(query, 1, DIM);
    ASSERT_OK(ht_collection_search(c, &q, NULL, &search, &r, &err));
    ht_filter_free(filter);
    return r;
}

static double recall(ht_collection *c, const char *where) {
    size_t hit = 0, all = 0;
    for (uint64_t j = 0; j < QUERIES; j++) {
        hither_result *found = find(c, 1000000 + j, K, where, false), *truth = find(c, 1000000 + j, K, where, true);
        const size_t n = hither_result_count(truth, 0);
        assert_int_equal(hither_result_count(found, 0), n);
        all += n;
        for (size_t a = 0; a < n * n; a++)
            hit += hither_result_ids(found, 0).ints[a / n] == hither_result_ids(truth, 0).ints[a % n];
        hither_result_free(found);
        hither_result_free(truth);
    }
    return (double)hit / (double)all;
}

static void floor_of(const char *what, double found, double least) {
    if (found < least)
        fail_msg("%s: recall %.3f, not %.3f", what, found, least);
}

/* The index in force: checked, its rows counted, its bytes. */
static uint64_t look(ht_collection *c, uint64_t rows) {
    ht_scratch *scratch;
    ht_approx_facts facts;
    ASSERT_OK(ht_scratch_take(&c->db->scratches, &scratch, &err));
    const ht_snapshot *s = ht_snapshot_pin(&c->home, scratch);
    assert_non_null(s->near);
    const ht_approx *approx = s->near->approx;
    ASSERT_OK(approx->kind->check(approx, &err));
    approx->kind->describe(approx, &facts);
    assert_int_equal(s->near->limit, s->slot_limit);
    assert_int_equal(s->near_live, rows);
    assert_false(ht_approx_worn(rows, s->near->gone)); /* what lost more is made anew */
    ht_scratch_give(scratch);
    return facts.bytes;
}

static uint64_t cache_bytes(const home *h) {
    ht_file *file;
    uint64_t bytes;
    ASSERT_OK(h->io->open(h->io->ctx, "/db/cache/1-0.near", 0, &file, &err));
    ASSERT_OK(h->io->file_size(file, &bytes, &err));
    h->io->close(file);
    return bytes;
}

static void within_a_tenth(const char *what, uint64_t got, uint64_t fresh) {
    if (got > fresh + fresh / 10)
        fail_msg("%s: %llu bytes, %llu fresh", what, (unsigned long long)got, (unsigned long long)fresh);
}

/* ---- everything goes and comes back */

static void churned_is_as_good_as_fresh(void **state) {
    kind = **(const hither_kind **)state;
    home fresh = {0}, churned = {0};
    open_home(&fresh);
    ASSERT_OK(put(fresh.c, 0, ROWS, &err));
    create_index(fresh.c);
    open_home(&churned);
    ASSERT_OK(put(churned.c, 0, ROWS, &err));
    create_index(churned.c);
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t parts = (uint64_t)round + 1;
        for (uint64_t part = 0; part < parts; part++) { /* all at once, by halves, by thirds */
            take(churned.c, part * ROWS / parts, ROWS / parts);
            ASSERT_OK(put(churned.c, part * ROWS / parts, ROWS / parts, &err));
            bring_up(churned.c);
        }
        ht_progress progress = {0};
        ASSERT_OK(ht_collection_compact(churned.c, &progress, &err));
        (void)look(churned.c, ROWS);
        floor_of("after compaction", recall(churned.c, NULL), 0.9);
    }
    bring_up(churned.c); /* what is dead and masked goes with the fifth part; here nothing is left of it */
    ht_upkeep_stop(churned.db);
    const double was = recall(fresh.c, NULL), is = recall(churned.c, NULL);
    if (is < was - 0.005)
        fail_msg("kind %d: recall %.4f, fresh %.4f", (int)kind, is, was);
    within_a_tenth("the index", look(churned.c, ROWS), look(fresh.c, ROWS));
    within_a_tenth("its cache", cache_bytes(&churned), cache_bytes(&fresh));
    close_home(&churned);
    close_home(&fresh);
    open_home(&churned);
    floor_of("opened again", recall(churned.c, NULL), was - 0.005);
    close_home(&churned);
    ht_io_ram_free(churned.io);
    ht_io_ram_free(fresh.io);
}

/* ---- writers at once */

typedef struct writer {
    ht_collection *c;
    uint64_t first;
    hither_status status;
} writer;

static void *insert_some(void *arg) {
    writer *w = arg;
    hither_error mine;
    for (size_t i = 0; i < EACH && w->status == HITHER_OK; i += 50)
        w->status = put(w->c, w->first + i, 50, &mine);
    return NULL;
}

static void *build_meanwhile(void *arg) {
    writer *w = arg;
    hither_error mine;
    ht_progress progress = {0};
    for (int i = 0; i < 3 && w->status == HITHER_OK; i++)
        w->status = ht_near_build(w->c, &progress, &mine);
    return NULL;
}

static void filters(ht_collection *c) {
    static const struct {
        int below;
        double least;
    } shares[] = {{500, 0.9}, {100, 0.95}, {10, 1}, {1, 1}};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        char where[40], what[40];
        (void)snprintf(where, sizeof where, "{\"n\":{\"$lt\":%d}}", shares[i].below);
        (void)snprintf(what, sizeof what, "%d of 1000 match", shares[i].below);
        floor_of(what, recall(c, where), shares[i].least);
    }
}

static void every_row_is_found(void **state) {
    kind = **(const hither_kind **)state;
    home h = {0};
    writer writers[WRITERS + 1] = {0};
    pthread_t threads[WRITERS + 1];
    int supported;
    open_home(&h);
    ASSERT_OK(put(h.c, 0, ROWS, &err));
    create_index(h.c);
    for (size_t i = 0; i <= WRITERS; i++) {
        writers[i] = (writer){.c = h.c, .first = ROWS + i * EACH};
        assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? insert_some : build_meanwhile, &writers[i]),
                         0);
    }
    for (size_t i = 0; i <= WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(writers[i].status, HITHER_OK);
    }
    bring_up(h.c);
    (void)look(h.c, ROWS + WRITERS * EACH);
    size_t missed = 0;
    for (uint64_t id = 0; id < ROWS + WRITERS * EACH; id++) {
        hither_result *r = find(h.c, id, 1, NULL, false);
        missed += hither_result_ids(r, 0).ints[0] != (int64_t)id;
        hither_result_free(r);
    }
    if (missed > (ROWS + WRITERS * EACH) / 500)
        fail_msg("%zu rows are not found by their own vectors", missed);
    for (size_t i = 0; ht_kernels_level(i, &supported); i++) {
        if (!supported)
            continue;
        assert_true(ht_kernels_force(ht_kernels_level(i, &supported)->name));
        floor_of(ht_kernels_level(i, &supported)->name, recall(h.c, NULL), 0.9);
    }
    ht_kernels_force(NULL);
    filters(h.c);
    close_home(&h);
    ht_io_ram_free(h.io);
}

int main(void) {
    static const hither_kind kinds[] = {HITHER_HNSW, HITHER_IVF};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(churned_is_as_good_as_fresh, (void *)&kinds[0]),
        cmocka_unit_test_prestate(churned_is_as_good_as_fresh, (void *)&kinds[1]),
        cmocka_unit_test_prestate(every_row_is_found, (void *)&kinds[0]),
        cmocka_unit_test_prestate(every_row_is_found, (void *)&kinds[1]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
