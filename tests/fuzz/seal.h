/*
 * seal.h: what the targets share that read a container (docs/format.md). The input stands as a file in memory twice: as
 * it came, and with every checksum made right that its header and directory lead to, so that what is behind the
 * checksums is reached. One thread.
 */
#ifndef HT_FUZZ_SEAL_H
#define HT_FUZZ_SEAL_H

#include <string.h>

#include "base/crc32c.h"
#include "base/io.h"
#include "fuzz.h"

#define SEAL_PATH "f"

enum { SEAL_PAGE = 4096, SEAL_BLOCK = 65536, SEAL_HEADER_CRC = 68 };

static uint64_t seal_number(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void seal_u32(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }

static void seal(uint8_t *file, size_t size) {
    if (size < SEAL_PAGE)
        return;
    uint64_t sections = seal_number(file + 32), directory = seal_number(file + 40), bytes = seal_number(file + 48);
    if (sections > 64 || directory > size || bytes > size - directory || bytes < sections * 32)
        return;
    uint8_t *sums = file + directory + sections * 32, *end = file + directory + bytes;
    for (uint64_t i = 0; i < sections; i++) {
        const uint8_t *section = file + directory + i * 32;
        uint64_t at = seal_number(section + 16), left = seal_number(section + 24);
        if (at > size || left > size - at)
            break;
        for (; left > 0 && end - sums >= 4; sums += 4) {
            uint64_t n = left < SEAL_BLOCK ? left : SEAL_BLOCK;
            seal_u32(sums, ht_crc32c(0, file + at, (size_t)n));
            at += n;
            left -= n;
        }
    }
    seal_u32(file + SEAL_HEADER_CRC - 4, ht_crc32c(0, file + directory, (size_t)bytes));
    seal_u32(file + SEAL_HEADER_CRC, ht_crc32c(0, file, SEAL_HEADER_CRC));
}

/* look is called for each of the two; every byte is at SEAL_PATH, and whatever else it leaves there is its own. */
typedef void (*seal_look_fn)(ht_io *io, size_t size);

static inline void seal_put(ht_io *io, const uint8_t *data, size_t size) {
    hither_error err;
    ht_file *file = NULL;
    FUZZ_HOLDS(io->open(io->ctx, SEAL_PATH, HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
    if (size)
        FUZZ_HOLDS(io->write_at(file, data, size, 0, &err) == HITHER_OK);
    io->close(file);
}

static inline void seal_look(const uint8_t *data, size_t size, seal_look_fn look) {
    ht_io *io = NULL;
    hither_error err;
    uint8_t *sealed = malloc(size ? size : 1);
    FUZZ_HOLDS(sealed != NULL);
    if (size)
        memcpy(sealed, data, size);
    seal(sealed, size);
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    const uint8_t *const files[] = {data, sealed};
    for (int i = 0; i < 2; i++) {
        seal_put(io, files[i], size);
        look(io, size);
        FUZZ_HOLDS(io->remove(io->ctx, SEAL_PATH, &err) == HITHER_OK);
    }
    ht_io_ram_free(io);
    free(sealed);
}

#endif
