/*
 * test_keyword.c: postings and BM25 against a twin that goes through every row of every query: random rows, deaths,
 * masks, parts that come in steps of any size, phrases, beginnings, + and -. Scores are compared bit by bit. A second
 * twin, in Python, knows only docs/keyword.md (tests/python/test_keyword.py).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fault.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/terms.h"
#include "cmocka_all.h"
#include "keyword/rank.h"
#include "keyword/table.h"

#define ROWS    9000u
#define LONGEST 40u
#define ASKED   6u

static hither_error err;
static uint64_t state_of_chance;

static uint64_t chance(uint64_t below) { return ht_mix64(state_of_chance += 0x9e3779b97f4a7c15u) % below; }

/* ---- terms */

static void expect_terms(const char *text, const char *wanted) {
    ht_terms terms;
    ht_term term;
    char got[512] = "";
    ht_terms_start(&terms, text, strlen(text));
    while (ht_terms_next(&terms, &term))
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s", *got ? " " : "", (int)term.bytes, term.text);
    assert_string_equal(got, wanted);
}

static void test_terms(void **state) {
    (void)state;
    expect_terms("The Hawk's nest, 3.14!", "the hawk s nest 3 14");
    expect_terms("Caf\xc3\xa9 cafe\xcc\x81 STRASSE stra\xc3\x9f"
                 "e",
                 "cafe cafe strasse strasse");
    expect_terms("x86_64 abc123", "x86 64 abc123");
    expect_terms(
        "\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd a",
        "\xe6\x9d\xb1\xe4\xba\xac \xe4\xba\xac\xe9\x83\xbd \xe9\x83\xbd a"); /* Tokyo-to: pairs, and the last */
    expect_terms("a\xff"
                 "b \xe6\x9d\xb1",
                 "a b \xe6\x9d\xb1");
    expect_terms("", "");
    expect_terms(" -- ", "");
}

static void expect_query(const char *text, const char *wanted) {
    ht_query q;
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX);
    ASSERT_OK(ht_query_parse(&q, (ht_text){text, strlen(text)}, &err));
    for (uint32_t i = 0; i < q.clause_count; i++) {
        ht_buf_puts(&out, i ? " " : "");
        ht_query_show(&q, i, &out);
        if (ht_query_clause(&q, i)->times > 1)
            ht_buf_printf(&out, "^%u", ht_query_clause(&q, i)->times);
    }
    assert_string_equal(out.data ? out.data : "", wanted);
    ht_buf_clear(&out);
    ht_query_clear(&q);
}

static void test_syntax(void **state) {
    (void)state;
    expect_query("", "");
    expect_query("  one  Two\tthree ", "one two three");
    expect_query("one one One", "one^3");
    expect_query("\"new york\" yor* +must -not", "\"new york\" yor* +must -not");
    expect_query("\"never closed", "\"never closed\"");
    expect_query("\"one\"", "one");
    expect_query("\"\" - + * -\"\" +*", "");
    expect_query("state-of-the-art", "state of the art");
    expect_query("+state-of-the-art", "+\"state of the art\"");
    expect_query("-\"a b\" a+b", "-\"a b\" a b");
    expect_query("one +one", "+one^2");
    expect_query("one -one", "one -one");
    expect_query("one* one", "one* one");
    expect_query("foo-bar*", "foo bar*");
    expect_query("ab\"c d\"e", "ab \"c d\" e");
    expect_query("\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd", "\xe6\x9d\xb1\xe4\xba\xac \xe4\xba\xac\xe9\x83\xbd");
    expect_query("\xe6\x9d\xb1", "\xe6\x9d\xb1*");
    expect_query("\"\xe6\x9d\xb1\xe4\xba\xac\" -\xe6\x9d\xb1", "\xe6\x9d\xb1\xe4\xba\xac -\xe6\x9d\xb1*");
    expect_query("\"\xe6\x9d\xb1\xe4\xba\xac x\"", "\"\xe6\x9d\xb1\xe4\xba\xac \xe4\xba\xac x\"");
}

static void test_too_many_words(void **state) {
    (void)state;
    static char text[HITHER_MAX_KEYWORDS * 8];
    ht_query q;
    char *to = text;
    for (unsigned i = 0; i < HITHER_MAX_KEYWORDS; i++)
        to += sprintf(to, "w%u ", i);
    ASSERT_OK(ht_query_parse(&q, (ht_text){text, strlen(text)}, &err));
    assert_int_equal(q.clause_count, HITHER_MAX_KEYWORDS);
    ht_query_clear(&q);
    sprintf(to, "more");
    ASSERT_FAILS(ht_query_parse(&q, (ht_text){text, strlen(text)}, &err), HITHER_TOO_LARGE);
    ht_query_clear(&q);
}

/* ---- the twin: words are numbers, word w is written "w<w>" */

typedef struct row {
    uint32_t length, words[LONGEST];
    bool missing;
} row;

typedef struct asked {
    ht_clause_kind kind;
    bool must, never;
    uint32_t count, words[3];
} asked;

static row rows[ROWS];
static bool alive[ROWS], allowed[ROWS];
static uint64_t live_words[ROWS / 64 + 1], allow_words[ROWS / 64 + 1];

/* Few words are common, most are rare. */
static uint32_t some_word(void) {
    uint64_t r = chance(1000);
    return (uint32_t)(r < 400 ? chance(4) : r < 800 ? 4 + chance(30) : 34 + chance(1500));
}

static void make_rows(void) {
    for (size_t i = 0; i < ROWS; i++) {
        rows[i] = (row){.missing = chance(20) == 0, .length = (uint32_t)chance(chance(5) ? 12 : LONGEST)};
        for (size_t j = 0; j < rows[i].length; j++)
            rows[i].words[j] = some_word();
        if (rows[i].missing)
            rows[i].length = 0;
    }
}

static hither_status hand_out(void *ctx, uint64_t begin, uint64_t end,
                              hither_status (*each)(void *arg, uint64_t slot, ht_text document), void *arg,
                              hither_error *e) {
    (void)ctx, (void)e;
    for (uint64_t i = begin; i < end; i++) {
        char text[LONGEST * 8] = "";
        size_t n = 0;
        for (size_t j = 0; j < rows[i].length; j++)
            n += (size_t)sprintf(text + n, "%sw%u", j ? chance(2) ? " " : ", " : "", rows[i].words[j]);
        HT_TRY(each(arg, i, rows[i].missing ? (ht_text){0} : (ht_text){text, n}));
    }
    return HITHER_OK;
}

static bool begins(uint32_t word, uint32_t with) {
    for (; word; word /= 10)
        if (word == with)
            return true;
    return with == 0 && word == 0;
}

static uint32_t count_in(const row *r, const asked *a) {
    uint32_t found = 0;
    for (uint32_t i = 0; i + a->count <= r->length; i++) {
        bool here = true;
        for (uint32_t j = 0; j < a->count; j++)
            here = here && (a->kind == HT_CLAUSE_PREFIX ? begins(r->words[i + j], a->words[j])
                                                        : r->words[i + j] == a->words[j]);
        found += here;
    }
    return found;
}

typedef struct twin {
    double n, mean, weight[ASKED];
} twin;

static twin weigh(const asked *query, size_t asked_count, size_t limit) {
    twin t = {0};
    double length = 0, with[ASKED] = {0};
    for (size_t i = 0; i < limit; i++) {
        t.n += alive[i] && rows[i].length;
        length += alive[i] ? rows[i].length : 0;
        for (size_t j = 0; j < asked_count; j++)
            with[j] += alive[i] && count_in(&rows[i], &query[j]);
    }
    t.mean = t.n > 0 ? length / t.n : 1;
    for (size_t j = 0; j < asked_count; j++)
        t.weight[j] = log(1 + (t.n - with[j] + 0.5) / (with[j] + 0.5));
    return t;
}

static bool score(const twin *t, const row *r, const asked *query, size_t asked_count, double *out) {
    bool any = false;
    *out = 0;
    for (size_t j = 0; j < asked_count; j++) {
        double count = count_in(r, &query[j]);
        if (count > 0 ? query[j].never : query[j].must)
            return false;
        if (count > 0)
            *out +=
                t->weight[j] * (count * (1.2 + 1) / (count + 1.2 * (1 - 0.75 + 0.75 * (double)r->length / t->mean)));
        any = any || count > 0;
    }
    return any;
}

static int by_rank(const void *a, const void *b) {
    return ht_hit_before(*(const ht_hit *)a, *(const ht_hit *)b) ? -1 : 1;
}

/* ---- random queries */

static bool same_asked(const asked *a, const asked *b) {
    return a->kind == b->kind && a->never == b->never && a->count == b->count &&
           memcmp(a->words, b->words, a->count * sizeof *a->words) == 0;
}

static size_t make_query(asked *query, char *text) {
    size_t count = 0, wanted = 1 + chance(ASKED);
    for (*text = '\0'; count < wanted;) {
        asked a = {.count = 1};
        uint64_t kind = chance(10), sign = chance(8);
        a.kind = kind < 6 ? HT_CLAUSE_TERM : kind < 8 ? HT_CLAUSE_PREFIX : HT_CLAUSE_PHRASE;
        a.must = sign == 0;
        a.never = sign == 1;
        a.count = a.kind == HT_CLAUSE_PHRASE ? 2 + (uint32_t)chance(2) : 1;
        const row *r = &rows[chance(ROWS)]; /* phrases that are there */
        uint32_t from = r->length > 3 ? (uint32_t)chance(r->length - 2) : 0;
        for (uint32_t i = 0; i < a.count; i++)
            a.words[i] = r->length > 3 ? r->words[from + i] : some_word();
        if (a.kind == HT_CLAUSE_PREFIX)
            a.words[0] = 1 + (uint32_t)chance(20);
        bool known = false;
        for (size_t i = 0; i < count; i++)
            known = known || same_asked(&query[i], &a);
        if (known)
            continue;
        query[count++] = a;
        text += sprintf(text, " %s%s", a.must ? "+" : a.never ? "-" : "", a.kind == HT_CLAUSE_PHRASE ? "\"" : "");
        for (uint32_t i = 0; i < a.count; i++)
            text += sprintf(text, "%sw%u", i ? " " : "", a.words[i]);
        text += sprintf(text, "%s", a.kind == HT_CLAUSE_PHRASE ? "\"" : a.kind == HT_CLAUSE_PREFIX ? "*" : "");
    }
    return count;
}

static void draw_masks(size_t limit) {
    uint64_t deaths = chance(3) ? chance(40) : 0, share = chance(3) ? 1 + chance(100) : 100;
    memset(live_words, 0, sizeof live_words);
    memset(allow_words, 0, sizeof allow_words);
    for (size_t i = 0; i < ROWS; i++) {
        alive[i] = i < limit && chance(100) >= deaths;
        allowed[i] = chance(100) < share;
        live_words[i / 64] |= (uint64_t)alive[i] << i % 64;
        allow_words[i / 64] |= (uint64_t)allowed[i] << i % 64;
    }
}

static void compare(ht_keyword_table *table, size_t limit) {
    static ht_hit wanted[ROWS], got[ROWS];
    asked query[ASKED];
    char text[512];
    size_t asked_count = make_query(query, text), matches = 0, count = 0, k = 1 + chance(chance(3) ? 20 : 3000);
    const uint64_t *live_chunk = live_words, *allow_chunk = allow_words;
    ht_mask live = {&live_chunk, 1, limit}, allow = {&allow_chunk, 1, limit};
    bool filtered = chance(2);
    twin t = weigh(query, asked_count, limit);
    ht_query q;
    ht_keyword_view view;
    ht_job *job;
    ASSERT_OK(ht_query_parse(&q, (ht_text){text, strlen(text)}, &err));
    ASSERT_OK(ht_keyword_table_view(table, &view, &err));
    ASSERT_OK(ht_job_new(view.parts, view.count, &q, &live, &job, &err));
    ASSERT_OK(ht_job_top(job, &live, filtered ? &allow : NULL, k, got, &count, &err));
    assert_int_equal(ht_job_said(job).rows, (uint64_t)t.n);
    for (size_t i = 0; i < limit; i++) {
        double s, mine = -1;
        bool is = alive[i] && score(&t, &rows[i], query, asked_count, &s);
        if (alive[i]) {
            assert_int_equal(ht_job_score(job, i, &mine), is);
            assert_true(!is || mine == s);
        }
        if (is && (!filtered || allowed[i]))
            wanted[matches++] = (ht_hit){-s, i};
    }
    qsort(wanted, matches, sizeof *wanted, by_rank);
    assert_int_equal(count, matches < k ? matches : k);
    for (size_t i = 0; i < count; i++) {
        if (got[i].slot != wanted[i].slot || got[i].distance != wanted[i].distance)
            fail_msg("%s: hit %zu is slot %llu (%.17g), wanted %llu (%.17g)", text, i, (unsigned long long)got[i].slot,
                     got[i].distance, (unsigned long long)wanted[i].slot, wanted[i].distance);
    }
    ht_job_free(job);
    ht_keyword_view_clear(&view);
    ht_query_clear(&q);
}

static void test_against_twin(void **state) {
    (void)state;
    for (uint64_t round = 0; round < 6; round++) {
        ht_keyword_table table;
        ht_document_source source = {.rows = hand_out, .ctx = NULL};
        uint64_t read = 0;
        state_of_chance = 20261121 + round;
        make_rows();
        ASSERT_OK(ht_keyword_table_init(&table, &err));
        for (uint64_t limit = 0; limit < ROWS;) {
            uint64_t step = 1 + chance(round % 2 ? 5000 : 700);
            limit = ROWS - limit > step ? limit + step : ROWS;
            ASSERT_OK(ht_keyword_table_cover(&table, limit, &source, &read, &err));
            if (chance(4) && limit < ROWS)
                continue;
            draw_masks(limit);
            compare(&table, limit);
        }
        assert_true(table.count < 20);
        for (size_t i = 0; i < 15; i++) {
            size_t limit = chance(2) ? ROWS : chance(ROWS); /* an older snapshot, under postings that went on */
            draw_masks(limit);
            compare(&table, limit);
        }
        ht_keyword_table_clear(&table);
    }
}

/* Row after row, each asked for at once. */
static void test_steps_of_one(void **state) {
    (void)state;
    ht_keyword_table table;
    ht_document_source source = {.rows = hand_out, .ctx = NULL};
    uint64_t read = 0;
    state_of_chance = 7;
    make_rows();
    ASSERT_OK(ht_keyword_table_init(&table, &err));
    for (uint64_t limit = 1; limit <= 300; limit++) {
        ASSERT_OK(ht_keyword_table_cover(&table, limit, &source, &read, &err));
        assert_true(table.count <= 16);
        if (limit % 10 == 0) {
            draw_masks(limit);
            compare(&table, limit);
        }
    }
    ht_keyword_table_clear(&table);
}

/* Every allocation fails once. */
static hither_status build_and_search(ht_hit *hits, size_t *count) {
    static const char text[] = "w1 w2* \"w1 w2\" +w0";
    const uint64_t *chunk = live_words;
    ht_mask live = {&chunk, 1, 500};
    ht_keyword_table table;
    ht_keyword_view view = {0};
    ht_document_source source = {.rows = hand_out, .ctx = NULL};
    ht_query q = {0};
    ht_job *job = NULL;
    uint64_t read = 0;
    HT_TRY(ht_keyword_table_init(&table, &err));
    hither_status status = ht_keyword_table_cover(&table, 300, &source, &read, &err);
    if (status == HITHER_OK)
        status = ht_keyword_table_cover(&table, 500, &source, &read, &err);
    if (status == HITHER_OK)
        status = ht_keyword_table_view(&table, &view, &err);
    if (status == HITHER_OK)
        status = ht_query_parse(&q, (ht_text){text, sizeof text - 1}, &err);
    if (status == HITHER_OK)
        status = ht_job_new(view.parts, view.count, &q, &live, &job, &err);
    if (status == HITHER_OK)
        status = ht_job_top(job, &live, NULL, 10, hits, count, &err);
    ht_job_free(job);
    ht_query_clear(&q);
    ht_keyword_view_clear(&view);
    ht_keyword_table_clear(&table);
    return status;
}

static void test_without_memory(void **state) {
    (void)state;
    ht_hit wanted[10], got[10];
    size_t wanted_count = 0, count = 0;
    state_of_chance = 3;
    make_rows();
    draw_masks(500);
    ASSERT_OK(build_and_search(wanted, &wanted_count));
    int64_t before = alloc_fault_live();
    hither_status status = HITHER_NOMEM;
    uint64_t n;
    for (n = 1; status != HITHER_OK && n < 5000; n++) {
        alloc_fault_arm(n, false);
        status = build_and_search(got, &count);
        alloc_fault_arm(0, false);
        assert_true(status == HITHER_OK || status == HITHER_NOMEM);
    }
    assert_int_equal(alloc_fault_live(), before);
    assert_true(n > 20 && status == HITHER_OK && count == wanted_count);
    assert_memory_equal(got, wanted, count * sizeof *got);
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),        cmocka_unit_test(test_syntax),       cmocka_unit_test(test_too_many_words),
        cmocka_unit_test(test_against_twin), cmocka_unit_test(test_steps_of_one), cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
