/*
 * fuzz_index.c: bytes that say they are a saved index, as they came and with their checksums made right. Opening,
 * describing, searching and verifying end in a status; what verifies is searched without an error, and saved and opened
 * again gives the same answers.
 */
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "index/flat.h"
#include "seal.h"

enum { MOST_DIM = 4096, K = 5 };

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

static void look(ht_io *io, size_t size) {
    hither_error err;
    ht_flat *flat = NULL;
    ht_flat_info info;
    int64_t labels[K] = {0};
    float distances[K] = {0};
    hither_status status = ht_flat_open(io, SEAL_PATH, &flat, &err);
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    seal_look(data, size, look);
    return 0;
}
