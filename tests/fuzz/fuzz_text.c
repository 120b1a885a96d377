/*
 * fuzz_text.c: text from outside, through the built-in embedder and the window. Any bytes may come down a log; what is
 * not UTF-8 is refused by the embedder and passed over by the window. Vectors are unit or zero, and the same each time.
 */
#include <math.h>
#include <string.h>

#include "base/strings.h"
#include "fuzz.h"

enum { DIM = 384 };

static void embed(const char *text, size_t size) {
    static hither_embedder *embedder;
    hither_error err;
    if (!embedder)
        FUZZ_HOLDS(hither_embedder_builtin(&embedder, &err) == HITHER_OK && hither_embedder_dim(embedder) == DIM);
    uint64_t offsets[] = {0, size, size};
    hither_strings texts = {text, offsets, 2, NULL};
    float vectors[2 * DIM], again[2 * DIM];
    hither_status status = hither_embedder_embed(embedder, &texts, vectors, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (ht_utf8_valid_prefix(text, size) == size));
    if (status != HITHER_OK)
        return;
    FUZZ_HOLDS(hither_embedder_embed(embedder, &texts, again, &err) == HITHER_OK);
    FUZZ_HOLDS(memcmp(vectors, again, sizeof vectors) == 0);
    double norm = 0, empty = 0;
    for (size_t i = 0; i < DIM; i++) {
        norm += (double)vectors[i] * (double)vectors[i];
        empty += fabs((double)vectors[DIM + i]);
    }
    FUZZ_HOLDS(empty == 0 && (norm == 0 || fabs(norm - 1) < 1e-5));
}

static void push(const char *text, size_t size) {
    hither_window *window = NULL;
    hither_error err;
    FUZZ_HOLDS(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = 8), &window, &err) == HITHER_OK);
    const char *end = text + size;
    for (unsigned lines = 0; text < end && lines < 64; lines++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t bytes = (size_t)((stop ? stop : end) - text);
        uint64_t offsets[] = {0, bytes};
        hither_strings line = {text, offsets, 1, NULL};
        hither_score score;
        FUZZ_HOLDS(hither_window_push(window, &line, &score, &err) == HITHER_OK);
        FUZZ_HOLDS(score.record == lines && isfinite(score.novelty) && score.novelty >= 0);
        FUZZ_HOLDS(score.seen <= 8 && (score.nearest == UINT64_MAX || score.nearest < lines));
        text += bytes + 1;
    }
    hither_window_close(window);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    embed((const char *)data, size);
    push((const char *)data, size);
    return 0;
}
