/*
 * test_model.c: ten thousand random operations against a naive twin: an array of rows in order of writing. Every answer
 * must be the twin's: statuses, rows, order of scans, and searches equal to brute force by D over the twin's rows, bit
 * for bit. The files live in RAM and the database is closed and opened again now and then.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "cmocka_all.h"
#include "engine/engine.h"
#include "index/exact.h"
#include "kernels/kernels.h"
#include "rows.h"

#define SEED       20250607u
#define OPERATIONS 2500 /* for each of four metrics */
#define IDS        160
#define MOST_DIM   40
#define MOST_BATCH 9
#define KEYS       3

typedef struct twin_row {
    unsigned id;
    float vector[MOST_DIM];
    bool has_metadata;
    int keys[KEYS]; /* -1: absent */
    int document;   /* -1: missing, else a number spelt out */
} twin_row;

typedef struct model {
    ht_io *io;
    hither_db *db;
    hither_collection *c;
    hither_metric metric;
    bool text_ids;
    size_t dim;
    uint64_t random, step;
    twin_row rows[IDS]; /* in order of writing */
    size_t count;
} model;

static hither_error err;

static uint64_t pick(model *m, uint64_t n) { return ht_mix64(SEED + m->random++) % n; }

#define CHECK(m, condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("seed %u, metric %d, step %llu: %s (%s)", SEED, (int)(m)->metric, (unsigned long long)(m)->step,  \
                     #condition, err.message);                                                                         \
    } while (0)

static void open_all(model *m) {
    ht_db *db;
    CHECK(m, ht_db_open_io(m->io, "/db.hither", 0, 0, &db, &err) == HITHER_OK);
    m->db = (hither_db *)db;
    hither_collection_options o = {.size = sizeof o, .dim = (uint32_t)m->dim, .metric = m->metric};
    CHECK(m, hither_collection_open(m->db, "c", &o, &m->c, &err) == HITHER_OK);
}

static void close_all(model *m) {
    hither_collection_close(m->c);
    hither_db_close(m->db);
}

/* ---- a batch, as the library sees it and as the twin does */

typedef struct batch {
    size_t count;
    unsigned ids[MOST_BATCH];
    float vectors[MOST_BATCH * MOST_DIM];
    bool with_vectors, with_metadata, with_documents;
    twin_row parts[MOST_BATCH];
    int64_t ints[MOST_BATCH];
    char texts[3][MOST_BATCH][64];
    const char *pointers[3][MOST_BATCH];
    test_column columns[3];
    hither_batch out;
} batch;

static hither_ids ids_of(const model *m, batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        b->ints[i] = (int64_t)b->ids[i] * 3 - 100;
        (void)snprintf(b->texts[0][i], sizeof b->texts[0][i], "id %u", b->ids[i]);
        b->pointers[0][i] = b->texts[0][i];
    }
    if (!m->text_ids)
        return test_int_ids(b->ints, b->count);
    return (hither_ids){.strings = test_strings(&b->columns[0], b->count, b->pointers[0]), .count = b->count};
}

static void random_parts(model *m, batch *b, size_t i) {
    twin_row *row = &b->parts[i];
    for (size_t j = 0; j < m->dim; j++) {
        /* Coarse values make ties; a few rows are zero, a few are large. */
        float x = (float)((int)pick(m, 9) - 4) / 4;
        b->vectors[i * m->dim + j] = row->vector[j] = m->random % 31 == 0 ? x * 1e15f : x;
    }
    row->has_metadata = pick(m, 3) > 0;
    size_t at = (size_t)snprintf(b->texts[1][i], sizeof b->texts[1][i], "{");
    for (size_t k = 0; k < KEYS; k++) {
        row->keys[k] = pick(m, 2) ? (int)pick(m, 100) : -1;
        if (row->keys[k] >= 0)
            at += (size_t)snprintf(b->texts[1][i] + at, sizeof b->texts[1][i] - at, "%s\"%c\":%d", at > 1 ? "," : "",
                                   (int)('a' + k), row->keys[k]);
    }
    (void)snprintf(b->texts[1][i] + at, sizeof b->texts[1][i] - at, "}");
    b->pointers[1][i] = row->has_metadata ? b->texts[1][i] : NULL;
    row->document = pick(m, 4) ? (int)pick(m, 1000) : -1;
    (void)snprintf(b->texts[2][i], sizeof b->texts[2][i], "text %d", row->document);
    b->pointers[2][i] = row->document >= 0 ? b->texts[2][i] : NULL;
}

static void random_batch(model *m, hither_mode mode, batch *b) {
    b->count = pick(m, MOST_BATCH) + (pick(m, 20) > 0);
    if (b->count > MOST_BATCH)
        b->count = MOST_BATCH;
    b->with_vectors = mode != HITHER_UPDATE || pick(m, 2);
    b->with_metadata = pick(m, 3) > 0;
    b->with_documents = pick(m, 3) > 0;
    for (size_t i = 0; i < b->count; i++) {
        /* An insert mostly takes ids that are free, an update ones that are there. */
        b->ids[i] = (unsigned)pick(m, IDS);
        if (mode == HITHER_UPDATE && m->count && pick(m, 12))
            b->ids[i] = m->rows[pick(m, m->count)].id;
        random_parts(m, b, i);
    }
    b->out = (hither_batch){.size = sizeof b->out, .ids = ids_of(m, b)};
    if (b->with_vectors)
        b->out.vectors = test_matrix(b->vectors, b->count, m->dim);
    if (b->with_metadata)
        b->out.metadata = test_strings(&b->columns[1], b->count, b->pointers[1]);
    if (b->with_documents)
        b->out.documents = test_strings(&b->columns[2], b->count, b->pointers[2]);
}

/* ---- the twin */

static size_t twin_find(const model *m, unsigned id) {
    size_t i = 0;
    while (i < m->count && m->rows[i].id != id)
        i++;
    return i;
}

static bool twin_remove(model *m, unsigned id) {
    size_t at = twin_find(m, id);
    if (at == m->count)
        return false;
    memmove(&m->rows[at], &m->rows[at + 1], (m->count - at - 1) * sizeof *m->rows);
    m->count--;
    return true;
}

static bool last_of_its_id(const batch *b, size_t i) {
    for (size_t j = i + 1; j < b->count; j++) {
        if (b->ids[j] == b->ids[i])
            return false;
    }
    return true;
}

static hither_status twin_verdict(const model *m, hither_mode mode, const batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        bool known = twin_find(m, b->ids[i]) < m->count;
        if (mode == HITHER_INSERT && (known || !last_of_its_id(b, i)))
            return HITHER_EXISTS;
        if (mode == HITHER_UPDATE && !known)
            return HITHER_NOT_FOUND;
    }
    return HITHER_OK;
}

static twin_row twin_merge(const twin_row *old, const batch *b, size_t i) {
    twin_row row = *old;
    const twin_row *parts = &b->parts[i];
    if (b->with_vectors)
        memcpy(row.vector, parts->vector, sizeof row.vector);
    if (b->with_metadata && parts->has_metadata) {
        row.has_metadata = true;
        for (size_t k = 0; k < KEYS; k++) {
            if (parts->keys[k] >= 0)
                row.keys[k] = parts->keys[k];
        }
    }
    if (b->with_documents && parts->document >= 0)
        row.document = parts->document;
    return row;
}

/* Applies the rows one by one; the survivors then stand at the end, in the order of their last mention. */
static size_t twin_apply(model *m, hither_mode mode, const batch *b) {
    size_t written = 0;
    twin_row made[MOST_BATCH];
    for (size_t i = 0; i < b->count; i++) {
        twin_row old = {.id = b->ids[i], .keys = {-1, -1, -1}, .document = -1};
        if (mode == HITHER_UPDATE) {
            old = m->rows[twin_find(m, b->ids[i])];
            for (size_t j = 0; j < i; j++) {
                if (b->ids[j] == b->ids[i])
                    old = made[j];
            }
        }
        made[i] = twin_merge(&old, b, i);
    }
    for (size_t i = 0; i < b->count; i++) {
        if (!last_of_its_id(b, i))
            continue;
        twin_remove(m, b->ids[i]);
        m->rows[m->count++] = made[i];
        written++;
    }
    return written;
}

/* ---- comparing */

static unsigned id_at(const model *m, const hither_result *r, size_t group, size_t i) {
    hither_ids ids = hither_result_ids(r, group);
    if (!m->text_ids)
        return (unsigned)((ids.ints[i] + 100) / 3);
    ht_text text = ht_strings_at(&ids.strings, i);
    return (unsigned)strtoul(text.data + 3, NULL, 10);
}

static void check_metadata(model *m, const twin_row *row, ht_text text) {
    CHECK(m, row->has_metadata == (text.data != NULL));
    if (!text.data)
        return;
    json_t *object = json_loadb(text.data, text.bytes, 0, NULL);
    size_t keys = 0;
    for (size_t k = 0; k < KEYS; k++) {
        const char key[] = {(char)('a' + k), '\0'};
        json_t *value = json_object_get(object, key);
        CHECK(m, row->keys[k] < 0 ? value == NULL : json_integer_value(value) == row->keys[k]);
        keys += value != NULL;
    }
    CHECK(m, json_object_size(object) == keys);
    json_decref(object);
}

static void check_row(model *m, const twin_row *row, const hither_result *r, size_t i) {
    hither_strings metadata = hither_result_metadata(r, 0), documents = hither_result_documents(r, 0);
    const float *vectors = hither_result_vectors(r, 0).data;
    CHECK(m, id_at(m, r, 0, i) == row->id);
    CHECK(m, memcmp(vectors + i * m->dim, row->vector, m->dim * sizeof(float)) == 0);
    check_metadata(m, row, ht_strings_at(&metadata, i));
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "text %d", row->document);
    ht_text document = ht_strings_at(&documents, i);
    CHECK(m, (row->document < 0) == (document.data == NULL));
    CHECK(m,
          !document.data || (document.bytes == strlen(wanted) && memcmp(document.data, wanted, document.bytes) == 0));
}

#define EVERYTHING (HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS)

static void check_scan(model *m) {
    hither_cursor *cursor;
    hither_result *r;
    size_t seen = 0, n;
    CHECK(m, hither_collection_scan(m->c, NULL, EVERYTHING, &cursor, &err) == HITHER_OK);
    do {
        CHECK(m, hither_cursor_next(cursor, 1 + pick(m, 70), &r, &err) == HITHER_OK);
        n = hither_result_count(r, 0);
        CHECK(m, seen + n <= m->count);
        for (size_t i = 0; i < n; i++)
            check_row(m, &m->rows[seen++], r, i);
        hither_result_free(r);
    } while (n);
    CHECK(m, seen == m->count);
    hither_cursor_close(cursor);
}

static void check_search(model *m) {
    enum { QUERIES = 3 };
    static float packed[IDS * MOST_DIM], queries[QUERIES * MOST_DIM];
    static ht_hit hits[QUERIES * (IDS + 8)];
    size_t counts[QUERIES], n = 1 + pick(m, QUERIES), k = 1 + pick(m, IDS + 8);
    for (size_t i = 0; i < m->count; i++)
        memcpy(packed + i * m->dim, m->rows[i].vector, m->dim * sizeof(float));
    for (size_t j = 0; j < n * m->dim; j++)
        queries[j] = pick(m, 5) ? test_float(SEED, m->random++) : 0;
    ht_part part = {.rows = packed, .count = m->count, .stride = m->dim * sizeof(float)};
    ht_vectors vectors = {
        .dtype = HITHER_F32, .metric = m->metric, .dim = (uint32_t)m->dim, .parts = &part, .part_count = 1};
    CHECK(m, ht_brute_search(&vectors, queries, m->dim * sizeof(float), n, NULL, NULL, k, hits, counts, &err) ==
                 HITHER_OK);
    hither_result *r;
    hither_query query = {.size = sizeof query, .vectors = test_matrix(queries, n, m->dim)};
    CHECK(m, hither_collection_search(m->c, &query, (uint32_t)k, NULL, &r, &err) == HITHER_OK);
    CHECK(m, hither_result_groups(r) == n);
    for (size_t j = 0; j < n; j++) {
        CHECK(m, hither_result_count(r, j) == counts[j]);
        CHECK(m, counts[j] == (k < m->count ? k : m->count));
        for (size_t i = 0; i < counts[j]; i++) {
            ht_hit hit = hits[j * k + i];
            float distance = (float)hit.distance;
            CHECK(m, id_at(m, r, j, i) == m->rows[hit.slot].id);
            CHECK(m, memcmp(&hither_result_distances(r, j)[i], &distance, sizeof distance) == 0);
        }
    }
    hither_result_free(r);
}

static void check_get(model *m) {
    static batch b;
    hither_result *r;
    b.count = 1 + pick(m, MOST_BATCH);
    for (size_t i = 0; i < b.count; i++)
        b.ids[i] = (unsigned)pick(m, IDS);
    hither_ids ids = ids_of(m, &b);
    CHECK(m, hither_collection_get(m->c, &ids, NULL, EVERYTHING, &r, &err) == HITHER_OK);
    size_t seen = 0;
    for (size_t i = 0; i < b.count; i++) {
        size_t at = twin_find(m, b.ids[i]);
        if (at < m->count)
            check_row(m, &m->rows[at], r, seen++);
    }
    CHECK(m, hither_result_count(r, 0) == seen);
    hither_result_free(r);
}

/* ---- operations */

static void put(model *m, hither_mode mode) {
    static batch b;
    random_batch(m, mode, &b);
    size_t written = 999;
    hither_status wanted = twin_verdict(m, mode, &b);
    hither_status status = hither_collection_put(m->c, mode, &b.out, &written, &err);
    CHECK(m, status == wanted);
    CHECK(m, written == (status == HITHER_OK ? twin_apply(m, mode, &b) : 999));
}

static void erase(model *m) {
    static batch b;
    size_t deleted, gone = 0;
    b.count = pick(m, MOST_BATCH);
    for (size_t i = 0; i < b.count; i++)
        b.ids[i] = (unsigned)pick(m, IDS);
    hither_ids ids = ids_of(m, &b);
    CHECK(m, hither_collection_delete(m->c, &ids, NULL, &deleted, &err) == HITHER_OK);
    for (size_t i = 0; i < b.count; i++)
        gone += twin_remove(m, b.ids[i]);
    CHECK(m, deleted == gone);
}

static void step(model *m) {
    uint64_t n;
    uint64_t what = pick(m, 100);
    if (what < 15)
        put(m, HITHER_INSERT);
    else if (what < 35)
        put(m, HITHER_UPSERT);
    else if (what < 50)
        put(m, HITHER_UPDATE);
    else if (what < 60)
        erase(m);
    else if (what < 75)
        check_search(m);
    else if (what < 90)
        check_get(m);
    else if (what < 97) {
        CHECK(m, hither_collection_count(m->c, NULL, &n, &err) == HITHER_OK);
        CHECK(m, n == m->count);
    } else if (what < 99 || m->count == 0)
        check_scan(m);
    else {
        close_all(m);
        open_all(m);
    }
}

static void follows_its_twin(void **state) {
    static model m;
    static const size_t dims[] = {1, 7, 33, MOST_DIM};
    size_t which = (size_t)(uintptr_t)*state;
    m = (model){.metric = (hither_metric)(HITHER_COSINE + which), .dim = dims[which], .text_ids = which % 2};
    m.random = which << 40;
    CHECK(&m, ht_io_ram_new(&m.io, &err) == HITHER_OK);
    open_all(&m);
    ht_fp_state fp = ht_fp_enter(); /* for the brute force of the twin */
    for (m.step = 0; m.step < OPERATIONS; m.step++)
        step(&m);
    check_scan(&m);
    CHECK(&m, hither_db_verify(m.db, NULL, &err) == HITHER_OK);
    ht_fp_leave(fp);
    close_all(&m);
    ht_io_ram_free(m.io);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"cosine", follows_its_twin, NULL, NULL, (void *)0},
        {"dot", follows_its_twin, NULL, NULL, (void *)1},
        {"l2", follows_its_twin, NULL, NULL, (void *)2},
        {"l1", follows_its_twin, NULL, NULL, (void *)3},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
