/*
 * fuzz_index.c: bytes that say they are a saved index, as they came and with their checksums made right. Opening,
 * describing, searching and verifying end in a status; what verifies is searched without an error, and saved and opened
 * again gives the same answers.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "fuzz.h"
#include "index/flat.h"

enum { PAGE = 4096, BLOCK = 65536, HEADER_CRC = 68, MOST_DIM = 4096, K = 5 };

static uint64_t number(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void seal_u32(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }

/* Makes every checksum of a container right whose header and directory can be followed (docs/format.md). */
static void seal(uint8_t *file, size_t size) {
    if (size < PAGE)
        return;
    uint64_t sections = number(file + 32), directory = number(file + 40), bytes = number(file + 48);
    if (sections > 64 || directory > size || bytes > size - directory || bytes < sections * 32)
        return;
    uint8_t *sums = file + directory + sections * 32, *end = file + directory + bytes;
    for (uint64_t i = 0; i < sections; i++) {
        const uint8_t *section = file + directory + i * 32;
        uint64_t at = number(section + 16), left = number(section + 24);
        if (at > size || left > size - at)
            break;
        for (; left > 0 && end - sums >= 4; sums += 4) {
            uint64_t n = left < BLOCK ? left : BLOCK;
            seal_u32(sums, ht_crc32c(0, file + at, (size_t)n));
            at += n;
            left -= n;
        }
    }
    seal_u32(file + HEADER_CRC - 4, ht_crc32c(0, file + directory, (size_t)bytes));
    seal_u32(file + HEADER_CRC, ht_crc32c(0, file, HEADER_CRC));
}

static void put_file(ht_io *io, const char *path, const uint8_t *data, size_t size) {
    hither_error err;
    ht_file *file = NULL;
    FUZZ_HOLDS(io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
    if (size)
        FUZZ_HOLDS(io->write_at(file, data, size, 0, &err) == HITHER_OK);
    io->close(file);
}

static hither_status search(ht_flat *flat, hither_metric metric, int64_t *labels, float *distances) {
    static float ones[MOST_DIM];
    static double wide[MOST_DIM];
    static uint8_t bits[MOST_DIM];
    const ht_flat_spec *spec = ht_flat_spec_of(flat);
    hither_error err;
    for (size_t j = 0; j < MOST_DIM; j++)
        wide[j] = ones[j] = j % 3 ? 1.0F : -0.5F;
    hither_matrix queries = {.data = ones, .rows = 1, .dim = spec->dim, .stride = sizeof ones, .dtype = HITHER_F32};
    if (spec->dtype == HITHER_F64)
        queries = (hither_matrix){wide, 1, spec->dim, sizeof wide, HITHER_F64};
    if (spec->dtype == HITHER_B1)
        queries = (hither_matrix){bits, 1, spec->dim, sizeof bits, HITHER_B1};
    const ht_flat_search what = {.metric = metric, .k = K, .threads = 1};
    return ht_flat_knn(flat, &queries, &what, labels, distances, NULL, &err);
}

static void same_after_saving(ht_io *io, ht_flat *flat, const int64_t *labels, const float *distances) {
    hither_error err;
    ht_flat *again = NULL;
    int64_t others[K];
    float far[K];
    FUZZ_HOLDS(ht_flat_save(flat, io, "again", &err) == HITHER_OK);
    FUZZ_HOLDS(ht_flat_open(io, "again", &again, &err) == HITHER_OK);
    FUZZ_HOLDS(search(again, 0, others, far) == HITHER_OK);
    FUZZ_HOLDS(memcmp(others, labels, sizeof others) == 0 && memcmp(far, distances, sizeof far) == 0);
    FUZZ_HOLDS(ht_flat_verify(again, &err) == HITHER_OK);
    ht_flat_release(again);
}

static void look(ht_io *io, const uint8_t *data, size_t size) {
    hither_error err;
    ht_flat *flat = NULL;
    ht_flat_info info;
    int64_t labels[K] = {0};
    float distances[K] = {0};
    put_file(io, "f", data, size);
    hither_status status = ht_flat_open(io, "f", &flat, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (flat != NULL));
    if (flat && ht_flat_spec_of(flat)->dim <= MOST_DIM) {
        ht_flat_describe(flat, &info);
        FUZZ_HOLDS(info.mapped && info.rows <= size);
        hither_status before = search(flat, 0, labels, distances);
        for (int metric = HITHER_COSINE; metric <= HITHER_HAMMING; metric++) {
            int64_t others[K];
            float far[K];
            hither_status other = search(flat, (hither_metric)metric, others, far);
            FUZZ_HOLDS(other <= HITHER_FORKED);
        }
        if (ht_flat_verify(flat, &err) == HITHER_OK) {
            FUZZ_HOLDS(before == HITHER_OK);
            same_after_saving(io, flat, labels, distances);
        }
    }
    ht_flat_release(flat);
    FUZZ_HOLDS(io->remove(io->ctx, "f", &err) == HITHER_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_io *io = NULL;
    hither_error err;
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    look(io, data, size);
    uint8_t *sealed = malloc(size ? size : 1);
    FUZZ_HOLDS(sealed != NULL);
    if (size)
        memcpy(sealed, data, size);
    seal(sealed, size);
    look(io, sealed, size);
    free(sealed);
    ht_io_ram_free(io);
    return 0;
}
