/*
 * weights.h: the weights of an encoder of the BERT family by what they are for, wherever they come from: a safetensors
 * file by their names, an ONNX file by their place in its graph. Inside src/embed/ only. One thread.
 */
#ifndef HT_EMBED_WEIGHTS_H
#define HT_EMBED_WEIGHTS_H

#include "embed/tensors.h"

typedef enum ht_part {
    HT_WORDS, /* these three are tables, a row a token, a place, a type */
    HT_PLACES,
    HT_TYPES,
    HT_FIRST_NORM,
    HT_QUERY, /* from here on: of each layer */
    HT_KEY,
    HT_VALUE,
    HT_OUT,
    HT_ATTENTION_NORM,
    HT_UP,
    HT_DOWN,
    HT_INNER_NORM,
    HT_PARTS
} ht_part;

typedef struct ht_weights {
    const void *ctx;
    /* All of a part's numbers, as rows x columns: of a dense layer a row holds what one output is made with. With
     * `bias` its bias, one row; of a norm that is what is added. steps is NULL, or of each row gets what all its
     * numbers are whole multiples of, from -128 to 127, where the file holds bytes; else 0. Without out it only says
     * whether that part is there in that shape. MODEL, IO, NOMEM. */
    hither_status (*read)(const void *ctx, unsigned layer, ht_part part, bool bias, size_t rows, size_t columns,
                          float *out, float *steps, hither_error *err);
} ht_weights;

/* Of a safetensors file, with the names that models are published with. */
ht_weights ht_weights_of_tensors(const ht_tensors *tensors);

#endif
