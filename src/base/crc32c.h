/*
 * crc32c.h: CRC-32C (Castagnoli), the checksum of every byte hither writes. Uses the processor's instruction where
 * there is one, a table elsewhere; both are tested against each other. ht_crc32c(0, ...) starts; feed the result back
 * in to go on. Any thread.
 */
#ifndef HT_BASE_CRC32C_H
#define HT_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t ht_crc32c(uint32_t crc, const void *data, size_t bytes);
uint32_t ht_crc32c_table(uint32_t crc, const void *data, size_t bytes); /* the slow twin */

#endif
