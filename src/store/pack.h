/*
 * pack.h: a database as one file that is only read: a container of kind "pack" that holds the catalog and the segments
 * of a store made for it, live rows only. Opened, it is a table of files like any other (base/io.h), so that a store
 * lies in it as it would in a folder; SQLite reads the catalog through vfs_table.c, and segments are the file's own
 * mapping.
 *
 * A pack is hostile until its checks have passed: header, directory and the list of files at open; pages, headers and
 * rows as in any store, when they are read; every block by ht_pack_verify. An open pack never changes; any thread.
 */
#ifndef HT_STORE_PACK_H
#define HT_STORE_PACK_H

#include "store/store.h"

/* Writes the live rows of the store, as one commit left them, into a new file at `path` on `io` (NULL: where the store
 * itself lies). All of it has been checked and is durable before the file gets its name; on failure there is none.
 * Writers go on meanwhile. Beside it, while it is made, lies a folder PATH.partial-XXXXXXXX that takes as much space
 * again, twice. Any thread. EXISTS; INVALID (inside the store's own folder); CORRUPT, naming the place; FULL, IO, ...
 */
HT_NODISCARD hither_status ht_store_pack(ht_store *store, const ht_io *io, const char *path, hither_error *err);

/* The files of the pack at `path`; a store is opened there, at the same path, read-only. `below` must outlive it.
 * NOT_FOUND; NOT_DATABASE if it is something else; FORMAT if it is newer; CORRUPT with the offset. */
HT_NODISCARD hither_status ht_pack_open(const ht_io *below, const char *path, ht_io **out, hither_error *err);
void ht_pack_close(ht_io *pack); /* after the last file in it; NULL is fine */
/* Checks every block of the file. CORRUPT names the first that fails. */
HT_NODISCARD hither_status ht_pack_verify(ht_io *pack, hither_error *err);

/* ---- the list of files, for the two sources of this header */

#define HT_PACK_KIND "pack"
enum { HT_PACK_NAME = 48 };
typedef struct ht_pack_entry {
    uint64_t offset, bytes;  /* within the section `data`; multiples of 4096 */
    char name[HT_PACK_NAME]; /* "catalog", "seg/1-1.vec"; padded with zeros */
} ht_pack_entry;

#endif
