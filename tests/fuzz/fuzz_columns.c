/*
 * fuzz_columns.c: bytes that say they are columns kept on disk, as they came and with their checksums made right.
 * Reading them ends in a status; what is read may be searched by any filter, and written and read again it is the same
 * to the byte.
 */
#include "base/alloc.h"
#include "engine/column_kept.h"
#include "engine/column_scan.h"
#include "fuzz.h"
#include "seal.h"

#define KIND "cache-columns"
enum { MOST_SLOTS = 20000, SLOTS_AT = 24 };

static void write_again(ht_io *io, const char *path, ht_columns *columns, uint64_t slots) {
    hither_error err;
    ht_container_writer *writer;
    const ht_mask all = {NULL, (size_t)(slots / 65536 + 1), slots};
    FUZZ_HOLDS(ht_container_create(io, path, KIND, &writer, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_columns_put(columns, &all, slots, writer, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_container_finish(writer, &err) == HITHER_OK);
}

static ht_container *open_columns(ht_io *io, const char *path, ht_columns *columns, uint64_t slots) {
    hither_error err;
    ht_container *file;
    FUZZ_HOLDS(ht_container_open(io, path, KIND, &file, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_columns_init(columns, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_columns_get(columns, file, slots, &err) == HITHER_OK);
    return file;
}

/* Once written by us, a second writing gives the same bytes. */
static void same_again(ht_io *io, ht_columns *columns, uint64_t slots) {
    ht_columns second;
    hither_error err;
    write_again(io, "second", columns, slots);
    ht_container *file = open_columns(io, "second", &second, slots);
    write_again(io, "third", &second, slots);
    ht_columns third;
    ht_container *other = open_columns(io, "third", &third, slots);
    FUZZ_HOLDS(ht_container_bytes(file) == ht_container_bytes(other));
    FUZZ_HOLDS(ht_columns_covered(&second) == slots && ht_columns_covered(columns) == slots);
    ht_columns_clear(&second);
    ht_columns_clear(&third);
    ht_container_close(file);
    ht_container_close(other);
    FUZZ_HOLDS(io->remove(io->ctx, "second", &err) == HITHER_OK && io->remove(io->ctx, "third", &err) == HITHER_OK);
}

static void scan(ht_columns *columns, const char *where, uint64_t slots) {
    hither_error err;
    ht_filter *filter;
    ht_scan scan;
    FUZZ_HOLDS(ht_filter_parse(where, strlen(where), &filter, &err) == HITHER_OK);
    const ht_field_column *found[1];
    if (ht_columns_find(columns, filter, slots, found)) {
        uint64_t words[HT_CELLS / 64];
        FUZZ_HOLDS(ht_scan_prepare(&scan, filter, found, &err) == HITHER_OK);
        for (uint64_t first = 0; first < slots; first += HT_CELLS) {
            size_t count = (size_t)(slots - first < HT_CELLS ? slots - first : HT_CELLS);
            ht_scan_words(&scan, HT_AT_LEAST, first, count, words);
            for (size_t i = 0; i < count; i += 37)
                FUZZ_HOLDS(ht_scan_slot(&scan, first + i, (ht_text){0}) == (words[i / 64] >> i % 64 & 1));
        }
        ht_scan_clear(&scan);
    }
    ht_filter_free(filter);
}

static void look(ht_io *io, size_t size) {
    (void)size;
    static const char *const filters[] = {"{\"n\":{\"$gt\":3}}", "{\"s\":{\"$regex\":\"o.*l\"}}",
                                          "{\"l\":{\"$in\":[1,\"owl\",null]}}", "{\"o.x\":{\"$exists\":false}}"};
    hither_error err;
    ht_container *file = NULL;
    ht_columns columns;
    if (ht_container_open(io, SEAL_PATH, KIND, &file, &err) == HITHER_OK) {
        size_t bytes;
        const char *head = ht_container_section(file, "head", &bytes);
        uint64_t slots = 0;
        if (bytes >= SLOTS_AT + sizeof slots)
            memcpy(&slots, head + SLOTS_AT, sizeof slots);
        slots = slots && slots <= MOST_SLOTS ? slots : 100;
        FUZZ_HOLDS(ht_columns_init(&columns, &err) == HITHER_OK);
        hither_status status = ht_columns_get(&columns, file, slots, &err);
        FUZZ_HOLDS(status == HITHER_OK || (status == HITHER_CORRUPT && !atomic_load(&columns.first)));
        if (status == HITHER_OK) {
            for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
                scan(&columns, filters[i], slots);
            same_again(io, &columns, slots);
        }
        ht_columns_clear(&columns);
        ht_container_close(file);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    seal_look(data, size, look);
    return 0;
}
