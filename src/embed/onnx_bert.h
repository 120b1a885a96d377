/*
 * onnx_bert.h: the weights of an encoder of the BERT family in an ONNX graph, found by what the graph does with them:
 * exporters give the matrices names of their own. Follows the values from the embeddings through attention, dense
 * layers and norms, and refuses a graph that has another order than BERT's, or joined operators.
 *
 * Matrices may be numbers, or bytes with a step and a zero: for MatMulInteger, for DequantizeLinear, or turned into
 * numbers by Cast and Mul. One thread.
 */
#ifndef HT_EMBED_ONNX_BERT_H
#define HT_EMBED_ONNX_BERT_H

#include "embed/bert.h"
#include "embed/onnx.h"

typedef struct ht_onnx_bert ht_onnx_bert;

/* onnx stays as long as the result. MODEL (says what is not as it should be), NOMEM. */
HT_NODISCARD hither_status ht_onnx_bert_find(const ht_onnx *onnx, const ht_bert_shape *shape, ht_onnx_bert **out,
                                             hither_error *err);
void ht_onnx_bert_free(ht_onnx_bert *found);
ht_weights ht_onnx_bert_weights(const ht_onnx_bert *found);

#endif
