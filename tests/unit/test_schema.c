/*
 * test_schema.c: what a schema says, row by row; uniqueness against a twin over random batches, reopened now and then;
 * writers side by side; rows there already; what is stored, shown and kept by repair.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "engine/state.h"
#include "place.h"

static const float zeros[64 * DIM];

static hither_status put_one(hither_collection *c, hither_mode mode, int64_t id, const char *metadata) {
    const char *const column[1] = {metadata};
    return put_ints(c, mode, &id, 1, zeros, metadata ? column : NULL, NULL, NULL);
}

#define SET(p, text) assert_int_equal(hither_collection_set_schema((p)->c, text, &err), HITHER_OK)
#define SAYS(part)                                                                                                     \
    if (!strstr(err.message, part))                                                                                    \
    fail_msg("\"%s\" does not say \"%s\"", err.message, part)

static void types(void **state) {
    place *p = *state;
    static const struct {
        const char *type, *good, *bad;
    } cases[] = {{"bool", "[true, false, null]", "[0, \"\", [], {}]"},
                 {"int", "[0, -9, 9223372036854775807, null]", "[1.0, 1e3, true, \"1\", [1], {}]"},
                 {"float", "[0, 1.5, -1e300, null]", "[true, \"1\", [1.0], {}]"},
                 {"string", "[\"\", \"\\u00e9\", null]", "[1, true, [\"a\"], {}]"},
                 {"any", "[1, 1.5, \"a\", true, null, [1, \"a\"], {\"x\": 1}]", "[]"},
                 {"int[]", "[[], [1, 2], null]", "[1, [1.5], [1, \"2\"], [null], [[1]], {}]"},
                 {"any[]", "[[], [1, \"a\", null, [2]], null]", "[1, {}, \"a\"]"},
                 {"string[]", "[[], [\"a\"], null]", "[\"a\", [1], [\"a\", 1]]"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char schema[100], row[300];
        (void)snprintf(schema, sizeof schema, "{\"fields\":{\"a.b\":\"%s\"}}", cases[i].type);
        SET(p, schema);
        for (int good = 0; good < 2; good++) {
            char list[200], *at;
            (void)snprintf(list, sizeof list, "%s", good ? cases[i].good : cases[i].bad);
            list[strlen(list) - 1] = 0; /* the members of a JSON array, cut at ", " outside of brackets */
            int depth = 0;
            for (at = list + 1; *at;) {
                char *end = at;
                for (; *end && !(depth == 0 && *end == ','); end++)
                    depth += (*end == '[' || *end == '{') - (*end == ']' || *end == '}');
                bool last = !*end;
                *end = 0;
                (void)snprintf(row, sizeof row, "{\"c\":1,\"a\":{\"b\":%s}}", at);
                hither_status status = put_one(p->c, HITHER_UPSERT, 7, row);
                if (status != (good ? HITHER_OK : HITHER_INVALID))
                    fail_msg("%s as %s: %s", row, cases[i].type, hither_status_name(status));
                if (!good) {
                    SAYS("row 0: ");
                    SAYS("'a.b' is ");
                    SAYS(cases[i].type);
                }
                at = last ? end : end + 1;
            }
        }
        assert_int_equal(put_one(p->c, HITHER_UPSERT, 8, "{}"), HITHER_OK);
        assert_int_equal(put_one(p->c, HITHER_UPSERT, 8, NULL), HITHER_OK);
        static const int64_t seven = 7;
        const hither_ids gone = test_int_ids(&seven, 1);
        assert_int_equal(hither_collection_delete(p->c, &gone, NULL, NULL, &err), HITHER_OK);
    }
}

static void required_and_closed(void **state) {
    place *p = *state;
    SET(p, "{\"fields\":{\"a\":{\"type\":\"int\",\"required\":true},\"b.c\":\"any\"},\"closed\":true}");
    assert_int_equal(put_one(p->c, HITHER_INSERT, 1, "{\"a\":1,\"b\":{\"c\":1,\"d\":2},\"_expires\":4000000000}"),
                     HITHER_OK);
    static const char *const bad[] = {NULL, "{}", "{\"a\":null}", "{\"a\":1,\"x\":2}", "{\"a\":1,\"c\":2}"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(put_one(p->c, HITHER_UPSERT, 1, bad[i]), HITHER_INVALID);
        SAYS(i < 3 ? "'a'" : "closed");
    }
    /* What counts is what the row becomes. */
    assert_int_equal(put_one(p->c, HITHER_UPDATE, 1, "{\"b\":null}"), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_UPDATE, 1, "{\"a\":\"x\"}"), HITHER_INVALID);
    static const int64_t id = 1;
    static const char *const keys[1] = {"a"};
    test_column room;
    hither_batch b = {.size = sizeof b, .ids = test_int_ids(&id, 1), .remove = test_strings(&room, 1, keys)};
    assert_int_equal(hither_collection_put(p->c, HITHER_UPDATE, &b, NULL, &err), HITHER_INVALID);
    assert_row(p->c, 1, zeros, "{\"a\":1,\"b\":null,\"_expires\":4000000000}", NULL);
    reopen(p);
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 2, "{}"), HITHER_INVALID);
    SET(p, NULL);
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 2, "{}"), HITHER_OK);
    reopen(p);
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 3, NULL), HITHER_OK);
}

static void unique_values(void **state) {
    place *p = *state;
    SET(p, "{\"fields\":{\"f\":{\"type\":\"float\",\"unique\":true},\"s\":{\"type\":\"string\",\"unique\":true}}}");
    assert_int_equal(put_one(p->c, HITHER_INSERT, 1, "{\"f\":1,\"s\":\"a\"}"), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_INSERT, 2, "{\"f\":1.0}"), HITHER_EXISTS);
    SAYS("row 0: 'f' is 1, as in the row with id 1");
    assert_int_equal(put_one(p->c, HITHER_INSERT, 2, "{\"f\":1.5,\"s\":\"\\u0061\"}"), HITHER_EXISTS);
    SAYS("'s' is \"a\"");
    assert_int_equal(put_one(p->c, HITHER_INSERT, 2, "{\"f\":1.5,\"s\":null}"), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_INSERT, 3, "{\"s\":null}"), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 1, "{\"f\":1,\"s\":\"a\"}"), HITHER_OK); /* its own */
    static const int64_t two[3] = {1, 2, 4};
    static const char *const swapped[3] = {"{\"f\":1.5}", "{\"f\":1}", "{\"f\":1e0}"};
    assert_int_equal(put_ints(p->c, HITHER_UPSERT, two, 3, zeros, swapped, NULL, NULL), HITHER_EXISTS);
    SAYS("row 2: 'f' is 1, as in row 1");
    assert_int_equal(put_ints(p->c, HITHER_UPSERT, two, 2, zeros, swapped, NULL, NULL), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_INSERT, 4, "{\"s\":\"a\"}"), HITHER_OK); /* swapped[0] let it go */
    hither_ids gone = test_int_ids(two, 1);
    assert_int_equal(hither_collection_delete(p->c, &gone, NULL, NULL, &err), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_INSERT, 5, "{\"f\":1.5}"), HITHER_OK);
    reopen(p);
    assert_int_equal(put_one(p->c, HITHER_INSERT, 6, "{\"f\":1.5}"), HITHER_EXISTS);
    /* An expired row keeps nothing. */
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 5, "{\"f\":1.5,\"_expires\":5}"), HITHER_OK);
    assert_int_equal(hither_collection_set_ttl(p->c, 0, &err), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 6, "{\"f\":1.5}"), HITHER_OK);
}

static void rows_that_are_there(void **state) {
    place *p = *state;
    static const char *const metadata[3] = {"{\"a\":1}", "{\"a\":2,\"b\":true}", "{\"a\":1.0}"};
    static const int64_t ids[3] = {10, 20, 30};
    assert_int_equal(put_ints(p->c, HITHER_UPSERT, ids, 3, zeros, metadata, NULL, NULL), HITHER_OK);
    assert_int_equal(hither_collection_set_schema(p->c, "{\"fields\":{\"a\":\"int\"}}", &err), HITHER_INVALID);
    SAYS("the row with id 30: 'a'");
    assert_int_equal(
        hither_collection_set_schema(p->c, "{\"fields\":{\"a\":{\"type\":\"float\",\"unique\":true}}}", &err),
        HITHER_EXISTS);
    SAYS("the row with id 30: 'a' is 1, as in the row with id 10");
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 40, "{\"a\":\"free\"}"), HITHER_OK);
    hither_ids gone = test_int_ids(ids, 1);
    assert_int_equal(hither_collection_delete(p->c, &gone, NULL, NULL, &err), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 40, "{\"a\":4}"), HITHER_OK);
    SET(p, "{\"fields\":{\"a\":{\"unique\":true,\"type\":\"float\"},\"b\":{\"type\":\"bool\"}}}");
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 50, "{\"a\":2}"), HITHER_EXISTS);
}

/* ---- against a twin */

enum { IDS = 14, VALUES = 9, STEPS = 1500, MOST = 5 };

static uint32_t draw(uint64_t *random, uint32_t below) {
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*random >> 33) % below);
}

/* What the batch makes of the twin: values by id, -1 no row. EXISTS where two rows have one value; 0 is no value. */
static hither_status twin_put(int *rows, hither_mode mode, const int64_t *ids, const int *values, size_t n) {
    int after[IDS];
    memcpy(after, rows, sizeof after);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i && mode == HITHER_INSERT; j++)
            if (ids[i] == ids[j])
                return HITHER_EXISTS;
        if (mode == HITHER_INSERT && rows[ids[i]] >= 0)
            return HITHER_EXISTS;
        if (mode == HITHER_UPDATE && rows[ids[i]] < 0)
            return HITHER_NOT_FOUND;
        after[ids[i]] = values[i];
    }
    for (int i = 0; i < IDS; i++)
        for (int j = 0; j < i; j++)
            if (after[i] > 0 && after[i] == after[j])
                return HITHER_EXISTS;
    memcpy(rows, after, sizeof after);
    return HITHER_OK;
}

static void against_a_twin(void **state) {
    place *p = *state;
    int rows[IDS];
    uint64_t random = 11;
    memset(rows, -1, sizeof rows);
    SET(p, "{\"fields\":{\"v\":{\"type\":\"int\",\"unique\":true}}}");
    for (int step = 0; step < STEPS; step++) {
        int64_t ids[MOST];
        int values[MOST];
        char text[MOST][24];
        const char *metadata[MOST];
        size_t n = 1 + draw(&random, MOST);
        hither_mode mode = (hither_mode)(HITHER_INSERT + draw(&random, 3));
        for (size_t i = 0; i < n; i++) {
            ids[i] = draw(&random, IDS);
            values[i] = (int)draw(&random, VALUES);
            (void)snprintf(text[i], sizeof text[i], values[i] ? "{\"v\":%d}" : "{\"v\":null}", values[i]);
            metadata[i] = text[i];
        }
        if (draw(&random, 4) == 0) {
            hither_ids gone = test_int_ids(ids, n);
            assert_int_equal(hither_collection_delete(p->c, &gone, NULL, NULL, &err), HITHER_OK);
            for (size_t i = 0; i < n; i++)
                rows[ids[i]] = -1;
            continue;
        }
        hither_status status = put_ints(p->c, mode, ids, n, zeros, metadata, NULL, NULL);
        hither_status wanted = twin_put(rows, mode, ids, values, n);
        /* Of several reasons either may be named. */
        if ((status == HITHER_OK) != (wanted == HITHER_OK))
            fail_msg("step %d: %s, the twin says %s", step, hither_status_name(status), hither_status_name(wanted));
        if (step % 300 == 299)
            reopen(p);
        if (step % 500 == 499)
            assert_int_equal(hither_db_compact(p->db, NULL, &err), HITHER_OK);
    }
    size_t live = 0;
    for (int i = 0; i < IDS; i++)
        live += rows[i] >= 0;
    assert_int_equal(count_of(p->c), live);
}

/* ---- writers side by side: of all who want a value one gets it */

enum { WRITERS = 4, WANTED = 60 };
typedef struct writer {
    hither_collection *c;
    int64_t base;
    int won;
} writer;

static void *want_all(void *arg) {
    writer *w = arg;
    for (int v = 0; v < WANTED; v++) {
        char text[40];
        hither_error why;
        uint64_t ends[2] = {0, 0};
        int64_t id = w->base + v;
        ends[1] = (uint64_t)snprintf(text, sizeof text, "{\"v\":%d}", (v * 7 + (int)w->base) % WANTED);
        hither_batch b = {.size = sizeof b,
                          .ids = test_int_ids(&id, 1),
                          .vectors = test_matrix(zeros, 1, DIM),
                          .metadata = {text, ends, 1, NULL}};
        hither_status status = hither_collection_put(w->c, HITHER_UPSERT, &b, NULL, &why);
        w->won += status == HITHER_OK;
        if (status != HITHER_OK && status != HITHER_EXISTS)
            w->won = 1000000;
    }
    return NULL;
}

static void side_by_side(void **state) {
    place *p = *state;
    pthread_t threads[WRITERS];
    writer writers[WRITERS];
    int won = 0;
    SET(p, "{\"fields\":{\"v\":{\"type\":\"int\",\"unique\":true}}}");
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){p->c, 1000 * i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, want_all, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        won += writers[i].won;
    }
    assert_int_equal(won, WANTED);
    assert_int_equal(count_of(p->c), WANTED);
}

/* ---- stored, shown, kept */

static void shown_and_agreed(void **state) {
    place *p = *state;
    const char *const same = "{\"closed\": true, \"fields\": {\"b\": {\"type\": \"int\"}, \"a\": \"string[]\"}}";
    hither_collection_options o = {.size = sizeof o, .dim = DIM, .flags = HITHER_COLLECTION_NEW, .schema = same};
    hither_collection *c;
    hither_result *r;
    assert_int_equal(hither_collection_open(p->db, "new", &o, &c, &err), HITHER_OK);
    assert_int_equal(put_one(c, HITHER_INSERT, 1, "{\"x\":1}"), HITHER_INVALID);
    assert_int_equal(hither_collection_info(c, &r, &err), HITHER_OK);
    hither_strings facts = hither_result_metadata(r, 0);
    assert_non_null(strstr(facts.bytes, "\"schema\":{\"fields\":{\"a\":\"string[]\",\"b\":\"int\"},\"closed\":true}"));
    hither_result_free(r);
    hither_collection_close(c);
    o.flags = 0;
    o.schema = "{\"fields\":{\"a\":\"string[]\",\"b\":\"int\"},\"closed\":true}";
    assert_int_equal(hither_collection_open(p->db, "new", &o, &c, &err), HITHER_OK);
    hither_collection_close(c);
    o.schema = "{\"fields\":{\"a\":\"string[]\",\"b\":\"int\"}}";
    assert_int_equal(hither_collection_open(p->db, "new", &o, &c, &err), HITHER_INVALID);
    SAYS("another schema");
    assert_int_equal(hither_collection_open(p->db, "notes", &o, &c, &err), HITHER_INVALID);
    SAYS("no schema");
    o.schema = "{\"fields\":{\"a\":\"text\"}}";
    assert_int_equal(hither_collection_open(p->db, "third", &o, &c, &err), HITHER_INVALID);
    SAYS("schema: field 'a' has type 'text'");
    assert_int_equal(hither_db_drop(p->db, "new", &err), HITHER_OK);
    o.schema = NULL;
    assert_int_equal(hither_collection_open(p->db, "new", &o, &c, &err), HITHER_OK);
    assert_int_equal(put_one(c, HITHER_INSERT, 1, "{\"x\":1}"), HITHER_OK);
    hither_collection_close(c);
}

static void bad_schemas(void **state) {
    place *p = *state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"fields\":[]}",
                                      "{\"fields\":{\"a\":1}}",
                                      "{\"fields\":{\"a\":\"int[][]\"}}",
                                      "{\"fields\":{\"a\":\"\"}}",
                                      "{\"fields\":{\"a\":{\"typ\":\"int\"}}}",
                                      "{\"fields\":{\"a\":{\"required\":1}}}",
                                      "{\"fields\":{\"a\":{\"unique\":true}}}",
                                      "{\"fields\":{\"a\":{\"type\":\"int[]\",\"unique\":true}}}",
                                      "{\"fields\":{},\"close\":true}",
                                      "{\"fields\":{},\"closed\":1}",
                                      "{\"fields\":{\"$a\":\"int\"}}",
                                      "{\"fields\":{\"a\":\"int\",\"a\":\"int\"}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hither_status status = hither_collection_set_schema(p->c, bad[i], &err);
        if (status != HITHER_INVALID && status != HITHER_SYNTAX)
            fail_msg("%s: %s", bad[i], hither_status_name(status));
        SAYS("schema");
    }
    assert_int_equal(hither_collection_set_schema(NULL, NULL, &err), HITHER_INVALID);
    assert_int_equal(put_one(p->c, HITHER_INSERT, 1, "{\"a\":[]}"), HITHER_OK);
    if (!p->disk)
        return;
    hither_db *other = open_db(p, HITHER_OPEN_READONLY);
    hither_collection *c = open_notes(other);
    assert_int_equal(hither_collection_set_schema(c, NULL, &err), HITHER_READONLY);
    hither_collection_close(c);
    hither_db_close(other);
}

static void assert_kept(const char *path, uint32_t flags) {
    hither_db *db;
    assert_int_equal(hither_db_open(path, HITHER_OPTIONS(hither_db_options, .flags = flags), &db, &err), HITHER_OK);
    hither_collection *c = open_notes(db);
    hither_result *r;
    assert_int_equal(hither_collection_info(c, &r, &err), HITHER_OK);
    hither_strings facts = hither_result_metadata(r, 0);
    assert_non_null(strstr(facts.bytes, "\"schema\":{\"fields\":{\"a\":"));
    hither_result_free(r);
    if (!flags)
        assert_int_equal(put_one(c, HITHER_INSERT, 2, "{\"a\":1}"), HITHER_EXISTS);
    hither_collection_close(c);
    hither_db_close(db);
}

static void copies_keep_it(void **state) {
    place *p = *state;
    if (!p->disk)
        return;
    SET(p, "{\"fields\":{\"a\":{\"type\":\"int\",\"unique\":true}}}");
    assert_int_equal(put_one(p->c, HITHER_INSERT, 1, "{\"a\":1}"), HITHER_OK);
    for (int kind = 0; kind < 3; kind++) {
        char *to = test_path();
        hither_status status = kind == 0   ? hither_db_repair(p->path, to, NULL, &err)
                               : kind == 1 ? hither_db_backup(p->db, to, &err)
                                           : hither_db_pack(p->db, to, &err);
        if (status != HITHER_OK)
            fail_msg("%s", err.message);
        assert_kept(to, kind == 2 ? HITHER_OPEN_READONLY : 0);
        test_remove_tree(to);
    }
}

/* An upsert that is refused is refused to its caller, though others are only queued. */
static void relaxed(void **state) {
    place *p = *state;
    hither_db *db;
    hither_collection *c;
    hither_db_options o = {.size = sizeof o, .durability = HITHER_DURABILITY_RELAXED, .relaxed_ms = 3600000};
    if (p->disk)
        return;
    assert_int_equal(hither_db_open(":memory:", &o, &db, &err), HITHER_OK);
    c = open_notes(db);
    assert_int_equal(put_one(c, HITHER_UPSERT, 1, "{\"a\":1}"), HITHER_OK);
    assert_int_equal(hither_collection_set_schema(c, "{\"fields\":{\"a\":\"string\"}}", &err), HITHER_INVALID);
    assert_int_equal(put_one(c, HITHER_UPSERT, 1, "{\"a\":1}"), HITHER_OK);
    assert_int_equal(hither_collection_set_schema(c, "{\"fields\":{\"a\":\"int\"}}", &err), HITHER_OK);
    assert_int_equal(put_one(c, HITHER_UPSERT, 1, "{\"a\":\"x\"}"), HITHER_INVALID);
    assert_int_equal(put_one(c, HITHER_UPSERT, 2, "{\"a\":1}"), HITHER_OK);
    assert_int_equal(count_of(c), 2);
    hither_collection_close(c);
    hither_db_close(db);
}

/* What no call lets happen: rows that are not as the catalog says. verify tells, of each collection once. */
static void verified(void **state) {
    place *p = *state;
    static const struct {
        const char *schema, *says; /* NULL: nothing */
    } cases[] = {{"{\"fields\":{\"a\":\"int\"}}", NULL},
                 {"{\"fields\":{\"a\":\"string\"}}", "collection 'notes': the row with id 2: 'a' is"},
                 {"{\"fields\":{\"b\":{\"type\":\"int\",\"unique\":true}}}", "'b' is 7, as in the row with id"},
                 {"{\"fields\":", "schema"}};
    ht_store *store = ht_db_in(p->db)->store;
    ht_collection_row row;
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 1, "{\"b\":7}"), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 2, "{\"a\":1}"), HITHER_OK);
    assert_int_equal(put_one(p->c, HITHER_UPSERT, 3, "{\"b\":7}"), HITHER_OK);
    assert_int_equal(ht_store_collection(store, "notes", 0, &row, &err), HITHER_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ht_text text = {cases[i].schema, strlen(cases[i].schema)};
        hither_result *report;
        assert_int_equal(ht_store_set_schema(store, row.cid, text, &err), HITHER_OK);
        assert_int_equal(hither_db_verify(p->db, &report, &err), cases[i].says ? HITHER_CORRUPT : HITHER_OK);
        assert_int_equal(hither_result_count(report, 0), cases[i].says != NULL);
        hither_result_free(report);
        if (cases[i].says)
            SAYS(cases[i].says);
        assert_int_equal(hither_db_verify_fast(p->db, NULL, &err), HITHER_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {BOTH(types),
                                       BOTH(required_and_closed),
                                       BOTH(unique_values),
                                       BOTH(rows_that_are_there),
                                       BOTH(against_a_twin),
                                       BOTH(side_by_side),
                                       BOTH(shown_and_agreed),
                                       BOTH(bad_schemas),
                                       BOTH(copies_keep_it),
                                       BOTH(relaxed),
                                       BOTH(verified)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
