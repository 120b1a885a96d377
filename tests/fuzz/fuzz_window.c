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

static void look(ht_io *io, size_t size) {
    (void)size;
    hither_error err;
    uint32_t dim;
    ht_window *w = open_window(io, SEAL_PATH, &dim);
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    seal_look(data, size, look);
    return 0;
}
