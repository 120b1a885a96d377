/*
 * runtime.h: many texts through ONNX Runtime: tokens first, then texts of like length side by side; inside src/embed/
 * only. Any thread.
 */
#ifndef HT_EMBED_RUNTIME_H
#define HT_EMBED_RUNTIME_H

#include "embed/ort.h"

typedef struct ht_runtime_job {
    const ht_ort *ort;
    uint32_t most; /* tokens of a text */
    /* Writes the tokens of a text, at most `most`; called from any number of threads at once. */
    hither_status (*tokens)(void *ctx, const char *text, size_t bytes, uint32_t *ids, size_t *count, hither_error *err);
    void *ctx;
} ht_runtime_job;

/* A text without tokens, or a missing one, gets the zero vector. MODEL, NOMEM, what job->tokens gives. */
HT_NODISCARD hither_status ht_runtime_all(const ht_runtime_job *job, const hither_strings *texts, float *vectors,
                                          hither_error *err);

#endif
