/*
 * models.h: where models lie on this machine: the folders in HITHER_MODELS, and those in the user's data folder, which
 * `hither model add` fills. Main thread.
 */
#ifndef HT_CLI_MODELS_H
#define HT_CLI_MODELS_H

#include "base/buf.h"
#include "hither.h"

/* The folder of the user's models, without a NUL in it: $XDG_DATA_HOME/hither/models, else
 * ~/.local/share/hither/models. NOT_FOUND where neither is known. */
HT_NODISCARD hither_status ht_models_folder(ht_buf *out, hither_error *err);

/* What --model means: that folder, or if there is none the user's model of that name. */
HT_NODISCARD hither_status ht_models_resolve(const char *name, ht_buf *out, hither_error *err);

/* Calls each(ctx, folder) for every folder in HITHER_MODELS, then for every model of the user's, by name, until it says
 * false. */
HT_NODISCARD hither_status ht_models_each(bool (*each)(void *ctx, const char *folder), void *ctx, hither_error *err);

#endif
