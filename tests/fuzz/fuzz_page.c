/*
 * fuzz_page.c: tokens of pages and paths of fields from outside. The input: a token, a line end, a path. The collection
 * is one and the same for all inputs: 40 rows, of which five died after the commit that most tokens in the corpus name.
 */
#include <string.h>

#include "fuzz.h"
#include "hither.h"

enum { ROWS = 40, DEAD = 5 };

static hither_collection *make(void) {
    static int64_t ids[ROWS];
    static float vectors[ROWS];
    static char text[ROWS * 80];
    static uint64_t offsets[ROWS + 1];
    static const char *const values[] = {"1", "1.0", "\"a\"", "true", "null", "[1,\"a\",[2]]", "{\"x\":-1e300}"};
    hither_error err;
    hither_db *db;
    hither_collection *c;
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)i;
        vectors[i] = (float)i;
        offsets[i + 1] = offsets[i] + (uint64_t)snprintf(text + offsets[i], 80, "{\"x\":%s,\"a.b\":%zu,\"$c\":\"%zu\"}",
                                                         values[i % 7], i % 3, i);
    }
    hither_batch b = {.size = sizeof b, .ids = {.ints = ids, .count = ROWS}};
    b.vectors = (hither_matrix){vectors, ROWS, 1, 0, HITHER_F32};
    b.metadata = (hither_strings){text, offsets, ROWS, NULL};
    hither_ids dead = {.ints = ids + 7, .count = DEAD};
    FUZZ_HOLDS(hither_db_open(":memory:", NULL, &db, &err) == HITHER_OK);
    FUZZ_HOLDS(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = 1), &c, &err) ==
               HITHER_OK);
    FUZZ_HOLDS(hither_collection_put(c, HITHER_INSERT, &b, NULL, &err) == HITHER_OK);
    FUZZ_HOLDS(hither_collection_delete(c, &dead, NULL, NULL, &err) == HITHER_OK);
    hither_db_close(db);
    return c;
}

/* The token of an honest listing leads on; any other is refused, or says that its version is gone. */
static void go_on(hither_collection *c, const char *token) {
    hither_error err;
    hither_result *r = NULL;
    hither_status status =
        hither_collection_page(c, HITHER_OPTIONS(hither_page_options, .after = token, .limit = 3), &r, &err);
    FUZZ_HOLDS(status == HITHER_OK || status == HITHER_INVALID || status == HITHER_STALE);
    FUZZ_HOLDS((status == HITHER_OK) == (r != NULL));
    FUZZ_HOLDS(!r || hither_result_count(r, 0) <= 3);
    hither_result_free(r);
}

static void order(hither_collection *c, const char *path) {
    hither_error err;
    hither_result *r = NULL, *counts = NULL;
    hither_status status =
        hither_collection_page(c, HITHER_OPTIONS(hither_page_options, .order_by = path, .descending = 1), &r, &err);
    FUZZ_HOLDS(status == HITHER_OK || status == HITHER_INVALID || status == HITHER_TOO_LARGE ||
               status == HITHER_ENCODING);
    FUZZ_HOLDS(!r || hither_result_count(r, 0) == ROWS - DEAD);
    FUZZ_HOLDS(hither_collection_facets(c, path, NULL, 0, &counts, &err) == status);
    FUZZ_HOLDS(!counts || hither_result_count(counts, 0) <= ROWS);
    hither_result_free(r);
    hither_result_free(counts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static hither_collection *c;
    if (!c)
        c = make();
    char *text = malloc(size + 1);
    FUZZ_HOLDS(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    char *path = strchr(text, '\n');
    if (path)
        *path++ = '\0';
    go_on(c, text);
    if (path)
        order(c, path);
    free(text);
    return 0;
}
