/*
 * test_filter.c: what a filter means, what is refused and with which words, and columns against the row-by-row
 * evaluator on random rows and filters. The meaning is checked a second time, against an evaluator in Python that knows
 * only docs/filters.md, by tests/python/test_filters.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "cmocka_all.h"
#include "engine/column_scan.h"

#define SEED 20261121u

static hither_error err;

static ht_filter *parse(const char *text) {
    ht_filter *f = NULL;
    hither_status status = ht_filter_parse(text, strlen(text), &f, &err);
    if (status != HITHER_OK)
        fail_msg("%s gave %s", text, err.message);
    return f;
}

static bool matches(const char *where, const char *metadata, const char *document) {
    ht_filter *f = parse(where);
    json_t *json = metadata ? json_loads(metadata, 0, NULL) : NULL;
    assert_true(json || !metadata);
    bool result = ht_filter_matches(f, json, (ht_text){document, document ? strlen(document) : 0});
    json_decref(json);
    ht_filter_free(f);
    return result;
}

/* ---- the meaning */

static void test_meaning(void **state) {
    (void)state;
    static const struct {
        const char *where, *metadata;
        bool matches;
    } cases[] = {
        {"{\"x\": 1}", "{\"x\": 1}", true},
        {"{\"x\": 1}", "{\"x\": 1.0}", true},
        {"{\"x\": 1}", "{\"x\": true}", false},
        {"{\"x\": true}", "{\"x\": 1}", false},
        {"{\"x\": 1}", "{\"x\": \"1\"}", false},
        {"{\"x\": 1}", "{\"x\": [2, 1]}", true},
        {"{\"x\": 1}", "{\"x\": [[1]]}", false},
        {"{\"x\": 1}", "{}", false},
        {"{\"x\": {\"$ne\": 1}}", "{}", true},
        {"{\"x\": {\"$ne\": 1}}", "{\"x\": [1, 2]}", false},
        {"{\"x\": {\"$nin\": [1, 2]}}", "{\"x\": null}", true},
        {"{\"x\": null}", "{\"x\": null}", true},
        {"{\"x\": null}", "{}", false},
        {"{\"x\": {\"$exists\": true}}", "{\"x\": null}", true},
        {"{\"x\": {\"$exists\": false}}", "{}", true},
        {"{\"x\": {\"$exists\": true}}", "{\"x\": []}", true},
        {"{\"x\": {\"$exists\": true}}", "{\"x\": {}}", true},
        {"{\"x\": {\"$in\": []}}", "{\"x\": 1}", false},
        {"{\"x\": {\"$nin\": []}}", "{}", true},
        {"{\"x\": 9007199254740993}", "{\"x\": 9007199254740992.0}", false},
        {"{\"x\": {\"$gt\": 9007199254740992.0}}", "{\"x\": 9007199254740993}", true},
        {"{\"x\": {\"$lt\": 9007199254740993}}", "{\"x\": 9007199254740992.0}", true},
        {"{\"x\": {\"$lte\": 1e300}}", "{\"x\": 9223372036854775807}", true},
        {"{\"x\": {\"$gte\": -9223372036854775808}}", "{\"x\": -9.3e18}", false},
        {"{\"x\": 0}", "{\"x\": -0.0}", true},
        {"{\"x\": {\"$gt\": 0, \"$lt\": 2}}", "{\"x\": [-5, 5]}", true}, /* each by an element of its own */
        {"{\"x\": {\"$gt\": \"a\"}}", "{\"x\": 5}", false},
        {"{\"x\": {\"$gt\": \"a\"}}", "{\"x\": \"aa\"}", true},
        {"{\"x\": {\"$lt\": \"Z\"}}", "{\"x\": \"\\u00e4\"}", false},
        {"{\"x\": {\"$contains\": \"rl\"}}", "{\"x\": \"world\"}", true},
        {"{\"x\": {\"$contains\": \"\"}}", "{\"x\": 1}", false},
        {"{\"x\": {\"$not_contains\": \"rl\"}}", "{\"x\": 1}", true},
        {"{\"x\": {\"$contains\": \"rl\"}}", "{\"x\": [1, \"world\"]}", true},
        {"{\"a.b\": 1}", "{\"a\": {\"b\": 1}}", true},
        {"{\"a.b\": 1}", "{\"a.b\": 1}", false},
        {"{\"a\\\\.b\": 1}", "{\"a.b\": 1}", true},
        {"{\"\\\\$a\": 1}", "{\"$a\": 1}", true},
        {"{\"a.b\": 1}", "{\"a\": [{\"b\": 1}]}", false},
        {"{\"a.b\": {\"$ne\": 1}}", "{\"a\": 7}", true},
        {"{\"\": 1}", "{\"\": 1}", true},
        {"{\"a\": 1, \"b\": 2}", "{\"a\": 1, \"b\": 3}", false},
        {"{\"$or\": [{\"a\": 1}, {\"b\": 2}]}", "{\"a\": 0, \"b\": 2}", true},
        {"{\"$not\": {\"a\": 1, \"b\": 2}}", "{\"a\": 1}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (matches(cases[i].where, cases[i].metadata, NULL) != cases[i].matches)
            fail_msg("%s of %s is not %d", cases[i].where, cases[i].metadata, cases[i].matches);
    assert_true(matches("{\"$document\": {\"$contains\": \"owl\"}}", NULL, "an owl"));
    assert_false(matches("{\"$document\": {\"$contains\": \"\"}}", NULL, NULL));
    assert_true(matches("{\"$document\": {\"$not_contains\": \"owl\"}}", NULL, NULL));
    assert_true(
        matches("{\"$document\": {\"$or\": [{\"$contains\": \"x\"}, {\"$not\": {\"$contains\": \"y\"}}]}}", NULL, "z"));
}

/* ---- what is refused */

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *where;
        hither_status status;
        const char *message; /* how it begins */
    } cases[] = {
        {"", HITHER_SYNTAX, "where: "},
        {"{\"a\": NaN}", HITHER_SYNTAX, "where: "},
        {"{\"a\": 1, \"a\": 2}", HITHER_SYNTAX, "where: "},
        {"{\"a\": 9223372036854775808}", HITHER_SYNTAX, "where: "},
        {"[]", HITHER_INVALID, "where: expected an object of conditions, found an array"},
        {"{}", HITHER_INVALID, "where: expected at least one condition, found {}"},
        {"{\"a\": {}}", HITHER_INVALID, "where.a: expected an operator like $eq, found {}"},
        {"{\"a\": [1]}", HITHER_INVALID,
         "where.a: expected a string, a number, a bool or null ($in takes several), found an array"},
        {"{\"price\": {\"$gt\": [1]}}", HITHER_INVALID,
         "where.price.$gt: expected a number or a string, found an array"},
        {"{\"a\": {\"$gt\": true}}", HITHER_INVALID, "where.a.$gt: expected a number or a string, found a bool"},
        {"{\"a\": {\"$lte\": null}}", HITHER_INVALID, "where.a.$lte: expected a number or a string, found null"},
        {"{\"a\": {\"$eq\": {}}}", HITHER_INVALID,
         "where.a.$eq: expected a string, a number, a bool or null, found an object"},
        {"{\"a\": {\"$in\": 1}}", HITHER_INVALID, "where.a.$in: expected an array of values, found a number"},
        {"{\"a\": {\"$in\": [1, [2]]}}", HITHER_INVALID, "where.a.$in[1]: expected a string"},
        {"{\"a\": {\"$exists\": 1}}", HITHER_INVALID, "where.a.$exists: expected true or false, found a number"},
        {"{\"a\": {\"$contains\": 1}}", HITHER_INVALID, "where.a.$contains: expected a string, found a number"},
        {"{\"a\": {\"$near\": 1}}", HITHER_INVALID, "where.a.$near: unknown operator; there are $eq, "},
        {"{\"a\": {\"b\": 1}}", HITHER_INVALID, "where.a.b: expected an operator like $eq, found a key"},
        {"{\"a\": {\"$not\": {\"$gt\": 1}}}", HITHER_INVALID, "where.a.$not: $not stands around conditions"},
        {"{\"$gt\": 1}", HITHER_INVALID, "where.$gt: expected a field around the operator"},
        {"{\"$nor\": []}", HITHER_INVALID, "where.$nor: unknown operator; there are $and, $or, $not"},
        {"{\"$and\": []}", HITHER_INVALID, "where.$and: expected at least one filter, found []"},
        {"{\"$or\": {}}", HITHER_INVALID, "where.$or: expected an array of filters, found an object"},
        {"{\"$and\": [{\"a\": 1}, 2]}", HITHER_INVALID,
         "where.$and[1]: expected an object of conditions, found a number"},
        {"{\"$and\": [{\"$or\": [{\"a\": {\"$lt\": []}}]}]}", HITHER_INVALID, "where.$and[0].$or[0].a.$lt: expected"},
        {"{\"$not\": {}}", HITHER_INVALID, "where.$not: expected at least one condition"},
        {"{\"a\\\\b\": 1}", HITHER_INVALID, "where.a\\b: a backslash in a field's path stands before"},
        {"{\"a\\\\\": 1}", HITHER_INVALID, "where.a\\: a backslash"},
        {"{\"$document\": \"x\"}", HITHER_INVALID, "where.$document: expected an object of conditions, found a string"},
        {"{\"$document\": {\"$eq\": \"x\"}}", HITHER_INVALID, "where.$document.$eq: a document takes $contains"},
        {"{\"$document\": {\"a\": 1}}", HITHER_INVALID, "where.$document.a: expected an operator"},
        {"{\"$document\": {\"$and\": [{\"a\": 1}]}}", HITHER_INVALID,
         "where.$document.$and[0].a: expected an operator"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ht_filter *f = NULL;
        hither_status status = ht_filter_parse(cases[i].where, strlen(cases[i].where), &f, &err);
        assert_null(f);
        if (status != cases[i].status || strncmp(err.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s gave %s: %s", cases[i].where, hither_status_name(status), err.message);
    }
    assert_int_equal(ht_filter_parse("{\"a\": \"\xff\"}", 10, &(ht_filter *){0}, NULL), HITHER_ENCODING);
}

/* ---- limits, each at and past it */

static hither_status parse_repeated(const char *open, const char *item, const char *join, size_t count,
                                    const char *close) {
    ht_buf text;
    ht_filter *f = NULL;
    ht_buf_init(&text, SIZE_MAX / 2);
    ht_buf_puts(&text, open);
    for (size_t i = 0; i < count; i++) {
        ht_buf_puts(&text, i ? join : "");
        ht_buf_puts(&text, item);
    }
    ht_buf_puts(&text, close);
    hither_status status = ht_filter_parse(text.data, text.size, &f, &err);
    assert_true((status == HITHER_OK) == (f != NULL));
    ht_filter_free(f);
    ht_buf_clear(&text);
    return status;
}

static hither_status parse_nested(size_t depth) {
    char text[1024] = "";
    for (size_t i = 1; i < depth; i++)
        strcat(text, "{\"$not\":");
    strcat(text, "{\"a\":1");
    for (size_t i = 0; i < depth; i++)
        strcat(text, "}");
    ht_filter *f = NULL;
    hither_status status = ht_filter_parse(text, strlen(text), &f, &err);
    ht_filter_free(f);
    return status;
}

static void test_limits(void **state) {
    (void)state;
    const size_t values = HITHER_MAX_WHERE_VALUES, nodes = HITHER_MAX_WHERE_NODES;
    ASSERT_OK(parse_repeated("{\"a\":{\"$in\":[", "1", ",", values, "]}}"));
    ASSERT_FAILS(parse_repeated("{\"a\":{\"$in\":[", "1", ",", values + 1, "]}}"), HITHER_TOO_LARGE);
    assert_non_null(strstr(err.message, "more than 65536 values"));
    ASSERT_OK(parse_repeated("{\"$and\":[", "{\"a\":1}", ",", nodes - 1, "]}"));
    ASSERT_FAILS(parse_repeated("{\"$and\":[", "{\"a\":1}", ",", nodes, "]}"), HITHER_TOO_LARGE);
    assert_non_null(strstr(err.message, "more than 1024 conditions"));
    ASSERT_OK(parse_nested(HITHER_MAX_WHERE_DEPTH));
    ASSERT_FAILS(parse_nested(HITHER_MAX_WHERE_DEPTH + 1), HITHER_TOO_LARGE);
    assert_non_null(strstr(err.message, "nested too deeply; the limit is 32"));
    ASSERT_FAILS(parse_repeated("", "[", "", 100, ""), HITHER_TOO_LARGE);
    const size_t bytes = HITHER_MAX_WHERE_BYTES - strlen("{\"a\":\"\"}");
    ASSERT_OK(parse_repeated("{\"a\":\"", "x", "", bytes, "\"}"));
    ASSERT_FAILS(parse_repeated("{\"a\":\"", "x", "", bytes + 1, "\"}"), HITHER_TOO_LARGE);
    /* what would be a hundred megabytes of objects is refused before jansson sees it */
    ASSERT_FAILS(parse_repeated("{\"a\":[", "[]", ",", 300000, "]}"), HITHER_TOO_LARGE);
    /* a long key leaves room for what is wrong with it */
    ASSERT_FAILS(parse_repeated("{\"", "\xc3\xa4", "", 5000, "\":{\"$gt\":[]}}"), HITHER_INVALID);
    assert_non_null(strstr(err.message, ".$gt: expected a number or a string, found an array"));
    assert_memory_equal(err.message, "where...", 8);
    ASSERT_OK(parse_repeated("{\"", "a", ".", HITHER_MAX_JSON_DEPTH, "\":1}"));
    ASSERT_FAILS(parse_repeated("{\"", "a", ".", HITHER_MAX_JSON_DEPTH + 1, "\":1}"), HITHER_TOO_LARGE);
}

/* A filter in which `item`, joined by `join`, comes `count` times: refused, with a clear message, after at most `most`
 * requests for memory; every object that parsing makes, jansson's too, is one. */
static void refused_within(uint64_t most, const char *open, const char *item, const char *join, size_t count,
                           const char *close) {
    int64_t live = alloc_fault_live();
    alloc_fault_arm(0, false);
    hither_status status = parse_repeated(open, item, join, count, close);
    uint64_t requests = alloc_fault_requests();
    assert_true(status == HITHER_INVALID || status == HITHER_TOO_LARGE);
    assert_true(strncmp(err.message, "where", 5) == 0);
    if (requests > most)
        fail_msg("%zu times %s: refused after %llu requests", count, item, (unsigned long long)requests);
    assert_int_equal(alloc_fault_live(), live);
}

/* Of each thing that may be large, a size at its limit is parsed and one far past it costs no more. */
static void test_counted_work(void **state) {
    (void)state;
    enum { TEXT = 64 }; /* requests that the text itself may take, which grows by doubling */
    const uint64_t values = HITHER_MAX_WHERE_VALUES, nodes = HITHER_MAX_WHERE_NODES;
    alloc_fault_install_jansson(); /* nothing of jansson's is there now, nor at the end */
    for (size_t many = 100000; many <= 400000; many *= 4) {
        refused_within(TEXT, "{\"a\":{\"$in\":[", "1", ",", many, "]}}");
        refused_within(TEXT, "{\"$or\":[", "{}", ",", many, "]}");
        refused_within(TEXT, "{", "\"a\":1", ",", many, "}");
        refused_within(TEXT, "", "{\"$not\":", "", many, "");
        refused_within(TEXT, "", "[", "", many, "");
        refused_within(TEXT, "{\"", "a", ".", many, "\":1}");
        refused_within(TEXT, "{\"a\":\"", "xxxxxxxxxxx", "", many, "\"}");
        refused_within(TEXT, "{\"a\":{\"$regex\":\"", "(a*)*", "", many, "\"}}");
    }
    refused_within(TEXT + 4 * (values + 1), "{\"a\":{\"$in\":[", "1", ",", values + 1, "]}}");
    refused_within(TEXT + 16 * (nodes + 1), "{\"$and\":[", "{\"a\":1}", ",", nodes + 1, "]}");
    refused_within(TEXT + 40 * (HITHER_MAX_REGEXES + 1), "{\"$and\":[", "{\"a\":{\"$regex\":\"(a*)*b\"}}", ",",
                   HITHER_MAX_REGEXES + 1, "]}");
    refused_within(TEXT + 200, "{\"a\":{\"$regex\":\"", "(", "", 60, "a{1000}){1000}\"}}");
    json_set_alloc_funcs(malloc, free);
}

/* ---- random rows and filters */

static uint64_t state_of_random;

static uint32_t below(uint32_t n) {
    state_of_random += 0x9e3779b97f4a7c15u;
    return (uint32_t)(ht_mix64(state_of_random) >> 33) % n;
}

static const char *const scalars[] = {"0",
                                      "1",
                                      "2",
                                      "-1",
                                      "1.0",
                                      "0.5",
                                      "-0.0",
                                      "2.5",
                                      "1e300",
                                      "-1e300",
                                      "5e-324",
                                      "true",
                                      "false",
                                      "null",
                                      "\"\"",
                                      "\"a\"",
                                      "\"ab\"",
                                      "\"b\"",
                                      "\"1\"",
                                      "\"\\u00e4\"",
                                      "\"B\"",
                                      "\"abc\"",
                                      "9007199254740993",
                                      "9007199254740992.0",
                                      "9007199254740992",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "9223372036854775808.0",
                                      "-9223372036854775808.0",
                                      "9223372036854774784.0",
                                      "-9.3e18",
                                      "3"};
#define SCALARS (sizeof scalars / sizeof *scalars)
static const char *const fields[] = {"x", "y", "o.x", "o", "p\\\\.q", "z"};
#define FIELDS (sizeof fields / sizeof *fields)

static void put_value(ht_buf *out, unsigned depth) {
    uint32_t kind = below(10);
    if (kind < 7 || !depth) {
        /* some numbers and words that are not in the list, so that dictionaries grow */
        if (below(8) == 0)
            ht_buf_printf(out, below(2) ? "\"word %u\"" : "%u", below(3000));
        else
            ht_buf_puts(out, scalars[below(SCALARS)]);
        return;
    }
    uint32_t count = below(4);
    if (kind < 9) {
        ht_buf_putc(out, '[');
        for (uint32_t i = 0; i < count; i++) {
            ht_buf_puts(out, i ? "," : "");
            put_value(out, depth - 1);
        }
        ht_buf_putc(out, ']');
    } else {
        ht_buf_puts(out, "{\"x\":");
        put_value(out, depth - 1);
        ht_buf_putc(out, '}');
    }
}

/* Most blocks of rows are of a few types only, as real ones are; then the quick loops run. */
static void put_row(ht_buf *out, uint64_t slot, unsigned regime) {
    const char *comma = "";
    ht_buf_putc(out, '{');
    for (uint32_t i = 0; i < 3; i++) {
        static const char *const keys[] = {"x", "y", "p.q"};
        if (below(5) == 0)
            continue;
        ht_buf_printf(out, "%s\"%s\":", comma, keys[i]);
        comma = ",";
        if (regime == 0)
            put_value(out, 2);
        else if (regime == 1)
            ht_buf_printf(out, "%d", (int)below(7) - 3);
        else if (regime == 2)
            ht_buf_printf(out, "\"word %u\"", (unsigned)(slot % 700));
        else
            ht_buf_printf(out, "%.1f", (double)below(9) / 2 - 2);
    }
    if (below(2)) {
        ht_buf_printf(out, "%s\"o\":", comma);
        put_value(out, 2);
    }
    ht_buf_putc(out, '}');
}

static void put_filter(ht_buf *out, unsigned depth);

static void put_condition(ht_buf *out) {
    static const char *const ordered[] = {"$gt", "$gte", "$lt", "$lte"};
    const char *scalar = scalars[below(SCALARS)];
    switch (below(8)) {
    case 0:
        ht_buf_puts(out, scalar);
        return;
    case 1:
        ht_buf_printf(out, "{\"%s\":%s}", below(2) ? "$eq" : "$ne", scalar);
        return;
    case 2:
        ht_buf_printf(out, "{\"$exists\":%s}", below(2) ? "true" : "false");
        return;
    case 3:
        ht_buf_printf(out, "{\"%s\":\"%s\"}", below(2) ? "$contains" : "$not_contains",
                      (const char *const[]){"", "a", "b", "word 1"}[below(4)]);
        return;
    case 4:
        ht_buf_printf(out, "{\"%s\":[", below(2) ? "$in" : "$nin");
        for (uint32_t i = 0, n = below(6); i < n; i++)
            ht_buf_printf(out, "%s%s", i ? "," : "", scalars[below(SCALARS)]);
        ht_buf_puts(out, "]}");
        return;
    default:
        while (*scalar == 't' || *scalar == 'f' || *scalar == 'n')
            scalar = scalars[below(SCALARS)];
        ht_buf_printf(out, "{\"%s\":%s}", ordered[below(4)], scalar);
    }
}

static void put_filter(ht_buf *out, unsigned depth) {
    uint32_t kind = below(depth ? 8 : 4);
    if (kind < 4) {
        ht_buf_printf(out, "{\"%s\":", fields[below(FIELDS)]);
        put_condition(out);
        ht_buf_putc(out, '}');
    } else if (kind == 4) {
        ht_buf_puts(out, "{\"$not\":");
        put_filter(out, depth - 1);
        ht_buf_putc(out, '}');
    } else if (kind == 5) {
        ht_buf_printf(out, "{\"$document\":{\"%s\":\"%u\"}}", below(2) ? "$contains" : "$not_contains", below(10));
    } else {
        ht_buf_printf(out, "{\"%s\":[", kind == 6 ? "$and" : "$or");
        for (uint32_t i = 0, n = 1 + below(3); i < n; i++) {
            ht_buf_puts(out, i ? "," : "");
            put_filter(out, depth - 1);
        }
        ht_buf_puts(out, "]}");
    }
}

/* ---- columns against the evaluator */

#define ROWS (2 * HT_CELLS + 77)

typedef struct table {
    ht_buf texts[ROWS]; /* empty: the row has no metadata */
    json_t *parsed[ROWS];
    char documents[ROWS][8];
    uint64_t read; /* rows handed out */
} table;

static void make_rows(table *t) {
    memset(t, 0, sizeof *t);
    for (uint64_t i = 0; i < ROWS; i++) {
        ht_buf_init(&t->texts[i], SIZE_MAX / 2);
        if (below(20))
            put_row(&t->texts[i], i, i < HT_CELLS ? 1 + (unsigned)(i / 1500) : i < 2 * HT_CELLS ? 2u : 0u);
        if (t->texts[i].size) {
            t->parsed[i] = json_loadb(t->texts[i].data, t->texts[i].size, 0, NULL);
            assert_non_null(t->parsed[i]);
        }
        (void)snprintf(t->documents[i], sizeof t->documents[i], "%u", below(1000));
    }
}

static void free_rows(table *t) {
    for (size_t i = 0; i < ROWS; i++) {
        json_decref(t->parsed[i]);
        ht_buf_clear(&t->texts[i]);
    }
}

static ht_text document_of(const table *t, uint64_t slot) {
    return slot % 7 ? (ht_text){t->documents[slot], strlen(t->documents[slot])} : (ht_text){0};
}

static hither_status hand_out(void *ctx, uint64_t begin, uint64_t end,
                              hither_status (*each)(void *arg, uint64_t slot, ht_text metadata), void *arg,
                              hither_error *e) {
    table *t = ctx;
    (void)e;
    for (uint64_t i = begin; i < end; i++) {
        if (!t->parsed[i] && i % 3 == 0)
            continue; /* a row that is gone */
        t->read++;
        HT_TRY(each(arg, i, (ht_text){t->texts[i].data, t->texts[i].size}));
    }
    return HITHER_OK;
}

/* The number of pairs compared. */
static size_t compare(table *t, ht_columns *columns, const char *where, uint64_t limit) {
    ht_filter *f = parse(where);
    const ht_field_column *found[FIELDS] = {0};
    ht_column_source source = {.rows = hand_out, .ctx = t};
    ht_scan scan;
    bool complete;
    uint64_t parsed = 0;
    ASSERT_OK(ht_columns_cover(columns, f, limit, &source, found, &complete, &parsed, &err));
    assert_true(complete && ht_columns_find(columns, f, limit, found));
    ASSERT_OK(ht_scan_prepare(&scan, f, found, &err));
    for (uint64_t first = 0; first < limit; first += HT_CELLS) {
        uint64_t least[HT_CELLS / 64], most[HT_CELLS / 64];
        size_t count = (size_t)(limit - first < HT_CELLS ? limit - first : HT_CELLS);
        ht_scan_words(&scan, HT_AT_LEAST, first, count, least);
        ht_scan_words(&scan, HT_AT_MOST, first, count, most);
        for (size_t i = 0; i < count; i++) {
            uint64_t slot = first + i;
            bool sure = least[i / 64] >> (i % 64) & 1, maybe = most[i / 64] >> (i % 64) & 1;
            bool wanted = ht_filter_matches(f, t->parsed[slot], document_of(t, slot));
            if ((sure && !wanted) || (wanted && !maybe) || (!f->documents && sure != wanted) ||
                ht_scan_slot(&scan, slot, document_of(t, slot)) != wanted)
                fail_msg("seed %u, slot %llu: %s of %.*s: sure %d, maybe %d, wanted %d", SEED, (unsigned long long)slot,
                         where, (int)t->texts[slot].size, t->texts[slot].data, sure, maybe, wanted);
        }
        if (count % 64)
            assert_int_equal(most[count / 64] >> (count % 64), 0);
    }
    ht_scan_clear(&scan);
    ht_filter_free(f);
    return (size_t)limit;
}

static void test_columns(void **state) {
    (void)state;
    static table t;
    size_t pairs = 0;
    state_of_random = SEED;
    make_rows(&t);
    for (unsigned round = 0; round < 4; round++) {
        ht_columns columns;
        uint64_t limit = 0;
        ASSERT_OK(ht_columns_init(&columns, &err));
        for (unsigned i = 0; i < 40; i++) {
            ht_buf where;
            ht_buf_init(&where, SIZE_MAX / 2);
            put_filter(&where, 3);
            limit += below(2) ? below(ROWS / 10) : 0;
            limit = limit < ROWS ? limit : ROWS;
            pairs += compare(&t, &columns, where.data, limit);
            ht_buf_clear(&where);
        }
        for (unsigned i = 0; i < FIELDS; i++) { /* now every field is there: no row is read again */
            char where[64];
            (void)snprintf(where, sizeof where, "{\"%s\":1}", fields[i]);
            pairs += compare(&t, &columns, where, ROWS);
        }
        t.read = 0;
        pairs += compare(&t, &columns, "{\"x\":1,\"y\":{\"$gt\":2},\"o.x\":\"a\",\"z\":null}", ROWS);
        assert_int_equal(t.read, 0);
        ht_columns_clear(&columns);
    }
    free_rows(&t);
    assert_true(pairs >= 100000);
    print_message("%zu pairs of filter and row\n", pairs);
}

/* ---- numbers at the borders of both kinds */

static void test_numbers(void **state) {
    (void)state;
    static const char *const operators[] = {"$eq", "$gt", "$gte", "$lt", "$lte", "$ne"};
    static table t;
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < SCALARS; i++) {
        ht_buf_init(&t.texts[i], SIZE_MAX / 2);
        ht_buf_printf(&t.texts[i], "{\"x\":%s}", scalars[i]);
        t.parsed[i] = json_loadb(t.texts[i].data, t.texts[i].size, 0, NULL);
        assert_non_null(t.parsed[i]);
    }
    ht_columns columns;
    ASSERT_OK(ht_columns_init(&columns, &err));
    for (size_t i = 0; i < SCALARS; i++) {
        for (size_t j = 0; j < 6; j++) {
            char where[96];
            if (j >= 1 && j <= 4 && strchr("tfn", *scalars[i]))
                continue;
            (void)snprintf(where, sizeof where, "{\"x\":{\"%s\":%s}}", operators[j], scalars[i]);
            compare(&t, &columns, where, SCALARS);
        }
    }
    ht_columns_clear(&columns);
    free_rows(&t);
}

/* ---- too many columns, and rows that are no JSON */

static void test_column_limit(void **state) {
    (void)state;
    static table t;
    memset(&t, 0, sizeof t);
    ht_columns columns;
    ht_column_source source = {.rows = hand_out, .ctx = &t};
    ASSERT_OK(ht_columns_init(&columns, &err));
    for (unsigned i = 0; i <= HT_COLUMNS_MAX; i++) {
        char where[32];
        const ht_field_column *found[1];
        bool complete;
        uint64_t parsed = 0;
        (void)snprintf(where, sizeof where, "{\"f%u\":1}", i);
        ht_filter *f = parse(where);
        ASSERT_OK(ht_columns_cover(&columns, f, 10, &source, found, &complete, &parsed, &err));
        assert_int_equal(complete, i < HT_COLUMNS_MAX);
        ht_filter_free(f);
    }
    ht_columns_clear(&columns);
}

static void test_rows_that_are_no_json(void **state) {
    (void)state;
    static table t;
    memset(&t, 0, sizeof t);
    ht_buf_init(&t.texts[3], 100);
    ht_buf_puts(&t.texts[3], "{\"x\":");
    t.parsed[3] = json_null();
    ht_columns columns;
    ht_column_source source = {.rows = hand_out, .ctx = &t};
    const ht_field_column *found[1];
    bool complete = true;
    uint64_t parsed = 0;
    ASSERT_OK(ht_columns_init(&columns, &err));
    ht_filter *f = parse("{\"x\":1}");
    ASSERT_FAILS(ht_columns_cover(&columns, f, 10, &source, found, &complete, &parsed, &err), HITHER_CORRUPT);
    assert_non_null(strstr(err.message, "slot 3"));
    assert_false(complete);
    ASSERT_OK(
        ht_columns_cover(&columns, f, 3, &source, found, &complete, &parsed, &err)); /* the rows before it are fine */
    assert_true(complete);
    ht_filter_free(f);
    ht_columns_clear(&columns);
    ht_buf_clear(&t.texts[3]);
}

/* ---- every request for memory fails once; what was built by then must not harm what is built after */

static const char memory_filter[] =
    "{\"$or\":[{\"x\":{\"$in\":[1,2.5,\"word 1\",\"word 2\"]}},{\"y\":{\"$gt\":\"a\"}},{\"o.x\":{\"$nin\":[1]}}]}";

static hither_status parse_and_cover(table *t, ht_columns *columns) {
    const ht_field_column *found[3] = {0};
    ht_column_source source = {.rows = hand_out, .ctx = t};
    ht_filter *f = NULL;
    ht_scan scan;
    bool complete;
    uint64_t parsed = 0;
    HT_TRY(ht_filter_parse(memory_filter, strlen(memory_filter), &f, &err));
    hither_status status = ht_columns_cover(columns, f, ROWS, &source, found, &complete, &parsed, &err);
    if (status == HITHER_OK)
        status = ht_scan_prepare(&scan, f, found, &err);
    if (status == HITHER_OK)
        ht_scan_clear(&scan);
    ht_filter_free(f);
    return status;
}

static void test_without_memory(void **state) {
    (void)state;
    static table t;
    uint64_t step = 1, failures = 0;
    bool more = true;
    state_of_random = SEED;
    make_rows(&t);
    int64_t before = alloc_fault_live();
    for (uint64_t n = 1; more; n += step) {
        ht_columns columns;
        ASSERT_OK(ht_columns_init(&columns, &err));
        alloc_fault_arm(n, false);
        hither_status status = parse_and_cover(&t, &columns);
        more = alloc_fault_hit();
        alloc_fault_arm(0, false);
        if (status != (more ? HITHER_NOMEM : HITHER_OK))
            fail_msg("request %llu: %s (%s)", (unsigned long long)n, hither_status_name(status), err.message);
        failures += more;
        if (failures % 16 == 1)
            compare(&t, &columns, memory_filter, ROWS);
        ht_columns_clear(&columns);
        if (alloc_fault_live() != before)
            fail_msg("request %llu: %lld blocks were not given back", (unsigned long long)n,
                     (long long)(alloc_fault_live() - before));
        step = n < 60 ? 1 : n / 8; /* the first ones are the filter's, then come a few for each row */
    }
    assert_true(failures > 40);
    free_rows(&t);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meaning),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_counted_work),
        cmocka_unit_test(test_columns),        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_column_limit),   cmocka_unit_test(test_rows_that_are_no_json),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
