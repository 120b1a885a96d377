/*
 * fuzz_csv.c: any bytes as a CSV import. Every row is whole and checked, has a metadata object that parses, and no
 * record is made of more bytes than the file has.
 */
#include "../../cli/import.c"
#include "../../cli/import_csv.c"
#include "../../cli/npy.c"
#include "../../cli/reader.c"
#include "fuzz.h"

static void check_row(const ht_row *row, size_t size) {
    hither_error err;
    FUZZ_HOLDS(row->vector || row->document.data);
    FUZZ_HOLDS(row->document.bytes <= size && row->id_text.data);
    FUZZ_HOLDS(ht_utf8_valid_prefix(row->document.data, row->document.bytes) == row->document.bytes);
    FUZZ_HOLDS(!row->metadata.data ||
               ht_json_check_object(row->metadata.data, row->metadata.bytes, "metadata", &err) == HITHER_OK);
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
    hither_status status = ht_source_csv(&r, &fields, &source, &err);
    while (status == HITHER_OK && !end) {
        ht_row row;
        status = source->next(source, &row, &end, &err);
        if (status == HITHER_OK && !end)
            check_row(&row, size);
    }
    FUZZ_HOLDS(status == HITHER_OK || (*err.message && status != HITHER_NOMEM));
    ht_source_close(source);
    return 0;
}
