/*
 * fuzz_jsonl.c: any bytes as a JSONL import. Every row is whole and checked, and its metadata is the line's object
 * without the id, text and vector, as jansson alone would have it.
 */
#include "../../cli/import.c"
#include "../../cli/import_jsonl.c"
#include "../../cli/npy.c"
#include "../../cli/reader.c"
#include "fuzz.h"

static void check_metadata(const jsonl_source *s, const ht_row *row) {
    json_t *twin = json_deep_copy(s->parsed);
    const bool document = json_object_get(twin, "document") || !json_object_get(twin, "text");
    const bool vector = json_object_get(twin, "vector") || !json_object_get(twin, "embedding");
    json_object_del(twin, "id");
    json_object_del(twin, document ? "document" : "text");
    json_object_del(twin, vector ? "vector" : "embedding");
    FUZZ_HOLDS((json_object_size(twin) > 0) == (row->metadata.data != NULL));
    if (row->metadata.data) {
        json_t *found =
            json_loadb(row->metadata.data, row->metadata.bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        FUZZ_HOLDS(found && json_equal(found, twin));
        json_decref(found);
    }
    json_decref(twin);
}

static void check_row(const ht_row *row) {
    FUZZ_HOLDS(row->vector || row->document.data);
    FUZZ_HOLDS(ht_utf8_valid_prefix(row->document.data, row->document.bytes) == row->document.bytes);
    FUZZ_HOLDS(!row->vector || (row->dim > 0 && row->dim <= HITHER_MAX_DIM));
    for (uint32_t i = 0; row->vector && i < row->dim; i++)
        FUZZ_HOLDS(isfinite(row->vector[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_reader r;
    ht_source *source;
    hither_error err = {0};
    const ht_fields fields = {0};
    bool end = false;
    ht_reader_memory(&r, "FILE", data, size);
    hither_status status = ht_source_jsonl(&r, &fields, &source, &err);
    while (status == HITHER_OK && !end) {
        ht_row row;
        status = source->next(source, &row, &end, &err);
        if (status == HITHER_OK && !end) {
            check_row(&row);
            check_metadata((const jsonl_source *)source, &row);
        }
    }
    FUZZ_HOLDS(status == HITHER_OK || (*err.message && status != HITHER_NOMEM));
    ht_source_close(source);
    return 0;
}
