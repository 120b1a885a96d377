/*
 * test_named.c: vector fields beside rows' own vectors, through hither.h: written, changed one at a time, searched and
 * read back, and the same after everything that copies or moves rows: reopening, compaction, purge, backup, pack,
 * repair, verify. What is refused. tests/python/test_named.py has random ones against brute force.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

enum { TITLE = 40, BODY = 2, TOKEN = 4, MOST = 3, ROWS = 70 };

static const hither_field fields[] = {{.name = "title", .dim = TITLE, .metric = HITHER_L2},
                                      {.name = "body", .dim = BODY},
                                      {.name = "tokens", .kind = HITHER_MULTI, .dim = TOKEN, .most = MOST},
                                      {.name = "terms", .kind = HITHER_SPARSE, .most = 8}};

/* What a row is to have; of a field it has not the count is 0. */
typedef struct wanted {
    bool live;
    float own[DIM], title[TITLE], body[BODY], tokens[MOST * TOKEN], values[8];
    uint32_t indices[8], titles, bodies, token_count, terms;
} wanted;

static wanted rows[ROWS + 1];
static uint64_t seed = 1;
static float any(void) { return test_float(7, seed++); }
static bool coin(void) { return any() > 0; }

static void fill(float *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = any();
}

static hither_collection *open_fields(hither_db *db) {
    hither_collection *c;
    ASSERT_OK(hither_collection_open(
        db, "fields",
        HITHER_OPTIONS(hither_collection_options, .dim = DIM, .metric = HITHER_L2, .fields = fields, .field_count = 4),
        &c, &err));
    return c;
}

/* One row, as an upsert or an update; what `w` has not is not given. */
static hither_status put_row(hither_collection *c, hither_mode mode, int64_t id, const wanted *w, bool own) {
    const uint64_t tokens[2] = {0, w->token_count}, terms[2] = {0, w->terms};
    hither_named named[4];
    size_t n = 0;
    if (w->titles)
        named[n++] = (hither_named){.field = "title", .count = 1, .vectors = test_matrix(w->title, 1, TITLE)};
    if (w->bodies)
        named[n++] = (hither_named){.field = "body", .count = 1, .vectors = test_matrix(w->body, 1, BODY)};
    if (w->token_count)
        named[n++] = (hither_named){
            .field = "tokens", .count = 1, .vectors = test_matrix(w->tokens, w->token_count, TOKEN), .offsets = tokens};
    if (w->terms)
        named[n++] =
            (hither_named){.field = "terms", .count = 1, .indices = w->indices, .values = w->values, .offsets = terms};
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(&id, 1), .named = named, .named_count = n};
    if (own)
        b.vectors = test_matrix(w->own, 1, DIM);
    return hither_collection_put(c, mode, &b, NULL, &err);
}

static wanted random_row(void) {
    wanted w = {.live = true, .titles = coin(), .bodies = coin()};
    fill(w.own, DIM);
    fill(w.title, TITLE);
    fill(w.body, BODY);
    w.token_count = (uint32_t)((any() + 1) * 2) % (MOST + 1);
    fill(w.tokens, (size_t)w.token_count * TOKEN);
    w.terms = (uint32_t)((any() + 1) * 4) % 9;
    for (uint32_t i = 0; i < w.terms; i++) {
        w.indices[i] = i ? UINT32_MAX - 8 + i : 3; /* rising */
        w.values[i] = any();
    }
    return w;
}

static void put_rows(hither_collection *c) {
    for (int64_t id = 1; id <= ROWS; id++) {
        rows[id] = random_row();
        ASSERT_OK(put_row(c, HITHER_UPSERT, id, &rows[id], true));
    }
}

/* Deletes some rows, replaces others, and changes single fields of others. */
static void change_rows(hither_collection *c) {
    for (int64_t id = 1; id <= ROWS; id++) {
        wanted *w = &rows[id], fresh = random_row(), patch = {0};
        if (id % 5 == 0) {
            w->live = false;
            ASSERT_OK(hither_collection_delete(c, &(hither_ids){.ints = &id, .count = 1}, NULL, NULL, &err));
        } else if (id % 5 == 1) {
            *w = fresh;
            ASSERT_OK(put_row(c, HITHER_UPSERT, id, w, true));
        } else if (id % 5 == 2) {
            patch.titles = w->titles = 1;
            memcpy(patch.title, fresh.title, sizeof patch.title);
            memcpy(w->title, fresh.title, sizeof patch.title);
            ASSERT_OK(put_row(c, HITHER_UPDATE, id, &patch, false));
        } else if (id % 5 == 3) {
            memcpy(patch.own, fresh.own, sizeof patch.own);
            memcpy(w->own, fresh.own, sizeof patch.own);
            ASSERT_OK(put_row(c, HITHER_UPDATE, id, &patch, true));
        }
    }
}

/* ---- what must be there */

static void assert_floats(const float *a, const float *b, size_t n) { assert_memory_equal(a, b, n * sizeof *a); }

static void assert_row_fields(hither_result *r, const wanted *w) {
    hither_named title = hither_result_named(r, 0, 1), body = hither_result_named(r, 0, 2);
    hither_named tokens = hither_result_named(r, 0, 3), terms = hither_result_named(r, 0, 4);
    assert_floats(hither_result_vectors(r, 0).data, w->own, DIM);
    assert_int_equal(title.valid[0] & 1, w->titles);
    assert_int_equal(body.valid[0] & 1, w->bodies);
    if (w->titles)
        assert_floats(title.vectors.data, w->title, TITLE);
    if (w->bodies)
        assert_floats(body.vectors.data, w->body, BODY);
    assert_string_equal(title.field, "title");
    assert_int_equal(tokens.offsets[1] - tokens.offsets[0], w->token_count);
    assert_int_equal(terms.offsets[1] - terms.offsets[0], w->terms);
    if (w->token_count)
        assert_floats(tokens.vectors.data, w->tokens, (size_t)w->token_count * TOKEN);
    if (w->terms) {
        assert_floats(terms.values, w->values, w->terms);
        assert_memory_equal(terms.indices, w->indices, w->terms * sizeof *w->indices);
    }
}

static void assert_fields(hither_collection *c) {
    for (int64_t id = 1; id <= ROWS; id++) {
        hither_result *r;
        hither_ids ids = test_int_ids(&id, 1);
        ASSERT_OK(hither_collection_get(c, &ids, NULL, HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_FIELDS, &r, &err));
        assert_int_equal(hither_result_count(r, 0), rows[id].live);
        if (rows[id].live)
            assert_row_fields(r, &rows[id]);
        hither_result_free(r);
    }
}

static double far(const wanted *w, const float *query) {
    double sum = 0;
    for (int j = 0; j < TITLE; j++)
        sum += ((double)w->title[j] - (double)query[j]) * ((double)w->title[j] - (double)query[j]);
    return sum;
}

/* The rows with a title, nearest first, as a search by titles gives them. */
static void assert_found(hither_collection *c) {
    float query[TITLE];
    hither_result *r;
    fill(query, TITLE);
    hither_query q = {.size = sizeof q, .vectors = test_matrix(query, 1, TITLE), .field = "title"};
    ASSERT_OK(hither_collection_search(c, &q, ROWS, NULL, &r, &err));
    size_t with = 0, found = hither_result_count(r, 0);
    for (int64_t id = 1; id <= ROWS; id++)
        with += rows[id].live && rows[id].titles;
    assert_int_equal(found, with);
    for (size_t i = 0; i < found; i++) {
        const wanted *w = &rows[hither_result_ids(r, 0).ints[i]];
        assert_true(w->live && w->titles);
        assert_float_equal(hither_result_distances(r, 0)[i], (float)far(w, query), 1e-4);
        assert_true(!i || hither_result_distances(r, 0)[i - 1] <= hither_result_distances(r, 0)[i]);
    }
    assert_non_null(strstr(hither_result_plan(r), "\"field\":\"title\""));
    hither_result_free(r);
}

static void assert_all(hither_collection *c) {
    assert_fields(c);
    assert_found(c);
    assert_found(c); /* by codes */
}

static void assert_sound(hither_db *db) {
    hither_result *report = NULL;
    ASSERT_OK(hither_db_verify(db, &report, &err));
    hither_result_free(report);
}

/* ---- tests */

static void kept_and_found(void **state) {
    place *p = *state;
    hither_collection *c = open_fields(p->db);
    put_rows(c);
    assert_all(c);
    change_rows(c);
    assert_all(c);
    hither_collection_close(c);
    if (p->disk) {
        reopen(p);
        c = open_fields(p->db);
        assert_all(c);
        hither_collection_close(c);
    }
    assert_sound(p->db);
}

static void after_compaction(void **state) {
    place *p = *state;
    hither_collection *c = open_fields(p->db);
    put_rows(c);
    change_rows(c);
    ASSERT_OK(hither_collection_compact(c, NULL, &err));
    assert_all(c);
    change_rows(c);
    ASSERT_OK(hither_db_purge(p->db, NULL, &err));
    assert_all(c);
    assert_sound(p->db);
    hither_collection_close(c);
}

static void look_at_copy(char *path) {
    hither_db *db;
    hither_collection *c;
    ASSERT_OK(hither_db_open(path, HITHER_OPTIONS(hither_db_options, .flags = HITHER_OPEN_READONLY), &db, &err));
    ASSERT_OK(hither_collection_open(
        db, "fields", HITHER_OPTIONS(hither_collection_options, .flags = HITHER_COLLECTION_EXISTING), &c, &err));
    assert_all(c);
    assert_sound(db);
    hither_collection_close(c);
    hither_db_close(db);
}

static void copies(void **state) {
    place *p = *state;
    hither_collection *c = open_fields(p->db);
    put_rows(c);
    change_rows(c);
    char *backup = test_path(), *pack = test_path(), *repaired = test_path();
    ASSERT_OK(hither_db_backup(p->db, backup, &err));
    ASSERT_OK(hither_db_pack(p->db, pack, &err));
    ASSERT_OK(hither_db_repair(backup, repaired, NULL, &err));
    look_at_copy(backup);
    look_at_copy(pack);
    look_at_copy(repaired);
    test_remove_tree(repaired);
    test_remove_tree(backup);
    test_remove_tree(pack);
    hither_collection_close(c);
}

/* Updates of one id in one batch go one after another; what the later ones do not give stays. */
static void chained_updates(void **state) {
    place *p = *state;
    hither_collection *c = open_fields(p->db);
    wanted before = random_row(), after = random_row();
    before.titles = before.bodies = after.titles = after.bodies = 1;
    ASSERT_OK(put_row(c, HITHER_INSERT, 1, &before, true));
    const int64_t ids[3] = {1, 1, 1};
    const uint8_t first = 1, second = 2;
    float titles[3 * TITLE] = {0}, bodies[3 * BODY] = {0};
    memcpy(titles, after.title, sizeof after.title);
    memcpy(bodies + BODY, after.body, sizeof after.body);
    hither_named named[2] = {{.field = "title", .count = 3, .vectors = test_matrix(titles, 3, TITLE), .valid = &first},
                             {.field = "body", .count = 3, .vectors = test_matrix(bodies, 3, BODY), .valid = &second}};
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(ids, 3), .named = named, .named_count = 2};
    ASSERT_OK(hither_collection_put(c, HITHER_UPDATE, &b, NULL, &err));
    hither_result *r;
    ASSERT_OK(hither_collection_get(c, &b.ids, NULL, HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_FIELDS, &r, &err));
    assert_floats(hither_result_vectors(r, 0).data, before.own, DIM);
    assert_floats(hither_result_named(r, 0, 1).vectors.data, after.title, TITLE);
    assert_floats(hither_result_named(r, 0, 2).vectors.data, after.body, BODY);
    assert_int_equal(hither_result_named(r, 0, 3).vectors.rows, 3 * before.token_count);
    hither_result_free(r);
    hither_collection_close(c);
}

/* To the built-in embedder by a call, and, fields and all, by a job; one that is stopped changes nothing. */
static int stop(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    (void)done;
    (void)total;
    return 1;
}

static void assert_titles(hither_collection *c, const char *text, int64_t id) {
    const uint64_t offsets[2] = {0, strlen(text)};
    hither_query q = {.size = sizeof q, .texts = {text, offsets, 1, NULL}};
    hither_result *r;
    ASSERT_OK(hither_collection_search(
        c, &q, 1, HITHER_OPTIONS(hither_search_options, .include = HITHER_INCLUDE_FIELDS), &r, &err));
    assert_int_equal(hither_result_ids(r, 0).ints[0], id);
    assert_floats(hither_result_named(r, 0, 1).vectors.data, rows[id].title, TITLE);
    hither_result_free(r);
}

static void reembedded(void **state) {
    place *p = *state;
    hither_collection *c = open_fields(p->db);
    hither_embedder *builtin;
    hither_job *job;
    const char *texts[] = {NULL, "a hawk", "an owl", "a wren"};
    ASSERT_OK(hither_embedder_builtin(&builtin, &err));
    for (int64_t id = 1; id <= 3; id++) {
        test_column room;
        rows[id] = random_row();
        rows[id].titles = 1;
        ASSERT_OK(put_row(c, HITHER_UPSERT, id, &rows[id], true));
        const hither_batch b = {
            .size = sizeof b, .ids = test_int_ids(&id, 1), .documents = test_strings(&room, 1, texts + id)};
        ASSERT_OK(hither_collection_put(c, HITHER_UPDATE, &b, NULL, &err));
    }
    assert_int_equal(hither_collection_reembed(c, builtin, HITHER_OPTIONS(hither_work_options, .progress = stop), &err),
                     HITHER_INTERRUPTED);
    ASSERT_OK(hither_collection_reembed(c, builtin, NULL, &err));
    assert_titles(c, "owl", 2);
    ASSERT_OK(hither_job_reembed(c, builtin, NULL, &job, &err));
    ASSERT_OK(hither_job_result(job, NULL, &err));
    hither_job_free(job);
    hither_embedder_close(builtin);
    assert_titles(c, "wren", 3);
    assert_sound(p->db);
    hither_collection_close(c);
}

static void refuse(hither_collection *c, hither_named column, hither_status expected, const char *message) {
    const int64_t id = 1;
    const float own[DIM] = {0};
    hither_batch b = {.size = sizeof b,
                      .ids = test_int_ids(&id, 1),
                      .vectors = test_matrix(own, 1, DIM),
                      .named = &column,
                      .named_count = 1};
    assert_int_equal(hither_collection_put(c, HITHER_UPSERT, &b, NULL, &err), expected);
    if (!strstr(err.message, message))
        print_error("%s\n", err.message);
    assert_non_null(strstr(err.message, message));
}

static void refused_rows(void **state) {
    place *p = *state;
    hither_collection *c = open_fields(p->db);
    const float numbers[4 * TOKEN] = {0}, nan_title[TITLE] = {NAN};
    const uint64_t four[2] = {0, 4}, falling[2] = {4, 0}, two[2] = {0, 2};
    const uint32_t twice[2] = {5, 5};
    refuse(c, (hither_named){.field = "nope", .count = 1, .vectors = test_matrix(numbers, 1, 3)}, HITHER_NOT_FOUND,
           "no vector field 'nope'");
    refuse(c, (hither_named){.field = "title", .count = 1, .vectors = test_matrix(numbers, 1, 3)}, HITHER_DIMENSION,
           "3 dimensions, the field has 40");
    refuse(c, (hither_named){.field = "title", .count = 1, .vectors = test_matrix(nan_title, 1, TITLE)},
           HITHER_NOT_FINITE, "field 'title'");
    refuse(c, (hither_named){.field = "tokens", .count = 1, .vectors = test_matrix(numbers, 4, TOKEN), .offsets = four},
           HITHER_TOO_LARGE, "4 vectors in field 'tokens', which has room for 3");
    refuse(c,
           (hither_named){.field = "tokens", .count = 1, .vectors = test_matrix(numbers, 4, TOKEN), .offsets = falling},
           HITHER_INVALID, "offsets fall");
    refuse(c, (hither_named){.field = "terms", .count = 1, .indices = twice, .values = numbers, .offsets = two},
           HITHER_INVALID, "index 5 twice");
    refuse(c, (hither_named){.field = "terms", .count = 1, .vectors = test_matrix(numbers, 1, TOKEN)}, HITHER_INVALID,
           "sparse");
    hither_collection_close(c);
}

static void refused_fields(void **state) {
    place *p = *state;
    hither_collection *c = open_fields(p->db), *other;
    const float numbers[DIM] = {0};
    hither_query q = {.size = sizeof q, .vectors = test_matrix(numbers, 1, DIM), .field = "title"};
    hither_result *r;
    assert_int_equal(hither_collection_search(c, &q, 1, NULL, &r, &err), HITHER_DIMENSION);
    q.field = "tokens";
    assert_int_equal(hither_collection_search(c, &q, 1, NULL, &r, &err), HITHER_INVALID);
    hither_collection_close(c);
    hither_field others[4];
    memcpy(others, fields, sizeof fields);
    others[1].dim = 3;
    hither_collection_options o = {.size = sizeof o, .dim = DIM, .fields = others, .field_count = 4};
    assert_int_equal(hither_collection_open(p->db, "fields", &o, &other, &err), HITHER_INVALID);
    others[1].name = "title";
    assert_int_equal(hither_collection_open(p->db, "new", &o, &other, &err), HITHER_INVALID);
    others[1] = (hither_field){.name = "wide", .kind = HITHER_MULTI, .dim = 65535, .most = 64};
    assert_int_equal(hither_collection_open(p->db, "new", &o, &other, &err), HITHER_TOO_LARGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {BOTH(kept_and_found),
                                       BOTH(after_compaction),
                                       BOTH(copies),
                                       BOTH(chained_updates),
                                       BOTH(reembedded),
                                       {"refused rows", refused_rows, place_set_up, place_tear_down, NULL},
                                       {"refused fields", refused_fields, place_set_up, place_tear_down, NULL}};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
