/*
 * test_threads.c: readers beside writers. Every batch is one group of rows that carry its number; whatever a reader
 * does, it must see whole batches only, each row once, and everything that had returned before it asked. Run under
 * ThreadSanitizer too.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "cmocka_all.h"
#include "engine/engine.h"
#include "rows.h"

#define SEED    4711u
#define DIM     4
#define GROUP   8 /* rows of a batch; all are replaced together */
#define GROUPS  40
#define READERS 8
#define WRITES  220

typedef struct shared {
    hither_db *db;
    hither_collection *c;
    _Atomic uint64_t version[GROUPS]; /* of each group: the last write that returned */
    _Atomic bool stop;
    _Atomic unsigned wrong;
    _Atomic bool deleted[GROUPS]; /* was so at some time: then it may be missing */
    char what[320];
} shared;

static hither_error err;

static void complain(shared *s, const char *what, const hither_error *e) {
    if (atomic_fetch_add(&s->wrong, 1) == 0)
        (void)snprintf(s->what, sizeof s->what, "%.60s: %.247s", what, e->message);
}

/* Row i of group g in version v: (g, v, i, 1); ids g * GROUP + i. */
static hither_status write_group(shared *s, uint64_t g, uint64_t v, hither_error *e) {
    int64_t ids[GROUP];
    float vectors[GROUP * DIM];
    for (size_t i = 0; i < GROUP; i++) {
        ids[i] = (int64_t)(g * GROUP + i);
        const float row[] = {(float)g, (float)v, (float)i, 1};
        memcpy(vectors + i * DIM, row, sizeof row);
    }
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, GROUP), .vectors = test_matrix(vectors, GROUP, DIM)};
    return hither_collection_put(s->c, HITHER_UPSERT, &b, NULL, e);
}

/* Rows in any order: every group that is there has all its rows, of one version, at least the one required. */
static void check_whole(shared *s, const char *who, const hither_result *r, const uint64_t *least) {
    uint64_t versions[GROUPS] = {0};
    unsigned rows[GROUPS] = {0};
    const float *x = hither_result_vectors(r, 0).data;
    const int64_t *ids = hither_result_ids(r, 0).ints;
    hither_error e = {.message = ""};
    for (size_t n = 0; n < hither_result_count(r, 0); n++, x += DIM) {
        size_t g = (size_t)x[0];
        uint64_t v = (uint64_t)x[1];
        if (ids[n] != (int64_t)g * GROUP + (int64_t)x[2] || (rows[g] && versions[g] != v))
            complain(s, who, &e);
        versions[g] = v;
        rows[g] |= 1u << (unsigned)x[2];
    }
    for (size_t g = 0; g < GROUPS; g++) {
        bool late = versions[g] < least[g] && (rows[g] || !atomic_load(&s->deleted[g]));
        if (late || (rows[g] && rows[g] != (1u << GROUP) - 1))
            complain(s, who, &e);
    }
}

static void least_versions(shared *s, uint64_t *least) {
    for (size_t g = 0; g < GROUPS; g++)
        least[g] = atomic_load(&s->version[g]);
}

static void read_by_search(shared *s, uint64_t random) {
    uint64_t least[GROUPS];
    hither_error e = {.message = ""};
    hither_result *r;
    float q[] = {(float)(random % GROUPS), 0, 0, 1};
    hither_query query = {.size = sizeof query, .vectors = test_matrix(q, 1, DIM)};
    hither_search_options o = {.size = sizeof o, .include = HITHER_INCLUDE_VECTORS};
    least_versions(s, least);
    if (hither_collection_search(s->c, &query, GROUPS * GROUP + 9, &o, &r, &e) != HITHER_OK) {
        complain(s, "search", &e);
        return;
    }
    check_whole(s, "search", r, least);
    hither_result_free(r);
}

static void read_by_get(shared *s, uint64_t random) {
    uint64_t least[GROUPS], g = random % GROUPS;
    int64_t ids[2 * GROUP];
    hither_error e = {.message = ""};
    hither_result *r;
    for (size_t i = 0; i < 2 * GROUP; i++)
        ids[i] = (int64_t)((g + i / GROUP) % GROUPS * GROUP + i % GROUP);
    hither_ids asked = test_int_ids(ids, 2 * GROUP);
    least_versions(s, least);
    for (size_t i = 0; i < GROUPS; i++)
        least[i] = i == g || i == (g + 1) % GROUPS ? least[i] : 0;
    if (hither_collection_get(s->c, &asked, NULL, HITHER_INCLUDE_VECTORS, &r, &e) != HITHER_OK) {
        complain(s, "get", &e);
        return;
    }
    check_whole(s, "get", r, least);
    hither_result_free(r);
}

static void read_by_scan(shared *s) {
    uint64_t least[GROUPS];
    hither_error e = {.message = ""};
    hither_cursor *cursor;
    hither_result *r;
    least_versions(s, least);
    if (hither_collection_scan(s->c, NULL, HITHER_INCLUDE_VECTORS, &cursor, &e) != HITHER_OK) {
        complain(s, "scan", &e);
        return;
    }
    if (hither_cursor_next(cursor, GROUPS * GROUP + 1, &r, &e) == HITHER_OK) {
        check_whole(s, "scan", r, least);
        hither_result_free(r);
    } else {
        complain(s, "next", &e);
    }
    hither_cursor_close(cursor);
}

static void *reader(void *arg) {
    shared *s = arg;
    uint64_t random = ht_mix64(SEED ^ (uint64_t)(uintptr_t)&random);
    while (!atomic_load(&s->stop)) {
        random = ht_mix64(random + 1);
        uint64_t what = random >> 40 & 7, n = 0;
        hither_error e;
        if (what < 4)
            read_by_search(s, random);
        else if (what < 6)
            read_by_get(s, random);
        else if (what < 7)
            read_by_scan(s);
        else if (hither_collection_count(s->c, NULL, &n, &e) != HITHER_OK || n % GROUP)
            complain(s, "count", &e);
    }
    return NULL;
}

static void start(shared *s, ht_io *io) {
    ht_db *db;
    memset(s, 0, sizeof *s);
    ASSERT_OK(ht_db_open_io(io, "/db.hither", 0, 0, &db, &err));
    s->db = (hither_db *)db;
    ASSERT_OK(hither_collection_open(
        s->db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM, .metric = HITHER_L2), &s->c, &err));
}

static void readers_see_whole_batches(void **state) {
    (void)state;
    static shared s;
    ht_io *io;
    pthread_t threads[READERS];
    ASSERT_OK(ht_io_ram_new(&io, &err));
    start(&s, io);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &s), 0);
    for (uint64_t i = 0; i < WRITES; i++) {
        uint64_t g = ht_mix64(SEED + i) % GROUPS;
        ASSERT_OK(write_group(&s, g, i + 1, &err));
        atomic_store(&s.version[g], i + 1);
        if (i % 50 == 49) { /* and a whole group goes */
            int64_t ids[GROUP];
            uint64_t gone = ht_mix64(i) % GROUPS;
            for (size_t j = 0; j < GROUP; j++)
                ids[j] = (int64_t)(gone * GROUP + j);
            hither_ids all = test_int_ids(ids, GROUP);
            atomic_store(&s.deleted[gone], true);
            ASSERT_OK(hither_collection_delete(s.c, &all, NULL, NULL, &err));
        }
    }
    atomic_store(&s.stop, true);
    for (size_t i = 0; i < READERS; i++)
        (void)pthread_join(threads[i], NULL);
    if (atomic_load(&s.wrong))
        fail_msg("seed %u: %u wrong answers, the first: %s", SEED, atomic_load(&s.wrong), s.what);
    hither_collection_close(s.c);
    hither_db_close(s.db);
    ht_io_ram_free(io);
}

/* ---- several writers, and several threads that open the same collection and touch its rows first */

typedef struct writer {
    shared *s;
    uint64_t number;
} writer;

static void *write_many(void *arg) {
    writer *w = arg;
    hither_error e;
    for (uint64_t i = 0; i < 12; i++) {
        if (write_group(w->s, w->number * 10 + i % 10, i + 1, &e) != HITHER_OK)
            complain(w->s, "put", &e);
    }
    return NULL;
}

static void *open_and_search(void *arg) {
    shared *s = arg, mine = {.db = s->db};
    hither_error e;
    if (hither_collection_open(s->db, "c", NULL, &mine.c, &e) != HITHER_OK) {
        complain(s, "open", &e);
        return NULL;
    }
    for (size_t g = 0; g < GROUPS; g++)
        atomic_store(&mine.version[g], atomic_load(&s->version[g]));
    for (uint64_t i = 0; i < 5; i++)
        read_by_search(&mine, i);
    if (atomic_load(&mine.wrong))
        complain(s, mine.what, &e);
    hither_collection_close(mine.c);
    return NULL;
}

static void writers_queue_and_first_touches_meet(void **state) {
    (void)state;
    static shared s;
    ht_io *io;
    pthread_t threads[READERS];
    writer writers[4];
    ASSERT_OK(ht_io_ram_new(&io, &err));
    start(&s, io);
    for (uint64_t i = 0; i < 4; i++) {
        writers[i] = (writer){&s, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    hither_collection_close(s.c);
    hither_db_close(s.db);

    ht_db *db;
    ASSERT_OK(ht_db_open_io(io, "/db.hither", 0, 0, &db, &err));
    s.db = (hither_db *)db;
    /* Each writer wrote its groups 0 ... 9 as versions 1 ... 10, then groups 0 and 1 again as 11 and 12. */
    for (size_t g = 0; g < GROUPS; g++)
        atomic_store(&s.version[g], g % 10 < 2 ? g % 10 + 11 : g % 10 + 1);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_search, &s), 0);
    for (size_t i = 0; i < READERS; i++)
        (void)pthread_join(threads[i], NULL);
    if (atomic_load(&s.wrong))
        fail_msg("%u wrong answers, the first: %s", atomic_load(&s.wrong), s.what);
    hither_db_close(s.db);
    ht_io_ram_free(io);
}

/* ---- read-only handles, each of which several threads advance, beside the writer's */

typedef struct follower {
    shared *writer, mine;
} follower;

static void *follow(void *arg) {
    follower *f = arg;
    uint64_t random = ht_mix64(SEED + (uint64_t)(uintptr_t)&random), least[GROUPS];
    while (!atomic_load(&f->writer->stop)) {
        least_versions(f->writer, least);
        for (size_t g = 0; g < GROUPS; g++) { /* only ever upwards: other threads follow too */
            uint64_t seen = atomic_load(&f->mine.version[g]);
            while (seen < least[g] && !atomic_compare_exchange_weak(&f->mine.version[g], &seen, least[g])) {
            }
        }
        random = ht_mix64(random + 1);
        if (random % 3 == 0)
            read_by_get(&f->mine, random);
        else if (random % 3 == 1)
            read_by_search(&f->mine, random);
        else
            read_by_scan(&f->mine);
    }
    return NULL;
}

static void read_only_handles_follow(void **state) {
    (void)state;
    static shared s;
    static follower followers[2];
    pthread_t threads[4];
    char *path = test_path();
    memset(&s, 0, sizeof s);
    ASSERT_OK(hither_db_open(path, NULL, &s.db, &err));
    ASSERT_OK(hither_collection_open(
        s.db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM, .metric = HITHER_L2), &s.c, &err));
    for (size_t i = 0; i < 2; i++) {
        followers[i].writer = &s;
        memset(&followers[i].mine, 0, sizeof followers[i].mine);
        ASSERT_OK(hither_db_open(path, HITHER_OPTIONS(hither_db_options, .flags = HITHER_OPEN_READONLY),
                                 &followers[i].mine.db, &err));
        ASSERT_OK(hither_collection_open(followers[i].mine.db, "c", NULL, &followers[i].mine.c, &err));
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &followers[i / 2]), 0);
    for (uint64_t i = 0; i < 80; i++) {
        uint64_t g = ht_mix64(SEED + i) % GROUPS;
        ASSERT_OK(write_group(&s, g, i + 1, &err));
        atomic_store(&s.version[g], i + 1);
    }
    atomic_store(&s.stop, true);
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++) {
        if (atomic_load(&followers[i].mine.wrong))
            fail_msg("seed %u: %u wrong answers, the first: %s", SEED, atomic_load(&followers[i].mine.wrong),
                     followers[i].mine.what);
        hither_collection_close(followers[i].mine.c);
        hither_db_close(followers[i].mine.db);
    }
    hither_collection_close(s.c);
    hither_db_close(s.db);
    test_remove_tree(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_batches),
        cmocka_unit_test(writers_queue_and_first_touches_meet),
        cmocka_unit_test(read_only_handles_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
