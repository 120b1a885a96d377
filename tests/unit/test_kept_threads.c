/*
 * test_kept_threads.c: what a collection keeps between searches - columns and the sets of their values, rows that
 * filters selected, rows that were met, lists of a sparse field - against the rows of the snapshot themselves, read one
 * by one, while another thread writes, deletes, compacts and embeds anew. Run under ThreadSanitizer too.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "cmocka_all.h"
#include "engine/compact.h"
#include "engine/near.h"
#include "engine/plan.h"
#include "engine/reembed.h"
#include "rows.h"

enum { DIM = 4, ROWS = 400, CHURN = 24, READERS = 3, WRITES = 60, GROUP = 40, TERMS = 8 };

static const char *const filters[] = {
    "{\"tag\":\"t1\"}",
    "{\"tag\":{\"$in\":[\"t0\",\"t3\"]}}",
    "{\"n\":{\"$gte\":300}}",
    "{\"$and\":[{\"n\":{\"$lt\":200}},{\"tag\":\"t2\"}]}",
    "{\"$not\":{\"tag\":\"t1\"}}",
    "{\"list\":{\"$gt\":2}}",
};
enum { FILTERS = sizeof filters / sizeof *filters };

static hither_error err;

typedef struct world {
    ht_db *db;
    ht_collection *c;
    ht_filter *filters[FILTERS];
    _Atomic bool stop;
    _Atomic unsigned wrong;
    _Atomic uint64_t looked, met, met_whole, plans[3];
    char what[320];
} world;

static void complain(world *w, const char *what, const char *message) {
    if (atomic_fetch_add(&w->wrong, 1) == 0)
        (void)snprintf(w->what, sizeof w->what, "%.60s: %.247s", what, message);
}

/* ---- writing */

static hither_status put(ht_collection *c, uint64_t first, size_t count, uint64_t version, hither_error *e) {
    static int64_t ids[ROWS];
    static float vectors[ROWS * DIM], values[ROWS];
    static char metadata[ROWS * 80], documents[ROWS * 8];
    static uint64_t at[ROWS + 1], documents_at[ROWS + 1], entries[ROWS + 1];
    static uint32_t indices[ROWS];
    for (size_t i = 0; i < count; i++) {
        uint64_t n = first + i, random = ht_mix64(n * 1000003 + version);
        ids[i] = (int64_t)n;
        for (size_t j = 0; j < DIM; j++)
            vectors[i * DIM + j] = test_float(random, j);
        at[i + 1] = at[i] + (uint64_t)sprintf(metadata + at[i], "{\"n\":%d,\"tag\":\"t%d\",\"list\":[%d,%d]}", (int)n,
                                              (int)(random % 5), (int)(random >> 8) % 3, (int)(random >> 16) % 4);
        documents_at[i + 1] = documents_at[i] + (uint64_t)sprintf(documents + documents_at[i], "%05d;", (int)n);
        entries[i + 1] = entries[i] + (random >> 40) % 2; /* half of them have none */
        indices[entries[i]] = (uint32_t)(random >> 30) % TERMS;
        values[entries[i]] = (float)(1 + version + i);
    }
    const hither_named terms = {
        .field = "terms", .count = count, .indices = indices, .values = values, .offsets = entries};
    const hither_batch b = {.size = sizeof b,
                            .ids = test_int_ids(ids, count),
                            .vectors = test_matrix(vectors, count, DIM),
                            .metadata = {metadata, at, count, NULL},
                            .documents = {documents, documents_at, count, NULL},
                            .named = &terms,
                            .named_count = 1};
    return ht_collection_put(c, HITHER_UPSERT, &b, NULL, NULL, e);
}

static hither_status embed(void *ctx, const hither_strings *texts, float *vectors, hither_error *e) {
    (void)ctx;
    (void)e;
    for (size_t i = 0; i < texts->count; i++)
        for (size_t j = 0; j < DIM; j++)
            vectors[i * DIM + j] = test_float(strtoull(texts->bytes + texts->offsets[i], NULL, 10), j);
    return HITHER_OK;
}

static void release_nothing(void *companion) { (void)companion; }

static void embed_anew(world *w, const char *name) {
    const ht_reembedding with = {.name = name, .dim = DIM, .embed = embed, .release = release_nothing};
    ht_progress progress = {0};
    ASSERT_OK(ht_collection_reembed(w->c, &with, &progress, &err));
}

static void write_all(world *w) {
    for (uint64_t i = 0; i < WRITES; i++) {
        uint64_t random = ht_mix64(i), first = random % (ROWS - GROUP);
        ht_progress progress = {0};
        size_t deleted;
        ASSERT_OK(put(w->c, first, GROUP, CHURN + i, &err));
        if (i % 7 == 3)
            ASSERT_OK(ht_collection_delete(w->c, NULL, w->filters[random % 3], &deleted, &err));
        if (i % 7 == 3)
            ASSERT_OK(put(w->c, 0, ROWS, CHURN + i, &err));
        if (i % 16 == 8) {
            ASSERT_OK(ht_space_begin(w->db, &err));
            ASSERT_OK(ht_compact_rows(w->c, HT_COMPACT_WORTHWHILE, &progress, &err));
            ht_space_end(w->db);
        }
        if (i % 24 == 20)
            embed_anew(w, i < 24 ? "first" : "second");
    }
}

/* ---- reading */

/* Whether what is remembered of a row is what the catalog has. */
static bool same_row(const ht_row *met, const ht_row *row) {
    return met->id_kind == row->id_kind && met->int_id == row->int_id && met->metadata.bytes == row->metadata.bytes &&
           memcmp(met->metadata.data, row->metadata.data, row->metadata.bytes) == 0 &&
           met->document.bytes == row->document.bytes &&
           memcmp(met->document.data, row->document.data, row->document.bytes) == 0;
}

/* What is remembered of rows is the catalog's, of every slot that lives. */
static void check_rows(world *w, const ht_snapshot *s, const ht_filter *filter, const ht_selection *selected,
                       ht_reader *reader) {
    hither_error e = {.message = ""};
    for (uint64_t slot = ht_snapshot_next(s, 0); slot < s->slot_limit; slot = ht_snapshot_next(s, slot + 1)) {
        ht_row row, met;
        bool matches = false;
        int64_t id;
        if (ht_reader_row(reader, slot, &row, &e) != HITHER_OK ||
            ht_row_matches(filter, &row, &matches, &e) != HITHER_OK) {
            complain(w, "a row", e.message);
            return;
        }
        if (matches != (selected->words[slot / 64] >> slot % 64 & 1))
            complain(w, selected->plan, "a row that should, or should not, be selected");
        if (ht_met_rows_id(&s->made->met_rows, slot, &id)) {
            atomic_fetch_add(&w->met, 1);
            if (id != row.int_id)
                complain(w, "ids", "another row's");
        }
        if (ht_met_rows_find(&s->made->met_rows, slot, &met)) {
            atomic_fetch_add(&w->met_whole, 1);
            if (!same_row(&met, &row))
                complain(w, "rows met before", "another row's");
        }
    }
}

static void check_filter(world *w, const ht_snapshot *s, uint64_t random) {
    hither_error e = {.message = ""};
    const ht_filter *filter = w->filters[random % FILTERS];
    ht_selection selected = {0};
    ht_reader *reader = NULL;
    if (ht_select(w->c, s, filter, &reader, &selected, &e) != HITHER_OK) {
        complain(w, "select", e.message);
        ht_reader_end(reader);
        return;
    }
    atomic_fetch_add(&w->plans[strcmp(selected.plan, "kept") == 0     ? 0
                               : strcmp(selected.plan, "bitmap") == 0 ? 1
                                                                      : 2],
                     1);
    uint64_t alive = 0;
    for (uint64_t slot = ht_selection_next(&selected, 0); slot < selected.limit;
         slot = ht_selection_next(&selected, slot + 1))
        alive += ht_snapshot_alive(s, slot);
    if (alive != selected.count)
        complain(w, selected.plan, "dead rows are selected");
    if (!reader && ht_collection_reader(w->c, s, &reader, &e) != HITHER_OK)
        complain(w, "reader", e.message);
    else
        check_rows(w, s, filter, &selected, reader);
    ht_selection_clear(&selected);
    ht_reader_end(reader);
}

/* Every live row that has anything in the field is found, with the score that its own entry gives. */
static void check_lists(world *w, const ht_snapshot *s, uint64_t random) {
    struct {
        uint32_t count;
        float value;
        uint32_t index;
    } query = {1, 1, (uint32_t)(random % TERMS)};
    static _Thread_local ht_hit hits[ROWS];
    const ht_vector_field *field = &s->shape->fields[0];
    hither_error e = {.message = ""};
    ht_exact_stats stats = {0};
    ht_mask live = ht_snapshot_mask(s);
    size_t count = 0, expected = 0;
    hither_status status =
        ht_sparse_nearest(w->c, s, 1, (const float *)(const void *)&query, &live, NULL, ROWS, hits, &count, &stats, &e);
    if (status == HITHER_STALE) /* embedded anew meanwhile; a search begins again */
        return;
    for (uint64_t slot = ht_snapshot_next(s, 0); slot < s->slot_limit && status == HITHER_OK;
         slot = ht_snapshot_next(s, slot + 1)) {
        const float *row;
        status = ht_snapshot_row(s, slot, &row, &e);
        expected += status == HITHER_OK && ht_field_count(field, row);
    }
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        const float *row, *values;
        uint32_t index;
        if ((status = ht_snapshot_row(s, hits[i].slot, &row, &e)) != HITHER_OK)
            break;
        values = ht_field_data(field, row);
        memcpy(&index, values + field->most, sizeof index);
        if (!ht_snapshot_alive(s, hits[i].slot) || -hits[i].distance != (index == query.index ? (double)*values : 0))
            complain(w, "lists", "a row with another's score");
    }
    if (status != HITHER_OK)
        complain(w, "lists", e.message);
    else if (count != expected)
        complain(w, "lists", "rows are missing");
}

/* A search for nothing but ids, or for whole rows, which notes and uses those that were met. */
static void check_search(world *w, uint64_t random) {
    hither_error e = {.message = ""};
    float query[DIM];
    bool seen[ROWS] = {false};
    hither_result *r;
    const uint32_t include = random >> 32 & 1 ? HITHER_INCLUDE_NOTHING : 0;
    const ht_search search = {.k = 60, .include = include, .filter = w->filters[random % FILTERS]};
    for (size_t j = 0; j < DIM; j++)
        query[j] = test_float(random, j);
    hither_matrix q = test_matrix(query, 1, DIM);
    if (ht_collection_search(w->c, &q, NULL, &search, &r, &e) != HITHER_OK) {
        complain(w, "search", e.message);
        return;
    }
    const hither_ids ids = hither_result_ids(r, 0);
    for (size_t i = 0; i < ids.count; i++) {
        if (ids.ints[i] < 0 || ids.ints[i] >= ROWS || seen[ids.ints[i]])
            complain(w, "search", "an id twice");
        else
            seen[ids.ints[i]] = true;
    }
    hither_result_free(r);
}

static void look(world *w, uint64_t random) {
    hither_error e = {.message = ""};
    ht_scratch *scratch;
    check_search(w, random);
    if (ht_scratch_take(&w->db->scratches, &scratch, &e) != HITHER_OK) {
        complain(w, "scratch", e.message);
        return;
    }
    const ht_snapshot *s = ht_snapshot_pin(&w->c->home, scratch);
    check_filter(w, s, random >> 8);
    check_lists(w, s, random >> 16);
    ht_scratch_give(scratch);
    atomic_fetch_add(&w->looked, 1);
}

static void *reader(void *arg) {
    world *w = arg;
    static _Atomic uint64_t seeds = 77;
    uint64_t random = atomic_fetch_add(&seeds, 1);
    while (!atomic_load(&w->stop))
        look(w, random = ht_mix64(random + 1));
    return NULL;
}

static void kept_beside_a_writer(void **state) {
    (void)state;
    static world w;
    ht_io *io;
    pthread_t threads[READERS];
    const hither_field field = {.name = "terms", .kind = HITHER_SPARSE, .most = 2};
    const ht_collection_spec spec = {.dim = DIM, .metric = HITHER_L2, .fields = &field, .field_count = 1};
    ASSERT_OK(ht_io_ram_new(&io, &err));
    ASSERT_OK(ht_db_open_io(io, "/db", 0, 0, &w.db, &err));
    ASSERT_OK(ht_collection_open(w.db, "c", &spec, &w.c, &err));
    for (size_t i = 0; i < FILTERS; i++)
        ASSERT_OK(ht_filter_parse(filters[i], strlen(filters[i]), &w.filters[i], &err));
    for (uint64_t i = 0; i < CHURN; i++) /* so many slots that sets of values are worth it */
        ASSERT_OK(put(w.c, 0, ROWS, i, &err));
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &w), 0);
    write_all(&w);
    atomic_store(&w.stop, true);
    for (size_t i = 0; i < READERS; i++)
        (void)pthread_join(threads[i], NULL);
    for (uint64_t i = 0; i < 8 * FILTERS; i++) /* and with nobody beside it: every kind of answer is there */
        look(&w, i << 8 | i | (i & 1) << 32);
    if (atomic_load(&w.wrong))
        fail_msg("%u wrong answers, the first: %s", atomic_load(&w.wrong), w.what);
    for (size_t i = 0; i < 3; i++)
        assert_true(atomic_load(&w.plans[i]) > 0);
    assert_true(atomic_load(&w.met) > 0);
    assert_true(atomic_load(&w.met_whole) > 0);
    for (size_t i = 0; i < FILTERS; i++)
        ht_filter_free(w.filters[i]);
    ht_collection_close(w.c);
    ht_db_close(w.db);
    ht_io_ram_free(io);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kept_beside_a_writer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
