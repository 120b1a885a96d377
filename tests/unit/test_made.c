/*
 * test_made.c: what is made of rows in memory follows compaction: columns with their strings, postings, lists of a
 * sparse field and ids that were met, of rows that are written anew again and again, stay as large as the rows there
 * are; what they answer stays right, for a cursor on an older version too; and without memory they stay as they were.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/alloc.h"
#include "base/io.h"
#include "cmocka_all.h"
#include "engine/compact.h"
#include "engine/plan.h"
#include "rows.h"

enum { ROWS = 3000, ROUNDS = 6, BATCH = 60 };

static hither_error err;

typedef struct world {
    ht_io *io;
    ht_db *db;
    ht_collection *c;
    int64_t blocks; /* of memory, before there was any of it */
} world;

/* Every row gets a name of its own, words of its own, and an entry. */
static void put(world *w, size_t round) {
    static char metadata[BATCH][100], documents[BATCH][60];
    static const char *all[2][BATCH];
    static int64_t ids[BATCH];
    static float vectors[BATCH], values[BATCH];
    static uint32_t indices[BATCH];
    static uint64_t offsets[BATCH + 1];
    for (size_t first = 0; first < ROWS; first += BATCH) {
        test_column a, b;
        for (size_t i = 0; i < BATCH; i++) {
            size_t n = first + i;
            ids[i] = (int64_t)n;
            vectors[i] = (float)n;
            (void)snprintf(metadata[i], sizeof metadata[i],
                           "{\"name\":\"name %zu of %zu\",\"n\":%zu,\"round\":%zu,\"l\":[\"%zu\",%zu]}", n, round, n,
                           round, n % 7 + round, n % 5);
            (void)snprintf(documents[i], sizeof documents[i], "row%zu of round%zu owl%zu", n, round,
                           n * ROUNDS + round);
            all[0][i] = metadata[i];
            all[1][i] = documents[i];
            indices[i] = (uint32_t)(n % 10);
            values[i] = (float)(round + 1);
            offsets[i + 1] = i + 1;
        }
        const hither_named terms = {
            .field = "terms", .count = BATCH, .indices = indices, .values = values, .offsets = offsets};
        const hither_batch batch = {.size = sizeof batch,
                                    .ids = test_int_ids(ids, BATCH),
                                    .vectors = test_matrix(vectors, BATCH, 1),
                                    .metadata = test_strings(&a, BATCH, all[0]),
                                    .documents = test_strings(&b, BATCH, all[1]),
                                    .named = &terms,
                                    .named_count = 1};
        ASSERT_OK(ht_collection_put(w->c, HITHER_UPSERT, &batch, NULL, NULL, &err));
    }
}

static hither_status compact(world *w) {
    ht_progress progress = {0};
    ASSERT_OK(ht_space_begin(w->db, &err));
    hither_status status = ht_compact_rows(w->c, HT_COMPACT_WORTHWHILE, &progress, &err);
    ht_space_end(w->db);
    return status;
}

/* How many rows a search finds by a filter, or by words. */
static size_t found(world *w, const char *where, const char *words) {
    ht_filter *filter = NULL;
    hither_result *r;
    test_column room;
    float zero = 0;
    hither_matrix vector = test_matrix(&zero, 1, 1), none = test_matrix(NULL, 0, 1);
    hither_strings text = words ? test_strings(&room, 1, &words) : (hither_strings){0};
    ht_search search = {.k = 2 * ROWS, .include = HITHER_INCLUDE_NOTHING};
    if (where)
        ASSERT_OK(ht_filter_parse(where, strlen(where), &filter, &err));
    search.filter = filter;
    search.keywords = words ? &text : NULL;
    if (ht_collection_search(w->c, words ? &none : &vector, NULL, &search, &r, &err) != HITHER_OK)
        fail_msg("%s", err.message);
    size_t count = hither_result_count(r, 0);
    hither_result_free(r);
    ht_filter_free(filter);
    return count;
}

/* The sum of the scores of all rows that have the index: each gave its round plus one. At most so many entries are
 * looked at. */
static double entries(world *w, uint32_t index, uint64_t most) {
    static ht_hit hits[2 * ROWS];
    const struct {
        uint32_t count;
        float value;
        uint32_t index;
    } query = {1, 1, index};
    ht_scratch *scratch;
    ht_exact_stats stats = {0};
    size_t count = 0;
    double sum = 0;
    ASSERT_OK(ht_scratch_take(&w->db->scratches, &scratch, &err));
    const ht_snapshot *s = ht_snapshot_pin(&w->c->home, scratch);
    ht_mask live = ht_snapshot_mask(s);
    ASSERT_OK(ht_sparse_nearest(w->c, s, 1, (const float *)(const void *)&query, &live, NULL, 2 * ROWS, hits, &count,
                                &stats, &err));
    assert_int_equal(count, ROWS);
    assert_true(stats.rows_scanned <= most);
    for (size_t i = 0; i < count; i++)
        sum -= hits[i].distance;
    ht_scratch_give(scratch);
    return sum;
}

/* In the lists there may be the rows of so many rounds. */
static void ask(world *w, size_t round, size_t rounds) {
    char text[80];
    assert_int_equal(found(w, "{\"name\":{\"$contains\":\"name\"}}", NULL), ROWS);
    (void)snprintf(text, sizeof text, "{\"name\":\"name 77 of %zu\",\"n\":77}", round);
    assert_int_equal(found(w, text, NULL), 1);
    (void)snprintf(text, sizeof text, "{\"l\":\"%zu\"}", 3 + round);
    assert_int_equal(found(w, text, NULL), (ROWS + 3) / 7);
    assert_int_equal(found(w, "{\"round\":{\"$lt\":0}}", NULL), 0);
    (void)snprintf(text, sizeof text, "+round%zu", round);
    assert_int_equal(found(w, NULL, text), ROWS);
    (void)snprintf(text, sizeof text, "owl%zu", (size_t)77 * ROUNDS + round);
    assert_int_equal(found(w, NULL, text), 1);
    assert_true(entries(w, 7, rounds * (ROWS / 10)) == (double)(ROWS / 10) * (double)(round + 1));
}

typedef struct size {
    uint64_t words, blocks, postings;
} size;

static size measure(world *w) {
    size now = {0};
    const ht_made *made = atomic_load(&w->c->home.current)->made;
    const ht_field_column *column = atomic_load(&made->columns.first);
    for (; column; column = column->next) {
        now.words += atomic_load(&column->dictionary.count);
        for (uint64_t block = 0; block * HT_CELLS < atomic_load(&column->covered); block++)
            now.blocks += ht_column_cells(column, block) != NULL;
    }
    for (size_t i = 0; i < made->keywords.count; i++)
        now.postings += ht_postings_bytes(made->keywords.parts[i]);
    return now;
}

static void make(world *w) {
    const hither_field field = {.name = "terms", .kind = HITHER_SPARSE, .most = 2};
    const ht_collection_spec spec = {.dim = 1, .metric = HITHER_L2, .fields = &field, .field_count = 1};
    w->blocks = alloc_fault_live();
    ASSERT_OK(ht_io_ram_new(&w->io, &err));
    ASSERT_OK(ht_db_open_io(w->io, "/db", 0, 0, &w->db, &err));
    ASSERT_OK(ht_collection_open(w->db, "c", &spec, &w->c, &err));
}

static void leave(world *w) {
    ht_collection_close(w->c);
    ht_db_close(w->db);
    ht_io_ram_free(w->io);
    assert_int_equal(alloc_fault_live(), w->blocks); /* nothing stays behind */
}

static void as_large_as_the_rows(void **state) {
    (void)state;
    world w;
    make(&w);
    put(&w, 0);
    ask(&w, 0, 1);
    const size first = measure(&w);
    assert_true(first.words >= ROWS && first.blocks && first.postings);
    for (size_t round = 1; round < ROUNDS; round++) {
        put(&w, round);
        ask(&w, round, 2);
        const size before = measure(&w);
        assert_true(before.words >= 2 * ROWS);
        ASSERT_OK(compact(&w));
        const size after = measure(&w);
        assert_true(after.words <= first.words + 20 && after.blocks <= first.blocks + 4);
        assert_true(after.postings <= 2 * first.postings);
        assert_int_equal(atomic_load(&w.c->home.current)->made->gone, round * ROWS);
        ask(&w, round, 1);
        ASSERT_OK(compact(&w)); /* with nothing to gain */
        assert_int_equal(atomic_load(&w.c->home.current)->made->gone, round * ROWS);
    }
    leave(&w);
}

/* A cursor keeps what it stands on: its rows are needed, so nothing of them goes. */
static void beside_a_cursor(void **state) {
    (void)state;
    world w;
    ht_cursor *cursor;
    hither_result *r;
    size_t count = 0, n;
    ht_filter *filter;
    make(&w);
    put(&w, 0);
    ask(&w, 0, 1);
    ASSERT_OK(ht_filter_parse("{\"round\":0}", 11, &filter, &err));
    ASSERT_OK(ht_collection_scan(w.c, filter, HITHER_INCLUDE_METADATA, &cursor, &err));
    put(&w, 1);
    ASSERT_OK(compact(&w));
    assert_int_equal(atomic_load(&w.c->home.current)->made->gone, 0);
    put(&w, 2);
    ASSERT_OK(compact(&w));
    ask(&w, 2, 3);
    do {
        ASSERT_OK(ht_cursor_next(cursor, 1000, &r, &err));
        count += n = hither_result_count(r, 0);
        hither_result_free(r);
    } while (n);
    assert_int_equal(count, ROWS);
    ht_cursor_close(cursor);
    put(&w, 3);
    ASSERT_OK(compact(&w));
    assert_int_equal(atomic_load(&w.c->home.current)->made->gone, 3 * ROWS);
    ask(&w, 3, 1);
    ht_filter_free(filter);
    leave(&w);
}

/* Whatever request fails, the collection answers as before, and the next compaction makes up for it. */
static void without_memory(void **state) {
    (void)state;
    world w;
    make(&w);
    put(&w, 0);
    ask(&w, 0, 1);
    put(&w, 1);
    ask(&w, 1, 2);
    ht_made *old = atomic_load(&w.c->home.current)->made;
    ht_mask all = {.limit = UINT64_MAX};
    int64_t before = alloc_fault_live();
    for (uint64_t n = 1, more = 1; more; n += 1 + n / 4) {
        ht_made *made = NULL;
        alloc_fault_arm(n, true);
        hither_status status = ht_made_without(old, &all, 1, &made, &err);
        more = alloc_fault_hit();
        alloc_fault_arm(0, false);
        assert_int_equal(status, more ? HITHER_NOMEM : HITHER_OK);
        if (!more)
            ht_made_release(made);
        assert_int_equal(alloc_fault_live(), before);
    }
    ask(&w, 1, 2);
    ASSERT_OK(compact(&w));
    ask(&w, 1, 2);
    leave(&w);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_large_as_the_rows),
        cmocka_unit_test(beside_a_cursor),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
