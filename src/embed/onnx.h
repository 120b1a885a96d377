/*
 * onnx.h: the walk over an ONNX file before anything believes it: its graph as nodes that name values, and its arrays
 * of numbers. The whole file is in memory and is read by this walk alone, which never leaves it: every length is
 * checked against what is around it, graphs within nodes are followed a few levels deep and no further.
 *
 * Refused: operators of other makers, functions of the model's own, operators that load files, and numbers in other
 * files unless these are plain names inside the model's folder, are files, and are as long as the model says. Nothing
 * else is opened.
 *
 * Immutable once opened: any thread.
 */
#ifndef HT_EMBED_ONNX_H
#define HT_EMBED_ONNX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/io.h"

#define HT_ONNX_MAX_FILE ((uint64_t)2 << 30) /* protobuf's own limit */
#define HT_ONNX_NOTHING  UINT32_MAX
enum { HT_ONNX_MAX_RANK = 8 };

/* Types of numbers, as ONNX counts them. */
enum {
    HT_ONNX_F32 = 1,
    HT_ONNX_U8 = 2,
    HT_ONNX_I8 = 3,
    HT_ONNX_I32 = 6,
    HT_ONNX_I64 = 7,
    HT_ONNX_F16 = 10,
    HT_ONNX_BF16 = 16
};

/* Bytes of the file; not NUL-terminated. */
typedef struct ht_onnx_text {
    const char *data;
    size_t bytes;
} ht_onnx_text;

typedef struct ht_onnx_tensor {
    ht_onnx_text name;
    uint32_t type, rank;
    uint64_t dims[HT_ONNX_MAX_RANK], count; /* count: of numbers, the product of dims */
    const uint8_t *data;                    /* as `form` says; NULL where they are in a file beside */
    size_t bytes;
    enum { HT_ONNX_RAW, HT_ONNX_FLOATS, HT_ONNX_VARINTS } form;
    ht_onnx_text file; /* beside the model, with where in it; empty: none */
    uint64_t offset;
} ht_onnx_tensor;

/* What a node takes and gives are numbers of values; HT_ONNX_NOTHING stands for an input that is left out. */
typedef struct ht_onnx_node {
    ht_onnx_text op, domain;
    uint32_t inputs, input_count, outputs, output_count; /* places in ht_onnx_graph.links */
    const uint8_t *body;                                 /* for ht_onnx_attribute */
    size_t bytes;
} ht_onnx_node;

typedef struct ht_onnx_value {
    ht_onnx_text name;
    uint32_t tensor, node; /* that it is, or that gives it; HT_ONNX_NOTHING: an input of the graph */
} ht_onnx_value;

typedef struct ht_onnx_graph {
    const ht_onnx_node *nodes; /* each after those whose values it takes */
    const ht_onnx_tensor *tensors;
    const ht_onnx_value *values;
    const uint32_t *links;
    const uint32_t *inputs, *outputs; /* of the graph; values */
    const uint32_t *input_types;      /* of numbers, 0: not said */
    uint32_t node_count, tensor_count, value_count, input_count, output_count;
} ht_onnx_graph;

typedef struct ht_onnx ht_onnx;

/* MODEL (says what is wrong with the file or not supported), TOO_LARGE, NOT_FOUND, PERMISSION, IO, NOMEM. */
HT_NODISCARD hither_status ht_onnx_open(const ht_io *io, const char *folder, const char *name, ht_onnx **out,
                                        hither_error *err);
void ht_onnx_close(ht_onnx *onnx);

const ht_onnx_graph *ht_onnx_graph_of(const ht_onnx *onnx);
/* The file itself, as it was walked. */
const void *ht_onnx_file(const ht_onnx *onnx, size_t *bytes);

/* All numbers of a tensor of one of the types above (of floats exactly, of integers as f32), read from the file beside
 * where they are there. MODEL for another type or for what is not finite, IO, NOMEM. */
HT_NODISCARD hither_status ht_onnx_numbers(const ht_onnx *onnx, uint32_t tensor, float *out, hither_error *err);

/* Whether some of its numbers are in files beside it. */
bool ht_onnx_has_files(const ht_onnx *onnx);
/* The bytes of a tensor that is in a file beside, in the folder of the model. */
HT_NODISCARD hither_status ht_onnx_beside(const ht_io *io, const char *folder, const ht_onnx_tensor *tensor, void *out,
                                          hither_error *err);

bool ht_onnx_is(ht_onnx_text text, const char *what);
/* A whole number that a node has as an attribute, else `otherwise`. The walk has checked the node. */
int64_t ht_onnx_integer(const ht_onnx_node *node, const char *name, int64_t otherwise);
/* The whole numbers of a list that a node has as an attribute; how many, at most `most`. */
size_t ht_onnx_integers(const ht_onnx_node *node, const char *name, int64_t *out, size_t most);

#endif
