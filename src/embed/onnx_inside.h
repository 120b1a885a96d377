/*
 * onnx_inside.h: what onnx.c (the walk) and onnx_tensor.c (arrays of numbers) share, and nobody else.
 */
#ifndef HT_EMBED_ONNX_INSIDE_H
#define HT_EMBED_ONNX_INSIDE_H

#include "embed/onnx.h"

struct ht_onnx {
    const ht_io *io;
    char *folder, *name;
    uint8_t *data; /* the file */
    size_t bytes;
    ht_onnx_graph graph;
    ht_onnx_node *nodes;
    ht_onnx_tensor *tensors;
    ht_onnx_value *values;
    uint32_t *links, *inputs, *outputs, *input_types;
    uint32_t *table; /* values by name, while it is opened */
    size_t mask;
};

/* For a message: "%.*s". */
#define ONNX_NAME(text) (int)((text).bytes < 60 ? (text).bytes : 60), (text).data

/* Reads and checks the description of a tensor in the model's file, and the file beside that it may name. */
HT_NODISCARD hither_status ht_onnx_tensor_read(ht_onnx *onnx, const uint8_t *data, size_t bytes, ht_onnx_tensor *out,
                                               hither_error *err);

#endif
