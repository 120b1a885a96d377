/*
 * segment.c: one open segment: made, opened, written, synced, read through a map, checked.
 *
 * What must stay true: a file has its full size from birth and never changes it, so no map can run past its end; rows
 * are written before the catalog counts them and never after; a sync that failed is never tried again. Writing is for
 * the holder of the engine's writer lock; everything else is for any thread.
 */
#include "store/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "store/inside.h"

enum {
    RESERVE_STEP = 64 << 20,
    START_SYNC = 256 << 10,
    SPACE_UNIT = 4096,
    MIB = 1 << 20,
    LARGEST_ORDINAL = 10 /* 1,024 MiB */
};

/* ---- checksums */

static uint32_t sum_slot(uint64_t slot) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(slot >> (8 * i));
    return ht_crc32c(0, bytes, sizeof bytes);
}

enum { TAG_MISSING = 0, TAG_INT = 1, TAG_TEXT = 2 };

static uint32_t sum_part(uint32_t crc, unsigned char tag, const void *data, size_t bytes) {
    unsigned char head[5] = {tag};
    for (int i = 0; i < 4; i++)
        head[1 + i] = (unsigned char)(bytes >> (8 * i));
    crc = ht_crc32c(crc, head, sizeof head);
    return bytes > 0 ? ht_crc32c(crc, data, bytes) : crc;
}

static uint32_t sum_text(uint32_t crc, ht_text text) {
    return text.data ? sum_part(crc, TAG_TEXT, text.data, text.bytes) : sum_part(crc, TAG_MISSING, NULL, 0);
}

uint32_t ht_row_sum(uint64_t slot, ht_id_kind kind, int64_t int_id, ht_text text_id, ht_text metadata,
                    ht_text document) {
    uint32_t crc = sum_slot(slot);
    if (kind == HT_ID_INT) {
        unsigned char bytes[8];
        for (int i = 0; i < 8; i++)
            bytes[i] = (unsigned char)((uint64_t)int_id >> (8 * i));
        crc = sum_part(crc, TAG_INT, bytes, sizeof bytes);
    } else {
        crc = sum_text(crc, text_id);
    }
    return sum_text(sum_text(crc, metadata), document);
}

ht_row_sums ht_row_sums_make(uint64_t slot, const void *vector, size_t vector_bytes, const hither_ids *ids, size_t i,
                             ht_text metadata, ht_text document) {
    ht_row_sums sums;
    sums.vector = sum_slot(slot);
    if (vector)
        sums.vector = ht_crc32c(sums.vector, vector, vector_bytes);
    if (ht_ids_are_ints(ids))
        sums.row = ht_row_sum(slot, HT_ID_INT, ids->ints[i], (ht_text){0}, metadata, document);
    else
        sums.row = ht_row_sum(slot, HT_ID_TEXT, 0, ht_strings_at(&ids->strings, i), metadata, document);
    return sums;
}

ht_row_sums ht_segment_sums(const ht_segment *segment, uint64_t position) {
    ht_row_sums sums;
    memcpy(&sums, segment->map + segment->header.sums_offset + position * sizeof sums, sizeof sums);
    return sums;
}

bool ht_segment_row_ok(const ht_segment *segment, uint64_t position) {
    const ht_segment_header *h = &segment->header;
    const unsigned char *row = segment->map + h->rows_offset + position * h->stride;
    size_t bytes = ht_vector_bytes((hither_dtype)h->dtype, h->dim);
    uint32_t start = sum_slot(h->first_slot + position), sum = ht_segment_sums(segment, position).vector;
    for (size_t i = bytes; i < h->stride; i++) {
        if (row[i] != 0)
            return false;
    }
    if (ht_crc32c(start, row, bytes) == sum)
        return true;
    /* A row without a vector: the sum is of the slot alone, the bytes are zero. */
    if (sum != start)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (row[i] != 0)
            return false;
    }
    return true;
}

ht_row_sums ht_segment_mark(const ht_segment *segment, uint64_t position) {
    return (ht_row_sums){.vector = sum_slot(segment->header.first_slot + position), .row = 0};
}

bool ht_segment_dropped(const ht_segment *segment, uint64_t position) {
    if (segment->state == HT_SEGMENT_WHOLE)
        return false;
    ht_row_sums sums = ht_segment_sums(segment, position), mark = ht_segment_mark(segment, position);
    return sums.vector == mark.vector && sums.row == mark.row;
}

hither_status ht_segment_check(const ht_segment *segment, uint64_t begin, uint64_t end, hither_error *err) {
    const ht_segment_header *h = &segment->header;
    for (uint64_t position = begin; position < end; position++) {
        if (!ht_segment_row_ok(segment, position))
            return ht_fail(err, HITHER_CORRUPT,
                           "%s: the vector of slot %" PRIu64 " (offset %" PRIu64 ") fails its checksum", segment->name,
                           h->first_slot + position, h->rows_offset + position * h->stride);
    }
    return HITHER_OK;
}

/* A checksum of the sums as bytes, and beside it a hash of them in four lanes, as one lane would wait for its product.
 */
void ht_segment_digest(const ht_segment *segment, uint64_t begin, uint64_t end, uint64_t digest[2]) {
    const ht_segment_header *h = &segment->header;
    const unsigned char *table = segment->map + h->sums_offset;
    uint64_t lanes[4] = {h->first_slot + begin, end - begin, h->dtype, h->dim};
    uint32_t crc = ht_crc32c((uint32_t)digest[0], lanes, sizeof lanes);
    crc = ht_crc32c(crc, table + begin * sizeof(ht_row_sums), (size_t)(end - begin) * sizeof(ht_row_sums));
    for (uint64_t i = begin; i < end; i++) {
        uint64_t sums, *lane = &lanes[i % 4];
        memcpy(&sums, table + i * sizeof sums, sizeof sums);
        *lane = (*lane ^ sums) * 0x9e3779b97f4a7c15u;
        *lane ^= *lane >> 32;
    }
    for (size_t i = 0; i < 4; i++)
        digest[1] = ht_mix64(digest[1] * 0x100000001b3u + lanes[i]);
    digest[0] = crc;
}

/* ---- life */

static void describe(ht_segment *segment, const ht_segment_header *h, uint64_t committed) {
    char file[HT_SEGMENT_NAME_BYTES];
    ht_segment_name_write(file, h->cid, h->sid);
    snprintf(segment->name, sizeof segment->name, "seg/%s", file);
    segment->header = *h;
    segment->info = (ht_segment_info){.sid = h->sid,
                                      .cid = h->cid,
                                      .field = h->field,
                                      .dtype = (hither_dtype)h->dtype,
                                      .dim = h->dim,
                                      .stride = h->stride,
                                      .first_slot = h->first_slot,
                                      .capacity = h->capacity,
                                      .committed = committed};
}

static hither_status map(ht_segment *segment, hither_error *err) {
    const void *data = NULL;
    HT_TRY(segment->io->map(segment->file, (size_t)segment->header.file_bytes, &data, err));
    segment->map = data;
    return HITHER_OK;
}

ht_segment *ht_segment_acquire(ht_segment *segment) {
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    return segment;
}

void ht_segment_release(ht_segment *segment) {
    if (!segment || atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) != 1)
        return;
    if (segment->file) {
        if (segment->map)
            segment->io->unmap(segment->file, segment->map, (size_t)segment->header.file_bytes);
        segment->io->close(segment->file);
    }
    ht_release(segment);
}

const ht_segment_info *ht_segment_describe(const ht_segment *segment) { return &segment->info; }
bool ht_segment_sparse(const ht_segment *segment) { return segment->state != HT_SEGMENT_WHOLE; }
const void *ht_segment_rows(const ht_segment *segment) { return segment->map + segment->header.rows_offset; }
void ht_segment_commit(ht_segment *segment, uint64_t committed) { segment->info.committed = committed; }

static hither_status new_object(ht_store *store, const ht_segment_header *header, uint64_t committed, int64_t state,
                                ht_segment **out, hither_error *err) {
    ht_segment *segment = ht_calloc(1, sizeof *segment);
    if (!segment)
        return ht_fail_nomem(err, sizeof *segment, "a segment");
    atomic_init(&segment->references, 1);
    segment->store = store;
    segment->io = store->io;
    segment->state = state;
    describe(segment, header, committed);
    *out = segment;
    return HITHER_OK;
}

static hither_status check_file(ht_segment *segment, const ht_segment_header *expect, hither_error *err) {
    const ht_io *io = segment->io;
    unsigned char bytes[HT_SEGMENT_HEADER_BYTES];
    ht_segment_header found;
    uint64_t size;
    HT_TRY(io->file_size(segment->file, &size, err));
    if (size < HT_SEGMENT_HEADER_BYTES)
        return ht_fail(err, HITHER_CORRUPT, "%s ends at byte %" PRIu64 ", inside its header", segment->name, size);
    HT_TRY(io->read_at(segment->file, bytes, sizeof bytes, 0, err));
    HT_TRY(ht_segment_header_read(bytes, segment->name, &found, err));
    HT_TRY(ht_segment_header_compare(&found, expect, segment->name, err));
    if (size != found.file_bytes)
        return ht_fail(err, HITHER_CORRUPT, "%s has %" PRIu64 " bytes instead of %" PRIu64, segment->name, size,
                       found.file_bytes);
    return HITHER_OK;
}

hither_status ht_segment_open(ht_store *store, const ht_segment_header *expect, uint64_t committed, int64_t state,
                              ht_segment **out, hither_error *err) {
    const ht_io *io = store->io;
    ht_segment *segment = NULL;
    HT_TRY(new_object(store, expect, committed, state, &segment, err));
    char *path = ht_path_join(store->path, segment->name);
    hither_status status = path ? HITHER_OK : ht_fail_nomem(err, strlen(store->path), "a path");
    if (status == HITHER_OK)
        status = io->open(io->ctx, path, store->readonly ? 0 : HT_IO_WRITE, &segment->file, err);
    if (status == HITHER_OK)
        status = check_file(segment, expect, err);
    if (status == HITHER_OK)
        status = map(segment, err);
    ht_release(path);
    if (status != HITHER_OK) {
        ht_segment_release(segment);
        return status;
    }
    *out = segment;
    return HITHER_OK;
}

/* ---- making one */

/* Space for everything up to `end`, so that running out is noticed before a byte is written. */
static hither_status reserve(ht_segment *segment, uint64_t end, hither_error *err) {
    uint64_t upto = end < segment->header.file_bytes ? end : segment->header.file_bytes;
    if (upto <= segment->reserved)
        return HITHER_OK;
    HT_TRY(segment->io->reserve(segment->file, segment->reserved, upto - segment->reserved, err));
    segment->reserved = upto;
    return HITHER_OK;
}

/* A failed sync leaves it unknown what is on the disk: nothing may be built on it. */
static hither_status or_poison(ht_store *store, hither_status status) {
    if (status != HITHER_OK)
        ht_store_poison(store);
    return status;
}

static hither_status write_new(ht_segment *segment, uint64_t bytes_reserved, const char *tmp, const char *path,
                               hither_error *err) {
    ht_store *store = segment->store;
    const ht_io *io = store->io;
    unsigned char bytes[HT_SEGMENT_HEADER_BYTES];
    ht_segment_header_write(&segment->header, bytes);
    HT_TRY(io->resize(segment->file, segment->header.file_bytes, err));
    HT_TRY(reserve(segment, bytes_reserved, err));
    HT_TRY(io->write_at(segment->file, bytes, sizeof bytes, 0, err));
    HT_TRY(map(segment, err));
    HT_TRY(or_poison(store, io->sync(segment->file, err)));
    HT_TRY(io->rename(io->ctx, tmp, path, err));
    return or_poison(store, io->sync_folder(io->ctx, store->segment_path, err));
}

hither_status ht_segment_create(ht_store *store, const ht_collection_row *collection, uint64_t first_slot,
                                size_t ordinal, ht_segment **out, hither_error *err) {
    HT_TRY(ht_store_writable(store, err));
    ht_segment_header h = {.cid = collection->cid,
                           .dtype = collection->dtype,
                           .dim = collection->width,
                           .first_slot = first_slot,
                           .capacity = 64};
    HT_TRY(ht_segment_header_complete(&h, err));
    uint64_t rows = ((uint64_t)MIB << (ordinal < LARGEST_ORDINAL ? ordinal : LARGEST_ORDINAL)) / h.stride / 64 * 64;
    h.capacity = rows > 64 ? rows : 64;
    HT_TRY(ht_segment_header_complete(&h, err));
    return ht_segment_make(store, &h, (h.rows_offset + RESERVE_STEP) / RESERVE_STEP * RESERVE_STEP, HT_SEGMENT_WHOLE,
                           out, err);
}

hither_status ht_segment_make(ht_store *store, ht_segment_header *header, uint64_t bytes_reserved, int64_t state,
                              ht_segment **out, hither_error *err) {
    const ht_io *io = store->io;
    ht_segment *segment = NULL;
    /* Numbers of segments that never got into the catalog are used again, but only after their files are gone. */
    header->sid = store->next_sid;
    sqlite3_randomness(sizeof header->uuid, header->uuid);
    HT_TRY(new_object(store, header, 0, state, &segment, err));
    char *tmp = ht_path_join(store->tmp_path, segment->name + sizeof "seg/" - 1);
    char *path = ht_path_join(store->path, segment->name);
    hither_status status = tmp && path ? HITHER_OK : ht_fail_nomem(err, strlen(store->path), "a path");
    if (status == HITHER_OK)
        status = io->open(io->ctx, tmp, HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &segment->file, err);
    if (status == HITHER_OK) {
        store->next_sid++;
        status = write_new(segment, bytes_reserved, tmp, path, err);
        /* Whichever name it has by now; what stays behind is cleared away by the next open. */
        if (status != HITHER_OK && io->remove(io->ctx, tmp, NULL) != HITHER_OK && io->remove(io->ctx, path, NULL)) {
            /* nothing more to be done */
        }
    }
    ht_release(tmp);
    ht_release(path);
    if (status != HITHER_OK) {
        ht_segment_release(segment);
        return status;
    }
    *out = segment;
    return HITHER_OK;
}

/* ---- writing */

static hither_status check_place(const ht_segment *segment, uint64_t position, size_t count, hither_error *err) {
    const ht_segment_header *h = &segment->header;
    /* After a commit whose end is unknown, these very rows may be committed ones. */
    HT_TRY(ht_store_writable(segment->store, err));
    if (position > h->capacity || count > h->capacity - position)
        return ht_fail(err, HITHER_INVALID, "%s has room for %" PRIu64 " rows, not for row %" PRIu64 " and %zu more",
                       segment->name, h->capacity, position, count);
    return HITHER_OK;
}

/* A step at a time, for many writes will follow. */
hither_status ht_segment_reserve(ht_segment *segment, uint64_t position, size_t count, hither_error *err) {
    const ht_segment_header *h = &segment->header;
    HT_TRY(check_place(segment, position, count, err));
    uint64_t begin = h->rows_offset + position * h->stride, end = begin + count * h->stride;
    /* The holes of a sparse one stay: its table was reserved when it was made, and its rows are written from here on.
     */
    if (segment->state != HT_SEGMENT_WHOLE && segment->reserved < begin / SPACE_UNIT * SPACE_UNIT)
        segment->reserved = begin / SPACE_UNIT * SPACE_UNIT;
    return end <= segment->reserved ? HITHER_OK
                                    : reserve(segment, (end + RESERVE_STEP - 1) / RESERVE_STEP * RESERVE_STEP, err);
}

hither_status ht_segment_write(ht_segment *segment, uint64_t position, size_t count, const void *rows,
                               const ht_row_sums *sums, hither_error *err) {
    const ht_segment_header *h = &segment->header;
    const ht_io *io = segment->io;
    HT_TRY(ht_segment_reserve(segment, position, count, err));
    HT_TRY(io->write_at(segment->file, rows, count * (size_t)h->stride, h->rows_offset + position * h->stride, err));
    HT_TRY(io->write_at(segment->file, sums, count * sizeof *sums, h->sums_offset + position * sizeof *sums, err));
    /* The disk works while the catalog is written; a small write is better left to the sync alone. */
    if (io->start_sync && !segment->store->unsynced && count * h->stride >= START_SYNC)
        io->start_sync(segment->file, h->rows_offset + position * h->stride, count * h->stride);
    return HITHER_OK;
}

hither_status ht_segment_sync(ht_segment *segment, hither_error *err) {
    ht_store *store = segment->store;
    if (!store->unsynced)
        return or_poison(store, segment->io->sync(segment->file, err));
    if (!segment->to_sync) {
        segment->to_sync = true;
        segment->next_to_sync = store->to_sync;
        store->to_sync = ht_segment_acquire(segment);
    }
    return HITHER_OK;
}

hither_status ht_segments_sync(ht_store *store, hither_error *err) {
    for (ht_segment *s = store->to_sync; s; s = s->next_to_sync)
        HT_TRY(or_poison(store, s->io->sync(s->file, err)));
    ht_segments_let_go(store);
    return HITHER_OK;
}

void ht_segments_let_go(ht_store *store) {
    while (store->to_sync) {
        ht_segment *s = store->to_sync;
        store->to_sync = s->next_to_sync;
        s->to_sync = false;
        ht_segment_release(s);
    }
}
