/*
 * segment.h: a segment file's header, and the object that stands for an open segment. docs/format.md has the bytes.
 */
#ifndef HT_STORE_SEGMENT_H
#define HT_STORE_SEGMENT_H

#include <stdatomic.h>

#include "store/store.h"

enum {
    HT_SEGMENT_HEADER_BYTES = 4096,
    HT_MAX_WIDTH = 1 << 20, /* numbers of a row: its own vector and those of all fields */
    HT_SEGMENT_DENSE = 0,   /* the layout: row of slot s at s - first_slot */
    HT_SEGMENT_WHOLE = 0,   /* the state: every committed slot has its row in the catalog */
    HT_SEGMENT_SPARSE = 1   /* some dead slots were dropped: see ht_segment_dropped */
};

typedef struct ht_segment_header {
    int64_t cid, sid;
    unsigned char uuid[16];
    uint32_t field, dtype, dim, layout;
    uint64_t stride, first_slot, capacity;
    uint64_t sums_offset, rows_offset, file_bytes; /* follow from the above */
} ht_segment_header;

/* Completes a header of known ids, field, dtype, dim, first slot and capacity; UNSUPPORTED for a dtype that has no
 * stored form yet, TOO_LARGE where the file would be. */
HT_NODISCARD hither_status ht_segment_header_complete(ht_segment_header *header, hither_error *err);
void ht_segment_header_write(const ht_segment_header *header, unsigned char bytes[HT_SEGMENT_HEADER_BYTES]);
/* `name` begins the message. CORRUPT; FORMAT for a newer one. What it accepts is consistent in itself. */
HT_NODISCARD hither_status ht_segment_header_read(const unsigned char bytes[HT_SEGMENT_HEADER_BYTES], const char *name,
                                                  ht_segment_header *out, hither_error *err);
/* CORRUPT, naming the first member in which the file differs from the catalog. */
HT_NODISCARD hither_status ht_segment_header_compare(const ht_segment_header *file, const ht_segment_header *catalog,
                                                     const char *name, hither_error *err);

/* The bytes of one stored vector without padding; 0 for a dtype that has no stored form yet. */
size_t ht_vector_bytes(hither_dtype dtype, uint32_t dim);

/* "3-17.vec" for collection 3 and segment 17. */
enum { HT_SEGMENT_NAME_BYTES = 48 };
void ht_segment_name_write(char name[HT_SEGMENT_NAME_BYTES], int64_t cid, int64_t sid);
bool ht_segment_name_read(const char *name, int64_t *cid, int64_t *sid);

struct ht_segment {
    atomic_uint references;
    ht_segment_info info;
    ht_segment_header header;
    ht_store *store; /* for the writer's calls, which end before the store does */
    const ht_io *io;
    ht_file *file;
    const unsigned char *map;
    int64_t state; /* HT_SEGMENT_... */
    ht_segment *next_to_sync;
    bool to_sync;      /* is in the store's list */
    uint64_t reserved; /* bytes from the start that have disk space behind them */
    char name[64];     /* "seg/3-17.vec" */
};

/* Opens the file, checks size and header against `expect`, and maps it. NOT_FOUND if the file is gone. */
HT_NODISCARD hither_status ht_segment_open(ht_store *store, const ht_segment_header *expect, uint64_t committed,
                                           int64_t state, ht_segment **out, hither_error *err);
/* Makes the file of a header that lacks its number and uuid: under tmp/, synced, renamed, folder synced. It has its
 * full size, and space behind its first `reserve` bytes. The writer lock is held. */
HT_NODISCARD hither_status ht_segment_make(ht_store *store, ht_segment_header *header, uint64_t reserve, int64_t state,
                                           ht_segment **out, hither_error *err);
ht_row_sums ht_segment_sums(const ht_segment *segment, uint64_t position);
/* What a sparse segment has in its table for a slot without a row, whose bytes are zeros. */
ht_row_sums ht_segment_mark(const ht_segment *segment, uint64_t position);
/* Whether the vector at `position` fits its sum. */
bool ht_segment_row_ok(const ht_segment *segment, uint64_t position);
uint32_t ht_row_sum(uint64_t slot, ht_id_kind kind, int64_t int_id, ht_text text_id, ht_text metadata,
                    ht_text document);

#endif
