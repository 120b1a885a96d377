/* place.c: see place.h. */
#include "place.h"

#include <stdlib.h>
#include <string.h>

hither_error err;

hither_db *open_db(const place *p, uint32_t flags) {
    hither_db *db;
    ASSERT_OK(
        hither_db_open(p->path ? p->path : ":memory:", HITHER_OPTIONS(hither_db_options, .flags = flags), &db, &err));
    return db;
}

hither_collection *open_notes(hither_db *db) {
    hither_collection *c;
    ASSERT_OK(hither_collection_open(db, "notes", HITHER_OPTIONS(hither_collection_options, .dim = DIM), &c, &err));
    return c;
}

int place_set_up(void **state) {
    bool disk = *state != NULL;
    place *p = calloc(1, sizeof *p);
    p->disk = disk;
    p->path = disk ? test_path() : NULL;
    p->db = open_db(p, 0);
    p->c = open_notes(p->db);
    *state = p;
    return 0;
}

int place_tear_down(void **state) {
    place *p = *state;
    hither_collection_close(p->c);
    hither_db_close(p->db);
    test_remove_tree(p->path);
    free(p);
    return 0;
}

void reopen(place *p) {
    if (!p->disk)
        return;
    hither_collection_close(p->c);
    hither_db_close(p->db);
    p->db = open_db(p, 0);
    p->c = open_notes(p->db);
}

uint64_t count_of(hither_collection *c) {
    uint64_t n = 12345;
    ASSERT_OK(hither_collection_count(c, NULL, &n, &err));
    return n;
}

hither_status put_ints(hither_collection *c, hither_mode mode, const int64_t *ids, size_t n, const float *vectors,
                       const char *const *metadata, const char *const *documents, size_t *written) {
    test_column m, d;
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, n)};
    if (vectors)
        b.vectors = test_matrix(vectors, n, DIM);
    if (metadata)
        b.metadata = test_strings(&m, n, metadata);
    if (documents)
        b.documents = test_strings(&d, n, documents);
    return hither_collection_put(c, mode, &b, written, &err);
}

const int64_t three_ids[3] = {10, 20, 30};
const float three_vectors[3 * DIM] = {1, 0, 0, 0, 1, 0, 0.5f, 0.5f, 0};
const char *const three_metadata[3] = {"{\"a\":1}", NULL, "{\"a\": 3, \"b\":[1, 2]}"};
const char *const three_documents[3] = {"one", "two", NULL};

void put_three(hither_collection *c) {
    size_t written = 0;
    ASSERT_OK(put_ints(c, HITHER_INSERT, three_ids, 3, three_vectors, three_metadata, three_documents, &written));
    assert_int_equal(written, 3);
}

void assert_text(hither_strings column, size_t i, const char *wanted) {
    ht_text text = ht_strings_at(&column, i);
    if (!wanted) {
        assert_null(text.data);
        return;
    }
    assert_non_null(text.data);
    assert_int_equal(text.bytes, strlen(wanted));
    assert_memory_equal(text.data, wanted, text.bytes);
}

void assert_row(hither_collection *c, int64_t id, const float *vector, const char *metadata, const char *document) {
    hither_result *r;
    hither_ids ids = test_int_ids(&id, 1);
    ASSERT_OK(hither_collection_get(
        c, &ids, NULL, HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS, &r, &err));
    assert_int_equal(hither_result_count(r, 0), 1);
    assert_int_equal(hither_result_ids(r, 0).ints[0], id);
    hither_matrix m = hither_result_vectors(r, 0);
    assert_memory_equal(m.data, vector, DIM * sizeof(float));
    assert_text(hither_result_metadata(r, 0), 0, metadata);
    assert_text(hither_result_documents(r, 0), 0, document);
    hither_result_free(r);
}

void assert_three(hither_collection *c) {
    assert_int_equal(count_of(c), 3);
    for (size_t i = 0; i < 3; i++)
        assert_row(c, three_ids[i], three_vectors + i * DIM, three_metadata[i], three_documents[i]);
}
