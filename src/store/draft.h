/*
 * draft.h: a database folder, or file, in the making. Until it is whole it bears another name than the one asked for,
 * PATH.partial-XXXXXXXX beside it, so that no crash leaves a half of one under that name. Also the paths of databases.
 *
 * One thread a draft.
 */
#ifndef HT_STORE_DRAFT_H
#define HT_STORE_DRAFT_H

#include "base/io.h"

/* The path made absolute, so that it means the same after a chdir, without slashes at its end; behind a table of files
 * it is taken as it is. The caller's to release. INVALID where it is empty or too long for SQLite. */
HT_NODISCARD hither_status ht_full_path(const ht_io *io, const char *path, char **out, hither_error *err);
/* The folder that `path` lies in; the caller's to release. NULL without memory. */
char *ht_parent_of(const char *path);
/* Makes durable that `path` bears its name. */
HT_NODISCARD hither_status ht_sync_parent(const ht_io *io, const char *path, hither_error *err);

typedef struct ht_draft {
    const ht_io *io;
    const char *what;     /* it is to be, for messages */
    char *path, *partial; /* where it is to be; where it is now */
} ht_draft;

/* Makes an empty folder for what is to be a "folder" or a "file". EXISTS if anything has that name already. On failure
 * there is nothing to discard. */
HT_NODISCARD hither_status ht_draft_begin(ht_draft *draft, const ht_io *io, const char *path, const char *what,
                                          hither_error *err);
/* INVALID if it lies inside the database at `path` on `io`: it would be swept, or copied, with it. */
HT_NODISCARD hither_status ht_draft_outside(const ht_draft *draft, const ht_io *io, const char *path,
                                            hither_error *err);
/* Gives the folder, whose files are all durable, its name. On failure it is to be discarded. */
HT_NODISCARD hither_status ht_draft_finish(ht_draft *draft, hither_error *err);
/* Gives a durable file in the folder the draft's name instead. Discard the draft, on success and on failure. */
HT_NODISCARD hither_status ht_draft_finish_as(ht_draft *draft, const char *file, hither_error *err);
/* Removes the folder with all in it, as far as that can be done. */
void ht_draft_discard(ht_draft *draft);

#endif
