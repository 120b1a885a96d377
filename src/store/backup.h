/*
 * backup.h: a database copied while it is in use, and what is left of a damaged one.
 */
#ifndef HT_STORE_BACKUP_H
#define HT_STORE_BACKUP_H

#include "store/store.h"

/* Makes a new folder at `path`, on `io` (NULL: where the store itself lies), that holds the store as one commit left
 * it. Every byte of the copy is checked before the folder gets its name; on failure there is none. Writers go on
 * meanwhile. progress may be NULL. Any thread. EXISTS; INVALID (inside the store's own folder); CORRUPT, naming the
 * place; FULL, IO, ... */
HT_NODISCARD hither_status ht_store_backup(ht_store *store, const ht_io *io, const char *path, ht_progress *progress,
                                           hither_error *err);

/* Who takes the rows of a damaged store in. A status other than OK ends the walk; its message is the callback's to
 * leave. */
typedef struct ht_salvage {
    /* Its rows follow; ttl as of ht_reader_ttl. */
    hither_status (*collection)(void *arg, const ht_collection_row *row, int64_t ttl);
    hither_status (*row)(void *arg, const ht_row *row, const void *vector);
    hither_status (*finding)(void *arg, const char *place, const char *problem);
    void *arg;
} ht_salvage;

/* Hands over, collection by collection and by rising slot, every live row whose vector and row checksums are right,
 * and tells of each row, or run of rows, that is lost. Nothing is written. OK even with findings; CORRUPT where not
 * even the list of collections can be read. Any thread, over a read-only store. */
HT_NODISCARD hither_status ht_store_salvage(ht_store *store, const ht_salvage *to, hither_error *err);

#endif
