/*
 * fuzz_window.c: bytes that say they are a saved window, as they came and with their checksums made right. Opening ends
 * in a status; what opens takes records, is searched, and saved and opened again scores the next record the same.
 */
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "seal.h"
#include "stream/window.h"

enum { MOST_DIM = 64, MOST_RECORDS = 4096 };

static void put_file(ht_io *io, const char *path, const uint8_t *data, size_t size) {
    hither_error err;
    ht_file *file = NULL;
    FUZZ_HOLDS(io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
    if (size)
        FUZZ_HOLDS(io->write_at(file, data, size, 0, &err) == HITHER_OK);
    io->close(file);
}

static ht_window *open_window(ht_io *io, const char *path, uint32_t *dim) {
    hither_error err;
    ht_window_saved *saved = NULL;
    ht_window_spec spec;
    ht_text embedder;
    ht_window *w = NULL;
    hither_status status = ht_window_saved_open(io, path, &saved, &spec, &embedder, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (saved != NULL));
    if (!saved)
        return NULL;
    *dim = spec.dim;
    if (spec.dim <= MOST_DIM && spec.capacity <= MOST_RECORDS && ht_window_new(&spec, &w, &err) == HITHER_OK &&
        ht_window_restore(w, saved, &err) != HITHER_OK) {
        ht_window_free(w);
        w = NULL;
    }
    ht_window_saved_close(saved);
    return w;
}

static hither_status push(ht_window *w, uint32_t dim, hither_score *score) {
    static float ones[MOST_DIM];
    hither_error err;
    for (size_t j = 0; j < MOST_DIM; j++)
        ones[j] = j % 3 ? 1.0F : -0.5F;
    const hither_matrix row = {.data = ones, .rows = 1, .dim = dim, .stride = sizeof ones, .dtype = HITHER_F32};
    hither_result *hits = NULL;
    if (ht_window_search(w, NULL, &row, 3, NULL, &hits, &err) == HITHER_OK)
        hither_result_free(hits);
    return ht_window_push(w, &(ht_window_rows){.vectors = &row}, score, &err);
}

static void look(ht_io *io, const uint8_t *data, size_t size) {
    hither_error err;
    uint32_t dim;
    put_file(io, "f", data, size);
    ht_window *w = open_window(io, "f", &dim);
    if (w) {
        hither_score a = {0}, b = {0};
        FUZZ_HOLDS(ht_window_save(w, io, "again", "", &err) == HITHER_OK);
        ht_window *again = open_window(io, "again", &dim);
        FUZZ_HOLDS(again != NULL);
        FUZZ_HOLDS(push(w, dim, &a) == push(again, dim, &b));
        FUZZ_HOLDS(a.record == b.record && a.seen == b.seen && memcmp(&a.novelty, &b.novelty, sizeof a.novelty) == 0);
        ht_window_free(again);
        ht_window_free(w);
    }
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
