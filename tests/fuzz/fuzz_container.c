/*
 * fuzz_container.c: a file that says it is a container. Whatever its bytes, opening it, touching and verifying its
 * sections ends in a status; what verifies can be read to its last byte.
 */
#include <string.h>

#include "base/container.h"
#include "fuzz.h"

static void read_sections(ht_container *container) {
    static const char *const names[] = {"a", "rows", "codes", ""};
    hither_error err;
    bool sound = ht_container_verify(container, &err) == HITHER_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t bytes = 0;
        const uint8_t *section = ht_container_section(container, names[i], &bytes);
        if (!section)
            continue;
        hither_status status = ht_container_touch(container, names[i], 0, bytes, &err);
        FUZZ_HOLDS(!sound || status == HITHER_OK);
        unsigned sum = 0;
        for (size_t j = 0; status == HITHER_OK && j < bytes; j++)
            sum += section[j];
        FUZZ_HOLDS(sum || !sum); /* keeps the reads */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_io *io = NULL;
    ht_file *file = NULL;
    ht_container *container = NULL;
    hither_error err;
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    FUZZ_HOLDS(io->open(io->ctx, "f", HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
    if (size)
        FUZZ_HOLDS(io->write_at(file, data, size, 0, &err) == HITHER_OK);
    io->close(file);
    hither_status status = ht_container_open(io, "f", "test", &container, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (container != NULL));
    if (container)
        read_sections(container);
    ht_container_close(container);
    ht_io_ram_free(io);
    return 0;
}
