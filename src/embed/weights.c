/* weights.c: see weights.h. */
#include "embed/weights.h"

#include <stdio.h>
#include <string.h>

static hither_status read_named(const void *ctx, unsigned layer, ht_part part, bool bias, size_t rows, size_t columns,
                                float *out, float *steps, hither_error *err) {
    static const char *const names[HT_PARTS] = {"embeddings.word_embeddings",
                                                "embeddings.position_embeddings",
                                                "embeddings.token_type_embeddings",
                                                "embeddings.LayerNorm",
                                                "attention.self.query",
                                                "attention.self.key",
                                                "attention.self.value",
                                                "attention.output.dense",
                                                "attention.output.LayerNorm",
                                                "intermediate.dense",
                                                "output.dense",
                                                "output.LayerNorm"};
    const ht_tensors *tensors = ctx;
    char name[160], within[40] = "";
    const char *prefix = ht_tensors_has(tensors, "bert.embeddings.word_embeddings.weight") ? "bert." : "";
    if (part >= HT_QUERY)
        (void)snprintf(within, sizeof within, "encoder.layer.%u.", layer);
    (void)snprintf(name, sizeof name, "%s%s%s.%s", prefix, within, names[part], bias ? "bias" : "weight");
    if (steps)
        memset(steps, 0, rows * sizeof *steps);
    return ht_tensors_read(tensors, name, rows, columns, out, err);
}

ht_weights ht_weights_of_tensors(const ht_tensors *tensors) { return (ht_weights){tensors, read_named}; }
