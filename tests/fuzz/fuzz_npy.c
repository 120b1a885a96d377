/*
 * fuzz_npy.c: any bytes as an .npy file. What is read has as many finite values as the header says and the file holds,
 * and written again and read again it is the same.
 */
#include <math.h>

#include "../../cli/npy.c"
#include "../../cli/reader.c"
#include "fuzz.h"

static void check_again(const float *values, size_t rows, uint32_t dim) {
    ht_buf file;
    ht_reader r;
    float *again;
    size_t again_rows;
    uint32_t again_dim;
    ht_buf_init(&file, SIZE_MAX / 2);
    ht_npy_header(&file, rows, dim);
    ht_buf_put(&file, values, rows * dim * sizeof *values);
    ht_reader_memory(&r, "FILE", file.data, file.size);
    FUZZ_HOLDS(ht_npy_read(&r, &again, &again_rows, &again_dim, NULL) == HITHER_OK);
    FUZZ_HOLDS(again_rows == rows && again_dim == dim && !memcmp(again, values, rows * dim * sizeof *values));
    ht_release(again);
    ht_buf_clear(&file);
}

/* The same bytes as an array of any type, row by row as they stand in the file. */
static void look_at_any(const uint8_t *data, size_t size) {
    ht_reader r;
    ht_npy npy;
    char *rows;
    hither_error err = {0};
    ht_reader_memory(&r, "FILE", data, size);
    hither_status status = ht_npy_open_any(&npy, &r, &err);
    if (status == HITHER_OK) {
        status = ht_npy_read_raw(&npy, &rows, &err);
        if (status == HITHER_OK) {
            FUZZ_HOLDS(npy.dim * npy.item * npy.rows <= size && strchr("fiu", npy.kind));
            FUZZ_HOLDS(!memcmp(rows, data + (size - npy.dim * npy.item * npy.rows), npy.dim * npy.item * npy.rows));
            ht_release(rows);
        }
    }
    FUZZ_HOLDS(status == HITHER_OK || *err.message);
    ht_npy_close(&npy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_reader r;
    hither_error err = {0};
    float *values;
    size_t rows;
    uint32_t dim;
    look_at_any(data, size);
    ht_reader_memory(&r, "FILE", data, size);
    hither_status status = ht_npy_read(&r, &values, &rows, &dim, &err);
    FUZZ_HOLDS(status == HITHER_OK || (*err.message && status != HITHER_NOMEM));
    if (status != HITHER_OK)
        return 0;
    FUZZ_HOLDS(dim > 0 && dim <= HITHER_MAX_DIM && rows <= size / 2);
    for (size_t i = 0; i < rows * dim; i++)
        FUZZ_HOLDS(isfinite(values[i]));
    check_again(values, rows, dim);
    ht_release(values);
    return 0;
}
