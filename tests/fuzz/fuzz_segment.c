/*
 * fuzz_segment.c: the header of a segment file. What the parser accepts has sizes that fit each other, and written
 * again gives the same bytes. An odd first byte of the input makes the checksum right, so that what lies behind it is
 * reached too: a checksum is no defence against those who can compute it.
 */
#include <string.h>

#include "base/crc32c.h"
#include "fuzz.h"
#include "store/segment.h"

enum { AT_CRC = HT_SEGMENT_HEADER_BYTES - 4 };

static void check(const ht_segment_header *h, const unsigned char *bytes) {
    unsigned char again[HT_SEGMENT_HEADER_BYTES];
    FUZZ_HOLDS(h->dim >= 1 && h->dim <= HITHER_MAX_DIM && h->cid > 0 && h->sid > 0);
    FUZZ_HOLDS(h->capacity > 0 && h->capacity % 64 == 0 && h->first_slot % 64 == 0);
    FUZZ_HOLDS(h->first_slot + h->capacity > h->first_slot);
    FUZZ_HOLDS(h->stride >= ht_vector_bytes((hither_dtype)h->dtype, h->dim) && h->stride % 64 == 0);
    FUZZ_HOLDS(h->sums_offset + h->capacity * 8 <= h->rows_offset && h->rows_offset % 4096 == 0);
    FUZZ_HOLDS((h->file_bytes - h->rows_offset) / h->stride == h->capacity);
    ht_segment_header_write(h, again);
    FUZZ_HOLDS(memcmp(again, bytes, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned char bytes[HT_SEGMENT_HEADER_BYTES] = {0};
    ht_segment_header header;
    hither_error err;
    if (size == 0)
        return 0;
    memcpy(bytes, data + 1, size - 1 < sizeof bytes ? size - 1 : sizeof bytes);
    if (data[0] & 1) {
        uint32_t sum = ht_crc32c(0, bytes, AT_CRC);
        memcpy(bytes + AT_CRC, &sum, sizeof sum);
    }
    if (ht_segment_header_read(bytes, "x", &header, &err) == HITHER_OK)
        check(&header, bytes);
    else
        FUZZ_HOLDS(err.message[0]);
    return 0;
}
