/*
 * test_group.c: batches that are committed together. The test holds the writer lock until the batches it wants in one
 * group are in the queue, so that what is a group is no matter of luck. Each batch is judged by itself: those refused
 * leave the others alone, those after see what those before did, trouble with the disk reaches everybody, and a crash
 * leaves groups whole. The last test leaves it to luck, for ThreadSanitizer.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "engine/state.h"
#include "io_fault.h"
#include "rows.h"

#define DIM  3
#define PATH "/db"

static hither_error err;

/* ---- acts, each done by a thread of its own */

typedef enum act_kind { PUT, DELETE } act_kind;

typedef struct act {
    ht_collection *c;
    act_kind kind;
    hither_mode mode;
    size_t count;
    int64_t ids[2];
    float value;          /* every element of the vectors; 0: no vectors */
    const char *metadata; /* of each row, or NULL */
    bool text_ids;
    hither_status status;
    hither_error error;
    size_t affected;
    pthread_t thread;
} act;

/* An id of 0 is none. */
static act a_put(ht_collection *c, hither_mode mode, int64_t first, int64_t second, float value, const char *metadata) {
    return (act){.c = c,
                 .kind = PUT,
                 .mode = mode,
                 .count = second ? 2 : 1,
                 .ids = {first, second},
                 .value = value,
                 .metadata = metadata};
}

static act a_delete(ht_collection *c, int64_t first, int64_t second) {
    return (act){.c = c, .kind = DELETE, .count = second ? 2 : 1, .ids = {first, second}};
}

static void *act_run(void *arg) {
    act *a = arg;
    test_column ids, metadata;
    char text[2][32];
    const char *texts[2] = {text[0], text[1]}, *columns[2] = {a->metadata, a->metadata};
    float vectors[2 * DIM];
    for (size_t i = 0; i < 2 * DIM; i++)
        vectors[i] = a->value;
    hither_ids asked = test_int_ids(a->ids, a->count);
    if (a->text_ids) {
        for (size_t i = 0; i < 2; i++)
            (void)snprintf(text[i], sizeof text[i], "id%d", (int)a->ids[i]);
        asked = (hither_ids){.strings = test_strings(&ids, a->count, texts), .count = a->count};
    }
    if (a->kind == DELETE) {
        a->status = ht_collection_delete(a->c, &asked, NULL, &a->affected, &a->error);
        return NULL;
    }
    hither_batch b = {.size = sizeof b, .ids = asked};
    if (a->value != 0)
        b.vectors = test_matrix(vectors, a->count, DIM);
    if (a->metadata)
        b.metadata = test_strings(&metadata, a->count, columns);
    a->status = ht_collection_put(a->c, a->mode, &b, NULL, &a->affected, &a->error);
    return NULL;
}

static size_t waiting(ht_db *db) {
    size_t n = 0;
    pthread_mutex_lock(&db->queue.lock);
    for (const ht_request *r = db->queue.first; r; r = r->next)
        n++;
    pthread_mutex_unlock(&db->queue.lock);
    return n;
}

/* Does the acts as one group, in their order. */
static void together(ht_db *db, act *acts, size_t count) {
    pthread_mutex_lock(&db->writer);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&acts[i].thread, NULL, act_run, &acts[i]), 0);
        while (waiting(db) != i + 1)
            sched_yield();
    }
    pthread_mutex_unlock(&db->writer);
    for (size_t i = 0; i < count; i++)
        pthread_join(acts[i].thread, NULL);
}

/* ---- a database */

static ht_collection *open_named(ht_db *db, const char *name) {
    ht_collection *c;
    ht_collection_spec spec = {.dim = DIM, .dtype = HITHER_F32, .metric = HITHER_L2, .embedder = ""};
    assert_int_equal(ht_collection_open(db, name, &spec, &c, &err), HITHER_OK);
    return c;
}

static ht_db *open_db(const ht_io *io) {
    ht_db *db;
    assert_int_equal(ht_db_open_io(io, PATH, 0, 0, &db, &err), HITHER_OK);
    return db;
}

/* The value of a row's vector, 0 if it is not there; its metadata in text. */
static float value_of(ht_collection *c, int64_t id, char text[128]) {
    hither_result *r;
    hither_ids asked = test_int_ids(&id, 1);
    float value = 0;
    assert_int_equal(ht_collection_get(c, &asked, NULL, HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA, &r, &err),
                     HITHER_OK);
    if (hither_result_count(r, 0)) {
        hither_strings metadata = hither_result_metadata(r, 0);
        ht_text m = ht_strings_at(&metadata, 0);
        value = *(const float *)hither_result_vectors(r, 0).data;
        if (text)
            (void)snprintf(text, 128, "%.*s", (int)m.bytes, m.data ? m.data : "");
    }
    hither_result_free(r);
    return value;
}

static void assert_verified(ht_db *db) { assert_int_equal(ht_db_verify(db, NULL, NULL, &err), HITHER_OK); }

/* ---- tests */

static void each_sees_those_before(void **state) {
    (void)state;
    ht_io *io;
    char text[128];
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    ht_db *db = open_db(io);
    ht_collection *a = open_named(db, "a"), *b = open_named(db, "b");
    act acts[] = {
        a_put(a, HITHER_INSERT, 1, 2, 5, "{\"x\":1}"),
        a_put(a, HITHER_INSERT, 2, 3, 6, NULL),        /* EXISTS, so 3 is not written */
        a_put(b, HITHER_INSERT, 2, 0, 7, NULL),        /* another collection */
        a_put(a, HITHER_UPDATE, 1, 0, 0, "{\"y\":2}"), /* keeps the vector of a row of this group */
        a_put(a, HITHER_UPDATE, 9, 0, 0, "{\"y\":2}"), /* NOT_FOUND */
        (act){.c = a,
              .mode = HITHER_INSERT,
              .count = 1,
              .ids = {4},
              .value = 8,
              .text_ids = true}, /* INVALID: the ids are integers by now */
        a_delete(a, 2, 77),
        a_put(a, HITHER_INSERT, 2, 0, 9, NULL), /* free again */
        a_delete(b, 1, 0),
        a_put(a, HITHER_UPSERT, 5, 0, 10, NULL),
        a_put(a, HITHER_UPSERT, 5, 0, 11, NULL),
    };
    enum { ACTS = sizeof acts / sizeof *acts };
    together(db, acts, ACTS);
    const hither_status wanted[ACTS] = {HITHER_OK, HITHER_EXISTS,    HITHER_OK,
                                        HITHER_OK, HITHER_NOT_FOUND, HITHER_INVALID};
    for (size_t i = 0; i < ACTS; i++)
        assert_int_equal(acts[i].status, wanted[i]);
    assert_non_null(strstr(acts[1].error.message, "row 0: id 2"));
    assert_int_equal(acts[0].affected, 2);
    assert_int_equal(acts[6].affected, 1);
    assert_int_equal(acts[8].affected, 0);
    assert_int_equal(a->row.commit_seq, 1); /* one transaction */
    assert_int_equal(b->row.commit_seq, 1);
    for (unsigned round = 0; round < 2; round++) { /* as published, then as stored */
        assert_float_equal(value_of(a, 1, text), 5, 0);
        assert_string_equal(text, "{\"x\":1,\"y\":2}");
        assert_float_equal(value_of(a, 2, NULL), 9, 0);
        assert_float_equal(value_of(a, 3, NULL), 0, 0);
        assert_float_equal(value_of(a, 5, NULL), 11, 0);
        assert_float_equal(value_of(b, 2, NULL), 7, 0);
        assert_int_equal(a->row.live_count, 3);
        assert_verified(db);
        ht_collection_close(a);
        ht_collection_close(b);
        ht_db_close(db);
        db = open_db(io);
        a = open_named(db, "a");
        b = open_named(db, "b");
    }
    ht_collection_close(a);
    ht_collection_close(b);
    ht_db_close(db);
    ht_io_ram_free(io);
}

static void a_group_of_refusals_commits_nothing(void **state) {
    (void)state;
    ht_io *io;
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    ht_db *db = open_db(io);
    ht_collection *a = open_named(db, "a");
    act acts[] = {a_put(a, HITHER_UPDATE, 1, 0, 3, NULL), a_delete(a, 1, 0)};
    together(db, acts, 2);
    assert_int_equal(acts[0].status, HITHER_NOT_FOUND);
    assert_int_equal(acts[1].status, HITHER_OK);
    assert_int_equal(a->row.commit_seq, 0);
    ht_collection_close(a);
    ht_db_close(db);
    ht_io_ram_free(io);
}

/* Drops the collection of a batch that waits. */
static void dropped_while_waiting(void **state) {
    (void)state;
    ht_io *io;
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    ht_db *db = open_db(io);
    ht_collection *a = open_named(db, "a"), *b = open_named(db, "b");
    act acts[] = {a_put(a, HITHER_UPSERT, 1, 0, 3, NULL), a_put(b, HITHER_UPSERT, 1, 0, 4, NULL)};
    pthread_mutex_lock(&db->writer);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&acts[i].thread, NULL, act_run, &acts[i]), 0);
        while (waiting(db) != i + 1)
            sched_yield();
    }
    assert_int_equal(ht_store_drop(db->store, a->cid, &err), HITHER_OK);
    ht_collection_forget(db, a->cid);
    pthread_mutex_unlock(&db->writer);
    for (size_t i = 0; i < 2; i++)
        pthread_join(acts[i].thread, NULL);
    assert_int_equal(acts[0].status, HITHER_NOT_FOUND);
    assert_int_equal(acts[1].status, HITHER_OK);
    assert_float_equal(value_of(b, 1, NULL), 4, 0);
    ht_collection_close(a);
    ht_collection_close(b);
    ht_db_close(db);
    ht_io_ram_free(io);
}

enum { MEMBERS = 4 };

static void four_upserts(act *acts, ht_collection *c, float value) {
    for (size_t i = 0; i < MEMBERS; i++)
        acts[i] = (act){
            .c = c, .mode = HITHER_UPSERT, .count = 2, .ids = {(int64_t)i * 2, (int64_t)i * 2 + 1}, .value = value};
}

/* The n-th operation of a group fails, once or for good, for every n: each batch that was acknowledged is there, now
 * and after opening again; each that failed is not, unless the handle is poisoned, when it may be. */
static void trouble_with_the_disk(fault_kind kind, bool for_good) {
    for (uint64_t nth = 1;; nth++) {
        ht_io *ram;
        assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
        io_fault *fault = io_fault_new(ram);
        ht_db *db = open_db(io_fault_io(fault));
        ht_collection *c = open_named(db, "a");
        act acts[MEMBERS];
        four_upserts(acts, c, 1);
        together(db, acts, MEMBERS);
        four_upserts(acts, c, 2);
        io_fault_arm(fault, nth, kind, for_good);
        together(db, acts, MEMBERS);
        bool hit = io_fault_hit(fault);
        io_fault_arm(fault, 0, kind, false);
        hither_status after = ht_db_flush(db, NULL);
        for (unsigned round = 0; round < 2; round++) {
            for (size_t i = 0; i < MEMBERS; i++) {
                float first = value_of(c, acts[i].ids[0], NULL), second = value_of(c, acts[i].ids[1], NULL);
                bool there = first == 2;
                assert_true(first == second && (first == 1 || first == 2));
                assert_true(hit || acts[i].status == HITHER_OK);
                if (acts[i].status == HITHER_OK ? !there : there && after != HITHER_POISONED)
                    fail_msg("operation %llu (%s) failed; batch %zu: %s, but %g is stored", (unsigned long long)nth,
                             io_fault_what(fault), i, hither_status_name(acts[i].status), (double)first);
                if (acts[i].status != HITHER_OK) {
                    assert_true(acts[i].status == HITHER_IO || acts[i].status == HITHER_FULL ||
                                acts[i].status == HITHER_CORRUPT || acts[i].status == HITHER_NOMEM);
                    assert_true(acts[i].error.message[0] != '\0');
                }
            }
            if (round == 0) {
                ht_collection_close(c);
                ht_db_close(db);
                db = open_db(io_fault_io(fault));
                c = open_named(db, "a");
            }
        }
        assert_verified(db);
        ht_collection_close(c);
        ht_db_close(db);
        io_fault_free(fault);
        ht_io_ram_free(ram);
        if (!hit) {
            assert_true(nth > 8);
            return;
        }
    }
}

static void trouble_once(void **state) {
    (void)state;
    trouble_with_the_disk(FAULT_IO, false);
    trouble_with_the_disk(FAULT_FULL, false);
}

static void trouble_for_good(void **state) {
    (void)state;
    trouble_with_the_disk(FAULT_SHORT_WRITE, true);
}

/* Everybody in the group learns that the sync failed, and of nobody it is said that an earlier write failed. */
static void a_failed_sync_reaches_all(void **state) {
    (void)state;
    ht_io *ram;
    assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
    io_fault *fault = io_fault_new(ram);
    ht_db *db = open_db(io_fault_io(fault));
    ht_collection *c = open_named(db, "a");
    act acts[MEMBERS];
    four_upserts(acts, c, 1);
    together(db, acts, MEMBERS);
    four_upserts(acts, c, 2);
    io_fault_arm_sync(fault, 1, false);
    together(db, acts, MEMBERS);
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(acts[i].status, HITHER_IO);
        assert_float_equal(value_of(c, acts[i].ids[0], NULL), 1, 0);
    }
    act_run(&acts[0]);
    assert_int_equal(acts[0].status, HITHER_POISONED);
    ht_collection_close(c);
    ht_db_close(db);
    io_fault_free(fault);
    ht_io_ram_free(ram);
}

/* A crash anywhere leaves every group whole: all four batches of one round, at least the last acknowledged one. */
static void crashes_leave_groups_whole(void **state) {
    (void)state;
    enum { ROUNDS = 5 };
    ht_io *ram;
    assert_int_equal(ht_io_ram_new(&ram, &err), HITHER_OK);
    io_fault *fault = io_fault_new(ram);
    io_fault_record(fault);
    ht_db *db = open_db(io_fault_io(fault));
    ht_collection *c = open_named(db, "a");
    size_t acknowledged[ROUNDS + 1], first = io_fault_steps(fault);
    acknowledged[0] = first;
    for (size_t round = 1; round <= ROUNDS; round++) {
        act acts[MEMBERS];
        four_upserts(acts, c, (float)round);
        together(db, acts, MEMBERS);
        for (size_t i = 0; i < MEMBERS; i++)
            assert_int_equal(acts[i].status, HITHER_OK);
        acknowledged[round] = io_fault_steps(fault);
    }
    ht_collection_close(c);
    ht_db_close(db);
    size_t states = 0, least = 0;
    for (size_t steps = first; steps <= io_fault_steps(fault); steps++) {
        while (least < ROUNDS && acknowledged[least + 1] <= steps)
            least++;
        for (uint64_t seed = 0; seed < 6; seed++, states++) {
            ht_io *disk = io_fault_crash(fault, steps, seed);
            db = open_db(disk);
            c = open_named(db, "a");
            float found = value_of(c, 0, NULL);
            for (int64_t id = 1; id < 2 * MEMBERS; id++)
                assert_float_equal(value_of(c, id, NULL), found, 0);
            if (found < (float)least || found > (float)least + 1)
                fail_msg("crash after step %zu, seed %llu: round %g is there, %zu was acknowledged", steps,
                         (unsigned long long)seed, (double)found, least);
            assert_verified(db);
            ht_collection_close(c);
            ht_db_close(db);
            ht_io_ram_free(disk);
        }
    }
    assert_true(states > 100 && least == ROUNDS);
    io_fault_free(fault);
    ht_io_ram_free(ram);
}

/* ---- by luck */

enum { THREADS = 6, PRIZES = 60 };

typedef struct contest {
    ht_collection *c;
    unsigned number;
    _Atomic unsigned *inserted, *deleted;
    unsigned wrong;
} contest;

static void *compete(void *arg) {
    contest *s = arg;
    for (int64_t id = 0; id < PRIZES; id++) {
        char key[32];
        (void)snprintf(key, sizeof key, "{\"t%u\":%d}", s->number, (int)id);
        act a = {.c = s->c, .mode = HITHER_INSERT, .count = 1, .ids = {id}, .value = (float)(s->number + 1)};
        act_run(&a);
        s->wrong += a.status != HITHER_OK && a.status != HITHER_EXISTS;
        atomic_fetch_add(&s->inserted[id], a.status == HITHER_OK);
        a = (act){.c = s->c, .mode = HITHER_UPDATE, .count = 1, .ids = {id}, .metadata = key};
        act_run(&a);
        s->wrong += a.status != HITHER_OK;
        char text[128];
        s->wrong += value_of(s->c, id, text) == 0;
    }
    return NULL;
}

static void *clear_away(void *arg) {
    contest *s = arg;
    for (int64_t id = 0; id < PRIZES; id++) {
        act a = {.c = s->c, .kind = DELETE, .count = 1, .ids = {id}};
        act_run(&a);
        s->wrong += a.status != HITHER_OK;
        atomic_fetch_add(&s->deleted[id], (unsigned)a.affected);
    }
    return NULL;
}

/* Of all who insert an id one succeeds, no update is lost, and of all who delete it one does. */
static void one_wins(void **state) {
    (void)state;
    ht_io *io;
    assert_int_equal(ht_io_ram_new(&io, &err), HITHER_OK);
    ht_db *db = open_db(io);
    ht_collection *c = open_named(db, "a");
    _Atomic unsigned inserted[PRIZES] = {0}, deleted[PRIZES] = {0};
    contest s[THREADS];
    pthread_t threads[THREADS];
    for (unsigned phase = 0; phase < 2; phase++) {
        for (unsigned i = 0; i < THREADS; i++) {
            s[i] = (contest){c, i, inserted, deleted, 0};
            assert_int_equal(pthread_create(&threads[i], NULL, phase ? clear_away : compete, &s[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(s[i].wrong, 0);
        }
        for (int64_t id = 0; id < PRIZES; id++) {
            char text[128];
            assert_int_equal(inserted[id], 1);
            assert_int_equal(deleted[id], phase);
            assert_int_equal(value_of(c, id, text) != 0, !phase);
            for (unsigned i = 0; i < THREADS && !phase; i++) {
                char key[32];
                (void)snprintf(key, sizeof key, "\"t%u\":%d", i, (int)id);
                assert_non_null(strstr(text, key));
            }
        }
    }
    assert_verified(db);
    ht_collection_close(c);
    ht_db_close(db);
    ht_io_ram_free(io);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sees_those_before),     cmocka_unit_test(a_group_of_refusals_commits_nothing),
        cmocka_unit_test(dropped_while_waiting),      cmocka_unit_test(trouble_once),
        cmocka_unit_test(trouble_for_good),           cmocka_unit_test(a_failed_sync_reaches_all),
        cmocka_unit_test(crashes_leave_groups_whole), cmocka_unit_test(one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
