/*
 * bert_file.h: an encoder from the file of its weights in a model's folder, for either engine; inside src/embed/ only.
 * Any thread.
 */
#ifndef HT_EMBED_BERT_FILE_H
#define HT_EMBED_BERT_FILE_H

#include "embed/bert.h"
#include "embed/ort.h"

/* A plain path inside the folder: model.safetensors, onnx/model.onnx. INVALID for what leads out of it. */
HT_NODISCARD hither_status ht_model_file_check(const char *file, hither_error *err);
/* Which of the files that weights are published in is there, of those that ONNX Runtime reads if onnx; *out stays NULL
 * where none is. */
HT_NODISCARD hither_status ht_model_file_find(const ht_io *io, const char *folder, bool onnx, const char **out,
                                              hither_error *err);

/* *digest is of the weights as numbers. cache: a folder for packs (bert_pack.h), or NULL. MODEL (also: file is NULL),
 * TOO_LARGE, SYNTAX, PERMISSION, IO, NOMEM. */
HT_NODISCARD hither_status ht_bert_open(const ht_io *io, const char *folder, const char *file, const char *cache,
                                        const ht_bert_shape *shape, ht_bert **out, uint64_t *digest, hither_error *err);
/* The same for ONNX Runtime; *digest is of the file's bytes, and of those of the files beside it. */
HT_NODISCARD hither_status ht_ort_open_file(const ht_io *io, const char *library, const char *folder, const char *file,
                                            ht_ort **out, uint64_t *digest, hither_error *err);

#endif
