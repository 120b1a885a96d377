/* seal.h: makes every checksum of a container right whose header and directory can be followed (docs/format.md), so
 * that what is behind the checksums is reached. */
#ifndef HT_FUZZ_SEAL_H
#define HT_FUZZ_SEAL_H

#include <string.h>

#include "base/crc32c.h"

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

#endif
