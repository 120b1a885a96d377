/*
 * test_filter_threads.c: searches, counts, scans and deletes with filters beside a writer. Every batch rewrites one
 * group of rows; whatever a filter on the group selects must be the whole group, in one version, or nothing. The
 * columns grow under the readers, strings and all. Run under ThreadSanitizer too.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "cmocka_all.h"
#include "engine/engine.h"
#include "rows.h"

#define SEED    815u
#define GROUP   16
#define GROUPS  12
#define READERS 4
#define WRITES  150

static hither_error err;

typedef struct shared {
    hither_collection *c;
    _Atomic bool stop;
    _Atomic unsigned wrong;
    char what[320];
} shared;

static void complain(shared *s, const char *what, const hither_error *e) {
    if (atomic_fetch_add(&s->wrong, 1) == 0)
        (void)snprintf(s->what, sizeof s->what, "%.60s: %.247s", what, e->message);
}

static hither_status write_group(hither_collection *c, uint64_t g, uint64_t v, hither_error *e) {
    int64_t ids[GROUP];
    float vectors[GROUP];
    char texts[GROUP][96];
    const char *metadata[GROUP];
    test_column room;
    for (size_t i = 0; i < GROUP; i++) {
        ids[i] = (int64_t)(g * GROUP + i);
        vectors[i] = (float)i;
        (void)snprintf(texts[i], sizeof texts[i], "{\"g\":%d,\"v\":%d,\"name\":\"group %d\",\"tags\":[\"v%d\",%d]}",
                       (int)g, (int)v, (int)g, (int)v, (int)i);
        metadata[i] = texts[i];
    }
    hither_batch b = {.size = sizeof b,
                      .ids = test_int_ids(ids, GROUP),
                      .vectors = test_matrix(vectors, GROUP, 1),
                      .metadata = test_strings(&room, GROUP, metadata)};
    return hither_collection_put(c, HITHER_UPSERT, &b, NULL, e);
}

/* All rows of the result are of one group and one version, and there are 0 or GROUP of them. */
static void check_result(shared *s, const char *who, const hither_result *r) {
    hither_error e = {.message = "a group in parts"};
    hither_strings metadata = hither_result_metadata(r, 0);
    size_t n = hither_result_count(r, 0);
    ht_text first = n ? ht_strings_at(&metadata, 0) : (ht_text){0};
    const char *end = n ? memchr(first.data, '[', first.bytes) : NULL;
    bool fine = n == 0 || n == GROUP;
    for (size_t i = 1; i < n && fine; i++)
        fine = memcmp(ht_strings_at(&metadata, i).data, first.data, (size_t)(end - first.data)) == 0;
    if (!fine)
        complain(s, who, &e);
}

static void read_once(shared *s, uint64_t random) {
    hither_error e = {.message = ""};
    char where[128];
    hither_result *r;
    hither_cursor *cursor;
    uint64_t count = 0;
    unsigned g = (unsigned)(random % GROUPS);
    float q = 3;
    hither_query query = {.size = sizeof query, .vectors = test_matrix(&q, 1, 1)};
    switch (random >> 40 & 3) {
    case 0:
        (void)snprintf(where, sizeof where, "{\"g\":%u}", g);
        break;
    case 1:
        (void)snprintf(where, sizeof where, "{\"name\":{\"$gte\":\"group %u\",\"$lte\":\"group %u\"}}", g, g);
        break;
    default:
        (void)snprintf(where, sizeof where, "{\"$and\":[{\"g\":{\"$in\":[%u,null]}},{\"tags\":{\"$contains\":\"v\"}}]}",
                       g);
    }
    hither_search_options o = {.size = sizeof o, .where = where};
    if (hither_collection_search(s->c, &query, 5 * GROUP, &o, &r, &e) != HITHER_OK) {
        complain(s, "search", &e);
        return;
    }
    check_result(s, "search", r);
    hither_result_free(r);
    if (hither_collection_count(s->c, where, &count, &e) != HITHER_OK || (count && count != GROUP))
        complain(s, "count", &e);
    if (hither_collection_scan(s->c, where, 0, &cursor, &e) != HITHER_OK) {
        complain(s, "scan", &e);
        return;
    }
    if (hither_cursor_next(cursor, 5 * GROUP, &r, &e) == HITHER_OK) {
        check_result(s, "scan", r);
        hither_result_free(r);
    } else {
        complain(s, "next", &e);
    }
    hither_cursor_close(cursor);
}

static void *reader(void *arg) {
    shared *s = arg;
    static _Atomic uint64_t seeds;
    uint64_t random = atomic_fetch_add(&seeds, 1) + SEED;
    while (!atomic_load(&s->stop)) {
        random = ht_mix64(random + 1);
        read_once(s, random);
    }
    return NULL;
}

static void test_filters_beside_a_writer(void **state) {
    (void)state;
    static shared s;
    ht_io *io;
    ht_db *db;
    pthread_t threads[READERS];
    bool there[GROUPS] = {false};
    ASSERT_OK(ht_io_ram_new(&io, &err));
    ASSERT_OK(ht_db_open_io(io, "/db.hither", 0, 0, &db, &err));
    ASSERT_OK(
        hither_collection_open((hither_db *)db, "c", HITHER_OPTIONS(hither_collection_options, .dim = 1), &s.c, &err));
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &s), 0);
    for (uint64_t i = 0; i < WRITES; i++) {
        uint64_t g = ht_mix64(SEED + i) % GROUPS;
        ASSERT_OK(write_group(s.c, g, i, &err));
        there[g] = true;
        if (i % 20 == 19) {
            char where[64];
            size_t deleted = 0;
            uint64_t gone = ht_mix64(i) % GROUPS;
            (void)snprintf(where, sizeof where, "{\"g\":%u}", (unsigned)gone);
            ASSERT_OK(hither_collection_delete(s.c, NULL, where, &deleted, &err));
            assert_int_equal(deleted, there[gone] ? GROUP : 0);
            there[gone] = false;
        }
    }
    atomic_store(&s.stop, true);
    for (size_t i = 0; i < READERS; i++)
        (void)pthread_join(threads[i], NULL);
    if (atomic_load(&s.wrong))
        fail_msg("seed %u: %u wrong answers, the first: %s", SEED, atomic_load(&s.wrong), s.what);
    hither_collection_close(s.c);
    hither_db_close((hither_db *)db);
    ht_io_ram_free(io);
}

/* Each of several threads deletes by filter what it alone has written, in groups with the others' batches. */
typedef struct deleter {
    shared *s;
    uint64_t group;
} deleter;

static void *write_and_delete(void *arg) {
    deleter *d = arg;
    char where[64];
    hither_error e = {.message = "another count"};
    (void)snprintf(where, sizeof where, "{\"g\":%u}", (unsigned)d->group);
    for (uint64_t v = 0; v < 25; v++) {
        size_t deleted = 0;
        if (write_group(d->s->c, d->group, v, &e) != HITHER_OK ||
            hither_collection_delete(d->s->c, NULL, where, &deleted, &e) != HITHER_OK || deleted != GROUP)
            complain(d->s, "delete", &e);
    }
    return NULL;
}

static void test_deletes_by_filter_in_groups(void **state) {
    (void)state;
    static shared s;
    hither_db *db;
    pthread_t threads[READERS];
    deleter deleters[READERS];
    uint64_t count = 1;
    ASSERT_OK(hither_db_open(":memory:", NULL, &db, &err));
    ASSERT_OK(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = 1), &s.c, &err));
    for (size_t i = 0; i < READERS; i++) {
        deleters[i] = (deleter){&s, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_delete, &deleters[i]), 0);
    }
    for (size_t i = 0; i < READERS; i++)
        (void)pthread_join(threads[i], NULL);
    if (atomic_load(&s.wrong))
        fail_msg("%u wrong answers, the first: %s", atomic_load(&s.wrong), s.what);
    ASSERT_OK(hither_collection_count(s.c, NULL, &count, &err));
    assert_int_equal(count, 0);
    hither_collection_close(s.c);
    hither_db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_beside_a_writer),
        cmocka_unit_test(test_deletes_by_filter_in_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
