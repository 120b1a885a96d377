/*
 * model_files.h: what every kind of model reads from its folder: settings, the tokenizer, what stands before texts.
 * Inside src/embed/ only. All of it is hostile until read. Any thread.
 */
#ifndef HT_EMBED_MODEL_FILES_H
#define HT_EMBED_MODEL_FILES_H

#include "base/json.h"
#include "embed/embedder.h"
#include "embed/tokenizer.h"

/* The text of a file, at most `most` bytes; a missing one is OK and leaves *there false. *out is the caller's to clear,
 * whatever comes back. */
HT_NODISCARD hither_status ht_model_read_file(const ht_io *io, const char *folder, const char *name, size_t most,
                                              ht_buf *out, bool *there, hither_error *err);
/* A JSON file; *out NULL where it is missing. */
HT_NODISCARD hither_status ht_model_read_json(const ht_io *io, const char *folder, const char *name, json_t **out,
                                              hither_error *err);
/* From tokenizer.json, else vocab.txt; MODEL where it gives numbers that the model has no vector for. Its text goes
 * into *digest. *out is the caller's to free, whatever comes back. */
HT_NODISCARD hither_status ht_model_read_tokenizer(const ht_io *io, const char *folder, uint32_t vectors,
                                                   ht_tokenizer **out, uint64_t *digest, hither_error *err);
/* From config_sentence_transformers.json, where the options do not say. */
HT_NODISCARD hither_status ht_model_read_prefixes(const ht_io *io, const char *folder, const ht_model_options *options,
                                                  ht_embedder *out, hither_error *err);

#endif
