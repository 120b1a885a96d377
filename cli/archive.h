/*
 * archive.h: lines on their way into a collection, in batches. Whatever happens to the database, the stream goes on: a
 * batch that cannot be written is tried again while it fits, what no longer fits is counted and given up, and both are
 * said once. Main thread only.
 */
#ifndef HT_CLI_ARCHIVE_H
#define HT_CLI_ARCHIVE_H

#include "base/strings.h"

typedef struct ht_archive ht_archive;

/* place is DB/NAME; both are made when missing. Fails if the collection is there and takes no texts, was made with
 * another embedder than this, or its ids are no integers. The embedder is the caller's, and lives longer. */
HT_NODISCARD hither_status ht_archive_open(const char *place, hither_embedder *embedder, ht_archive **out,
                                           hither_error *err);
/* Takes a line in. file and level may be NULL. It gets the id `ht_archive_next` gave before. */
void ht_archive_add(ht_archive *a, ht_text line, int64_t time_ms, const char *file, const char *level);
int64_t ht_archive_next(const ht_archive *a);
/* Writes what waits, if it is a batch or has waited for a second; `now` in any case. */
void ht_archive_write(ht_archive *a, bool now);
/* The rows nearest to a text, for a search over window and archive. */
HT_NODISCARD hither_status ht_archive_search(ht_archive *a, const char *text, uint32_t k, hither_result **out,
                                             hither_error *err);
/* Writes the rest, says what was lost. */
void ht_archive_close(ht_archive *a);

#endif
