/*
 * test_vfs.c: SQLite over our two file layers, by itself: page checksums, locks, shared memory between connections,
 * observed operations.
 */
#include "store/vfs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "store_world.h"

typedef struct place {
    store_world world;
    ht_vfs *vfs;
    char path[120];
} place;

static int setup(void **state, bool on_disk) {
    hither_error err;
    place *p = calloc(1, sizeof *p);
    world_make(&p->world, on_disk);
    ASSERT_OK(ht_vfs_new(p->world.io, &p->vfs, &err));
    snprintf(p->path, sizeof p->path, "%s/db", p->world.root);
    *state = p;
    return 0;
}
static int on_ram(void **state) { return setup(state, false); }
static int on_disk(void **state) { return setup(state, true); }
static int gone(void **state) {
    place *p = *state;
    ht_vfs_free(p->vfs);
    world_free(&p->world);
    free(p);
    return 0;
}

static sqlite3 *connect(const place *p) {
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int reserved = HT_PAGE_RESERVED;
    assert_int_equal(sqlite3_open_v2(p->path, &db, flags, p->vfs->name), SQLITE_OK);
    sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    return db;
}

static int run(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL); }
#define RUN(db, sql)                                                                                                   \
    do {                                                                                                               \
        if (run(db, sql) != SQLITE_OK)                                                                                 \
            fail_msg("%s: %s", sql, sqlite3_errmsg(db));                                                               \
    } while (0)

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    int64_t value = -1;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

/* ---- pages */

static void test_seal(void **state) {
    (void)state;
    unsigned char page[HT_PAGE_BYTES], number[4] = {3, 0, 0, 0};
    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (unsigned char)ht_mix64(i);
    ht_page_seal(page, 8192);
    assert_true(ht_page_sealed(page, 8192));
    assert_false(ht_page_sealed(page, 4096));
    assert_memory_equal(page + 4088, "\0\0\0\0", 4);
    uint32_t sum = ht_crc32c_table(ht_crc32c_table(0, number, 4), page, 4092);
    for (int i = 0; i < 4; i++)
        assert_int_equal(page[4092 + i], sum >> (8 * i) & 0xff);
    for (size_t bit = 0; bit < sizeof page * 8; bit++) {
        page[bit / 8] = (unsigned char)(page[bit / 8] ^ 1u << bit % 8);
        if (ht_page_sealed(page, 8192))
            fail_msg("bit %zu flipped went unnoticed", bit);
        page[bit / 8] = (unsigned char)(page[bit / 8] ^ 1u << bit % 8);
    }
}

/* Every page of the main file is sealed, in both journal modes, whatever grew, shrank or was freed. */
static void test_all_sealed(void **state) {
    place *p = *state;
    hither_error err;
    sqlite3 *db = connect(p);
    static const char *const steps[] = {
        "PRAGMA page_size=4096; CREATE TABLE t(a, b)",
        ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
         "SELECT i, randomblob(300) FROM n"),
        "DELETE FROM t WHERE a % 3",
        "CREATE INDEX i ON t(b)",
        "PRAGMA journal_mode=WAL",
        "INSERT INTO t SELECT a, randomblob(5000) FROM t",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "DROP INDEX i",
        "DELETE FROM t WHERE a > 30",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        RUN(db, steps[i]);
        ht_file *file;
        uint64_t bytes = 0;
        unsigned char page[HT_PAGE_BYTES];
        /* Through the table, so not while SQLite has locks on the file that closing ours would drop: nobody else here
         * looks at them. */
        ASSERT_OK(p->world.io->open(p->world.io->ctx, p->path, 0, &file, &err));
        ASSERT_OK(p->world.io->file_size(file, &bytes, &err));
        assert_int_equal(bytes % HT_PAGE_BYTES, 0);
        for (uint64_t at = 0; at < bytes; at += HT_PAGE_BYTES) {
            ASSERT_OK(p->world.io->read_at(file, page, HT_PAGE_BYTES, at, &err));
            if (!ht_page_sealed(page, at))
                fail_msg("after '%s' page %d is not sealed", steps[i], (int)(at / HT_PAGE_BYTES) + 1);
        }
        p->world.io->close(file);
    }
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    sqlite3_close(db);
}

static void test_damage_is_read(void **state) {
    place *p = *state;
    sqlite3 *db = connect(p);
    RUN(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(20000))");
    sqlite3_close(db);
    store_world folder = p->world;
    snprintf(folder.path, sizeof folder.path, "%s", p->world.root);
    world_flip(&folder, "db", 3 * 4096 + 17, 4);
    db = connect(p);
    assert_int_equal(run(db, "SELECT max(a) FROM t"), SQLITE_IOERR_DATA);
    assert_string_equal(p->vfs->trouble, "catalog: page 4 (offset 12288) fails its checksum");
    assert_false(p->vfs->foreign);
    sqlite3_close(db);
    world_flip(&folder, "db", 3 * 4096 + 17, 4);
    db = connect(p);
    RUN(db, "SELECT max(a) FROM t");
    sqlite3_close(db);
}

/* ---- several connections */

static void test_wal_connections(void **state) {
    place *p = *state;
    sqlite3 *a = connect(p), *b, *c;
    RUN(a, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; CREATE TABLE t(x)");
    b = connect(p);
    c = connect(p);
    RUN(a, "INSERT INTO t VALUES(1)");
    RUN(b, "BEGIN");
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 1);
    RUN(a, "INSERT INTO t VALUES(2)");
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 1);
    assert_int_equal(number(c, "SELECT count(*) FROM t"), 2);
    /* One writer at a time. */
    RUN(a, "BEGIN IMMEDIATE");
    assert_int_equal(run(c, "BEGIN IMMEDIATE") & 0xff, SQLITE_BUSY);
    RUN(a, "INSERT INTO t VALUES(3)");
    assert_int_equal(number(c, "SELECT count(*) FROM t"), 2);
    RUN(a, "COMMIT");
    /* A write on top of an old version is refused. */
    assert_int_equal(run(b, "INSERT INTO t VALUES(9)"), SQLITE_BUSY_SNAPSHOT);
    /* While b reads, the log cannot start over. */
    int frames, folded;
    sqlite3_wal_checkpoint_v2(a, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &folded);
    assert_true(folded < frames);
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 1);
    RUN(b, "COMMIT");
    assert_int_equal(sqlite3_wal_checkpoint_v2(a, "main", SQLITE_CHECKPOINT_TRUNCATE, &frames, &folded), SQLITE_OK);
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 3);
    sqlite3_close(a);
    RUN(c, "INSERT INTO t VALUES(4)");
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 4);
    sqlite3_close(b);
    sqlite3_close(c);
}

/* The classic locks of a rollback journal. */
static void test_journal_connections(void **state) {
    place *p = *state;
    sqlite3 *a = connect(p), *b;
    RUN(a, "PRAGMA page_size=4096; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    b = connect(p);
    RUN(b, "BEGIN");
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 1);
    RUN(a, "BEGIN IMMEDIATE");
    RUN(a, "INSERT INTO t VALUES(2)");
    assert_int_equal(run(b, "INSERT INTO t VALUES(3)") & 0xff, SQLITE_BUSY);
    assert_int_equal(run(a, "COMMIT") & 0xff, SQLITE_BUSY); /* b reads */
    RUN(b, "COMMIT");
    RUN(a, "COMMIT");
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 2);
    RUN(a, "BEGIN EXCLUSIVE");
    assert_int_equal(run(b, "SELECT * FROM t") & 0xff, SQLITE_BUSY);
    RUN(a, "ROLLBACK");
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 2);
    sqlite3_close(a);
    sqlite3_close(b);
}

/* ---- threads: one writes pairs that sum to 0, others must always see sums of 0 */

typedef struct crowd {
    const place *place;
    atomic_bool done;
    atomic_int bad, seen;
} crowd;

static void *read_sums(void *arg) {
    crowd *c = arg;
    sqlite3 *db = connect(c->place);
    sqlite3_busy_timeout(db, 5000);
    do {
        if (number(db, "SELECT coalesce(sum(x), 0) FROM t") != 0)
            atomic_fetch_add(&c->bad, 1);
        atomic_fetch_add(&c->seen, 1);
    } while (!atomic_load(&c->done));
    sqlite3_close(db);
    return NULL;
}

static void test_threads(void **state) {
    place *p = *state;
    crowd c = {.place = p};
    pthread_t threads[3];
    sqlite3 *db = connect(p);
    RUN(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; CREATE TABLE t(x)");
    sqlite3_wal_autocheckpoint(db, 20);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_sums, &c), 0);
    for (int i = 0; i < 200; i++)
        RUN(db, "BEGIN IMMEDIATE; INSERT INTO t VALUES(7); INSERT INTO t VALUES(-7); COMMIT");
    atomic_store(&c.done, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.bad), 0);
    assert_true(atomic_load(&c.seen) >= 3);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 400);
    sqlite3_close(db);
}

/* ---- what is shown to `observe`, and fails when it says so */

typedef struct watch {
    int count[HT_OP_OPEN + 1];
    ht_io_op fail;
    hither_status with;
    bool armed, unsealed;
} watch;

static hither_status look(void *ctx, const ht_io_event *event) {
    watch *w = ctx;
    w->count[event->op]++;
    size_t length = strlen(event->path);
    if (event->op == HT_OP_WRITE && length > 3 && strcmp(event->path + length - 3, "/db") == 0 &&
        !ht_page_sealed(event->data, event->offset))
        w->unsealed = true;
    return w->armed && w->fail == event->op ? w->with : HITHER_OK;
}

static void test_observe(void **state) {
    place *p = *state;
    hither_error err;
    watch w = {0};
    ht_io io = *p->world.io;
    io.ctx = &w; /* the posix table needs none */
    io.observe = look;
    place seen = *p;
    ASSERT_OK(ht_vfs_new(&io, &seen.vfs, &err));
    sqlite3 *db = connect(&seen);
    RUN(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(x)");
    RUN(db, "INSERT INTO t VALUES(1); PRAGMA wal_checkpoint(TRUNCATE)");
    for (int op = 0; op <= HT_OP_OPEN; op++)
        assert_true(w.count[op] > 0);
    assert_false(w.unsealed);
    const struct {
        ht_io_op op;
        hither_status with;
        const char *sql;
        int code;
    } cases[] = {{HT_OP_WRITE, HITHER_FULL, "INSERT INTO t VALUES(2)", SQLITE_FULL},
                 {HT_OP_WRITE, HITHER_IO, "INSERT INTO t VALUES(2)", SQLITE_IOERR_WRITE},
                 {HT_OP_SYNC, HITHER_FULL, "INSERT INTO t VALUES(2)", SQLITE_IOERR_FSYNC},
                 {HT_OP_WRITE, HITHER_NOMEM, "INSERT INTO t VALUES(2)", SQLITE_NOMEM}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w.fail = cases[i].op;
        w.with = cases[i].with;
        w.armed = true;
        assert_int_equal(run(db, cases[i].sql), cases[i].code);
        w.armed = false;
    }
    sqlite3_close(db);
    db = connect(&seen);
    w.fail = HT_OP_READ;
    w.with = HITHER_IO;
    w.armed = true;
    assert_int_equal(run(db, "SELECT * FROM t"), SQLITE_IOERR_READ);
    w.armed = false;
    RUN(db, "SELECT * FROM t");
    sqlite3_close(db);
    ht_vfs_free(seen.vfs);
}

/* Each store's layer goes with it. */
static void test_registration(void **state) {
    place *p = *state;
    hither_error err;
    ht_vfs *other;
    char name[64];
    ASSERT_OK(ht_vfs_new(p->world.io, &other, &err));
    snprintf(name, sizeof name, "%s", other->name);
    assert_string_not_equal(name, p->vfs->name);
    assert_non_null(sqlite3_vfs_find(name));
    ht_vfs_free(other);
    assert_null(sqlite3_vfs_find(name));
    ht_vfs_free(NULL);
    ht_io io = *p->world.io;
    io.sqlite_vfs = "no such layer";
    ASSERT_FAILS(ht_vfs_new(&io, &other, &err), HITHER_UNSUPPORTED);
}

#define BOTH(test)                                                                                                     \
    {#test " (RAM)", test, on_ram, gone, NULL}, { #test " (disk)", test, on_disk, gone, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal),    BOTH(test_all_sealed),
        BOTH(test_damage_is_read),      BOTH(test_wal_connections),
        BOTH(test_journal_connections), BOTH(test_threads),
        BOTH(test_registration),        cmocka_unit_test_setup_teardown(test_observe, on_disk, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
