/*
 * fuzz_jsonl.c: any bytes as a JSONL import. Every row is whole and checked, and its metadata is the line's object
 * without the id, text and vector, as jansson alone would have it. Then again with vector fields: what a batch takes of
 * them is whole.
 */
#include "../../cli/import.c"
#include "../../cli/import_jsonl.c"
#include "../../cli/npy.c"
#include "../../cli/reader.c"
#include "../../cli/row_fields.c"
#include "fuzz.h"

static void check_metadata(const jsonl_source *s, const ht_row *row) {
    json_t *twin = json_deep_copy(s->parsed);
    const bool document = json_object_get(twin, "document") || !json_object_get(twin, "text");
    const bool vector = json_object_get(twin, "vector") || !json_object_get(twin, "embedding");
    json_object_del(twin, "id");
    json_object_del(twin, document ? "document" : "text");
    json_object_del(twin, vector ? "vector" : "embedding");
    if (s->fields.named)
        json_object_del(twin, HT_ROW_FIELDS);
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

static const ht_field_list list = {.fields = {{.name = "a", .kind = HITHER_DENSE, .dim = 2},
                                              {.name = "b", .kind = HITHER_MULTI, .dim = 2},
                                              {.name = "c", .kind = HITHER_SPARSE}},
                                   .count = 3};

/* Every offset, index and number of the columns is there to be read. */
static void check_fields(const ht_row_fields *rows) {
    hither_named columns[HITHER_MAX_FIELDS];
    const size_t count = ht_row_fields_view(rows, columns);
    FUZZ_HOLDS(count <= list.count);
    for (size_t f = 0; f < count; f++) {
        const hither_named *named = &columns[f];
        FUZZ_HOLDS(named->count == rows->rows);
        const uint64_t end = named->offsets ? named->offsets[named->count] : named->count;
        const float *numbers = named->indices ? named->values : (const void *)named->vectors.data;
        const uint64_t width = named->indices ? 1 : named->vectors.dim;
        FUZZ_HOLDS(named->indices || named->vectors.rows == end);
        for (size_t i = 0; named->offsets && i < named->count; i++)
            FUZZ_HOLDS(named->offsets[i] <= named->offsets[i + 1]);
        uint64_t sum = 0, there = 0;
        for (uint64_t i = 0; i < end * width; i++)
            FUZZ_HOLDS(isfinite(numbers[i]));
        for (uint64_t i = 0; named->indices && i < end; i++)
            sum += named->indices[i];
        for (size_t i = 0; i < named->count; i++)
            there += named->valid[i / 8] >> i % 8 & 1;
        FUZZ_HOLDS(sum <= end * UINT32_MAX && there <= named->count);
    }
}

static void check_file(const uint8_t *data, size_t size, bool named) {
    ht_reader r;
    ht_source *source;
    hither_error err = {0};
    const ht_fields fields = {.named = named};
    ht_row_fields rows;
    bool end = false;
    ht_row_fields_init(&rows, &list);
    ht_reader_memory(&r, "FILE", data, size);
    hither_status status = ht_source_jsonl(&r, &fields, &source, &err);
    while (status == HITHER_OK && !end) {
        ht_row row;
        status = source->next(source, &row, &end, &err);
        if (status == HITHER_OK && !end) {
            check_row(&row);
            check_metadata((const jsonl_source *)source, &row);
            FUZZ_HOLDS(named || !row.fields.data);
            status = ht_row_fields_add(&rows, row.fields, "FILE", &err);
        }
    }
    FUZZ_HOLDS(status == HITHER_OK || (*err.message && status != HITHER_NOMEM));
    if (status == HITHER_OK)
        check_fields(&rows);
    ht_row_fields_clear(&rows);
    ht_source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_file(data, size, false);
    check_file(data, size, true);
    return 0;
}
