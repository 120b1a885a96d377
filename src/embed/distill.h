/*
 * distill.h: a static model made from an encoder: what it gives for each token alone, fewer dimensions of that, and
 * weights by how rare a token is. docs/models.md says what comes out. One thread asks; the pool works.
 */
#ifndef HT_EMBED_DISTILL_H
#define HT_EMBED_DISTILL_H

#include "base/progress.h"
#include "embed/embed.h"

/* Makes the folder `dest`, which must not be there; dim is at most the encoder's width. MODEL (what is no encoder),
 * INVALID, EXISTS, INTERRUPTED, FULL, IO, NOMEM. What was begun is removed. */
HT_NODISCARD hither_status ht_distill(const ht_io *io, const char *folder, const char *dest, uint32_t dim,
                                      ht_progress *progress, hither_error *err);

#endif
