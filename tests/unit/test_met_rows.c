/* test_met_rows.c: rows that are remembered come back as they were, within the room there is. Threads: kept_threads. */
#include "engine/met_rows.h"

#include <stdio.h>
#include <string.h>

#include "alloc_fault.h"
#include "cmocka_all.h"

static ht_text text(const char *s) { return s ? (ht_text){s, strlen(s)} : (ht_text){0}; }

static ht_row row_of(uint64_t slot, int64_t id, const char *metadata, const char *document) {
    return (ht_row){
        .slot = slot, .id_kind = HT_ID_INT, .int_id = id, .metadata = text(metadata), .document = text(document)};
}

static void assert_text(ht_text found, const char *wanted) {
    assert_int_equal(found.data != NULL, wanted != NULL);
    assert_int_equal(found.bytes, wanted ? strlen(wanted) : 0);
    if (wanted)
        assert_memory_equal(found.data, wanted, found.bytes);
}

static void rows_come_back(void **state) {
    (void)state;
    ht_met_rows met = {.levels = {NULL}};
    ht_row found;
    int64_t id;
    char metadata[] = "{\"n\":1}", document[] = "a text";
    ht_row rows[] = {row_of(0, 7, NULL, NULL),        row_of(4096, -1, metadata, NULL),
                     row_of(8192, 2, NULL, document), row_of(5, 3, "", ""),
                     row_of(1000000, 4, NULL, NULL),  row_of(UINT64_MAX - 1, 5, metadata, document)};
    ht_row named = {.slot = 9, .id_kind = HT_ID_TEXT, .text_id = text("an id"), .document = text("")};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(ht_met_rows_find(&met, rows[i].slot, &found));
        for (int twice = 0; twice < 2; twice++)
            ht_met_rows_note(&met, &rows[i]);
    }
    ht_met_rows_note(&met, &named);
    memset(metadata, 'x', sizeof metadata); /* the rows are the reader's: they do not last */
    memset(document, 'x', sizeof document);
    static const char *const wanted[][2] = {{NULL, NULL}, {"{\"n\":1}", NULL}, {NULL, "a text"},
                                            {"", ""},     {NULL, NULL},        {"{\"n\":1}", "a text"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(ht_met_rows_find(&met, rows[i].slot, &found));
        assert_int_equal(found.slot, rows[i].slot);
        assert_int_equal(found.id_kind, HT_ID_INT);
        assert_int_equal(found.int_id, rows[i].int_id);
        assert_text(found.metadata, wanted[i][0]);
        assert_text(found.document, wanted[i][1]);
    }
    assert_true(ht_met_rows_id(&met, 0, &id) && id == 7);
    assert_false(ht_met_rows_id(&met, 9, &id));
    assert_true(ht_met_rows_find(&met, 9, &found));
    assert_int_equal(found.id_kind, HT_ID_TEXT);
    assert_text(found.text_id, "an id");
    assert_text(found.metadata, NULL);
    assert_text(found.document, "");
    assert_false(ht_met_rows_find(&met, 1, &found));
    ht_met_rows_clear(&met);
}

/* An id alone says nothing of what else the row has. */
static void an_id_is_no_row(void **state) {
    (void)state;
    ht_met_rows met = {.levels = {NULL}};
    ht_row found;
    int64_t id;
    ht_met_rows_note_id(&met, 3, 33);
    assert_true(ht_met_rows_id(&met, 3, &id) && id == 33);
    assert_false(ht_met_rows_find(&met, 3, &found));
    ht_row row = row_of(3, 33, "{}", NULL);
    ht_met_rows_note(&met, &row);
    assert_true(ht_met_rows_find(&met, 3, &found));
    assert_text(found.metadata, "{}");
    ht_met_rows_clear(&met);
}

static void there_is_an_end_to_it(void **state) {
    (void)state;
    ht_met_rows met = {.levels = {NULL}};
    ht_row found;
    static char filler[1026];
    memset(filler, 'f', sizeof filler - 1);
    ht_row row = row_of(0, 0, NULL, filler);
    ht_met_rows_note(&met, &row); /* too long */
    assert_false(ht_met_rows_find(&met, 0, &found));
    filler[1024] = '\0';
    size_t kept = 0;
    for (uint64_t slot = 0; slot < 10000; slot++) {
        row = row_of(slot, (int64_t)slot, NULL, filler);
        ht_met_rows_note(&met, &row);
        kept += ht_met_rows_find(&met, slot, &found);
    }
    assert_true(kept > 3000 && kept * 1024 < HT_MET_ROWS_BYTES);
    assert_true(ht_met_rows_find(&met, 0, &found)); /* those that came first stay */
    ht_met_rows_clear(&met);
}

static void without_memory_nothing_is_noted(void **state) {
    (void)state;
    ht_row rows[] = {row_of(1, 1, NULL, NULL), row_of(2, 2, "{}", "d")}, found;
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t n = 1, hit = true; hit; n++) {
            ht_met_rows met = {.levels = {NULL}};
            alloc_fault_arm(n, false);
            ht_met_rows_note(&met, &rows[i]);
            hit = alloc_fault_hit();
            alloc_fault_arm(0, false);
            assert_int_equal(ht_met_rows_find(&met, rows[i].slot, &found), !hit);
            ht_met_rows_clear(&met);
            assert_int_equal(alloc_fault_live(), 0);
        }
    }
}

int main(void) {
    alloc_fault_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(an_id_is_no_row),
        cmocka_unit_test(there_is_an_end_to_it),
        cmocka_unit_test(without_memory_nothing_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
