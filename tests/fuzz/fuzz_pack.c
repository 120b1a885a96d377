/*
 * fuzz_pack.c: a pack that was tampered with. A small one is made in RAM once; the input says which bytes become what,
 * where the file ends, and whether the container's checksums are then made right, so that what lies behind them is
 * reached. It is opened and used in every way: all must end in a status, and what `verify` calls sound must answer.
 *
 * The input: a byte (bit 0: seal), then changes: kind, three bytes of offset, a count, and that many bytes. Kind 254
 * cuts the file at the offset, every other overwrites. Kind 255 makes the whole rest of the input the file.
 */
#include <string.h>

#include "engine/engine.h"
#include "fuzz.h"
#include "seal.h"

enum { DIM = 4, ROWS = 6 };

static uint8_t *sample;
static size_t sample_bytes;

static void put_rows(ht_collection *c) {
    hither_error err;
    int64_t ids[ROWS];
    float vectors[ROWS][DIM];
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)i + 1;
        for (size_t j = 0; j < DIM; j++)
            vectors[i][j] = (float)(i * DIM + j) / 7;
    }
    hither_batch batch = {
        .size = sizeof batch, .ids = {.ints = ids, .count = ROWS}, .vectors = {vectors, ROWS, DIM, 0, HITHER_F32}};
    FUZZ_HOLDS(ht_collection_put(c, HITHER_UPSERT, &batch, NULL, NULL, &err) == HITHER_OK);
}

static void make_sample(void) {
    ht_io *io = NULL;
    ht_db *db = NULL;
    ht_collection *c = NULL;
    ht_file *file = NULL;
    uint64_t size = 0;
    hither_error err;
    ht_collection_spec spec = {.dim = DIM, .embedder = ""};
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_db_open_io(io, "d", 0, 0, &db, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_collection_open(db, "c", &spec, &c, &err) == HITHER_OK);
    put_rows(c);
    FUZZ_HOLDS(ht_db_pack(db, "p", &err) == HITHER_OK);
    ht_collection_close(c);
    ht_db_close(db);
    FUZZ_HOLDS(io->open(io->ctx, "p", 0, &file, &err) == HITHER_OK);
    FUZZ_HOLDS(io->file_size(file, &size, &err) == HITHER_OK);
    sample_bytes = (size_t)size;
    sample = malloc(sample_bytes);
    FUZZ_HOLDS(sample && io->read_at(file, sample, sample_bytes, 0, &err) == HITHER_OK);
    io->close(file);
    ht_io_ram_free(io);
}

/* The sample with the input's changes, the caller's to free. */
static uint8_t *change(const uint8_t *data, size_t size, size_t *bytes) {
    bool sealed = size > 0 && (data[0] & 1);
    size_t room = sample_bytes > size ? sample_bytes : size;
    uint8_t *file = malloc(room + 1);
    FUZZ_HOLDS(file != NULL);
    memcpy(file, sample, sample_bytes);
    *bytes = sample_bytes;
    if (size > 0)
        data++, size--;
    while (size >= 5) {
        size_t offset = (size_t)data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16, count = data[4];
        uint8_t kind = data[0];
        data += 5, size -= 5;
        if (kind == 255) {
            memcpy(file, data, size);
            *bytes = size;
            break;
        }
        count = count < size ? count : size;
        if (kind == 254)
            *bytes = offset < *bytes ? offset : *bytes;
        else if (offset < *bytes)
            memcpy(file + offset, data, count < *bytes - offset ? count : *bytes - offset);
        data += count, size -= count;
    }
    if (sealed)
        seal(file, *bytes);
    return file;
}

static void use_collection(ht_collection *c, bool sound) {
    hither_error err;
    hither_result *result = NULL;
    float query[DIM] = {1, 2, 3, 4};
    hither_matrix queries = {query, 1, DIM, 0, HITHER_F32};
    const ht_search nearest = {.k = 3, .include = HITHER_INCLUDE_DOCUMENTS, .threads = 1};
    int64_t wanted[] = {1, 3, 99};
    hither_ids ids = {.ints = wanted, .count = 3};
    if (ht_collection_dim(c) == DIM) {
        hither_status status = ht_collection_search(c, &queries, NULL, &nearest, &result, &err);
        FUZZ_HOLDS(!sound || status == HITHER_OK);
        hither_result_free(result);
    }
    result = NULL;
    hither_status got = ht_collection_get(c, &ids, NULL, HITHER_INCLUDE_VECTORS, &result, &err);
    FUZZ_HOLDS(!sound || got == HITHER_OK || got == HITHER_INVALID);
    hither_result_free(result);
    FUZZ_HOLDS(ht_collection_delete(c, &ids, NULL, NULL, &err) == HITHER_READONLY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_io *io = NULL;
    ht_file *file = NULL;
    ht_db *db = NULL;
    hither_error err;
    size_t bytes;
    if (!sample)
        make_sample();
    uint8_t *changed = change(data, size, &bytes);
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    FUZZ_HOLDS(io->open(io->ctx, "p", HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
    FUZZ_HOLDS(!bytes || io->write_at(file, changed, bytes, 0, &err) == HITHER_OK);
    io->close(file);
    free(changed);
    if (ht_db_open_io(io, "p", HITHER_OPEN_EXISTING, 0, &db, &err) == HITHER_OK) {
        bool sound = ht_db_verify(db, NULL, NULL, &err) == HITHER_OK;
        ht_collection *c = NULL;
        ht_collection_spec spec = {.flags = HITHER_COLLECTION_EXISTING};
        if (ht_collection_open(db, "c", &spec, &c, &err) == HITHER_OK)
            use_collection(c, sound);
        ht_collection_close(c);
        ht_db_close(db);
    } else
        FUZZ_HOLDS(db == NULL && err.message[0]);
    ht_io_ram_free(io);
    return 0;
}
