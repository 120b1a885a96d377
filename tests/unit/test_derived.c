/*
 * test_derived.c: columns and postings that were kept on disk. They are used: after an open no row's metadata or
 * document is read again. And they never weigh: cut short, with any byte changed, of another collection, or not to be
 * written at all, every answer is what the rows say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "cmocka_all.h"
#include "engine/cache.h"
#include "engine/derived.h"
#include "io_fault.h"
#include "rows.h"

enum { ROWS = 500, MORE = 60, ASKED = 8 };
#define COLUMNS "/db/cache/1-0.columns"
#define WORDS   "/db/cache/1-0.words"

static hither_error err;

typedef struct world {
    const ht_io *io;
    ht_db *db;
    ht_collection *c;
} world;

static void open_with(world *w, const char *path, uint32_t flags) {
    ht_collection_spec spec = {.dim = 1, .metric = HITHER_L2};
    ASSERT_OK(ht_db_open_io(w->io, path, flags, 0, &w->db, &err));
    ASSERT_OK(ht_collection_open(w->db, "c", &spec, &w->c, &err));
}

static void open_world(world *w) { open_with(w, "/db", 0); }

static void close_world(world *w) {
    ht_collection_close(w->c);
    ht_db_close(w->db);
}

/* ---- rows, and what is asked of them */

static const char *const words[] = {"owl", "hawk", "night", "sea"};

/* Row i in its n-th version. */
static void describe(size_t i, size_t version, char *metadata, char *document, size_t room) {
    size_t n = i + 7 * version;
    const char *a = words[n % 3], *b = words[n / 3 % 4];
    if (n % 4 == 0)
        (void)snprintf(metadata, room, "{\"n\":%zu,\"s\":\"%s\",\"l\":[1,\"%s\",2.5,null]}", n % 50, a, b);
    else if (n % 4 == 1)
        (void)snprintf(metadata, room, "{\"n\":%zu.5,\"s\":\"%s\",\"o\":{\"x\":\"%s\"}}", n % 50, a, b);
    else if (n % 4 == 2)
        (void)snprintf(metadata, room, "{\"n\":-%zu,\"s\":[\"%s\"],\"b\":true,\"o\":\"%s\"}", n % 50, a, b);
    else
        (void)snprintf(metadata, room, "{\"n\":%zu,\"t\":\"%s %s\",\"o\":{\"x\":null}}", n % 50, a, b);
    (void)snprintf(document, room, "%s %s and %s row%zu", words[n % 4], words[n / 4 % 4], a, n % 90);
}

static void put(world *w, size_t first, size_t count, size_t version) {
    enum { BATCH = 50 };
    for (size_t done = 0, n; done < count; done += n) {
        char metadata[BATCH][120], document[BATCH][120];
        const char *all[2][BATCH];
        int64_t ids[BATCH];
        float vectors[BATCH];
        test_column a, b;
        n = count - done < BATCH ? count - done : BATCH;
        for (size_t i = 0; i < n; i++) {
            ids[i] = (int64_t)(first + done + i);
            vectors[i] = (float)ids[i];
            describe((size_t)ids[i], version, metadata[i], document[i], sizeof metadata[i]);
            all[0][i] = metadata[i];
            all[1][i] = document[i];
        }
        hither_batch batch = {.size = sizeof batch,
                              .ids = test_int_ids(ids, n),
                              .vectors = test_matrix(vectors, n, 1),
                              .metadata = test_strings(&a, n, all[0]),
                              .documents = test_strings(&b, n, all[1])};
        ASSERT_OK(ht_collection_put(w->c, HITHER_UPSERT, &batch, NULL, NULL, &err));
    }
}

static void erase(world *w, size_t first, size_t count) {
    for (size_t i = first; i < first + count; i++) {
        int64_t id = (int64_t)i;
        hither_ids ids = test_int_ids(&id, 1);
        ASSERT_OK(ht_collection_delete(w->c, &ids, NULL, NULL, &err));
    }
}

static const char *const filters[ASKED] = {"{\"n\":{\"$gt\":20}}",
                                           "{\"s\":\"owl\"}",
                                           "{\"l\":2.5}",
                                           "{\"o.x\":\"sea\"}",
                                           "{\"n\":{\"$lt\":-3},\"b\":true}",
                                           "{\"o\":{\"$exists\":false}}",
                                           "{\"t\":{\"$regex\":\"^h.* n\"}}",
                                           "{\"o.x\":null}"};
static const char *const queries[ASKED] = {"owl",       "hawk night",  "row3* sea",   "\"and owl\"",
                                           "+sea -owl", "row11 row12", "\"owl owl\"", "nothing"};

static hither_result *ask(const world *w, size_t i, bool keywords) {
    ht_filter *filter = NULL;
    hither_result *r;
    test_column room;
    float zero = 0;
    hither_matrix vector = test_matrix(&zero, 1, 1), none = test_matrix(NULL, 0, 1);
    hither_strings text = test_strings(&room, 1, &queries[i]);
    ht_search search = {.k = 1000, .include = HITHER_INCLUDE_NOTHING};
    if (keywords)
        search.keywords = &text;
    else
        ASSERT_OK(ht_filter_parse(filters[i], strlen(filters[i]), &filter, &err));
    search.filter = filter;
    if (ht_collection_search(w->c, keywords ? &none : &vector, NULL, &search, &r, &err) != HITHER_OK)
        fail_msg("%s", err.message);
    ht_filter_free(filter);
    return r;
}

/* What a member of the plan counts. */
static uint64_t said(const hither_result *r, const char *member) {
    const char *plan = hither_result_plan(r), *at = plan ? strstr(plan, member) : NULL;
    if (!at)
        fail_msg("no %s in the plan", member);
    return strtoull(at + strlen(member) + 1, NULL, 10);
}

typedef struct reads {
    uint64_t metadata, documents;
} reads;

/* Everything that is asked, as one number of what came. */
static uint64_t answers(const world *w, reads *read) {
    uint64_t hash = 0;
    *read = (reads){0};
    for (size_t i = 0; i < 2 * ASKED; i++) {
        hither_result *r = ask(w, i / 2, i % 2);
        size_t count = hither_result_count(r, 0);
        const int64_t *ids = hither_result_ids(r, 0).ints;
        const double *scores = i % 2 ? hither_result_scores(r, 0) : NULL;
        hash = ht_hash64(ids, count * sizeof *ids, hash + count);
        if (scores)
            hash = ht_hash64(scores, count * sizeof *scores, hash);
        if (i % 2)
            read->documents += said(r, "\"documents_read\"");
        else
            read->metadata += said(r, "\"rows_parsed\"");
        hither_result_free(r);
    }
    return hash;
}

/* The same, of rows that nothing was kept of. */
static uint64_t plain_answers(size_t more) {
    ht_io *io;
    reads read;
    ASSERT_OK(ht_io_ram_new(&io, &err));
    world w = {.io = io};
    open_world(&w);
    put(&w, 0, ROWS, 0);
    put(&w, 100, 50, 1);
    erase(&w, 300, 20);
    put(&w, ROWS, more, 0);
    uint64_t hash = answers(&w, &read);
    assert_true(read.metadata >= ROWS && read.documents >= ROWS);
    close_world(&w);
    ht_io_ram_free(io);
    return hash;
}

/* A database in which both are kept, of rows some of which have changed or gone. */
static uint64_t fill(world *w) {
    reads read;
    open_world(w);
    put(w, 0, ROWS, 0);
    (void)answers(w, &read);
    put(w, 100, 50, 1);
    erase(w, 300, 20);
    uint64_t hash = answers(w, &read);
    ht_db_keep_codes(w->db, 0);
    close_world(w);
    return hash;
}

static size_t read_file(const ht_io *io, const char *path, unsigned char **out) {
    ht_file *file;
    uint64_t bytes;
    ASSERT_OK(io->open(io->ctx, path, 0, &file, &err));
    ASSERT_OK(io->file_size(file, &bytes, &err));
    *out = malloc(bytes);
    ASSERT_OK(io->read_at(file, *out, bytes, 0, &err));
    io->close(file);
    return bytes;
}

static void write_file(const ht_io *io, const char *path, const unsigned char *data, size_t bytes) {
    ht_file *file;
    hither_status ignored = io->remove(io->ctx, path, NULL);
    (void)ignored;
    ASSERT_OK(io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &file, &err));
    if (bytes)
        ASSERT_OK(io->write_at(file, data, bytes, 0, &err));
    io->close(file);
}

static bool exists(const ht_io *io, const char *path) {
    ht_io_kind kind;
    uint64_t bytes;
    ASSERT_OK(io->stat(io->ctx, path, &kind, &bytes, &err));
    return kind != HT_IO_ABSENT;
}

/* ---- tests */

static void what_is_kept_is_used(void **state) {
    (void)state;
    ht_io *io;
    reads read;
    ASSERT_OK(ht_io_ram_new(&io, &err));
    world w = {.io = io};
    uint64_t hash = fill(&w);
    assert_int_equal(hash, plain_answers(0));
    open_world(&w);
    assert_int_equal(answers(&w, &read), hash);
    assert_int_equal(read.metadata, 0);
    assert_int_equal(read.documents, 0);
    put(&w, ROWS, MORE, 0); /* what comes later is read, and only that */
    assert_int_equal(answers(&w, &read), plain_answers(MORE));
    assert_int_equal(read.metadata, MORE);
    assert_int_equal(read.documents, MORE);
    ht_db_keep_codes(w.db, 0);
    close_world(&w);
    open_with(&w, "/db", HITHER_OPEN_READONLY);
    assert_int_equal(answers(&w, &read), plain_answers(MORE));
    assert_true(read.metadata <= MORE && read.documents <= MORE); /* few rows more are no reason to write a file anew */
    close_world(&w);
    ht_io_ram_free(io);
}

/* Of rows that were alive when a reader began and had gone when the files were written. */
static void none_that_is_newer(void **state) {
    (void)state;
    char *path = test_path(), file[600];
    reads read;
    world w = {.io = ht_io_posix()}, reader = w;
    open_with(&w, path, 0);
    put(&w, 0, ROWS, 0);
    uint64_t before = answers(&w, &read);
    open_with(&reader, path, HITHER_OPEN_READONLY);
    ht_snapshot *s = atomic_load(&reader.c->home.current);
    erase(&w, 50, 9);
    ht_db_keep_codes(w.db, 0);
    (void)snprintf(file, sizeof file, "%s/cache/1-0.columns", path);
    assert_true(exists(w.io, file));
    (void)snprintf(file, sizeof file, "%s/cache/1-0.words", path);
    assert_true(exists(w.io, file));
    ht_derived_load_columns(reader.c, s);
    ht_derived_load_words(reader.c, s);
    assert_int_equal(atomic_load(&reader.c->home.current->made->columns.count), 0);
    assert_int_equal(reader.c->home.current->made->keywords.count, 0);
    assert_true(answers(&reader, &read) != before && read.metadata > 0); /* it follows the writer by itself */
    close_world(&reader);
    close_world(&w);
    test_remove_tree(path);
}

static void damage_costs_time_only(void **state) {
    (void)state;
    static const char *const paths[] = {COLUMNS, WORDS};
    ht_io *io;
    reads read;
    ASSERT_OK(ht_io_ram_new(&io, &err));
    world w = {.io = io};
    uint64_t hash = fill(&w);
    for (size_t p = 0; p < 2; p++) {
        unsigned char *bytes;
        size_t size = read_file(io, paths[p], &bytes), passed = 0, tried = 0;
        for (size_t at = 0; at < size; at += at < 80 ? 19 : 3711) {
            bytes[at] ^= 0x10;
            write_file(io, paths[p], bytes, size);
            bytes[at] ^= 0x10;
            open_with(&w, "/db", HITHER_OPEN_READONLY);
            assert_int_equal(answers(&w, &read), hash);
            passed += (p ? read.documents : read.metadata) > 0;
            tried++;
            close_world(&w);
        }
        assert_true(passed > tried / 8); /* bytes between sections are nobody's */
        for (size_t cut = 0; cut < size; cut += 9777) {
            write_file(io, paths[p], bytes, cut);
            open_with(&w, "/db", HITHER_OPEN_READONLY);
            assert_int_equal(answers(&w, &read), hash);
            assert_true((p ? read.documents : read.metadata) > 0);
            close_world(&w);
        }
        write_file(io, paths[p], bytes, size);
        free(bytes);
    }
    ht_io_ram_free(io);
}

static void strangers_are_passed_over(void **state) {
    (void)state;
    static const char *const names[] = {"columns", "words"};
    ht_io *io;
    reads read;
    ASSERT_OK(ht_io_ram_new(&io, &err));
    world w = {.io = io};
    (void)fill(&w);
    open_with(&w, "/other", 0);
    put(&w, 1, ROWS, 2);
    uint64_t hash = answers(&w, &read);
    close_world(&w);
    for (size_t i = 0; i < 2; i++) {
        char from[60], to[60];
        unsigned char *bytes;
        (void)snprintf(from, sizeof from, "/db/cache/1-0.%s", names[i]);
        (void)snprintf(to, sizeof to, "/other/cache/1-0.%s", names[i]);
        size_t size = read_file(io, from, &bytes);
        write_file(io, to, bytes, size);
        free(bytes);
    }
    open_with(&w, "/other", 0);
    assert_int_equal(answers(&w, &read), hash);
    assert_true(read.metadata > 0 && read.documents > 0);
    close_world(&w);
    ht_io_ram_free(io);
}

/* Writing a cache fails at every step there is: nothing else does. */
static void no_failure_to_keep_matters(void **state) {
    (void)state;
    ht_io *io;
    reads read;
    ASSERT_OK(ht_io_ram_new(&io, &err));
    io_fault *fault = io_fault_new(io);
    world w = {.io = io_fault_io(fault)};
    open_world(&w);
    put(&w, 0, ROWS, 0);
    uint64_t hash = answers(&w, &read);
    for (uint64_t nth = 1;; nth += nth < 24 ? 1 : 3) {
        io_fault_arm(fault, nth, (fault_kind)(nth % 3), nth % 2);
        ht_db_keep_codes(w.db, 0);
        bool hit = io_fault_hit(fault);
        io_fault_arm(fault, 0, FAULT_IO, false);
        assert_int_equal(answers(&w, &read), hash);
        assert_int_equal(read.metadata + read.documents, 0);
        if (!hit)
            break;
        put(&w, ROWS, 1, 0); /* and what is committed meanwhile is */
        erase(&w, ROWS, 1);
        (void)answers(&w, &read);
    }
    close_world(&w);
    open_world(&w);
    assert_int_equal(answers(&w, &read), hash);
    close_world(&w);
    io_fault_free(fault);
    ht_io_ram_free(io);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_used),       cmocka_unit_test(none_that_is_newer),
        cmocka_unit_test(damage_costs_time_only),     cmocka_unit_test(strangers_are_passed_over),
        cmocka_unit_test(no_failure_to_keep_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
