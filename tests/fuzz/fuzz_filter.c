/*
 * fuzz_filter.c: filters from outside, and columns against the row-by-row evaluator. The input: a filter, then rows,
 * each with a 0xff before it, a byte that no UTF-8 has. A row is a metadata object; what is none is a row without
 * metadata. Document i is the text of row i + 1.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/column_scan.h"
#include "fuzz.h"

#define ROWS 64

typedef struct rows {
    ht_text text[ROWS];
    json_t *json[ROWS];
    size_t count;
} rows;

static void split(rows *r, const char *text, size_t bytes) {
    hither_error err;
    for (const char *end = text + bytes; text < end && r->count < ROWS;) {
        const char *cut = memchr(text + 1, 0xff, (size_t)(end - text - 1));
        size_t n = (size_t)((cut ? cut : end) - text - 1);
        json_t *json = NULL;
        if (ht_json_parse(text + 1, n, HITHER_MAX_TEXT_BYTES, "row", &json, &err) == HITHER_OK &&
            !json_is_object(json)) {
            json_decref(json);
            json = NULL;
        }
        r->json[r->count] = json;
        r->text[r->count++] = (ht_text){text + 1, n};
        text = cut ? cut : end;
    }
}

static hither_status hand_out(void *ctx, uint64_t begin, uint64_t end,
                              hither_status (*each)(void *arg, uint64_t slot, ht_text metadata), void *arg,
                              hither_error *err) {
    const rows *r = ctx;
    (void)err;
    for (uint64_t i = begin; i < end; i++)
        HT_TRY(each(arg, i, r->json[i] ? r->text[i] : (ht_text){0}));
    return HITHER_OK;
}

static void compare(const ht_filter *f, rows *r) {
    hither_error err;
    ht_columns columns;
    ht_scan scan;
    const ht_field_column **found = ht_calloc(f->field_count, sizeof *found);
    ht_column_source source = {.rows = hand_out, .ctx = r};
    bool complete = false;
    uint64_t parsed = 0, least[HT_CELLS / 64], most[HT_CELLS / 64];
    FUZZ_HOLDS(found && ht_columns_init(&columns, &err) == HITHER_OK);
    for (uint64_t limit = r->count / 2; limit <= r->count; limit += r->count - r->count / 2 + !r->count)
        FUZZ_HOLDS(ht_columns_cover(&columns, f, limit, &source, found, &complete, &parsed, &err) == HITHER_OK);
    FUZZ_HOLDS(complete == (f->field_count <= HT_COLUMNS_MAX));
    if (complete) {
        FUZZ_HOLDS(ht_scan_prepare(&scan, f, found, &err) == HITHER_OK);
        ht_scan_words(&scan, HT_AT_LEAST, 0, r->count, least);
        ht_scan_words(&scan, HT_AT_MOST, 0, r->count, most);
        for (size_t i = 0; i < r->count; i++) {
            ht_text document = i + 1 < r->count ? r->text[i + 1] : (ht_text){0};
            bool wanted = ht_filter_matches(f, r->json[i], document);
            FUZZ_HOLDS(ht_scan_slot(&scan, i, document) == wanted);
            FUZZ_HOLDS((least[0] >> i & 1) <= wanted && wanted <= (most[0] >> i & 1));
            FUZZ_HOLDS(f->documents || least[0] == most[0]);
        }
        ht_scan_clear(&scan);
    }
    ht_columns_clear(&columns);
    ht_release((void *)found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static rows r;
    hither_error err;
    ht_filter *f = NULL;
    const char *text = (const char *)data;
    const char *cut = size ? memchr(text, 0xff, size) : NULL;
    size_t first = cut ? (size_t)(cut - text) : size;
    hither_status status = ht_filter_parse(text, first, &f, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (f != NULL));
    if (status != HITHER_OK) {
        FUZZ_HOLDS(status != HITHER_NOMEM && strncmp(err.message, "where", 5) == 0);
        FUZZ_HOLDS(ht_utf8_valid_prefix(err.message, strlen(err.message)) == strlen(err.message));
        return 0;
    }
    memset(&r, 0, sizeof r);
    if (cut)
        split(&r, cut, size - first);
    compare(f, &r);
    for (size_t i = 0; i < r.count; i++)
        json_decref(r.json[i]);
    ht_filter_free(f);
    return 0;
}
