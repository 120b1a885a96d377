/*
 * fuzz_tensors.c: a safetensors file from outside: opened, and arrays of a few shapes and names read from it.
 */
#include <math.h>
#include <string.h>

#include "embed/tensors.h"
#include "fuzz.h"

static void read_all(const ht_io *io) {
    static const char *const names[] = {"a", "b", "c", "embeddings.LayerNorm.bias"};
    ht_tensors *tensors = NULL;
    hither_error err;
    float numbers[64];
    hither_status status = ht_tensors_open(io, "/model", &tensors, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (tensors != NULL));
    for (size_t i = 0; tensors && i < sizeof names / sizeof *names; i++) {
        for (size_t rows = 1; rows <= 4; rows *= 2) {
            for (size_t columns = 1; columns <= 16; columns *= 2) {
                status = ht_tensors_read(tensors, names[i], rows, columns, numbers, &err);
                FUZZ_HOLDS(status != HITHER_OK || ht_tensors_has(tensors, names[i]));
                for (size_t j = 0; status == HITHER_OK && j < rows * columns; j++)
                    FUZZ_HOLDS(isfinite(numbers[j]));
            }
        }
    }
    ht_tensors_close(tensors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_io *io;
    ht_file *file;
    hither_error err;
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    FUZZ_HOLDS(io->open(io->ctx, "/model", HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
    if (size)
        FUZZ_HOLDS(io->write_at(file, data, size, 0, &err) == HITHER_OK);
    io->close(file);
    read_all(io);
    ht_io_ram_free(io);
    return 0;
}
