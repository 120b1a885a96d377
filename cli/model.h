/*
 * model.h: the embedder that a command line means. Main thread.
 */
#ifndef HT_CLI_MODEL_H
#define HT_CLI_MODEL_H

#include "args.h"
#include "database.h"

/* The one of --model DIR, or of the user's model of that name; without it the built-in one. */
HT_NODISCARD hither_status ht_model_option(const ht_args *args, hither_embedder **out, hither_error *err);

/* The collection's embedder, for one that is opened without: of the folders in HITHER_MODELS (separated by colons) and
 * the user's models the first that gives the vectors it was made with. NULL for a collection without a model, MODEL if
 * there is none. */
HT_NODISCARD hither_status ht_model_find(const ht_facts *facts, hither_embedder **out, hither_error *err);

/* As ht_open_both, with the embedder that texts need: --model's, or the one found. */
HT_NODISCARD hither_status ht_open_for_texts(const ht_args *args, ht_open_how how, ht_opened *out, hither_error *err);

#endif
