/*
 * segment_header.c: the first 4,096 bytes of a segment file, and what follows from them. Pure functions of bytes; what
 * the parser accepts has sizes that fit each other and cannot overflow. Any thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "store/segment.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "hither stores vectors in little-endian order and maps them as they are; this machine is not little-endian"
#endif

static const unsigned char magic[8] = {'h', 'i', 't', 'h', 'r', 's', 'e', 'g'};
enum { ENDIAN_MARK = 0x01020304, SUM_BYTES = 8, ROW_ALIGN = 4096, STRIDE_ALIGN = 64 };

/* Where each member lies. */
enum {
    AT_MAGIC = 0,
    AT_FORMAT = 8,
    AT_ENDIAN = 12,
    AT_CID = 16,
    AT_SID = 24,
    AT_UUID = 32,
    AT_FIELD = 48,
    AT_DTYPE = 52,
    AT_DIM = 56,
    AT_LAYOUT = 60,
    AT_STRIDE = 64,
    AT_FIRST_SLOT = 72,
    AT_CAPACITY = 80,
    AT_SUMS = 88,
    AT_ROWS = 96,
    AT_FLAGS = 104,
    AT_REST = 112, /* zeros */
    AT_CRC = HT_SEGMENT_HEADER_BYTES - 4
};

static uint32_t get_u32(const unsigned char *bytes, size_t at) {
    uint32_t value;
    memcpy(&value, bytes + at, sizeof value);
    return value;
}
static uint64_t get_u64(const unsigned char *bytes, size_t at) {
    uint64_t value;
    memcpy(&value, bytes + at, sizeof value);
    return value;
}
static void put_u32(unsigned char *bytes, size_t at, uint32_t value) { memcpy(bytes + at, &value, sizeof value); }
static void put_u64(unsigned char *bytes, size_t at, uint64_t value) { memcpy(bytes + at, &value, sizeof value); }

size_t ht_vector_bytes(hither_dtype dtype, uint32_t dim) {
    switch (dtype) {
    case HITHER_F32:
        return (size_t)dim * 4;
    case HITHER_F64:
        return (size_t)dim * 8;
    case HITHER_F16:
    case HITHER_BF16:
        return (size_t)dim * 2;
    default:
        return 0;
    }
}

static uint64_t padded(size_t bytes) { return (bytes + STRIDE_ALIGN - 1) / STRIDE_ALIGN * STRIDE_ALIGN; }

size_t ht_segment_stride(uint32_t width) { return (size_t)padded((size_t)width * sizeof(float)); }

hither_status ht_segment_header_complete(ht_segment_header *h, hither_error *err) {
    size_t bytes = ht_vector_bytes((hither_dtype)h->dtype, h->dim);
    if (bytes == 0)
        return ht_fail(err, HITHER_UNSUPPORTED, "vectors of dtype %" PRIu32 " cannot be stored yet", h->dtype);
    size_t sums, rows, total;
    h->layout = HT_SEGMENT_DENSE;
    h->stride = padded(bytes);
    h->sums_offset = HT_SEGMENT_HEADER_BYTES;
    if (!ht_mul_size(h->capacity, SUM_BYTES, &sums) || !ht_mul_size(h->capacity, h->stride, &rows) ||
        !ht_add_size(sums, HT_SEGMENT_HEADER_BYTES + ROW_ALIGN - 1, &sums) ||
        !ht_add_size(sums / ROW_ALIGN * ROW_ALIGN, rows, &total) || total > INT64_MAX ||
        h->first_slot > INT64_MAX - h->capacity)
        return ht_fail(err, HITHER_TOO_LARGE, "a segment of %" PRIu64 " rows is too large", h->capacity);
    h->rows_offset = sums / ROW_ALIGN * ROW_ALIGN;
    h->file_bytes = total;
    return HITHER_OK;
}

void ht_segment_header_write(const ht_segment_header *h, unsigned char bytes[HT_SEGMENT_HEADER_BYTES]) {
    memset(bytes, 0, HT_SEGMENT_HEADER_BYTES);
    memcpy(bytes + AT_MAGIC, magic, sizeof magic);
    put_u32(bytes, AT_FORMAT, HT_STORE_FORMAT);
    put_u32(bytes, AT_ENDIAN, ENDIAN_MARK);
    put_u64(bytes, AT_CID, (uint64_t)h->cid);
    put_u64(bytes, AT_SID, (uint64_t)h->sid);
    memcpy(bytes + AT_UUID, h->uuid, sizeof h->uuid);
    put_u32(bytes, AT_FIELD, h->field);
    put_u32(bytes, AT_DTYPE, h->dtype);
    put_u32(bytes, AT_DIM, h->dim);
    put_u32(bytes, AT_LAYOUT, h->layout);
    put_u64(bytes, AT_STRIDE, h->stride);
    put_u64(bytes, AT_FIRST_SLOT, h->first_slot);
    put_u64(bytes, AT_CAPACITY, h->capacity);
    put_u64(bytes, AT_SUMS, h->sums_offset);
    put_u64(bytes, AT_ROWS, h->rows_offset);
    put_u32(bytes, AT_CRC, ht_crc32c(0, bytes, AT_CRC));
}

static hither_status bad(const char *name, const char *what, size_t at, hither_error *err) {
    return ht_fail(err, HITHER_CORRUPT, "%s: the header's %s (offset %zu) makes no sense", name, what, at);
}

hither_status ht_segment_header_read(const unsigned char bytes[HT_SEGMENT_HEADER_BYTES], const char *name,
                                     ht_segment_header *out, hither_error *err) {
    if (memcmp(bytes + AT_MAGIC, magic, sizeof magic) != 0)
        return ht_fail(err, HITHER_CORRUPT, "%s is not a segment: its first 8 bytes are wrong", name);
    if (get_u32(bytes, AT_CRC) != ht_crc32c(0, bytes, AT_CRC))
        return ht_fail(err, HITHER_CORRUPT, "%s: the header (bytes 0 to 4095) fails its checksum", name);
    uint32_t format = get_u32(bytes, AT_FORMAT);
    if (format > HT_STORE_FORMAT)
        return ht_fail(err, HITHER_FORMAT, "%s has format %" PRIu32 "; this hither reads formats up to %d", name,
                       format, HT_STORE_FORMAT);
    if (format != HT_STORE_FORMAT)
        return bad(name, "format", AT_FORMAT, err);
    if (get_u32(bytes, AT_ENDIAN) != ENDIAN_MARK)
        return bad(name, "byte order", AT_ENDIAN, err);
    ht_segment_header h = {.cid = (int64_t)get_u64(bytes, AT_CID),
                           .sid = (int64_t)get_u64(bytes, AT_SID),
                           .field = get_u32(bytes, AT_FIELD),
                           .dtype = get_u32(bytes, AT_DTYPE),
                           .dim = get_u32(bytes, AT_DIM),
                           .first_slot = get_u64(bytes, AT_FIRST_SLOT),
                           .capacity = get_u64(bytes, AT_CAPACITY)};
    memcpy(h.uuid, bytes + AT_UUID, sizeof h.uuid);
    if (h.cid <= 0 || h.sid <= 0)
        return bad(name, "collection or segment number", AT_CID, err);
    if (h.dim < 1 || h.dim > HT_MAX_WIDTH)
        return bad(name, "dimension", AT_DIM, err);
    if (h.capacity == 0 || h.capacity % 64 != 0 || h.first_slot % 64 != 0)
        return bad(name, "first slot or capacity", AT_FIRST_SLOT, err);
    if (get_u32(bytes, AT_LAYOUT) != HT_SEGMENT_DENSE)
        return bad(name, "layout", AT_LAYOUT, err);
    HT_TRY(ht_segment_header_complete(&h, err));
    if (get_u64(bytes, AT_STRIDE) != h.stride)
        return bad(name, "row size", AT_STRIDE, err);
    if (get_u64(bytes, AT_SUMS) != h.sums_offset || get_u64(bytes, AT_ROWS) != h.rows_offset)
        return bad(name, "offsets", AT_SUMS, err);
    for (size_t i = AT_FLAGS; i < AT_CRC; i++) {
        if (bytes[i] != 0)
            return ht_fail(err, HITHER_FORMAT, "%s: byte %zu of the header means something this hither does not know",
                           name, i);
    }
    *out = h;
    return HITHER_OK;
}

hither_status ht_segment_header_compare(const ht_segment_header *file, const ht_segment_header *catalog,
                                        const char *name, hither_error *err) {
    const char *what = NULL;
    if (memcmp(file->uuid, catalog->uuid, sizeof file->uuid) != 0)
        what = "uuid";
    else if (file->cid != catalog->cid || file->sid != catalog->sid)
        what = "collection or segment number";
    else if (file->field != catalog->field)
        what = "field";
    else if (file->dtype != catalog->dtype || file->dim != catalog->dim)
        what = "dtype or dimension";
    else if (file->first_slot != catalog->first_slot || file->capacity != catalog->capacity)
        what = "first slot or capacity";
    if (what)
        return ht_fail(err, HITHER_CORRUPT, "%s: its %s is not the one the catalog has", name, what);
    return HITHER_OK;
}

void ht_segment_name_write(char name[HT_SEGMENT_NAME_BYTES], int64_t cid, int64_t sid) {
    snprintf(name, HT_SEGMENT_NAME_BYTES, "%" PRId64 "-%" PRId64 ".vec", cid, sid);
}

bool ht_segment_name_read(const char *name, int64_t *cid, int64_t *sid) {
    char *end;
    char again[HT_SEGMENT_NAME_BYTES];
    *cid = strtoll(name, &end, 10);
    if (*end != '-')
        return false;
    *sid = strtoll(end + 1, &end, 10);
    /* Written again, it must be the same: no signs, no leading zeros, nothing behind. */
    ht_segment_name_write(again, *cid, *sid);
    return *cid > 0 && *sid > 0 && strcmp(again, name) == 0;
}
